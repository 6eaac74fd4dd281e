//! Which keys of a configuration each command reads: `--set` of any other key would do nothing, and is refused.

use std::path::Path;

use anyhow::{Result, bail};
use widthwise::config::{self, NetworkConfig};
use widthwise::examples::{DataSplit, SetName, Source};

/// The tables of a configuration.
const TABLES: [&str; 8] = ["run", "dataset", "network", "training", "probes", "claims", "control", "explain"];

/// A command that takes `--set`, with what else it was told.
#[derive(Debug, Clone)]
pub(crate) enum ConfigCommand<'a> {
    /// `run`, which reads the whole experiment but for what it has options for. So does `config check`, which has none.
    Run {
        /// Whether it has `--output`.
        has_output: bool,
        /// Whether it has `--device`.
        has_device: bool,
    },
    /// `plan`, which trains a pilot of the experiment and keeps nothing.
    Plan,
    /// `ladder`, whose widths, and with `--seeds` members, are its own, as are the steps of `--coordinates`.
    Ladder {
        /// Whether it has `--seeds`.
        has_members: bool,
        /// Whether it has `--coordinates`.
        has_steps: bool,
    },
    /// A command about the network of a configuration, on examples from anywhere.
    Network {
        /// Its name.
        command: &'static str,
        /// Where its examples are from.
        sources: Vec<&'a Source>,
        /// Whether it draws networks with `run.seed`, which it does not where it has a `--seed`.
        draws: bool,
        /// Whether a `--width` stands in for that of the network.
        has_width: bool,
    },
}

/// Keys that a command reads, and among them those that something else decides.
struct Keys {
    read: Vec<&'static str>,
    idle: Vec<(&'static str, &'static str)>,
    /// What to do about a key that would be read otherwise.
    hint: Option<&'static str>,
}

impl ConfigCommand<'_> {
    /// The name of the command.
    fn command(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run",
            Self::Plan => "plan",
            Self::Ladder { .. } => "ladder",
            Self::Network { command, .. } => command,
        }
    }

    /// Which keys count; `is_gated` says whether the network has gates, which are drawn.
    fn keys(&self, is_gated: bool) -> Keys {
        match self {
            Self::Run { has_output, has_device } => {
                let mut idle = Vec::new();
                idle.extend(has_output.then_some(("run.output", "--output says where results go")));
                idle.extend(has_device.then_some(("run.device", "--device says where to compute")));
                Keys { read: TABLES.to_vec(), idle, hint: None }
            }
            Self::Plan => {
                let read = TABLES.into_iter().filter(|table| *table != "control").collect();
                let idle = vec![
                    ("run.output", "nothing of a pilot is kept"),
                    ("run.keep_weights", "nothing of a pilot is kept"),
                ];
                Keys {
                    read,
                    idle,
                    hint: Some("a plan is for theory as it is, and says itself which errors would be noticed"),
                }
            }
            Self::Ladder { has_members, has_steps } => {
                let read = [
                    "dataset",
                    "network",
                    "training",
                    "control",
                    "probes.schedule",
                    "claims.significance",
                    // Not measured by, but the configuration is refused where they do not fit its data.
                    "probes.examples",
                    "probes.jacobian_examples",
                    "run.name",
                    "run.seed",
                    "run.members",
                    "run.device",
                    "run.precision",
                ];
                let mut idle = vec![("network.width", "--widths says which there are")];
                idle.extend(has_members.then_some(("run.members", "--seeds says how many there are")));
                idle.extend(has_steps.then_some(("training.stop", "--coordinates takes 5 steps")));
                Keys { read: read.to_vec(), idle, hint: None }
            }
            Self::Network { sources, draws, has_width, .. } => {
                let is_config = |source: &&&Source| matches!(source, Source::Set { set: SetName::Config(_), .. });
                let configured: Vec<_> = sources.iter().filter(is_config).collect();
                let counted = |wanted: DataSplit| {
                    let is_counted = |source: &&&&Source| match source {
                        Source::Set { split, count, .. } => *split == wanted && count.is_some(),
                        Source::File(_) => false,
                    };
                    configured.iter().any(|source| is_counted(&source))
                };
                let mut read = vec!["network"];
                let mut hint = None;
                if configured.is_empty() {
                    hint = Some("keys of dataset belong to examples that a configuration names, CONFIG.toml:train");
                } else {
                    read.push("dataset");
                }
                if !configured.is_empty() || *draws || is_gated {
                    read.push("run.seed");
                }
                let mut idle = Vec::new();
                idle.extend(has_width.then_some(("network.width", "--width stands in for it")));
                let count = "the count next to the source stands in for it";
                idle.extend(counted(DataSplit::Train).then_some(("dataset.preprocessing.train", count)));
                idle.extend(counted(DataSplit::Test).then_some(("dataset.preprocessing.test", count)));
                Keys { read, idle, hint }
            }
        }
    }

    /// Refuses overrides of keys that the command does not read. What is no key at all is for the configuration to refuse.
    ///
    /// # Errors
    /// One sentence: the override, and the keys that count.
    pub(crate) fn expect_read(&self, set: &[String], is_gated: bool) -> Result<()> {
        let Keys { read, idle, hint } = self.keys(is_gated);
        for text in set {
            let key = key_of(text);
            if !TABLES.iter().any(|table| is_within(key, table)) {
                continue;
            }
            let command = self.command();
            if let Some((_, reason)) = idle.iter().find(|(name, _)| is_within(key, name)) {
                bail!("--set {text}: `widthwise {command}` would not read this key, because {reason}; leave it out");
            }
            if !read.iter().any(|name| is_within(key, name)) {
                let counting: Vec<String> = read
                    .iter()
                    .map(|name| format!("{name}{}", if TABLES.contains(name) { ".*" } else { "" }))
                    .collect();
                let hint =
                    hint.filter(|_| is_within(key, "dataset")).map_or_else(String::new, |hint| format!("; {hint}"));
                bail!(
                    "--set {text}: `widthwise {command}` does not read this key here, so that it would change nothing; the keys that \
                     count are {}{hint}",
                    counting.join(", ")
                );
            }
        }
        Ok(())
    }

    /// The network of the configuration `file` and the seed of its gates, with the overrides on top.
    ///
    /// # Errors
    /// A configuration or an override that is refused.
    pub(crate) fn network(&self, file: &Path, set: &[String]) -> Result<(NetworkConfig, u64)> {
        // Keys of the data set are for the configurations that examples come from.
        let of_network: Vec<String> = set.iter().filter(|text| !is_of_data(text)).cloned().collect();
        let (network, seed) = match config::load_network(Some(file), &of_network) {
            Ok(found) => found,
            Err(error) => {
                // A key that does not count is the plainer reason.
                self.expect_read(set, true)?;
                return Err(error.into());
            }
        };
        self.expect_read(set, network.is_gated())?;
        Ok((network, seed))
    }
}

/// Those of the overrides that a configuration reads from which examples come.
pub(crate) fn of_data(set: &[String]) -> Vec<String> {
    set.iter().filter(|text| is_of_data(text) || is_within(key_of(text), "run.seed")).cloned().collect()
}

fn is_of_data(text: &str) -> bool {
    is_within(key_of(text), "dataset")
}

/// The key of `key=value`.
fn key_of(text: &str) -> &str {
    text.split_once('=').map_or(text, |(key, _)| key).trim()
}

/// Whether `key` is `outer` or stands inside it.
fn is_within(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// Every key of a configuration with a default, dotted.
    fn all_keys() -> Vec<String> {
        fn collect(value: &toml::Value, path: &str, found: &mut Vec<String>) {
            match value {
                toml::Value::Table(table) if !table.is_empty() => {
                    for (name, value) in table {
                        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                        collect(value, &path, found);
                    }
                }
                _ => found.push(path.to_owned()),
            }
        }
        let mut found = Vec::new();
        let default = toml::Value::try_from(config::Experiment::default()).unwrap();
        collect(&default, "", &mut found);
        found
    }

    fn source(text: &str) -> Source {
        text.parse().unwrap()
    }

    fn network<'a>(sources: &'a [Source], draws: bool, has_width: bool) -> ConfigCommand<'a> {
        ConfigCommand::Network { command: "kernel", sources: sources.iter().collect(), draws, has_width }
    }

    #[test]
    fn every_command_with_overrides_says_what_it_reads() {
        let mut with_set = Vec::new();
        fn collect(command: &clap::Command, path: &str, found: &mut Vec<String>) {
            let path = format!("{path} {}", command.get_name());
            if command.get_arguments().any(|argument| argument.get_id() == "set") {
                found.push(path.trim().to_owned());
            }
            command.get_subcommands().for_each(|inner| collect(inner, &path, found));
        }
        Cli::command().get_subcommands().for_each(|command| collect(command, "", &mut with_set));
        with_set.sort();
        // Each of them goes through `ConfigCommand`; a new one has to as well.
        let known =
            ["config check", "kernel", "ladder", "monte-carlo", "ntk", "plan", "predict", "run", "weights import"];
        assert_eq!(with_set, known);
    }

    #[test]
    fn every_key_is_read_or_refused_by_name() {
        let keys = all_keys();
        assert!(keys.len() > 40, "{keys:?}");
        let (file, config) = ([source("x.csv")], [source("e.toml:train")]);
        let ladder = ConfigCommand::Ladder { has_members: false, has_steps: false };
        for (reader, tables) in [
            (ConfigCommand::Run { has_output: false, has_device: false }, TABLES.as_slice()),
            (
                ladder,
                &[
                    "dataset",
                    "network",
                    "training",
                    "control",
                    "probes.schedule",
                    "claims.significance",
                    "probes.examples",
                    "probes.jacobian_examples",
                    "run",
                ],
            ),
            (network(&file, false, false), &["network"]),
            (network(&file, true, false), &["network", "run.seed"]),
            (network(&config, false, false), &["network", "dataset", "run.seed"]),
        ] {
            for key in &keys {
                let text = format!("{key}=1");
                let found = reader.expect_read(std::slice::from_ref(&text), false);
                let not_read = ["run.output", "run.checkpoint_every", "run.keep_weights", "network.width"];
                let is_ladder = matches!(reader, ConfigCommand::Ladder { .. });
                let is_read = tables.iter().any(|table| is_within(key, table))
                    && !(is_ladder && not_read.contains(&key.as_str()));
                assert_eq!(found.is_ok(), is_read, "{reader:?} {key}");
                if let Err(error) = found {
                    let message = error.to_string();
                    assert!(message.contains(&text) && message.contains("would"), "{message}");
                }
            }
        }
    }

    #[test]
    fn what_something_else_decides_is_refused() {
        let refused = |reader: &ConfigCommand<'_>, text: &str| {
            reader.expect_read(&[text.to_owned()], false).unwrap_err().to_string()
        };
        let counted = [source("e.toml:train:5"), source("e.toml:test")];
        let reader = network(&counted, false, true);
        assert!(refused(&reader, "dataset.preprocessing.train=3").contains("the count next to the source"));
        assert!(reader.expect_read(&["dataset.preprocessing.test=3".to_owned()], false).is_ok());
        assert!(refused(&reader, "network.width=3").contains("--width"));
        let ladder = ConfigCommand::Ladder { has_members: true, has_steps: true };
        assert!(refused(&ladder, "run.members=3").contains("--seeds"));
        assert!(refused(&ladder, "training.stop.steps=3").contains("--coordinates"));
        let run = ConfigCommand::Run { has_output: true, has_device: true };
        assert!(refused(&run, "run.output=a").contains("--output"));
        assert!(refused(&run, "run.device=cuda").contains("--device"));
        let file = [source("x.csv")];
        let message = refused(&network(&file, false, false), "dataset.preprocessing.zca=0.1");
        assert!(message.contains("count are network.*") && message.contains("CONFIG.toml:train"), "{message}");
        // Gates are drawn with the seed of the run.
        assert!(network(&file, false, false).expect_read(&["run.seed=3".to_owned()], true).is_ok());
        assert!(refused(&network(&file, false, false), "run.seed=3").contains("count are network.*"));
    }
}
