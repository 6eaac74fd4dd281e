//! Data files opened for reading, raw or gzipped, with a bound on what they can hold.
//!
//! The bound is known before anything is read, so a parser can refuse an absurd header before it allocates.

use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// What is known in advance about the number of bytes a reader will yield.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Exactly this many.
    Exact(u64),
    /// At most this many.
    AtMost(u64),
}

impl Length {
    /// The largest possible number of bytes.
    #[must_use]
    pub fn bound(self) -> u64 {
        match self {
            Self::Exact(bytes) | Self::AtMost(bytes) => bytes,
        }
    }

    /// The bound for a gzip stream of `compressed` bytes: deflate expands at most 1032 times.
    #[must_use]
    pub fn of_gzip(compressed: u64) -> Self {
        Self::AtMost(compressed.saturating_mul(1032))
    }
}

/// Opens a data file; one whose content is gzipped is decompressed while it is read, whatever its name.
///
/// # Errors
/// Whatever opening fails with; a folder is refused.
pub fn open(path: &Path) -> io::Result<(Box<dyn Read>, Length)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "a file is expected here, not a folder"));
    }
    let reader = BufReader::with_capacity(1 << 16, file);
    if is_gzip(path) {
        Ok((Box::new(MultiGzDecoder::new(reader)), Length::of_gzip(metadata.len())))
    } else {
        Ok((Box::new(reader), Length::Exact(metadata.len())))
    }
}

/// Whether the first bytes of a file are those of a gzipped one; no other data file starts so.
#[must_use]
pub fn is_gzip(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok_and(|()| start == [0x1f, 0x8b])
}

/// Reads up to `limit` bytes; memory grows with what arrives, never with what was promised.
pub(crate) fn read_at_most(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Fills `buffer` as far as the source goes and returns the number of bytes read.
pub(crate) fn read_full(mut source: impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
