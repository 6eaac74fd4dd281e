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
    /// Its standard error over draws of the random vectors on these examples; `None` for one vector an example.
    pub std_error: Option<f64>,
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
            let value = rows.iter().sum::<f64>() / scale;
            let std_error = (vectors > 1).then(|| error_of_sum(&rows, vectors) / scale);
            norms.push(PartialJacobianNorm { layer_from: index + 1, layer, value, std_error });
        }
    }
    norms
}

/// Standard error of the sum of `rows`, draw after draw of one number an example: examples are given, their draws are independent.
fn error_of_sum(rows: &[f64], draws: usize) -> f64 {
    let examples = rows.len() / draws;
    let variance = |example: usize| {
        let of_example = || rows.iter().skip(example).step_by(examples);
        let mean = of_example().sum::<f64>() / draws as f64;
        of_example().map(|row| (row - mean).powi(2)).sum::<f64>() / (draws - 1) as f64
    };
    (draws as f64 * (0..examples).map(variance).sum::<f64>()).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_draws_and_not_of_examples() {
        // Three draws at two examples far apart: 1, 2, 3 and 100, 100, 100.
        let rows = [1.0, 100.0, 2.0, 100.0, 3.0, 100.0];
        assert_eq!(error_of_sum(&rows, 3), 3f64.sqrt());
    }
}
