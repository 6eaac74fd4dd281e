//! `widthwise data`: which data sets there are, where they are, and getting those that are not.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Serialize;
use toml::Value;
use widthwise_datasets::catalog::{self, CATALOG, CatalogEntry, MNIST};
use widthwise_datasets::fetch::{FetchOptions, fetch};
use widthwise_datasets::import::{ImportReport, import};
use widthwise_datasets::locate::{Located, SearchPath, locate, write_folder};
use widthwise_datasets::verify::verify;
use widthwise_datasets::{DataError, Dataset, DatasetSpec, ImageShape, bundled, load, spec};

use super::Exit;
use super::download::DownloadProgress;
use crate::cli::{DataAction, DataArguments};
use crate::terminal::columns::{Align, columns};
use crate::terminal::console::{Colour, Console, remark};

/// One action on data sets.
///
/// # Errors
/// An unknown name, a folder that is not there, a download or copy that fails.
pub(crate) fn execute(arguments: &DataArguments, console: &Console) -> Result<Exit> {
    let data_dir = arguments.data_dir.as_deref();
    match &arguments.action {
        DataAction::List => list(data_dir, console)?,
        DataAction::Info { name } => info(name, data_dir, console)?,
        DataAction::Fetch { names } => fetch_all(names, data_dir, console)?,
        DataAction::Import { folder } => return import_from(folder, data_dir, console),
    }
    Ok(Exit::Done)
}

/// Where the examples of a data set would come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum DataOrigin {
    /// All files are in this folder.
    Present { folder: PathBuf },
    /// Some files are in this folder.
    Incomplete { folder: PathBuf, missing: Vec<String> },
    /// The subset that comes with the program.
    Bundled,
    /// Nowhere.
    Absent,
    /// No files are needed.
    Generated,
}

impl DataOrigin {
    fn of(entry: &CatalogEntry, search: &SearchPath) -> Self {
        match locate(entry, search) {
            Located::Complete { folder, .. } => Self::Present { folder },
            Located::Incomplete { .. } if entry.id == MNIST.id && !search.explicit => Self::Bundled,
            Located::Incomplete { folder: Some(folder), missing } => Self::Incomplete { folder, missing },
            Located::Incomplete { folder: None, .. } => Self::Absent,
        }
    }

    fn text(&self, name: &str) -> String {
        match self {
            Self::Present { folder } => folder.display().to_string(),
            Self::Incomplete { folder, missing } => {
                format!("{} lacks {}; `widthwise data fetch {name}`", folder.display(), missing.join(", "))
            }
            Self::Bundled => format!("{}; all of it: `widthwise data fetch {name}`", bundled::SOURCE),
            Self::Absent => format!("not here; `widthwise data fetch {name}`"),
            Self::Generated => "generated".to_owned(),
        }
    }
}

#[derive(Serialize)]
struct DatasetLine<'a> {
    event: &'static str,
    name: &'a str,
    shape: ImageShape,
    /// 0 for regression data.
    classes: usize,
    train: usize,
    test: usize,
    #[serde(flatten)]
    origin: DataOrigin,
}

impl<'a> DatasetLine<'a> {
    fn of_entry(entry: &'a CatalogEntry, search: &SearchPath) -> Self {
        let origin = DataOrigin::of(entry, search);
        let (train, test) = if origin == DataOrigin::Bundled { bundled::EXAMPLES } else { entry.examples };
        Self { event: "dataset", name: entry.id, shape: entry.shape, classes: entry.classes, train, test, origin }
    }

    fn of_generated(name: &'a str, made: &Dataset) -> Self {
        let (train, test) = (made.train.n, made.test.n);
        let origin = DataOrigin::Generated;
        Self { event: "dataset", name, shape: made.shape, classes: made.classes, train, test, origin }
    }

    fn cells(&self) -> [String; 6] {
        let classes = if self.classes == 0 { "-".to_owned() } else { self.classes.to_string() };
        [
            self.name.to_owned(),
            self.shape.to_string(),
            classes,
            self.train.to_string(),
            self.test.to_string(),
            self.origin.text(self.name),
        ]
    }
}

fn list(data_dir: Option<&Path>, console: &Console) -> Result<()> {
    let search = SearchPath::new(data_dir)?;
    let mut rows = vec![["name", "input", "classes", "train", "test", "where"].map(str::to_owned)];
    for name in spec::NAMES {
        let line = match catalog::find(name) {
            Some(entry) => DatasetLine::of_entry(entry, &search),
            None => DatasetLine::of_generated(name, &load(&name.parse::<DatasetSpec>()?, None, 0)?),
        };
        console.json(&line)?;
        rows.push(line.cells());
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right, left], &rows) {
        console.line(line)?;
    }
    Ok(())
}

fn info(name: &str, data_dir: Option<&Path>, console: &Console) -> Result<()> {
    let known = name.parse::<DatasetSpec>()?;
    match catalog::find(name) {
        Some(entry) => info_of_entry(entry, &SearchPath::new(data_dir)?, console),
        None => info_of_generated(&known, console),
    }
}

#[derive(Serialize)]
struct FileLine<'a> {
    event: &'static str,
    file: &'a str,
    bytes: u64,
    checksum: Option<String>,
    path: Option<&'a Path>,
    state: Option<String>,
}

fn info_of_entry(entry: &'static CatalogEntry, search: &SearchPath, console: &Console) -> Result<()> {
    let line = DatasetLine::of_entry(entry, search);
    console.json(&line)?;
    console.line(format_args!("{}: {}", entry.id, entry.title))?;
    console.line(format_args!("  terms     {}", entry.terms))?;
    console.line(format_args!("  input     {}, {} classes", entry.shape, entry.classes))?;
    console.line(format_args!("  examples  {} train, {} test", line.train, line.test))?;
    console.line(format_args!("  where     {}", line.origin.text(entry.id)))?;
    let paths = match locate(entry, search) {
        Located::Complete { files, .. } => files.into_iter().map(Some).collect(),
        Located::Incomplete { .. } => vec![None; entry.files.len()],
    };
    for (file, path) in entry.files.iter().zip(&paths) {
        let state = path.as_deref().map(|path| match verify(file, path) {
            Ok(verdict) if verdict.is_accepted() => (Colour::Green, verdict.to_string()),
            Ok(verdict) => (Colour::Red, verdict.to_string()),
            Err(error) => (Colour::Red, format!("unreadable: {error}")),
        });
        let checksum = file.checksum.map(|checksum| checksum.to_string());
        let published = checksum.as_deref().unwrap_or("no published checksum");
        let painted = state.as_ref().map(|(colour, text)| format!("  {}", console.paint(*colour, text)));
        let painted = painted.unwrap_or_default();
        console.line(format_args!("  file      {}, {} bytes, {published}{painted}", file.name, file.bytes))?;
        let state = state.map(|(_, text)| text);
        let path = path.as_deref();
        console.json(&FileLine { event: "file", file: file.name, bytes: file.bytes, checksum, path, state })?;
    }
    for download in entry.downloads {
        for mirror in download.mirrors {
            console.line(format_args!("  address   {mirror}{}", download.name))?;
        }
    }
    Ok(())
}

fn info_of_generated(known: &DatasetSpec, console: &Console) -> Result<()> {
    let made = load(known, None, 0)?;
    let name = known.name();
    console.json(&DatasetLine::of_generated(name, &made))?;
    console.line(format_args!("{name}: generated from the seed of the run"))?;
    match made.outputs {
        Some(outputs) => console.line(format_args!("  input     {}, {outputs} regression targets", made.shape))?,
        None => console.line(format_args!("  input     {}, {} classes", made.shape, made.classes))?,
    }
    console.line(format_args!("  examples  {} train, {} test", made.train.n, made.test.n))?;
    console.line(format_args!("  defaults  dataset.source = {}", Value::try_from(known)?))
}

#[derive(Serialize)]
struct FetchedLine<'a> {
    event: &'static str,
    dataset: &'a str,
    folder: &'a Path,
    files: &'a [PathBuf],
}

fn fetch_all(names: &[String], data_dir: Option<&Path>, console: &Console) -> Result<()> {
    // All names before the first download.
    let entries = names.iter().map(|name| downloadable(name)).collect::<Result<Vec<_>>>()?;
    let target = write_folder(data_dir)?;
    for entry in entries {
        let mut download = DownloadProgress::new(console, entry.id);
        let files = fetch(entry, &target, &FetchOptions::default(), &mut |progress| download.show(&progress))?;
        drop(download);
        let folder = target.join(entry.id);
        console.json(&FetchedLine { event: "fetched", dataset: entry.id, folder: &folder, files: &files })?;
        console.line(format_args!("{}: {} files in {}", entry.id, files.len(), folder.display()))?;
    }
    Ok(())
}

fn downloadable(name: &str) -> Result<&'static CatalogEntry> {
    let ids = || CATALOG.iter().map(|entry| entry.id).collect::<Vec<_>>();
    match (catalog::find(name), name.parse::<DatasetSpec>()) {
        (Some(entry), _) => Ok(entry),
        (None, Ok(_)) => bail!("{name} is generated when it is used; there is nothing to fetch"),
        (None, Err(_)) => Err(DataError::UnknownName { name: name.to_owned(), known: ids() }.into()),
    }
}

#[derive(Serialize)]
struct ImportedLine<'a> {
    event: &'static str,
    dataset: &'a str,
    from: &'a Path,
    to: &'a Path,
    is_verified: bool,
}

fn import_from(folder: &Path, data_dir: Option<&Path>, console: &Console) -> Result<Exit> {
    let ImportReport { imported, rejected, incomplete, set_aside } = import(folder, &write_folder(data_dir)?)?;
    for file in &imported {
        let (dataset, from, to, is_verified) = (file.id, &*file.from, &*file.to, file.verified);
        console.json(&ImportedLine { event: "imported", dataset, from, to, is_verified })?;
        let checked = if is_verified { "checksum verified" } else { "no checksum is published" };
        console.line(format_args!("{dataset}: {} -> {} ({checked})", from.display(), to.display()))?;
    }
    for (path, reason) in &rejected {
        console.note(format_args!("{} was refused: {reason}", path.display()));
    }
    for (from, to) in &set_aside {
        console.note(format_args!("{} was another file of this name; it is now {}", from.display(), to.display()));
    }
    for (id, missing) in &incomplete {
        // Not a remark: without it the exit code would go unexplained.
        remark(format_args!("{id} still lacks {}; `widthwise data fetch {id}` downloads it", missing.join(", ")));
    }
    Ok(if incomplete.is_empty() { Exit::Done } else { Exit::Incomplete })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_files_can_be_fetched() {
        assert_eq!(downloadable("cifar10").unwrap().id, "cifar10");
        let generated = downloadable("twelve-bit").unwrap_err().to_string();
        assert!(generated.contains("generated"), "{generated}");
        let unknown = downloadable("mnits").unwrap_err().to_string();
        assert!(unknown.contains("mnits") && unknown.contains("fashion-mnist"), "{unknown}");
    }

    #[test]
    fn nothing_stands_in_for_a_folder_that_was_named() {
        let empty = tempfile::tempdir().unwrap();
        let folders = vec![empty.path().to_path_buf()];
        let named = SearchPath { folders: folders.clone(), explicit: true };
        assert_eq!(DataOrigin::of(&MNIST, &named), DataOrigin::Absent);
        let usual = SearchPath { folders, explicit: false };
        assert_eq!(DataOrigin::of(&MNIST, &usual), DataOrigin::Bundled);
        assert!(DataOrigin::Absent.text("mnist").contains("widthwise data fetch mnist"));
    }

    #[test]
    fn a_data_set_is_one_object() {
        let search = SearchPath { folders: Vec::new(), explicit: false };
        let line = serde_json::to_value(DatasetLine::of_entry(&MNIST, &search)).unwrap();
        assert_eq!((&line["name"], &line["status"]), (&"mnist".into(), &"bundled".into()));
        // What is there, not what is published.
        assert_eq!((&line["train"], &line["test"]), (&5000.into(), &1000.into()));
        assert_eq!(line["shape"]["height"], 28);
    }
}
