//! Where data sets are searched for: the folder the user names, the folder in WIDTHWISE_DATA, the platform's data folder.
//!
//! A folder named by the user is the only one searched. In each folder a data set may lie in `FOLDER/<id>`, in the folder
//! of its authors' archive, or in `FOLDER` itself; every file raw or gzipped.

use crate::catalog::{CATALOG, CatalogEntry};
use crate::checksum::checksum_of;
use crate::error::DataError;
use crate::source;
use std::env;
use std::path::{Path, PathBuf};

/// The environment variable that names a data folder.
pub const ENVIRONMENT_VARIABLE: &str = "WIDTHWISE_DATA";

/// Folders to search and whether the user named one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath {
    /// Folders in the order in which they are searched.
    pub folders: Vec<PathBuf>,
    /// Whether the user named the folder, so that nothing else may stand in for it.
    pub explicit: bool,
}

impl SearchPath {
    /// The folder given, or else the ones of the environment and the platform.
    ///
    /// # Errors
    /// [`DataError::MissingFolder`] or [`DataError::NotAFolder`] for a folder given that is none, and
    /// [`DataError::NotAFolder`] when WIDTHWISE_DATA names a file.
    pub fn new(data_dir: Option<&Path>) -> Result<Self, DataError> {
        Self::from_parts(data_dir, environment_folder().as_deref(), platform_folder().as_deref())
    }

    fn from_parts(
        data_dir: Option<&Path>,
        environment: Option<&Path>,
        platform: Option<&Path>,
    ) -> Result<Self, DataError> {
        if let Some(path) = data_dir {
            check_folder(path, "--data-dir")?;
            return Ok(Self { folders: vec![path.to_path_buf()], explicit: true });
        }
        if let Some(path) = environment.filter(|path| path.exists()) {
            check_folder(path, ENVIRONMENT_VARIABLE)?;
        }
        let folders = environment.into_iter().chain(platform).map(Path::to_path_buf).collect();
        Ok(Self { folders, explicit: false })
    }
}

/// The folder that `fetch` and `import` write to: the one given, WIDTHWISE_DATA, or the platform's data folder.
///
/// # Errors
/// [`DataError::NoDataFolder`] when there is none of them, [`DataError::NotAFolder`] when it is a file.
pub fn write_folder(data_dir: Option<&Path>) -> Result<PathBuf, DataError> {
    let (path, origin) = match (data_dir, environment_folder(), platform_folder()) {
        (Some(path), _, _) => (path.to_path_buf(), "--data-dir"),
        (None, Some(path), _) => (path, ENVIRONMENT_VARIABLE),
        (None, None, Some(path)) => (path, "the platform's data folder"),
        (None, None, None) => return Err(DataError::NoDataFolder),
    };
    if path.exists() && !path.is_dir() {
        return Err(DataError::NotAFolder { path, origin });
    }
    Ok(path)
}

pub(crate) fn check_folder(path: &Path, origin: &'static str) -> Result<(), DataError> {
    if path.is_dir() {
        Ok(())
    } else if path.exists() {
        Err(DataError::NotAFolder { path: path.to_path_buf(), origin })
    } else {
        Err(DataError::MissingFolder { path: path.to_path_buf(), origin })
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn environment_folder() -> Option<PathBuf> {
    variable(ENVIRONMENT_VARIABLE)
}

/// The platform's folder for the program's data.
#[must_use]
pub fn platform_folder() -> Option<PathBuf> {
    let folder = if cfg!(target_os = "windows") {
        variable("APPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        // The XDG specification asks to ignore a relative path here.
        variable("XDG_DATA_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| variable("HOME").map(|home| home.join(".local/share")))
    };
    folder.map(|folder| folder.join("widthwise"))
}

/// What a search for one data set found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// All files, in the catalog's order.
    Complete {
        /// Folder that holds them.
        folder: PathBuf,
        /// Paths of the files.
        files: Vec<PathBuf>,
    },
    /// Some or no files.
    Incomplete {
        /// Folder that holds the most files; `None` when no folder holds any.
        folder: Option<PathBuf>,
        /// Names of the files missing there.
        missing: Vec<String>,
    },
}

/// Searches for the files of a data set, without reading them.
#[must_use]
pub fn locate(entry: &CatalogEntry, search: &SearchPath) -> Located {
    let mut best: (Option<PathBuf>, Vec<String>) =
        (None, entry.files.iter().map(|file| file.name.to_owned()).collect());
    for folder in search.folders.iter().flat_map(|folder| candidates(entry, folder)) {
        let found: Vec<Option<PathBuf>> = entry.files.iter().map(|file| file_in(&folder.path, file.name)).collect();
        if folder.shared && belongs_to_another(entry, &found) {
            continue;
        }
        let missing: Vec<String> = entry
            .files
            .iter()
            .zip(&found)
            .filter(|(_, path)| path.is_none())
            .map(|(file, _)| file.name.to_owned())
            .collect();
        if missing.is_empty() {
            return Located::Complete { folder: folder.path, files: found.into_iter().flatten().collect() };
        }
        if missing.len() < best.1.len() {
            best = (Some(folder.path), missing);
        }
    }
    Located::Incomplete { folder: best.0, missing: best.1 }
}

struct Candidate {
    path: PathBuf,
    /// Whether files of other data sets may lie here under the same names.
    shared: bool,
}

fn candidates(entry: &CatalogEntry, folder: &Path) -> Vec<Candidate> {
    let own = folder.join(entry.id);
    let mut all = vec![Candidate { path: own.clone(), shared: false }];
    for subfolder in entry.subfolders {
        all.push(Candidate { path: own.join(subfolder), shared: false });
        all.push(Candidate { path: folder.join(subfolder), shared: false });
    }
    all.push(Candidate { path: folder.to_path_buf(), shared: true });
    all
}

/// Names under which a file of the catalog is found: its own, and as it is called once a program has unpacked it or a file
/// system without long names has kept it.
pub(crate) fn names_of(name: &str) -> impl Iterator<Item = String> {
    let stems = [name.to_owned(), name.replacen("-idx", ".idx", 1)];
    let distinct = if stems[0] == stems[1] { 1 } else { 2 };
    stems.into_iter().take(distinct).flat_map(|stem| ["", ".gz", ".GZ"].map(|ending| format!("{stem}{ending}")))
}

/// All files in a folder that have a name of this file of the catalog, the one that is read first.
pub(crate) fn files_in(folder: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    names_of(name).map(|name| folder.join(name)).filter(|path| path.is_file())
}

pub(crate) fn file_in(folder: &Path, name: &str) -> Option<PathBuf> {
    files_in(folder, name).next()
}

/// MNIST and Fashion-MNIST use the same file names; the smallest file present tells them apart.
fn belongs_to_another(entry: &CatalogEntry, found: &[Option<PathBuf>]) -> bool {
    let smallest = entry
        .files
        .iter()
        .zip(found)
        .filter_map(|(file, path)| path.as_deref().map(|path| (file, path)))
        .min_by_key(|(file, _)| file.bytes);
    smallest.is_some_and(|(file, path)| {
        CATALOG
            .iter()
            .filter(|other| other.id != entry.id)
            .flat_map(|other| other.files)
            .filter(|other| other.name == file.name)
            .filter_map(|other| other.checksum)
            .any(|checksum| {
                source::open(path)
                    .and_then(|(reader, _)| checksum_of(reader, checksum))
                    .is_ok_and(|found| found == checksum.hex())
            })
    })
}

#[cfg(test)]
mod tests {
    use super::{Located, SearchPath, locate};
    use crate::catalog::{CIFAR10, MNIST};
    use crate::error::DataError;
    use std::fs;

    #[test]
    fn a_named_folder_is_the_only_one_searched() {
        let named = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let search = SearchPath::from_parts(Some(named.path()), Some(other.path()), Some(other.path())).unwrap();
        assert_eq!(search, SearchPath { folders: vec![named.path().to_path_buf()], explicit: true });
    }

    #[test]
    fn environment_comes_before_platform_and_need_not_exist() {
        let platform = tempfile::tempdir().unwrap();
        let missing = platform.path().join("missing");
        let search = SearchPath::from_parts(None, Some(&missing), Some(platform.path())).unwrap();
        assert_eq!(search.folders, [missing, platform.path().to_path_buf()]);
        assert!(!search.explicit);
    }

    #[test]
    fn a_missing_folder_and_a_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        let missing = SearchPath::from_parts(Some(&folder.path().join("missing")), None, None);
        assert!(matches!(missing, Err(DataError::MissingFolder { origin: "--data-dir", .. })));
        let given = SearchPath::from_parts(Some(&file), None, None);
        assert!(matches!(given, Err(DataError::NotAFolder { origin: "--data-dir", .. })));
        let environment = SearchPath::from_parts(None, Some(&file), None);
        assert!(matches!(environment, Err(DataError::NotAFolder { origin: "WIDTHWISE_DATA", .. })));
    }

    #[test]
    fn files_are_found_in_each_layout_raw_or_compressed() {
        for layout in ["cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", ""] {
            let root = tempfile::tempdir().unwrap();
            let folder = root.path().join(layout);
            fs::create_dir_all(&folder).unwrap();
            for (index, file) in CIFAR10.files.iter().enumerate() {
                let name = if index % 2 == 0 { file.name.to_owned() } else { format!("{}.gz", file.name) };
                fs::write(folder.join(name), "").unwrap();
            }
            let search = SearchPath { folders: vec![root.path().to_path_buf()], explicit: true };
            match locate(&CIFAR10, &search) {
                Located::Complete { files, .. } => assert_eq!(files.len(), CIFAR10.files.len()),
                incomplete @ Located::Incomplete { .. } => panic!("{layout}: {incomplete:?}"),
            }
        }
    }

    #[test]
    fn missing_files_are_named() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("train-labels-idx1-ubyte.gz"), "").unwrap();
        let search = SearchPath { folders: vec![root.path().to_path_buf()], explicit: true };
        let Located::Incomplete { folder, missing } = locate(&MNIST, &search) else {
            panic!("three files are missing");
        };
        assert_eq!(folder.as_deref(), Some(root.path()));
        assert_eq!(missing, ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]);
    }
}
