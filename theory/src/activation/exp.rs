//! `phi(x) = exp(x)`: `V = Vd = exp((a + b)/2 + c)`, mean `exp(q/2)`: the moment generating function of a Gaussian.

use std::f64::consts::FRAC_PI_2;

use super::formula::{Formula, input};
use super::member::{ActivationFunction, Smoothness};
use crate::dual::closed_form::{ClosedForm, GaussianPair, Visitor};
use crate::dual::near::{NearDual, NearPair};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct Exp;

impl ActivationFunction for Exp {
    const NAME: &'static str = "exp";

    fn value(&self, x: f64) -> f64 {
        x.exp()
    }

    fn derivative(&self, x: f64) -> f64 {
        x.exp()
    }

    fn formulas(&self) -> [Formula; 2] {
        [input().exp(), input().exp()]
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::analytic(FRAC_PI_2)
    }

    fn near(&self, pair: &NearPair) -> Option<NearDual> {
        // (u, v) = (a, b) in norm: V / sqrt(V V) = exp(-(root_a - root_b)^2/2 - root u), or with the sum of the norms if opposite.
        let [left, right] = pair.roots;
        let moments = [left, right].map(|root| (root * root).exp());
        let missing = match pair.sign < 0.0 {
            false => 0.5 * pair.difference.powi(2) + pair.root() * pair.complement,
            true => 0.5 * (left + right).powi(2) - pair.root() * pair.complement,
        };
        let difference = moments[1] * (pair.difference * (left + right)).exp_m1();
        let image = NearPair::new(moments, difference, -(-missing).exp_m1());
        Some(NearDual { pair: image, slope: image.covariance() })
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(*self))
    }

    fn mean(&self, q: f64) -> Option<f64> {
        Some((0.5 * q).exp())
    }
}

impl ClosedForm for Exp {
    #[inline(always)]
    fn dual<T: Real>(&self, GaussianPair { a, c, b, .. }: GaussianPair<T>) -> [T; 2] {
        let value = (T::of(0.5) * (a + b) + c).exp();
        [value, value]
    }
}
