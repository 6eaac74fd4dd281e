//! The folder of a run: what may be written into it, and how a stopped run is picked up.
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | the resolved configuration |
//! | `architecture.json` | the network as theory and training read it, gates as explicit matrices |
//! | `manifest.json` | what ran and how it ended |
//! | `results.csv` | every measured and predicted number |
//! | `training.csv` | loss and accuracy along training |
//! | `times.csv` | wall-clock seconds, the only file that two equal runs do not share |
//! | `kernels/*.npy` | infinite-width NNGP and NTK on the probe examples |
//! | `members/NNN/*.npy` | each member's kernels, moments and outputs at its first and last step |
//! | `members/NNN/weights.safetensors` | its weights after training, if `run.keep_weights` asks for them |
//! | `error_budget.csv`, `forecast.csv`, `explain/*` | why the run differs from theory, if `[explain]` asks for it |
//! | `members/NNN/weights_STEP.safetensors` | its weights at a probe step, if `run.keep_weights` asks for those |
//! | `checkpoint.safetensors` | only while unfinished |
//! | `figures/*.svg`, `report.html` | drawn from the files above |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::RunOptions;
use crate::explain;
use crate::record::atomic;
use crate::record::checkpoint::{self, ParameterSets, Position};
use crate::record::kill_point::kill_point;
use crate::record::lock::Lock;
use crate::record::manifest::{Manifest, Outcome};
use crate::session::Session;

/// What lies in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing of a run, or a run to make from its start.
    Nothing,
    /// A run to continue.
    Checkpoint,
    /// A run that has ended.
    Complete,
}

/// Files and folders that a run makes beside its manifest; nothing else is ever removed. The checkpoint comes first: without
/// it what is left is a run to make from its start.
const OURS: [&str; 13] = [
    checkpoint::FILE,
    "config.toml",
    "architecture.json",
    "results.csv",
    "training.csv",
    "times.csv",
    "kernels",
    explain::FOLDER,
    explain::BUDGET_FILE,
    explain::FORECAST_FILE,
    "members",
    "figures",
    "report.html",
];

/// Makes the folder and locks it, or says what stands in the way. Nothing in it is changed: a run that fails before its
/// first step leaves an earlier one as it was.
pub(super) fn open(folder: &Path, options: &RunOptions) -> Result<(Found, Lock)> {
    if folder.is_file() {
        bail!("the output {} is a file; give a folder with --output", folder.display());
    }
    let is_run = || folder.join(Manifest::FILE).is_file() || folder.join(checkpoint::FILE).is_file();
    if !is_run() && !is_empty(folder)? {
        bail!("{} holds files that are no run of this program; choose another --output", folder.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make the output folder {}", folder.display()))?;
    let lock = Lock::acquire(folder)?;
    let found = if is_run() && options.resume {
        unfinished(folder)?
    } else if is_run() && !options.force {
        bail!(
            "{} already holds a run; continue it with --resume, replace it with --force, or choose another --output",
            folder.display()
        );
    } else {
        Found::Nothing
    };
    Ok((found, lock))
}

/// Whether nothing lies there but what a run leaves that was killed before its manifest.
fn is_empty(folder: &Path) -> Result<bool> {
    let leavings = [".lock".to_owned(), format!(".{}.part", Manifest::FILE)];
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            Ok(entries.all(|entry| entry.is_ok_and(|e| leavings.iter().any(|name| e.file_name() == **name))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot read the output folder {}", folder.display())),
    }
}

/// Refuses to resume where no run was ever begun.
pub(super) fn expect_begun(folder: &Path) -> Result<()> {
    let is_begun = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    };
    if is_begun {
        return Ok(());
    }
    bail!(
        "--resume: there is no run in {} to go on with; begin one without --resume, or name the folder of a run with --output",
        folder.display()
    )
}

fn unfinished(folder: &Path) -> Result<Found> {
    if folder.join(checkpoint::FILE).is_file() {
        return Ok(Found::Checkpoint);
    }
    match Manifest::read(folder)?.outcome {
        // Killed before the first checkpoint: from the start.
        Outcome::Running | Outcome::Interrupted => Ok(Found::Nothing),
        _ => Ok(Found::Complete),
    }
}

/// Removes what an earlier run left, all but its manifest.
pub(super) fn clear(folder: &Path) -> Result<()> {
    OURS.iter().try_for_each(|name| {
        remove(&folder.join(name))?;
        kill_point("clear");
        Ok(())
    })
}

fn remove(path: &Path) -> Result<()> {
    let result = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Reads the checkpoint and holds it against the configuration.
pub(super) fn resume(folder: &Path, session: &Session<'_>) -> Result<(Position, ParameterSets)> {
    let device = session.data.train.inputs.device();
    let (position, sets) = checkpoint::read(&folder.join(checkpoint::FILE), &device)?;
    session.expect_same(&position, folder)?;
    Ok((position, sets))
}

/// Writes the resolved configuration.
pub(super) fn write_resolved(folder: &Path, session: &Session<'_>) -> Result<()> {
    atomic::write(&folder.join("config.toml"), session.config_text.as_bytes())?;
    let mut architecture = serde_json::to_vec(&session.architecture)?;
    architecture.push(b'\n');
    Ok(atomic::write(&folder.join("architecture.json"), &architecture)?)
}

/// Removes the weights that a member kept at or after `step`: those looks are still to come, or never will.
pub(super) fn clear_weights(member: &Path, step: u64) -> Result<()> {
    for entry in fs::read_dir(member).with_context(|| format!("cannot read {}", member.display()))? {
        let path = entry?.path();
        let kept = path.file_name().and_then(|name| checkpoint::step_of_weights_file(name.to_str()?));
        if kept.is_some_and(|kept| kept >= step) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// The run is over.
pub(super) fn remove_checkpoint(folder: &Path) -> Result<()> {
    remove(&folder.join(checkpoint::FILE))
}

/// Folder of one member's matrices.
pub(super) fn member(folder: &Path, member: usize) -> PathBuf {
    folder.join("members").join(format!("{member:03}"))
}
