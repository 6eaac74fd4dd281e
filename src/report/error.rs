//! What can go wrong between the files of a run and its report.

use std::path::PathBuf;

/// Why a report or a joined table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file that every run writes is absent.
    #[error(
        "{path}: no such file; a report needs results.csv and manifest.json: give the directory of a run",
        path = path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read, created or removed.
    #[error(
        "{path}: could not {action}: {source}; check the permissions and the free space of its directory",
        path = path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `create` or `remove`.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file could not be replaced; the old one is still there.
    #[error("{source}; check the permissions and the free space of its directory")]
    Write {
        /// What went wrong, with the path.
        source: std::io::Error,
    },
    /// A column is absent from the header.
    #[error(
        "{path} line 1: no column `{column}`; found {found}; write the file again with this version of the program",
        path = path.display()
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The columns that are there.
        found: String,
    },
    /// A cell does not hold what its column allows.
    #[error(
        "{path} line {line}: column `{column}` holds `{found}`: {reason}; correct or delete this line",
        path = path.display()
    )]
    Cell {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The cell as written.
        found: String,
        /// Why it is refused.
        reason: String,
    },
    /// A line is not CSV, for instance because the run was killed while it wrote.
    #[error("{path} line {line}: {reason}; correct or delete this line", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Why it is refused.
        reason: String,
    },
    /// A row of another version of the columns.
    #[error(
        "{path} line {line}: schema_version is {found}, this program reads 1 to {supported}; use the version of the program that \
         wrote the run, or run again",
        path = path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Version of the row.
        found: u32,
        /// Newest version that this program reads.
        supported: u32,
    },
    /// The manifest is not a JSON object.
    #[error(
        "{path} line {line}: {reason}; manifest.json holds one JSON object: restore it or run again",
        path = path.display()
    )]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Why it is refused.
        reason: String,
    },
    /// A table row could not be written.
    #[error("could not write the joined table: {source}")]
    Table {
        /// What the writer said.
        source: csv::Error,
    },
}

impl From<ReportError> for crate::Error {
    fn from(error: ReportError) -> Self {
        Self::Report(error.into())
    }
}
