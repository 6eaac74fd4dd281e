//! Information of every layer about input and labels by binning its activations over their range.

use widthwise_statistics::information::{BinnedLayer, BinningRule, InformationError};

use super::Measured;
use super::information::every_layer;
use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use crate::quantity::Quantity;

pub(super) struct InformationBinning;

impl Measure for InformationBinning {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        let (bins, labels) = (shared.config.information_bins, &shared.data.probe_labels);
        every_layer(shared, |activations| {
            let layer = activations.layer;
            let binned = BinnedLayer::new(&activations.values, activations.units, BinningRule::Adaptive { bins })?;
            let (input, label) = (binned.input_information(None)?, binned.label_information(labels)?);
            for (quantity, estimate) in
                [(Quantity::InformationInputBinning, input), (Quantity::InformationLabelBinning, label)]
            {
                found.measured.push(Measured::information(quantity, estimate, bins).of_layer(layer));
            }
            if layer == 1 {
                found.measured.push(Measured::new(Quantity::InformationInputCeiling, input.ceiling));
                found.measured.push(Measured::new(Quantity::InformationLabelCeiling, label.ceiling));
            }
            Ok(())
        })
    }
}
