//! Finite networks on Burn, built from the same [`Architecture`] that theory reads.
//!
//! One `forward` serves training and every probe. It walks the nodes of the architecture; states between them are
//! `[N, features]`, images channel-major, so that a layer is a map of rows; [`Tap`] sees every state on the way.

mod activation;
mod batch;
mod build;
mod convolution;
mod convolved;
mod dense;
mod dropout;
mod family;
mod gates;
mod init;
mod jet;
mod norm;
mod pooling;
mod states;
mod taylor;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use widthwise_theory::architecture::{Architecture, InputShape, Layer, Node, Operation, Scaling, WeightLayer};

use norm::Centering;
use states::{States, sum};

pub(crate) use activation::{derivative as slope, value as phi};

pub use batch::Batch;
pub use build::ParameterShape;
pub use family::{FamilyError, build_architecture};
pub use gates::draw_gates;
pub use taylor::{TaylorModel, TaylorOrder};

/// Weights `[fan_in * branches, n]` (`[n, fan_in]` for a convolution) and biases `[1, n]` of one layer.
#[derive(Debug, Clone)]
pub struct LayerParameters {
    /// The weights.
    pub weight: Tensor<2>,
    /// The biases, if the layer has them.
    pub bias: Option<Tensor<2>>,
}

impl LayerParameters {
    /// Applies `f` to the weights and, if there are any, to the biases.
    pub fn map(&self, mut f: impl FnMut(&Tensor<2>) -> Tensor<2>) -> Self {
        Self { weight: f(&self.weight), bias: self.bias.as_ref().map(f) }
    }
}

/// Sees a forward pass and may replace what it sees by an equal tensor with a history of its own.
pub trait Tap {
    /// The next state: first the input, then what every node makes, in order.
    fn state(&mut self, _state: &Tensor<2>) {}

    /// The pre-activation of weight layer `layer`, `1..=L+1`.
    fn preactivation(&mut self, _layer: usize, state: Tensor<2>) -> Tensor<2> {
        state
    }
}

/// A tap that sees nothing.
pub struct NoTap;

impl Tap for NoTap {}

/// A network with its parameters, on one device, at one precision.
#[derive(Debug, Clone)]
pub struct Network {
    architecture: Architecture,
    nodes: Vec<Node>,
    /// `keep` and features of every dropout layer.
    dropouts: Vec<(f64, usize)>,
    weight_layers: Vec<WeightLayer>,
    scalings: Vec<Scaling>,
    /// The same for update rules linear in the gradient, the ones that a tangent kernel speaks of.
    linear_scalings: Vec<Scaling>,
    /// Parameters of every weight layer in order; outside any autodiff graph unless a training step put them there.
    pub parameters: Vec<LayerParameters>,
    /// Parameters of the function that a centred network subtracts.
    origin: Option<Vec<LayerParameters>>,
    /// The matrices of every pooling layer, by node.
    poolings: Vec<Option<[Tensor<2>; 2]>>,
    /// The source indices of every circular convolution, by node.
    wrapped: Vec<Option<[Tensor<1, Int>; 2]>>,
    device: Device,
    dtype: DType,
}

impl Network {
    /// The network `f(theta) - f(theta_0)` with `theta_0` the present parameters: its outputs start at zero, its derivatives are
    /// those of `f`. Pre-activations, the readout's too, are those of `f`.
    #[must_use]
    pub fn centred(self) -> Self {
        Self { origin: Some(self.parameters.clone()), ..self }
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

    /// The nodes of the architecture.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Shape of `state`: 0 is the input, node `i` makes state `i + 1`.
    pub(crate) fn shape(&self, state: usize) -> InputShape {
        state.checked_sub(1).map_or(self.architecture.input, |node| self.nodes[node].shape)
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters
            .iter()
            .map(|p| p.weight.shape().num_elements() + p.bias.as_ref().map_or(0, |b| b.shape().num_elements()))
            .sum()
    }

    /// Places examples besides the network, gates evaluated.
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
        let inputs = from_f64(inputs.to_vec(), [n, features], &self.device, self.dtype);
        Batch { inputs, gates, masks: Vec::new() }
    }

    /// Outputs `[N, O]`.
    pub fn forward(&self, batch: &Batch, tap: &mut impl Tap) -> Tensor<2> {
        let outputs = self.walk(&self.parameters, batch, tap);
        match self.centre(batch) {
            Some(centre) => outputs - centre,
            None => outputs,
        }
    }

    /// Whether the network subtracts its initial function.
    pub(crate) fn is_centred(&self) -> bool {
        self.origin.is_some()
    }

    /// What a centred network subtracts from its outputs.
    fn centre(&self, batch: &Batch) -> Option<Tensor<2>> {
        self.origin.as_ref().map(|origin| self.walk(origin, batch, &mut NoTap))
    }

    /// One pass through the nodes.
    fn walk(&self, parameters: &[LayerParameters], batch: &Batch, tap: &mut impl Tap) -> Tensor<2> {
        let mut states = States::new(&self.nodes, batch.inputs.clone());
        tap.state(&batch.inputs);
        for (index, node) in self.nodes.iter().enumerate() {
            let state = match &node.operation {
                Operation::Sum { scales } => sum(node.inputs.iter().map(|&input| states.read(input)), scales),
                Operation::Layer(layer) => {
                    let state = self.apply(index, layer, states.read(node.inputs[0]), parameters, batch);
                    match self.weight_layer(index) {
                        Some(number) => tap.preactivation(number + 1, state),
                        None => state,
                    }
                }
            };
            tap.state(&state);
            states.push(state);
        }
        states.last()
    }

    /// What the layer of node `index` makes of `state`; weight layers with theirs of `parameters`.
    fn apply(
        &self,
        index: usize,
        layer: &Layer,
        state: Tensor<2>,
        parameters: &[LayerParameters],
        batch: &Batch,
    ) -> Tensor<2> {
        let shape = self.shape(self.nodes[index].inputs[0]);
        let weights = || {
            let Some(number) = self.weight_layer(index) else { unreachable!("a weight layer by the match below") };
            (&parameters[number], &self.scalings[number])
        };
        match layer {
            Layer::Activation { function } => activation::value(function, state),
            Layer::AveragePool { .. } | Layer::SumPool { .. } => pooling::forward(state, shape, self.pooling(index)),
            Layer::GlobalAveragePool => pooling::global(state, shape),
            Layer::Flatten => state,
            Layer::LayerNorm { epsilon } => norm::forward(state, shape, *epsilon, Centering::Mean),
            Layer::RmsNorm { epsilon } => norm::forward(state, shape, *epsilon, Centering::None),
            Layer::Dropout { .. } => dropout::forward(state, self.mask(index, batch)),
            Layer::Branches { .. } => unreachable!("unfolded into nodes"),
            Layer::Dense { .. } => {
                let (parameters, scaling) = weights();
                dense::forward(state, parameters, scaling)
            }
            Layer::GatedDense { .. } => {
                let (parameters, scaling) = weights();
                dense::forward(dense::gated_rows(state, batch.gates.as_ref()), parameters, scaling)
            }
            layer @ Layer::Convolution { .. } => {
                let (parameters, scaling) = weights();
                convolution::forward(state, parameters, scaling, shape, layer, self.wrapped[index].as_ref())
            }
        }
    }

    /// The number of the weight layer of node `index`, from 0.
    fn weight_layer(&self, index: usize) -> Option<usize> {
        self.weight_layers.iter().position(|layer| layer.index == index)
    }

    /// The matrices of the pooling layer of node `index`.
    fn pooling(&self, index: usize) -> [Tensor<2>; 2] {
        let Some(matrices) = &self.poolings[index] else { unreachable!("called for pooling layers only") };
        matrices.clone()
    }

    /// The mask of the dropout layer of node `index`, if dropout is on.
    fn mask<'b>(&self, index: usize, batch: &'b Batch) -> Option<&'b Tensor<2>> {
        let is_dropout = |node: &&Node| matches!(node.operation, Operation::Layer(Layer::Dropout { .. }));
        batch.masks.get(self.nodes[..index].iter().filter(is_dropout).count())
    }

    /// Input rows of weight layer `layer`, `[N, P, F]`, from the state that it reads.
    pub(crate) fn rows(&self, layer: usize, state: Tensor<2>, batch: &Batch) -> Tensor<3> {
        let index = self.weight_layers[layer - 1].index;
        let node = &self.nodes[index];
        match &node.operation {
            Operation::Layer(Layer::GatedDense { .. }) => {
                dense::gated_rows(state, batch.gates.as_ref()).unsqueeze_dim(1)
            }
            Operation::Layer(convolution @ Layer::Convolution { .. }) => {
                convolution::rows(state, self.shape(node.inputs[0]), convolution, self.wrapped[index].as_ref())
            }
            _ => state.unsqueeze_dim(1),
        }
    }

    /// Pulls cotangents at the output of the layer of node `index` back to its input.
    ///
    /// # Shapes
    /// `cotangents`: `[k N, features out]`, copy-major; `state`: the layer's input, `[N, features in]`.
    pub(crate) fn pull_back_layer(
        &self,
        index: usize,
        layer: &Layer,
        cotangents: Tensor<2>,
        state: &Tensor<2>,
        batch: &Batch,
    ) -> Tensor<2> {
        let shape = self.shape(self.nodes[index].inputs[0]);
        let weights = || {
            let Some(number) = self.weight_layer(index) else { unreachable!("a weight layer by the match below") };
            (&self.parameters[number], &self.scalings[number])
        };
        match layer {
            Layer::Activation { function } => activation::pull_back(function, cotangents, state),
            Layer::AveragePool { .. } | Layer::SumPool { .. } => {
                pooling::pull_back(cotangents, shape, self.pooling(index))
            }
            Layer::GlobalAveragePool => pooling::global_pull_back(cotangents, shape),
            Layer::Flatten => cotangents,
            Layer::LayerNorm { epsilon } => norm::pull_back(cotangents, state, shape, *epsilon, Centering::Mean),
            Layer::RmsNorm { epsilon } => norm::pull_back(cotangents, state, shape, *epsilon, Centering::None),
            Layer::Dropout { .. } => dropout::pull_back(cotangents, self.mask(index, batch)),
            Layer::Branches { .. } => unreachable!("unfolded into nodes"),
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
                convolution::pull_back(cotangents, parameters, scaling, shape, layer, self.wrapped[index].as_ref())
            }
        }
    }
}

/// A tensor from f64 values.
pub fn from_f64<const D: usize>(values: Vec<f64>, shape: [usize; D], device: &Device, dtype: DType) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape).convert_dtype(dtype), (device, dtype))
}
