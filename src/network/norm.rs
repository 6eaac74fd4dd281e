//! Layer and root-mean-square normalization over the units of every position, and their pullbacks.
//!
//! With `s = sqrt(variance + epsilon)` and `y = (x - mean) / s`, the pullback of `c` is
//! `(c - mean(c) - y mean(c y)) / s`; without the means in the root-mean-square form.

use burn::tensor::Tensor;
use widthwise_theory::architecture::InputShape;

/// Whether a mean is subtracted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Centering {
    /// LayerNorm.
    Mean,
    /// RmsNorm.
    None,
}

/// Units that are normalized together, and positions: a flat state is all units.
pub(super) fn groups(shape: InputShape) -> [usize; 2] {
    if shape.channels == 1 && shape.height == 1 {
        [shape.width, 1]
    } else {
        [shape.channels, shape.height * shape.width]
    }
}

/// `y` and `1/s`, `[N, units, positions]` and `[N, 1, positions]`.
fn normalized(state: &Tensor<2>, shape: InputShape, epsilon: f64, centering: Centering) -> (Tensor<3>, Tensor<3>) {
    let [units, positions] = groups(shape);
    let x = state.clone().reshape([state.dims()[0], units, positions]);
    let x = match centering {
        Centering::Mean => x.clone() - x.mean_dim(1),
        Centering::None => x,
    };
    let inverse = x.clone().square().mean_dim(1).add_scalar(epsilon).sqrt().recip();
    (x * inverse.clone(), inverse)
}

pub(super) fn forward(state: Tensor<2>, shape: InputShape, epsilon: f64, centering: Centering) -> Tensor<2> {
    let dims = state.dims();
    normalized(&state, shape, epsilon, centering).0.reshape(dims)
}

/// For copy-major cotangents `[k N, features]`.
pub(super) fn pull_back(
    cotangents: Tensor<2>,
    state: &Tensor<2>,
    shape: InputShape,
    epsilon: f64,
    centering: Centering,
) -> Tensor<2> {
    let ([rows, features], n) = (cotangents.dims(), state.dims()[0]);
    let [units, positions] = groups(shape);
    let (y, inverse) = normalized(state, shape, epsilon, centering);
    let y = y.unsqueeze_dim::<4>(0);
    let c = cotangents.reshape([rows / n, n, units, positions]);
    let along = (c.clone() * y.clone()).mean_dim(2) * y;
    let pulled = match centering {
        Centering::Mean => c.clone() - c.mean_dim(2) - along,
        Centering::None => c - along,
    };
    (pulled * inverse.unsqueeze_dim::<4>(0)).reshape([rows, features])
}
