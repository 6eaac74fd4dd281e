//! The recursion of one example with itself, and of one pair where pairs of positions count, on whichever method.

use std::cell::RefCell;

use super::TangentSource;
use super::field::{Field, Fields};
use super::means::carry_mean;
use super::near::{self, NearPairs};
use super::offsets::{self, OffsetScratch, StageInput};
use super::positions::{self, Alone, LeftCopies, PairBlock};
use super::prepared::PreparedInputs;
use super::profile::{ExampleProfile, Profiles};
use super::program::Program;
use super::stages::{KernelStage, Method, Sink};
use super::tensors::{self, TensorScratch, Who};
use super::vector;

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct PairScratch {
    pub(super) fields: Fields,
    offsets: OffsetScratch,
    tensors: TensorScratch,
    copies: LeftCopies,
}

impl PairScratch {
    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.fields.bytes() + self.offsets.bytes() + self.tensors.bytes() + self.copies.bytes()
    }
}

/// One pair of prepared examples.
#[derive(Clone, Copy)]
pub(super) struct PairExamples<'a> {
    pub(super) left: (&'a PreparedInputs<'a>, usize),
    pub(super) right: (&'a PreparedInputs<'a>, usize),
}

/// `x.y / length`, of one position.
fn mean_product(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(x, y)| x * y).sum::<f64>() / left.len() as f64
}

/// `(1/C) sum_c x_c[p] y_c[p]`, added to zeros.
pub(super) fn add_products(k: &mut [f64], left: &[f64], right: &[f64]) {
    let positions = k.len();
    let share = positions as f64 / left.len() as f64;
    for (x, y) in left.chunks_exact(positions).zip(right.chunks_exact(positions)) {
        vector::add_products(k, share, x, y);
    }
}

/// Covariances of the data at equal positions, into the fields of the source states.
fn start_at_positions(program: &Program, left: &[&[f64]], right: &[&[f64]], fields: &mut Fields) {
    fields.reset(program.sizes.len());
    for (source, (left, right)) in program.sources.iter().zip(left.iter().zip(right)) {
        let mut field = fields.empty();
        if source.inner {
            field.nngp.push(mean_product(left, right));
        } else {
            field.nngp.resize(source.shape.height * source.shape.width, 0.0);
            add_products(&mut field.nngp, left, right);
        }
        fields.put(source.state, field);
    }
}

fn start_tensors(program: &Program, left: &[&[f64]], right: &[&[f64]], fields: &mut Fields) {
    fields.reset(program.sizes.len());
    for (source, (left, right)) in program.sources.iter().zip(left.iter().zip(right)) {
        let positions = if source.inner { 1 } else { source.shape.height * source.shape.width };
        let mut field = fields.empty();
        match source.inner {
            true => field.nngp.push(mean_product(left, right)),
            false => tensors::products(left, right, positions, &mut field.nngp),
        }
        fields.put(source.state, field);
    }
}

/// Means of the data over channels, or over all features where positions are none.
fn start_means(program: &Program, rows: &[&[f64]]) -> Vec<Vec<f64>> {
    if !program.means {
        return Vec::new();
    }
    let mut means = vec![Vec::new(); program.sizes.len()];
    for (source, row) in program.sources.iter().zip(rows) {
        let positions = if source.inner { 1 } else { source.shape.height * source.shape.width };
        let channels = (row.len() / positions) as f64;
        let mean = |p: usize| row.iter().skip(p).step_by(positions).sum::<f64>() / channels;
        means[source.state] = (0..positions).map(mean).collect();
    }
    means
}

/// Images of the source states for a stage.
fn images<'r>(program: &Program, left: &[&'r [f64]], right: &[&'r [f64]]) -> Vec<(usize, usize, &'r [f64], &'r [f64])> {
    let sources = program.sources.iter().zip(left.iter().zip(right));
    sources.map(|(source, (left, right))| (source.state, source.shape.channels, *left, *right)).collect()
}

/// The entries `p = p'` of what a stage has pooled.
fn on_diagonal(program: &Program, sink: &Sink, pooled: &Field) -> Field {
    if !sink.pairs {
        return pooled.clone();
    }
    let [height, width] = program.sizes[sink.output];
    let cells = (0..height * width).map(|p| {
        let (y, x) = (p / width, p % width);
        ((y * height + y) * width + x) * width + x
    });
    let part = |tensor: &[f64]| match tensor.is_empty() {
        true => Vec::new(),
        false => cells.clone().map(|cell| tensor[cell]).collect(),
    };
    Field { nngp: part(&pooled.nngp), ntk: part(&pooled.ntk) }
}

/// One example with itself; `rows` are its values at the source states. `parallel` splits the classes of offsets.
pub(super) fn alone(
    program: &Program,
    method: &Method,
    rows: &[&[f64]],
    gate: f64,
    source: TangentSource,
    scratch: &mut PairScratch,
    parallel: bool,
) -> ExampleProfile {
    let mut alone = Alone { means: start_means(program, rows), ..Alone::default() };
    match method {
        Method::Tensors => {
            start_tensors(program, rows, rows, &mut scratch.tensors.fields);
            let layers = tensors::run(program, Who::Alone(&mut alone), gate, source, &mut scratch.tensors);
            alone.profile.layers = layers;
        }
        Method::Positions => {
            start_at_positions(program, rows, rows, &mut scratch.fields);
            positions::run_alone(program, &program.instructions, source, gate, &mut alone, &mut scratch.fields);
        }
        Method::Offsets(stages) => {
            start_at_positions(program, rows, rows, &mut scratch.fields);
            let images = images(program, rows, rows);
            let mut pooled = None;
            for KernelStage { instructions, sink } in stages {
                alone.trace.clear();
                let steps = &program.instructions[instructions.clone()];
                positions::run_alone(program, steps, source, gate, &mut alone, &mut scratch.fields);
                let Some(sink) = sink else { break };
                let profiles = Profiles::new(program, std::slice::from_ref(&alone.profile));
                let pair = offsets::ExamplePair {
                    left: (&profiles, 0),
                    right: (&profiles, 0),
                    series: series((&profiles, 0), (&profiles, 0), program),
                    alone: Some(&alone.trace),
                    source,
                };
                let start = match &pooled {
                    None => StageInput::Images(&images),
                    Some((state, pooled)) => StageInput::Pooled(*state, pooled),
                };
                let found = offsets::run(program, steps, sink, start, &pair, &mut scratch.offsets, parallel);
                scratch.fields.put(sink.output, on_diagonal(program, sink, &found));
                carry_mean(program, &program.instructions[sink.instruction], &mut alone);
                pooled = Some((sink.output, found));
            }
        }
    }
    alone.profile
}

/// `K` and `Theta` at the readout of two examples, and after every weight layer if `layers` is given.
pub(super) fn pair(
    program: &Program,
    method: &Method,
    examples: PairExamples<'_>,
    source: TangentSource,
    mut layers: Option<&mut Vec<[f64; 2]>>,
    scratch: &mut PairScratch,
    parallel: bool,
) -> [f64; 2] {
    // One order for both (x, y) and (y, x): the result is the same number to the last bit.
    let order = |(side, index): (&PreparedInputs<'_>, usize)| side.orders[index];
    let (left, right) = match order(examples.left) <= order(examples.right) {
        true => (examples.left, examples.right),
        false => (examples.right, examples.left),
    };
    let mut buffers: Vec<[Vec<f64>; 2]> = program.sources.iter().map(|_| Default::default()).collect();
    let (mut left_rows, mut right_rows) = (Vec::new(), Vec::new());
    for ([x, y], (l, r)) in buffers.iter_mut().zip(left.0.sources.iter().zip(&right.0.sources)) {
        left_rows.push(l.rows(left.1..left.1 + 1, x));
        right_rows.push(r.rows(right.1..right.1 + 1, y));
    }
    let gate = match (&left.0.gates, &right.0.gates) {
        (Some(l), Some(r)) => {
            let (mut x, mut y) = (Vec::new(), Vec::new());
            mean_product(l.rows(left.1..left.1 + 1, &mut x), r.rows(right.1..right.1 + 1, &mut y))
        }
        _ => 1.0,
    };
    let (left, right) = ((&left.0.profiles, left.1), (&right.0.profiles, right.1));
    if let Method::Tensors = method {
        start_tensors(program, &left_rows, &right_rows, &mut scratch.tensors.fields);
        let found = tensors::run(program, Who::Pair(left, right), gate, source, &mut scratch.tensors);
        let last = found.last().copied().unwrap_or_default();
        if let Some(layers) = layers {
            layers.extend(found);
        }
        return last;
    }
    start_at_positions(program, &left_rows, &right_rows, &mut scratch.fields);
    let whole = [KernelStage { instructions: 0..program.instructions.len(), sink: None }];
    let stages = if let Method::Offsets(stages) = method { stages } else { &whole[..] };
    scratch.copies.set(program, left.0, left.1, 1);
    let mut readout = [0.0; 2];
    let mut pooled: Option<(usize, Field)> = None;
    let (found_near, first_layer) = (RefCell::default(), layers.as_ref().map_or(0, |layers| layers.len()));
    let images = images(program, &left_rows, &right_rows);
    let offset_pair = offsets::ExamplePair { left, right, series: series(left, right, program), alone: None, source };
    for KernelStage { instructions, sink } in stages {
        let steps = &program.instructions[instructions.clone()];
        // At equal positions only where it is used.
        if sink.is_none() || layers.is_some() {
            let block = PairBlock {
                left: left.0,
                example: left.1,
                right: right.0,
                columns: right.1..right.1 + 1,
                gates: &[gate],
                copies: &scratch.copies,
                near: program.watch.as_ref().map(|watch| NearPairs { watch, own: None, pairs: &found_near }),
                series: &[],
            };
            let note = &mut |_: usize, field: &Field, positions: usize| {
                let mean = |tensor: &[f64]| tensor.iter().sum::<f64>() / positions as f64;
                readout = [mean(&field.nngp), mean(&field.ntk)];
                if let Some(layers) = &mut layers {
                    layers.push(readout);
                }
            };
            positions::run(program, steps, &block, source, &mut scratch.fields, note);
        }
        let Some(sink) = sink else { break };
        let start = match &pooled {
            None => StageInput::Images(&images),
            Some((state, pooled)) => StageInput::Pooled(*state, pooled),
        };
        let found = offsets::run(program, steps, sink, start, &offset_pair, &mut scratch.offsets, parallel);
        scratch.fields.put(sink.output, on_diagonal(program, sink, &found));
        pooled = Some((sink.output, found));
    }
    let is_extreme = [examples.left, examples.right].iter().any(|(side, i)| side.extreme.get(*i) == Some(&true));
    if is_extreme || !found_near.borrow().is_empty() {
        if let Some(layers) = &mut layers {
            layers.truncate(first_layer);
        }
        return near::pair(program, examples.left, examples.right, source, layers);
    }
    readout
}

fn series<'a>(
    left: (&'a Profiles, usize),
    right: (&'a Profiles, usize),
    program: &Program,
) -> Vec<Option<crate::dual::table::SeriesPair<'a>>> {
    let joined = |(slot, (_, size)): (usize, &(crate::activation::Activation, [usize; 2]))| {
        let positions = size[0] * size[1];
        left.0.activations[slot].joined(left.1 * positions, &right.0.activations[slot], right.1 * positions)
    };
    program.activations.iter().enumerate().map(joined).collect()
}
