//! `widthwise config`: a configuration to start from, and whether one is valid.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use widthwise::config::{self, COMMENTED, Experiment};
use widthwise::record::atomic;
use widthwise::record::place::try_out;

use super::Exit;
use crate::cli::{ConfigAction, ConfigArguments};
use crate::terminal::console::Console;

#[derive(Serialize)]
struct InitLine<'a> {
    event: &'static str,
    file: &'a Path,
}

#[derive(Serialize)]
struct ConfigLine<'a> {
    event: &'static str,
    file: &'a Path,
    is_valid: bool,
    resolved: &'a Experiment,
}

/// Writes or checks a configuration.
///
/// # Errors
/// A file that exists or cannot be written; a configuration that is refused.
pub(crate) fn execute(arguments: &ConfigArguments, console: &Console) -> Result<Exit> {
    match &arguments.action {
        ConfigAction::Init { file, .. } if file.as_os_str() == "-" => console.write(&COMMENTED)?,
        ConfigAction::Init { file, force } => {
            init(file, *force)?;
            console.json(&InitLine { event: "config", file })?;
            console.line(format_args!("{} written; run it with `widthwise run {0}`", file.display()))?;
        }
        ConfigAction::Check { file, set } => check(file, set, console)?,
    }
    Ok(Exit::Done)
}

fn init(file: &Path, force: bool) -> Result<()> {
    try_out(file)?;
    if force {
        return Ok(atomic::write(file, COMMENTED.as_bytes())?);
    }
    let cannot = || format!("cannot write {}", file.display());
    match OpenOptions::new().write(true).create_new(true).open(file) {
        Ok(mut opened) => opened.write_all(COMMENTED.as_bytes()).with_context(cannot).inspect_err(|_| {
            // Half of it would stand in the way of the next try.
            let _ = fs::remove_file(file);
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} exists already; replace it with --force, or give another name", file.display())
        }
        Err(error) => Err(error).with_context(cannot),
    }
}

fn check(file: &Path, set: &[String], console: &Console) -> Result<()> {
    let experiment = config::load(Some(file), set)?;
    console.json(&ConfigLine { event: "config", file, is_valid: true, resolved: &experiment })?;
    if console.is_verbose {
        console.line(experiment.resolved_toml())?;
    }
    console.line(format_args!("{}: valid; {}", file.display(), summary(&experiment)))
}

/// The experiment in a clause.
fn summary(experiment: &Experiment) -> String {
    let widths = experiment.network.hidden_widths();
    let width = match widths.first() {
        Some(first) if widths.iter().all(|width| width == first) => first.to_string(),
        _ => format!("{widths:?}"),
    };
    format!(
        "{} x {} of depth {} and width {width} on {}",
        experiment.run.members,
        experiment.network.family.name(),
        widths.len(),
        experiment.dataset.source.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("experiment.toml");
        init(&file, false).unwrap();
        fs::write(&file, "mine").unwrap();
        let refused = init(&file, false).unwrap_err().to_string();
        assert!(refused.contains("exists already") && refused.contains("--force"), "{refused}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        init(&file, true).unwrap();
        assert_eq!(*config::load(Some(&file), &[]).unwrap(), Experiment::default());
    }

    #[test]
    fn the_summary_names_the_widths() {
        let mut experiment = Experiment::default();
        assert_eq!(summary(&experiment), "16 x mlp of depth 3 and width 1024 on mnist");
        experiment.network.widths = Some(vec![8, 4]);
        assert!(summary(&experiment).contains("depth 2 and width [8, 4]"));
    }
}
