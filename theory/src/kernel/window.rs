//! Windows along one axis: which input cells an output cell reads.

use crate::architecture::Padding;

/// One axis of a convolution or a pooling window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    /// Cells before.
    pub(crate) size: usize,
    /// Cells after.
    pub(crate) out: usize,
    /// For every tap of the window: the output cells that read inside the image, and the cell each of them reads.
    taps: Vec<Vec<(usize, usize)>>,
}

impl Axis {
    /// The axis of a window, or `None` if it does not fit.
    pub(crate) fn new(padding: Padding, size: usize, taps: usize, stride: usize) -> Option<Self> {
        let (out, before) = padding.geometry(size, taps, stride)?;
        let reads = |o: usize, q: usize| {
            let position = (o * stride + q) as i64 - before as i64;
            match padding {
                Padding::Circular => Some((o, position.rem_euclid(size as i64) as usize)),
                Padding::Same | Padding::Valid => {
                    (0..size as i64).contains(&position).then_some((o, position as usize))
                }
            }
        };
        let taps = (0..taps).map(|q| (0..out).filter_map(|o| reads(o, q)).collect()).collect();
        Some(Self { size, out, taps })
    }

    /// Window mean along this axis of a tensor `outer x size x inner`; cells outside count as zeros.
    pub(crate) fn average(&self, tensor: &[f64], inner: usize, averaged: &mut Vec<f64>) {
        let outer = tensor.len() / (self.size * inner);
        averaged.clear();
        averaged.resize(outer * self.out * inner, 0.0);
        let share = 1.0 / self.taps.len() as f64;
        for slab in 0..outer {
            for &(o, cell) in self.taps.iter().flatten() {
                let target = &mut averaged[(slab * self.out + o) * inner..][..inner];
                let source = &tensor[(slab * self.size + cell) * inner..][..inner];
                target.iter_mut().zip(source).for_each(|(t, s)| *t += share * s);
            }
        }
    }

    /// Mean over taps, the same tap on both sides, of a tensor `outer x size x middle x size x inner`.
    pub(crate) fn average_along_diagonals(&self, tensor: &[f64], middle: usize, inner: usize, averaged: &mut Vec<f64>) {
        let outer = tensor.len() / (self.size * self.size * middle * inner);
        averaged.clear();
        averaged.resize(outer * self.out * self.out * middle * inner, 0.0);
        let share = 1.0 / self.taps.len() as f64;
        let (source_length, target_length) = (self.size * inner, self.out * inner);
        for slab in 0..outer {
            for tap in &self.taps {
                for &(o, cell) in tap {
                    for m in 0..middle {
                        let source = ((slab * self.size + cell) * middle + m) * source_length;
                        let target = ((slab * self.out + o) * middle + m) * target_length;
                        let source = &tensor[source..source + source_length];
                        let target = &mut averaged[target..target + target_length];
                        add_along(tap, inner, share, source, target);
                    }
                }
            }
        }
    }
}

/// `target[o] += share * source[cell]` for the blocks of `inner` numbers that `tap` connects.
fn add_along(tap: &[(usize, usize)], inner: usize, share: f64, source: &[f64], target: &mut [f64]) {
    let (Some(&(first_out, first_cell)), Some(&(last_out, last_cell))) = (tap.first(), tap.last()) else { return };
    let add = |target: &mut [f64], source: &[f64]| target.iter_mut().zip(source).for_each(|(t, s)| *t += share * s);
    // A unit stride without wrapping connects one run of cells to another.
    if last_cell >= first_cell
        && last_cell - first_cell == last_out - first_out
        && tap.len() == last_out - first_out + 1
    {
        let length = tap.len() * inner;
        add(&mut target[first_out * inner..][..length], &source[first_cell * inner..][..length]);
        return;
    }
    for &(o, cell) in tap {
        add(&mut target[o * inner..][..inner], &source[cell * inner..][..inner]);
    }
}
