//! Squared norms of per-example gradients, a layer at a time, without forming them.
//!
//! With `a_p(x)` the input row of a layer at position `p` and `d_p^k(x)` cotangent `k` at its pre-activation there,
//!
//! ```text
//! s_l(x) = sum_k  g_l |sum_p a_p(x) d_p^k(x)^T|^2  +  h_l |sum_p d_p^k(x)|^2
//! ```
//!
//! with the squared gains times learning-rate factors `g_l`, `h_l` of the tangent kernel. Without positions the first norm is
//! `|a|^2 |d|^2` (Goodfellow 2015, 1510.01799). For the cotangent of a loss it is a squared gradient norm.

use burn::tensor::Tensor;
use faer::Mat;

use crate::observed::{LayerGeometry, Observed};
use widthwise_tensors::to_f64;

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

/// The same for networks of one output, from their tangent kernel and the derivatives `c` of the losses: `g(x) = c(x) df(x)`, so that
/// `sum_x |g(x)|^2 = sum_x c(x)^2 Theta(x, x)` and `|sum_x g(x)|^2 = c^T Theta c`.
///
/// # Shapes
/// `kernel`: `N x N`; `cotangents`: N of them.
pub fn gradient_covariance_trace_of_kernel(kernel: &Mat<f64>, cotangents: &[f64]) -> Option<f64> {
    let n = cotangents.len();
    let squares: f64 = (0..n).map(|x| cotangents[x].powi(2) * kernel[(x, x)]).sum();
    let column = |y: usize| (0..n).map(|x| cotangents[x] * kernel[(x, y)]).sum::<f64>();
    let of_sum: f64 = (0..n).map(|y| cotangents[y] * column(y)).sum();
    (n > 1).then(|| (squares - of_sum / n as f64) / (n - 1) as f64)
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
    let (count, fan_in) = (n * positions, geometry.fan_in);
    let rows = rows.reshape([count, fan_in]);
    let sensitivities = sensitivities.reshape([count, units]);
    let sum = |tensor: Tensor<2>| to_f64(tensor.sum_dim(1)).iter().sum::<f64>();
    let norm = |tensor: Tensor<2>| sum(tensor.square());
    if count * (fan_in + units) < fan_in * units {
        // sum_{x x'} (g a . a' + h) (d . d'), where that takes fewer multiplications than the gradient itself.
        let gram = |tensor: Tensor<2>| tensor.clone().matmul(tensor.transpose());
        let inputs = gram(rows).mul_scalar(geometry.weight_tangent).add_scalar(geometry.bias_tangent);
        return sum(inputs * gram(sensitivities));
    }
    let biases = geometry.bias_tangent * norm(sensitivities.clone().sum_dim(0));
    geometry.weight_tangent * norm(rows.transpose().matmul(sensitivities)) + biases
}
