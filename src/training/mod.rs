//! The training loop of one member, on one screen.

pub mod batches;
mod company;
mod direct;
pub mod gradient;
pub mod loss;
pub mod optimizer;
pub mod schedule;

use std::time::{Duration, Instant};

use anyhow::Result;
use burn::tensor::Tensor;
use widthwise_probes::to_f64;

use crate::config::{Loss, TrainingConfig};
use crate::data::Data;
use crate::measurement::{Evaluation, Snapshot};
use crate::network::{Batch, Network};
use crate::record::manifest::Outcome;
use batches::Batches;
pub use company::beside_others;
use gradient::Model;
use loss::Targets;
use optimizer::{OptimizerState, Updater};
use schedule::ProbeSteps;

/// Losses are read from the device, and divergence is noticed, at multiples of this step at the latest.
const READ_EVERY: u64 = 64;

/// A member in training.
pub struct Member {
    /// Its number.
    pub member: usize,
    /// Steps taken.
    pub step: u64,
    /// The network.
    pub network: Network,
    /// Moments of the optimizer.
    pub state: OptimizerState,
}

impl Member {
    /// `batch` with the masks of this step, where the network has dropout.
    fn masked(&self, batch: Batch, seed: u64) -> Batch {
        if !self.network.has_dropout() {
            return batch;
        }
        let name = format!("dropout.{}.{}", self.member, self.step);
        self.network.with_masks(batch, &mut widthwise_datasets::stream(seed, &name))
    }
}

/// What does not change while a member trains.
pub struct Course<'a> {
    /// Loss, optimizer, stopping.
    pub config: &'a TrainingConfig,
    /// The data.
    pub data: &'a Data,
    /// The update rule with its constants.
    pub updater: Updater,
    /// Last step.
    pub last_step: u64,
    /// Seed of the masks of dropout: stream `dropout.<member>.<step>`.
    pub seed: u64,
    /// Steps at which the observer looks.
    pub probe_steps: &'a ProbeSteps,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// When the whole run has to stop.
    pub deadline: Option<Instant>,
}

/// Where the loop puts what happens. It decides nothing but whether to stop.
pub trait Observer {
    /// Looks at the member, at a probe step or its last one.
    ///
    /// # Errors
    /// A failure to measure or to write.
    fn probe(&mut self, member: &Member, is_last: bool) -> Result<Snapshot>;

    /// Losses of the batches of the steps from `first` on, before their updates.
    ///
    /// # Errors
    /// A failure to write.
    fn losses(&mut self, member: &Member, first: u64, losses: &[f64], evaluation: Option<Evaluation>) -> Result<()>;

    /// Keeps the member as it is now.
    ///
    /// # Errors
    /// A failure to write.
    fn checkpoint(&mut self, member: &Member) -> Result<()>;

    /// Whether a stop was asked for.
    fn is_stopped(&self) -> bool;
}

/// Trains `member` from where it stands to its end. `batches` are its own.
///
/// # Errors
/// What the observer reports.
pub fn train(
    member: &mut Member,
    course: &Course<'_>,
    mut batches: Batches,
    observer: &mut impl Observer,
) -> Result<Outcome> {
    let start = member.step;
    let mut unread: Vec<Tensor<1>> = Vec::new();
    loop {
        let step = member.step;
        let is_probe = course.probe_steps.contains(step);
        let is_checkpoint = step > start && step.is_multiple_of(course.checkpoint_every);
        let is_stopped = observer.is_stopped();
        let is_late = course.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let is_reading = is_probe || is_checkpoint || is_stopped || is_late || step.is_multiple_of(READ_EVERY);
        if is_reading && read_losses(member, &mut unread, observer)? {
            return Ok(Outcome::Diverged);
        }
        if is_stopped || is_checkpoint {
            observer.checkpoint(member)?;
        }
        if is_stopped {
            return Ok(Outcome::Interrupted);
        }
        if is_probe || is_late {
            let is_last = step == course.last_step || is_late;
            let evaluation = observer.probe(member, is_last)?.evaluation;
            observer.losses(member, step, &[], Some(evaluation))?;
            if !evaluation.train_loss.is_finite() {
                return Ok(Outcome::Diverged);
            } else if course.config.stop.loss.is_some_and(|target| evaluation.train_loss <= target) {
                return Ok(Outcome::LossReached);
            } else if is_last {
                return Ok(if step == course.last_step { Outcome::Finished } else { Outcome::WallTime });
            }
        }
        let (batch, targets) = batches.at(step, &course.data.train, &course.data.train_targets);
        let batch = member.masked(batch, course.seed);
        let seen = (&batch, &targets, course.config.loss);
        unread.push(take_step(&mut member.network, seen, &course.updater, step, &mut member.state));
        member.step += 1;
    }
}

/// One step down the loss on a batch, on the road that is faster; returns the loss before it, `[1]` on the device. `step` counts from 0.
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

/// Reads pending losses in one transfer and hands on the finite ones; true if one is not a number. The member has then
/// taken the steps before that one, however much later it was noticed.
fn read_losses(member: &mut Member, unread: &mut Vec<Tensor<1>>, observer: &mut impl Observer) -> Result<bool> {
    if unread.is_empty() {
        return Ok(false);
    }
    let first = member.step - unread.len() as u64;
    let losses = to_f64(Tensor::cat(std::mem::take(unread), 0));
    let finite = losses.iter().take_while(|loss| loss.is_finite()).count();
    observer.losses(member, first, &losses[..finite], None)?;
    let is_diverged = finite < losses.len();
    if is_diverged {
        member.step = first + finite as u64;
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
