//! How well a network does.

/// Loss and accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evaluation {
    /// Loss on the training set.
    pub train_loss: f64,
    /// Loss on the test set; `None` without test examples.
    pub test_loss: Option<f64>,
    /// Accuracy on the training set; `None` without classes.
    pub train_accuracy: Option<f64>,
    /// Accuracy on the test set.
    pub test_accuracy: Option<f64>,
}
