//! One-input statistics of wide but finite networks: fluctuations of the layer kernel and non-Gaussianity of a neuron.
//!
//! Given layer `l-1`, the preactivations `h^l_i` are independent Gaussians of the same random variance
//! `S_l = C_W (1/n_{l-1}) sum_j phi(h^{l-1}_j)^2 + C_b`. To first order in the inverse widths, with `E S_l = K_l + delta_l` and
//! `v_l = Var S_l`,
//!
//! ```text
//! v_{l+1}     = chi_par^2 v_l + C_W^2 (<phi^4> - <phi^2>^2) / n_l,      v_1 = delta_1 = 0
//! delta_{l+1} = chi_par delta_l + C_W <phi^2 (z^4 - 6 z^2 + 3)> / (8 K_l^2) v_l
//! ```
//!
//! A neuron has fourth cumulant `3 v_l` and two of them `Cov(h_i^2, h_j^2) = v_l`.
//! Roberts, Yaida and Hanin 2022 (2106.10165), where `V = n v` and `K^{1} = n delta`; Yaida 2020 (1910.00019).
//! A gated layer has `C_W g.g/M` in place of `C_W`.

use crate::activation::Activation;
use crate::architecture::{Architecture, InitScheme, Layer};
use crate::error::TheoryError;
use crate::kernel::{Inputs, preactivation_variances};

/// Leading finite-width corrections of one weight layer at one input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerFluctuation {
    /// Layer number, `1..=L+1`.
    pub layer: usize,
    /// `K_l`, the infinite-width variance of a preactivation.
    pub nngp: f64,
    /// `v_l = Var S_l` over the ensemble, of order `1/n`.
    pub variance: f64,
    /// `delta_l = E S_l - K_l`, of order `1/n`.
    pub nngp_correction: f64,
}

impl LayerFluctuation {
    /// Excess kurtosis `3 v_l / K_l^2` of a neuron.
    pub fn excess_kurtosis(&self) -> f64 {
        3.0 * self.variance / (self.nngp * self.nngp)
    }
}

fn no_prediction(reason: String) -> TheoryError {
    TheoryError::NoPrediction { reason }
}

/// The activation between weight layers `l` and `l+1`, for `l = 1..=L`; the identity where there is none.
fn activations_between(architecture: &Architecture) -> Result<Vec<Activation>, TheoryError> {
    let layers = architecture.weight_layers()?;
    let mut found = vec![Activation::Identity; layers.len() - 1];
    for (index, layer) in architecture.layers.iter().enumerate() {
        match layer {
            Layer::Dense { .. } | Layer::GatedDense { .. } | Layer::Flatten => {}
            Layer::Activation { function } => {
                let after = layers.iter().filter(|weights| weights.index < index).count();
                if after > 0 && *function != Activation::Identity {
                    found[after - 1] = function.clone();
                }
            }
            other => {
                return Err(no_prediction(format!(
                    "layer {} is {}: finite-width corrections cover dense and gated dense layers in one chain",
                    index + 1,
                    other.name()
                )));
            }
        }
    }
    Ok(found)
}

/// Leading finite-width corrections of every weight layer for every example, `examples x (L+1)`.
///
/// Trust them while `v_l / K_l^2`, the expansion parameter, is below about 0.3.
///
/// # Errors
/// As [`kernels`](crate::kernel::kernels), and [`TheoryError::NoPrediction`] for convolutions and pooling.
pub fn layer_fluctuations(
    architecture: &Architecture,
    inputs: &Inputs,
) -> Result<Vec<Vec<LayerFluctuation>>, TheoryError> {
    if architecture.init_scheme != InitScheme::Gaussian {
        return Err(no_prediction("finite-width corrections are those of independent Gaussian weights".into()));
    }
    let activations = activations_between(architecture)?;
    let layers = architecture.weight_layers()?;
    let scales = architecture.tangent_scales()?;
    let variances = preactivation_variances(architecture, inputs)?;
    let gate_overlaps = match &architecture.gates {
        Some(gates) => {
            let values = gates.evaluate(&inputs.values, architecture.input.features());
            values.chunks_exact(gates.count()).map(mean_square).collect()
        }
        None => vec![1.0; inputs.examples()],
    };
    let example = |i: usize| {
        let mut current = LayerFluctuation { layer: 1, nngp: variances[(i, 0)], variance: 0.0, nngp_correction: 0.0 };
        let mut rows = vec![current];
        for (lower, activation) in activations.iter().enumerate() {
            let upper = &layers[lower + 1];
            let gated = matches!(architecture.layers[upper.index], Layer::GatedDense { .. });
            let gates = if gated { gate_overlaps[i] } else { 1.0 };
            let c_w = scales[lower + 1].signal * upper.init.sigma_w2 * gates;
            if !current.nngp.is_finite() {
                return Err(no_prediction(format!(
                    "the variance of the pre-activations of weight layer {} is {}, beyond the largest number",
                    current.layer, current.nngp
                )));
            }
            let moments = activation.moments(current.nngp);
            let chi_par = c_w * moments.square_slope;
            let noise = c_w * c_w * (moments.fourth - moments.square * moments.square) / layers[lower].width as f64;
            let curvature = c_w * moments.square_he4 / (8.0 * current.nngp * current.nngp);
            let drift = if current.variance > 0.0 { curvature * current.variance } else { 0.0 };
            current = LayerFluctuation {
                layer: lower + 2,
                nngp: variances[(i, lower + 1)],
                variance: chi_par * chi_par * current.variance + noise,
                nngp_correction: chi_par * current.nngp_correction + drift,
            };
            rows.push(current);
        }
        Ok(rows)
    };
    (0..inputs.examples()).map(example).collect()
}

fn mean_square(values: &[f64]) -> f64 {
    values.iter().map(|g| g * g).sum::<f64>() / values.len() as f64
}
