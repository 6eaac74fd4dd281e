//! What layers do to rows of numbers, next to products.

use pulp::Arch;

use super::fused::UpdateNumber;
use crate::host::product::{Affine, Product, TermRun};
use crate::host::scratch::Scratch;

/// `A B` for row-major factors, written as `affine` says.
pub(super) fn rows_times<T: UpdateNumber>(
    rows: &[T],
    [count, terms]: [usize; 2],
    (right, columns): (&[T], usize),
    affine: Option<Affine<'_, T>>,
) -> Scratch<T> {
    let mut result = Scratch::new(count * columns);
    let runs = [TermRun { left: rows, right, terms }];
    Product { size: [count, columns], runs: &runs, row: terms, term: 1, right_row: columns }.write(
        &mut result,
        columns,
        affine,
    );
    result
}

/// Adds rows of the length of `sums`, one after the other.
pub(super) fn add_rows<T: UpdateNumber>(sums: &mut [T], rows: &[T]) {
    Arch::new().dispatch(|| add_each(sums, rows));
}

#[inline(always)]
fn add_each<T: UpdateNumber>(sums: &mut [T], rows: &[T]) {
    for row in rows.chunks_exact(sums.len()) {
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
}

/// Multiplies, unless by one.
pub(super) fn scale<T: UpdateNumber>(numbers: &mut [T], gain: f64) {
    if gain != 1.0 {
        let gain = T::of(gain);
        for x in numbers {
            *x *= gain;
        }
    }
}

/// `N x F` states and `N x M` gate values to rows of `M F` numbers, gate by gate.
pub(super) fn gated<T: UpdateNumber>(states: &[T], gates: &[T], examples: usize) -> Scratch<T> {
    let (features, count) = (states.len() / examples, gates.len() / examples);
    let mut rows = Scratch::new(states.len() * count);
    let each =
        states.chunks_exact(features).zip(gates.chunks_exact(count)).zip(rows.chunks_exact_mut(count * features));
    for ((state, gates), rows) in each {
        for (row, &gate) in rows.chunks_exact_mut(features).zip(gates) {
            row.iter_mut().zip(state).for_each(|(row, &x)| *row = gate * x);
        }
    }
    rows
}

/// Adjoint of [`gated`] in the states.
pub(super) fn ungated<T: UpdateNumber>(rows: &[T], gates: &[T], examples: usize) -> Scratch<T> {
    let (count, length) = (gates.len() / examples, rows.len() / examples);
    let features = length / count;
    let mut states = Scratch::zeros(examples * features);
    let each = states.chunks_exact_mut(features).zip(rows.chunks_exact(length)).zip(gates.chunks_exact(count));
    for ((state, rows), gates) in each {
        for (row, &gate) in rows.chunks_exact(features).zip(gates) {
            state.iter_mut().zip(row).for_each(|(sum, &x)| *sum += gate * x);
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gated_rows_are_products_and_ungating_is_their_adjoint() {
        let numbers =
            |seed: usize, count: usize| -> Vec<f64> { (0..count).map(|i| ((seed + 3 * i) as f64).sin()).collect() };
        let (examples, features, count) = (3, 5, 4);
        let (states, gates) = (numbers(1, examples * features), numbers(2, examples * count));
        let rows = gated(&states, &gates, examples);
        for (i, &row) in rows.iter().enumerate() {
            let (example, gate, feature) = (i / (count * features), i / features % count, i % features);
            assert_eq!(row, gates[example * count + gate] * states[example * features + feature]);
        }
        // <g(x), r> = <x, g*(r)>, in each example.
        let r = numbers(3, rows.len());
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let pulled = ungated(&r, &gates, examples);
        for example in 0..examples {
            let (long, short) = (count * features, features);
            let above = dot(&rows[example * long..][..long], &r[example * long..][..long]);
            let below = dot(&states[example * short..][..short], &pulled[example * short..][..short]);
            assert!((above - below).abs() < 20.0 * f64::EPSILON, "{above} {below}");
        }
    }
}
