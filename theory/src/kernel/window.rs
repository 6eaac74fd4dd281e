//! Windows along one axis: which input cells an output cell reads, and sums over them.

use std::ops::Range;

use crate::architecture::Padding;

/// One axis of a convolution or a pooling window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Axis {
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
    /// For every tap: output cells that read inside the image and the cells that they read, in runs.
    runs: Vec<Vec<Run>>,
}

/// Output cells `out..out + length` reading the cells `cell, cell + stride, ...`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    out: usize,
    cell: usize,
    length: usize,
}

impl Axis {
    /// The axis of a window, or `None` if it does not fit.
    pub(crate) fn new(padding: Padding, size: usize, taps: usize, stride: usize) -> Option<Self> {
        let (out, before) = padding.geometry(size, taps, stride)?;
        let wraps = padding == Padding::Circular;
        let mut axis = Self { size, out, taps, stride, before, wraps, runs: Vec::new() };
        axis.runs = (0..taps).map(|tap| axis.runs_of(tap)).collect();
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

    fn runs_of(&self, tap: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for out in 0..self.out {
            let Some(cell) = self.cell(out, tap) else { continue };
            match runs.last_mut() {
                Some(run) if run.out + run.length == out && run.cell + run.length * self.stride == cell => {
                    run.length += 1;
                }
                _ => runs.push(Run { out, cell, length: 1 }),
            }
        }
        runs
    }

    /// Output cells whose whole window is inside the image without wrapping.
    fn interior(&self) -> Range<usize> {
        let first = self.before.div_ceil(self.stride);
        let reach = (self.size + self.before).checked_sub(self.taps);
        let end = reach.map_or(0, |reach| reach / self.stride + 1).min(self.out);
        first.min(end)..end
    }

    /// Window sums along this axis of a tensor `outer x size x inner`; cells outside count as zeros.
    pub(crate) fn sum(&self, tensor: &[f64], inner: usize, sums: &mut Vec<f64>) {
        let outer = tensor.len() / (self.size * inner);
        sums.clear();
        sums.resize(outer * self.out * inner, 0.0);
        if inner == 1 && self.stride == 1 && self.out == self.size && tensor.len() >= self.taps {
            return self.sum_flat(tensor, sums);
        }
        for (from, to) in tensor.chunks_exact(self.size * inner).zip(sums.chunks_exact_mut(self.out * inner)) {
            for run in self.runs.iter().flatten() {
                if self.stride == 1 {
                    let length = run.length * inner;
                    add(&mut to[run.out * inner..][..length], &from[run.cell * inner..][..length]);
                } else {
                    for i in 0..run.length {
                        let cell = (run.cell + i * self.stride) * inner;
                        add(&mut to[(run.out + i) * inner..][..inner], &from[cell..][..inner]);
                    }
                }
            }
        }
    }

    /// As [`Axis::sum`] for `inner = 1`, a unit stride and no change of size: one long shifted sum a tap over all rows at once,
    /// then the few cells whose window leaves their row again, by themselves.
    fn sum_flat(&self, tensor: &[f64], sums: &mut [f64]) {
        let length = tensor.len();
        for tap in 0..self.taps {
            let (out, cell) = (self.before.saturating_sub(tap), tap.saturating_sub(self.before));
            let count = length - out - cell;
            add(&mut sums[out..][..count], &tensor[cell..][..count]);
        }
        let interior = self.interior();
        for (from, to) in tensor.chunks_exact(self.size).zip(sums.chunks_exact_mut(self.out)) {
            for out in (0..interior.start).chain(interior.end..self.out) {
                to[out] = (0..self.taps).filter_map(|tap| self.cell(out, tap)).map(|cell| from[cell]).sum();
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
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || target.iter_mut().zip(source).for_each(|(t, s)| *t += s),
    );
}

/// Both axes of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Vertical.
    pub(crate) rows: Axis,
    /// Horizontal.
    pub(crate) columns: Axis,
}

impl Window {
    /// The windows of `taps` cells on an image of `size`, or `None` if they do not fit.
    pub(crate) fn new(padding: Padding, size: [usize; 2], taps: [usize; 2], stride: [usize; 2]) -> Option<Self> {
        let rows = Axis::new(padding, size[0], taps[0], stride[0])?;
        Some(Self { rows, columns: Axis::new(padding, size[1], taps[1], stride[1])? })
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
