//! From texts to one table of values: defaults, under the file, under the overrides, with the place of each value.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::problem::{ConfigError, ValueOrigin};
use super::schema::{Shape, Variant};
use super::unknown::{element, join};

/// Where the user wrote each dotted key.
#[derive(Debug, Default)]
pub(super) struct ValueOrigins(BTreeMap<String, ValueOrigin>);

impl ValueOrigins {
    /// The place of `key`, else of its first key inside; in a list, where nothing is left to defaults, else of what is
    /// around it.
    pub(super) fn of(&self, key: &str) -> ValueOrigin {
        let inside = format!("{key}.");
        let first_inside = || self.0.range(inside.clone()..).next().filter(|(known, _)| known.starts_with(&inside));
        match self.0.get(key).or_else(|| first_inside().map(|(_, place)| place)) {
            Some(place) => place.clone(),
            None if key.contains('[') => {
                key.rsplit_once(['.', '[']).map_or(ValueOrigin::Default, |(around, _)| self.of(around))
            }
            None => ValueOrigin::Default,
        }
    }

    /// As [`ValueOrigins::of`], of what is around a key without a place of its own.
    pub(super) fn around(&self, key: &str) -> ValueOrigin {
        match (self.of(key), key.rsplit_once(['.', '['])) {
            (ValueOrigin::Default, Some((around, _))) => self.around(around),
            (place, _) => place,
        }
    }

    /// Whether `--set` gave this key or one inside it.
    pub(super) fn has_override(&self, key: &str) -> bool {
        self.0.iter().any(|(known, place)| *place == ValueOrigin::Override && is_within(known, key))
    }

    /// Whether `--set` gave this very key.
    pub(super) fn is_override(&self, key: &str) -> bool {
        self.0.get(key) == Some(&ValueOrigin::Override)
    }

    /// Notes that `--set` gave `key` this value, and with it all that stands inside. A table is laid over what is there, key by
    /// key; anything else hides what was inside.
    pub(super) fn note_override(&mut self, key: &str, value: &Value) {
        let inside: Vec<(String, &Value)> = match value {
            Value::Table(table) => table.iter().map(|(name, value)| (join(key, name), value)).collect(),
            Value::Array(items) => items.iter().enumerate().map(|(index, item)| (element(key, index), item)).collect(),
            _ => Vec::new(),
        };
        if !value.is_table() {
            self.0.retain(|known, _| !is_within(known, key));
        }
        self.0.insert(key.to_owned(), ValueOrigin::Override);
        inside.into_iter().for_each(|(key, value)| self.note_override(&key, value));
    }

    /// Forgets the lines of keys that an override has taken out of `values`: those of variants that it replaced.
    pub(super) fn forget_replaced(&mut self, values: &Value) {
        let overrides: Vec<String> =
            self.0.iter().filter(|(_, place)| **place == ValueOrigin::Override).map(|(key, _)| key.clone()).collect();
        let is_replaced =
            |key: &str| overrides.iter().any(|outer| is_within(key, outer)) && lookup(values, key).is_none();
        self.0.retain(|key, place| *place == ValueOrigin::Override || !is_replaced(key));
    }
}

/// The values of a TOML text and the line of every key.
pub(super) fn read(text: &str, origin: &str) -> Result<(Table, ValueOrigins), ConfigError> {
    let syntax = |error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        ConfigError::Syntax {
            origin: origin.to_owned(),
            line: line_of(text, start),
            message: error.message().replace('\n', "; "),
        }
    };
    let document = DeTable::parse(text).map_err(syntax)?;
    let table = toml::from_str(text).map_err(syntax)?;
    let mut places = ValueOrigins::default();
    note_lines(document.get_ref(), "", &mut |key, start| {
        places.0.insert(key, ValueOrigin::Line { origin: origin.to_owned(), line: line_of(text, start) });
    });
    Ok((table, places))
}

fn line_of(text: &str, start: usize) -> usize {
    text.bytes().take(start).filter(|&byte| byte == b'\n').count() + 1
}

fn note_lines(table: &DeTable<'_>, path: &str, note: &mut impl FnMut(String, usize)) {
    for (name, value) in table.iter() {
        let path = join(path, name.get_ref());
        note(path.clone(), name.span().start);
        note_inside(value, &path, note);
    }
}

fn note_inside(value: &Spanned<DeValue<'_>>, path: &str, note: &mut impl FnMut(String, usize)) {
    match value.get_ref() {
        DeValue::Table(inner) => note_lines(inner, path, note),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let path = element(path, index);
                note(path.clone(), item.span().start);
                note_inside(item, &path, note);
            }
        }
        _ => {}
    }
}

/// Puts `over` on top of `base`: tables key by key, everything else whole. A variant of an enum replaces another variant
/// whole, and is merged with the same one.
pub(super) fn merge(shape: Shape, base: &mut Value, over: Value) {
    match (shape, base, over) {
        (Shape::Table(keys) | Shape::SwitchOrTable(keys), Value::Table(base), Value::Table(over)) => {
            for (name, value) in over {
                match (keys.iter().find(|key| key.name == name), base.get_mut(&name)) {
                    (Some(key), Some(below)) => merge(key.shape, below, value),
                    _ => {
                        base.insert(name, value);
                    }
                }
            }
        }
        (Shape::Variants(variants), Value::Table(base), Value::Table(over)) if same_variant(base, &over) => {
            for (name, value) in over {
                let content = variants.iter().find(|variant| variant.name == name).and_then(|found| found.content);
                if let (Some(content), Some(below)) = (content, base.get_mut(&name)) {
                    merge(content, below, value);
                }
            }
        }
        (Shape::Named(_), Value::Table(base), Value::Table(over)) if same_name(base, &over) => base.extend(over),
        (_, base, over) => *base = over,
    }
}

fn same_variant(base: &Table, over: &Table) -> bool {
    over.len() == 1 && base.len() == 1 && over.keys().eq(base.keys())
}

fn same_name(base: &Table, over: &Table) -> bool {
    match (base.get("name"), over.get("name")) {
        (Some(below), Some(above)) => below == above,
        _ => true,
    }
}

/// Writes variants given by their bare name as tables, where they have content: `"adam"` as `{ adam = {} }`.
pub(super) fn expand_names(shape: Shape, value: &mut Value) {
    match (shape, &mut *value) {
        (Shape::Table(keys) | Shape::SwitchOrTable(keys), Value::Table(table)) => {
            for key in keys {
                if let Some(value) = table.get_mut(key.name) {
                    expand_names(key.shape, value);
                }
            }
        }
        (Shape::Variants(_) | Shape::VariantsOrEmpty(_) | Shape::Layer, Value::String(name)) => {
            let has_content = |variant: &Variant| variant.name == name && variant.content.is_some();
            if shape.variants().iter().any(|variant| has_content(variant) && variant.stands_alone()) {
                *value = Value::Table(Table::from_iter([(name.clone(), Value::Table(Table::new()))]));
            }
        }
        (Shape::Variants(_) | Shape::VariantsOrEmpty(_) | Shape::Layer, Value::Table(table)) => {
            for Variant { name, content } in shape.variants() {
                if let (Some(content), Some(value)) = (content, table.get_mut(*name)) {
                    expand_names(*content, value);
                }
            }
        }
        (Shape::Layers(_) | Shape::Branches, Value::Array(items)) => {
            let Some(item) = shape.item() else { return };
            items.iter_mut().for_each(|value| expand_names(item, value));
        }
        (Shape::Named(variants), Value::String(name)) if variants.iter().any(|variant| variant.name == name) => {
            *value = Value::Table(Table::from_iter([("name".to_owned(), Value::String(name.clone()))]));
        }
        _ => {}
    }
}

/// The value at a dotted key, of a list with an index in brackets, `network.layers[0].dense`.
pub(super) fn lookup<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    key.split(['.', '[']).try_fold(value, |value, part| match value {
        Value::Array(items) => items.get(part.strip_suffix(']')?.parse::<usize>().ok()?),
        _ => value.as_table()?.get(part),
    })
}

/// Removes the value at a dotted key, and the tables that it leaves empty. A list goes whole.
pub(super) fn remove(value: &mut Value, key: &str) {
    let key = key.split_once('[').map_or(key, |(list, _)| list);
    let Some(table) = value.as_table_mut() else { return };
    let (name, rest) = key.split_once('.').unwrap_or((key, ""));
    if let (Some(inner), false) = (table.get_mut(name), rest.is_empty()) {
        remove(inner, rest);
        if inner.as_table().is_none_or(|inner| !inner.is_empty()) {
            return;
        }
    }
    table.remove(name);
}

/// Whether `key` is `outer` or stands inside it.
pub(super) fn is_within(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
