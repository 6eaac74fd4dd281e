//! Networks from their seed, or from parameters that are there.

use burn::tensor::{DType, Device};
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::{Architecture, Layer, Operation, UpdateRule};

use super::{LayerParameters, Network, convolution, from_f64, init, pooling};

/// Shape of the weights of a layer, and of its biases if it has some.
pub type ParameterShape = ([usize; 2], Option<[usize; 2]>);

impl Network {
    /// Draws member `member` of the ensemble of `seed`: stream `init.<member>`.
    ///
    /// # Errors
    /// An architecture whose shapes do not fit.
    pub fn new(
        architecture: &Architecture,
        rule: UpdateRule,
        seed: u64,
        member: usize,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, TheoryError> {
        let nodes = architecture.nodes()?;
        let mut random = widthwise_datasets::stream(seed, &format!("init.{member}"));
        let parameters = architecture
            .weight_layers()?
            .iter()
            .zip(&architecture.scalings(rule)?)
            .map(|(layer, scaling)| {
                let transposed = matches!(nodes[layer.index].operation, Operation::Layer(Layer::Convolution { .. }));
                let (weight, bias) = init::draw(architecture.init_scheme, layer, scaling, &mut random);
                let rows = layer.fan_in * layer.branches;
                let weight = from_f64(weight, [rows, layer.width], device, dtype);
                LayerParameters {
                    // Filters are stored output channel by output channel.
                    weight: if transposed { weight.transpose() } else { weight },
                    bias: bias.map(|bias| from_f64(bias, [1, layer.width], device, dtype)),
                }
            })
            .collect();
        Self::with_parameters(architecture, rule, parameters, device, dtype)
    }

    /// Shapes of the weights and biases that a network of this architecture has, layer by layer.
    ///
    /// # Errors
    /// An architecture whose shapes do not fit.
    pub fn parameter_shapes(architecture: &Architecture) -> Result<Vec<ParameterShape>, TheoryError> {
        let nodes = architecture.nodes()?;
        let layers = architecture.weight_layers()?;
        let shapes = layers.iter().zip(architecture.scalings(UpdateRule::Linear)?).map(|(layer, scaling)| {
            let rows = layer.fan_in * layer.branches;
            let is_filter = matches!(nodes[layer.index].operation, Operation::Layer(Layer::Convolution { .. }));
            let weight = if is_filter { [layer.width, rows] } else { [rows, layer.width] };
            (weight, init::has_bias(architecture.init_scheme, &scaling).then_some([1, layer.width]))
        });
        Ok(shapes.collect())
    }

    /// A network with parameters from elsewhere: one set a weight layer, in the shapes of [`LayerParameters`], on `device` and of
    /// type `dtype`.
    ///
    /// # Errors
    /// An architecture whose shapes do not fit.
    pub fn with_parameters(
        architecture: &Architecture,
        rule: UpdateRule,
        parameters: Vec<LayerParameters>,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, TheoryError> {
        let nodes = architecture.nodes()?;
        let dropouts = nodes.iter().filter_map(|node| match node.operation {
            Operation::Layer(Layer::Dropout { keep }) => Some((keep, node.shape.features())),
            _ => None,
        });
        let shape = |state: usize| state.checked_sub(1).map_or(architecture.input, |node| nodes[node].shape);
        let layers = nodes.iter().map(|node| match &node.operation {
            Operation::Layer(layer) => Some((layer, shape(node.inputs[0]))),
            Operation::Sum { .. } => None,
        });
        let poolings = layers.clone().map(|layer| {
            let (layer, shape) = layer?;
            pooling::Windows::of(layer).map(|windows| windows.matrices(shape, device, dtype))
        });
        let wrapped = layers.map(|layer| layer.and_then(|(layer, shape)| convolution::wrapped(shape, layer, device)));
        Ok(Self {
            architecture: architecture.clone(),
            poolings: poolings.collect(),
            wrapped: wrapped.collect(),
            dropouts: dropouts.collect(),
            nodes,
            weight_layers: architecture.weight_layers()?,
            linear_scalings: architecture.scalings(UpdateRule::Linear)?,
            scalings: architecture.scalings(rule)?,
            parameters,
            origin: None,
            device: device.clone(),
            dtype,
        })
    }
}
