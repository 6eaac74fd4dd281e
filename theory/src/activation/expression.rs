//! Functions that users write, looked at once: their derivative, their kinks, how finely they must be integrated.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::formula::{Formula, FormulaNode};
use super::member::{Member, Parity, Smoothness};
use super::parse::{FormulaError, parse};
use crate::dual::expectation_in_panels;

/// Kinks are looked for, and values must be finite, on `[-REACH, REACH]`.
const REACH: f64 = 100.0;
/// Points a unit of the search; two kinks or poles between neighbours are not told apart.
const POINTS: usize = 100;
/// More kinks than this are not integrated.
const MAX_KINKS: usize = 64;
/// Variances at which the quadrature must converge; at the first two the moments must be finite.
const VARIANCES: [f64; 4] = [0.3, 2.0, 16.0, 400.0];
/// Agreement of two steps that counts as converged, relative.
const CONVERGED: f64 = 1e-13;
/// Widest strip of analyticity that is looked for, and how often it is halved.
const STRIPS: (f64, i32) = (std::f64::consts::PI, 8);

/// A function of `x` with the text that spells it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression {
    text: String,
    analysis: Arc<Analysis>,
}

#[derive(Debug)]
struct Analysis {
    value: Formula,
    derivative: Formula,
    smoothness: Smoothness,
    parity: Option<Parity>,
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
        let grid = || (0..=2 * REACH as usize * POINTS).map(|i| i as f64 / POINTS as f64 - REACH);
        if let Some(x) = grid().find(|x| !(value.evaluate(*x).is_finite() && derivative.evaluate(*x).is_finite())) {
            return Err(unfit(format!(
                "or its derivative is not finite at x = {x}; it must be on all of [-{REACH}, {REACH}]"
            )));
        }
        let kinks = kinks(&value, grid())?;
        let jumps = kinks.iter().any(|kink| {
            let [left, right] = [-1.0, 1.0].map(|side| value.evaluate(kink + side * 1e-9 * kink.abs().max(1.0)));
            (right - left).abs() > 1e-6 * (1.0 + left.abs())
        });
        let smoothness = smoothness(&value, &derivative, kinks, jumps)?;
        let parity = Parity::of(|x| value.evaluate(x), |x| derivative.evaluate(x));
        Ok(Self { text: text.to_owned(), analysis: Arc::new(Analysis { value, derivative, smoothness, parity }) })
    }

    /// The formula as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn unfit(reason: String) -> FormulaError {
    FormulaError::Unfit { reason }
}

/// Where the argument of a function with a kink changes its sign, ascending.
fn kinks(value: &Formula, grid: impl Iterator<Item = f64> + Clone) -> Result<Vec<f64>, FormulaError> {
    let mut found = Vec::new();
    value.for_each_part(&mut |part| {
        let FormulaNode::Apply(function, argument) = part.operation() else { return };
        if !function.has_kink() {
            return;
        }
        let side = |x: f64| {
            let u = argument.evaluate(x);
            i32::from(u > 0.0) - i32::from(u < 0.0)
        };
        let mut before: Option<(f64, i32)> = None;
        for x in grid.clone() {
            let here = side(x);
            if let Some((left, there)) = before
                && here != there
            {
                found.push(boundary(left, x, |x| side(x) == there));
            }
            before = Some((x, here));
        }
    });
    found.sort_by(f64::total_cmp);
    found.dedup_by(|next, kink| (*next - *kink).abs() <= 1e-12 * kink.abs().max(1.0));
    // A zero on a grid point is met from both sides and may be off by rounding.
    match found.len() {
        0..=MAX_KINKS => Ok(found),
        count => Err(unfit(format!("has {count} kinks on [-{REACH}, {REACH}]; at most {MAX_KINKS} can be integrated"))),
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

/// The widest strip at which half the step changes no second moment.
fn smoothness(value: &Formula, derivative: &Formula, kinks: Vec<f64>, jumps: bool) -> Result<Smoothness, FormulaError> {
    let mut smoothness = Smoothness { kinks, jumps, strip: STRIPS.0 };
    let moments = |smoothness: &Smoothness, refinement: f64| -> Vec<f64> {
        let moment = |q: f64, formula: &Formula| {
            let square = |z: f64| formula.evaluate(q.sqrt() * z).powi(2);
            expectation_in_panels(smoothness, q, refinement, |x| value.evaluate(x), square)
        };
        VARIANCES.iter().flat_map(|&q| [moment(q, value), moment(q, derivative)]).collect()
    };
    for _ in 0..STRIPS.1 {
        let (coarse, fine) = (moments(&smoothness, 1.0), moments(&smoothness, 2.0));
        if let Some(moment) = fine.iter().take(4).find(|moment| !moment.is_finite()) {
            return Err(unfit(format!("has a second moment of {moment} at Gaussian inputs of variance up to 2")));
        }
        let agree = |coarse: f64, fine: f64| !fine.is_finite() || (coarse - fine).abs() <= CONVERGED * fine.abs();
        if coarse.iter().zip(&fine).all(|(coarse, fine)| agree(*coarse, *fine)) {
            return Ok(smoothness);
        }
        smoothness.strip *= 0.5;
    }
    Err(unfit("varies too fast to be integrated against a Gaussian".to_owned()))
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

impl Member for &Expression {
    const NAME: &'static str = "expression";

    fn value(&self, x: f64) -> f64 {
        self.analysis.value.evaluate(x)
    }

    fn derivative(&self, x: f64) -> f64 {
        self.analysis.derivative.evaluate(x)
    }

    fn formulas(&self) -> [Formula; 2] {
        [self.analysis.value.clone(), self.analysis.derivative.clone()]
    }

    fn parity(&self) -> Option<Parity> {
        self.analysis.parity
    }

    fn smoothness(&self) -> Smoothness {
        self.analysis.smoothness.clone()
    }
}
