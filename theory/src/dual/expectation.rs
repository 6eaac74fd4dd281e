//! One-dimensional Gaussian expectations `<f>_q = E[f(sqrt(q) z)]`, `z ~ N(0, 1)`.
//!
//! The trapezoid rule converges exponentially for functions analytic in a strip: its error is about
//! `exp(-2 pi w / h)` with `w` the half-width of the strip in `z` (Trefethen and Weideman 2014). The poles of tanh at
//! `+- i pi/2` give `w = (pi/2)/sqrt(q)`, hence the step `0.27/sqrt(q)`. Kinks are met by Gauss-Legendre panels between them,
//! and so are large variances, where what varies lies near `z = 0`: panels are as narrow as the strip there and as wide as the
//! Gaussian allows beyond.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::activation::{Activation, Smoothness, Tails};

/// Half-width of the box; `exp(-14^2/2)` is 2e-43, room for the fourth powers of functions that grow like a power.
const BOX: f64 = 14.0;
/// Largest half-width, at which the density is no number any more.
const LARGEST_BOX: f64 = 38.0;
/// Largest step of the trapezoid rule.
const STEP: f64 = 0.05;
/// `h sqrt(q)` for 1e-16 with the poles of tanh.
const STEP_TIMES_ROOT: f64 = 0.27;
/// Points of the trapezoid rule on either side of zero, beyond which panels are used where they are fewer.
const LONGEST_RULE: f64 = 2048.0;
/// The same where there is no choice; a function that varies faster than this everywhere is not integrated.
const MOST_POINTS: f64 = 4e6;
/// Longest panel: the Gaussian is resolved by a wider one.
const LONGEST: f64 = 1.0;
/// How far from zero a panel of a function analytic in a sector reaches, in units of where it begins.
const GRADE: f64 = 4.0;
/// Nodes of one Gauss-Legendre panel.
const PANEL_NODES: usize = 24;

/// Nodes on `[-1, 1]` and weights of one panel.
pub(super) static PANEL: LazyLock<[(f64, f64); PANEL_NODES]> = LazyLock::new(gauss_legendre);

/// Standard normal density.
pub(super) fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// `E[function(z)]`, `z ~ N(0, 1)`, by the trapezoid rule with step `min(0.05, 0.27/sqrt(q))`.
///
/// For functions `f(sqrt(q) z)` with `f` analytic in `|Im x| < pi/2` and polynomial growth, to 1e-15 relative.
pub fn gaussian_expectation(q: f64, function: impl Fn(f64) -> f64) -> f64 {
    trapezoid(BOX, STEP.min(STEP_TIMES_ROOT / q.sqrt()), |z| [function(z)])[0]
}

/// `h sum_i density(i h) function(i h)` over `|i h| <= half_width`.
pub(super) fn trapezoid<const N: usize>(half_width: f64, step: f64, function: impl Fn(f64) -> [f64; N]) -> [f64; N] {
    let count = (half_width / step).ceil() as i64;
    let term = |i: i64| {
        let z = i as f64 * step;
        let weight = density(z);
        function(z).map(|f| weight * f)
    };
    // From the tails inwards: small terms first.
    let mut sums = [0.0; N];
    for i in (1..=count).rev() {
        let (right, left) = (term(i), term(-i));
        (0..N).for_each(|n| sums[n] += right[n] + left[n]);
    }
    let middle = term(0);
    std::array::from_fn(|n| step * (sums[n] + middle[n]))
}

/// `integral of function` over `[start, end]` by one panel.
pub(crate) fn panel(start: f64, end: f64, function: impl Fn(f64) -> f64) -> f64 {
    let (center, half) = (0.5 * (start + end), 0.5 * (end - start));
    half * PANEL.iter().map(|(x, weight)| weight * function(center + half * x)).sum::<f64>()
}

/// As [`panel`], of several functions.
pub(super) fn panel_of<const N: usize>(start: f64, end: f64, function: impl Fn(f64) -> [f64; N]) -> [f64; N] {
    let (center, half) = (0.5 * (start + end), 0.5 * (end - start));
    let mut sums = [0.0; N];
    for (x, weight) in PANEL.iter() {
        let values = function(center + half * x);
        (0..N).for_each(|n| sums[n] += weight * values[n]);
    }
    sums.map(|sum| half * sum)
}

/// Nodes and weights of one panel.
pub(super) fn nodes(start: f64, end: f64) -> impl Iterator<Item = (f64, f64)> {
    let (center, half) = (0.5 * (start + end), 0.5 * (end - start));
    PANEL.iter().map(move |(x, weight)| (center + half * x, half * weight))
}

/// Newton's iteration on the Legendre polynomial from the Chebyshev-like first guess.
fn gauss_legendre() -> [(f64, f64); PANEL_NODES] {
    let n = PANEL_NODES as f64;
    std::array::from_fn(|i| {
        let mut x = (PI * (i as f64 + 0.75) / (n + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..10 {
            let (mut previous, mut current) = (1.0, x);
            for k in 2..=PANEL_NODES {
                let k = k as f64;
                (previous, current) = (current, ((2.0 * k - 1.0) * x * current - (k - 1.0) * previous) / k);
            }
            slope = n * (x * current - previous) / (x * x - 1.0);
            x -= current / slope;
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    })
}

/// Moments of `phi` and its derivative under `N(0, q)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// `<phi>`.
    pub mean: f64,
    /// `<phi^2>`.
    pub square: f64,
    /// `<phi^4>`.
    pub fourth: f64,
    /// `<phi'^2>`.
    pub derivative_square: f64,
    /// `d<phi^2>/dq = <phi phi' z>/sqrt(q)`.
    pub square_slope: f64,
    /// `<phi^2 (z^4 - 6 z^2 + 3)>` with `z` of unit variance; equal to `4 q^2 d^2<phi^2>/dq^2`.
    pub square_he4: f64,
}

/// The box beyond which `size(+-z) density(z)` is less than `least`, at least `start`.
pub(super) fn half_width(start: f64, least: f64, size: impl Fn(f64) -> f64) -> f64 {
    let widths = std::iter::successors(Some(start), |width| Some(width + 2.0));
    let fits = |width: &f64| (size(*width) + size(-width)) * density(*width) < least;
    widths.take_while(|width| *width < LARGEST_BOX).find(fits).unwrap_or(LARGEST_BOX)
}

/// Pieces of a function at most.
const MAX_CELLS: f64 = 32_768.0;

/// Breaks of `[start, end]` so that no piece is longer than `longest`.
pub(super) fn cells(start: f64, end: f64, longest: f64) -> impl DoubleEndedIterator<Item = (f64, f64)> {
    let count = ((end - start) / longest).ceil().max(1.0);
    let edge = move |i: usize| start + (end - start) * i as f64 / count;
    (0..count as usize).map(move |i| (edge(i), edge(i + 1)))
}

/// Breaks of `x` in `(-reach, reach)`, ascending, between which one panel holds `phi`; `None` if they are too many.
pub(super) fn breaks(smoothness: &Smoothness, reach: f64, refinement: f64) -> Option<Vec<f64>> {
    let mut found = smoothness.kinks.clone();
    let near = match smoothness.tails {
        Tails::Polynomial(near) | Tails::Graded { from: near, .. } => near.min(reach),
        Tails::Uniform => reach,
    };
    if smoothness.strip.is_finite() {
        let count = (near * refinement / smoothness.strip).ceil();
        if count.is_nan() || count > MAX_CELLS {
            return None;
        }
        found.extend((0..=count as usize).map(|i| (2.0 * i as f64 / count - 1.0) * near));
    }
    if let Tails::Graded { from, until } = smoothness.tails {
        let grade = GRADE.powf(1.0 / refinement);
        let steps = std::iter::successors(Some(from), |x| Some(grade * x)).take_while(|x| *x < until.min(reach));
        found.extend(steps.chain([until]).flat_map(|x| [-x, x]));
    }
    found.retain(|x| x.abs() < reach);
    found.sort_by(f64::total_cmp);
    found.dedup();
    Some(found)
}

/// `E[function(z)]` for functions made of `phi(sqrt(q) z)`, `phi` being as smooth as stated: the trapezoid rule for an analytic one,
/// panels between the kinks of another and at large variances; both `refinement` times as fine as they need to be.
///
/// NaN for a function that varies too fast for this variance.
pub(crate) fn expectation_in_panels<const N: usize>(
    smoothness: &Smoothness,
    q: f64,
    refinement: f64,
    phi: impl Fn(f64) -> f64,
    function: impl Fn(f64) -> [f64; N],
) -> [f64; N] {
    let (root, rate) = (q.sqrt(), smoothness.rate());
    let reach = half_width(BOX, 1e-20, |z| phi(root * z).powi(4));
    if smoothness.kinks.is_empty() {
        let step = STEP.min(STEP_TIMES_ROOT / (rate * root)) / refinement;
        let most = if smoothness.tails == Tails::Uniform { MOST_POINTS } else { LONGEST_RULE };
        if reach / step <= most * refinement {
            return trapezoid(reach, step, function);
        }
    }
    let Some(breaks) = breaks(smoothness, reach * root, refinement) else { return [f64::NAN; N] };
    let mut edges = vec![-reach];
    edges.extend(breaks.iter().map(|x| x / root).filter(|z| z.abs() < reach));
    edges.push(reach);
    let pieces: Vec<(f64, f64)> =
        edges.windows(2).flat_map(|piece| cells(piece[0], piece[1], LONGEST / refinement)).collect();
    let mut sums = [0.0; N];
    // From the tails inwards: small terms first.
    for i in 0..pieces.len() {
        let (start, end) = pieces[if i % 2 == 0 { i / 2 } else { pieces.len() - 1 - i / 2 }];
        let term = panel_of(start, end, |z| {
            let weight = density(z);
            function(z).map(|f| weight * f)
        });
        (0..N).for_each(|n| sums[n] += term[n]);
    }
    sums
}

impl Activation {
    /// `E[function(z)]`, `z ~ N(0, 1)`, for functions made of `phi(sqrt(q) z)` and its derivative; aware of kinks.
    pub fn expectation(&self, q: f64, function: impl Fn(f64) -> f64) -> f64 {
        self.expectations(q, |z| [function(z)])[0]
    }

    /// As [`expectation`](Self::expectation), of several functions.
    pub(crate) fn expectations<const N: usize>(&self, q: f64, function: impl Fn(f64) -> [f64; N]) -> [f64; N] {
        expectation_in_panels(&self.smoothness(), q, 1.0, |x| self.value(x), function)
    }

    /// All [`Moments`] at variance `q`; at `q = 0` their limits from above.
    pub fn moments(&self, q: f64) -> Moments {
        // The limits at zero are read off a variance so small that only the derivatives' a.e. values matter.
        let floor = if self.smoothness().kinks.contains(&0.0) { 1e-200 } else { 0.0 };
        let root = q.max(floor).sqrt();
        // Below 1e-12 the slope of <phi^2> is its limit to that accuracy; above, division by sqrt(q) is safe.
        let slope_root = q.max(1e-12).sqrt();
        let [square, fourth, derivative_square, square_slope, square_he4] = self.expectations(q, |z| {
            let [phi, slope] = self.both(root * z);
            let square = phi * phi;
            let [shifted, shifted_slope] = if slope_root == root { [phi, slope] } else { self.both(slope_root * z) };
            let he4 = z * z * (z * z - 6.0) + 3.0;
            [square, square * square, slope * slope, shifted * shifted_slope * z / slope_root, square * he4]
        });
        Moments { mean: self.mean(q), square, fourth, derivative_square, square_slope, square_he4 }
    }
}
