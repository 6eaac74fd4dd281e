//! Whole kernels by panels on all threads: matrices are split in halves until a panel is left, the lower triangle of a
//! symmetric kernel is written together with the upper one.

use std::sync::Mutex;

use super::output::{KernelNumber, KernelTile};
use super::panel::{PanelScratch, Recursion, Region};
use super::prepared::PreparedInputs;

struct Filling<'a> {
    recursion: Recursion<'a>,
    /// Scratch that no thread holds.
    idle: Mutex<Vec<PanelScratch>>,
}

pub(super) fn fill<T: KernelNumber>(
    recursion: Recursion<'_>,
    left: &PreparedInputs<'_>,
    right: Option<&PreparedInputs<'_>>,
    out: KernelTile<'_, T>,
) {
    let filling = Filling { recursion, idle: Mutex::default() };
    let columns = right.unwrap_or(left);
    let (rows, columns_range) = (0..left.examples(), 0..columns.examples());
    match right {
        None => filling.symmetric(left, rows, out),
        Some(right) => {
            let region = Region { left, rows, right, columns: columns_range, upper: false };
            filling.rectangle(region, out, None);
        }
    }
}

impl Filling<'_> {
    fn symmetric<T: KernelNumber>(
        &self,
        side: &PreparedInputs<'_>,
        range: std::ops::Range<usize>,
        mut out: KernelTile<'_, T>,
    ) {
        let [height, _] = self.recursion.panel_size();
        if range.len() <= height {
            let region = Region { left: side, rows: range.clone(), right: side, columns: range, upper: true };
            return self.panel(&region, |scratch| out.write(scratch, false));
        }
        let half = (range.len() / 2).next_multiple_of(height);
        let middle = range.start + half;
        let [[first, mut upper], [mut lower, second]] = out.quarters(half, half);
        let region =
            Region { left: side, rows: range.start..middle, right: side, columns: middle..range.end, upper: false };
        rayon::join(
            || self.rectangle(region, upper.reborrow(), Some(lower.reborrow())),
            || {
                rayon::join(
                    || self.symmetric(side, range.start..middle, first),
                    || self.symmetric(side, middle..range.end, second),
                )
            },
        );
    }

    /// A region, and its transpose into `mirror`.
    fn rectangle<T: KernelNumber>(
        &self,
        region: Region<'_>,
        mut out: KernelTile<'_, T>,
        mirror: Option<KernelTile<'_, T>>,
    ) {
        let [height, width] = self.recursion.panel_size();
        let (rows, columns) = (region.rows.clone(), region.columns.clone());
        if rows.is_empty() || columns.is_empty() {
            return;
        }
        if rows.len() <= height && columns.len() <= width {
            return self.panel(&region, |scratch| {
                out.write(scratch, false);
                if let Some(mut mirror) = mirror {
                    mirror.write(scratch, true);
                }
            });
        }
        // Halve the side that is longer in panels.
        if rows.len().div_ceil(height) >= columns.len().div_ceil(width) {
            let half = (rows.len() / 2).next_multiple_of(height).min(rows.len() - 1);
            let [first, second] = out.split_rows(half);
            let mirrors = mirror.map(|mirror| mirror.split_columns(half));
            let (a, b) = mirrors.map_or((None, None), |[a, b]| (Some(a), Some(b)));
            let middle = rows.start + half;
            let upper = Region { rows: rows.start..middle, ..region.clone() };
            let lower = Region { rows: middle..rows.end, ..region };
            rayon::join(|| self.rectangle(upper, first, a), || self.rectangle(lower, second, b));
        } else {
            let half = (columns.len() / 2).next_multiple_of(width).min(columns.len() - 1);
            let [first, second] = out.split_columns(half);
            let mirrors = mirror.map(|mirror| mirror.split_rows(half));
            let (a, b) = mirrors.map_or((None, None), |[a, b]| (Some(a), Some(b)));
            let middle = columns.start + half;
            let before = Region { columns: columns.start..middle, ..region.clone() };
            let after = Region { columns: middle..columns.end, ..region };
            rayon::join(|| self.rectangle(before, first, a), || self.rectangle(after, second, b));
        }
    }

    fn panel(&self, region: &Region<'_>, write: impl FnOnce(&PanelScratch)) {
        let idle = || self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut scratch = idle().pop().unwrap_or_default();
        self.recursion.compute(region, &mut scratch);
        write(&scratch);
        idle().push(scratch);
    }
}
