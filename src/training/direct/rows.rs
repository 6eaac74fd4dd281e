//! The losses of single examples on slices: the value, and the derivative with respect to the outputs.

use super::fused::Real;
use crate::config::Loss;
use crate::training::loss::Targets;

/// Targets of a batch in host memory, as far as the loss reads them.
#[derive(Debug)]
pub(super) struct Wanted<T> {
    /// Regression targets, a row an example.
    values: Vec<T>,
    /// Classes.
    classes: Vec<i64>,
}

impl<T: Real> Wanted<T> {
    pub(super) fn of(targets: &Targets, kind: Loss) -> Self {
        match kind {
            Loss::HalfSum | Loss::HalfMean => Self { values: T::pull(targets.values.clone()), classes: Vec::new() },
            Loss::CrossEntropy => {
                let classes = targets.classes.clone().into_data().iter::<i64>().collect();
                Self { values: Vec::new(), classes }
            }
        }
    }
}

/// Turns outputs, `columns` an example, into derivatives of the loss of a batch of `batch` examples. Returns what each example adds to it.
///
/// # Shapes
/// `outputs`: those of the examples from `first` on; `columns` numbers each.
pub(super) fn turn<T: Real>(
    kind: Loss,
    outputs: &mut [T],
    columns: usize,
    (wanted, first): (&Wanted<T>, usize),
    batch: usize,
) -> Vec<T> {
    let share = T::of(if kind == Loss::HalfSum { 1.0 } else { 1.0 / batch as f64 });
    let half = T::of(0.5) * share;
    let rows = (first..).zip(outputs.chunks_exact_mut(columns));
    let of_row = |(example, row): (usize, &mut [T])| match kind {
        Loss::HalfSum | Loss::HalfMean => {
            let values = &wanted.values[example * columns..][..columns];
            let mut total = T::default();
            for (output, &value) in row.iter_mut().zip(values) {
                let error = *output - value;
                total += error * error;
                *output = error * share;
            }
            total * half
        }
        Loss::CrossEntropy => {
            let class = wanted.classes[example] as usize;
            let largest = row.iter().copied().fold(row[0], |a, b| if b > a { b } else { a });
            let own = row[class] - largest;
            let mut total = T::default();
            for output in row.iter_mut() {
                *output = (*output - largest).exp();
                total += *output;
            }
            row.iter_mut().for_each(|output| *output = *output / total * share);
            row[class] -= share;
            (total.ln() - own) * share
        }
    };
    rows.map(of_row).collect()
}
