//! `phi(x) = he_k(x) = He_k(x)/sqrt(k!)`, the normalized Hermite polynomial of one degree.
//!
//! At unit variances `V = c^k` and `Vd = k c^(k-1)`; elsewhere the finite series of
//! `he_k(sqrt(q) z) = sum_m sqrt(k!/(k-2m)!) / (2^m m!) (q-1)^m q^((k-2m)/2) he_{k-2m}(z)`.
//! Daniely, Frostig and Singer 2016 (1602.05897).

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Parity, Smoothness};
use crate::dual::HermiteSeries;

#[derive(Clone, Copy)]
pub(super) struct Hermite {
    pub(super) degree: u32,
}

/// `he_k` by its three-term recurrence `he_{k+1} = (x he_k - sqrt(k) he_{k-1}) / sqrt(k+1)`.
fn polynomial(degree: u32, x: f64) -> f64 {
    let (mut previous, mut current) = (0.0, 1.0);
    for k in 0..degree {
        let k = f64::from(k);
        (previous, current) = (current, (x * current - k.sqrt() * previous) / (k + 1.0).sqrt());
    }
    current
}

fn formula(degree: u32) -> Formula {
    let (mut previous, mut current) = (constant(0.0), constant(1.0));
    for k in 0..degree {
        let k = f64::from(k);
        let step = input() * current.clone() + previous * constant(-k.sqrt());
        (previous, current) = (current, step * constant((k + 1.0).sqrt().recip()));
    }
    current
}

/// `E[he_k(sqrt(q) z) he_j(z)]` for `j = 0 ..= k`.
fn coefficients(degree: u32, q: f64) -> Vec<f64> {
    let mut alpha = vec![0.0; degree as usize + 1];
    let mut term = q.sqrt().powi(degree as i32);
    let (mut j, mut m) = (degree as usize, 0.0);
    loop {
        alpha[j] = term;
        if j < 2 {
            return alpha;
        }
        m += 1.0;
        // Division by q would fail at 0, where only the last term is left.
        let power = q.sqrt().powi(j as i32 - 2) * (q - 1.0).powi(m as i32);
        term = power * ratio(degree, m as u32);
        j -= 2;
    }
}

/// `sqrt(k!/(k-2m)!) / (2^m m!)`.
fn ratio(degree: u32, m: u32) -> f64 {
    let roots: f64 = (degree - 2 * m + 1..=degree).map(|i| f64::from(i).sqrt()).product();
    (1..=m).fold(roots, |ratio, i| ratio / (2.0 * f64::from(i)))
}

impl ActivationFunction for Hermite {
    const NAME: &'static str = "hermite";

    fn value(&self, x: f64) -> f64 {
        polynomial(self.degree, x)
    }

    fn derivative(&self, x: f64) -> f64 {
        // he_k' = sqrt(k) he_{k-1}.
        self.degree.checked_sub(1).map_or(0.0, |lower| f64::from(self.degree).sqrt() * polynomial(lower, x))
    }

    fn formulas(&self) -> [Formula; 2] {
        let slope = |lower| formula(lower) * constant(f64::from(self.degree).sqrt());
        [formula(self.degree), self.degree.checked_sub(1).map_or(constant(0.0), slope)]
    }

    fn parity(&self) -> Parity {
        if self.degree % 2 == 1 { Parity::Odd } else { Parity::Even }
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::polynomial()
    }

    fn mean(&self, q: f64) -> Option<f64> {
        coefficients(self.degree, q).first().copied()
    }

    fn finite_series(&self, q: f64) -> Option<HermiteSeries> {
        let slopes = self.degree.checked_sub(1).map_or(Vec::new(), |lower| coefficients(lower, q));
        let slopes = slopes.iter().map(|beta| beta * f64::from(self.degree).sqrt()).collect();
        Some(HermiteSeries::new(q, self.mean(q).unwrap_or(0.0), slopes))
    }
}
