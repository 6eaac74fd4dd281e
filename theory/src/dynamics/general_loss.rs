//! Training of the outputs under a constant kernel with any loss.
//!
//! The flow is `df(x)/dtau = -Theta(x, X) dL/df(X)`, a step of gradient descent `f <- f - eta Theta(x, X) dL/df(X)`. What is
//! carried on is the impulse `u`, `u' = -dL/df(X)`: outputs everywhere are `f_0(x) + Theta(x, X) u`. There is no closed form
//! unless the loss is quadratic (Lee et al. 2019, 1902.06720).
//!
//! Error control of the flow: a step of the pair is accepted if the error that it estimates, taken to all training and test
//! outputs, stays below `absolute + relative |f|` everywhere. This bounds the error of each step, not their sum; under a
//! convex loss errors made early are damped. The method is explicit: steps stay below about `3.3 / (lambda_max curvature)`,
//! however smooth the solution, so that its cost grows like `lambda_max tau`.

use faer::{Mat, MatRef};

use super::dormand_prince::{self, ORDER};
use super::{StepRule, expect_shape};
use crate::error::TheoryError;

/// Steps, accepted or not, after which an integration gives up.
const MAX_STEPS: u64 = 1_000_000;
/// Margin to the step that would just have been accepted.
const SAFETY: f64 = 0.9;
/// Smallest and largest change of the step at once.
const CHANGE: (f64, f64) = (0.2, 5.0);

/// A step grows by this much, relative, rather than leave a sliver before a requested time.
const STRETCH: f64 = 1e-9;

/// One network in the kernel regime, before training.
#[derive(Debug, Clone, Copy)]
pub struct GeneralLossProblem<'a> {
    /// `Theta(X, X)`, `N x N`.
    pub ntk: MatRef<'a, f64>,
    /// `Theta(x, X)`, test against training examples, `T x N`; `T` may be 0.
    pub ntk_test: MatRef<'a, f64>,
    /// `f_0(X)`, `N x outputs`.
    pub initial: MatRef<'a, f64>,
    /// `f_0(x)`, `T x outputs`.
    pub initial_test: MatRef<'a, f64>,
}

impl<'a> GeneralLossProblem<'a> {
    /// Without test examples.
    pub fn training_only(ntk: MatRef<'a, f64>, initial: MatRef<'a, f64>) -> Self {
        Self { ntk, ntk_test: ntk.subrows(0, 0), initial, initial_test: initial.subrows(0, 0) }
    }

    fn check(&self) -> Result<(), TheoryError> {
        let size = self.ntk.nrows();
        expect_shape("training kernel (columns)", size, self.ntk.ncols())?;
        expect_shape("test-training kernel (columns)", size, self.ntk_test.ncols())?;
        expect_shape("initial outputs (examples)", size, self.initial.nrows())?;
        expect_shape("initial test outputs (examples)", self.ntk_test.nrows(), self.initial_test.nrows())?;
        expect_shape("initial test outputs (outputs)", self.initial.ncols(), self.initial_test.ncols())
    }

    fn outputs(&self, impulse: &Mat<f64>) -> Mat<f64> {
        self.initial + self.ntk * impulse
    }

    fn state(&self, impulse: &Mat<f64>) -> GeneralLossState {
        GeneralLossState {
            train_outputs: self.outputs(impulse),
            test_outputs: self.initial_test + self.ntk_test * impulse,
            impulse: impulse.clone(),
        }
    }

    /// Largest error of an output in units of what is allowed, for an error of the impulse.
    fn excess(&self, error: &Mat<f64>, impulse: &Mat<f64>, absolute: f64, relative: f64) -> f64 {
        let part = |kernel: MatRef<'_, f64>, initial: MatRef<'_, f64>| {
            let (error, outputs) = (kernel * error, initial + kernel * impulse);
            let entries = (0..error.ncols()).flat_map(|o| (0..error.nrows()).map(move |i| (i, o)));
            // `f64::max` would drop a NaN.
            entries
                .map(|at| error[at].abs() / (absolute + relative * outputs[at].abs()))
                .fold(0.0, |largest, ratio| if ratio <= largest { largest } else { ratio })
        };
        let (train, test) = (part(self.ntk, self.initial), part(self.ntk_test, self.initial_test));
        if train <= test { test } else { train }
    }
}

/// Outputs at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneralLossState {
    /// `N x outputs`.
    pub train_outputs: Mat<f64>,
    /// `T x outputs`.
    pub test_outputs: Mat<f64>,
    /// `u`, `N x outputs`: at further examples `f(x) = f_0(x) + Theta(x, X) u`.
    pub impulse: Mat<f64>,
}

/// How the flow chooses its steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FlowSteps {
    /// As long as the estimated error of every output stays below `absolute + relative |f|` a step.
    Adaptive {
        /// Allowed error of an output that is zero; positive.
        absolute: f64,
        /// Allowed relative error; not negative.
        relative: f64,
    },
    /// Always this long, the last before a requested time excepted.
    Fixed {
        /// Flow time of a step; positive.
        step: f64,
    },
}

/// A flow at the requested times, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneralLossFlow {
    /// One for each requested time.
    pub states: Vec<GeneralLossState>,
    /// Steps taken.
    pub accepted: u64,
    /// Steps tried and taken back.
    pub rejected: u64,
    /// Largest error of an output that an accepted step estimates.
    pub largest_error: f64,
}

/// Integrates the flow and returns it at `times` (learning rate times time, ascending, from 0 on).
///
/// `loss_gradient` takes the training outputs, `N x outputs`, to `dL/df`, of the same shape; see
/// [`OutputLoss::gradient`](crate::dynamics::OutputLoss::gradient).
///
/// # Errors
/// A shape mismatch, or [`TheoryError::NoPrediction`] if times are not ascending, a tolerance is not positive or the flow is too
/// stiff or not finite.
pub fn flow_general_loss(
    problem: &GeneralLossProblem<'_>,
    times: &[f64],
    control: FlowSteps,
    loss_gradient: impl Fn(MatRef<'_, f64>) -> Mat<f64>,
) -> Result<GeneralLossFlow, TheoryError> {
    problem.check()?;
    let ascending = times.iter().zip(times.iter().skip(1)).all(|(early, late)| early <= late);
    if !ascending || !times.iter().all(|time| *time >= 0.0 && time.is_finite()) {
        return Err(TheoryError::NoPrediction {
            reason: "flow times must be finite, ascending and not negative".into(),
        });
    }
    let (absolute, relative, mut h) = match control {
        FlowSteps::Adaptive { absolute, relative } => (absolute, relative, times.last().map_or(0.0, |end| end / 16.0)),
        FlowSteps::Fixed { step } => (f64::INFINITY, 0.0, step),
    };
    if !(absolute > 0.0 && relative >= 0.0 && h >= 0.0) {
        return Err(TheoryError::NoPrediction { reason: "tolerances and steps of the flow must be positive".into() });
    }
    let force = |impulse: &Mat<f64>| -loss_gradient(problem.outputs(impulse).as_ref());
    let mut impulse = Mat::zeros(problem.initial.nrows(), problem.initial.ncols());
    let mut first = force(&impulse);
    let mut flow = GeneralLossFlow { states: Vec::new(), accepted: 0, rejected: 0, largest_error: 0.0 };
    let mut time = 0.0;
    for &end in times {
        while time < end {
            if flow.accepted + flow.rejected == MAX_STEPS || time + h == time {
                let steps = flow.accepted + flow.rejected;
                let reason = format!("the flow reached time {time:e} of {end:e} in {steps} steps; allow larger errors");
                return Err(TheoryError::NoPrediction { reason });
            }
            let last = time + h * (1.0 + STRETCH) >= end;
            let length = if last { end - time } else { h };
            let step = dormand_prince::step(&impulse, &first, length, force);
            let error = problem.excess(&step.error, &step.end, 1.0, 0.0);
            let excess = match control {
                FlowSteps::Adaptive { .. } => problem.excess(&step.error, &step.end, absolute, relative),
                FlowSteps::Fixed { .. } => error * 0.0,
            };
            if excess <= 1.0 {
                time = if last { end } else { time + length };
                (impulse, first) = (step.end, step.force);
                flow.accepted += 1;
                flow.largest_error = flow.largest_error.max(error);
            } else if matches!(control, FlowSteps::Fixed { .. }) {
                return Err(TheoryError::NoPrediction { reason: "the flow is not finite; use a smaller step".into() });
            } else {
                flow.rejected += 1;
            }
            if matches!(control, FlowSteps::Adaptive { .. }) {
                let change = SAFETY * excess.powf(-1.0 / f64::from(ORDER));
                let next = length * if change.is_nan() { CHANGE.0 } else { change.clamp(CHANGE.0, CHANGE.1) };
                // A step cut short by a requested time says nothing against the longer one.
                h = if last && excess <= 1.0 { next.max(h) } else { next };
            }
        }
        flow.states.push(problem.state(&impulse));
    }
    Ok(flow)
}

/// Trains by full-batch steps and returns the outputs after each number of steps in `steps` (ascending).
///
/// # Errors
/// A shape mismatch, or [`TheoryError::NoPrediction`] if `steps` are not ascending.
pub fn descend_general_loss(
    problem: &GeneralLossProblem<'_>,
    learning_rate: f64,
    rule: StepRule,
    steps: &[u64],
    loss_gradient: impl Fn(MatRef<'_, f64>) -> Mat<f64>,
) -> Result<Vec<GeneralLossState>, TheoryError> {
    problem.check()?;
    let mut impulse = Mat::zeros(problem.initial.nrows(), problem.initial.ncols());
    let mut velocity = impulse.clone();
    let mut states = Vec::new();
    let mut done = 0;
    for &end in steps {
        if end < done {
            return Err(TheoryError::NoPrediction { reason: "numbers of steps must be ascending".into() });
        }
        for _ in done..end {
            let gradient = loss_gradient(problem.outputs(&impulse).as_ref());
            impulse -= rule.displacement(&gradient, &mut velocity) * learning_rate;
        }
        done = end;
        states.push(problem.state(&impulse));
    }
    Ok(states)
}
