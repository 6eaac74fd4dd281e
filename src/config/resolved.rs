//! The whole configuration as text, every key in a fixed order: what a run was, and what its hash is taken of.

use std::fmt::Write;

use toml::{Table, Value};

use super::experiment::Experiment;
use super::schema::{EXPERIMENT, Key, Shape};
use super::unknown::join;

impl Experiment {
    /// Every key with its value as TOML; an optional key without a value stands as a comment. Equal experiments give equal
    /// bytes, and numbers are written so that they are read back exactly. What was [loaded](super::load) parses to itself; an
    /// experiment of a program that leaves `dataset.preprocessing.train` or `test` open would get their defaults.
    ///
    /// # Panics
    /// If a whole number exceeds 2^63 - 1, the largest of TOML, as no [`Checked`](super::Checked) experiment does.
    pub fn resolved_toml(&self) -> String {
        let table = Table::try_from(self).expect("a checked experiment has no number beyond 2^63 - 1");
        let mut text = String::new();
        section(EXPERIMENT.keys(), &table, "", &mut text);
        text
    }
}

/// The plain keys of a table, then its tables.
fn section(keys: &[Key], table: &Table, path: &str, text: &mut String) {
    let is_section = |key: &Key| matches!(key.shape, Shape::Table(_));
    if keys.iter().any(|key| !is_section(key)) {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}[{path}]");
    }
    for key in keys.iter().filter(|key| !is_section(key)) {
        let _ = match table.get(key.name) {
            Some(Value::Array(items)) if key.shape.item().is_some() => {
                let lines = items.iter().filter_map(|item| Some(format!("    {},\n", inline(key.shape.item()?, item))));
                writeln!(text, "{} = [\n{}]", key.name, lines.collect::<String>())
            }
            Some(value) => writeln!(text, "{} = {}", key.name, inline(key.shape, value)),
            None if key.silent => Ok(()),
            None => writeln!(text, "# {} is not set", key.name),
        };
    }
    for key in keys.iter().filter(|key| is_section(key)) {
        if let Some(Value::Table(inner)) = table.get(key.name) {
            section(key.shape.keys(), inner, &join(path, key.name), text);
        }
    }
}

/// One line, with the keys of enums in the order of the schema.
fn inline(shape: Shape, value: &Value) -> String {
    if let (Some(item), Value::Array(items)) = (shape.item(), value) {
        let items: Vec<String> = items.iter().map(|value| inline(item, value)).collect();
        return format!("[{}]", items.join(", "));
    }
    let Value::Table(table) = value else { return value.to_string() };
    if let (Shape::Layer, Some((name, Value::Table(content)))) = (shape, table.iter().next())
        && content.is_empty()
    {
        return format!("\"{name}\"");
    }
    let pairs: Vec<String> = match shape {
        Shape::Variants(_) | Shape::VariantsOrEmpty(_) | Shape::Layer => shape
            .variants()
            .iter()
            .filter_map(|variant| {
                let content = table.get(variant.name)?;
                Some(format!("{} = {}", variant.name, inline(variant.content.unwrap_or(shape), content)))
            })
            .collect(),
        Shape::Named(variants) => {
            let name = table.get("name");
            let chosen = variants.iter().find(|variant| name.and_then(Value::as_str) == Some(variant.name));
            let keys = chosen.and_then(|variant| variant.content).map_or(&[][..], Shape::keys);
            name.map(|name| format!("name = {name}")).into_iter().chain(entries(keys, table)).collect()
        }
        _ => entries(shape.keys(), table).collect(),
    };
    if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
}

fn entries<'a>(keys: &'a [Key], table: &'a Table) -> impl Iterator<Item = String> + 'a {
    keys.iter().filter_map(|key| Some(format!("{} = {}", key.name, inline(key.shape, table.get(key.name)?))))
}
