//! What a state dict does not say of windows: how far zeros went on either side.
//!
//! `padding=(p, q)` of PyTorch puts as many cells before an image as behind it; `same` and `circular` here put as many as are needed
//! for `ceil(size / stride)` windows, the odd one behind. With a stride of 1 and an odd side both are `p = (side - 1) / 2`. Elsewhere
//! they may read other cells, and an import would change the function without a sign of it.

use std::collections::HashMap;

use widthwise_theory::architecture::{Architecture, InputShape, Layer, Operation, Padding};

use super::WeightsError;

/// One convolution or pooling layer.
#[derive(Debug, Clone, PartialEq)]
struct WindowLayer {
    /// In words, with its article.
    name: String,
    is_convolution: bool,
    size: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    image: InputShape,
}

/// Refuses an architecture whose windows read other cells than PyTorch's nearest ones, unless a file that was written here says that
/// these are its own.
///
/// # Errors
/// The first such window; an architecture whose shapes do not fit.
pub(super) fn expect_known(
    architecture: &Architecture,
    metadata: &HashMap<String, String>,
) -> Result<(), WeightsError> {
    let windows = windows(architecture)?;
    let own = metadata.get("architecture").and_then(|text| serde_json::from_str::<Architecture>(text).ok());
    if own.is_some_and(|own| self::windows(&own).is_ok_and(|own| own == windows)) {
        return Ok(());
    }
    match windows.into_iter().find(|window| window.is_doubtful()) {
        Some(window) => Err(window.refusal()),
        None => Ok(()),
    }
}

fn windows(architecture: &Architecture) -> Result<Vec<WindowLayer>, WeightsError> {
    let nodes = architecture.nodes()?;
    let mut found = Vec::new();
    let mut number = 0;
    for node in &nodes {
        let Operation::Layer(layer) = &node.operation else { continue };
        let image = node.inputs[0].checked_sub(1).map_or(architecture.input, |node| nodes[node].shape);
        let (is_convolution, size, stride, padding) = match layer {
            Layer::Convolution { filter_size, stride, padding, .. } => (true, *filter_size, *stride, *padding),
            Layer::AveragePool { window, stride, padding } | Layer::SumPool { window, stride, padding } => {
                (false, *window, *stride, *padding)
            }
            Layer::Dense { .. } | Layer::GatedDense { .. } => {
                number += 1;
                continue;
            }
            _ => continue,
        };
        number += usize::from(is_convolution);
        let [height, width] = size;
        let name = match is_convolution {
            true => format!("layer {number}, a convolution of {height} x {width},"),
            false => format!("the {} of {height} x {width} before layer {}", layer.name(), number + 1),
        };
        found.push(WindowLayer { name, is_convolution, size, stride, padding, image });
    }
    Ok(found)
}

impl WindowLayer {
    fn sizes(&self) -> [usize; 2] {
        [self.image.height, self.image.width]
    }

    /// PyTorch's `padding` that comes nearest.
    fn symmetric(&self) -> [usize; 2] {
        self.size.map(|side| (side - 1) / 2)
    }

    /// Whether PyTorch's nearest padding reads other cells.
    fn is_doubtful(&self) -> bool {
        // nn.Conv2d has padding="same" too, for a stride of 1 alone; pooling has not.
        let is_written_there = self.is_convolution && self.stride == [1, 1];
        if is_written_there || matches!(self.padding, Padding::Valid | Padding::Zeros(_)) {
            return false;
        }
        let symmetric = Padding::Zeros(self.symmetric());
        (0..2).any(|axis| {
            let geometry =
                |padding: Padding| padding.geometry(axis, self.sizes()[axis], self.size[axis], self.stride[axis]);
            geometry(self.padding) != geometry(symmetric)
        })
    }

    fn refusal(&self) -> WeightsError {
        let [p, q] = self.symmetric();
        let module = if self.is_convolution { "nn.Conv2d" } else { "nn.AvgPool2d" };
        let (padding, advice) = match self.padding {
            Padding::Circular => {
                ("circular", "no padding here repeats an image as padding_mode=\"circular\" does with these".to_owned())
            }
            _ => (
                "same",
                format!(
                    "set padding = [{p}, {q}] for {module}(..., padding=({p}, {q})), [0, 0] for none, or whatever it has"
                ),
            ),
        };
        WeightsError::Padding {
            window: self.name.clone(),
            padding: format!("\"{padding}\""),
            image: self.sizes(),
            stride: self.stride,
            symmetric: [p, q],
            advice,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(is_convolution: bool, side: usize, stride: usize, size: usize, padding: Padding) -> WindowLayer {
        let image = InputShape { channels: 1, height: size, width: size };
        WindowLayer { name: String::new(), is_convolution, size: [side; 2], stride: [stride; 2], padding, image }
    }

    #[test]
    fn windows_are_doubtful_where_pytorch_reads_other_cells() {
        use Padding::{Circular, Same, Valid, Zeros};
        // A convolution?, side, stride, size of the image, padding, and whether padding=(side - 1) / 2 reads other cells.
        for (is_convolution, side, stride, size, padding, expected) in [
            (true, 3, 1, 6, Same, false),
            (true, 4, 1, 6, Same, false),
            (true, 3, 2, 6, Same, true),
            (true, 3, 2, 7, Same, false),
            (true, 5, 2, 6, Same, true),
            (true, 5, 2, 7, Same, false),
            (true, 4, 2, 6, Same, false),
            (true, 1, 2, 6, Same, false),
            (true, 2, 2, 6, Same, false),
            // As many windows, one cell further on.
            (true, 3, 3, 6, Same, true),
            (true, 4, 4, 8, Same, true),
            (true, 3, 2, 6, Circular, true),
            (true, 3, 1, 6, Circular, false),
            (true, 3, 2, 6, Valid, false),
            (true, 3, 2, 6, Zeros([1, 1]), false),
            (false, 3, 2, 6, Same, true),
            (false, 3, 1, 6, Same, false),
            (false, 2, 1, 6, Same, true),
            (false, 2, 2, 6, Valid, false),
        ] {
            let window = window(is_convolution, side, stride, size, padding);
            assert_eq!(window.is_doubtful(), expected, "{window:?}");
        }
    }
}
