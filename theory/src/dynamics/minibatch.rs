//! Training on any sequence of batches under a constant kernel.
//!
//! Parameters stay in the span of the training gradients, `theta = theta_0 + J^T u`, so that everything is linear in `u`
//! (`N x outputs`). A step on the batch `B`, with `c` from [`BatchLoss`] and the penalty `(ridge/2) |theta - theta_0|^2`:
//!
//! ```text
//! g = c 1_B (f(X) - y) + ridge u                      an index that B holds twice counts twice
//! gradient descent   u <- u - eta g
//! momentum           v <- beta v + g,   u <- u - eta v
//! Nesterov           v <- beta v + g,   u <- u - eta (g + beta v)
//! f(x) = f_0(x) + Theta(x, X) u
//! ```
//!
//! A penalty toward another point `a` and a velocity `w_0` from earlier steps leave the span, but not the outputs: with the given
//! `J (theta_0 - a)` and `J w_0` ([`with_anchor`](MinibatchRun::with_anchor), [`with_velocity`](MinibatchRun::with_velocity)) the
//! same recursions hold for `f - f_0 + J (theta_0 - a)` in place of `f - f_0`.
//!
//! `Theta u` and `Theta v` are carried along, so that a step costs one product with the columns of `B`. As `u_t` is linear in
//! `y - f_0(X)`, the run with the unit matrix for targets and no initial outputs is the response `S_t` of
//! `f_t = f_0 + Theta S_t (y - f_0(X))`: the statistics of the ensemble follow from it ([`LinearResponse`]).

use faer::{Mat, MatRef};

use super::{Prediction, expect_shape};
use crate::error::TheoryError;

/// How the gradient of a batch moves the parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepRule {
    /// Along the gradient.
    GradientDescent,
    /// Heavy-ball momentum, the velocity starting at zero.
    Momentum {
        /// Decay of the velocity.
        beta: f64,
    },
    /// Nesterov's momentum in the form that evaluates the gradient at the stored parameters.
    Nesterov {
        /// Decay of the velocity.
        beta: f64,
    },
}

impl StepRule {
    fn beta(&self) -> f64 {
        match *self {
            StepRule::GradientDescent => 0.0,
            StepRule::Momentum { beta } | StepRule::Nesterov { beta } => beta,
        }
    }

    /// Updates the velocity with a gradient; what to subtract per unit of learning rate.
    pub(super) fn displacement(&self, gradient: &Mat<f64>, velocity: &mut Mat<f64>) -> Mat<f64> {
        let beta = self.beta();
        *velocity = &*velocity * beta + gradient;
        match self {
            StepRule::GradientDescent | StepRule::Momentum { .. } => velocity.clone(),
            StepRule::Nesterov { .. } => gradient + &*velocity * beta,
        }
    }
}

/// The loss of a batch, `c (1/2) sum_{i in B} |f(x_i) - y_i|^2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BatchLoss {
    /// `c = 1`.
    Sum,
    /// `c = 1 / |B|`.
    Mean,
    /// Another constant, for instance `N / |B|` for an unbiased estimate of the sum over all examples.
    Scaled(f64),
}

impl BatchLoss {
    fn factor(&self, batch: usize) -> f64 {
        match *self {
            BatchLoss::Sum => 1.0,
            BatchLoss::Mean => 1.0 / batch as f64,
            BatchLoss::Scaled(factor) => factor,
        }
    }
}

/// What stays the same from step to step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinibatchTraining {
    /// Step size.
    pub learning_rate: f64,
    /// How a gradient moves the parameters.
    pub rule: StepRule,
    /// Normalization of the loss.
    pub loss: BatchLoss,
    /// Penalty `(ridge/2) |theta - theta_0|^2` in every batch's loss, in the coordinates of the NTK parameterization.
    pub ridge: f64,
}

/// A network in the kernel regime, trained batch by batch.
#[derive(Debug, Clone)]
pub struct MinibatchRun<'a> {
    training: MinibatchTraining,
    /// `Theta(X, X)` and `Theta(x, X)`.
    kernels: [MatRef<'a, f64>; 2],
    targets: Mat<f64>,
    /// `f` and `Theta v`, on training and test examples.
    outputs: [Mat<f64>; 2],
    velocities: [Mat<f64>; 2],
    /// What the penalty pulls to zero, less `f`: `J (theta_0 - a) - f_0`.
    offsets: [Mat<f64>; 2],
    /// `u` and `v`.
    coefficients: Mat<f64>,
    velocity: Mat<f64>,
    steps: u64,
}

impl<'a> MinibatchRun<'a> {
    /// A network before its first step.
    ///
    /// # Shapes
    /// `ntk` `N x N`, symmetric; `ntk_test` (test against training examples) `T x N`, `T` may be 0; `targets` and `initial`
    /// `N x outputs`; `initial_test` `T x outputs`.
    ///
    /// # Errors
    /// A shape mismatch.
    pub fn new(
        training: MinibatchTraining,
        ntk: MatRef<'a, f64>,
        ntk_test: MatRef<'a, f64>,
        targets: MatRef<'_, f64>,
        initial: MatRef<'_, f64>,
        initial_test: MatRef<'_, f64>,
    ) -> Result<Self, TheoryError> {
        let (size, outputs) = (ntk.nrows(), targets.ncols());
        expect_shape("training kernel (columns)", size, ntk.ncols())?;
        expect_shape("test-training kernel (columns)", size, ntk_test.ncols())?;
        expect_shape("targets (examples)", size, targets.nrows())?;
        expect_shape("initial outputs (examples)", size, initial.nrows())?;
        expect_shape("initial outputs (outputs)", outputs, initial.ncols())?;
        expect_shape("initial test outputs (examples)", ntk_test.nrows(), initial_test.nrows())?;
        expect_shape("initial test outputs (outputs)", outputs, initial_test.ncols())?;
        let initial = [initial.to_owned(), initial_test.to_owned()];
        let offsets = initial.each_ref().map(|initial| -initial);
        Ok(Self {
            training,
            kernels: [ntk, ntk_test],
            targets: targets.to_owned(),
            outputs: initial,
            velocities: [Mat::zeros(size, outputs), Mat::zeros(ntk_test.nrows(), outputs)],
            offsets,
            coefficients: Mat::zeros(size, outputs),
            velocity: Mat::zeros(size, outputs),
            steps: 0,
        })
    }

    /// Lets the penalty pull to parameters `a` other than the initial ones. [`coefficients`](Self::coefficients) do not follow.
    ///
    /// # Shapes
    /// `J (theta_0 - a)` on the training, `N x outputs`, and on the test examples, `T x outputs`.
    ///
    /// # Errors
    /// A shape mismatch.
    pub fn with_anchor(mut self, train: MatRef<'_, f64>, test: MatRef<'_, f64>) -> Result<Self, TheoryError> {
        for (offset, pulled) in self.offsets.iter_mut().zip([train, test]) {
            expect_shape("penalized displacement (examples)", offset.nrows(), pulled.nrows())?;
            expect_shape("penalized displacement (outputs)", offset.ncols(), pulled.ncols())?;
            *offset += pulled;
        }
        Ok(self)
    }

    /// Starts with a velocity. [`coefficients`](Self::coefficients) do not follow.
    ///
    /// # Shapes
    /// `J w_0`, the next displacement of the outputs per unit of learning rate without decay and gradient, with the sign of a
    /// gradient (a step subtracts it): on the training, `N x outputs`, and on the test examples, `T x outputs`.
    ///
    /// # Errors
    /// A shape mismatch.
    pub fn with_velocity(mut self, train: MatRef<'_, f64>, test: MatRef<'_, f64>) -> Result<Self, TheoryError> {
        for (velocity, pushed) in self.velocities.iter_mut().zip([train, test]) {
            expect_shape("velocity (examples)", velocity.nrows(), pushed.nrows())?;
            expect_shape("velocity (outputs)", velocity.ncols(), pushed.ncols())?;
            *velocity = pushed.to_owned();
        }
        Ok(self)
    }

    /// One step on the training examples with these indices. Costs `O((N + T) |batch| outputs)`.
    ///
    /// # Errors
    /// [`TheoryError::NoPrediction`] for an empty batch or an index that is not below `N`; the run is then unchanged.
    pub fn step(&mut self, batch: &[usize]) -> Result<(), TheoryError> {
        let size = self.targets.nrows();
        if let Some(index) = batch.iter().find(|index| **index >= size) {
            let reason = format!("example {index} in a batch, but indices below {size} are allowed");
            return Err(TheoryError::NoPrediction { reason });
        }
        if batch.is_empty() {
            return Err(TheoryError::NoPrediction { reason: "an empty batch; leave the step out".into() });
        }
        let MinibatchTraining { learning_rate, rule, loss, ridge } = self.training;
        let factor = loss.factor(batch.len());
        let misfit = Mat::from_fn(batch.len(), self.targets.ncols(), |b, o| {
            factor * (self.outputs[0][(batch[b], o)] - self.targets[(batch[b], o)])
        });
        let is_whole = batch.len() == size && batch.iter().enumerate().all(|(place, index)| place == *index);
        // The gradient in u and what it does to outputs.
        let mut gradient = &self.coefficients * ridge;
        for (b, &index) in batch.iter().enumerate() {
            for o in 0..misfit.ncols() {
                gradient[(index, o)] += misfit[(b, o)];
            }
        }
        for part in 0..2 {
            let kernel = self.kernels[part];
            let mut change = if is_whole {
                kernel * &misfit
            } else {
                Mat::from_fn(kernel.nrows(), batch.len(), |i, b| kernel[(i, batch[b])]) * &misfit
            };
            if ridge != 0.0 {
                change += (&self.outputs[part] + &self.offsets[part]) * ridge;
            }
            self.outputs[part] -= rule.displacement(&change, &mut self.velocities[part]) * learning_rate;
        }
        self.coefficients -= rule.displacement(&gradient, &mut self.velocity) * learning_rate;
        self.steps += 1;
        Ok(())
    }

    /// `f_t` on the training examples, `N x outputs`.
    pub fn train_outputs(&self) -> MatRef<'_, f64> {
        self.outputs[0].as_ref()
    }

    /// `f_t` on the test examples, `T x outputs`.
    pub fn test_outputs(&self) -> MatRef<'_, f64> {
        self.outputs[1].as_ref()
    }

    /// `u_t`, `N x outputs`: at further examples `f_t(x) = f_0(x) + Theta(x, X) u_t`.
    pub fn coefficients(&self) -> MatRef<'_, f64> {
        self.coefficients.as_ref()
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

/// `S_t` of `f_t = f_0 + Theta S_t (y - f_0(X))`: what a sequence of batches does to every network.
#[derive(Debug, Clone)]
pub struct LinearResponse<'a> {
    run: MinibatchRun<'a>,
}

impl<'a> LinearResponse<'a> {
    /// No step yet.
    ///
    /// # Shapes
    /// `ntk` `N x N`, symmetric.
    ///
    /// # Errors
    /// A shape mismatch.
    pub fn new(training: MinibatchTraining, ntk: MatRef<'a, f64>) -> Result<Self, TheoryError> {
        let size = ntk.nrows();
        let (unit, none) = (Mat::<f64>::identity(size, size), Mat::zeros(size, size));
        let no_tests = ntk.get(0..0, ..);
        let no_outputs = none.as_ref().get(0..0, ..);
        Ok(Self { run: MinibatchRun::new(training, ntk, no_tests, unit.as_ref(), none.as_ref(), no_outputs)? })
    }

    /// One step on the training examples with these indices. Costs `O(N^2 |batch|)`.
    ///
    /// # Errors
    /// As [`MinibatchRun::step`].
    pub fn step(&mut self, batch: &[usize]) -> Result<(), TheoryError> {
        self.run.step(batch)
    }

    /// `S_t`, `N x N`; not symmetric in general.
    pub fn matrix(&self) -> MatRef<'_, f64> {
        self.run.coefficients()
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.run.steps()
    }

    /// Mean and covariance over the ensemble of initializations, on the training examples.
    ///
    /// # Shapes
    /// `nngp` `N x N`; `targets` `N x outputs`.
    ///
    /// # Errors
    /// A shape mismatch.
    pub fn train_prediction(&self, nngp: MatRef<'_, f64>, targets: MatRef<'_, f64>) -> Result<Prediction, TheoryError> {
        let smoother = self.run.train_outputs();
        self.expect_train(nngp, targets)?;
        let left = Mat::<f64>::identity(smoother.nrows(), smoother.nrows()) - smoother;
        Ok(Prediction { mean: smoother * targets, covariance: &left * nngp * left.transpose() })
    }

    /// Mean and covariance over the ensemble of initializations, on test examples.
    ///
    /// # Shapes
    /// `ntk_test` and `nngp_cross` (test against training) `T x N`; `nngp_test` `T x T`; `nngp` `N x N`; `targets`
    /// `N x outputs`.
    ///
    /// # Errors
    /// A shape mismatch.
    pub fn test_prediction(
        &self,
        ntk_test: MatRef<'_, f64>,
        nngp: MatRef<'_, f64>,
        nngp_cross: MatRef<'_, f64>,
        nngp_test: MatRef<'_, f64>,
        targets: MatRef<'_, f64>,
    ) -> Result<Prediction, TheoryError> {
        self.expect_train(nngp, targets)?;
        let (size, tests) = (nngp.nrows(), ntk_test.nrows());
        expect_shape("test-training kernel (columns)", size, ntk_test.ncols())?;
        expect_shape("test-training NNGP kernel (rows)", tests, nngp_cross.nrows())?;
        expect_shape("test-training NNGP kernel (columns)", size, nngp_cross.ncols())?;
        expect_shape("test NNGP kernel (rows)", tests, nngp_test.nrows())?;
        expect_shape("test NNGP kernel (columns)", tests, nngp_test.ncols())?;
        let smoother = ntk_test * self.matrix();
        let cross = &smoother * nngp_cross.transpose();
        let covariance = nngp_test + &smoother * nngp * smoother.transpose() - &cross - cross.transpose();
        Ok(Prediction { mean: smoother * targets, covariance })
    }

    fn expect_train(&self, nngp: MatRef<'_, f64>, targets: MatRef<'_, f64>) -> Result<(), TheoryError> {
        let size = self.matrix().nrows();
        expect_shape("training NNGP kernel (rows)", size, nngp.nrows())?;
        expect_shape("training NNGP kernel (columns)", size, nngp.ncols())?;
        expect_shape("targets (examples)", size, targets.nrows())
    }
}
