//! Bounds on the information of every layer about input and labels, read out through noise that scales with the layer.

use widthwise_statistics::information::{InformationError, kde_bounds};

use super::Measured;
use super::information::every_layer;
use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use crate::quantity::Quantity;

pub(super) struct InformationKde;

impl Measure for InformationKde {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        let (noise, labels) = (shared.config.information_noise, &shared.data.probe_labels);
        every_layer(shared, |activations| {
            let values = &activations.values;
            let squared_norm = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / activations.examples as f64;
            if squared_norm > 0.0 {
                let bounds = kde_bounds(values, activations.units, noise * squared_norm, labels)?;
                for (quantity, estimate) in [
                    (Quantity::InformationInputKdeUpper, bounds.input_upper),
                    (Quantity::InformationInputKdeLower, bounds.input_lower),
                    (Quantity::InformationLabelKde, bounds.label_estimate),
                    (Quantity::InformationLabelKdeUpper, bounds.label_upper),
                    (Quantity::InformationLabelKdeLower, bounds.label_lower),
                ] {
                    found.measured.push(Measured::information(quantity, estimate, noise).of_layer(activations.layer));
                }
            }
            Ok(())
        })
    }
}
