//! Statistics: numbers with their errors, and what they say. Nothing here knows a network, a theory or a file.
//!
//! | question | where |
//! |---|---|
//! | what is a mean, and how far is it to be trusted | [`Estimate`], [`StudentEstimate`], [`RunningMean`] |
//! | what is left of a mean that goes with a number of known mean | [`controlled_mean`] |
//! | what is the error of anything else | [`jackknife`], [`Jackknife`] |
//! | which power of the width, which value at infinite width | [`power_law`], [`extrapolate`] |
//! | does it agree with what theory says | [`judge`], [`Verdict`] |
//! | how probable is a difference, and how often is one noticed | [`NullLaw`] |
//! | how far are these values from Gaussian | [`gaussianity`] |
//! | what does a layer know of the input and the label | [`information`] |
//! | which are the largest eigenvalues of a map | [`lanczos`] |

mod control_variate;
mod estimate;
pub mod gaussianity;
pub mod information;
pub mod judge;
pub mod lanczos;
pub mod law;
mod least_squares;
mod limit;
pub mod power_law;
mod resampling;
mod running;
mod student;
pub mod verdict;

pub use control_variate::{FEWEST_CONTROLLED, controlled_mean};
pub use estimate::{Deviations, Estimate, beyond_round_off};
pub use law::NullLaw;
pub use limit::extrapolate;
pub use power_law::Rung;
pub use resampling::{Jackknife, jackknife};
pub use running::{RunningMean, Sampled};
pub use student::{COVERAGE, StudentEstimate};
pub use verdict::Verdict;
