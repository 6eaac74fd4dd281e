//! The empirical neural tangent kernel without a Jacobian.
//!
//! With `a_p(x)` the input row of a weight layer at position `p` and `d_p^o(x)` the derivative of output `o` with respect to
//! its pre-activation there,
//!
//! ```text
//! Theta[x o, x' o'] = sum_l  g_l sum_{p p'} (a_p(x) . a_p'(x')) (d_p^o(x) . d_p'^o'(x'))  +  h_l (sum_p d_p^o(x)) . (sum_p' d_p'^o'(x'))
//! ```
//!
//! where `g_l`, `h_l` are squared gains times the learning-rate factors of weights and biases: the kernel that moves the
//! function per unit of the base learning rate. Jacot, Gabriel and Hongler 2018 (1806.07572); the structured form is that
//! of Novak, Sohl-Dickstein and Schoenholz 2022 (2206.08720).

use burn::tensor::Tensor;
use faer::Mat;

use crate::matrix::to_matrix;
use crate::observed::{LayerGeometry, Observed};

/// Mean over outputs of the diagonal blocks, `Theta[x, x'] = 1/O sum_o Theta[x o, x' o]`.
///
/// # Shapes
/// `N x N`, symmetric.
pub fn empirical_ntk(network: &impl Observed) -> Mat<f64> {
    let outputs = network.geometry(network.layers()).units;
    let pulled = output_pullbacks(network);
    let n = network.examples();
    let mut kernel = Mat::<f64>::zeros(n, n);
    for (index, sensitivities) in pulled.into_iter().enumerate() {
        let geometry = network.geometry(index + 1);
        let layer = layer_kernel(network.rows(index + 1), sensitivities, &geometry);
        kernel += to_matrix(layer);
    }
    kernel *= faer::Scale(1.0 / outputs as f64);
    symmetrize(&mut kernel);
    kernel
}

/// The whole kernel over examples and outputs, rows ordered example-major: index `x * O + o`.
///
/// # Shapes
/// `N O x N O`, symmetric.
pub fn empirical_ntk_full(network: &impl Observed) -> Mat<f64> {
    let outputs = network.geometry(network.layers()).units;
    let n = network.examples();
    let pulled = output_pullbacks(network);
    let mut kernel = Mat::<f64>::zeros(n * outputs, n * outputs);
    for (index, sensitivities) in pulled.into_iter().enumerate() {
        let geometry = network.geometry(index + 1);
        // Every output becomes an example of its own: [O, N, P, n] -> [N O, P, n] beside rows repeated O times.
        let [k, _, positions, units] = sensitivities.dims();
        let sensitivities = sensitivities.swap_dims(0, 1).reshape([1, n * k, positions, units]);
        let rows = network.rows(index + 1);
        let fan_in = geometry.fan_in;
        let rows = rows.unsqueeze_dim::<4>(1).repeat_dim(1, outputs).reshape([n * outputs, positions, fan_in]);
        kernel += to_matrix(layer_kernel(rows, sensitivities, &geometry));
    }
    symmetrize(&mut kernel);
    kernel
}

/// One layer's share, summed over the leading axis of `sensitivities`, `[K, N, P, n]`: the order of contraction is the
/// cheaper one.
fn layer_kernel(rows: Tensor<3>, sensitivities: Tensor<4>, geometry: &LayerGeometry) -> Tensor<2> {
    let [k, n, positions, units] = sensitivities.dims();
    let fan_in = geometry.fan_in;
    let weights = if positions == 1 {
        gram(rows.reshape([n, fan_in])) * gram(example_major(sensitivities.clone(), [n, k * units]))
    } else if contracts_positions_first(n, k, positions, fan_in, units) {
        // Per-example gradients of one layer: G^k(x) = sum_p a_p(x) d_p^k(x)^T.
        let by_example = sensitivities.clone().permute([1, 2, 0, 3]).reshape([n, positions, k * units]);
        gram(rows.swap_dims(1, 2).matmul(by_example).reshape([n, fan_in * k * units]))
    } else {
        position_pairs(rows, sensitivities.clone())
    };
    let mut kernel = weights.mul_scalar(geometry.weight_tangent);
    if geometry.bias_tangent > 0.0 {
        let summed = sensitivities.sum_dim(2);
        kernel = kernel + gram(example_major(summed, [n, k * units])).mul_scalar(geometry.bias_tangent);
    }
    kernel
}

/// Whether forming per-example gradients costs fewer multiplications than the Gram over position pairs.
fn contracts_positions_first(n: usize, k: usize, positions: usize, fan_in: usize, units: usize) -> bool {
    let (n, k, p, f, u) = (n as f64, k as f64, positions as f64, fan_in as f64, units as f64);
    let gradients = n * p * f * k * u + n * n * f * k * u;
    let pairs = (n * p).powi(2) * (f + k * u);
    gradients <= pairs
}

/// `sum_{p p'} (a_p . a_p')(d_p . d_p')`, one row of examples at a time so that only `P x N P` numbers are held.
fn position_pairs(rows: Tensor<3>, sensitivities: Tensor<4>) -> Tensor<2> {
    let [k, n, positions, units] = sensitivities.dims();
    let fan_in = rows.dims()[2];
    let by_example = sensitivities.permute([1, 2, 0, 3]).reshape([n * positions, k * units]);
    let flat_rows = rows.reshape([n * positions, fan_in]);
    let kernel_rows = (0..n)
        .map(|x| {
            let range = x * positions..(x + 1) * positions;
            let a = flat_rows.clone().slice([range.clone()]).matmul(flat_rows.clone().transpose());
            let d = by_example.clone().slice([range]).matmul(by_example.clone().transpose());
            (a * d).sum_dim(0).reshape([n, positions]).sum_dim(1).reshape([1, n])
        })
        .collect();
    Tensor::cat(kernel_rows, 0)
}

/// `[K, N, ...] -> [N, K ...]`.
fn example_major(tensor: Tensor<4>, shape: [usize; 2]) -> Tensor<2> {
    tensor.swap_dims(0, 1).reshape(shape)
}

fn gram(rows: Tensor<2>) -> Tensor<2> {
    rows.clone().matmul(rows.transpose())
}

/// Pullbacks of every output to every layer, `[O, N, P, n]` a layer.
fn output_pullbacks(network: &impl Observed) -> Vec<Tensor<4>> {
    let readout = network.layers();
    let outputs = network.geometry(readout).units;
    let n = network.examples();
    let like = network.preactivations(readout);
    let identity = Tensor::<2>::eye(outputs, &like.device()).cast(like.dtype());
    let cotangents = identity.reshape([outputs, 1, 1, outputs]).repeat_dim(1, n);
    network.pull_back(readout, cotangents)
}

/// Removes the round-off difference between the two triangles.
fn symmetrize(kernel: &mut Mat<f64>) {
    for i in 0..kernel.nrows() {
        for j in 0..i {
            let mean = 0.5 * (kernel[(i, j)] + kernel[(j, i)]);
            kernel[(i, j)] = mean;
            kernel[(j, i)] = mean;
        }
    }
}
