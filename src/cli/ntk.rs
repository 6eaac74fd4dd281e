//! What `widthwise ntk` may be told.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueHint};
use widthwise::examples::Source;
use widthwise::memory::Bytes;
use widthwise_probes::ntk::NtkOutput;
use widthwise_theory::architecture::InputShape;

use super::kernel::StoragePrecision;
use crate::cli::number::parse_shape;

/// `widthwise ntk`
#[derive(Debug, Args)]
pub(crate) struct NtkArguments {
    /// Weights of a network (weights.safetensors, checkpoint.safetensors, the folder of a run or of one of its members), or a file
    /// with a [network] table, of which a network is drawn
    #[arg(value_hint = ValueHint::AnyPath)]
    pub(crate) network: PathBuf,
    /// Examples: FILE.csv, FILE.npy, NAME:train[:COUNT] or CONFIG.toml:train[:COUNT]
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    pub(crate) inputs: Source,
    /// Examples for the columns of the kernel, where they are not those of the rows
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    pub(crate) right: Option<Source>,
    /// Where to write, without the endings .ntk.npy and so on; existing files are replaced
    #[arg(long, value_name = "PREFIX", value_hint = ValueHint::FilePath)]
    pub(crate) out: PathBuf,
    /// Which numbers: trace (mean over outputs), full (all outputs with all), logit=K (output K, from 0, with itself) or diagonal
    /// (each example with itself, all outputs with all)
    #[arg(long, value_name = "NUMBERS", default_value = "trace")]
    pub(crate) output: OutputName,
    /// Also the share of every layer, each in a file of its own
    #[arg(long)]
    pub(crate) per_layer: bool,
    /// Instead of the kernel its K largest eigenvalues with their vectors, by products with vectors; no kernel is formed
    #[arg(long, value_name = "K", conflicts_with_all = ["right", "per_layer", "csv", "tile"],
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    pub(crate) top_k: Option<usize>,
    /// Member of a run, or of the ensemble that is drawn
    #[arg(long, value_name = "M", default_value_t = 0)]
    pub(crate) member: usize,
    /// Seed of a network that is drawn, instead of run.seed
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
    /// Outputs of a network that is drawn; those of the data set, or one, if left out
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=65536))]
    pub(crate) outputs: Option<usize>,
    /// Channels, height and width of an example, for a network that is drawn; those of the data set, or flat vectors, if left out
    #[arg(long, value_name = "C,H,W", value_parser = parse_shape)]
    pub(crate) shape: Option<InputShape>,
    /// Most memory that the process may hold at any time, everything included
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    pub(crate) memory: Bytes,
    /// Precision of the computation; sums of many products are taken in parts
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) precision: StoragePrecision,
    /// Numbers in the .npy files
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) storage: StoragePrecision,
    /// Examples of a tile, instead of as many as fit into memory
    #[arg(long, value_name = "EXAMPLES", value_parser = RangedU64ValueParser::<usize>::new().range(1..=65536))]
    pub(crate) tile: Option<usize>,
    /// Write .csv files also of large kernels
    #[arg(long)]
    pub(crate) csv: bool,
    /// Forget an unfinished job of the same PREFIX
    #[arg(long)]
    pub(crate) restart: bool,
    /// The only folder in which data sets are searched for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Change a value of the architecture of a network that is drawn, for instance network.width=512, or of the data set of
    /// CONFIG.toml:train; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// `--output`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputName(pub(crate) NtkOutput);

impl FromStr for OutputName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || "expected trace, full, diagonal or logit=K with K from 0, for instance logit=3".to_owned();
        Ok(Self(match text {
            "trace" => NtkOutput::Trace,
            "full" => NtkOutput::Full,
            "diagonal" => NtkOutput::Diagonal,
            other => {
                let number = other.strip_prefix("logit=").and_then(|number| number.parse().ok());
                NtkOutput::Logit(number.ok_or_else(refuse)?)
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_have_names() {
        let read = |text: &str| text.parse::<OutputName>().map(|name| name.0);
        assert_eq!(read("trace"), Ok(NtkOutput::Trace));
        assert_eq!(read("logit=12"), Ok(NtkOutput::Logit(12)));
        for wrong in ["", "logit", "logit=", "logit=-1", "logits=1", "Trace"] {
            assert!(read(wrong).unwrap_err().contains("logit=3"), "{wrong}");
        }
    }
}
