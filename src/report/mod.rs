//! Draws a run: SVG figures and one self-contained HTML page, from the files of its directory alone.
//!
//! `results.csv`, `training.csv`, `manifest.json`, `config.toml` -> [`Records`] -> figures -> page. No number is computed
//! here except counts of rows: means, errors, predictions and verdicts all stand in the CSV. Equal files give equal
//! bytes.

mod claims;
mod error;
mod figure;
#[cfg(test)]
pub(crate) mod fixture;
mod html;
mod quantity;
mod read;
mod select;
mod table;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub use error::ReportError;
pub use read::Records;
pub use table::{TableReader, join};

use crate::record::atomic;

/// The files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFiles {
    /// The page, `report.html`.
    pub page: PathBuf,
    /// The images, `figures/*.svg`, in the order of the page.
    pub figures: Vec<PathBuf>,
}

/// Folder of the images in that of the run.
pub const FIGURES: &str = "figures";

/// Whether a report makes an image of this name.
pub(crate) fn is_figure(name: &str) -> bool {
    name.strip_suffix(".svg").is_some_and(|stem| figure::NAMES.contains(&stem))
}

/// Reads the run in `dir` and writes `report.html` and `figures/*.svg` there.
///
/// Every file is replaced as a whole; figures of an earlier report that can no longer be drawn are removed.
///
/// # Errors
///
/// Those of [`Records::read`], and files that cannot be written.
pub fn write_report(dir: &Path) -> Result<ReportFiles, ReportError> {
    let records = Records::read(dir)?;
    let drawn = figure::draw_all(&records);
    let folder = dir.join(FIGURES);
    fs::create_dir_all(&folder).map_err(|source| ReportError::Io { path: folder.clone(), action: "create", source })?;
    let path_of = |name: &str| folder.join(format!("{name}.svg"));
    let mut figures = Vec::new();
    for figure in &drawn {
        replace(&path_of(figure.name), &figure.svg)?;
        figures.push(path_of(figure.name));
    }
    for name in figure::NAMES.into_iter().filter(|name| drawn.iter().all(|f| f.name != *name)) {
        remove(&path_of(name))?;
    }
    let page = dir.join("report.html");
    replace(&page, &html::page(&records, &drawn))?;
    Ok(ReportFiles { page, figures })
}

fn replace(path: &Path, text: &str) -> Result<(), ReportError> {
    atomic::write(path, text.as_bytes()).map_err(|source| ReportError::Write { source })
}

/// Removes `path` if it is there.
fn remove(path: &Path) -> Result<(), ReportError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(ReportError::Io { path: path.to_owned(), action: "remove", source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::FixtureRun;

    #[test]
    fn equal_files_give_equal_bytes_wherever_they_lie() {
        let dirs: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
        let mut bytes = Vec::new();
        for dir in &dirs {
            FixtureRun::small().write(dir.path());
            let files = write_report(dir.path()).unwrap();
            assert_eq!(files.figures.len(), figure::NAMES.len() - figure::OTHERS);
            let read = |path: &PathBuf| fs::read(path).unwrap();
            let once: Vec<_> = files.figures.iter().chain([&files.page]).map(read).collect();
            assert_eq!(write_report(dir.path()).unwrap(), files);
            assert_eq!(files.figures.iter().chain([&files.page]).map(read).collect::<Vec<_>>(), once);
            bytes.push(once);
        }
        assert_eq!(bytes[0], bytes[1]);
    }

    #[test]
    fn figures_that_can_no_longer_be_drawn_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let run = FixtureRun::small();
        run.write(dir.path());
        let files = write_report(dir.path()).unwrap();
        let kept: Vec<String> =
            run.results_csv().lines().filter(|l| !l.contains("kurtosis")).map(|l| l.to_owned() + "\n").collect();
        let without: String = kept.concat();
        for gone in ["preactivation_variance", "skewness", "ks_distance"] {
            assert!(without.contains(gone));
        }
        let kept: Vec<&str> = without
            .lines()
            .filter(|l| !["preactivation_variance", "skewness", "ks_distance"].iter().any(|q| l.contains(q)))
            .collect();
        fs::write(dir.path().join("results.csv"), kept.join("\n") + "\n").unwrap();
        let again = write_report(dir.path()).unwrap();
        assert_eq!(again.figures.len() + 1, files.figures.len());
        assert!(!dir.path().join("figures/gaussianity.svg").exists());
        assert!(!fs::read_to_string(again.page).unwrap().contains("Gaussianity"));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        FixtureRun::small().write(dir.path());
        fs::write(dir.path().join("figures"), "not a folder").unwrap();
        let message = write_report(dir.path()).unwrap_err().to_string();
        assert!(message.contains("figures: could not create"), "{message}");
        fs::remove_file(dir.path().join("figures")).unwrap();
        fs::create_dir(dir.path().join("report.html")).unwrap();
        let message = write_report(dir.path()).unwrap_err().to_string();
        assert!(message.contains("report.html") && message.contains("permissions"), "{message}");
    }
}
