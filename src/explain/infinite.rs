//! The trajectories under the infinite-width kernel.

use std::collections::BTreeMap;

use faer::Mat;
use widthwise_theory::TheoryError;
use widthwise_theory::dynamics::{KernelDynamics, Training};

use super::points::{Outputs, Points};
use super::reference::{Clock, Reference};
use crate::config::ControlConfig;
use crate::error::Result;
use crate::need;
use crate::prediction::{control_step, infinite_dynamics};
use crate::record::budget::Trajectory;
use crate::session::Session;

/// The infinite-width network on the points of comparison.
pub(super) struct Infinite {
    dynamics: KernelDynamics,
    targets: Mat<f64>,
    tests: usize,
    /// The run's negative control, which spoils these trajectories as it spoils the theory of its verdict.
    control: ControlConfig,
}

impl Infinite {
    /// `None` where there is no limit.
    pub(super) fn new(session: &Session<'_>, points: &Points) -> Result<Option<Self>> {
        let tests = points.targets.nrows() - points.n;
        need::expect_theory(need::theory(points.n, tests), [points.n, tests])?;
        let Session { experiment, architecture, prepared, .. } = session;
        let dynamics = match infinite_dynamics(experiment, architecture, prepared, tests, false) {
            Err(TheoryError::NoPrediction { .. }) => return Ok(None),
            found => found?,
        };
        let control = experiment.control.clone();
        Ok(Some(Self { dynamics, targets: points.train_target_matrix(), tests, control }))
    }

    /// The three trajectories of a member with these initial outputs, at the times of `descent`.
    pub(super) fn paths(
        &self,
        initial: &Outputs,
        descent: &Reference,
        clock: &Clock,
    ) -> Result<[(Trajectory, BTreeMap<u64, Outputs>); 3]> {
        let dynamics = self.dynamics.clone().with_ridge(descent.ridge);
        let zeros = Outputs {
            train: Mat::zeros(initial.train.nrows(), initial.train.ncols()),
            test: Mat::zeros(initial.test.nrows(), initial.test.ncols()),
        };
        let learning_rate = descent.learning_rate;
        let flow = |steps: u64| Training::Flow { flow_time: learning_rate * steps as f64 };
        let path = |initial: &Outputs, training: &dyn Fn(u64) -> Training| -> Result<BTreeMap<u64, Outputs>> {
            let at = |(&step, &steps): (&u64, &u64)| {
                let training = training(control_step(&self.control, steps));
                Ok((step, self.outputs(&dynamics, initial, &training)?))
            };
            clock.iter().map(at).collect()
        };
        Ok([
            (Trajectory::InfiniteMeanFlow, path(&zeros, &flow)?),
            (Trajectory::InfiniteFlow, path(initial, &flow)?),
            (Trajectory::InfiniteDescent, path(initial, &|steps| Training::GradientDescent { learning_rate, steps })?),
        ])
    }

    fn outputs(&self, dynamics: &KernelDynamics, initial: &Outputs, training: &Training) -> Result<Outputs> {
        let (targets, train) = (self.targets.as_ref(), initial.train.as_ref());
        let test = if self.tests > 0 {
            dynamics.test_outputs(targets, train, initial.test.as_ref(), training)?
        } else {
            initial.test.clone()
        };
        Ok(Outputs { train: dynamics.train_outputs(targets, train, training)?, test })
    }
}
