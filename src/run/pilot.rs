//! How many members a verdict takes, from a few of them.
//!
//! The spread of a claim over the members of a pilot says how its standard error falls with their number; with that, the chance that the claim
//! agrees while theory is right is that of an error small enough and a difference no larger than what is left of the tolerance.

use std::time::Instant;

use widthwise_statistics::judge::Sides;

use super::power::{PowerReport, Rejudged};
use super::{RunOptions, run};
use crate::comparison::{claim_of, law, member_count, sides, tolerance};
use crate::config::{Checked, ControlConfig};
use crate::error::{Result, ensure};
use crate::monitor::Monitor;
use crate::record::manifest::Manifest;
use crate::session::{DataSource, Session};
use crate::signals::StopFlag;

/// Chance that all required claims agree while theory is right, which a plan asks for.
pub const DECIDED: f64 = 0.98;

/// Most members that are planned for.
const MOST: usize = 1 << 20;

/// What one claim takes.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedClaim {
    /// Its name.
    pub claim: String,
    /// Earlier layer of a pair.
    pub layer_from: Option<usize>,
    /// Layer.
    pub layer: Option<usize>,
    /// Step at which it is measured.
    pub step: u64,
    /// Standard deviation of its difference over members.
    pub spread: f64,
    /// How far it may lie from its prediction, four standard errors included.
    pub tolerance: f64,
    /// Members with which it agrees in [`DECIDED`] of all runs, the other claims left aside; `None` beyond a million.
    pub members: Option<usize>,
    /// Whether the pilot lies so far from theory that more members will not make it agree.
    pub is_off: bool,
}

/// What an experiment takes to be decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Members of the pilot.
    pub pilot: usize,
    /// Seconds of all processors that one of them took.
    pub seconds_a_member: f64,
    /// Claims that decide, or all where none does.
    pub claims: Vec<PlannedClaim>,
    /// Members with which all of them agree in [`DECIDED`] of all runs; `None` beyond a million.
    pub members: Option<usize>,
    /// What that many members would notice.
    pub power: Option<PowerReport>,
}

/// Trains a pilot of `experiment` and says how many members its claims take.
///
/// # Errors
/// As [`run`]; a pilot whose networks diverge, or that has no claim.
pub fn pilot(
    experiment: &Checked,
    members: usize,
    options: &RunOptions,
    stop: &StopFlag,
    monitor: &dyn Monitor,
) -> Result<Option<Plan>> {
    let mut small = Checked::clone(experiment).into_inner();
    small.run.members = members;
    small.control = ControlConfig::default();
    let small = Checked::new(small)?;
    let folder = std::env::temp_dir().join(format!("widthwise-pilot-{}", std::process::id()));
    let place = RunOptions { output: Some(folder.clone()), force: true, ..options.clone() };
    let found = measured(&small, &place, stop, monitor);
    // What is left of a pilot is of no use, and in nobody's way.
    let _ = std::fs::remove_dir_all(&folder);
    found
}

fn measured(
    experiment: &Checked,
    options: &RunOptions,
    stop: &StopFlag,
    monitor: &dyn Monitor,
) -> Result<Option<Plan>> {
    let (start, before) = (Instant::now(), crate::bench::processor_s());
    let summary = run(experiment, options, stop, monitor)?;
    let spent = crate::bench::processor_s().zip(before).map(|(after, before)| after - before);
    let spent = spent.unwrap_or_else(|| start.elapsed().as_secs_f64());
    let Some(check) = summary.check else { return Ok(None) };
    let members = experiment.run.members;
    let session =
        Session::new(experiment, DataSource::Named(options.data_dir.as_deref()), crate::session::device(experiment)?)?;
    let rejudged = Rejudged::new(&summary.folder, &session, Manifest::read(&summary.folder)?.learning_rate);
    let rows = rejudged.rows(&ControlConfig::default())?;
    let decides = |name: &str| check.required.is_empty() || check.required.iter().any(|required| required == name);
    let mut steps: Vec<u64> = rows.iter().map(|row| row.step).collect();
    steps.sort_unstable();
    steps.dedup();
    let mut planned = Vec::new();
    let mut chances: Vec<Chance> = Vec::new();
    for row in &rows {
        let Some(claim) = claim_of(row, &steps).filter(|claim| decides(claim)) else { continue };
        let known = (row.std_error, tolerance(row, &rows, &experiment.claims), law(row), member_count(row));
        let (Some(std_error), Some(tolerance), Some(law), Some(count)) = known else { continue };
        let spread = std_error * (count as f64).sqrt();
        let sides = sides(row);
        let off = row.measured.zip(row.predicted).map_or(0.0, |(measured, predicted)| measured - predicted);
        let room = match sides {
            Sides::Two => tolerance,
            Sides::Upper => -off,
        };
        let is_off = match sides {
            Sides::Two => off.abs() - 2.0 * std_error > tolerance,
            Sides::Upper => off - 2.0 * std_error > 0.0,
        };
        let chance: Chance =
            Box::new(move |n: usize| law.of_as_many(n, members).agreement(room * (n as f64).sqrt() / spread, sides));
        planned.push(PlannedClaim {
            claim: claim.to_owned(),
            layer_from: row.layer_from,
            layer: row.layer,
            step: row.step,
            spread,
            tolerance: room,
            members: fewest(|n| chance(n) >= DECIDED),
            is_off,
        });
        chances.push(chance);
    }
    ensure!(
        !planned.is_empty(),
        "no claim of this experiment has a prediction and an error, so no number of members decides anything; name some in claims.required"
    );
    let all = |n: usize| chances.iter().map(|chance| 1.0 - chance(n)).sum::<f64>() <= 1.0 - DECIDED;
    let needed = fewest(all);
    let power = needed.map(|needed| rejudged.power(needed)).transpose()?;
    let seconds_a_member = spent / members as f64;
    Ok(Some(Plan { pilot: members, seconds_a_member, claims: planned, members: needed, power }))
}

/// The chance of a claim to agree with so many members.
type Chance = Box<dyn Fn(usize) -> f64>;

/// The fewest members, two or more, with which something that more of them only make better is so.
fn fewest(is_enough: impl Fn(usize) -> bool) -> Option<usize> {
    let mut high = 2;
    while !is_enough(high) {
        if high >= MOST {
            return None;
        }
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if is_enough(middle) { high = middle } else { low = middle }
    }
    Some(high.max(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_members_are_found() {
        for needed in [2, 3, 7, 64, 1000] {
            assert_eq!(fewest(|n| n >= needed), Some(needed));
        }
        assert_eq!(fewest(|_| false), None);
        assert_eq!(fewest(|_| true), Some(2));
    }
}
