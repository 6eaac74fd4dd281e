//! Names of the quantities of `results.csv` for readers; an unknown one is called what the CSV calls it.

use crate::quantity::Quantity;
use crate::record::row::Row;

/// `quantity` in words.
pub(crate) fn label(quantity: &str) -> &str {
    match quantity {
        // Columns of `training.csv`.
        "train_accuracy" => "training accuracy",
        "test_accuracy" => "test accuracy",
        name => name.parse::<Quantity>().map_or(name, |quantity| quantity.label()),
    }
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
