//! What `widthwise reproduce` may be told.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use widthwise::ensemble::Shard;

/// `widthwise reproduce`
#[derive(Debug, Args)]
pub(crate) struct ReproduceArguments {
    /// Name of the recipe, one of --list
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// Folder of the results, reproduce/NAME if left out
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
    /// The only folder in which data sets are searched for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// The size of the paper instead of a few minutes
    #[arg(long, conflicts_with = "size")]
    pub(crate) full: bool,
    /// How much work, by name
    #[arg(long, value_enum, hide = true)]
    pub(crate) size: Option<SizeName>,
    /// Replace earlier results of the recipe
    #[arg(long)]
    pub(crate) force: bool,
    /// Train only the I-th of N equal parts of the networks, 1/4 for instance; parts may run at the same time, on machines that share the folder
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    pub(crate) shard: Shard,
    /// List all recipes
    #[arg(long, conflicts_with_all = ["name", "out", "full", "force"])]
    pub(crate) list: bool,
}

/// Sizes of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SizeName {
    /// Seconds; nothing is decided.
    Tiny,
    /// Minutes.
    Default,
    /// The paper's.
    Full,
}
