//! Predictions for networks in the kernel regime, where the tangent kernel stays at its initial value.
//!
//! Loss `(1/2) sum |f(X) - y|^2`, outputs independent. With `s_t` of [`Training`] applied to the training kernel,
//! `A_t(x) = Theta(x, X) s_t(Theta)` and `R_t = 1 - Theta s_t(Theta)`,
//!
//! ```text
//! f_t(X) = y + R_t (f_0(X) - y)                      f_t(x) = f_0(x) + A_t(x) (y - f_0(X))
//! mean   = A_t(x) y
//! cov    = K(x, x') + A_t K(X, X) A_t'^T - A_t K(X, x') - K(x, X) A_t'^T
//! ```
//!
//! Mean and covariance are over the ensemble of initializations. Jacot, Gabriel and Hongler 2018 (1806.07572); Lee et al.
//! 2019 (1902.06720). A penalty `(ridge/2) |theta - theta_0|^2` replaces `s_t(lambda)` by `s_t(lambda + ridge)`. Independent noise of
//! variance `s^2` on the labels of every member adds `s^2 A_t A_t'^T` to the covariance.
//!
//! Two limits are Bayesian. Readouts trained to the end (`Theta -> K`) sample the posterior of `GP(0, K)`. Networks that carry a frozen
//! random function of covariance `Theta - K` have the prior covariance `Theta` (`new(ntk, ntk)`): trained to the end they sample
//! the posterior of `GP(0, Theta)` (He, Lakshminarayanan and Teh 2020, 2007.05864), with noise if ridge and label noise both equal
//! its variance.
//!
//! One symmetric eigendecomposition serves all times; the kernel is never inverted. Eigenvalues within rounding of zero
//! count as zero: such modes stay where they are.

mod dormand_prince;
mod general_loss;
mod loss;
mod minibatch;
mod sampled;
mod spectrum;
mod training;

use faer::{Mat, MatRef, Side};

pub use general_loss::{
    FlowSteps, GeneralLossFlow, GeneralLossProblem, GeneralLossState, descend_general_loss, flow_general_loss,
};
pub use loss::OutputLoss;
pub use minibatch::{BatchLoss, LinearResponse, MinibatchRun, MinibatchTraining, StepRule};
pub use sampled::{PriorSampler, SampledMoments, train_sampled_ensemble};
pub use spectrum::Spectrum;
pub use training::Training;

use crate::error::TheoryError;

/// Ensemble mean and covariance at some set of examples.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// `examples x outputs`.
    pub mean: Mat<f64>,
    /// `examples x examples`, the same for every output.
    pub covariance: Mat<f64>,
}

impl Prediction {
    /// Variance of every example.
    pub fn variances(&self) -> Vec<f64> {
        (0..self.covariance.nrows()).map(|i| self.covariance[(i, i)]).collect()
    }

    /// Expected loss `(1/2) sum (f - y)^2` over examples and outputs: squared bias plus variance.
    ///
    /// # Errors
    /// [`TheoryError::ShapeMismatch`] if `targets` is not `examples x outputs`.
    pub fn expected_loss(&self, targets: MatRef<'_, f64>) -> Result<f64, TheoryError> {
        expect_shape("targets (examples)", self.mean.nrows(), targets.nrows())?;
        expect_shape("targets (outputs)", self.mean.ncols(), targets.ncols())?;
        let bias = (&self.mean - targets).squared_norm_l2();
        let variance: f64 = self.variances().iter().sum();
        Ok(0.5 * (bias + targets.ncols() as f64 * variance))
    }
}

/// Test kernels in the eigenbasis of the training kernel.
#[derive(Debug, Clone)]
struct TestKernels {
    /// `Theta(x, X) U`.
    ntk: Mat<f64>,
    /// `K(x, X) U`.
    nngp: Mat<f64>,
    /// `K(x, x')`.
    nngp_test: Mat<f64>,
}

/// Constant-kernel training dynamics, ready to be evaluated at any time.
#[derive(Debug, Clone)]
pub struct KernelDynamics {
    spectrum: Spectrum,
    eigenvectors: Mat<f64>,
    /// `U^T K(X, X) U`.
    nngp: Mat<f64>,
    test: Option<TestKernels>,
    ridge: f64,
    label_noise: f64,
}

pub(crate) fn expect_shape(what: &'static str, expected: usize, found: usize) -> Result<(), TheoryError> {
    if expected == found { Ok(()) } else { Err(TheoryError::ShapeMismatch { what, expected, found }) }
}

/// `diag(factors) * matrix`.
fn scale_rows(factors: &[f64], matrix: MatRef<'_, f64>) -> Mat<f64> {
    Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| factors[i] * matrix[(i, j)])
}

/// `matrix * diag(factors)`.
fn scale_columns(matrix: MatRef<'_, f64>, factors: &[f64]) -> Mat<f64> {
    Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| matrix[(i, j)] * factors[j])
}

impl KernelDynamics {
    /// Decomposes the training kernel.
    ///
    /// # Shapes
    /// `ntk` and `nngp`, on the training examples: `N x N`, symmetric.
    ///
    /// # Errors
    /// A shape mismatch, or [`TheoryError::Solve`] if the decomposition fails or an eigenvalue is clearly negative.
    pub fn new(ntk: MatRef<'_, f64>, nngp: MatRef<'_, f64>) -> Result<Self, TheoryError> {
        let size = ntk.nrows();
        expect_shape("training kernel (columns)", size, ntk.ncols())?;
        expect_shape("training NNGP kernel (rows)", size, nngp.nrows())?;
        expect_shape("training NNGP kernel (columns)", size, nngp.ncols())?;
        let failed = |smallest: f64, largest: f64| TheoryError::Solve {
            operation: "the eigendecomposition of the training kernel",
            size,
            smallest,
            largest,
        };
        let decomposition = ntk.self_adjoint_eigen(Side::Lower).map_err(|_| failed(f64::NAN, f64::NAN))?;
        let eigenvalues: Vec<f64> = decomposition.S().column_vector().iter().copied().collect();
        let eigenvectors = decomposition.U().to_owned();
        let spectrum = Spectrum::from_ascending(eigenvalues);
        // Kernels carry rounding of their own: only far below it is a matrix not a kernel.
        if spectrum.smallest() < -1e4 * spectrum.zero_below {
            return Err(failed(spectrum.smallest(), spectrum.largest()));
        }
        let nngp = eigenvectors.transpose() * nngp * &eigenvectors;
        Ok(Self { spectrum, eigenvectors, nngp, test: None, ridge: 0.0, label_noise: 0.0 })
    }

    /// Adds test examples.
    ///
    /// # Shapes
    /// `ntk` and `nngp`, test against training examples: `T x N`; `nngp_test`: `T x T`.
    ///
    /// # Errors
    /// A shape mismatch.
    pub fn with_test(
        mut self,
        ntk: MatRef<'_, f64>,
        nngp: MatRef<'_, f64>,
        nngp_test: MatRef<'_, f64>,
    ) -> Result<Self, TheoryError> {
        let (tests, size) = (ntk.nrows(), self.examples());
        expect_shape("test-training kernel (columns)", size, ntk.ncols())?;
        expect_shape("test-training NNGP kernel (rows)", tests, nngp.nrows())?;
        expect_shape("test-training NNGP kernel (columns)", size, nngp.ncols())?;
        expect_shape("test NNGP kernel (rows)", tests, nngp_test.nrows())?;
        expect_shape("test NNGP kernel (columns)", tests, nngp_test.ncols())?;
        self.test = Some(TestKernels {
            ntk: ntk * &self.eigenvectors,
            nngp: nngp * &self.eigenvectors,
            nngp_test: nngp_test.to_owned(),
        });
        Ok(self)
    }

    /// Adds a penalty `(ridge/2) |theta - theta_0|^2` in the coordinates of the NTK parameterization; `ridge >= 0`.
    pub fn with_ridge(mut self, ridge: f64) -> Self {
        self.ridge = ridge;
        self
    }

    /// Gives every member of the ensemble labels with independent noise of this variance; `variance >= 0`.
    pub fn with_label_noise(mut self, variance: f64) -> Self {
        self.label_noise = variance;
        self
    }

    /// Number of training examples.
    pub fn examples(&self) -> usize {
        self.eigenvectors.nrows()
    }

    /// Eigenvalues of the training kernel, without the ridge.
    pub fn spectrum(&self) -> &Spectrum {
        &self.spectrum
    }

    /// Largest learning rate at which `training` does not diverge, ridge included.
    pub fn stable_learning_rate(&self, training: &Training) -> f64 {
        training.stable_learning_rate(self.spectrum.largest() + self.ridge)
    }

    /// What is left of the residual of every mode, ascending in its eigenvalue; NaN for a limit that does not exist.
    pub fn residual_factors(&self, training: &Training) -> Vec<f64> {
        let eigenvalues = self.spectrum.eigenvalues.iter();
        eigenvalues
            .map(|&lambda| {
                if lambda <= self.spectrum.zero_below {
                    1.0
                } else if self.ridge == 0.0 {
                    training.residual_factor(lambda)
                } else {
                    1.0 - lambda * training.response(lambda + self.ridge)
                }
            })
            .collect()
    }

    /// `s_t` of every mode; zero where the eigenvalue counts as zero, since such modes move nothing.
    fn responses(&self, training: &Training) -> Vec<f64> {
        let response = |&lambda: &f64| match lambda <= self.spectrum.zero_below {
            true => 0.0,
            false => training.response(lambda + self.ridge),
        };
        self.spectrum.eigenvalues.iter().map(response).collect()
    }

    /// Outputs on the training examples of a network with `initial` outputs, `N x outputs`.
    ///
    /// # Errors
    /// A shape mismatch, or [`TheoryError::NoPrediction`] for a limit of infinitely many steps that does not exist.
    pub fn train_outputs(
        &self,
        targets: MatRef<'_, f64>,
        initial: MatRef<'_, f64>,
        training: &Training,
    ) -> Result<Mat<f64>, TheoryError> {
        self.expect_outputs(targets, initial)?;
        self.expect_limit(training)?;
        let modes = self.eigenvectors.transpose() * (initial - targets);
        Ok(targets + &self.eigenvectors * scale_rows(&self.residual_factors(training), modes.as_ref()))
    }

    /// Outputs on the test examples of a network with `initial` outputs on the training and `initial_test` outputs on
    /// the test examples.
    ///
    /// # Errors
    /// As [`train_outputs`](Self::train_outputs), or [`TheoryError::NoPrediction`] without [`with_test`](Self::with_test).
    pub fn test_outputs(
        &self,
        targets: MatRef<'_, f64>,
        initial: MatRef<'_, f64>,
        initial_test: MatRef<'_, f64>,
        training: &Training,
    ) -> Result<Mat<f64>, TheoryError> {
        self.expect_outputs(targets, initial)?;
        self.expect_limit(training)?;
        let test = self.test()?;
        expect_shape("initial test outputs (examples)", test.ntk.nrows(), initial_test.nrows())?;
        expect_shape("initial test outputs (outputs)", targets.ncols(), initial_test.ncols())?;
        let modes = self.eigenvectors.transpose() * (targets - initial);
        Ok(initial_test + &test.ntk * scale_rows(&self.responses(training), modes.as_ref()))
    }

    /// Ensemble mean and covariance on the training examples.
    ///
    /// # Errors
    /// As [`train_outputs`](Self::train_outputs).
    pub fn train_prediction(&self, targets: MatRef<'_, f64>, training: &Training) -> Result<Prediction, TheoryError> {
        let zeros = Mat::zeros(targets.nrows(), targets.ncols());
        let mean = self.train_outputs(targets, zeros.as_ref(), training)?;
        let factors = self.residual_factors(training);
        let left = scale_columns(self.eigenvectors.as_ref(), &factors);
        let moved: Vec<f64> = factors.iter().map(|r| 1.0 - r).collect();
        let smoother = scale_columns(self.eigenvectors.as_ref(), &moved);
        let noise = &smoother * smoother.transpose() * self.label_noise;
        Ok(Prediction { mean, covariance: &left * &self.nngp * left.transpose() + noise })
    }

    /// Ensemble mean and covariance on the test examples.
    ///
    /// # Errors
    /// As [`test_outputs`](Self::test_outputs).
    pub fn test_prediction(&self, targets: MatRef<'_, f64>, training: &Training) -> Result<Prediction, TheoryError> {
        let test = self.test()?;
        let outputs = targets.ncols();
        let (zeros, zeros_test) = (Mat::zeros(self.examples(), outputs), Mat::zeros(test.ntk.nrows(), outputs));
        let mean = self.test_outputs(targets, zeros.as_ref(), zeros_test.as_ref(), training)?;
        let smoother = scale_columns(test.ntk.as_ref(), &self.responses(training));
        let cross = &smoother * test.nngp.transpose();
        let noise = &smoother * smoother.transpose() * self.label_noise;
        let covariance =
            &test.nngp_test + &smoother * &self.nngp * smoother.transpose() - &cross - cross.transpose() + noise;
        Ok(Prediction { mean, covariance })
    }

    /// Expected training loss `(1/2) sum_o [|R y_o|^2 + tr(R K R) + s^2 tr((1-R)^2)]`, against the labels without noise, for every entry of `trainings`, in
    /// `O(N outputs)` each.
    ///
    /// # Errors
    /// As [`train_outputs`](Self::train_outputs).
    pub fn expected_train_losses(
        &self,
        targets: MatRef<'_, f64>,
        trainings: &[Training],
    ) -> Result<Vec<f64>, TheoryError> {
        expect_shape("targets (examples)", self.examples(), targets.nrows())?;
        let modes = self.eigenvectors.transpose() * targets;
        let outputs = targets.ncols();
        let weight = |i: usize| {
            let signal: f64 = (0..outputs).map(|o| modes[(i, o)].powi(2)).sum();
            signal + outputs as f64 * self.nngp[(i, i)]
        };
        let weights: Vec<f64> = (0..self.examples()).map(weight).collect();
        let loss = |training: &Training| {
            self.expect_limit(training)?;
            let factors = self.residual_factors(training);
            let noise = outputs as f64 * self.label_noise;
            let mode = |(r, weight): (&f64, &f64)| r * r * weight + (1.0 - r).powi(2) * noise;
            Ok(0.5 * factors.iter().zip(&weights).map(mode).sum::<f64>())
        };
        trainings.iter().map(loss).collect()
    }

    /// Whether the outputs have a limit, if one is asked for.
    fn expect_limit(&self, training: &Training) -> Result<(), TheoryError> {
        if !training.is_limit() || self.responses(training).iter().all(|response| !response.is_nan()) {
            return Ok(());
        }
        let limit = self.stable_learning_rate(training);
        let reason = format!("training forever has no limit; use a learning rate below {limit:e}");
        Err(TheoryError::NoPrediction { reason })
    }

    fn test(&self) -> Result<&TestKernels, TheoryError> {
        self.test.as_ref().ok_or_else(|| TheoryError::NoPrediction {
            reason: "no test kernels were given; call with_test first".into(),
        })
    }

    fn expect_outputs(&self, targets: MatRef<'_, f64>, initial: MatRef<'_, f64>) -> Result<(), TheoryError> {
        expect_shape("targets (examples)", self.examples(), targets.nrows())?;
        expect_shape("initial outputs (examples)", self.examples(), initial.nrows())?;
        expect_shape("initial outputs (outputs)", targets.ncols(), initial.ncols())
    }
}
