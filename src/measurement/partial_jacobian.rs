//! Averaged partial Jacobian norms with random vectors, on some of the probe examples.

use widthwise_probes::partial_jacobian_norms;
use widthwise_statistics::information::InformationError;

use super::Measured;
use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use crate::quantity::Quantity;

pub(super) struct PartialJacobian;

impl Measure for PartialJacobian {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        let (seed, member, step) = shared.place;
        let mut random = widthwise_datasets::stream(seed, &format!("probes.{member}.{step}"));
        let (vectors, probe) = (shared.config.jacobian_vectors, &shared.data.probe);
        let examples = shared.config.jacobian_examples.min(probe.examples());
        let subset = probe.first(examples);
        let narrowed = shared.observation().narrowed(0..examples, &subset);
        for norm in partial_jacobian_norms(&narrowed, vectors, &mut random) {
            let measured = Measured::new(Quantity::PartialJacobianNorm, norm.value).of_layer(norm.layer);
            let std_error = norm.std_error.map(|found| (found, "random_vectors".into()));
            let measured = Measured { layer_from: Some(norm.layer_from), std_error, ..measured };
            found.measured.push(measured.detailed(vectors));
        }
        Ok(())
    }
}
