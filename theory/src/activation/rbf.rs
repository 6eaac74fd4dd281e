//! `phi(x) = sqrt(2) sin(sqrt(2 g) x + pi/4)`: random features of the radial basis function.
//!
//! `V = exp(-g (a + b - 2c))`, which is `exp(-g |h - h'|^2)` per unit, and `Vd = 2g V`; mean `exp(-g q)`.
//! Rahimi and Recht 2007.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, SQRT_2};

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Smoothness};
use crate::dual::closed_form::{ClosedForm, GaussianPair, Visitor};
use crate::dual::near::{NearDual, NearPair};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct Rbf {
    pub(super) gamma: f64,
}

impl Rbf {
    fn frequency(&self) -> f64 {
        (2.0 * self.gamma).sqrt()
    }
}

impl ActivationFunction for Rbf {
    const NAME: &'static str = "rbf";

    fn value(&self, x: f64) -> f64 {
        SQRT_2 * (self.frequency() * x + FRAC_PI_4).sin()
    }

    fn derivative(&self, x: f64) -> f64 {
        SQRT_2 * self.frequency() * (self.frequency() * x + FRAC_PI_4).cos()
    }

    fn formulas(&self) -> [Formula; 2] {
        let argument = || input() * constant(self.frequency()) + constant(FRAC_PI_4);
        [argument().sin() * constant(SQRT_2), argument().cos() * constant(SQRT_2 * self.frequency())]
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::analytic(FRAC_PI_2 / self.frequency().max(1.0))
    }

    fn near(&self, pair: &NearPair) -> Option<NearDual> {
        let [left, right] = pair.roots;
        let square = match pair.sign < 0.0 {
            false => pair.difference.powi(2) + 2.0 * pair.root() * pair.complement,
            true => (left + right).powi(2) - 2.0 * pair.root() * pair.complement,
        };
        let image = NearPair::new([1.0; 2], 0.0, -(-self.gamma * square).exp_m1());
        Some(NearDual { pair: image, slope: 2.0 * self.gamma * image.covariance() })
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(*self))
    }

    fn mean(&self, q: f64) -> Option<f64> {
        Some((-self.gamma * q).exp())
    }
}

impl ClosedForm for Rbf {
    #[inline(always)]
    fn dual<T: Real>(&self, GaussianPair { a, c, b, .. }: GaussianPair<T>) -> [T; 2] {
        let value = (T::of(-self.gamma) * ((a - c) + (b - c))).exp();
        [value, T::of(2.0 * self.gamma) * value]
    }
}
