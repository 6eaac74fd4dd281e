//! What the estimators of information read: the activations of a layer and the labels of the probe examples.

use widthwise_probes::Observed;
use widthwise_statistics::information::InformationError;
use widthwise_tensors::to_f32;

use super::shared::Shared;

/// What the next layer receives; the outputs for the readout.
pub(super) struct LayerActivations {
    pub(super) layer: usize,
    pub(super) examples: usize,
    pub(super) units: usize,
    /// `examples x units`, row-major.
    pub(super) values: Vec<f32>,
}

/// Hands every layer to `measure` where examples have labels. Activations about to overflow have no information, which is no reason to
/// stop before the loss says so.
pub(super) fn every_layer(
    shared: &Shared<'_>,
    mut measure: impl FnMut(&LayerActivations) -> Result<(), InformationError>,
) -> Result<(), InformationError> {
    if shared.data.classes == 0 {
        return Ok(());
    }
    let observation = shared.observation();
    for layer in 1..=observation.layers() {
        let activations = observation.activations(layer);
        let [examples, units] = activations.dims();
        match measure(&LayerActivations { layer, examples, units, values: to_f32(activations) }) {
            Ok(()) | Err(InformationError::NotFinite { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
