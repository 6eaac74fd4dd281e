//! A table of values against the [schema](super::schema): every key known, every value allowed on its own.

use toml::{Table, Value};

use super::problem::{Fault, Place, Problem};
use super::schema::{Key, Range, Shape, Variant};
use super::unknown::{join, nearest_key, nearest_name};

/// All problems of `value`, which stands at the dotted key `path`.
pub(super) fn check(shape: Shape, value: &Value, path: &str, problems: &mut Vec<Problem>) {
    match (shape, value) {
        (Shape::Table(keys), Value::Table(table)) => check_table(keys, table, path, problems),
        (Shape::Variants(variants), Value::Table(table)) => check_variant(variants, table, path, problems),
        (Shape::Variants(variants), Value::String(name)) => {
            match variants.iter().find(|variant| variant.name == name) {
                Some(variant) if variant.stands_alone() => {}
                Some(variant) => {
                    problems.push(not_allowed(path, value, format!("given with its values, {}", form(variant))));
                }
                None => problems.push(not_allowed(path, value, one_of_variants(variants, Some(name)))),
            }
        }
        (Shape::Named(variants), Value::Table(table)) => check_named(variants, table, path, problems),
        (Shape::Names(names), Value::Array(items)) => {
            for item in items.iter().filter(|item| item.as_str().is_none_or(|name| !names.contains(&name))) {
                problems.push(not_allowed(path, item, one_of(names, item.as_str())));
            }
        }
        _ if is_allowed(shape, value) => {}
        _ => problems.push(not_allowed(path, value, allowed(shape, value))),
    }
}

fn check_table(keys: &'static [Key], table: &Table, path: &str, problems: &mut Vec<Problem>) {
    for (name, value) in table {
        let path = join(path, name);
        match keys.iter().find(|key| key.name == name) {
            Some(key) => check(key.shape, value, &path, problems),
            None => {
                let known = keys.iter().map(|key| key.name).collect();
                problems.push(unknown(&path, value, table_name(&path), known));
            }
        }
    }
    for key in keys.iter().filter(|key| key.required && !table.contains_key(key.name)) {
        let allowed = allowed(key.shape, &Value::Boolean(false));
        problems.push(Problem::not_allowed(&join(path, key.name), None, allowed));
    }
}

fn check_variant(variants: &'static [Variant], table: &Table, path: &str, problems: &mut Vec<Problem>) {
    let mut entries = table.iter();
    let only = (entries.next(), entries.next());
    let content = |name: &str| variants.iter().find(|variant| variant.name == name)?.content;
    if let (Some((name, value)), None) = only
        && let Some(content) = content(name)
    {
        return check(content, value, &join(path, name), problems);
    }
    let name = table.keys().next().map(String::as_str);
    problems.push(not_allowed(path, &Value::Table(table.clone()), one_of_variants(variants, name)));
}

fn check_named(variants: &'static [Variant], table: &Table, path: &str, problems: &mut Vec<Problem>) {
    let name = table.get("name");
    let chosen = variants.iter().find(|variant| name.and_then(Value::as_str) == Some(variant.name));
    let Some(chosen) = chosen else {
        let names: Vec<_> = variants.iter().map(|variant| variant.name).collect();
        let allowed = one_of(&names, name.and_then(Value::as_str));
        return problems.push(Problem::not_allowed(&join(path, "name"), name.map(show), allowed));
    };
    let keys = chosen.content.map_or(&[][..], Shape::keys);
    for (name, value) in table.iter().filter(|(name, _)| *name != "name") {
        let path = join(path, name);
        match keys.iter().find(|key| key.name == name) {
            Some(key) => check(key.shape, value, &path, problems),
            None => {
                let known = std::iter::once("name").chain(keys.iter().map(|key| key.name)).collect();
                let table = format!("{} with name = \"{}\"", table_name(&path), chosen.name);
                problems.push(unknown(&path, value, table, known));
            }
        }
    }
}

fn is_allowed(shape: Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Switch, Value::Boolean(_)) => true,
        (Shape::Whole(from, to), Value::Integer(n)) => u64::try_from(*n).is_ok_and(|n| (from..=to).contains(&n)),
        (Shape::Number(range), Value::Float(x)) => range.contains(*x),
        (Shape::Number(range), Value::Integer(n)) => range.contains(*n as f64),
        (Shape::Text, Value::String(text)) => !text.trim().is_empty(),
        (Shape::Name, Value::String(name)) => is_safe_name(name),
        (Shape::Pair, Value::Array(items)) => {
            items.len() == 2 && items.iter().all(|item| is_allowed(Shape::Whole(1, 1000), item))
        }
        (Shape::Wholes(from, to), Value::Array(items)) => {
            !items.is_empty() && items.iter().all(|item| is_allowed(Shape::Whole(from, to), item))
        }
        (Shape::Numbers, Value::Array(items)) => {
            !items.is_empty() && items.iter().all(|item| is_allowed(Shape::Number(Range::Finite), item))
        }
        (Shape::Choice(names), Value::String(name)) => names.contains(&name.as_str()),
        _ => false,
    }
}

fn is_safe_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(plain)
}

/// What the shape allows, in words to follow "must be"; `found` is only looked at for the most similar name.
fn allowed(shape: Shape, found: &Value) -> String {
    match shape {
        Shape::Table([]) => "an empty table".to_owned(),
        Shape::Table(keys) => {
            format!("a table with the keys {}", keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", "))
        }
        Shape::Switch => "true or false".to_owned(),
        Shape::Whole(from, to) => format!("a whole number {}", range(from, to)),
        Shape::Number(range) => range.name().to_owned(),
        Shape::Text => "text in quotes that is not empty".to_owned(),
        Shape::Name => {
            "a name of 1 to 100 letters, digits, '.', '_' and '-' that does not start with '.', in quotes".to_owned()
        }
        Shape::Pair => "two whole numbers from 1 to 1000, for instance [3, 3]".to_owned(),
        Shape::Wholes(from, to) => format!("a list of at least one whole number {}", range(from, to)),
        Shape::Numbers => "a list of at least one finite number, for instance [0.0, 1.0, 0.5]".to_owned(),
        Shape::Names(names) => format!("a list like [\"{}\"], each name {}", names[0], one_of(names, None)),
        Shape::Choice(names) => one_of(names, found.as_str()),
        Shape::Variants(variants) => one_of_variants(variants, None),
        Shape::Named(variants) => {
            let names: Vec<_> = variants.iter().map(|variant| variant.name).collect();
            format!("{{ name = ... }} with a name that is {}", one_of(&names, found.as_str()))
        }
    }
}

fn range(from: u64, to: u64) -> String {
    if to >= i64::MAX as u64 { format!("of at least {from}") } else { format!("from {from} to {to}") }
}

fn one_of(names: &[&'static str], found: Option<&str>) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    with_nearest(format!("one of {}", quoted.join(", ")), names, found)
}

fn one_of_variants(variants: &'static [Variant], found: Option<&str>) -> String {
    let names: Vec<_> = variants.iter().map(|variant| variant.name).collect();
    let forms: Vec<String> = variants.iter().map(form).collect();
    with_nearest(format!("one of {}", forms.join(", ")), &names, found)
}

fn with_nearest(allowed: String, names: &[&'static str], found: Option<&str>) -> String {
    match found.filter(|name| !names.contains(name)).and_then(|name| nearest_name(names, name)) {
        Some(nearest) => format!("{allowed}; did you mean \"{nearest}\"?"),
        None => allowed,
    }
}

/// How a variant is written.
fn form(variant: &Variant) -> String {
    match variant.content {
        Some(Shape::Table(keys)) if !keys.is_empty() => {
            let values: Vec<String> = keys.iter().map(|key| format!("{} = ...", key.name)).collect();
            format!("{{ {} = {{ {} }} }}", variant.name, values.join(", "))
        }
        Some(Shape::Table(_)) | None => format!("\"{}\"", variant.name),
        Some(_) => format!("{{ {} = ... }}", variant.name),
    }
}

fn not_allowed(path: &str, value: &Value, allowed: String) -> Problem {
    Problem::not_allowed(path, Some(show(value)), allowed)
}

fn unknown(path: &str, value: &Value, table: String, known: Vec<&'static str>) -> Problem {
    let fault = Fault::Unknown { nearest: nearest_key(path), table, known };
    Problem { key: path.to_owned(), found: Some(show(value)), place: Place::Default, fault }
}

/// The table in which a dotted key stands; empty at the top.
fn table_name(path: &str) -> String {
    path.rsplit_once('.').map_or("", |(table, _)| table).to_owned()
}

/// A value as TOML on one line, cut where it grows long.
pub(super) fn show(value: &Value) -> String {
    let text = value.to_string().replace('\n', " ");
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
