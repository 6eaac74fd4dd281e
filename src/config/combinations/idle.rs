//! Keys that nothing reads in view of the others: what is written there has no effect, so that it was meant for something else.

use widthwise_theory::architecture::InitScheme;

use super::super::experiment::Experiment;
use super::super::layer::{ConvolutionLayerConfig, FunctionConfig, LayerConfig};
use super::super::network::{Family, GateKind, NetworkConfig};

/// A key that nothing reads.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::config) struct Idle {
    /// The key.
    pub(in crate::config) key: &'static str,
    /// Why, and what to do.
    pub(in crate::config) reason: String,
    /// Whether it only details what a switch next to it turns off, which a file may do without taking the details out.
    pub(in crate::config) is_detail: bool,
}

/// Keys whose switch accompanies them.
const DETAILS: [&str; 4] =
    ["training.l2.toward", "probes.information_bins", "probes.information_noise", "explain.forecast_tolerance"];

/// All keys of the experiment that nothing reads. Width and depth are seen to where lists of widths are; `probes.jacobian_examples` is a bound,
/// which fits a probe that is off.
pub(in crate::config) fn idle(experiment: &Experiment) -> Vec<Idle> {
    let mut found = Vec::new();
    let mut add = |is_idle: bool, keys: &[&'static str], reason: &str| {
        if is_idle {
            found.extend(keys.iter().map(|key| Idle {
                key,
                reason: reason.to_owned(),
                is_detail: DETAILS.contains(key),
            }));
        }
    };
    network(&experiment.network, &mut add);
    gates(&experiment.network, &mut add);
    add(
        experiment.training.l2.strength == 0.0,
        &["training.l2.toward"],
        "there is no penalty with training.l2.strength = 0; set a strength, or remove the key",
    );
    add(
        !experiment.probes.information.is_on,
        &["probes.information_bins", "probes.information_noise"],
        "probes.information = false turns that probe off; set probes.information = true, or remove the key",
    );
    add(
        !experiment.explain.forecast,
        &["explain.forecast_tolerance"],
        "there are no forecasts with explain.forecast = false; set explain.forecast = true, or remove the key",
    );
    add(
        !has_biases(&experiment.network),
        &["control.drop_bias"],
        "the network has no biases that theory could forget; set network.sigma_b2 above 0, or choose another control",
    );
    found
}

fn network(network: &NetworkConfig, add: &mut impl FnMut(bool, &[&'static str], &str)) {
    let layers = || LayerConfig::all(network.listed());
    let convolutions =
        || layers().filter_map(|layer| if let LayerConfig::Convolution(config) = layer { Some(config) } else { None });
    add(
        network.init == InitScheme::Pytorch,
        &["network.sigma_w2", "network.sigma_b2"],
        "network.init = \"pytorch\" draws weights and biases with variances of its own, 1/3 over the fan-in; set network.init = \
         \"gaussian\", or remove the key",
    );
    add(
        matches!(network.family, Family::DeepLinear | Family::GatedDeepLinear),
        &["network.activation"],
        "a deep linear network has no activation (gates have network.gates.activation); set network.family = \"mlp\", or \
         remove the key",
    );
    let takes_it = |layer: &LayerConfig| matches!(layer, LayerConfig::Activation(FunctionConfig::OfNetwork {}));
    add(
        network.family == Family::Layers && !layers().any(takes_it),
        &["network.activation"],
        "no layer of network.layers takes it; write \"activation\" where it belongs, or remove the key",
    );
    let needs = |lacks: fn(&ConvolutionLayerConfig) -> bool| network.family == Family::Cnn || convolutions().any(lacks);
    for (key, is_read) in [
        ("network.convolution.filter_size", needs(|config| config.filter_size.is_none())),
        ("network.convolution.stride", needs(|config| config.stride.is_none())),
        ("network.convolution.padding", needs(|config| config.padding.is_none())),
    ] {
        add(
            !is_read,
            &[key],
            "no layer takes it: only a \"cnn\" and convolutions of network.layers without a value of their own do; set \
             network.family = \"cnn\", or remove the key",
        );
    }
    add(
        network.family != Family::Cnn,
        &["network.convolution.pool", "network.convolution.readout"],
        "only network.family = \"cnn\" reads it; in network.layers write average_pool, flatten and global_average_pool, or \
         remove the key",
    );
}

fn gates(network: &NetworkConfig, add: &mut impl FnMut(bool, &[&'static str], &str)) {
    const KEYS: [&str; 5] = [
        "network.gates.kind",
        "network.gates.count",
        "network.gates.threshold",
        "network.gates.activation",
        "network.gates.input_layer",
    ];
    if !network.is_gated() {
        let reason = "no layer has gates; set network.family = \"gated_deep_linear\", use gated_dense in network.layers, or \
                      remove the key";
        return add(true, &KEYS, reason);
    }
    let kind = network.gates.kind;
    add(
        kind != GateKind::Smooth,
        &["network.gates.activation"],
        "only smooth gates have an activation; set network.gates.kind = \"smooth\", or remove the key",
    );
    add(
        matches!(kind, GateKind::KMeans | GateKind::Task),
        &["network.gates.threshold"],
        "only heaviside and smooth gates have a threshold; set network.gates.kind, or remove the key",
    );
    add(
        network.family == Family::Layers,
        &["network.gates.input_layer"],
        "network.layers says itself which layers are gated; use gated_dense there, and remove the key",
    );
}

/// Whether any layer draws biases.
fn has_biases(network: &NetworkConfig) -> bool {
    if network.init == InitScheme::Pytorch {
        return true;
    }
    let default = network.sigma_b2;
    if network.family != Family::Layers {
        return default > 0.0;
    }
    let of_layer = |layer: &LayerConfig| match layer {
        LayerConfig::Dense(config) | LayerConfig::GatedDense(config) => config.sigma_b2.unwrap_or(default),
        LayerConfig::Convolution(config) => config.sigma_b2.unwrap_or(default),
        _ => 0.0,
    };
    let of_readout =
        network.readout.as_ref().map_or(default, |readout| readout.variances().sigma_b2.unwrap_or(default));
    of_readout > 0.0 || LayerConfig::all(network.listed()).any(|layer| of_layer(layer) > 0.0)
}
