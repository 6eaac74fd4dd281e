//! `phi(x) = exp(-x^2)`: `V = 1/Q` and `Vd = 4c/Q^3` with `Q^2 = (1 + 2a)(1 + 2b) - 4c^2`; mean `1/sqrt(1 + 2q)`.
//!
//! The collinear pair has `Q^2 = 1 + 2a + 2b`, whose fourth power is `(1 + 4a)(1 + 4b) + 4 (a - b)^2`.
//!
//! The duals are Gaussian integrals. Entire, as large as `exp(y^2)` at imaginary part `y`; the strip is that of erf.

use std::f64::consts::PI;

use super::formula::{Formula, constant, input};
use super::member::{ActivationFunction, Parity, Smoothness};
use crate::dual::closed_form::{ClosedForm, GaussianPair, Visitor};
use crate::dual::near::{Legs, NearPair, Norms, TAME};
use crate::dual::real::Real;

#[derive(Clone, Copy)]
pub(super) struct Gaussian;

impl ActivationFunction for Gaussian {
    const NAME: &'static str = "gaussian";

    fn value(&self, x: f64) -> f64 {
        (-x * x).exp()
    }

    fn derivative(&self, x: f64) -> f64 {
        -2.0 * x * (-x * x).exp()
    }

    fn formulas(&self) -> [Formula; 2] {
        let bump = (-input().powi(2)).exp();
        [bump.clone(), bump * (input() * constant(-2.0))]
    }

    fn parity(&self) -> Parity {
        Parity::Even
    }

    fn smoothness(&self) -> Smoothness {
        Smoothness::settling(PI / 3.0, 6.5)
    }

    fn descent(&self, pair: &NearPair) -> Option<[f64; 2]> {
        let Legs { first, second, difference } = Legs::new(pair);
        Some([difference / first / second, 4.0 * (pair.covariance() / second) / second / second])
    }

    fn norms(&self, pair: &NearPair) -> Option<Norms> {
        if !pair.roots.iter().all(|root| TAME.contains(root)) {
            return None;
        }
        let [a, b] = pair.roots.map(|root| root * root);
        let step = pair.difference * (pair.roots[0] + pair.roots[1]);
        let roots = [a, b].map(|q| (1.0 + 4.0 * q).powf(-0.25));
        let difference = roots[1] * (-0.25 * (4.0 * step / (1.0 + 4.0 * b)).ln_1p()).exp_m1();
        let square = (2.0 * step / (1.0 + 2.0 * (a + b))).powi(2);
        Some(Norms { roots, difference, gap: -(0.25 * (-square).ln_1p()).exp_m1() })
    }

    fn visit<V: Visitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(*self))
    }

    fn mean(&self, q: f64) -> Option<f64> {
        Some((1.0 + 2.0 * q).sqrt().recip())
    }
}

impl ClosedForm for Gaussian {
    #[inline(always)]
    fn dual<T: Real>(&self, pair: GaussianPair<T>) -> [T; 2] {
        let inverse = pair.doubled_root().recip();
        [inverse, T::of(4.0) * pair.c * inverse * inverse * inverse]
    }
}
