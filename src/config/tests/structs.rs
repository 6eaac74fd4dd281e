//! The schema and the structs say the same.

use std::collections::BTreeSet;

use super::super::schema::{Key, Range, Shape};
use super::super::unknown::join;
use super::*;

fn nested(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |inner, name| table([(name, inner)]))
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn read(value: Value) -> Result<Experiment, String> {
    value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// The names that serde lists when it meets one that it does not know.
fn known_to_serde(path: &str, value: Value) -> BTreeSet<String> {
    let document = if path.is_empty() { value } else { nested(path, value) };
    listed(path, &read(document).expect_err(path))
}

/// The names in a message of serde's about one that it does not know.
fn listed(path: &str, message: &str) -> BTreeSet<String> {
    assert!(message.starts_with("unknown "), "{path}: {message}");
    message.split('`').skip(1).step_by(2).filter(|name| *name != "zzz").map(str::to_owned).collect()
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn zzz() -> Value {
    table([("zzz", Value::Boolean(true))])
}

fn compare(shape: Shape, path: &str) {
    match shape {
        Shape::Table(keys) if keys.iter().any(|key| key.required) => compare_required(keys, path),
        Shape::Table(keys) => {
            assert_eq!(known_to_serde(path, zzz()), names(keys.iter().map(|key| key.name)), "{path}");
            keys.iter().for_each(|key| compare(key.shape, &join(path, key.name)));
        }
        Shape::Choice(choices) => {
            assert_eq!(known_to_serde(path, Value::String("zzz".into())), names(choices.iter().copied()), "{path}");
        }
        Shape::Variants(variants) => {
            let listed = known_to_serde(path, Value::String("zzz".into()));
            assert_eq!(listed, names(variants.iter().map(|variant| variant.name)), "{path}");
            for variant in variants {
                let path = join(path, variant.name);
                match variant.content {
                    Some(content @ Shape::Table(_)) => {
                        compare(content, &path);
                        let alone = read(nested(&path, table([])));
                        assert_eq!(alone.is_ok(), variant.stands_alone(), "{path}: {alone:?}");
                    }
                    Some(content) => compare(content, &path),
                    None => {}
                }
            }
        }
        Shape::Named(variants) => {
            let listed = known_to_serde(path, table([("name", Value::String("zzz".into()))]));
            assert_eq!(listed, names(variants.iter().map(|variant| variant.name)), "{path}");
            for variant in variants {
                let keys = variant.content.map_or(&[][..], Shape::keys);
                let value = table([("name", Value::String(variant.name.into())), ("zzz", Value::Boolean(true))]);
                assert_eq!(
                    known_to_serde(path, value),
                    names(keys.iter().map(|key| key.name)),
                    "{path} {}",
                    variant.name
                );
                for (key, sample) in
                    keys.iter().flat_map(|key| samples(key.shape).into_iter().map(move |value| (key, value)))
                {
                    let value = table([("name", Value::String(variant.name.into())), (key.name, sample)]);
                    assert!(read(nested(path, value)).is_ok(), "{path}.{}", key.name);
                }
            }
        }
        _ => {
            for value in samples(shape) {
                let read = read(nested(path, value.clone()));
                assert!(read.is_ok(), "{path} = {value}: {read:?}");
            }
        }
    }
}

/// A variant whose keys have no defaults reads with all of them and with none left out.
fn compare_required(keys: &[Key], path: &str) {
    let mut whole = toml::Table::new();
    for key in keys {
        assert!(key.required, "{path}.{}", key.name);
        whole.insert(key.name.to_owned(), samples(key.shape).remove(0));
    }
    assert!(read(nested(path, Value::Table(whole.clone()))).is_ok(), "{path}");
    for key in keys {
        let mut part = whole.clone();
        part.remove(key.name);
        assert!(read(nested(path, Value::Table(part))).is_err(), "{path} without {}", key.name);
    }
}

/// Allowed values, at the ends of the range where there is one.
fn samples(shape: Shape) -> Vec<Value> {
    let whole = |n: u64| Value::Integer(i64::try_from(n).unwrap());
    match shape {
        Shape::Switch => vec![Value::Boolean(true)],
        Shape::SwitchOrTable(_) => {
            let own = table([("schedule", table([("every", Value::Integer(7))]))]);
            vec![Value::Boolean(true), Value::Boolean(false), own]
        }
        Shape::SwitchOr(names) => {
            let named = names.iter().map(|&name| Value::String(name.into()));
            named.chain([Value::Boolean(true), Value::Boolean(false)]).collect()
        }
        Shape::Whole(from, to) => vec![whole(from), whole(to)],
        Shape::Number(_) => vec![Value::Float(0.5), Value::Integer(1)],
        Shape::Text | Shape::Name => vec![Value::String("text".into())],
        Shape::Formula => vec![Value::String("max(x, 0)^2".into())],
        Shape::Pair => vec![Value::Array(vec![whole(1), whole(2)])],
        Shape::ChoiceOrCells(names) => {
            let cells = [whole(0), Value::Array(vec![whole(0), whole(1000)])];
            names.iter().map(|&name| Value::String(name.into())).chain(cells).collect()
        }
        Shape::Wholes(from, to) => vec![Value::Array(vec![whole(from), whole(to)])],
        Shape::Numbers => vec![Value::Array(vec![Value::Float(0.5), Value::Integer(1)])],
        Shape::Names(names) => vec![Value::Array(names.iter().map(|&name| Value::String(name.into())).collect())],
        _ => Vec::new(),
    }
}

#[test]
fn the_schema_has_the_keys_variants_and_types_of_the_structs() {
    compare(EXPERIMENT, "");
}

fn read_layer(value: Value) -> Result<LayerConfig, String> {
    value.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// As `compare`, for the content of one layer, whose defaults are not those of a table of the experiment.
fn compare_layer(name: &str, content: Shape) {
    let layer = |content: Value| read_layer(table([(name, content)]));
    let Shape::Table(keys) = content else {
        match content {
            Shape::VariantsOrEmpty(_) => {
                assert!(layer(table([])).is_ok() && layer(Value::String("relu".into())).is_ok(), "{name}");
            }
            Shape::Branches => {
                let branch = |entries| layer(Value::Array(vec![table(entries)]));
                assert!(branch([("scale", Value::Float(0.5)), ("layers", Value::Array(vec![]))]).is_ok());
                let message = branch([("scale", Value::Integer(1)), ("zzz", Value::Integer(1))]).unwrap_err();
                assert_eq!(listed(name, &message), names(["scale", "layers"]));
            }
            _ => panic!("{name}"),
        }
        return;
    };
    let value_of = |key: &Key| match key.shape {
        Shape::Choice(choices) | Shape::ChoiceOrCells(choices) => Value::String(choices[0].into()),
        Shape::Layers(_) => Value::Array(Vec::new()),
        shape => samples(shape).remove(0),
    };
    let with = |keys: Vec<&Key>| Value::Table(keys.iter().map(|key| (key.name.to_owned(), value_of(key))).collect());
    assert!(layer(with(keys.iter().collect())).is_ok(), "{name} with every key");
    let required: Vec<&Key> = keys.iter().filter(|key| key.required).collect();
    assert!(layer(with(required.clone())).is_ok(), "{name} with what it needs");
    for left_out in &required {
        let others = required.iter().copied().filter(|key| key.name != left_out.name).collect();
        assert!(layer(with(others)).is_err(), "{name} without {}", left_out.name);
    }
    if !keys.is_empty() {
        let message = layer(zzz()).unwrap_err();
        assert_eq!(listed(name, &message), names(keys.iter().map(|key| key.name)), "{name}");
    }
}

#[test]
fn the_schema_has_the_layers_of_the_structs() {
    let offered = || Shape::Layer.variants().iter().filter(|variant| variant.refusal().is_none());
    let message = read_layer(Value::String("zzz".into())).unwrap_err();
    assert_eq!(listed("layers", &message), names(offered().map(|variant| variant.name)));
    for variant in offered() {
        compare_layer(variant.name, variant.content.unwrap());
    }
}

#[test]
fn a_value_of_another_type_is_refused_by_its_key() {
    for key in super::unknown::known_keys() {
        let Err(ConfigError::Invalid(problems)) = in_file(&format!("{key} = [[true]]"), &[]) else {
            panic!("{key} = [[true]]")
        };
        let is_about_key =
            |problem: &ConfigProblem| problem.key == format!("{key}[0]") || values::is_within(&key, &problem.key);
        // A parameter of a data set lacks the name of its data set.
        let is_parameter =
            |problem: &ConfigProblem| key.starts_with("dataset.source.") && problem.key == "dataset.source.name";
        assert!(problems.iter().any(|problem| is_about_key(problem) || is_parameter(problem)), "{key}: {problems:?}");
    }
}

#[test]
fn ranges_end_where_they_say() {
    for (range, inside, outside) in [
        (Range::Finite, vec![f64::MIN, 0.0, f64::MAX], vec![]),
        (Range::Positive, vec![f64::MIN_POSITIVE, f64::MAX], vec![0.0, -0.0, -1.0]),
        (Range::NotNegative, vec![0.0, 1.0], vec![-f64::MIN_POSITIVE]),
        (Range::BelowOne, vec![0.0, 1.0 - f64::EPSILON], vec![-0.1, 1.0]),
        (Range::Inside, vec![0.001, 0.999], vec![0.0, 1.0]),
        (Range::Fraction, vec![0.0, 1.0], vec![-0.1, 1.1]),
        (Range::Share, vec![f64::MIN_POSITIVE, 1.0], vec![0.0, 1.1]),
    ] {
        assert!(inside.into_iter().all(|x| range.contains(x)), "{range:?}");
        let never = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        assert!(!outside.into_iter().chain(never).any(|x| range.contains(x)), "{range:?}");
    }
}

#[test]
fn whole_numbers_end_where_they_say() {
    for (key, least) in
        [("run.members", 1), ("network.depth", 1), ("network.width", 1), ("probes.examples", 2), ("run.seed", 0)]
    {
        assert!(set(&[&format!("{key}={}", least - 1)]).is_err(), "{key}");
        assert!(set(&[&format!("{key}={least}")]).is_ok(), "{key}");
    }
}
