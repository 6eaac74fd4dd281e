//! Averaged partial Jacobian norms at infinite width, before training.

use faer::Mat;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::kernel::Inputs;
use widthwise_theory::signal::partial_jacobian_norms;

/// Entry `(l - 1, l0 - 1)` of the pair of layers `l0 < l`, on the first `examples` of `probe`.
pub(super) fn mean_norms(
    architecture: &Architecture,
    probe: &Inputs,
    examples: usize,
) -> Result<Mat<f64>, TheoryError> {
    let features = probe.shape.features();
    let subset = Inputs::new(probe.values[..examples * features].to_vec(), probe.shape)?;
    partial_jacobian_norms(architecture, &subset)
}
