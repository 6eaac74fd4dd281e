//! `numbers.csv`: every number behind the figure and the table of a recipe, one a row.

use serde::{Deserialize, Serialize};
use widthwise_statistics::Estimate;

/// A row of `numbers.csv`; what does not apply is an empty cell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NumberRow {
    /// Which of the recipe's experiments.
    pub series: String,
    /// Units of every hidden layer.
    pub width: Option<usize>,
    /// Member, where the number is of one network.
    pub member: Option<usize>,
    /// Training step.
    pub step: Option<u64>,
    /// `train` or `test`, where the number is of examples.
    pub split: String,
    /// Example, in the order of the data set.
    pub example: Option<usize>,
    /// What.
    pub quantity: String,
    /// The number: of one member, or a mean over members.
    pub value: Option<f64>,
    /// Standard error of a mean.
    pub std_error: Option<f64>,
    /// What theory says.
    pub predicted: Option<f64>,
}

impl NumberRow {
    /// A number of an experiment at one width.
    pub(super) fn new(series: &str, width: usize, quantity: &str, value: f64) -> Self {
        Self {
            series: series.to_owned(),
            width: Some(width),
            quantity: quantity.to_owned(),
            value: Some(value).filter(|value| value.is_finite()),
            ..Self::default()
        }
    }

    /// A mean over members.
    pub(super) fn mean(series: &str, width: usize, quantity: &str, found: Estimate) -> Self {
        let std_error = Some(found.std_error).filter(|error| error.is_finite());
        Self { std_error, ..Self::new(series, width, quantity, found.value) }
    }

    /// The same of one member.
    pub(super) fn of(self, member: usize) -> Self {
        Self { member: Some(member), ..self }
    }

    /// The same at a step.
    pub(super) fn at(self, step: u64) -> Self {
        Self { step: Some(step), ..self }
    }

    /// The same of one example.
    pub(super) fn on(self, split: &str, example: usize) -> Self {
        Self { split: split.to_owned(), example: Some(example), ..self }
    }

    /// The same of all examples of a split.
    pub(super) fn over(self, split: &str) -> Self {
        Self { split: split.to_owned(), ..self }
    }

    /// The same next to what theory says.
    pub(super) fn predicted(self, value: f64) -> Self {
        Self { predicted: Some(value).filter(|value| value.is_finite()), ..self }
    }
}
