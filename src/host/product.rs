//! Matrix products on slices without packing: tiles of the result are held in registers while terms are added.
//!
//! `C[r, c] = sum_s sum_k A[starts[s] + r row + k term] B[(s terms + k) stride + c]`. The left factor is any view with two
//! strides, read one number at a time, at a list of places: the shifted rows of an image under a filter, a matrix or its
//! transpose. The right factor and the result have rows of consecutive numbers. Every number of the result is the sum of its terms in
//! their order, each with one rounding where the processor can: no number depends on the tile that it is made in.

use pulp::{Arch, Simd, WithSimd};

/// A number in vector registers.
pub(crate) trait Lanes: Copy + Send + Sync + 'static {
    /// Nought.
    const ZERO: Self;
    /// A register.
    type Vector<S: Simd>: Copy;

    /// The same number in every lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;

    /// `a b + c`.
    fn mul_add<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;

    /// Whole registers of `values`, whose count is a multiple of the lanes.
    fn vectors<S: Simd>(values: &[Self]) -> &[Self::Vector<S>];

    /// Whole registers of `values`, whose count is a multiple of the lanes.
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Vector<S>];

    /// A register that is filled in part.
    fn load_part<S: Simd>(simd: S, values: &[Self]) -> Self::Vector<S>;

    /// The first numbers of a register.
    fn store_part<S: Simd>(simd: S, values: &mut [Self], vector: Self::Vector<S>);
}

macro_rules! lanes {
    ($number:ty, $vector:ident, $splat:ident, $mul_add:ident, $vectors:ident, $vectors_mut:ident, $load:ident, $store:ident) => {
        impl Lanes for $number {
            const ZERO: Self = 0.0;
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$mul_add(a, b, c)
            }

            #[inline(always)]
            fn vectors<S: Simd>(values: &[Self]) -> &[S::$vector] {
                S::$vectors(values).0
            }

            #[inline(always)]
            fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::$vector] {
                S::$vectors_mut(values).0
            }

            #[inline(always)]
            fn load_part<S: Simd>(simd: S, values: &[Self]) -> S::$vector {
                simd.$load(values)
            }

            #[inline(always)]
            fn store_part<S: Simd>(simd: S, values: &mut [Self], vector: S::$vector) {
                simd.$store(values, vector);
            }
        }
    };
}

lanes!(f32, f32s, splat_f32s, mul_add_e_f32s, as_simd_f32s, as_mut_simd_f32s, partial_load_f32s, partial_store_f32s);
lanes!(f64, f64s, splat_f64s, mul_add_e_f64s, as_simd_f64s, as_mut_simd_f64s, partial_load_f64s, partial_store_f64s);

/// The left factor of a product, where it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left<'a, T> {
    /// The numbers.
    pub(crate) values: &'a [T],
    /// Where the first row begins, for every run of terms.
    pub(crate) starts: &'a [usize],
    /// From one row to the next.
    pub(crate) row: usize,
    /// From one term to the next. One of the two strides is 1.
    pub(crate) term: usize,
}

/// One product.
pub(crate) struct Product<'a, T> {
    /// Rows and columns of the result.
    pub(crate) size: [usize; 2],
    /// Terms of a run.
    pub(crate) terms: usize,
    /// The left factor.
    pub(crate) left: Left<'a, T>,
    /// The right factor: a row a term, run after run.
    pub(crate) right: &'a [T],
    /// From one row of the right factor to the next.
    pub(crate) right_row: usize,
    /// Whether the result is added to what is there.
    pub(crate) is_added: bool,
}

impl<T: Lanes> Product<'_, T> {
    /// Writes the result, `into_row` numbers from one row to the next.
    pub(crate) fn write(self, into: &mut [T], into_row: usize) {
        Arch::new().dispatch(Tiles { product: self, into, into_row });
    }
}

struct Tiles<'a, T> {
    product: Product<'a, T>,
    into: &'a mut [T],
    into_row: usize,
}

impl<T: Lanes> WithSimd for Tiles<'_, T> {
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

impl<T: Lanes> Tiles<'_, T> {
    /// All rows of `VECTORS` registers of columns, the last one filled in part where `part` says so.
    #[inline(always)]
    fn column<S: Simd, const VECTORS: usize>(&mut self, simd: S, column: usize, part: Option<usize>) {
        let rows = self.product.size[0];
        let mut row = 0;
        // As many rows as registers hold.
        if S::REGISTER_COUNT >= 32 {
            while row + 8 <= rows {
                self.tile::<S, 8, VECTORS>(simd, row, column, part);
                row += 8;
            }
        } else {
            while row + 6 <= rows {
                self.tile::<S, 6, VECTORS>(simd, row, column, part);
                row += 6;
            }
        }
        while row + 4 <= rows {
            self.tile::<S, 4, VECTORS>(simd, row, column, part);
            row += 4;
        }
        while row < rows {
            self.tile::<S, 1, VECTORS>(simd, row, column, part);
            row += 1;
        }
    }

    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        clippy::manual_memcpy,
        reason = "counted to a constant, so that every sum is a register from the start"
    )]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
        part: Option<usize>,
    ) {
        let Product { terms, left, right, right_row, is_added, .. } = self.product;
        let width = part.unwrap_or(VECTORS * size_of::<T::Vector<S>>() / size_of::<T>());
        let mut sums = [[T::splat(simd, T::ZERO); VECTORS]; ROWS];
        for r in 0..ROWS {
            let at = (row + r) * self.into_row + column;
            if is_added {
                sums[r] = load::<T, S, VECTORS>(simd, &self.into[at..at + width], part);
            }
        }
        for (run, &start) in left.starts.iter().enumerate() {
            let right = &right[run * terms * right_row + column..];
            if left.term == 1 {
                let mut rows: [&[T]; ROWS] = [&[]; ROWS];
                for r in 0..ROWS {
                    rows[r] = &left.values[start + (row + r) * left.row..][..terms];
                }
                for k in 0..terms {
                    let right = load::<T, S, VECTORS>(simd, &right[k * right_row..k * right_row + width], part);
                    for r in 0..ROWS {
                        let value = T::splat(simd, rows[r][k]);
                        for v in 0..VECTORS {
                            sums[r][v] = T::mul_add(simd, value, right[v], sums[r][v]);
                        }
                    }
                }
            } else {
                for k in 0..terms {
                    let right = load::<T, S, VECTORS>(simd, &right[k * right_row..k * right_row + width], part);
                    let values = &left.values[start + k * left.term + row..][..ROWS];
                    for r in 0..ROWS {
                        let value = T::splat(simd, values[r]);
                        for v in 0..VECTORS {
                            sums[r][v] = T::mul_add(simd, value, right[v], sums[r][v]);
                        }
                    }
                }
            }
        }
        for r in 0..ROWS {
            let at = (row + r) * self.into_row + column;
            let into = &mut self.into[at..at + width];
            match part {
                None => {
                    let vectors = &mut T::vectors_mut::<S>(into)[..VECTORS];
                    for v in 0..VECTORS {
                        vectors[v] = sums[r][v];
                    }
                }
                Some(_) => T::store_part(simd, into, sums[r][0]),
            }
        }
    }
}

/// Registers of a row, the last one filled in part where `part` says so. A loop to a constant, no copy of a slice and no closure:
/// those may be compiled apart, in memory and without the processor's vectors.
#[inline(always)]
#[expect(clippy::manual_memcpy, reason = "a copy of a slice keeps registers in memory")]
fn load<T: Lanes, S: Simd, const VECTORS: usize>(simd: S, row: &[T], part: Option<usize>) -> [T::Vector<S>; VECTORS] {
    let mut registers = [T::splat(simd, T::ZERO); VECTORS];
    match part {
        None => {
            let vectors = &T::vectors::<S>(row)[..VECTORS];
            for v in 0..VECTORS {
                registers[v] = vectors[v];
            }
        }
        Some(_) => registers[0] = T::load_part(simd, row),
    }
    registers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `C[r, c] (+)= sum_s sum_k A[starts[s] + r row + k term] B[(s terms + k) stride + c]`, number by number.
    fn plain<T: Lanes + std::ops::Mul<Output = T> + std::ops::Add<Output = T>>(
        product: &Product<'_, T>,
        into: &mut [T],
        into_row: usize,
    ) {
        let Left { values, starts, row, term } = product.left;
        for r in 0..product.size[0] {
            for c in 0..product.size[1] {
                let mut sum = if product.is_added { into[r * into_row + c] } else { T::ZERO };
                for (s, start) in starts.iter().enumerate() {
                    for k in 0..product.terms {
                        let right = product.right[(s * product.terms + k) * product.right_row + c];
                        sum = sum + values[start + r * row + k * term] * right;
                    }
                }
                into[r * into_row + c] = sum;
            }
        }
    }

    #[test]
    fn every_shape_is_the_sum_of_its_terms() {
        // Small whole numbers: sums are exact in any order and precision.
        let number = |i: usize| ((i * 7) % 13) as f32 - 6.0;
        for size in [[1, 1], [8, 32], [9, 33], [13, 10], [23, 50], [4, 16], [5, 79], [31, 7]] {
            for (terms, starts) in [(1, vec![0]), (17, vec![3, 40]), (5, vec![0, 7, 2])] {
                for is_transposed in [false, true] {
                    for is_added in [false, true] {
                        let (row, term) = if is_transposed { (1, size[0] + 2) } else { (terms + 3, 1) };
                        let values: Vec<f32> = (0..41 + size[0] * row + terms * term).map(number).collect();
                        let (right_row, into_row) = (size[1] + 1, size[1] + 2);
                        let right: Vec<f32> = (0..starts.len() * terms * right_row).map(number).collect();
                        let left = Left { values: &values, starts: &starts, row, term };
                        let product = || Product { size, terms, left, right: &right, right_row, is_added };
                        let mut expected: Vec<f32> = (0..size[0] * into_row).map(number).collect();
                        let mut found = expected.clone();
                        plain(&product(), &mut expected, into_row);
                        product().write(&mut found, into_row);
                        assert_eq!(found, expected, "{size:?}, {terms} terms, {starts:?}, {is_transposed}, {is_added}");
                        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
                        let (values, right) = (wide(&values), wide(&right));
                        let left = Left { values: &values, starts: &starts, row, term };
                        let mut found: Vec<f64> = (0..size[0] * into_row).map(|i| f64::from(number(i))).collect();
                        Product { size, terms, left, right: &right, right_row, is_added }.write(&mut found, into_row);
                        assert_eq!(found, wide(&expected), "f64, {size:?}, {terms} terms, {starts:?}");
                    }
                }
            }
        }
    }
}
