//! The training loop, on one screen.

pub mod batches;
mod concurrency;
mod direct;
pub mod gradient;
pub mod optimizer;
mod outcome;
pub mod schedule;

use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use widthwise_tensors::to_f64;

use crate::config::{Anchor, Loss, TrainingConfig};
use crate::error::Result;
use crate::network::{Batch, Network};
use crate::objective::{Evaluation, Targets};
use batches::Batches;
pub use concurrency::sharing_threads;
use gradient::Model;
use optimizer::{OptimizerState, Updater};
pub use outcome::Outcome;
use schedule::ProbeSteps;

/// Losses are read from the device, and divergence is noticed, at multiples of this step at the latest.
const READ_EVERY: u64 = 64;

/// A model in training: where it stands, and what its steps are made of.
#[derive(Clone)]
pub struct Trainee<M = Network> {
    /// Its number among the members of an ensemble.
    pub member: usize,
    /// Steps taken.
    pub step: u64,
    /// The model.
    pub model: M,
    /// Moments of the optimizer.
    pub state: OptimizerState,
    /// The update rule with its constants.
    pub updater: Updater,
    /// The order of its examples.
    pub batches: Batches,
    /// Seed of its streams: `batches.<member>.<epoch>`, and `dropout.<member>.<step>` for the masks of dropout.
    seed: u64,
}

impl<M: Model> Trainee<M> {
    /// `model` before its first step on `examples` examples: the one constructor, so that all that trains does so alike.
    pub fn new(
        mut model: M,
        (seed, member): (u64, usize),
        examples: usize,
        training: &TrainingConfig,
        learning_rate: f64,
    ) -> Self {
        let l2 = training.l2;
        let pulls_to_start = l2.strength > 0.0 && l2.toward == Anchor::Init;
        let anchor = pulls_to_start.then(|| model.parameters().clone());
        Self {
            member,
            step: 0,
            state: OptimizerState::new(training.optimizer, model.parameters()),
            updater: Updater { optimizer: training.optimizer, learning_rate, l2, anchor },
            batches: Batches::new(seed, member, examples, training.batch_size),
            seed,
            model,
        }
    }

    /// Another model in the place of this one: it goes on from the same step with the same moments, batches and penalty.
    pub fn with<N>(&self, model: N) -> Trainee<N> {
        let Self { member, step, state, updater, batches, seed, .. } = self;
        Trainee {
            model,
            member: *member,
            step: *step,
            state: state.clone(),
            updater: updater.clone(),
            batches: batches.clone(),
            seed: *seed,
        }
    }

    /// `batch` with the masks of this step, where the model is a network with dropout.
    fn masked(&mut self, batch: Batch) -> Batch {
        let name = format!("dropout.{}.{}", self.member, self.step);
        match self.model.as_network() {
            Some(network) if network.has_dropout() => {
                network.with_masks(batch, &mut widthwise_datasets::stream(self.seed, &name))
            }
            _ => batch,
        }
    }
}

/// What training goes down, and how far: the same for all members of an ensemble.
#[derive(Clone)]
pub struct TrainingPlan<'a> {
    /// The loss.
    pub loss: Loss,
    /// Training examples.
    pub examples: &'a Batch,
    /// Their targets.
    pub targets: &'a Targets,
    /// Last step.
    pub last_step: u64,
    /// Loss on the training set at which training ends before.
    pub stop_loss: Option<f64>,
    /// Steps at which the observer measures.
    pub probe_steps: &'a ProbeSteps,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// When training has to end.
    pub deadline: Option<Instant>,
}

impl<'a> TrainingPlan<'a> {
    /// To `last_step`, with neither checkpoints, a loss to stop at, nor a deadline.
    pub fn new(
        loss: Loss,
        (examples, targets): (&'a Batch, &'a Targets),
        probe_steps: &'a ProbeSteps,
        last_step: u64,
    ) -> Self {
        let (checkpoint_every, stop_loss, deadline) = (u64::MAX, None, None);
        Self { loss, examples, targets, last_step, stop_loss, probe_steps, checkpoint_every, deadline }
    }
}

/// Where the loop puts what happens. It decides nothing but whether to stop.
pub trait Observer<M = Network> {
    /// Measures the trainee, at a probe step or its last one. A training loss that is no number ends training.
    ///
    /// # Errors
    /// A failure to measure or to write.
    fn probe(&mut self, trainee: &Trainee<M>, is_last: bool) -> Result<Evaluation>;

    /// Losses of the batches of the steps from `first` on, before their updates.
    ///
    /// # Errors
    /// A failure to write.
    fn losses(
        &mut self,
        _trainee: &Trainee<M>,
        _first: u64,
        _losses: &[f64],
        _evaluation: Option<Evaluation>,
    ) -> Result<()> {
        Ok(())
    }

    /// Keeps the trainee as it is now. A trainee that is not kept begins again after a stop.
    ///
    /// # Errors
    /// A failure to write.
    fn checkpoint(&mut self, _trainee: &Trainee<M>) -> Result<()> {
        Ok(())
    }

    /// Whether a stop was asked for.
    fn is_stopped(&self) -> bool;
}

/// Trains `trainee` from where it stands to its end.
///
/// # Errors
/// What the observer reports.
pub fn train<M: Model>(
    trainee: &mut Trainee<M>,
    plan: &TrainingPlan<'_>,
    observer: &mut impl Observer<M>,
) -> Result<Outcome> {
    let start = trainee.step;
    let mut unread: Vec<Tensor<1>> = Vec::new();
    loop {
        let step = trainee.step;
        let is_probe = plan.probe_steps.contains(step);
        let is_checkpoint = step > start && step.is_multiple_of(plan.checkpoint_every);
        let is_stopped = observer.is_stopped();
        let is_late = plan.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let is_reading = is_probe || is_checkpoint || is_stopped || is_late || step.is_multiple_of(READ_EVERY);
        if is_reading && read_losses(trainee, &mut unread, observer)? {
            return Ok(Outcome::Diverged);
        }
        if is_stopped || is_checkpoint {
            observer.checkpoint(trainee)?;
        }
        if is_stopped {
            return Ok(Outcome::Interrupted);
        }
        if is_probe || is_late {
            let is_last = step == plan.last_step || is_late;
            let evaluation = observer.probe(trainee, is_last)?;
            observer.losses(trainee, step, &[], Some(evaluation))?;
            if !evaluation.train_loss.is_finite() {
                return Ok(Outcome::Diverged);
            } else if plan.stop_loss.is_some_and(|target| evaluation.train_loss <= target) {
                return Ok(Outcome::LossReached);
            } else if is_last {
                return Ok(if step == plan.last_step { Outcome::Finished } else { Outcome::WallTime });
            }
        }
        let (batch, targets) = trainee.batches.at(step, plan.examples, plan.targets);
        let batch = trainee.masked(batch);
        let Trainee { model, updater, state, .. } = trainee;
        unread.push(take_step(model, (&batch, &targets, plan.loss), updater, step, state));
        trainee.step += 1;
    }
}

/// One step down the loss on a batch, on the path that is faster; returns the loss before it, `[1]` on the device. `step` counts from 0.
pub fn take_step<M: Model>(
    model: &mut M,
    seen: (&Batch, &Targets, Loss),
    updater: &Updater,
    step: u64,
    state: &mut OptimizerState,
) -> Tensor<1> {
    let direct = model.as_network().and_then(|network| direct_step(network, seen, updater, step, state));
    direct.unwrap_or_else(|| generic_step(model, seen, updater, step, state))
}

/// [`take_step`] without a graph; `None`, with nothing changed, unless the network is on flex, a chain of dense and gated layers,
/// convolutions of stride 1, activations, flattening and global averages, and the penalty, if there is one, pulls to the origin.
pub fn direct_step(
    network: &mut Network,
    seen: (&Batch, &Targets, Loss),
    updater: &Updater,
    step: u64,
    state: &mut OptimizerState,
) -> Option<Tensor<1>> {
    direct::step(network, seen, updater, step + 1, state)
}

/// [`take_step`] by automatic differentiation, for every model on every device.
pub fn generic_step<M: Model>(
    model: &mut M,
    (batch, targets, kind): (&Batch, &Targets, Loss),
    updater: &Updater,
    step: u64,
    state: &mut OptimizerState,
) -> Tensor<1> {
    let (loss, gradients) = gradient::gradient(model, batch, targets, kind);
    let scalings = model.scalings().to_vec();
    updater.update(step + 1, model.parameters(), gradients, &scalings, state);
    loss
}

/// Reads pending losses in one transfer and hands on the finite ones; true if one is not a number. The trainee has then
/// taken the steps before that one, however much later it was noticed.
fn read_losses<M>(
    trainee: &mut Trainee<M>,
    unread: &mut Vec<Tensor<1>>,
    observer: &mut impl Observer<M>,
) -> Result<bool> {
    if unread.is_empty() {
        return Ok(false);
    }
    let first = trainee.step - unread.len() as u64;
    let losses = to_f64(Tensor::cat(std::mem::take(unread), 0));
    let finite = losses.iter().take_while(|loss| loss.is_finite()).count();
    observer.losses(trainee, first, &losses[..finite], None)?;
    let is_diverged = finite < losses.len();
    if is_diverged {
        trainee.step = first + finite as u64;
    }
    Ok(is_diverged)
}

/// The moment `seconds` from now, if that many were allowed; none if no clock reaches that far.
pub fn deadline(seconds: Option<f64>) -> Option<Instant> {
    Instant::now().checked_add(Duration::try_from_secs_f64(seconds?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_beyond_every_clock_is_none() {
        for seconds in [1e12, 1e18, 1e20, 1.8446744073709552e19, f64::MAX] {
            if let Some(end) = deadline(Some(seconds)) {
                assert!(end - Instant::now() > Duration::from_secs(1 << 39), "{seconds}");
            }
        }
        assert_eq!(deadline(Some(1e20)), None);
        assert_eq!(deadline(None), None);
        // The smallest time allowed is over at once.
        assert!(deadline(Some(5e-324)).unwrap() <= Instant::now());
        let hour = deadline(Some(3600.0)).unwrap() - Instant::now();
        assert!(hour > Duration::from_secs(3590) && hour <= Duration::from_secs(3600));
    }
}
