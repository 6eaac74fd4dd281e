//! `phi(x) = |x|`: [`leaky_relu`](super::leaky_relu) with slope -1, whose duals it shares.

use super::formula::{Formula, input};
use super::leaky_relu::LeakyRelu;
use super::member::{ActivationFunction, Parity, Smoothness};
use crate::dual::Dual;
use crate::dual::closed_form::Visitor;
use crate::dual::near::{NearDual, NearPair};

#[derive(Clone, Copy)]
pub(super) struct Abs;

const SHARED: LeakyRelu = LeakyRelu { slope: -1.0 };

impl ActivationFunction for Abs {
    const NAME: &'static str = "abs";

    fn value(&self, x: f64) -> f64 {
        x.abs()
    }

    fn derivative(&self, x: f64) -> f64 {
        if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            0.0
        }
    }

    fn formulas(&self) -> [Formula; 2] {
        [input().abs(), input().sign()]
    }

    fn parity(&self) -> Parity {
        Parity::Even
    }

    fn smoothness(&self) -> Smoothness {
        SHARED.smoothness()
    }

    fn near(&self, pair: &NearPair) -> Option<NearDual> {
        SHARED.near(pair)
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        SHARED.visit(visitor)
    }

    fn diagonal(&self, q: f64) -> Option<Dual> {
        SHARED.diagonal(q)
    }

    fn mean(&self, q: f64) -> Option<f64> {
        SHARED.mean(q)
    }

    fn negative_slope(&self) -> Option<f64> {
        SHARED.negative_slope()
    }
}
