//! `phi(x) = max(x, 0)`: [`leaky_relu`](super::leaky_relu) with slope 0, whose duals it shares.

use super::formula::{Formula, input};
use super::leaky_relu::LeakyRelu;
use super::member::{ActivationFunction, Smoothness};
use crate::dual::Dual;
use crate::dual::closed_form::Visitor;
use crate::dual::near::{NearDual, NearPair};

#[derive(Clone, Copy)]
pub(super) struct Relu;

const SHARED: LeakyRelu = LeakyRelu { slope: 0.0 };

impl ActivationFunction for Relu {
    const NAME: &'static str = "relu";

    fn value(&self, x: f64) -> f64 {
        x.max(0.0)
    }

    fn derivative(&self, x: f64) -> f64 {
        if x > 0.0 { 1.0 } else { 0.0 }
    }

    fn formulas(&self) -> [Formula; 2] {
        [input().relu(), input().step()]
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
