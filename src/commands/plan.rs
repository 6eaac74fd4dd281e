//! `widthwise plan`: how many members an experiment takes to be decided.

use anyhow::{Context, Result};
use serde::Serialize;
use widthwise::config;
use widthwise::run::{DECIDED, Plan, RunOptions, pilot};
use widthwise::signals::StopFlag;

use super::overrides::ConfigCommand;
use super::{Exit, power};
use crate::cli::PlanArguments;
use crate::terminal::columns::{Align, columns, number};
use crate::terminal::console::Console;
use crate::terminal::progress;

#[derive(Serialize)]
struct PlannedLine<'a> {
    event: &'static str,
    claim: &'a str,
    layer_from: Option<usize>,
    layer: Option<usize>,
    step: u64,
    spread: f64,
    tolerance: f64,
    members: Option<usize>,
}

#[derive(Serialize)]
struct MembersLine {
    event: &'static str,
    members: Option<usize>,
    seconds_a_member: f64,
}

/// Trains a pilot in a temporary folder and prints what its claims take.
///
/// # Errors
/// As `run`.
pub(crate) fn execute(arguments: &PlanArguments, console: &Console) -> Result<Exit> {
    ConfigCommand::Plan.expect_read(&arguments.set, false)?;
    let experiment = config::load(arguments.config.as_deref(), &arguments.set)?;
    let options = RunOptions { data_dir: arguments.data_dir.clone(), ..RunOptions::default() };
    let stop = StopFlag::of_run().context("cannot listen for Ctrl-C")?;
    let monitor = progress::monitor(console);
    let plan = pilot(&experiment, arguments.members, &options, &stop, &*monitor);
    drop(monitor);
    match plan? {
        Some(plan) => {
            print(&plan, experiment.run.members, experiment.network.width, console)?;
            Ok(Exit::Done)
        }
        None => Ok(Exit::Interrupted),
    }
}

fn print(plan: &Plan, planned_members: usize, width: usize, console: &Console) -> Result<()> {
    let minutes = |members: usize| number(members as f64 * plan.seconds_a_member / 60.0, 2);
    let mut rows = vec![["claim", "layer", "step", "spread", "tolerance", "members"].map(str::to_owned)];
    for claim in &plan.claims {
        console.json(&PlannedLine {
            event: "planned",
            claim: &claim.claim,
            layer_from: claim.layer_from,
            layer: claim.layer,
            step: claim.step,
            spread: claim.spread,
            tolerance: claim.tolerance,
            members: claim.members,
        })?;
        let layer = claim.layer.map_or_else(String::new, |layer| layer.to_string());
        let layers = claim.layer_from.map_or_else(|| layer.clone(), |from| format!("{from}>{layer}"));
        let members = claim.members.map_or_else(|| "no number".to_owned(), |members| members.to_string());
        let remark = if claim.is_off { " (the pilot lies too far from theory)" } else { "" };
        let cells = [number(claim.spread, 2), number(claim.tolerance, 2)];
        let [spread, tolerance] = cells;
        rows.push([claim.claim.clone(), layers, claim.step.to_string(), spread, tolerance, members + remark]);
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right, left], &rows) {
        console.line(line)?;
    }
    console.detail(format_args!(
        "spread: of the difference from theory over members, from a pilot of {}; tolerance: how far it may lie, four standard errors included; \
         members: to agree in {:.0} % of runs while theory is right",
        plan.pilot,
        100.0 * DECIDED
    ))?;
    let seconds_a_member = plan.seconds_a_member;
    console.json(&MembersLine { event: "plan", members: plan.members, seconds_a_member })?;
    let Some(members) = plan.members else {
        return console.line("no number of members decides all claims: widen the network, raise claims.resolution, or require fewer claims");
    };
    console.line(format_args!(
        "{members} members decide all claims together in {:.0} % of runs: about {} CPU minutes ({planned_members} are configured: {})",
        100.0 * DECIDED,
        minutes(members),
        minutes(planned_members)
    ))?;
    if width > 0 {
        // Spreads fall as the root of the width, as long as corrections to infinite width are small.
        let at = |factor: f64| ((members as f64 / factor).ceil().max(2.0), factor * width as f64);
        let [(wider, double), (narrower, half)] = [at(2.0), at(0.5)];
        console.detail(format_args!(
            "by the rule that spreads fall as the root of the width: about {wider} members at width {double}, {narrower} at {half}"
        ))?;
    }
    if let Some(report) = &plan.power {
        console.line(format_args!("what {members} members would notice:"))?;
        power::print_power(report, console)?;
    }
    Ok(())
}
