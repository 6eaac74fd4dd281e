//! The verdicts of a run made once more from what its members measured.

use std::path::Path;

use burn::tensor::Device;

use super::bundle::data_of;
use super::check::{CheckReport, check, report};
use super::ensemble::{KernelSource, rows};
use crate::config::load_recorded;
use crate::error::{Result, bail};
use crate::record::manifest::Manifest;
use crate::record::row::Row;
use crate::session::Session;

/// Works out theory for the run in `folder` again, compares its members with it and judges them as the run did. Nothing is trained and
/// nothing written.
///
/// # Errors
/// As [`check`], data that are not found, or a verdict that is not the one recorded.
pub fn judge_again(folder: &Path, data_dir: Option<&Path>) -> Result<CheckReport> {
    let recorded = check(folder)?;
    let manifest = Manifest::read(folder)?;
    let experiment = load_recorded(&folder.join("config.toml"))?;
    let session = Session::new(&experiment, data_of(folder, data_dir)?, Device::flex())?;
    session.expect_data_of(&manifest, folder)?;
    let theory = session.theory(manifest.learning_rate)?;
    let rows = rows(folder, &session, &theory, KernelSource::AsRecorded)?;
    let again = CheckReport { reasons: recorded.reasons.clone(), ..report(rows, &experiment, manifest.outcome) };
    expect_equal(folder, &recorded, &again)?;
    Ok(again)
}

/// Refuses verdicts that are not those recorded. Numbers may differ in their last digits, as processors round differently.
fn expect_equal(folder: &Path, recorded: &CheckReport, again: &CheckReport) -> Result<()> {
    let place = |row: &Row| (row.quantity.clone(), row.step, row.layer_from, row.layer);
    let differs = |(claim, row): &&(String, Row)| {
        let same = again.claims.iter().find(|(name, other)| name == claim && place(other) == place(row));
        same.is_none_or(|(_, other)| other.verdict != row.verdict)
    };
    let Some((claim, row)) = recorded.claims.iter().find(differs) else {
        if recorded.claims.len() == again.claims.len() {
            return Ok(());
        }
        bail!(
            damaged: "results.csv of {} records {} claims, and its members give {}; make the run again",
            folder.display(),
            recorded.claims.len(),
            again.claims.len()
        );
    };
    let layer = row.layer.map_or_else(String::new, |layer| format!(" of layer {layer}"));
    bail!(
        damaged: "results.csv of {} records another verdict about {claim}{layer} at step {} than its members give now: it was changed, \
                  judged by another version, or lies so near an edge that the rounding of this processor decides; make the run again",
        folder.display(),
        row.step
    )
}
