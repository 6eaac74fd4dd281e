//! Elementwise nonlinearities as data. The network and the kernel each interpret this one value.
//!
//! Each member has a file with its formulas, its duals and what quadrature must know of it; `with_member` lists them.

mod abs;
mod cos;
mod each;
mod erf;
mod exp;
mod expression;
pub mod formula;
mod gaussian;
mod gelu;
mod hermite;
mod identity;
mod leaky_relu;
mod member;
mod parse;
mod polynomial;
mod rbf;
mod relu;
mod sigmoid;
mod sign;
mod silu;
mod sin;
mod softplus;
mod tanh;
mod tape;
mod twin;
mod wave;

use serde::{Deserialize, Serialize};

pub use each::one_of_each;
pub use expression::Expression;
use formula::Formula;
pub(crate) use member::{ActivationFunction, Parity, Smoothness, Tails};
pub use parse::FormulaError;

use crate::dual::closed_form::Visitor;
use crate::dual::near::{NearDual, NearPair, Norms};
use crate::dual::{Dual, HermiteSeries, Logistic};
use crate::error::TheoryError;

/// `phi`, with an exact derivative for every member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` for positive `x`, else `slope * x`.
    LeakyRelu {
        /// Slope on the negative side.
        slope: f64,
    },
    /// `|x|`.
    Abs,
    /// `erf(x)`.
    Erf,
    /// `tanh(x)`.
    Tanh,
    /// `x Phi(x)`, exact, not the tanh approximation.
    Gelu,
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `sin(frequency x + phase)`.
    Sin {
        /// Angular frequency.
        frequency: f64,
        /// Phase in radians.
        phase: f64,
    },
    /// `cos(frequency x + phase)`.
    Cos {
        /// Angular frequency.
        frequency: f64,
        /// Phase in radians.
        phase: f64,
    },
    /// `exp(-x^2)`.
    Gaussian,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `sum_k coefficients[k] x^k`.
    Polynomial {
        /// Coefficients, constant first.
        coefficients: Vec<f64>,
    },
    /// `exp(x)`.
    Exp,
    /// -1, 0 or 1; trained by the readout only, since there is no tangent kernel.
    Sign,
    /// `sqrt(2) sin(sqrt(2 gamma) x + pi/4)`, whose dual is `exp(-gamma |u - v|^2)`.
    Rbf {
        /// Inverse squared length, 0 or above.
        gamma: f64,
    },
    /// The normalized Hermite polynomial `He_k(x)/sqrt(k!)`.
    Hermite {
        /// `k`, at most [`MAX_HERMITE_DEGREE`].
        degree: u32,
    },
    /// A function that the user writes.
    Expression {
        /// What was written, for instance `x * sigmoid(1.702 * x)`.
        formula: Expression,
    },
}

/// Beyond this degree a Hermite polynomial of a variance other than 1 loses its digits.
pub const MAX_HERMITE_DEGREE: u32 = 40;

/// Evaluates an expression of the [`ActivationFunction`] behind an [`Activation`].
macro_rules! with_member {
    ($activation:expr, $member:ident => $result:expr) => {
        with_member!($activation, $member => $result,
            Identity => identity::Identity,
            Relu => relu::Relu,
            LeakyRelu { slope } => leaky_relu::LeakyRelu { slope: *slope },
            Abs => abs::Abs,
            Erf => erf::ErrorFunction,
            Tanh => tanh::Tanh,
            Gelu => gelu::Gelu,
            Silu => silu::Silu,
            Softplus => softplus::Softplus,
            Sin { frequency, phase } => sin::Sin { frequency: *frequency, phase: *phase },
            Cos { frequency, phase } => cos::Cos { frequency: *frequency, phase: *phase },
            Gaussian => gaussian::Gaussian,
            Sigmoid => sigmoid::Sigmoid,
            Polynomial { coefficients } => polynomial::Polynomial { coefficients },
            Exp => exp::Exp,
            Sign => sign::Sign,
            Rbf { gamma } => rbf::Rbf { gamma: *gamma },
            Hermite { degree } => hermite::Hermite { degree: *degree },
            Expression { formula } => formula,
        )
    };
    ($activation:expr, $member:ident => $result:expr,
     $($variant:ident $({ $($field:ident),* })? => $construct:expr,)*) => {
        match $activation {
            $(Activation::$variant $({ $($field),* })? => {
                let $member = $construct;
                $result
            })*
        }
    };
}

/// The name of a member, from a value of it.
fn name_of<M: ActivationFunction>(_member: &M) -> &'static str {
    M::NAME
}

impl Activation {
    /// `phi(x)`.
    pub fn value(&self, x: f64) -> f64 {
        with_member!(self, member => member.value(x))
    }

    /// `phi'(x)`; at a kink the value that automatic differentiation has (`relu'(0) = 0`, `abs'(0) = 0`).
    pub fn derivative(&self, x: f64) -> f64 {
        with_member!(self, member => member.derivative(x))
    }

    /// The name used in configurations and file columns, without parameters.
    pub fn name(&self) -> &'static str {
        with_member!(self, member => name_of(&member))
    }

    /// `phi` as a formula, for other interpreters than this crate.
    pub fn formula(&self) -> Formula {
        let [value, _] = with_member!(self, member => member.formulas());
        value
    }

    /// `phi'` as a formula.
    pub fn derivative_formula(&self) -> Formula {
        let [_, derivative] = with_member!(self, member => member.formulas());
        derivative
    }

    /// `E phi(sqrt(q) z)`, `z ~ N(0, 1)`.
    pub fn mean(&self, q: f64) -> f64 {
        let closed = with_member!(self, member => member.mean(q));
        let closed = closed.or((self.parity() == Parity::Odd).then_some(0.0));
        closed.or_else(|| self.logistic().map(|function| function.mean(q))).unwrap_or_else(|| {
            let root = q.sqrt();
            self.expectation(q, |z| self.value(root * z))
        })
    }

    /// Whether `E[phi'(u) phi'(v)]` stays bounded as `u` and `v` approach each other, so that a tangent kernel exists.
    pub fn has_tangent_limit(&self) -> bool {
        !self.smoothness().jumps
    }

    /// An error where [`has_tangent_limit`](Self::has_tangent_limit) is false, for callers that train hidden layers.
    ///
    /// # Errors
    /// [`TheoryError::NoPrediction`] with the reason.
    pub fn require_tangent_limit(&self) -> Result<(), TheoryError> {
        if self.has_tangent_limit() {
            return Ok(());
        }
        let reason = format!(
            "{} jumps, so that E[phi'(u) phi'(v)] diverges as the correlation of u and v goes to 1 and the tangent kernel has no \
             infinite-width limit; train the readout only, or choose an activation without jumps",
            self.name()
        );
        Err(TheoryError::NoPrediction { reason })
    }

    pub(crate) fn smoothness(&self) -> Smoothness {
        with_member!(self, member => member.smoothness())
    }

    /// See [`ActivationFunction::near`].
    pub(crate) fn near_in_closed_form(&self, pair: &NearPair) -> Option<NearDual> {
        with_member!(self, member => member.near(pair))
    }

    /// See [`ActivationFunction::descent`].
    pub(crate) fn descent(&self, pair: &NearPair) -> Option<[f64; 2]> {
        with_member!(self, member => member.descent(pair))
    }

    /// See [`ActivationFunction::norms`].
    pub(crate) fn norms_in_closed_form(&self, pair: &NearPair) -> Option<Norms> {
        with_member!(self, member => member.norms(pair))
    }

    /// See [`ActivationFunction::near_slope`].
    pub(crate) fn near_slope(&self, pair: &NearPair) -> Option<f64> {
        with_member!(self, member => member.near_slope(pair))
    }

    /// Shows `visitor` the closed form of the duals; `None` if there is none.
    pub(crate) fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        with_member!(self, member => member.visit(visitor))
    }

    /// See [`ActivationFunction::diagonal`].
    pub(crate) fn short_diagonal(&self, q: f64) -> Option<Dual> {
        with_member!(self, member => member.diagonal(q))
    }

    /// `phi(x)` and `phi'(x)`.
    pub(crate) fn both(&self, x: f64) -> [f64; 2] {
        with_member!(self, member => member.both(x))
    }

    /// See [`ActivationFunction::parity`].
    pub(crate) fn parity(&self) -> Parity {
        with_member!(self, member => member.parity())
    }

    /// See [`ActivationFunction::logistic`].
    pub(crate) fn logistic(&self) -> Option<Logistic> {
        with_member!(self, member => member.logistic())
    }

    /// The Hermite series at variance `q` where it is finite.
    pub(crate) fn finite_series(&self, q: f64) -> Option<HermiteSeries> {
        with_member!(self, member => member.finite_series(q))
    }

    /// The slope on the negative side of a function with a kink at zero and straight sides.
    pub(crate) fn negative_slope(&self) -> Option<f64> {
        with_member!(self, member => member.negative_slope())
    }
}
