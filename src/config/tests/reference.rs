//! `docs/configuration.md` holds every key of the schema with its default and what it may be. `WIDTHWISE_WRITE_DOCS=1` writes it anew.

use std::fs;
use std::path::PathBuf;

use toml::Value;

use super::super::schema::{EXPERIMENT, Key, Shape, Variant};
use super::super::unknown::join;
use super::*;

const BEGIN: &str = "<!-- keys: written by a test -->\n";
const END: &str = "<!-- end of keys -->\n";

#[test]
fn the_reference_has_every_key_and_no_other() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{}{END}{after}", reference());
    if std::env::var_os("WIDTHWISE_WRITE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(text == expected, "docs/configuration.md is old: run this test with WIDTHWISE_WRITE_DOCS=1");
}

fn reference() -> String {
    let defaults = Value::try_from(Experiment::default()).unwrap();
    let mut text = String::new();
    tables(&mut text, EXPERIMENT, "", Some(&defaults));
    let enums: [(&str, &[Variant]); 4] = [
        ("Data sets", shape_at("dataset.source").named()),
        ("Activations", shape_at("network.activation").variants()),
        ("Optimizers", shape_at("training.optimizer").variants()),
        ("Layers", Shape::Layer.variants()),
    ];
    for (title, variants) in enums {
        text.push_str(&format!("\n### {title}\n\n| name | keys |\n|---|---|\n"));
        for variant in variants {
            let content = match variant.content {
                _ if variant.refusal().is_some() => format!("refused: {}", variant.refusal().unwrap_or_default()),
                Some(shape) if !shape.keys().is_empty() => keys(shape.keys()),
                Some(Shape::Table(_)) | None => String::new(),
                Some(shape) => words(shape),
            };
            text.push_str(&format!("| `{}` | {content} |\n", variant.name));
        }
    }
    text.push('\n');
    text
}

/// One table of Markdown for a table of the schema, then those within it.
fn tables(text: &mut String, shape: Shape, path: &str, defaults: Option<&Value>) {
    let (tables_within, values): (Vec<&Key>, Vec<&Key>) =
        shape.keys().iter().partition(|key| matches!(key.shape, Shape::Table(_)));
    if !values.is_empty() {
        text.push_str(&format!("\n### `[{path}]`\n\n| key | default | may be |\n|---|---|---|\n"));
        for key in values {
            let default = defaults.and_then(|table| table.get(key.name)).map_or("none".to_owned(), default_text);
            text.push_str(&format!("| `{}` | {default} | {} |\n", key.name, words(key.shape)));
        }
    }
    for key in tables_within {
        tables(text, key.shape, &join(path, key.name), defaults.and_then(|table| table.get(key.name)));
    }
}

fn default_text(value: &Value) -> String {
    format!("`{}`", value.to_string().replace('\n', " "))
}

fn shape_at(path: &str) -> Shape {
    path.split('.').fold(EXPERIMENT, |shape, name| shape.keys().iter().find(|key| key.name == name).unwrap().shape)
}

fn keys(keys: &[Key]) -> String {
    let one = |key: &Key| format!("`{}`: {}", key.name, words(key.shape));
    keys.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// What a value of this shape may be.
fn words(shape: Shape) -> String {
    let listed = |names: &[&str]| names.iter().map(|name| format!("`\"{name}\"`")).collect::<Vec<_>>().join(", ");
    let names = |variants: &[Variant]| {
        let allowed: Vec<String> =
            variants.iter().filter(|v| v.refusal().is_none()).map(|v| format!("`{}`", v.name)).collect();
        allowed.join(", ")
    };
    match shape {
        Shape::Table(within) => format!("a table: {}", keys(within)),
        Shape::Switch => "`true` or `false`".to_owned(),
        Shape::SwitchOr(others) => format!("`true`, `false`, {}", listed(others)),
        Shape::SwitchOrTable(within) => format!("`true`, `false`, or a table: {}", keys(within)),
        Shape::Whole(low, high) if high == i64::MAX as u64 => format!("a whole number of at least {low}"),
        Shape::Whole(low, high) => format!("a whole number from {low} to {high}"),
        Shape::Number(range) => range.name().to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Formula => "a formula of `x`".to_owned(),
        Shape::Name => "letters, digits, `.`, `_` and `-`".to_owned(),
        Shape::Pair => "two whole numbers from 1 to 1000: vertical, horizontal".to_owned(),
        Shape::Wholes(low, high) => format!("a list of whole numbers from {low} to {high}"),
        Shape::Numbers => "a list of finite numbers".to_owned(),
        Shape::Names(all) => format!("a list of {}", listed(all)),
        Shape::Choice(all) => listed(all),
        Shape::ChoiceOrCells(all) => format!("{}, or cells of zeros: `1` or `[1, 1]`", listed(all)),
        Shape::Variants(variants) => names(variants),
        Shape::VariantsOrEmpty(variants) => format!("{}, or nothing", names(variants)),
        Shape::Named(variants) => format!("a table with `name` = {}", names(variants)),
        Shape::Layers(least) => format!("a list of at least {least} of the layers below"),
        Shape::Layer => "a layer".to_owned(),
        Shape::Branches => "a list of branches: `{ scale, layers }`".to_owned(),
        Shape::Refused(reason) => format!("refused: {reason}"),
    }
}

impl Shape {
    fn named(self) -> &'static [Variant] {
        match self {
            Self::Named(variants) => variants,
            _ => &[],
        }
    }
}
