//! Variances of every layer's weights and biases, as its pre-activations show them.

use widthwise_probes::{Observed, examples_for_variances, layer_variances};
use widthwise_statistics::NullLaw;
use widthwise_statistics::information::InformationError;
use widthwise_theory::architecture::InitScheme;

use super::Measured;
use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use crate::quantity::Quantity;

pub(super) struct VariancesOfLayers;

impl Measure for VariancesOfLayers {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        let observation = shared.observation();
        // Weights have a law of their own before training, if they are drawn one by one.
        let has_law = shared.place.2 == 0 && shared.network.architecture().init_scheme == InitScheme::Gaussian;
        for layer in 1..=observation.layers() {
            let examples = examples_for_variances(&observation.geometry(layer)).min(shared.data.probe.examples());
            let subset = shared.data.probe.first(examples);
            let variances = layer_variances(&observation.narrowed(0..examples, &subset), layer);
            for (quantity, estimate) in
                [(Quantity::WeightVariance, variances.weight), (Quantity::BiasVariance, variances.bias)]
            {
                let Some(estimate) = estimate else { continue };
                let law = NullLaw::ChiSquared { freedom: estimate.freedom };
                let std_error = has_law.then(|| (estimate.std_error, law.to_string().into()));
                let measured = Measured::new(quantity, estimate.value).of_layer(layer);
                found.measured.push(Measured { std_error, ..measured });
            }
        }
        Ok(())
    }
}
