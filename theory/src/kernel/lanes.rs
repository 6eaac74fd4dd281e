//! The lanes of a group of horizontal offset classes: rows of the right example as each lane meets them.

use super::gaussians;
use super::offsets::{ExamplePair, StageInput};
use super::program::{Instruction, Program, Step};
use super::stages::{Group, LANES, Sink};
use super::vector;
use crate::activation::Activation;
use crate::dual::table::{FirstColumn, SeriesPair};

/// The horizontal offsets of the lanes at one state.
pub(super) struct OffsetLanes {
    start: usize,
    stride: usize,
    circle: usize,
}

impl OffsetLanes {
    pub(super) fn new(sink: &Sink, group: &Group, state: usize) -> Self {
        let (circle, stride) = (sink.grid.size(state, 1), sink.grid.stride(state, 1));
        Self { start: group.classes[0] * stride % circle, stride, circle }
    }

    /// `row[(x + d_lane) mod circle]` for every `x` and lane, of a row that continues around the circle.
    pub(super) fn spread(&self, row: &[f64], into: &mut [f64]) {
        vector::spread(row, self.start, self.stride, into);
    }

    /// One lane at a time, in runs of consecutive columns.
    pub(super) fn activate_series(
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
pub(super) struct SeriesRow<'a> {
    pub(super) function: &'a Activation,
    pub(super) series: SeriesPair<'a>,
    pub(super) left: usize,
    pub(super) right: usize,
}

/// Rows of the right example continued around the circle, so that the rows of all lanes lie in them.
#[derive(Debug, Default)]
pub(super) struct Circled {
    rows: Vec<f64>,
    /// Numbers of a continued row.
    length: usize,
}

impl Circled {
    /// Of `numbers`, rows of the width of `state`, with `outside` where the circle is larger.
    fn new(program: &Program, sink: &Sink, state: usize, numbers: &[f64], outside: f64) -> Self {
        let (width, circle) = (program.sizes[state][1], sink.grid.size(state, 1));
        let length = width + circle + LANES * sink.grid.stride(state, 1);
        let mut rows = Vec::with_capacity(numbers.len() / width * length);
        for row in numbers.chunks_exact(width) {
            rows.extend((0..length).map(|x| row.get(x % circle).copied().unwrap_or(outside)));
        }
        Self { rows, length }
    }

    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.rows[row * self.length..(row + 1) * self.length]
    }
}

/// The right example's side of a pair at one stage.
#[derive(Debug, Default)]
pub(super) struct RightSide {
    /// Images of the sources, channel after channel.
    pub(super) images: Vec<Circled>,
    /// Variances and their roots, at the activations of the stage.
    pub(super) gaussians: Vec<[Circled; 2]>,
    /// `1/s` and the means, at the norms of the stage.
    pub(super) norms: Vec<[Circled; 2]>,
}

impl RightSide {
    pub(super) fn new(
        program: &Program,
        instructions: &[Instruction],
        sink: &Sink,
        start: StageInput<'_>,
        pair: &ExamplePair<'_>,
    ) -> Self {
        let mut side = Self::default();
        side.gaussians.resize_with(program.activations.len(), Default::default);
        side.norms.resize_with(program.norms.len(), Default::default);
        if let StageInput::Images(images) = start {
            side.images = images.iter().map(|image| Circled::new(program, sink, image.0, image.3, 0.0)).collect();
        }
        let (profiles, example) = pair.right;
        for instruction in instructions {
            let circled = |numbers, outside| Circled::new(program, sink, instruction.output, numbers, outside);
            match &instruction.step {
                Step::Activation(_, slot) => {
                    let positions = program.activations[*slot].1.iter().product::<usize>();
                    let columns = example * positions..(example + 1) * positions;
                    let gaussians = &profiles.activations[*slot];
                    side.gaussians[*slot] =
                        [circled(&gaussians.variances[columns.clone()], 1.0), circled(&gaussians.roots[columns], 1.0)];
                }
                Step::Norm(slot) => {
                    let norm = profiles.norms[*slot].side(example..example + 1);
                    side.norms[*slot] = [circled(norm.inverse, 1.0), circled(norm.mean, 0.0)];
                }
                _ => {}
            }
        }
        side
    }
}
