//! Losses along the training of one member under a constant kernel, from the member's own initial outputs.
//!
//! Full batches of a squared loss have a closed form; batches are followed one by one, the very ones that the member sees;
//! cross-entropy is followed step by step with the softmax of the predicted outputs.

use std::collections::{BTreeMap, BTreeSet};

use faer::{Mat, MatRef};
use widthwise_datasets::Prepared;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::Parameterization;
use widthwise_theory::dynamics::{
    BatchLoss, GeneralLossProblem, KernelDynamics, MinibatchRun, MinibatchTraining, OutputLoss, StepRule, Training,
    descend_general_loss,
};
use widthwise_theory::kernel::Kernels;

use super::kernels::initial_covariance;
use crate::config::{Anchor, Experiment, Loss, Optimizer, TrainingConfig};
use crate::objective::examples_per_unit;
use crate::training::batches::Batches;

/// Outputs of one member before training, from which its predicted path starts.
#[derive(Debug, Clone, PartialEq)]
pub struct InitialOutputs {
    /// On the training set, `N x O`.
    pub train: Mat<f64>,
    /// On the test set, `T x O`.
    pub test: Mat<f64>,
}

/// Predicted losses of one member.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LossCurve {
    /// On the training set, by step.
    pub(super) train: BTreeMap<u64, f64>,
    /// On the test set, by step.
    pub(super) test: BTreeMap<u64, f64>,
}

const NOT_LINEAR: &str = "Adam is not linear in the gradient";

/// Why a constant kernel says nothing about the training of `experiment`, if it does not.
pub(crate) fn no_dynamics(experiment: &Experiment, has_dropout: bool, prepared: &Prepared) -> Option<String> {
    let training = &experiment.training;
    let unit_rates = matches!(experiment.network.parameterization, Parameterization::Ntk | Parameterization::Standard);
    let has_batches = training.batch_size.is_some_and(|size| size < prepared.train.n);
    if has_dropout {
        Some("dropout draws new masks every step".into())
    } else if step_rule(training.optimizer).is_none() {
        Some(NOT_LINEAR.into())
    } else if training.loss == Loss::CrossEntropy && has_batches {
        Some("cross-entropy is predicted for full batches only".into())
    } else if training.loss == Loss::CrossEntropy && training.l2.strength > 0.0 {
        Some("cross-entropy is predicted without an L2 penalty only".into())
    } else if training.l2.strength > 0.0 && (training.l2.toward == Anchor::Zero || !unit_rates) {
        Some("an L2 penalty is predicted only toward the initial weights and with equal rates".into())
    } else {
        None
    }
}

/// How an optimizer linear in the gradient moves parameters; `None` for the others.
pub(crate) fn step_rule(optimizer: Optimizer) -> Option<StepRule> {
    match optimizer {
        Optimizer::GradientDescent {} => Some(StepRule::GradientDescent),
        Optimizer::Momentum { beta } => Some(StepRule::Momentum { beta }),
        Optimizer::Nesterov { beta } => Some(StepRule::Nesterov { beta }),
        Optimizer::Adam { .. } | Optimizer::AdamW { .. } => None,
    }
}

/// Training batch by batch as a constant kernel follows it, on batches of this many examples; `None` for optimizers that are not linear in
/// the gradient.
pub(crate) fn minibatch_training(
    training: &TrainingConfig,
    learning_rate: f64,
    batch: usize,
) -> Option<MinibatchTraining> {
    let loss = BatchLoss::Scaled(1.0 / examples_per_unit(training.loss, batch));
    Some(MinibatchTraining { learning_rate, rule: step_rule(training.optimizer)?, loss, ridge: training.l2.strength })
}

/// So many steps of it on all examples at once, in closed form.
pub(crate) fn closed_form(training: &MinibatchTraining, loss: Loss, examples: usize, steps: u64) -> Training {
    let learning_rate = training.learning_rate / examples_per_unit(loss, examples);
    match training.rule {
        StepRule::GradientDescent => Training::GradientDescent { learning_rate, steps },
        StepRule::Momentum { beta } => Training::Momentum { learning_rate, beta, steps },
        StepRule::Nesterov { beta } => Training::Nesterov { learning_rate, beta, steps },
    }
}

/// Training under the kernels of infinite width, with the penalty toward the initial weights: on training examples and, with `cross`, on
/// test examples. Only an ensemble needs the NNGP kernel `on_test`; paths from given outputs do not.
///
/// # Shapes
/// `on_train`: `N x N`; `cross`, test against training examples: `T x N`; `on_test`: `T x T`.
///
/// # Errors
/// Shapes that do not fit or a failed decomposition.
pub(crate) fn kernel_dynamics(
    experiment: &Experiment,
    on_train: &Kernels,
    cross: Option<&Kernels>,
    on_test: Option<&Mat<f64>>,
) -> Result<KernelDynamics, TheoryError> {
    let (network, training) = (&experiment.network, &experiment.training);
    let ridge = training.l2.strength * examples_per_unit(training.loss, on_train.ntk.nrows());
    let initial = initial_covariance(network, &on_train.nngp);
    let dynamics = KernelDynamics::new(on_train.ntk.as_ref(), (*initial).as_ref())?.with_ridge(ridge);
    let Some(cross) = cross else { return Ok(dynamics) };
    let unused = Mat::zeros(cross.ntk.nrows(), cross.ntk.nrows());
    let [left, right] = [&cross.nngp, on_test.unwrap_or(&unused)].map(|nngp| initial_covariance(network, nngp));
    dynamics.with_test(cross.ntk.as_ref(), (*left).as_ref(), (*right).as_ref())
}

/// How the curve is found.
enum LossMethod {
    /// Mode by mode.
    Modes(Box<KernelDynamics>),
    /// Batch by batch.
    Batches { size: usize, seed: u64 },
    /// Step by step on the softmax.
    Softmax,
}

/// The dynamics of one run.
pub(super) struct Dynamics {
    method: LossMethod,
    /// `Theta(X, X)` and `Theta(x, X)`, the latter of no rows without a test set.
    ntk: [Mat<f64>; 2],
    targets: [Mat<f64>; 2],
    /// One-hot classes for cross-entropy.
    classes: [Mat<f64>; 2],
    training: MinibatchTraining,
    loss: Loss,
}

impl Dynamics {
    pub(super) fn new(
        experiment: &Experiment,
        prepared: &Prepared,
        on_train: Kernels,
        cross: Option<Kernels>,
        learning_rate: f64,
    ) -> Result<Self, TheoryError> {
        let training = &experiment.training;
        let outputs = prepared.outputs;
        let matrix = |values: &[f64]| Mat::from_fn(values.len() / outputs, outputs, |i, o| values[i * outputs + o]);
        let one_hot = |labels: &[u8]| {
            Mat::from_fn(labels.len(), outputs, |i, o| if usize::from(labels[i]) == o { 1.0 } else { 0.0 })
        };
        let n = prepared.train.n;
        let size = training.batch_size.filter(|size| *size < n);
        let Some(minibatches) = minibatch_training(training, learning_rate, size.unwrap_or(n)) else {
            return Err(TheoryError::NoPrediction { reason: NOT_LINEAR.into() });
        };
        let method = match (training.loss, size) {
            (Loss::CrossEntropy, _) => LossMethod::Softmax,
            (_, Some(size)) => LossMethod::Batches { size, seed: experiment.run.seed },
            (_, None) => LossMethod::Modes(Box::new(kernel_dynamics(experiment, &on_train, cross.as_ref(), None)?)),
        };
        Ok(Self {
            method,
            ntk: [on_train.ntk, cross.map_or_else(|| Mat::zeros(0, n), |cross| cross.ntk)],
            targets: [matrix(&prepared.train.targets), matrix(&prepared.test.targets)],
            classes: [one_hot(&prepared.train.labels), one_hot(&prepared.test.labels)],
            training: minibatches,
            loss: training.loss,
        })
    }

    /// Losses at `steps`; `time` turns a step into the one that theory is asked for.
    pub(super) fn losses(
        &self,
        member: usize,
        initial: &InitialOutputs,
        steps: &BTreeSet<u64>,
        time: impl Fn(u64) -> u64,
    ) -> Result<LossCurve, TheoryError> {
        let times: Vec<u64> = steps.iter().map(|&step| time(step)).collect();
        let has_test = self.ntk[1].nrows() > 0;
        let mut losses = LossCurve::default();
        let mut note = |step: u64, train: MatRef<'_, f64>, test: Option<MatRef<'_, f64>>| {
            losses.train.insert(step, self.loss_of(train, 0));
            if let Some(test) = test.filter(|_| has_test) {
                losses.test.insert(step, self.loss_of(test, 1));
            }
        };
        let no_tests = Mat::zeros(0, initial.train.ncols());
        let initial_test = if has_test { &initial.test } else { &no_tests };
        match &self.method {
            LossMethod::Modes(modes) => {
                let targets = self.targets[0].as_ref();
                for (&step, &time) in steps.iter().zip(&times) {
                    let training = closed_form(&self.training, self.loss, targets.nrows(), time);
                    let train = modes.train_outputs(targets, initial.train.as_ref(), &training)?;
                    let test = has_test
                        .then(|| modes.test_outputs(targets, initial.train.as_ref(), initial_test.as_ref(), &training))
                        .transpose()?;
                    note(step, train.as_ref(), test.as_ref().map(Mat::as_ref));
                }
            }
            LossMethod::Batches { size, seed } => {
                let n = self.targets[0].nrows();
                let mut batches = Batches::new(*seed, member, n, Some(*size));
                let [ntk, ntk_test] = self.ntk.each_ref().map(Mat::as_ref);
                let (train, test) = (initial.train.as_ref(), initial_test.as_ref());
                let mut run = MinibatchRun::new(self.training, ntk, ntk_test, self.targets[0].as_ref(), train, test)?;
                for (&step, &time) in steps.iter().zip(&times) {
                    while run.steps() < time {
                        let batch: Vec<usize> = batches.indices(run.steps()).iter().map(|&i| i as usize).collect();
                        run.step(&batch)?;
                    }
                    note(step, run.train_outputs(), Some(run.test_outputs()));
                }
            }
            LossMethod::Softmax => {
                let problem = GeneralLossProblem {
                    ntk: self.ntk[0].as_ref(),
                    ntk_test: self.ntk[1].as_ref(),
                    initial: initial.train.as_ref(),
                    initial_test: initial_test.as_ref(),
                };
                let mean = 1.0 / self.targets[0].nrows() as f64;
                let classes = self.classes[0].as_ref();
                let gradient =
                    |outputs: MatRef<'_, f64>| OutputLoss::SoftmaxCrossEntropy.gradient(outputs, classes) * mean;
                let states =
                    descend_general_loss(&problem, self.training.learning_rate, self.training.rule, &times, gradient)?;
                for (&step, state) in steps.iter().zip(&states) {
                    note(step, state.train_outputs.as_ref(), Some(state.test_outputs.as_ref()));
                }
            }
        }
        Ok(losses)
    }

    /// The loss as the run records it; `set` is 0 for training and 1 for test examples.
    fn loss_of(&self, outputs: MatRef<'_, f64>, set: usize) -> f64 {
        if self.loss == Loss::CrossEntropy {
            let classes = self.classes[set].as_ref();
            return OutputLoss::SoftmaxCrossEntropy.value(outputs, classes) / classes.nrows() as f64;
        }
        let targets = &self.targets[set];
        let difference = outputs - targets;
        0.5 * difference.squared_norm_l2() / examples_per_unit(self.loss, targets.nrows())
    }
}
