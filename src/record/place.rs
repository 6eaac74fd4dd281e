//! Places to write, tried before any work is done.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use thiserror::Error;

/// What stands in the way of a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A path that ends in no name.
    #[error("{path} is no name of a file; add one")]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// A folder where a file is to be.
    #[error("{path} is a folder; give the name of a file")]
    IsFolder {
        /// The path.
        path: PathBuf,
    },
    /// A file in a folder that is not there.
    #[error("cannot write {path}: the folder {folder} does not exist; make it first")]
    NoFolder {
        /// The path.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// A folder that takes no files.
    #[error("cannot write into the folder {folder}")]
    Refused {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file that was made as a trial and stays.
    #[error("cannot remove {path} again")]
    Stays {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A folder alone where names of files begin.
    #[error("--out {prefix} has no name after the folder; add one, for instance --out {example}")]
    NoPrefix {
        /// What was given.
        prefix: PathBuf,
        /// What would do.
        example: PathBuf,
    },
}

/// Sees to it that `path` can be written: its folder is there and takes a file.
///
/// # Errors
/// What stands in the way, and what to do.
pub fn try_out(path: &Path) -> Result<(), PlaceError> {
    let Some(name) = path.file_name() else { return Err(PlaceError::NoName { path: path.to_owned() }) };
    if path.is_dir() {
        return Err(PlaceError::IsFolder { path: path.to_owned() });
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(PlaceError::NoFolder { path: path.to_owned(), folder: folder.to_owned() });
    }
    let probe = folder.join(format!(".{}.{}.try", name.to_string_lossy(), std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&probe);
    made.map_err(|source| PlaceError::Refused { folder: folder.to_owned(), source })?;
    fs::remove_file(&probe).map_err(|source| PlaceError::Stays { path: probe, source })
}

/// `prefix` with `ending` after it.
pub fn with_ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(ending);
    PathBuf::from(path)
}

/// Sees to it that `prefix` ends in the beginning of a file name.
///
/// # Errors
/// A folder alone.
pub fn expect_prefix(prefix: &Path) -> Result<(), PlaceError> {
    let is_folder = prefix.as_os_str().to_string_lossy().ends_with(['/', MAIN_SEPARATOR]);
    if prefix.file_name().is_none() || is_folder {
        return Err(PlaceError::NoPrefix { prefix: prefix.to_owned(), example: prefix.join("kernel") });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        try_out(&folder.path().join("all.csv")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = try_out(&folder.path().join("no/all.csv")).unwrap_err().to_string();
        assert!(missing.contains("does not exist; make it first"), "{missing}");
        let is_folder = try_out(folder.path()).unwrap_err().to_string();
        assert!(is_folder.contains("is a folder"), "{is_folder}");
    }
}
