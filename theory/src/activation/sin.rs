//! `phi(x) = sin(w x + p)`; cos is `p + pi/2`.
//!
//! `V = (e1 - e2)/2` and `Vd = w^2 (e1 + e2)/2` with `e1 = exp(w^2 (c - (a+b)/2))`, `e2 = cos(2p) exp(-w^2 (c + (a+b)/2))`:
//! characteristic functions of `u - v` and `u + v`. Mean `sin(p) exp(-w^2 q/2)`.

use std::f64::consts::FRAC_PI_2;

use super::formula::{Formula, constant, input};
use super::member::{Member, Parity, Smoothness};
use super::wave;
use crate::dual::closed_form::{ClosedForm, Pair, Visitor};
use crate::dual::near::{NearDual, NearPair};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct Sin {
    pub(super) frequency: f64,
    pub(super) phase: f64,
}

impl Sin {
    pub(super) fn argument(&self) -> Formula {
        input() * constant(self.frequency) + constant(self.phase)
    }
}

impl Member for Sin {
    const NAME: &'static str = "sin";

    fn value(&self, x: f64) -> f64 {
        (self.frequency * x + self.phase).sin()
    }

    fn derivative(&self, x: f64) -> f64 {
        self.frequency * (self.frequency * x + self.phase).cos()
    }

    fn formulas(&self) -> [Formula; 2] {
        [self.argument().sin(), self.argument().cos() * constant(self.frequency)]
    }

    fn parity(&self) -> Option<Parity> {
        // The cosine of twice the phase, as the duals see it.
        match (2.0 * self.phase).cos() {
            1.0 => Some(Parity::Odd),
            -1.0 => Some(Parity::Even),
            _ => None,
        }
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::analytic(FRAC_PI_2 / self.frequency.abs().max(1.0))
    }

    fn near(&self, pair: &NearPair) -> Option<NearDual> {
        let (even, odd) = self.phase.sin_cos();
        Some(wave::near(self.frequency, odd * odd, even * even, pair))
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(Wave { rate: self.frequency.powi(2), cosine: (2.0 * self.phase).cos() }))
    }

    fn mean(&self, q: f64) -> Option<f64> {
        Some(self.phase.sin() * (-0.5 * self.frequency.powi(2) * q).exp())
    }
}

#[derive(Clone, Copy)]
struct Wave {
    /// `w^2`.
    rate: f64,
    /// `cos(2p)`.
    cosine: f64,
}

impl ClosedForm for Wave {
    #[inline(always)]
    fn dual<T: Real>(&self, Pair { a, c, b, .. }: Pair<T>) -> [T; 2] {
        let (rate, half) = (T::of(self.rate), T::of(0.5));
        let middle = half * (a + b);
        let e1 = (rate * (c - middle)).exp();
        let e2 = T::of(self.cosine) * (-rate * (c + middle)).exp();
        [half * (e1 - e2), half * rate * (e1 + e2)]
    }
}
