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
//! [`Activation::dual_in_series`] falls back on quadrature.

use std::f64::consts::PI;

use super::Dual;
use super::expectation::{PANEL, cells, half_width};
use crate::activation::{Activation, Smoothness};

/// Terms after which the series of an analytic function stops, converged or not: tanh at variance 100 needs 9000 at `rho = 1`.
const MAX_TERMS: usize = 8192;
/// The same with kinks, where coefficients decay like a power and all correlations but those near one converge.
const MAX_KINKED_TERMS: usize = 1024;
/// Half-width of the box: Hermite functions of high order leave only `exp(-z^2/4)` of the Gaussian, 4e-19 here.
const BOX: f64 = 13.0;
/// Coefficients smaller than this, relative to the norm of the function, are negligible ...
const NEGLIGIBLE: f64 = 1e-13;
/// ... after so many in a row (a parity or a phase can make a few vanish).
const IN_A_ROW: usize = 16;
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
    /// Largest recent `|beta_k|` relative to the norm where the series was cut; 0 if it had converged.
    pub(super) tail: f64,
}

impl HermiteSeries {
    /// A finite series from the mean and `beta_k`.
    pub(crate) fn new(q: f64, mean: f64, beta: Vec<f64>) -> Self {
        Self { root: q.sqrt(), mean, slopes: divided(beta), tail: 0.0 }
    }

    /// Both dual activations with the Gaussian of `other` at correlation `rho`, clipped to `[-1, 1]`; NaN counts as 0.
    pub fn dual(&self, other: &Self, rho: f64) -> Dual {
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

impl Activation {
    /// Hermite coefficients at variance `q`, for [`Activation::dual_in_series`].
    pub fn hermite_series(&self, q: f64) -> HermiteSeries {
        self.finite_series(q).unwrap_or_else(|| self.quadrature_series(q))
    }

    /// Both dual activations from the series of two variances; equals [`Activation::dual_pair`] to about 1e-12.
    pub fn dual_in_series(&self, left: (&HermiteSeries, f64), c: f64, right: (&HermiteSeries, f64)) -> Dual {
        let (a, b) = (left.1, right.1);
        let rho = correlation(c, (a * b).sqrt());
        if left.0.is_cut_short(right.0, rho) {
            return self.dual_by_quadrature(a, c, b);
        }
        left.0.dual(right.0, rho)
    }

    fn quadrature_series(&self, q: f64) -> HermiteSeries {
        let (root, mean, smoothness) = (q.sqrt(), self.mean(q), self.smoothness());
        let grid = half_line(&smoothness, root, |x| self.value(x));
        if smoothness.jumps {
            let (mut alpha, tail) = coefficients(&smoothness, &grid, |z| self.value(root * z));
            alpha.remove(0);
            return HermiteSeries { root, mean, slopes: alpha.iter().map(|alpha| alpha / root).collect(), tail };
        }
        let (beta, tail) = coefficients(&smoothness, &grid, |z| self.derivative(root * z));
        HermiteSeries { root, mean, slopes: divided(beta), tail }
    }
}

/// Points `z >= 0` and their weights, those of a Gaussian left out.
///
/// Half the line is enough: Hermite functions are even or odd, and meet the even or odd part of a function only.
fn half_line(smoothness: &Smoothness, root: f64, phi: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    let reach = half_width(BOX, 1e-19, |z| phi(root * z).abs() * (0.25 * z * z).exp());
    if smoothness.kinks.is_empty() {
        // Hermite functions up to MAX_TERMS oscillate at sqrt(MAX_TERMS); the rest is the strip of the function.
        let step = 0.1_f64.min(6.0 / ((MAX_TERMS as f64).sqrt() + 24.0 * root * smoothness.rate()));
        let count = (reach / step).ceil() as usize;
        return (0..=count).map(|i| (i as f64 * step, if i == 0 { 0.5 * step } else { step })).collect();
    }
    let mut edges: Vec<f64> = smoothness.kinks.iter().map(|kink| kink.abs() / root).filter(|z| *z < reach).collect();
    edges.extend([0.0, reach]);
    edges.sort_by(f64::total_cmp);
    // A panel of 24 nodes resolves half a unit at the frequency sqrt(MAX_KINKED_TERMS).
    let longest = 0.5_f64.min(2.0 * smoothness.strip / root);
    let pieces =
        edges.windows(2).filter(|piece| piece[1] > piece[0]).flat_map(|piece| cells(piece[0], piece[1], longest));
    pieces
        .flat_map(|(start, end)| {
            let (center, half) = (0.5 * (start + end), 0.5 * (end - start));
            PANEL.iter().map(move |(x, weight)| (center + half * x, half * weight))
        })
        .collect()
}

/// `E[f(z) he_k(z)]`, and the largest recent one relative to the norm where they do not become negligible.
fn coefficients(smoothness: &Smoothness, grid: &[(f64, f64)], f: impl Fn(f64) -> f64) -> (Vec<f64>, f64) {
    let limit = if smoothness.kinks.is_empty() { MAX_TERMS } else { MAX_KINKED_TERMS };
    let points: Vec<f64> = grid.iter().map(|(z, _)| *z).collect();
    let mut current: Vec<f64> = points.iter().map(|z| (-0.25 * z * z).exp()).collect();
    let mut previous = vec![0.0; points.len()];
    let parity = |sign: f64| -> Vec<f64> {
        let gaussian = |z: f64| (-0.25 * z * z).exp() / (2.0 * PI).sqrt();
        grid.iter().map(|&(z, weight)| weight * gaussian(z) * (f(z) + sign * f(-z))).collect()
    };
    let parts = [parity(1.0), parity(-1.0)];
    let mut found = Vec::new();
    let mut norm = 0.0_f64;
    let mut small = 0;
    for k in 0..limit {
        let coefficient = dot(&parts[k % 2], &current);
        found.push(coefficient);
        norm += coefficient * coefficient;
        small = if coefficient.abs() <= NEGLIGIBLE * norm.sqrt() { small + 1 } else { 0 };
        if small == IN_A_ROW {
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

fn dot(left: &[f64], right: &[f64]) -> f64 {
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
