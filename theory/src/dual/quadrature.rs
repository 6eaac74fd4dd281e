//! Two-dimensional quadrature of dual activations: one pair at a time, for every function, to rounding.
//!
//! With `u = sqrt(a) z1` and `v = sqrt(b) (rho z1 + s z2)`, `s = sqrt(1 - rho^2)`, nothing is singular at `rho = +-1`
//! for a smooth function. Smooth functions take the trapezoid rule on both axes, the inner one with a step that widens as
//! `1/s` since `v` moves by `sqrt(b) s` a unit of `z2`. Kinked ones take Gauss-Legendre panels with breaks at the
//! kinks of both factors, refined geometrically around the `z1` at which `v` has a kink for `z2 = 0`: there the inner
//! integral varies on the scale `s`.

use super::expectation::{cells, density, half_width, panel, trapezoid};
use super::{Dual, UNBOUNDED};
use crate::activation::{Activation, Parity, Smoothness};

/// Half-width of the box: `exp(-9^2/2)` is 3e-18.
const BOX: f64 = 9.0;
/// Largest inner step: the Gaussian itself is integrated exactly by it.
const INNER_STEP: f64 = 0.25;
/// Smallest panel.
const SMALLEST: f64 = 1e-9;

/// The Gaussian pair and the box around it.
struct Plane<'a> {
    smoothness: &'a Smoothness,
    root_a: f64,
    root_b: f64,
    rho: f64,
    s: f64,
    reach: f64,
}

impl Activation {
    /// Both dual activations by two-dimensional quadrature: the reference for the closed forms and the series.
    ///
    /// About a millisecond a pair; variances `a`, `b` not negative, correlation clipped to `[-1, 1]`.
    pub fn dual_by_quadrature(&self, a: f64, c: f64, b: f64) -> Dual {
        // Panels between kinks have no symmetry of their own to the last bit.
        if let (true, Some(parity)) = (c < 0.0, self.parity()) {
            let Dual { value, derivative } = self.dual_by_quadrature(a, -c, b);
            return match parity {
                Parity::Odd => Dual { value: -value, derivative },
                Parity::Even => Dual { value, derivative: -derivative },
            };
        }
        let product = a * b;
        let rho = if product > 0.0 { (c / product.sqrt()).clamp(-1.0, 1.0) } else { 0.0 };
        let s = ((1.0 - rho) * (1.0 + rho)).sqrt();
        let (root_a, root_b) = (a.sqrt(), b.sqrt());
        let largest = root_a.max(root_b);
        let reach = half_width(BOX, 1e-16 * (1.0 + a.max(b)), |z| self.value(largest * z).powi(2));
        let smoothness = self.smoothness();
        let plane = Plane { smoothness: &smoothness, root_a, root_b, rho, s, reach };
        let derivative = if smoothness.jumps { UNBOUNDED } else { plane.integrate(|x| self.derivative(x)) };
        Dual { value: plane.integrate(|x| self.value(x)), derivative }
    }
}

impl Plane<'_> {
    /// `E[f(u) f(v)]`.
    fn integrate(&self, f: impl Fn(f64) -> f64) -> f64 {
        let Self { smoothness, root_a, root_b, rho, s, reach } = *self;
        if !smoothness.kinks.is_empty() {
            let outer = |z1: f64| density(z1) * f(root_a * z1) * self.inner(&f, z1);
            return self.outer_edges().windows(2).map(|cell| panel(cell[0], cell[1], outer)).sum();
        }
        let rate = smoothness.rate();
        let outer_step = 0.05_f64.min(0.27 / (rate * root_a.max(root_b)));
        let inner_step = INNER_STEP.min(0.27 / (rate * root_b * s));
        trapezoid(reach, outer_step, |z1| {
            f(root_a * z1) * trapezoid(reach, inner_step, |z2| f(root_b * (rho * z1 + s * z2)))
        })
    }

    /// `E[f(v)]` given `z1`, between the kinks of `f`.
    fn inner(&self, f: &impl Fn(f64) -> f64, z1: f64) -> f64 {
        let Self { smoothness, root_b, rho, s, reach, .. } = *self;
        if s == 0.0 || root_b == 0.0 {
            return f(root_b * rho * z1);
        }
        let mut edges = vec![-reach];
        edges.extend(smoothness.kinks.iter().map(|kink| (kink / root_b - rho * z1) / s).filter(|z| z.abs() < reach));
        edges.push(reach);
        let longest = 1.0_f64.min(2.0 * smoothness.strip / (root_b * s));
        let pieces = edges.windows(2).flat_map(|piece| cells(piece[0], piece[1], longest));
        pieces.map(|(start, end)| panel(start, end, |z2| density(z2) * f(root_b * (rho * z1 + s * z2)))).sum()
    }

    /// Breaks of `z1`: at the kinks of `u`, and around those of `v` as finely as `s`.
    fn outer_edges(&self) -> Vec<f64> {
        let Self { smoothness, root_a, root_b, rho, s, reach } = *self;
        let of_u = smoothness.kinks.iter().map(|kink| kink / root_a);
        let of_v = smoothness.kinks.iter().map(|kink| kink / (root_b * rho));
        let mut centers: Vec<f64> = of_u.chain(of_v).filter(|z| z.abs() < reach).collect();
        centers.extend([-reach, reach]);
        centers.sort_by(f64::total_cmp);
        let longest = 1.0_f64.min(2.0 * smoothness.strip / root_a.max(root_b * rho.abs()));
        let first = (s / 16.0).clamp(SMALLEST, 0.5 * longest);
        let mut edges = vec![-reach];
        for pair in centers.windows(2).filter(|pair| pair[1] > pair[0]) {
            let middle = 0.5 * (pair[0] + pair[1]);
            let half = middle - pair[0];
            let steps = std::iter::successors(Some(first), |edge| Some((2.0 * edge).min(edge + longest)));
            let offsets: Vec<f64> = steps.take_while(|edge| *edge < half).collect();
            edges.extend(offsets.iter().map(|offset| pair[0] + offset));
            edges.push(middle);
            edges.extend(offsets.iter().rev().map(|offset| pair[1] - offset));
            edges.push(pair[1]);
        }
        edges
    }
}
