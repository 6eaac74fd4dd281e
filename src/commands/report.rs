//! `widthwise report`: figures and page of a run, drawn again.

use std::path::Path;

use anyhow::{Result, bail};
use serde::Serialize;
use widthwise::report::write_report;

use super::Exit;
use crate::cli::ReportArguments;
use crate::terminal::console::Console;

#[derive(Serialize)]
struct ReportLine<'a> {
    event: &'static str,
    report: &'a Path,
    figures: Vec<&'a Path>,
}

/// Draws the report and prints where it is.
///
/// # Errors
/// No run in the folder, damaged files, or a report that cannot be written.
pub(crate) fn execute(arguments: &ReportArguments, console: &Console) -> Result<Exit> {
    if arguments.folder.is_file() {
        bail!(
            "{0} is a file, and a report is drawn into a folder: unpack it with `tar -xzf {0}`, then draw that folder",
            arguments.folder.display()
        );
    }
    let files = write_report(&arguments.folder)?;
    let figures = files.figures.iter().map(|path| path.as_path()).collect();
    console.json(&ReportLine { event: "report", report: &files.page, figures })?;
    if console.is_verbose {
        for figure in &files.figures {
            console.line(format_args!("figure: {}", figure.display()))?;
        }
    }
    console.line(format_args!("report: {}", files.page.display()))?;
    Ok(Exit::Done)
}
