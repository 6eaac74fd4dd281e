//! Which networks can be pulled back in host memory, and which of their states are images there.

use widthwise_probes::ntk::{BlockPlan, Contraction, contraction};
use widthwise_theory::architecture::{InputShape, Layer, Operation, Padding};

use super::padded_image::PaddedImage;
use crate::network::Network;
use crate::observation::geometry;

/// How cotangents travel through a network.
pub(super) struct Route {
    /// For every state, whether it depends on weights.
    pub(super) has_weights: Vec<bool>,
    /// For every state, whether it is an image that a convolution made.
    pub(super) is_image: Vec<bool>,
    /// For every state, how many nodes read it.
    pub(super) readers: Vec<usize>,
    /// The frame of images, if there are convolutions.
    pub(super) padded_image: Option<PaddedImage>,
}

impl Route {
    /// `None` if a layer of the network is not known here, or is contracted by pairs of positions.
    pub(super) fn of(network: &Network, plan: &BlockPlan) -> Option<Self> {
        let nodes = network.nodes();
        let states = nodes.len() + 1;
        let mut route = Self {
            has_weights: vec![false; states],
            is_image: vec![false; states],
            readers: vec![0; states],
            padded_image: None,
        };
        let mut margins = [0, 0];
        for (index, node) in nodes.iter().enumerate() {
            node.inputs.iter().for_each(|&input| route.readers[input] += 1);
            let input = node.inputs[0];
            let any = |of: &[bool]| node.inputs.iter().any(|&input| of[input]);
            let (has_weights, is_image) = match &node.operation {
                Operation::Sum { .. } => {
                    // Branches without weights would need their own kind of cotangent.
                    (any(&route.has_weights), any(&route.is_image))
                }
                Operation::Layer(Layer::Dense { .. }) => (true, false),
                Operation::Layer(Layer::Activation { .. }) => (route.has_weights[input], route.is_image[input]),
                Operation::Layer(Layer::Flatten | Layer::GlobalAveragePool) => (route.has_weights[input], false),
                Operation::Layer(Layer::Convolution { filter_size, stride: [1, 1], padding, .. }) => {
                    if *padding == Padding::Circular {
                        return None;
                    }
                    for (axis, margin) in margins.iter_mut().enumerate() {
                        *margin = (*margin).max(reach(filter_size[axis], low(*padding, axis, filter_size[axis])));
                    }
                    (true, true)
                }
                _ => return None,
            };
            route.has_weights[index + 1] = has_weights;
            route.is_image[index + 1] = is_image;
        }
        let layers = network.weight_layers();
        let is_last = |number: usize| number + 1 == layers.len();
        let convolutions: Vec<usize> =
            (0..layers.len()).filter(|number| !is_last(*number) && route.is_image[layers[*number].index + 1]).collect();
        for &number in &convolutions {
            if contraction(plan, &geometry(network, number + 1)) == Contraction::Positions {
                return None;
            }
        }
        // Explicit padding may make images larger than the input.
        let InputShape { height, width, .. } = network.architecture().input;
        let images =
            nodes.iter().zip(&route.is_image[1..]).filter(|(_, is_image)| **is_image).map(|(node, _)| node.shape);
        let (height, width) = images.fold((height, width), |(h, w), image| (h.max(image.height), w.max(image.width)));
        route.padded_image = (!convolutions.is_empty()).then(|| PaddedImage::new(height, width, margins));
        Some(route)
    }
}

/// Cells of padding before the first along one axis, for stride one.
pub(super) fn low(padding: Padding, axis: usize, filter: usize) -> usize {
    match padding {
        Padding::Same => (filter - 1) / 2,
        Padding::Zeros(cells) => cells[axis],
        Padding::Valid | Padding::Circular => 0,
    }
}

/// Cells that a filter reaches beyond an image, or its adjoint does.
fn reach(filter: usize, low: usize) -> usize {
    low.max(filter - 1 - low)
}
