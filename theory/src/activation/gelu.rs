//! `phi(x) = x Phi(x)`, `Phi` the normal distribution function; exact, not the tanh approximation.
//!
//! With `P = (1+a)(1+b)`, `S^2 = P - c^2`, `t = atan2(c, S)`: `V = c/4 + [c t + (c^2 + ab S^2)/(P S)]/(2 pi)` and
//! `Vd = 1/4 + t/(2 pi) + c/(2 pi S) [1/S^2 + (1-ab)/P + 1]`; mean `q/sqrt(2 pi (1+q))`.
//! Tsuchida, Pearce, van der Heide, Roosta and Gallagher 2020 (2002.08517).

use std::f64::consts::{FRAC_1_PI, FRAC_1_SQRT_2, FRAC_PI_2, PI, SQRT_2};

use super::formula::{Formula, constant, input};
use super::member::{Member, Smoothness};
use crate::dual::Dual;
use crate::dual::closed_form::{ClosedForm, Pair, Visitor};
use crate::dual::near::{NearDual, NearPair};
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

impl Member for Gelu {
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
    fn dual<T: Real>(&self, pair: Pair<T>) -> [T; 2] {
        let Pair { a, c, b, .. } = pair;
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
