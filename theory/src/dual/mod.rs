//! Dual activations: `V(a, c, b) = E[phi(u) phi(v)]` and `Vd(a, c, b) = E[phi'(u) phi'(v)]` under
//! `(u, v) ~ N(0, [[a, c], [c, b]])`.
//!
//! Price's theorem, `dV/dc = Vd`, holds for every member. Daniely, Frostig and Singer 2016 (1602.05897) introduced the name.
//!
//! There are four ways to the same numbers: the closed form of the activation's file where there is one, the average over closed
//! forms of `Logistic` for tanh and its relatives, the Hermite series of [`HermiteSeries`] for many pairs of everything without
//! a closed form, and [`Activation::dual_by_quadrature`], slow, for every function. Rows of pairs take the first in `slice` and
//! the third in `table`, with vector instructions.

pub(crate) mod closed_form;
mod exp_normalized;
mod expectation;
mod logistic;
pub(crate) mod near;
mod near_series;
#[cfg(test)]
mod near_tests;
mod quadrature;
pub(crate) mod real;
mod series;
pub(crate) mod slice;
pub(crate) mod table;
#[cfg(test)]
mod tests;

pub use exp_normalized::exp_normalized_dual;
pub use expectation::{Moments, gaussian_expectation};
pub(crate) use expectation::{expectation_in_panels, panel};
pub(crate) use logistic::Logistic;
pub use series::HermiteSeries;

use crate::activation::Activation;

/// Stands for an infinite `Vd`, finite so that `0 * Vd` is zero.
const UNBOUNDED: f64 = 1e154;

/// A dual activation and its derivative by the covariance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dual {
    /// `E[phi(u) phi(v)]`.
    pub value: f64,
    /// `E[phi'(u) phi'(v)]`.
    pub derivative: f64,
}

impl Activation {
    /// Both dual activations at variances `a`, `b` (not negative) and covariance `c`.
    ///
    /// A correlation that rounding cannot tell from `+-1` is taken as `+-1`; one beyond is clipped.
    pub fn dual_pair(&self, a: f64, c: f64, b: f64) -> Dual {
        if let Some(dual) = closed_form::dual(self, a, c, b) {
            return dual;
        }
        match (self.finite_series(a), self.finite_series(b)) {
            (Some(left), Some(right)) => left.dual(&right, series::correlation_of(a, c, b)),
            _ => self.dual_apart(a, c, b),
        }
    }

    /// Both dual activations of one pair without a series.
    pub(crate) fn dual_apart(&self, a: f64, c: f64, b: f64) -> Dual {
        let Some(function) = self.logistic() else { return self.dual_by_quadrature(a, c, b) };
        let rho = series::correlation_of(a, c, b);
        function.dual(a, b, rho, (1.0 - rho) * (1.0 + rho))
    }

    /// `E[phi(u) phi(v)]`; see [`Activation::dual_pair`].
    pub fn dual(&self, a: f64, c: f64, b: f64) -> f64 {
        self.dual_pair(a, c, b).value
    }

    /// `E[phi'(u) phi'(v)]`; see [`Activation::dual_pair`], and [`Activation::has_tangent_limit`] for functions of which it diverges.
    pub fn dual_derivative(&self, a: f64, c: f64, b: f64) -> f64 {
        self.dual_pair(a, c, b).derivative
    }

    /// Both dual activations of a Gaussian of variance `q` with itself, free of the cancellation in `ab - c^2`.
    pub fn dual_diagonal(&self, q: f64) -> Dual {
        if let Some(dual) = self.short_diagonal(q).or_else(|| closed_form::diagonal(self, q)) {
            return dual;
        }
        if let Some(series) = self.finite_series(q) {
            return series.dual(&series, 1.0);
        }
        if let Some(function) = self.logistic() {
            return function.dual(q, q, 1.0, 0.0);
        }
        let root = q.sqrt();
        let [value, derivative] = self.expectations(q, |z| self.both(root * z).map(|f| f * f));
        Dual { value, derivative: if self.has_tangent_limit() { derivative } else { UNBOUNDED } }
    }

    /// Whether `dual_pair` has a closed form, so that no [`HermiteSeries`] is needed.
    pub(crate) fn has_closed_form(&self) -> bool {
        closed_form::dual(self, 1.0, 1.0, 1.0).is_some()
    }
}
