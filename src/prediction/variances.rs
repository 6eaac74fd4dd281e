//! Mean squared pre-activations at infinite width, before training.

use widthwise_theory::TheoryError;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::kernel::{Inputs, preactivation_variances};

/// Mean over `probe`, entry `l - 1` of layer `l`.
pub(super) fn mean_variances(architecture: &Architecture, probe: &Inputs) -> Result<Vec<f64>, TheoryError> {
    let matrix = preactivation_variances(architecture, probe)?;
    let n = matrix.nrows() as f64;
    Ok((0..matrix.ncols()).map(|l| (0..matrix.nrows()).map(|i| matrix[(i, l)]).sum::<f64>() / n).collect())
}
