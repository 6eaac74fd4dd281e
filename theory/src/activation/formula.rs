//! Formulas as data: one description that theory evaluates in f64 and the network on tensors.
//!
//! A formula is a tree whose common parts may be shared; an interpreter walks it over [`Formula::operation`].

use std::collections::HashMap;
use std::ops::{Add, Mul, Neg, Sub};
use std::sync::Arc;

use super::tape::Tape;

/// A function of `x`.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula(Arc<FormulaNode>);

/// What the outermost operation of a [`Formula`] is.
#[derive(Debug, Clone, PartialEq)]
pub enum FormulaNode {
    /// `x`.
    Input,
    /// A number.
    Constant(f64),
    /// The sum of both.
    Sum(Formula, Formula),
    /// The product of both.
    Product(Formula, Formula),
    /// The whole power, with an exponent of at least 2.
    Power(Formula, u32),
    /// A function of the formula.
    Apply(Elementary, Formula),
}

/// The functions of one variable that formulas are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Elementary {
    /// `-u`.
    Negate,
    /// `1/u`.
    Reciprocal,
    /// `e^u`.
    Exp,
    /// `ln(1 + u)`.
    Log1p,
    /// `tanh(u)`.
    Tanh,
    /// `1 / (1 + e^-u)`.
    Sigmoid,
    /// `ln(1 + e^u)`.
    Softplus,
    /// `erf(u)`.
    Erf,
    /// `sin(u)`.
    Sin,
    /// `cos(u)`.
    Cos,
    /// `max(u, 0)`.
    Relu,
    /// `|u|`.
    Abs,
    /// 1 for positive `u`, else 0.
    Step,
    /// -1, 0 or 1.
    Sign,
}

impl Elementary {
    /// The function in f64.
    pub fn evaluate(self, u: f64) -> f64 {
        match self {
            Self::Negate => -u,
            Self::Reciprocal => 1.0 / u,
            Self::Exp => u.exp(),
            Self::Log1p => u.ln_1p(),
            Self::Tanh => u.tanh(),
            Self::Sigmoid => super::sigmoid::sigmoid(u),
            Self::Softplus => u.max(0.0) + (-u.abs()).exp().ln_1p(),
            Self::Erf => libm::erf(u),
            Self::Sin => u.sin(),
            Self::Cos => u.cos(),
            Self::Relu => u.max(0.0),
            Self::Abs => u.abs(),
            Self::Step => f64::from(u > 0.0),
            Self::Sign => f64::from(u > 0.0) - f64::from(u < 0.0),
        }
    }

    /// The derivative as a formula of the argument; the jumps of `step` and `sign` are passed over.
    fn derivative(self, u: Formula) -> Formula {
        let one = || constant(1.0);
        match self {
            Self::Negate => constant(-1.0),
            Self::Reciprocal => -u.powi(2).reciprocal(),
            Self::Exp => u.exp(),
            Self::Log1p => (one() + u).reciprocal(),
            Self::Tanh => one() - u.tanh().powi(2),
            Self::Sigmoid => {
                let s = u.sigmoid();
                s.clone() * (one() - s)
            }
            Self::Softplus => u.sigmoid(),
            Self::Erf => constant(std::f64::consts::FRAC_2_SQRT_PI) * (-u.powi(2)).exp(),
            Self::Sin => u.cos(),
            Self::Cos => -u.sin(),
            Self::Relu => u.step(),
            Self::Abs => u.sign(),
            Self::Step | Self::Sign => constant(0.0),
        }
    }

    /// The derivative in f64, 0 at a jump, without cancellation where the function settles.
    pub(crate) fn slope(self, u: f64) -> f64 {
        match self {
            Self::Negate => -1.0,
            Self::Reciprocal => -(1.0 / u).powi(2),
            Self::Exp => u.exp(),
            Self::Log1p => 1.0 / (1.0 + u),
            Self::Tanh => u.cosh().powi(2).recip(),
            Self::Sigmoid => super::sigmoid::sigmoid(u) * super::sigmoid::sigmoid(-u),
            Self::Softplus => super::sigmoid::sigmoid(u),
            Self::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-u * u).exp(),
            Self::Sin => u.cos(),
            Self::Cos => -u.sin(),
            Self::Relu => f64::from(u > 0.0),
            Self::Abs => f64::from(u > 0.0) - f64::from(u < 0.0),
            Self::Step | Self::Sign => 0.0,
        }
    }

    /// Whether the function or its derivative jumps where its argument is 0.
    pub(crate) fn has_kink(self) -> bool {
        matches!(self, Self::Relu | Self::Abs | Self::Step | Self::Sign)
    }
}

/// `x`.
pub fn input() -> Formula {
    Formula(Arc::new(FormulaNode::Input))
}

/// The number `value` for all `x`.
pub fn constant(value: f64) -> Formula {
    Formula(Arc::new(FormulaNode::Constant(value)))
}

macro_rules! apply {
    ($($(#[$doc:meta])* $method:ident $function:ident;)*) => {
        impl Formula {
            $($(#[$doc])*
            #[must_use]
            pub fn $method(self) -> Self {
                self.apply(Elementary::$function)
            })*
        }
    };
}

apply! {
    /// `1/self`.
    reciprocal Reciprocal;
    /// `e^self`.
    exp Exp;
    /// `ln(1 + self)`.
    log1p Log1p;
    /// `tanh(self)`.
    tanh Tanh;
    /// `1 / (1 + e^-self)`.
    sigmoid Sigmoid;
    /// `ln(1 + e^self)`.
    softplus Softplus;
    /// `erf(self)`.
    erf Erf;
    /// `sin(self)`.
    sin Sin;
    /// `cos(self)`.
    cos Cos;
    /// `max(self, 0)`.
    relu Relu;
    /// `|self|`.
    abs Abs;
    /// 1 where positive, else 0.
    step Step;
    /// -1, 0 or 1.
    sign Sign;
}

impl Formula {
    /// The outermost operation, over the formulas inside.
    pub fn operation(&self) -> &FormulaNode {
        &self.0
    }

    /// An address that shared parts of a formula have in common.
    pub fn identity(&self) -> *const FormulaNode {
        Arc::as_ptr(&self.0)
    }

    /// Whether this part may occur more than once in the whole.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// `function(self)`; numbers are evaluated.
    #[must_use]
    pub fn apply(self, function: Elementary) -> Self {
        match *self.0 {
            FormulaNode::Constant(c) => constant(function.evaluate(c)),
            _ => Self(Arc::new(FormulaNode::Apply(function, self))),
        }
    }

    /// `self^exponent`.
    #[must_use]
    pub fn powi(self, exponent: u32) -> Self {
        match (exponent, self.operation()) {
            (0, _) => constant(1.0),
            (1, _) => self,
            (_, FormulaNode::Constant(c)) => constant(c.powi(exponent as i32)),
            _ => Self(Arc::new(FormulaNode::Power(self, exponent))),
        }
    }

    fn number(&self) -> Option<f64> {
        match *self.0 {
            FormulaNode::Constant(c) => Some(c),
            _ => None,
        }
    }

    /// The value at `x`.
    pub fn evaluate(&self, x: f64) -> f64 {
        Tape::new(self).value(x)
    }

    /// The derivative by `x`; where a part jumps, that of either side.
    #[must_use]
    pub fn derivative(&self) -> Self {
        self.derivative_with(&mut HashMap::new())
    }

    /// The derivative, with those of shared parts `known`: a part that occurs twice at every level would double the work at each.
    fn derivative_with(&self, known: &mut HashMap<*const FormulaNode, Self>) -> Self {
        if let Some(derivative) = known.get(&self.identity()) {
            return derivative.clone();
        }
        let derivative = match self.operation() {
            FormulaNode::Input => constant(1.0),
            FormulaNode::Constant(_) => constant(0.0),
            FormulaNode::Sum(left, right) => left.derivative_with(known) + right.derivative_with(known),
            FormulaNode::Product(left, right) => {
                left.derivative_with(known) * right.clone() + left.clone() * right.derivative_with(known)
            }
            FormulaNode::Power(base, exponent) => {
                constant(f64::from(*exponent)) * base.clone().powi(exponent - 1) * base.derivative_with(known)
            }
            FormulaNode::Apply(function, argument) => {
                function.derivative(argument.clone()) * argument.derivative_with(known)
            }
        };
        if self.is_shared() {
            known.insert(self.identity(), derivative.clone());
        }
        derivative
    }
}

impl Add for Formula {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        match (self.number(), other.number()) {
            (Some(left), Some(right)) => constant(left + right),
            (Some(0.0), _) => other,
            (_, Some(0.0)) => self,
            _ => Self(Arc::new(FormulaNode::Sum(self, other))),
        }
    }
}

impl Mul for Formula {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        match (self.number(), other.number()) {
            (Some(left), Some(right)) => constant(left * right),
            (Some(0.0), _) | (_, Some(0.0)) => constant(0.0),
            (Some(1.0), _) => other,
            (_, Some(1.0)) => self,
            _ => Self(Arc::new(FormulaNode::Product(self, other))),
        }
    }
}

impl Neg for Formula {
    type Output = Self;

    fn neg(self) -> Self {
        self.apply(Elementary::Negate)
    }
}

impl Sub for Formula {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}
