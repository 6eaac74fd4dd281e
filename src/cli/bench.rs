//! What `widthwise bench` may be told.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use widthwise::config::DeviceKind;

use super::names::{DEVICES, one_of};

/// `widthwise bench`
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// What to time
    #[command(subcommand)]
    pub(crate) what: BenchCommand,
}

/// What can be timed.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Infinite-width kernels, NNGP and NTK together
    Kernels(BenchCases),
    /// Empirical tangent kernels of finite networks, in f32, next to the speed of a large matrix product
    Ntk(DeviceCases),
    /// Training steps, in f32, next to the speed of a large matrix product
    Train(DeviceCases),
    /// Measures networks while they train, probe by probe, next to their training steps
    Probes(ProbeCases),
    /// Judges many small ensembles of which theory is right, and of which it is wrong by a known amount
    Verdicts(VerdictCases),
}

/// `widthwise bench verdicts`
#[derive(Debug, Args)]
pub(crate) struct VerdictCases {
    /// Ensembles, with seeds from 1 on
    #[arg(long, value_name = "N", default_value = "300", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) runs: usize,
    /// Networks of each
    #[arg(long, value_name = "N", default_value = "12", value_parser = RangedU64ValueParser::<usize>::new().range(2..=1024))]
    pub(crate) members: usize,
    /// Also write the tables to this Markdown file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `widthwise bench probes`
#[derive(Debug, Args)]
pub(crate) struct ProbeCases {
    #[command(flatten)]
    pub(crate) cases: BenchCases,
    /// Also write every number to this CSV file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Which cases, and how often.
#[derive(Debug, Args)]
pub(crate) struct BenchCases {
    /// Only the cases whose name has this part
    #[arg(long, value_name = "PART")]
    pub(crate) case: Option<String>,
    /// Timed repeats of a case, after one that warms up; fewer where they would take more than 20 s
    #[arg(long, value_name = "N", default_value = "7", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub(crate) repeats: usize,
}

/// Which cases, how often and where.
#[derive(Debug, Args)]
pub(crate) struct DeviceCases {
    /// Which and how often
    #[command(flatten)]
    pub(crate) cases: BenchCases,
    /// Where to compute
    #[arg(long, value_parser = one_of::<DeviceKind>(&DEVICES), default_value = "flex")]
    pub(crate) device: DeviceKind,
}
