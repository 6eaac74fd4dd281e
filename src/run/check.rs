//! The verdict of a run.

use std::path::Path;

use widthwise_statistics::judge::{RESOLVED, Sides};

use super::bundle::data_of;
use super::ensemble::{self, KernelSource};
use super::manifest_of;
use super::power::{Mutations, PowerReport, Rejudged, at};
use super::registration::expect_registered;
use crate::comparison::{claim_of, few_members, p_value, sides, tolerance};
use crate::config::{Checked, ControlConfig, load_recorded};
use crate::error::{Result, ensure};
use crate::prediction;
use crate::record::budget::{largest_parts, read_budget};
use crate::record::row::Row;
use crate::session::Session;
use crate::training::Outcome;
use crate::verdict::Verdict;

/// Every claim of a run with its row, and what they come to.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// Name of the claim and its row, required claims first.
    pub claims: Vec<(String, Row)>,
    /// Claims that decide.
    pub required: Vec<String>,
    /// Required claims for which there is no row to judge.
    pub missing: Vec<String>,
    /// How the run ended.
    pub outcome: Outcome,
    /// What the required claims come to.
    pub verdict: Verdict,
    /// That members are too few to reject much; why required claims are undecided, and what would decide them. One sentence each.
    pub remarks: Vec<String>,
    /// The largest part of the gap between the run and theory, in words; nothing where the run was not explained.
    pub reasons: Vec<String>,
}

/// Reads the verdict off the files of `folder`.
///
/// # Errors
/// No run there, or damaged files.
pub fn check(folder: &Path) -> Result<CheckReport> {
    let manifest = manifest_of(folder)?;
    let experiment = load_recorded(&folder.join("config.toml"))?;
    let rows = ensemble::read_rows(folder)?;
    let rows: Vec<Row> = rows.into_iter().filter(|row| row.members.contains("..")).collect();
    expect_registered(folder, &manifest, &experiment, &rows)?;
    let reasons = largest_parts(&read_budget(folder)?);
    Ok(CheckReport { reasons, ..report(rows, &experiment, manifest.outcome) })
}

/// Compares the members of `folder` once more, with theory altered by `control`. Nothing is written.
///
/// # Errors
/// As [`check`], or the data of the run are not to be found.
pub fn recheck(folder: &Path, control: &ControlConfig, data_dir: Option<&Path>) -> Result<CheckReport> {
    let manifest = manifest_of(folder)?;
    let mut experiment = load_recorded(&folder.join("config.toml"))?.into_inner();
    expect_registered(folder, &manifest, &experiment, &[])?;
    experiment.control = control.clone();
    let experiment = Checked::new(experiment)?;
    let session = Session::new(&experiment, data_of(folder, data_dir)?, burn::tensor::Device::flex())?;
    session.expect_data_of(&manifest, folder)?;
    ensure!(
        prediction::has_control(control, &session.architecture),
        "the control leaves theory as it is: a factor of 1, or no biases to drop; give one that is an error"
    );
    let theory = session.theory(manifest.learning_rate)?;
    let rows = ensemble::rows(folder, &session, &theory, KernelSource::ComparedAgain)?;
    Ok(report(rows, &experiment, manifest.outcome))
}

/// The chance with which the run in `folder` would have noticed each kind of error. Nothing is written.
///
/// # Errors
/// As [`recheck`].
pub fn power(folder: &Path, data_dir: Option<&Path>) -> Result<PowerReport> {
    rejudged(folder, data_dir, |rejudged, members| rejudged.power(members))
}

/// Every claim of the run in `folder` under every mistake. Nothing is written.
///
/// # Errors
/// As [`recheck`].
pub fn mutations(folder: &Path, data_dir: Option<&Path>) -> Result<Mutations> {
    rejudged(folder, data_dir, |rejudged, _| rejudged.mutations())
}

/// Hands a run and its number of members to `what`, with theory as it is.
fn rejudged<T>(
    folder: &Path,
    data_dir: Option<&Path>,
    what: impl FnOnce(&Rejudged<'_>, usize) -> Result<T>,
) -> Result<T> {
    let manifest = manifest_of(folder)?;
    let mut experiment = load_recorded(&folder.join("config.toml"))?.into_inner();
    expect_registered(folder, &manifest, &experiment, &[])?;
    experiment.control = ControlConfig::default();
    let experiment = Checked::new(experiment)?;
    let session = Session::new(&experiment, data_of(folder, data_dir)?, burn::tensor::Device::flex())?;
    session.expect_data_of(&manifest, folder)?;
    what(&Rejudged::new(folder, &session, manifest.learning_rate), experiment.run.members)
}

/// What the required claims that are undecided lack.
fn undecided(rows: &[Row], steps: &[u64], experiment: &Checked) -> Vec<String> {
    let members = experiment.run.members as f64;
    let sentence = |row: &Row| -> Option<String> {
        let claim = claim_of(row, steps).filter(|claim| experiment.claims.required.iter().any(|name| name == claim))?;
        let (Some(Verdict::Undecided), tolerance) = (row.verdict, tolerance(row, rows, &experiment.claims)?) else {
            return None;
        };
        let place = at(claim, row);
        let Some(std_error) = row.std_error.filter(|_| row.z.is_some()) else {
            return Some(format!(
                "{place}: its members differ by no more than round-off, and say nothing of its error"
            ));
        };
        let room = match sides(row) {
            Sides::Two => tolerance,
            Sides::Upper => row.predicted? - row.measured?,
        };
        // So many that four standard errors are half of what is allowed.
        let enough = (members * (2.0 * RESOLVED * std_error / room).powi(2)).ceil();
        Some(if RESOLVED * std_error > room && room > 0.0 {
            format!(
                "{place} could not have agreed: four standard errors are {:.2e}, and it may lie {room:.2e} from theory; about {enough} members \
                 would decide it",
                RESOLVED * std_error
            )
        } else {
            format!("{place} lies too far from theory to agree and too near to be rejected; more members would tell")
        })
    };
    rows.iter().filter_map(sentence).collect()
}

pub(super) fn report(rows: Vec<Row>, experiment: &Checked, outcome: Outcome) -> CheckReport {
    let mut steps: Vec<u64> = rows.iter().map(|row| row.step).collect();
    steps.sort_unstable();
    steps.dedup();
    let tested = rows.iter().filter(|row| claim_of(row, &steps).is_some() && p_value(row).is_some()).count();
    let few = few_members(experiment.run.members, tested, experiment.claims.significance).filter(|_| tested > 0);
    let remarks = few.into_iter().chain(undecided(&rows, &steps, experiment)).collect();
    let named = rows.into_iter().filter_map(|row| Some((claim_of(&row, &steps)?.to_owned(), row)));
    let mut claims: Vec<(String, Row)> = named.collect();
    let required = experiment.claims.required.clone();
    let is_required = |name: &String| required.contains(name);
    claims.sort_by_key(|(name, _)| !is_required(name));
    let missing: Vec<String> =
        required.iter().filter(|name| !claims.iter().any(|(found, _)| found == *name)).cloned().collect();
    let verdicts = claims.iter().filter(|(name, _)| is_required(name)).filter_map(|(_, row)| row.verdict);
    // Members cut off by the clock ended at different steps: what they agree on is not what was asked.
    let is_complete = matches!(outcome, Outcome::Finished | Outcome::LossReached);
    let verdict = match Verdict::of_all(verdicts) {
        _ if outcome == Outcome::Diverged => Verdict::Disagrees,
        Verdict::Agrees if !is_complete || !missing.is_empty() => Verdict::Undecided,
        verdict => verdict,
    };
    CheckReport { claims, required, missing, outcome, verdict, remarks, reasons: Vec::new() }
}
