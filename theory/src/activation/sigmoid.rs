//! `phi(x) = 1 / (1 + exp(-x)) = (1 + tanh(x/2))/2`; poles at `+- i pi`; duals are those of [`Logistic`].

use std::f64::consts::PI;

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Smoothness};
use crate::dual::Logistic;

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

/// `1 / (1 + exp(-x))`.
pub(super) fn sigmoid(x: f64) -> f64 {
    // Both branches avoid overflow of exp.
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

impl ActivationFunction for Sigmoid {
    const NAME: &'static str = "sigmoid";

    fn value(&self, x: f64) -> f64 {
        sigmoid(x)
    }

    fn derivative(&self, x: f64) -> f64 {
        // Not s (1 - s), which cancels.
        sigmoid(x) * sigmoid(-x)
    }

    fn formulas(&self) -> [Formula; 2] {
        let s = input().sigmoid();
        [s.clone(), s.clone() * (-s + constant(1.0))]
    }

    fn logistic(&self) -> Option<Logistic> {
        Some(Logistic::Sigmoid)
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::settling(PI, 40.0)
    }
}
