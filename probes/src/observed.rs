//! What a probe may see of a network: per weight layer its input rows, its pre-activations and the gains with which its
//! parameters enter, and the pullback of a cotangent to every earlier layer. Nothing else: no family, no parameter, no file.

use burn::tensor::Tensor;

/// Sizes and gains of one weight layer, seen as a dense layer applied at every position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerGeometry {
    /// Layer number, `1..=L+1`.
    pub layer: usize,
    /// Positions P at which the layer is applied; 1 for a dense layer.
    pub positions: usize,
    /// Numbers F in one input row.
    pub fan_in: usize,
    /// Output units or channels n.
    pub units: usize,
    /// Derivative of a pre-activation with respect to a weight is `gain * input`; this is `gain^2 * learning-rate factor`.
    pub weight_tangent: f64,
    /// The same for the bias; 0 without biases.
    pub bias_tangent: f64,
    /// `gain^2 * Var(weight)` at initialization.
    pub weight_signal: f64,
    /// `gain^2 * Var(bias)` at initialization; 0 without biases.
    pub bias_signal: f64,
}

/// A network at one point of its training, evaluated on N examples.
///
/// Layers are numbered `1..=layers()`. All tensors are on the device of the network and carry no autodiff graph.
pub trait Observed {
    /// Number N of examples.
    fn examples(&self) -> usize;

    /// Number of weight layers, the readout included.
    fn layers(&self) -> usize;

    /// Sizes and gains of `layer`.
    fn geometry(&self, layer: usize) -> LayerGeometry;

    /// Input rows of `layer`, `[N, P, F]`.
    fn rows(&self, layer: usize) -> Tensor<3>;

    /// Pre-activations of `layer`, `[N, P, n]`.
    fn preactivations(&self, layer: usize) -> Tensor<3>;

    /// Pulls `k` cotangents for every example at the pre-activations of `layer`, `[k, N, P, n]`, back to every layer
    /// `l' <= layer`: entry `l' - 1` is `J^T v`, `[k, N, P', n']`; the last entry is the cotangent itself.
    fn pull_back(&self, layer: usize, cotangents: Tensor<4>) -> Vec<Tensor<4>>;
}
