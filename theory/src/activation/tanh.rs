//! `phi(x) = tanh(x)`; poles at `+- i pi/2`; duals are those of [`Logistic`].

use std::f64::consts::FRAC_PI_2;

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Parity, Smoothness};
use crate::dual::Logistic;

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl ActivationFunction for Tanh {
    const NAME: &'static str = "tanh";

    fn value(&self, x: f64) -> f64 {
        x.tanh()
    }

    fn derivative(&self, x: f64) -> f64 {
        // Not 1 - tanh^2, which cancels; the square of cosh may overflow to a derivative of zero.
        x.cosh().powi(2).recip()
    }

    fn formulas(&self) -> [Formula; 2] {
        [input().tanh(), -input().tanh().powi(2) + constant(1.0)]
    }

    fn logistic(&self) -> Option<Logistic> {
        Some(Logistic::Tanh)
    }

    fn parity(&self) -> Parity {
        Parity::Odd
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::settling(FRAC_PI_2, 20.0)
    }
}
