//! `widthwise run`: an experiment from its configuration to its report.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use widthwise::config::{self, Checked};
use widthwise::run::{RunEnd, RunOptions, RunSummary, plan, run};
use widthwise::signals::StopFlag;
use widthwise::training::Outcome;
use widthwise::verdict::Verdict;

use super::claims::painted;
use super::overrides::ConfigCommand;
use super::{Exit, claims};
use crate::cli::RunArguments;
use crate::terminal::console::{Colour, Console};
use crate::terminal::progress;

#[derive(Serialize)]
struct RunEndLine<'a> {
    event: &'static str,
    outcome: &'a Outcome,
    folder: &'a Path,
    report: Option<&'a Path>,
    resume: Option<&'a str>,
}

#[derive(Serialize)]
struct UnfinishedLine<'a> {
    event: &'static str,
    outcome: &'static str,
    folder: &'a Path,
    done: usize,
    all: usize,
}

/// Says that other shards are missing.
pub(super) fn unfinished(what: &str, (done, all): (usize, usize), folder: &Path, console: &Console) -> Result<Exit> {
    let undecided = painted(Verdict::Undecided, console);
    console.line(format_args!(
        "{undecided}: {done} of {all} {what} are in {}; run the other shards, then any one again",
        folder.display()
    ))?;
    Ok(Exit::Undecided)
}

#[derive(Serialize)]
struct PlanLine<'a> {
    event: &'static str,
    text: &'a str,
}

/// Runs, or only says what a run would take.
///
/// # Errors
/// A configuration that is refused, and whatever stops a run.
pub(crate) fn execute(arguments: &RunArguments, console: &Console) -> Result<Exit> {
    let reader = ConfigCommand::Run { has_output: arguments.output.is_some(), has_device: arguments.device.is_some() };
    reader.expect_read(&arguments.set, false)?;
    let experiment = config::load(arguments.config.as_deref(), &overrides(arguments))?;
    let options = RunOptions {
        output: arguments.output.clone(),
        data_dir: arguments.data_dir.clone(),
        resume: arguments.resume,
        force: arguments.force,
        shard: arguments.shard,
    };
    let stop = StopFlag::of_run().context("cannot listen for Ctrl-C")?;
    if arguments.dry_run {
        return print_plan(&experiment, &options, console);
    }
    let monitor = progress::monitor(console);
    let summary = run(&experiment, &options, &stop, &*monitor);
    // Takes the progress bar away, also before an error is told.
    drop(monitor);
    let summary = summary?;
    match &summary.end {
        RunEnd::Ended(Outcome::Interrupted) => tell_how_to_resume(&summary, arguments, console),
        RunEnd::Ended(outcome) => finish(&summary, outcome, console),
        RunEnd::Unfinished { done, all } => {
            console.json(&UnfinishedLine {
                event: "end",
                outcome: "unfinished",
                folder: &summary.folder,
                done: *done,
                all: *all,
            })?;
            unfinished("members", (*done, *all), &summary.folder, console)
        }
    }
}

/// What `--set` and the options that stand for one say; the latter win.
fn overrides(arguments: &RunArguments) -> Vec<String> {
    let device = arguments.device.map(|device| format!("run.device={}", device.name()));
    arguments.set.iter().cloned().chain(device).collect()
}

fn print_plan(experiment: &Checked, options: &RunOptions, console: &Console) -> Result<Exit> {
    let plan = plan(experiment, options)?;
    if console.is_verbose {
        console.line(plan.registration.text())?;
    }
    for text in &plan.lines {
        console.json(&PlanLine { event: "plan", text })?;
        console.line(text)?;
    }
    Ok(Exit::Done)
}

fn tell_how_to_resume(summary: &RunSummary, arguments: &RunArguments, console: &Console) -> Result<Exit> {
    let folder = &summary.folder;
    let resume = resume_command(folder, arguments.data_dir.as_deref());
    let end = RunEndLine { event: "end", outcome: &Outcome::Interrupted, folder, report: None, resume: Some(&resume) };
    console.json(&end)?;
    let stopped = console.paint(Colour::Yellow, "stopped");
    console.line(format_args!("{stopped}: a checkpoint is in {}; continue with\n  {resume}", folder.display()))?;
    Ok(Exit::Interrupted)
}

/// The command that continues the run, whatever the overrides that began it.
fn resume_command(folder: &Path, data_dir: Option<&Path>) -> String {
    let (config, folder) = (quoted(&folder.join("config.toml")), quoted(folder));
    let data_dir = data_dir.map_or_else(String::new, |path| format!(" --data-dir {}", quoted(path)));
    format!("widthwise run {config} --output {folder}{data_dir} --resume")
}

/// The path as a shell reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn finish(summary: &RunSummary, outcome: &Outcome, console: &Console) -> Result<Exit> {
    if let Some(check) = &summary.check {
        claims::print(check, console)?;
    }
    let report = summary.folder.join("report.html");
    let folder = &summary.folder;
    console.json(&RunEndLine { event: "end", outcome, folder, report: Some(&report), resume: None })?;
    match outcome {
        Outcome::WallTime => console.detail("the time allowed ran out before the last step")?,
        Outcome::LossReached => console.detail("the loss asked for was reached")?,
        _ => {}
    }
    console.line(format_args!("report: {}", report.display()))?;
    Ok(summary.check.as_ref().map_or(Exit::Interrupted, |check| Exit::of_verdict(check.verdict)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use widthwise::config::DeviceKind;

    use super::*;
    use crate::cli::{Cli, Command};

    fn arguments(line: &str) -> RunArguments {
        match Cli::parse_from(line.split_whitespace()).command {
            Command::Run(arguments) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn device_is_the_last_override() {
        let arguments = arguments("widthwise run --device flex --set run.seed=2 --set run.device=wgpu");
        let overrides = overrides(&arguments);
        assert_eq!(overrides, ["run.seed=2", "run.device=wgpu", "run.device=flex"]);
        assert_eq!(config::load(None, &overrides).unwrap().run.device, DeviceKind::Flex);
    }

    #[test]
    fn resume_command_can_be_pasted() {
        assert_eq!(
            resume_command(Path::new("runs/default"), None),
            "widthwise run runs/default/config.toml --output runs/default --resume"
        );
        let command = resume_command(&PathBuf::from("my runs/it's"), Some(Path::new("/data")));
        assert_eq!(
            command,
            "widthwise run 'my runs/it'\\''s/config.toml' --output 'my runs/it'\\''s' --data-dir /data --resume"
        );
    }
}
