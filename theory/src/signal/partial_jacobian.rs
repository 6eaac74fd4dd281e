//! Partial Jacobian norms `J^{l0,l} = E[(1/n_l) sum_ij (dh^l_i / dh^{l0}_j)^2]` at infinite width.
//!
//! Doshi, He and Gromov 2023 (2111.12143). Differentiating `h^{l+1}_i = sum_k W_ik phi(h^l_k)` and averaging over `W^{l+1}`, of
//! variance `sigma_w2/n_l`, gives
//! `sum_ij (dh^{l+1}_i/dh^{l0}_j)^2 -> n_{l+1} (sigma_w2/n_l) sum_kj phi'(h_k)^2 (dh^l_k/dh^{l0}_j)^2`. Division by
//! `n_{l+1}` leaves `J^{l0,l+1} = chi_perp(K^l) J^{l0,l}` whatever the widths, with `J^{l0,l0} = 1`: only the width of the
//! upper layer normalizes. A gated layer multiplies `chi_perp` by `g(x).g(x)/M`.
//!
//! This is the tangent-kernel recursion fed by the preactivations of layer `l0` instead of by parameters. With
//! positions the same holds for `sum_{j,r} dh_{i,p}/dh_{j,r} dh_{i,p'}/dh_{j,r}`, the identity over `p, p'` at layer
//! `l0`; its norm is `(1/(n_l P_l)) sum` over all units and positions, and zero padding and pooling are included.

use faer::Mat;

use crate::architecture::Architecture;
use crate::error::TheoryError;
use crate::kernel::{Inputs, TangentSource, layers_alone};

/// Partial Jacobian norms between all pairs of weight layers, averaged over the examples.
///
/// # Shapes
/// `(L+1) x (L+1)`, entry `(l-1, l0-1)` is `J^{l0,l}` for `l0 <= l`; zero above the diagonal.
///
/// # Errors
/// As [`kernels`](crate::kernel::kernels), and a [`TheoryError::ShapeMismatch`] without examples.
pub fn partial_jacobian_norms(architecture: &Architecture, inputs: &Inputs) -> Result<Mat<f64>, TheoryError> {
    if inputs.values.is_empty() {
        return Err(TheoryError::ShapeMismatch { what: "examples (at least)", expected: 1, found: 0 });
    }
    let layers = architecture.weight_layers()?.len();
    let mut norms = Mat::zeros(layers, layers);
    for lower in 0..layers {
        let examples = layers_alone(architecture, inputs, TangentSource::Preactivations(lower))?;
        for upper in lower..layers {
            let sum: f64 = examples.iter().map(|layers| layers[upper][1]).sum();
            norms[(upper, lower)] = sum / examples.len() as f64;
        }
    }
    Ok(norms)
}
