//! Windows along one axis: which input cells an output cell reads.

use crate::architecture::Padding;

/// One axis of a convolution or a pooling window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    /// Cells before.
    pub(crate) size: usize,
    /// Cells after.
    pub(crate) out: usize,
    /// Taps of the window.
    pub(crate) taps: usize,
    /// `out x taps`: the cell read, or none outside the image.
    cells: Vec<Option<usize>>,
}

impl Axis {
    /// The axis of a window, or `None` if it does not fit.
    pub(crate) fn new(padding: Padding, size: usize, taps: usize, stride: usize) -> Option<Self> {
        let (out, before) = padding.geometry(size, taps, stride)?;
        let mut cells = Vec::with_capacity(out * taps);
        for o in 0..out {
            for q in 0..taps {
                let position = (o * stride + q) as i64 - before as i64;
                cells.push(match padding {
                    Padding::Circular => Some(position.rem_euclid(size as i64) as usize),
                    Padding::Same | Padding::Valid => {
                        (0..size as i64).contains(&position).then_some(position as usize)
                    }
                });
            }
        }
        Some(Self { size, out, taps, cells })
    }

    /// The cell that tap `q` of output cell `o` reads.
    pub(crate) fn cell(&self, o: usize, q: usize) -> Option<usize> {
        self.cells[o * self.taps + q]
    }

    /// Window mean along this axis of a tensor `outer x size x inner`; cells outside count as zeros.
    pub(crate) fn average(&self, tensor: &[f64], inner: usize, averaged: &mut Vec<f64>) {
        let outer = tensor.len() / (self.size * inner);
        averaged.clear();
        averaged.resize(outer * self.out * inner, 0.0);
        let share = 1.0 / self.taps as f64;
        for slab in 0..outer {
            for o in 0..self.out {
                let target = &mut averaged[(slab * self.out + o) * inner..][..inner];
                for cell in (0..self.taps).filter_map(|q| self.cell(o, q)) {
                    let source = &tensor[(slab * self.size + cell) * inner..][..inner];
                    target.iter_mut().zip(source).for_each(|(t, s)| *t += s);
                }
                target.iter_mut().for_each(|t| *t *= share);
            }
        }
    }

    /// Mean over taps, the same tap on both sides, of a tensor `outer x size x middle x size x inner`.
    pub(crate) fn average_along_diagonals(
        &self,
        tensor: &[f64],
        middle: usize,
        inner: usize,
        averaged: &mut Vec<f64>,
    ) {
        let outer = tensor.len() / (self.size * self.size * middle * inner);
        averaged.clear();
        averaged.resize(outer * self.out * self.out * middle * inner, 0.0);
        let share = 1.0 / self.taps as f64;
        for slab in 0..outer {
            for o in 0..self.out {
                for q in 0..self.taps {
                    let Some(cell) = self.cell(o, q) else { continue };
                    for m in 0..middle {
                        let source_row = ((slab * self.size + cell) * middle + m) * self.size;
                        let target_row = ((slab * self.out + o) * middle + m) * self.out;
                        for o2 in 0..self.out {
                            let Some(cell2) = self.cell(o2, q) else { continue };
                            let source = &tensor[(source_row + cell2) * inner..][..inner];
                            let target = &mut averaged[(target_row + o2) * inner..][..inner];
                            target.iter_mut().zip(source).for_each(|(t, s)| *t += share * s);
                        }
                    }
                }
            }
        }
    }
}
