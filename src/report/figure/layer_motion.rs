//! Which layers move: distances of their weights from the start, and their shares of the tangent kernel, at the first and the last step.

use super::super::read::Records;
use super::Figure;
use super::over_layers::figure;
use crate::quantity::Quantity;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let about = "The weights W of each layer against its initial ones, |W − W₀| / |W₀| in the Frobenius norm and the root mean \
                 square of the entries of W − W₀; and the share of the layer's parameters in the trace of the neural tangent \
                 kernel. Means over the ensemble.";
    let quantities =
        [Quantity::WeightDistance.name(), Quantity::WeightRmsChange.name(), Quantity::NtkLayerShare.name()];
    figure(records, "layer_motion", "Layers in motion", about, &quantities)
}
