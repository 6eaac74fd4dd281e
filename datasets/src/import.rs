//! Taking data files from a folder of the user's into the data folder.

use crate::aside::set_aside;
use crate::catalog::{CATALOG, CatalogEntry, DataFile, DownloadFile};
use crate::error::DataError;
use crate::identify::{self, Content, owner, owner_of_archive};
use crate::locate::{check_folder, file_in, names_of};
use crate::part::PartialFile;
use crate::source;
use crate::unpack::unpack;
use crate::verify::verify;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How many levels of subfolders are searched: torchvision keeps MNIST in ROOT/MNIST/raw.
const DEPTH: usize = 3;

/// One file taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedFile {
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
    pub imported: Vec<ImportedFile>,
    /// Files with the name of a data file that were refused, with the reason.
    pub rejected: Vec<(PathBuf, String)>,
    /// Data sets of which files were imported but others are missing or damaged, with the names of those.
    pub incomplete: Vec<(&'static str, Vec<&'static str>)>,
    /// Files in the data folder that had a name of an imported file and were not it, with their new names.
    pub set_aside: Vec<(PathBuf, PathBuf)>,
}

/// Copies every file of a known data set found in `folder`, or up to three levels below, into `data_dir/<id>`.
///
/// Files are recognised by their published checksums whatever their names, raw, gzipped, or in the authors' archives; those
/// without a published checksum by name and size. They appear under their names only when whole. What else has one of these
/// names in `data_dir` is kept under another one.
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
        // A folder may be imported into itself, where a file makes room for another before its turn comes.
        let moved = report.set_aside.iter().find(|(from, _)| *from == path).map(|(_, to)| to.clone());
        import_file(&moved.unwrap_or(path), data_dir, &mut report)?;
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
        let is_lacking = |file: &&DataFile| file_in(&target, file.name).is_none_or(|path| accept(file, &path).is_err());
        let missing: Vec<_> = entry.files.iter().filter(is_lacking).map(|file| file.name).collect();
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
    // Damaged compression is told below, for files whose name says what they should be.
    if let Ok(Some((entry, file))) = owner(path) {
        return take(entry, file, path, data_dir, true, report);
    }
    let mut reasons = Vec::new();
    let is_called = |file: &&DataFile| names_of(file.name).any(|known| known == name);
    for (entry, file) in entries_with(|entry| entry.files.iter().find(is_called)) {
        match accept(file, path) {
            Ok(verified) => return take(entry, file, path, data_dir, verified, report),
            Err(why) => reasons.push(format!("it is not {}'s file: {why}", entry.title)),
        }
    }
    let content = Content::of(path).unwrap_or(Content::Unknown);
    let is_archive = content == Content::Archive
        || CATALOG.iter().flat_map(|entry| entry.downloads).any(|download| download.archive && download.name == name);
    if is_archive {
        let owner = owner_of_archive(path).map_err(|source| io_error(path, source))?;
        let named = entries_with(|entry| entry.downloads.iter().find(|d| d.archive && d.name == name)).next();
        match (owner, named) {
            (Some((entry, download)), _) => match take_archive(entry, download, path, data_dir, report)? {
                None => return Ok(()),
                Some(why) => reasons.push(why),
            },
            (None, Some((entry, DownloadFile { checksum: Some(expected), .. }))) => {
                let found = identify::checksum_of_file(path, *expected).map_err(|source| io_error(path, source))?;
                reasons.push(format!("it is not {}'s archive: checksum {found} instead of {expected}", entry.title));
            }
            _ => {}
        }
    }
    if matches!(content, Content::CifarPickle | Content::CifarPickles) {
        reasons.push("`widthwise data fetch cifar10` gets the binary version".to_owned());
    }
    if !reasons.is_empty() {
        let holds = if content == Content::Unknown { String::new() } else { format!("it holds {content}; ") };
        report.rejected.push((path.to_path_buf(), format!("{holds}{}", reasons.join("; "))));
    }
    Ok(())
}

/// Copies a file that was recognised to its place, and sets aside what would be read instead of it.
fn take(
    entry: &'static CatalogEntry,
    file: &DataFile,
    path: &Path,
    data_dir: &Path,
    verified: bool,
    report: &mut ImportReport,
) -> Result<(), DataError> {
    let folder = data_dir.join(entry.id);
    let ending = if source::is_gzip(path) { ".gz" } else { "" };
    report.set_aside.extend(set_aside(file, &folder).map_err(|source| io_error(&folder, source))?);
    let to = copy_into(path, &folder, &format!("{}{ending}", file.name))?;
    report.imported.push(ImportedFile { id: entry.id, from: path.to_path_buf(), to, verified });
    Ok(())
}

/// Unpacks an archive that was recognised; the reason if its content is refused all the same.
fn take_archive(
    entry: &'static CatalogEntry,
    download: &DownloadFile,
    path: &Path,
    data_dir: &Path,
    report: &mut ImportReport,
) -> Result<Option<String>, DataError> {
    let folder = data_dir.join(entry.id);
    fs::create_dir_all(&folder).map_err(|source| io_error(&folder, source))?;
    for file in entry.files {
        report.set_aside.extend(set_aside(file, &folder).map_err(|source| io_error(&folder, source))?);
    }
    if let Err(error) = unpack(entry, path, &folder, &mut |_| {}) {
        return Ok(Some(error.to_string()));
    }
    let verified = download.checksum.is_some();
    report.imported.push(ImportedFile { id: entry.id, from: path.to_path_buf(), to: folder, verified });
    Ok(None)
}

fn entries_with<T: 'static>(
    choose: impl Fn(&'static CatalogEntry) -> Option<&'static T>,
) -> impl Iterator<Item = (&'static CatalogEntry, &'static T)> {
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
    let mut target = PartialFile::create(part.clone()).map_err(|source| io_error(&part, source))?;
    io::copy(&mut source_file, &mut target).and_then(|_| target.sync()).map_err(|source| io_error(&part, source))?;
    target.rename(&to).map_err(|source| io_error(&to, source))?;
    Ok(to)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
