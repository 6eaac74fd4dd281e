//! Preconditioned conjugate gradients on all outputs at once.
//!
//! Every output has its own iteration; they share the products. With `A = K + ridge`, `M = L L^T` (Hestenes and Stiefel 1952; the
//! preconditioned form as in Golub and Van Loan, "Matrix computations"):
//!
//! ```text
//! alpha = r.z / p.Ap,   x += alpha p,   r -= alpha A p,   z = M^-1 r,   beta = r.z / (r.z before),   p = z + beta p
//! ```
//!
//! The coefficients are those of a Lanczos process: the eigenvalues of the tridiagonal matrix with
//! `1/alpha_j + beta_{j-1}/alpha_{j-1}` on its diagonal and `sqrt(beta_j)/alpha_j` next to it are Ritz values of `M^-1 A`.

use std::time::Instant;

use faer::{Mat, MatRef, Side};

use super::cholesky::FactoredKernel;
use super::ridge::PhaseTimes;

/// The recurred residual is driven this far below the limit, since rounding parts it from the true one.
const MARGIN: f64 = 0.9;
/// A restart must gain at least this factor in the true residual.
const GAIN: f64 = 0.5;

/// Why a regression stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Every output met the tolerance.
    Converged,
    /// The iterations were used up.
    IterationLimit,
    /// The residual of the stored kernel stopped falling before it met the tolerance.
    Stagnated,
    /// A direction of negative curvature: `K + ridge` as stored is not positive definite; use a larger ridge.
    Indefinite,
    /// The corrections against the exact kernel were used up.
    RefinementLimit,
}

/// Extreme Ritz values of the preconditioned system; none before the first iteration.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ritz(pub(super) Option<(f64, f64)>);

impl Ritz {
    /// The extremes of both.
    pub(super) fn join(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some((low, high)), Some((other_low, other_high))) => {
                Ritz(Some((low.min(other_low), high.max(other_high))))
            }
            (some, None) | (None, some) => Ritz(some),
        }
    }

    /// Of the steps `(alpha, beta)` of one iteration.
    fn of_steps(steps: &[(f64, f64)]) -> Self {
        let size = steps.len();
        let mut tridiagonal = Mat::zeros(size, size);
        for (j, &(alpha, beta)) in steps.iter().enumerate() {
            tridiagonal[(j, j)] += 1.0 / alpha;
            if j + 1 < size {
                tridiagonal[(j + 1, j + 1)] += beta / alpha;
                tridiagonal[(j + 1, j)] = beta.sqrt() / alpha;
            }
        }
        let values = tridiagonal.self_adjoint_eigenvalues(Side::Lower).unwrap_or_default();
        Ritz(values.first().copied().zip(values.last().copied()))
    }
}

/// `|column| / scale` of every column; 0 where the scale is.
pub(super) fn relative_norms(columns: MatRef<'_, f64>, scales: &[f64]) -> Vec<f64> {
    let relative = |(o, scale): (usize, &f64)| if *scale == 0.0 { 0.0 } else { columns.col(o).norm_l2() / scale };
    scales.iter().enumerate().map(relative).collect()
}

/// One solve, with restarts from the true residual where rounding has parted it from the recurred one.
pub(super) struct Solve<'a> {
    kernel: &'a FactoredKernel<'a>,
    ridge: f64,
    max_iterations: usize,
    times: &'a mut PhaseTimes,
    iterations: usize,
    end: StopReason,
    ritz: Ritz,
}

impl<'a> Solve<'a> {
    pub(super) fn new(
        kernel: &'a FactoredKernel<'a>,
        ridge: f64,
        max_iterations: usize,
        times: &'a mut PhaseTimes,
    ) -> Self {
        Self { kernel, ridge, max_iterations, times, iterations: 0, end: StopReason::Converged, ritz: Ritz::default() }
    }

    pub(super) fn end(&self) -> StopReason {
        self.end
    }

    pub(super) fn iterations(&self) -> usize {
        self.iterations
    }

    pub(super) fn ritz(&self) -> Ritz {
        self.ritz
    }

    /// `targets - (K + ridge) weights`.
    pub(super) fn residual(&mut self, targets: MatRef<'_, f64>, weights: MatRef<'_, f64>) -> Mat<f64> {
        targets - self.product(weights)
    }

    /// Weights, and their residual, whose columns are not longer than `limits` if the run converged.
    pub(super) fn solve(&mut self, targets: MatRef<'_, f64>, limits: &[f64]) -> (Mat<f64>, Mat<f64>) {
        let mut weights = Mat::zeros(targets.nrows(), targets.ncols());
        let mut residual = targets.to_owned();
        // Largest residual in units of its limit; an output whose target is zero has no limit and is solved by zero.
        let excess = |residual: &Mat<f64>| relative_norms(residual.as_ref(), limits).into_iter().fold(0.0, f64::max);
        let mut before = excess(&residual);
        self.end = StopReason::Converged;
        while before > 1.0 {
            let stopped = self.iterate(&mut weights, &mut residual, limits);
            residual = self.residual(targets, weights.as_ref());
            let now = excess(&residual);
            self.end = match stopped {
                _ if now <= 1.0 => StopReason::Converged,
                Some(end) => end,
                None if now <= GAIN * before => StopReason::Converged,
                None => StopReason::Stagnated,
            };
            if self.end != StopReason::Converged {
                break;
            }
            before = now;
        }
        (weights, residual)
    }

    /// Conjugate gradients from `residual` until all recurred residuals are short; the reason if that did not happen.
    fn iterate(&mut self, weights: &mut Mat<f64>, residual: &mut Mat<f64>, limits: &[f64]) -> Option<StopReason> {
        let mut active: Vec<usize> =
            (0..limits.len()).filter(|&o| residual.col(o).norm_l2() > MARGIN * limits[o]).collect();
        let mut steps: Vec<Vec<(f64, f64)>> = vec![Vec::new(); limits.len()];
        let mut direction = self.precondition(residual, &active);
        let mut products: Vec<f64> =
            active.iter().enumerate().map(|(a, &o)| residual.col(o).transpose() * direction.col(a)).collect();
        let mut stopped = None;
        while !active.is_empty() && stopped.is_none() {
            if self.iterations == self.max_iterations {
                stopped = Some(StopReason::IterationLimit);
                break;
            }
            self.iterations += 1;
            let image = self.product(direction.as_ref());
            // Columns of `direction` that go on, by their place in it.
            let mut kept = Vec::new();
            for (a, &o) in active.iter().enumerate() {
                let curvature: f64 = direction.col(a).transpose() * image.col(a);
                if !(curvature > 0.0 && products[a] > 0.0) {
                    stopped = Some(StopReason::Indefinite);
                    continue;
                }
                let alpha = products[a] / curvature;
                for i in 0..weights.nrows() {
                    weights[(i, o)] += alpha * direction[(i, a)];
                    residual[(i, o)] -= alpha * image[(i, a)];
                }
                steps[o].push((alpha, 0.0));
                if residual.col(o).norm_l2() > MARGIN * limits[o] {
                    kept.push(a);
                }
            }
            let going: Vec<usize> = kept.iter().map(|&a| active[a]).collect();
            let mut next = self.precondition(residual, &going);
            let mut next_products = Vec::new();
            for (new, (&a, &o)) in kept.iter().zip(&going).enumerate() {
                let product: f64 = residual.col(o).transpose() * next.col(new);
                let beta = product / products[a];
                for i in 0..next.nrows() {
                    next[(i, new)] += beta * direction[(i, a)];
                }
                if let Some(step) = steps[o].last_mut() {
                    step.1 = beta;
                }
                next_products.push(product);
            }
            (direction, products, active) = (next, next_products, going);
        }
        for steps in steps.iter().filter(|steps| !steps.is_empty()) {
            self.ritz = self.ritz.join(Ritz::of_steps(steps));
        }
        stopped
    }

    /// `(K + ridge) vectors`.
    fn product(&mut self, vectors: MatRef<'_, f64>) -> Mat<f64> {
        let begin = Instant::now();
        let product = self.kernel.store.multiply(vectors) + vectors * self.ridge;
        self.times.products_s += begin.elapsed().as_secs_f64();
        product
    }

    /// `M^-1` of some columns of the residual.
    fn precondition(&mut self, residual: &Mat<f64>, columns: &[usize]) -> Mat<f64> {
        let begin = Instant::now();
        let mut vectors = Mat::from_fn(residual.nrows(), columns.len(), |i, a| residual[(i, columns[a])]);
        self.kernel.precondition(&mut vectors);
        self.times.preconditioner_s += begin.elapsed().as_secs_f64();
        vectors
    }
}

impl FactoredKernel<'_> {
    /// `vectors <- (L L^T)^-1 vectors`.
    pub(super) fn precondition(&self, vectors: &mut Mat<f64>) {
        self.store.solve_lower(vectors);
        self.store.solve_lower_transposed(vectors);
    }
}
