//! One vertical class of offsets with a group of horizontal ones on its way through a stage.

use super::TangentSource;
use super::field::{Field, NormSide, Weighing, normalize};
use super::gaussians;
use super::lanes::{OffsetLanes, RightSide, SeriesRow};
use super::offsets::{ExamplePair, OffsetScratch, StageInput};
use super::program::{Instruction, Program, Step};
use super::stages::{Group, LANES, Sink};
use super::vector;
use crate::dual::slice::{FirstGaussians, Variances};

/// One vertical class with one group of horizontal classes on its way through a stage.
pub(super) struct Unit<'a> {
    pub(super) program: &'a Program,
    pub(super) instructions: &'a [Instruction],
    pub(super) sink: &'a Sink,
    pub(super) class: usize,
    pub(super) group: &'a Group,
    pub(super) pair: &'a ExamplePair<'a>,
    pub(super) right: &'a RightSide,
    pub(super) scratch: &'a mut OffsetScratch,
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

    /// Carries the classes through the stage.
    pub(super) fn run(&mut self, start: StageInput<'_>) {
        self.begin(start);
        let mut index = 0;
        while index < self.instructions.len() {
            index += self.step(index);
        }
    }

    fn begin(&mut self, start: StageInput<'_>) {
        self.scratch.fields.reset(self.program.sizes.len());
        let longest = self.program.sizes.iter().map(|size| size[1] * LANES).max().unwrap_or(0);
        self.scratch.rows.iter_mut().for_each(|row| row.resize(longest, 0.0));
        match start {
            StageInput::Images(images) => {
                for (image, &(state, channels, left, _)) in images.iter().enumerate() {
                    let field = self.products(image, state, channels, left);
                    self.scratch.fields.put(state, field);
                }
            }
            StageInput::Pooled(state, pooled) => {
                let field = self.extract(state, pooled);
                self.scratch.fields.put(state, field);
            }
        }
    }

    /// `(1/C) sum_c x_c[p] y_c[p']`.
    fn products(&mut self, image: usize, state: usize, channels: usize, left: &[f64]) -> Field {
        let [height, width] = self.program.sizes[state];
        let length = self.row_length(state);
        let mut field = self.scratch.fields.sized(height * length, false);
        let share = 1.0 / channels as f64;
        let lanes = OffsetLanes::new(self.sink, self.group, state);
        for (y, other) in self.live_rows(state) {
            let row = &mut field.nngp[y * length..][..length];
            row.fill(0.0);
            for c in 0..channels {
                let spread = &mut self.scratch.rows[0][..length];
                lanes.spread(self.right.images[image].row(c * height + other), spread);
                vector::add_lane_products(row, share, &left[(c * height + y) * width..][..width], spread);
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

    /// Does an instruction, or a convolution with the activation behind it; returns how many.
    fn step(&mut self, index: usize) -> usize {
        let instruction = &self.instructions[index];
        let operand = instruction.inputs[0];
        let state = instruction.output;
        let field = match &instruction.step {
            Step::Convolution(weights, window) => {
                let weighing = Weighing::new(weights, 1.0 / window.cells() as f64, self.pair.source);
                let feeds_itself = self.pair.source == TangentSource::Preactivations(weights.number);
                if let Some(slot) = self.activation_behind(index).filter(|_| !feeds_itself) {
                    let field = self.filter(index, Some(&weighing), Some(slot));
                    self.scratch.fields.put(self.instructions[index + 1].output, field);
                    self.replace_diagonal(index + 1);
                    return 2;
                }
                let mut field = self.filter(index, Some(&weighing), None);
                if feeds_itself {
                    self.feed_identity(&mut field, state);
                }
                field
            }
            // Of one cell: a subsampling.
            Step::Pool(..) => self.filter(index, None, None),
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
        1
    }

    /// The slot of the activation that alone reads what an instruction makes, if one comes next: then a row goes through both
    /// while it is in cache.
    fn activation_behind(&self, index: usize) -> Option<usize> {
        let next = self.instructions.get(index + 1)?;
        let alone = next.inputs[0].state == self.instructions[index].output && next.inputs[0].last;
        match &next.step {
            Step::Activation(_, slot) if alone => Some(*slot),
            _ => None,
        }
    }

    /// Window sums of the first input of an instruction, weighed and activated.
    fn filter(&mut self, index: usize, weighing: Option<&Weighing>, slot: Option<usize>) -> Field {
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
        let mut sum = std::mem::take(&mut self.scratch.sum);
        sum.resize(before, 0.0);
        for (y, other) in self.live_rows(state) {
            let taps = || (0..window.rows.taps).filter(|&tap| window.rows.cell(other, tap).is_some());
            let cells = || taps().filter_map(|tap| window.rows.cell(y, tap));
            let mut rows: Vec<&[f64]> = Vec::with_capacity(window.rows.taps);
            for (from, to) in [(&input.nngp, &mut output.nngp), (&input.ntk, &mut output.ntk)] {
                let Some(to) = to.get_mut(y * after..(y + 1) * after) else { continue };
                if from.is_empty() {
                    to.fill(0.0);
                    continue;
                }
                rows.clear();
                rows.extend(cells().map(|cell| &from[cell * before..][..before]));
                vector::sum_rows(&mut sum, &rows);
                table.sum(&sum, to);
            }
            if let Some(weighing) = weighing {
                let k = &mut output.nngp[y * after..(y + 1) * after];
                let theta = output.ntk.get_mut(y * after..(y + 1) * after).unwrap_or(&mut []);
                weighing.apply(k, theta);
                if let Some(slot) = slot {
                    self.activate_row(slot, state, [y, other], k, theta);
                }
            }
        }
        self.scratch.sum = sum;
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
        let length = self.row_length(state);
        for (y, other) in self.live_rows(state) {
            let k = &mut field.nngp[y * length..][..length];
            let theta = field.ntk.get_mut(y * length..(y + 1) * length).unwrap_or(&mut []);
            self.activate_row(slot, state, [y, other], k, theta);
        }
    }

    /// The row of the image rows `y` on the left and `other` on the right.
    fn activate_row(&mut self, slot: usize, state: usize, [y, other]: [usize; 2], k: &mut [f64], theta: &mut [f64]) {
        let (function, [height, width]) = &self.program.activations[slot];
        let left = &self.pair.left.0.activations[slot];
        let lanes = OffsetLanes::new(self.sink, self.group, state);
        let OffsetScratch { rows, series_row, unused, .. } = &mut *self.scratch;
        if let Some(series) = self.pair.series[slot] {
            let row = SeriesRow { function, series, left: y * width, right: other * width };
            return lanes.activate_series(&row, k, theta, series_row, unused);
        }
        let a = self.pair.left.1 * height * width + y * width;
        let length = k.len();
        let [a_row, a_roots, b_row, b_roots] = rows;
        vector::broadcast(&left.variances[a..a + width], a_row);
        vector::broadcast(&left.roots[a..a + width], a_roots);
        let [variances, roots] = &self.right.gaussians[slot];
        lanes.spread(variances.row(other), &mut b_row[..length]);
        lanes.spread(roots.row(other), &mut b_roots[..length]);
        let first = FirstGaussians::Each(Variances { variances: &a_row[..length], roots: &a_roots[..length] });
        let second = Variances { variances: &b_row[..length], roots: &b_roots[..length] };
        gaussians::activate_closed(function, first, second, k, theta, unused);
    }

    fn normalize(&mut self, slot: usize, state: usize, field: &mut Field) {
        let width = self.program.sizes[state][1];
        let left = self.pair.left.0.norms[slot].side(self.pair.left.1..self.pair.left.1 + 1);
        let [inverse, mean] = &self.right.norms[slot];
        let length = self.row_length(state);
        let lanes = OffsetLanes::new(self.sink, self.group, state);
        for (y, other) in self.live_rows(state) {
            let [a, a_mean, b, b_mean] = &mut self.scratch.rows;
            let columns = |row: usize| row * width..(row + 1) * width;
            vector::broadcast(&left.inverse[columns(y)], a);
            lanes.spread(inverse.row(other), &mut b[..length]);
            let centers = !left.mean.is_empty();
            if centers {
                vector::broadcast(&left.mean[columns(y)], a_mean);
                lanes.spread(mean.row(other), &mut b_mean[..length]);
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
    pub(super) fn pool(&mut self, pooled: &mut Field, transposes: bool) -> bool {
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
        vector::sum(row)
    }
}
