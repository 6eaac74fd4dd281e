//! Distances of the weights of every layer from the initial ones, biases left out; none at the first step.

use burn::tensor::Tensor;
use widthwise_statistics::information::InformationError;
use widthwise_tensors::to_f64;

use super::shared::Shared;
use super::snapshot::{Collected, Measure};
use super::{InitialWeights, Measured};
use crate::quantity::Quantity;

/// Numbers of a tensor that are worked on at once where they are many.
const CACHED: usize = 1 << 16;

pub(super) struct WeightDistance;

impl Measure for WeightDistance {
    fn measure(&self, shared: &Shared<'_>, found: &mut Collected) -> Result<(), InformationError> {
        let Some(InitialWeights { parameters, squared_norms }) = shared.past.weights else { return Ok(()) };
        let layers = shared.network.parameters.iter().zip(parameters).zip(squared_norms);
        for (layer, ((now, before), squared_norm_before)) in (1..).zip(layers) {
            let count = now.weight.shape().num_elements() as f64;
            let moved = squared_norm(&now.weight, Some(&before.weight));
            let distance = (moved / squared_norm_before).sqrt();
            found.measured.push(Measured::new(Quantity::WeightDistance, distance).of_layer(layer));
            found.measured.push(Measured::new(Quantity::WeightRmsChange, (moved / count).sqrt()).of_layer(layer));
        }
        Ok(())
    }
}

/// `|W|^2`, or `|W - V|^2`, some rows at a time so that what lies between stays in cache, and each row by itself: one order of addition
/// for any number of threads.
pub(super) fn squared_norm(weight: &Tensor<2>, from: Option<&Tensor<2>>) -> f64 {
    let [rows, columns] = weight.dims();
    let most = (CACHED / columns.max(1)).clamp(1, rows.max(1));
    let sums = (0..rows).step_by(most).map(|start| {
        let part = |tensor: &Tensor<2>| tensor.clone().narrow(0, start, most.min(rows - start));
        let difference = match from {
            Some(from) => part(weight) - part(from),
            None => part(weight),
        };
        difference.square().sum_dim(1)
    });
    to_f64(Tensor::cat(sums.collect(), 0)).iter().sum()
}
