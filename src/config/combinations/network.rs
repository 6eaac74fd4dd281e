//! What a network must be to fit itself and the data.

use widthwise_datasets::ImageShape;
use widthwise_theory::architecture::{InitScheme, Padding, Parameterization};

use super::super::experiment::Experiment;
use super::super::network::{ConvolutionConfig, Family, GateKind, NetworkConfig};
use super::{Conflicts, DatasetFacts, layers};

/// Conflicts of the network with itself and with the data.
pub(super) fn conflicts(experiment: &Experiment, data: &DatasetFacts, found: &mut Conflicts) {
    let network = &experiment.network;
    if network.init == InitScheme::Pytorch && network.parameterization != Parameterization::Standard {
        found.add(
            "network.init",
            &["network.parameterization"],
            "PyTorch's initial weights are made for the standard parameterization; set network.parameterization = \
             \"standard\", or network.init = \"gaussian\"",
        );
    }
    keys_of_other_families(network, found);
    match network.family {
        Family::Cnn => convolutions(experiment, data, found),
        Family::Layers => layers::conflicts(network, data.input_shape(experiment), found),
        Family::Mlp | Family::DeepLinear | Family::GatedDeepLinear => {}
    }
    if network.is_gated() {
        gates(experiment, data, found);
    }
}

/// What only some families read and nothing writes by chance: ignored, it would be another network than the one meant.
fn keys_of_other_families(network: &NetworkConfig, found: &mut Conflicts) {
    const FAMILY: &[&str] = &["network.family"];
    if network.family == Family::Layers {
        if network.layers.is_none() {
            let reason =
                "family = \"layers\" is a list of them; set network.layers, for instance [\"dense\", \"activation\"]";
            found.add("network.layers", FAMILY, reason);
        }
        if network.widths.is_some() {
            let reason = "family = \"layers\" does not read it; give the layers widths of their own, for instance { dense = \
                          { width = 64 } }, and remove the key";
            found.add("network.widths", FAMILY, reason);
        }
        return;
    }
    for (key, is_set) in [("network.layers", network.layers.is_some()), ("network.readout", network.readout.is_some())]
    {
        if is_set {
            let family = network.family.name();
            let reason =
                format!("family = \"{family}\" does not read it; set network.family = \"layers\", or remove the key");
            found.add(key, FAMILY, reason);
        }
    }
}

/// Follows the image through the hidden layers.
fn convolutions(experiment: &Experiment, data: &DatasetFacts, found: &mut Conflicts) {
    const OTHERS: &[&str] = &["network.convolution", "network.depth", "network.widths", "dataset"];
    let ConvolutionConfig { filter_size, stride, padding, pool, .. } = &experiment.network.convolution;
    let ImageShape { height, width, .. } = data.input_shape(experiment);
    let mut image = [height, width];
    for layer in 1..=experiment.network.hidden_widths().len() {
        match after_window(image, *filter_size, *stride, *padding) {
            Some(next) => image = next,
            None if let Some(reason) = more_than_the_window(*filter_size, *padding) => {
                return found.add("network.convolution.padding", OTHERS, reason);
            }
            None => {
                let reason = format!(
                    "the input of layer {layer} is {} x {} and the filter must fit into it; use a smaller filter, fewer \
                     layers, a smaller stride or padding = \"same\"",
                    image[0], image[1]
                );
                return found.add("network.convolution.filter_size", OTHERS, reason);
            }
        }
        if let Some(window) = pool {
            let Some(next) = after_window(image, *window, *window, Padding::Valid) else {
                let reason = format!(
                    "the output of layer {layer} is {} x {} and the window must fit into it; use a smaller window or fewer \
                     layers",
                    image[0], image[1]
                );
                return found.add("network.convolution.pool", OTHERS, reason);
            };
            image = next;
        }
    }
}

/// Height and width after a window, if it fits.
pub(super) fn after_window(
    image: [usize; 2],
    size: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> Option<[usize; 2]> {
    // A wrapped window that is larger than the image would see one pixel twice.
    if padding == Padding::Circular && (size[0] > image[0] || size[1] > image[1]) {
        return None;
    }
    let (height, _) = padding.geometry(0, image[0], size[0], stride[0])?;
    let (width, _) = padding.geometry(1, image[1], size[1], stride[1])?;
    Some([height, width])
}

/// What is wrong with explicit padding that alone fills a window.
pub(super) fn more_than_the_window(size: [usize; 2], padding: Padding) -> Option<String> {
    let Padding::Zeros(cells) = padding else { return None };
    (cells[0] >= size[0] || cells[1] >= size[1]).then(|| {
        format!(
            "a window of {} x {} must reach into the image from every place, and {} x {} cells of zeros on either side are not \
             fewer than it has; use less padding or a larger window",
            size[0], size[1], cells[0], cells[1]
        )
    })
}

fn gates(experiment: &Experiment, data: &DatasetFacts, found: &mut Conflicts) {
    let gates = &experiment.network.gates;
    match (gates.kind, experiment.dataset.preprocessing.permuted_tasks) {
        (GateKind::Task, None) => found.add(
            "network.gates.kind",
            &["dataset.preprocessing.permuted_tasks"],
            "task gates read a task code that the inputs do not have; set dataset.preprocessing.permuted_tasks",
        ),
        (GateKind::Task, Some(tasks)) if gates.count != tasks => found.add(
            "network.gates.count",
            &["network.gates.kind", "dataset.preprocessing.permuted_tasks"],
            format!("there is one task gate for each of the {tasks} tasks; set network.gates.count = {tasks}"),
        ),
        _ => {}
    }
    let examples = data.training_examples(experiment);
    if gates.kind == GateKind::KMeans && gates.count > examples {
        found.add(
            "network.gates.count",
            &["network.gates.kind", "dataset"],
            format!("{examples} training examples have at most {examples} centroids; set at most {examples}"),
        );
    }
}
