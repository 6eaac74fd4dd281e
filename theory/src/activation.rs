//! Elementwise nonlinearities as data. The network and the kernel each interpret this one value.

use std::f64::consts::{FRAC_2_SQRT_PI, PI, SQRT_2};

use serde::{Deserialize, Serialize};

/// `phi`, with an exact derivative for every member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` for positive `x`, else `slope * x`.
    LeakyRelu {
        /// Slope on the negative side.
        slope: f64,
    },
    /// `|x|`.
    Abs,
    /// `erf(x)`.
    Erf,
    /// `tanh(x)`.
    Tanh,
    /// `x Phi(x)`, exact, not the tanh approximation.
    Gelu,
    /// `x / (1 + exp(-x))`.
    Silu,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `sin(frequency x + phase)`.
    Sin {
        /// Angular frequency.
        frequency: f64,
        /// Phase in radians.
        phase: f64,
    },
    /// `cos(frequency x + phase)`.
    Cos {
        /// Angular frequency.
        frequency: f64,
        /// Phase in radians.
        phase: f64,
    },
    /// `exp(-x^2)`.
    Gaussian,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `sum_k coefficients[k] x^k`.
    Polynomial {
        /// Coefficients, constant first.
        coefficients: Vec<f64>,
    },
}

fn sigmoid(x: f64) -> f64 {
    // Both branches avoid overflow of exp.
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

impl Activation {
    /// `phi(x)`.
    pub fn value(&self, x: f64) -> f64 {
        match self {
            Activation::Identity => x,
            Activation::Relu => x.max(0.0),
            Activation::LeakyRelu { slope } => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
            Activation::Abs => x.abs(),
            Activation::Erf => libm::erf(x),
            Activation::Tanh => x.tanh(),
            Activation::Gelu => x * normal_cdf(x),
            Activation::Silu => x * sigmoid(x),
            Activation::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Activation::Sin { frequency, phase } => (frequency * x + phase).sin(),
            Activation::Cos { frequency, phase } => (frequency * x + phase).cos(),
            Activation::Gaussian => (-x * x).exp(),
            Activation::Sigmoid => sigmoid(x),
            Activation::Polynomial { coefficients } => coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c),
        }
    }

    /// `phi'(x)`; at a kink the derivative from the left, as a network computes it (`relu'(0) = 0`).
    pub fn derivative(&self, x: f64) -> f64 {
        match self {
            Activation::Identity => 1.0,
            Activation::Relu => {
                if x > 0.0 {
                    1.0
                } else {
                    0.0
                }
            }
            Activation::LeakyRelu { slope } => {
                if x > 0.0 {
                    1.0
                } else {
                    *slope
                }
            }
            Activation::Abs => {
                if x > 0.0 {
                    1.0
                } else {
                    -1.0
                }
            }
            Activation::Erf => FRAC_2_SQRT_PI * (-x * x).exp(),
            Activation::Tanh => 1.0 - x.tanh().powi(2),
            Activation::Gelu => normal_cdf(x) + x * normal_density(x),
            Activation::Silu => {
                let s = sigmoid(x);
                s * (1.0 + x * (1.0 - s))
            }
            Activation::Softplus => sigmoid(x),
            Activation::Sin { frequency, phase } => frequency * (frequency * x + phase).cos(),
            Activation::Cos { frequency, phase } => -frequency * (frequency * x + phase).sin(),
            Activation::Gaussian => -2.0 * x * (-x * x).exp(),
            Activation::Sigmoid => {
                let s = sigmoid(x);
                s * (1.0 - s)
            }
            Activation::Polynomial { coefficients } => {
                let indexed = coefficients.iter().enumerate().skip(1).rev();
                indexed.fold(0.0, |sum, (k, c)| sum * x + k as f64 * c)
            }
        }
    }

    /// The name used in configurations and file columns, without parameters.
    pub fn name(&self) -> &'static str {
        match self {
            Activation::Identity => "identity",
            Activation::Relu => "relu",
            Activation::LeakyRelu { .. } => "leaky_relu",
            Activation::Abs => "abs",
            Activation::Erf => "erf",
            Activation::Tanh => "tanh",
            Activation::Gelu => "gelu",
            Activation::Silu => "silu",
            Activation::Softplus => "softplus",
            Activation::Sin { .. } => "sin",
            Activation::Cos { .. } => "cos",
            Activation::Gaussian => "gaussian",
            Activation::Sigmoid => "sigmoid",
            Activation::Polynomial { .. } => "polynomial",
        }
    }
}
