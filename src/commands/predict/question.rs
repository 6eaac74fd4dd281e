//! What is asked, with everything that does not go together refused.

use anyhow::{Result, bail, ensure};
use widthwise::config::NetworkConfig;
use widthwise_theory::dynamics::{OutputLoss, StepRule, Training};

use crate::cli::{PredictArguments, PredictLoss, PredictMethod, PredictOptimizer};

/// A time of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Time {
    /// Flow time, or a number of steps.
    At(f64),
    /// The limit.
    Infinite,
}

impl Time {
    /// The number, infinity for the limit.
    pub(super) fn number(self) -> f64 {
        match self {
            Self::At(time) => time,
            Self::Infinite => f64::INFINITY,
        }
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(time) => write!(f, "{time}"),
            Self::Infinite => f.write_str("inf"),
        }
    }
}

/// How the numbers are found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Computation {
    /// A posterior: no training, or training forever.
    Posterior,
    /// Training with squared loss, in closed form.
    Trained(Vec<Time>),
    /// Training with squared loss on batches of this size.
    Batches(Vec<Time>, usize),
    /// Training with another loss, step by step.
    Integrated(Vec<Time>, OutputLoss),
    /// A classifier of infinite depth.
    InfiniteDepth,
}

/// Checks the arguments against each other.
///
/// # Errors
/// One sentence: what does not go together, and what to do.
pub(super) fn computation(arguments: &PredictArguments) -> Result<Computation> {
    let method = arguments.method;
    let name = method.name();
    let is_trained = method == PredictMethod::Ntk || !arguments.times.is_empty() || arguments.loss != PredictLoss::Mse;
    let mut times: Vec<f64> = arguments.times.clone();
    times.sort_by(f64::total_cmp);
    times.dedup();
    let times: Vec<Time> =
        times.into_iter().map(|time| if time.is_finite() { Time::At(time) } else { Time::Infinite }).collect();
    if matches!(method, PredictMethod::StudentT | PredictMethod::InfiniteDepth) {
        ensure!(
            !is_trained,
            "--method {name} knows no training; leave --times and --loss out, or use --method nngp, ntk or ntkgp"
        );
        if method == PredictMethod::InfiniteDepth {
            let given = arguments.noise > 0.0 || arguments.ridge > 0.0 || arguments.jitter > 0.0;
            ensure!(!given, "--method {name} solves no system; leave --noise, --ridge and --jitter out");
            return Ok(Computation::InfiniteDepth);
        }
    }
    if !is_trained {
        ensure!(
            arguments.ridge == 0.0,
            "--ridge belongs to training; a posterior has --noise (a variance of the targets), which enters in the same place"
        );
        ensure!(
            arguments.optimizer == PredictOptimizer::Flow && arguments.learning_rate.is_none(),
            "--method {name} without --times is a posterior and has no optimizer; add --times, for instance --times 10,inf"
        );
        return Ok(Computation::Posterior);
    }
    let times = if times.is_empty() { vec![Time::Infinite] } else { times };
    if arguments.optimizer != PredictOptimizer::Flow {
        let optimizer = arguments.optimizer.name();
        ensure!(
            arguments.learning_rate.is_some(),
            "--optimizer {optimizer} needs --learning-rate; `--optimizer flow` prints the largest stable one"
        );
        if let Some(time) =
            times.iter().find(|time| matches!(time, Time::At(time) if time.fract() != 0.0 || *time > 1e15))
        {
            bail!("--times {time}: times of --optimizer {optimizer} are whole numbers of steps");
        }
    }
    if let Some(size) = arguments.batch_size {
        let is_known = arguments.optimizer.is_discrete()
            && arguments.loss == PredictLoss::Mse
            && arguments.noise == 0.0
            && !times.contains(&Time::Infinite);
        ensure!(
            is_known,
            "--batch-size is known for --loss mse, a discrete --optimizer, finite --times and no --noise, for instance --optimizer \
             gradient-descent --learning-rate 1e-3 --times 100"
        );
        return Ok(Computation::Batches(times, size));
    }
    let Some(loss) = arguments.loss.integrated() else { return Ok(Computation::Trained(times)) };
    ensure!(
        !times.contains(&Time::Infinite),
        "--loss {} has no closed form at infinite time; give finite --times, for instance --times 10,100",
        arguments.loss.name()
    );
    ensure!(
        arguments.ridge == 0.0 && arguments.noise == 0.0,
        "--ridge and --noise are known for --loss mse only; leave them out"
    );
    ensure!(
        arguments.members != 1 && arguments.members != 2 && arguments.members != 3,
        "--members {}: variances and their errors need at least 4 members, or 0 for one network that starts at zero",
        arguments.members
    );
    Ok(Computation::Integrated(times, loss))
}

/// Refuses what a centred network, `f - f_0`, leaves no room for: it starts at zero, so that it is no draw of a random function and all
/// of an ensemble are alike.
///
/// # Errors
/// One sentence: what does not go together, and what to do.
pub(super) fn expect_centred(
    computation: &Computation,
    arguments: &PredictArguments,
    network: &NetworkConfig,
) -> Result<()> {
    let what = match computation {
        _ if !network.centred => return Ok(()),
        Computation::Posterior => {
            format!("--method {} without --times conditions a random function", arguments.method.name())
        }
        Computation::Integrated(..) if arguments.members > 0 => {
            format!("--members {} draws initial outputs", arguments.members)
        }
        Computation::Trained(_) | Computation::Batches(..) | Computation::Integrated(..)
            if arguments.method == PredictMethod::NtkGp =>
        {
            "--method ntkgp adds a frozen random function to every network".to_owned()
        }
        Computation::Trained(_)
        | Computation::Batches(..)
        | Computation::Integrated(..)
        | Computation::InfiniteDepth => return Ok(()),
    };
    bail!(
        "{what}, but network.centred = true: outputs f - f_0 are zero before training; use --method ntk without --members, or \
         --set network.centred=false"
    )
}

/// What the large-N solver adds to the diagonal for this question, or why it does not know it.
pub(super) fn iterative(computation: &Computation, arguments: &PredictArguments) -> Result<f64, String> {
    match computation {
        Computation::Posterior if arguments.method != PredictMethod::StudentT => Ok(arguments.noise),
        Computation::Trained(times) if times == &[Time::Infinite] && arguments.optimizer == PredictOptimizer::Flow => {
            Ok(arguments.ridge)
        }
        _ => Err(
            "--solver cg knows means only: of --method nngp and ntkgp, and of training with --loss mse by the flow at \
                  --times inf"
                .to_owned(),
        ),
    }
}

/// The optimizer at a time, as theory has it.
pub(super) fn training(arguments: &PredictArguments, time: Time) -> Training {
    let learning_rate = arguments.learning_rate.unwrap_or(1.0);
    let steps = match time {
        Time::At(time) => time as u64,
        Time::Infinite => Training::FOREVER,
    };
    match arguments.optimizer {
        PredictOptimizer::Flow => Training::Flow { flow_time: learning_rate * time.number() },
        PredictOptimizer::GradientDescent => Training::GradientDescent { learning_rate, steps },
        PredictOptimizer::Momentum => Training::Momentum { learning_rate, beta: arguments.beta, steps },
        PredictOptimizer::Nesterov => Training::Nesterov { learning_rate, beta: arguments.beta, steps },
    }
}

/// The rule of a step; gradient descent for the flow, which has none.
pub(super) fn rule(arguments: &PredictArguments) -> StepRule {
    match arguments.optimizer {
        PredictOptimizer::Flow | PredictOptimizer::GradientDescent => StepRule::GradientDescent,
        PredictOptimizer::Momentum => StepRule::Momentum { beta: arguments.beta },
        PredictOptimizer::Nesterov => StepRule::Nesterov { beta: arguments.beta },
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn ask(rest: &str) -> Result<Computation, String> {
        let line = format!("widthwise predict net.toml --train x.csv --targets y.csv --out p {rest}");
        let cli = Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())?;
        let Command::Predict(arguments) = cli.command else { return Err("another command".to_owned()) };
        computation(&arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn questions_are_understood() {
        assert_eq!(ask("--method nngp --noise 0.1"), Ok(Computation::Posterior));
        assert_eq!(ask("--method student-t"), Ok(Computation::Posterior));
        assert_eq!(ask(""), Ok(Computation::Trained(vec![Time::Infinite])));
        assert_eq!(
            ask("--times inf,10,0,10"),
            Ok(Computation::Trained(vec![Time::At(0.0), Time::At(10.0), Time::Infinite]))
        );
        assert_eq!(ask("--method nngp --times 5"), Ok(Computation::Trained(vec![Time::At(5.0)])));
        let softmax = Computation::Integrated(vec![Time::At(5.0)], OutputLoss::SoftmaxCrossEntropy);
        assert_eq!(ask("--loss cross-entropy --times 5"), Ok(softmax));
        let batches = "--batch-size 5 --optimizer momentum --learning-rate 1 --times 7";
        assert_eq!(ask(batches), Ok(Computation::Batches(vec![Time::At(7.0)], 5)));
        assert_eq!(ask("--method infinite-depth"), Ok(Computation::InfiniteDepth));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (rest, words) in [
            ("--method student-t --times 5", "student-t knows no training"),
            ("--method infinite-depth --noise 1", "solves no system"),
            ("--method nngp --ridge 1", "a posterior has --noise"),
            ("--method ntkgp --learning-rate 1", "add --times"),
            ("--optimizer momentum --times 5", "needs --learning-rate"),
            (
                "--optimizer momentum --times 5.5 --learning-rate 1",
                "--times 5.5: times of --optimizer momentum are whole",
            ),
            ("--loss cross-entropy", "give finite --times"),
            ("--loss cross-entropy --times 1 --ridge 1", "--loss mse only"),
            ("--loss cross-entropy --times 1 --members 2", "at least 4"),
            ("--batch-size 5 --times 5", "a discrete --optimizer"),
            ("--batch-size 5 --optimizer momentum --learning-rate 1", "finite --times"),
            ("--times -1", "at least 0"),
            ("--times x", "at least 0"),
            ("--method nngpp", "nngp"),
            ("--noise -1", "at least 0"),
        ] {
            let refused = ask(rest).unwrap_err();
            assert!(refused.contains(words), "{rest}: {refused}");
        }
    }
}
