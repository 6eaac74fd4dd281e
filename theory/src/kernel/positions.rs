//! The recursion at equal positions `p = p'`, on blocks of pairs: one example on the left, consecutive ones on the right.
//!
//! All there is without pooling, and what every example needs of itself in any case. A block holds `pairs x positions` numbers
//! a state and passes through all layers while it is in cache.

use std::ops::Range;

use super::TangentSource;
use super::field::{Field, Fields, NormSide, Weighing, normalize};
use super::gaussians::{self, EXAMPLES_A_TABLE, Left, activate};
use super::means::{carry_mean, norm_profile};
use super::near::NearPairs;
use super::profile::{ExampleProfile, Profiles};
use super::program::{Instruction, Program, Step};
use super::vector;
use crate::dual::slice::{FirstGaussians, Variances};
use crate::dual::table::{FirstColumn, SeriesPair};

/// Pairs that go through the layers together.
pub(super) struct PairBlock<'a> {
    pub(super) left: &'a Profiles,
    pub(super) example: usize,
    pub(super) right: &'a Profiles,
    pub(super) columns: Range<usize>,
    /// `g.g'/M` of every pair; empty without gated layers.
    pub(super) gates: &'a [f64],
    pub(super) copies: &'a LeftCopies,
    /// Where to note pairs near collinear.
    pub(super) near: Option<NearPairs<'a>>,
    /// Of every activation in series without positions, the tables that hold the left and the right columns.
    pub(super) series: &'a [Option<SeriesPair<'a>>],
}

/// The left example's columns repeated for every pair of a block, at every activation and norm with positions.
#[derive(Debug, Default)]
pub(super) struct LeftCopies {
    pairs: usize,
    activations: Vec<[Vec<f64>; 2]>,
    norms: Vec<[Vec<f64>; 3]>,
}

fn repeat(numbers: &[f64], times: usize, into: &mut Vec<f64>) {
    into.clear();
    (0..times).for_each(|_| into.extend_from_slice(numbers));
}

impl LeftCopies {
    /// Of `example`, for blocks of up to `pairs` pairs.
    pub(super) fn set(&mut self, program: &Program, left: &Profiles, example: usize, pairs: usize) {
        self.pairs = pairs;
        self.activations.resize_with(program.activations.len(), Default::default);
        self.norms.resize_with(program.norms.len(), Default::default);
        for (slot, (_, size)) in program.activations.iter().enumerate() {
            let (positions, gaussians) = (size[0] * size[1], &left.activations[slot]);
            if positions == 1 || pairs == 1 || gaussians.has_series() {
                continue;
            }
            let columns = example * positions..(example + 1) * positions;
            repeat(&gaussians.variances[columns.clone()], pairs, &mut self.activations[slot][0]);
            repeat(&gaussians.roots[columns], pairs, &mut self.activations[slot][1]);
        }
        for (slot, copies) in self.norms.iter_mut().enumerate() {
            let side = left.norms[slot].side(example..example + 1);
            for (numbers, copy) in [side.inverse, side.mean, side.rest].into_iter().zip(copies) {
                repeat(numbers, pairs, copy);
            }
        }
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        let numbers = self.activations.iter().flatten().chain(self.norms.iter().flatten());
        8 * numbers.map(Vec::capacity).sum::<usize>()
    }
}

/// Sees the field after every weight layer: its index, the field, its entries a pair.
pub(super) type Note<'a> = &'a mut dyn FnMut(usize, &Field, usize);

/// Sends a block through `instructions`; the states that they start from are in `fields`.
pub(super) fn run(
    program: &Program,
    instructions: &[Instruction],
    block: &PairBlock<'_>,
    source: TangentSource,
    fields: &mut Fields,
    note: Note<'_>,
) {
    let pairs = block.columns.len();
    for instruction in instructions {
        let mut field = fields.take(instruction.inputs[0].state, instruction.inputs[0].last);
        match &instruction.step {
            Step::Activation(_, slot) => activate_block(program, block, *slot, &mut field, &mut fields.scratch),
            Step::Norm(slot) => {
                let (right, copies) =
                    (block.right.norms[*slot].side(block.columns.clone()), &block.copies.norms[*slot]);
                let side = block.left.norms[*slot].side(block.example..block.example + 1);
                let [inverse, mean, rest] = copies.each_ref().map(|numbers| {
                    let count = if numbers.is_empty() { 0 } else { numbers.len() / block.copies.pairs * pairs };
                    &numbers[..count]
                });
                debug_assert_eq!(mean.is_empty(), side.mean.is_empty());
                let left = NormSide { inverse, mean, rest };
                normalize(left, right, &mut field.nngp, &mut field.ntk);
            }
            // Masks differ from example to example.
            Step::Dropout(_) => {}
            _ => linear(program, instruction, &mut field, pairs, block.gates, source, fields, note),
        }
        fields.put(instruction.output, field);
    }
}

fn activate_block(program: &Program, block: &PairBlock<'_>, slot: usize, field: &mut Field, unused: &mut Vec<f64>) {
    let (function, size) = &program.activations[slot];
    let (left, right) = (&block.left.activations[slot], &block.right.activations[slot]);
    let (positions, pairs) = (size[0] * size[1], block.columns.len());
    let (k, theta) = (&mut field.nngp, &mut field.ntk);
    let (column, start) = (block.example * positions, block.columns.start * positions);
    if let Some(near) = &block.near {
        near.note(slot, k, left.roots[column], &right.roots[start..start + pairs]);
    }
    if let (1, Some(pair)) = (positions, block.series.get(slot).copied().flatten()) {
        let first = FirstColumn::One(block.example % EXAMPLES_A_TABLE);
        let columns = (first, block.columns.start % EXAMPLES_A_TABLE);
        return gaussians::activate_series(function, pair, columns, k, theta, unused);
    }
    if positions == 1 {
        return activate(Left::One(left, column), right, start, k, theta, unused);
    }
    if pairs == 1 || left.has_series() {
        for (pair, k) in k.chunks_exact_mut(positions).enumerate() {
            let theta = theta.get_mut(pair * positions..(pair + 1) * positions).unwrap_or(&mut []);
            activate(Left::From(left, column), right, start + pair * positions, k, theta, unused);
        }
        return;
    }
    let [variances, roots] = &block.copies.activations[slot];
    let count = pairs * positions;
    let first = FirstGaussians::Each(Variances { variances: &variances[..count], roots: &roots[..count] });
    let columns = start..start + count;
    let second = Variances { variances: &right.variances[columns.clone()], roots: &right.roots[columns] };
    gaussians::activate_closed(function, first, second, k, theta, unused);
}

/// Steps that need no profile: the same for a pair and for an example with itself.
#[expect(clippy::too_many_arguments, reason = "two callers that differ in what they do around this")]
fn linear(
    program: &Program,
    instruction: &Instruction,
    field: &mut Field,
    pairs: usize,
    gates: &[f64],
    source: TangentSource,
    fields: &mut Fields,
    note: Note<'_>,
) {
    match &instruction.step {
        Step::Dense(weights) => {
            let positions = field.nngp.len() / pairs;
            for tensor in field.tensors().filter(|_| positions > 1) {
                (0..pairs).for_each(|b| tensor[b] = vector::sum(&tensor[b * positions..(b + 1) * positions]));
                tensor.truncate(pairs);
            }
            let gates = weights.gated.then_some(gates);
            Weighing::new(weights, 1.0 / positions as f64, source).apply_to(field, gates);
            feed(source, weights.number, field);
            note(weights.number, field, 1);
        }
        Step::Convolution(weights, window) => {
            field.tensors().for_each(|tensor| window.sum(tensor, &mut fields.scratch));
            Weighing::new(weights, 1.0 / window.cells() as f64, source).apply_to(field, None);
            feed(source, weights.number, field);
            note(weights.number, field, field.nngp.len() / pairs);
        }
        Step::Pool(window, factor) => {
            let inside =
                |axis: &super::window::WindowAxis| (0..axis.taps).filter(|&tap| axis.cell(0, tap).is_some()).count();
            // One cell: every tap on either side reads that one, or nothing.
            let counts = (inside(&window.rows) * inside(&window.columns)) as f64;
            let single = program.sizes[instruction.inputs[0].state] == [1, 1];
            for tensor in field.tensors() {
                if single {
                    tensor.iter_mut().for_each(|x| *x *= factor * counts * counts);
                } else {
                    debug_assert_eq!(window.cells(), 1, "windows of several cells mix positions");
                    window.sum(tensor, &mut fields.scratch);
                    tensor.iter_mut().for_each(|x| *x *= factor);
                }
            }
        }
        Step::GlobalPool => debug_assert_eq!(program.sizes[instruction.inputs[0].state], [1, 1]),
        Step::Sum(scales) => {
            let positions = program.sizes[instruction.output];
            let first = std::mem::replace(field, fields.empty());
            field.nngp.resize(pairs * positions[0] * positions[1], 0.0);
            field.add_scaled(scales[0] * scales[0], &first, pairs);
            fields.recycle(first);
            for (scale, operand) in scales.iter().zip(&instruction.inputs).skip(1) {
                field.add_scaled(scale * scale, fields.state(operand.state), pairs);
            }
        }
        Step::Activation(..) | Step::Norm(_) | Step::Dropout(_) => unreachable!("these need profiles"),
    }
}

/// Replaces the tangent kernel by that of the preactivations of one layer, if this is it.
fn feed(source: TangentSource, number: usize, field: &mut Field) {
    if source == TangentSource::Preactivations(number) {
        field.feed_ones();
    }
}

/// Sends one example through `instructions` with itself, noting its profile. `means` holds the means of the states, and is
/// empty if nothing needs them; `trace` takes the fields after every step that is special on the diagonal.
pub(super) fn run_alone(
    program: &Program,
    instructions: &[Instruction],
    source: TangentSource,
    gate: f64,
    alone: &mut Alone,
    fields: &mut Fields,
) {
    for instruction in instructions {
        let Alone { profile, means, trace } = &mut *alone;
        let operand = instruction.inputs[0];
        let mut field = fields.take(operand.state, operand.last);
        match &instruction.step {
            Step::Activation(function, _) => {
                profile.variances.push(field.nngp.clone());
                for (p, k) in field.nngp.iter_mut().enumerate() {
                    let dual = function.dual_diagonal(*k);
                    *k = dual.value;
                    if let Some(theta) = field.ntk.get_mut(p) {
                        *theta *= dual.derivative;
                    }
                }
            }
            Step::Norm(slot) => {
                let mean = means.get(operand.state).map(Vec::as_slice).unwrap_or_default();
                let numbers = norm_profile(&program.norms[*slot], &field.nngp, mean);
                let [inverse, old, rest] = numbers.each_ref().map(Vec::as_slice);
                let side = NormSide { inverse, mean: old, rest };
                normalize(side, side, &mut field.nngp, &mut field.ntk);
                profile.norms.push(numbers);
            }
            Step::Dropout(keep) => field.tensors().flatten().for_each(|x| *x /= keep),
            _ => {}
        }
        if matches!(instruction.step, Step::Activation(..) | Step::Dropout(_)) {
            trace.push(field.clone());
        } else if !matches!(instruction.step, Step::Norm(_)) {
            let note = &mut |_: usize, field: &Field, positions: usize| {
                let mean = |tensor: &[f64]| tensor.iter().sum::<f64>() / positions as f64;
                profile.layers.push([mean(&field.nngp), mean(&field.ntk)]);
            };
            linear(program, instruction, &mut field, 1, &[gate], source, fields, note);
        }
        fields.put(instruction.output, field);
        carry_mean(program, instruction, alone);
    }
}

/// What [`run_alone`] collects.
#[derive(Debug, Default)]
pub(super) struct Alone {
    pub(super) profile: ExampleProfile,
    /// Means at all positions of every state, empty where they vanish; no states if nothing needs means.
    pub(super) means: Vec<Vec<f64>>,
    /// Fields after every activation and dropout.
    pub(super) trace: Vec<Field>,
}
