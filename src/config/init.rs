//! The file that `widthwise config init` writes.

use std::sync::LazyLock;

use super::claims::KNOWN_CLAIMS;
use crate::quantity::probes_with_switch;

/// Longest line of a list.
const LINE: usize = 120;

macro_rules! names {
    ($($probe:ident $key:ident),*) => {
        &[$(stringify!($key)),*]
    };
}
const SWITCHES: &[&str] = probes_with_switch!(names);

/// A commented configuration with every key; it parses to [`Experiment::default`](super::Experiment::default). The switches of probes and the
/// names of claims are those of the table of quantities.
pub static COMMENTED: LazyLock<String> = LazyLock::new(|| {
    let switches: Vec<String> = SWITCHES.iter().map(|key| format!("# {key} = true")).collect();
    let text = include_str!("commented.toml").replace("# {probes}", &switches.join("\n"));
    text.replace("# {claims}", &listed(&KNOWN_CLAIMS))
});

/// Names in quotes, in lines of a comment.
fn listed(names: &[&str]) -> String {
    let mut lines = vec!["#".to_owned()];
    for (index, name) in names.iter().enumerate() {
        let word = format!(" \"{name}\"{}", if index + 1 < names.len() { "," } else { "." });
        match lines.last_mut().filter(|line| line.len() + word.len() <= LINE) {
            Some(line) => line.push_str(&word),
            None => lines.push(format!("#{word}")),
        }
    }
    lines.join("\n")
}
