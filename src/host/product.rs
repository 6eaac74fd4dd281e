//! Matrix products on slices without packing: tiles of the result are held in registers while terms are added.
//!
//! `C[r, c] = sum_s sum_k A_s[r row + k term] B_s[k stride + c]`. The terms come in runs `s`: the shifted rows of an image under a
//! filter, or examples of which each thread has some. A left factor is any view with two strides, read one number at a time: a matrix or
//! its transpose. The right factors and the result have rows of consecutive numbers. Every number of the result is the sum of its terms
//! in their order, each with one rounding where the processor can: no number depends on the tile that it is made in.
//!
//! What becomes of a finished tile is its [`TileSink`]'s to say: it is written, added, or used up while it is in registers.

use pulp::{Arch, Simd, WithSimd};

use super::lanes::{Lanes, load, store};

/// Terms that follow one another in both factors, where they lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TermRun<'a, T> {
    /// The left factor, from its first number on.
    pub(crate) left: &'a [T],
    /// The right factor: a row a term.
    pub(crate) right: &'a [T],
    /// How many.
    pub(crate) terms: usize,
}

/// One product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product<'a, T> {
    /// Rows and columns of the result.
    pub(crate) size: [usize; 2],
    /// The terms.
    pub(crate) runs: &'a [TermRun<'a, T>],
    /// From one row of a left factor to the next.
    pub(crate) row: usize,
    /// From one term of a left factor to the next. One of the two is 1.
    pub(crate) term: usize,
    /// From one row of a right factor to the next.
    pub(crate) right_row: usize,
}

/// Rows of a tile, and numbers in one of its rows, at most.
pub(crate) const TILE: [usize; 2] = [8, 32];

/// Registers of a tile's rows; the last one of a row is filled in part where the tile says so.
pub(crate) type Registers<T, S, const ROWS: usize, const VECTORS: usize> = [[<T as Lanes>::Vector<S>; VECTORS]; ROWS];

/// Where a tile lies in the result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TilePosition {
    /// Its first row.
    pub(crate) row: usize,
    /// Its first column.
    pub(crate) column: usize,
    /// Its columns, where they fill a register in part.
    pub(crate) part: Option<usize>,
}

/// What becomes of the tiles of a product. Each number of the result comes once.
pub(crate) trait TileSink<T: Lanes> {
    /// What the sums of a tile begin with.
    fn begin<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        place: TilePosition,
    ) -> Registers<T, S, ROWS, VECTORS>;

    /// Takes a tile.
    fn take<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        place: TilePosition,
        sums: Registers<T, S, ROWS, VECTORS>,
    );
}

/// What a product is multiplied by, and what is added to each of its rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine<'a, T> {
    /// The factor.
    pub(crate) gain: T,
    /// A number a column; empty where nothing is added.
    pub(crate) bias: &'a [T],
}

/// A matrix that products are written to, or added to.
struct Matrix<'a, T> {
    numbers: &'a mut [T],
    /// From one row to the next.
    stride: usize,
    is_added: bool,
    affine: Option<Affine<'a, T>>,
}

impl<T: Lanes> Product<'_, T> {
    /// Writes the result, `stride` numbers from one row to the next.
    pub(crate) fn write(self, numbers: &mut [T], stride: usize, affine: Option<Affine<'_, T>>) {
        self.into(Matrix { numbers, stride, is_added: false, affine });
    }

    /// Adds the result to what is there.
    pub(crate) fn add(self, numbers: &mut [T], stride: usize) {
        self.into(Matrix { numbers, stride, is_added: true, affine: None });
    }

    /// Makes the result for `target`.
    pub(crate) fn into(self, target: impl TileSink<T>) {
        Arch::new().dispatch(Tiles { product: self, target });
    }
}

impl<T: Lanes> TileSink<T> for Matrix<'_, T> {
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "counted to a constant, so that every sum is a register")]
    fn begin<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        place: TilePosition,
    ) -> Registers<T, S, ROWS, VECTORS> {
        let mut sums = [[T::splat(simd, T::ZERO); VECTORS]; ROWS];
        if self.is_added {
            let width = place.width::<T, S, VECTORS>();
            for r in 0..ROWS {
                let at = (place.row + r) * self.stride + place.column;
                sums[r] = load::<T, S, VECTORS>(simd, &self.numbers[at..at + width], place.part);
            }
        }
        sums
    }

    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "counted to a constant, so that every sum is a register")]
    fn take<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        place: TilePosition,
        mut sums: Registers<T, S, ROWS, VECTORS>,
    ) {
        let width = place.width::<T, S, VECTORS>();
        if let Some(Affine { gain, bias }) = self.affine {
            let gain = T::splat(simd, gain);
            let mut shift = [T::splat(simd, T::ZERO); VECTORS];
            if !bias.is_empty() {
                shift = load::<T, S, VECTORS>(simd, &bias[place.column..place.column + width], place.part);
            }
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    sums[r][v] = T::mul_add(simd, sums[r][v], gain, shift[v]);
                }
            }
        }
        for r in 0..ROWS {
            let at = (place.row + r) * self.stride + place.column;
            store::<T, S, VECTORS>(simd, &mut self.numbers[at..at + width], place.part, sums[r]);
        }
    }
}

impl TilePosition {
    /// Columns of the tile.
    #[inline(always)]
    pub(crate) fn width<T: Lanes, S: Simd, const VECTORS: usize>(self) -> usize {
        self.part.unwrap_or(VECTORS * size_of::<T::Vector<S>>() / size_of::<T>())
    }
}

struct Tiles<'a, T, I> {
    product: Product<'a, T>,
    target: I,
}

impl<T: Lanes, I: TileSink<T>> WithSimd for Tiles<'_, T, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let lanes = size_of::<T::Vector<S>>() / size_of::<T>();
        let columns = self.product.size[1];
        let mut column = 0;
        while column + 2 * lanes <= columns {
            self.column::<S, 2>(simd, column, None);
            column += 2 * lanes;
        }
        if column + lanes <= columns {
            self.column::<S, 1>(simd, column, None);
            column += lanes;
        }
        if column < columns {
            self.column::<S, 1>(simd, column, Some(columns - column));
        }
    }
}

impl<T: Lanes, I: TileSink<T>> Tiles<'_, T, I> {
    /// All rows of `VECTORS` registers of columns, the last one filled in part where `part` says so.
    #[inline(always)]
    fn column<S: Simd, const VECTORS: usize>(&mut self, simd: S, column: usize, part: Option<usize>) {
        let rows = self.product.size[0];
        let mut row = 0;
        // As many rows as registers hold.
        if S::REGISTER_COUNT >= 32 {
            while row + 8 <= rows {
                self.tile::<S, 8, VECTORS>(simd, TilePosition { row, column, part });
                row += 8;
            }
        } else {
            while row + 6 <= rows {
                self.tile::<S, 6, VECTORS>(simd, TilePosition { row, column, part });
                row += 6;
            }
        }
        while row + 4 <= rows {
            self.tile::<S, 4, VECTORS>(simd, TilePosition { row, column, part });
            row += 4;
        }
        while row + 2 <= rows {
            self.tile::<S, 2, VECTORS>(simd, TilePosition { row, column, part });
            row += 2;
        }
        if row < rows {
            self.tile::<S, 1, VECTORS>(simd, TilePosition { row, column, part });
        }
    }

    #[inline(always)]
    // Loops are counted to a constant, so that every sum is a register from the start.
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, place: TilePosition) {
        let Product { runs, row, term, right_row, .. } = self.product;
        let width = place.width::<T, S, VECTORS>();
        let mut sums: Registers<T, S, ROWS, VECTORS> = self.target.begin::<S, ROWS, VECTORS>(simd, place);
        for &TermRun { left, right, terms } in runs {
            let right = &right[place.column..];
            if term == 1 {
                let mut rows: [&[T]; ROWS] = [&[]; ROWS];
                for r in 0..ROWS {
                    rows[r] = &left[(place.row + r) * row..][..terms];
                }
                for k in 0..terms {
                    let right = load::<T, S, VECTORS>(simd, &right[k * right_row..k * right_row + width], place.part);
                    for r in 0..ROWS {
                        let value = T::splat(simd, rows[r][k]);
                        for v in 0..VECTORS {
                            sums[r][v] = T::mul_add(simd, value, right[v], sums[r][v]);
                        }
                    }
                }
            } else {
                for k in 0..terms {
                    let right = load::<T, S, VECTORS>(simd, &right[k * right_row..k * right_row + width], place.part);
                    let values = &left[k * term + place.row..][..ROWS];
                    for r in 0..ROWS {
                        let value = T::splat(simd, values[r]);
                        for v in 0..VECTORS {
                            sums[r][v] = T::mul_add(simd, value, right[v], sums[r][v]);
                        }
                    }
                }
            }
        }
        self.target.take::<S, ROWS, VECTORS>(simd, place, sums);
    }
}

#[cfg(test)]
mod tests {
    use std::ops::{Add, Mul};

    use super::*;

    /// `C[r, c] (+)= sum_s sum_k A_s[r row + k term] B_s[k stride + c]`, number by number.
    fn plain<T: Lanes + Mul<Output = T> + Add<Output = T>>(
        product: &Product<'_, T>,
        into: &mut [T],
        stride: usize,
        is_added: bool,
        affine: Option<Affine<'_, T>>,
    ) {
        for r in 0..product.size[0] {
            for c in 0..product.size[1] {
                let mut sum = if is_added { into[r * stride + c] } else { T::ZERO };
                for TermRun { left, right, terms } in product.runs {
                    for k in 0..*terms {
                        let right = right[k * product.right_row + c];
                        sum = sum + left[r * product.row + k * product.term] * right;
                    }
                }
                into[r * stride + c] = match affine {
                    Some(Affine { gain, bias: [] }) => sum * gain,
                    Some(Affine { gain, bias }) => sum * gain + bias[c],
                    None => sum,
                };
            }
        }
    }

    /// Small whole numbers: sums are exact in any order and precision.
    fn numbers<T: Lanes + From<i8>>(count: usize) -> Vec<T> {
        (0..count).map(|i| T::from(((i * 7) % 13) as i8 - 6)).collect()
    }

    fn every_shape<T: Lanes + From<i8> + Mul<Output = T> + Add<Output = T> + PartialEq + std::fmt::Debug>() {
        for size in [[1, 1], [8, 32], [9, 33], [13, 10], [23, 50], [4, 16], [5, 79], [31, 7]] {
            for lengths in [vec![1], vec![17, 3], vec![5, 0, 2]] {
                for is_transposed in [false, true] {
                    let (row, term) = if is_transposed { (1, size[0] + 2) } else { (20, 1) };
                    let (right_row, stride) = (size[1] + 1, size[1] + 2);
                    let left: Vec<T> = numbers(41 + size[0] * row + 17 * term);
                    let right: Vec<T> = numbers(20 * right_row);
                    let runs: Vec<TermRun<'_, T>> = (lengths.iter().enumerate())
                        .map(|(s, &terms)| TermRun { left: &left[13 * s..], right: &right[s * right_row..], terms })
                        .collect();
                    let product = Product { size, runs: &runs, row, term, right_row };
                    let bias: Vec<T> = numbers(size[1]);
                    let [scaled, shifted] = [&[][..], &bias].map(|bias| Some(Affine { gain: T::from(3), bias }));
                    for (is_added, affine) in [(false, None), (true, None), (false, scaled), (false, shifted)] {
                        let mut expected: Vec<T> = numbers(size[0] * stride);
                        let mut found = expected.clone();
                        plain(&product, &mut expected, stride, is_added, affine);
                        if is_added {
                            product.add(&mut found, stride);
                        } else {
                            product.write(&mut found, stride, affine);
                        }
                        assert_eq!(found, expected, "{size:?}, {lengths:?}, {is_transposed}, {is_added}, {affine:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_shape_is_the_sum_of_its_terms() {
        every_shape::<f32>();
        every_shape::<f64>();
    }
}
