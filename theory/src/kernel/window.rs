//! Windows along one axis: which input cells an output cell reads, and sums over them.

use std::ops::Range;

use super::vector;
use crate::architecture::Padding;

/// One axis of a convolution or a pooling window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowAxis {
    /// Cells before.
    pub(crate) size: usize,
    /// Cells after.
    pub(crate) out: usize,
    /// Cells of the window.
    pub(crate) taps: usize,
    /// Cells from one window to the next.
    pub(crate) stride: usize,
    /// Cells of padding before the first.
    before: usize,
    /// Whether positions outside wrap around.
    pub(crate) wraps: bool,
    /// Output cells whose window is inside the image without wrapping, at a unit stride.
    interior: Range<usize>,
    /// All others with the cells that they read.
    edges: Vec<(usize, Vec<usize>)>,
}

impl WindowAxis {
    /// Axis `axis` of a window, or `None` if it does not fit.
    pub(crate) fn new(padding: Padding, axis: usize, size: usize, taps: usize, stride: usize) -> Option<Self> {
        let (out, before) = padding.geometry(axis, size, taps, stride)?;
        let wraps = padding == Padding::Circular;
        let end = (size + before + 1).saturating_sub(taps).min(out);
        let interior = if stride == 1 { before.min(end)..end } else { 0..0 };
        let mut axis = Self { size, out, taps, stride, before, wraps, interior, edges: Vec::new() };
        let cells = |out: usize| (0..taps).filter_map(|tap| axis.cell(out, tap)).collect();
        axis.edges = (0..out).filter(|out| !axis.interior.contains(out)).map(|out| (out, cells(out))).collect();
        Some(axis)
    }

    /// The cell that tap `tap` of output cell `out` reads, if it is inside the image.
    pub(crate) fn cell(&self, out: usize, tap: usize) -> Option<usize> {
        let position = (out * self.stride + tap) as i64 - self.before as i64;
        let size = self.size as i64;
        if self.wraps {
            return Some(position.rem_euclid(size) as usize);
        }
        (0..size).contains(&position).then_some(position as usize)
    }

    /// Window sums along this axis of a tensor `outer x size x inner`; cells outside count as zeros.
    pub(crate) fn sum(&self, tensor: &[f64], inner: usize, sums: &mut Vec<f64>) {
        let outer = tensor.len() / (self.size * inner);
        sums.resize(outer * self.out * inner, 0.0);
        let flat = inner == 1 && self.stride == 1 && self.out == self.size && tensor.len() >= self.taps;
        if flat {
            // All rows at once: what leaks in from neighbouring rows, at the ends of a row, is repaired below.
            let count = tensor.len() + 1 - self.taps;
            vector::sum_shifts(&mut sums[self.before..self.before + count], tensor, 1, self.taps);
        }
        for (from, to) in tensor.chunks_exact(self.size * inner).zip(sums.chunks_exact_mut(self.out * inner)) {
            if !flat && self.stride == 1 && !self.interior.is_empty() {
                let first = (self.interior.start - self.before) * inner;
                let inside = &mut to[self.interior.start * inner..self.interior.end * inner];
                vector::sum_shifts(inside, &from[first..], inner, self.taps);
            }
            for (out, cells) in &self.edges {
                let to = &mut to[out * inner..][..inner];
                if inner == 1 {
                    to[0] = cells.iter().map(|&cell| from[cell]).sum();
                    continue;
                }
                to.fill(0.0);
                for cell in cells {
                    add(to, &from[cell * inner..][..inner]);
                }
            }
        }
    }

    /// Sums over taps, the same tap on both sides, of a tensor `outer x size x middle x size x inner`.
    pub(crate) fn sum_along_diagonals(&self, tensor: &[f64], middle: usize, inner: usize, sums: &mut Vec<f64>) {
        let outer = tensor.len() / (self.size * self.size * middle * inner);
        sums.clear();
        sums.resize(outer * self.out * self.out * middle * inner, 0.0);
        for slab in 0..outer {
            for (tap, left) in (0..self.taps).flat_map(|tap| (0..self.out).map(move |out| (tap, out))) {
                let Some(cell) = self.cell(left, tap) else { continue };
                for m in 0..middle {
                    let source = ((slab * self.size + cell) * middle + m) * self.size;
                    let target = ((slab * self.out + left) * middle + m) * self.out;
                    for right in 0..self.out {
                        let Some(cell) = self.cell(right, tap) else { continue };
                        add(
                            &mut sums[(target + right) * inner..][..inner],
                            &tensor[(source + cell) * inner..][..inner],
                        );
                    }
                }
            }
        }
    }
}

fn add(target: &mut [f64], source: &[f64]) {
    vector::add_scaled(target, 1.0, source);
}

/// Both axes of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Vertical.
    pub(crate) rows: WindowAxis,
    /// Horizontal.
    pub(crate) columns: WindowAxis,
}

impl Window {
    /// The windows of `taps` cells on an image of `size`, or `None` if they do not fit.
    pub(crate) fn new(padding: Padding, size: [usize; 2], taps: [usize; 2], stride: [usize; 2]) -> Option<Self> {
        let rows = WindowAxis::new(padding, 0, size[0], taps[0], stride[0])?;
        Some(Self { rows, columns: WindowAxis::new(padding, 1, size[1], taps[1], stride[1])? })
    }

    /// Cells of the window.
    pub(crate) fn cells(&self) -> usize {
        self.rows.taps * self.columns.taps
    }

    /// Output height and width.
    pub(crate) fn out(&self) -> [usize; 2] {
        [self.rows.out, self.columns.out]
    }

    /// Window sums of images `outer x height x width` in place.
    pub(crate) fn sum(&self, images: &mut Vec<f64>, scratch: &mut Vec<f64>) {
        self.rows.sum(images, self.columns.size, scratch);
        self.columns.sum(scratch, 1, images);
    }
}
