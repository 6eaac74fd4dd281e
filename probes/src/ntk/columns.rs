//! A stack of matrices whose columns belong to examples, as GEMMs read them.

use std::ops::Range;

use faer::MatRef;

/// Which index runs fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisOrder {
    /// Columns: `value[k][c]`.
    DepthMajor,
    /// Depth: `value[c][k]`.
    ColumnMajor,
}

/// `slabs` matrices `depth x columns`; products of columns add up over slabs and depth.
#[derive(Debug, Clone)]
pub struct Columns<T> {
    /// The numbers, slab by slab.
    pub values: Vec<T>,
    /// Number of matrices.
    pub slabs: usize,
    /// Rows of each.
    pub depth: usize,
    /// Columns of each.
    pub columns: usize,
    /// Which index runs fastest.
    pub order: AxisOrder,
}

impl<T> Columns<T> {
    /// One matrix, column after column.
    pub fn by_column(values: Vec<T>, depth: usize, columns: usize) -> Self {
        Self { values, slabs: 1, depth, columns, order: AxisOrder::ColumnMajor }
    }

    /// A part of one matrix, `depth x columns`.
    pub fn view(&self, slab: usize, depth: Range<usize>, columns: Range<usize>) -> MatRef<'_, T> {
        let values = &self.values[slab * self.depth * self.columns..(slab + 1) * self.depth * self.columns];
        let whole = match self.order {
            AxisOrder::DepthMajor => MatRef::from_row_major_slice(values, self.depth, self.columns),
            AxisOrder::ColumnMajor => MatRef::from_column_major_slice(values, self.depth, self.columns),
        };
        whole.submatrix(depth.start, columns.start, depth.len(), columns.len())
    }

    /// Bytes of the numbers.
    pub fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }
}

impl<T: Copy> Columns<T> {
    /// Copies of some columns, each a run of numbers.
    pub fn select(&self, chosen: &[usize]) -> Self {
        let size = self.depth * self.columns;
        let mut values = Vec::with_capacity(self.slabs * self.depth * chosen.len());
        for slab in 0..self.slabs {
            for &column in chosen {
                match self.order {
                    AxisOrder::ColumnMajor => {
                        values.extend_from_slice(&self.values[slab * size + column * self.depth..][..self.depth]);
                    }
                    AxisOrder::DepthMajor => {
                        values.extend((0..self.depth).map(|k| self.values[slab * size + k * self.columns + column]));
                    }
                }
            }
        }
        Self { values, slabs: self.slabs, depth: self.depth, columns: chosen.len(), order: AxisOrder::ColumnMajor }
    }
}
