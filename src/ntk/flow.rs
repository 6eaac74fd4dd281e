//! Cotangents of the wanted outputs at a state, in the simplest form that holds them.
//!
//! Columns are outputs times examples: output by output where outputs are summed over, as in [`Grouping`] where each keeps
//! columns of its own.

use std::ops::Range;

use faer::{MatMut, MatRef};
use rayon::prelude::*;
use widthwise_probes::ntk::{BlockPlan, Grouping, whole_registers};
use widthwise_tensors::Number;

/// Columns that one thread pulls back at once, at most.
const CHUNK: usize = 256;

/// The order of columns.
#[derive(Debug, Clone)]
pub(super) struct ColumnOrder {
    pub(super) outputs: usize,
    grouping: Grouping,
    keeps_outputs: bool,
}

/// Columns next to each other that share an output, of examples next to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnRun {
    /// The columns, counted from the start of a chunk.
    pub(super) columns: Range<usize>,
    /// The first example.
    pub(super) example: usize,
    /// Which of the wanted outputs.
    pub(super) output: usize,
}

impl ColumnOrder {
    pub(super) fn new(plan: &BlockPlan, grouping: &Grouping) -> Self {
        Self { outputs: plan.wanted().len(), grouping: *grouping, keeps_outputs: plan.keeps_outputs() }
    }

    /// Number of columns.
    pub(super) fn columns(&self) -> usize {
        self.outputs * self.grouping.examples
    }

    pub(super) fn examples(&self) -> usize {
        self.grouping.examples
    }

    /// Whether every output keeps columns of its own.
    pub(super) fn keeps_outputs(&self) -> bool {
        self.keeps_outputs
    }

    /// Column of an example and an output.
    pub(super) fn column(&self, example: usize, output: usize) -> usize {
        if self.keeps_outputs { self.grouping.column(example, output) } else { output * self.examples() + example }
    }

    fn place(&self, column: usize) -> (usize, usize) {
        if self.keeps_outputs {
            self.grouping.place(column)
        } else {
            (column % self.examples(), column / self.examples())
        }
    }

    /// Columns of a chunk: a number of chunks that threads share evenly, and that does not depend on them.
    pub(super) fn chunk(&self) -> usize {
        let columns = self.columns();
        whole_registers(columns.div_ceil(4 * columns.div_ceil(4 * CHUNK)))
    }

    /// The runs in a range of columns.
    pub(super) fn runs(&self, range: Range<usize>) -> Vec<ColumnRun> {
        let mut runs: Vec<ColumnRun> = Vec::new();
        for column in range.clone() {
            let ((example, output), at) = (self.place(column), column - range.start);
            match runs.last_mut() {
                Some(run) if run.output == output && run.example + run.columns.len() == example => run.columns.end += 1,
                _ => runs.push(ColumnRun { columns: at..at + 1, example, output }),
            }
        }
        runs
    }
}

/// Cotangents `features x columns`.
#[derive(Debug, Clone)]
pub(super) enum Flow<T> {
    /// The outputs themselves.
    Identity,
    /// The same for every example: `features x outputs`.
    Constant(Vec<T>),
    /// A factor of the output times one of the example: `features x outputs` and `features x examples`.
    Scaled { weights: Vec<T>, slopes: Vec<T> },
    /// `features x columns`.
    Each(Vec<T>),
}

impl<T: Number> Flow<T> {
    /// Rows of cotangents, given how many features there are.
    pub(super) fn into_each(self, order: &ColumnOrder, features: usize) -> Vec<T> {
        if let Self::Each(values) = self {
            return values;
        }
        let columns = order.columns();
        let mut values = vec![T::default(); features * columns];
        let runs = order.runs(0..columns);
        values
            .par_chunks_exact_mut(columns)
            .enumerate()
            .for_each(|(feature, row)| self.fill(order, &runs, feature, row));
        values
    }

    /// One feature of the columns of `runs`; not for [`Flow::Each`].
    pub(super) fn fill(&self, order: &ColumnOrder, runs: &[ColumnRun], feature: usize, row: &mut [T]) {
        for run in runs {
            let row = &mut row[run.columns.clone()];
            match self {
                Self::Constant(weights) => row.fill(weights[feature * order.outputs + run.output]),
                Self::Scaled { weights, slopes } => {
                    let weight = weights[feature * order.outputs + run.output];
                    let slopes = &slopes[feature * order.examples() + run.example..][..run.columns.len()];
                    row.iter_mut().zip(slopes).for_each(|(value, slope)| *value = weight * *slope);
                }
                Self::Identity | Self::Each(_) => unreachable!("held as a matrix, or not pulled back yet"),
            }
        }
    }

    /// One number.
    pub(super) fn value(&self, order: &ColumnOrder, feature: usize, example: usize, output: usize) -> T {
        match self {
            Self::Identity => unreachable!("a readout lies between the outputs and everything else"),
            Self::Constant(weights) => weights[feature * order.outputs + output],
            Self::Scaled { weights, slopes } => {
                weights[feature * order.outputs + output] * slopes[feature * order.examples() + example]
            }
            Self::Each(values) => values[feature * order.columns() + order.column(example, output)],
        }
    }

    /// Times the slopes of an elementwise function, `features x examples`.
    pub(super) fn times(self, order: &ColumnOrder, slopes: Vec<T>) -> Self {
        match self {
            Self::Identity => unreachable!("a readout ends in its weights"),
            Self::Constant(weights) => Self::Scaled { weights, slopes },
            Self::Scaled { weights, slopes: mut before } => {
                before.iter_mut().zip(&slopes).for_each(|(before, slope)| *before *= *slope);
                Self::Scaled { weights, slopes: before }
            }
            Self::Each(mut values) => {
                let runs = order.runs(0..order.columns());
                let rows = values.par_chunks_exact_mut(order.columns()).zip(slopes.par_chunks_exact(order.examples()));
                rows.for_each(|(row, slopes)| multiply_runs(&runs, slopes, row));
                Self::Each(values)
            }
        }
    }

    /// Times a number.
    pub(super) fn scaled(mut self, scale: f64) -> Self {
        let scale = T::of(scale);
        match &mut self {
            Self::Identity => unreachable!("a sum is not the last node"),
            Self::Constant(values) | Self::Scaled { weights: values, .. } | Self::Each(values) => {
                values.iter_mut().for_each(|value| *value *= scale);
            }
        }
        self
    }

    /// The sum with the cotangents of another reader of the same state.
    pub(super) fn plus(self, other: Self, order: &ColumnOrder, features: usize) -> Self {
        if let (Self::Constant(a), Self::Constant(b)) = (&self, &other) {
            return Self::Constant(a.iter().zip(b).map(|(a, b)| *a + *b).collect());
        }
        let mut sum = self.into_each(order, features);
        sum.iter_mut().zip(other.into_each(order, features)).for_each(|(sum, value)| *sum += value);
        Self::Each(sum)
    }
}

/// Multiplies the columns of a row with the numbers of their examples.
pub(super) fn multiply_runs<T: Number>(runs: &[ColumnRun], slopes: &[T], row: &mut [T]) {
    for run in runs {
        let slopes = &slopes[run.example..run.example + run.columns.len()];
        row[run.columns.clone()].iter_mut().zip(slopes).for_each(|(value, slope)| *value *= *slope);
    }
}

/// The same for a chunk of a matrix whose rows are features.
pub(super) fn multiply_chunk<T: Number>(runs: &[ColumnRun], slopes: MatRef<'_, T>, mut chunk: MatMut<'_, T>) {
    for run in runs {
        let part = chunk.as_mut().subcols_mut(run.columns.start, run.columns.len());
        let slopes = slopes.subcols(run.example, run.columns.len());
        faer::zip!(part, slopes).for_each(|faer::unzip!(value, slope)| *value *= *slope);
    }
}

#[cfg(test)]
mod tests {
    use widthwise_probes::ntk::NtkOutput;

    use super::*;

    #[test]
    fn runs_cover_every_column_with_its_example_and_output() {
        for output in [NtkOutput::Trace, NtkOutput::Full, NtkOutput::Logit(1)] {
            let plan = BlockPlan { output, outputs: 3, rows: 37, columns: 37 };
            let order = ColumnOrder::new(&plan, &plan.grouping(37));
            for start in (0..order.columns()).step_by(order.chunk()) {
                let range = start..(start + order.chunk()).min(order.columns());
                let mut next = 0;
                for run in order.runs(range) {
                    assert_eq!(run.columns.start, next);
                    for (k, column) in run.columns.clone().enumerate() {
                        assert_eq!(order.column(run.example + k, run.output), start + column);
                    }
                    next = run.columns.end;
                }
                assert_eq!(next, (start + order.chunk()).min(order.columns()) - start);
            }
        }
    }
}
