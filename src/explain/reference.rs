//! Plain gradient descent on all examples, the yardstick of the optimizers: under a constant kernel, for any number of steps at once.

use std::collections::BTreeMap;

use faer::Mat;
use widthwise_theory::dynamics::{KernelDynamics, Training};

use super::paths::Common;
use super::points::{Outputs, Points};
use super::tangent::Tangent;
use crate::config::Anchor;
use crate::error::Result;
use crate::prediction::{column, rows, step_rule};

/// Share of the stable learning rate that descent takes where the run's own rate says nothing.
const SAFE_SHARE: f64 = 0.25;

/// Most steps in which descent is expected to reach a loss.
const MOST_STEPS: u64 = 1 << 40;

/// For each probe step of the run, the steps of descent that it is compared with; absent where there are none.
pub(super) type Clock = BTreeMap<u64, u64>;

/// Descent under one tangent kernel.
pub(super) struct Reference {
    dynamics: KernelDynamics,
    targets: Mat<f64>,
    initial: [Mat<f64>; 2],
    width: usize,
    /// Step size for the loss `1/2 sum` over all training examples.
    pub(super) learning_rate: f64,
    /// The penalty toward the initial parameters in the same units.
    pub(super) ridge: f64,
    /// Steps of descent in one step of the run; `None` where training losses are matched.
    per_step: Option<f64>,
}

impl Reference {
    /// Descent of the network whose kernel is `tangent`.
    pub(super) fn new(tangent: &Tangent, common: &Common<'_>, points: &Points) -> Result<Self> {
        let ridge = match (common.training.l2.toward, common.uniform_rate()) {
            (Anchor::Init, Some(rate)) => common.training.l2.strength * rate * common.per_unit(),
            _ => 0.0,
        };
        let kernel = tangent.train.as_ref();
        // Only paths from given outputs are asked for: the kernel of the prior is not needed.
        let unused = Mat::zeros(tangent.test.nrows(), tangent.test.nrows());
        let dynamics = KernelDynamics::new(kernel, kernel)?.with_ridge(ridge).with_test(
            tangent.test.as_ref(),
            tangent.test.as_ref(),
            unused.as_ref(),
        )?;
        let limit = dynamics.stable_learning_rate(&Training::GradientDescent { learning_rate: 0.0, steps: 1 });
        let (learning_rate, per_step) =
            match (step_rule(common.training.optimizer), common.training.optimizer.velocity_decay()) {
                (None, _) => (SAFE_SHARE * limit, None),
                (Some(_), Some(beta)) => {
                    // Momentum is stable where descent is not: descent then takes several smaller steps in the same flow time.
                    let rate = common.flow_time_of_a_step();
                    let parts = (2.0 * rate / limit).ceil().max(1.0);
                    (rate / parts, Some(parts / (1.0 - beta)))
                }
                (Some(_), None) => (common.flow_time_of_a_step(), Some(1.0)),
            };
        Ok(Self {
            dynamics,
            targets: column(points.targets.get(..points.n, ..)),
            initial: [&tangent.outputs.train, &tangent.outputs.test].map(|outputs| column(outputs.as_ref())),
            width: points.targets.ncols(),
            learning_rate,
            ridge,
            per_step,
        })
    }

    /// Which number of steps belongs to which step of the run, whose linearized outputs are given.
    pub(super) fn clock(&self, linearized: &BTreeMap<u64, Outputs>, points: &Points) -> Result<Clock> {
        let mut clock = Clock::new();
        for (&step, outputs) in linearized {
            let steps = match self.per_step {
                Some(ratio) => Some((step as f64 * ratio).round() as u64),
                None => self.steps_to(points.half_sum(outputs))?,
            };
            clock.extend(steps.map(|steps| (step, steps)));
        }
        Ok(clock)
    }

    /// Outputs at each entry of the clock.
    pub(super) fn path(&self, clock: &Clock) -> Result<BTreeMap<u64, Outputs>> {
        clock.iter().map(|(&step, &steps)| Ok((step, self.outputs(steps)?))).collect()
    }

    fn outputs(&self, steps: u64) -> Result<Outputs> {
        let training = Training::GradientDescent { learning_rate: self.learning_rate, steps };
        let [train, test] = self.initial.each_ref().map(Mat::as_ref);
        let targets = self.targets.as_ref();
        Ok(Outputs {
            train: rows(self.dynamics.train_outputs(targets, train, &training)?.as_ref(), self.width),
            test: rows(self.dynamics.test_outputs(targets, train, test, &training)?.as_ref(), self.width),
        })
    }

    /// Fewest steps after which the training loss `1/2 sum` is at most `loss`; `None` if it is never reached. The loss falls with every
    /// step at this learning rate.
    fn steps_to(&self, loss: f64) -> Result<Option<u64>> {
        let is_reached = |steps: u64| -> Result<bool> {
            let training = Training::GradientDescent { learning_rate: self.learning_rate, steps };
            let found = self.dynamics.train_outputs(self.targets.as_ref(), self.initial[0].as_ref(), &training)?;
            Ok(0.5 * (found - &self.targets).squared_norm_l2() <= loss)
        };
        if is_reached(0)? {
            return Ok(Some(0));
        }
        let mut above = 1;
        while !is_reached(above)? {
            above *= 2;
            if above > MOST_STEPS {
                return Ok(None);
            }
        }
        let mut below = above / 2;
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            if is_reached(middle)? { above = middle } else { below = middle }
        }
        Ok(Some(above))
    }
}
