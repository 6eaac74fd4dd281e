//! Names of the quantities of `results.csv` for readers; an unknown one is called what the CSV calls it.

use crate::record::row::Row;

/// `quantity` in words.
pub(crate) fn label(quantity: &str) -> &str {
    match quantity {
        "train_loss" => "training loss",
        "test_loss" => "test loss",
        "train_accuracy" => "training accuracy",
        "test_accuracy" => "test accuracy",
        "ntk_trace" => "NTK trace",
        "ntk_mean_diagonal" => "NTK mean diagonal",
        "ntk_mean_off_diagonal" => "NTK mean off-diagonal",
        "ntk_top_eigenvalue" => "NTK top eigenvalue",
        "ntk_second_eigenvalue" => "NTK second eigenvalue",
        "ntk_third_eigenvalue" => "NTK third eigenvalue",
        "ntk_condition_number" => "NTK condition number",
        "ntk_relative_change" => "NTK relative change",
        "ntk_target_alignment" => "NTK target alignment",
        "ntk_overlap" => "overlap with infinite NTK",
        "ntk_distance" => "distance to infinite NTK",
        "ntk_velocity" => "NTK velocity",
        "ntk_initial_cka" => "CKA with initial NTK",
        "ntk_infinite_cka" => "CKA with infinite NTK",
        "ntk_effective_rank" => "NTK effective rank",
        "ntk_layer_share" => "share of the NTK trace",
        "ntk_label_overlap" => "label overlap of leading NTK eigenvectors",
        "gradient_covariance_trace" => "gradient covariance trace",
        "weight_distance" => "relative weight change",
        "weight_rms_change" => "RMS weight change",
        "nngp_trace" => "NNGP trace",
        "nngp_mean_diagonal" => "NNGP mean diagonal",
        "nngp_mean_off_diagonal" => "NNGP mean off-diagonal",
        "preactivation_variance" => "pre-activation variance",
        "kurtosis" => "kurtosis",
        "skewness" => "skewness",
        "ks_distance" => "Kolmogorov–Smirnov distance",
        "kurtosis_null" => "kurtosis of as many Gaussian values",
        "skewness_null" => "skewness of as many Gaussian values",
        "ks_distance_null" => "Kolmogorov–Smirnov distance of as many Gaussian values",
        "excess_kurtosis" => "excess kurtosis",
        "information_input_binning" => "I(X;T), binning",
        "information_label_binning" => "I(T;Y), binning",
        "information_input_kde_upper" => "I(X;T), KDE upper bound",
        "information_input_kde_lower" => "I(X;T), KDE lower bound",
        "information_label_kde" => "I(T;Y), KDE",
        "partial_jacobian_norm" => "partial Jacobian norm",
        other => other,
    }
}

/// Whether theory gives an upper bound for `quantity` and not a value.
pub(crate) fn is_bounded(quantity: &str) -> bool {
    quantity == "ntk_relative_change"
}

/// The layer or pair of layers of `row`: `3`, `1 → 3`, or nothing.
pub(crate) fn layers(row: &Row) -> String {
    match (row.layer_from, row.layer) {
        (Some(from), Some(layer)) => format!("{from} → {layer}"),
        (Some(from), None) => format!("{from} →"),
        (None, Some(layer)) => layer.to_string(),
        (None, None) => String::new(),
    }
}

/// Quantity and layer of `row` in words.
pub(crate) fn subject_label(row: &Row) -> String {
    let name = label(&row.quantity);
    match (row.layer_from, row.layer) {
        (None, None) => name.to_owned(),
        (Some(_), _) => format!("{name}, layers {}", layers(row)),
        (None, Some(layer)) => format!("{name}, layer {layer}"),
    }
}

/// The `se_method` column in words, with the column's own word.
pub(crate) fn error_method(method: &str) -> String {
    match method {
        "members" => "spread over the members divided by the root of their number (members)".to_owned(),
        "paired_members" => {
            "spread of measured − predicted, both taken on the same member, divided by the root of the \
                             number of members (paired_members)"
                .to_owned()
        }
        "jackknife_members" => "jackknife over the members (jackknife_members)".to_owned(),
        "gaussian_values" => "spread of one ensemble of as many Gaussian values (gaussian_values)".to_owned(),
        other => other.to_owned(),
    }
}
