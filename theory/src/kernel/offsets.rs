//! The recursion at all pairs of positions, one class of offsets at a time; see [`stages`](super::stages).
//!
//! The unit of work is a vertical class with [`LANES`] horizontal ones: a state is `rows x columns x LANES` numbers, entry
//! `(y, x, lane)` for the positions `(y, x)` and `(y + e, x + d_lane)` on the circles of the grid. Rows that stand for no pair
//! of positions are skipped; lanes that do hold finite numbers that nothing reads.

use rayon::prelude::*;

use super::TangentSource;
use super::field::{Field, Fields};
use super::lanes::RightSide;
use super::profile::Profiles;
use super::program::{Instruction, Program, Step};
use super::stages::Sink;
use super::unit::Unit;
use crate::dual::table::SeriesPair;

/// Parts into which the classes of a pair are split; more would gain no speed, fewer would leave cores idle.
const PARTS: usize = 8;

/// What the first states of a stage are made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum StageInput<'a> {
    /// Data: for every source state its number, channels, and the images of both examples.
    Images(&'a [(usize, usize, &'a [f64], &'a [f64])]),
    /// What the stage before pooled, `[y, y', x, x']`, as this state.
    Pooled(usize, &'a Field),
}

/// Two examples, or one with itself.
pub(super) struct ExamplePair<'a> {
    pub(super) left: (&'a Profiles, usize),
    pub(super) right: (&'a Profiles, usize),
    /// Of every activation in series, both tables.
    pub(super) series: Vec<Option<SeriesPair<'a>>>,
    /// For an example with itself: fields at equal positions after every activation and dropout of the stage.
    pub(super) alone: Option<&'a [Field]>,
    pub(super) source: TangentSource,
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct OffsetScratch {
    pub(super) fields: Fields,
    pub(super) rows: [Vec<f64>; 4],
    pub(super) sum: Vec<f64>,
    pub(super) series_row: Vec<f64>,
    pub(super) unused: Vec<f64>,
}

impl OffsetScratch {
    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        let vectors = self.rows.iter().chain([&self.sum, &self.series_row, &self.unused]);
        self.fields.bytes() + 8 * vectors.map(Vec::capacity).sum::<usize>()
    }
}

/// Sends a pair through a stage and its pooling layer: `[y, y', x, x']` if the next stage needs pairs, else `[y, x]`.
pub(super) fn run(
    program: &Program,
    instructions: &[Instruction],
    sink: &Sink,
    start: StageInput<'_>,
    pair: &ExamplePair<'_>,
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
    let right = RightSide::new(program, instructions, sink, start, pair);
    let part = |rows: &[(usize, bool)], scratch: &mut OffsetScratch| {
        let mut pooled = Field { nngp: vec![0.0; entries], ntk: vec![0.0; entries] };
        let mut has_tangent = false;
        for &(class, transposes) in rows {
            for group in &sink.groups {
                let scratch = &mut *scratch;
                let mut unit = Unit { program, instructions, sink, class, group, pair, right: &right, scratch };
                unit.run(start);
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
