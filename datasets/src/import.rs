//! Taking data files from a folder of the user's into the data folder.

use crate::catalog::{CATALOG, DataFile, Download, Entry};
use crate::checksum::checksum_of;
use crate::error::DataError;
use crate::locate::{check_folder, file_in};
use crate::part::Part;
use crate::unpack::unpack;
use crate::verify::verify;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How many levels of subfolders are searched.
const DEPTH: usize = 2;

/// One file taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Data set that it belongs to.
    pub id: &'static str,
    /// Where it was.
    pub from: PathBuf,
    /// Where it is now; a folder when `from` was an archive.
    pub to: PathBuf,
    /// Whether it had a published checksum to compare with.
    pub verified: bool,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportReport {
    /// Files taken over.
    pub imported: Vec<Imported>,
    /// Files with the name of a data file that were refused, with the reason.
    pub rejected: Vec<(PathBuf, String)>,
    /// Data sets of which files were imported but others are missing, with the names of those.
    pub incomplete: Vec<(&'static str, Vec<&'static str>)>,
}

/// Copies every file of a known data set found in `folder`, or up to two levels below, into `data_dir/<id>`.
///
/// Files are recognised by name and checksum, raw, as `.gz`, or in the authors' archives, and appear under their names only
/// when whole.
///
/// # Errors
/// [`DataError`] when `folder` is none, nothing in it is accepted, or copying fails.
pub fn import(folder: &Path, data_dir: &Path) -> Result<ImportReport, DataError> {
    check_folder(folder, "the folder to import")?;
    let mut paths = Vec::new();
    list_files(folder, DEPTH, &mut paths)?;
    paths.sort();

    let mut report = ImportReport::default();
    for path in paths {
        import_file(&path, data_dir, &mut report)?;
    }
    if report.imported.is_empty() {
        return Err(DataError::NothingToImport {
            path: folder.to_path_buf(),
            known: CATALOG.iter().map(|entry| entry.id).collect(),
            rejected: report.rejected,
        });
    }
    for entry in CATALOG.iter().filter(|entry| report.imported.iter().any(|file| file.id == entry.id)) {
        let target = data_dir.join(entry.id);
        let missing: Vec<_> =
            entry.files.iter().map(|file| file.name).filter(|name| file_in(&target, name).is_none()).collect();
        if !missing.is_empty() {
            report.incomplete.push((entry.id, missing));
        }
    }
    Ok(report)
}

fn io_error(path: &Path, source: io::Error) -> DataError {
    DataError::Io { path: path.to_path_buf(), source }
}

fn list_files(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<(), DataError> {
    for item in fs::read_dir(folder).map_err(|source| io_error(folder, source))? {
        let path = item.map_err(|source| io_error(folder, source))?.path();
        if path.is_file() {
            paths.push(path);
        } else if depth > 0 && path.is_dir() {
            list_files(&path, depth - 1, paths)?;
        }
    }
    Ok(())
}

fn import_file(path: &Path, data_dir: &Path, report: &mut ImportReport) -> Result<(), DataError> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let stem = name.strip_suffix(".gz").unwrap_or(name);
    let mut reasons = Vec::new();
    for (entry, file) in entries_with(|entry| entry.files.iter().find(|file| file.name == stem)) {
        match accept(file, path) {
            Ok(verified) => {
                let to = copy_into(path, &data_dir.join(entry.id), name)?;
                report.imported.push(Imported { id: entry.id, from: path.to_path_buf(), to, verified });
                return Ok(());
            }
            Err(why) => reasons.push(format!("as {}'s file: {why}", entry.id)),
        }
    }
    for (entry, download) in entries_with(|entry| entry.downloads.iter().find(|d| d.archive && d.name == name)) {
        match accept_archive(entry, download, path, &data_dir.join(entry.id))? {
            Ok(to) => {
                let verified = download.checksum.is_some();
                report.imported.push(Imported { id: entry.id, from: path.to_path_buf(), to, verified });
                return Ok(());
            }
            Err(why) => reasons.push(why),
        }
    }
    if !reasons.is_empty() {
        report.rejected.push((path.to_path_buf(), reasons.join("; ")));
    }
    Ok(())
}

fn entries_with<T: 'static>(
    choose: impl Fn(&'static Entry) -> Option<&'static T>,
) -> impl Iterator<Item = (&'static Entry, &'static T)> {
    CATALOG.iter().filter_map(move |entry| choose(entry).map(|found| (entry, found)))
}

/// Whether the file is the catalog's; if so, whether a checksum says it.
fn accept(file: &DataFile, path: &Path) -> Result<bool, String> {
    match verify(file, path) {
        Ok(verdict) if verdict.is_accepted() => Ok(file.checksum.is_some()),
        Ok(verdict) => Err(verdict.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Unpacks an archive with the right checksum; the inner error says why it is refused.
fn accept_archive(
    entry: &Entry,
    download: &Download,
    path: &Path,
    target: &Path,
) -> Result<Result<PathBuf, String>, DataError> {
    if let Some(expected) = download.checksum {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        let found = checksum_of(file, expected).map_err(|source| io_error(path, source))?;
        if found != expected.hex() {
            return Ok(Err(format!("checksum {found} instead of {expected}")));
        }
    }
    fs::create_dir_all(target).map_err(|source| io_error(target, source))?;
    Ok(unpack(entry, path, target, &mut |_| {}).map(|()| target.to_path_buf()).map_err(|error| error.to_string()))
}

/// Copies under a temporary name first, so that an interrupted copy is never taken for the file.
fn copy_into(path: &Path, folder: &Path, name: &str) -> Result<PathBuf, DataError> {
    let to = folder.join(name);
    fs::create_dir_all(folder).map_err(|source| io_error(folder, source))?;
    if same_file(path, &to) {
        return Ok(to);
    }
    let part = folder.join(format!("{name}.part"));
    // Not fs::copy, which would hand on the permissions of a read-only medium.
    let mut source_file = File::open(path).map_err(|source| io_error(path, source))?;
    let mut target = Part::create(part.clone()).map_err(|source| io_error(&part, source))?;
    io::copy(&mut source_file, &mut target).and_then(|_| target.sync()).map_err(|source| io_error(&part, source))?;
    target.rename(&to).map_err(|source| io_error(&to, source))?;
    Ok(to)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
