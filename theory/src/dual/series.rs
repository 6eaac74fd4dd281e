//! Hermite series of dual activations: one coefficient vector a variance, one power series a pair.
//!
//! With `he_k` the normalized Hermite polynomials, `alpha_k(q) = E[phi(sqrt(q) z) he_k(z)]` and `beta_k(q)` the same of
//! `phi'`, Mehler's formula gives for variances `a`, `b` that need not be equal, with `rho = c / sqrt(ab)`,
//! `V = sum_k alpha_k(a) alpha_k(b) rho^k` and `Vd = sum_k beta_k(a) beta_k(b) rho^k`
//! (Daniely, Frostig and Singer 2016, 1602.05897, for unit variances). Integration by parts makes the two one series:
//! `alpha_{k+1} = sqrt(q) beta_k / sqrt(k+1)`, so that with `d_k = beta_k / sqrt(k+1)` and `p(rho) = sum_k d_k(a) d_k(b) rho^{k+1}`
//! `V = alpha_0(a) alpha_0(b) + sqrt(ab) p(rho)` and `Vd = p'(rho)`.
//!
//! The coefficients come from the trapezoid rule in Hermite functions `he_k(z) exp(-z^2/4)`, which stay bounded. They
//! decay like `exp(-w sqrt(2k))`, `w` the half-width of the strip of analyticity in `z`, so that a smooth function needs no
//! help at `rho = 1`. Where the series has not converged after [`MAX_TERMS`] terms and `|rho|` is too close to one,
//! [`Activation::dual_in_series`] falls back on quadrature.

use std::f64::consts::PI;

use super::Dual;
use crate::activation::Activation;

/// Terms after which a series stops, converged or not: tanh at variance 100 needs 3900 at `rho = 1`.
const MAX_TERMS: usize = 4096;
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
        self.exact_series(q).unwrap_or_else(|| self.quadrature_series(q))
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

    /// The finite series of a polynomial.
    pub(super) fn exact_series(&self, q: f64) -> Option<HermiteSeries> {
        let Activation::Polynomial { coefficients } = self else { return None };
        let slopes: Vec<f64> = coefficients.iter().enumerate().skip(1).map(|(k, c)| k as f64 * c).collect();
        let mean = polynomial_coefficients(coefficients, q).first().copied().unwrap_or(0.0);
        Some(HermiteSeries { root: q.sqrt(), mean, slopes: divided(polynomial_coefficients(&slopes, q)), tail: 0.0 })
    }

    fn quadrature_series(&self, q: f64) -> HermiteSeries {
        let root = q.sqrt();
        // Hermite functions up to MAX_TERMS oscillate at sqrt(MAX_TERMS); the rest is the strip of the function.
        let step = 0.1_f64.min(6.0 / ((MAX_TERMS as f64).sqrt() + 24.0 * root * self.rate()));
        let count = (BOX / step).ceil() as usize;
        // Half the grid: Hermite functions are even or odd, and meet the even or odd part of the function only.
        let grid: Vec<f64> = (0..=count).map(|i| i as f64 * step).collect();
        let mut current: Vec<f64> = grid.iter().map(|z| (-0.25 * z * z).exp()).collect();
        let mut previous = vec![0.0; grid.len()];
        let weight = |z: f64| step * (-0.25 * z * z).exp() / (2.0 * PI).sqrt() * if z == 0.0 { 0.5 } else { 1.0 };
        let part = |f: &dyn Fn(f64) -> f64, sign: f64| -> Vec<f64> {
            grid.iter().map(|&z| weight(z) * (f(root * z) + sign * f(-root * z))).collect()
        };
        let mean = dot(&part(&|x| self.value(x), 1.0), &current);
        let slope = [part(&|x| self.derivative(x), 1.0), part(&|x| self.derivative(x), -1.0)];
        let mut coefficients = Vec::new();
        let mut norm = 0.0_f64;
        let mut small = 0;
        for k in 0..MAX_TERMS {
            let beta = dot(&slope[k % 2], &current);
            coefficients.push(beta);
            norm += beta * beta;
            small = if beta.abs() <= NEGLIGIBLE * norm.sqrt() { small + 1 } else { 0 };
            if small == IN_A_ROW {
                break;
            }
            // he_{k+1} = (z he_k - sqrt(k) he_{k-1}) / sqrt(k+1), the new one in place of the oldest.
            let up = 1.0 / (k as f64 + 1.0).sqrt();
            let down = (k as f64).sqrt() * up;
            for ((old, new), z) in previous.iter_mut().zip(&current).zip(&grid) {
                *old = up * z * new - down * *old;
            }
            std::mem::swap(&mut previous, &mut current);
        }
        let tail = if small == IN_A_ROW {
            0.0
        } else {
            let recent = coefficients.iter().rev().take(IN_A_ROW);
            recent.fold(0.0, |largest: f64, b| largest.max(b.abs())) / norm.sqrt()
        };
        HermiteSeries { root, mean, slopes: divided(coefficients), tail }
    }
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

/// `alpha_k(q)` of a polynomial: `x^n = sum_m n! / (2^m m! (n-2m)!) He_{n-2m}(x)` at unit variance.
fn polynomial_coefficients(coefficients: &[f64], q: f64) -> Vec<f64> {
    let root = q.sqrt();
    let mut alpha = vec![0.0; coefficients.len()];
    for (n, &c) in coefficients.iter().enumerate() {
        // Downwards from k = n with m = 0: n! / (2^m m! k!) sqrt(k!) = n! / (2^m m! sqrt(k!)).
        let mut term = c * root.powi(n as i32) * (1..=n).map(|i| (i as f64).sqrt()).product::<f64>();
        let mut k = n;
        let mut m = 0.0;
        loop {
            alpha[k] += term;
            if k < 2 {
                break;
            }
            m += 1.0;
            term *= (k as f64 * (k as f64 - 1.0)).sqrt() / (2.0 * m);
            k -= 2;
        }
    }
    alpha
}
