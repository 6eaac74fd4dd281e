//! The order of examples: a fresh permutation an epoch, from the stream `batches.<member>.<epoch>`, so that no generator
//! state needs saving.

use burn::tensor::{Int, Tensor};
use rand::seq::SliceRandom;

use crate::network::Batch;
use crate::objective::Targets;

/// Cuts the training set into batches.
#[derive(Debug, Clone)]
pub struct Batches {
    seed: u64,
    member: usize,
    examples: usize,
    size: usize,
    epoch: Option<u64>,
    order: Vec<i64>,
    /// The same next to the data, where a step only cuts its part out: one transfer an epoch.
    order_on_device: Option<Tensor<1, Int>>,
}

impl Batches {
    /// Batches of `size` of `examples`; the whole set, in its own order, when `size` reaches it.
    pub fn new(seed: u64, member: usize, examples: usize, size: Option<usize>) -> Self {
        let size = size.unwrap_or(examples).min(examples);
        Self { seed, member, examples, size, epoch: None, order: Vec::new(), order_on_device: None }
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
        let start = self.turn_to(step);
        let upload = || Tensor::from_data(self.order.as_slice(), &data.inputs.device());
        let order = self.order_on_device.get_or_insert_with(upload);
        let indices = order.clone().narrow(0, start, self.size);
        (data.select(indices.clone()), targets.select(indices))
    }

    /// The examples of the batch of `step`, from 0.
    pub fn indices(&mut self, step: u64) -> &[i64] {
        let start = self.turn_to(step);
        &self.order[start..start + self.size]
    }

    /// Draws the order of the epoch of `step`, unless it is the present one; where its batch begins in that order.
    fn turn_to(&mut self, step: u64) -> usize {
        let epoch = step / self.per_epoch();
        if self.epoch != Some(epoch) {
            self.order = (0..self.examples as i64).collect();
            let name = format!("batches.{}.{epoch}", self.member);
            self.order.shuffle(&mut widthwise_datasets::stream(self.seed, &name));
            self.epoch = Some(epoch);
            self.order_on_device = None;
        }
        (step % self.per_epoch()) as usize * self.size
    }
}
