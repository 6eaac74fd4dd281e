//! The folder of a run: what may be written into it, and how a stopped run is picked up.
//!
//! | file | what |
//! |---|---|
//! | `registration.toml` | what the run will be judged by, before its first step |
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
//! | `members/NNN/*.csv`, `members/NNN/checkpoint.safetensors`, `members/NNN/outcome.json` | its own tables, where it stands and how it ended: only while the run is unfinished |
//! | `figures/*.svg`, `report.html` | drawn from the files above |

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::RunOptions;
use super::recorder::TABLES;
use crate::error::{At, Result, bail, ensure};
use crate::explain;
use crate::record::atomic;
use crate::record::budget;
use crate::record::checkpoint;
use crate::record::folder::{expect_no_file, is_free, remove_file, remove_own};
use crate::record::kill_point::kill_point;
use crate::record::lock::{self, Lock};
use crate::record::manifest::{Manifest, MemberEnd};
use crate::record::registration::Registration;
use crate::record::row::Row;
use crate::report;
use crate::session::{Session, expect_same_config};
use crate::training::Outcome;

/// What lies in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FolderState {
    /// Nothing of a run, or a run to make from its start.
    Nothing,
    /// A run to continue.
    Begun,
    /// A run that has ended.
    Complete,
}

/// The configuration: without it what is left is a run to make from its start.
const CONFIG: &str = "config.toml";

/// Files and folders that a run makes next to its manifest, those of earlier versions among them; nothing else is ever removed.
const OURS: [&str; 14] = [
    CONFIG,
    Registration::FILE,
    checkpoint::FILE,
    "architecture.json",
    "results.csv",
    "training.csv",
    "times.csv",
    KERNELS,
    explain::FOLDER,
    budget::BUDGET_FILE,
    budget::FORECAST_FILE,
    MEMBERS,
    report::FIGURES,
    "report.html",
];

pub(super) const KERNELS: &str = "kernels";
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
            member.parse::<usize>().is_ok() && !file.contains('/') && (is_matrix || is_weights || is_part(file))
        }),
        _ => false,
    }
}

/// Whether a member has a file of this name only until its run has ended.
fn is_part(file: &str) -> bool {
    TABLES.contains(&file) || [checkpoint::FILE, MemberEnd::FILE, lock::NAME].contains(&file)
}

/// Makes the folder and locks it, or says what stands in the way. Nothing in it is changed: a run that fails before its
/// first step leaves an earlier one as it was.
pub(super) fn open(folder: &Path, options: &RunOptions) -> Result<(Lock, FolderState)> {
    expect_no_file(folder, "--output")?;
    if is_run(folder) {
        expect_own(folder)?;
    } else if !is_free(folder).at("read the output folder", folder)? {
        bail!(Folder: "{} holds files that are no run of this program; choose another --output", folder.display());
    }
    ensure!(
        options.shard.is_whole() || !options.force,
        "--force and --shard: the parts of a run would delete each other's members; remove {} first, or replace it without --shard",
        folder.display()
    );
    fs::create_dir_all(folder).at("make the output folder", folder)?;
    let lock = Lock::take(folder, options.shard.is_whole())?;
    if is_run(folder) && options.shard.is_whole() && !options.resume && !options.force {
        bail!(
            Folder: "{} already holds a run; continue it with --resume, replace it with --force, or choose another --output",
            folder.display()
        );
    }
    let found = found(folder, options)?;
    Ok((lock, found))
}

/// What lies there for a process that resumes a run, shares it or replaces it.
pub(super) fn found(folder: &Path, options: &RunOptions) -> Result<FolderState> {
    let goes_on = options.resume || !options.shard.is_whole();
    if !goes_on || !is_run(folder) {
        return Ok(FolderState::Nothing);
    }
    ensure!(
        !folder.join(checkpoint::FILE).is_file(),
        Folder: "{} was begun by an earlier version, which this one cannot go on with; start again with --force",
        folder.display()
    );
    let manifest = Manifest::read(folder)?;
    let is_begun = folder.join(CONFIG).is_file() && !is_over(folder);
    // Rows of two versions would stand under one header.
    ensure!(
        !is_begun || manifest.schema_version == Manifest::VERSION,
        Folder: "{} was begun by a version that writes other columns (schema_version {}, this one writes {}); start again with --force",
        folder.display(),
        manifest.schema_version,
        Manifest::VERSION
    );
    // The configuration goes first and comes last where a run replaces another.
    Ok(match (folder.join(CONFIG).is_file(), is_over(folder)) {
        (false, _) => FolderState::Nothing,
        (true, false) => FolderState::Begun,
        (true, true) => FolderState::Complete,
    })
}

/// Whether the run has come to its end.
pub(super) fn is_over(folder: &Path) -> bool {
    Manifest::read(folder).is_ok_and(|found| !matches!(found.outcome, Outcome::Running | Outcome::Interrupted))
}

/// Folders of members.
fn members_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join(MEMBERS)).into_iter().flatten().flatten();
    let is_member = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|name| name.parse::<usize>().is_ok());
    entries.filter(is_member).map(|entry| entry.path()).collect()
}

/// Whether a member left what only this program makes.
fn has_part(member: &Path) -> bool {
    MemberEnd::read(member).is_some() || checkpoint::is_checkpoint(&member.join(checkpoint::FILE))
}

fn is_run(folder: &Path) -> bool {
    folder.join(Manifest::FILE).is_file() || folder.join(checkpoint::FILE).is_file()
}

/// Sees to it that a run of this program made what lies there: its name alone makes no file ours.
fn expect_own(folder: &Path) -> Result<()> {
    let Err(error) = Manifest::recognize(folder) else { return Ok(()) };
    if checkpoint::is_checkpoint(&folder.join(checkpoint::FILE)) || members_in(folder).iter().any(|own| has_part(own)) {
        return Ok(());
    }
    let shown = folder.display();
    bail!(Folder: "{shown} holds files that are no run of this program ({error}); choose another --output")
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
        Folder: "--resume: there is no run in {} to go on with; begin one without --resume, or name the folder of a run with --output",
        folder.display()
    )
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

/// Makes what is left a run to make from its start.
pub(super) fn forget(folder: &Path) -> Result<()> {
    Ok(remove_file(&folder.join(CONFIG))?)
}

/// The manifest of a run that is gone on with, held against configuration and data.
pub(super) fn resumed(folder: &Path, session: &Session<'_>) -> Result<Manifest> {
    let manifest = Manifest::read(folder)?;
    expect_same_config(&manifest.config_hash, session.experiment, folder)?;
    session.expect_same_data(&manifest.data_hash, folder)?;
    Ok(manifest)
}

/// Writes the resolved configuration.
pub(super) fn write_resolved(folder: &Path, session: &Session<'_>) -> Result<()> {
    let mut architecture = serde_json::to_vec(&session.architecture)?;
    architecture.push(b'\n');
    atomic::write(&folder.join("architecture.json"), &architecture)?;
    Ok(atomic::write(&folder.join(CONFIG), session.config_text.as_bytes())?)
}

/// Removes the weights that a member kept at or after `step`: those snapshots are still to come, or never will.
pub(super) fn clear_weights(member: &Path, step: u64) -> Result<()> {
    for entry in fs::read_dir(member).at("read", member)? {
        let path = entry?.path();
        let kept = path.file_name().and_then(|name| checkpoint::step_of_weights_file(name.to_str()?));
        if kept.is_some_and(|kept| kept >= step) {
            remove_file(&path)?;
        }
    }
    Ok(())
}

/// Whether a member has left anything to go on with.
pub(super) fn has_begun(folder: &Path, member: usize) -> bool {
    let folder = self::member(folder, member);
    [checkpoint::FILE, MemberEnd::FILE].iter().any(|name| folder.join(name).is_file())
}

/// Writes the tables of the run: those of its members, in their order, as far as they are there.
pub(super) fn put_together(folder: &Path, members: usize) -> Result<()> {
    for name in TABLES {
        let mut table = Vec::new();
        for member in 0..members {
            let path = self::member(folder, member).join(name);
            let rows = match fs::read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                rows => rows.at("read", &path)?,
            };
            // Another process may be at a row.
            let whole = rows.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            let header = rows.iter().position(|byte| *byte == b'\n').map_or(0, |first| first + 1);
            table.extend_from_slice(&rows[if table.is_empty() { 0 } else { header }..whole]);
        }
        atomic::write(&folder.join(name), &table)?;
    }
    Ok(())
}

/// Adds the rows of the ensemble to the results of its members.
pub(super) fn append_results(folder: &Path, rows: &[Row]) -> Result<()> {
    let path = folder.join(TABLES[0]);
    let mut table = fs::read(&path).at("read", &path)?;
    let mut writer = csv::WriterBuilder::new().has_headers(table.is_empty()).from_writer(&mut table);
    rows.iter().try_for_each(|row| writer.serialize(row))?;
    writer.flush()?;
    drop(writer);
    Ok(atomic::write(&path, &table)?)
}

/// Whether members still have what only an unfinished run has: then its report may be missing.
pub(super) fn has_parts(folder: &Path) -> bool {
    let has = |own: &PathBuf| TABLES.into_iter().chain([MemberEnd::FILE]).any(|name| own.join(name).is_file());
    members_in(folder).iter().any(has)
}

/// The run is over: its members keep what is nowhere else.
pub(super) fn remove_parts(folder: &Path) -> Result<()> {
    for own in members_in(folder) {
        for name in TABLES.into_iter().chain([checkpoint::FILE, MemberEnd::FILE, lock::NAME]) {
            remove_file(&own.join(name))?;
            remove_file(&atomic::part_of(&own.join(name)))?;
        }
    }
    Ok(())
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
            ("members", "003/results.csv"),
            ("members", "003/checkpoint.safetensors"),
            ("members", "003/outcome.json"),
            ("members", "003/.lock"),
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
