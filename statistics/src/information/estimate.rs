//! A number together with what it says about the true value.

use std::f64::consts::LN_2;

/// How close to its ceiling, in nats, an input information still says something.
const SATURATION_MARGIN: f64 = 0.5;

/// What a value says about the information it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EstimateKind {
    /// The value itself, for the uniform distribution over the given examples.
    Exact,
    /// A lower bound.
    Lower,
    /// An upper bound.
    Upper,
    /// Neither: a corrected value, or a difference of bounds.
    Estimate,
}

/// An information or entropy, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InformationEstimate {
    /// Value in nats.
    pub value: f64,
    /// What the value says.
    pub kind: EstimateKind,
    /// Largest value possible on these examples, in nats: the entropy of the input (`ln n` for `n` distinct examples)
    /// or of the labels.
    pub ceiling: f64,
    /// Whether the input information is within 0.5 nat of its ceiling, so that the examples are too few to tell.
    ///
    /// A label information is saturated when the input information it is computed from is: once every example has a
    /// cell of its own, the layer determines any labels whatever. Closeness to the entropy of the labels is no defect.
    pub saturated: bool,
}

impl InformationEstimate {
    /// An entropy or input information, saturated near its ceiling.
    pub(super) fn of_input(value: f64, kind: EstimateKind, ceiling: f64) -> Self {
        Self { value, kind, ceiling, saturated: value > ceiling - SATURATION_MARGIN }
    }

    /// A label information, saturated together with the input information `input`.
    pub(super) fn of_label(value: f64, kind: EstimateKind, ceiling: f64, input: InformationEstimate) -> Self {
        Self { value, kind, ceiling, saturated: input.saturated }
    }

    /// The value in bits.
    pub fn bits(&self) -> f64 {
        self.value / LN_2
    }
}
