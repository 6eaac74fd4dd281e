//! Why a run is not what was registered.

use thiserror::Error;

use super::Registration;

/// In what a run is no longer what was registered.
#[derive(Debug, Error)]
pub enum RegistrationFault {
    /// The file is gone.
    #[error(
        "manifest.json names a registration and {} is not there; restore it, or make the run again",
        Registration::FILE
    )]
    Missing,
    /// The manifest does not know of the file.
    #[error(
        "{} is there and manifest.json names no registration; restore manifest.json, or make the run again",
        Registration::FILE
    )]
    Unnamed,
    /// The file was changed.
    #[error(
        "{} is not what was registered before training: its SHA-256 is {found}, that in manifest.json is {registered}; restore it, or \
         make the run again",
        Registration::FILE
    )]
    Altered {
        /// SHA-256 of what is there.
        found: String,
        /// SHA-256 of what was registered.
        registered: String,
    },
    /// A file that cannot be read.
    #[error("{file} cannot be read: {reason}; it may be of a later version")]
    Unreadable {
        /// Which.
        file: &'static str,
        /// Why.
        reason: String,
    },
    /// What is judged is something else.
    #[error("{file} is not what was registered before training: {keys}; restore it, or make the run again")]
    Differs {
        /// The file.
        file: &'static str,
        /// The keys, what was registered and what is there.
        keys: String,
    },
    /// A row is judged that was not registered.
    #[error(
        "results.csv judges {claim} at step {step}, which was not registered before training; restore it, or make the run again"
    )]
    Unregistered {
        /// The claim, with its layer.
        claim: String,
        /// The step.
        step: u64,
    },
}
