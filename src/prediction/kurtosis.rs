//! Kurtosis of the pre-activations of a random network, to first order in one over the width.

use widthwise_theory::TheoryError;
use widthwise_theory::architecture::Architecture;
use widthwise_theory::kernel::Inputs;
use widthwise_theory::signal::layer_fluctuations;

/// Mean over `probe`, entry `l - 1` of layer `l`.
pub(super) fn mean_kurtosis(architecture: &Architecture, probe: &Inputs) -> Result<Vec<f64>, TheoryError> {
    let examples = layer_fluctuations(architecture, probe)?;
    let layers = examples.first().map_or(0, Vec::len);
    let mean = |l: usize| {
        // An example whose gates are all shut has no variance there, and no kurtosis.
        let found: Vec<f64> = examples.iter().map(|e| e[l].excess_kurtosis()).filter(|k| k.is_finite()).collect();
        3.0 + found.iter().sum::<f64>() / found.len() as f64
    };
    Ok((0..layers).map(mean).collect())
}
