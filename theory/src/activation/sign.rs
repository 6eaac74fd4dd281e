//! `phi(x) = sign(x)`: `V = (2/pi) atan2(c, sqrt(ab - c^2))`, twice the asin of Sheppard's formula.
//!
//! `phi' = 2 delta(x)`, so that `Vd = (2/pi)/sqrt(ab - c^2)` grows without bound as two inputs approach each other: there is no
//! tangent kernel, and networks of it are trained by their readout only. On the diagonal a finite stand-in near the
//! largest number keeps `0 * Vd` zero.

use std::f64::consts::FRAC_2_PI;

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Parity, Smoothness};
use crate::dual::closed_form::{ClosedForm, GaussianPair, Visitor};
use crate::dual::near::{NearDual, NearPair};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct Sign;

impl ActivationFunction for Sign {
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

    fn near(&self, pair: &NearPair) -> Option<NearDual> {
        let (root, angle) = (pair.root(), pair.angle());
        let image = NearPair::new(pair.roots.map(|root| f64::from(root > 0.0)), 0.0, FRAC_2_PI * angle);
        let distance = pair.roots[0] * (pair.roots[1] * angle.sin());
        let slope = FRAC_2_PI / if distance > f64::LEAST_ROOT { distance } else { f64::LEAST_ROOT };
        let known = if root > 0.0 { image } else { NearPair { complement: 0.0, ..image } };
        Some(NearDual { pair: known, slope })
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
    fn dual<T: Real>(&self, pair: GaussianPair<T>) -> [T; 2] {
        let r = pair.determinant().sqrt();
        let least = T::of(T::LEAST_ROOT);
        // At a variance of 0 the sign is 0, as c is.
        [T::of(FRAC_2_PI) * pair.c.slope_angle(r), T::of(FRAC_2_PI) / if r > least { r } else { least }]
    }
}
