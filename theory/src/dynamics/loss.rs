//! Losses of outputs, summed over examples and outputs, with their gradients.
//!
//! ```text
//! squared                (1/2) (f - y)^2                                            curvature <= 1
//! logistic               ln(1 + e^f) - y f,                   y in [0, 1]            curvature <= 1/4
//! softmax cross-entropy  (sum_o y_o) ln sum_o e^{f_o} - sum_o y_o f_o,   y_o >= 0    curvature <= 1/2 for sum_o y_o = 1
//! Huber                  (1/2) r^2 for |r| <= delta, else delta (|r| - delta/2),  r = f - y     curvature <= 1
//! squared hinge          (1/2) max(0, 1 - y f)^2,             y = +-1                curvature <= 1
//! ```
//!
//! The curvature times the largest eigenvalue of the tangent kernel is the fastest rate of the flow.

use faer::{Mat, MatRef};

/// A loss that is a sum over examples; means take a learning rate divided by their number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OutputLoss {
    /// `(1/2) (f - y)^2`.
    Squared,
    /// Binary cross-entropy of `1 / (1 + exp(-f))`, for every output alone; targets are probabilities.
    Logistic,
    /// Cross-entropy of the softmax over outputs; targets are probabilities.
    SoftmaxCrossEntropy,
    /// Quadratic near the target and linear far from it (Huber 1964).
    Huber {
        /// Distance at which it turns linear; positive.
        delta: f64,
    },
    /// `(1/2) max(0, 1 - y f)^2`; targets are `+-1`.
    SquaredHinge,
}

impl OutputLoss {
    /// The loss of `outputs` against `targets`, both `examples x outputs`.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn value(&self, outputs: MatRef<'_, f64>, targets: MatRef<'_, f64>) -> f64 {
        assert_eq!(outputs.shape(), targets.shape(), "outputs and targets");
        if *self == OutputLoss::SoftmaxCrossEntropy {
            return (0..outputs.nrows()).map(|i| cross_entropy(outputs, targets, i)).sum();
        }
        let one = |f: f64, y: f64| match *self {
            OutputLoss::Squared => 0.5 * (f - y).powi(2),
            OutputLoss::Logistic => f.max(0.0) + (-f.abs()).exp().ln_1p() - y * f,
            OutputLoss::Huber { delta } => {
                let distance = (f - y).abs();
                if distance <= delta { 0.5 * distance * distance } else { delta * (distance - 0.5 * delta) }
            }
            OutputLoss::SquaredHinge => 0.5 * (1.0 - y * f).max(0.0).powi(2),
            OutputLoss::SoftmaxCrossEntropy => f64::NAN,
        };
        let example = |i: usize| (0..outputs.ncols()).map(|o| one(outputs[(i, o)], targets[(i, o)])).sum::<f64>();
        (0..outputs.nrows()).map(example).sum()
    }

    /// Derivative of the loss by every output, `examples x outputs`.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn gradient(&self, outputs: MatRef<'_, f64>, targets: MatRef<'_, f64>) -> Mat<f64> {
        assert_eq!(outputs.shape(), targets.shape(), "outputs and targets");
        if *self == OutputLoss::SoftmaxCrossEntropy {
            return softmax_gradient(outputs, targets);
        }
        Mat::from_fn(outputs.nrows(), outputs.ncols(), |i, o| {
            let (f, y) = (outputs[(i, o)], targets[(i, o)]);
            match *self {
                OutputLoss::Squared => f - y,
                OutputLoss::Logistic => sigmoid(f) - y,
                OutputLoss::Huber { delta } => (f - y).clamp(-delta, delta),
                OutputLoss::SquaredHinge => -y * (1.0 - y * f).max(0.0),
                OutputLoss::SoftmaxCrossEntropy => f64::NAN,
            }
        })
    }
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// Largest output of an example, and the sum of exponentials relative to it.
fn exponentials(outputs: MatRef<'_, f64>, example: usize) -> (f64, f64) {
    let row = || (0..outputs.ncols()).map(|o| outputs[(example, o)]);
    let largest = row().fold(f64::NEG_INFINITY, f64::max);
    (largest, row().map(|f| (f - largest).exp()).sum())
}

fn cross_entropy(outputs: MatRef<'_, f64>, targets: MatRef<'_, f64>, example: usize) -> f64 {
    let (largest, sum) = exponentials(outputs, example);
    let log_sum = largest + sum.ln();
    (0..outputs.ncols()).map(|o| targets[(example, o)] * (log_sum - outputs[(example, o)])).sum()
}

fn softmax_gradient(outputs: MatRef<'_, f64>, targets: MatRef<'_, f64>) -> Mat<f64> {
    let mut gradient = Mat::zeros(outputs.nrows(), outputs.ncols());
    for i in 0..outputs.nrows() {
        let (largest, sum) = exponentials(outputs, i);
        let weight: f64 = (0..outputs.ncols()).map(|o| targets[(i, o)]).sum();
        for o in 0..outputs.ncols() {
            gradient[(i, o)] = weight * (outputs[(i, o)] - largest).exp() / sum - targets[(i, o)];
        }
    }
    gradient
}
