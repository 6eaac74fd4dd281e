//! What the check accepts, a run survives: it ends, or says in one sentence why it cannot.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::RngExt;

use super::super::schema::Shape;
use super::drawn::{ends, leaves};
use super::*;
use crate::monitor::Silent;
use crate::run::{RunOptions, check, plan, run};
use crate::signals::StopFlag;
use crate::training::Outcome;

/// Runs of which each takes two keys or more to their ends at the same time.
const TOGETHER: usize = 250;

/// A run of some milliseconds.
const SMALL: &str = r#"
[run]
name = "small"
members = 2
[dataset]
source = { name = "gaussian-mixture", input_dim = 3, classes = 2, train = 12, test = 6 }
[dataset.preprocessing]
train = 12
test = 6
[network]
depth = 1
width = 6
[training.stop]
steps = 2
[probes]
schedule = "ends"
examples = 6
jacobian_examples = 2
"#;

/// Runs what the check accepts, and reads its verdict; what it came to, or `None` for what was refused before.
fn survive(text: &str, overrides: &[String]) -> Option<Result<Outcome, String>> {
    let case = || format!("{overrides:?} over {text}");
    let experiment = match parse(text, "small.toml", overrides) {
        Ok(experiment) => experiment,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "{}", case());
            return None;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let options = RunOptions { output: Some(output.clone()), ..RunOptions::default() };
    let ended = catch_unwind(AssertUnwindSafe(|| {
        plan(&experiment, &options)?;
        let outcome = run(&experiment, &options, &StopFlag::default(), &Silent)?.outcome();
        check(&output)?;
        Ok::<_, crate::Error>(outcome)
    }));
    let ended = ended.unwrap_or_else(|_| panic!("a panic in {}", case()));
    Some(ended.map_err(|error| {
        let sentence = format!("{error:#}");
        assert!(!sentence.is_empty() && sentence.len() < 2000, "{sentence} in {}", case());
        sentence
    }))
}

/// The overrides that take `key` to `value`, with those that the key has an effect under.
fn overrides(key: &str, shape: Shape, value: &Value) -> Vec<String> {
    let under: &[&str] = match key {
        _ if matches!(shape, Shape::Layers(_)) => &["network.family=layers"],
        "network.convolution.filter_size"
        | "network.convolution.stride"
        | "network.convolution.padding"
        | "network.convolution.pool"
        | "network.convolution.readout" => &["network.family=cnn", "dataset.source=mnist"],
        "network.readout" => &["network.family=layers", "network.layers=[\"dense\", \"activation\"]"],
        "network.gates.activation" => &["network.family=gated_deep_linear", "network.gates.kind=smooth"],
        _ if key.starts_with("network.gates") => &["network.family=gated_deep_linear"],
        "training.l2.toward" => &["training.l2.strength=0.1"],
        "explain.forecast_tolerance" | "explain.examples" | "explain.quadratic" => &["explain.members=1"],
        "training.stop.loss" => &["probes.schedule.every=1"],
        _ if key.starts_with("claims") => &["claims.required=[\"train_loss\"]"],
        _ => &[],
    };
    // A network of the width of images takes its time in a test.
    let ended = if key.starts_with("training.stop") { &["training.stop.steps=2"][..] } else { &[] };
    let own = format!("{key}={value}");
    under.iter().chain(ended).map(|&text| text.to_owned()).chain([own]).collect()
}

fn all_ends() -> Vec<Vec<String>> {
    let of_leaf = |(key, shape): (String, Shape)| -> Vec<Vec<String>> {
        let name = key.rsplit('.').next().unwrap_or_default().to_owned();
        ends(shape, &name).iter().map(|value| overrides(&key, shape, value)).collect()
    };
    leaves().into_iter().flat_map(of_leaf).collect()
}

/// Runs all `cases` on two threads; how many ran, and how many of these ended in a sentence.
fn survive_all(cases: &[Vec<String>]) -> (usize, usize) {
    let halves: Vec<_> = std::thread::scope(|scope| {
        let part = |half: usize| {
            scope.spawn(move || {
                let own = cases.iter().skip(half).step_by(2);
                own.filter_map(|overrides| survive(SMALL, overrides)).collect::<Vec<_>>()
            })
        };
        let threads = [part(0), part(1)];
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let all = halves.concat();
    (all.len(), all.iter().filter(|ended| ended.is_err()).count())
}

#[test]
fn every_key_at_every_end_of_its_range_ends_in_a_result_or_a_sentence() {
    let cases = all_ends();
    assert!(leaves().iter().all(|(key, _)| cases.iter().any(|case| case.iter().any(|set| set.starts_with(key)))));
    let (ran, refused) = survive_all(&cases);
    eprintln!("{} cases, {ran} ran, {refused} of them ended in a sentence", cases.len());
    assert!(ran > cases.len() / 2 && refused < ran / 4, "{} cases, {ran} ran, {refused} refused", cases.len());
}

#[test]
fn several_keys_at_ends_of_their_ranges_end_in_a_result_or_a_sentence() {
    let all = all_ends();
    let mut random = widthwise_datasets::stream(17, "test.survival");
    let mut pick = || all[random.random_range(0..all.len())].clone();
    let cases: Vec<Vec<String>> = (0..TOGETHER).map(|i| (0..2 + i % 3).flat_map(|_| pick()).collect()).collect();
    let (ran, refused) = survive_all(&cases);
    eprintln!("{TOGETHER} cases, {ran} ran, {refused} of them ended in a sentence");
    assert!(ran > TOGETHER / 8, "{ran} ran");
}

#[test]
fn a_run_whose_deadline_no_clock_reaches_ends_by_its_steps() {
    for seconds in ["1e12", "1e20", "1.7976931348623157e308"] {
        let set = [format!("training.stop.wall_time_s={seconds}")];
        assert_eq!(survive(SMALL, &set), Some(Ok(Outcome::Finished)), "{seconds}");
    }
    assert_eq!(survive(SMALL, &["training.stop.wall_time_s=5e-324".to_owned()]), Some(Ok(Outcome::WallTime)));
}

#[test]
fn the_longest_schedules_are_planned_at_once() {
    let started = std::time::Instant::now();
    for (steps, schedule, snapshots) in [
        ("100000000", "probes.schedule.every=1", "100000001 snapshots"),
        ("9223372036854775807", "probes.schedule.every=1", "9223372036854775808 snapshots"),
        ("9223372036854775807", "probes.schedule.every=3", "3074457345618258604 snapshots"),
        ("9223372036854775807", "probes.schedule.every=9223372036854775807", "2 snapshots"),
        ("9223372036854775807", "probes.schedule=ends", "2 snapshots"),
        ("100000000", "probes.schedule.log=14", "15 snapshots"),
    ] {
        let set = [format!("training.stop.steps={steps}"), schedule.to_owned()];
        let experiment = parse(SMALL, "small.toml", &set).unwrap();
        let lines = plan(&experiment, &RunOptions::default()).unwrap().lines;
        assert!(
            lines.iter().any(|line| line.contains(&format!("up to {steps} steps")) && line.contains(snapshots)),
            "{lines:?}"
        );
    }
    // Every other step of an epoch without end, and a run that only time stops.
    for set in [
        ["training.stop.epochs=1e300", "probes.schedule.every=2"],
        ["training.stop.wall_time_s=1e300", "probes.schedule.every=1"],
    ] {
        let experiment = parse(&SMALL.replace("steps = 2", ""), "small.toml", &set.map(str::to_owned)).unwrap();
        plan(&experiment, &RunOptions::default()).unwrap();
    }
    assert!(matches!(set(&["probes.schedule.every=0"]), Err(ConfigError::Invalid(_))));
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
