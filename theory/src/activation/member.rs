//! What a member of [`Activation`](super::Activation) says about itself.

use std::f64::consts::FRAC_PI_2;

use super::formula::Formula;
use crate::dual::closed_form::Visitor;
use crate::dual::near::{NearDual, NearPair};
use crate::dual::{Dual, HermiteSeries};

/// One elementwise nonlinearity.
pub(crate) trait Member {
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

    /// Whether `phi` is odd or even.
    fn parity(&self) -> Option<Parity> {
        None
    }

    /// What becomes of a pair near collinear, norms and complement alike, where there is a formula of its own.
    fn near(&self, _pair: &NearPair) -> Option<NearDual> {
        None
    }

    /// `[V(a, sqrt(ab), b) - V(a, c, b), Vd(a, c, b)]` of a pair with positive correlation, free of cancellation.
    fn descent(&self, _pair: &NearPair) -> Option<[f64; 2]> {
        None
    }

    /// `Vd` of a pair, free of cancellation, where [`Member::descent`] has no formula.
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

/// A symmetry about zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parity {
    /// `phi(-x) = -phi(x)`.
    Odd,
    /// `phi(-x) = phi(x)`.
    Even,
}

impl Parity {
    /// Of a function known by its values and derivatives alone: what holds to the last bit at many points.
    pub(crate) fn of(value: impl Fn(f64) -> f64, derivative: impl Fn(f64) -> f64) -> Option<Self> {
        // Irrational steps: no point of the grid is special.
        let points = || (0..96).map(|i| 0.013_579 * 1.103_7_f64.powi(i)).chain([0.0]);
        let holds = |sign: f64| {
            points().all(|x| value(-x) == sign * value(x)) && points().all(|x| derivative(-x) == -sign * derivative(x))
        };
        match (holds(-1.0), holds(1.0)) {
            (true, _) => Some(Self::Odd),
            (false, true) => Some(Self::Even),
            _ => None,
        }
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
}

impl Smoothness {
    /// Analytic, with poles or fast growth at `+- i strip`.
    pub(crate) fn analytic(strip: f64) -> Self {
        Self { kinks: Vec::new(), jumps: false, strip }
    }

    /// Straight lines but for a kink at zero.
    pub(crate) fn kinked(jumps: bool) -> Self {
        Self { kinks: vec![0.0], jumps, strip: f64::INFINITY }
    }

    /// How much faster than tanh the function varies: divides the step of every trapezoid rule.
    pub(crate) fn rate(&self) -> f64 {
        FRAC_PI_2 / self.strip
    }
}
