//! What a file is, by its content and whatever its name.

use crate::catalog::{CATALOG, CatalogEntry, DataFile, DownloadFile};
use crate::checksum::{Checksum, Hasher, checksum_of};
use crate::source;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// The data set and the file of it whose published checksum these bytes have, compressed or not.
///
/// Only files of a length that is published are read to their end.
///
/// # Errors
/// Whatever reading fails with; damaged compression counts as such.
pub fn owner(path: &Path) -> io::Result<Option<(&'static CatalogEntry, &'static DataFile)>> {
    let Some(length) = claimed_length(path)? else { return Ok(None) };
    let candidates: Vec<_> = CATALOG
        .iter()
        .flat_map(|entry| entry.files.iter().map(move |file| (entry, file)))
        .filter_map(|(entry, file)| Some((entry, file, file.checksum.filter(|_| file.bytes == length)?)))
        .collect();
    if candidates.is_empty() {
        return Ok(None);
    }
    let (reader, _) = source::open(path)?;
    let found = checksums(reader.take(length + 1), candidates.iter().map(|(.., checksum)| *checksum))?;
    let is_it = |expected: &Checksum| found.contains(expected.hex());
    Ok(candidates.into_iter().find(|(.., checksum)| is_it(checksum)).map(|(entry, file, _)| (entry, file)))
}

/// The checksums of all kinds that `like` has.
fn checksums(mut source: impl Read, like: impl Iterator<Item = Checksum>) -> io::Result<BTreeSet<String>> {
    let mut hashers: Vec<Hasher> = Vec::new();
    for checksum in like {
        let hasher = checksum.hasher();
        let is_new = |known: &Hasher| std::mem::discriminant(known) != std::mem::discriminant(&hasher);
        if hashers.iter().all(is_new) {
            hashers.push(hasher);
        }
    }
    let mut chunk = vec![0_u8; 1 << 16];
    loop {
        let count = source::read_full(&mut source, &mut chunk)?;
        if count == 0 {
            return Ok(hashers.into_iter().map(Hasher::finish).collect());
        }
        hashers.iter_mut().for_each(|hasher| hasher.update(&chunk[..count]));
    }
}

/// Bytes of a file after decompression, as a gzipped one states them at its end; `None` for one too short to be either.
fn claimed_length(path: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    if !source::is_gzip(path) {
        return Ok(Some(length));
    }
    if length < 18 {
        return Ok(None);
    }
    let mut last = [0; 4];
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut last)?;
    Ok(Some(u64::from(u32::from_le_bytes(last))))
}

/// The archive of a data set whose published checksum this file has.
///
/// # Errors
/// Whatever reading fails with.
pub fn owner_of_archive(path: &Path) -> io::Result<Option<(&'static CatalogEntry, &'static DownloadFile)>> {
    let archives = || {
        CATALOG
            .iter()
            .flat_map(|entry| entry.downloads.iter().map(move |download| (entry, download)))
            .filter_map(|(entry, download)| Some((entry, download, download.checksum.filter(|_| download.archive)?)))
    };
    let found = checksums(File::open(path)?, archives().map(|(.., checksum)| checksum))?;
    Ok(archives().find(|(.., checksum)| found.contains(checksum.hex())).map(|(entry, download, _)| (entry, download)))
}

/// The file whose published checksum this is, and its data set.
pub(crate) fn owner_of_checksum(hex: &str) -> Option<(&'static CatalogEntry, &'static DataFile)> {
    let mut files = CATALOG.iter().flat_map(|entry| entry.files.iter().map(move |file| (entry, file)));
    files.find(|(_, file)| file.checksum.is_some_and(|known| known.hex() == hex))
}

/// What a file holds, seen from its first bytes and its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A whole IDX file of unsigned bytes with these dimensions.
    Idx(Vec<u64>),
    /// Pickled data, as the Python version of CIFAR.
    CifarPickle,
    /// An archive of the Python version of CIFAR.
    CifarPickles,
    /// Another tar archive.
    Archive,
    /// Something else, or an IDX file that is not whole.
    Unknown,
}

impl Content {
    /// Opens a file, decompressing one that is gzipped.
    ///
    /// # Errors
    /// Whatever reading fails with.
    pub fn of(path: &Path) -> io::Result<Self> {
        let (mut reader, _) = source::open(path)?;
        let mut start = vec![0; 512];
        let count = source::read_full(&mut reader, &mut start)?;
        start.truncate(count);
        let has = |words: &[u8]| start.windows(words.len()).any(|part| part == words);
        Ok(match start.as_slice() {
            [0, 0, 8, dimensions @ 1..=4, rest @ ..] if rest.len() >= 4 * usize::from(*dimensions) => {
                let header = 4 * usize::from(*dimensions);
                let dims: Vec<u64> = rest[..header]
                    .chunks_exact(4)
                    .map(|b| u64::from(u32::from_be_bytes([b[0], b[1], b[2], b[3]])))
                    .collect();
                let claimed = dims.iter().try_fold(1_u64, |product, dim| product.checked_mul(*dim));
                let length = start.len() as u64 + io::copy(&mut reader, &mut io::sink())?;
                let is_whole = !dims.contains(&0) && claimed == length.checked_sub(4 + header as u64);
                if is_whole { Self::Idx(dims) } else { Self::Unknown }
            }
            [0x80, 2..=5, ..] if [&b"batch_label"[..], b"fine_label", b"label_names"].into_iter().any(has) => {
                Self::CifarPickle
            }
            _ if start.get(257..262) == Some(b"ustar") || start.starts_with(b"cifar-") => {
                let is_python = start.starts_with(b"cifar-10-batches-py") || start.starts_with(b"cifar-100-python");
                if is_python { Self::CifarPickles } else { Self::Archive }
            }
            _ => Self::Unknown,
        })
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PYTHON: &str = "the Python version of CIFAR (pickles), and the binary version is read";
        match self {
            Self::Idx(dims) => match dims[..] {
                [count] => write!(f, "{count} labels (IDX)"),
                [count, height, width] => write!(f, "{count} images of {height} x {width} pixels (IDX)"),
                _ => write!(f, "an IDX array of {dims:?}"),
            },
            Self::CifarPickle | Self::CifarPickles => f.write_str(PYTHON),
            Self::Archive => f.write_str("a tar archive"),
            Self::Unknown => f.write_str("something else"),
        }
    }
}

/// The checksum of a file as it is, of the same kind as `like`.
///
/// # Errors
/// Whatever reading fails with.
pub(crate) fn checksum_of_file(path: &Path, like: Checksum) -> io::Result<String> {
    checksum_of(File::open(path)?, like)
}
