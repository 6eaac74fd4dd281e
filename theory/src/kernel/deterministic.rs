//! Layers before the first weight layer: they transform the data and know nothing of widths.

use super::plan::axes;
use crate::architecture::{Architecture, InputShape, Layer};
use crate::error::TheoryError;

/// `values` of all examples after the first `layers` layers, none of which has weights.
pub(super) fn features(architecture: &Architecture, layers: usize, values: &[f64]) -> Result<Vec<f64>, TheoryError> {
    let shapes: Vec<InputShape> = architecture.shapes()?;
    let mut values = values.to_vec();
    for (index, layer) in architecture.layers.iter().enumerate().take(layers) {
        match layer {
            Layer::Activation { function } => values.iter_mut().for_each(|x| *x = function.value(*x)),
            Layer::AveragePool { window, stride, padding } => {
                let (rows, columns) = axes(shapes[index], *padding, *window, *stride, index)?;
                let (mut by_rows, mut by_columns) = (Vec::new(), Vec::new());
                rows.average(&values, columns.size, &mut by_rows);
                columns.average(&by_rows, 1, &mut by_columns);
                values = by_columns;
            }
            Layer::GlobalAveragePool => {
                let positions = shapes[index].height * shapes[index].width;
                values = values.chunks_exact(positions).map(|c| c.iter().sum::<f64>() / positions as f64).collect();
            }
            Layer::Flatten | Layer::Dense { .. } | Layer::GatedDense { .. } | Layer::Convolution { .. } => {}
            Layer::SumPool { .. }
            | Layer::LayerNorm { .. }
            | Layer::RmsNorm { .. }
            | Layer::Dropout { .. }
            | Layer::Branches { .. } => {}
        }
    }
    Ok(values)
}
