//! The empirical NNGP kernel of a layer: the covariance of its pre-activations over its own weights at initialization, the
//! earlier layers as they are,
//! `K^l(x, x') = Var(w) gain^2 / P sum_p a_p(x) . a_p(x') + Var(b) gain^2`.
//! Conditioning on the earlier layers leaves the mean over networks unchanged and removes the noise of the last draw.

use faer::Mat;

use crate::observed::Observed;
use widthwise_tensors::to_matrix;

/// Kernel of `layer`, averaged over equal positions.
///
/// # Shapes
/// `N x N`, symmetric.
pub fn empirical_nngp(network: &impl Observed, layer: usize) -> Mat<f64> {
    let geometry = network.geometry(layer);
    let n = network.examples();
    let rows = network.rows(layer).reshape([n, geometry.positions * geometry.fan_in]);
    let gram = rows.clone().matmul(rows.transpose());
    let scaled = gram.mul_scalar(geometry.weight_signal / geometry.positions as f64);
    to_matrix(scaled.add_scalar(geometry.bias_signal))
}
