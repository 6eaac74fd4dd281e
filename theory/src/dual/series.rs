//! Hermite series of dual activations: one coefficient vector a variance, one power series a pair.
//!
//! With `he_k` the normalized Hermite polynomials, `alpha_k(q) = E[phi(sqrt(q) z) he_k(z)]` and `beta_k(q)` the same of
//! `phi'`, Mehler's formula gives for variances `a`, `b` that need not be equal, with `rho = c / sqrt(ab)`,
//! `V = sum_k alpha_k(a) alpha_k(b) rho^k` and `Vd = sum_k beta_k(a) beta_k(b) rho^k`
//! (Daniely, Frostig and Singer 2016, 1602.05897, for unit variances). Integration by parts makes the two one series:
//! `alpha_{k+1} = sqrt(q) beta_k / sqrt(k+1)`, so that with `d_k = beta_k / sqrt(k+1)` and `p(rho) = sum_k d_k(a) d_k(b) rho^{k+1}`
//! `V = alpha_0(a) alpha_0(b) + sqrt(ab) p(rho)` and `Vd = p'(rho)`.
//!
//! A function that jumps has `d_k = alpha_{k+1}/sqrt(q)` from its own coefficients.
//!
//! The coefficients come from the trapezoid rule, or from panels between kinks, in Hermite functions `he_k(z) exp(-z^2/4)`, which stay bounded. They
//! decay like `exp(-w sqrt(k))`, `w` the half-width of the strip of analyticity in `z`, so that a smooth function needs no
//! help at `rho = 1`. Where the series has not converged after [`MAX_TERMS`] terms and `|rho|` is too close to one,
//! [`Activation::dual_in_series`] takes the pair apart from the series, by [`Activation::dual_apart`]. So it does at variances so
//! large that a series would cost more, of which the series is empty.

use std::f64::consts::PI;

use super::Dual;
use super::expectation::{PANEL, breaks, cells, density, half_width};
use crate::activation::{Activation, Parity, Smoothness, Tails};

/// Terms after which the series of an analytic function stops, converged or not: tanh at variance 100 needs 9000 at `rho = 1`.
const MAX_TERMS: usize = 8192;
/// The same with kinks, where coefficients decay like a power and all correlations but those near one converge.
const MAX_KINKED_TERMS: usize = 1024;
/// `sqrt(q)` times the rate of the function up to which a series is worth its terms: of functions that have a faster average, of
/// those whose wide pieces panels resolve, and of all others. Beyond the second a series stops as if there were kinks.
const LARGEST_ROOTS: [f64; 3] = [10.0, 30.0, 90.0];
/// Half-width of the box: Hermite functions of high order leave only `exp(-z^2/4)` of the Gaussian, 4e-19 here.
const BOX: f64 = 13.0;
/// Coefficients smaller than this, relative to the norm of the function, are negligible ...
const NEGLIGIBLE: f64 = 1e-13;
/// ... after so many in a row (a parity or a phase can make a few vanish) ...
const IN_A_ROW: usize = 16;
/// ... and if their squares add up to all of `E f^2` but this: those of a wave of large variance vanish before the largest come.
const COMPLETE: f64 = 1e-12;
/// Accepted truncation error of a pair, relative to the norms.
const TRUNCATION: f64 = 1e-12;

/// Hermite coefficients of a function and its derivative at one variance.
#[derive(Debug, Clone, PartialEq)]
pub struct HermiteSeries {
    /// `sqrt(q)`.
    pub(super) root: f64,
    /// `alpha_0`, the mean.
    pub(super) mean: f64,
    /// `d_k`.
    pub(super) slopes: Vec<f64>,
    /// Largest recent `|beta_k|` relative to the norm where the series was cut; 0 if it had converged, infinite if it is empty.
    pub(super) tail: f64,
}

impl HermiteSeries {
    /// A finite series from the mean and `beta_k`.
    pub(crate) fn new(q: f64, mean: f64, beta: Vec<f64>) -> Self {
        Self { root: q.sqrt(), mean, slopes: divided(beta), tail: 0.0 }
    }

    /// A series that is not worth its terms.
    fn empty(q: f64, mean: f64) -> Self {
        Self { root: q.sqrt(), mean, slopes: Vec::new(), tail: f64::INFINITY }
    }

    /// Whether there is no series at this variance.
    pub(super) fn is_empty(&self) -> bool {
        self.tail.is_infinite()
    }

    /// Both dual activations with the Gaussian of `other` at correlation `rho`, clipped to `[-1, 1]`; NaN counts as 0.
    ///
    /// Both are NaN at a variance too large for a series; [`Activation::dual_in_series`] knows what to do.
    pub fn dual(&self, other: &Self, rho: f64) -> Dual {
        if self.is_empty() || other.is_empty() {
            return Dual { value: f64::NAN, derivative: f64::NAN };
        }
        let rho = if rho.is_nan() { 0.0 } else { rho.clamp(-1.0, 1.0) };
        let (mut value, mut derivative, mut power) = (0.0, 0.0, 1.0_f64);
        for (k, (a, b)) in self.slopes.iter().zip(&other.slopes).enumerate() {
            let term = a * b * power;
            derivative += (k as f64 + 1.0) * term;
            power *= rho;
            value += term * rho;
            if power.abs() < 1e-18 {
                break;
            }
        }
        Dual { value: self.mean * other.mean + self.root * other.root * value, derivative }
    }

    /// Whether cutting both series makes a noticeable error at correlation `rho`.
    pub(super) fn is_cut_short(&self, other: &Self, rho: f64) -> bool {
        if self.is_empty() || other.is_empty() {
            return true;
        }
        let terms = self.slopes.len().min(other.slopes.len());
        self.tail * other.tail * remaining(terms, rho) > TRUNCATION
    }
}

/// The sum of `rho^k` from `terms` on, at most `terms` of them.
fn remaining(terms: usize, rho: f64) -> f64 {
    let size = rho.abs().min(1.0);
    let terms = terms as f64;
    size.powf(terms) * terms.min(1.0 / (1.0 - size))
}

/// `c / sqrt(ab)`, 0 where a variance is.
pub(super) fn correlation(c: f64, root: f64) -> f64 {
    if root > 0.0 { c / root } else { 0.0 }
}

/// The correlation at variances `a` and `b` and covariance `c`, in `[-1, 1]`; one that rounding cannot tell from `+-1` is `+-1`.
pub(super) fn correlation_of(a: f64, c: f64, b: f64) -> f64 {
    let product = a * b;
    // The product of variances that are no numbers any more.
    let root = if product.is_normal() { product.sqrt() } else { a.sqrt() * b.sqrt() };
    let rho = correlation(c, root).clamp(-1.0, 1.0);
    if 1.0 - rho.abs() <= 8.0 * f64::EPSILON { rho.signum() } else { rho }
}

impl Activation {
    /// Hermite coefficients at variance `q`, for [`Activation::dual_in_series`].
    pub fn hermite_series(&self, q: f64) -> HermiteSeries {
        self.finite_series(q).unwrap_or_else(|| self.quadrature_series(q))
    }

    /// Both dual activations from the series of two variances; equals [`Activation::dual_pair`] to about 1e-12.
    pub fn dual_in_series(&self, left: (&HermiteSeries, f64), c: f64, right: (&HermiteSeries, f64)) -> Dual {
        let (a, b) = (left.1, right.1);
        let rho = correlation_of(a, c, b);
        if left.0.is_cut_short(right.0, rho) {
            return self.dual_apart(a, c, b);
        }
        left.0.dual(right.0, rho)
    }

    fn quadrature_series(&self, q: f64) -> HermiteSeries {
        let (root, mean, smoothness) = (q.sqrt(), self.mean(q), self.smoothness());
        let size = root * smoothness.rate();
        let [averaged, settling, others] = LARGEST_ROOTS;
        if size > averaged && self.logistic().is_some() {
            return HermiteSeries::empty(q, mean);
        }
        let largest = if smoothness.tails == Tails::Uniform { others } else { settling };
        let converges = smoothness.kinks.is_empty() && size <= largest;
        let (limit, step) = if converges {
            // Hermite functions up to MAX_TERMS oscillate at sqrt(MAX_TERMS); the rest is the strip of the function.
            (MAX_TERMS, Some(0.1_f64.min(6.0 / ((MAX_TERMS as f64).sqrt() + 24.0 * size))))
        } else {
            (MAX_KINKED_TERMS, None)
        };
        let Some(grid) = half_line(&smoothness, root, step, |x| self.value(x)) else {
            return HermiteSeries::empty(q, mean);
        };
        let parity = self.parity();
        if smoothness.jumps {
            let (mut alpha, tail) = coefficients(limit, &grid, parity, |z| self.value(root * z));
            alpha.remove(0);
            return HermiteSeries { root, mean, slopes: alpha.iter().map(|alpha| alpha / root).collect(), tail };
        }
        let (beta, tail) = coefficients(limit, &grid, parity.flipped(), |z| self.derivative(root * z));
        HermiteSeries { root, mean, slopes: divided(beta), tail }
    }
}

/// Points `z >= 0` and their weights, those of a Gaussian left out: with a `step` for the trapezoid rule, else of panels, if they are
/// not too many.
///
/// Half the line is enough: Hermite functions are even or odd, and meet the even or odd part of a function only.
fn half_line(
    smoothness: &Smoothness,
    root: f64,
    step: Option<f64>,
    phi: impl Fn(f64) -> f64,
) -> Option<Vec<(f64, f64)>> {
    let reach = half_width(BOX, 1e-19, |z| phi(root * z).abs() * (0.25 * z * z).exp());
    if let Some(step) = step {
        let count = (reach / step).ceil() as usize;
        return Some((0..=count).map(|i| (i as f64 * step, if i == 0 { 0.5 * step } else { step })).collect());
    }
    let breaks = breaks(smoothness, reach * root, 1.0)?;
    let mut edges: Vec<f64> = breaks.iter().map(|x| x.abs() / root).filter(|z| *z < reach).collect();
    edges.extend([0.0, reach]);
    edges.sort_by(f64::total_cmp);
    // A panel of 24 nodes resolves half a unit at the frequency sqrt(MAX_KINKED_TERMS).
    let pieces = edges.windows(2).filter(|piece| piece[1] > piece[0]).flat_map(|piece| cells(piece[0], piece[1], 0.5));
    let points = pieces.flat_map(|(start, end)| {
        let (center, half) = (0.5 * (start + end), 0.5 * (end - start));
        PANEL.iter().map(move |(x, weight)| (center + half * x, half * weight))
    });
    Some(points.collect())
}

/// `E[f(z) he_k(z)]`, at most `limit`, and the largest recent one relative to the norm where they do not become negligible; of an `f`
/// with a parity those of the other one are zero.
fn coefficients(limit: usize, grid: &[(f64, f64)], parity: Parity, f: impl Fn(f64) -> f64) -> (Vec<f64>, f64) {
    let points: Vec<f64> = grid.iter().map(|(z, _)| *z).collect();
    let mut current: Vec<f64> = points.iter().map(|z| (-0.25 * z * z).exp()).collect();
    let mut previous = vec![0.0; points.len()];
    let part = |kept: Parity, sign: f64| -> Vec<f64> {
        let gaussian = |z: f64| (-0.25 * z * z).exp() / (2.0 * PI).sqrt();
        match parity == kept.flipped() {
            true => Vec::new(),
            false => grid.iter().map(|&(z, weight)| weight * gaussian(z) * (f(z) + sign * f(-z))).collect(),
        }
    };
    let parts = [part(Parity::Even, 1.0), part(Parity::Odd, -1.0)];
    // E f^2, of the two halves of the line; the weights of the parts hold sqrt(density) only.
    let square = |(z, weight): &(f64, f64)| weight * density(*z) * (f(*z).powi(2) + f(-z).powi(2));
    let total: f64 = grid.iter().map(square).sum();
    let mut found = Vec::new();
    let mut norm = 0.0_f64;
    let mut small = 0;
    for k in 0..limit {
        let part = &parts[k % 2];
        let coefficient = if part.is_empty() { 0.0 } else { dot(part, &current) };
        found.push(coefficient);
        norm += coefficient * coefficient;
        small = if coefficient.abs() <= NEGLIGIBLE * norm.sqrt() { small + 1 } else { 0 };
        if small >= IN_A_ROW && (total - norm).abs() <= COMPLETE * total {
            return (found, 0.0);
        }
        // he_{k+1} = (z he_k - sqrt(k) he_{k-1}) / sqrt(k+1), the new one in place of the oldest.
        let up = 1.0 / (k as f64 + 1.0).sqrt();
        let down = (k as f64).sqrt() * up;
        for ((old, new), z) in previous.iter_mut().zip(&current).zip(&points) {
            *old = up * z * new - down * *old;
        }
        std::mem::swap(&mut previous, &mut current);
    }
    let largest = found.iter().rev().take(IN_A_ROW).fold(0.0, |largest: f64, c| largest.max(c.abs()));
    (found, largest / norm.sqrt())
}

/// `beta_k / sqrt(k+1)`.
fn divided(mut beta: Vec<f64>) -> Vec<f64> {
    beta.iter_mut().enumerate().for_each(|(k, b)| *b /= (k as f64 + 1.0).sqrt());
    beta
}

pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    // Four partial sums: the loop vectorizes, and rounding errors shrink.
    let mut sums = [0.0; 4];
    let (chunks, rest) = (left.chunks_exact(4), left.len() / 4 * 4);
    for (a, b) in chunks.zip(right.chunks_exact(4)) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let tail: f64 = left[rest..].iter().zip(&right[rest..]).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + tail
}
