//! What can be wrong with a layer given to an estimator.

use thiserror::Error;

/// Errors of the information estimators.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum InformationError {
    /// The slice is not a whole, positive number of rows.
    #[error(
        "a layer of {units} units needs a positive multiple of {units} activations, found {found}; \
         pass examples x units, row-major"
    )]
    LayerShape {
        /// Units of the layer.
        units: usize,
        /// Length of the slice.
        found: usize,
    },
    /// One label or input id an example is required.
    #[error("{found} {what} for {examples} examples; pass one for each example, in the order of the rows")]
    Length {
        /// `labels` or `input ids`.
        what: &'static str,
        /// Rows of the layer.
        examples: usize,
        /// Entries found.
        found: usize,
    },
    /// An infinite or undefined activation.
    #[error("the activation of unit {unit} at example {example} is {value}; only finite activations carry a value")]
    NotFinite {
        /// Row.
        example: usize,
        /// Column.
        unit: usize,
        /// The activation.
        value: f32,
    },
    /// A parameter out of its range.
    #[error("{parameter} = {found} is not allowed; use {allowed}")]
    Parameter {
        /// Name of the parameter.
        parameter: &'static str,
        /// Its value.
        found: f64,
        /// The allowed range.
        allowed: &'static str,
    },
}

/// Number of examples of `layer`, after checking its shape and that all activations are finite.
pub(super) fn examples_of(layer: &[f32], units: usize) -> Result<usize, InformationError> {
    if units == 0 || layer.is_empty() || !layer.len().is_multiple_of(units) {
        return Err(InformationError::LayerShape { units, found: layer.len() });
    }
    match layer.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(InformationError::NotFinite { example: at / units, unit: at % units, value: layer[at] }),
        None => Ok(layer.len() / units),
    }
}

/// Checks that there is one entry an example.
pub(super) fn one_an_example(what: &'static str, examples: usize, found: usize) -> Result<(), InformationError> {
    if found == examples { Ok(()) } else { Err(InformationError::Length { what, examples, found }) }
}
