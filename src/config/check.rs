//! A table of values against the [schema](super::schema): every key known, every value allowed on its own.

use toml::{Table, Value};
use widthwise_theory::activation::Expression;

use super::problem::{ConfigProblem, Fault, ValueOrigin};
use super::schema::{Key, MAX_NESTING, Range, Shape, Variant};
use super::unknown::{element, join, nearest_key, nearest_name};

/// All problems of `value`, which stands at the dotted key `path`.
pub(super) fn check(shape: Shape, value: &Value, path: &str, problems: &mut Vec<ConfigProblem>) {
    match (shape, value) {
        (Shape::Table(keys) | Shape::SwitchOrTable(keys), Value::Table(table)) => {
            check_table(keys, table, path, problems)
        }
        (Shape::VariantsOrEmpty(_), Value::Table(table)) if table.is_empty() => {}
        (Shape::Variants(_) | Shape::VariantsOrEmpty(_) | Shape::Layer, Value::Table(table)) => {
            check_variant(shape, table, path, problems);
        }
        (Shape::Variants(_) | Shape::VariantsOrEmpty(_) | Shape::Layer, Value::String(name)) => {
            check_name(shape, name, path, problems);
        }
        (Shape::Named(variants), Value::Table(table)) => check_named(variants, table, path, problems),
        (Shape::Names(names), Value::Array(items)) => {
            for item in items.iter().filter(|item| item.as_str().is_none_or(|name| !names.contains(&name))) {
                problems.push(not_allowed(path, item, one_of(names, item.as_str())));
            }
        }
        (Shape::Layers(_), Value::Array(_)) if nesting(path) > MAX_NESTING => {
            let allowed = format!("at most {MAX_NESTING} lists deep, network.layers included");
            problems.push(not_allowed(path, value, allowed));
        }
        (Shape::Layers(_) | Shape::Branches, Value::Array(items)) if items.len() >= least(shape) => {
            let Some(item) = shape.item() else { return };
            items.iter().enumerate().for_each(|(index, value)| check(item, value, &element(path, index), problems));
        }
        _ if is_allowed(shape, value) => {}
        _ => problems.push(not_allowed(path, value, allowed(shape, value))),
    }
}

/// Items that a list of tables or variants has at least.
fn least(shape: Shape) -> usize {
    if let Shape::Layers(least) = shape { least } else { 1 }
}

/// Lists of layers around the values of the list at `path`, itself included.
fn nesting(path: &str) -> usize {
    path.split('.').filter(|part| part.split('[').next() == Some("layers")).count()
}

fn check_name(shape: Shape, name: &str, path: &str, problems: &mut Vec<ConfigProblem>) {
    let value = Value::String(name.to_owned());
    match shape.variants().iter().find(|variant| variant.name == name) {
        Some(variant) if variant.refusal().is_some() => problems.push(refused(path, &value, variant)),
        Some(variant) if variant.stands_alone() => {}
        Some(variant) => {
            problems.push(not_allowed(path, &value, format!("given with its values, {}", form(variant))));
        }
        None => problems.push(not_allowed(path, &value, one_of_variants(shape, Some(name)))),
    }
}

fn check_table(keys: &'static [Key], table: &Table, path: &str, problems: &mut Vec<ConfigProblem>) {
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
        problems.push(ConfigProblem::not_allowed(&join(path, key.name), None, allowed));
    }
}

fn check_variant(shape: Shape, table: &Table, path: &str, problems: &mut Vec<ConfigProblem>) {
    let mut entries = table.iter();
    if let (Some((name, value)), None) = (entries.next(), entries.next())
        && let Some(variant) = shape.variants().iter().find(|variant| variant.name == name)
        && let Some(content) = variant.content
    {
        return match variant.refusal() {
            Some(_) => problems.push(refused(path, &Value::Table(table.clone()), variant)),
            None => check(content, value, &join(path, name), problems),
        };
    }
    let name = table.keys().next().map(String::as_str);
    problems.push(not_allowed(path, &Value::Table(table.clone()), one_of_variants(shape, name)));
}

fn check_named(variants: &'static [Variant], table: &Table, path: &str, problems: &mut Vec<ConfigProblem>) {
    let name = table.get("name");
    let chosen = variants.iter().find(|variant| name.and_then(Value::as_str) == Some(variant.name));
    let Some(chosen) = chosen else {
        let names: Vec<_> = variants.iter().map(|variant| variant.name).collect();
        let allowed = one_of(&names, name.and_then(Value::as_str));
        return problems.push(ConfigProblem::not_allowed(&join(path, "name"), name.map(show), allowed));
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
        (Shape::Switch | Shape::SwitchOr(_) | Shape::SwitchOrTable(_), Value::Boolean(_)) => true,
        (Shape::Whole(from, to), Value::Integer(n)) => u64::try_from(*n).is_ok_and(|n| (from..=to).contains(&n)),
        (Shape::Number(range), Value::Float(x)) => range.contains(*x),
        (Shape::Number(range), Value::Integer(n)) => range.contains(*n as f64),
        (Shape::Text, Value::String(text)) => !text.trim().is_empty(),
        (Shape::Formula, Value::String(text)) => Expression::parse(text).is_ok(),
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
        (Shape::Choice(names) | Shape::SwitchOr(names) | Shape::ChoiceOrCells(names), Value::String(name)) => {
            names.contains(&name.as_str())
        }
        (Shape::ChoiceOrCells(_), Value::Array(items)) => {
            items.len() == 2 && items.iter().all(|item| is_allowed(CELLS, item))
        }
        (Shape::ChoiceOrCells(_), Value::Integer(_)) => is_allowed(CELLS, value),
        _ => false,
    }
}

/// Cells of padding on one side.
const CELLS: Shape = Shape::Whole(0, 1000);

fn is_safe_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(plain)
}

/// What the shape allows, in words to follow "must be"; `found` is only examined for the most similar name and for what is
/// wrong with a formula.
fn allowed(shape: Shape, found: &Value) -> String {
    match shape {
        Shape::Table([]) => "an empty table".to_owned(),
        Shape::Table(keys) => {
            format!("a table with the keys {}", keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", "))
        }
        Shape::Switch => "true or false".to_owned(),
        Shape::SwitchOrTable(keys) => format!("true, false or {}", allowed(Shape::Table(keys), found)),
        Shape::SwitchOr(names) => format!("true, false or {}", one_of(names, found.as_str())),
        Shape::Whole(from, to) => format!("a whole number {}", range(from, to)),
        Shape::Number(range) => range.name().to_owned(),
        Shape::Text => "text in quotes that is not empty".to_owned(),
        Shape::Formula => {
            let fault = found.as_str().and_then(|text| Expression::parse(text).err());
            let fault = fault.map_or(String::new(), |error| format!("; {error}"));
            format!("a formula of x in quotes, for instance \"x * sigmoid(1.702 * x)\"{fault}")
        }
        Shape::Name => {
            "a name of 1 to 100 letters, digits, '.', '_' and '-' that does not start with '.', in quotes".to_owned()
        }
        Shape::Pair => "two whole numbers from 1 to 1000, for instance [3, 3]".to_owned(),
        Shape::Wholes(from, to) => format!("a list of at least one whole number {}", range(from, to)),
        Shape::Numbers => "a list of at least one finite number, for instance [0.0, 1.0, 0.5]".to_owned(),
        Shape::Names(names) => format!("a list like [\"{}\"], each name {}", names[0], one_of(names, None)),
        Shape::Choice(names) => one_of(names, found.as_str()),
        Shape::ChoiceOrCells(names) => {
            format!(
                "{}, or cells of zeros on either side, from 0 to 1000, for instance 1 or [1, 1]",
                one_of(names, found.as_str())
            )
        }
        Shape::Variants(_) | Shape::VariantsOrEmpty(_) | Shape::Layer => one_of_variants(shape, None),
        Shape::Layers(0) => "a list of layers, for instance [\"dense\", \"activation\"]".to_owned(),
        Shape::Layers(_) => "a list of at least one layer, for instance [\"dense\", \"activation\"]".to_owned(),
        Shape::Branches => "a list of at least one branch, for instance [{ layers = [\"dense\"] }]".to_owned(),
        Shape::Refused(_) => "left out".to_owned(),
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

fn one_of_variants(shape: Shape, found: Option<&str>) -> String {
    let offered = || shape.variants().iter().filter(|variant| variant.refusal().is_none());
    let names: Vec<_> = offered().map(|variant| variant.name).collect();
    // A layer has so many keys that only those it needs are shown.
    let form = |variant| if matches!(shape, Shape::Layer) { short_form(variant) } else { form(variant) };
    with_nearest(format!("one of {}", offered().map(form).collect::<Vec<_>>().join(", ")), &names, found)
}

fn with_nearest(allowed: String, names: &[&'static str], found: Option<&str>) -> String {
    match found.filter(|name| !names.contains(name)).and_then(|name| nearest_name(names, name)) {
        Some(nearest) => format!("{allowed}; did you mean \"{nearest}\"?"),
        None => allowed,
    }
}

/// How a variant is written, with all its keys.
fn form(variant: &Variant) -> String {
    written(variant, |_| true)
}

/// How a variant is written at the least.
fn short_form(variant: &Variant) -> String {
    if variant.stands_alone() { format!("\"{}\"", variant.name) } else { written(variant, |key| key.required) }
}

fn written(variant: &Variant, is_shown: impl Fn(&Key) -> bool) -> String {
    match variant.content {
        Some(Shape::Table(keys)) if !keys.is_empty() => {
            let values: Vec<String> =
                keys.iter().filter(|key| is_shown(key)).map(|key| format!("{} = ...", key.name)).collect();
            format!("{{ {} = {{ {} }} }}", variant.name, values.join(", "))
        }
        Some(Shape::Table(_)) | None => format!("\"{}\"", variant.name),
        Some(_) => format!("{{ {} = ... }}", variant.name),
    }
}

fn not_allowed(path: &str, value: &Value, allowed: String) -> ConfigProblem {
    ConfigProblem::not_allowed(path, Some(show(value)), allowed)
}

fn refused(path: &str, value: &Value, variant: &Variant) -> ConfigProblem {
    let fault = Fault::Conflict { reason: variant.refusal().unwrap_or_default().to_owned() };
    ConfigProblem { key: path.to_owned(), found: Some(show(value)), place: ValueOrigin::Default, fault }
}

fn unknown(path: &str, value: &Value, table: String, known: Vec<&'static str>) -> ConfigProblem {
    // The keys inside a list are not among the known dotted keys.
    let beside = || nearest_name(&known, path.rsplit('.').next()?).map(|name| join(&table_name(path), name));
    let nearest = if path.contains('[') { beside() } else { None };
    let fault = Fault::Unknown { nearest: nearest.or_else(|| nearest_key(path)), table, known };
    ConfigProblem { key: path.to_owned(), found: Some(show(value)), place: ValueOrigin::Default, fault }
}

/// The table in which a dotted key stands; empty at the top.
fn table_name(path: &str) -> String {
    path.rsplit_once('.').map_or("", |(table, _)| table).to_owned()
}

/// A value as TOML on one line, cut where it grows long.
pub(super) fn show(value: &Value) -> String {
    let text = by_name(value).to_string().replace('\n', " ");
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The value with its variants as bare names where they hold nothing, as they are usually written.
fn by_name(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(by_name).collect()),
        Value::Table(table) => match table.iter().next() {
            Some((name, Value::Table(content))) if table.len() == 1 && content.is_empty() => {
                Value::String(name.clone())
            }
            _ => Value::Table(table.iter().map(|(name, value)| (name.clone(), by_name(value))).collect()),
        },
        _ => value.clone(),
    }
}
