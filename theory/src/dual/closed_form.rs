//! Dual activations in closed form: what the files of the activations need to write them once over [`Real`], for one pair with
//! libm and for rows of pairs with vector instructions.

use std::ops::RangeInclusive;

use super::Dual;
use super::near::{NearDual, NearPair};
use super::real::Real;
use crate::activation::Activation;

/// Relative size of `ab - c^2`, in units of the rounding, below which rounding alone can have produced it.
const INDISTINGUISHABLE: f64 = 16.0;

/// Second moments of a pair of Gaussians.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GaussianPair<T> {
    /// Variance of the first.
    pub(crate) a: T,
    /// Covariance.
    pub(crate) c: T,
    /// Variance of the second.
    pub(crate) b: T,
    /// `sqrt(ab)`.
    pub(crate) root: T,
}

impl<T: Real> GaussianPair<T> {
    /// `ab - c^2` as a product, zero where it cannot be told from zero.
    #[inline(always)]
    pub(crate) fn determinant(&self) -> T {
        let determinant = (self.root - self.c) * (self.root + self.c);
        let noise = T::of(INDISTINGUISHABLE * T::EPSILON) * (self.root * self.root);
        if determinant > noise { determinant } else { T::of(0.0) }
    }

    /// `sqrt((1 + 2a)(1 + 2b) - 4 c^2)`.
    #[inline(always)]
    pub(crate) fn doubled_root(&self) -> T {
        (T::of(1.0) + T::of(2.0) * (self.a + self.b) + T::of(4.0) * self.determinant()).sqrt()
    }
}

/// A closed form: `[V, Vd]` of a pair.
pub(crate) trait ClosedForm: Copy {
    /// Both duals.
    fn dual<T: Real>(&self, pair: GaussianPair<T>) -> [T; 2];
}

/// Something to do with a closed form, whichever it is.
pub(crate) trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit(self, form: impl ClosedForm) -> Self::Output;
}

struct One(GaussianPair<f64>);

impl Visitor for One {
    type Output = Dual;

    fn visit(self, form: impl ClosedForm) -> Dual {
        let [value, derivative] = form.dual(self.0);
        Dual { value, derivative }
    }
}

/// Variances whose products, and the digits of products, stay within the range of numbers.
pub(crate) const SAFE: RangeInclusive<f64> = 1e-140..=1e140;

/// The closed form, or `None` if `activation` has none.
pub(super) fn dual(activation: &Activation, a: f64, c: f64, b: f64) -> Option<Dual> {
    let is_safe = |variance: f64| variance == 0.0 || SAFE.contains(&variance);
    let dual = activation.visit(One(GaussianPair { a, c, b, root: a.sqrt() * b.sqrt() }))?;
    if (is_safe(a) && is_safe(b)) || !(a.is_finite() && b.is_finite()) {
        return Some(dual);
    }
    let NearDual { pair, slope } = activation.near_dual(&NearPair::from_moments(a, c, b), None);
    Some(Dual { value: pair.covariance(), derivative: slope })
}

/// The closed form of a Gaussian of variance `q` with itself.
pub(super) fn diagonal(activation: &Activation, q: f64) -> Option<Dual> {
    activation.visit(One(GaussianPair { a: q, c: q, b: q, root: q }))
}
