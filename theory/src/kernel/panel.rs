//! One panel of a kernel: a few rows by a few hundred columns, computed and then written where it belongs.
//!
//! Where equal positions suffice, the covariances of the data come from one matrix product a panel, and blocks of pairs pass
//! through all layers in cache. The products run over the features in chunks of fixed size, and no side of one has fewer than
//! four rows: then an entry does not depend on the panel that it is computed in.

use std::cell::RefCell;
use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::TangentSource;
use super::field::{Field, Fields};
use super::gaussians::EXAMPLES_A_TABLE;
use super::near::{self, NearPairs};
use super::pairs::{self, PairExamples, PairScratch};
use super::positions::{self, LeftCopies, PairBlock};
use super::prepared::{PreparedInputs, Rows};
use super::program::Program;
use super::stages::Method;

/// Rows of a panel where equal positions suffice.
const ROWS: usize = 64;
/// Columns of a panel.
const COLUMNS: usize = EXAMPLES_A_TABLE;
/// Numbers from one row of a panel to the next: no power of two, which would make rows share cache sets.
pub(super) const STRIDE: usize = COLUMNS + 8;
/// Rows and columns of a panel where pairs of positions count.
const PAIRS: usize = 16;
/// Features of one matrix product.
const FEATURES: usize = 256;
/// Fewest rows of a factor of a matrix product: fewer would be multiplied as vectors, with another order of sums.
const FEWEST_ROWS: usize = 4;
/// Numbers of a block of pairs with positions.
const BLOCK_NUMBERS: usize = 1024;

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct PanelScratch {
    /// `K`, then `Theta`, `ROWS x STRIDE`.
    pub(super) parts: [Vec<f64>; 2],
    gates: Vec<f64>,
    left: Vec<f64>,
    right: Vec<f64>,
    row: Vec<f64>,
    fields: Fields,
    copies: LeftCopies,
    pairs: PairScratch,
    near: RefCell<Vec<usize>>,
}

impl PanelScratch {
    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        let vectors = self.parts.iter().chain([&self.gates, &self.left, &self.right, &self.row]);
        8 * (vectors.map(Vec::capacity).sum::<usize>() + self.near.borrow().capacity())
            + self.fields.bytes()
            + self.copies.bytes()
            + self.pairs.bytes()
    }
}

/// Which entries of a kernel.
#[derive(Clone)]
pub(super) struct Region<'a> {
    pub(super) left: &'a PreparedInputs<'a>,
    pub(super) rows: Range<usize>,
    pub(super) right: &'a PreparedInputs<'a>,
    pub(super) columns: Range<usize>,
    /// Only `column >= row` is wanted.
    pub(super) upper: bool,
}

impl Region<'_> {
    fn first_column(&self, row: usize) -> usize {
        if self.upper { self.columns.start.max(row) } else { self.columns.start }
    }
}

/// A recursion with what is asked of it.
#[derive(Clone, Copy)]
pub(super) struct Recursion<'a> {
    pub(super) program: &'a Program,
    pub(super) method: &'a Method,
    pub(super) source: TangentSource,
    /// Whether offsets of one pair may be split among threads.
    pub(super) parallel: bool,
}

impl Recursion<'_> {
    /// Largest panel.
    pub(super) fn panel_size(&self) -> [usize; 2] {
        if matches!(self.method, Method::Positions) { [ROWS, COLUMNS] } else { [PAIRS, PAIRS] }
    }

    /// Upper bound on the bytes of the scratch.
    pub(super) fn scratch_bytes(&self, features: usize) -> usize {
        let largest = self.program.sizes.iter().map(|size| size[0] * size[1]).max().unwrap_or(1);
        // Both kernels of every state, one in the making, and the scratch of a window.
        let fields = 2 * (self.program.sizes.len() + 2) + 1;
        let pairs = match self.method {
            Method::Positions => 0,
            Method::Offsets(stages) => {
                let pooled = |stage: &super::stages::KernelStage| match &stage.sink {
                    Some(sink) if sink.pairs => self.program.sizes[sink.output].iter().product::<usize>().pow(2),
                    _ => 0,
                };
                // A stage's pooled tensors, the part being added to them, and those of the stage before.
                let pooled = 6 * stages.iter().map(pooled).max().unwrap_or(0);
                fields * largest * (super::stages::LANES + 1) + 8 * super::stages::LANES * largest + pooled
            }
            Method::Tensors => fields * largest * largest,
        };
        let block = BLOCK_NUMBERS.max(largest).max(COLUMNS);
        let copies = 2 * block * (self.program.activations.len() + 2 * self.program.norms.len());
        let near = COLUMNS * (self.program.activations.len() + 1);
        let data = (ROWS + COLUMNS) * self.longest_row(features);
        // Vectors grow by doubling, so that they may hold twice what they need.
        8 * (4 * ROWS * STRIDE + data + 2 * (fields * block + copies + near + pairs))
    }

    /// Numbers of the longest row of data.
    fn longest_row(&self, features: usize) -> usize {
        self.program.sources.iter().map(|source| source.shape.features()).max().unwrap_or(0).max(features)
    }

    /// Computes a region no larger than a panel into `scratch.parts`, [`STRIDE`] numbers a row.
    pub(super) fn compute(&self, region: &Region<'_>, scratch: &mut PanelScratch) {
        for part in &mut scratch.parts {
            part.resize(ROWS * STRIDE, 0.0);
        }
        match self.method {
            Method::Positions => self.compute_blocks(region, scratch),
            Method::Offsets(_) | Method::Tensors => {
                for i in region.rows.clone() {
                    for j in region.first_column(i)..region.columns.end {
                        if self.repetition(region, i, j).is_some() {
                            continue;
                        }
                        let examples = PairExamples { left: (region.left, i), right: (region.right, j) };
                        let found = pairs::pair(
                            self.program,
                            self.method,
                            examples,
                            self.source,
                            None,
                            &mut scratch.pairs,
                            self.parallel,
                        );
                        let entry = (i - region.rows.start) * STRIDE + j - region.columns.start;
                        scratch.parts.iter_mut().zip(found).for_each(|(part, x)| part[entry] = x);
                    }
                }
            }
        }
        for i in region.rows.clone() {
            let first = region.first_column(i);
            // Hardly ever does a row hold an example twice: examine a whole row at once.
            let others = &region.right.orders[first.min(region.columns.end)..region.columns.end];
            let own = region.left.orders[i];
            if !others.iter().fold(false, |found, other| found | (*other == own)) {
                continue;
            }
            for j in first..region.columns.end {
                if let Some(signs) = self.repetition(region, i, j) {
                    let last = self.program.weight_layers - 1;
                    let sign = signs.map_or(1.0, |signs| signs[last]);
                    let readout = region.left.profiles.layers(i)[last].map(|x| sign * x);
                    let entry = (i - region.rows.start) * STRIDE + j - region.columns.start;
                    scratch.parts.iter_mut().zip(readout).for_each(|(part, x)| part[entry] = x);
                }
            }
        }
        if region.upper {
            for part in &mut scratch.parts {
                for i in region.rows.clone().skip(1) {
                    for j in region.columns.start..i.min(region.columns.end) {
                        part[(i - region.rows.start) * STRIDE + j - region.columns.start] =
                            part[(j - region.rows.start) * STRIDE + i - region.columns.start];
                    }
                }
            }
        }
    }

    /// Whether an entry is known from the left example alone: both are one, or (with the signs after every weight layer) one is the
    /// negative of the other.
    pub(super) fn repetition(&self, region: &Region<'_>, i: usize, j: usize) -> Option<Option<&[f64]>> {
        if self.is_one(region, i, j) {
            return Some(None);
        }
        let signs = self.program.mirror.as_deref()?;
        region.left.mirrors(i, region.right, j).then_some(Some(signs))
    }

    /// Whether both examples are one: the same, or equal ones that no masks tell apart.
    fn is_one(&self, region: &Region<'_>, i: usize, j: usize) -> bool {
        if std::ptr::eq(region.left, region.right) && i == j {
            return true;
        }
        region.left.fingerprints[i] == region.right.fingerprints[j]
            && !self.program.has_dropout
            && region.left.repeats(i, region.right, j)
    }

    fn compute_blocks(&self, region: &Region<'_>, scratch: &mut PanelScratch) {
        let Region { left, rows, right, columns, .. } = region;
        let program = self.program;
        let has_series = left.profiles.activations.iter().any(super::gaussians::Gaussians::has_series);
        // The terms of series are chosen a block at a time: keep blocks where they are, whatever the region.
        let align = |column: usize| if has_series { column / 32 * 32 } else { column };
        let end = if has_series { columns.end.next_multiple_of(32).min(right.examples) } else { columns.end };
        let PanelScratch { parts: [k, theta], gates, left: x, right: y, row, fields, copies, near, .. } = scratch;
        if let (Some(l), Some(r)) = (&left.gates, &right.gates) {
            multiply(l, rows.clone(), r, align(columns.start)..end, gates, x, y);
        }
        let inner = program.sources.iter().position(|source| source.inner);
        if let Some(source) = inner {
            let [l, r] = [left, right].map(|side| &side.sources[source]);
            multiply(l, rows.clone(), r, align(columns.start)..end, row, x, y);
        }
        let largest = program.sizes.iter().map(|size| size[0] * size[1]).max().unwrap_or(1);
        let width = if largest == 1 { COLUMNS } else { (BLOCK_NUMBERS / largest).max(1) };
        // Tables of series on both sides, and the terms that count between them.
        let mut tables = (usize::MAX, usize::MAX);
        let mut series = Vec::new();
        for i in rows.clone() {
            copies.set(program, &left.profiles, i, width);
            let mut start = align(region.first_column(i));
            while start < end {
                // Blocks end where tables of series end.
                let stop = (start + width).min(end).min((start / EXAMPLES_A_TABLE + 1) * EXAMPLES_A_TABLE);
                let cell = (i - rows.start) * STRIDE + start - align(columns.start);
                let cells = cell..cell + stop - start;
                let products = row.get(cells.clone()).unwrap_or(&[]);
                fields.reset(program.sizes.len());
                self.start_block(region, i, start..stop, (inner, products), fields, [x, y]);
                let here = (i / EXAMPLES_A_TABLE, start / EXAMPLES_A_TABLE);
                if has_series && largest == 1 && tables != here {
                    tables = here;
                    let sides = left.profiles.activations.iter().zip(&right.profiles.activations);
                    series = sides.map(|(l, r)| l.joined(i, r, start)).collect();
                }
                near.borrow_mut().clear();
                let own = (std::ptr::eq(*left, *right) && (start..stop).contains(&i)).then(|| i - start);
                let block = PairBlock {
                    near: program.watch.as_ref().map(|watch| NearPairs { watch, own, pairs: &*near }),
                    left: &left.profiles,
                    example: i,
                    right: &right.profiles,
                    columns: start..stop,
                    gates: gates.get(cells).unwrap_or(&[]),
                    copies,
                    series: &series,
                };
                let mut write = |number: usize, field: &Field, _: usize| {
                    if number + 1 != program.weight_layers {
                        return;
                    }
                    let wanted = start.max(columns.start)..stop.min(columns.end);
                    if wanted.is_empty() {
                        return;
                    }
                    let (from, to) = (
                        wanted.start - start..wanted.end - start,
                        (i - rows.start) * STRIDE + wanted.start - columns.start,
                    );
                    k[to..to + from.len()].copy_from_slice(&field.nngp[from.clone()]);
                    match field.ntk.get(from.clone()) {
                        Some(tangent) => theta[to..to + from.len()].copy_from_slice(tangent),
                        None => theta[to..to + from.len()].fill(0.0),
                    }
                };
                positions::run(program, &program.instructions, &block, self.source, fields, &mut write);
                let here = (start.max(columns.start)..stop.min(columns.end), (i - rows.start) * STRIDE);
                self.compute_near(region, i, start, here, near, [k, theta]);
                start = stop;
            }
        }
    }

    /// Computes the pairs of a block again that are near collinear, or of an example of extreme variance.
    fn compute_near(
        &self,
        region: &Region<'_>,
        i: usize,
        start: usize,
        (wanted, row): (Range<usize>, usize),
        near: &RefCell<Vec<usize>>,
        mut parts: [&mut Vec<f64>; 2],
    ) {
        let mut found = near.borrow_mut();
        if region.left.extreme.get(i) == Some(&true) {
            found.extend(wanted.clone().map(|j| j - start));
        } else if let Some(others) = region.right.extreme.get(wanted.clone()) {
            found.extend(wanted.clone().zip(others).filter(|(_, extreme)| **extreme).map(|(j, _)| j - start));
        }
        if found.is_empty() {
            return;
        }
        found.sort_unstable();
        found.dedup();
        for j in found.iter().map(|pair| start + pair).filter(|j| wanted.contains(j)) {
            if self.repetition(region, i, j).is_some() {
                continue;
            }
            let readout = near::pair(self.program, (region.left, i), (region.right, j), self.source, None);
            let entry = row + j - region.columns.start;
            parts.iter_mut().zip(readout).for_each(|(part, x)| part[entry] = x);
        }
    }

    /// Covariances of the data for a block, at every source.
    fn start_block(
        &self,
        region: &Region<'_>,
        i: usize,
        columns: Range<usize>,
        (inner, products): (Option<usize>, &[f64]),
        fields: &mut Fields,
        [x, y]: [&mut Vec<f64>; 2],
    ) {
        for (index, source) in self.program.sources.iter().enumerate() {
            let mut field = fields.empty();
            let (left, right) = (&region.left.sources[index], &region.right.sources[index]);
            if source.inner && inner == Some(index) {
                field.nngp.extend_from_slice(products);
            } else {
                let positions = if source.inner { 1 } else { source.shape.height * source.shape.width };
                field.nngp.resize(columns.len() * positions, 0.0);
                let (x, y) = (left.rows(i..i + 1, x), right.rows(columns.clone(), y));
                for (k, y) in field.nngp.chunks_exact_mut(positions).zip(y.chunks_exact(right.length)) {
                    pairs::add_products(k, x, y);
                }
            }
            fields.put(source.state, field);
        }
    }
}

/// `x.y / features` of all pairs of two panels, into rows of [`STRIDE`] numbers. The division comes last: a factor inside of the
/// products would be rounded together with their sum, or not, depending on where in a panel an entry stands.
fn multiply(
    left: &Rows<'_>,
    rows: Range<usize>,
    right: &Rows<'_>,
    columns: Range<usize>,
    into: &mut Vec<f64>,
    x: &mut Vec<f64>,
    y: &mut Vec<f64>,
) {
    into.resize((ROWS.max(FEWEST_ROWS)) * STRIDE, 0.0);
    let (height, width) = (rows.len().max(FEWEST_ROWS), columns.len().max(FEWEST_ROWS));
    let (x, y) = (at_least(left, rows, x), at_least(right, columns, y));
    let x = MatRef::from_row_major_slice(x, height, left.length);
    let y = MatRef::from_row_major_slice(y, width, right.length);
    // By columns and transposed: the row-major constructor with a stride of faer 0.24.4 takes the strides for each other.
    let mut product = MatMut::from_column_major_slice_with_stride_mut(into, width, height, STRIDE).transpose_mut();
    for start in (0..left.length).step_by(FEATURES) {
        let count = FEATURES.min(left.length - start);
        let (x, y) = (x.submatrix(0, start, height, count), y.submatrix(0, start, width, count));
        let accumulate = if start == 0 { Accum::Replace } else { Accum::Add };
        matmul(product.as_mut(), accumulate, x, y.transpose(), 1.0, Par::Seq);
    }
    let share = 1.0 / left.length as f64;
    into.chunks_exact_mut(STRIDE).take(height).for_each(|row| row[..width].iter_mut().for_each(|x| *x *= share));
}

/// Rows, with zeros below if there are too few.
fn at_least<'b>(rows: &'b Rows<'_>, range: Range<usize>, buffer: &'b mut Vec<f64>) -> &'b [f64] {
    if range.len() >= FEWEST_ROWS {
        return rows.rows(range, buffer);
    }
    let mut padded = rows.rows(range, buffer).to_vec();
    padded.resize(FEWEST_ROWS * rows.length, 0.0);
    *buffer = padded;
    buffer
}
