//! One experiment of a recipe: its configuration, its examples, infinite-width theory for them, and an ensemble trained on them.
//!
//! Networks are trained by the loop of `widthwise run`. The network seed depends on the width, as in a ladder, so that ensembles of
//! different widths are independent.

use std::path::PathBuf;

use burn::tensor::Device;
use faer::{Mat, RowRef};
use rand::Rng;
use widthwise_datasets::Examples;
use widthwise_tensors::to_f64;
use widthwise_theory::dynamics::{KernelDynamics, Training};
use widthwise_theory::kernel::{Inputs, Kernels};

use super::{NoFindings, Workplace};
use crate::config::{self, Checked, LearningRate, Loss};
use crate::data::input_shape;
use crate::ensemble::{Ended, Job, Study, Unit, UnitEnd, units};
use crate::error::{OrRefused, Result, bail};
use crate::measurement::evaluate;
use crate::memory::Bytes;
use crate::monitor::Stage;
use crate::need;
use crate::network::{Network, NoTap};
use crate::objective::{Evaluation, examples_per_unit};
use crate::prediction::{
    closed_form, control_step, infinite_dynamics, infinite_kernels, minibatch_training, no_dynamics,
};
use crate::record::folder::make;
use crate::record::npy;
use crate::session::{self, DataSource, Session, config_hash};
use crate::signals::StopFlag;
use crate::training::{Observer, Outcome, Trainee, train};

/// What the experiments of all recipes have in common.
const BASE: &str = r#"
[dataset.preprocessing]
targets = "binary"
[network]
depth = 3
activation = "relu"
sigma_w2 = 2.0
[probes]
schedule = "ends"
examples = 4
jacobian_examples = 4
"#;

/// Odd digits against even ones.
pub(super) const PARITY_OF_DIGITS: &str = "
dataset.source.name = mnist
dataset.preprocessing.normalize = sqrt_dim
dataset.preprocessing.positive = [1, 3, 5, 7, 9]
";

/// The experiment of a recipe: the base with `settings`, a line each, and `overrides` on top of them.
pub(super) fn configured(settings: &[&str], overrides: &[String]) -> Result<Checked> {
    let own = settings.iter().flat_map(|text| text.lines()).filter(|line| !line.is_empty());
    let all: Vec<String> = own.map(str::to_owned).chain(overrides.iter().cloned()).collect();
    Ok(config::parse(BASE, "recipe", &all)?)
}

/// The experiment with another width and a name that tells it.
pub(super) fn at_width(experiment: &Checked, width: usize) -> Result<Checked> {
    let mut changed = experiment.clone().into_inner();
    changed.network.width = width;
    changed.run.name = format!("{}_{width}", changed.run.name);
    Ok(Checked::new(changed)?)
}

/// The experiment with a critical learning rate resolved against `critical`, the largest stable one.
fn at_rate(experiment: &Checked, critical: f64) -> Result<Checked> {
    let mut changed = experiment.clone().into_inner();
    if let LearningRate::Critical(share) = changed.training.learning_rate {
        changed.training.learning_rate = LearningRate::Absolute(share * critical);
    }
    Ok(Checked::new(changed)?)
}

/// The experiment with its critical learning rate as a number, and its training under the infinite-width kernels.
pub(super) fn at_critical_rate(experiment: &Checked, data: DataSource<'_>) -> Result<(Checked, KernelDynamics)> {
    let draft = EnsembleProblem::new(experiment, data)?;
    let dynamics = draft.dynamics()?;
    Ok((at_rate(experiment, draft.critical_rate(&dynamics))?, dynamics))
}

/// What is examined in one member, by step.
pub(super) type Observations = Vec<(u64, Vec<f64>)>;

/// An experiment with its examples.
pub(super) struct EnsembleProblem<'a> {
    pub(super) session: Session<'a>,
    seed: u64,
}

impl<'a> EnsembleProblem<'a> {
    /// The experiment on these data.
    pub(super) fn new(experiment: &'a Checked, data: DataSource<'_>) -> Result<Self> {
        let session = Session::new(experiment, data, session::device(experiment)?)?;
        let name = format!("reproduce.{}", session.columns.width);
        let seed = widthwise_datasets::stream(experiment.run.seed, &name).next_u64();
        Ok(Self { session, seed })
    }

    /// Inputs of the test examples, `T x d` row-major.
    pub(super) fn test_inputs(&self) -> &[f64] {
        &self.session.prepared.test.inputs
    }

    /// Steps that are examined.
    pub(super) fn steps(&self) -> Vec<u64> {
        self.session.probe_steps.iter().collect()
    }

    /// Training targets, `N x O`.
    pub(super) fn targets(&self) -> Mat<f64> {
        let (examples, outputs) = (&self.session.prepared.train, self.session.prepared.outputs);
        Mat::from_fn(examples.n, outputs, |i, o| examples.targets[i * outputs + o])
    }

    /// Infinite-width kernels of these examples.
    pub(super) fn kernels(&self, examples: &Examples) -> Result<Kernels> {
        let Session { experiment, architecture, prepared, .. } = &self.session;
        let inputs = Inputs::new(examples.inputs.clone(), input_shape(prepared))?;
        Ok(infinite_kernels(experiment, &architecture.without_dropout(), &inputs, None)?)
    }

    /// Training under the infinite-width kernel, test examples and the penalty toward the initial weights included.
    pub(super) fn dynamics(&self) -> Result<KernelDynamics> {
        let Session { experiment, architecture, prepared, .. } = &self.session;
        let (train, test) = (prepared.train.n, prepared.test.n);
        need::expect_theory(need::theory(train, test), [train, test])?;
        Ok(infinite_dynamics(experiment, &architecture.without_dropout(), prepared, test, true)?)
    }

    /// Largest stable learning rate of gradient descent under the infinite-width kernel, for the experiment's loss.
    pub(super) fn critical_rate(&self, dynamics: &KernelDynamics) -> f64 {
        let training = &self.session.experiment.training;
        let unit = Training::GradientDescent { learning_rate: 1.0, steps: 1 };
        dynamics.stable_learning_rate(&unit) * examples_per_unit(training.loss, self.session.prepared.train.n)
    }

    /// The training of the experiment up to a step, as theory reads it: with the optimizer of the networks, or none.
    ///
    /// # Errors
    /// Training that has no closed form under a constant kernel.
    pub(super) fn training(&self, step: u64) -> Result<Training> {
        let (experiment, prepared) = (self.session.experiment, &self.session.prepared);
        let training = &experiment.training;
        let has_dropout = self.session.architecture.without_dropout() != self.session.architecture;
        let has_batches = training.batch_size.is_some_and(|size| size < prepared.train.n);
        let refusal = no_dynamics(experiment, has_dropout, prepared)
            .or_else(|| has_batches.then(|| "batches have no closed form".to_owned()))
            .or_else(|| (training.loss == Loss::CrossEntropy).then(|| "cross-entropy has no closed form".to_owned()));
        let rate = self.session.learning_rate(&self.session.architecture)?;
        match (minibatch_training(training, rate, prepared.train.n), refusal) {
            (Some(linear), None) => {
                Ok(closed_form(&linear, training.loss, prepared.train.n, control_step(&experiment.control, step)))
            }
            (_, reason) => bail!(
                "a recipe has no theory for the training of {}: {}; take an optimizer linear in the gradient on all examples with a \
                 squared loss",
                experiment.run.name,
                reason.unwrap_or_default()
            ),
        }
    }

    /// Trains the members and keeps the outputs of each on the test examples.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub(super) fn train_and_test(&self, place: &Workplace<'_>) -> Result<Vec<Observations>, NoFindings> {
        let test = self.test_inputs();
        self.train(place, |network, _| to_f64(network.forward(&network.batch(test), &mut NoTap)))
    }

    /// Trains the members and keeps what `observe` makes of each at every step of the schedule, as many numbers every time. A member
    /// that diverges ends early.
    ///
    /// # Errors
    /// [`NoFindings::Paused`] if a stop was asked for, or members of other shards are missing.
    pub(super) fn train(
        &self,
        place: &Workplace<'_>,
        observe: impl Fn(&Network, u64) -> Vec<f64> + Sync,
    ) -> Result<Vec<Observations>, NoFindings> {
        let session = &self.session;
        let name = format!("{}_{}", session.columns.run, session.columns.width);
        let key = config_hash(&format!("{}{}{}", session.config_text, session.data_hash, session.columns.width));
        let folder = place.work().join(format!("{name}_{}", &key[..16]));
        make(&folder)?;
        let members = EnsembleMembers {
            problem: self,
            folder,
            learning_rate: session.learning_rate(&session.architecture)?,
            observe,
            stop: place.stop,
        };
        let job = Job { shard: place.shard, stop: place.stop, monitor: place.monitor };
        match job.run(&members, Stage::networks(&name, None))? {
            Ended::Complete => Ok(units(&members).map(|unit| members.read(unit)).collect::<Result<_>>()?),
            ended => Err(NoFindings::Paused(ended)),
        }
    }
}

/// The members of a problem as a study.
struct EnsembleMembers<'a, F> {
    problem: &'a EnsembleProblem<'a>,
    folder: PathBuf,
    learning_rate: f64,
    observe: F,
    stop: &'a StopFlag,
}

impl<F: Fn(&Network, u64) -> Vec<f64> + Sync> EnsembleMembers<'_, F> {
    /// A matrix whose rows are a step and what was seen there.
    fn path(&self, unit: Unit) -> PathBuf {
        self.folder.join(format!("member_{:03}.npy", unit.member))
    }

    fn read(&self, unit: Unit) -> Result<Observations> {
        let found = npy::read(&self.path(unit))?;
        let observe = |row: RowRef<'_, f64>| (row[0] as u64, row.iter().skip(1).copied().collect());
        Ok(found.row_iter().map(observe).collect())
    }
}

impl<F: Fn(&Network, u64) -> Vec<f64> + Sync> Study for EnsembleMembers<'_, F> {
    type Point = ();

    fn members(&self) -> usize {
        self.problem.session.experiment.run.members
    }

    fn is_done(&self, unit: Unit) -> bool {
        self.path(unit).is_file()
    }

    fn point(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn need(&self, _: usize) -> Result<Option<Bytes>> {
        let session = &self.problem.session;
        let need = session.training_need(&session.architecture)?;
        Ok((session.device == Device::flex()).then_some(need))
    }

    fn train(&self, _: &(), unit: Unit) -> Result<UnitEnd> {
        let EnsembleProblem { session, seed } = self.problem;
        let mut trainee = session.trainee(&session.architecture, (*seed, unit.member), self.learning_rate)?;
        let mut recorder = ObservationRecorder { session, observe: &self.observe, path: Vec::new(), stop: self.stop };
        if train(&mut trainee, &session.training_plan(), &mut recorder)? == Outcome::Interrupted {
            return Ok(UnitEnd::Stopped);
        }
        let path = recorder.path;
        let Some((_, first)) = path.first() else { bail!("a network had no finite loss before its first step") };
        let rows = Mat::from_fn(path.len(), first.len() + 1, |i, j| match j.checked_sub(1) {
            None => path[i].0 as f64,
            Some(j) => path[i].1[j],
        });
        npy::write(&self.path(unit), &rows)?;
        Ok(UnitEnd::Done)
    }
}

/// The values of all members at a step.
///
/// # Errors
/// A member has none, because it diverged.
pub(super) fn at_step(paths: &[Observations], step: u64) -> Result<Vec<&Vec<f64>>> {
    let of = |path: &'_ Observations| path.iter().position(|(at, _)| *at == step);
    let found: Option<Vec<&Vec<f64>>> = paths.iter().map(|path| of(path).map(|index| &path[index].1)).collect();
    found.or_refused(|| format!("a network diverged before step {step}"))
}

/// Keeps what `observe` sees.
struct ObservationRecorder<'a, F> {
    session: &'a Session<'a>,
    observe: &'a F,
    path: Observations,
    stop: &'a StopFlag,
}

impl<F: Fn(&Network, u64) -> Vec<f64>> Observer for ObservationRecorder<'_, F> {
    fn probe(&mut self, trainee: &Trainee, _: bool) -> Result<Evaluation> {
        let evaluation = evaluate(&trainee.model, &self.session.data, self.session.experiment.training.loss);
        if evaluation.train_loss.is_finite() {
            self.path.push((trainee.step, (self.observe)(&trainee.model, trainee.step)));
        }
        Ok(evaluation)
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_raised()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = r#"
run.name = small
dataset.source = { name = "uniform-sphere", input_dim = 4 }
dataset.preprocessing.train = 8
dataset.preprocessing.test = 4
network.depth = 1
network.width = 16
training.learning_rate.absolute = 0.4
training.loss = half_mean
probes.jacobian_examples = 2
"#;

    fn with<T>(overrides: &[&str], ask: impl FnOnce(&EnsembleProblem<'_>) -> T) -> T {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        let experiment = configured(&[SETTINGS], &overrides).unwrap();
        ask(&EnsembleProblem::new(&experiment, DataSource::Named(None)).unwrap())
    }

    #[test]
    fn theory_trains_as_the_networks_do() {
        let training = |overrides: &[&str]| with(overrides, |problem| problem.training(6)).unwrap();
        // A mean over eight examples.
        let (learning_rate, steps) = (0.05, 6);
        assert_eq!(training(&[]), Training::GradientDescent { learning_rate, steps });
        let momentum = training(&["training.optimizer={momentum={beta=0.7}}"]);
        assert_eq!(momentum, Training::Momentum { learning_rate, beta: 0.7, steps });
        let nesterov = training(&["training.optimizer={nesterov={beta=0.7}}"]);
        assert_eq!(nesterov, Training::Nesterov { learning_rate, beta: 0.7, steps });
        let twice = training(&["control.time_factor=2.0"]);
        assert_eq!(twice, Training::GradientDescent { learning_rate, steps: 12 });
        for (overrides, words) in [
            (&["training.optimizer=adam"][..], "Adam is not linear"),
            (&["training.batch_size=4"], "batches have no closed form"),
            (&["training.l2.strength=0.1"], "L2 penalty"),
        ] {
            let message = with(overrides, |problem| problem.training(6)).unwrap_err().to_string();
            assert!(message.contains(words) && message.contains("small"), "{message}");
        }
    }

    #[test]
    fn a_penalty_is_part_of_the_dynamics_and_a_centred_network_starts_at_zero() {
        let rate = |overrides: &[&str]| {
            with(overrides, |problem| {
                let dynamics = problem.dynamics().unwrap();
                (dynamics.spectrum().largest(), problem.critical_rate(&dynamics))
            })
        };
        // 2 / (lambda + ridge), times eight for a mean; the penalty next to the mean is eight times as strong next to the sum.
        let (largest, plain) = rate(&[]);
        assert!((plain - 16.0 / largest).abs() < 1e-12 * plain);
        let (_, penalized) = rate(&["training.l2={strength=0.5, toward=\"init\"}"]);
        assert!((penalized - 16.0 / (largest + 4.0)).abs() < 1e-12 * penalized, "{penalized}");
        let variance = |overrides: &[&str]| {
            with(overrides, |problem| {
                let dynamics = problem.dynamics().unwrap();
                let prediction = dynamics.test_prediction(problem.targets().as_ref(), &problem.training(6).unwrap());
                prediction.unwrap().variances().into_iter().fold(0.0, f64::max)
            })
        };
        assert!(variance(&[]) > 0.01 && variance(&["network.centred=true"]) < 1e-14);
    }
}
