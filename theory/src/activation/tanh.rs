//! `phi(x) = tanh(x)`; poles at `+- i pi/2`, no closed form.

use std::f64::consts::FRAC_PI_2;

use super::formula::{Formula, constant, input};
use super::member::{Member, Parity, Smoothness};

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl Member for Tanh {
    const NAME: &'static str = "tanh";

    fn value(&self, x: f64) -> f64 {
        x.tanh()
    }

    fn derivative(&self, x: f64) -> f64 {
        1.0 - x.tanh().powi(2)
    }

    fn formulas(&self) -> [Formula; 2] {
        [input().tanh(), -input().tanh().powi(2) + constant(1.0)]
    }

    fn parity(&self) -> Option<Parity> {
        Some(Parity::Odd)
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::analytic(FRAC_PI_2)
    }

    fn mean(&self, _q: f64) -> Option<f64> {
        Some(0.0)
    }
}
