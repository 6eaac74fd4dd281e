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
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::RunOptions;
use crate::explain;
use crate::record::atomic;
use crate::record::checkpoint::{self, ParameterSets, Position};
use crate::record::folder::{is_free, remove_file, remove_own};
use crate::record::kill_point::kill_point;
use crate::record::lock::Lock;
use crate::record::manifest::{Manifest, Outcome};
use crate::report;
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
    KERNELS,
    explain::FOLDER,
    explain::BUDGET_FILE,
    explain::FORECAST_FILE,
    MEMBERS,
    report::FIGURES,
    "report.html",
];

const KERNELS: &str = "kernels";
const MEMBERS: &str = "members";

/// Whether a run makes a file of this path in one of its folders.
fn is_own(folder: &str, path: &str) -> bool {
    match folder {
        KERNELS => matches!(path, "nngp_infinite.npy" | "ntk_infinite.npy"),
        explain::FOLDER => explain::is_own(path),
        report::FIGURES => report::is_figure(path),
        MEMBERS => path.split_once('/').is_some_and(|(member, file)| {
            let is_matrix = ["_initial.npy", "_final.npy"].iter().any(|ending| file.ends_with(ending));
            let is_weights = file == checkpoint::WEIGHTS_FILE || checkpoint::step_of_weights_file(file).is_some();
            member.parse::<usize>().is_ok() && !file.contains('/') && (is_matrix || is_weights)
        }),
        _ => false,
    }
}

/// Makes the folder and locks it, or says what stands in the way. Nothing in it is changed: a run that fails before its
/// first step leaves an earlier one as it was.
pub(super) fn open(folder: &Path, options: &RunOptions) -> Result<(Found, Lock)> {
    if folder.is_file() {
        bail!("the output {} is a file; give a folder with --output", folder.display());
    }
    let is_run = || folder.join(Manifest::FILE).is_file() || folder.join(checkpoint::FILE).is_file();
    if is_run() {
        expect_own(folder)?;
    } else if !is_free(folder).with_context(|| format!("cannot read the output folder {}", folder.display()))? {
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

/// Sees to it that a run of this program made what lies there: its name alone makes no file ours.
fn expect_own(folder: &Path) -> Result<()> {
    let Err(error) = Manifest::recognize(folder) else { return Ok(()) };
    if checkpoint::is_checkpoint(&folder.join(checkpoint::FILE)) {
        return Ok(());
    }
    let shown = folder.display();
    bail!("{shown} holds files that are no run of this program ({error}); choose another --output")
}

/// Refuses to resume where no run was ever begun.
pub(super) fn expect_begun(folder: &Path) -> Result<()> {
    let is_begun = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
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
        let path = folder.join(name);
        if path.is_dir() {
            remove_own(&path, &|file| is_own(name, file))?;
        } else {
            remove_file(&path)?;
            remove_file(&atomic::part_of(&path))?;
        }
        kill_point("clear");
        Ok(())
    })
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
            remove_file(&path)?;
        }
    }
    Ok(())
}

/// The run is over.
pub(super) fn remove_checkpoint(folder: &Path) -> Result<()> {
    Ok(remove_file(&folder.join(checkpoint::FILE))?)
}

/// Folder of one member's matrices.
pub(super) fn member(folder: &Path, member: usize) -> PathBuf {
    folder.join(MEMBERS).join(format!("{member:03}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_run_are_known_by_their_place() {
        for (folder, file) in [
            ("kernels", "ntk_infinite.npy"),
            ("members", "007/ntk_initial.npy"),
            ("members", "000/weights.safetensors"),
            ("members", "000/weights_20.safetensors"),
            ("explain", "settings.json"),
            ("explain", "member_012.forecast.csv"),
            ("figures", "loss.svg"),
        ] {
            assert!(is_own(folder, file), "{folder}/{file}");
        }
        for (folder, file) in [
            ("kernels", "mine.npy"),
            ("members", "weights.safetensors"),
            ("members", "mine/weights.safetensors"),
            ("members", "000/deep/weights.safetensors"),
            ("members", "000/weights_x.safetensors"),
            ("explain", "member_.csv"),
            ("figures", "loss.png"),
            ("config.toml", "x"),
        ] {
            assert!(!is_own(folder, file), "{folder}/{file}");
        }
    }
}
