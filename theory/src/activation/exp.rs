//! `phi(x) = exp(x)`: `V = Vd = exp((a + b)/2 + c)`, mean `exp(q/2)`: the moment generating function of a Gaussian.

use std::f64::consts::FRAC_PI_2;

use super::formula::{Formula, input};
use super::member::{Member, Smoothness};
use crate::dual::closed_form::{ClosedForm, Pair, Visitor};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct Exp;

impl Member for Exp {
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

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(*self))
    }

    fn mean(&self, q: f64) -> Option<f64> {
        Some((0.5 * q).exp())
    }
}

impl ClosedForm for Exp {
    #[inline(always)]
    fn dual<T: Real>(&self, Pair { a, c, b, .. }: Pair<T>) -> [T; 2] {
        let value = (T::of(0.5) * (a + b) + c).exp();
        [value, value]
    }
}
