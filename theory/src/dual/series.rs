//! Hermite series of dual activations: one coefficient vector a variance, one power series a pair.
//!
//! With `alpha_k(q) = E[phi(sqrt(q) z) he_k(z)]`, `he_k` the normalized Hermite polynomials, and `beta_k(q)` the same of
//! `phi'`, Mehler's formula gives for variances `a`, `b` that need not be equal
//! `V = sum_k alpha_k(a) alpha_k(b) rho^k` and `Vd = sum_k beta_k(a) beta_k(b) rho^k`, `rho = c / sqrt(ab)`
//! (Daniely, Frostig and Singer 2016, 1602.05897, for unit variances).
//!
//! The coefficients come from the trapezoid rule in Hermite functions `he_k(z) exp(-z^2/4)`, which stay bounded. They
//! decay like `exp(-w sqrt(2k))`, `w` the half-width of the strip of analyticity in `z`, so that a smooth function of
//! moderate variance needs no help at `rho = 1`. Where the series has not converged after [`MAX_TERMS`] terms and
//! `|rho|` is too close to one, [`Activation::dual_in_series`] falls back on quadrature.

use std::f64::consts::PI;

use super::Dual;
use crate::activation::Activation;

/// Terms after which a series stops, converged or not.
const MAX_TERMS: usize = 1024;
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
    /// `alpha_k`.
    value: Vec<f64>,
    /// `beta_k`.
    derivative: Vec<f64>,
    /// Largest recent `|beta_k|` relative to the norm where the series was cut; 0 if it had converged.
    tail: f64,
}

impl HermiteSeries {
    /// Both dual activations with the Gaussian of `other` at correlation `rho`, clipped to `[-1, 1]`; NaN counts as 0.
    pub fn dual(&self, other: &Self, rho: f64) -> Dual {
        let rho = if rho.is_nan() { 0.0 } else { rho.clamp(-1.0, 1.0) };
        Dual {
            value: power_series(&self.value, &other.value, rho),
            derivative: power_series(&self.derivative, &other.derivative, rho),
        }
    }

    /// Bound on the relative error made by cutting both series, at correlation `rho`.
    fn truncation(&self, other: &Self, rho: f64) -> f64 {
        let size = rho.abs().min(1.0);
        let terms = self.value.len().min(other.value.len()) as f64;
        let effective_terms = terms.min(1.0 / (1.0 - size));
        self.tail * other.tail * size.powf(terms) * effective_terms
    }
}

fn power_series(left: &[f64], right: &[f64], rho: f64) -> f64 {
    let mut power = 1.0;
    let mut sum = 0.0;
    for (a, b) in left.iter().zip(right) {
        sum += a * b * power;
        power *= rho;
        if power.abs() < 1e-18 {
            break;
        }
    }
    sum
}

impl Activation {
    /// Hermite coefficients at variance `q`, for [`Activation::dual_in_series`].
    pub fn hermite_series(&self, q: f64) -> HermiteSeries {
        self.exact_series(q).unwrap_or_else(|| self.quadrature_series(q))
    }

    /// Both dual activations from the series of two variances; equals [`Activation::dual_pair`] to about 1e-12.
    pub fn dual_in_series(&self, left: (&HermiteSeries, f64), c: f64, right: (&HermiteSeries, f64)) -> Dual {
        let (a, b) = (left.1, right.1);
        let product = a * b;
        let rho = if product > 0.0 { c / product.sqrt() } else { 0.0 };
        if left.0.truncation(right.0, rho) > TRUNCATION {
            return self.dual_by_quadrature(a, c, b);
        }
        left.0.dual(right.0, rho)
    }

    /// The finite series of a polynomial: `x^n = sum_m n! / (2^m m! (n-2m)!) He_{n-2m}(x)` at unit variance.
    pub(super) fn exact_series(&self, q: f64) -> Option<HermiteSeries> {
        let Activation::Polynomial { coefficients } = self else { return None };
        let slopes: Vec<f64> = coefficients.iter().enumerate().skip(1).map(|(k, c)| k as f64 * c).collect();
        Some(HermiteSeries {
            value: polynomial_coefficients(coefficients, q),
            derivative: polynomial_coefficients(&slopes, q),
            tail: 0.0,
        })
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
        let parts = |f: &dyn Fn(f64) -> f64| [part(f, 1.0), part(f, -1.0)];
        let (phi, slope) = (parts(&|x| self.value(x)), parts(&|x| self.derivative(x)));
        let (mut value, mut derivative) = (Vec::new(), Vec::new());
        let (mut norm, mut slope_norm) = (0.0_f64, 0.0_f64);
        let mut small = 0;
        for k in 0..MAX_TERMS {
            let alpha = dot(&phi[k % 2], &current);
            let beta = dot(&slope[k % 2], &current);
            value.push(alpha);
            derivative.push(beta);
            norm += alpha * alpha;
            slope_norm += beta * beta;
            let negligible = alpha.abs() <= NEGLIGIBLE * norm.sqrt() && beta.abs() <= NEGLIGIBLE * slope_norm.sqrt();
            small = if negligible { small + 1 } else { 0 };
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
            let recent = derivative.iter().rev().take(IN_A_ROW);
            recent.fold(0.0, |largest: f64, b| largest.max(b.abs())) / slope_norm.sqrt()
        };
        HermiteSeries { value, derivative, tail }
    }
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
