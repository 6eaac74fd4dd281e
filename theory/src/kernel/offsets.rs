//! The recursion at all pairs of positions, one class of offsets at a time; see [`stages`](super::stages).
//!
//! The unit of work is a vertical class with [`LANES`] horizontal ones: a state is `rows x columns x LANES` numbers, entry
//! `(y, x, lane)` for the positions `(y, x)` and `(y + e, x + d_lane)` on the circles of the grid. Rows that stand for no pair
//! of positions are skipped; lanes that do hold finite numbers that nothing reads.

use pulp::Arch;
use rayon::prelude::*;

use super::Source;
use super::field::{Field, Fields, NormSide, Weighing, normalize};
use super::gaussians;
use super::profile::Profiles;
use super::program::{Instruction, Program, Step};
use super::stages::{ColumnTable, Group, LANES, Sink};
use crate::activation::Activation;
use crate::dual::slice::{First, Variances};
use crate::dual::table::{FirstColumn, SeriesPair};

/// Parts into which the classes of a pair are split; more would gain no speed, fewer would leave cores idle.
const PARTS: usize = 8;

/// What the first states of a stage are made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start<'a> {
    /// Data: for every source state its number, channels, and the images of both examples.
    Images(&'a [(usize, usize, &'a [f64], &'a [f64])]),
    /// What the stage before pooled, `[y, y', x, x']`, as this state.
    Pooled(usize, &'a Field),
}

/// Two examples, or one with itself.
pub(super) struct Pair<'a> {
    pub(super) left: (&'a Profiles, usize),
    pub(super) right: (&'a Profiles, usize),
    /// Of every activation in series, both tables.
    pub(super) series: Vec<Option<SeriesPair<'a>>>,
    /// For an example with itself: fields at equal positions after every activation and dropout of the stage.
    pub(super) alone: Option<&'a [Field]>,
    pub(super) source: Source,
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct OffsetScratch {
    fields: Fields,
    rows: [Vec<f64>; 4],
    sum: Vec<f64>,
    extended: Vec<f64>,
    unused: Vec<f64>,
}

impl OffsetScratch {
    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        let vectors = self.rows.iter().chain([&self.sum, &self.extended, &self.unused]);
        self.fields.bytes() + 8 * vectors.map(Vec::capacity).sum::<usize>()
    }
}

/// Sends a pair through a stage and its pooling layer: `[y, y', x, x']` if the next stage needs pairs, else `[y, x]`.
pub(super) fn run(
    program: &Program,
    instructions: &[Instruction],
    sink: &Sink,
    start: Start<'_>,
    pair: &Pair<'_>,
    scratch: &mut OffsetScratch,
    parallel: bool,
) -> Field {
    let [height, width] = program.sizes[sink.output];
    let entries = if sink.pairs { (height * width).pow(2) } else { height * width };
    let whole = sink.grid.size(sink.input, 0);
    // With itself, classes e and -e are transposes of each other.
    let rows: Vec<(usize, bool)> = match pair.alone {
        None => sink.rows.iter().map(|&e| (e, false)).collect(),
        Some(_) => {
            let half = sink.rows.iter().filter(|&&e| 2 * e <= whole);
            half.map(|&e| (e, e != 0 && 2 * e != whole)).collect()
        }
    };
    let part = |rows: &[(usize, bool)], scratch: &mut OffsetScratch| {
        let mut pooled = Field { nngp: vec![0.0; entries], ntk: vec![0.0; entries] };
        let mut has_tangent = false;
        for &(class, transposes) in rows {
            for group in &sink.groups {
                let mut unit = Unit { program, instructions, sink, class, group, pair, scratch: &mut *scratch };
                unit.begin(start);
                (0..instructions.len()).for_each(|index| unit.step(index));
                has_tangent |= unit.pool(&mut pooled, transposes);
            }
        }
        if !has_tangent {
            pooled.ntk.clear();
        }
        pooled
    };
    // The same parts either way, so that sums do not depend on who computes them.
    let parts: Vec<&[(usize, bool)]> = rows.chunks(rows.len().div_ceil(PARTS).max(1)).collect();
    let pooled: Vec<Field> = match parallel {
        true => {
            parts.into_par_iter().with_max_len(1).map_init(OffsetScratch::default, |s, rows| part(rows, s)).collect()
        }
        false => parts.into_iter().map(|rows| part(rows, scratch)).collect(),
    };
    let mut pooled = pooled.into_iter();
    let mut total = pooled.next().unwrap_or_default();
    pooled.for_each(|part| total.add_scaled(1.0, &part, 1));
    let factor = match &program.instructions[sink.instruction].step {
        Step::Pool(_, factor) => *factor,
        _ => ((program.sizes[sink.input][0] * program.sizes[sink.input][1]) as f64).powi(-2),
    };
    total.tensors().flatten().for_each(|x| *x *= factor);
    total
}

/// One vertical class with one group of horizontal classes on its way through a stage.
struct Unit<'a> {
    program: &'a Program,
    instructions: &'a [Instruction],
    sink: &'a Sink,
    class: usize,
    group: &'a Group,
    pair: &'a Pair<'a>,
    scratch: &'a mut OffsetScratch,
}

impl Unit<'_> {
    /// Pairs `(y, y')` of rows at a state.
    fn live_rows(&self, state: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (circle, size) = (self.sink.grid.size(state, 0), self.program.sizes[state][0]);
        let offset = self.sink.grid.stride(state, 0) * self.class;
        (0..size).map(move |y| (y, (y + offset) % circle)).filter(move |&(_, other)| other < size)
    }

    /// Numbers in a row of a state.
    fn row_length(&self, state: usize) -> usize {
        self.program.sizes[state][1] * LANES
    }

    /// Lane and class of the pairs of positions with themselves, if they are among these.
    fn diagonal_lane(&self) -> Option<usize> {
        let zero = (0..LANES).find(|&lane| self.group.used[lane] && self.group.classes[lane] == 0);
        zero.filter(|_| self.class == 0 && self.pair.alone.is_some())
    }

    fn begin(&mut self, start: Start<'_>) {
        self.scratch.fields.reset(self.program.sizes.len());
        match start {
            Start::Images(images) => {
                for &(state, channels, left, right) in images {
                    let field = self.products(state, channels, left, right);
                    self.scratch.fields.put(state, field);
                }
            }
            Start::Pooled(state, pooled) => {
                let field = self.extract(state, pooled);
                self.scratch.fields.put(state, field);
            }
        }
    }

    /// `(1/C) sum_c x_c[p] y_c[p']`.
    fn products(&mut self, state: usize, channels: usize, left: &[f64], right: &[f64]) -> Field {
        let [height, width] = self.program.sizes[state];
        let length = self.row_length(state);
        let mut field = self.scratch.fields.sized(height * length, false);
        let share = 1.0 / channels as f64;
        for (y, other) in self.live_rows(state) {
            let row = &mut field.nngp[y * length..][..length];
            row.fill(0.0);
            for c in 0..channels {
                let line = |image: &'_ [f64], y: usize| -> std::ops::Range<usize> {
                    let start = (c * height + y) * width;
                    debug_assert!(start + width <= image.len());
                    start..start + width
                };
                let lanes = Lanes::new(self.sink, self.group, state);
                lanes.expand(&right[line(right, other)], 0.0, &mut self.scratch.extended, &mut self.scratch.rows[0]);
                add_products(row, &left[line(left, y)], share, &self.scratch.rows[0]);
            }
        }
        field
    }

    /// The class's entries of a pooled tensor `[y, y', x, x']`.
    fn extract(&mut self, state: usize, pooled: &Field) -> Field {
        let [height, width] = self.program.sizes[state];
        let (length, circle) = (self.row_length(state), self.sink.grid.size(state, 1));
        let mut field = self.scratch.fields.sized(height * length, !pooled.ntk.is_empty());
        let offsets = self.group.classes.map(|class| class * self.sink.grid.stride(state, 1));
        for (y, other) in self.live_rows(state) {
            let block = (y * height + other) * width * width;
            for (tensor, from) in [(&mut field.nngp, &pooled.nngp), (&mut field.ntk, &pooled.ntk)] {
                if from.is_empty() {
                    continue;
                }
                for x in 0..width {
                    let line = &from[block + x * width..][..width];
                    for (lane, offset) in offsets.iter().enumerate() {
                        tensor[y * length + x * LANES + lane] = *line.get((x + offset) % circle).unwrap_or(&0.0);
                    }
                }
            }
        }
        field
    }

    fn step(&mut self, index: usize) {
        let instruction = &self.instructions[index];
        let operand = instruction.inputs[0];
        let state = instruction.output;
        let field = match &instruction.step {
            Step::Convolution(weights, window) => {
                let weighing = Weighing::new(weights, 1.0 / window.cells() as f64, self.pair.source);
                let mut field = self.filter(index, Some(&weighing));
                if self.pair.source == Source::Preactivations(weights.number) {
                    self.feed_identity(&mut field, state);
                }
                field
            }
            // Of one cell: a subsampling.
            Step::Pool(..) => self.filter(index, None),
            step => {
                let mut field = self.scratch.fields.take(operand.state, operand.last);
                match step {
                    Step::Activation(_, slot) => self.activate(*slot, state, &mut field),
                    Step::Norm(slot) => self.normalize(*slot, state, &mut field),
                    Step::Dropout(_) => {}
                    Step::Sum(scales) => self.add(scales, instruction, &mut field),
                    _ => unreachable!("dense layers and pooling end a stage"),
                }
                field
            }
        };
        self.scratch.fields.put(state, field);
        if matches!(instruction.step, Step::Activation(..) | Step::Dropout(_)) {
            self.replace_diagonal(index);
        }
    }

    /// Window sums of the first input of an instruction, weighed.
    fn filter(&mut self, index: usize, weighing: Option<&Weighing>) -> Field {
        let instruction = &self.instructions[index];
        let (operand, state) = (instruction.inputs[0], instruction.output);
        let (Step::Convolution(_, window) | Step::Pool(window, _)) = &instruction.step else {
            unreachable!("only windows filter")
        };
        let Some(table) = &self.group.columns[index] else { unreachable!("every window has a table") };
        let input = self.scratch.fields.take(operand.state, operand.last);
        let (before, after) = (self.row_length(operand.state), self.row_length(state));
        let tangent = !input.ntk.is_empty() || weighing.is_some_and(|weighing| weighing.feeds);
        let mut output = self.scratch.fields.sized(self.program.sizes[state][0] * after, tangent);
        for (y, other) in self.live_rows(state) {
            let taps = || (0..window.rows.taps).filter(|&tap| window.rows.cell(other, tap).is_some());
            let cells = || taps().filter_map(|tap| window.rows.cell(y, tap));
            for (from, to) in [(&input.nngp, &mut output.nngp), (&input.ntk, &mut output.ntk)] {
                let Some(to) = to.get_mut(y * after..(y + 1) * after) else { continue };
                if from.is_empty() {
                    to.fill(0.0);
                    continue;
                }
                sum_rows(cells().map(|cell| &from[cell * before..][..before]), before, &mut self.scratch.sum);
                table.sum(&self.scratch.sum, to);
            }
            if let Some(weighing) = weighing {
                let theta = output.ntk.get_mut(y * after..(y + 1) * after).unwrap_or(&mut []);
                weighing.apply(&mut output.nngp[y * after..(y + 1) * after], theta);
            }
        }
        self.scratch.fields.recycle(input);
        output
    }

    /// `Theta` of preactivations in themselves: one at equal positions, else zero.
    fn feed_identity(&self, field: &mut Field, state: usize) {
        field.ntk.clear();
        field.ntk.resize(field.nngp.len(), 0.0);
        let Some(lane) = self.diagonal_lane() else { return };
        debug_assert_eq!(field.ntk.len(), self.program.sizes[state][0] * self.row_length(state));
        field.ntk.iter_mut().skip(lane).step_by(LANES).for_each(|theta| *theta = 1.0);
    }

    fn activate(&mut self, slot: usize, state: usize, field: &mut Field) {
        let (function, [height, width]) = &self.program.activations[slot];
        let (left, right) = (&self.pair.left.0.activations[slot], &self.pair.right.0.activations[slot]);
        let positions = height * width;
        let (a, b) = (self.pair.left.1 * positions, self.pair.right.1 * positions);
        let length = self.row_length(state);
        let lanes = Lanes::new(self.sink, self.group, state);
        for (y, other) in self.live_rows(state) {
            let k = &mut field.nngp[y * length..][..length];
            let theta = field.ntk.get_mut(y * length..(y + 1) * length).unwrap_or(&mut []);
            let (a, b) = (a + y * width, b + other * width);
            let OffsetScratch { rows, sum, extended, unused, .. } = &mut *self.scratch;
            if let Some(series) = self.pair.series[slot] {
                let row = SeriesRow { function, series, left: y * width, right: other * width };
                lanes.activate_series(&row, k, theta, sum, unused);
                continue;
            }
            let [a_row, a_roots, b_row, b_roots] = rows;
            broadcast(&left.variances[a..a + width], a_row);
            broadcast(&left.roots[a..a + width], a_roots);
            lanes.expand(&right.variances[b..b + width], 1.0, extended, b_row);
            lanes.expand(&right.roots[b..b + width], 1.0, extended, b_roots);
            let first = First::Each(Variances { variances: &a_row[..length], roots: &a_roots[..length] });
            let second = Variances { variances: &b_row[..length], roots: &b_roots[..length] };
            gaussians::activate_closed(function, first, second, k, theta, unused);
        }
    }

    fn normalize(&mut self, slot: usize, state: usize, field: &mut Field) {
        let width = self.program.sizes[state][1];
        let left = self.pair.left.0.norms[slot].side(self.pair.left.1..self.pair.left.1 + 1);
        let right = self.pair.right.0.norms[slot].side(self.pair.right.1..self.pair.right.1 + 1);
        let length = self.row_length(state);
        let lanes = Lanes::new(self.sink, self.group, state);
        for (y, other) in self.live_rows(state) {
            let [a, a_mean, b, b_mean] = &mut self.scratch.rows;
            let columns = |row: usize| row * width..(row + 1) * width;
            broadcast(&left.inverse[columns(y)], a);
            lanes.expand(&right.inverse[columns(other)], 1.0, &mut self.scratch.extended, b);
            let centers = !left.mean.is_empty();
            if centers {
                broadcast(&left.mean[columns(y)], a_mean);
                lanes.expand(&right.mean[columns(other)], 0.0, &mut self.scratch.extended, b_mean);
            }
            // Flat states never meet here: they have no positions to pool.
            debug_assert!(left.rest.is_empty());
            let count = if centers { length } else { 0 };
            let left = NormSide { inverse: &a[..length], mean: &a_mean[..count], rest: &[] };
            let right = NormSide { inverse: &b[..length], mean: &b_mean[..count], rest: &[] };
            let theta = field.ntk.get_mut(y * length..(y + 1) * length).unwrap_or(&mut []);
            normalize(left, right, &mut field.nngp[y * length..(y + 1) * length], theta);
        }
    }

    fn add(&mut self, scales: &[f64], instruction: &Instruction, field: &mut Field) {
        field.tensors().flatten().for_each(|x| *x *= scales[0] * scales[0]);
        for (scale, operand) in scales.iter().zip(&instruction.inputs).skip(1) {
            field.add_scaled(scale * scale, self.scratch.fields.state(operand.state), 1);
        }
    }

    /// Puts in the entries of equal positions of an example with itself, which the general formulas get wrong: there the
    /// correlation is one, and dropout masks are the same on both sides.
    fn replace_diagonal(&mut self, index: usize) {
        let (Some(lane), Some(alone)) = (self.diagonal_lane(), self.pair.alone) else { return };
        let special = |instruction: &Instruction| matches!(instruction.step, Step::Activation(..) | Step::Dropout(_));
        let nth = self.instructions[..index].iter().filter(|instruction| special(instruction)).count();
        let (state, exact) = (self.instructions[index].output, &alone[nth]);
        let mut field = self.scratch.fields.take(state, true);
        for (tensor, exact) in [(&mut field.nngp, &exact.nngp), (&mut field.ntk, &exact.ntk)] {
            tensor.iter_mut().skip(lane).step_by(LANES).zip(exact).for_each(|(x, exact)| *x = *exact);
        }
        self.scratch.fields.put(state, field);
    }

    /// Adds the state at the end of the stage to the pooled tensor; `transposes` adds the class `-e` as well. Returns whether
    /// there is a tangent kernel.
    fn pool(&mut self, pooled: &mut Field, transposes: bool) -> bool {
        let length = self.row_length(self.sink.input);
        let [height, width] = self.program.sizes[self.sink.output];
        let field = self.scratch.fields.take(self.sink.input, true);
        for (y, other) in self.live_rows(self.sink.input) {
            for slot in self.sink.row_slots(self.program, y, other) {
                for (tensor, pooled) in [(&field.nngp, &mut pooled.nngp), (&field.ntk, &mut pooled.ntk)] {
                    let Some(row) = tensor.get(y * length..(y + 1) * length) else { continue };
                    if height * width == 1 {
                        pooled[0] += self.sum_of_row(row) * if transposes { 2.0 } else { 1.0 };
                        continue;
                    }
                    let block = if self.sink.pairs { width * width } else { width };
                    self.group.targets.iter().for_each(|&(cell, target)| pooled[slot * block + target] += row[cell]);
                    if transposes {
                        let turn = |slot: usize, size: usize| match self.sink.pairs {
                            true => slot % size * size + slot / size,
                            false => slot,
                        };
                        let start = turn(slot, height) * block;
                        let targets = self.group.targets.iter();
                        targets.for_each(|&(cell, target)| pooled[start + turn(target, width)] += row[cell]);
                    }
                }
            }
        }
        let has_tangent = !field.ntk.is_empty();
        self.scratch.fields.recycle(field);
        has_tangent
    }

    /// Sum over the targets of a row, which all go to one slot.
    fn sum_of_row(&self, row: &[f64]) -> f64 {
        if self.group.targets.len() < row.len() {
            return self.group.targets.iter().map(|&(cell, _)| row[cell]).sum();
        }
        let mut sums = [0.0; LANES];
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for cell in row.chunks_exact(LANES) {
                    sums.iter_mut().zip(cell).for_each(|(sum, x)| *sum += x);
                }
            },
        );
        sums.iter().sum()
    }
}

/// The horizontal offsets of the lanes at one state.
struct Lanes {
    start: usize,
    stride: usize,
    circle: usize,
}

impl Lanes {
    fn new(sink: &Sink, group: &Group, state: usize) -> Self {
        let (circle, stride) = (sink.grid.size(state, 1), sink.grid.stride(state, 1));
        Self { start: group.classes[0] * stride % circle, stride, circle }
    }

    /// `row[(x + d_lane) mod circle]` for every `x` and lane; `outside` where that is beyond the row.
    fn expand(&self, row: &[f64], outside: f64, extended: &mut Vec<f64>, into: &mut Vec<f64>) {
        let width = row.len();
        let length = width + self.circle + LANES * self.stride;
        extended.clear();
        while extended.len() < length {
            extended.extend_from_slice(row);
            extended.resize(extended.len() + self.circle - width, outside);
        }
        into.resize(into.len().max(width * LANES), 0.0);
        for (x, lanes) in into.chunks_exact_mut(LANES).enumerate().take(width) {
            if self.stride == 1 {
                lanes.copy_from_slice(&extended[self.start + x..][..LANES]);
            } else {
                let lanes = lanes.iter_mut().enumerate();
                lanes.for_each(|(lane, cell)| *cell = extended[self.start + x + lane * self.stride]);
            }
        }
    }

    /// One lane at a time, in runs of consecutive columns.
    fn activate_series(
        &self,
        pair: &SeriesRow<'_>,
        k: &mut [f64],
        theta: &mut [f64],
        row: &mut Vec<f64>,
        unused: &mut Vec<f64>,
    ) {
        let width = k.len() / LANES;
        let mut tangent = vec![0.0; if theta.is_empty() { 0 } else { width }];
        for lane in 0..LANES {
            row.clear();
            row.extend(k.iter().skip(lane).step_by(LANES));
            theta.iter().skip(lane).step_by(LANES).zip(&mut tangent).for_each(|(t, into)| *into = *t);
            let offset = (self.start + lane * self.stride) % self.circle;
            // Columns x + offset on the circle: up to its end, and again from its beginning.
            for (first, start) in [(offset, 0), (0, (self.circle - offset).min(width))] {
                let count = (width - start).min(width.saturating_sub(first));
                let theta = tangent.get_mut(start..start + count).unwrap_or(&mut []);
                let first = (FirstColumn::From(pair.left + start), pair.right + first);
                gaussians::activate_series(
                    pair.function,
                    pair.series,
                    first,
                    &mut row[start..start + count],
                    theta,
                    unused,
                );
            }
            k.iter_mut().skip(lane).step_by(LANES).zip(&*row).for_each(|(to, x)| *to = *x);
            theta.iter_mut().skip(lane).step_by(LANES).zip(&tangent).for_each(|(to, x)| *to = *x);
        }
    }
}

/// Rows of Gaussians on both sides of an activation in series, from these columns of their tables on.
struct SeriesRow<'a> {
    function: &'a Activation,
    series: SeriesPair<'a>,
    left: usize,
    right: usize,
}

/// Every number of a row for all lanes.
fn broadcast(row: &[f64], into: &mut Vec<f64>) {
    into.resize(into.len().max(row.len() * LANES), 0.0);
    into.chunks_exact_mut(LANES).zip(row).for_each(|(lanes, x)| lanes.fill(*x));
}

fn add_products(row: &mut [f64], left: &[f64], share: f64, right: &[f64]) {
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for ((row, right), x) in row.chunks_exact_mut(LANES).zip(right.chunks_exact(LANES)).zip(left) {
                row.iter_mut().zip(right).for_each(|(k, y)| *k += share * x * y);
            }
        },
    );
}

fn sum_rows<'a>(mut rows: impl Iterator<Item = &'a [f64]>, length: usize, sum: &mut Vec<f64>) {
    sum.clear();
    match rows.next() {
        Some(row) => sum.extend_from_slice(row),
        None => sum.resize(length, 0.0),
    }
    Arch::new().dispatch(
        #[inline(always)]
        || rows.for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x)),
    );
}

impl ColumnTable {
    /// Output columns from a row of input columns.
    fn sum(&self, row: &[f64], into: &mut [f64]) {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (to, range) in into.chunks_exact_mut(LANES).zip(&self.ranges) {
                    let mut sums = [0.0; LANES];
                    for (column, counts) in &self.terms[range.clone()] {
                        let cell = &row[column * LANES..][..LANES];
                        for lane in 0..LANES {
                            sums[lane] += counts[lane] * cell[lane];
                        }
                    }
                    to.copy_from_slice(&sums);
                }
            },
        );
    }
}
