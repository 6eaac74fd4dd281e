//! Every key of a configuration with the values that it may have on its own.
//!
//! The table is the one place that knows ranges, and the list against which unknown keys are held. It repeats the names of
//! the structs in [`experiment`](super::experiment); a test holds the two together in both directions. What a value may be
//! in view of the others is in [`combinations`](super::combinations).

mod layers;
mod shape;

use widthwise_theory::activation::MAX_HERMITE_DEGREE;

use super::claims::KNOWN_CLAIMS;
use crate::quantity::probes_with_switch;
pub(super) use layers::MAX_NESTING;
use layers::READOUTS;
pub(super) use shape::{Key, Range, Shape, Variant};

use Range::{BelowOne, Finite, Fraction, Inside, NotNegative, Positive};
use Shape::{
    Choice, ChoiceOrCells, Formula, Layers, Name, Named, Names, Number, Numbers, Pair, Switch, SwitchOr, SwitchOrTable,
    Table, Text, Variants, Whole, Wholes,
};

/// TOML has no larger whole numbers.
const MAX: u64 = i64::MAX as u64;

const COUNT: Shape = Whole(1, MAX);

// Sizes of arrays have bounds, far beyond what a machine can hold, that keep arithmetic on them from overflowing.
const WIDTH: Shape = Whole(1, 1_000_000);
const EXAMPLES: Shape = Whole(1, 1_000_000_000);

const fn key(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, required: false, silent: false }
}

const fn required(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, required: true, silent: false }
}

const fn silent(name: &'static str, shape: Shape) -> Key {
    Key { name, shape, required: false, silent: true }
}

const fn plain(name: &'static str) -> Variant {
    Variant { name, content: None }
}

const fn variant(name: &'static str, content: Shape) -> Variant {
    Variant { name, content: Some(content) }
}

/// The whole configuration.
pub(super) const EXPERIMENT: Shape = Table(&[
    key("run", Table(RUN)),
    key("dataset", Table(DATASET)),
    key("network", Table(NETWORK)),
    key("training", Table(TRAINING)),
    key("probes", Table(PROBES)),
    key("claims", Table(CLAIMS)),
    key("control", Table(CONTROL)),
    key("explain", Table(EXPLAIN)),
]);

const RUN: &[Key] = &[
    key("name", Name),
    key("seed", Whole(0, MAX)),
    key("members", WIDTH),
    key("device", Choice(&["flex", "ndarray", "wgpu", "cuda"])),
    key("precision", Choice(&["f32", "f64"])),
    key("output", Text),
    key("checkpoint_every", COUNT),
    key("keep_weights", SwitchOr(&["none", "last", "probes"])),
];

const DATASET: &[Key] = &[key("source", Named(SOURCES)), key("preprocessing", Table(PREPROCESSING))];

const SOURCES: &[Variant] = &[
    variant("mnist", Table(&[])),
    variant("fashion-mnist", Table(&[])),
    variant("cifar10", Table(&[])),
    variant("cifar100", Table(&[])),
    variant("twelve-bit", Table(&[])),
    variant(
        "teacher-student",
        Table(&[
            key("input_dim", WIDTH),
            key("teacher_width", WIDTH),
            key("noise", Number(NotNegative)),
            key("train", EXAMPLES),
            key("test", EXAMPLES),
        ]),
    ),
    variant(
        "gaussian-mixture",
        Table(&[
            key("input_dim", WIDTH),
            key("classes", Whole(2, 256)),
            key("separation", Number(NotNegative)),
            key("train", EXAMPLES),
            key("test", EXAMPLES),
        ]),
    ),
    variant(
        "uniform-sphere",
        Table(&[key("input_dim", Whole(2, 1_000_000)), key("train", EXAMPLES), key("test", EXAMPLES)]),
    ),
];

const PREPROCESSING: &[Key] = &[
    key("train", EXAMPLES),
    key("test", EXAMPLES),
    key("classes", LABELS),
    key("colour", Choice(&["keep", "grey"])),
    key("scale", Choice(&["native", "none", "unit_interval", "standardize"])),
    key("zca", Number(Positive)),
    key("normalize", Choice(&["none", "unit_norm", "sqrt_dim"])),
    key("label_noise", Number(Fraction)),
    key("targets", Choice(&["native", "one_hot_centred", "one_hot", "binary"])),
    key("positive", LABELS),
    key("permuted_tasks", Whole(1, 1000)),
];

const LABELS: Shape = Wholes(0, 255);

const NETWORK: &[Key] = &[
    key("family", Choice(&["mlp", "cnn", "deep_linear", "gated_deep_linear", "layers"])),
    key("depth", Whole(1, 10_000)),
    key("width", WIDTH),
    key("widths", Wholes(1, 1_000_000)),
    silent("layers", Layers(1)),
    silent("readout", Variants(READOUTS)),
    key("activation", Variants(ACTIVATIONS)),
    key("sigma_w2", Number(Positive)),
    key("sigma_b2", Number(NotNegative)),
    key("parameterization", Choice(&["standard", "standard-layerwise", "ntk", "mean-field", "mup"])),
    key("centred", Switch),
    key("init", Choice(&["gaussian", "orthogonal", "pytorch"])),
    key("convolution", Table(CONVOLUTION)),
    key("gates", Table(GATES)),
];

const ACTIVATIONS: &[Variant] = &[
    plain("identity"),
    plain("relu"),
    variant("leaky_relu", Table(&[required("slope", Number(Finite))])),
    plain("abs"),
    plain("erf"),
    plain("tanh"),
    plain("gelu"),
    plain("silu"),
    plain("softplus"),
    variant("sin", Table(WAVE)),
    variant("cos", Table(WAVE)),
    plain("gaussian"),
    plain("sigmoid"),
    variant("polynomial", Table(&[required("coefficients", Numbers)])),
    plain("exp"),
    plain("sign"),
    variant("rbf", Table(&[required("gamma", Number(NotNegative))])),
    variant("hermite", Table(&[required("degree", Whole(0, MAX_HERMITE_DEGREE as u64))])),
    variant("expression", Table(&[required("formula", Formula)])),
];

const WAVE: &[Key] = &[required("frequency", Number(Finite)), required("phase", Number(Finite))];

const PADDING: Shape = ChoiceOrCells(&["same", "valid", "circular"]);

const CONVOLUTION: &[Key] = &[
    key("filter_size", Pair),
    key("stride", Pair),
    key("padding", PADDING),
    key("pool", Pair),
    key("readout", Choice(&["flatten", "global_average"])),
];

const GATES: &[Key] = &[
    key("kind", Choice(&["heaviside", "smooth", "k_means", "task"])),
    key("count", WIDTH),
    key("threshold", Number(Finite)),
    key("activation", Variants(ACTIVATIONS)),
    key("input_layer", Switch),
];

const TRAINING: &[Key] = &[
    key("optimizer", Variants(OPTIMIZERS)),
    key("loss", Choice(&["half_sum", "half_mean", "cross_entropy"])),
    key(
        "learning_rate",
        Variants(&[
            variant("absolute", Number(Positive)),
            variant("critical", Number(Positive)),
            variant("critical_empirical", Number(Positive)),
        ]),
    ),
    key("batch_size", EXAMPLES),
    key("l2", Table(&[key("strength", Number(NotNegative)), key("toward", Choice(&["zero", "init"]))])),
    key("stop", Table(STOP)),
];

const OPTIMIZERS: &[Variant] = &[
    variant("gradient_descent", Table(&[])),
    variant("momentum", Table(&[key("beta", Number(BelowOne))])),
    variant("nesterov", Table(&[key("beta", Number(BelowOne))])),
    variant("adam", Table(ADAM)),
    variant("adam_w", Table(ADAM_W)),
];

const ADAM: &[Key] =
    &[key("beta1", Number(BelowOne)), key("beta2", Number(BelowOne)), key("epsilon", Number(Positive))];

const ADAM_W: &[Key] = &[ADAM[0], ADAM[1], ADAM[2], key("weight_decay", Number(NotNegative))];

const STOP: &[Key] = &[
    key("steps", COUNT),
    key("epochs", Number(Positive)),
    key("loss", Number(Positive)),
    key("wall_time_s", Number(Positive)),
];

macro_rules! probes_keys {
    ($($probe:ident $key:ident),*) => {
        const PROBES: &[Key] = &[
            key("schedule", SCHEDULE),
            key("examples", Whole(2, 1_000_000_000)),
            key("ntk", SwitchOrTable(PROBE)),
            key("jacobian_vectors", Whole(0, 1_000_000)),
            key("jacobian_examples", EXAMPLES),
            key("information", SwitchOrTable(PROBE)),
            key("information_bins", Whole(2, 1_000_000)),
            key("information_noise", Number(Positive)),
            key("gaussianity", Switch),
            $(silent(stringify!($key), SwitchOrTable(PROBE)),)*
        ];
    };
}
probes_with_switch!(probes_keys);

const PROBE: &[Key] = &[key("schedule", SCHEDULE)];

const SCHEDULE: Shape = Variants(&[variant("log", WIDTH), variant("every", COUNT), plain("ends")]);

const CLAIMS: &[Key] =
    &[key("required", Names(&KNOWN_CLAIMS)), key("significance", Number(Inside)), key("resolution", Number(Positive))];

const CONTROL: &[Key] = &[
    key("sigma_w2_factor", Number(Positive)),
    key("time_factor", Number(Positive)),
    key("drop_bias", Switch),
    key("nngp_for_ntk", Switch),
];

const EXPLAIN: &[Key] = &[
    key("members", Whole(0, 1_000_000)),
    key("examples", EXAMPLES),
    key("forecast", Switch),
    key("forecast_tolerance", Number(Positive)),
    key("quadratic", Switch),
];
