//! What `widthwise weights` may be told.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand, ValueEnum, ValueHint};
use widthwise::record::weights::pytorch::Mapping;
use widthwise_theory::architecture::InputShape;

use crate::cli::number::parse_shape;

/// `widthwise weights`
#[derive(Debug, Args)]
pub(crate) struct WeightsArguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: WeightsAction,
}

/// The actions of `widthwise weights`.
#[derive(Debug, Subcommand)]
pub(crate) enum WeightsAction {
    /// Write the weights of a run's member, or of a weights file, as safetensors
    Export(ExportArguments),
    /// Read a state dict of PyTorch (safetensors, or what torch.save writes) as weights of a network here
    Import(ImportArguments),
}

/// `widthwise weights export`
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// Folder of a run that kept weights, or a file of weights
    #[arg(value_name = "RUN_OR_FILE", value_hint = ValueHint::AnyPath)]
    pub(crate) from: PathBuf,
    /// File to write, replaced if it exists
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: PathBuf,
    /// Names, shapes and coordinates of the tensors
    #[arg(long, value_enum, default_value = "widthwise")]
    pub(crate) layout: StateLayout,
    /// Which network of the run; the first if left out
    #[arg(long, value_name = "N")]
    pub(crate) member: Option<usize>,
    /// After how many steps, for a run with run.keep_weights = "probes"; after training if left out
    #[arg(long, value_name = "N")]
    pub(crate) step: Option<u64>,
}

/// `--layout`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateLayout {
    /// As every command here reads them, the architecture in the header
    Widthwise,
    /// As the state dict of an nn.Sequential
    Pytorch,
}

/// `widthwise weights import`
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// State dict or checkpoint: safetensors, or what torch.save writes, whatever its ending
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The network: a file with a [network] table, or the architecture.json of a run
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) network: PathBuf,
    /// Channels, height and width of an input, or the number of its features
    #[arg(long, value_name = "C,H,W", value_parser = parse_input)]
    pub(crate) input: Option<InputShape>,
    /// Outputs of the network
    #[arg(long, value_name = "O", value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    pub(crate) outputs: Option<usize>,
    /// File to write, replaced if it exists
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: PathBuf,
    /// The module of a layer, where the order of the state dict gives it another, for instance 2=head; may be repeated
    #[arg(long = "map", value_name = "LAYER=MODULE")]
    pub(crate) map: Vec<MapOption>,
    /// Change a value of the network, for instance network.parameterization=standard; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// One `--map`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MapOption(pub(crate) Mapping);

impl FromStr for MapOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || "expected a layer, counted from 1, and a module of the file, for instance 2=decoder".to_owned();
        let (layer, module) = text.split_once('=').ok_or_else(expected)?;
        let layer = layer.trim().parse().ok().filter(|layer| *layer > 0).ok_or_else(expected)?;
        let module = module.trim();
        let module = module.strip_suffix(".weight").unwrap_or(module).to_owned();
        Ok(Self(Mapping { layer, module }))
    }
}

/// `C,H,W` or a number of features.
fn parse_input(text: &str) -> Result<InputShape, String> {
    match text.trim().parse() {
        Ok(features) if features > 0 => Ok(InputShape::flat(features)),
        _ => parse_shape(text).map_err(|error| format!("{error}; or a number of features, for instance 784")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_a_shape_or_a_number_of_features() {
        assert_eq!(parse_input("784"), Ok(InputShape::flat(784)));
        assert_eq!(parse_input("3,32,32"), Ok(InputShape { channels: 3, height: 32, width: 32 }));
        for wrong in ["0", "3,32", "x", ""] {
            assert!(parse_input(wrong).unwrap_err().contains("for instance 784"), "{wrong}");
        }
    }

    #[test]
    fn a_mapping_is_a_layer_and_a_module() {
        let mapping = |layer, module: &str| Ok(MapOption(Mapping { layer, module: module.to_owned() }));
        assert_eq!("2=net.head".parse(), mapping(2, "net.head"));
        assert_eq!("2=net.head.weight".parse(), mapping(2, "net.head"));
        assert_eq!("1=".parse(), mapping(1, ""));
        for wrong in ["head", "0=head", "x=head", "=head"] {
            assert!(wrong.parse::<MapOption>().unwrap_err().contains("2=decoder"), "{wrong}");
        }
    }
}
