//! What can be wrong with a regression.

use thiserror::Error;

use super::cholesky::JitterTry;
use crate::error::TheoryError;

/// Errors of kernel regression. A run that merely did not converge is an [`StopReason`](super::StopReason), not an error.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum RegressionError {
    /// Two arrays do not fit together, or the kernel could not be computed.
    #[error(transparent)]
    Theory(#[from] TheoryError),
    /// The kernel matrix cannot be held.
    #[error("a kernel of {examples} x {examples} examples needs {bytes} bytes, which the system does not give")]
    Memory {
        /// Rows of the kernel.
        examples: usize,
        /// Bytes asked for; the largest number there is if they cannot be counted.
        bytes: usize,
    },
    /// An option out of its range.
    #[error("{what} = {found}, but {allowed} is allowed")]
    Option {
        /// Which option.
        what: &'static str,
        /// What was given.
        found: f64,
        /// The range.
        allowed: &'static str,
    },
    /// An entry of the kernel that single precision cannot hold.
    #[error("kernel entry ({row}, {column}) = {value} is not a finite number in single precision; rescale the kernel")]
    NotFinite {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// No jitter that was tried made the kernel positive definite in single precision.
    #[error(
        "the kernel is not positive definite in single precision with any jitter tried, {}; start larger",
        list(tries)
    )]
    NotPositiveDefinite {
        /// Every try, in order.
        tries: Vec<JitterTry>,
    },
}

fn list(tries: &[JitterTry]) -> String {
    tries.iter().map(|try_| format!("{:e}", try_.jitter)).collect::<Vec<_>>().join(", ")
}

pub(super) fn expect_option(
    valid: bool,
    what: &'static str,
    found: f64,
    allowed: &'static str,
) -> Result<(), RegressionError> {
    if valid { Ok(()) } else { Err(RegressionError::Option { what, found, allowed }) }
}
