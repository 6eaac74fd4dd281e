//! Averaged partial Jacobian norms by Hutchinson's estimator.
//!
//! `J^{l0,l} = 1/n_l sum_ij (dz^l_i / dz^l0_j)^2`, averaged over examples, is `E_v |J^T v|^2 / n_l` with `v ~ N(0, I)`: one
//! pullback of one random vector at layer `l` gives every `l0 <= l`. `n_l` counts units times positions.
//! Doshi, He and Gromov 2021 (2111.12143).

use burn::tensor::{Tensor, TensorData};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::observed::Observed;
use widthwise_tensors::to_f64;

/// One estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PartialJacobianNorm {
    /// Earlier layer `l0`.
    pub layer_from: usize,
    /// Later layer `l`.
    pub layer: usize,
    /// The estimate of `J^{l0,l}`.
    pub value: f64,
}

/// Estimates for all `1 <= l0 < l`, with `vectors` random vectors an example at each `l`.
pub fn partial_jacobian_norms(
    network: &impl Observed,
    vectors: usize,
    random: &mut impl Rng,
) -> Vec<PartialJacobianNorm> {
    let n = network.examples();
    let mut norms = Vec::new();
    for layer in 2..=network.layers() {
        let geometry = network.geometry(layer);
        let shape = [vectors, n, geometry.positions, geometry.units];
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|_| StandardNormal.sample(random)).collect();
        let like = network.preactivations(layer);
        let data = TensorData::new(values, shape).convert_dtype(like.dtype());
        let cotangents = Tensor::<4>::from_data(data, (&like.device(), like.dtype()));
        let pulled = network.pull_back(layer, cotangents);
        let scale = (vectors * n * geometry.positions * geometry.units) as f64;
        for (index, cotangent) in pulled.into_iter().enumerate().take(layer - 1) {
            let [k, n, p, u] = cotangent.dims();
            // Summed by axis first: one order of addition for any number of threads.
            let rows = to_f64(cotangent.square().reshape([k * n, p * u]).sum_dim(1));
            norms.push(PartialJacobianNorm { layer_from: index + 1, layer, value: rows.iter().sum::<f64>() / scale });
        }
    }
    norms
}
