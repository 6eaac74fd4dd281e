//! Trace of the covariance of per-example loss gradients: read off the empirical NTK where there is one output.

use widthwise_probes::{gradient_covariance_trace, gradient_covariance_trace_of_kernel};
use widthwise_statistics::information::InformationError;
use widthwise_tensors::to_f64;

use super::Measured;
use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use crate::objective::output_gradients;
use crate::quantity::Quantity;

pub(super) struct GradientCovariance;

impl Measure for GradientCovariance {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        let observation = shared.observation();
        let cotangents = output_gradients(shared.kind, observation.outputs(), &shared.data.probe_targets_on_device);
        let trace = if cotangents.dims()[1] == 1 {
            gradient_covariance_trace_of_kernel(&shared.ntk().total, &to_f64(cotangents))
        } else {
            gradient_covariance_trace(observation, cotangents)
        };
        found.measured.push(Measured::new(Quantity::GradientCovarianceTrace, trace));
        Ok(())
    }
}
