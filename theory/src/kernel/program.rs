//! An architecture compiled for the kernel recursion: what to do to the covariances of a pair of examples, in order.

use super::law::{CovarianceGraph, is_flat, no_prediction};
use super::mirror;
use super::near::Watch;
use super::window::Window;
use super::{TangentSource, TrainedLayers};
use crate::activation::Activation;
use crate::architecture::{
    Architecture, InitScheme, InitVariance, InputShape, Layer, Node, Operation, Padding, TangentScale, WeightLayer,
};
use crate::error::TheoryError;

/// Factors of one weight layer; `K <- signal (sigma_w2 k + sigma_b2)` and so on, as in the [module](super) text.
#[derive(Debug, Clone, Copy)]
pub(super) struct WeightFactors {
    /// Index into the weight layers: layer number less one.
    pub(super) number: usize,
    pub(super) init: InitVariance,
    pub(super) scale: TangentScale,
    pub(super) gated: bool,
}

impl WeightFactors {
    /// Whether any of its parameters feeds the tangent kernel.
    fn feeds(&self, source: TangentSource) -> bool {
        match source {
            TangentSource::Nothing => false,
            TangentSource::Parameters => self.scale.weight != 0.0 || self.scale.bias != 0.0,
            TangentSource::Preactivations(number) => number == self.number,
        }
    }
}

/// What happens to the covariances of a pair.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Mean over positions, then weights.
    Dense(WeightFactors),
    /// Mean over taps, the same on both sides, then weights.
    Convolution(WeightFactors, Window),
    /// Window sums on both sides, times this factor.
    Pool(Window, f64),
    /// Mean over positions on both sides.
    GlobalPool,
    /// The function and its slot among the activations.
    Activation(Activation, usize),
    /// Its slot among the norms.
    Norm(usize),
    /// Probability to keep.
    Dropout(f64),
    /// Factors of the branches.
    Sum(Vec<f64>),
}

/// A state that is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operand {
    pub(super) state: usize,
    /// Whether nothing reads it later.
    pub(super) last: bool,
}

/// One step with the states around it.
#[derive(Debug, Clone)]
pub(super) struct Instruction {
    pub(super) step: Step,
    pub(super) inputs: Vec<Operand>,
    pub(super) output: usize,
}

/// One norm.
#[derive(Debug, Clone, Copy)]
pub(super) struct NormSlot {
    pub(super) epsilon: f64,
    /// Whether a mean is subtracted that may not vanish.
    pub(super) subtracts: bool,
    /// Whether all positions are normalized together.
    pub(super) flat: bool,
    /// Height and width of the state.
    pub(super) size: [usize; 2],
}

/// A state of the data that weights or sums read.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourceState {
    pub(super) state: usize,
    pub(super) shape: InputShape,
    /// Only the mean over positions is needed: `x.x' / features`, as of one position.
    pub(super) inner: bool,
}

/// The instructions of an architecture from the data on.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) recipe: CovarianceGraph,
    pub(super) sources: Vec<SourceState>,
    pub(super) instructions: Vec<Instruction>,
    /// Height and width of every state, `[1, 1]` where only a mean over positions is left.
    pub(super) sizes: Vec<[usize; 2]>,
    /// Whether a state is needed at `p != p'`.
    pub(super) needs_pairs: Vec<bool>,
    pub(super) weight_layers: usize,
    /// The function and the size of the state of every activation.
    pub(super) activations: Vec<(Activation, [usize; 2])>,
    pub(super) norms: Vec<NormSlot>,
    /// Whether the means of the states are needed.
    pub(super) means: bool,
    pub(super) has_dropout: bool,
    pub(super) gated: bool,
    /// How to find pairs near collinear, where they can be computed again.
    pub(super) watch: Option<Watch>,
    /// Signs of `K(x, -x)` against `K(x, x)` after every weight layer, where they are equal but for a sign.
    pub(super) mirror: Option<Vec<f64>>,
    /// Why there is no tangent kernel, if there is none.
    pub(super) no_tangent: Option<String>,
}

impl Program {
    pub(super) fn new(architecture: &Architecture, trained: TrainedLayers) -> Result<Self, TheoryError> {
        if architecture.init_scheme == InitScheme::Pytorch {
            return Err(no_prediction(
                "init scheme \"pytorch\" draws weights and biases with variances of its own, not those of the layers; \
                 use \"gaussian\" or \"orthogonal\"",
            ));
        }
        let recipe = CovarianceGraph::new(architecture)?;
        let mut weights = Vec::new();
        for (layer, scale) in architecture.weight_layers()?.iter().zip(architecture.tangent_scales()?) {
            weights.push((layer.index, checked_weights(layer, scale, trained)?));
        }
        let mut program = Self {
            sizes: vec![[1, 1]; recipe.laws.len()],
            needs_pairs: vec![false; recipe.laws.len()],
            recipe,
            sources: Vec::new(),
            instructions: Vec::new(),
            weight_layers: weights.len(),
            activations: Vec::new(),
            norms: Vec::new(),
            means: false,
            has_dropout: false,
            gated: false,
            watch: None,
            mirror: None,
            no_tangent: None,
        };
        program.add_instructions(&weights)?;
        program.note_last_uses();
        program.note_pairs();
        program.no_tangent = program.tangent_obstacle(TangentSource::Parameters);
        program.watch = Watch::new(&program);
        program.mirror = mirror::signs(&program);
        Ok(program)
    }

    fn add_instructions(&mut self, weights: &[(usize, WeightFactors)]) -> Result<(), TheoryError> {
        // The state whose covariances a state has: layers that change nothing add none of their own.
        let mut same: Vec<usize> = (0..self.recipe.laws.len()).collect();
        let nodes = std::mem::take(&mut self.recipe.nodes);
        self.add_sources(&nodes);
        for (index, node) in nodes.iter().enumerate() {
            let output = index + 1;
            if self.recipe.laws[output].deterministic {
                continue;
            }
            let inputs: Vec<usize> = node.inputs.iter().map(|&input| same[input]).collect();
            let mut found = weights.iter().find(|(node, _)| *node == index).map(|(_, weights)| *weights);
            if let (Operation::Layer(Layer::GatedDense { .. }), Some(weights)) = (&node.operation, &mut found) {
                weights.gated = true;
                self.gated = true;
            }
            match self.step(node, index, &inputs, found)? {
                None => same[output] = inputs[0],
                Some((step, size)) => {
                    self.sizes[output] = size;
                    let inputs = inputs.iter().map(|&state| Operand { state, last: false }).collect();
                    self.instructions.push(Instruction { step, inputs, output });
                }
            }
        }
        self.recipe.nodes = nodes;
        Ok(())
    }

    /// Finds the states of the data that steps read, and what of them is needed.
    fn add_sources(&mut self, nodes: &[Node]) {
        for (state, law) in self.recipe.laws.iter().enumerate().filter(|(_, law)| law.deterministic) {
            let (mut read, mut inner) = (false, true);
            for (index, node) in nodes.iter().enumerate() {
                if !node.inputs.contains(&state) || self.recipe.laws[index + 1].deterministic {
                    continue;
                }
                read = true;
                inner &= match &node.operation {
                    Operation::Layer(Layer::Dense { .. } | Layer::GatedDense { .. }) => true,
                    Operation::Layer(_) => false,
                    Operation::Sum { .. } => is_flat(self.recipe.shapes[state]) || law.flat,
                };
            }
            if read {
                let shape = self.recipe.shapes[state];
                self.sizes[state] = if inner { [1, 1] } else { [shape.height, shape.width] };
                self.sources.push(SourceState { state, shape, inner });
            }
        }
    }

    /// The step of a node and the size of the state that it makes; `None` if it changes no covariance.
    fn step(
        &mut self,
        node: &Node,
        index: usize,
        inputs: &[usize],
        weights: Option<WeightFactors>,
    ) -> Result<Option<(Step, [usize; 2])>, TheoryError> {
        let size = self.sizes[inputs[0]];
        let layer = match &node.operation {
            Operation::Layer(layer) => layer,
            Operation::Sum { scales } if scales[..] == [1.0] => return Ok(None),
            Operation::Sum { scales } => {
                let sizes = || inputs.iter().map(|&input| self.sizes[input]);
                let size = sizes().max_by_key(|size| size[0] * size[1]).unwrap_or(size);
                if sizes().any(|other| other != size && other != [1, 1]) {
                    return Err(no_prediction(format!(
                        "the sum of branches at node {} adds units that stem from different positions",
                        index + 1
                    )));
                }
                return Ok(Some((Step::Sum(scales.clone()), size)));
            }
        };
        let window = |taps: &[usize; 2], stride: &[usize; 2], padding: &Padding| {
            let window = Window::new(*padding, size, *taps, *stride);
            window.ok_or(TheoryError::WindowDoesNotFit { index, window: *taps, image: size })
        };
        Ok(match (layer, weights) {
            (Layer::Dense { .. } | Layer::GatedDense { .. }, Some(weights)) => Some((Step::Dense(weights), [1, 1])),
            (Layer::Convolution { filter_size, stride, padding, .. }, Some(weights)) => {
                let window = window(filter_size, stride, padding)?;
                let out = window.out();
                Some((Step::Convolution(weights, window), out))
            }
            (Layer::AveragePool { window: taps, stride, padding }, _) => {
                let window = window(taps, stride, padding)?;
                let (out, cells) = (window.out(), window.cells() as f64);
                Some((Step::Pool(window, 1.0 / (cells * cells)), out))
            }
            (Layer::SumPool { window: taps, stride, padding }, _) => {
                let window = window(taps, stride, padding)?;
                let out = window.out();
                Some((Step::Pool(window, 1.0), out))
            }
            (Layer::GlobalAveragePool, _) => Some((Step::GlobalPool, [1, 1])),
            (Layer::Activation { function: Activation::Identity } | Layer::Flatten, _) => None,
            (Layer::Activation { function }, _) => {
                self.activations.push((function.clone(), size));
                Some((Step::Activation(function.clone(), self.activations.len() - 1), size))
            }
            (Layer::LayerNorm { epsilon } | Layer::RmsNorm { epsilon }, _) => {
                let law = &self.recipe.laws[node.inputs[0]];
                let subtracts = matches!(layer, Layer::LayerNorm { .. }) && !law.centered;
                self.means |= subtracts;
                self.norms.push(NormSlot { epsilon: *epsilon, subtracts, flat: law.flat, size });
                Some((Step::Norm(self.norms.len() - 1), size))
            }
            (Layer::Dropout { keep }, _) if *keep == 1.0 => None,
            (Layer::Dropout { keep }, _) => {
                self.has_dropout = true;
                Some((Step::Dropout(*keep), size))
            }
            _ => unreachable!("weight layers have weights, and branches are unfolded"),
        })
    }

    fn note_last_uses(&mut self) {
        let mut read_later = vec![false; self.sizes.len()];
        for instruction in self.instructions.iter_mut().rev() {
            // Of equal operands the last one is the last use.
            for operand in instruction.inputs.iter_mut().rev() {
                operand.last = !std::mem::replace(&mut read_later[operand.state], true);
            }
        }
    }

    fn note_pairs(&mut self) {
        for instruction in self.instructions.iter().rev() {
            let needed = match &instruction.step {
                Step::Dense(_) => false,
                Step::GlobalPool => true,
                Step::Pool(window, _) => window.cells() > 1 || self.needs_pairs[instruction.output],
                _ => self.needs_pairs[instruction.output],
            };
            // Of one position nothing mixes, unless explicit padding makes windows side by side that all read it.
            let spreads = matches!(instruction.step, Step::Pool(..)) && self.sizes[instruction.output] != [1, 1];
            for operand in &instruction.inputs {
                self.needs_pairs[operand.state] |= needed && (spreads || self.sizes[operand.state] != [1, 1]);
            }
        }
    }

    /// Why no tangent kernel of `source` reaches the readout: an activation on its way whose derivative has no dual.
    pub(super) fn tangent_obstacle(&self, source: TangentSource) -> Option<String> {
        let mut has_tangent = vec![false; self.sizes.len()];
        for instruction in &self.instructions {
            let reached = instruction.inputs.iter().any(|input| has_tangent[input.state]);
            has_tangent[instruction.output] = match &instruction.step {
                Step::Dense(weights) | Step::Convolution(weights, _) => reached || weights.feeds(source),
                Step::Activation(function, _) if reached && !function.has_tangent_limit() => {
                    return Some(format!(
                        "the tangent kernel of parameters below {}: the derivative of a function with a jump is a sum of delta \
                         functions, E[phi'(u) phi'(v)] grows like 1/sqrt(1 - rho^2) and is infinite on the diagonal, so that \
                         gradients of wide networks have no finite limit; train the readout only, or ask for the NNGP kernel \
                         alone",
                        function.name()
                    ));
                }
                _ => reached,
            };
        }
        None
    }
}

fn checked_weights(
    layer: &WeightLayer,
    scale: TangentScale,
    trained: TrainedLayers,
) -> Result<WeightFactors, TheoryError> {
    let (mut scale, init) = (scale, layer.init);
    let positive = init.sigma_w2 > 0.0 && init.sigma_w2.is_finite();
    if !(positive && init.sigma_b2 >= 0.0 && init.sigma_b2.is_finite()) {
        return Err(no_prediction(format!(
            "weight layer {} has sigma_w2 = {} and sigma_b2 = {}; kernels need sigma_w2 > 0 and sigma_b2 >= 0",
            layer.layer, init.sigma_w2, init.sigma_b2
        )));
    }
    match trained {
        TrainedLayers::All => {}
        TrainedLayers::ReadoutOnly if layer.is_readout => {}
        TrainedLayers::ReadoutOnly => (scale.weight, scale.bias) = (0.0, 0.0),
        TrainedLayers::BiasesFrozen => scale.bias = 0.0,
    }
    Ok(WeightFactors { number: layer.layer - 1, init, scale, gated: false })
}
