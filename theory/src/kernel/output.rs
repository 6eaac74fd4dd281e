//! Where kernels are written: matrices of the caller, in double or single precision.

use std::ops::Range;

use faer::MatMut;

use super::panel::PanelScratch;
use super::panel_write::write;

/// A number that a kernel may be stored as. Everything is computed in `f64`; `f32` rounds once, on writing.
pub trait KernelNumber: Copy + Send + Sync + sealed::Sealed + 'static {
    /// The nearest number of this type.
    fn nearest(value: f64) -> Self;
}

impl KernelNumber for f64 {
    fn nearest(value: f64) -> Self {
        value
    }
}

impl KernelNumber for f32 {
    fn nearest(value: f64) -> Self {
        value as f32
    }
}

mod sealed {
    /// Closed to other crates: the two precisions are all there are.
    pub trait Sealed {}
    impl Sealed for f64 {}
    impl Sealed for f32 {}
}

/// The parts of both kernels that a request wants, left examples in rows, right examples in columns; any strides.
///
/// A part that is `None` is not computed where that saves work: without `ntk` no tangent kernel is propagated.
#[derive(Debug)]
pub struct KernelTile<'a, T> {
    /// Where `K` goes.
    pub nngp: Option<MatMut<'a, T>>,
    /// Where `Theta` goes.
    pub ntk: Option<MatMut<'a, T>>,
}

impl<'a, T> KernelTile<'a, T> {
    /// Both kernels.
    pub fn both(nngp: MatMut<'a, T>, ntk: MatMut<'a, T>) -> Self {
        Self { nngp: Some(nngp), ntk: Some(ntk) }
    }

    /// `K` alone.
    pub fn nngp(nngp: MatMut<'a, T>) -> Self {
        Self { nngp: Some(nngp), ntk: None }
    }

    /// `Theta` alone.
    pub fn ntk(ntk: MatMut<'a, T>) -> Self {
        Self { nngp: None, ntk: Some(ntk) }
    }
}

fn block<'b, T>(matrix: &'b mut MatMut<'_, T>, rows: &Range<usize>, columns: &Range<usize>) -> MatMut<'b, T> {
    matrix.as_mut().submatrix_mut(rows.start, columns.start, rows.len(), columns.len())
}

impl<T: KernelNumber> KernelTile<'_, T> {
    /// The same matrices for a shorter time.
    pub(super) fn reborrow(&mut self) -> KernelTile<'_, T> {
        KernelTile { nngp: self.nngp.as_mut().map(MatMut::as_mut), ntk: self.ntk.as_mut().map(MatMut::as_mut) }
    }

    /// A block of them.
    pub(super) fn part(&mut self, rows: Range<usize>, columns: Range<usize>) -> KernelTile<'_, T> {
        KernelTile {
            nngp: self.nngp.as_mut().map(|matrix| block(matrix, &rows, &columns)),
            ntk: self.ntk.as_mut().map(|matrix| block(matrix, &rows, &columns)),
        }
    }

    /// Writes a panel, or its transpose.
    pub(super) fn write(&mut self, panel: &PanelScratch, transposed: bool) {
        for (matrix, part) in [&mut self.nngp, &mut self.ntk].into_iter().zip(&panel.parts) {
            if let Some(matrix) = matrix {
                write(part, transposed, matrix.as_mut());
            }
        }
    }
}

impl<'a, T> KernelTile<'a, T> {
    /// The rows before `row` and the others.
    pub(super) fn split_rows(self, row: usize) -> [Self; 2] {
        let (a, b) = self.nngp.map(|matrix| matrix.split_at_row_mut(row)).unzip();
        let (c, d) = self.ntk.map(|matrix| matrix.split_at_row_mut(row)).unzip();
        [Self { nngp: a, ntk: c }, Self { nngp: b, ntk: d }]
    }

    /// The columns before `column` and the others.
    pub(super) fn split_columns(self, column: usize) -> [Self; 2] {
        let (a, b) = self.nngp.map(|matrix| matrix.split_at_col_mut(column)).unzip();
        let (c, d) = self.ntk.map(|matrix| matrix.split_at_col_mut(column)).unzip();
        [Self { nngp: a, ntk: c }, Self { nngp: b, ntk: d }]
    }

    /// Four blocks, by rows.
    pub(super) fn quarters(self, row: usize, column: usize) -> [[Self; 2]; 2] {
        self.split_rows(row).map(|half| half.split_columns(column))
    }
}
