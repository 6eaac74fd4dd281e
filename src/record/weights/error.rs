//! What is wrong with a file of weights.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use widthwise_theory::TheoryError;

/// A file of weights that cannot be read, written, or does not fit its network.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file cannot be opened.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why, with the path.
        source: io::Error,
    },
    /// The file is something else, or damaged.
    #[error("{} cannot be read as weights: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No file of this program, or a damaged one.
    #[error(
        "{} is damaged or something else: it is no sound safetensors file ({reason}); give the weights.safetensors or \
         checkpoint.safetensors of a run, or what `widthwise weights import` makes",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is wrong, or what it is.
        reason: String,
    },
    /// Tensors without the network that they belong to.
    #[error(
        "{} does not say which network its weights belong to; `widthwise weights import` makes a file that does",
        path.display()
    )]
    NoArchitecture {
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint between two members.
    #[error(
        "{} was written between two members and holds no weights; with run.keep_weights a run keeps those of every member",
        path.display()
    )]
    BetweenMembers {
        /// The file.
        path: PathBuf,
    },
    /// A file that needs no import.
    #[error("{} is a weights file of this program already, and needs no import", path.display())]
    OwnFile {
        /// The file.
        path: PathBuf,
    },
    /// Tensors that the network needs are not there.
    #[error("{} lacks {names}, which the network has", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is missing.
        names: String,
    },
    /// Tensors that the network has no place for.
    #[error("{} has {names}, for which the network has no place", path.display())]
    LeftOver {
        /// The file.
        path: PathBuf,
        /// What is left.
        names: String,
    },
    /// A tensor of another shape.
    #[error("{name} of {} has the shape {found:?}, but the network needs {expected:?}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that fits.
        expected: Vec<usize>,
    },
    /// A tensor that does not hold floating-point numbers.
    #[error("{name} of {} holds {found} numbers; weights are F16, BF16, F32 or F64", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// A weight that is no number.
    #[error("{name} of {} holds {value} at place {place}; weights must be finite", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Where, counted from 0 in row-major order.
        place: usize,
        /// NaN or an infinity.
        value: f64,
    },
    /// Layers that are not parameters of their own.
    #[error(
        "{} has one tensor in two places: {first} and {second} {how}, and a network whose layers share weights has another tangent \
         kernel than one with a weight each; no network here ties layers, so train one that does not",
        path.display()
    )]
    Tied {
        /// The file.
        path: PathBuf,
        /// The tensor that comes first.
        first: String,
        /// The other one.
        second: String,
        /// How that is known.
        how: String,
    },
    /// A window whose place in PyTorch is not known.
    #[error(
        "{window} has padding = {padding}, which on its input of {} x {} with a stride of {} x {} is not what padding=({}, {}) of \
         PyTorch does, and a state dict does not say which it was; {advice}",
        image[0], image[1], stride[0], stride[1], symmetric[0], symmetric[1]
    )]
    Padding {
        /// The layer, in words.
        window: String,
        /// Its padding, as a configuration has it.
        padding: String,
        /// Height and width of what it reads.
        image: [usize; 2],
        /// Its strides.
        stride: [usize; 2],
        /// The nearest padding of PyTorch.
        symmetric: [usize; 2],
        /// What to do.
        advice: String,
    },
    /// Something in a state dict that no network here has.
    #[error("{} has {name}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The tensor or module.
        name: String,
        /// Why it cannot be read, and what can.
        reason: String,
    },
    /// A layer without a tensor of its shape.
    #[error("no weights for layer {layer}: {reason}")]
    NoMatch {
        /// The layer, from 1.
        layer: usize,
        /// What was searched for, what is there, what to do.
        reason: String,
    },
    /// An architecture whose shapes do not fit.
    #[error(transparent)]
    Architecture(#[from] TheoryError),
}
