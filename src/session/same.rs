//! Whether a folder was made by this configuration and from these data.

use std::path::Path;

use sha2::{Digest, Sha256};
use widthwise_datasets::Prepared;

use super::Session;
use crate::config::{Checked, Experiment, differences, load_recorded};
use crate::error::{Result, ensure};
use crate::record::checkpoint::{Position, hex};
use crate::record::manifest::Manifest;

impl Session<'_> {
    /// Refuses to go on where other data were trained on.
    pub(crate) fn expect_same_data(&self, data_hash: &str, folder: &Path) -> Result<()> {
        ensure!(
            data_hash == self.data_hash,
            Folder: "{} was begun with other data than {}; give the same --data-dir, or start again with --force",
            folder.display(),
            self.dataset_source
        );
        Ok(())
    }

    /// Refuses data that are not those of a run.
    pub(crate) fn expect_data_of(&self, manifest: &Manifest, folder: &Path) -> Result<()> {
        ensure!(
            self.data_hash == manifest.data_hash,
            Folder: "{} was made with {}, and what is found now is {}; give the same --data-dir",
            folder.display(),
            manifest.dataset_source,
            self.dataset_source
        );
        Ok(())
    }

    /// Refuses to go on from the checkpoint of another member, or of a network of another configuration or other data.
    pub(crate) fn expect_same(&self, position: &Position, member: usize, folder: &Path) -> Result<()> {
        expect_same_config(&position.config_hash, self.experiment, folder)?;
        self.expect_same_data(&position.data_hash, folder)?;
        ensure!(
            position.architecture.as_ref() == Some(&self.architecture) && position.member == member,
            Folder: "{} holds a checkpoint of another network, gates included; start again with --force",
            folder.display()
        );
        Ok(())
    }
}

/// SHA-256 of a resolved configuration.
pub(crate) fn config_hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// SHA-256 of everything that training and tests examine.
pub(crate) fn data_hash(prepared: &Prepared) -> String {
    let mut hasher = Sha256::new();
    for examples in [&prepared.train, &prepared.test] {
        for numbers in [&examples.inputs, &examples.targets] {
            for chunk in numbers.chunks(512) {
                let bytes: Vec<u8> = chunk.iter().flat_map(|number| number.to_le_bytes()).collect();
                hasher.update(bytes);
            }
        }
        hasher.update(&examples.labels);
    }
    hex(&hasher.finalize())
}

/// Refuses to go on in `folder` where another configuration stopped.
pub(crate) fn expect_same_config(found: &str, given: &Checked, folder: &Path) -> Result<()> {
    ensure!(
        found == config_hash(&given.resolved_toml()),
        Folder: "{} was made by another configuration than the one given{}; resume with {}, or start again with --force",
        folder.display(),
        in_what(folder, given, &[]),
        folder.join("config.toml").display()
    );
    Ok(())
}

/// Keys that a message names at most.
const NAMED: usize = 5;

/// The keys in which the configuration in `folder` is another than the one given, in words to follow "than the one given"; nothing
/// where it cannot be read. `free` may differ.
pub(crate) fn in_what(folder: &Path, given: &Experiment, free: &[&str]) -> String {
    let Ok(there) = load_recorded(&folder.join("config.toml")) else { return String::new() };
    let mut found = differences(&there, given);
    found.retain(|difference| !free.contains(&difference.key.as_str()));
    let named: Vec<String> = found.iter().take(NAMED).map(ToString::to_string).collect();
    let more = found.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(", and {more} more keys differ") } else { String::new() };
    if named.is_empty() { rest } else { format!(": {}{rest}", named.join(", ")) }
}
