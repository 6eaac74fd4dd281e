//! The families of the configuration as layer lists.

use thiserror::Error;
use widthwise_theory::{
    Activation, Architecture, Gates, InitScheme, InitVariance, InputShape, Layer, Padding, TheoryError,
};

use crate::config::{ConvolutionReadout, Family, NetworkConfig};

/// A network configuration that does not fit its data.
#[derive(Debug, Error)]
pub enum FamilyError {
    /// Shapes do not fit.
    #[error(transparent)]
    Shape(#[from] TheoryError),
}

/// Builds the architecture of `config` for inputs of shape `input` and `outputs` output units.
///
/// # Errors
/// Convolution or pooling windows that do not fit the image.
pub fn build_architecture(
    config: &NetworkConfig,
    input: InputShape,
    outputs: usize,
    gates: Option<Gates>,
) -> Result<Architecture, FamilyError> {
    let widths = config.widths.clone().unwrap_or_else(|| vec![config.width; config.depth]);
    let layers = match config.family {
        Family::Mlp => multilayer_perceptron(config, &widths, outputs, &config.activation),
        Family::DeepLinear => multilayer_perceptron(config, &widths, outputs, &Activation::Identity),
        Family::GatedDeepLinear => gated_deep_linear(config, &widths, outputs),
        Family::Cnn => convolutional(config, &widths, outputs),
    };
    let mut architecture =
        Architecture { input, layers, gates, parameterization: config.parameterization, init_scheme: config.init };
    let weight_layers = architecture.weight_layers()?;
    if config.init == InitScheme::Pytorch {
        // The variances that the uniform draws of PyTorch's layers have.
        let mut weight_layers = weight_layers.iter();
        for layer in &mut architecture.layers {
            layer.change_variances(&mut |init| {
                if let Some(layer) = weight_layers.next() {
                    let fan_in = (layer.fan_in * layer.branches) as f64;
                    *init = InitVariance { sigma_w2: 1.0 / 3.0, sigma_b2: 1.0 / (3.0 * fan_in) };
                }
            });
        }
    }
    Ok(architecture)
}

fn variances(config: &NetworkConfig) -> InitVariance {
    InitVariance { sigma_w2: config.sigma_w2, sigma_b2: config.sigma_b2 }
}

/// Dense layers with one activation between; the identity leaves none.
fn multilayer_perceptron(config: &NetworkConfig, widths: &[usize], outputs: usize, phi: &Activation) -> Vec<Layer> {
    let init = variances(config);
    let mut layers = Vec::new();
    for &width in widths {
        layers.push(Layer::Dense { width, init });
        if *phi != Activation::Identity {
            layers.push(Layer::Activation { function: phi.clone() });
        }
    }
    layers.push(Layer::Dense { width: outputs, init });
    layers
}

/// Every layer above the input gated, the input layer on request (Li and Sompolinsky 2022, 2210.17449).
fn gated_deep_linear(config: &NetworkConfig, widths: &[usize], outputs: usize) -> Vec<Layer> {
    let init = variances(config);
    let mut layers: Vec<Layer> = widths
        .iter()
        .enumerate()
        .map(|(index, &width)| {
            if index == 0 && !config.gates.input_layer {
                Layer::Dense { width, init }
            } else {
                Layer::GatedDense { width, init }
            }
        })
        .collect();
    layers.push(Layer::GatedDense { width: outputs, init });
    layers
}

/// Convolution, activation and pooling a hidden layer, then the readout.
fn convolutional(config: &NetworkConfig, widths: &[usize], outputs: usize) -> Vec<Layer> {
    let init = variances(config);
    let convolution = &config.convolution;
    let mut layers = Vec::new();
    for &width in widths {
        layers.push(Layer::Convolution {
            width,
            filter_size: convolution.filter_size,
            stride: convolution.stride,
            padding: convolution.padding,
            init,
        });
        layers.push(Layer::Activation { function: config.activation.clone() });
        if let Some(window) = convolution.pool {
            layers.push(Layer::AveragePool { window, stride: window, padding: Padding::Valid });
        }
    }
    layers.push(match convolution.readout {
        ConvolutionReadout::Flatten => Layer::Flatten,
        ConvolutionReadout::GlobalAverage => Layer::GlobalAveragePool,
    });
    layers.push(Layer::Dense { width: outputs, init });
    layers
}
