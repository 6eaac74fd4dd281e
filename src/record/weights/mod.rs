//! Weights of one network as safetensors, with the architecture that they belong to.
//!
//! | tensor | shape | what |
//! |---|---|---|
//! | `parameters.<layer>.weight`, dense | `[fan_in, n]` | a row an input, a column an output unit |
//! | `parameters.<layer>.weight`, gated | `[M fan_in, n]` | the same for each of M gates, gate by gate |
//! | `parameters.<layer>.weight`, convolution | `[n, C k_h k_w]` | filters output channel by output channel, input channels, rows, columns |
//! | `parameters.<layer>.bias` | `[1, n]` | if the layer has biases |
//!
//! Layers are numbered from 1, the readout last. Numbers are in the coordinates of the parameterization: the network computes
//! `gain_w W a + gain_b b`. The header's metadata holds the [`Architecture`] as JSON in `architecture`; in a checkpoint of a
//! run it is part of the position, and the tensors of the optimizer's moments are passed over.
//!
//! [`pytorch`] reads and writes state dicts.

mod error;
mod format;
pub mod pytorch;
mod tensors;
mod tied;
mod torch;

use std::path::Path;

use burn::tensor::{DType, Device};
use widthwise_theory::architecture::{Architecture, InitScheme, Layer, Operation, UpdateRule};

pub use error::WeightsError;

use super::checkpoint::{self, write_weights};
use crate::network::{LayerParameters, Network, from_f64};
use tensors::{TensorFile, Tensors, precision};

/// Weights and biases of one layer, row-major in the shapes of the table above.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerWeights {
    /// The weights.
    pub weight: Vec<f64>,
    /// The biases, if the layer has them.
    pub bias: Option<Vec<f64>>,
}

/// All weights of a network, on the host and in f64, whatever the file has.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// What they are the weights of.
    pub architecture: Architecture,
    /// One a weight layer, in order.
    pub layers: Vec<LayerWeights>,
    /// The precision that holds every number: `F64`, or `F32` where that is enough.
    pub dtype: DType,
}

/// What the tensors of one layer must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LayerShape {
    weight: [usize; 2],
    /// Input channels, height and width of the filters of a convolution.
    filter: Option<[usize; 3]>,
    has_bias: bool,
}

impl LayerShape {
    /// Output units or channels.
    fn units(self) -> usize {
        self.weight[if self.filter.is_some() { 0 } else { 1 }]
    }
}

/// The shapes of all weight layers.
fn layer_shapes(architecture: &Architecture) -> Result<Vec<LayerShape>, WeightsError> {
    let nodes = architecture.nodes()?;
    let layers = architecture.weight_layers()?;
    Ok(layers
        .iter()
        .map(|layer| {
            let rows = layer.fan_in.saturating_mul(layer.branches);
            let has_bias = layer.init.sigma_b2 > 0.0 || architecture.init_scheme == InitScheme::Pytorch;
            match nodes[layer.index].operation {
                Operation::Layer(Layer::Convolution { filter_size: [height, width], .. }) => LayerShape {
                    weight: [layer.width, rows],
                    // A header may claim filters of more cells than can be counted.
                    filter: Some([height.checked_mul(width).map_or(0, |cells| layer.fan_in / cells), height, width]),
                    has_bias,
                },
                _ => LayerShape { weight: [rows, layer.width], filter: None, has_bias },
            }
        })
        .collect())
}

impl Weights {
    /// Reads `weights.safetensors`, `weights_<step>.safetensors` or the checkpoint of a member in training.
    ///
    /// # Errors
    /// A file that cannot be read or holds no architecture; tensors that are missing, left over, of another shape or type than
    /// the architecture says, or not finite.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let file = TensorFile::read_own(path)?;
        let architecture = architecture_of(&file, path)?;
        // Next to the weights a checkpoint holds moments.
        let prefix = if file.metadata.contains_key("position") { "parameters." } else { "" };
        let mut tensors = file.numbers(prefix)?;
        let dtype = precision(&tensors);
        let mut missing = Vec::new();
        let mut layers = Vec::new();
        for (number, shape) in (1..).zip(layer_shapes(&architecture)?) {
            let mut take = |what: &str, expected: [usize; 2]| {
                let name = format!("parameters.{number}.{what}");
                let found = take_shaped(&mut tensors, path, &name, &expected)?;
                if found.is_none() {
                    missing.push(name);
                }
                Ok::<_, WeightsError>(found)
            };
            let weight = take("weight", shape.weight)?;
            let bias = if shape.has_bias { take("bias", [1, shape.units()])? } else { None };
            layers.extend(weight.map(|weight| LayerWeights { weight, bias }));
        }
        if !missing.is_empty() {
            return Err(WeightsError::Missing { path: path.to_owned(), names: missing.join(", ") });
        }
        if !tensors.is_empty() {
            let names = tensors.into_keys().collect::<Vec<_>>().join(", ");
            return Err(WeightsError::LeftOver { path: path.to_owned(), names });
        }
        Ok(Self { architecture, layers, dtype })
    }

    /// The weights of `network`.
    pub fn of_network(network: &Network) -> Self {
        let values = |tensor: &burn::tensor::Tensor<2>| widthwise_tensors::to_f64(tensor.clone());
        let of_layer = |layer: &LayerParameters| LayerWeights {
            weight: values(&layer.weight),
            bias: layer.bias.as_ref().map(values),
        };
        Self {
            architecture: network.architecture().clone(),
            layers: network.parameters.iter().map(of_layer).collect(),
            dtype: network.placement().1,
        }
    }

    /// A network with these weights on `device` at precision `dtype`.
    ///
    /// # Errors
    /// An architecture whose shapes do not fit.
    pub fn network(&self, rule: UpdateRule, device: &Device, dtype: DType) -> Result<Network, WeightsError> {
        let parameters = self.parameters(device, dtype)?;
        Ok(Network::with_parameters(&self.architecture, rule, parameters, device, dtype)?)
    }

    fn parameters(&self, device: &Device, dtype: DType) -> Result<Vec<LayerParameters>, WeightsError> {
        let place = |(layer, shape): (&LayerWeights, LayerShape)| {
            let bias = |bias: &Vec<f64>| from_f64(bias.clone(), [1, shape.units()], device, dtype);
            LayerParameters {
                weight: from_f64(layer.weight.clone(), shape.weight, device, dtype),
                bias: layer.bias.as_ref().map(bias),
            }
        };
        Ok(self.layers.iter().zip(layer_shapes(&self.architecture)?).map(place).collect())
    }

    /// Writes the weights to `path`, at the precision that holds them.
    ///
    /// # Errors
    /// A failure to write.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let parameters = self.parameters(&Device::flex(), self.dtype)?;
        write_weights(path, &self.architecture, &parameters)
            .map_err(|source| WeightsError::Write { path: path.to_owned(), source })
    }
}

fn architecture_of(file: &TensorFile, path: &Path) -> Result<Architecture, WeightsError> {
    let unreadable = |error: serde_json::Error| WeightsError::Unreadable {
        path: path.to_owned(),
        reason: format!("its architecture is damaged: {error}"),
    };
    if let Some(text) = file.metadata.get("architecture").filter(|_| !file.metadata.contains_key("layout")) {
        return serde_json::from_str(text).map_err(unreadable);
    }
    if !file.metadata.contains_key("position") {
        return Err(WeightsError::NoArchitecture { path: path.to_owned() });
    }
    // With its checksum checked.
    let (position, sets) = checkpoint::read(path, &Device::flex())
        .map_err(|source| WeightsError::Read { path: path.to_owned(), source })?;
    match position.architecture {
        Some(_) if sets.is_empty() => Err(WeightsError::BetweenMembers { path: path.to_owned() }),
        Some(architecture) => Ok(architecture),
        None => Err(WeightsError::NoArchitecture { path: path.to_owned() }),
    }
}

/// The numbers of tensor `name`, which must have this shape, taken out of `tensors`.
fn take_shaped(
    tensors: &mut Tensors,
    path: &Path,
    name: &str,
    expected: &[usize],
) -> Result<Option<Vec<f64>>, WeightsError> {
    let Some(tensor) = tensors.remove(name) else { return Ok(None) };
    if tensor.shape != expected {
        return Err(WeightsError::Shape {
            path: path.to_owned(),
            name: name.to_owned(),
            found: tensor.shape,
            expected: expected.to_vec(),
        });
    }
    Ok(Some(tensor.values))
}
