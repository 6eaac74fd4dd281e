//! In which keys two experiments differ.

use std::fmt;

use toml::Value;

use super::check::show;
use super::experiment::Experiment;
use super::unknown::{element, join};

/// A key with another value in one experiment than in the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDifference {
    /// Dotted key; entries of a list are counted from 0.
    pub key: String,
    /// Its value in the first, as TOML; nothing where the key has none.
    pub first: Option<String>,
    /// Its value in the second.
    pub second: Option<String>,
}

/// Every key in which `second` differs from `first`, in the order of the alphabet.
pub fn differences(first: &Experiment, second: &Experiment) -> Vec<KeyDifference> {
    let values = |experiment| Value::try_from(experiment).ok();
    let mut found = Vec::new();
    collect("", values(first).as_ref(), values(second).as_ref(), &mut found);
    found
}

fn collect(key: &str, first: Option<&Value>, second: Option<&Value>, found: &mut Vec<KeyDifference>) {
    match (first, second) {
        (Some(Value::Table(first)), Some(Value::Table(second))) if key.is_empty() || is_same_kind(first, second) => {
            let names: std::collections::BTreeSet<&String> = first.keys().chain(second.keys()).collect();
            for name in names {
                collect(&join(key, name), first.get(name), second.get(name), found);
            }
        }
        (Some(Value::Array(first)), Some(Value::Array(second))) if first.len() == second.len() => {
            for (index, pair) in first.iter().zip(second).enumerate() {
                collect(&element(key, index), Some(pair.0), Some(pair.1), found);
            }
        }
        _ if first == second => {}
        _ => found.push(KeyDifference { key: key.to_owned(), first: first.map(show), second: second.map(show) }),
    }
}

/// Whether two tables have a key in common: two variants of an enum have none, and are shown whole.
fn is_same_kind(first: &toml::Table, second: &toml::Table) -> bool {
    first.keys().any(|key| second.contains_key(key)) || first == second
}

impl fmt::Display for KeyDifference {
    /// `network.width is 8 there and 16 here`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
        write!(f, "{} is {} there and {} here", self.key, shown(&self.first), shown(&self.second))
    }
}
