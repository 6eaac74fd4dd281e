//! Hermite series of pairs near collinear: what is missing to collinearity, and norms of variances close to each other.
//!
//! In `x = ln sqrt(q)` a coefficient moves by `d alpha_k/dx = k alpha_k + sqrt((k+1)(k+2)) alpha_{k+2}`, from
//! `d alpha_k/dx = E[sqrt(q) z phi'(sqrt(q) z) he_k(z)]` and the recursion of `z he_k`. Of variances so close that a difference of
//! coefficients would be rounding, the difference is the integral of that by the trapezoid rule with its first correction,
//! `h (f' + g')/2 - h^2 (g'' - f'')/12`, whose error is the square of what the correction is to it.

use super::near::{NearPair, Norms};
use super::series::{HermiteSeries, dot};
use crate::activation::Parity;

/// Largest share of a correction in a difference of coefficients at which the rule is kept: its square is rounding.
const CORRECTION: f64 = 1e-7;

impl HermiteSeries {
    /// Whether all terms that count are there.
    pub(super) fn has_converged(&self) -> bool {
        self.tail == 0.0
    }

    /// `[V(a, sqrt(ab), b) - V(a, c, b), Vd(a, c, b)]` at `rho = 1 - complement`.
    pub(super) fn descent(&self, other: &Self, complement: f64, parity: Parity) -> [f64; 2] {
        // Of a function with a parity every second term is zero.
        let (first, stride) = match parity {
            Parity::Odd => (0, 2),
            Parity::Even => (1, 2),
            Parity::Neither => (0, 1),
        };
        let rho = 1.0 - complement;
        let both = complement * (2.0 - complement);
        let (factor, gap) = if stride == 2 { (rho * rho, rho * both) } else { (rho, rho * complement) };
        // rho^k and 1 - rho^(k+1), of which the next is 1 - rho^(k+1) + rho^(k+1) (1 - rho^stride).
        let (mut power, mut missing) = if first == 1 { (rho, both) } else { (1.0, complement) };
        let (mut drop, mut slope, mut k) = (0.0, 0.0, first);
        while let (Some(a), Some(b)) = (self.slopes.get(k), other.slopes.get(k)) {
            let product = a * b;
            slope += (k as f64 + 1.0) * product * power;
            drop += product * missing;
            missing += power * gap;
            power *= factor;
            k += stride;
        }
        [self.root * other.root * drop, slope]
    }

    /// `V(a, a, a)`, of all terms.
    pub(super) fn square(&self) -> f64 {
        self.mean * self.mean + self.root * self.root * dot(&self.slopes, &self.slopes)
    }

    /// The norms of a finite series and another.
    pub(super) fn norms(&self, other: &Self, comparable: bool) -> Norms {
        let coefficients = |series: &Self| -> Vec<f64> {
            std::iter::once(series.mean).chain(series.slopes.iter().map(|d| d * series.root)).collect()
        };
        let (f, g) = (coefficients(self), coefficients(other));
        let second = |f: f64, g: f64| if comparable { g - f } else { g };
        Norms::new(comparable, |function| f.iter().zip(&g).map(|(f, g)| function(*f, second(*f, *g))).sum())
    }

    /// The norms of two converged series whose Gaussians may be closer than rounding tells.
    pub(super) fn norms_beside(&self, other: &Self, pair: &NearPair, parity: Parity) -> Norms {
        let terms = 1 + self.slopes.len().max(other.slopes.len());
        // Of a function with a parity every second coefficient is zero.
        let (first, stride) = match parity {
            Parity::Odd => (1, 2),
            Parity::Even => (0, 2),
            Parity::Neither => (0, 1),
        };
        // Coefficients of both, from the last to the first.
        let mut rows: Vec<[f64; 2]> =
            (first..terms).step_by(stride).rev().map(|k| [self.alpha(k), other.alpha(k)]).collect();
        let square = sum(&rows, |f, _| f * f);
        let left = square.sqrt();
        if !pair.comparable() {
            let right = sum(&rows, |_, g| g * g).sqrt();
            let [of_left, of_right] = [left, right].map(f64::recip);
            let gap = 0.5 * sum(&rows, |f, g| (g * of_right - f * of_left).powi(2));
            return Norms { roots: [left, right], difference: left - right, gap };
        }
        differences(&mut rows, first, stride, (-pair.difference / pair.roots[0]).ln_1p());
        let growth = sum(&rows, |f, h| h * (2.0 * f + h)) / square;
        let ratio = (1.0 + growth).max(0.0).sqrt();
        let (right, difference) = (ratio * left, -growth / (1.0 + ratio) * left);
        let [of_f, of_h] = [difference / right / left, right.recip()];
        let gap = 0.5 * sum(&rows, |f, h| (f * of_f + h * of_h).powi(2));
        Norms { roots: [left, right], difference, gap }
    }

    /// `alpha_k`, zero where it does not count.
    fn alpha(&self, k: usize) -> f64 {
        match k.checked_sub(1) {
            None => self.mean,
            Some(index) => self.root * self.slopes.get(index).copied().unwrap_or(0.0),
        }
    }
}

/// The sum over rows, in four parts: additions need not wait for each other.
fn sum(rows: &[[f64; 2]], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; 4];
    let chunks = rows.chunks_exact(4);
    let rest: f64 = chunks.remainder().iter().map(|[f, g]| term(*f, *g)).sum();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, [f, g])| *sum += term(*f, *g));
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Rows `[f, g]`, of `k = first` last and `stride` apart, become `[f, g - f]` for variances `step` apart in `x`.
fn differences(rows: &mut [[f64; 2]], first: usize, stride: usize, step: f64) {
    let ahead = 2 / stride;
    let (mut whole, mut corrections) = (0.0, 0.0);
    // f, g, f' and g' at k + 2 and, without a parity, at k + 1 as well.
    let mut before = [[0.0; 4]; 2];
    let mut close = Vec::with_capacity(rows.len());
    for (index, [f, g]) in rows.iter().enumerate() {
        let k = (first + (rows.len() - 1 - index) * stride) as f64;
        let weight = ((k + 1.0) * (k + 2.0)).sqrt();
        let [p, q, p_moved, q_moved] = before[ahead - 1];
        let (f_moved, g_moved) = (k * f + weight * p, k * g + weight * q);
        let turn = k * (g_moved - f_moved) + weight * (q_moved - p_moved);
        before = [[*f, *g, f_moved, g_moved], before[0]];
        let correction = step * step / 12.0 * turn;
        let change = 0.5 * step * (f_moved + g_moved) - correction;
        whole += change * change;
        corrections += correction * correction;
        close.push(change);
    }
    let is_kept = corrections <= CORRECTION * CORRECTION * whole;
    for ([f, g], close) in rows.iter_mut().zip(close) {
        *g = if is_kept { close } else { *g - *f };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Activation;

    #[test]
    fn norms_of_close_variances_are_those_of_quadrature() {
        for phi in [Activation::Tanh, Activation::Sigmoid, Activation::Softplus, Activation::Silu] {
            for root in [0.05, 0.7, 1.3, 3.0] {
                for step in [1e-14, -1e-9, 1e-6, 2e-4, -1e-3, 0.02, 0.2, 1.5] {
                    let pair = NearPair::new([root * (1.0 + step), root], root * step, 1e-6);
                    let [left, right] = pair.roots.map(|root| phi.hermite_series(root * root));
                    if !left.has_converged() || !right.has_converged() {
                        assert!(step == 1.5, "{phi:?} {root} {step}");
                        continue;
                    }
                    // The difference as it is, not as the rounded norms have it.
                    let expected = phi.norms_by_panels(&pair);
                    let found = left.norms_beside(&right, &pair, phi.parity());
                    let close = |found: f64, expected: f64, bound: f64| {
                        assert!((found / expected - 1.0).abs() < bound, "{phi:?} {root} {step}: {found} {expected}");
                    };
                    for (side, root) in found.roots.iter().zip(pair.roots) {
                        close(*side, phi.dual_diagonal(root * root).value.sqrt(), 4e-15);
                    }
                    // Beyond the rule's reach coefficients are subtracted, each with its rounding.
                    let subtracted = if step.abs() > 1e-5 { 4.0 * f64::EPSILON } else { 0.0 };
                    let rounding = subtracted * found.roots[0] / expected.difference.abs();
                    close(found.difference, expected.difference, 2e-12 + rounding);
                    close(found.gap, expected.gap, 4e-12 + 2.0 * subtracted / expected.gap.sqrt());
                }
            }
        }
    }
    #[test]
    fn a_parity_leaves_out_zeros_alone() {
        for (phi, parity) in [(Activation::Tanh, Parity::Odd), (Activation::Gaussian, Parity::Even)] {
            let [left, right] = [1.3_f64, 0.6].map(|q| phi.hermite_series(q));
            for complement in [0.0, 1e-12, 1e-5, 0.1, 1.0] {
                let (found, all) =
                    (left.descent(&right, complement, parity), left.descent(&right, complement, Parity::Neither));
                (0..2).for_each(|i| assert!((found[i] - all[i]).abs() <= 1e-14 * all[i].abs(), "{found:?} {all:?}"));
                // The difference itself where nothing cancels.
                let direct = left.dual(&right, 1.0).value - left.dual(&right, 1.0 - complement).value;
                assert!((found[0] - direct).abs() < 1e-14, "{phi:?} {complement}: {found:?} {direct}");
            }
            assert!((left.square() / left.dual(&left, 1.0).value - 1.0).abs() < 1e-14);
        }
    }
}
