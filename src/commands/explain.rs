//! `widthwise explain`: why a run differs from theory.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use widthwise::ensemble::{Ended, Job};
use widthwise::record::budget::{BudgetRow, ForecastRow, Split, read_budget, read_forecasts};
use widthwise::run::explain;
use widthwise::signals::StopFlag;

use super::run::unfinished;
use super::{Exit, claims};
use crate::cli::ExplainArguments;
use crate::terminal::columns::{Align, cell, columns};
use crate::terminal::console::Console;
use crate::terminal::progress;

#[derive(Serialize)]
struct BudgetLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    row: &'a BudgetRow,
}

#[derive(Serialize)]
struct ForecastLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    row: &'a ForecastRow,
}

/// Explains and prints the parts at the last step and how long forecasts held.
///
/// # Errors
/// No run that has ended, data that are not there, or a gap that cannot be split.
pub(crate) fn execute(arguments: &ExplainArguments, console: &Console) -> Result<Exit> {
    let stop = StopFlag::on_signals();
    let monitor = progress::monitor(console);
    let folder = &arguments.folder;
    let change = |settings: &mut widthwise::config::ExplainConfig| {
        settings.members =
            arguments.members.unwrap_or(if settings.members == 0 { usize::MAX } else { settings.members });
        settings.examples = arguments.examples.unwrap_or(settings.examples);
        settings.quadratic |= arguments.quadratic;
        settings.forecast &= !arguments.no_forecast;
    };
    let job = Job { shard: arguments.shard, stop: &stop, monitor: &*monitor };
    let explained = explain(folder, change, arguments.data_dir.as_deref(), &job);
    drop(monitor);
    let check = match explained? {
        (Ended::Unfinished { done, all }, _) => return unfinished("explained members", (done, all), folder, console),
        (_, Some(check)) => check,
        (_, None) => {
            console.line(format_args!(
                "stopped: the members that were explained are kept; give the command again to go on"
            ))?;
            return Ok(Exit::Interrupted);
        }
    };
    print_budget(folder, console)?;
    print_forecasts(folder, console)?;
    claims::print(&check, console)?;
    console.line(format_args!("report: {}", folder.join("report.html").display()))?;
    Ok(Exit::Done)
}

fn print_budget(folder: &Path, console: &Console) -> Result<()> {
    let rows = read_budget(folder)?;
    let Some(last) = rows.iter().map(|row| row.step).max() else { return Ok(()) };
    rows.iter().try_for_each(|row| console.json(&BudgetLine { event: "part", row }))?;
    const HEADING: [&str; 6] = ["examples", "part", "rms", "std_error", "|share|", "share"];
    let mut table = vec![HEADING.map(str::to_owned)];
    for row in rows.iter().filter(|row| row.step == last) {
        table.push([
            if row.split == Split::Train { "train" } else { "test" }.to_owned(),
            row.part.clone(),
            cell(Some(row.root_mean_square), 3),
            cell(row.std_error, 2),
            row.absolute_share.map_or_else(String::new, |share| format!("{share:.3}")),
            row.signed_share.map_or_else(String::new, |share| format!("{share:+.3}")),
        ]);
    }
    console.detail(format_args!("parts of the gap between infinite width and the run after {last} steps"))?;
    let align = [Align::Left, Align::Left, Align::Right, Align::Right, Align::Right, Align::Right];
    columns(align, &table).into_iter().try_for_each(|line| console.detail(line))
}

fn print_forecasts(folder: &Path, console: &Console) -> Result<()> {
    let rows = read_forecasts(folder)?;
    rows.iter().try_for_each(|row| console.json(&ForecastLine { event: "forecast", row }))?;
    let Some(first) = rows.first() else { return Ok(()) };
    let tolerance = first.tolerance;
    console.detail(format_args!(
        "steps for which the kernel of a snapshot, frozen, forecasts training to {tolerance} of its residual (member {})",
        first.member
    ))?;
    let mut table = vec![["step", "horizon", "loss decades", "error at the end"].map(str::to_owned)];
    for row in rows.iter().filter(|row| row.member == first.member) {
        table.push([
            row.step.to_string(),
            format!("{}{}", if row.is_censored { ">= " } else { "" }, row.horizon_steps),
            cell(row.loss_decades, 3),
            cell(row.final_error, 2),
        ]);
    }
    columns([Align::Right; 4], &table).into_iter().try_for_each(|line| console.detail(line))
}
