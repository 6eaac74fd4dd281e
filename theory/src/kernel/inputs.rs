//! Examples to evaluate kernels on.

use crate::architecture::InputShape;
use crate::error::TheoryError;

/// Examples of one shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// `examples x features`, row-major; images channel-major, `(c * height + h) * width + w`.
    pub values: Vec<f64>,
    /// Shape of one example.
    pub shape: InputShape,
}

impl Inputs {
    /// Wraps `values`, `examples x features` row-major.
    ///
    /// # Errors
    /// [`TheoryError::ShapeMismatch`] if `values` is not a whole number of examples or `shape` is empty.
    pub fn new(values: Vec<f64>, shape: InputShape) -> Result<Self, TheoryError> {
        let features = shape.features();
        let whole = values.len().checked_div(features).map_or(1, |examples| examples * features);
        if whole != values.len() || features == 0 {
            return Err(TheoryError::ShapeMismatch {
                what: "input values (a whole number of examples)",
                expected: whole,
                found: values.len(),
            });
        }
        Ok(Self { values, shape })
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.values.len() / self.shape.features()
    }

    /// The features of example `index`.
    ///
    /// # Panics
    /// If there is no such example.
    pub fn example(&self, index: usize) -> &[f64] {
        let features = self.shape.features();
        &self.values[index * features..(index + 1) * features]
    }
}
