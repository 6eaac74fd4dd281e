//! Formulas that are a member of [`Activation`] in other words, or a line with a kink at zero: they have its closed form.

use super::Activation;
use super::formula::{Elementary, Formula, FormulaNode};
use super::tape::Tape;
use crate::dual::closed_form::{ClosedForm, GaussianPair, Visitor};
use crate::dual::real::Real;

/// A member that has the duals of a formula.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Twin {
    /// The same function.
    Named(Activation),
    /// `scale` times a leaky rectifier of `x` or `-x`.
    Line {
        /// The factor.
        scale: f64,
        /// Of the rectifier.
        slope: f64,
    },
}

impl Twin {
    /// The member that a formula is.
    pub(super) fn of(value: &Formula, tape: &Tape, kinks: &[f64]) -> Option<Self> {
        let members = [
            Activation::Identity,
            Activation::Relu,
            Activation::Abs,
            Activation::Erf,
            Activation::Tanh,
            Activation::Gelu,
            Activation::Silu,
            Activation::Softplus,
            Activation::Gaussian,
            Activation::Sigmoid,
            Activation::Exp,
            Activation::Sign,
        ];
        if let Some(member) = members.into_iter().find(|member| member.formula() == *value) {
            return Some(Twin::Named(member));
        }
        if let FormulaNode::Apply(function @ (Elementary::Sin | Elementary::Cos), argument) = value.operation() {
            let [phase, frequency] = line(argument)?;
            return Some(Twin::Named(match function {
                Elementary::Sin => Activation::Sin { frequency, phase },
                _ => Activation::Cos { frequency, phase },
            }));
        }
        let at_zero_only = kinks.iter().all(|kink| *kink == 0.0) && tape.value(0.0) == 0.0;
        if !(tape.is_piecewise_linear() && at_zero_only) {
            return None;
        }
        let (above, below) = (tape.value(1.0), -tape.value(-1.0));
        // Of a function that is zero above, the mirror image.
        Some(if above != 0.0 {
            Twin::Line { scale: above, slope: below / above }
        } else {
            Twin::Line { scale: -below, slope: 0.0 }
        })
    }
}

/// `[constant, slope]` of a formula that is a straight line.
fn line(formula: &Formula) -> Option<[f64; 2]> {
    match formula.operation() {
        FormulaNode::Input => Some([0.0, 1.0]),
        FormulaNode::Constant(c) => Some([*c, 0.0]),
        FormulaNode::Sum(left, right) => {
            let (left, right) = (line(left)?, line(right)?);
            Some([left[0] + right[0], left[1] + right[1]])
        }
        FormulaNode::Product(left, right) => match (line(left)?, line(right)?) {
            ([factor, 0.0], line) | (line, [factor, 0.0]) => Some(line.map(|part| factor * part)),
            _ => None,
        },
        FormulaNode::Apply(Elementary::Negate, inner) => line(inner).map(|line| line.map(|part| -part)),
        FormulaNode::Apply(..) | FormulaNode::Power(..) => None,
    }
}

/// Passes on a closed form with both duals multiplied.
pub(super) struct Scaled<V> {
    pub(super) visitor: V,
    pub(super) square: f64,
}

#[derive(Clone, Copy)]
struct ScaledForm<F> {
    form: F,
    square: f64,
}

impl<V: Visitor> Visitor for Scaled<V> {
    type Output = V::Output;

    fn visit(self, form: impl ClosedForm) -> V::Output {
        self.visitor.visit(ScaledForm { form, square: self.square })
    }
}

impl<F: ClosedForm> ClosedForm for ScaledForm<F> {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: GaussianPair<T>) -> [T; 2] {
        let [value, derivative] = self.form.dual(pair);
        [T::of(self.square) * value, T::of(self.square) * derivative]
    }
}
