//! A run from its configuration to its report: data, network, theory, members, comparison.

mod check;
#[cfg(test)]
mod damaged;
mod ensemble;
mod explain;
mod folder;
mod plan;
mod recorder;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{DType, Tensor};
use faer::Mat;
use widthwise_probes::to_matrix;

use crate::config::{Anchor, Checked};
use crate::explain::{expect_explainable, explain_members};
use crate::monitor::Monitor;
use crate::network::{Network, Parameters};
use crate::record::checkpoint::{self, Position};
use crate::record::kill_point::kill_point;
use crate::record::manifest::{Manifest, MemberOutcome, Outcome};
use crate::report::write_report;
use crate::session::{self, Session};
use crate::signals::{StepGuard, StopFlag};
use crate::training::batches::Batches;
use crate::training::optimizer::{OptimizerState, Updater};
use crate::training::{Course, Member, deadline, train};
use recorder::Recorder;

pub use check::{CheckReport, check, recheck};
pub use explain::explain;
pub use plan::{Plan, plan};

/// What the command line says about a run beside its configuration; none of it changes a result.
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
}

/// What a run came to.
#[derive(Debug)]
pub struct RunSummary {
    /// Where its files are.
    pub folder: PathBuf,
    /// How it ended.
    pub outcome: Outcome,
    /// The comparison; `None` when interrupted.
    pub check: Option<CheckReport>,
}

/// Runs `experiment` to its end, or until `stop` is raised.
///
/// # Errors
/// An output folder in use, data that cannot be read, shapes that do not fit, a device that is not there, a full disk.
pub fn run(experiment: &Checked, options: &RunOptions, stop: &StopFlag, monitor: &dyn Monitor) -> Result<RunSummary> {
    let folder = options.output.clone().unwrap_or_else(|| experiment.run.output_folder());
    if options.resume {
        folder::expect_begun(&folder)?;
    }
    let (found, _lock) = folder::open(&folder, options)?;
    if options.resume
        && let Ok(manifest) = Manifest::read(&folder)
    {
        session::expect_same_config(&manifest.config_hash, experiment, &folder)?;
    }
    if options.resume && found == folder::Found::Nothing {
        monitor.note(&format!("{} holds no checkpoint yet: the run starts from its beginning", folder.display()));
    }
    if found == folder::Found::Complete {
        monitor.note("this run is complete; nothing to resume");
        let check = check(&folder)?;
        return Ok(RunSummary { folder, outcome: check.outcome.clone(), check: Some(check) });
    }
    let device = session::device(experiment)?;
    let session = Session::new(experiment, options.data_dir.as_deref(), device)?;
    session.expect_memory()?;
    monitor.note(&format!("data: {}", session.dataset_source));
    let (mut position, mut sets) = match found {
        folder::Found::Checkpoint => folder::resume(&folder, &session)?,
        _ => (session.start(), Vec::new()),
    };
    kill_point("resume");
    expect_explainable(&session)?;
    let learning_rate = match position.learning_rate {
        Some(rate) => rate,
        None => session.resolve_learning_rate()?,
    };
    position.learning_rate = Some(learning_rate);
    let theory = session.theory(learning_rate)?;
    for remark in &theory.remarks {
        monitor.note(&format!("theory: {remark}"));
    }
    let manifest = |outcome: Outcome, position: &Position| session.manifest(outcome, position, learning_rate, &theory);
    // From here on a stop leaves a checkpoint; before, there is nothing to keep.
    let _steps = StepGuard::begin();
    manifest(Outcome::Running, &position).write(&folder)?;
    if found == folder::Found::Nothing {
        folder::clear(&folder)?;
    }
    folder::write_resolved(&folder, &session)?;

    let members = experiment.run.members;
    let done = (position.member as u64).saturating_mul(session.last_step).saturating_add(position.step);
    monitor.started(members, session.last_step, done);
    let mut recorder = Recorder::open(&folder, &session, &theory, position, stop, monitor)?;
    recorder.save_kernels()?;
    let run_deadline = deadline(experiment.training.stop.wall_time_s);
    while recorder.position().member < members {
        let number = recorder.position().member;
        let fresh = session.network(number)?;
        let (mut member, previous_ntk) =
            restored(&session, fresh.clone(), recorder.position(), std::mem::take(&mut sets))?;
        let anchors_at_init = experiment.training.l2.strength > 0.0 && experiment.training.l2.toward == Anchor::Init;
        let course = Course {
            config: &experiment.training,
            data: &session.data,
            updater: Updater {
                optimizer: experiment.training.optimizer,
                learning_rate,
                l2: experiment.training.l2,
                anchor: anchors_at_init.then(|| fresh.parameters.clone()),
            },
            last_step: session.last_step,
            seed: experiment.run.seed,
            probe_steps: &session.probe_steps,
            checkpoint_every: experiment.run.checkpoint_every,
            deadline: run_deadline,
        };
        let batches =
            Batches::new(experiment.run.seed, number, session.prepared.train.n, experiment.training.batch_size);
        recorder.begin(&member, fresh.parameters, previous_ntk)?;
        let outcome = train(&mut member, &course, batches, &mut recorder)?;
        if outcome == Outcome::Interrupted {
            manifest(Outcome::Interrupted, recorder.position()).write(&folder)?;
            return Ok(RunSummary { folder, outcome, check: None });
        }
        recorder.end(&member, outcome)?;
    }
    monitor.finished();
    if !explain_members(&session, &folder, learning_rate, stop, monitor)? {
        manifest(Outcome::Interrupted, recorder.position()).write(&folder)?;
        return Ok(RunSummary { folder, outcome: Outcome::Interrupted, check: None });
    }

    let outcome = overall(&recorder.position().member_outcomes);
    let rows = ensemble::rows(&folder, &session, &theory, ensemble::Kernels::AsRecorded)?;
    recorder.append(&rows)?;
    manifest(outcome.clone(), recorder.position()).write(&folder)?;
    write_report(&folder).context("the run is complete, its report is not; draw it again with `widthwise report`")?;
    kill_point("before_end");
    folder::remove_checkpoint(&folder)?;
    let check = check(&folder)?;
    Ok(RunSummary { folder, outcome, check: Some(check) })
}

/// The member that `position` speaks of, fresh or as its checkpoint left it, and the kernel of its last look.
fn restored(
    session: &Session,
    mut network: Network,
    position: &Position,
    sets: checkpoint::ParameterSets,
) -> Result<(Member, Option<Mat<f64>>)> {
    let optimizer = session.experiment.training.optimizer;
    let mut state = OptimizerState::new(optimizer, &network.parameters);
    let mut previous_ntk = None;
    if position.step > 0 {
        let mut moments = Vec::new();
        let mut parameters = None;
        for (name, set) in sets {
            if name == checkpoint::PREVIOUS_NTK {
                previous_ntk = set.into_iter().next().map(|ntk| to_matrix(ntk.weight));
                continue;
            }
            if set.len() != network.parameters.len() {
                bail!(
                    "the checkpoint has {} weight layers where the network has {}",
                    set.len(),
                    network.parameters.len()
                );
            }
            expect_fit(&name, &set, &network.parameters)?;
            if name == "parameters" { parameters = Some(set) } else { moments.push(set) }
        }
        network.parameters = parameters.context("the checkpoint has no parameters; start again with --force")?;
        if moments.len() != state.moments.len() {
            bail!("the checkpoint has {} optimizer moments, the optimizer {}", moments.len(), state.moments.len());
        }
        state.moments = moments;
    }
    Ok((Member { member: position.member, step: position.step, network, state }, previous_ntk))
}

/// Refuses a set of the checkpoint whose tensors are not of the shapes and type of the network's.
fn expect_fit(name: &str, set: &[Parameters], network: &[Parameters]) -> Result<()> {
    for (layer, (found, expected)) in (1..).zip(set.iter().zip(network)) {
        let of = |parameters: &Parameters| {
            let form = |tensor: &Tensor<2>| (tensor.dims(), tensor.dtype());
            [Some(form(&parameters.weight)), parameters.bias.as_ref().map(form)]
        };
        for (what, (found, expected)) in ["weight", "bias"].into_iter().zip(of(found).into_iter().zip(of(expected))) {
            let form = |form: Option<([usize; 2], DType)>| {
                form.map_or("not there".to_owned(), |(dims, dtype)| format!("{dims:?} of {dtype:?}"))
            };
            ensure!(
                found == expected,
                "{name}.{layer}.{what} of the checkpoint is {}, where the network needs {}; start again with --force",
                form(found),
                form(expected)
            );
        }
    }
    Ok(())
}

/// The worst that befell a member.
fn overall(members: &[MemberOutcome]) -> Outcome {
    let worst_first = [Outcome::Diverged, Outcome::WallTime, Outcome::LossReached];
    let befell = |outcome: &Outcome| members.iter().any(|member| member.outcome == *outcome);
    worst_first.into_iter().find(befell).unwrap_or(Outcome::Finished)
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
