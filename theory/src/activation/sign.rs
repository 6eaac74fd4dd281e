//! `phi(x) = sign(x)`: `V = 1 - 2 theta/pi` with `theta = atan2(sqrt(ab - c^2), c)`, twice the asin of Sheppard's formula.
//!
//! `phi' = 2 delta(x)`, so that `Vd = (2/pi)/sqrt(ab - c^2)` grows without bound as two inputs approach each other: there is no
//! tangent kernel, and networks of it are trained by their readout only. On the diagonal a finite stand-in near the
//! largest number keeps `0 * Vd` zero.

use std::f64::consts::FRAC_2_PI;

use super::formula::{Formula, constant, input};
use super::member::{Member, Parity, Smoothness};
use crate::dual::closed_form::{ClosedForm, Pair, Visitor};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct Sign;

impl Member for Sign {
    const NAME: &'static str = "sign";

    fn value(&self, x: f64) -> f64 {
        f64::from(x > 0.0) - f64::from(x < 0.0)
    }

    fn derivative(&self, _x: f64) -> f64 {
        0.0
    }

    fn formulas(&self) -> [Formula; 2] {
        [input().sign(), constant(0.0)]
    }

    fn parity(&self) -> Parity {
        Parity::Odd
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::kinked(true)
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(*self))
    }

    fn mean(&self, _q: f64) -> Option<f64> {
        Some(0.0)
    }
}

impl ClosedForm for Sign {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: Pair<T>) -> [T; 2] {
        let r = pair.determinant().sqrt();
        let theta = r.angle(pair.c, pair.root);
        let least = T::of(T::LEAST_ROOT);
        // At a variance of 0 the sign is 0.
        let known = if pair.root > T::of(0.0) { T::of(1.0) } else { T::of(0.0) };
        [known - T::of(FRAC_2_PI) * theta, T::of(FRAC_2_PI) / if r > least { r } else { least }]
    }
}
