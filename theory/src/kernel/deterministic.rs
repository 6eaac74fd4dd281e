//! Layers before the first weights: they transform the data and know nothing of widths.

use super::law::{CovarianceGraph, is_flat};
use super::window::Window;
use crate::architecture::{InputShape, Layer, Operation, Padding};
use crate::error::TheoryError;

/// Fills in the values of one example at all deterministic states, `states[0]` being the input.
pub(super) fn evaluate(recipe: &CovarianceGraph, states: &mut [Vec<f64>]) -> Result<(), TheoryError> {
    for &index in &recipe.deterministic_nodes {
        let node = &recipe.nodes[index];
        let result = match &node.operation {
            Operation::Sum { scales } => sum(scales, &node.inputs, states),
            Operation::Layer(layer) => {
                apply(layer, recipe.shapes[node.inputs[0]], states[node.inputs[0]].clone(), index)?
            }
        };
        states[index + 1] = result;
    }
    Ok(())
}

fn sum(scales: &[f64], inputs: &[usize], states: &[Vec<f64>]) -> Vec<f64> {
    let mut total = vec![0.0; states[inputs[0]].len()];
    for (scale, &input) in scales.iter().zip(inputs) {
        total.iter_mut().zip(&states[input]).for_each(|(t, x)| *t += scale * x);
    }
    total
}

/// `values` of one example of `shape` after `layer`.
fn apply(layer: &Layer, shape: InputShape, mut values: Vec<f64>, index: usize) -> Result<Vec<f64>, TheoryError> {
    let positions = shape.height * shape.width;
    match layer {
        Layer::Activation { function } => values.iter_mut().for_each(|x| *x = function.value(*x)),
        Layer::AveragePool { window, stride, padding } => {
            let cells = pool(&mut values, shape, *padding, *window, *stride, index)?;
            values.iter_mut().for_each(|x| *x /= cells);
        }
        Layer::SumPool { window, stride, padding } => {
            pool(&mut values, shape, *padding, *window, *stride, index)?;
        }
        Layer::GlobalAveragePool => {
            values = values.chunks_exact(positions).map(|c| c.iter().sum::<f64>() / positions as f64).collect();
        }
        Layer::LayerNorm { epsilon } | Layer::RmsNorm { epsilon } => {
            let positions = if is_flat(shape) { 1 } else { positions };
            for p in 0..positions {
                normalize(&mut values, p, positions, *epsilon, matches!(layer, Layer::LayerNorm { .. }));
            }
        }
        Layer::Flatten | Layer::Dropout { .. } => {}
        Layer::Dense { .. } | Layer::GatedDense { .. } | Layer::Convolution { .. } | Layer::Branches { .. } => {
            unreachable!("layers with weights are not deterministic, and branches are unfolded")
        }
    }
    Ok(values)
}

/// Window sums; returns the cells of a window.
fn pool(
    values: &mut Vec<f64>,
    shape: InputShape,
    padding: Padding,
    window: [usize; 2],
    stride: [usize; 2],
    index: usize,
) -> Result<f64, TheoryError> {
    let image = [shape.height, shape.width];
    let found = Window::new(padding, image, window, stride);
    let found = found.ok_or(TheoryError::WindowDoesNotFit { index, window, image })?;
    found.sum(values, &mut Vec::new());
    Ok(found.cells() as f64)
}

/// Normalizes the units at position `p`.
fn normalize(values: &mut [f64], p: usize, positions: usize, epsilon: f64, centers: bool) {
    let units = (values.len() / positions) as f64;
    let of_position = || values.iter().skip(p).step_by(positions);
    let mean = if centers { of_position().sum::<f64>() / units } else { 0.0 };
    let variance = of_position().map(|x| (x - mean).powi(2)).sum::<f64>() / units;
    let root = (variance + epsilon).sqrt();
    values.iter_mut().skip(p).step_by(positions).for_each(|x| *x = (*x - mean) / root);
}
