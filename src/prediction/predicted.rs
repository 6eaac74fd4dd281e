//! A predicted number, and what is asked for.

use super::LossCurve;
use crate::quantity::Quantity;

/// What theory says about a measured number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// The number.
    pub value: f64,
    /// Power of `1/n`, n the width, up to which it holds: 0 at infinite width, 1 with the first correction, 1/2 for the bound of Lee et al.
    pub order: f64,
    /// Its standard error, where it was sampled.
    pub std_error: Option<f64>,
    /// What else it depends on.
    pub axis: Option<Axis>,
}

/// What a prediction changes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// The steps of training.
    Step,
}

impl Predicted {
    /// A number at infinite width that training does not change.
    pub fn limit(value: f64) -> Self {
        Self { value, order: 0.0, std_error: None, axis: None }
    }

    /// The same up to this power of `1/n`.
    pub fn of_order(self, order: f64) -> Self {
        Self { order, ..self }
    }

    /// The same along the steps of training.
    pub fn along_steps(self) -> Self {
        Self { axis: Some(Axis::Step), ..self }
    }
}

/// A measured number that theory is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// What it is.
    pub quantity: Quantity,
    /// Earlier layer of a pair.
    pub layer_from: Option<usize>,
    /// Layer.
    pub layer: Option<usize>,
    /// Training steps taken.
    pub step: u64,
    /// The predicted losses of the member in question.
    pub losses: Option<&'a LossCurve>,
}
