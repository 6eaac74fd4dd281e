//! Solving `(K + ridge) alpha = Y` with everything that the result depends on said in the result.

use std::time::Instant;

use faer::{Mat, MatMut, MatRef};

use super::cholesky::{FactoredKernel, JitterTry};
use super::conjugate_gradients::{Ritz, Solve, StopReason, relative_norms};
use super::error::{RegressionError, expect_option};
use super::spectrum::SpectrumEstimate;
use crate::dynamics::expect_shape;

/// A kernel that can be multiplied by vectors, for instance by computing its tiles again in `f64`.
pub trait KernelOperator: Sync {
    /// Number of examples `N`.
    fn examples(&self) -> usize;

    /// Writes `K vectors` into `product`, without any ridge.
    ///
    /// # Shapes
    /// `vectors` and `product`: `N x outputs`.
    ///
    /// # Errors
    /// Whatever keeps the product from being computed.
    fn multiply(&self, vectors: MatRef<'_, f64>, product: MatMut<'_, f64>) -> Result<(), RegressionError>;
}

/// What to solve and when to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RidgeOptions {
    /// Added to the diagonal of the kernel: part of the problem, not negative.
    pub ridge: f64,
    /// Largest residual `|Y_o - (K + ridge) alpha_o| / |Y_o|` allowed for an output.
    pub tolerance: f64,
    /// Most iterations of conjugate gradients, restarts and refinements together.
    pub max_iterations: usize,
    /// Most corrections against the exact kernel.
    pub max_refinements: usize,
    /// Whether to estimate the extreme eigenvalues of `K + ridge`, for about twenty products more.
    pub estimate_spectrum: bool,
}

impl Default for RidgeOptions {
    /// No ridge, tolerance 1e-6, 1000 iterations, 5 refinements, the spectrum estimated.
    fn default() -> Self {
        Self { ridge: 0.0, tolerance: 1e-6, max_iterations: 1000, max_refinements: 5, estimate_spectrum: true }
    }
}

/// Wall-clock times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PhaseTimes {
    /// Factorization, all tries.
    pub cholesky_s: f64,
    /// Products with the stored kernel.
    pub products_s: f64,
    /// Solves with the factor.
    pub preconditioner_s: f64,
    /// Products with the exact kernel.
    pub exact_products_s: f64,
    /// Estimation of the spectrum, its products and solves not counted above.
    pub spectrum_s: f64,
    /// Everything of this solve, the factorization not included.
    pub solve_s: f64,
}

/// The solution and how far it can be trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct RidgeSolution {
    /// `alpha`, `N x outputs`: predictions are `K(x, X) alpha`.
    pub weights: Mat<f64>,
    /// Why the iteration stopped.
    pub end: StopReason,
    /// Iterations of the output that took most.
    pub iterations: usize,
    /// `|Y_o - (K + ridge) alpha_o| / |Y_o|` of every output, computed in `f64` with the kernel as stored (0 for targets 0).
    pub residuals: Vec<f64>,
    /// The same with the exact kernel, if it was given.
    pub exact_residuals: Option<Vec<f64>>,
    /// Corrections made against the exact kernel.
    pub refinements: usize,
    /// The ridge of the system that was solved.
    pub ridge: f64,
    /// The jitter of the preconditioner; the solution does not contain it.
    pub jitter: f64,
    /// Every jitter that was tried.
    pub jitter_tries: Vec<JitterTry>,
    /// What is known of the spectrum.
    pub spectrum: SpectrumEstimate,
    /// Where the time went.
    pub times: PhaseTimes,
}

impl FactoredKernel<'_> {
    /// Solves `(K + ridge) alpha = Y` for all outputs together.
    ///
    /// With `exact` the residual is also computed with that kernel, and the solution corrected until it meets the tolerance there.
    ///
    /// # Shapes
    /// `targets` `Y`: `N x outputs`.
    ///
    /// # Errors
    /// A shape mismatch, [`RegressionError::Option`], or an error of `exact`.
    pub fn solve(
        &self,
        targets: MatRef<'_, f64>,
        options: &RidgeOptions,
        exact: Option<&dyn KernelOperator>,
    ) -> Result<RidgeSolution, RegressionError> {
        let size = self.store.examples();
        let ridge = options.ridge;
        expect_shape("targets (examples)", size, targets.nrows())?;
        expect_option(ridge >= 0.0 && ridge.is_finite(), "ridge", ridge, "0 or more")?;
        expect_option(options.tolerance > 0.0, "tolerance", options.tolerance, "more than 0")?;
        if let Some(operator) = exact {
            expect_shape("exact kernel (examples)", size, operator.examples())?;
        }
        let begin = Instant::now();
        let mut times = PhaseTimes { cholesky_s: self.seconds(), ..PhaseTimes::default() };
        let scales: Vec<f64> = (0..targets.ncols()).map(|o| targets.col(o).norm_l2()).collect();
        let limits: Vec<f64> = scales.iter().map(|scale| scale * options.tolerance).collect();
        let mut run = Solve::new(self, ridge, options.max_iterations, &mut times);
        let (mut weights, mut residual) = run.solve(targets, &limits);
        let (mut end, mut iterations) = (run.end(), run.iterations());
        let mut ritz: Ritz = run.ritz();
        let mut refinements = 0;
        let mut exact_residuals = None;
        if let Some(operator) = exact {
            loop {
                let start = Instant::now();
                let mut product = Mat::zeros(size, targets.ncols());
                operator.multiply(weights.as_ref(), product.as_mut())?;
                times.exact_products_s += start.elapsed().as_secs_f64();
                let error = targets - product - &weights * ridge;
                let found = relative_norms(error.as_ref(), &scales);
                let done = found.iter().all(|residual| *residual <= options.tolerance);
                exact_residuals = Some(found);
                if done || refinements == options.max_refinements || end == StopReason::Indefinite {
                    if !done && end == StopReason::Converged {
                        end = StopReason::RefinementLimit;
                    }
                    break;
                }
                // Half the tolerance leaves room for the difference between the two kernels.
                let limits: Vec<f64> = limits.iter().map(|limit| 0.5 * limit).collect();
                let left = options.max_iterations.saturating_sub(iterations);
                let mut run = Solve::new(self, ridge, left, &mut times);
                let (correction, _) = run.solve(error.as_ref(), &limits);
                (end, iterations) = (run.end(), iterations + run.iterations());
                ritz = ritz.join(run.ritz());
                weights += correction;
                refinements += 1;
            }
            residual = Solve::new(self, ridge, 0, &mut times).residual(targets, weights.as_ref());
        }
        let spectrum = if options.estimate_spectrum {
            SpectrumEstimate::measure(self, ridge, &ritz, &mut times)
        } else {
            SpectrumEstimate::from_ritz(self.jitter(), ridge, &ritz)
        };
        times.solve_s = begin.elapsed().as_secs_f64();
        Ok(RidgeSolution {
            residuals: relative_norms(residual.as_ref(), &scales),
            weights,
            end,
            iterations,
            exact_residuals,
            refinements,
            ridge,
            jitter: self.jitter(),
            jitter_tries: self.tries().to_vec(),
            spectrum,
            times,
        })
    }
}
