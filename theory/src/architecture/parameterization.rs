//! Parameterizations as one table of gains, variances and learning-rate factors.
//!
//! A weight layer computes `z = weight_gain * W a + bias_gain * b` with `W ~ N(0, weight_variance)` and
//! `b ~ N(0, bias_variance)`; its weights learn at `weight_rate` times the base rate and its biases at `bias_rate`.
//! With `f = fan_in * branches` and `n` the width of the last hidden layer:
//!
//! | name | weight gain, variance, rate | bias gain, variance, rate |
//! |---|---|---|
//! | standard | `1, sigma_w2/f, 1` | `1, sigma_b2, 1` |
//! | standard, layerwise | `1, sigma_w2/f, sigma_w2/f` | `1, sigma_b2, sigma_b2` |
//! | ntk | `sigma_w/sqrt(f), 1, 1` | `sigma_b, 1, 1` |
//! | mean-field, hidden | `sigma_w/sqrt(f), 1, n` | `sigma_b, 1, n` |
//! | mean-field, readout | `sigma_w/sqrt(f n), 1, n` | `sigma_b/sqrt(n), 1, n` |
//! | mup, hidden | `1, sigma_w2/f, n sigma_w2/f` | `1, sigma_b2, n sigma_b2` |
//! | mup, readout | `1, sigma_w2/(f n), sigma_w2/f` | `1, sigma_b2/n, sigma_b2` |
//!
//! The layerwise rates of the standard parameterization are those at which it moves the function as the NTK one does.
//! Mean-field is the NTK network divided by `sqrt(n)` and trained at rate `n`; muP is the same network in the coordinates
//! of the standard one, so that SGD moves both functions identically. Under Adam the rates are powers of the gains
//! instead (eta_W = eta gain for `W = gain omega`): 1 everywhere but for the standard layerwise rates, which are the
//! roots of those above, hidden weights of mean-field, `1/sqrt(n)`, and hidden and readout weights of muP, `1/n`.
//!
//! Jacot, Gabriel and Hongler 2018 (1806.07572); Yang and Hu 2020 (2011.14522); Yang et al. 2022 (2203.03466).

use serde::{Deserialize, Serialize};

use crate::architecture::{Architecture, WeightLayer};
use crate::error::TheoryError;

/// Names of the rows of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameterization {
    /// Variance in the weights, one learning rate.
    Standard,
    /// Variance in the weights, a learning rate for every layer: the kernel regime in these coordinates.
    StandardLayerwise,
    /// Variance in the gains, one learning rate: the kernel regime.
    Ntk,
    /// NTK with the output divided by `sqrt(n)` and the rate multiplied by `n`: feature learning.
    MeanField,
    /// Mean-field in the coordinates of the standard parameterization.
    Mup,
}

/// Which learning-rate column of the table applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateRule {
    /// Steps linear in the gradient: GD, SGD, momentum, Nesterov.
    Linear,
    /// Steps invariant to the scale of the gradient: Adam, AdamW.
    ScaleInvariant,
}

/// One row of the table for one weight layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Factor in front of `W a`.
    pub weight_gain: f64,
    /// Variance of each weight at initialization.
    pub weight_variance: f64,
    /// Learning rate of the weights in units of the base rate.
    pub weight_rate: f64,
    /// Factor in front of `b`.
    pub bias_gain: f64,
    /// Variance of each bias at initialization; 0 means that the layer has none.
    pub bias_variance: f64,
    /// Learning rate of the biases in units of the base rate.
    pub bias_rate: f64,
}

impl Parameterization {
    /// The row for `layer`, with `n` the [`scaling_width`](Architecture::scaling_width).
    pub fn scaling(self, layer: &WeightLayer, n: usize, rule: UpdateRule) -> Scaling {
        let (sigma_w2, sigma_b2) = (layer.init.sigma_w2, layer.init.sigma_b2);
        let f = (layer.fan_in * layer.branches) as f64;
        let n = n as f64;
        let has_bias = if sigma_b2 > 0.0 { 1.0 } else { 0.0 };
        let readout = if layer.is_readout { n } else { 1.0 };
        match self {
            Parameterization::Standard => Scaling {
                weight_gain: 1.0,
                weight_variance: sigma_w2 / f,
                weight_rate: 1.0,
                bias_gain: 1.0,
                bias_variance: sigma_b2,
                bias_rate: 1.0,
            },
            Parameterization::StandardLayerwise => {
                let (weight_variance, bias_variance) = (sigma_w2 / f, sigma_b2);
                let rate = |variance: f64| match rule {
                    UpdateRule::Linear => variance,
                    UpdateRule::ScaleInvariant => variance.sqrt(),
                };
                Scaling {
                    weight_gain: 1.0,
                    weight_variance,
                    weight_rate: rate(weight_variance),
                    bias_gain: 1.0,
                    bias_variance,
                    bias_rate: rate(bias_variance),
                }
            }
            Parameterization::Ntk => Scaling {
                weight_gain: (sigma_w2 / f).sqrt(),
                weight_variance: 1.0,
                weight_rate: 1.0,
                bias_gain: sigma_b2.sqrt(),
                bias_variance: has_bias,
                bias_rate: 1.0,
            },
            Parameterization::MeanField => {
                let (rate, bias_rate) = match rule {
                    UpdateRule::Linear => (n, n),
                    UpdateRule::ScaleInvariant if layer.is_first || layer.is_readout => (1.0, 1.0),
                    UpdateRule::ScaleInvariant => (n.powf(-0.5), 1.0),
                };
                Scaling {
                    weight_gain: (sigma_w2 / (f * readout)).sqrt(),
                    weight_variance: 1.0,
                    weight_rate: rate,
                    bias_gain: (sigma_b2 / readout).sqrt(),
                    bias_variance: has_bias,
                    bias_rate,
                }
            }
            Parameterization::Mup => {
                let (weight_rate, bias_rate) = match rule {
                    UpdateRule::Linear => (n * sigma_w2 / (f * readout), n * sigma_b2 / readout),
                    UpdateRule::ScaleInvariant => (if layer.is_first { 1.0 } else { 1.0 / n }, 1.0),
                };
                Scaling {
                    weight_gain: 1.0,
                    weight_variance: sigma_w2 / (f * readout),
                    weight_rate,
                    bias_gain: 1.0,
                    bias_variance: sigma_b2 / readout,
                    bias_rate,
                }
            }
        }
    }
}

/// Factors of one weight layer in the kernel recursion, all 1 in the NTK parameterization.
///
/// `K^l = signal (sigma_w2 V + sigma_b2)` and
/// `Theta^l = weight sigma_w2 V + bias sigma_b2 + signal sigma_w2 Vd Theta^{l-1}`, where `Theta` is the kernel that
/// moves the function per unit of the base learning rate: every layer's share is weighted with its own rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TangentScale {
    /// Variance of the layer's output relative to the NTK parameterization.
    pub signal: f64,
    /// Share of the trained weights.
    pub weight: f64,
    /// Share of the trained biases (0 without biases).
    pub bias: f64,
}

impl Architecture {
    /// The `n` of the table: width (channels) of the last hidden weight layer, or 1 without one.
    ///
    /// # Errors
    /// As [`Architecture::shapes`].
    pub fn scaling_width(&self) -> Result<usize, TheoryError> {
        let layers = self.weight_layers()?;
        Ok(if layers.len() < 2 { 1 } else { layers[layers.len() - 2].width })
    }

    /// One [`Scaling`] a weight layer.
    ///
    /// # Errors
    /// As [`Architecture::shapes`].
    pub fn scalings(&self, rule: UpdateRule) -> Result<Vec<Scaling>, TheoryError> {
        let n = self.scaling_width()?;
        Ok(self.weight_layers()?.iter().map(|layer| self.parameterization.scaling(layer, n, rule)).collect())
    }

    /// One [`TangentScale`] a weight layer, from the table.
    ///
    /// # Errors
    /// As [`Architecture::shapes`].
    pub fn tangent_scales(&self) -> Result<Vec<TangentScale>, TheoryError> {
        let scalings = self.scalings(UpdateRule::Linear)?;
        let layers = self.weight_layers()?;
        Ok(layers
            .iter()
            .zip(scalings)
            .map(|(layer, s)| {
                let unit = (layer.fan_in * layer.branches) as f64 / layer.init.sigma_w2;
                let has_bias = layer.init.sigma_b2 > 0.0;
                TangentScale {
                    signal: s.weight_gain.powi(2) * s.weight_variance * unit,
                    weight: s.weight_rate * s.weight_gain.powi(2) * unit,
                    bias: if has_bias { s.bias_rate * s.bias_gain.powi(2) / layer.init.sigma_b2 } else { 0.0 },
                }
            })
            .collect())
    }
}
