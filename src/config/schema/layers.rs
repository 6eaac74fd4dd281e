//! The layers that a list of `network.layers` may hold, and those that are known and refused.

use super::Range::{Finite, NotNegative, Positive, Share};
use super::Shape::{Branches, Layers, Number, Pair, Refused, Table, VariantsOrEmpty};
use super::{ACTIVATIONS, Key, PADDING, Variant, WIDTH, key, required, variant};

/// Lists of layers inside each other, the outermost included.
pub(in crate::config) const MAX_NESTING: usize = 8;

/// One layer.
pub(super) const LAYERS: &[Variant] = &[
    variant("dense", Table(DENSE)),
    variant("gated_dense", Table(DENSE)),
    variant("convolution", Table(CONVOLUTION)),
    variant("activation", VariantsOrEmpty(ACTIVATIONS)),
    variant("average_pool", Table(POOLING)),
    variant("sum_pool", Table(POOLING)),
    variant("global_average_pool", Table(&[])),
    variant("flatten", Table(&[])),
    variant("layer_norm", Table(NORM)),
    variant("rms_norm", Table(NORM)),
    variant("dropout", Table(&[required("keep", Number(Share))])),
    variant("residual", Table(&[key("scale", Number(Finite)), required("layers", Layers(1))])),
    variant("branches", Branches),
    // The maximum does have a Gaussian limit under a convolution; what is missing is a way to compute its kernel.
    variant(
        "max_pool",
        Refused(
            "there is no infinite-width kernel to compare with: the covariance of two maxima is an integral over the joint \
             Gaussian law of all positions of both windows, which is no function of one pair of positions at a time and has \
             no closed form; use average_pool or sum_pool",
        ),
    ),
    variant(
        "batch_norm",
        Refused(
            "there is no infinite-width kernel of two inputs: it couples the examples of a batch, so that the output on one \
             input depends on the others; use layer_norm or rms_norm",
        ),
    ),
];

/// What the readout may be.
pub(super) const READOUTS: &[Variant] = &[variant("dense", Table(VARIANCES)), variant("gated_dense", Table(VARIANCES))];

/// One branch; without layers it is the identity.
pub(super) const BRANCH: &[Key] = &[key("scale", Number(Finite)), key("layers", Layers(0))];

const SIGMA_W2: Key = key("sigma_w2", Number(Positive));
const SIGMA_B2: Key = key("sigma_b2", Number(NotNegative));

const VARIANCES: &[Key] = &[SIGMA_W2, SIGMA_B2];

const DENSE: &[Key] = &[key("width", WIDTH), SIGMA_W2, SIGMA_B2];

const CONVOLUTION: &[Key] =
    &[key("width", WIDTH), key("filter_size", Pair), key("stride", Pair), key("padding", PADDING), SIGMA_W2, SIGMA_B2];

const POOLING: &[Key] = &[required("window", Pair), key("stride", Pair), key("padding", PADDING)];

const NORM: &[Key] = &[key("epsilon", Number(NotNegative))];
