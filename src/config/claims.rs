//! Names of the comparisons that can decide the verdict of a run.

/// Every name that `claims.required` may hold.
pub const KNOWN_CLAIMS: [&str; 11] = [
    "nngp_mean_diagonal",
    "nngp_mean_off_diagonal",
    "ntk_mean_diagonal",
    "ntk_mean_off_diagonal",
    "ntk_overlap",
    "ntk_frozen",
    "preactivation_variance",
    "excess_kurtosis",
    "partial_jacobian_norm",
    "train_loss",
    "test_loss",
];
