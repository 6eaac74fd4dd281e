//! A seeded mutator of configurations: whatever becomes of a text, it is accepted or refused in a sentence.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{Rng, RngExt};

use super::super::text::decode;
use super::*;
use crate::monitor::Silent;
use crate::run::{RunOptions, run};
use crate::signals::StopFlag;

/// Texts that are parsed and checked.
const CASES: usize = 2000;

/// Of those that are accepted, so many are also run, each made small.
const RUN: usize = 40;

/// Values of every type and size, right and wrong.
const VALUES: [&str; 40] = [
    "0",
    "1",
    "2",
    "-1",
    "7",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "0.0",
    "-0.0",
    "5e-324",
    "1e-310",
    "0.5",
    "1.0",
    "1e20",
    "1e308",
    "1e999",
    "nan",
    "-inf",
    "inf",
    "true",
    "false",
    "\"\"",
    "\"relu\"",
    "\"mnist\"",
    "\"\\u0000\"",
    "\"x * tanh(x)\"",
    "[]",
    "{}",
    "[1, 2]",
    "[0.5]",
    "[[]]",
    "[\"dense\", \"activation\"]",
    "{ log = 3 }",
    "{ absolute = 0.1 }",
    "{ cos = { a = 2.0 } }",
    "{ name = \"uniform-sphere\" }",
    "1979-05-27",
    "[{ dense = { width = 3 } }]",
    "'''\n'''",
];

/// All examples, the commented file, the resolved defaults, and an empty file.
fn texts() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let examples = paths.iter().map(|path| fs::read_to_string(path).unwrap());
    examples.chain([COMMENTED.clone(), Experiment::default().resolved_toml(), String::new()]).collect()
}

fn pick<'a, T: ?Sized>(random: &mut impl Rng, from: &[&'a T]) -> &'a T {
    from[random.random_range(0..from.len())]
}

/// One mutation of bytes, lines, values, keys or types.
fn mutate(text: &str, random: &mut impl Rng) -> Vec<u8> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let assignments: Vec<usize> =
        (0..lines.len()).filter(|&i| lines[i].contains(" = ") && !lines[i].starts_with('#')).collect();
    let kind = if assignments.is_empty() { 0 } else { random.random_range(0..10) };
    if kind < 3 {
        let mut bytes = text.as_bytes().to_vec();
        let place = random.random_range(0..=bytes.len());
        match random.random_range(0..4) {
            0 => bytes.insert(place, random.random()),
            1 => bytes.truncate(place),
            2 if place < bytes.len() => drop(bytes.remove(place)),
            _ if place < bytes.len() => bytes[place] ^= 1 << random.random_range(0..8),
            _ => bytes.extend_from_slice(b"\0[["),
        }
        return bytes;
    }
    let line = assignments[random.random_range(0..assignments.len())];
    let (key, value) = lines[line].split_once(" = ").map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap();
    match kind {
        3 => drop(lines.remove(line)),
        4 => {
            let other = random.random_range(0..lines.len());
            lines.swap(line, other);
        }
        5 => lines.insert(random.random_range(0..lines.len()), format!("{key} = {value}")),
        6 => {
            let mut letters: Vec<char> = key.chars().collect();
            let place = random.random_range(0..letters.len());
            letters[place] = pick(random, &["a", "_", ".", "\"", "é"]).chars().next().unwrap();
            lines[line] = format!("{} = {value}", letters.into_iter().collect::<String>());
        }
        7 => {
            let other = assignments[random.random_range(0..assignments.len())];
            let taken = lines[other].split_once(" = ").map(|(_, value)| value.to_owned()).unwrap();
            lines[line] = format!("{key} = {taken}");
        }
        _ => lines[line] = format!("{key} = {}", pick(random, &VALUES)),
    }
    lines.join("\n").into_bytes()
}

/// An override of a key that some configuration may have.
fn random_override(random: &mut impl Rng) -> String {
    let keys = unknown::known_keys();
    let key = &keys[random.random_range(0..keys.len())];
    format!("{key}={}", pick(random, &VALUES))
}

/// Accepted, or refused in a sentence for each problem.
fn read(bytes: &[u8], overrides: &[String]) -> Option<Checked> {
    let case = || format!("{overrides:?} over {}", String::from_utf8_lossy(bytes));
    let read = || match decode(bytes) {
        Ok(text) => parse(&text, "a.toml", overrides).map_err(|error| error.to_string()),
        Err(found) => Err(format!("it is {found}")),
    };
    let read = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| panic!("a panic in {}", case()));
    read.map_err(|message| {
        let lines: Vec<&str> = message.lines().collect();
        let is_list = lines[0].ends_with("problems in the configuration:");
        assert_eq!(lines.len() > 1, is_list, "{message} in {}", case());
        assert!(lines.iter().all(|line| line.trim().len() > 10), "{message} in {}", case());
    })
    .ok()
}

/// The experiment as small as it gets, if it is a small one then.
fn made_small(bytes: &[u8], overrides: &[String]) -> Option<Checked> {
    let small = [
        "run.members=2",
        "dataset.preprocessing.train=12",
        "dataset.preprocessing.test=6",
        "training.stop.steps=2",
        "probes.examples=6",
        "probes.jacobian_examples=2",
        "training.batch_size=6",
    ];
    let all: Vec<String> = overrides.iter().cloned().chain(small.map(str::to_owned)).collect();
    let mut experiment = parse(&decode(bytes).ok()?, "a.toml", &all).ok()?.into_inner();
    experiment.network.width = experiment.network.width.min(6);
    experiment.network.depth = experiment.network.depth.min(2);
    experiment.network.widths =
        experiment.network.widths.map(|widths| widths.iter().map(|width| *width.min(&6)).take(2).collect());
    let network = &experiment.network;
    let is_small = network.hidden_widths().iter().all(|width| *width <= 64)
        && network.hidden_widths().len() <= 8
        && network.gates.count <= 12
        && matches!(experiment.dataset.source, DatasetSpec::Mnist {} | DatasetSpec::TwelveBit {});
    Checked::new(experiment).ok().filter(|_| is_small)
}

#[test]
fn two_thousand_mutated_configurations_are_accepted_or_refused_in_a_sentence() {
    let texts = texts();
    let mut random = widthwise_datasets::stream(41, "test.mutated");
    let (mut accepted, mut ran) = (0, 0);
    for case in 0..CASES {
        let mut bytes = texts[case % texts.len()].clone().into_bytes();
        for _ in 0..random.random_range(1..3) {
            bytes = mutate(&String::from_utf8_lossy(&bytes), &mut random);
        }
        let count = if case % 3 == 0 { random.random_range(1..3) } else { 0 };
        let overrides: Vec<String> = (0..count).map(|_| random_override(&mut random)).collect();
        if read(&bytes, &overrides).is_none() {
            continue;
        }
        accepted += 1;
        let Some(small) = made_small(&bytes, &overrides).filter(|_| ran < RUN && accepted % 4 == 0) else { continue };
        ran += 1;
        let folder = tempfile::tempdir().unwrap();
        let options = RunOptions { output: Some(folder.path().join("out")), ..RunOptions::default() };
        let ended = catch_unwind(AssertUnwindSafe(|| run(&small, &options, &StopFlag::default(), &Silent).map(drop)));
        let case = || format!("{overrides:?} over {}", String::from_utf8_lossy(&bytes));
        let ended = ended.unwrap_or_else(|_| panic!("a panic in a run of {}", case()));
        if let Err(error) = ended {
            assert!(format!("{error:#}").len() > 10, "{}", case());
        }
    }
    eprintln!("{CASES} cases, {accepted} accepted, {ran} of them ran");
    assert!(accepted > CASES / 20 && accepted < CASES && ran > 10, "{accepted} accepted, {ran} ran");
}
