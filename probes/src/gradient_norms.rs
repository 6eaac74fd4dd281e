//! Squared norms of per-example gradients, a layer at a time, without forming them.
//!
//! With `a_p(x)` the input row of a layer at position `p` and `d_p^k(x)` cotangent `k` at its pre-activation there,
//!
//! ```text
//! s_l(x) = sum_k  g_l |sum_p a_p(x) d_p^k(x)^T|^2  +  h_l |sum_p d_p^k(x)|^2
//! ```
//!
//! with the squared gains times learning-rate factors `g_l`, `h_l` of the tangent kernel. Without positions the first norm is
//! `|a|^2 |d|^2` (Goodfellow 2015, 1510.01799). For the cotangents of all outputs, `s_l(x)` is the layer's share of the diagonal of
//! the tangent kernel, traced over outputs; for that of a loss it is a squared gradient norm.

use burn::tensor::Tensor;

use crate::matrix::to_f64;
use crate::observed::{LayerGeometry, Observed};

/// The share of every layer in the trace of the empirical NTK; the shares add up to 1.
pub fn ntk_layer_shares(network: &impl Observed) -> Vec<f64> {
    let readout = network.layers();
    let outputs = network.geometry(readout).units;
    let like = network.preactivations(readout);
    let identity = Tensor::<2>::eye(outputs, &like.device()).cast(like.dtype());
    let cotangents = identity.reshape([outputs, 1, 1, outputs]).repeat_dim(1, network.examples());
    let traces: Vec<f64> =
        layer_norms(network, cotangents).into_iter().map(|layer| to_f64(layer).iter().sum()).collect();
    let total: f64 = traces.iter().sum();
    traces.into_iter().map(|trace| trace / total).collect()
}

/// Trace of the covariance over examples of the gradients `g(x)` of their losses,
/// `(sum_x |g(x)|^2 - N |mean g|^2) / (N - 1)`, parameters weighted as in the tangent kernel. `None` for one example.
///
/// # Shapes
/// `cotangents`: `[N, O]`, the derivative of each example's loss with respect to its outputs.
pub fn gradient_covariance_trace(network: &impl Observed, cotangents: Tensor<2>) -> Option<f64> {
    let [n, outputs] = cotangents.dims();
    let pulled = network.pull_back(network.layers(), cotangents.reshape([1, n, 1, outputs]));
    let (mut squares, mut of_sum) = (0.0, 0.0);
    for (index, sensitivities) in pulled.into_iter().enumerate() {
        let (geometry, rows) = (network.geometry(index + 1), network.rows(index + 1));
        of_sum += summed_gradient_norm(rows.clone(), sensitivities.clone(), &geometry);
        squares += to_f64(squared_norms(rows, sensitivities, &geometry)).iter().sum::<f64>();
    }
    (n > 1).then(|| (squares - of_sum / n as f64) / (n - 1) as f64)
}

/// `s_l(x)` of every layer, `[N]` each, for cotangents `[K, N, 1, O]` at the outputs.
fn layer_norms(network: &impl Observed, cotangents: Tensor<4>) -> Vec<Tensor<1>> {
    let pulled = network.pull_back(network.layers(), cotangents);
    let of_layer =
        |(index, sensitivities)| squared_norms(network.rows(index + 1), sensitivities, &network.geometry(index + 1));
    pulled.into_iter().enumerate().map(of_layer).collect()
}

/// `s_l(x)` of one layer for `rows` `[N, P, F]` and `sensitivities` `[K, N, P, n]`; sums go axis by axis, so that their order
/// does not depend on threads.
fn squared_norms(rows: Tensor<3>, sensitivities: Tensor<4>, geometry: &LayerGeometry) -> Tensor<1> {
    let [k, n, positions, units] = sensitivities.dims();
    let fan_in = geometry.fan_in;
    let squared = |tensor: Tensor<3>| {
        let [_, a, b] = tensor.dims();
        tensor.square().reshape([n, a * b]).sum_dim(1).reshape([n])
    };
    let of_sensitivities = |tensor: Tensor<4>| tensor.square().sum_dim(3).sum_dim(0).reshape([n]);
    if positions == 1 {
        // The bias is one more input, equal to 1.
        let inputs = squared(rows).mul_scalar(geometry.weight_tangent).add_scalar(geometry.bias_tangent);
        return inputs * of_sensitivities(sensitivities);
    }
    // Position by position, the units of all cotangents side by side: [N, P, K n].
    let side_by_side = sensitivities.clone().permute([1, 2, 0, 3]).reshape([n, positions, k * units]);
    let weights = if fan_in * k * units < positions * (fan_in + k * units) {
        squared(rows.swap_dims(1, 2).matmul(side_by_side))
    } else {
        let rows = rows.clone().matmul(rows.swap_dims(1, 2));
        let sensitivities = side_by_side.clone().matmul(side_by_side.swap_dims(1, 2));
        (rows * sensitivities).reshape([n, positions * positions]).sum_dim(1).reshape([n])
    };
    let norms = weights.mul_scalar(geometry.weight_tangent);
    if geometry.bias_tangent > 0.0 {
        norms + of_sensitivities(sensitivities.sum_dim(2)).mul_scalar(geometry.bias_tangent)
    } else {
        norms
    }
}

/// `g_l |sum_x G(x)|^2` plus the same of the biases, for one cotangent an example.
fn summed_gradient_norm(rows: Tensor<3>, sensitivities: Tensor<4>, geometry: &LayerGeometry) -> f64 {
    let [_, n, positions, units] = sensitivities.dims();
    let rows = rows.reshape([n * positions, geometry.fan_in]);
    let sensitivities = sensitivities.reshape([n * positions, units]);
    let norm = |tensor: Tensor<2>| to_f64(tensor.square().sum_dim(1)).iter().sum::<f64>();
    let biases = geometry.bias_tangent * norm(sensitivities.clone().sum_dim(0));
    geometry.weight_tangent * norm(rows.transpose().matmul(sensitivities)) + biases
}
