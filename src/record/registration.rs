//! `registration.toml`: what a run will be judged by, written before its first step and not again.
//!
//! No time, no learning rate that was worked out and no fact of the machine stands in it: the same configuration on the same data gives
//! the same bytes under the same version, in a dry run whose hash is published beforehand as in the run itself. `manifest.json` carries
//! the SHA-256 of the file. The whole configuration is part of it, so that every key that was changed since can be named.

mod fault;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::Value;

use super::atomic;
use super::checkpoint::hex;
use super::manifest::Manifest;
use crate::config::{Checked, ConfigError, ControlConfig, Experiment, KeyDifference, differences, parse_recorded};
pub use fault::RegistrationFault;

/// What a run will be judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Version of this file.
    pub registration_version: u32,
    /// Version of the program.
    pub widthwise_version: String,
    /// Name of the run.
    pub run: String,
    /// Seed of every stream.
    pub seed: u64,
    /// Networks that will be trained.
    pub members: usize,
    /// The step at which training ends, unless a rule of `training.stop` ends it before.
    pub last_step: u64,
    /// SHA-256 of the resolved configuration.
    pub config_hash: String,
    /// SHA-256 of the prepared data.
    pub data_hash: String,
    /// How a verdict is reached, in a sentence.
    pub rule: String,
    /// `claims.significance`.
    pub significance: f64,
    /// `claims.resolution`.
    pub resolution: f64,
    /// `claims.required`.
    pub required: Vec<String>,
    /// `[control]`: errors put into theory on purpose.
    pub control: ControlConfig,
    /// Everything that will be judged, as far as theory has a prediction for it.
    pub claims: Vec<RegisteredClaim>,
    /// The resolved configuration.
    pub configuration: String,
}

/// The rows that one claim will be about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredClaim {
    /// Name of the claim.
    pub name: String,
    /// What is measured.
    pub quantity: String,
    /// Whether it decides the verdict.
    pub is_required: bool,
    /// `two` where the prediction is a value, `upper` where it is a bound.
    pub sides: String,
    /// Of what `resolution` is a share: `prediction`, `one`, or the quantity whose prediction it is.
    pub scale: String,
    /// Which of the measured steps it is about.
    pub when: String,
    /// The layers, where it is about some of them alone.
    pub layers: Vec<usize>,
    /// The steps, where training reaches the last.
    pub steps: Vec<u64>,
}

/// The configuration that is judged.
const CONFIG: &str = "config.toml";

/// Keys that a sentence names at most.
const NAMED: usize = 5;

/// The largest whole number of TOML. No run takes as many steps.
const MOST: u64 = i64::MAX as u64;

impl Registration {
    /// Name of the file.
    pub const FILE: &'static str = "registration.toml";

    /// Version of the file that is written now.
    pub const VERSION: u32 = 1;

    /// The file: keys in a fixed order, a claim a line, the configuration last.
    pub fn text(&self) -> String {
        let mut text = format!(
            "# What this run is judged by, written before its first step. Its SHA-256 is in manifest.json.\n\
             registration_version = {}\nwidthwise_version = {}\nrun = {}\nseed = {}\nmembers = {}\nlast_step = {}\n\
             config_hash = {}\ndata_hash = {}\nrule = {}\nsignificance = {}\nresolution = {}\nrequired = {}\ncontrol = {}\n",
            self.registration_version,
            string(&self.widthwise_version),
            string(&self.run),
            self.seed,
            self.members,
            self.last_step.min(MOST),
            string(&self.config_hash),
            string(&self.data_hash),
            string(&self.rule),
            Value::from(self.significance),
            Value::from(self.resolution),
            list(self.required.iter().map(|name| string(name))),
            inline(&self.control),
        );
        let claims = self.claims.iter().map(|claim| format!("    {},\n", claim.line())).collect::<String>();
        let _ = writeln!(text, "claims = [\n{claims}]");
        let configuration = &self.configuration;
        // A literal string shows the text as it is, and has no way to write its own end.
        let is_literal =
            !configuration.contains("''") && !configuration.contains(|c: char| c.is_control() && c != '\n');
        let shown = if is_literal { format!("'''\n{configuration}'''") } else { string(configuration) };
        let _ = writeln!(text, "configuration = {shown}");
        text
    }

    /// SHA-256 of the file.
    pub fn hash(&self) -> String {
        hash(self.text().as_bytes())
    }

    /// Writes the file into `folder`.
    ///
    /// # Errors
    /// A failure to write.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        atomic::write(&folder.join(Self::FILE), self.text().as_bytes())
    }

    /// Reads what was registered, given the SHA-256 that the manifest has; nothing for a run that was not registered. `text` is that of
    /// the file, where there is one.
    ///
    /// # Errors
    /// The file is not the one that was registered.
    pub fn recall(registered: Option<&str>, text: Option<&[u8]>) -> Result<Option<Self>, RegistrationFault> {
        let (registered, text) = match (registered, text) {
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(RegistrationFault::Missing),
            (None, Some(_)) => return Err(RegistrationFault::Unnamed),
            (Some(registered), Some(text)) => (registered, text),
        };
        let found = hash(text);
        if found != registered {
            return Err(RegistrationFault::Altered { found, registered: registered.to_owned() });
        }
        let text = str::from_utf8(text).map_err(|error| unreadable(Registration::FILE, &error))?;
        let read: Self = toml::from_str(text).map_err(|error| unreadable(Registration::FILE, &error))?;
        if read.registration_version != Self::VERSION {
            let reason = format!("registration_version is {}", read.registration_version);
            return Err(RegistrationFault::Unreadable { file: Self::FILE, reason });
        }
        Ok(Some(read))
    }

    /// The text of the file in `folder`, where there is one.
    ///
    /// # Errors
    /// A failure to read.
    pub fn found_in(folder: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(folder.join(Self::FILE)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The configuration that was registered.
    fn experiment(&self) -> Result<Checked, ConfigError> {
        parse_recorded(&self.configuration, Self::FILE)
    }

    /// Refuses another experiment than the one registered.
    ///
    /// # Errors
    /// The keys that differ.
    pub fn expect_config(&self, judged: &Experiment) -> Result<(), RegistrationFault> {
        let registered = self.experiment().map_err(|error| unreadable(Registration::FILE, &error))?;
        differ(CONFIG, &differences(&registered, judged))
    }

    /// As [`expect_config`](Self::expect_config), of what stands in `config.toml`.
    ///
    /// # Errors
    /// The same, or a text that is no configuration.
    pub fn expect_config_text(&self, text: &str) -> Result<(), RegistrationFault> {
        let judged = parse_recorded(text, CONFIG).map_err(|error| unreadable(CONFIG, &error))?;
        self.expect_config(&judged)
    }

    /// Refuses the manifest of another run, or of one that another version has ended.
    ///
    /// # Errors
    /// The keys that differ.
    pub fn expect_manifest(&self, manifest: &Manifest) -> Result<(), RegistrationFault> {
        let pairs = [
            ("run", self.run.clone(), manifest.run.clone()),
            ("seed", self.seed.to_string(), manifest.seed.to_string()),
            ("members", self.members.to_string(), manifest.members.to_string()),
            ("config_hash", self.config_hash.clone(), manifest.config_hash.clone()),
            ("data_hash", self.data_hash.clone(), manifest.data_hash.clone()),
            ("widthwise_version", self.widthwise_version.clone(), manifest.widthwise_version.clone()),
        ];
        let found = pairs.into_iter().filter(|(_, first, second)| first != second);
        let found = found.map(|(key, first, second)| KeyDifference {
            key: key.to_owned(),
            first: Some(first),
            second: Some(second),
        });
        differ(Manifest::FILE, &found.collect::<Vec<_>>())
    }

    /// Whether a row of a claim was registered, `is_whole` where training reached its last step: before, claims about the last of the
    /// measured steps are about another than the one that was foreseen.
    pub fn foresees(&self, claim: &str, layer: Option<usize>, step: u64, is_whole: bool) -> bool {
        self.claims.iter().filter(|registered| registered.name == claim).any(|registered| {
            let has_layer =
                registered.layers.is_empty() || layer.is_some_and(|layer| registered.layers.contains(&layer));
            has_layer && (!is_whole || registered.steps.contains(&step))
        })
    }
}

impl RegisteredClaim {
    fn line(&self) -> String {
        format!(
            "{{ name = {}, quantity = {}, is_required = {}, sides = {}, scale = {}, when = {}, layers = {}, steps = {} }}",
            string(&self.name),
            string(&self.quantity),
            self.is_required,
            string(&self.sides),
            string(&self.scale),
            string(&self.when),
            list(self.layers.iter().map(usize::to_string)),
            list(self.steps.iter().map(|step| (*step).min(MOST).to_string())),
        )
    }
}

fn hash(text: &[u8]) -> String {
    hex(&Sha256::digest(text))
}

fn string(text: &str) -> String {
    Value::from(text).to_string()
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A flat table in one line, its keys in the order of the alphabet.
fn inline(control: &ControlConfig) -> String {
    let table = toml::Table::try_from(control).unwrap_or_default();
    let mut pairs: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    pairs.sort();
    format!("{{ {} }}", pairs.join(", "))
}

fn unreadable(file: &'static str, error: &dyn std::error::Error) -> RegistrationFault {
    RegistrationFault::Unreadable { file, reason: error.to_string().trim().replace('\n', "; ") }
}

fn differ(file: &'static str, found: &[KeyDifference]) -> Result<(), RegistrationFault> {
    if found.is_empty() {
        return Ok(());
    }
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
    let named = found.iter().take(NAMED);
    let mut keys: Vec<String> = named
        .map(|difference| {
            let (registered, now) = (shown(&difference.first), shown(&difference.second));
            format!("{} was registered as {registered} and is {now} now", difference.key)
        })
        .collect();
    if found.len() > NAMED {
        keys.push(format!("and {} more keys differ", found.len() - NAMED));
    }
    Err(RegistrationFault::Differs { file, keys: keys.join(", ") })
}
