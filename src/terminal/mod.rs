//! What the user sees while commands work: results, remarks, tables and progress.

pub(crate) mod columns;
pub(crate) mod console;
pub(crate) mod job;
pub(crate) mod progress;

use clap::Args;
use clap::builder::RangedU64ValueParser;

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// No progress and no remarks, tables shortened to their last line
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// More detail: steps where there is no terminal, p-values, resolved configurations
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Results and progress as JSON, one object a line, on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Threads to compute with, all processors by default
    #[arg(long, global = true, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=4096))]
    pub(crate) threads: Option<usize>,
}
