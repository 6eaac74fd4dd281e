//! Explaining a run that has ended.

use std::path::Path;

use super::check::{CheckReport, check};
use super::manifest_of;
use crate::config::{Checked, ExplainConfig, load_recorded};
use crate::ensemble::{Ended, Job};
use crate::error::{Result, bail};
use crate::explain::{expect_explainable, explain_members};
use crate::record::lock::Lock;
use crate::report::write_report;
use crate::session::{self, DataSource, Session};
use crate::training::Outcome;

/// Splits the gap of the first members of the run in `folder` into parts, as `change` makes the settings of its configuration, and
/// draws its report again. Calling again goes on with the members that are left; the verdict comes with the last of them.
///
/// # Errors
/// No run there or one that has not ended, data that are not to be found, a gap that cannot be split, or a failure to write.
pub fn explain(
    folder: &Path,
    change: impl FnOnce(&mut ExplainConfig),
    data_dir: Option<&Path>,
    job: &Job<'_>,
) -> Result<(Ended, Option<CheckReport>)> {
    let manifest = manifest_of(folder)?;
    if matches!(manifest.outcome, Outcome::Running | Outcome::Interrupted) {
        bail!("the run in {} has not ended; finish it with `widthwise run ... --resume` first", folder.display());
    }
    let _lock = Lock::take(folder, job.shard.is_whole())?;
    let mut experiment = load_recorded(&folder.join("config.toml"))?.into_inner();
    change(&mut experiment.explain);
    // "All of them" is no number that a configuration could hold.
    experiment.explain.members = experiment.explain.members.min(experiment.run.members);
    let experiment = Checked::new(experiment)?;
    let session = Session::new(&experiment, DataSource::Named(data_dir), session::device(&experiment)?)?;
    session.expect_data_of(&manifest, folder)?;
    expect_explainable(&session)?;
    let ended = explain_members(&session, folder, manifest.learning_rate, job)?;
    if ended != Ended::Complete {
        return Ok((ended, None));
    }
    let _turn = Lock::turn(folder)?;
    write_report(folder)?;
    Ok((ended, Some(check(folder)?)))
}
