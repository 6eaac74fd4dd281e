//! What `widthwise monte-carlo` may be told.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueHint};
use widthwise::examples::Source;
use widthwise_theory::architecture::InputShape;

use super::kernel::StoragePrecision;
use crate::cli::number::parse_shape;

/// `widthwise monte-carlo`
#[derive(Debug, Args)]
pub(crate) struct MonteCarloArguments {
    /// File with a [network] table, as in an experiment
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) architecture: PathBuf,
    /// Examples: FILE.csv, FILE.npy, NAME:train[:COUNT] or CONFIG.toml:train[:COUNT]
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    pub(crate) inputs: Source,
    /// Where to write, without the endings .nngp.npy, .nngp_std_error.npy and so on; existing files are replaced
    #[arg(long, value_name = "PREFIX", value_hint = ValueHint::FilePath)]
    pub(crate) out: PathBuf,
    /// Networks to draw
    #[arg(long, value_name = "N", default_value = "200", value_parser = RangedU64ValueParser::<usize>::new().range(2..))]
    pub(crate) members: usize,
    /// Units or channels of every hidden layer, instead of those of the architecture
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) width: Option<usize>,
    /// Draw as many networks of half the width too, and remove the bias of order 1/width; needs --width
    #[arg(long, requires = "width")]
    pub(crate) extrapolate: bool,
    /// Arithmetic of the networks
    #[arg(long, value_enum, default_value = "f64")]
    pub(crate) precision: StoragePrecision,
    /// Seed of the networks, instead of that of the architecture's file
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Channels, height and width of an example, as for `widthwise kernel`
    #[arg(long, value_name = "C,H,W", value_parser = parse_shape)]
    pub(crate) shape: Option<InputShape>,
    /// The only folder in which data sets are searched for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Change a value of the architecture, for instance network.depth=5, or of the data set of CONFIG.toml:train, for instance
    /// dataset.preprocessing.zca=0.1; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}
