//! Formulas as lists of operations: shared parts are evaluated once, and value and derivative together.
//!
//! The derivative is that of forward differentiation, `(f(g))' = f'(g) g'`, one operation after the other.

use std::collections::HashMap;

use super::formula::{Elementary, Formula, FormulaNode};

/// Numbers that an evaluation keeps without asking for memory.
const SHORT: usize = 64;

#[derive(Debug, Clone, Copy)]
enum TapeOperation {
    Input,
    Constant(f64),
    Sum(usize, usize),
    Product(usize, usize),
    Power(usize, i32),
    Apply(Elementary, usize),
}

/// The operations of a formula, arguments before results; the last is the formula.
#[derive(Debug)]
pub(super) struct Tape {
    operations: Vec<TapeOperation>,
}

impl Tape {
    /// Of a formula.
    pub(super) fn new(formula: &Formula) -> Self {
        let mut tape = Self { operations: Vec::new() };
        tape.push(formula, &mut HashMap::new());
        tape
    }

    fn push(&mut self, formula: &Formula, known: &mut HashMap<*const FormulaNode, usize>) -> usize {
        if let Some(index) = known.get(&formula.identity()) {
            return *index;
        }
        let operation = match formula.operation() {
            FormulaNode::Input => TapeOperation::Input,
            FormulaNode::Constant(c) => TapeOperation::Constant(*c),
            FormulaNode::Sum(left, right) => TapeOperation::Sum(self.push(left, known), self.push(right, known)),
            FormulaNode::Product(left, right) => {
                TapeOperation::Product(self.push(left, known), self.push(right, known))
            }
            FormulaNode::Power(base, exponent) => TapeOperation::Power(self.push(base, known), *exponent as i32),
            FormulaNode::Apply(function, argument) => TapeOperation::Apply(*function, self.push(argument, known)),
        };
        self.operations.push(operation);
        let index = self.operations.len() - 1;
        known.insert(formula.identity(), index);
        index
    }

    /// The value at `x`.
    pub(super) fn value(&self, x: f64) -> f64 {
        self.with_numbers(|numbers: &mut [f64]| {
            self.fill(x, numbers);
            numbers.last().copied().unwrap_or(0.0)
        })
    }

    /// Value and derivative at `x`.
    pub(super) fn both(&self, x: f64) -> [f64; 2] {
        self.with_numbers(|numbers: &mut [[f64; 2]]| {
            for (index, operation) in self.operations.iter().enumerate() {
                numbers[index] = match *operation {
                    TapeOperation::Input => [x, 1.0],
                    TapeOperation::Constant(c) => [c, 0.0],
                    TapeOperation::Sum(left, right) => {
                        let ([f, df], [g, dg]) = (numbers[left], numbers[right]);
                        [f + g, df + dg]
                    }
                    TapeOperation::Product(left, right) => {
                        let ([f, df], [g, dg]) = (numbers[left], numbers[right]);
                        [f * g, df * g + f * dg]
                    }
                    TapeOperation::Power(base, exponent) => {
                        let [f, df] = numbers[base];
                        let lower = f.powi(exponent - 1);
                        [lower * f, f64::from(exponent) * lower * df]
                    }
                    TapeOperation::Apply(function, argument) => {
                        let [u, du] = numbers[argument];
                        [function.evaluate(u), function.slope(u) * du]
                    }
                };
            }
            numbers.last().copied().unwrap_or([0.0; 2])
        })
    }

    /// Calls `visit` with the sign of the argument of every function with a kink, in order.
    pub(super) fn kinked_signs(&self, x: f64, mut visit: impl FnMut(i8)) {
        self.with_numbers(|numbers: &mut [f64]| {
            self.fill(x, numbers);
            for operation in &self.operations {
                if let TapeOperation::Apply(function, argument) = operation
                    && function.has_kink()
                {
                    visit(i8::from(numbers[*argument] > 0.0) - i8::from(numbers[*argument] < 0.0));
                }
            }
        });
    }

    /// Whether the formula is a polynomial between its kinks.
    pub(super) fn is_piecewise_polynomial(&self) -> bool {
        self.operations.iter().all(|operation| match operation {
            TapeOperation::Apply(function, _) => function.has_kink() || *function == Elementary::Negate,
            _ => true,
        })
    }

    /// Whether the formula is a straight line between its kinks, which do not make it jump.
    pub(super) fn is_piecewise_linear(&self) -> bool {
        let is_constant = |index: usize| matches!(self.operations[index], TapeOperation::Constant(_));
        self.operations.iter().all(|operation| match *operation {
            TapeOperation::Apply(function, _) => {
                matches!(function, Elementary::Negate | Elementary::Relu | Elementary::Abs)
            }
            TapeOperation::Product(left, right) => is_constant(left) || is_constant(right),
            TapeOperation::Power(..) => false,
            TapeOperation::Input | TapeOperation::Constant(_) | TapeOperation::Sum(..) => true,
        })
    }

    fn fill(&self, x: f64, numbers: &mut [f64]) {
        for (index, operation) in self.operations.iter().enumerate() {
            numbers[index] = match *operation {
                TapeOperation::Input => x,
                TapeOperation::Constant(c) => c,
                TapeOperation::Sum(left, right) => numbers[left] + numbers[right],
                TapeOperation::Product(left, right) => numbers[left] * numbers[right],
                TapeOperation::Power(base, exponent) => numbers[base].powi(exponent),
                TapeOperation::Apply(function, argument) => function.evaluate(numbers[argument]),
            };
        }
    }

    /// Calls `work` with one number an operation.
    fn with_numbers<T: Copy + Default, R>(&self, work: impl FnOnce(&mut [T]) -> R) -> R {
        let count = self.operations.len();
        if count <= SHORT {
            return work(&mut [T::default(); SHORT][..count]);
        }
        work(&mut vec![T::default(); count])
    }
}
