//! Variances of the weights and biases of every layer before training, gains included: exact at any width.

use widthwise_theory::TheoryError;
use widthwise_theory::architecture::{Architecture, UpdateRule};

/// Numbers in an input row times the variance of the weights, and the variance of the biases; entry `l - 1` of layer `l`.
pub(super) fn weights_and_biases(architecture: &Architecture) -> Result<Vec<[f64; 2]>, TheoryError> {
    let (layers, scalings) = (architecture.weight_layers()?, architecture.scalings(UpdateRule::Linear)?);
    Ok(layers
        .iter()
        .zip(&scalings)
        .map(|(layer, scaling)| {
            let inputs = (layer.fan_in * layer.branches) as f64;
            let weight = inputs * scaling.weight_gain.powi(2) * scaling.weight_variance;
            [weight, scaling.bias_gain.powi(2) * scaling.bias_variance]
        })
        .collect())
}
