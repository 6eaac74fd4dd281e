//! The file that `widthwise config init` writes.

/// A commented configuration with every key; it parses to [`Experiment::default`](super::Experiment::default).
pub const COMMENTED: &str = include_str!("commented.toml");
