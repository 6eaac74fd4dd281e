//! `manifest.json`: what a run was and how it ended. No wall-clock figure stands in it.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::atomic;
use super::folder::write_json;
use super::row::SCHEMA_VERSION;
use crate::training::Outcome;

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

/// `outcome.json` in the folder of a member: that it has ended, and under what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberEnd {
    /// SHA-256 of the configuration.
    pub config_hash: String,
    /// SHA-256 of the prepared data.
    pub data_hash: String,
    /// How.
    #[serde(flatten)]
    pub outcome: MemberOutcome,
}

impl MemberEnd {
    /// Name of the file.
    pub const FILE: &'static str = "outcome.json";

    /// Writes the file into the folder of the member.
    ///
    /// # Errors
    /// A failure to write.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        atomic::write(&folder.join(Self::FILE), &text)
    }

    /// Reads the file; nothing where the member has not ended.
    pub fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join(Self::FILE)).ok()?).ok()
    }
}

/// What every version writes and nothing else has.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only whether they are there matters")]
struct ManifestIdentity {
    schema_version: u32,
    config_hash: String,
    widthwise_version: String,
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the files next to this one.
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
    /// SHA-256 of `registration.toml`; nothing for runs of before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
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
        write_json(&folder.join(Self::FILE), self)
    }

    /// Whether a run of any version of this program wrote the manifest of `folder`, by its content: other programs have files
    /// of this name too.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn recognize(folder: &Path) -> io::Result<()> {
        Self::parse::<ManifestIdentity>(folder).map(drop)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_learning_rate_comes_back_to_the_last_bit(learning_rate in prop::num::f64::NORMAL) {
            let folder = tempfile::tempdir().unwrap();
            let manifest = Manifest {
                schema_version: Manifest::VERSION,
                run: "r".into(),
                outcome: Outcome::Running,
                seed: 1,
                members: 2,
                member_outcomes: Vec::new(),
                config_hash: "c".into(),
                registration: Some("r".into()),
                command: "widthwise run".into(),
                widthwise_version: "0".into(),
                burn_version: "0".into(),
                device: "flex".into(),
                dataset_source: "d".into(),
                data_hash: "h".into(),
                parameters: 3,
                learning_rate,
                theory: String::new(),
            };
            manifest.write(folder.path()).unwrap();
            prop_assert_eq!(Manifest::read(folder.path()).unwrap(), manifest);
        }
    }

    #[test]
    fn an_ended_member_is_known_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(MemberEnd::read(folder.path()), None);
        let outcome = MemberOutcome { member: 3, step: 7, outcome: Outcome::Diverged };
        let end = MemberEnd { config_hash: "c".into(), data_hash: "d".into(), outcome };
        end.write(folder.path()).unwrap();
        assert_eq!(MemberEnd::read(folder.path()), Some(end));
        std::fs::write(folder.path().join(MemberEnd::FILE), "{\"member\":").unwrap();
        assert_eq!(MemberEnd::read(folder.path()), None);
    }
}
