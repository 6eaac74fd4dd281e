//! `widthwise ladder`: one experiment at many widths, and the powers of the width that follow.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use widthwise::config;
use widthwise::ladder::{
    Fit, FitStatistic, LadderOptions, LadderOutcome, LadderReport, growing, ladder_experiment, run_ladder,
};
use widthwise::signals::StopFlag;
use widthwise::verdict::Verdict;

use super::Exit;
use super::claims::painted;
use super::overrides::ConfigCommand;
use super::run::unfinished;
use crate::cli::LadderArguments;
use crate::terminal::columns::{Align, columns, number};
use crate::terminal::console::{Colour, Console};
use crate::terminal::progress::monitor;

#[derive(Serialize)]
struct FitLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    fit: &'a Fit,
}

#[derive(Serialize)]
struct LadderEndLine<'a> {
    event: &'static str,
    /// `judged`, `unfinished` or `interrupted`.
    outcome: &'static str,
    verdict: Option<Verdict>,
    /// Those of the whole ladder.
    networks: usize,
    diverged: usize,
    folder: &'a Path,
}

/// Trains, fits and ends with the verdict.
///
/// # Errors
/// A configuration that is refused, a folder of something else, and whatever stops training.
pub(crate) fn execute(arguments: &LadderArguments, console: &Console) -> Result<Exit> {
    let loaded = config::load(Some(&arguments.config), &arguments.set)?;
    let reader = ConfigCommand::Ladder { has_members: arguments.seeds.is_some(), has_steps: arguments.coordinates };
    reader.expect_read(&arguments.set, loaded.network.is_gated())?;
    let members = arguments.seeds.unwrap_or(loaded.run.members).max(2);
    let kind = if arguments.coordinates { "coordinates" } else { "ladder" };
    let folder =
        arguments.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(format!("{}_{kind}", loaded.run.name)));
    let experiment = ladder_experiment(&loaded, arguments.coordinates)?;
    let options = LadderOptions {
        widths: arguments.widths.0.clone(),
        members,
        shard: arguments.shard,
        folder,
        data_dir: arguments.data_dir.clone(),
        is_coordinate_check: arguments.coordinates,
        rates_of: arguments.rates_of.map(Into::into),
    };
    let stop = StopFlag::on_signals();
    let monitor = monitor(console);
    let outcome = run_ladder(&experiment, &options, &stop, &*monitor);
    // Takes the bar away, also before an error is told.
    drop(monitor);
    let networks = options.widths.len() * members;
    let end = |outcome, verdict, diverged| LadderEndLine {
        event: "end",
        outcome,
        verdict,
        networks,
        diverged,
        folder: &options.folder,
    };
    match outcome? {
        LadderOutcome::Interrupted => {
            console.json(&end("interrupted", None, 0))?;
            let stopped = console.paint(Colour::Yellow, "stopped");
            let folder = options.folder.display();
            console.line(format_args!(
                "{stopped}: networks that are trained are in {folder}; give the same command again to go on"
            ))?;
            Ok(Exit::Interrupted)
        }
        LadderOutcome::Unfinished { done, all } => {
            console.json(&end("unfinished", None, 0))?;
            unfinished("networks", (done, all), &options.folder, console)
        }
        LadderOutcome::Judged(report) => {
            print(&report, loaded.claims.significance, console)?;
            console.json(&end("judged", Some(report.verdict), report.diverged.len()))?;
            console.line(format_args!("tables and figure: {}", options.folder.display()))?;
            Ok(Exit::of_verdict(report.verdict))
        }
    }
}

fn print(report: &LadderReport, significance: f64, console: &Console) -> Result<()> {
    for fit in &report.fits {
        console.json(&FitLine { event: "fit", fit })?;
    }
    let [left, right] = [Align::Left, Align::Right];
    let heading = [
        "quantity",
        "layer",
        "exponent",
        "95 % interval",
        "c/n",
        "median's",
        "declared",
        "accepted",
        "widths",
        "verdict",
    ];
    let mut exponents = vec![heading.map(str::to_owned)];
    for fit in report.fits.iter().filter(|fit| fit.statistic == FitStatistic::ExponentOfMean) {
        let is_median = |other: &&Fit| {
            other.statistic == FitStatistic::ExponentOfMedian
                && (other.quantity, other.layer) == (fit.quantity, fit.layer)
        };
        let median = report.fits.iter().find(is_median).and_then(|median| median.value);
        exponents.push([
            fit.quantity.name(),
            fit.layer.map_or_else(String::new, |layer| layer.to_string()),
            power(fit.value),
            range(fit.low, fit.high),
            correction(fit),
            power(median),
            power(fit.declared),
            range(fit.accepted_low, fit.accepted_high),
            ends(&fit.widths),
            verdict(fit, console),
        ]);
    }
    for line in columns([left, right, right, right, right, right, right, right, right, left], &exponents) {
        console.detail(line)?;
    }
    console.detail("fitted: A n^exponent (1 + c/n), with c/n at the narrowest width")?;
    let heading = ["at infinite width", "value", "std_error", "theory", "z", "p", "verdict"];
    let mut limits = vec![heading.map(str::to_owned)];
    for fit in report.fits.iter().filter(|fit| fit.statistic == FitStatistic::Limit) {
        let shown = |value: Option<f64>, digits| value.map_or_else(|| "-".to_owned(), |value| number(value, digits));
        let z = fit.z.map_or_else(|| "-".to_owned(), |z| format!("{z:+.2}"));
        let cells = [shown(fit.value, 5), shown(fit.std_error, 2), shown(fit.declared, 5), z, shown(fit.p_value, 2)];
        let [value, error, theory, z, p] = cells;
        limits.push([fit.quantity.name(), value, error, theory, z, p, verdict(fit, console)]);
    }
    if limits.len() > 1 {
        console.detail("")?;
        for line in columns([left, right, right, right, right, right, left], &limits) {
            console.detail(line)?;
        }
    }
    console
        .detail(format_args!("probability of a false disagreement: at most {significance} for all rows together"))?;
    let mut remarks: Vec<&str> = report.fits.iter().map(|fit| fit.remark.as_str()).filter(|r| !r.is_empty()).collect();
    remarks.sort_unstable();
    remarks.dedup();
    remarks.into_iter().for_each(|remark| console.note(remark));
    console.line(summary(report, console))
}

fn power(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:+.3}"))
}

fn range(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{low:+.3} .. {high:+.3}"),
        _ => "-".to_owned(),
    }
}

/// The correction at the narrowest width, with its standard error.
fn correction(fit: &Fit) -> String {
    let narrowest = fit.widths.split(' ').next().and_then(|width| width.parse::<f64>().ok());
    match (fit.correction, fit.correction_std_error, narrowest) {
        (Some(c), Some(error), Some(width)) => format!("{:+.2} ± {:.2}", c / width, error / width),
        _ => "-".to_owned(),
    }
}

/// The first and the last of a list of widths.
fn ends(widths: &str) -> String {
    let mut widths = widths.split(' ');
    let first = widths.next().unwrap_or_default();
    widths.next_back().map_or_else(|| first.to_owned(), |last| format!("{first}..{last}"))
}

fn verdict(fit: &Fit, console: &Console) -> String {
    fit.verdict.map_or_else(String::new, |verdict| painted(verdict, console))
}

/// The verdict in one line, with its reason.
fn summary(report: &LadderReport, console: &Console) -> String {
    let count = |verdict| report.fits.iter().filter(|fit| fit.verdict == Some(verdict)).count();
    let mut reason = format!(
        "{} agree, {} disagree, {} undecided",
        count(Verdict::Agrees),
        count(Verdict::Disagrees),
        count(Verdict::Undecided)
    );
    if let Some(fit) = growing(&report.fits) {
        let layer = fit.layer.map_or_else(String::new, |layer| format!(" of layer {layer}"));
        let exponent = fit.value.unwrap_or(f64::NAN);
        reason.push_str(&format!(
            "; {}{layer} grows as width^{exponent:.2}, so that no learning rate serves all widths",
            fit.quantity.name()
        ));
    }
    if let [(width, member), ..] = report.diverged[..] {
        let others = report.diverged.len();
        reason.push_str(&format!("; {others} networks diverged, the first of width {width}, member {member}"));
    }
    format!("{}: {reason}", painted(report.verdict, console))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_short() {
        assert_eq!(ends("64 128 256"), "64..256");
        assert_eq!(ends("64"), "64");
        assert_eq!((power(Some(-0.5)).as_str(), power(None).as_str()), ("-0.500", "-"));
        assert_eq!(range(Some(-1.0), Some(0.25)), "-1.000 .. +0.250");
    }
}
