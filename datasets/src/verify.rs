//! Holding one file against the catalog, without parsing it.

use crate::catalog::DataFile;
use crate::checksum::HashingReader;
use crate::source;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

/// What a file on disk is, compared with the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileState {
    /// The published checksum.
    Verified,
    /// The right size, and no published checksum to compare.
    Unverified,
    /// Another size, uncompressed; counting stops one past the expected size.
    Size {
        /// Bytes published.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// The right size but another checksum.
    Checksum {
        /// Checksum published, with its kind.
        expected: String,
        /// Checksum found.
        found: String,
    },
}

impl FileState {
    /// Whether nothing speaks against the file.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Verified | Self::Unverified)
    }
}

impl fmt::Display for FileState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified => write!(f, "verified"),
            Self::Unverified => write!(f, "unverified: no checksum is published"),
            Self::Size { expected, found } if found > expected => {
                write!(f, "more than the {expected} bytes expected (uncompressed)")
            }
            Self::Size { expected, found } => write!(f, "{found} bytes instead of {expected} (uncompressed)"),
            Self::Checksum { expected, found } => write!(f, "checksum {found} instead of {expected}"),
        }
    }
}

/// Reads a file, decompressing one that ends in `.gz`, and compares it with the catalog.
///
/// # Errors
/// Whatever reading fails with; damaged compression counts as such.
pub fn verify(file: &DataFile, path: &Path) -> io::Result<FileState> {
    let (reader, _) = source::open(path)?;
    let mut reader = HashingReader::new(reader.take(file.bytes + 1), file.checksum);
    let found = io::copy(&mut reader, &mut io::sink())?;
    if found != file.bytes {
        return Ok(FileState::Size { expected: file.bytes, found });
    }
    Ok(match (file.checksum, reader.finish()) {
        (Some(expected), Some(found)) if found != expected.hex() => {
            FileState::Checksum { expected: expected.to_string(), found }
        }
        (Some(_), _) => FileState::Verified,
        (None, _) => FileState::Unverified,
    })
}
