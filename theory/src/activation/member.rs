//! What a member of [`Activation`](super::Activation) says about itself.

use std::f64::consts::FRAC_PI_2;

use super::formula::Formula;
use crate::dual::closed_form::Visitor;
use crate::dual::near::{NearDual, NearPair, Norms};
use crate::dual::{Dual, HermiteSeries, Logistic};

/// One elementwise nonlinearity.
pub(crate) trait ActivationFunction {
    /// The name used in configurations and file columns, without parameters.
    const NAME: &'static str;

    /// `phi(x)`.
    fn value(&self, x: f64) -> f64;

    /// `phi'(x)`; at a kink as automatic differentiation has it.
    fn derivative(&self, x: f64) -> f64;

    /// `phi` and `phi'` as formulas for tensors: the same functions, written so that nothing overflows in f32.
    fn formulas(&self) -> [Formula; 2];

    /// What quadrature must know.
    fn smoothness(&self) -> Smoothness;

    /// What becomes of a pair near collinear, norms and complement alike, where there is a formula of its own.
    fn near(&self, _pair: &NearPair) -> Option<NearDual> {
        None
    }

    /// `[V(a, sqrt(ab), b) - V(a, c, b), Vd(a, c, b)]` of a pair with positive correlation, free of cancellation.
    fn descent(&self, _pair: &NearPair) -> Option<[f64; 2]> {
        None
    }

    /// The norms of a pair near collinear, free of cancellation; `None` also for pairs that the formula does not cover.
    fn norms(&self, _pair: &NearPair) -> Option<Norms> {
        None
    }

    /// `Vd` of a pair, free of cancellation, where [`ActivationFunction::descent`] has no formula.
    fn near_slope(&self, _pair: &NearPair) -> Option<f64> {
        None
    }

    /// Shows `visitor` the closed form, if there is one.
    fn visit<V: Visitor>(&self, _visitor: V) -> Option<V::Output> {
        None
    }

    /// Both duals at `a = c = b = q` where the closed form would lose digits.
    fn diagonal(&self, _q: f64) -> Option<Dual> {
        None
    }

    /// `phi(x)` and `phi'(x)`.
    fn both(&self, x: f64) -> [f64; 2] {
        [self.value(x), self.derivative(x)]
    }

    /// Whether `phi(-x)` is `-phi(x)` or `phi(x)`.
    fn parity(&self) -> Parity {
        Parity::Neither
    }

    /// The same function as an average over closed forms, if it is one.
    fn logistic(&self) -> Option<Logistic> {
        None
    }

    /// `E phi(sqrt(q) z)` in closed form.
    fn mean(&self, _q: f64) -> Option<f64> {
        None
    }

    /// The Hermite series where it is finite.
    fn finite_series(&self, _q: f64) -> Option<HermiteSeries> {
        None
    }

    /// The slope below zero of a function that is the identity above it, up to scale homogeneous of degree one.
    fn negative_slope(&self) -> Option<f64> {
        None
    }
}

/// Where a function is not analytic, and how fast it varies where it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Smoothness {
    /// Points at which the function or a derivative jumps, ascending.
    pub(crate) kinks: Vec<f64>,
    /// Whether the function itself jumps at a kink.
    pub(crate) jumps: bool,
    /// Half-width of the strip around the real axis in which every piece is analytic and of moderate size.
    pub(crate) strip: f64,
    /// What is beyond.
    pub(crate) tails: Tails,
}

/// What a function does to the sign of its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parity {
    /// `phi(-x) = -phi(x)`.
    Odd,
    /// `phi(-x) = phi(x)`.
    Even,
    /// None of the two.
    Neither,
}

impl Parity {
    /// That of the derivative.
    pub(crate) fn flipped(self) -> Self {
        match self {
            Self::Odd => Self::Even,
            Self::Even => Self::Odd,
            Self::Neither => Self::Neither,
        }
    }
}

/// How a function goes on far from zero, so that large variances cost no more than their logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tails {
    /// At larger `|x|` a polynomial on each side, to rounding.
    Polynomial(f64),
    /// At larger `|x|` analytic in a sector, so that pieces may grow with their distance from zero; a polynomial on each side, to
    /// rounding, in the end.
    Graded {
        /// Where the pieces begin to grow.
        from: f64,
        /// Where it is a polynomial, infinite if nowhere.
        until: f64,
    },
    /// No wider pieces than near zero: oscillations go on.
    Uniform,
}

impl Smoothness {
    /// Analytic, with poles or fast growth at `+- i strip`.
    pub(crate) fn analytic(strip: f64) -> Self {
        Self { kinks: Vec::new(), jumps: false, strip, tails: Tails::Uniform }
    }

    /// Analytic with poles or fast growth on the imaginary axis from `+- i strip` on, and to rounding a polynomial where `|x|` is more
    /// than `until`.
    pub(crate) fn settling(strip: f64, until: f64) -> Self {
        Self { tails: Tails::Graded { from: 2.0 * strip, until }, ..Self::analytic(strip) }
    }

    /// A polynomial.
    pub(crate) fn polynomial() -> Self {
        Self { tails: Tails::Polynomial(0.0), ..Self::analytic(f64::INFINITY) }
    }

    /// Straight lines but for a kink at zero.
    pub(crate) fn kinked(jumps: bool) -> Self {
        Self { kinks: vec![0.0], jumps, ..Self::polynomial() }
    }

    /// How much faster than tanh the function varies: divides the step of every trapezoid rule.
    pub(crate) fn rate(&self) -> f64 {
        FRAC_PI_2 / self.strip
    }
}
