//! Exact finite-width statistics of networks with `phi(c x) = c phi(x)` for `c > 0` (linear, ReLU, leaky, abs), no biases.
//!
//! With negative slope `s`, `A_2 = (1+s^2)/2`, `A_4 = (1+s^4)/2`, `mu = A_4/A_2^2` and `kappa = 3 mu - 1` (linear 2,
//! ReLU 5), at any widths and depth
//!
//! ```text
//! E[h^4] / (3 E[h^2]^2) = prod_l (1 + kappa/n_l)    over the hidden layers below
//! ```
//!
//! since the variance of a layer is multiplied by independent factors. The logarithm of such a factor at
//! `sigma_w2 = 1/A_2` has the moments of a chi-squared variable, over a binomial number of active neurons for ReLU. The
//! asymptotic picture is log-normal: Hanin and Nica 2020 (1909.05989).

use statrs::function::gamma::digamma;

use crate::activation::Activation;
use crate::architecture::{Architecture, Layer};
use crate::error::TheoryError;

/// Mean and variance of `ln S_{l+1} - ln S_l`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormalStep {
    /// Mean.
    pub mean: f64,
    /// Variance.
    pub variance: f64,
}

fn slope_of(activation: &Activation) -> Result<f64, TheoryError> {
    if *activation == Activation::Identity { Some(1.0) } else { activation.negative_slope() }.ok_or_else(|| {
        TheoryError::NoPrediction {
            reason: format!(
                "{} is not scale-invariant; exact products need identity, relu, leaky_relu or abs (see layer_fluctuations \
                 for the leading correction of others)",
                activation.name()
            ),
        }
    })
}

/// `mu = A_4/A_2^2` of a scale-invariant activation.
fn fourth_moment_ratio(activation: &Activation) -> Result<f64, TheoryError> {
    let s2 = slope_of(activation)?.powi(2);
    Ok(2.0 * (1.0 + s2 * s2) / (1.0 + s2).powi(2))
}

/// `kappa = 3 mu - 1`: each hidden layer of width `n` multiplies the normalized fourth moment by `1 + kappa/n`.
///
/// # Errors
/// [`TheoryError::NoPrediction`] for an activation that is not scale-invariant.
pub fn kurtosis_factor(activation: &Activation) -> Result<f64, TheoryError> {
    Ok(3.0 * fourth_moment_ratio(activation)? - 1.0)
}

/// Exact excess kurtosis of a neuron of every weight layer `1..=L+1` over the ensemble, the same for every input.
///
/// # Errors
/// [`TheoryError::NoPrediction`] with biases, positions or an activation that is not scale-invariant.
pub fn exact_excess_kurtosis(architecture: &Architecture) -> Result<Vec<f64>, TheoryError> {
    let layers = architecture.weight_layers()?;
    if let Some(layer) = layers.iter().find(|layer| layer.init.sigma_b2 > 0.0) {
        return Err(TheoryError::NoPrediction {
            reason: format!("weight layer {} has biases, which break scale invariance", layer.layer),
        });
    }
    let mut kappa = vec![2.0; layers.len() - 1];
    for (index, layer) in architecture.layers.iter().enumerate() {
        match layer {
            Layer::Activation { function } => {
                let after = layers.iter().filter(|weights| weights.index < index).count();
                if after > 0 && *function != Activation::Identity {
                    kappa[after - 1] = kurtosis_factor(function)?;
                }
            }
            Layer::Dense { .. } | Layer::GatedDense { .. } | Layer::Flatten => {}
            other => {
                return Err(TheoryError::NoPrediction {
                    reason: format!(
                        "layer {} is {}: exact kurtosis needs variances that are multiplied independently, dense and \
                         gated dense layers in one chain",
                        index + 1,
                        other.name()
                    ),
                });
            }
        }
    }
    let factors = kappa.iter().zip(&layers).map(|(kappa, layer)| 1.0 + kappa / layer.width as f64);
    let products = factors.scan(1.0, |product, factor| {
        *product *= factor;
        Some(*product)
    });
    Ok(std::iter::once(1.0).chain(products).map(|product| 3.0 * (product - 1.0)).collect())
}

/// Exact moments of the logarithm of one layer's variance factor at `sigma_w2 = 1/A_2`, given that the layer is alive.
///
/// # Errors
/// [`TheoryError::NoPrediction`] for activations other than identity, abs and relu.
pub fn log_variance_step(activation: &Activation, width: usize) -> Result<LogNormalStep, TheoryError> {
    let n = width as f64;
    let slope = slope_of(activation)?;
    if slope.abs() == 1.0 {
        return Ok(LogNormalStep { mean: digamma(0.5 * n) - (0.5 * n).ln(), variance: trigamma(0.5 * n) });
    }
    if slope != 0.0 {
        return Err(TheoryError::NoPrediction {
            reason: format!(
                "the logarithmic moments of {} have no finite sum; use identity or relu",
                activation.name()
            ),
        });
    }
    // Through logarithms, so that wide layers neither overflow nor underflow.
    let mut weights = vec![0.0_f64; width + 1];
    let log_choose = |k: usize| (1..=k).map(|i| ((n - k as f64 + i as f64) / i as f64).ln()).sum::<f64>();
    for (k, weight) in weights.iter_mut().enumerate().skip(1) {
        *weight = (log_choose(k.min(width - k)) - n * std::f64::consts::LN_2).exp();
    }
    let alive: f64 = weights.iter().sum();
    let average = |f: &dyn Fn(f64) -> f64| {
        weights.iter().enumerate().skip(1).map(|(k, weight)| weight * f(0.5 * k as f64)).sum::<f64>() / alive
    };
    let mean = average(&digamma);
    let spread = average(&|half| (digamma(half) - mean).powi(2));
    Ok(LogNormalStep { mean: mean + 2_f64.ln() + (2.0 / n).ln(), variance: average(&trigamma) + spread })
}

/// `psi_1(x)` for positive `x`: recurrence up to 12, then the asymptotic series.
fn trigamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 12.0 {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let bernoulli = y * (1.0 / 6.0 - y * (1.0 / 30.0 - y * (1.0 / 42.0 - y * (1.0 / 30.0 - y * (5.0 / 66.0)))));
    sum + (1.0 + 0.5 / x + bernoulli) / x
}

/// `E[Theta(x,x)^2] / E[Theta(x,x)]^2` of the tangent kernel at one input: exact at any width and depth.
///
/// `depth` hidden layers of equal `width`, input of the same size, no biases, `sigma_w2 = 1/A_2`, all weights trained. With
/// `N = L + 1`, `N^{-2} sum_{l,m} (1 + kappa/n)^{L-|l-m|} P_{|l-m|}`, where `P_D` follows a two-term recursion.
///
/// # Errors
/// [`TheoryError::NoPrediction`] for an activation that is not scale-invariant.
pub fn ntk_second_moment(activation: &Activation, width: usize, depth: usize) -> Result<f64, TheoryError> {
    let mu = fourth_moment_ratio(activation)?;
    let kappa = 3.0 * mu - 1.0;
    let n = width as f64;
    let growth = |power: usize| (1.0 + kappa / n).powi(power as i32);
    let layers = (depth + 1) as f64;
    let mut sum = layers * growth(depth);
    let (mut p, mut q) = (n * n + (mu - 1.0) * n, mu * n);
    for distance in 1..=depth {
        sum += 2.0 * (layers - distance as f64) * growth(depth - distance) * p / (n * n);
        let excess = (mu - 1.0) * (p + 2.0 * q) / n;
        (p, q) = (p + 2.0 * q / n + excess, p / n + (1.0 + 1.0 / n) * q + excess);
    }
    Ok(sum / (layers * layers))
}
