//! `phi(x) = erf(x)`: `V = (2/pi) atan2(2c, Q)` and `Vd = 4/(pi Q)` with `Q^2 = (1 + 2a)(1 + 2b) - 4c^2`. Williams 1997.
//!
//! Entire, but as large as `exp(y^2)` at imaginary part `y`: a strip of 1.05 keeps the trapezoid rule at rounding.

use std::f64::consts::{FRAC_1_PI, FRAC_2_PI, FRAC_2_SQRT_PI, PI};

use super::formula::{Formula, constant, input};
use super::member::{Member, Parity, Smoothness};
use crate::dual::closed_form::{ClosedForm, Pair, Visitor};
use crate::dual::near::{Legs, NearPair};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct ErrorFunction;

impl Member for ErrorFunction {
    const NAME: &'static str = "erf";

    fn value(&self, x: f64) -> f64 {
        libm::erf(x)
    }

    fn derivative(&self, x: f64) -> f64 {
        FRAC_2_SQRT_PI * (-x * x).exp()
    }

    fn formulas(&self) -> [Formula; 2] {
        [input().erf(), (-input().powi(2)).exp() * constant(FRAC_2_SQRT_PI)]
    }

    fn parity(&self) -> Parity {
        Parity::Odd
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::settling(PI / 3.0, 6.5)
    }

    fn descent(&self, pair: &NearPair) -> Option<[f64; 2]> {
        // The angle between (Q_0, 2 sqrt(ab)) and (Q, 2c), with Q_0 that of the collinear pair.
        let Legs { first, second, difference } = Legs::new(pair);
        let twice = 2.0 * pair.root();
        let (opposite, adjacent) = match twice > 0.0 {
            true => (difference + pair.complement * first, first * (second / twice) + twice * (1.0 - pair.complement)),
            false => (0.0, 1.0),
        };
        Some([FRAC_2_PI * opposite.atan2(adjacent), 4.0 * FRAC_1_PI / second])
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(*self))
    }

    fn mean(&self, _q: f64) -> Option<f64> {
        Some(0.0)
    }
}

impl ClosedForm for ErrorFunction {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: Pair<T>) -> [T; 2] {
        let q = pair.doubled_root();
        [T::of(FRAC_2_PI) * (T::of(2.0) * pair.c).slope_angle(q), T::of(4.0 * FRAC_1_PI) / q]
    }
}
