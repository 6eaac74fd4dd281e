//! `phi(x) = sum_k coefficients[k] x^k`; a monomial `x^k` has one coefficient.
//!
//! Its Hermite series is finite: `x^n = sum_m n! / (2^m m! (n-2m)!) He_{n-2m}(x)` at unit variance. For `x^k` this is
//! `V = sum_{j = k, k-2, ...} (k!/(m! 2^m))^2/j! a^m b^m c^j`, `m = (k-j)/2`, and `Vd = k^2 V_{k-1}`.

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Parity, Smoothness};
use crate::dual::HermiteSeries;

#[derive(Clone, Copy)]
pub(super) struct Polynomial<'a> {
    pub(super) coefficients: &'a [f64],
}

impl Polynomial<'_> {
    fn slopes(&self) -> Vec<f64> {
        self.coefficients.iter().enumerate().skip(1).map(|(k, c)| k as f64 * c).collect()
    }
}

/// Horner's rule on a formula, constant first.
fn horner(coefficients: &[f64]) -> Formula {
    coefficients.iter().rev().fold(constant(0.0), |sum, c| sum * input() + constant(*c))
}

impl ActivationFunction for Polynomial<'_> {
    const NAME: &'static str = "polynomial";

    fn value(&self, x: f64) -> f64 {
        self.coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
    }

    fn derivative(&self, x: f64) -> f64 {
        let indexed = self.coefficients.iter().enumerate().skip(1).rev();
        indexed.fold(0.0, |sum, (k, c)| sum * x + k as f64 * c)
    }

    fn formulas(&self) -> [Formula; 2] {
        [horner(self.coefficients), horner(&self.slopes())]
    }

    fn parity(&self) -> Parity {
        let only = |parity: usize| self.coefficients.iter().skip(1 - parity).step_by(2).all(|c| *c == 0.0);
        if only(1) {
            Parity::Odd
        } else if only(0) {
            Parity::Even
        } else {
            Parity::Neither
        }
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::polynomial()
    }

    fn mean(&self, q: f64) -> Option<f64> {
        Some(hermite_coefficients(self.coefficients, q).first().copied().unwrap_or(0.0))
    }

    fn finite_series(&self, q: f64) -> Option<HermiteSeries> {
        let mean = self.mean(q).unwrap_or(0.0);
        Some(HermiteSeries::new(q, mean, hermite_coefficients(&self.slopes(), q)))
    }
}

/// `E[p(sqrt(q) z) he_k(z)]` of the polynomial `p`.
fn hermite_coefficients(coefficients: &[f64], q: f64) -> Vec<f64> {
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
