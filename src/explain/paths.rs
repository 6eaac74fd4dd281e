//! Outputs along training: of a network trained again, step by step as the run trains it, and of its Taylor models.

use std::collections::BTreeMap;

use widthwise_theory::architecture::Scaling;

use super::points::{Outputs, Points};
use crate::config::{DeviceKind, TrainingConfig};
use crate::error::Result;
use crate::objective::Evaluation;
use crate::session::{Session, rule, time_per_rate};
use crate::signals::StopFlag;
use crate::training::gradient::Model;
use crate::training::schedule::ProbeSteps;
use crate::training::{Observer, Outcome, Trainee, TrainingPlan, train};

/// What every trajectory of one member has in common.
pub(super) struct Common<'a> {
    session: &'a Session<'a>,
    pub(super) training: &'a TrainingConfig,
    pub(super) learning_rate: f64,
    pub(super) steps: &'a ProbeSteps,
    pub(super) last_step: u64,
    member: usize,
    uniform_rate: Option<f64>,
}

impl<'a> Common<'a> {
    pub(super) fn new(session: &'a Session<'_>, member: usize, learning_rate: f64) -> Result<Self> {
        let experiment = session.experiment;
        Ok(Self {
            session,
            training: &experiment.training,
            learning_rate,
            steps: &session.probe_steps,
            last_step: session.last_step,
            member,
            uniform_rate: uniform_rate(&session.architecture.scalings(rule(experiment))?),
        })
    }

    /// `model` in the place of the member, before its first step.
    pub(super) fn trainee<M: Model>(&self, model: M) -> Trainee<M> {
        self.session.in_training(model, (self.session.experiment.run.seed, self.member), self.learning_rate)
    }

    /// Time of a step under the loss `1/2 sum` over all examples, on average over batches.
    pub(super) fn flow_time_of_a_step(&self) -> f64 {
        self.learning_rate * self.rate_of_time()
    }

    /// Factor that turns a coefficient next to the run's loss into one next to `1/2 sum` over all examples.
    pub(super) fn per_unit(&self) -> f64 {
        1.0 / self.rate_of_time()
    }

    fn rate_of_time(&self) -> f64 {
        let examples = self.session.prepared.train.n;
        let size = self.training.batch_size.unwrap_or(examples).min(examples);
        time_per_rate(self.training.loss, size, examples)
    }

    /// The learning-rate factor of all parameters, if it is one.
    pub(super) fn uniform_rate(&self) -> Option<f64> {
        self.uniform_rate
    }

    /// Whether the run is on the device of its twin.
    pub(super) fn is_on_flex(&self) -> bool {
        self.session.experiment.run.device == DeviceKind::Flex
    }

    /// Trains on from where `trainee` stands to the last step; `at_probe` sees it at every probe step. `None` when stopped; a
    /// trajectory that diverged ends early.
    pub(super) fn path<M: Model>(
        &self,
        mut trainee: Trainee<M>,
        points: &Points,
        stop: &StopFlag,
        at_probe: impl FnMut(&Trainee<M>) -> Result<()>,
    ) -> Result<Option<BTreeMap<u64, Outputs>>> {
        let plan = TrainingPlan {
            examples: &points.train,
            targets: &points.train_targets,
            // The run may have ended at a loss; its models are compared with it as far as it went.
            stop_loss: None,
            ..self.session.training_plan()
        };
        let mut recorder = PathRecorder { points, stop, at_probe, path: BTreeMap::new() };
        let outcome = train(&mut trainee, &plan, &mut recorder)?;
        Ok((outcome != Outcome::Interrupted).then_some(recorder.path))
    }
}

/// Keeps the outputs at every probe step.
struct PathRecorder<'a, F> {
    points: &'a Points,
    stop: &'a StopFlag,
    at_probe: F,
    path: BTreeMap<u64, Outputs>,
}

impl<M: Model, F: FnMut(&Trainee<M>) -> Result<()>> Observer<M> for PathRecorder<'_, F> {
    fn probe(&mut self, trainee: &Trainee<M>, _: bool) -> Result<Evaluation> {
        (self.at_probe)(trainee)?;
        let outputs = self.points.outputs(&trainee.model);
        // Outputs that are no numbers end a trajectory as a loss would that is none.
        let train_loss = if outputs.is_finite() { self.points.half_sum(&outputs) } else { f64::NAN };
        self.path.insert(trainee.step, outputs);
        Ok(Evaluation { train_loss, ..Evaluation::default() })
    }

    fn is_stopped(&self) -> bool {
        self.stop.is_raised()
    }
}

/// The one learning-rate factor of all weights and biases.
fn uniform_rate(scalings: &[Scaling]) -> Option<f64> {
    let first = scalings.first()?.weight_rate;
    let has_bias = |scaling: &Scaling| scaling.bias_variance > 0.0;
    let is_first =
        |scaling: &Scaling| scaling.weight_rate == first && (!has_bias(scaling) || scaling.bias_rate == first);
    scalings.iter().all(is_first).then_some(first)
}
