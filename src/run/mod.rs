//! A run from its configuration to its report: data, network, theory, members, comparison.

mod bundle;
mod check;
#[cfg(test)]
mod damaged;
mod ensemble;
mod explain;
mod folder;
mod judge_again;
mod members;
mod pilot;
mod plan;
pub mod power;
mod recorder;
mod registration;
mod shape;
pub mod simulation;

use std::path::{Path, PathBuf};

use crate::config::Checked;
use crate::ensemble::{Ended, Job, Shard, Study};
use crate::error::{Error, Result, ensure};
use crate::explain::{expect_explainable, explain_members};
use crate::monitor::{Monitor, Stage};
use crate::prediction::Theory;
use crate::record::kill_point::kill_point;
use crate::record::lock::Lock;
use crate::record::manifest::{Manifest, MemberOutcome};
use crate::record::npy;
use crate::report::write_report;
use crate::session::{self, DataSource, Session};
use crate::signals::{StepGuard, StopFlag};
use crate::training::{self, Outcome, deadline};
use folder::FolderState;
use members::Members;

pub use bundle::{BundleOptions, BundleSummary, BundledData, OpenedRun, bundle};
pub use check::{CheckReport, check, mutations, power, recheck};
pub use explain::explain;
pub use judge_again::judge_again;
pub use pilot::{DECIDED, Plan, PlannedClaim, pilot};
pub use plan::{DryRun, plan};
pub use registration::registered;

/// What the command line says about a run next to its configuration; none of it changes a result.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Folder of the results instead of the configured one.
    pub output: Option<PathBuf>,
    /// Folder of the data sets.
    pub data_dir: Option<PathBuf>,
    /// Continue an unfinished run.
    pub resume: bool,
    /// Replace an existing run.
    pub force: bool,
    /// Which part of the members is trained here. Those who share a run go on with what is there.
    pub shard: Shard,
}

/// What a run came to.
#[derive(Debug)]
pub struct RunSummary {
    /// Where its files are.
    pub folder: PathBuf,
    /// How it ended.
    pub end: RunEnd,
    /// The comparison; `None` before all members are there.
    pub check: Option<CheckReport>,
}

impl RunSummary {
    /// How the run stands: running as long as members of other shards are missing.
    pub fn outcome(&self) -> Outcome {
        match &self.end {
            RunEnd::Ended(outcome) => outcome.clone(),
            RunEnd::Unfinished { .. } => Outcome::Running,
        }
    }
}

/// How a process ended its part of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// With the run, or with a stop.
    Ended(Outcome),
    /// With its shard, while others are missing.
    Unfinished {
        /// Members that are there.
        done: usize,
        /// Members of the run.
        all: usize,
    },
}

/// Runs `experiment` to its end, or this shard's part of it, or until `stop` is raised.
///
/// # Errors
/// An output folder in use, data that cannot be read, shapes that do not fit, a device that is not there, a full disk.
pub fn run(experiment: &Checked, options: &RunOptions, stop: &StopFlag, monitor: &dyn Monitor) -> Result<RunSummary> {
    let folder = options.output.clone().unwrap_or_else(|| experiment.run.output_folder());
    if options.resume {
        folder::expect_begun(&folder)?;
    }
    let (_lock, found) = folder::open(&folder, options)?;
    if found != FolderState::Nothing
        && let Ok(manifest) = Manifest::read(&folder)
    {
        session::expect_same_config(&manifest.config_hash, experiment, &folder)?;
    }
    if found == FolderState::Complete {
        let _turn = Lock::turn(&folder)?;
        end(&folder)?;
        monitor.note("this run is complete; nothing to resume");
        let check = check(&folder)?;
        return Ok(RunSummary { folder, end: RunEnd::Ended(check.outcome.clone()), check: Some(check) });
    }
    let device = session::device(experiment)?;
    let session = Session::new(experiment, DataSource::Named(options.data_dir.as_deref()), device)?;
    session.expect_memory()?;
    monitor.note(&format!("data: {}", session.dataset_source));
    expect_explainable(&session)?;
    let learning_rate = match found {
        FolderState::Begun => folder::resumed(&folder, &session)?.learning_rate,
        _ => session.learning_rate(&session.architecture)?,
    };
    let theory = session.theory(learning_rate)?;
    // This works everything out: members side by side find it there.
    let remarks = theory.remarks()?;
    for remark in &remarks {
        monitor.note(&format!("theory: {remark}"));
    }
    let job = Job { shard: options.shard, stop, monitor };
    let plan = training::TrainingPlan {
        checkpoint_every: experiment.run.checkpoint_every,
        deadline: deadline(experiment.training.stop.wall_time_s),
        ..session.training_plan()
    };
    let members = Members { folder: &folder, session: &session, theory: &theory, learning_rate, plan, job };
    let registration = registration::registration(&session);
    monitor.note(&format!("registration: SHA-256 {}", registration.hash()));
    let manifest = |registered: &Option<String>, outcome: Outcome, members: Vec<MemberOutcome>| {
        let manifest = session.manifest(outcome, members, learning_rate, &remarks);
        Manifest { registration: registered.clone(), ..manifest }.write(&folder)
    };
    // From here on a stop leaves a checkpoint; before, there is nothing to keep.
    let _steps = StepGuard::begin();
    let registered = {
        let _turn = Lock::turn(&folder)?;
        // Another process may have begun the run meanwhile.
        let found = folder::found(&folder, options)?;
        let registered = match found {
            FolderState::Nothing => {
                folder::forget(&folder)?;
                Some(registration.hash())
            }
            FolderState::Begun | FolderState::Complete => {
                let manifest = folder::resumed(&folder, &session)?;
                let begun = manifest.learning_rate;
                ensure!(
                    begun == learning_rate,
                    "{} was begun meanwhile at the learning rate {begun}, and here it comes to {learning_rate}: processors round \
                     differently; give the command again, and it takes that of the run",
                    folder.display()
                );
                registration::gone_on_with(&folder, &manifest, &registration)?
            }
        };
        if found != FolderState::Complete {
            manifest(&registered, Outcome::Running, Vec::new())?;
            if found == FolderState::Nothing {
                folder::clear(&folder)?;
                registration.write(&folder)?;
            }
            folder::write_resolved(&folder, &session)?;
            save_kernels(&folder, &theory)?;
        }
        registered
    };
    if options.resume && !(0..members.members()).any(|member| folder::has_begun(&folder, member)) {
        monitor.note(&format!("{} holds no checkpoint yet: the run starts from its beginning", folder.display()));
    }
    let trained = job.run(&members, Stage::networks("training", Some(session.last_step)))?;
    let ended = match trained {
        Ended::Interrupted => Ended::Interrupted,
        // An explanation needs nothing of what was trained.
        trained => trained.and(explain_members(&session, &folder, learning_rate, &job)?),
    };
    let outcomes =
        || (0..members.members()).filter_map(|member| Some(members.end(member)?.outcome)).collect::<Vec<_>>();
    match ended {
        Ended::Interrupted => {
            let _turn = Lock::turn(&folder)?;
            // Others may have come to the end with what this process was still to do.
            if !folder::is_over(&folder) {
                folder::put_together(&folder, members.members())?;
                manifest(&registered, Outcome::Interrupted, outcomes())?;
            }
            Ok(RunSummary { folder, end: RunEnd::Ended(Outcome::Interrupted), check: None })
        }
        Ended::Unfinished { done, all } => {
            Ok(RunSummary { folder, end: RunEnd::Unfinished { done, all }, check: None })
        }
        Ended::Complete => {
            let _turn = Lock::turn(&folder)?;
            if folder::found(&folder, options)? != FolderState::Complete {
                monitor.finished();
                folder::put_together(&folder, members.members())?;
                let rows = ensemble::rows(&folder, &session, &theory, ensemble::KernelSource::AsRecorded)?;
                folder::append_results(&folder, &rows)?;
                let outcomes = outcomes();
                manifest(&registered, overall(&outcomes), outcomes)?;
            }
            end(&folder)?;
            let check = check(&folder)?;
            Ok(RunSummary { folder, end: RunEnd::Ended(check.outcome.clone()), check: Some(check) })
        }
    }
}

/// Draws the report of a run whose verdict is written and removes what only an unfinished run has, where it has any.
fn end(folder: &Path) -> Result<()> {
    if !folder::has_parts(folder) {
        return Ok(());
    }
    write_report(folder).map_err(|error| Error::Context {
        sentence: "the run is complete, its report is not; draw it again with `widthwise report`".to_owned(),
        source: Box::new(error.into()),
    })?;
    kill_point("before_end");
    folder::remove_parts(folder)
}

/// Writes the infinite-width kernels on the probe examples.
fn save_kernels(folder: &Path, theory: &Theory<'_>) -> Result<()> {
    let Some(kernels) = theory.kernels()? else { return Ok(()) };
    let own = folder.join(folder::KERNELS);
    std::fs::create_dir_all(&own)?;
    npy::write(&own.join("nngp_infinite.npy"), &kernels.nngp)?;
    Ok(npy::write(&own.join("ntk_infinite.npy"), &kernels.ntk)?)
}

/// The worst outcome of a member.
fn overall(members: &[MemberOutcome]) -> Outcome {
    let worst_first = [Outcome::Diverged, Outcome::WallTime, Outcome::LossReached];
    let occurs = |outcome: &Outcome| members.iter().any(|member| member.outcome == *outcome);
    worst_first.into_iter().find(occurs).unwrap_or(Outcome::Finished)
}

/// Reads the manifest of a run's folder.
fn manifest_of(folder: &std::path::Path) -> Result<Manifest> {
    Ok(Manifest::read(folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ended_as_its_worst_member_did() {
        let member = |outcome: &Outcome| MemberOutcome { member: 0, step: 1, outcome: outcome.clone() };
        let run = |outcomes: &[Outcome]| overall(&outcomes.iter().map(member).collect::<Vec<_>>());
        assert_eq!(run(&[Outcome::Finished, Outcome::Finished]), Outcome::Finished);
        assert_eq!(run(&[Outcome::Finished, Outcome::WallTime]), Outcome::WallTime);
        assert_eq!(run(&[Outcome::Finished, Outcome::WallTime, Outcome::Diverged]), Outcome::Diverged);
    }
}
