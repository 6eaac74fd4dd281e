//! What is known of the states of an architecture at infinite width, and the requests that have no limit.
//!
//! A state is Gaussian straight after weights and after whatever keeps Gaussians Gaussian: pooling, norms, sums of independent
//! Gaussians. Only a Gaussian state has duals. It is centred if every unit has mean zero. Two states are dependent if, going
//! back through layers without weights, they meet in a common state: a weight layer in between draws new weights, which makes
//! its output independent of everything before it, given the kernels. Then their cross-covariance is the product of their means,
//! and a sum of branches has `K = sum_k scale_k^2 K_k` exactly when one of every two means vanishes
//! (Yang 2019, 1902.04760, for the conditioning on what came before).

use crate::activation::Activation;
use crate::architecture::{Architecture, InputShape, Layer, Node, Operation};
use crate::error::TheoryError;

/// Why max pooling has no kernel.
pub const MAX_POOLING_HAS_NO_KERNEL: &str = "max pooling takes the largest of correlated Gaussians over a window; the \
     covariance of two such maxima is an integral over the joint law of both whole windows and no function of the covariances \
     of pairs of positions that a kernel recursion carries; use average pooling, sum pooling or strides";

/// Why batch normalization has no kernel.
pub const BATCH_NORM_HAS_NO_KERNEL: &str = "batch normalization makes the output on one example depend on the other examples \
     of its batch, so that the limit is no kernel of two arguments but a function of the whole batch, and its gradients \
     explode with depth (Yang et al. 2019, 1902.08129); use layer normalization";

pub(super) fn no_prediction(reason: impl Into<String>) -> TheoryError {
    TheoryError::NoPrediction { reason: reason.into() }
}

/// Whether a state is one vector of units without positions, as the networks see it.
pub(super) fn is_flat(shape: InputShape) -> bool {
    shape.channels == 1 && shape.height == 1
}

/// What is known of one state.
#[derive(Debug, Clone)]
pub(super) struct Law {
    /// A function of the data alone.
    pub(super) deterministic: bool,
    /// Whether every unit has mean zero.
    pub(super) centered: bool,
    /// Positions have become units.
    pub(super) flat: bool,
    /// Its units stem from several positions, with a mean for each.
    has_several_means: bool,
    /// Why the state is not Gaussian, unless it is.
    not_gaussian: Option<&'static str>,
    /// States that this one meets going back without passing weights, itself included.
    reach: Vec<usize>,
}

/// The graph with its laws.
#[derive(Debug)]
pub(super) struct CovarianceGraph {
    pub(super) nodes: Vec<Node>,
    /// Shapes of all states.
    pub(super) shapes: Vec<InputShape>,
    /// Laws of all states.
    pub(super) laws: Vec<Law>,
    /// Nodes that transform the data, in order.
    pub(super) deterministic_nodes: Vec<usize>,
}

const DATA: &str = "they are data, not sums over many weights";
const SUM: &str = "one of the added branches is not Gaussian";

impl CovarianceGraph {
    pub(super) fn new(architecture: &Architecture) -> Result<Self, TheoryError> {
        let (nodes, shapes) = (architecture.nodes()?, architecture.shapes()?);
        let input = Law {
            deterministic: true,
            centered: false,
            flat: false,
            has_several_means: false,
            not_gaussian: Some(DATA),
            reach: vec![0],
        };
        let mut recipe = Self { nodes: Vec::new(), shapes, laws: vec![input], deterministic_nodes: Vec::new() };
        for (index, node) in nodes.iter().enumerate() {
            let law = match &node.operation {
                Operation::Layer(layer) => recipe.law_after(layer, node.inputs[0], index)?,
                Operation::Sum { .. } => recipe.law_of_sum(&node.inputs, index)?,
            };
            if law.deterministic {
                recipe.deterministic_nodes.push(index);
            }
            recipe.laws.push(law);
        }
        recipe.nodes = nodes;
        Ok(recipe)
    }

    fn law_after(&self, layer: &Layer, input: usize, index: usize) -> Result<Law, TheoryError> {
        let mut law = self.laws[input].clone();
        // Messages count layers from 1.
        let number = index + 1;
        law.reach.push(number);
        let spatial = matches!(
            layer,
            Layer::Convolution { .. } | Layer::AveragePool { .. } | Layer::SumPool { .. } | Layer::GlobalAveragePool
        );
        if spatial && law.flat && !law.deterministic {
            return Err(no_prediction(format!(
                "layer {number} convolves or pools the units of a flattened or dense layer, which have no positions"
            )));
        }
        match layer {
            Layer::Dense { .. } | Layer::GatedDense { .. } | Layer::Convolution { .. } => {
                let flat = !matches!(layer, Layer::Convolution { .. });
                let reach = vec![index + 1];
                law = Law {
                    deterministic: false,
                    centered: true,
                    flat,
                    has_several_means: false,
                    not_gaussian: None,
                    reach,
                };
            }
            Layer::Activation { function: Activation::Identity } => {}
            Layer::Activation { function } => {
                if let Some(why) = law.not_gaussian.filter(|_| !law.deterministic) {
                    return Err(no_prediction(format!(
                        "layer {number} applies an activation to features that are not Gaussian at infinite width: {why}; put a \
                         weight layer in between"
                    )));
                }
                law.not_gaussian = Some(if law.deterministic { DATA } else { "they come out of an activation" });
                law.centered &= is_odd(function);
            }
            Layer::GlobalAveragePool => law.flat = true,
            Layer::Flatten => {
                let shape = self.shapes[input];
                law.has_several_means |= !law.flat && shape.height * shape.width > 1;
                law.flat = true;
            }
            Layer::AveragePool { .. } | Layer::SumPool { .. } | Layer::RmsNorm { .. } => {}
            // The mean over all that is normalized together vanishes, and with it every one of several means only by chance.
            Layer::LayerNorm { .. } => law.centered |= !law.has_several_means && !law.deterministic,
            Layer::Dropout { keep } if *keep == 1.0 => {}
            Layer::Dropout { .. } if law.deterministic => {
                return Err(no_prediction(format!(
                    "layer {number} is dropout on the data: its masks fall on a fixed number of inputs and do not average out as \
                     layers widen, so that the covariance after the first weights stays random; put the dropout behind a hidden \
                     layer"
                )));
            }
            Layer::Dropout { .. } => law.not_gaussian = Some("dropout has multiplied them with random masks"),
            Layer::Branches { .. } => unreachable!("branches are unfolded into nodes"),
        }
        Ok(law)
    }

    fn law_of_sum(&self, inputs: &[usize], index: usize) -> Result<Law, TheoryError> {
        let laws: Vec<&Law> = inputs.iter().map(|&input| &self.laws[input]).collect();
        if laws.iter().all(|law| law.deterministic) {
            let mut law = laws[0].clone();
            law.reach.push(index + 1);
            return Ok(law);
        }
        for (k, left) in laws.iter().enumerate() {
            for (l, right) in laws.iter().enumerate().skip(k + 1) {
                let pair = format!("the sum of branches at node {}: branches {} and {}", index + 1, k + 1, l + 1);
                if left.reach.iter().any(|state| right.reach.contains(state)) {
                    return Err(no_prediction(format!(
                        "{pair} share a state without weights in between, so that they are dependent and the covariance of \
                         their sum needs more than the kernels of both; put a weight layer into one of them"
                    )));
                }
                if !left.centered && !right.centered {
                    return Err(no_prediction(format!(
                        "{pair} both have means other than zero, whose product adds to the covariance of their sum and is no part \
                         of the kernel recursion; end one of them in a weight layer or an odd activation"
                    )));
                }
            }
        }
        let mut reach: Vec<usize> = laws.iter().flat_map(|law| law.reach.iter().copied()).collect();
        reach.push(index + 1);
        let why = |law: &&Law| if laws.len() == 1 { law.not_gaussian } else { law.not_gaussian.map(|_| SUM) };
        Ok(Law {
            deterministic: false,
            centered: laws.iter().all(|law| law.centered),
            flat: laws.iter().all(|law| law.flat || law.deterministic),
            has_several_means: laws.iter().any(|law| law.has_several_means),
            not_gaussian: laws.iter().find_map(why),
            reach,
        })
    }
}

/// Whether `phi(-x) = -phi(x)`, judged at points without a pattern: two analytic functions that agree there are one.
pub(super) fn is_odd(function: &Activation) -> bool {
    let points = [0.13, 0.37, 0.71, 1.19, 1.83, 2.57, 4.31];
    let sizes = points.map(|x| function.value(x).abs()).into_iter().fold(f64::MIN_POSITIVE, f64::max);
    points.iter().all(|&x| (function.value(x) + function.value(-x)).abs() <= 64.0 * f64::EPSILON * sizes)
}
