//! Dropout with masks drawn beforehand, so that a forward pass is a function of its batch alone.

use burn::tensor::Tensor;
use rand::{Rng, RngExt};

use super::{Batch, Network, from_f64};

impl Network {
    /// `batch` with fresh masks for every dropout layer, `0` or `1/keep` for every unit of every example. Without masks
    /// dropout is the identity, as in evaluation.
    pub fn with_masks(&self, batch: Batch, random: &mut impl Rng) -> Batch {
        let examples = batch.examples();
        let masks = self
            .dropouts
            .iter()
            .map(|&(keep, features)| {
                let mut draw = || if random.random::<f64>() < keep { 1.0 / keep } else { 0.0 };
                let values = (0..examples * features).map(|_| draw()).collect();
                from_f64(values, [examples, features], &self.device, self.dtype)
            })
            .collect();
        Batch { masks, ..batch }
    }

    /// Whether any layer is a dropout layer.
    pub fn has_dropout(&self) -> bool {
        !self.dropouts.is_empty()
    }
}

/// The mask, or nothing to do without one.
pub(super) fn forward(state: Tensor<2>, mask: Option<&Tensor<2>>) -> Tensor<2> {
    match mask {
        Some(mask) => state * mask.clone(),
        None => state,
    }
}

/// For copy-major cotangents `[k N, features]`.
pub(super) fn pull_back(cotangents: Tensor<2>, mask: Option<&Tensor<2>>) -> Tensor<2> {
    let Some(mask) = mask else { return cotangents };
    let ([rows, features], n) = (cotangents.dims(), mask.dims()[0]);
    let copies = cotangents.reshape([rows / n, n, features]);
    (copies * mask.clone().reshape([1, n, features])).reshape([rows, features])
}
