//! Losses with their normalization in the name.

use burn::tensor::{Int, Tensor, activation};

use crate::config::Loss;

/// Targets on the device: numbers `[N, O]` and class indices `[N]`.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Regression targets, `[N, O]`.
    pub values: Tensor<2>,
    /// Class of each example, `[N]`.
    pub classes: Tensor<1, Int>,
}

impl Targets {
    /// The targets of the examples with the given indices.
    pub fn select(&self, indices: Tensor<1, Int>) -> Self {
        Self {
            values: self.values.clone().select(0, indices.clone()),
            classes: self.classes.clone().select(0, indices),
        }
    }
}

/// Loss of `outputs` `[m, O]`, one number. Sums go axis by axis, so that their order does not depend on threads.
pub fn loss(kind: Loss, outputs: Tensor<2>, targets: &Targets) -> Tensor<1> {
    let m = outputs.dims()[0] as f64;
    let total = |terms: Tensor<2>| terms.sum_dim(1).sum_dim(0).reshape([1]);
    match kind {
        Loss::HalfSum => total((outputs - targets.values.clone()).square()).mul_scalar(0.5),
        Loss::HalfMean => total((outputs - targets.values.clone()).square()).mul_scalar(0.5 / m),
        Loss::CrossEntropy => {
            let log_probabilities = activation::log_softmax(outputs, 1);
            let index = targets.classes.clone().unsqueeze_dim::<2>(1);
            total(log_probabilities.gather(1, index)).mul_scalar(-1.0 / m)
        }
    }
}

/// Derivatives of the losses of single examples with respect to their outputs, `[m, O]`: `f - y` of `1/2 |f - y|^2`, for
/// both squared losses, and `softmax(f) - e_class` of the cross-entropy.
pub fn output_gradients(kind: Loss, outputs: Tensor<2>, targets: &Targets) -> Tensor<2> {
    match kind {
        Loss::HalfSum | Loss::HalfMean => outputs - targets.values.clone(),
        Loss::CrossEntropy => {
            let [m, columns] = outputs.dims();
            let classes = targets.classes.clone().reshape([m, 1]).repeat_dim(1, columns);
            let places = Tensor::<1, Int>::arange(0..columns as i64, &outputs.device()).reshape([1, columns]);
            let hot = classes.equal(places.repeat_dim(0, m)).float().cast(outputs.dtype());
            activation::softmax(outputs, 1) - hot
        }
    }
}

/// Factor that turns a learning rate of this loss into one of `1/2 sum`; the number of examples for mean losses.
pub fn examples_per_unit(kind: Loss, batch: usize) -> f64 {
    match kind {
        Loss::HalfSum => 1.0,
        Loss::HalfMean | Loss::CrossEntropy => batch as f64,
    }
}
