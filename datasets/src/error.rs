//! What can go wrong between a data set's name and its examples.

use crate::catalog;
use crate::format_error::FormatError;
use crate::identify::owner_of_checksum;
use std::io;
use std::path::PathBuf;

/// A data set that could not be found, read, generated or imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The named folder does not exist.
    #[error(
        "the data folder {} ({origin}) does not exist; name an existing folder, or leave the choice out to use the \
         platform's data folder",
        path.display()
    )]
    MissingFolder {
        /// Folder asked for.
        path: PathBuf,
        /// Who asked for it, e.g. `--data-dir`.
        origin: &'static str,
    },
    /// A file stands where a folder is expected.
    #[error("{} ({origin}) is a file, but a folder is expected; name the folder that holds the data files", path.display())]
    NotAFolder {
        /// Path asked for.
        path: PathBuf,
        /// Who asked for it, e.g. `--data-dir`.
        origin: &'static str,
    },
    /// The data set is in none of the folders.
    #[error(
        "{id} was asked for but is not in {}; missing: {}; download it with `widthwise data fetch {id}` or copy it from a \
         folder with `widthwise data import FOLDER`",
        list_paths(searched), missing.join(", ")
    )]
    NotFound {
        /// Data set.
        id: &'static str,
        /// Folders searched.
        searched: Vec<PathBuf>,
        /// Files missing in the folder that has most of them.
        missing: Vec<String>,
    },
    /// No folder could be derived from the environment.
    #[error(
        "no data folder is known on this system; name one with --data-dir or the environment variable WIDTHWISE_DATA"
    )]
    NoDataFolder,
    /// A file is not in its format.
    #[error("{}: {source}", path.display())]
    Format {
        /// File.
        path: PathBuf,
        /// What is wrong with it.
        source: FormatError,
    },
    /// A file's checksum differs from the published one.
    #[error("{} {}", path.display(), misfit(id, [expected, found, content], *belongs_to))]
    Checksum {
        /// Data set.
        id: &'static str,
        /// File.
        path: PathBuf,
        /// Published checksum with its kind.
        expected: String,
        /// Checksum found.
        found: Box<str>,
        /// Data set that the bytes do belong to.
        belongs_to: Option<&'static str>,
        /// What the file holds.
        content: Box<str>,
    },
    /// A file is whole and in order, but not one of this data set.
    #[error(
        "{} is not {title}: it holds {content}, which is not {title}'s {file}; `widthwise data fetch {id}` gets {title} and keeps \
         this file under another name", path.display()
    )]
    NotThisSet {
        /// Data set.
        id: &'static str,
        /// Its name for people.
        title: &'static str,
        /// The file of it that is expected.
        file: &'static str,
        /// File.
        path: PathBuf,
        /// What the file holds.
        content: String,
    },
    /// A file holds another number of examples than the data set has.
    #[error(
        "{} holds {found} examples, but this file of {id} has {expected}; `widthwise data fetch {id}` gets it and keeps this file \
         under another name", path.display()
    )]
    ExampleCount {
        /// Data set.
        id: &'static str,
        /// File.
        path: PathBuf,
        /// Examples published.
        expected: usize,
        /// Examples found.
        found: usize,
    },
    /// Nothing in the folder is a file of a known data set.
    #[error(
        "{} holds no file of a known data set ({}); expected names are, for example, train-images-idx3-ubyte.gz or \
         data_batch_1.bin{}",
        path.display(), known.join(", "), list_reasons(rejected)
    )]
    NothingToImport {
        /// Folder searched.
        path: PathBuf,
        /// Known data sets.
        known: Vec<&'static str>,
        /// Files with a known name that were refused, with the reason.
        rejected: Vec<(PathBuf, String)>,
    },
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// No data set has this name.
    #[error("no data set is called \"{name}\"; known are {}", known.join(", "))]
    UnknownName {
        /// Name asked for.
        name: String,
        /// Names known.
        known: Vec<&'static str>,
    },
    /// A parameter of synthetic data is out of range.
    #[error("{name}: {parameter} = {found}, but it must be {allowed}")]
    Parameter {
        /// Data set.
        name: &'static str,
        /// Parameter.
        parameter: &'static str,
        /// Value found.
        found: String,
        /// Values allowed.
        allowed: String,
    },
}

/// What a file with another checksum is, as far as that is known, and what to do.
fn misfit(id: &str, [expected, found, content]: [&str; 3], belongs_to: Option<&str>) -> String {
    let title = catalog::find(id).map_or(id, |entry| entry.title);
    let file = owner_of_checksum(found).map(|(_, file)| file.name);
    match (belongs_to, file) {
        (Some(other), Some(file)) if other == id => format!(
            "is {title}'s {file} under the name of another of its files; rename it, or `widthwise data import FOLDER` gives each \
             file its name"
        ),
        (Some(other), Some(file)) => format!(
            "is not {title}'s file with the {expected}: it has {found} and is {other}'s {file}; set dataset.source.name = \
             \"{other}\" and put it into a folder {other}, or get {title} with `widthwise data fetch {id}`"
        ),
        _ => format!(
            "is not {title}'s file with the {expected}: it holds {content} and has {found}, so that it is of another data set, or \
             damaged or altered; `widthwise data fetch {id}` gets {title} and keeps this file under another name"
        ),
    }
}

fn list_paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
}

fn list_reasons(rejected: &[(PathBuf, String)]) -> String {
    rejected.iter().map(|(path, reason)| format!("; {} was refused: {reason}", path.display())).collect()
}
