//! Dense weight layers, plain and gated: `z = gain_w a W + gain_b b`.
//!
//! A gated layer is a dense layer of the rows `g(x) (x) a(x)`: all M weight matrices stacked, so that probes need no code of
//! their own for it.

use burn::tensor::Tensor;
use widthwise_theory::architecture::Scaling;

use super::LayerParameters;

pub(super) fn forward(rows: Tensor<2>, parameters: &LayerParameters, scaling: &Scaling) -> Tensor<2> {
    with_bias(scale(rows.matmul(parameters.weight.clone()), scaling.weight_gain), parameters, scaling)
}

fn with_bias(z: Tensor<2>, parameters: &LayerParameters, scaling: &Scaling) -> Tensor<2> {
    match &parameters.bias {
        Some(bias) => z + scale(bias.clone(), scaling.bias_gain),
        None => z,
    }
}

/// Multiplies, unless by one.
pub(super) fn scale<const D: usize>(tensor: Tensor<D>, gain: f64) -> Tensor<D> {
    if gain == 1.0 { tensor } else { tensor.mul_scalar(gain) }
}

pub(super) fn pull_back(cotangents: Tensor<2>, parameters: &LayerParameters, scaling: &Scaling) -> Tensor<2> {
    scale(cotangents.matmul(parameters.weight.clone().transpose()), scaling.weight_gain)
}

/// `[N, F] x [N, M] -> [N, M F]`, gate-major.
pub(super) fn gated_rows(state: Tensor<2>, gates: Option<&Tensor<2>>) -> Tensor<2> {
    let Some(gates) = gates else { unreachable!("a gated architecture has gates, and a batch of it gate values") };
    let ([n, features], [_, count]) = (state.dims(), gates.dims());
    (gates.clone().reshape([n, count, 1]) * state.reshape([n, 1, features])).reshape([n, count * features])
}

/// Adjoint of [`gated_rows`] in the state, for copy-major cotangents `[k N, M F]`.
pub(super) fn gated_pull_back(rows: Tensor<2>, gates: Option<&Tensor<2>>, features: usize) -> Tensor<2> {
    let Some(gates) = gates else { unreachable!("a gated architecture has gates, and a batch of it gate values") };
    let [n, count] = gates.dims();
    let copies = rows.dims()[0] / n;
    let weighted = rows.reshape([copies, n, count, features]) * gates.clone().reshape([1, n, count, 1]);
    weighted.sum_dim(2).reshape([copies * n, features])
}
