//! Reading a catalogued data set from its files, each held against its published checksum.

use crate::bundled;
use crate::catalog::{CatalogEntry, DataFile, DatasetFormat, MNIST};
use crate::checksum::HashingReader;
use crate::dataset::{Dataset, RawSplit, SplitInputs};
use crate::error::DataError;
use crate::format_error::FormatError;
use crate::identify::{Content, owner_of_checksum};
use crate::locate::{Located, SearchPath, locate};
use crate::source::{self, Length};
use crate::{cifar, idx};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Reads a catalogued data set.
///
/// Without `data_dir`, MNIST that is found nowhere is replaced by the bundled subset, and [`Dataset::source`] says so.
///
/// # Errors
/// [`DataError`] when the set is not there, damaged, or altered.
pub fn load_entry(entry: &'static CatalogEntry, data_dir: Option<&Path>) -> Result<Dataset, DataError> {
    load_from(entry, &SearchPath::new(data_dir)?)
}

/// Reads a catalogued data set from the first folder of `search` that holds it.
///
/// # Errors
/// As [`load_entry`].
pub fn load_from(entry: &'static CatalogEntry, search: &SearchPath) -> Result<Dataset, DataError> {
    match locate(entry, search) {
        Located::Complete { folder, files } => read_files(entry, &folder, &files),
        Located::Incomplete { folder, missing } if entry.id == MNIST.id && !search.explicit => {
            bundled_instead(search, folder.as_deref(), &missing)
        }
        Located::Incomplete { missing, .. } => {
            Err(DataError::NotFound { id: entry.id, searched: search.folders.clone(), missing })
        }
    }
}

fn bundled_instead(search: &SearchPath, folder: Option<&Path>, missing: &[String]) -> Result<Dataset, DataError> {
    let mut dataset =
        bundled::mnist().map_err(|source| DataError::Format { path: PathBuf::from("bundled MNIST subset"), source })?;
    let reason = match folder {
        Some(folder) => format!("{} lacks {}", folder.display(), missing.join(", ")),
        None => {
            let folders: Vec<String> = search.folders.iter().map(|folder| folder.display().to_string()).collect();
            format!("the full set is not in {}", folders.join(" or "))
        }
    };
    dataset.source = format!("{}, since {reason}; `widthwise data fetch mnist` downloads it", bundled::SOURCE);
    Ok(dataset)
}

fn read_files(entry: &'static CatalogEntry, folder: &Path, files: &[PathBuf]) -> Result<Dataset, DataError> {
    let (train, test) = match entry.format {
        DatasetFormat::Idx => {
            let (train, test) = files.split_at(2);
            (read_idx_split(entry, 0, train)?, read_idx_split(entry, 2, test)?)
        }
        DatasetFormat::Cifar(variant) => {
            let (train, test) = files.split_at(files.len() - 1);
            (read_cifar_split(entry, variant, 0, train)?, read_cifar_split(entry, variant, train.len(), test)?)
        }
    };
    check_count(entry, &files[0], entry.examples.0, train.n)?;
    check_count(entry, &files[files.len() - 1], entry.examples.1, test.n)?;
    let checked = if entry.files.iter().all(|file| file.checksum.is_some()) {
        "checksums verified"
    } else {
        "no published checksums to verify"
    };
    Ok(Dataset {
        name: entry.id.to_owned(),
        source: format!("{} from {} ({checked})", entry.title, folder.display()),
        shape: entry.shape,
        classes: entry.classes,
        outputs: None,
        train,
        test,
    })
}

fn check_count(entry: &'static CatalogEntry, path: &Path, expected: usize, found: usize) -> Result<(), DataError> {
    if expected == found {
        Ok(())
    } else {
        Err(DataError::ExampleCount { id: entry.id, path: path.to_path_buf(), expected, found })
    }
}

/// Reads images and labels, which stand at `first` and `first + 1` in the catalog.
fn read_idx_split(entry: &'static CatalogEntry, first: usize, files: &[PathBuf]) -> Result<RawSplit, DataError> {
    let images = read_verified(entry, &entry.files[first], &files[0], |reader, length| idx::read(reader, length))?;
    let labels = read_verified(entry, &entry.files[first + 1], &files[1], |reader, length| idx::read(reader, length))?;
    let (pixels, labels) = idx::pair(images, labels, entry.shape, entry.classes)
        .map_err(|source| DataError::Format { path: files[0].clone(), source })?;
    Ok(RawSplit { n: labels.len(), inputs: SplitInputs::Bytes(pixels), labels, targets: None })
}

fn read_cifar_split(
    entry: &'static CatalogEntry,
    variant: cifar::CifarVariant,
    first: usize,
    files: &[PathBuf],
) -> Result<RawSplit, DataError> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for (file, path) in entry.files[first..].iter().zip(files) {
        let records = file.bytes as usize / variant.record_bytes();
        let (new_pixels, new_labels) =
            read_verified(entry, file, path, |reader, length| cifar::read(reader, length, variant, records))?;
        pixels.extend(new_pixels);
        labels.extend(new_labels);
    }
    Ok(RawSplit { n: labels.len(), inputs: SplitInputs::Bytes(pixels), labels, targets: None })
}

/// Parses a file and compares the checksum of all its uncompressed bytes with the catalog's.
fn read_verified<T>(
    entry: &'static CatalogEntry,
    file: &DataFile,
    path: &Path,
    parse: impl FnOnce(&mut dyn Read, Length) -> Result<T, FormatError>,
) -> Result<T, DataError> {
    let (reader, length) = source::open(path).map_err(|source| DataError::Io { path: path.to_path_buf(), source })?;
    let length = match length {
        Length::AtMost(bytes) => Length::AtMost(bytes.min(file.bytes)),
        exact @ Length::Exact(_) => exact,
    };
    let mut reader = HashingReader::new(reader, file.checksum);
    let parsed = match parse(&mut reader, length) {
        Ok(parsed) => parsed,
        // Whole, but not this: to call it damaged would be wrong.
        Err(source) => match Content::of(path) {
            Ok(content) if content != Content::Unknown => {
                return Err(DataError::NotThisSet {
                    id: entry.id,
                    title: entry.title,
                    file: file.name,
                    path: path.to_path_buf(),
                    content: content.to_string(),
                });
            }
            _ => return Err(DataError::Format { path: path.to_path_buf(), source }),
        },
    };
    match (reader.finish(), file.checksum) {
        (Some(found), Some(expected)) if found != expected.hex() => {
            let content = Content::of(path).ok().filter(|content| *content != Content::Unknown);
            Err(DataError::Checksum {
                id: entry.id,
                path: path.to_path_buf(),
                expected: expected.to_string(),
                belongs_to: owner_of_checksum(&found).map(|(entry, _)| entry.id),
                content: content.map_or_else(|| format!("{} bytes", file.bytes), |content| content.to_string()).into(),
                found: found.into(),
            })
        }
        _ => Ok(parsed),
    }
}
