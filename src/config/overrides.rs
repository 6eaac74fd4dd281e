//! `--set key.path=value`.
//!
//! The value is TOML; a bare word that is not TOML is text, so `network.activation=tanh` needs no quotes. An override of a key
//! whose value is an enum replaces it whole: `training.learning_rate.absolute=0.1` leaves nothing of a critical rate.

use toml::{Table, Value};

use super::problem::ConfigError;
use super::schema::{EXPERIMENT, Shape};
use super::values::{ValueOrigins, expand_names, merge};

/// Puts the overrides on top of `values`, the later ones over the earlier.
pub(super) fn apply(overrides: &[String], values: &mut Value, places: &mut ValueOrigins) -> Result<(), ConfigError> {
    // Merged among themselves first, so that a data set named after its parameters does not wipe them out.
    let mut all = Value::Table(Table::new());
    for text in overrides {
        let (key, value) = parse(text)?;
        places.note_override(key, &value);
        let mut nested =
            key.rsplit('.').fold(value, |inner, name| Value::Table(Table::from_iter([(name.to_owned(), inner)])));
        expand_names(EXPERIMENT, &mut nested);
        merge(EXPERIMENT, &mut all, nested);
    }
    merge(EXPERIMENT, values, all);
    places.forget_replaced(values);
    Ok(())
}

fn parse(text: &str) -> Result<(&str, Value), ConfigError> {
    let refuse = |reason: String| ConfigError::Override { text: text.to_owned(), reason };
    let (key, written) = text.split_once('=').ok_or_else(|| refuse("there is no \"=\"".to_owned()))?;
    let (key, written) = (key.trim(), written.trim());
    let is_bare =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !key.split('.').all(is_bare) {
        return Err(refuse(format!("\"{key}\" is not a key: names joined by dots are expected before the \"=\"")));
    }
    if written.is_empty() {
        return Err(refuse("there is no value after the \"=\"".to_owned()));
    }
    // A name may look like a number or a date.
    let is_text = matches!(shape_at(key), Some(Shape::Text | Shape::Formula | Shape::Name));
    match written.parse::<Value>() {
        Ok(value) if value.is_str() || !is_text => Ok((key, value)),
        Err(error) if !is_text && !is_word(written) => {
            Err(refuse(format!("the value is not TOML ({})", error.message().replace('\n', "; "))))
        }
        _ => Ok((key, Value::String(written.to_owned()))),
    }
}

/// Whether the value is plainly meant as text, not as a number, list, table or quoted text gone wrong.
fn is_word(written: &str) -> bool {
    let is_number = written.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    !is_number && !written.contains(|c: char| c.is_control() || "[]{}\"'=,#".contains(c))
}

/// The shape at a dotted key outside of enums.
fn shape_at(key: &str) -> Option<Shape> {
    key.split('.')
        .try_fold(EXPERIMENT, |shape, name| shape.keys().iter().find(|key| key.name == name).map(|key| key.shape))
}
