//! `phi(x) = x` for positive `x`, else `s x`; relu is `s = 0` and abs `s = -1`.
//!
//! `V = g sqrt(D) + m c` and `Vd = m` with `D = ab - c^2`, `theta = atan2(sqrt(D), c)`, `g = (1-s)^2/(2 pi)`,
//! `m = (1+s^2)/2 - g theta`; on the diagonal `Vd = (1+s^2)/2`. Mean `(1-s) sqrt(q/(2 pi))`.
//! Cho and Saul 2009 (arc-cosine); Tsuchida, Roosta-Khorasani and Gallagher 2017 (1711.09090).

use std::f64::consts::PI;

use super::formula::{Formula, constant, input};
use super::member::{Member, Smoothness};
use crate::dual::Dual;
use crate::dual::closed_form::{ClosedForm, Pair, Visitor};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct LeakyRelu {
    pub(super) slope: f64,
}

impl Member for LeakyRelu {
    const NAME: &'static str = "leaky_relu";

    fn value(&self, x: f64) -> f64 {
        if x > 0.0 { x } else { self.slope * x }
    }

    fn derivative(&self, x: f64) -> f64 {
        if x > 0.0 {
            1.0
        } else if x < 0.0 {
            self.slope
        } else {
            0.0
        }
    }

    fn formulas(&self) -> [Formula; 2] {
        let slope = || constant(self.slope);
        [input().relu() - (-input()).relu() * slope(), input().step() + (-input()).step() * slope()]
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::kinked(false)
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        let s = self.slope;
        Some(visitor.visit(Kinked { g: (1.0 - s).powi(2) / (2.0 * PI), half: 0.5 * (1.0 + s * s) }))
    }

    fn diagonal(&self, q: f64) -> Option<Dual> {
        let half = 0.5 * (1.0 + self.slope * self.slope);
        Some(Dual { value: half * q, derivative: half })
    }

    fn mean(&self, q: f64) -> Option<f64> {
        Some((1.0 - self.slope) * (q / (2.0 * PI)).sqrt())
    }

    fn negative_slope(&self) -> Option<f64> {
        Some(self.slope)
    }
}

#[derive(Clone, Copy)]
struct Kinked {
    g: f64,
    /// `(1 + s^2) / 2`.
    half: f64,
}

impl ClosedForm for Kinked {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: Pair<T>) -> [T; 2] {
        let r = pair.determinant().sqrt();
        let g = T::of(self.g);
        let derivative = T::of(self.half) - g * r.angle(pair.c, pair.root);
        [g * r + derivative * pair.c, derivative]
    }
}
