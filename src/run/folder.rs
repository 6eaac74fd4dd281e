//! The folder of a run: what may be written into it, and how a stopped run is picked up.
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | the resolved configuration |
//! | `manifest.json` | what ran and how it ended |
//! | `results.csv` | every measured and predicted number |
//! | `training.csv` | loss and accuracy along training |
//! | `times.csv` | wall-clock seconds, the only file that two equal runs do not share |
//! | `kernels/*.npy` | infinite-width NNGP and NTK on the probe examples |
//! | `members/NNN/*.npy` | each member's kernels, moments and outputs at its first and last step |
//! | `checkpoint.safetensors` | only while unfinished |
//! | `figures/*.svg`, `report.html` | drawn from the files above |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::RunOptions;
use super::session::Session;
use crate::record::atomic;
use crate::record::checkpoint::{self, ParameterSets, Position};
use crate::record::manifest::{Manifest, Outcome};

/// What lies in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing of a run, or nothing worth keeping.
    Nothing,
    /// A run to continue.
    Checkpoint,
    /// A run that has ended.
    Complete,
}

/// Files and folders that a run makes; `--force` removes these and nothing else.
const OURS: [&str; 10] = [
    "config.toml",
    Manifest::FILE,
    "results.csv",
    "training.csv",
    "times.csv",
    "kernels",
    "members",
    checkpoint::FILE,
    "figures",
    "report.html",
];

/// Makes the folder, or decides what to do with what is in it.
pub(super) fn open(folder: &Path, options: &RunOptions) -> Result<Found> {
    if folder.is_file() {
        bail!("the output {} is a file; give a folder with --output", folder.display());
    }
    let is_run = folder.join(Manifest::FILE).is_file() || folder.join(checkpoint::FILE).is_file();
    let is_empty = !folder.exists()
        || fs::read_dir(folder)
            .with_context(|| unreadable(folder))?
            .all(|entry| entry.is_ok_and(|entry| entry.file_name() == ".lock"));
    if options.force && is_run {
        for name in OURS {
            remove(&folder.join(name))?;
        }
    } else if is_run && options.resume {
        let has_checkpoint = folder.join(checkpoint::FILE).is_file();
        let outcome = Manifest::read(folder).ok().map(|manifest| manifest.outcome);
        let is_unfinished = matches!(outcome, None | Some(Outcome::Running | Outcome::Interrupted));
        return Ok(match (has_checkpoint, is_unfinished) {
            (true, _) => Found::Checkpoint,
            // Killed before the first checkpoint: from the start.
            (false, true) => Found::Nothing,
            (false, false) => Found::Complete,
        });
    } else if is_run {
        bail!(
            "{} already holds a run; continue it with --resume, replace it with --force, or choose another --output",
            folder.display()
        );
    } else if !is_empty {
        bail!("{} holds files that are no run of this program; choose another --output", folder.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make the output folder {}", folder.display()))?;
    Ok(Found::Nothing)
}

fn unreadable(folder: &Path) -> String {
    format!("cannot read the output folder {}", folder.display())
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
    Ok(atomic::write(&folder.join("config.toml"), session.config_text.as_bytes())?)
}

/// The run is over.
pub(super) fn remove_checkpoint(folder: &Path) -> Result<()> {
    remove(&folder.join(checkpoint::FILE))
}

/// Folder of one member's matrices.
pub(super) fn member(folder: &Path, member: usize) -> PathBuf {
    folder.join("members").join(format!("{member:03}"))
}
