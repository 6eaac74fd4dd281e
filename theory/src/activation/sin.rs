//! `phi(x) = sin(w x + p)`; [`cos`](super::cos) is the same with the sine and cosine of `p` exchanged.
//!
//! The odd part `cos(p) sin(w x)` and the even part `sin(p) cos(w x)` do not mix, so that with `m = exp(-w^2 (a+b)/2)`
//! `V = m [cos(p)^2 sinh(w^2 c) + sin(p)^2 cosh(w^2 c)]` and `Vd = w^2 m [cos(p)^2 cosh(w^2 c) + sin(p)^2 sinh(w^2 c)]`.
//! The characteristic functions of `u - v` and `u + v`, `exp(w^2 (+-c - (a+b)/2))`, give `m cosh` and `m sinh` without overflow;
//! their difference cancels at small `c`, where `sinh` is its series. Mean `sin(p) exp(-w^2 q/2)`.

use std::f64::consts::FRAC_PI_2;

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Parity, Smoothness};
use super::wave;
use crate::dual::closed_form::{ClosedForm, GaussianPair, Visitor};
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

impl ActivationFunction for Sin {
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

    fn parity(&self) -> Parity {
        // The cosine of twice the phase, as the duals see it.
        match (2.0 * self.phase).cos() {
            1.0 => Parity::Odd,
            -1.0 => Parity::Even,
            _ => Parity::Neither,
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
        let (even, odd) = self.phase.sin_cos();
        Some(visitor.visit(Wave { rate: self.frequency.powi(2), odd: odd * odd, even: even * even }))
    }

    fn mean(&self, q: f64) -> Option<f64> {
        Some(self.phase.sin() * (-0.5 * self.frequency.powi(2) * q).exp())
    }
}

#[derive(Clone, Copy)]
pub(super) struct Wave {
    /// `w^2`.
    pub(super) rate: f64,
    /// The square of the factor of `sin(w x)`.
    pub(super) odd: f64,
    /// The square of the factor of `cos(w x)`.
    pub(super) even: f64,
}

/// Below it the difference of two exponentials cancels.
const SMALL: f64 = 0.5;

/// `sinh y` to rounding below [`SMALL`].
#[inline(always)]
fn small_sinh<T: Real>(y: T) -> T {
    let square = y * y;
    let mut sum = T::of(1.0);
    for k in (1..8).rev() {
        let k = f64::from(k);
        // 1 + y^2/6 (1 + y^2/20 (1 + ...)).
        sum = (square * T::of(1.0 / (2.0 * k * (2.0 * k + 1.0)))).mul_add(sum, T::of(1.0));
    }
    y * sum
}

impl ClosedForm for Wave {
    #[inline(always)]
    fn dual<T: Real>(&self, GaussianPair { a, c, b, .. }: GaussianPair<T>) -> [T; 2] {
        let (rate, half) = (T::of(self.rate), T::of(0.5));
        let middle = half * (a + b);
        let e1 = (rate * (c - middle)).exp();
        let e2 = (-rate * (c + middle)).exp();
        let y = rate * c;
        let small = T::of(-SMALL) < y && y < T::of(SMALL);
        let near = (-rate * middle).exp() * small_sinh(y);
        let (cosh, sinh) = (half * (e1 + e2), if small { near } else { half * (e1 - e2) });
        let (odd, even) = (T::of(self.odd), T::of(self.even));
        [odd * sinh + even * cosh, rate * (odd * cosh + even * sinh)]
    }
}
