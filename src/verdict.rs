//! What a comparison comes to.

use serde::{Deserialize, Serialize};

/// Whether a comparison says that theory and experiment agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Within the stated error, and the error is small enough to tell.
    Agrees,
    /// Outside the stated error after correction for the number of claims.
    Disagrees,
    /// Not enough evidence for either.
    Undecided,
    /// Theory makes no prediction for this number.
    NoPrediction,
}
