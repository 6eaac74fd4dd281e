//! The commented file and the example configurations.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::super::schema::Shape;
use super::super::unknown::join;
use super::*;

/// File stem, text and checked experiment of every example.
fn examples() -> Vec<(String, String, Checked)> {
    let mut paths: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: PathBuf| {
        let checked = load(Some(&path), &[]).unwrap_or_else(|error| panic!("{error}"));
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap(), checked)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn every_example_is_allowed_and_says_how_to_run_it() {
    for (name, text, experiment) in examples() {
        assert_eq!(experiment.run.name, name);
        assert!(text.contains(&format!("\n#   widthwise run examples/{name}.toml\n")), "{name}");
        assert!(text.contains("on a laptop"), "{name} says how long it takes");
    }
}

#[test]
fn the_network_of_the_reference_is_allowed() {
    let reference = include_str!("../../../docs/configuration.md");
    let text = reference.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(in_file(text, &[]).unwrap().network.hidden_widths(), [64, 64, 256]);
}

#[test]
fn every_family_data_set_and_kind_of_gates_has_an_example() {
    let examples = examples();
    let families: BTreeSet<_> = examples.iter().map(|(_, _, experiment)| experiment.network.family.name()).collect();
    assert_eq!(families, BTreeSet::from(["mlp", "cnn", "deep_linear", "gated_deep_linear", "layers"]));
    let sources: BTreeSet<_> = examples.iter().map(|(_, _, experiment)| experiment.dataset.source.name()).collect();
    assert_eq!(sources, BTreeSet::from(widthwise_datasets::spec::NAMES));
    for kind in [GateKind::Heaviside, GateKind::KMeans, GateKind::Task] {
        assert!(examples.iter().any(|(_, _, experiment)| experiment.network.gates.kind == kind), "{kind:?}");
    }
}

#[test]
fn no_file_is_the_first_example() {
    let (.., example) = examples().into_iter().find(|(name, ..)| name == "mnist_mlp").unwrap();
    assert_eq!(load(None, &[]).unwrap(), example);
}

#[test]
fn the_mean_field_example_differs_by_its_parameterization_only() {
    let find = |wanted: &str| examples().into_iter().find(|(name, ..)| name == wanted).unwrap().2.into_inner();
    let (ntk, mut mean_field) = (find("mnist_mlp"), find("mnist_mlp_mean_field"));
    assert_eq!(mean_field.claims.required, ["ntk_frozen"]);
    mean_field.network.parameterization = ntk.network.parameterization;
    mean_field.run.name.clone_from(&ntk.run.name);
    mean_field.claims = ntk.claims.clone();
    assert_eq!(mean_field, ntk);
}

#[test]
fn every_example_reads_back_from_its_resolved_text() {
    for (name, _, experiment) in examples() {
        assert_eq!(parse(&experiment.resolved_toml(), &name, &[]).unwrap(), experiment, "{name}");
    }
}

#[test]
fn the_commented_file_is_the_default() {
    assert_eq!(parse(&COMMENTED, "commented", &[]).unwrap().into_inner(), Experiment::default());
    // Each value stands there, none is left to the defaults: the text says the same without them.
    let written: Experiment = {
        let mut values: Value = toml::from_str(&COMMENTED).unwrap();
        values::expand_names(EXPERIMENT, &mut values);
        values.try_into().unwrap()
    };
    assert_eq!(written, Experiment::default());
}

#[test]
fn the_commented_file_has_every_key_under_a_comment_of_its_own() {
    fn visit(shape: Shape, path: &str) {
        for key in shape.keys() {
            let path = join(path, key.name);
            match key.shape {
                Shape::Table(_) => {
                    visit(key.shape, &path);
                    let has_keys_of_its_own = key.shape.keys().iter().any(|key| !matches!(key.shape, Shape::Table(_)));
                    assert!(!has_keys_of_its_own || COMMENTED.contains(&format!("\n[{path}]\n")), "[{path}]");
                }
                _ => assert_key(&path),
            }
        }
    }
    fn assert_key(path: &str) {
        let (table, name) = path.rsplit_once('.').unwrap();
        let section = COMMENTED.split(&format!("\n[{table}]\n")).nth(1).unwrap().split("\n[").next().unwrap();
        let lines: Vec<&str> = section.lines().collect();
        let is_key = |line: &&str| line.trim_start_matches("# ").starts_with(&format!("{name} = "));
        let at = lines.iter().position(is_key).unwrap_or_else(|| panic!("{path} is missing"));
        assert!(at > 0 && lines[at - 1].starts_with("# "), "{path} has no comment");
    }
    visit(EXPERIMENT, "");
}

#[test]
fn the_commented_file_names_every_variant() {
    fn visit(shape: Shape, path: &str) {
        let mentions =
            |name: &str| COMMENTED.contains(&format!("\"{name}\"")) || COMMENTED.contains(&format!("{{ {name} = "));
        match shape {
            Shape::Table(keys) => keys.iter().for_each(|key| visit(key.shape, &join(path, key.name))),
            Shape::Choice(names) | Shape::ChoiceOrCells(names) | Shape::Names(names) => {
                names.iter().for_each(|name| assert!(mentions(name), "{path}: {name}"));
            }
            Shape::Variants(variants) => {
                variants.iter().for_each(|variant| assert!(mentions(variant.name), "{path}: {}", variant.name));
            }
            Shape::Layers(_) => {
                let offered = Shape::Layer.variants().iter().filter(|variant| variant.refusal().is_none());
                offered.for_each(|variant| assert!(mentions(variant.name), "{path}: {}", variant.name));
            }
            Shape::Named(variants) => {
                for variant in variants {
                    assert!(mentions(variant.name), "{path}: {}", variant.name);
                    for key in variant.content.map_or(&[][..], Shape::keys) {
                        assert!(COMMENTED.contains(&format!("{} = ", key.name)), "{path}: {}", key.name);
                    }
                }
            }
            _ => {}
        }
    }
    visit(EXPERIMENT, "");
}
