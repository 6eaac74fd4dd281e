//! The families of the configuration as layer lists.

use thiserror::Error;
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, Branch, Gates, InitScheme, InitVariance, InputShape, Layer, Padding,
};

use crate::config::{
    ConvolutionReadout, Family, FunctionConfig, LayerConfig, NetworkConfig, ReadoutConfig, VariancesConfig,
};

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
/// Convolution or pooling windows that do not fit the image, branches of different shapes, gated layers without gates.
pub fn build_architecture(
    config: &NetworkConfig,
    input: InputShape,
    outputs: usize,
    gates: Option<Gates>,
) -> Result<Architecture, FamilyError> {
    let widths = config.hidden_widths();
    let layers = match config.family {
        Family::Mlp => multilayer_perceptron(config, &widths, outputs, &config.activation),
        Family::DeepLinear => multilayer_perceptron(config, &widths, outputs, &Activation::Identity),
        Family::GatedDeepLinear => gated_deep_linear(config, &widths, outputs),
        Family::Cnn => convolutional(config, &widths, outputs),
        Family::Layers => listed(config, outputs),
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

/// The layers of the list, then the readout.
fn listed(config: &NetworkConfig, outputs: usize) -> Vec<Layer> {
    let mut layers = all_of(config, config.listed());
    layers.push(match config.readout.unwrap_or(ReadoutConfig::Dense(VariancesConfig::default())) {
        ReadoutConfig::Dense(own) => Layer::Dense { width: outputs, init: or(config, own.sigma_w2, own.sigma_b2) },
        ReadoutConfig::GatedDense(own) => {
            Layer::GatedDense { width: outputs, init: or(config, own.sigma_w2, own.sigma_b2) }
        }
    });
    layers
}

fn all_of(config: &NetworkConfig, layers: &[LayerConfig]) -> Vec<Layer> {
    layers.iter().map(|layer| one_of(config, layer)).collect()
}

/// One layer, with the values of the network where it has none of its own.
fn one_of(config: &NetworkConfig, layer: &LayerConfig) -> Layer {
    match layer {
        LayerConfig::Dense(own) => {
            Layer::Dense { width: own.width.unwrap_or(config.width), init: or(config, own.sigma_w2, own.sigma_b2) }
        }
        LayerConfig::GatedDense(own) => {
            Layer::GatedDense { width: own.width.unwrap_or(config.width), init: or(config, own.sigma_w2, own.sigma_b2) }
        }
        LayerConfig::Convolution(own) => Layer::Convolution {
            width: own.width.unwrap_or(config.width),
            filter_size: own.filter_size.unwrap_or(config.convolution.filter_size),
            stride: own.stride.unwrap_or(config.convolution.stride),
            padding: own.padding.unwrap_or(config.convolution.padding),
            init: or(config, own.sigma_w2, own.sigma_b2),
        },
        LayerConfig::Activation(function) => Layer::Activation {
            function: match function {
                FunctionConfig::Own(function) => function.clone(),
                FunctionConfig::OfNetwork {} => config.activation.clone(),
            },
        },
        LayerConfig::AveragePool(own) => {
            Layer::AveragePool { window: own.window, stride: own.stride.unwrap_or(own.window), padding: own.padding }
        }
        LayerConfig::SumPool(own) => {
            Layer::SumPool { window: own.window, stride: own.stride.unwrap_or(own.window), padding: own.padding }
        }
        LayerConfig::GlobalAveragePool {} => Layer::GlobalAveragePool,
        LayerConfig::Flatten {} => Layer::Flatten,
        LayerConfig::LayerNorm(own) => Layer::LayerNorm { epsilon: own.epsilon },
        LayerConfig::RmsNorm(own) => Layer::RmsNorm { epsilon: own.epsilon },
        LayerConfig::Dropout(own) => Layer::Dropout { keep: own.keep },
        LayerConfig::Residual(block) => Layer::residual(block.scale, all_of(config, &block.layers)),
        LayerConfig::Branches(branches) => Layer::Branches {
            branches: branches
                .iter()
                .map(|branch| Branch { scale: branch.scale, layers: all_of(config, &branch.layers) })
                .collect(),
        },
    }
}

/// The layer's own variances, else the network's.
fn or(config: &NetworkConfig, sigma_w2: Option<f64>, sigma_b2: Option<f64>) -> InitVariance {
    InitVariance { sigma_w2: sigma_w2.unwrap_or(config.sigma_w2), sigma_b2: sigma_b2.unwrap_or(config.sigma_b2) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{GatesConfig, parse};
    use crate::network::draw_gates;

    fn network(text: &str) -> NetworkConfig {
        parse(text, "test", &[]).unwrap_or_else(|error| panic!("{error}")).into_inner().network
    }

    fn built(text: &str) -> Architecture {
        let config = network(text);
        let image = InputShape { channels: 1, height: 28, width: 28 };
        let gates = config.is_gated().then(|| draw_gates(&config.gates, 3, &[], image.features()));
        build_architecture(&config, image, 10, gates).unwrap()
    }

    #[test]
    fn families_are_lists_of_layers() {
        let variances = "sigma_w2 = 1.5\nsigma_b2 = 0.3\nparameterization = \"mup\"";
        let pairs = [
            (
                "family = \"mlp\"\nwidths = [8, 4]",
                r#"layers = [{ dense = { width = 8 } }, "activation", { dense = { width = 4 } }, "activation"]"#,
            ),
            ("family = \"deep_linear\"\nwidth = 8\ndepth = 2", "width = 8\nlayers = [\"dense\", \"dense\"]"),
            (
                "family = \"cnn\"\nwidth = 8\ndepth = 2\nconvolution = { stride = [1, 2], pool = [2, 2] }",
                r#"layers = [
                    { convolution = { width = 8, stride = [1, 2] } }, "activation", { average_pool = { window = [2, 2] } },
                    { convolution = { width = 8, stride = [1, 2] } }, "activation", { average_pool = { window = [2, 2] } },
                    "flatten",
                ]"#,
            ),
            (
                "family = \"cnn\"\ndepth = 1\nwidth = 8\n\
                 convolution = { filter_size = [2, 5], padding = \"circular\", readout = \"global_average\" }",
                "width = 8\nconvolution = { filter_size = [2, 5], padding = \"circular\" }\n\
                 layers = [\"convolution\", \"activation\", \"global_average_pool\"]",
            ),
            (
                "family = \"gated_deep_linear\"\nwidth = 8\ndepth = 2",
                "width = 8\nlayers = [\"dense\", \"gated_dense\"]\nreadout = \"gated_dense\"",
            ),
        ];
        for (family, list) in pairs {
            // Linear networks have no activation to name.
            let activation = if family.contains("linear") { "" } else { "activation = \"erf\"" };
            let family = built(&format!("[network]\n{variances}\n{activation}\n{family}"));
            assert_eq!(built(&format!("[network]\n{variances}\n{activation}\nfamily = \"layers\"\n{list}")), family);
        }
        let initialized = "parameterization = \"standard\"\ninit = \"pytorch\"\nwidth = 8";
        assert_eq!(
            built(&format!("[network]\n{initialized}\nfamily = \"layers\"\nlayers = [\"dense\", \"activation\"]")),
            built(&format!("[network]\n{initialized}\ndepth = 1"))
        );
    }

    #[test]
    fn layers_have_values_of_their_own() {
        let text = r#"
            [network]
            family = "layers"
            width = 8
            sigma_w2 = 1.5
            sigma_b2 = 0.0
            layers = [
                { dense = { sigma_w2 = 0.5, sigma_b2 = 0.25 } },
                { activation = "gelu" },
                { residual = { scale = 0.5, layers = ["rms_norm", "gated_dense", { dropout = { keep = 0.75 } }] } },
                { branches = [{ layers = [{ layer_norm = { epsilon = 0.5 } }] }, { scale = -1, layers = ["dense"] }] },
            ]
            readout = { dense = { sigma_b2 = 1 } }
            gates.count = 2
        "#;
        let init = InitVariance { sigma_w2: 1.5, sigma_b2: 0.0 };
        let gated = Layer::GatedDense { width: 8, init };
        let normalized = Branch { scale: 1.0, layers: vec![Layer::LayerNorm { epsilon: 0.5 }] };
        let dense = Branch { scale: -1.0, layers: vec![Layer::Dense { width: 8, init }] };
        let expected = [
            Layer::Dense { width: 8, init: InitVariance { sigma_w2: 0.5, sigma_b2: 0.25 } },
            Layer::Activation { function: Activation::Gelu },
            Layer::residual(0.5, vec![Layer::RmsNorm { epsilon: 1e-5 }, gated, Layer::Dropout { keep: 0.75 }]),
            Layer::Branches { branches: vec![normalized, dense] },
            Layer::Dense { width: 10, init: InitVariance { sigma_b2: 1.0, ..init } },
        ];
        let architecture = built(text);
        assert_eq!(architecture.layers, expected);
        assert_eq!(architecture.gates.map(|gates| gates.count()), Some(2), "drawn since one layer is gated");
        assert_eq!(network(text).gates, GatesConfig { count: 2, ..GatesConfig::default() });
    }
}
