//! A network as a chain of links, each reading what the one before made.

use burn::tensor::Device;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{InputShape, Layer, Node, Operation};

use crate::config::Anchor;
use crate::host::shifted_gemm::ShiftedGemm;
use crate::network::Network;
use crate::training::optimizer::Updater;

/// One link. Weight layers are numbered from 0.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// A dense layer.
    Dense(usize),
    /// A dense layer on rows that are multiplied by every gate.
    Gated(usize),
    /// A convolution; its images hold the channels of a position side by side, unlike the states of a network.
    Convolution(usize, ShiftedGemm),
    /// An activation.
    Activation(Activation),
    /// The mean over positions.
    Average(InputShape),
    /// Channel by channel to position by position.
    ToPositions(InputShape),
    /// Position by position to channel by channel.
    ToChannels(InputShape),
}

impl Link {
    /// The number of a weight layer.
    pub(super) fn number(&self) -> Option<usize> {
        match self {
            Link::Dense(number) | Link::Gated(number) | Link::Convolution(number, _) => Some(*number),
            _ => None,
        }
    }
}

/// Positions of an image.
pub(super) fn positions(shape: &InputShape) -> usize {
    shape.height * shape.width
}

/// How the numbers of an image lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ImageLayout {
    Channels,
    Positions,
}

/// The links of `network`, if it is a chain of layers known here, on the CPU, and if the update knows no anchor.
pub(super) fn links(network: &Network, updater: &Updater) -> Option<Vec<Link>> {
    let pulls_elsewhere = updater.l2.strength != 0.0 && updater.l2.toward == Anchor::Init;
    if *network.placement().0 != Device::flex() || network.is_centred() || pulls_elsewhere {
        return None;
    }
    let mut links = Vec::new();
    let mut layout = ImageLayout::Channels;
    let mut number = 0;
    for (index, Node { operation, inputs, shape: _ }) in network.nodes().iter().enumerate() {
        let Operation::Layer(layer) = operation else { return None };
        if *inputs != [index] {
            return None;
        }
        let shape = network.shape(index);
        let mut lie = |links: &mut Vec<Link>, wanted: ImageLayout| {
            if layout != wanted && shape.channels > 1 && positions(&shape) > 1 {
                let transpose = if wanted == ImageLayout::Positions { Link::ToPositions } else { Link::ToChannels };
                links.push(transpose(shape));
            }
            layout = wanted;
        };
        match layer {
            Layer::Dense { .. } | Layer::GatedDense { .. } => {
                lie(&mut links, ImageLayout::Channels);
                let is_gated = matches!(layer, Layer::GatedDense { .. });
                links.push(if is_gated { Link::Gated(number) } else { Link::Dense(number) });
                number += 1;
            }
            Layer::Convolution { .. } => {
                lie(&mut links, ImageLayout::Positions);
                links.push(Link::Convolution(number, ShiftedGemm::new(shape, layer)?));
                number += 1;
            }
            Layer::Activation { function } => links.push(Link::Activation(function.clone())),
            Layer::GlobalAveragePool => {
                lie(&mut links, ImageLayout::Positions);
                links.push(Link::Average(shape));
            }
            Layer::Flatten => lie(&mut links, ImageLayout::Channels),
            _ => return None,
        }
    }
    Some(links)
}
