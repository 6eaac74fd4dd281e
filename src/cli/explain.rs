//! What `widthwise explain` may be told.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueHint};
use widthwise::ensemble::Shard;

/// `widthwise explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// Folder of a run that has ended
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// Members to explain, from the first on; all of the run if left out and its configuration says nothing
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) members: Option<usize>,
    /// Training and test examples to keep, as many of each; 32 unless the configuration says otherwise
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000_000))]
    pub(crate) examples: Option<usize>,
    /// Train the second-order Taylor model too
    #[arg(long)]
    pub(crate) quadratic: bool,
    /// No forecasts from later snapshots
    #[arg(long)]
    pub(crate) no_forecast: bool,
    /// The only folder in which the data of the run are searched for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Train only the I-th of N equal parts of the members, 1/4 for instance; parts may run at the same time, on machines that share the folder
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    pub(crate) shard: Shard,
}
