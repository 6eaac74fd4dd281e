//! Finite networks on Burn, built from the same [`Architecture`] that theory reads.
//!
//! One `forward` serves training and every probe. States between layers are `[N, features]`, images channel-major, so that a
//! layer is a map of rows; [`Tap`] sees the input of every layer on the way.

mod activation;
mod convolution;
mod dense;
mod family;
mod gates;
mod init;
mod pooling;

use burn::tensor::{DType, Device, Tensor, TensorData};
use widthwise_theory::{Architecture, InputShape, Layer, Scaling, TheoryError, UpdateRule, WeightLayer};

pub use family::{FamilyError, build_architecture};
pub use gates::draw_gates;

/// Weights `[fan_in * branches, n]` (`[n, fan_in]` for a convolution) and biases `[1, n]` of one layer.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// The weights.
    pub weight: Tensor<2>,
    /// The biases, if the layer has them.
    pub bias: Option<Tensor<2>>,
}

impl Parameters {
    /// Applies `f` to the weights and, if there are any, to the biases.
    pub fn map(&self, mut f: impl FnMut(&Tensor<2>) -> Tensor<2>) -> Self {
        Self { weight: f(&self.weight), bias: self.bias.as_ref().map(f) }
    }
}

/// Examples on the device: inputs `[N, d]` and, for gated networks, gate values `[N, M]`.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Inputs.
    pub inputs: Tensor<2>,
    /// Gate values.
    pub gates: Option<Tensor<2>>,
}

impl Batch {
    /// The examples with the given indices, `[n]` integers.
    pub fn select(&self, indices: Tensor<1, burn::tensor::Int>) -> Self {
        Self {
            inputs: self.inputs.clone().select(0, indices.clone()),
            gates: self.gates.clone().map(|gates| gates.select(0, indices)),
        }
    }

    /// The first `n` examples.
    pub fn first(&self, n: usize) -> Self {
        Self {
            inputs: self.inputs.clone().narrow(0, 0, n),
            gates: self.gates.clone().map(|gates| gates.narrow(0, 0, n)),
        }
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.inputs.dims()[0]
    }
}

/// Sees a forward pass and may replace what it sees by an equal tensor with a history of its own.
pub trait Tap {
    /// The input of layer `index` of the architecture.
    fn input(&mut self, _index: usize, _state: &Tensor<2>) {}

    /// The pre-activation of weight layer `layer`, `1..=L+1`.
    fn preactivation(&mut self, _layer: usize, state: Tensor<2>) -> Tensor<2> {
        state
    }
}

/// The tap that looks away.
pub struct NoTap;

impl Tap for NoTap {}

/// A network with its parameters, on one device, at one precision.
#[derive(Debug, Clone)]
pub struct Network {
    architecture: Architecture,
    shapes: Vec<InputShape>,
    weight_layers: Vec<WeightLayer>,
    scalings: Vec<Scaling>,
    /// The same for update rules linear in the gradient, the ones that a tangent kernel speaks of.
    linear_scalings: Vec<Scaling>,
    /// Parameters of every weight layer in order; outside any autodiff graph unless a training step put them there.
    pub parameters: Vec<Parameters>,
    device: Device,
    dtype: DType,
}

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
        let weight_layers = architecture.weight_layers()?;
        let scalings = architecture.scalings(rule)?;
        let mut random = widthwise_datasets::stream(seed, &format!("init.{member}"));
        let parameters = weight_layers
            .iter()
            .zip(&scalings)
            .map(|(layer, scaling)| {
                let transposed = matches!(architecture.layers[layer.index], Layer::Convolution { .. });
                let (weight, bias) = init::draw(architecture.init_scheme, layer, scaling, &mut random);
                let rows = layer.fan_in * layer.branches;
                let weight = from_f64(weight, [rows, layer.width], device, dtype);
                Parameters {
                    // Filters are stored output channel by output channel.
                    weight: if transposed { weight.transpose() } else { weight },
                    bias: bias.map(|bias| from_f64(bias, [1, layer.width], device, dtype)),
                }
            })
            .collect();
        Ok(Self {
            architecture: architecture.clone(),
            shapes: architecture.shapes()?,
            weight_layers,
            linear_scalings: architecture.scalings(UpdateRule::Linear)?,
            scalings,
            parameters,
            device: device.clone(),
            dtype,
        })
    }

    /// The architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Geometry of the weight layers.
    pub fn weight_layers(&self) -> &[WeightLayer] {
        &self.weight_layers
    }

    /// Gains, variances and rates of the weight layers.
    pub fn scalings(&self) -> &[Scaling] {
        &self.scalings
    }

    /// As [`Network::scalings`], with the learning-rate factors of GD whatever optimizer trains the network: a tangent
    /// kernel is that of steps linear in the gradient.
    pub fn linear_scalings(&self) -> &[Scaling] {
        &self.linear_scalings
    }

    /// The device and precision of the parameters.
    pub fn placement(&self) -> (&Device, DType) {
        (&self.device, self.dtype)
    }

    /// Shape of the state before layer `index`.
    pub fn shape_before(&self, index: usize) -> InputShape {
        self.shapes[index]
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters
            .iter()
            .map(|p| p.weight.shape().num_elements() + p.bias.as_ref().map_or(0, |b| b.shape().num_elements()))
            .sum()
    }

    /// Places examples beside the network, gates evaluated.
    ///
    /// # Shapes
    /// `inputs`: `N x d` row-major.
    pub fn batch(&self, inputs: &[f64]) -> Batch {
        let features = self.architecture.input.features();
        let n = inputs.len() / features;
        let gates = self.architecture.gates.as_ref().map(|gates| {
            let values = gates.evaluate(inputs, features);
            from_f64(values, [n, gates.count()], &self.device, self.dtype)
        });
        Batch { inputs: from_f64(inputs.to_vec(), [n, features], &self.device, self.dtype), gates }
    }

    /// Outputs `[N, O]`.
    pub fn forward(&self, batch: &Batch, tap: &mut impl Tap) -> Tensor<2> {
        let mut state = batch.inputs.clone();
        let mut numbered = self.parameters.iter().zip(&self.scalings).enumerate();
        for (index, layer) in self.architecture.layers.iter().enumerate() {
            tap.input(index, &state);
            let shape = self.shapes[index];
            state = match layer {
                Layer::Activation { function } => activation::value(function, state),
                Layer::AveragePool { window, stride, padding } => {
                    pooling::average(state, shape, *window, *stride, *padding)
                }
                Layer::GlobalAveragePool => pooling::global(state, shape),
                Layer::Flatten => state,
                Layer::Dense { .. } | Layer::GatedDense { .. } | Layer::Convolution { .. } => {
                    let Some((number, (parameters, scaling))) = numbered.next() else {
                        unreachable!("one parameter set a weight layer, by construction");
                    };
                    let z = match layer {
                        Layer::Dense { .. } => dense::forward(state, parameters, scaling),
                        Layer::GatedDense { .. } => {
                            let rows = dense::gated_rows(state, batch.gates.as_ref());
                            dense::forward(rows, parameters, scaling)
                        }
                        _ => convolution::forward(state, parameters, scaling, shape, layer),
                    };
                    tap.preactivation(number + 1, z)
                }
            };
        }
        state
    }

    /// Input rows of weight layer `layer`, `[N, P, F]`, from the state before it.
    pub(crate) fn rows(&self, layer: usize, state: Tensor<2>, batch: &Batch) -> Tensor<3> {
        let index = self.weight_layers[layer - 1].index;
        match &self.architecture.layers[index] {
            Layer::GatedDense { .. } => dense::gated_rows(state, batch.gates.as_ref()).unsqueeze_dim(1),
            convolution @ Layer::Convolution { .. } => convolution::rows(state, self.shapes[index], convolution),
            _ => state.unsqueeze_dim(1),
        }
    }

    /// Pulls cotangents at the output of layer `index` back to its input.
    ///
    /// # Shapes
    /// `cotangents`: `[k N, features out]`, copy-major; `state`: the layer's input, `[N, features in]`.
    pub(crate) fn pull_back_layer(
        &self,
        index: usize,
        cotangents: Tensor<2>,
        state: &Tensor<2>,
        batch: &Batch,
    ) -> Tensor<2> {
        let shape = self.shapes[index];
        let weights = || {
            let number = self.weight_layers.iter().position(|layer| layer.index == index);
            let Some(number) = number else { unreachable!("a weight layer by the match below") };
            (&self.parameters[number], &self.scalings[number])
        };
        match &self.architecture.layers[index] {
            Layer::Activation { function } => activation::pull_back(function, cotangents, state),
            Layer::AveragePool { window, stride, padding } => {
                pooling::average_pull_back(cotangents, shape, *window, *stride, *padding)
            }
            Layer::GlobalAveragePool => pooling::global_pull_back(cotangents, shape),
            Layer::Flatten => cotangents,
            Layer::Dense { .. } => {
                let (parameters, scaling) = weights();
                dense::pull_back(cotangents, parameters, scaling)
            }
            Layer::GatedDense { .. } => {
                let (parameters, scaling) = weights();
                let rows = dense::pull_back(cotangents, parameters, scaling);
                dense::gated_pull_back(rows, batch.gates.as_ref(), state.dims()[1])
            }
            layer @ Layer::Convolution { .. } => {
                let (parameters, scaling) = weights();
                convolution::pull_back(cotangents, parameters, scaling, shape, layer)
            }
        }
    }
}

/// A tensor from f64 values.
pub fn from_f64<const D: usize>(values: Vec<f64>, shape: [usize; D], device: &Device, dtype: DType) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape).convert_dtype(dtype), (device, dtype))
}
