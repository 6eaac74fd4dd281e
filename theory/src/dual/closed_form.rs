//! Dual activations in closed form.
//!
//! With `D = ab - c^2 >= 0`:
//!
//! | phi | V | Vd |
//! |---|---|---|
//! | slope `s` below 0 | `g sqrt(D) + m c`, `theta = atan2(sqrt(D), c)`, `g = (1-s)^2/(2 pi)`, `m = (1+s^2)/2 - g theta` | `m` |
//! | erf | `(2/pi) atan2(2c, Q)`, `Q^2 = 1 + 2a + 2b + 4D` | `4/(pi Q)` |
//! | GELU | `c/4 + [c t + (c^2 + ab S^2)/(P S)]/(2 pi)`, `P = (1+a)(1+b)`, `S^2 = 1 + a + b + D`, `t = atan2(c, S)` | `1/4 + t/(2 pi) + c/(2 pi S) [1/S^2 + (1-ab)/P + 1]` |
//! | `sin(wx+p)` | `(e1 - e2)/2`, `e1 = exp(w^2 (c - (a+b)/2))`, `e2 = cos(2p) exp(-w^2 (c + (a+b)/2))` | `w^2 (e1 + e2)/2` |
//! | `exp(-x^2)` | `1/Q` | `4c/Q^3` |
//!
//! Arc-cosine: Cho and Saul 2009; leaky: Tsuchida, Roosta-Khorasani and Gallagher 2017 (1711.09090); erf: Williams 1997;
//! GELU: Tsuchida, Pearce, van der Heide, Roosta and Gallagher 2020 (2002.08517).

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2, PI};

use super::Dual;
use crate::activation::Activation;

/// Relative size of `ab - c^2` below which rounding alone can have produced it.
const INDISTINGUISHABLE: f64 = 16.0 * f64::EPSILON;

/// `ab - c^2` as a product, zero where it cannot be told from zero.
fn determinant(a: f64, c: f64, b: f64) -> f64 {
    let root = (a * b).sqrt();
    let determinant = (root - c) * (root + c);
    if determinant <= INDISTINGUISHABLE * a * b { 0.0 } else { determinant }
}

/// The closed form, or `None` if `activation` has none.
pub(super) fn dual(activation: &Activation, a: f64, c: f64, b: f64) -> Option<Dual> {
    match activation {
        Activation::Identity => Some(Dual { value: c, derivative: 1.0 }),
        Activation::Relu => Some(kinked(0.0, a, c, b)),
        Activation::LeakyRelu { slope } => Some(kinked(*slope, a, c, b)),
        Activation::Abs => Some(kinked(-1.0, a, c, b)),
        Activation::Erf => {
            let q = (1.0 + 2.0 * (a + b) + 4.0 * determinant(a, c, b)).sqrt();
            Some(Dual { value: FRAC_2_PI * (2.0 * c).atan2(q), derivative: 4.0 / (PI * q) })
        }
        Activation::Gelu => {
            let p = (1.0 + a) * (1.0 + b);
            let s2 = 1.0 + a + b + determinant(a, c, b);
            let s = s2.sqrt();
            let t = c.atan2(s);
            Some(Dual {
                value: 0.25 * c + (c * t + (c * c + a * b * s2) / (p * s)) / (2.0 * PI),
                derivative: 0.25 + t / (2.0 * PI) + c / (2.0 * PI * s) * (1.0 / s2 + (1.0 - a * b) / p + 1.0),
            })
        }
        Activation::Sin { frequency, phase } => Some(sine(*frequency, *phase, a, c, b)),
        Activation::Cos { frequency, phase } => Some(sine(*frequency, phase + FRAC_PI_2, a, c, b)),
        Activation::Gaussian => {
            let q = (1.0 + 2.0 * (a + b) + 4.0 * determinant(a, c, b)).sqrt();
            Some(Dual { value: 1.0 / q, derivative: 4.0 * c / q.powi(3) })
        }
        Activation::Tanh
        | Activation::Silu
        | Activation::Softplus
        | Activation::Sigmoid
        | Activation::Polynomial { .. } => None,
    }
}

/// The closed form at `a = c = b = q`, where `D` is exactly zero.
pub(super) fn diagonal(activation: &Activation, q: f64) -> Option<Dual> {
    match activation.negative_slope() {
        Some(slope) => {
            let half = 0.5 * (1.0 + slope * slope);
            Some(Dual { value: half * q, derivative: half })
        }
        None => dual(activation, q, q, q),
    }
}

fn kinked(slope: f64, a: f64, c: f64, b: f64) -> Dual {
    let r = determinant(a, c, b).sqrt();
    let g = (1.0 - slope).powi(2) / (2.0 * PI);
    let derivative = 0.5 * (1.0 + slope * slope) - g * r.atan2(c);
    Dual { value: g * r + derivative * c, derivative }
}

fn sine(frequency: f64, phase: f64, a: f64, c: f64, b: f64) -> Dual {
    let w2 = frequency * frequency;
    let e1 = (w2 * (c - 0.5 * (a + b))).exp();
    let e2 = (2.0 * phase).cos() * (-w2 * (c + 0.5 * (a + b))).exp();
    Dual { value: 0.5 * (e1 - e2), derivative: 0.5 * w2 * (e1 + e2) }
}
