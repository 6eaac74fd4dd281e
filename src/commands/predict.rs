//! `widthwise predict`: what infinitely wide networks say about test examples, after training or as a posterior.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use widthwise::kernels::Budget;
use widthwise::predict::{
    Answer, PredictionFiles, PredictionSources, PredictionSummary, Question, Score, predict, require_room, shape,
};
use widthwise_theory::bayes::InverseGamma;

use super::Exit;
use super::kernel::print_memory;
use super::overrides::{ConfigCommand, of_data};
use crate::cli::PredictArguments;
use crate::terminal::columns::{Align, cell, columns, number};
use crate::terminal::console::Console;
use crate::terminal::job::JobMonitor;

/// Reads, predicts, writes and prints how good it is.
///
/// # Errors
/// Arguments that do not go together, data that are refused, a system that cannot be solved as asked.
pub(crate) fn execute(arguments: &PredictArguments, console: &Console) -> Result<Exit> {
    let question = question(arguments);
    let computation = question.computation()?;
    let files = PredictionFiles::new(&arguments.out)?;
    let budget = Budget::new(arguments.memory);
    let sources = sources(arguments);
    let reader =
        ConfigCommand::Network { command: "predict", sources: sources.all().collect(), draws: false, has_width: false };
    let (network, seed) = reader.network(&arguments.architecture, &arguments.set)?;
    question.expect_centred(&computation, &network)?;
    require_room(&question, &sources, arguments.shape, (&network, seed), budget)?;
    let monitor = JobMonitor::new(console);
    let data = sources.read(question.loss, &monitor)?;
    let shape = shape(arguments.shape, &network, &sources, &data)?;
    let answer = predict(&question, (&network, seed), &data, shape, budget, &monitor)?;
    let [train, test] = [Some(&sources.train), sources.test.as_ref()].map(|source| source.map(ToString::to_string));
    let summary = PredictionSummary::new(&question, &answer, &data, train.unwrap_or_default(), test);
    let written = files.write(&summary, &answer, &data)?;
    print(&summary, &answer, &files, console)?;
    let written: Vec<String> = written.iter().map(|file| file.display().to_string()).collect();
    console.line(format_args!("written: {}", written.join(", ")))?;
    print_memory(arguments.memory, console)?;
    Ok(Exit::Done)
}

fn question(arguments: &PredictArguments) -> Question {
    Question {
        method: arguments.method,
        optimizer: arguments.optimizer,
        learning_rate: arguments.learning_rate,
        beta: arguments.beta,
        times: arguments.times.clone(),
        loss: arguments.loss,
        batch_size: arguments.batch_size,
        members: arguments.members,
        seed: arguments.seed,
        noise: arguments.noise,
        ridge: arguments.ridge,
        jitter: arguments.jitter,
        prior: InverseGamma { shape: arguments.prior_shape, scale: arguments.prior_scale },
        solver: arguments.solver,
        tolerance: arguments.tolerance,
        covariance: arguments.covariance,
    }
}

fn sources(arguments: &PredictArguments) -> PredictionSources {
    PredictionSources {
        train: arguments.train.clone(),
        targets: arguments.targets.clone(),
        test: arguments.test.clone(),
        test_targets: arguments.test_targets.clone(),
        classes: arguments.classes,
        data_dir: arguments.data_dir.clone(),
        overrides: of_data(&arguments.set),
    }
}

#[derive(Serialize)]
struct ScoreLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    score: &'a Score,
}

#[derive(Serialize)]
struct SummaryLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    summary: &'a PredictionSummary<'a>,
    predictions: &'a Path,
}

/// Prints the table of scores, and what the numbers depend on.
fn print(summary: &PredictionSummary<'_>, answer: &Answer, files: &PredictionFiles, console: &Console) -> Result<()> {
    let heading = ["split", "time", "accuracy", "mse", "loss", "mean_variance", "expected_half_sum"];
    let mut rows = vec![heading.map(str::to_owned)];
    for (score, outputs) in summary.scores.iter().zip(&answer.outputs) {
        console.json(&ScoreLine { event: "score", score })?;
        let dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        rows.push([
            score.half.name().to_owned(),
            dash(outputs.time.map_or_else(String::new, |time| time.to_string())),
            dash(cell(score.accuracy, 4)),
            dash(cell(score.mean_squared_error, 5)),
            dash(cell(score.loss, 5)),
            dash(cell(score.mean_variance, 5)),
            dash(cell(score.expected_half_sum, 6)),
        ]);
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right, right, left], &rows) {
        console.detail(line)?;
    }
    let report = summary.report;
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<f64>, digits| {
        facts.extend(value.map(|value| format!("{name} {}", number(value, digits))));
    };
    if report.smallest_eigenvalue.is_some() && report.condition_number.is_none() {
        fact("smallest eigenvalue", report.smallest_eigenvalue, 4);
        fact("largest", report.largest_eigenvalue, 4);
    } else {
        fact("condition number", report.condition_number, 4);
        fact("smallest eigenvalue", report.smallest_eigenvalue, 4);
        fact("largest", report.largest_eigenvalue, 4);
    }
    fact("condition number as solved", report.solved_condition_number, 4);
    fact("stable learning rate", report.stable_learning_rate, 6);
    fact("log evidence", report.log_evidence, 8);
    fact("degrees of freedom", report.degrees_of_freedom, 6);
    fact("residual", report.residual, 2);
    if !facts.is_empty() {
        console.detail(format_args!("{} kernel: {}", report.kernel, facts.join(", ")))?;
    }
    if report.smallest_eigenvalue.is_some() && report.condition_number.is_none() {
        console.detail("the kernel is singular to round-off: its condition number is not known")?;
    }
    let of = |name: &str, value: f64| format!("{name} {}", number(value, 4));
    let mut added = vec![of("noise", report.noise), of("ridge", report.ridge), of("jitter", report.jitter)];
    added.extend(report.preconditioner_jitter.map(|jitter| of("jitter of the preconditioner alone", jitter)));
    console.detail(format_args!("added to the diagonal: {}", added.join(", ")))?;
    for remark in &report.remarks {
        console.note(remark);
    }
    console.json(&SummaryLine { event: "prediction", summary, predictions: &files.predictions })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use widthwise::predict::{Computation, Time};
    use widthwise_theory::dynamics::OutputLoss;

    use super::*;
    use crate::cli::{Cli, Command};

    fn ask(rest: &str) -> Result<Computation, String> {
        let line = format!("widthwise predict net.toml --train x.csv --targets y.csv --out p {rest}");
        let cli = Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())?;
        let Command::Predict(arguments) = cli.command else { return Err("another command".to_owned()) };
        question(&arguments).computation().map_err(|error| error.to_string())
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
