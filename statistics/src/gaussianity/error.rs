//! What can be wrong with a sample or an ensemble.

use thiserror::Error;

/// Errors of the Gaussianity probes.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum GaussianityError {
    /// The slice is not a whole, positive number of rows.
    #[error(
        "a layer of {units} units needs a positive multiple of {units} pre-activations, found {found}; \
         pass inputs x units, row-major"
    )]
    LayerShape {
        /// Units of the layer.
        units: usize,
        /// Length of the slice.
        found: usize,
    },
    /// An infinite or undefined value.
    #[error("value {index} is {value}; only finite values have moments")]
    NotFinite {
        /// Position in the slice.
        index: usize,
        /// The value.
        value: f64,
    },
    /// Too few values or members for the statistic.
    #[error("{statistic} needs at least {needed} {what}, found {found}")]
    TooFew {
        /// What was asked.
        statistic: &'static str,
        /// `values`, `distinct values` or `members`.
        what: &'static str,
        /// Smallest number allowed.
        needed: usize,
        /// Number found.
        found: usize,
    },
    /// Members that saw different layers.
    #[error(
        "member {member} has {found_inputs} inputs x {found_units} units, the first has {inputs} x {units}; \
         pool members of one width over the same inputs"
    )]
    MemberShape {
        /// Index of the member.
        member: usize,
        /// Inputs of the first member.
        inputs: usize,
        /// Units of the first member.
        units: usize,
        /// Inputs of this member.
        found_inputs: usize,
        /// Units of this member.
        found_units: usize,
    },
    /// All values at one input are equal, or too nearly so for ratios of moments.
    #[error("the pre-activations at input {input} do not vary; leave out inputs at which the layer is constant")]
    NoVariance {
        /// Index of the input.
        input: usize,
    },
    /// A sample of equal values, which cannot be standardised.
    #[error("all {values} values of the sample are equal; a test with estimated variance needs a sample that varies")]
    ConstantSample {
        /// Number of values.
        values: usize,
    },
    /// A null distribution without width.
    #[error("the null N({mean}, {variance}) is not allowed; use a finite mean and a positive, finite variance")]
    Null {
        /// Mean asked for.
        mean: f64,
        /// Variance asked for.
        variance: f64,
    },
}
