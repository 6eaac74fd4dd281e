//! The Gaussians that one activation receives from many examples, and duals of rows of pairs of them.

use rayon::prelude::*;

use crate::activation::Activation;
use crate::dual::HermiteSeries;
use crate::dual::slice::{FirstGaussians, Variances};
use crate::dual::table::{FirstColumn, SeriesPair, SeriesTable};

/// Variances at one activation, one column an example and position, the positions of an example side by side.
#[derive(Debug)]
pub(super) struct Gaussians {
    function: Activation,
    pub(super) variances: Vec<f64>,
    pub(super) roots: Vec<f64>,
    /// Series of a function without a closed form, `columns` variances a table.
    tables: Vec<SeriesTable>,
    columns: usize,
}

/// Examples whose series share a table where there are no positions; blocks of pairs end where a table ends.
pub(super) const EXAMPLES_A_TABLE: usize = 512;

impl Gaussians {
    /// Of examples with that many `positions`; a table covers [`EXAMPLES_A_TABLE`] of them, or one where there are several.
    pub(super) fn new(function: &Activation, variances: Vec<f64>, positions: usize) -> Self {
        let roots = variances.iter().map(|q| q.sqrt()).collect();
        let columns = if positions == 1 { EXAMPLES_A_TABLE } else { positions };
        let tables = match function.has_closed_form() {
            true => Vec::new(),
            false => variances.par_chunks(columns).map(|chunk| SeriesTable::new(function, chunk)).collect(),
        };
        Self { function: function.clone(), variances, roots, tables, columns }
    }

    /// Whether duals come from series.
    pub(super) fn has_series(&self) -> bool {
        !self.tables.is_empty()
    }

    /// The series of one column, if there are any.
    pub(super) fn series(&self, column: usize) -> Option<&HermiteSeries> {
        self.tables.get(column / self.columns)?.series(column % self.columns)
    }

    /// The tables that hold these two columns, if there are any.
    pub(super) fn joined<'a>(&'a self, column: usize, right: &'a Self, start: usize) -> Option<SeriesPair<'a>> {
        let (left, right) = (self.tables.get(column / self.columns)?, right.tables.get(start / right.columns)?);
        Some(SeriesPair::new(left, right))
    }

    /// The columns `start..start + count`.
    fn columns(&self, start: usize, count: usize) -> Variances<'_, f64> {
        Variances { variances: &self.variances[start..start + count], roots: &self.roots[start..start + count] }
    }

    /// Bytes of memory held; tables are estimated at 128 terms.
    pub(super) fn bytes(&self) -> usize {
        let numbers = self.variances.len() + self.roots.len();
        8 * (numbers + if self.has_series() { 128 * 2 * self.variances.len() } else { 0 })
    }
}

/// First Gaussians of a row of pairs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Left<'a> {
    /// This column for all pairs.
    One(&'a Gaussians, usize),
    /// Consecutive columns from here on.
    From(&'a Gaussians, usize),
}

/// `k <- V(a, k, b)` and `theta <- Vd(a, k, b) theta` for second Gaussians at consecutive columns of `right` from `start` on.
///
/// An empty `theta` stays empty. Rows must not leave a table: see [`EXAMPLES_A_TABLE`].
pub(super) fn activate(
    left: Left<'_>,
    right: &Gaussians,
    start: usize,
    k: &mut [f64],
    theta: &mut [f64],
    unused: &mut Vec<f64>,
) {
    let count = k.len();
    let (gaussians, column) = match left {
        Left::One(gaussians, column) | Left::From(gaussians, column) => (gaussians, column),
    };
    if !right.has_series() {
        let first = match left {
            Left::One(..) => {
                FirstGaussians::One { variance: gaussians.variances[column], root: gaussians.roots[column] }
            }
            Left::From(..) => FirstGaussians::Each(gaussians.columns(column, count)),
        };
        return activate_closed(&right.function, first, right.columns(start, count), k, theta, unused);
    }
    let Some(pair) = gaussians.joined(column, right, start) else { unreachable!("both sides have series") };
    let first = match left {
        Left::One(..) => FirstColumn::One(column % gaussians.columns),
        Left::From(..) => FirstColumn::From(column % gaussians.columns),
    };
    activate_series(&right.function, pair, (first, start % right.columns), k, theta, unused);
}

/// As [`activate`] for a function in series, with both tables joined and the columns counted in them.
pub(super) fn activate_series(
    function: &Activation,
    pair: SeriesPair<'_>,
    (first, start): (FirstColumn, usize),
    k: &mut [f64],
    theta: &mut [f64],
    unused: &mut Vec<f64>,
) {
    let theta = or_unused(theta, k.len(), unused);
    function.dual_table(pair, first, start, k, theta);
}

/// As [`activate`] for a function with a closed form and variances at hand.
pub(super) fn activate_closed(
    function: &Activation,
    first: FirstGaussians<'_, f64>,
    second: Variances<'_, f64>,
    k: &mut [f64],
    theta: &mut [f64],
    unused: &mut Vec<f64>,
) {
    let theta = or_unused(theta, k.len(), unused);
    let found = function.dual_slice(first, second, k, theta);
    debug_assert!(found, "only for functions with a closed form");
}

/// `theta`, or as many numbers that nothing reads.
fn or_unused<'a>(theta: &'a mut [f64], count: usize, unused: &'a mut Vec<f64>) -> &'a mut [f64] {
    if theta.is_empty() {
        unused.resize(count, 0.0);
        return &mut unused[..count];
    }
    theta
}
