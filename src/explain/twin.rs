//! A network trained again, step by step as the run trains it, and what its Taylor models share with it.

use std::collections::BTreeMap;

use anyhow::Result;
use widthwise_theory::Scaling;

use super::points::{Outputs, Points};
use crate::config::{Anchor, DeviceKind, TrainingConfig};
use crate::network::{Network, Parameters};
use crate::session::{Session, rule, time_per_rate};
use crate::signals::StopFlag;
use crate::training::batches::Batches;
use crate::training::gradient::Model;
use crate::training::optimizer::{OptimizerState, Updater};
use crate::training::schedule::ProbeSteps;
use crate::training::take_step;

/// What every trajectory of one member has in common.
pub(super) struct Setting<'a> {
    pub(super) training: &'a TrainingConfig,
    pub(super) learning_rate: f64,
    pub(super) steps: &'a ProbeSteps,
    pub(super) last_step: u64,
    seed: u64,
    member: usize,
    examples: usize,
    is_on_flex: bool,
    uniform_rate: Option<f64>,
}

impl<'a> Setting<'a> {
    pub(super) fn new(session: &'a Session<'_>, member: usize, learning_rate: f64) -> Result<Self> {
        let experiment = session.experiment;
        Ok(Self {
            training: &experiment.training,
            learning_rate,
            steps: &session.probe_steps,
            last_step: session.last_step,
            seed: experiment.run.seed,
            member,
            examples: session.prepared.train.n,
            is_on_flex: experiment.run.device == DeviceKind::Flex,
            uniform_rate: uniform_rate(&session.architecture.scalings(rule(experiment))?),
        })
    }

    /// The batches of the member.
    pub(super) fn batches(&self) -> Batches {
        Batches::new(self.seed, self.member, self.examples, self.training.batch_size)
    }

    /// Steps of descent are of the loss `1/2 sum` over all examples: what a learning rate of the run is there, on average over batches.
    pub(super) fn flow_time_of_a_step(&self) -> f64 {
        let size = self.batches().size();
        self.learning_rate * time_per_rate(self.training.loss, size, self.examples)
    }

    /// Factor that turns a coefficient beside the run's loss into one beside `1/2 sum` over all examples.
    pub(super) fn per_unit(&self) -> f64 {
        let size = self.batches().size();
        1.0 / time_per_rate(self.training.loss, size, self.examples)
    }

    /// The learning-rate factor of all parameters, if it is one.
    pub(super) fn uniform_rate(&self) -> Option<f64> {
        self.uniform_rate
    }

    /// Whether the run is on the device of its twin.
    pub(super) fn is_on_flex(&self) -> bool {
        self.is_on_flex
    }

    fn updater(&self, anchor: &[Parameters]) -> Updater {
        let pulls = self.training.l2.strength > 0.0 && self.training.l2.toward == Anchor::Init;
        Updater {
            optimizer: self.training.optimizer,
            learning_rate: self.learning_rate,
            l2: self.training.l2,
            anchor: pulls.then(|| anchor.to_vec()),
        }
    }

    /// Trains `model` from `step` on, optimizer state as given, and looks at it at the probe steps. `None` when stopped.
    #[expect(
        clippy::too_many_arguments,
        reason = "the state of a training, taken apart so that it can be lent in parts"
    )]
    pub(super) fn train<M: Model>(
        &self,
        model: &mut M,
        step: u64,
        state: &mut OptimizerState,
        anchor: &[Parameters],
        points: &Points,
        stop: &StopFlag,
        mut look: impl FnMut(&M, &OptimizerState, u64) -> Result<Outputs>,
    ) -> Result<Option<BTreeMap<u64, Outputs>>> {
        let updater = self.updater(anchor);
        let mut batches = self.batches();
        let mut path = BTreeMap::new();
        for step in step.. {
            if self.steps.contains(step) {
                let outputs = look(model, state, step)?;
                let is_finite = outputs.is_finite();
                path.insert(step, outputs);
                if !is_finite || step == self.last_step {
                    break;
                }
            }
            if stop.is_raised() {
                return Ok(None);
            }
            let (batch, targets) = batches.at(step, &points.train, &points.targets);
            take_step(model, (&batch, &targets, self.training.loss), &updater, step, state);
        }
        Ok(Some(path))
    }
}

/// A network in training.
pub(super) struct Twin {
    pub(super) network: Network,
    pub(super) state: OptimizerState,
    pub(super) step: u64,
    /// Initial parameters.
    pub(super) initial: Vec<Parameters>,
}

impl Twin {
    pub(super) fn new(network: Network, setting: &Setting<'_>) -> Self {
        let state = OptimizerState::new(setting.training.optimizer, &network.parameters);
        Self { initial: network.parameters.clone(), network, state, step: 0 }
    }

    /// Trains to the end; `at_probe` sees the twin as it stands at every probe step.
    pub(super) fn path(
        self,
        setting: &Setting<'_>,
        points: &Points,
        stop: &StopFlag,
        mut at_probe: impl FnMut(&Twin) -> Result<()>,
    ) -> Result<Option<BTreeMap<u64, Outputs>>> {
        let Twin { mut network, mut state, step, initial } = self;
        let look = |network: &Network, state: &OptimizerState, step: u64| {
            let twin = Twin { network: network.clone(), state: state.clone(), step, initial: initial.clone() };
            at_probe(&twin)?;
            Ok(points.outputs(network))
        };
        setting.train(&mut network, step, &mut state, &initial, points, stop, look)
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
