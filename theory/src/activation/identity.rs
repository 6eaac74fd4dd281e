//! `phi(x) = x`, for linear networks: `V = c`, `Vd = 1`.

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Parity, Smoothness};
use crate::dual::closed_form::{ClosedForm, GaussianPair, Visitor};
use crate::dual::near::{NearDual, NearPair};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct Identity;

impl ActivationFunction for Identity {
    const NAME: &'static str = "identity";

    fn value(&self, x: f64) -> f64 {
        x
    }

    fn derivative(&self, _x: f64) -> f64 {
        1.0
    }

    fn formulas(&self) -> [Formula; 2] {
        [input(), constant(1.0)]
    }

    fn parity(&self) -> Parity {
        Parity::Odd
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::polynomial()
    }

    fn near(&self, pair: &NearPair) -> Option<NearDual> {
        Some(NearDual { pair: *pair, slope: 1.0 })
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(*self))
    }

    fn mean(&self, _q: f64) -> Option<f64> {
        Some(0.0)
    }
}

impl ClosedForm for Identity {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: GaussianPair<T>) -> [T; 2] {
        [pair.c, T::of(1.0)]
    }
}
