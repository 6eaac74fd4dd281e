//! Follows the input through a list of layers, to say which layer does not fit what comes to it.

use widthwise_datasets::ImageShape;
use widthwise_theory::architecture::Padding;

use super::super::layer::{BranchConfig, LayerConfig, PoolingConfig};
use super::super::network::NetworkConfig;
use super::super::unknown::{element, join};
use super::Conflicts;
use super::network::{after_window, more_than_the_window};

/// The first conflict in the list of `network`, whose inputs have this shape.
pub(super) fn conflicts(network: &NetworkConfig, input: ImageShape, found: &mut Conflicts) {
    const OTHERS: &[&str] = &["network.layers", "network.width", "network.convolution", "dataset"];
    let layers = network.listed();
    if !layers.is_empty() && network.hidden_widths().is_empty() {
        let reason = "it has no weights besides the readout's; add a dense, gated_dense or convolution layer";
        return found.add("network.layers", &[], reason);
    }
    let input = LayerState { shape: input, has_positions: true };
    if let Err(Misfit { key, reason }) = after(network, layers, "network.layers", input) {
        found.add(key, OTHERS, reason);
    }
}

/// What a layer reads or makes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct LayerState {
    shape: ImageShape,
    /// Whether the shape is one of an image, not the units of a dense layer in a row.
    has_positions: bool,
}

impl LayerState {
    fn units(number: usize) -> Self {
        Self { shape: ImageShape::flat(number), has_positions: false }
    }

    fn image(self) -> [usize; 2] {
        [self.shape.height, self.shape.width]
    }

    /// In words.
    fn name(self) -> String {
        if self.has_positions {
            let ImageShape { channels, height, width } = self.shape;
            format!("{channels} x {height} x {width} (channels, height, width)")
        } else {
            format!("{} units", self.shape.len())
        }
    }
}

/// A layer that does not fit.
struct Misfit {
    key: String,
    reason: String,
}

/// What the layers at `path` make of `state`.
fn after(network: &NetworkConfig, layers: &[LayerConfig], path: &str, state: LayerState) -> Result<LayerState, Misfit> {
    layers
        .iter()
        .enumerate()
        .try_fold(state, |state, (index, layer)| after_layer(network, layer, &element(path, index), state))
}

fn after_layer(
    network: &NetworkConfig,
    layer: &LayerConfig,
    key: &str,
    state: LayerState,
) -> Result<LayerState, Misfit> {
    let misfit = |reason: String| Err(Misfit { key: key.to_owned(), reason });
    let window = |size: [usize; 2], stride: [usize; 2], padding: Padding| {
        if !state.has_positions {
            return misfit(format!(
                "its input is {}, which have no positions for a window; put it before flatten, global_average_pool and \
                 dense layers",
                state.name()
            ));
        }
        match after_window(state.image(), size, stride, padding) {
            Some([height, width]) => {
                Ok(LayerState { shape: ImageShape { height, width, ..state.shape }, has_positions: true })
            }
            None if let Some(reason) = more_than_the_window(size, padding) => misfit(reason),
            None => misfit(format!(
                "its input is {} and a window of {} x {} must fit into it; use a smaller window, smaller strides before, or \
                 padding = \"same\"",
                state.name(),
                size[0],
                size[1]
            )),
        }
    };
    match layer {
        LayerConfig::Dense(config) | LayerConfig::GatedDense(config) => {
            Ok(LayerState::units(config.width.unwrap_or(network.width)))
        }
        LayerConfig::Convolution(config) => {
            let default = &network.convolution;
            let next = window(
                config.filter_size.unwrap_or(default.filter_size),
                config.stride.unwrap_or(default.stride),
                config.padding.unwrap_or(default.padding),
            )?;
            let channels = config.width.unwrap_or(network.width);
            Ok(LayerState { shape: ImageShape { channels, ..next.shape }, ..next })
        }
        LayerConfig::AveragePool(PoolingConfig { window: size, stride, padding })
        | LayerConfig::SumPool(PoolingConfig { window: size, stride, padding }) => {
            window(*size, stride.unwrap_or(*size), *padding)
        }
        LayerConfig::GlobalAveragePool {} if !state.has_positions => misfit(format!(
            "its input is {}, which have no positions to average over; put it before flatten and dense layers",
            state.name()
        )),
        LayerConfig::GlobalAveragePool {} => Ok(LayerState::units(state.shape.channels)),
        LayerConfig::Flatten {} => Ok(LayerState::units(state.shape.len())),
        // A vector is normalized over all its units, an image over the channels of each position.
        LayerConfig::LayerNorm(_)
            if state.shape.channels == 1 && (!state.shape.is_flat() || state.shape.len() == 1) =>
        {
            misfit(format!(
                "its input is {}, and one number less its own mean is zero; put it after a layer of more channels or units, \
                 or use flatten before",
                state.name()
            ))
        }
        LayerConfig::Residual(block) => {
            let end = after(network, &block.layers, &join(&join(key, "residual"), "layers"), state)?;
            if end.shape == state.shape {
                return Ok(end);
            }
            misfit(format!(
                "the block reads {} and its layers end in {}, which cannot be added; make them equal, or use branches with a \
                 layer on the other path too",
                state.name(),
                end.name()
            ))
        }
        LayerConfig::Branches(branches) => after_branches(network, branches, key, state),
        LayerConfig::Activation(_) | LayerConfig::LayerNorm(_) | LayerConfig::RmsNorm(_) | LayerConfig::Dropout(_) => {
            Ok(state)
        }
    }
}

fn after_branches(
    network: &NetworkConfig,
    branches: &[BranchConfig],
    key: &str,
    state: LayerState,
) -> Result<LayerState, Misfit> {
    let list = join(key, "branches");
    let mut first: Option<LayerState> = None;
    for (index, branch) in branches.iter().enumerate() {
        let end = after(network, &branch.layers, &join(&element(&list, index), "layers"), state)?;
        match first {
            Some(first) if first.shape != end.shape => {
                let reason = format!(
                    "it ends in {} and the first branch in {}, which cannot be added; make them equal",
                    end.name(),
                    first.name()
                );
                return Err(Misfit { key: element(&list, index), reason });
            }
            _ => first = first.or(Some(end)),
        }
    }
    Ok(first.unwrap_or(state))
}
