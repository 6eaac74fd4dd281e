//! `phi(x) = x / (1 + exp(-x))`, also called swish; poles at `+- i pi`; duals are those of [`Logistic`].

use std::f64::consts::PI;

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Smoothness};
use super::sigmoid::sigmoid;
use crate::dual::Logistic;

#[derive(Clone, Copy)]
pub(super) struct Silu;

impl ActivationFunction for Silu {
    const NAME: &'static str = "silu";

    fn value(&self, x: f64) -> f64 {
        x * sigmoid(x)
    }

    fn derivative(&self, x: f64) -> f64 {
        sigmoid(x) * (1.0 + x * sigmoid(-x))
    }

    fn formulas(&self) -> [Formula; 2] {
        let s = input().sigmoid();
        [input() * s.clone(), s.clone() * (input() * (-s + constant(1.0)) + constant(1.0))]
    }

    fn logistic(&self) -> Option<Logistic> {
        Some(Logistic::Silu)
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::settling(PI, 45.0)
    }
}
