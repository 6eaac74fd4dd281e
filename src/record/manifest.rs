//! `manifest.json`: what a run was and how it ended. No wall-clock figure stands in it.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::atomic;
use super::row::SCHEMA_VERSION;

/// How a run, or one member of it, ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not yet.
    Running,
    /// All steps or epochs were taken.
    Finished,
    /// The loss that was asked for was reached.
    LossReached,
    /// The time that was allowed ran out.
    WallTime,
    /// The loss stopped being a number.
    Diverged,
    /// A signal; continue with `--resume`.
    Interrupted,
}

/// How one member ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberOutcome {
    /// Member, from 0.
    pub member: usize,
    /// Steps taken.
    pub step: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// What every version writes and nothing else has.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only whether they are there matters")]
struct Identity {
    schema_version: u32,
    config_hash: String,
    widthwise_version: String,
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the files beside this one.
    pub schema_version: u32,
    /// Name of the run.
    pub run: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Seed of every stream.
    pub seed: u64,
    /// Networks asked for.
    pub members: usize,
    /// How each one ended.
    pub member_outcomes: Vec<MemberOutcome>,
    /// SHA-256 of `config.toml`.
    pub config_hash: String,
    /// The command that makes the run again from the folder's `config.toml`.
    pub command: String,
    /// Version of the program.
    pub widthwise_version: String,
    /// Version of Burn.
    pub burn_version: String,
    /// Device and precision.
    pub device: String,
    /// Where the data came from.
    pub dataset_source: String,
    /// SHA-256 of the prepared data.
    pub data_hash: String,
    /// Parameters of one network.
    pub parameters: usize,
    /// Base learning rate, resolved.
    pub learning_rate: f64,
    /// What theory has to say about this network, in a sentence.
    pub theory: String,
}

impl Manifest {
    /// Name of the file.
    pub const FILE: &'static str = "manifest.json";

    /// Version of the schema written now.
    pub const VERSION: u32 = SCHEMA_VERSION;

    /// Writes the manifest into `folder`.
    ///
    /// # Errors
    /// A failure to write.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        atomic::write(&folder.join(Self::FILE), &text)
    }

    /// Whether a run of any version of this program wrote the manifest of `folder`, by its content: other programs have files
    /// of this name too.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn recognize(folder: &Path) -> io::Result<()> {
        Self::parse::<Identity>(folder).map(drop)
    }

    /// Reads the manifest of `folder`.
    ///
    /// # Errors
    /// No such file, or one that is not a manifest.
    pub fn read(folder: &Path) -> io::Result<Self> {
        Self::parse(folder)
    }

    fn parse<T: DeserializeOwned>(folder: &Path) -> io::Result<T> {
        let path = folder.join(Self::FILE);
        let text = std::fs::read(&path).map_err(|error| {
            let message =
                format!("{} is no folder of a run: cannot read {}: {error}", folder.display(), path.display());
            io::Error::new(error.kind(), message)
        })?;
        serde_json::from_slice(&text).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is not a manifest: {error}", path.display()))
        })
    }
}
