//! `phi(x) = erf(x)`: `V = (2/pi) atan2(2c, Q)` and `Vd = 4/(pi Q)` with `Q^2 = (1 + 2a)(1 + 2b) - 4c^2`. Williams 1997.
//!
//! With `psi = asin(2q/(1 + 2q))` the square of a norm is `2 psi/pi`, and the collinear pair has the angle `chi` with
//! `sin(chi)^2 = sin(psi_a) sin(psi_b)`. Euler's product of the sine makes `sin(chi) = sin(g) e^{-L}` with `g = sqrt(psi_a psi_b)` and
//! `L = sum_n zeta(2n)/(2n pi^{2n}) (psi_a^n - psi_b^n)^2`, all of one sign.
//!
//! Entire, but as large as `exp(y^2)` at imaginary part `y`: a strip of 1.05 keeps the trapezoid rule at rounding.

use std::f64::consts::{FRAC_1_PI, FRAC_2_PI, FRAC_2_SQRT_PI, PI};

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Parity, Smoothness};
use crate::dual::closed_form::{ClosedForm, GaussianPair, Visitor};
use crate::dual::near::{Legs, NearPair, Norms, TAME};
use crate::dual::real::Real;

/// `(zeta(2n) - 1)/(2n)` from `n = 1` on.
const ZETA: [f64; 14] = [
    0.322_467_033_424_113_2,
    0.020_580_808_427_784_55,
    0.002_890_510_330_741_523_4,
    5.096_695_247_430_424e-4,
    9.945_751_278_180_853e-5,
    2.050_721_277_567_069e-5,
    4.374_866_789_907_488e-6,
    9.551_412_130_407_42e-7,
    2.120_718_480_555_466_6e-7,
    4.769_810_169_363_98e-8,
    1.083_865_921_489_695_4e-8,
    2.483_674_543_802_478e-9,
    5.731_367_241_678_862e-10,
    1.330_476_437_424_449e-10,
];

/// `L` of two angles in `[0, pi/2]` and their difference: the terms of `zeta - 1` shrink sixteenfold, the rest is a logarithm.
fn log_of_sines(angles: [f64; 2], difference: f64) -> f64 {
    let [x, y] = angles.map(|angle| FRAC_1_PI * angle);
    let d = FRAC_1_PI * difference;
    // (x^n - y^n)/(x - y) and y^n.
    let (mut quotient, mut power, mut sum) = (1.0, y, 0.0);
    for zeta in ZETA {
        sum += zeta * quotient * quotient;
        quotient = x * quotient + power;
        power *= y;
    }
    d * d * sum + 0.5 * (d * d / ((1.0 - x * x) * (1.0 - y * y))).ln_1p()
}

#[derive(Clone, Copy)]
pub(super) struct ErrorFunction;

impl ActivationFunction for ErrorFunction {
    const NAME: &'static str = "erf";

    fn value(&self, x: f64) -> f64 {
        libm::erf(x)
    }

    fn derivative(&self, x: f64) -> f64 {
        FRAC_2_SQRT_PI * (-x * x).exp()
    }

    fn formulas(&self) -> [Formula; 2] {
        [input().erf(), (-input().powi(2)).exp() * constant(FRAC_2_SQRT_PI)]
    }

    fn parity(&self) -> Parity {
        Parity::Odd
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::settling(PI / 3.0, 6.5)
    }

    fn descent(&self, pair: &NearPair) -> Option<[f64; 2]> {
        // The angle between (Q_0, 2 sqrt(ab)) and (Q, 2c), with Q_0 that of the collinear pair.
        let Legs { first, second, difference } = Legs::new(pair);
        let twice = 2.0 * pair.root();
        let (opposite, adjacent) = match twice > 0.0 {
            true => (difference + pair.complement * first, first * (second / twice) + twice * (1.0 - pair.complement)),
            false => (0.0, 1.0),
        };
        Some([FRAC_2_PI * opposite.atan2(adjacent), 4.0 * FRAC_1_PI / second])
    }

    fn norms(&self, pair: &NearPair) -> Option<Norms> {
        if !pair.roots.iter().all(|root| TAME.contains(root)) {
            return None;
        }
        let [a, b] = pair.roots.map(|root| root * root);
        let [p, q] = [a, b].map(|q| (1.0 + 4.0 * q).sqrt());
        let angles = [(2.0 * a).atan2(p), (2.0 * b).atan2(q)];
        // Of the tangents 2a/p and 2b/q the difference, as a product.
        let step = pair.difference * (pair.roots[0] + pair.roots[1]);
        let sine = 2.0 * step * (a + b + 4.0 * a * b) / (a * q + b * p);
        let difference = sine.atan2(p * q + 4.0 * a * b);
        let product = (1.0 + 2.0 * a) * (1.0 + 2.0 * b);
        let (sine, cosine) = (4.0 * a * b / product, (1.0 + 2.0 * (a + b)) / product);
        // The squares of sin(g) and cos(g) less those of chi.
        let rise = sine * (2.0 * log_of_sines(angles, difference)).exp_m1();
        let both = ((sine + rise) * cosine).sqrt() + ((cosine - rise).max(0.0) * sine).sqrt();
        let gap = (rise / both).min(1.0).asin() / (angles[0].sqrt() * angles[1].sqrt());
        let roots = angles.map(|angle| (FRAC_2_PI * angle).sqrt());
        Some(Norms { roots, difference: FRAC_2_PI * difference / (roots[0] + roots[1]), gap })
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(*self))
    }

    fn mean(&self, _q: f64) -> Option<f64> {
        Some(0.0)
    }
}

impl ClosedForm for ErrorFunction {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: GaussianPair<T>) -> [T; 2] {
        let q = pair.doubled_root();
        [T::of(FRAC_2_PI) * (T::of(2.0) * pair.c).slope_angle(q), T::of(4.0 * FRAC_1_PI) / q]
    }
}
