//! What `widthwise ladder` may be told.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum, ValueHint};
use widthwise::ensemble::Shard;
use widthwise_theory::architecture::Parameterization;

/// `widthwise ladder`
#[derive(Debug, Args)]
pub(crate) struct LadderArguments {
    /// Configuration of the experiment; its network.width and run.members are those of the ladder instead
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) config: PathBuf,
    /// Widths: FIRST..LAST, each twice the one before, or a list such as 64,128,256
    #[arg(long, value_name = "WIDTHS", default_value = "64..2048")]
    pub(crate) widths: WidthList,
    /// Networks of each width, run.members if left out
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(2..=100_000))]
    pub(crate) seeds: Option<usize>,
    /// Only measure how far pre-activations move in a few steps, layer by layer
    #[arg(long)]
    pub(crate) coordinates: bool,
    /// Hold the exponents against those of this parameterization instead of the network's own
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) rates_of: Option<RatesOf>,
    /// Train only the I-th of N equal parts of the networks, 1/4 for instance
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    pub(crate) shard: Shard,
    /// Folder of the results, runs/NAME_ladder or runs/NAME_coordinates if left out; what is in it already is not trained again
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
    /// Change a value of the configuration, for instance network.depth=2; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The only folder in which data sets are searched for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Names of parameterizations as configurations have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RatesOf {
    /// Variance in the weights, one learning rate
    Standard,
    /// Variance in the weights, a learning rate for every layer
    StandardLayerwise,
    /// Variance in the gains
    Ntk,
    /// Feature learning, variance in the gains
    MeanField,
    /// Feature learning, variance in the weights
    Mup,
}

impl From<RatesOf> for Parameterization {
    fn from(name: RatesOf) -> Self {
        match name {
            RatesOf::Standard => Self::Standard,
            RatesOf::StandardLayerwise => Self::StandardLayerwise,
            RatesOf::Ntk => Self::Ntk,
            RatesOf::MeanField => Self::MeanField,
            RatesOf::Mup => Self::Mup,
        }
    }
}

/// Three or more widths, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WidthList(pub(crate) Vec<usize>);

/// Largest width of a ladder.
const WIDEST: usize = 1 << 20;

impl FromStr for WidthList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let found = text.trim().parse::<usize>().ok().filter(|width| (1..=WIDEST).contains(width));
            found.ok_or_else(|| format!("the width \"{text}\" is not a whole number from 1 to {WIDEST}"))
        };
        let mut widths = match text.split_once("..") {
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                std::iter::successors(Some(first), |width| Some(2 * width)).take_while(|width| *width <= last).collect()
            }
            None => text.split(',').map(number).collect::<Result<Vec<_>, _>>()?,
        };
        widths.sort_unstable();
        widths.dedup();
        if widths.len() < 3 {
            return Err(format!(
                "{} widths are too few for a slope; give three or more, such as 64..1024 or 64,128,256",
                widths.len()
            ));
        }
        Ok(Self(widths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_double_or_are_listed() {
        let widths = |text: &str| text.parse::<WidthList>().map(|widths| widths.0);
        assert_eq!(widths("64..1024").unwrap(), [64, 128, 256, 512, 1024]);
        assert_eq!(widths("48..200").unwrap(), [48, 96, 192]);
        assert_eq!(widths("512, 64,128,64").unwrap(), [64, 128, 512]);
        for text in ["64", "64..100", "1024..64", "64,64,128"] {
            assert!(widths(text).unwrap_err().contains("too few for a slope"), "{text}");
        }
        for text in ["0..64", "a..64", "64,x,256", "64,-1,3", ""] {
            assert!(widths(text).unwrap_err().contains("not a whole number"), "{text}");
        }
    }
}
