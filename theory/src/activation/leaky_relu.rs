//! `phi(x) = x` for positive `x`, else `s x`; relu is `s = 0` and abs `s = -1`.
//!
//! `V = g sqrt(D) + m c` and `Vd = m` with `D = ab - c^2`, `theta = atan2(sqrt(D), c)`, `g = (1-s)^2/(2 pi)`,
//! `m = (1+s^2)/2 - g theta`; on the diagonal `Vd = (1+s^2)/2`. Mean `(1-s) sqrt(q/(2 pi))`.
//! Cho and Saul 2009 (arc-cosine); Tsuchida, Roosta-Khorasani and Gallagher 2017 (1711.09090).

use std::f64::consts::{FRAC_2_PI, PI};

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Smoothness};
use crate::dual::Dual;
use crate::dual::closed_form::{ClosedForm, GaussianPair, Visitor};
use crate::dual::near::{NearDual, NearPair};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct LeakyRelu {
    pub(super) slope: f64,
}

impl ActivationFunction for LeakyRelu {
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

    fn near(&self, pair: &NearPair) -> Option<NearDual> {
        let (s, angle) = (self.slope, pair.angle());
        let (g, half) = ((1.0 - s).powi(2) / (2.0 * PI), 0.5 * (1.0 + s * s));
        let (image, turn) = (pair.scaled(half.sqrt()), g * segment(angle));
        // 1 - rho, with angle from the nearer end: rho half = half (1 - u) + turn, or turn - s (1 - u).
        let (missing, slope) = match pair.sign < 0.0 {
            false => (half * pair.complement - turn, half - g * angle),
            true => (0.5 * (1.0 + s).powi(2) - s * pair.complement - turn, s + g * angle),
        };
        let opposite = 0.5 * (1.0 - s).powi(2) + s * pair.complement + turn;
        // Of a negative covariance what is missing to -1.
        let (sign, missing) = if pair.sign < 0.0 && missing > half { (-1.0, opposite) } else { (1.0, missing) };
        let pair = NearPair { sign, complement: (missing / half).clamp(0.0, 1.0), ..image };
        Some(NearDual { pair, slope })
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        let s = self.slope;
        if s == -1.0 {
            return Some(visitor.visit(Folded));
        }
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
    fn dual<T: Real>(&self, pair: GaussianPair<T>) -> [T; 2] {
        let r = pair.determinant().sqrt();
        let g = T::of(self.g);
        let derivative = T::of(self.half) - g * r.angle(pair.c, pair.root);
        [g * r + derivative * pair.c, derivative]
    }
}

/// `|x|`: `m = (2/pi) (pi/2 - theta)`, with the angle from the other axis, so that `V` is even and `Vd` odd to the last bit.
#[derive(Clone, Copy)]
struct Folded;

impl ClosedForm for Folded {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: GaussianPair<T>) -> [T; 2] {
        let r = pair.determinant().sqrt();
        let share = T::of(FRAC_2_PI);
        let derivative = share * pair.c.slope_angle(r);
        let value = share * r + derivative * pair.c;
        [value, if pair.root > T::of(0.0) { derivative } else { T::of(1.0) }]
    }
}

/// `sin t - t cos t`, by its series where the two cancel.
fn segment(t: f64) -> f64 {
    if t > 0.5 {
        return t.sin() - t * t.cos();
    }
    // t^(2k+1) 2k / (2k+1)!, signs in turn.
    let inverse = [3.0, 30.0, 840.0, 45_360.0, 3_991_680.0, 518_918_400.0, 93_405_312_000.0_f64];
    t.powi(3) * inverse.iter().rev().fold(0.0, |sum, inverse| inverse.recip() - sum * t * t)
}
