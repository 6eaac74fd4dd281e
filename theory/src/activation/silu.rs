//! `phi(x) = x / (1 + exp(-x))`, also called swish; poles at `+- i pi`, no closed form.

use std::f64::consts::PI;

use super::formula::{Formula, constant, input};
use super::member::{Member, Smoothness};
use super::sigmoid::sigmoid;

#[derive(Clone, Copy)]
pub(super) struct Silu;

impl Member for Silu {
    const NAME: &'static str = "silu";

    fn value(&self, x: f64) -> f64 {
        x * sigmoid(x)
    }

    fn derivative(&self, x: f64) -> f64 {
        let s = sigmoid(x);
        s * (1.0 + x * (1.0 - s))
    }

    fn formulas(&self) -> [Formula; 2] {
        let s = input().sigmoid();
        [input() * s.clone(), s.clone() * (input() * (-s + constant(1.0)) + constant(1.0))]
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::analytic(PI)
    }
}
