//! The kernel in tensors, on the device of the network: the path of GPUs, and an oracle of the others.

use burn::tensor::Tensor;
use faer::Mat;

use super::output::NtkOutput;
use crate::observed::{LayerGeometry, Observed};
use widthwise_tensors::to_matrix;

/// Mean over outputs of the diagonal blocks, `Theta[x, x'] = 1/O sum_o Theta[x o, x' o]`.
///
/// # Shapes
/// `N x N`, symmetric.
pub fn empirical_ntk(network: &impl Observed) -> Mat<f64> {
    summed(network, NtkOutput::Trace)
}

/// The whole kernel over examples and outputs, rows ordered example-major: index `x * O + o`.
///
/// # Shapes
/// `N O x N O`, symmetric.
pub fn empirical_ntk_full(network: &impl Observed) -> Mat<f64> {
    summed(network, NtkOutput::Full)
}

fn summed<N: Observed>(network: &N, output: NtkOutput) -> Mat<f64> {
    let shares = empirical_ntk_by_layer(network, None::<&N>, output);
    let total = shares.into_iter().reduce(|total, share| total + share);
    total.unwrap_or_else(|| unreachable!("a network has a readout"))
}

/// The share of every layer in the kernel of a network's examples with those of `right`, or with themselves.
///
/// # Shapes
/// As [`NtkOutput`] says; symmetric without `right`.
///
/// # Panics
/// [`NtkOutput::Diagonal`] of two sets of examples.
pub fn empirical_ntk_by_layer(left: &impl Observed, right: Option<&impl Observed>, output: NtkOutput) -> Vec<Mat<f64>> {
    assert!(output != NtkOutput::Diagonal || right.is_none(), "an example with itself, of one set of examples");
    let rows = sides(left, output);
    let columns = right.map(|right| sides(right, output));
    let outputs = left.geometry(left.layers()).units;
    let share = |(index, row): (usize, &LayerSide)| {
        let geometry = left.geometry(index + 1);
        let column = columns.as_ref().map_or(row, |columns| &columns[index]);
        let mut kernel = to_matrix(layer_kernel(row, column, &geometry));
        if output == NtkOutput::Trace {
            kernel *= faer::Scale(1.0 / outputs as f64);
        }
        if right.is_none() {
            symmetrize(&mut kernel);
        }
        if output == NtkOutput::Diagonal { own_blocks(&kernel, outputs) } else { kernel }
    };
    rows.iter().enumerate().map(share).collect()
}

/// What one layer of one set of examples has to say: input rows `[N, P, F]` and derivatives `[K, N, P, n]` that are summed over
/// the leading axis.
struct LayerSide {
    rows: Tensor<3>,
    derivatives: Tensor<4>,
}

fn sides(network: &impl Observed, output: NtkOutput) -> Vec<LayerSide> {
    let outputs = network.geometry(network.layers()).units;
    let side = |(index, pulled): (usize, Tensor<4>)| {
        let rows = network.rows(index + 1);
        let [k, n, positions, units] = pulled.dims();
        match output {
            NtkOutput::Trace => LayerSide { rows, derivatives: pulled },
            NtkOutput::Logit(output) => LayerSide { rows, derivatives: pulled.narrow(0, output, 1) },
            NtkOutput::Full | NtkOutput::Diagonal => {
                // Every output becomes an example of its own: [O, N, P, n] -> [N O, P, n] next to rows repeated O times.
                let fan_in = rows.dims()[2];
                let rows = rows.unsqueeze_dim::<4>(1).repeat_dim(1, outputs).reshape([n * outputs, positions, fan_in]);
                LayerSide { rows, derivatives: pulled.swap_dims(0, 1).reshape([1, n * k, positions, units]) }
            }
        }
    };
    output_pullbacks(network).into_iter().enumerate().map(side).collect()
}

/// One layer's share: the order of contraction is the cheaper one.
fn layer_kernel(left: &LayerSide, right: &LayerSide, geometry: &LayerGeometry) -> Tensor<2> {
    let [k, n, positions, units] = left.derivatives.dims();
    let fan_in = geometry.fan_in;
    let m = right.derivatives.dims()[1];
    let weights = if positions == 1 {
        let of = |side: &LayerSide, n: usize| side.rows.clone().reshape([n, fan_in]);
        product(of(left, n), of(right, m))
            * product(
                example_major(left.derivatives.clone(), [n, k * units]),
                example_major(right.derivatives.clone(), [m, k * units]),
            )
    } else if contracts_positions_first([n, m], k, positions, fan_in, units) {
        // Per-example gradients of one layer: G^k(x) = sum_p a_p(x) d_p^k(x)^T.
        let of = |side: &LayerSide, n: usize| {
            let by_example = side.derivatives.clone().permute([1, 2, 0, 3]).reshape([n, positions, k * units]);
            side.rows.clone().swap_dims(1, 2).matmul(by_example).reshape([n, fan_in * k * units])
        };
        product(of(left, n), of(right, m))
    } else {
        position_pairs(left, right)
    };
    let mut kernel = weights.mul_scalar(geometry.weight_tangent);
    if geometry.bias_tangent > 0.0 {
        let of = |side: &LayerSide, n: usize| example_major(side.derivatives.clone().sum_dim(2), [n, k * units]);
        kernel = kernel + product(of(left, n), of(right, m)).mul_scalar(geometry.bias_tangent);
    }
    kernel
}

/// Whether forming per-example gradients costs fewer multiplications than the Gram over position pairs.
fn contracts_positions_first([n, m]: [usize; 2], k: usize, positions: usize, fan_in: usize, units: usize) -> bool {
    let (n, m, k, p, f, u) = (n as f64, m as f64, k as f64, positions as f64, fan_in as f64, units as f64);
    let gradients = 0.5 * (n + m) * p * f * k * u + n * m * f * k * u;
    let pairs = n * m * p.powi(2) * (f + k * u);
    gradients <= pairs
}

/// `sum_{p p'} (a_p . a_p')(d_p . d_p')`, one row of examples at a time so that only `P x M P` numbers are held.
fn position_pairs(left: &LayerSide, right: &LayerSide) -> Tensor<2> {
    let flat = |side: &LayerSide| {
        let [k, n, positions, units] = side.derivatives.dims();
        let by_example = side.derivatives.clone().permute([1, 2, 0, 3]).reshape([n * positions, k * units]);
        (side.rows.clone().reshape([n * positions, side.rows.dims()[2]]), by_example)
    };
    let [_, n, positions, _] = left.derivatives.dims();
    let m = right.derivatives.dims()[1];
    let ((rows, derivatives), (columns, across)) = (flat(left), flat(right));
    let kernel_rows = (0..n)
        .map(|x| {
            let range = x * positions..(x + 1) * positions;
            let a = product(rows.clone().slice([range.clone()]), columns.clone());
            let d = product(derivatives.clone().slice([range]), across.clone());
            (a * d).sum_dim(0).reshape([m, positions]).sum_dim(1).reshape([1, m])
        })
        .collect();
    Tensor::cat(kernel_rows, 0)
}

/// `[K, N, ...] -> [N, K ...]`.
fn example_major(tensor: Tensor<4>, shape: [usize; 2]) -> Tensor<2> {
    tensor.swap_dims(0, 1).reshape(shape)
}

fn product(rows: Tensor<2>, columns: Tensor<2>) -> Tensor<2> {
    rows.matmul(columns.transpose())
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

/// The blocks on the diagonal, one a row.
fn own_blocks(kernel: &Mat<f64>, outputs: usize) -> Mat<f64> {
    let n = kernel.nrows() / outputs;
    Mat::from_fn(n, outputs * outputs, |x, o| kernel[(x * outputs + o / outputs, x * outputs + o % outputs)])
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
