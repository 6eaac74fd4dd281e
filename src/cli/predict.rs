//! What `widthwise predict` may be told.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueHint};
use widthwise::examples::Source;
use widthwise::memory::Bytes;
use widthwise::predict::{PredictLoss, PredictMethod, PredictOptimizer, Solver};
use widthwise_theory::architecture::InputShape;

use super::names::{LOSSES, METHODS, OPTIMIZERS, SOLVERS, one_of};
use super::number::{below_one, not_negative, positive};
use crate::cli::number::parse_shape;
use crate::cli::number::parse_time;

/// `widthwise predict`
#[derive(Debug, Args)]
pub(crate) struct PredictArguments {
    /// File with a [network] table, as in an experiment
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) architecture: PathBuf,
    /// Training examples: FILE.csv, FILE.npy, NAME:train[:COUNT] or CONFIG.toml:train[:COUNT]
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    pub(crate) train: Source,
    /// Targets of the training examples, one row an example; those of the data set if left out
    #[arg(long, value_name = "FILE", value_parser = numbers_file, value_hint = ValueHint::FilePath)]
    pub(crate) targets: Option<PathBuf>,
    /// Test examples
    #[arg(long, value_name = "SOURCE", value_hint = ValueHint::FilePath)]
    pub(crate) test: Option<Source>,
    /// Targets of the test examples, for scores
    #[arg(long, value_name = "FILE", requires = "test", value_parser = numbers_file, value_hint = ValueHint::FilePath)]
    pub(crate) test_targets: Option<PathBuf>,
    /// Files of targets hold one class from 0 to N-1 a row; they become centred one-hot rows
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(2..=255))]
    pub(crate) classes: Option<usize>,
    /// Where to write, without the endings .predictions.csv, .summary.json and so on; existing files are replaced
    #[arg(long, value_name = "PREFIX", value_hint = ValueHint::FilePath)]
    pub(crate) out: PathBuf,
    /// What predicts
    #[arg(long, value_parser = one_of::<PredictMethod>(&METHODS), default_value = "ntk")]
    pub(crate) method: PredictMethod,
    /// How networks are trained
    #[arg(long, value_parser = one_of::<PredictOptimizer>(&OPTIMIZERS), default_value = "flow")]
    pub(crate) optimizer: PredictOptimizer,
    /// Step size; 1 for the flow
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) learning_rate: Option<f64>,
    /// Momentum coefficient
    #[arg(long, value_name = "X", default_value_t = 0.9, value_parser = below_one)]
    pub(crate) beta: f64,
    /// Flow times or numbers of steps, inf for the limit
    #[arg(long, value_name = "T,T,...", value_delimiter = ',', value_parser = parse_time, allow_hyphen_values = true)]
    pub(crate) times: Vec<f64>,
    /// Loss that training lowers; all but mse are integrated step by step
    #[arg(long, value_parser = one_of::<PredictLoss>(&LOSSES), default_value = "mse")]
    pub(crate) loss: PredictLoss,
    /// Examples a step, in the order in which `widthwise run` takes them with --seed; all if left out
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) batch_size: Option<usize>,
    /// Networks to draw for the variance under a loss that is integrated; 0 for one that starts at zero
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) members: usize,
    /// Seed of the members and of the order of batches
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Variance of the noise on training targets
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = not_negative, allow_hyphen_values = true)]
    pub(crate) noise: f64,
    /// Strength of the L2 penalty toward the initial parameters
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = not_negative, allow_hyphen_values = true)]
    pub(crate) ridge: f64,
    /// Added to the diagonal of the training kernel to make it solvable; never added unasked
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = not_negative, allow_hyphen_values = true)]
    pub(crate) jitter: f64,
    /// Shape of the inverse gamma distribution of the readout variance, for student-t
    #[arg(long, value_name = "A", default_value_t = 2.0, value_parser = positive)]
    pub(crate) prior_shape: f64,
    /// Its scale
    #[arg(long, value_name = "B", default_value_t = 2.0, value_parser = positive)]
    pub(crate) prior_scale: f64,
    /// direct: all in f64; cg: means only, for tens of thousands of examples
    #[arg(long, value_parser = one_of::<Solver>(&SOLVERS), default_value = "auto")]
    pub(crate) solver: Solver,
    /// Largest residual of the system that cg may leave, relative to the targets
    #[arg(long, value_name = "X", default_value_t = 1e-6, value_parser = positive)]
    pub(crate) tolerance: f64,
    /// Write whole covariances
    #[arg(long)]
    pub(crate) covariance: bool,
    /// Channels, height and width of an example, as for `widthwise kernel`
    #[arg(long, value_name = "C,H,W", value_parser = parse_shape)]
    pub(crate) shape: Option<InputShape>,
    /// Most memory that the process may hold at any time, everything included
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    pub(crate) memory: Bytes,
    /// The only folder in which data sets are searched for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Change a value of the architecture, for instance network.depth=5, or of the data set of CONFIG.toml:train, for instance
    /// dataset.preprocessing.zca=0.1; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// A `.csv` or `.npy` file.
fn numbers_file(text: &str) -> Result<PathBuf, String> {
    match text.parse() {
        Ok(Source::File(path)) => Ok(path),
        _ => Err("expected a .csv or a .npy file".to_owned()),
    }
}
