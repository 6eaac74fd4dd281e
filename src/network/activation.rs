//! [`Activation`] on tensors: the second interpreter of the value that theory integrates.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use burn::tensor::{Tensor, activation};
use widthwise_theory::Activation;

/// `phi(z)`, elementwise.
pub(super) fn value(function: &Activation, z: Tensor<2>) -> Tensor<2> {
    match function {
        Activation::Identity => z,
        Activation::Relu => activation::relu(z),
        Activation::LeakyRelu { slope } => activation::relu(z.clone()) - activation::relu(z.neg()).mul_scalar(*slope),
        Activation::Abs => z.abs(),
        Activation::Erf => z.erf(),
        Activation::Tanh => z.tanh(),
        Activation::Gelu => z.clone() * normal_cdf(z),
        Activation::Silu => z.clone() * activation::sigmoid(z),
        Activation::Softplus => activation::relu(z.clone()) + z.abs().neg().exp().log1p(),
        Activation::Sin { frequency, phase } => z.mul_scalar(*frequency).add_scalar(*phase).sin(),
        Activation::Cos { frequency, phase } => z.mul_scalar(*frequency).add_scalar(*phase).cos(),
        Activation::Gaussian => z.square().neg().exp(),
        Activation::Sigmoid => activation::sigmoid(z),
        Activation::Polynomial { coefficients } => polynomial(coefficients, z),
    }
}

/// `phi'(z)`, elementwise; at a kink as automatic differentiation has it.
fn derivative(function: &Activation, z: Tensor<2>) -> Tensor<2> {
    let positive = |z: &Tensor<2>| Tensor::ones_like(z).mask_fill(z.clone().lower_equal_elem(0.0), 0.0);
    match function {
        Activation::Identity => z.ones_like(),
        Activation::Relu => positive(&z),
        Activation::LeakyRelu { slope } => positive(&z) + positive(&z.neg()).mul_scalar(*slope),
        Activation::Abs => z.sign(),
        Activation::Erf => z.square().neg().exp().mul_scalar(FRAC_2_SQRT_PI),
        Activation::Tanh => z.tanh().square().neg().add_scalar(1.0),
        Activation::Gelu => {
            let density = z.clone().square().mul_scalar(-0.5).exp().mul_scalar(1.0 / (2.0 * PI).sqrt());
            normal_cdf(z.clone()) + z * density
        }
        Activation::Silu => {
            let s = activation::sigmoid(z.clone());
            s.clone() * (z * s.neg().add_scalar(1.0)).add_scalar(1.0)
        }
        Activation::Softplus => activation::sigmoid(z),
        Activation::Sin { frequency, phase } => {
            z.mul_scalar(*frequency).add_scalar(*phase).cos().mul_scalar(*frequency)
        }
        Activation::Cos { frequency, phase } => {
            z.mul_scalar(*frequency).add_scalar(*phase).sin().mul_scalar(-*frequency)
        }
        Activation::Gaussian => z.clone().square().neg().exp() * z.mul_scalar(-2.0),
        Activation::Sigmoid => {
            let s = activation::sigmoid(z);
            s.clone() * s.neg().add_scalar(1.0)
        }
        Activation::Polynomial { coefficients } => {
            let slopes: Vec<f64> = coefficients.iter().enumerate().skip(1).map(|(k, c)| k as f64 * c).collect();
            polynomial(&slopes, z)
        }
    }
}

/// `phi'(z) * v` for copy-major cotangents `[k N, features]`.
pub(super) fn pull_back(function: &Activation, cotangents: Tensor<2>, z: &Tensor<2>) -> Tensor<2> {
    if *function == Activation::Identity {
        return cotangents;
    }
    let ([rows, features], n) = (cotangents.dims(), z.dims()[0]);
    let slope = derivative(function, z.clone()).reshape([1, n, features]);
    (cotangents.reshape([rows / n, n, features]) * slope).reshape([rows, features])
}

fn normal_cdf(z: Tensor<2>) -> Tensor<2> {
    z.mul_scalar(FRAC_1_SQRT_2).erf().add_scalar(1.0).mul_scalar(0.5)
}

fn polynomial(coefficients: &[f64], z: Tensor<2>) -> Tensor<2> {
    let start = z.zeros_like();
    coefficients.iter().rev().fold(start, |sum, c| (sum * z.clone()).add_scalar(*c))
}
