//! How fast this machine is, case by case, with sizes in the names.

pub mod kernels;
mod networks;
pub mod ntk;
mod peak;
pub mod probes;
pub mod train;

use thiserror::Error;
use widthwise_statistics::information::InformationError;
use widthwise_theory::TheoryError;

pub(crate) use peak::processor_s;
pub use peak::{LibraryPeak, Peak, peak};

/// Seconds that one case may take before its repeats are cut.
const PATIENCE_S: f64 = 20.0;

/// Why a case is not timed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BenchError {
    /// No case of this name.
    #[error("--case {part} is part of no name; the cases are {names}")]
    NoCase {
        /// What was asked for.
        part: String,
        /// What there is.
        names: String,
    },
    /// Numbers that cannot be right.
    #[error("{case}: {what} no sense")]
    Nonsense {
        /// Where.
        case: String,
        /// A subject with its verb.
        what: &'static str,
    },
    /// A network for which theory has no kernel.
    #[error(transparent)]
    Theory(#[from] TheoryError),
    /// A snapshot that cannot be taken.
    #[error(transparent)]
    Measurement(#[from] InformationError),
}

impl BenchError {
    fn nonsense(case: &str, what: &'static str) -> Self {
        Self::Nonsense { case: case.to_owned(), what }
    }
}

/// A case with a name.
pub trait Named {
    /// Its name, sizes included.
    fn name(&self) -> &str;
}

/// Those of the cases whose names have this part.
///
/// # Errors
/// No such case.
pub fn chosen<C: Named>(mut cases: Vec<C>, part: Option<&str>) -> Result<Vec<C>, BenchError> {
    let Some(part) = part else { return Ok(cases) };
    let names = cases.iter().map(C::name).collect::<Vec<_>>().join(", ");
    cases.retain(|case| case.name().contains(part));
    if cases.is_empty() { Err(BenchError::NoCase { part: part.to_owned(), names }) } else { Ok(cases) }
}
