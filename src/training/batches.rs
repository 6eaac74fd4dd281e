//! The order of examples: a fresh permutation an epoch, from the stream `batches.<member>.<epoch>`, so that no generator
//! state needs saving.

use burn::tensor::{Int, Tensor};
use rand::seq::SliceRandom;

use super::loss::Targets;
use crate::network::Batch;

/// Cuts the training set into batches.
pub struct Batches {
    seed: u64,
    member: usize,
    examples: usize,
    size: usize,
    epoch: Option<u64>,
    order: Vec<i64>,
}

impl Batches {
    /// Batches of `size` of `examples`; the whole set, in its own order, when `size` reaches it.
    pub fn new(seed: u64, member: usize, examples: usize, size: Option<usize>) -> Self {
        let size = size.unwrap_or(examples).min(examples);
        Self { seed, member, examples, size, epoch: None, order: Vec::new() }
    }

    /// Steps in a pass over the training set; a last partial batch is left out.
    pub fn per_epoch(&self) -> u64 {
        (self.examples / self.size) as u64
    }

    /// Examples a step.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The batch of `step`, from 0.
    pub fn at(&mut self, step: u64, data: &Batch, targets: &Targets) -> (Batch, Targets) {
        if self.size == self.examples {
            return (data.clone(), targets.clone());
        }
        let indices = Tensor::<1, Int>::from_data(self.indices(step), &data.inputs.device());
        (data.select(indices.clone()), targets.select(indices))
    }

    /// The examples of the batch of `step`, from 0.
    pub fn indices(&mut self, step: u64) -> &[i64] {
        let epoch = step / self.per_epoch();
        if self.epoch != Some(epoch) {
            self.order = (0..self.examples as i64).collect();
            let name = format!("batches.{}.{epoch}", self.member);
            self.order.shuffle(&mut widthwise_datasets::stream(self.seed, &name));
            self.epoch = Some(epoch);
        }
        let start = (step % self.per_epoch()) as usize * self.size;
        &self.order[start..start + self.size]
    }
}
