//! Values of the library by their names, as the user types them, each with its line of help.

use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Parses one of `names`, each of which comes with its help.
pub(crate) fn one_of<T>(names: &[(&'static str, &'static str)]) -> impl TypedValueParser<Value = T> + use<T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    let values = names.iter().map(|&(name, help)| PossibleValue::new(name).help(help));
    PossibleValuesParser::new(values).try_map(|name| name.parse())
}

/// `--device`
pub(crate) const DEVICES: [(&str, &str); 4] = [
    ("flex", "Burn's maintained CPU backend"),
    ("ndarray", "Burn's deprecated ndarray backend (cargo feature `ndarray`)"),
    ("wgpu", "GPUs, or a software Vulkan driver (cargo feature `wgpu`)"),
    ("cuda", "NVIDIA's GPUs (cargo feature `cuda`)"),
];

/// `--method`
pub(crate) const METHODS: [(&str, &str); 5] = [
    ("nngp", "Posterior of the NNGP kernel"),
    ("ntk", "Ensemble of trained networks"),
    ("ntkgp", "Posterior of the tangent kernel"),
    ("student-t", "Posterior with a random readout variance"),
    ("infinite-depth", "Classifier of infinitely many layers"),
];

/// `--optimizer`
pub(crate) const OPTIMIZERS: [(&str, &str); 4] = [
    ("flow", "Gradient flow"),
    ("gradient-descent", "Full-batch gradient descent"),
    ("momentum", "Heavy-ball momentum"),
    ("nesterov", "Nesterov's momentum"),
];

/// `--loss`
pub(crate) const LOSSES: [(&str, &str); 5] = [
    ("mse", "1/2 sum (f - y)^2"),
    ("cross-entropy", "Softmax cross-entropy; targets are probabilities or classes"),
    ("logistic", "Binary cross-entropy of every output"),
    ("huber", "Quadratic to a distance of 1, then linear"),
    ("squared-hinge", "Squared hinge; targets are -1 or 1"),
];

/// `--solver`
pub(crate) const SOLVERS: [(&str, &str); 3] = [
    ("auto", "direct up to 4000 training examples, where it fits into memory; then cg"),
    ("direct", "Whole kernels in double precision"),
    ("cg", "Preconditioned conjugate gradients on a kernel in single precision"),
];
