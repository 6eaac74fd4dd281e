//! Mean squared pre-activations of every layer.

use burn::tensor::Tensor;
use widthwise_probes::Observed;
use widthwise_statistics::information::InformationError;
use widthwise_tensors::to_f64;

use super::Measured;
use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use crate::quantity::Quantity;

pub(super) struct PreactivationVariance;

impl Measure for PreactivationVariance {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        let observation = shared.observation();
        for layer in 1..=observation.layers() {
            let variance = mean_square(observation.preactivations(layer));
            found.measured.push(Measured::new(Quantity::PreactivationVariance, variance).of_layer(layer));
        }
        Ok(())
    }
}

/// Mean over everything, summed by axis first: one order of addition for any number of threads.
pub(crate) fn mean_square(z: Tensor<3>) -> f64 {
    let [n, p, u] = z.dims();
    let rows = to_f64(z.square().reshape([n, p * u]).sum_dim(1));
    rows.iter().sum::<f64>() / (n * p * u) as f64
}
