//! Downloads that did not succeed.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why one address did not deliver a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorFailure {
    /// Address of the file.
    pub url: String,
    /// What happened last.
    pub reason: String,
}

impl fmt::Display for MirrorFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.reason)
    }
}

/// A download that did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No address delivered the file.
    #[error(
        "{file} of {id} could not be downloaded from any of {} addresses: {}; {kept} bytes are kept for another try; or \
         download it by other means and run `widthwise data import FOLDER`",
        failures.len(), list(failures)
    )]
    AllMirrorsFailed {
        /// Data set.
        id: &'static str,
        /// File.
        file: &'static str,
        /// Each address with its reason, in the order tried.
        failures: Vec<MirrorFailure>,
        /// Bytes of the partial file that the next try continues from.
        kept: u64,
    },
    /// Another process downloads the same file.
    #[error("another process is downloading to {}; wait for it to end", path.display())]
    Busy {
        /// Partial file.
        path: PathBuf,
    },
    /// The archive arrived but does not hold what it should.
    #[error("{}: {reason}; try again", path.display())]
    Archive {
        /// Archive.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Reading or writing a local file failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

fn list(failures: &[MirrorFailure]) -> String {
    failures.iter().map(MirrorFailure::to_string).collect::<Vec<_>>().join("; ")
}

impl FetchError {
    pub(crate) fn io(path: &std::path::Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}
