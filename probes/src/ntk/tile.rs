//! The kernel between two blocks of examples, tile by tile, on all threads.
//!
//! A tile of columns is multiplied out for one layer, multiplied in place by the Gram tile of the rows, added to the layers
//! before it while all of that is in cache, and written once. Of a block with itself only tiles that meet the diagonal or
//! lie above it are computed. Tiles, and the order of additions within them, do not depend on the number of threads.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, Par};
use rayon::prelude::*;

use super::block::{ExampleBlock, LayerShare, LayerTerm};
use super::columns::Columns;
use widthwise_tensors::Number;

/// Products that are added in the precision of the numbers before their sum goes to the tile.
const DEPTH: usize = 4096;
/// Positions of an example that are paired at once.
const POSITIONS: usize = 256;

/// Rows of a tile that are transposed at once: a cache line of numbers.
const PIECE: usize = 16;

/// Room for one thread.
#[derive(Default)]
struct TileBuffers<T> {
    total: Vec<T>,
    layer: Vec<T>,
    products: Vec<T>,
    gram: Vec<T>,
}

/// Writes the kernel of `left` with `right`, or with itself if that is `None`, into `out`, row-major and example-major.
///
/// # Shapes
/// `out`: one buffer for the whole kernel, or one a layer and then one for their sum; all are resized to
/// `N R x N' R`, with `R` numbers an example.
///
/// # Panics
/// Two blocks of different networks, or another number of buffers.
pub fn block_kernel<T: Number, E: Number>(left: &ExampleBlock<T>, right: Option<&ExampleBlock<T>>, out: &mut [Vec<E>]) {
    let is_symmetric = right.is_none();
    let right = right.unwrap_or(left);
    let by_layer = out.len() > 1;
    assert!(left.layers.len() == right.layers.len() && (!by_layer || out.len() == left.layers.len() + 1));
    let (height, width) = (left.grouping.columns(), right.grouping.columns());
    out.iter_mut().for_each(|values| values.resize(height * width, E::default()));
    let (above, across) = (left.grouping.groups(), right.grouping.groups());
    let per_example = left.grouping.per_example;
    // A strip of rows a group and matrix, so that tiles are written from any thread.
    let strips: Vec<Vec<Mutex<&mut [E]>>> = out
        .iter_mut()
        .map(|values| values.chunks_mut((left.grouping.group * per_example * width).max(1)).map(Mutex::new).collect())
        .collect();
    let tiles: Vec<(usize, usize)> =
        (0..above.len()).flat_map(|i| (if is_symmetric { i } else { 0 }..across.len()).map(move |j| (i, j))).collect();
    tiles.into_par_iter().with_max_len(1).for_each_init(TileBuffers::default, |scratch, (i, j)| {
        let place = TileOrigin {
            rows: above[i].clone(),
            columns: across[j].clone(),
            per_example,
            width,
            is_mirrored: is_symmetric,
        };
        let mut ordered: Vec<E> = Vec::new();
        let mut store = |matrix: usize, values: &[T]| {
            let strip = |index: usize| strips[matrix][index].lock().unwrap_or_else(PoisonError::into_inner);
            place.order(values, &mut ordered);
            place.write(&ordered, &mut strip(i));
            if place.is_mirrored {
                place.mirror(&ordered, &mut strip(j));
            }
        };
        let TileBuffers { total, layer, products, gram } = scratch;
        let size = place.rows.len() * place.columns.len() * per_example * per_example;
        total.clear();
        total.resize(size, T::default());
        for (index, shares) in left.layers.iter().zip(&right.layers).enumerate() {
            let shape =
                if is_symmetric && i == j && per_example == 1 { WantedEntries::Upper } else { WantedEntries::Whole };
            let mut tile = Tile { rows: &place.rows, columns: &place.columns, per_example, shape, products, gram };
            if by_layer {
                layer.clear();
                layer.resize(size, T::default());
                tile.add(shares.0, shares.1, layer);
                store(index, layer);
                total.iter_mut().zip(layer.iter()).for_each(|(total, value)| *total += *value);
            } else {
                tile.add(shares.0, shares.1, total);
            }
        }
        store(strips.len() - 1, total);
    });
}

/// Every example with itself: `N x R^2`, row-major.
pub fn block_diagonal<T: Number>(block: &ExampleBlock<T>, by_layer: bool) -> Vec<Vec<f64>> {
    let per_example = block.grouping.per_example;
    let size = per_example * per_example;
    let matrices = if by_layer { block.layers.len() + 1 } else { 1 };
    let rows: Vec<Vec<f64>> = (0..block.grouping.examples)
        .into_par_iter()
        .map(|x| {
            let single = block.example(x);
            let mut out = vec![Vec::new(); matrices];
            block_kernel::<T, f64>(&single, None, &mut out);
            out.concat()
        })
        .collect();
    (0..matrices).map(|m| rows.iter().flat_map(|row| &row[m * size..(m + 1) * size]).copied().collect()).collect()
}

/// Where a tile stands in the kernel.
struct TileOrigin {
    rows: Range<usize>,
    columns: Range<usize>,
    per_example: usize,
    width: usize,
    is_mirrored: bool,
}

impl TileOrigin {
    /// From the order of the two groups to that of examples.
    fn order<T: Number, E: Number>(&self, values: &[T], ordered: &mut Vec<E>) {
        let (r, e, f) = (self.per_example, self.rows.len(), self.columns.len());
        ordered.clear();
        if r == 1 {
            ordered.extend(values.iter().map(|value| E::of(value.wide())));
            return;
        }
        ordered.resize(values.len(), E::default());
        for (at, to) in ordered.chunks_exact_mut(f * r).enumerate() {
            let row = (at % r) * e + at / r;
            for (o, from) in values[row * f * r..(row + 1) * f * r].chunks_exact(f).enumerate() {
                to[o..].iter_mut().step_by(r).zip(from).for_each(|(to, from)| *to = E::of(from.wide()));
            }
        }
    }

    /// Into the strip that begins with the tile's first row.
    fn write<E: Number>(&self, ordered: &[E], strip: &mut [E]) {
        let across = self.columns.len() * self.per_example;
        let start = self.columns.start * self.per_example;
        for (row, from) in ordered.chunks_exact(across).enumerate() {
            strip[row * self.width + start..][..across].copy_from_slice(from);
        }
    }

    /// Transposed, into the strip that begins with the tile's first column, piece by piece; of a tile on the diagonal what lies
    /// above it, so that the kernel equals its own transpose.
    fn mirror<E: Number>(&self, ordered: &[E], strip: &mut [E]) {
        let (above, across) = (self.rows.len() * self.per_example, self.columns.len() * self.per_example);
        let start = self.rows.start * self.per_example;
        let is_diagonal = self.rows.start == self.columns.start;
        for left in (0..above).step_by(PIECE) {
            let left = left..(left + PIECE).min(above);
            for j in 0..across {
                let end = if is_diagonal { left.end.min(j) } else { left.end };
                if end > left.start {
                    let to = &mut strip[j * self.width + start..][left.start..end];
                    to.iter_mut().enumerate().for_each(|(i, to)| *to = ordered[(left.start + i) * across + j]);
                }
            }
        }
    }
}

/// Which entries of a product are wanted; the others hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WantedEntries {
    /// All.
    Whole,
    /// Those on and above the diagonal.
    Upper,
}

/// A tile at work.
struct Tile<'a, T> {
    rows: &'a Range<usize>,
    columns: &'a Range<usize>,
    per_example: usize,
    shape: WantedEntries,
    products: &'a mut Vec<T>,
    gram: &'a mut Vec<T>,
}

impl<T: Number> Tile<'_, T> {
    /// Adds one layer to `total`, `(R rows) x (R columns)` in the order of columns of the two groups.
    fn add(&mut self, left: &LayerShare<T>, right: &LayerShare<T>, total: &mut [T]) {
        let r = self.per_example;
        let (e, f) = (self.rows.len(), self.columns.len());
        let (above, across) = (self.rows.start * r..self.rows.end * r, self.columns.start * r..self.columns.end * r);
        let (weight, bias) = (T::of(left.weight), T::of(left.bias));
        match (&left.share, &right.share) {
            (LayerTerm::Readout { rows: a }, LayerTerm::Readout { rows: b }) => {
                scaled_gram((a, self.rows), (b, self.columns), self.shape, weight, bias, self.products, self.gram);
                for o in 0..r {
                    for i in 0..e {
                        let total = &mut total[(o * e + i) * f * r + o * f..][..f];
                        total.iter_mut().zip(&self.gram[i * f..(i + 1) * f]).for_each(|(total, gram)| *total += *gram);
                    }
                }
            }
            (LayerTerm::Dense { rows: a, derivatives: d }, LayerTerm::Dense { rows: b, derivatives: c }) => {
                scaled_gram((a, self.rows), (b, self.columns), self.shape, weight, bias, self.products, self.gram);
                let gram = &*self.gram;
                products((d, &above), (c, &across), self.shape, self.products, |products| {
                    for (row, (total, products)) in
                        total.chunks_exact_mut(f * r).zip(products.chunks_exact(f * r)).enumerate()
                    {
                        let gram = &gram[(row % e) * f..(row % e + 1) * f];
                        for (total, products) in total.chunks_exact_mut(f).zip(products.chunks_exact(f)) {
                            multiply_add(total, products, gram);
                        }
                    }
                });
            }
            (LayerTerm::Gradients { gradients: d, sums: s }, LayerTerm::Gradients { gradients: c, sums: t }) => {
                products((d, &above), (c, &across), self.shape, self.products, |products| {
                    add_scaled(total, products, weight)
                });
                if let (Some(s), Some(t)) = (s, t) {
                    products((s, &above), (t, &across), self.shape, self.products, |products| {
                        add_scaled(total, products, bias)
                    });
                }
            }
            (
                LayerTerm::Positions { positions, rows: a, derivatives: d },
                LayerTerm::Positions { rows: b, derivatives: c, .. },
            ) => self.add_pairs(*positions, (a, d), (b, c), weight, bias, total),
            _ => unreachable!("the layers of one network in blocks of one plan"),
        }
    }

    /// `sum_{p p'} (g a_p . a_p' + h) (d_p . d_p')`.
    fn add_pairs(
        &mut self,
        positions: usize,
        (a, d): (&Columns<T>, &Columns<T>),
        (b, c): (&Columns<T>, &Columns<T>),
        weight: T,
        bias: T,
        total: &mut [T],
    ) {
        let r = self.per_example;
        let (e, f) = (self.rows.len(), self.columns.len());
        let chunks = || (0..positions).step_by(POSITIONS).map(move |p| p..(p + POSITIONS).min(positions));
        let shifted =
            |range: &Range<usize>, column: usize| column * positions + range.start..column * positions + range.end;
        for (i, x) in self.rows.clone().enumerate() {
            for (j, y) in self.columns.clone().enumerate() {
                for (p, q) in chunks().flat_map(|p| chunks().map(move |q| (p.clone(), q))) {
                    scaled_gram(
                        (a, &shifted(&p, x)),
                        (b, &shifted(&q, y)),
                        WantedEntries::Whole,
                        weight,
                        bias,
                        self.products,
                        self.gram,
                    );
                    let gram = &*self.gram;
                    for (row, column) in (0..r).flat_map(|o| (0..r).map(move |u| (o * e + i, u * f + j))) {
                        let (above, across) = (self.rows.start * r + row, self.columns.start * r + column);
                        let mut sum = 0.0;
                        products(
                            (d, &shifted(&p, above)),
                            (c, &shifted(&q, across)),
                            WantedEntries::Whole,
                            self.products,
                            |products| {
                                for (products, gram) in products.chunks_exact(q.len()).zip(gram.chunks_exact(q.len())) {
                                    let pairs = products.iter().zip(gram).map(|(product, gram)| *product * *gram);
                                    sum += pairs.fold(T::default(), |sum, pair| sum + pair).wide();
                                }
                            },
                        );
                        total[row * f * r + column] += T::of(sum);
                    }
                }
            }
        }
    }
}

/// `g a . b + h` for ranges of columns into `gram`, row-major.
fn scaled_gram<T: Number>(
    left: (&Columns<T>, &Range<usize>),
    right: (&Columns<T>, &Range<usize>),
    shape: WantedEntries,
    weight: T,
    bias: T,
    room: &mut Vec<T>,
    gram: &mut Vec<T>,
) {
    gram.clear();
    gram.resize(left.1.len() * right.1.len(), bias);
    products(left, right, shape, room, |products| add_scaled(gram, products, weight));
}

/// Products of columns, added up over slabs and depth, handed on in parts of bounded depth: row-major, `left x right`.
fn products<T: Number>(
    (left, rows): (&Columns<T>, &Range<usize>),
    (right, columns): (&Columns<T>, &Range<usize>),
    shape: WantedEntries,
    room: &mut Vec<T>,
    mut take: impl FnMut(&[T]),
) {
    let (height, width) = (rows.len(), columns.len());
    if room.len() < height * width {
        room.resize(height * width, T::default());
    }
    let room = &mut room[..height * width];
    let mut pending = 0;
    for slab in 0..left.slabs {
        for start in (0..left.depth).step_by(DEPTH) {
            let depth = start..(start + DEPTH).min(left.depth);
            let accumulate = if pending == 0 { Accum::Replace } else { Accum::Add };
            let lhs = right.view(slab, depth.clone(), columns.clone()).transpose();
            let rhs = left.view(slab, depth.clone(), rows.clone());
            let into = MatMut::from_column_major_slice_mut(&mut *room, width, height);
            match shape {
                WantedEntries::Whole => matmul(into, accumulate, lhs, rhs, T::of(1.0), Par::Seq),
                WantedEntries::Upper => triangular::matmul(
                    into,
                    // Of the transpose, which is what is stored by columns.
                    BlockStructure::TriangularLower,
                    accumulate,
                    lhs,
                    BlockStructure::Rectangular,
                    rhs,
                    BlockStructure::Rectangular,
                    T::of(1.0),
                    Par::Seq,
                ),
            }
            pending += depth.len();
            if pending >= DEPTH {
                take(room);
                pending = 0;
            }
        }
    }
    if pending > 0 {
        take(room);
    }
}

fn multiply_add<T: Number>(total: &mut [T], products: &[T], gram: &[T]) {
    for ((total, product), gram) in total.iter_mut().zip(products).zip(gram) {
        *total += *product * *gram;
    }
}

fn add_scaled<T: Number>(total: &mut [T], products: &[T], factor: T) {
    total.iter_mut().zip(products).for_each(|(total, product)| *total += *product * factor);
}
