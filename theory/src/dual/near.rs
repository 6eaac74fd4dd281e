//! Pairs of Gaussians that are almost collinear, or so large or small that products of variances leave the range of numbers.
//!
//! A covariance matrix `[[a, c], [c, b]]` in three numbers keeps no more digits of `ab - c^2` than rounding leaves. Here a pair is
//! `sqrt(a)`, `sqrt(b)`, their difference, and the correlation `rho = sign (1 - u)` by its sign and its complement `u`: each a
//! number of its own with all its digits, and each carried through a layer by sums of terms of one sign.
//!
//! Sums of independent pairs obey Lagrange's identity: with shares `x_k = sqrt(a_k/A)`, `y_k = sqrt(b_k/B)` of the norms,
//! `u = sum_{k<l} (x_k y_l - x_l y_k)^2 / (1 + sum_k x_k y_k) + sum_k x_k y_k (1 - sign sign_k (1 - u_k))`.
//!
//! A function turns `u` into `[G + D] / sqrt(V(a,a,a) V(b,b,b))`: `D = V(a, sqrt(ab), b) - V(a, c, b)`, the integral of `Vd` over
//! what is missing to collinearity, and `G = sqrt(V(a,a,a) V(b,b,b)) - V(a, sqrt(ab), b)`, what a function adds that does not keep
//! proportions: with `f = phi(sqrt(a) z)` and `g = phi(sqrt(b) z)` `G` is half of
//! `E[(g/|g| - f/|f|)^2]` in units of the norms.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use super::expectation::{density, nodes, panel};
use super::{Dual, HermiteSeries};
use crate::activation::{Activation, Parity};

/// Half-width of the box of norms: `exp(-14^2/2)` is 2e-43.
const BOX: f64 = 14.0;
/// Longest panel: its nodes resolve the Gaussian.
const LONGEST: f64 = 2.0;
/// Widths of the strip of analyticity up to which panels have equal length; beyond they double.
const EQUAL_PANELS: f64 = 128.0;
/// Largest relative distance of two arguments, in units of the strip, between which a function is integrated from its slope.
const CLOSE: f64 = 0.2;
/// Largest share of the norms up to which their difference is known better than the norms tell.
const COMPARABLE: f64 = 0.25;
/// The rule with one node in `[0, 1]`.
const MIDDLE: [(f64, f64); 1] = [(0.5, 1.0)];
/// Nodes in `[0, 1]` and weights of the Gauss-Legendre rule with four nodes.
pub(crate) const FOUR: [(f64, f64); 4] = [
    (0.069_431_844_202_973_71, 0.173_927_422_568_726_93),
    (0.330_009_478_207_571_87, 0.326_072_577_431_273_07),
    (0.669_990_521_792_428_1, 0.326_072_577_431_273_07),
    (0.930_568_155_797_026_3, 0.173_927_422_568_726_93),
];

/// Nodes in `[0, 1]` and weights of the Gauss-Legendre rule with eight nodes.
pub(crate) const EIGHT: [(f64, f64); 8] = [
    (0.019_855_071_751_231_884, 0.050_614_268_145_188_13),
    (0.101_666_761_293_186_64, 0.111_190_517_226_687_24),
    (0.237_233_795_041_835_5, 0.156_853_322_938_943_63),
    (0.408_282_678_752_175_1, 0.181_341_891_689_181),
    (0.591_717_321_247_825, 0.181_341_891_689_181),
    (0.762_766_204_958_164_5, 0.156_853_322_938_943_63),
    (0.898_333_238_706_813_4, 0.111_190_517_226_687_24),
    (0.980_144_928_248_768_1, 0.050_614_268_145_188_13),
];
/// Standard deviations of which the sums and products in formulas for norms stay within the range of numbers, with all digits.
pub(crate) const TAME: RangeInclusive<f64> = 1e-35..=1e35;

/// A pair of Gaussians.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NearPair {
    /// `sqrt(a)` and `sqrt(b)`.
    pub(crate) roots: [f64; 2],
    /// `sqrt(a) - sqrt(b)`.
    pub(crate) difference: f64,
    /// 1 or -1: the sign of the correlation.
    pub(crate) sign: f64,
    /// `u = 1 - |rho|`, in `[0, 1]`.
    pub(crate) complement: f64,
}

/// A pair behind a function, with `Vd`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NearDual {
    /// Second moments of `phi(u)` and `phi(v)`.
    pub(crate) pair: NearPair,
    /// `E[phi'(u) phi'(v)]`.
    pub(crate) slope: f64,
}

impl NearPair {
    /// With `1 - rho` in `[0, 2]`.
    pub(crate) fn new(roots: [f64; 2], difference: f64, complement: f64) -> Self {
        let (sign, complement) = if complement > 1.0 { (-1.0, 2.0 - complement) } else { (1.0, complement) };
        Self { roots, difference, sign, complement: complement.clamp(0.0, 1.0) }
    }

    /// From second moments, whose rounding it inherits.
    pub(crate) fn from_moments(a: f64, c: f64, b: f64) -> Self {
        let roots = [a.sqrt(), b.sqrt()];
        let rho = (c / roots[0] / roots[1]).clamp(-1.0, 1.0);
        Self::new(roots, roots[0] - roots[1], 1.0 - if rho.is_nan() { 1.0 } else { rho })
    }

    /// One constant on both sides.
    pub(crate) fn constant(variance: f64) -> Self {
        Self::new([variance.sqrt(); 2], 0.0, 0.0)
    }

    /// `sqrt(ab)`.
    pub(crate) fn root(&self) -> f64 {
        self.roots[0] * self.roots[1]
    }

    /// `c`.
    pub(crate) fn covariance(&self) -> f64 {
        self.root() * self.correlation()
    }

    /// `rho`.
    fn correlation(&self) -> f64 {
        self.sign * (1.0 - self.complement)
    }

    /// `1 - rho^2`.
    pub(crate) fn determinant(&self) -> f64 {
        self.complement * (2.0 - self.complement)
    }

    /// The angle between the pair and collinearity, in `[0, pi/2]`.
    pub(crate) fn angle(&self) -> f64 {
        2.0 * (0.5 * self.complement).sqrt().asin()
    }

    /// Both sides times `factor`.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        Self { roots: self.roots.map(|root| root * factor), difference: self.difference * factor, ..*self }
    }

    /// The same norms with the second side negated.
    fn opposite(&self) -> Self {
        Self { sign: -self.sign, ..*self }
    }

    /// Whether the norms differ by a small share of themselves.
    pub(crate) fn comparable(&self) -> bool {
        self.difference.abs() <= COMPARABLE * self.roots[0]
    }

    /// The sum of independent pairs.
    pub(crate) fn sum(parts: &[Self]) -> Self {
        let norm = |side: usize| parts.iter().fold(0.0_f64, |norm, part| norm.hypot(part.roots[side]));
        let roots = [norm(0), norm(1)];
        if roots.contains(&0.0) {
            return Self::new(roots, roots[0] - roots[1], 0.0);
        }
        let share = |part: &Self, side: usize| part.roots[side] / roots[side];
        let product = |part: &Self| share(part, 0) * share(part, 1);
        let correlation: f64 = parts.iter().map(|part| part.sign * product(part) * (1.0 - part.complement)).sum();
        let sign = if correlation < 0.0 { -1.0 } else { 1.0 };
        let mut minors = 0.0;
        for (k, x) in parts.iter().enumerate() {
            for y in &parts[k + 1..] {
                let minor = match x.comparable() && y.comparable() {
                    true => share(y, 0) * (x.difference / roots[1]) - share(x, 0) * (y.difference / roots[1]),
                    false => share(x, 0) * share(y, 1) - share(y, 0) * share(x, 1),
                };
                minors += minor * minor;
            }
        }
        let total: f64 = parts.iter().map(product).sum();
        let missing = |part: &Self| match sign == part.sign {
            true => part.complement,
            false => 2.0 - part.complement,
        };
        let complement = minors / (1.0 + total) + parts.iter().map(|part| product(part) * missing(part)).sum::<f64>();
        let weight = |part: &Self| (part.roots[0] + part.roots[1]) / (roots[0] + roots[1]);
        let difference = parts.iter().map(|part| part.difference * weight(part)).sum();
        Self { sign, ..Self::new(roots, difference, complement.min(1.0)) }
    }
}

/// Norms of `f = phi(sqrt(a) z)` and `g = phi(sqrt(b) z)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Norms {
    pub(crate) roots: [f64; 2],
    /// The first less the second.
    pub(crate) difference: f64,
    /// `G` over the product of the norms.
    pub(crate) gap: f64,
}

impl Norms {
    /// Of `f` and `g`, or of comparable functions `f` and `g = f + h` with `h` for the second. `mean` averages a function of both.
    ///
    /// The gap is half of `E[(g/|g| - f/|f|)^2]`, a sum of squares.
    pub(super) fn new(comparable: bool, mean: impl Fn(&dyn Fn(f64, f64) -> f64) -> f64) -> Self {
        let left = mean(&|f, _| f * f).sqrt();
        if !comparable {
            let right = mean(&|_, g| g * g).sqrt();
            let gap = 0.5 * mean(&|f, g| (g / right - f / left).powi(2));
            return Self { roots: [left, right], difference: left - right, gap };
        }
        // In units of the norm of f, whose square may be no number.
        let growth = mean(&|f, h| (h / left) * (2.0 * (f / left) + h / left));
        let ratio = (1.0 + growth).max(0.0).sqrt();
        let (right, difference) = (ratio * left, -growth / (1.0 + ratio) * left);
        let gap = 0.5 * mean(&|f, h| (f / left * (difference / right) + h / right).powi(2));
        Self { roots: [left, right], difference, gap }
    }
}

/// `Q = sqrt((1 + 2a)(1 + 2b) - 4c^2)` of a pair, as a hypotenuse.
pub(crate) struct Legs {
    /// `Q` of the collinear pair with the same norms.
    pub(crate) first: f64,
    /// `Q`.
    pub(crate) second: f64,
    /// The second less the first.
    pub(crate) difference: f64,
}

impl Legs {
    pub(crate) fn new(pair: &NearPair) -> Self {
        let [a, b] = pair.roots;
        let first = 1.0_f64.hypot(std::f64::consts::SQRT_2 * a.hypot(b));
        let leg = 2.0 * pair.root() * pair.determinant().sqrt();
        let second = first.hypot(leg);
        Self { first, second, difference: leg * (leg / (first + second)) }
    }
}

/// A Gauss-Legendre rule on `[0, 1]` that integrates to rounding, from one root of a pair to the other, a function of it that is analytic
/// right of the imaginary axis; `None` for roots too far apart for any.
pub(crate) fn nodes_between(pair: &NearPair) -> Option<&'static [(f64, f64)]> {
    static LONG: LazyLock<Vec<(f64, f64)>> = LazyLock::new(|| nodes(0.0, 1.0).collect());
    // With n nodes the error is the 2n-th power of the sum of half axes of the ellipse that reaches the axis.
    let distance = pair.difference.abs() / pair.roots[0].min(pair.roots[1]);
    match distance {
        _ if distance < 1e-7 => Some(&MIDDLE),
        _ if distance < 0.04 => Some(&FOUR),
        _ if distance < 0.4 => Some(&EIGHT),
        _ if distance < 6.0 => Some(&LONG),
        _ => None,
    }
}

/// A symmetric function over the unit square.
pub(crate) fn over_square(nodes: &[(f64, f64)], function: impl Fn(f64, f64) -> f64) -> f64 {
    let row = |(i, (s, weight)): (usize, &(f64, f64))| {
        let above = nodes[i + 1..].iter().map(|(t, other)| other * function(*s, *t)).sum::<f64>();
        weight * (weight * function(*s, *s) + 2.0 * above)
    };
    nodes.iter().enumerate().map(row).sum()
}

impl Activation {
    /// What becomes of a pair; `series` are the Hermite series of both sides for a function without a closed form.
    pub(crate) fn near_dual(&self, pair: &NearPair, series: Option<[&HermiteSeries; 2]>) -> NearDual {
        let parity = self.parity();
        if pair.sign < 0.0 && parity != Parity::Neither {
            let NearDual { pair: image, slope } = self.near_dual(&pair.opposite(), series);
            return match parity {
                Parity::Odd => NearDual { pair: image.opposite(), slope },
                _ => NearDual { pair: image, slope: -slope },
            };
        }
        if let Some(found) = self.near_in_closed_form(pair) {
            return found;
        }
        let norms = self.norms(pair, series);
        let root = norms.roots[0] * norms.roots[1];
        if root == 0.0 {
            let slope = self.descent(pair).map(|[_, slope]| slope).or_else(|| self.near_slope(pair));
            let slope = slope.unwrap_or_else(|| self.plain_dual(pair, series).derivative);
            return NearDual { pair: NearPair::new(norms.roots, norms.difference, 0.0), slope };
        }
        if pair.sign < 0.0 || (series.is_some() && self.smoothness().jumps) {
            let Dual { value, derivative } = self.plain_dual(pair, series);
            let complement = 1.0 - value / norms.roots[0] / norms.roots[1];
            return NearDual { pair: NearPair::new(norms.roots, norms.difference, complement), slope: derivative };
        }
        let [drop, slope] = self.descent(pair).unwrap_or_else(|| match series {
            Some([left, right]) if !left.is_cut_short(right, 1.0 - pair.complement) => {
                left.descent(right, pair.complement, parity)
            }
            _ => self.descent_by_angles(pair),
        });
        let complement = norms.gap + drop / norms.roots[0] / norms.roots[1];
        NearDual { pair: NearPair::new(norms.roots, norms.difference, complement), slope }
    }

    /// `V` and `Vd` where nothing cancels.
    fn plain_dual(&self, pair: &NearPair, series: Option<[&HermiteSeries; 2]>) -> Dual {
        let rho = pair.correlation();
        match series {
            Some([left, right]) if !left.is_cut_short(right, rho) => left.dual(right, rho),
            _ => {
                let [a, b] = pair.roots.map(|root| root.powi(2));
                match self.logistic() {
                    // The determinant has digits that the correlation lost: near -1 the slope is an angle.
                    Some(function) => function.dual(a, b, rho, pair.determinant()),
                    None => self.dual_pair(a, pair.covariance(), b),
                }
            }
        }
    }

    fn norms(&self, pair: &NearPair, series: Option<[&HermiteSeries; 2]>) -> Norms {
        if pair.difference == 0.0 {
            let square = match series {
                Some([left, _]) if !left.is_cut_short(left, 1.0) => left.square(),
                _ => self.dual_diagonal(pair.roots[0].powi(2)).value,
            };
            return Norms { roots: [square.sqrt(); 2], difference: 0.0, gap: 0.0 };
        }
        if let Some(norms) = self.norms_in_closed_form(pair) {
            return norms;
        }
        let [left, right] = pair.roots.map(|root| self.finite_series(root.powi(2)));
        match (left, right, series) {
            (Some(left), Some(right), _) => left.norms(&right, pair.comparable()),
            (_, _, Some([left, right])) if left.has_converged() && right.has_converged() => {
                left.norms_beside(right, pair, self.parity())
            }
            _ => self.norms_by_panels(pair),
        }
    }

    pub(super) fn norms_by_panels(&self, pair: &NearPair) -> Norms {
        let smoothness = self.smoothness();
        let ([alpha, beta], rate, kinks) = (pair.roots, smoothness.rate(), &smoothness.kinks);
        let panels = panels(pair.roots, smoothness.strip, kinks);
        let second = |z: f64| {
            if !pair.comparable() {
                return self.value(beta * z);
            }
            // By its slope where the arguments are close: differences of values lose what they share.
            let step = pair.difference * z;
            if kinks.is_empty() && step.abs() * rate < CLOSE {
                let slope = |(t, weight): &(f64, f64)| weight * self.derivative(alpha * z - t * step);
                return -step * FOUR.iter().map(slope).sum::<f64>();
            }
            self.value(beta * z) - self.value(alpha * z)
        };
        // All that is averaged is of second degree: the sides of a function with a parity are equal.
        let has_parity = self.parity() != Parity::Neither;
        let sides: &[f64] = if has_parity { &[1.0] } else { &[1.0, -1.0] };
        let weight = if has_parity { 2.0 } else { 1.0 };
        let nodes = panels.iter().flat_map(|[start, end]| nodes(*start, *end));
        let values: Vec<[f64; 3]> = nodes
            .flat_map(|(z, share)| sides.iter().map(move |side| (side * z, weight * share * density(z))))
            .map(|(z, share)| [share, self.value(alpha * z), second(z)])
            .collect();
        Norms::new(pair.comparable(), |function| values.iter().map(|[share, f, g]| share * function(*f, *g)).sum())
    }

    /// `D` and `Vd` from `Vd` alone, over the angle between the pair and collinearity.
    pub(super) fn descent_by_angles(&self, pair: &NearPair) -> [f64; 2] {
        let (angle, root) = (pair.angle(), pair.root());
        let slope = |angle: f64| {
            let complement = 2.0 * (0.5 * angle).sin().powi(2);
            self.slope(&NearPair { complement, ..*pair })
        };
        // Vd varies where the angle outgrows the scale of the function over the norms.
        let first = (self.smoothness().rate() * pair.roots[0].max(pair.roots[1])).recip();
        // Vd grows no faster than one over the angle: what is nearer to collinearity is a smaller share than rounding.
        let first = first.max(1e-18 * angle);
        let (mut drop, mut start) = (0.0, 0.0);
        while start < angle {
            let end = if start == 0.0 { first } else { 2.0 * start }.min(angle);
            drop += panel(start, end, |angle| angle.sin() * slope(angle));
            start = end;
        }
        [root * drop, self.slope(pair)]
    }

    fn slope(&self, pair: &NearPair) -> f64 {
        let alone = || {
            let [a, b] = pair.roots.map(|root| root * root);
            match self.logistic() {
                Some(function) => function.dual(a, b, pair.correlation(), pair.determinant()).derivative,
                None => self.dual_by_quadrature(a, pair.covariance(), b).derivative,
            }
        };
        self.near_slope(pair).unwrap_or_else(alone)
    }
}

/// Panels of `[0, BOX]` that resolve a function of `roots z` analytic in a strip but for kinks.
fn panels(roots: [f64; 2], strip: f64, kinks: &[f64]) -> Vec<[f64; 2]> {
    let largest = roots[0].max(roots[1]);
    let length = 2.0 * strip.min(1e3) / largest;
    let mut edges = vec![0.0];
    while let Some(edge) = edges.last().copied().filter(|edge| *edge < BOX) {
        let step = if edge < EQUAL_PANELS * length { length } else { edge };
        edges.push(BOX.min(edge + step.min(LONGEST)));
    }
    let both = kinks.iter().flat_map(|kink| roots.map(|root| kink.abs() / root));
    edges.extend(both.filter(|edge| *edge < BOX));
    edges.sort_by(f64::total_cmp);
    edges.windows(2).filter(|pair| pair[1] > pair[0]).map(|pair| [pair[0], pair[1]]).collect()
}
