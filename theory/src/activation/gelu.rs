//! `phi(x) = x Phi(x)`, `Phi` the normal distribution function; exact, not the tanh approximation.
//!
//! With `P = (1+a)(1+b)`, `S^2 = P - c^2`, `t = atan2(c, S)`: `V = c/4 + [c t + (c^2 + ab S^2)/(P S)]/(2 pi)` and
//! `Vd = 1/4 + t/(2 pi) + c/(2 pi S) [1/S^2 + (1-ab)/P + 1]`; mean `q/sqrt(2 pi (1+q))`.
//!
//! A collinear pair has `V = c M`, and what its norms add is `L = ln sqrt(V_aa V_bb) - ln V_ab`, half of the integral of
//! `M_12/M - M_1 M_2/M^2` over both `sqrt(a)`: with `S^2 = 1 + a + b`, `M_12 = 3/(2 pi S^5)` and
//! `M_1 = sqrt(b) [2/(1+a) + 1/S^2]/(2 pi S (1+a))`.
//! Tsuchida, Pearce, van der Heide, Roosta and Gallagher 2020 (2002.08517).

use std::f64::consts::{FRAC_1_PI, FRAC_1_SQRT_2, FRAC_PI_2, PI, SQRT_2};

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Smoothness};
use crate::dual::Dual;
use crate::dual::closed_form::{ClosedForm, GaussianPair, Visitor};
use crate::dual::near::{self, EIGHT, FOUR, NearDual, NearPair, Norms, TAME};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct Gelu;

fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

fn normal_cdf_of(u: Formula) -> Formula {
    ((u * constant(FRAC_1_SQRT_2)).erf() + constant(1.0)) * constant(0.5)
}

/// `u Phi(u)`.
pub(super) fn of(u: Formula) -> Formula {
    u.clone() * normal_cdf_of(u)
}

/// `[S, t, c, 1/(1+a), 1/(1+b)]`: no product of variances.
fn scaled(pair: &NearPair) -> [f64; 5] {
    let ([left, right], c) = (pair.roots, pair.covariance());
    let s = 1.0_f64.hypot(left.hypot(right)).hypot(pair.root() * pair.determinant().sqrt());
    let inverse = |root: f64| (1.0 + root * root).recip();
    [s, c.atan2(s), c, inverse(left), inverse(right)]
}

/// `V` for variances of any size: `c/4 + [c t + S ab/P + (c/(1+a)) (c/(1+b))/S]/(2 pi)`.
fn scaled_value(pair: &NearPair) -> f64 {
    let [s, t, c, inverse_a, inverse_b] = scaled(pair);
    let shares = (pair.roots[0] * pair.roots[0] * inverse_a) * (pair.roots[1] * pair.roots[1] * inverse_b);
    0.25 * c + 0.5 * FRAC_1_PI * (c * t + s * shares + (c * inverse_a) * (c * inverse_b) / s)
}

/// `Vd` for variances of any size, with `(1 - ab)/P + 1 = 1/(1+a) + 1/(1+b)`.
fn scaled_slope(pair: &NearPair) -> f64 {
    let [s, t, c, inverse_a, inverse_b] = scaled(pair);
    0.25 + 0.5 * FRAC_1_PI * (t + c / s * (s.recip().powi(2) + inverse_a + inverse_b))
}

/// `d V(q, q, q)/d sqrt(q)`, a sum of positive terms.
fn growth(root: f64) -> f64 {
    let q = root * root;
    let s = (1.0 + 2.0 * q).sqrt();
    let share = q / (1.0 + q);
    let rest = share / s * (1.0 + 2.0 * (2.0 - share - q / (1.0 + 2.0 * q)));
    2.0 * root * (0.25 + 0.5 * FRAC_1_PI * (q.atan2(s) + rest))
}

/// `M` at two `sqrt(q)`: `V` of the collinear pair over the product.
fn collinear(roots: [f64; 2]) -> f64 {
    let [a, b] = roots.map(|root| root * root);
    let (c, s) = (roots[0] * roots[1], (1.0 + (a + b)).sqrt());
    let inverses = (1.0 + a).recip() + (1.0 + b).recip();
    0.25 + 0.5 * FRAC_1_PI * (c.atan2(s) + c / s * inverses)
}

/// The mixed derivative of `ln M`.
fn curvature(roots: [f64; 2]) -> f64 {
    let [p, q] = roots.map(|root| (1.0 + root * root).recip());
    let inverse = (1.0 + roots[0] * roots[0] + roots[1] * roots[1]).sqrt().recip();
    let square = inverse * inverse;
    let turn = 0.5 * FRAC_1_PI * inverse;
    let slopes = turn * turn * (roots[0] * roots[1] * p * q) * (2.0 * p + square) * (2.0 * q + square);
    let m = collinear(roots);
    (3.0 * turn * square * square - slopes / m) / m
}

/// `L` large enough for its rounding to be no matter.
const LARGE: f64 = 1e-3;

impl ActivationFunction for Gelu {
    const NAME: &'static str = "gelu";

    fn value(&self, x: f64) -> f64 {
        x * normal_cdf(x)
    }

    fn derivative(&self, x: f64) -> f64 {
        normal_cdf(x) + x * normal_density(x)
    }

    fn formulas(&self) -> [Formula; 2] {
        let density = (input().powi(2) * constant(-0.5)).exp() * constant(1.0 / (2.0 * PI).sqrt());
        [of(input()), normal_cdf_of(input()) + input() * density]
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::settling(FRAC_PI_2, 9.5)
    }

    fn diagonal(&self, q: f64) -> Option<Dual> {
        let pair = NearPair::constant(q);
        Some(Dual { value: scaled_value(&pair), derivative: scaled_slope(&pair) })
    }

    fn near(&self, pair: &NearPair) -> Option<NearDual> {
        if pair.sign > 0.0 {
            return None;
        }
        // Far from collinear for any function without parity: nothing cancels.
        let roots = pair.roots.map(|root| scaled_value(&NearPair::constant(root * root)).sqrt());
        let complement = 1.0 - scaled_value(pair) / roots[0] / roots[1];
        let difference = roots[0] - roots[1];
        Some(NearDual { pair: NearPair::new(roots, difference, complement), slope: scaled_slope(pair) })
    }

    fn descent(&self, pair: &NearPair) -> Option<[f64; 2]> {
        if pair.sign < 0.0 || !pair.roots.iter().all(|root| TAME.contains(root)) {
            return None;
        }
        let ([p, q], c, u) = (pair.roots.map(|root| 1.0 + root * root), pair.root(), pair.complement);
        let (square, inverses) = (p + q - 1.0, p.recip() + q.recip());
        // Vd from c (1 - u) to c is singular at sqrt(P) only.
        let rule: &[(f64, f64)] = match c * u * ((p * q).sqrt() + c) / square {
            distance if distance < 0.03 => &FOUR,
            distance if distance < 0.4 => &EIGHT,
            _ => return None,
        };
        let slope = |u: f64| {
            let c = c * (1.0 - u);
            let squared = square + pair.root() * pair.root() * (u * (2.0 - u));
            let s = squared.sqrt();
            0.25 + 0.5 * FRAC_1_PI * (c.atan2(s) + c / s * (squared.recip() + inverses))
        };
        let drop: f64 = rule.iter().map(|(t, weight)| weight * slope(t * u)).sum();
        Some([c * u * drop, slope(u)])
    }

    fn norms(&self, pair: &NearPair) -> Option<Norms> {
        if !pair.roots.iter().all(|root| TAME.contains(root)) {
            return None;
        }
        let ([left, right], d) = (pair.roots, pair.difference);
        let of_one = pair.roots.map(|root| collinear([root, root]));
        let roots = [left * of_one[0].sqrt(), right * of_one[1].sqrt()];
        // Roots that differ much leave most digits of what they differ by.
        if !pair.comparable() {
            let log = 0.5 * (of_one[0] * of_one[1]).ln() - collinear(pair.roots).ln();
            if log > LARGE {
                return Some(Norms { roots, difference: roots[0] - roots[1], gap: -(-log).exp_m1() });
            }
        }
        let nodes = near::nodes_between(pair)?;
        let growth = nodes.iter().map(|(t, weight)| weight * growth(right + t * d)).sum::<f64>();
        let of_two = |s: f64, t: f64| curvature([right + s * d, right + t * d]);
        let gap = -(-0.5 * d * d * near::over_square(nodes, of_two)).exp_m1();
        Some(Norms { roots, difference: d * growth / (roots[0] + roots[1]), gap })
    }

    fn near_slope(&self, pair: &NearPair) -> Option<f64> {
        Some(scaled_slope(pair))
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(*self))
    }

    fn mean(&self, q: f64) -> Option<f64> {
        Some(q / (2.0 * PI * (1.0 + q)).sqrt())
    }
}

impl ClosedForm for Gelu {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: GaussianPair<T>) -> [T; 2] {
        let GaussianPair { a, c, b, .. } = pair;
        let [one, quarter] = [1.0, 0.25].map(T::of);
        let turn = T::of(0.5 * FRAC_1_PI);
        let p = (one + a) * (one + b);
        // The sum of both variances first: the same number to the last bit with the two exchanged.
        let s2 = one + (a + b) + pair.determinant();
        let s = s2.sqrt();
        let t = c.slope_angle(s);
        // One division for all: 1/(PS), 1/S = P/(PS).
        let inverse = (p * s).recip();
        let inverse_s = p * inverse;
        let value = quarter * c + turn * (c * t + (c * c + a * b * s2) * inverse);
        let bracket = p * (inverse_s * inverse_s) + (one - a * b) + p;
        [value, quarter + turn * (t + c * inverse * bracket)]
    }
}
