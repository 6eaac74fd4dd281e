//! The losses of single examples on slices: the value, and the derivative with respect to the outputs.

use super::fused::UpdateNumber;
use crate::config::Loss;
use crate::objective::Targets;

/// Targets of a batch in host memory, as far as the loss reads them.
#[derive(Debug)]
pub(super) struct BatchTargets<T> {
    /// Regression targets, a row an example.
    values: Vec<T>,
    /// Classes.
    classes: Vec<i64>,
}

impl<T: UpdateNumber> BatchTargets<T> {
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
pub(super) fn transpose<T: UpdateNumber>(
    kind: Loss,
    outputs: &mut [T],
    columns: usize,
    (wanted, first): (&BatchTargets<T>, usize),
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

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};
    use widthwise_tensors::Number;

    use super::*;
    use crate::objective::{loss, output_gradients};
    use crate::training::direct::host_parameters::as_tensor;

    #[test]
    fn values_and_derivatives_are_those_of_the_losses_on_tensors() {
        let (examples, columns) = (5, 4);
        // Large enough that exponentials would overflow without the shift.
        let outputs: Vec<f64> = (0..examples * columns).map(|i| 900.0 * ((7 * i) as f64).sin()).collect();
        let values: Vec<f64> = (0..examples * columns).map(|i| ((3 * i) as f64).cos()).collect();
        let classes = [0_i64, 3, 1, 2, 3];
        let targets =
            Targets { values: as_tensor(values, examples), classes: Tensor::from_data(classes, &Device::flex()) };
        for kind in [Loss::HalfSum, Loss::HalfMean, Loss::CrossEntropy] {
            let tensor = as_tensor(outputs.clone(), examples);
            let expected = f64::pull(loss(kind, tensor.clone(), &targets))[0];
            let share = if kind == Loss::HalfSum { 1.0 } else { examples as f64 };
            let slopes = f64::pull(output_gradients(kind, tensor, &targets).div_scalar(share));
            let mut found = outputs.clone();
            // In two pieces, as blocks take them.
            let wanted = BatchTargets::of(&targets, kind);
            let (head, rest) = found.split_at_mut(2 * columns);
            let mut losses = transpose(kind, head, columns, (&wanted, 0), examples);
            losses.extend(transpose(kind, rest, columns, (&wanted, 2), examples));
            assert_eq!(losses.len(), examples);
            let total: f64 = losses.iter().sum();
            assert!((total - expected).abs() <= 20.0 * f64::EPSILON * expected, "{kind:?}: {total} {expected}");
            for (found, expected) in found.iter().zip(slopes) {
                let bound = 20.0 * f64::EPSILON * expected.abs().max(1.0);
                assert!((found - expected).abs() <= bound, "{kind:?}: {found} {expected}");
            }
        }
    }
}
