//! A data set as read or generated, before any preprocessing.

use crate::shape::ImageShape;

/// Values of a split, examples x features, one example after the other.
#[derive(Debug, Clone, PartialEq)]
pub enum SplitInputs {
    /// Pixels 0..=255 as stored in the files.
    Bytes(Vec<u8>),
    /// Synthetic inputs.
    Real(Vec<f64>),
}

impl SplitInputs {
    /// Number of values, examples x features.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Real(values) => values.len(),
        }
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Examples of one split.
#[derive(Debug, Clone, PartialEq)]
pub struct RawSplit {
    /// Number of examples.
    pub n: usize,
    /// Inputs, n x features.
    pub inputs: SplitInputs,
    /// Class of each example, `0..classes`; empty for regression data.
    pub labels: Vec<u8>,
    /// Targets of regression data, n x outputs.
    pub targets: Option<Vec<f64>>,
}

impl RawSplit {
    /// Writes example `index`, unscaled, into `row`.
    ///
    /// # Panics
    /// If `index` is not below `n`.
    pub fn copy_row(&self, index: usize, row: &mut [f64]) {
        let range = index * row.len()..(index + 1) * row.len();
        match &self.inputs {
            SplitInputs::Bytes(values) => {
                for (to, &from) in row.iter_mut().zip(&values[range]) {
                    *to = f64::from(from);
                }
            }
            SplitInputs::Real(values) => row.copy_from_slice(&values[range]),
        }
    }

    /// Number of examples of each of `classes` classes.
    #[must_use]
    pub fn label_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            if let Some(count) = counts.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        counts
    }
}

/// A training and a test split with what is needed to read them.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Name as in the catalog or the configuration, e.g. `mnist`.
    pub name: String,
    /// Where the examples came from, in one line fit for the user.
    pub source: String,
    /// Shape of one input.
    pub shape: ImageShape,
    /// Number of classes; 0 for regression data.
    pub classes: usize,
    /// Number of target columns of regression data; `None` for classification.
    pub outputs: Option<usize>,
    /// Training examples.
    pub train: RawSplit,
    /// Test examples.
    pub test: RawSplit,
}
