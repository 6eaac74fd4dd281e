//! Values at the ends of what the schema allows, for every key.

use toml::{Table, Value};

use super::super::schema::{EXPERIMENT, Key, Range, Shape, Variant};
use super::super::unknown::join;

/// Largest of the whole numbers that say how much there is to compute, by the last part of their key: what is tried is whether the
/// program survives a value, not how long it takes. The others are drawn up to the end of their range.
const SMALL: [(&str, u64); 20] = [
    ("members", 2),
    ("input_dim", 5),
    ("teacher_width", 5),
    ("train", 12),
    ("test", 6),
    ("permuted_tasks", 3),
    ("depth", 3),
    ("width", 6),
    ("widths", 6),
    ("count", 5),
    ("steps", 3),
    ("batch_size", 12),
    ("jacobian_vectors", 2),
    ("jacobian_examples", 12),
    ("examples", 12),
    ("classes", 3),
    ("positive", 1),
    ("filter_size", 3),
    ("stride", 3),
    ("pool", 2),
];

/// Zero, subnormal numbers, numbers whose square is none, numbers at the ends of ranges, and ordinary ones.
const NUMBERS: [f64; 10] = [0.0, 5e-324, 1e-310, 1e-160, 0.5, 1.0 - f64::EPSILON / 2.0, 1.0, 1e20, 1e160, f64::MAX];

const FORMULAS: [&str; 8] = [
    "x",
    "1e308 * x * x",
    "1e-308 * x",
    "x / (x - x)",
    "x ^ 40",
    "max(x, 0) ^ 3 - abs(x)",
    "sin(1e6 * x)",
    "tanh(1e300 * x)",
];

/// Every key without keys of its own, and its shape.
pub(super) fn leaves() -> Vec<(String, Shape)> {
    let mut found = Vec::new();
    collect(EXPERIMENT, "", &mut found);
    found
}

fn collect(shape: Shape, path: &str, found: &mut Vec<(String, Shape)>) {
    match shape {
        Shape::Table(keys) => keys.iter().for_each(|key| collect(key.shape, &join(path, key.name), found)),
        _ => found.push((path.to_owned(), shape)),
    }
}

/// Values of a key: the ends of its range, what lies just inside them, and something ordinary.
pub(super) fn ends(shape: Shape, name: &str) -> Vec<Value> {
    match shape {
        Shape::Table(keys) => tables(keys),
        Shape::Switch => vec![Value::Boolean(false), Value::Boolean(true)],
        Shape::SwitchOrTable(keys) => ends(Shape::Switch, name).into_iter().chain(tables(keys)).collect(),
        Shape::SwitchOr(names) => ends(Shape::Switch, name).into_iter().chain(texts(names)).collect(),
        Shape::Whole(from, to) => wholes(from, to, name).into_iter().map(Value::Integer).collect(),
        Shape::Number(range) => numbers(range).into_iter().map(Value::Float).collect(),
        Shape::Text | Shape::Name => texts(&["a"]),
        Shape::Formula => texts(&FORMULAS),
        Shape::Pair => wholes(1, 1000, name).iter().flat_map(|&n| [[n, n], [1, n]]).map(list_of_wholes).collect(),
        Shape::Wholes(from, to) => {
            wholes(from, to, name).iter().flat_map(|&n| [vec![n], vec![from as i64, n]]).map(list_of_wholes).collect()
        }
        Shape::Numbers => numbers(Range::Finite)
            .into_iter()
            .flat_map(|x| [vec![x], vec![0.0, x], vec![0.5, 1.0, x]])
            .map(|list| Value::Array(list.into_iter().map(Value::Float).collect()))
            .collect(),
        Shape::Names(names) => vec![Value::Array(Vec::new()), Value::Array(texts(names))],
        Shape::Choice(names) => texts(names),
        Shape::ChoiceOrCells(names) => {
            let cells = wholes(0, 1000, name);
            let pairs = cells.iter().flat_map(|&n| [[n, n], [0, n]]).map(list_of_wholes);
            texts(names).into_iter().chain(cells.iter().copied().map(Value::Integer)).chain(pairs).collect()
        }
        Shape::Variants(variants) => of_variants(variants),
        Shape::VariantsOrEmpty(variants) => {
            of_variants(variants).into_iter().chain([Value::Table(Table::new())]).collect()
        }
        Shape::Named(variants) => variants.iter().flat_map(of_named).collect(),
        Shape::Layers(_) if name == "layers" => of_variants(Shape::Layer.variants())
            .into_iter()
            .map(|layer| Value::Array(vec!["dense".into(), layer, "activation".into()]))
            .collect(),
        // Around a layer there is one list; inside, one that is short.
        Shape::Layers(_) => vec![Value::Array(vec!["dense".into(), "activation".into()])],
        Shape::Layer => of_variants(shape.variants()),
        Shape::Branches => numbers(Range::Finite)
            .into_iter()
            .map(|scale| {
                let branch = Table::from_iter([("scale".to_owned(), Value::Float(scale))]);
                Value::Array(vec![Value::Table(branch), Value::Table(Table::new())])
            })
            .collect(),
        Shape::Refused(_) => Vec::new(),
    }
}

/// Neither an end nor close to one.
fn ordinary(shape: Shape, name: &str) -> Option<Value> {
    let all = ends(shape, if name == "layers" { "inner" } else { name });
    all.get(all.len() / 2).cloned()
}

fn texts(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| Value::String((*name).to_owned())).collect()
}

fn list_of_wholes(list: impl AsRef<[i64]>) -> Value {
    Value::Array(list.as_ref().iter().copied().map(Value::Integer).collect())
}

fn wholes(from: u64, to: u64, name: &str) -> Vec<i64> {
    let most = SMALL.iter().find(|(small, _)| *small == name).map_or(to, |(_, most)| to.min(*most));
    let mut found: Vec<i64> = [from, from + 1, most / 2, most - 1, most]
        .into_iter()
        .filter(|n| (from..=most).contains(n))
        .map(|n| n as i64)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn numbers(range: Range) -> Vec<f64> {
    // One number in three also below zero.
    let negative = NUMBERS.into_iter().skip(1).step_by(3).map(|x| -x);
    NUMBERS.into_iter().chain(negative).filter(|x| range.contains(*x)).collect()
}

/// A table for each end of each key, the others ordinary where they have no default.
fn tables(keys: &'static [Key]) -> Vec<Value> {
    let rest = |but: &'static str| {
        let others = keys.iter().filter(move |key| key.required && key.name != but);
        others.filter_map(|key| Some((key.name.to_owned(), ordinary(key.shape, key.name)?)))
    };
    let with = |key: &Key, value: Value| Value::Table(rest(key.name).chain([(key.name.to_owned(), value)]).collect());
    let mut found: Vec<Value> = keys
        .iter()
        .flat_map(|key| {
            let name = if key.name == "layers" { "inner" } else { key.name };
            ends(key.shape, name).into_iter().map(move |value| with(key, value))
        })
        .collect();
    if found.is_empty() {
        found.push(Value::Table(Table::new()));
    }
    found
}

fn of_variants(variants: &'static [Variant]) -> Vec<Value> {
    let inside = |variant: &Variant| match variant.content {
        None => texts(&[variant.name]),
        Some(content) => ends(content, variant.name)
            .into_iter()
            .map(|value| Value::Table(Table::from_iter([(variant.name.to_owned(), value)])))
            .collect(),
    };
    variants.iter().flat_map(inside).collect()
}

fn of_named(variant: &Variant) -> Vec<Value> {
    let named = |mut table: Table| {
        table.insert("name".to_owned(), Value::String(variant.name.to_owned()));
        Value::Table(table)
    };
    let content = variant.content.map_or_else(Vec::new, |content| ends(content, variant.name));
    content.into_iter().filter_map(|value| value.as_table().cloned()).map(named).collect()
}
