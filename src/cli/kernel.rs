//! What `widthwise kernel` may be told.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum, ValueHint};
use widthwise::examples::Source;
use widthwise::memory::Bytes;
use widthwise_theory::architecture::InputShape;
use widthwise_theory::conventions::KernelKind;

use super::number::positive;
use crate::cli::number::parse_shape;

/// `widthwise kernel`
#[derive(Debug, Args)]
pub(crate) struct KernelArguments {
    /// File with a [network] table, as in an experiment
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) architecture: PathBuf,
    /// Examples: FILE.csv, FILE.npy, NAME:train[:COUNT] or CONFIG.toml:train[:COUNT]
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    pub(crate) inputs: Source,
    /// Examples for the columns of the kernels, where they are not those of the rows
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    pub(crate) right: Option<Source>,
    /// Where to write, without the endings .nngp.npy, .ntk.npy and so on; existing files are replaced
    #[arg(long, value_name = "PREFIX", value_hint = ValueHint::FilePath)]
    pub(crate) out: PathBuf,
    /// Channels, height and width of an example; values channel by channel, each row by row. Those of the data set, or flat
    /// vectors, if left out
    #[arg(long, value_name = "C,H,W", value_parser = parse_shape)]
    pub(crate) shape: Option<InputShape>,
    /// Most memory that the process may hold at any time, everything included
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    pub(crate) memory: Bytes,
    /// Numbers in the .npy files; computed in f64 either way
    #[arg(long, value_enum, default_value = "f64")]
    pub(crate) storage: StoragePrecision,
    /// Rows and columns of a tile, instead of as many as fit into memory; changes no number
    #[arg(long, value_name = "ROWS", value_parser = RangedU64ValueParser::<usize>::new().range(1..=65536))]
    pub(crate) tile: Option<usize>,
    /// Write .csv files also of large kernels
    #[arg(long)]
    pub(crate) csv: bool,
    /// Only one of the kernels
    #[arg(long, value_enum)]
    pub(crate) only: Option<KernelName>,
    /// Which parameters are trained: they make the NTK
    #[arg(long, value_enum, default_value = "all")]
    pub(crate) trained: Trained,
    /// Forget an unfinished job of the same PREFIX
    #[arg(long)]
    pub(crate) restart: bool,
    /// A kernel from elsewhere to compare with: a .npy file, after nngp= or ntk= if it is not the NTK
    #[arg(long, value_name = "[KERNEL=]FILE", value_hint = ValueHint::FilePath)]
    pub(crate) compare: Option<Compared>,
    /// Largest difference at which kernels are equal, in units of the largest entry
    #[arg(long, value_name = "X", default_value_t = 1e-6, requires = "compare", value_parser = positive)]
    pub(crate) tolerance: f64,
    /// The only folder in which data sets are searched for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Change a value of the architecture, for instance network.depth=5, or of the data set of CONFIG.toml:train, for instance
    /// dataset.preprocessing.zca=0.1; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// `--only`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KernelName {
    /// Covariance of the outputs before training
    Nngp,
    /// Tangent kernel
    Ntk,
}

impl KernelName {
    /// As the library has it.
    pub(crate) fn kind(self) -> KernelKind {
        match self {
            Self::Nngp => KernelKind::Nngp,
            Self::Ntk => KernelKind::Ntk,
        }
    }
}

/// `--storage`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoragePrecision {
    /// Double precision
    F64,
    /// Single precision, half the disk; the error is measured
    F32,
}

/// `--trained`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Trained {
    /// Every weight and bias
    All,
    /// Weights and biases of the last layer
    Readout,
    /// Every weight and no bias
    BiasesFrozen,
}

/// `--compare`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Which kernel it is, where that was said.
    pub(crate) kernel: Option<KernelName>,
    /// The file.
    pub(crate) file: PathBuf,
}

impl FromStr for Compared {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kernel, file) = match text.split_once('=') {
            Some(("nngp", file)) => (Some(KernelName::Nngp), file),
            Some(("ntk", file)) => (Some(KernelName::Ntk), file),
            _ => (None, text),
        };
        if !file.to_ascii_lowercase().ends_with(".npy") {
            return Err("expected a .npy file, for instance theirs.npy or nngp=theirs.npy".to_owned());
        }
        Ok(Self { kernel, file: PathBuf::from(file) })
    }
}
