//! A computed panel on its way into the matrix that it belongs to, transposed by whole cache lines where that is needed.

use faer::MatMut;
use pulp::{Arch, Simd, WithSimd};

use super::output::KernelNumber;
use super::panel::STRIDE;

/// Writes `rows x columns` numbers of a panel, or their transpose, into a matrix of that shape.
pub(super) fn write<T: KernelNumber>(panel: &[f64], transposed: bool, out: MatMut<'_, T>) {
    let mut out = if transposed { out.transpose_mut() } else { out };
    let (rows, columns) = (out.nrows(), out.ncols());
    if out.col_stride() == 1 {
        for r in 0..rows {
            let Some(row) = out.as_mut().row_mut(r).transpose_mut().try_as_col_major_mut() else { break };
            row.as_slice_mut().iter_mut().zip(&panel[r * STRIDE..]).for_each(|(to, x)| *to = T::nearest(*x));
        }
        return;
    }
    for start in (0..columns).step_by(LINE) {
        let mut block = out.as_mut().subcols_mut(start, LINE.min(columns - start));
        let lines = block.as_mut().col_iter_mut().map_while(|column| column.try_as_col_major_mut());
        let mut lines: Vec<&mut [T]> = lines.map(|column| column.as_slice_mut()).collect();
        if lines.len() == LINE {
            Arch::new().dispatch(Transpose { panel: &panel[start..], lines: &mut lines, rows });
            continue;
        }
        for (c, r) in (0..block.ncols()).flat_map(|c| (0..rows).map(move |r| (c, r))) {
            block[(r, c)] = T::nearest(panel[r * STRIDE + start + c]);
        }
    }
}

/// Numbers of a cache line.
const LINE: usize = 8;

/// Columns of a panel into lines of memory, by squares: every cache line that is read or written is used whole.
struct Transpose<'a, 'b, T> {
    panel: &'a [f64],
    lines: &'a mut [&'b mut [T]],
    rows: usize,
}

impl<T: KernelNumber> WithSimd for Transpose<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { panel, lines, rows } = self;
        let whole = rows / LINE * LINE;
        for start in (0..whole).step_by(LINE) {
            let mut square = [[0.0; LINE]; LINE];
            for (k, row) in square.iter_mut().enumerate() {
                row.copy_from_slice(&panel[(start + k) * STRIDE..(start + k) * STRIDE + LINE]);
            }
            for (c, line) in lines.iter_mut().enumerate() {
                let to = &mut line[start..start + LINE];
                for k in 0..LINE {
                    to[k] = T::nearest(square[k][c]);
                }
            }
        }
        for r in whole..rows {
            for (c, line) in lines.iter_mut().enumerate() {
                line[r] = T::nearest(panel[r * STRIDE + c]);
            }
        }
    }
}
