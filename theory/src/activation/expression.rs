//! Functions that users write, examined once: their derivative, their kinks, how finely they must be integrated, and whether they
//! are a member of [`Activation`](super::Activation) in other words.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::formula::Formula;
use super::leaky_relu::LeakyRelu;
use super::member::{ActivationFunction, Parity, Smoothness, Tails};
use super::parse::{FormulaError, parse};
use super::tape::Tape;
use super::twin::{Scaled, Twin};
use crate::dual::closed_form::Visitor;
use crate::dual::near::{NearDual, NearPair, Norms};
use crate::dual::{Dual, HermiteSeries, Logistic, expectation_in_panels};

/// Kinks are searched for, and values must be finite, on `[-REACH, REACH]`.
const REACH: f64 = 100.0;
/// Points a unit of the search; two kinks or poles between neighbours are not told apart.
const POINTS: usize = 100;
/// More kinks than this are not integrated.
const MAX_KINKS: usize = 64;
/// Variances at which the quadrature must converge; at the first two the moments must be finite.
const VARIANCES: [f64; 4] = [0.3, 2.0, 16.0, 400.0];
/// Agreement of two steps that counts as converged, relative.
const CONVERGED: f64 = 1e-13;
/// Widest strip of analyticity that is searched for, and how often it is halved.
const STRIPS: (f64, i32) = (std::f64::consts::PI, 8);
/// Where a function that settles must have done so, and how far out it is examined.
const SETTLED: [f64; 2] = [256.0, 1e12];
/// Variances at which wider and wider pieces are tried, in units of the strip squared.
const LARGE_VARIANCES: [f64; 3] = [1e4, 1e7, 1e12];
/// Where pieces of a function begin to widen, in units of the strip.
const GRADED_FROM: f64 = 8.0;

/// A function of `x` with the text that spells it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression {
    text: String,
    analysis: Arc<Analysis>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

struct Analysis {
    value: Formula,
    derivative: Formula,
    tape: Tape,
    twin: Option<Twin>,
    parity: Parity,
    smoothness: Smoothness,
}

impl Expression {
    /// Reads a formula of `x`: numbers, `pi`, `+ - * / ^`, parentheses and the functions exp, log1p, tanh, sigmoid, softplus,
    /// silu, gelu, erf, sin, cos, relu, abs, step, sign, max and min.
    ///
    /// # Errors
    /// [`FormulaError`] if the text is no formula, the function is not finite on `[-100, 100]`, or its Gaussian moments cannot be
    /// integrated.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        let value = parse(text)?;
        let derivative = value.derivative();
        let tape = Tape::new(&value);
        if let Some(x) = grid().find(|x| !tape.both(*x).iter().all(|f| f.is_finite())) {
            return Err(unfit(format!(
                "or its derivative is not finite at x = {x}; it must be on all of [-{REACH}, {REACH}]"
            )));
        }
        let kinks = kinks(&tape)?;
        let twin = Twin::of(&value, &tape, &kinks);
        let smoothness = match &twin {
            Some(Twin::Named(activation)) => activation.smoothness(),
            Some(Twin::Line { .. }) => Smoothness::kinked(false),
            None => smoothness(&tape, kinks)?,
        };
        let parity = parity(&tape);
        let analysis = Analysis { value, derivative, tape, twin, parity, smoothness };
        Ok(Self { text: text.to_owned(), analysis: Arc::new(analysis) })
    }

    /// The formula as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn unfit(reason: String) -> FormulaError {
    FormulaError::Unfit { reason }
}

/// Points of the search.
fn grid() -> impl Iterator<Item = f64> {
    (0..=2 * REACH as usize * POINTS).map(|i| i as f64 / POINTS as f64 - REACH)
}

/// Where the argument of a function with a kink changes its sign, ascending.
fn kinks(tape: &Tape) -> Result<Vec<f64>, FormulaError> {
    let signs_at = |x: f64| {
        let mut signs = Vec::new();
        tape.kinked_signs(x, |sign| signs.push(sign));
        signs
    };
    let mut before = signs_at(-REACH);
    let mut changes = Vec::new();
    if before.is_empty() {
        return Ok(Vec::new());
    }
    for (left, right) in grid().zip(grid().skip(1)) {
        let here = signs_at(right);
        if here != before {
            changes.push((left, right, before, here.clone()));
        }
        before = here;
    }
    let too_many =
        |count: &str| unfit(format!("has {count} kinks on [-{REACH}, {REACH}]; at most {MAX_KINKS} can be integrated"));
    // A zero on a grid point is met from both sides.
    if changes.len() > 2 * MAX_KINKS {
        return Err(too_many("too many"));
    }
    let mut found = Vec::new();
    for (left, right, before, here) in changes {
        let mut seen: Vec<(i8, i8, f64)> = Vec::new();
        for part in (0..before.len()).filter(|part| before[*part] != here[*part]) {
            let holds = |x: f64| {
                let (mut index, mut sign) = (0, 0);
                tape.kinked_signs(x, |this| {
                    sign = if index == part { this } else { sign };
                    index += 1;
                });
                sign == before[part]
            };
            // Parts that share a kink, of which there may be hundreds, are met by the first of them.
            let shared = seen.iter().find(|(from, to, kink)| {
                let (below, above) = (kink.next_down(), kink.next_up());
                (*from, *to) == (before[part], here[part]) && holds(below) != holds(above)
            });
            if shared.is_none() {
                let kink = boundary(left, right, holds);
                seen.push((before[part], here[part], kink));
                found.push(kink);
            }
        }
    }
    found.sort_by(f64::total_cmp);
    // A zero on a grid point may be off by rounding.
    found.dedup_by(|next, kink| (*next - *kink).abs() <= 1e-12 * kink.abs().max(1.0));
    match found.len() {
        0..=MAX_KINKS => Ok(found),
        count => Err(too_many(&count.to_string())),
    }
}

/// The last point of `[left, right]` at which `inside` holds, by bisection; it holds on the left and not on the right.
fn boundary(mut left: f64, mut right: f64, inside: impl Fn(f64) -> bool) -> f64 {
    loop {
        let middle = 0.5 * (left + right);
        if middle <= left || middle >= right {
            // Zero itself is next to the smallest numbers on either side.
            return if right.abs() < left.abs() { right } else { left };
        }
        if inside(middle) {
            left = middle;
        } else {
            right = middle;
        }
    }
}

/// The widest strip at which half the step changes no second moment, and what the function does far out.
fn smoothness(tape: &Tape, kinks: Vec<f64>) -> Result<Smoothness, FormulaError> {
    let jumps = kinks.iter().any(|kink| {
        let [left, right] = [-1.0, 1.0].map(|side| tape.value(kink + side * 1e-9 * kink.abs().max(1.0)));
        (right - left).abs() > 1e-6 * (1.0 + left.abs())
    });
    let mut smoothness = Smoothness { kinks, jumps, strip: STRIPS.0, tails: Tails::Uniform };
    if tape.is_piecewise_polynomial() {
        smoothness = Smoothness { strip: f64::INFINITY, tails: Tails::Polynomial(0.0), ..smoothness };
    }
    let moments = |smoothness: &Smoothness, q: f64, refinement: f64| {
        let squares = |z: f64| tape.both(q.sqrt() * z).map(|f| f * f);
        expectation_in_panels(smoothness, q, refinement, |x| tape.value(x), squares)
    };
    let agree = |smoothness: &Smoothness, q: f64| {
        let (coarse, fine) = (moments(smoothness, q, 1.0), moments(smoothness, q, 2.0));
        let close = |coarse: f64, fine: f64| !fine.is_finite() || (coarse - fine).abs() <= CONVERGED * fine.abs();
        coarse.iter().zip(&fine).all(|(coarse, fine)| close(*coarse, *fine))
    };
    for q in &VARIANCES[..2] {
        if let Some(moment) = moments(&smoothness, *q, 1.0).iter().find(|moment| !moment.is_finite()) {
            return Err(unfit(format!("has a second moment of {moment} at Gaussian inputs of variance up to 2")));
        }
    }
    for _ in 0..STRIPS.1 {
        // The largest first: it asks for most.
        if VARIANCES.iter().rev().all(|q| agree(&smoothness, *q)) {
            if smoothness.tails == Tails::Uniform {
                smoothness.tails = tails(tape, smoothness.clone(), agree);
            }
            return Ok(smoothness);
        }
        smoothness.strip *= 0.5;
    }
    Err(unfit("varies too fast to be integrated against a Gaussian".to_owned()))
}

/// What a function does far out, `agree` being the test of its second moments.
fn tails(tape: &Tape, smoothness: Smoothness, agree: impl Fn(&Smoothness, f64) -> bool) -> Tails {
    let settled = settles(tape);
    let strip = smoothness.strip;
    let graded = Tails::Graded { from: GRADED_FROM * strip, until: settled.unwrap_or(f64::INFINITY) };
    let trial = Smoothness { tails: graded, ..smoothness };
    if LARGE_VARIANCES.iter().all(|q| agree(&trial, q * strip * strip)) {
        return graded;
    }
    settled.map_or(Tails::Uniform, Tails::Polynomial)
}

/// The `|x|` beyond which the function is a straight line on each side to rounding, if there is one.
fn settles(tape: &Tape) -> Option<f64> {
    let [settled, far] = SETTLED;
    let size = grid().step_by(POINTS / 4).filter(|x| x.abs() < 4.0).fold([0.0_f64; 2], |size, x| {
        let both = tape.both(x);
        [size[0].max(both[0].abs()), size[1].max(both[1].abs())]
    });
    let mut reach = 0.0_f64;
    for side in [-1.0, 1.0] {
        let slope = tape.both(side * far)[1];
        let offset = tape.value(side * settled) - slope * side * settled;
        let is_straight = |x: f64| {
            let [value, derivative] = tape.both(x);
            let rounding = 4.0 * f64::EPSILON * (value.abs() + (slope * x).abs()) + 1e-17 * size[0];
            (value - (slope * x + offset)).abs() <= rounding
                && (derivative - slope).abs() <= 4.0 * f64::EPSILON * slope.abs() + 1e-17 * size[1]
        };
        // No period divides these distances.
        let points =
            (0..).map(|i| far * (-0.05 * (f64::from(i) + 0.6 * (f64::from(i) * 0.618_033_988_75).fract())).exp());
        let last = points.take_while(|x| *x > 0.5).take_while(|x| is_straight(side * x)).last()?;
        reach = reach.max(last);
    }
    (reach < settled).then_some(reach)
}

/// The parity of a function, up to the rounding of its parts.
fn parity(tape: &Tape) -> Parity {
    let points = || (1..=400).map(|i| 1.01_f64.powi(2 * i) * 1e-2).filter(|x| *x < REACH);
    let size = points().filter(|x| *x < 1.0).fold(0.0_f64, |size, x| size.max(tape.value(x).abs()));
    let holds = |sign: f64| {
        points().all(|x| {
            let (right, left) = (tape.value(x), tape.value(-x));
            (right - sign * left).abs() <= 4.0 * f64::EPSILON * right.abs().max(left.abs()).max(size)
        })
    };
    match (size > 0.0 && holds(-1.0), holds(1.0)) {
        (true, _) => Parity::Odd,
        (false, true) => Parity::Even,
        _ => Parity::Neither,
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl TryFrom<String> for Expression {
    type Error = FormulaError;

    fn try_from(text: String) -> Result<Self, FormulaError> {
        Self::parse(&text)
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.text
    }
}

impl ActivationFunction for &Expression {
    const NAME: &'static str = "expression";

    fn value(&self, x: f64) -> f64 {
        self.analysis.tape.value(x)
    }

    fn derivative(&self, x: f64) -> f64 {
        self.analysis.tape.both(x)[1]
    }

    fn both(&self, x: f64) -> [f64; 2] {
        self.analysis.tape.both(x)
    }

    fn formulas(&self) -> [Formula; 2] {
        [self.analysis.value.clone(), self.analysis.derivative.clone()]
    }

    fn smoothness(&self) -> Smoothness {
        self.analysis.smoothness.clone()
    }

    fn parity(&self) -> Parity {
        self.analysis.parity
    }

    fn near(&self, pair: &NearPair) -> Option<NearDual> {
        match self.analysis.twin.as_ref()? {
            Twin::Named(activation) => activation.near_in_closed_form(pair),
            Twin::Line { scale, slope } => {
                let NearDual { pair, slope } = LeakyRelu { slope: *slope }.near(pair)?;
                Some(NearDual { pair: pair.scaled(scale.abs()), slope: scale * scale * slope })
            }
        }
    }

    fn descent(&self, pair: &NearPair) -> Option<[f64; 2]> {
        match self.analysis.twin.as_ref()? {
            Twin::Named(activation) => activation.descent(pair),
            Twin::Line { .. } => None,
        }
    }

    fn norms(&self, pair: &NearPair) -> Option<Norms> {
        match self.analysis.twin.as_ref()? {
            Twin::Named(activation) => activation.norms_in_closed_form(pair),
            Twin::Line { .. } => None,
        }
    }

    fn near_slope(&self, pair: &NearPair) -> Option<f64> {
        match self.analysis.twin.as_ref()? {
            Twin::Named(activation) => activation.near_slope(pair),
            Twin::Line { .. } => None,
        }
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        match self.analysis.twin.as_ref()? {
            Twin::Named(activation) => activation.visit(visitor),
            Twin::Line { scale, slope } => LeakyRelu { slope: *slope }.visit(Scaled { visitor, square: scale * scale }),
        }
    }

    fn diagonal(&self, q: f64) -> Option<Dual> {
        match self.analysis.twin.as_ref()? {
            Twin::Named(activation) => activation.short_diagonal(q),
            Twin::Line { scale, slope } => {
                let Dual { value, derivative } = LeakyRelu { slope: *slope }.diagonal(q)?;
                Some(Dual { value: scale * scale * value, derivative: scale * scale * derivative })
            }
        }
    }

    fn mean(&self, q: f64) -> Option<f64> {
        match (self.analysis.twin.as_ref(), self.analysis.parity) {
            (Some(Twin::Named(activation)), _) => Some(activation.mean(q)),
            (Some(Twin::Line { scale, slope }), _) => LeakyRelu { slope: *slope }.mean(q).map(|mean| scale * mean),
            (None, Parity::Odd) => Some(0.0),
            (None, _) => None,
        }
    }

    fn finite_series(&self, q: f64) -> Option<HermiteSeries> {
        match self.analysis.twin.as_ref()? {
            Twin::Named(activation) => activation.finite_series(q),
            Twin::Line { .. } => None,
        }
    }

    fn logistic(&self) -> Option<Logistic> {
        match self.analysis.twin.as_ref()? {
            Twin::Named(activation) => activation.logistic(),
            Twin::Line { .. } => None,
        }
    }

    fn negative_slope(&self) -> Option<f64> {
        match self.analysis.twin.as_ref()? {
            Twin::Named(activation) => activation.negative_slope(),
            // Not of the mirror image.
            Twin::Line { slope, .. } => (self.value(1.0) == 1.0).then_some(*slope),
        }
    }
}
