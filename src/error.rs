//! What can go wrong in the library, told apart as far as a caller can act on it. Each is one sentence; where another error is behind it,
//! that is its [`source`](std::error::Error::source).

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use widthwise_datasets::{DataError, PrepareError};
use widthwise_statistics::information::InformationError;
use widthwise_theory::TheoryError;

use crate::config::ConfigError;
use crate::entries::UnfitKernel;
use crate::memory::OutOfMemory;
use crate::network::FamilyError;

/// What the library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Another error, of whatever type.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why something was not done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration that says nothing, or something that does not go together: change it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A data set that is not there, or damaged.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A data set that cannot be prepared as asked.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A network that does not fit its data.
    #[error(transparent)]
    Network(#[from] FamilyError),
    /// Shapes that do not fit, or a theory that says nothing about them.
    #[error(transparent)]
    Theory(#[from] TheoryError),
    /// A kernel whose numbers overflow, or vanish.
    #[error(transparent)]
    Kernel(#[from] UnfitKernel),
    /// Numbers of which no information can be estimated.
    #[error(transparent)]
    Information(#[from] InformationError),
    /// More memory than is free here.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// A device that was not built in, or is not there.
    #[error("{0}")]
    Device(String),
    /// A folder that holds something else than what is asked for, or was made by another configuration or from other data.
    #[error("{0}")]
    Folder(String),
    /// A file or folder that cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// `read`, `make the folder`, or what else was tried.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A failure to read or to write whose message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A file that is not what this program wrote.
    #[error("{sentence}")]
    Damaged {
        /// Which file, and what to do.
        sentence: String,
        /// What was found in it, where another library says so.
        source: Option<Cause>,
    },
    /// A run that is judged by something else than what was registered before it was trained: a
    /// [`RegistrationFault`](crate::record::registration::RegistrationFault).
    #[error("{}: {fault}", folder.display())]
    Registration {
        /// The folder of the run.
        folder: PathBuf,
        /// In what.
        fault: Cause,
    },
    /// A report that cannot be drawn: a [`ReportError`](crate::report::ReportError).
    #[error(transparent)]
    Report(Cause),
    /// An error with what it means for the whole.
    #[error("{sentence}")]
    Context {
        /// What is done, and what is not.
        sentence: String,
        /// The error.
        source: Box<Error>,
    },
    /// Threads that cannot be started.
    #[error("{sentence}")]
    Threads {
        /// What to do.
        sentence: String,
        /// What the pool says.
        source: Cause,
    },
    /// What cannot be answered as it was asked.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// A file that is not what this program wrote, as far as this program can tell.
    pub(crate) fn damaged(sentence: String) -> Self {
        Self::Damaged { sentence, source: None }
    }

    /// What the system said, where it refused to read or to write: a full disk is [`StorageFull`](io::ErrorKind::StorageFull).
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::File { source, .. } | Self::Io(source) => Some(source.kind()),
            Self::Context { source, .. } => source.io_kind(),
            _ => None,
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Io(error.into())
    }
}

impl From<csv::Error> for Error {
    fn from(error: csv::Error) -> Self {
        Self::Io(error.into())
    }
}

/// Names the file behind a failure.
pub(crate) trait At<T> {
    /// `doing` says what was tried: `read`.
    fn at(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| Error::File { doing, path: path.to_owned(), source: error.into() })
    }
}

/// Calls a file damaged in which another library finds a fault.
pub(crate) trait OrDamaged<T> {
    /// `sentence` says which file, and what to do.
    fn or_damaged(self, sentence: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Cause>> OrDamaged<T> for Result<T, E> {
    fn or_damaged(self, sentence: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::Damaged { sentence: sentence(), source: Some(error.into()) })
    }
}

/// A sentence in place of nothing.
pub(crate) trait OrRefused<T> {
    /// Refuses what was asked.
    fn or_refused<S: Into<String>>(self, sentence: impl FnOnce() -> S) -> Result<T>;
}

impl<T> OrRefused<T> for Option<T> {
    fn or_refused<S: Into<String>>(self, sentence: impl FnOnce() -> S) -> Result<T> {
        self.ok_or_else(|| Error::Refused(sentence().into()))
    }
}

/// Returns an error: [`Error::Refused`] of a sentence, or what stands before it.
macro_rules! bail {
    ($kind:ident: $($sentence:tt)+) => {
        return Err($crate::error::Error::$kind(format!($($sentence)+)).into())
    };
    ($($sentence:tt)+) => {
        return Err($crate::error::Error::Refused(format!($($sentence)+)).into())
    };
}

/// As `bail`, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($sentence:tt)+) => {
        if !$condition {
            $crate::error::bail!($($sentence)+);
        }
    };
}

pub(crate) use {bail, ensure};
