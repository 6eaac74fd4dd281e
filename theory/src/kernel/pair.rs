//! The recursion on one pair of examples.

use std::borrow::Cow;

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::deterministic;
use super::inputs::Inputs;
use super::plan::{Plan, Start, Step, WeightStep};
use crate::activation::Activation;
use crate::architecture::Architecture;
use crate::dual::{Dual, HermiteSeries};
use crate::error::TheoryError;

/// What feeds the tangent kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The trained parameters: `Theta`.
    Parameters,
    /// The preactivations of one weight layer (an index, layer number less one), as if they were the parameters:
    /// `Theta` becomes `sum_j dh^l_i/dh_j dh^l_i/dh_j` over these preactivations, a partial Jacobian.
    Preactivations(usize),
}

/// One set of examples, prepared.
#[derive(Debug)]
pub(crate) struct Side<'a> {
    pub(crate) examples: usize,
    features: usize,
    /// At the first weight layer.
    values: Cow<'a, [f64]>,
    /// `examples x M` gate values, empty without gated layers.
    gates: Vec<f64>,
    gate_count: usize,
}

impl<'a> Side<'a> {
    pub(crate) fn new(plan: &Plan, architecture: &Architecture, inputs: &'a Inputs) -> Result<Self, TheoryError> {
        let features = architecture.input.features();
        if inputs.shape.features() != features || !inputs.values.len().is_multiple_of(features) {
            return Err(TheoryError::ShapeMismatch {
                what: "features of an example",
                expected: features,
                found: inputs.shape.features(),
            });
        }
        let values = match plan.deterministic {
            0 => Cow::Borrowed(inputs.values.as_slice()),
            layers => Cow::Owned(deterministic::features(architecture, layers, &inputs.values)?),
        };
        let (gates, gate_count) = match &architecture.gates {
            Some(gates) if plan.gated => (gates.evaluate(&inputs.values, features), gates.count()),
            _ => (Vec::new(), 0),
        };
        Ok(Self { examples: inputs.examples(), features: plan.shape.features(), values, gates, gate_count })
    }

    /// Example `i` at the first weight layer.
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.features..(i + 1) * self.features]
    }

    /// Whether example `i` is example `j` of `other`, number by number.
    pub(crate) fn repeats(&self, i: usize, other: &Self, j: usize) -> bool {
        self.row(i) == other.row(j) && self.gate_row(i) == other.gate_row(j)
    }

    fn gate_row(&self, i: usize) -> &[f64] {
        &self.gates[i * self.gate_count..(i + 1) * self.gate_count]
    }

    /// Inner products of all pairs, by matrix products.
    pub(crate) fn overlaps(&self, other: &Self, plan: &Plan) -> Overlaps {
        let product = |left: &[f64], right: &[f64], columns: usize| {
            let left = MatRef::from_row_major_slice(left, left.len() / columns, columns);
            let right = MatRef::from_row_major_slice(right, right.len() / columns, columns);
            left * right.transpose() * (1.0 / columns as f64)
        };
        Overlaps {
            inputs: (plan.start == Start::Inner).then(|| product(&self.values, &other.values, self.features)),
            gates: plan.gated.then(|| product(&self.gates, &other.gates, self.gate_count)),
        }
    }
}

/// `x.x'/features` and `g.g'/M` of all pairs, where they are needed.
#[derive(Debug)]
pub(crate) struct Overlaps {
    inputs: Option<Mat<f64>>,
    gates: Option<Mat<f64>>,
}

/// Diagonal quantities of one example.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// Per activation: the variances `K[p, p]` it receives.
    variances: Vec<Vec<f64>>,
    /// Per activation: the Hermite series at these variances; empty where there is a closed form.
    series: Vec<Vec<HermiteSeries>>,
    /// Per weight layer: `K` and `Theta`, means over positions of their diagonals.
    pub(crate) layers: Vec<[f64; 2]>,
}

/// The [`Profile`]s of all examples of a side.
pub(crate) fn profiles(plan: &Plan, side: &Side<'_>, source: Source) -> Vec<Profile> {
    (0..side.examples)
        .into_par_iter()
        .map_init(PairState::default, |state, i| {
            state.start_alone(plan, side, i);
            state.propagate_alone(plan, source)
        })
        .collect()
}

/// Covariances of one pair on their way through the layers; buffers are reused from pair to pair.
#[derive(Debug, Default)]
pub(crate) struct PairState {
    nngp: Vec<f64>,
    ntk: Vec<f64>,
    scratch: Vec<f64>,
    /// Whether `nngp` and `ntk` hold `P x P` numbers and not `P`.
    pairs: bool,
    /// `g.g'/M`.
    gate_overlap: f64,
    /// Per weight layer: `K` and `Theta`, means over positions of their diagonals.
    pub(crate) layers: Vec<[f64; 2]>,
}

fn mean_product(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum::<f64>() / left.len() as f64
}

impl PairState {
    /// Sets the covariances at the first weight layer.
    pub(crate) fn start(
        &mut self,
        plan: &Plan,
        left: &Side<'_>,
        i: usize,
        right: &Side<'_>,
        j: usize,
        overlaps: &Overlaps,
    ) {
        self.gate_overlap = overlaps.gates.as_ref().map_or(1.0, |gates| gates[(i, j)]);
        match &overlaps.inputs {
            Some(inputs) => self.start_with(inputs[(i, j)]),
            None => self.start_on_image(plan, left.row(i), right.row(j)),
        }
    }

    /// As [`PairState::start`], an example with itself.
    fn start_alone(&mut self, plan: &Plan, side: &Side<'_>, i: usize) {
        self.gate_overlap = if plan.gated { mean_product(side.gate_row(i), side.gate_row(i)) } else { 1.0 };
        match plan.start {
            Start::Inner => self.start_with(mean_product(side.row(i), side.row(i))),
            Start::Positions | Start::PositionPairs => self.start_on_image(plan, side.row(i), side.row(i)),
        }
    }

    fn start_with(&mut self, overlap: f64) {
        self.pairs = false;
        self.nngp.clear();
        self.nngp.push(overlap);
        self.clear_tangent();
    }

    fn start_on_image(&mut self, plan: &Plan, left: &[f64], right: &[f64]) {
        let positions = plan.shape.height * plan.shape.width;
        let share = 1.0 / plan.shape.channels as f64;
        self.pairs = plan.start == Start::PositionPairs;
        self.nngp.clear();
        self.nngp.resize(if self.pairs { positions * positions } else { positions }, 0.0);
        for (x, y) in left.chunks_exact(positions).zip(right.chunks_exact(positions)) {
            if self.pairs {
                for (row, x) in self.nngp.chunks_exact_mut(positions).zip(x) {
                    row.iter_mut().zip(y).for_each(|(k, y)| *k += share * x * y);
                }
            } else {
                self.nngp.iter_mut().zip(x.iter().zip(y)).for_each(|(k, (x, y))| *k += share * x * y);
            }
        }
        self.clear_tangent();
    }

    fn clear_tangent(&mut self) {
        self.ntk.clear();
        self.ntk.resize(self.nngp.len(), 0.0);
        self.layers.clear();
    }

    /// Runs all steps, with the variances of the two examples.
    pub(crate) fn propagate(&mut self, plan: &Plan, source: Source, left: &Profile, right: &Profile) {
        for step in &plan.steps {
            match step {
                Step::Activation(function, slot) => self.activate(function, *slot, left, right),
                step => self.linear(step, source),
            }
        }
    }

    /// Runs all steps on an example with itself, noting its variances on the way.
    fn propagate_alone(&mut self, plan: &Plan, source: Source) -> Profile {
        let mut profile = Profile::default();
        for step in &plan.steps {
            let Step::Activation(function, slot) = step else {
                self.linear(step, source);
                continue;
            };
            let diagonal = self.diagonal_stride();
            let variances: Vec<f64> = self.nngp.iter().step_by(diagonal).copied().collect();
            let short: Vec<Dual> = variances.iter().map(|&q| function.dual_diagonal(q)).collect();
            profile.series.push(match function.has_closed_form() {
                true => Vec::new(),
                false => variances.iter().map(|&q| function.hermite_series(q)).collect(),
            });
            profile.variances.push(variances);
            let tangent: Vec<f64> = self.ntk.iter().step_by(diagonal).copied().collect();
            if self.pairs {
                self.activate(function, *slot, &profile, &profile);
            }
            for (p, (dual, theta)) in short.iter().zip(tangent).enumerate() {
                self.nngp[p * diagonal] = dual.value;
                self.ntk[p * diagonal] = dual.derivative * theta;
            }
        }
        profile.layers.clone_from(&self.layers);
        profile
    }

    fn positions(&self) -> usize {
        if self.pairs { self.nngp.len().isqrt() } else { self.nngp.len() }
    }

    /// Distance between diagonal entries.
    fn diagonal_stride(&self) -> usize {
        if self.pairs { self.positions() + 1 } else { 1 }
    }

    fn diagonal_mean(&self, tensor: &[f64]) -> f64 {
        tensor.iter().step_by(self.diagonal_stride()).sum::<f64>() / self.positions() as f64
    }

    fn activate(&mut self, function: &Activation, slot: usize, left: &Profile, right: &Profile) {
        let (a, b) = (&left.variances[slot], &right.variances[slot]);
        let (left, right) = (&left.series[slot], &right.series[slot]);
        let dual = |p: usize, c: f64, r: usize| match left.is_empty() {
            true => function.dual_pair(a[p], c, b[r]),
            false => function.dual_in_series((&left[p], a[p]), c, (&right[r], b[r])),
        };
        let positions = self.positions();
        let pairs = self.pairs;
        for (index, (k, theta)) in self.nngp.iter_mut().zip(&mut self.ntk).enumerate() {
            let (p, r) = if pairs { (index / positions, index % positions) } else { (index, index) };
            let Dual { value, derivative } = dual(p, *k, r);
            *k = value;
            *theta *= derivative;
        }
    }

    fn linear(&mut self, step: &Step, source: Source) {
        match step {
            Step::Dense(weights) => {
                let (k, theta) = (self.diagonal_mean(&self.nngp), self.diagonal_mean(&self.ntk));
                self.pairs = false;
                (self.nngp, self.ntk) = (reuse(&mut self.nngp, k), reuse(&mut self.ntk, theta));
                self.weigh(weights, source);
            }
            Step::Convolution(weights, rows, columns) => {
                for tensor in [&mut self.nngp, &mut self.ntk] {
                    if self.pairs {
                        rows.average_along_diagonals(tensor, columns.size, columns.size, &mut self.scratch);
                        columns.average_along_diagonals(&self.scratch, rows.out, 1, tensor);
                    } else {
                        rows.average(tensor, columns.size, &mut self.scratch);
                        columns.average(&self.scratch, 1, tensor);
                    }
                }
                self.weigh(weights, source);
            }
            Step::AveragePool(rows, columns) => {
                for tensor in [&mut self.nngp, &mut self.ntk] {
                    let after = if self.pairs { rows.size * columns.size } else { 1 };
                    rows.average(tensor, columns.size * after, &mut self.scratch);
                    columns.average(&self.scratch, after, tensor);
                    if self.pairs {
                        rows.average(tensor, columns.size, &mut self.scratch);
                        columns.average(&self.scratch, 1, tensor);
                    }
                }
            }
            Step::GlobalAveragePool => {
                for tensor in [&mut self.nngp, &mut self.ntk] {
                    let mean = tensor.iter().sum::<f64>() / tensor.len() as f64;
                    *tensor = reuse(tensor, mean);
                }
                self.pairs = false;
            }
            Step::Diagonal => {
                let (stride, positions) = (self.diagonal_stride(), self.positions());
                for tensor in [&mut self.nngp, &mut self.ntk] {
                    (0..positions).for_each(|p| tensor[p] = tensor[p * stride]);
                    tensor.truncate(positions);
                }
                self.pairs = false;
            }
            Step::Activation(..) => unreachable!("activations are no linear step"),
        }
    }

    /// Applies the factors of a weight layer to averaged covariances, and notes the layer.
    fn weigh(&mut self, weights: &WeightStep, source: Source) {
        let gates = if weights.gated { self.gate_overlap } else { 1.0 };
        let (sigma_w2, sigma_b2) = (weights.init.sigma_w2 * gates, weights.init.sigma_b2);
        let scale = weights.scale;
        let stride = self.diagonal_stride();
        for (index, (k, theta)) in self.nngp.iter_mut().zip(&mut self.ntk).enumerate() {
            let passed_on = scale.signal * sigma_w2 * *theta;
            *theta = match source {
                Source::Parameters => scale.weight * sigma_w2 * *k + scale.bias * sigma_b2 + passed_on,
                Source::Preactivations(number) if number == weights.number => {
                    if index.is_multiple_of(stride) {
                        1.0
                    } else {
                        0.0
                    }
                }
                Source::Preactivations(_) => passed_on,
            };
            *k = scale.signal * (sigma_w2 * *k + sigma_b2);
        }
        self.layers.push([self.diagonal_mean(&self.nngp), self.diagonal_mean(&self.ntk)]);
    }
}

/// The buffer of `tensor`, holding one number.
fn reuse(tensor: &mut Vec<f64>, number: f64) -> Vec<f64> {
    let mut buffer = std::mem::take(tensor);
    buffer.clear();
    buffer.push(number);
    buffer
}
