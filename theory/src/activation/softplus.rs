//! `phi(x) = ln(1 + exp(x))`; branch points at `+- i pi`; duals are those of [`Logistic`].

use std::f64::consts::PI;

use super::formula::{Elementary, Formula, input};
use super::member::{ActivationFunction, Smoothness};
use super::sigmoid::sigmoid;
use crate::dual::Logistic;

#[derive(Clone, Copy)]
pub(super) struct Softplus;

impl ActivationFunction for Softplus {
    const NAME: &'static str = "softplus";

    fn value(&self, x: f64) -> f64 {
        Elementary::Softplus.evaluate(x)
    }

    fn derivative(&self, x: f64) -> f64 {
        sigmoid(x)
    }

    fn formulas(&self) -> [Formula; 2] {
        [input().softplus(), input().sigmoid()]
    }

    fn logistic(&self) -> Option<Logistic> {
        Some(Logistic::Softplus)
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::settling(PI, 40.0)
    }
}
