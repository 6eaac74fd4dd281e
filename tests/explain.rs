//! The error budget on cases built to isolate each of its parts, and with the cause of that part switched off, through the program.

use std::path::Path;

use widthwise::record::budget::{BudgetRow, Part, Split, read_budget, read_forecasts};

use crate::program::{assert_equal_files, end, files, program, widthwise};

/// Twelve examples of a small teacher, a centred network, double precision, small steps of gradient descent.
const BASE: &str = r#"
[run]
name = "why"
members = 4
precision = "f64"
[dataset]
source = { name = "teacher-student", input_dim = 20, teacher_width = 5, train = 12, test = 12 }
[dataset.preprocessing]
normalize = "sqrt_dim"
train = 12
test = 12
[network]
depth = 1
width = 64
activation = "erf"
sigma_w2 = 2.0
sigma_b2 = 0.1
centred = true
[training]
learning_rate = { critical = 0.1 }
stop = { steps = 20 }
[probes]
schedule = "ends"
examples = 8
ntk = false
jacobian_vectors = 0
information = false
gaussianity = false
[explain]
members = 4
examples = 12
"#;

/// A deep linear network with orthogonal weights has the infinite-width kernel at any width, and with large weights it
/// hardly moves them: a linear model.
const LINEAR: [&str; 4] =
    ["network.family=deep_linear", "network.init=orthogonal", "network.sigma_b2=0.0", "network.sigma_w2=100.0"];

fn run(folder: &Path, name: &str, settings: &[&str]) -> Vec<BudgetRow> {
    let file = folder.join("why.toml");
    std::fs::write(&file, BASE).unwrap();
    let out = folder.join(name);
    let mut arguments =
        vec!["run".to_owned(), file.display().to_string(), "--output".into(), out.display().to_string()];
    arguments.extend(settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]));
    let ended = widthwise(&arguments).ran();
    assert!(ended.out.contains("why: training examples, step"), "{ended:?}");
    read_budget(&out).unwrap()
}

fn last<'a>(rows: &'a [BudgetRow], split: Split, part: &str) -> &'a BudgetRow {
    let last = rows.iter().map(|row| row.step).max().unwrap();
    rows.iter().find(|row| row.step == last && row.split == split && row.part == part).unwrap()
}

#[test]
fn each_part_is_alone_where_its_cause_is_and_gone_without_it() {
    let with = |more: &[&'static str]| -> Vec<&'static str> { LINEAR.iter().chain(more).copied().collect() };
    let adam = ["training.optimizer=adam", "training.learning_rate={absolute=0.001}", "training.stop.steps=60"];
    let rounding = ["network.sigma_w2=10000.0", "training.learning_rate.critical=0.5", "training.stop.steps=300"];
    let weak = ["network.sigma_w2=0.3", "training.stop.steps=300"];
    let seed = ["run.members=1", "network.width=2048", "training.learning_rate.critical=0.02"];
    let cases = [
        (
            Part::TimeDiscretization,
            with(&["training.learning_rate.critical=0.9", "training.stop.steps=6"]),
            with(&["training.learning_rate.critical=0.001", "training.stop.steps=5400"]),
        ),
        (
            Part::InitialKernel,
            vec!["network.width=32", "training.learning_rate.critical=0.005"],
            with(&["network.width=32", "training.learning_rate.critical=0.005"]),
        ),
        (Part::Optimizer, with(&adam), with(&["training.stop.steps=60"])),
        (Part::Linearization, with(&weak), with(&["training.stop.steps=300"])),
        (Part::Arithmetic, with(&[rounding.as_slice(), &["run.precision=f32"]].concat()), with(&rounding)),
        // Theory changed on purpose: what it gets wrong stands between infinite width and the network's own kernel.
        (Part::InitialKernel, with(&["control.sigma_w2_factor=1.2"]), with(&[])),
        (Part::InitialKernel, with(&["control.time_factor=1.5"]), with(&["control.time_factor=1.0"])),
        (Part::InitialKernel, with(&["control.nngp_for_ntk=true"]), with(&["control.nngp_for_ntk=false"])),
        (Part::Seed, [seed.as_slice(), &["network.centred=false"]].concat(), seed.to_vec()),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (case, (part, on, off)) in cases.into_iter().enumerate() {
        let on = run(folder.path(), &format!("{case}_on"), &on);
        let off = run(folder.path(), &format!("{case}_off"), &off);
        for split in [Split::Train, Split::Test] {
            let share = last(&on, split, part.name()).absolute_share.unwrap();
            let (left, gap) = (last(&off, split, part.name()), last(&off, split, "gap"));
            let noise = [left.std_error, gap.std_error].into_iter().flatten().fold(0.0, f64::max);
            eprintln!(
                "{} ({split:?}): {:.1} % of the parts; without its cause {:.1e}, standard error {noise:.1e}",
                part.name(),
                100.0 * share,
                left.root_mean_square
            );
            assert!(share >= 0.8, "{part:?}, {split:?}: {share}");
            // Round-off of outputs of order one, through eigenvectors of two dozen examples.
            let bound = noise.max(1e4 * f64::EPSILON);
            assert!(left.root_mean_square <= bound, "{part:?}, {split:?}: {:e} > {bound:e}", left.root_mean_square);
            let signed: f64 = Part::ALL.iter().filter_map(|part| last(&on, split, part.name()).signed_share).sum();
            assert!((signed - 1.0).abs() < 1e-12, "the parts add up to {signed} of the gap");
        }
    }
}

#[test]
fn a_frozen_kernel_foretells_a_lazy_network_for_longer_than_a_rich_one() {
    let folder = tempfile::tempdir().unwrap();
    let horizons = |name: &str, parameterization: &str| {
        let width = format!("network.parameterization={parameterization}");
        let settings = [
            &width,
            "training.stop.steps=200",
            "probes.schedule={every=20}",
            "network.width=256",
            "explain.forecast_tolerance=0.02",
        ];
        run(folder.path(), name, &settings);
        read_forecasts(&folder.path().join(name)).unwrap()
    };
    let (lazy, rich) = (horizons("lazy", "ntk"), horizons("rich", "mean-field"));
    for rows in [&lazy, &rich] {
        assert_eq!(rows.len(), 4 * 10, "a snapshot every 20 steps but the last, four members");
        for row in rows {
            assert!(row.horizon_steps.is_multiple_of(20) && row.step + row.horizon_steps <= 200, "{row:?}");
            assert_eq!(row.is_censored, row.step + row.horizon_steps == 200, "{row:?}");
        }
    }
    let first = |rows: &[widthwise::record::budget::ForecastRow]| -> u64 {
        rows.iter().filter(|row| row.step == 0).map(|row| row.horizon_steps).sum()
    };
    assert!(first(&lazy) > first(&rich), "{} against {}", first(&lazy), first(&rich));
}

#[test]
fn an_explanation_that_was_killed_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), "whole", &[]);
    let (file, whole) = (folder.path().join("why.toml"), files(&folder.path().join("whole")));
    for place in
        ["member_001.csv.in_write:1", "member_002.forecast.csv.after_rename:1", "error_budget.csv.before_rename:1"]
    {
        let out = folder.path().join(place.replace(':', "_"));
        let arguments = |more: &[&str]| {
            let own = ["-q", "run", file.to_str().unwrap(), "--output", out.to_str().unwrap()];
            own.iter().chain(more).map(|argument| (*argument).to_owned()).collect::<Vec<String>>()
        };
        let killed = end(program().args(arguments(&[])).env("WIDTHWISE_KILL_AT", place));
        assert_eq!(killed.code, None, "{place}: {killed:?}");
        widthwise(arguments(&["--resume"])).ran();
        assert_equal_files(&files(&out), &whole, place);
    }
}

#[test]
fn what_cannot_be_explained_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nothing");
    widthwise([Path::new("explain"), &missing]).refused_with(&["is no folder of a run"]);
    let file = folder.path().join("why.toml");
    std::fs::write(&file, BASE).unwrap();
    let out = folder.path().join("run");
    let refused = |settings: &[&str], words: &[&str]| {
        let mut arguments = vec!["run".to_owned(), file.display().to_string()];
        arguments.extend(["--output".to_owned(), out.display().to_string()]);
        arguments.extend(settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]));
        widthwise(&arguments).refused_with(words);
    };
    let classes = ["dataset.source={name=\"mnist\"}", "training.loss=cross_entropy"];
    refused(&classes, &["explain.members", "cross_entropy", "half_sum or half_mean"]);
    let dropout = ["network.family=layers", "network.layers=[\"dense\", { dropout = { keep = 0.5 } }]"];
    refused(&dropout, &["explain.members", "dropout draws new masks every step"]);
    let large =
        ["dataset.source={name=\"mnist\"}", "dataset.preprocessing.train=500", "dataset.preprocessing.targets=one_hot"];
    refused(&large, &["500 examples x 10 outputs = 5000 rows", "at most 4096"]);
}
