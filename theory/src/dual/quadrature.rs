//! Two-dimensional quadrature of dual activations: one pair at a time, for every function, to rounding.
//!
//! With `u = sqrt(a) z1` and `v = sqrt(b) (rho z1 + s z2)`, `s = sqrt(1 - rho^2)`, nothing is singular at `rho = +-1`
//! for a smooth function. Smooth functions of small variance take the trapezoid rule on both axes, the inner one with a step that
//! widens as `1/s` since `v` moves by `sqrt(b) s` a unit of `z2`. All others take Gauss-Legendre panels with breaks where `u` or `v`
//! leaves a panel of the function. The inner integral varies on the scale `s` around the `z1` at which `v` has a kink for `z2 = 0`, and
//! on that of the strip or `s`, whichever is wider, around the rest: panels grow geometrically from there.

use super::expectation::{breaks, cells, density, half_width, panel_of, trapezoid};
use super::series::correlation_of;
use super::{Dual, UNBOUNDED};
use crate::activation::{Activation, Parity, Smoothness, Tails};

/// Half-width of the box: `exp(-9^2/2)` is 3e-18.
const BOX: f64 = 9.0;
/// Largest inner step: the Gaussian itself is integrated exactly by it.
const INNER_STEP: f64 = 0.25;
/// Points of the two trapezoid rules at most, where panels are possible and where they are not.
const MOST_POINTS: [f64; 2] = [2e5, 2e8];
/// Products of panels at most, each of 576 points.
const MOST_CELLS: f64 = 2e5;
/// Longest panels of `z1` and `z2`: 24 nodes integrate a Gaussian over more.
const LONGEST: [f64; 2] = [2.0, 6.0];
/// Step of the trapezoid rule for a Gaussian alone, and how much wider than it the strip must be.
const GAUSSIAN_RULE: [f64; 2] = [0.7, 6.0];
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
    /// About a millisecond a pair; variances `a`, `b` not negative, correlation clipped to `[-1, 1]`. NaN for a function whose
    /// oscillations are too many at these variances.
    pub fn dual_by_quadrature(&self, a: f64, c: f64, b: f64) -> Dual {
        // The same numbers to the last bit with the two exchanged.
        let (a, b) = (a.min(b), a.max(b));
        let rho = correlation_of(a, c, b);
        let parity = self.parity();
        // A parity holds to the last bit, too.
        let mirrored = parity != Parity::Neither && rho < 0.0;
        let rho = if mirrored { -rho } else { rho };
        let s = ((1.0 - rho) * (1.0 + rho)).sqrt();
        let (root_a, root_b) = (a.sqrt(), b.sqrt());
        let reach = half_width(BOX, 1e-16 * (1.0 + b), |z| self.value(root_b * z).powi(2));
        let smoothness = self.smoothness();
        let plane = Plane { smoothness: &smoothness, root_a, root_b, rho, s, reach };
        let [mut value, mut derivative] = plane.integrate(|x| self.both(x));
        match parity {
            Parity::Odd if rho == 0.0 => value = 0.0,
            Parity::Even if rho == 0.0 => derivative = 0.0,
            Parity::Odd if mirrored => value = -value,
            Parity::Even if mirrored => derivative = -derivative,
            _ => {}
        }
        Dual { value, derivative: if smoothness.jumps { UNBOUNDED } else { derivative } }
    }
}

impl Plane<'_> {
    /// `E[f(u) f(v)]` of both functions.
    fn integrate(&self, f: impl Fn(f64) -> [f64; 2]) -> [f64; 2] {
        let Self { smoothness, root_a, root_b, rho, s, reach } = *self;
        let product = |left: [f64; 2], right: [f64; 2]| [left[0] * right[0], left[1] * right[1]];
        let rate = smoothness.rate();
        let outer_step = 0.05_f64.min(0.27 / (rate * root_a.max(root_b)));
        let inner_step = INNER_STEP.min(0.27 / (rate * root_b * s));
        let points = 4.0 * reach * reach / (outer_step * inner_step);
        let most = if smoothness.tails == Tails::Uniform { MOST_POINTS[1] } else { MOST_POINTS[0] };
        if smoothness.kinks.is_empty() && points <= most {
            return trapezoid(reach, outer_step, |z1| {
                let inner = trapezoid(reach, inner_step, |z2| f(root_b * (rho * z1 + s * z2)));
                product(f(root_a * z1), inner)
            });
        }
        let [Some(of_u), Some(of_v)] = [root_a, root_b].map(|root| breaks(smoothness, reach * root, 1.0)) else {
            return [f64::NAN; 2];
        };
        let edges = self.outer_edges(&of_u, &of_v);
        let inner_cells = of_v.len() as f64 * s.max(1.0 / (1.0 + of_v.len() as f64)) + 2.0 * reach / LONGEST[1];
        if edges.len() as f64 * inner_cells > MOST_CELLS {
            return [f64::NAN; 2];
        }
        let mut sums = [0.0; 2];
        for cell in edges.windows(2) {
            let part = panel_of(cell[0], cell[1], |z1| {
                let weight = density(z1);
                product(f(root_a * z1).map(|f| weight * f), self.inner(&f, &of_v, z1))
            });
            (0..2).for_each(|n| sums[n] += part[n]);
        }
        sums
    }

    /// `E[f(v)]` given `z1`, between the `breaks` of `f`.
    fn inner(&self, f: &impl Fn(f64) -> [f64; 2], breaks: &[f64], z1: f64) -> [f64; 2] {
        let Self { smoothness, root_b, rho, s, reach, .. } = *self;
        let middle = root_b * rho * z1;
        if s == 0.0 || root_b == 0.0 {
            return f(middle);
        }
        let scale = root_b * s;
        let within = |x: f64| ((x / root_b - rho * z1) / s).clamp(-reach, reach);
        let first = breaks.partition_point(|x| within(*x) <= -reach);
        let [step, wider] = GAUSSIAN_RULE;
        let is_smooth = breaks.get(first).is_none_or(|x| within(*x) >= reach);
        if is_smooth && smoothness.strip >= wider * step * scale {
            return trapezoid(reach, step, |z2| f(middle + scale * z2));
        }
        let inside = breaks[first..].iter().map(|x| within(*x)).take_while(|z| *z < reach);
        let mut sums = [0.0; 2];
        let mut start = -reach;
        for end in inside.chain([reach]) {
            for (start, end) in cells(start, end, LONGEST[1]) {
                let part = panel_of(start, end, |z2| {
                    let weight = density(z2);
                    f(middle + scale * z2).map(|f| weight * f)
                });
                (0..2).for_each(|n| sums[n] += part[n]);
            }
            start = end;
        }
        sums
    }

    /// Breaks of `z1`: at those of `u`, and around those of `v` as finely as `s`.
    fn outer_edges(&self, of_u: &[f64], of_v: &[f64]) -> Vec<f64> {
        let Self { smoothness, root_a, root_b, rho, s, reach } = *self;
        let is_kink = |x: f64| smoothness.kinks.contains(&x);
        // How finely to begin next to a break: everything is smooth on the scale of the strip but at a kink.
        let smooth = (s / rho.abs()).max(2.0 * smoothness.strip / (root_b * rho.abs()));
        let sharp = (s / rho.abs()).max(SMALLEST);
        let start = |x: f64| if is_kink(x) { sharp } else { smooth };
        // Next to a break of u, too: one of v may be near.
        let mut centers: Vec<(f64, f64)> = of_u.iter().map(|x| (x / root_a, start(*x))).collect();
        centers.extend(of_v.iter().map(|x| (x / (root_b * rho), start(*x))));
        centers.retain(|(z, _)| z.abs() < reach);
        centers.extend([(-reach, f64::INFINITY), (reach, f64::INFINITY)]);
        centers.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.total_cmp(&right.1)));
        centers.dedup_by(|later, earlier| later.0 == earlier.0);
        let mut edges = vec![-reach];
        for pair in centers.windows(2) {
            let [(from, after), (to, before)] = [pair[0], pair[1]];
            let half = 0.5 * (to - from);
            let offsets = |first: f64| -> Vec<f64> {
                let steps = std::iter::successors(Some(first), |edge| Some((2.0 * edge).min(edge + LONGEST[0])));
                steps.take_while(|edge| *edge < half).collect()
            };
            let (near, far) = (offsets(after.min(LONGEST[0])), offsets(before.min(LONGEST[0])));
            edges.extend(near.iter().map(|offset| from + offset));
            if 2.0 * half > LONGEST[0] || !(near.is_empty() && far.is_empty()) {
                edges.push(from + half);
            }
            edges.extend(far.iter().rev().map(|offset| to - offset));
            edges.push(to);
        }
        edges
    }
}
