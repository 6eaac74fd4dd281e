//! `phi(x) = cos(w x + p)`, the sum of `cos(p) cos(w x)` and `-sin(p) sin(w x)`: the duals are those of [`sin`](super::sin).

use super::formula::{Formula, constant};
use super::member::{ActivationFunction, Parity, Smoothness};
use super::sin::{Sin, Wave};
use super::wave;
use crate::dual::closed_form::Visitor;
use crate::dual::near::{NearDual, NearPair};

#[derive(Clone, Copy)]
pub(super) struct Cos {
    pub(super) frequency: f64,
    pub(super) phase: f64,
}

impl Cos {
    /// The sine with the same argument.
    fn sine(&self) -> Sin {
        Sin { frequency: self.frequency, phase: self.phase }
    }

    fn argument(&self) -> Formula {
        self.sine().argument()
    }
}

impl ActivationFunction for Cos {
    const NAME: &'static str = "cos";

    fn value(&self, x: f64) -> f64 {
        (self.frequency * x + self.phase).cos()
    }

    fn derivative(&self, x: f64) -> f64 {
        -self.frequency * (self.frequency * x + self.phase).sin()
    }

    fn formulas(&self) -> [Formula; 2] {
        [self.argument().cos(), self.argument().sin() * constant(-self.frequency)]
    }

    fn parity(&self) -> Parity {
        // The cosine of twice the phase, as the duals see it.
        match (2.0 * self.phase).cos() {
            1.0 => Parity::Even,
            -1.0 => Parity::Odd,
            _ => Parity::Neither,
        }
    }

    fn smoothness(&self) -> Smoothness {
        self.sine().smoothness()
    }

    fn near(&self, pair: &NearPair) -> Option<NearDual> {
        let (odd, even) = self.phase.sin_cos();
        Some(wave::near(self.frequency, odd * odd, even * even, pair))
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        let (odd, even) = self.phase.sin_cos();
        Some(visitor.visit(Wave { rate: self.frequency.powi(2), odd: odd * odd, even: even * even }))
    }

    fn mean(&self, q: f64) -> Option<f64> {
        Some(self.phase.cos() * (-0.5 * self.frequency.powi(2) * q).exp())
    }
}
