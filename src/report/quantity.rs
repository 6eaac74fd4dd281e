//! Names of the quantities of `results.csv` for readers; an unknown one is called what the CSV calls it, with blanks for underscores.

use std::borrow::Cow;

use crate::comparison::CONTROLLED;
use crate::quantity::{Flag, Kind, Quantity};
use crate::record::row::Row;

/// `quantity` in words.
pub(crate) fn label(quantity: &str) -> Cow<'static, str> {
    match quantity {
        // Columns of `training.csv`.
        "train_accuracy" => Cow::Borrowed("training accuracy"),
        "test_accuracy" => Cow::Borrowed("test accuracy"),
        name => match name.parse::<Quantity>() {
            Ok(quantity) => Cow::Borrowed(quantity.label()),
            Err(_) => Cow::Owned(name.replace('_', " ")),
        },
    }
}

/// How far the number of `row` is to be trusted, in words; empty for an exact number, and where nothing was written.
pub(crate) fn trust(row: &Row) -> String {
    if row.kind == Some(Kind::Estimate) && row.flag.is_none() { "estimate".to_owned() } else { caveat(row) }
}

/// In words, that the number of `row` is a bound, and its flag; empty for any other.
pub(crate) fn caveat(row: &Row) -> String {
    let kind = match row.kind {
        None | Some(Kind::Exact | Kind::Estimate) => "",
        Some(Kind::Lower) => "lower bound",
        Some(Kind::Upper) => "upper bound",
    };
    let flag = match row.flag {
        None => "",
        Some(Flag::Saturated) => "saturated",
        Some(Flag::FewUnits) => "few units",
    };
    [kind, flag].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ")
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
        (None, None) => name.into_owned(),
        (Some(_), _) => format!("{name}, layers {}", layers(row)),
        (None, Some(layer)) => format!("{name}, layer {layer}"),
    }
}

/// The `se_method` column in words.
pub(crate) fn error_method(method: &str) -> String {
    match method {
        "members" => "spread over the members divided by the root of their number".to_owned(),
        "paired_members" => {
            "spread of measured − predicted, both taken on the same member, divided by the root of the \
                             number of members"
                .to_owned()
        }
        "jackknife_members" => "jackknife over the members".to_owned(),
        "gaussian_values" => "spread of one ensemble of as many Gaussian values".to_owned(),
        other => match other.split_once('(') {
            Some((CONTROLLED, by)) => {
                let by = by.trim_end_matches(')');
                let label = label(by);
                format!("spread of measured − predicted over members, less what goes with the {label}")
            }
            Some(("chi_squared", freedom)) => {
                format!("known: chi-squared of {} degrees of freedom", freedom.trim_end_matches(')'))
            }
            _ => other.replace('_', " "),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_words() {
        let controlled = error_method("control_variate(nngp_mean_diagonal)");
        assert!(controlled.ends_with("less what goes with the NNGP mean diagonal"), "{controlled}");
        assert_eq!(error_method("chi_squared(64)"), "known: chi-squared of 64 degrees of freedom");
        assert_eq!(error_method("random_vectors"), "random vectors");
    }
}
