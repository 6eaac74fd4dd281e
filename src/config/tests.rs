//! Tests of the whole way from text to a checked experiment.

mod drawn;
mod examples;
mod idle;
mod layers;
mod messages;
mod mutated;
mod origins;
mod reference;
mod structs;
mod survival;

use widthwise_datasets::{DatasetSpec, Preprocessing};
use widthwise_theory::activation::{Activation, Expression};

use super::*;

/// The defaults under these overrides.
fn set(overrides: &[&str]) -> Result<Checked, ConfigError> {
    in_file("", overrides)
}

/// A file under these overrides.
fn in_file(text: &str, overrides: &[&str]) -> Result<Checked, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    parse(text, "a.toml", &overrides)
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(in_file("", &[]).unwrap().into_inner(), Experiment::default());
    assert_eq!(Checked::new(Experiment::default()).unwrap().into_inner(), Experiment::default());
}

#[test]
fn a_table_given_in_part_keeps_the_other_defaults() {
    let experiment = in_file("[dataset.preprocessing]\ntrain = 200", &[]).unwrap();
    let expected = Preprocessing { train: Some(200), ..DatasetConfig::default().preprocessing };
    assert_eq!(experiment.dataset.preprocessing, expected);
}

#[test]
fn any_stopping_rule_drops_the_default_one() {
    let epochs = Stop { epochs: Some(2.0), ..Stop::default() };
    assert_eq!(in_file("training.stop.epochs = 2", &[]).unwrap().training.stop, epochs);
    assert_eq!(set(&["training.stop.epochs=2"]).unwrap().training.stop, epochs);
    let both = in_file("training.stop.epochs = 2", &["training.stop.steps=7"]).unwrap();
    assert_eq!(both.training.stop, Stop { steps: Some(7), ..epochs });
}

#[test]
fn overrides_are_toml_or_bare_words() {
    let experiment = set(&[
        "network.width=2048",
        "network.activation=tanh",
        "network.widths = [8, 16]",
        "network.activation = { leaky_relu = { slope = 1 } }",
        "training.optimizer=nesterov",
        "probes.ntk=false",
        "run.name=2024-01-01",
        "run.output=out/a b",
        "network.sigma_b2=0",
    ])
    .unwrap();
    assert_eq!(experiment.network.hidden_widths(), [8, 16]);
    assert_eq!(experiment.network.activation, Activation::LeakyRelu { slope: 1.0 });
    assert_eq!(experiment.training.optimizer, Optimizer::Nesterov { beta: 0.9 });
    assert!(!experiment.probes.ntk.is_on);
    assert_eq!(experiment.run.name, "2024-01-01");
    assert_eq!(experiment.run.output_folder(), Path::new("out/a b"));
    assert_eq!(experiment.network.sigma_b2, 0.0);
}

#[test]
fn activations_are_written_by_name_or_with_their_values() {
    let read = |text: &str| in_file(&format!("network.activation = {text}"), &[]).unwrap().network.activation.clone();
    let formula = Expression::parse("max(x, 0)^2").unwrap();
    let rows = [
        (Activation::Relu, r#""relu""#),
        (Activation::Sin { frequency: 1.0, phase: 0.0 }, "{ sin = { frequency = 1, phase = 0.0 } }"),
        (Activation::Polynomial { coefficients: vec![0.0, 1.0] }, "{ polynomial = { coefficients = [0.0, 1.0] } }"),
        (Activation::Exp, r#""exp""#),
        (Activation::Sign, r#""sign""#),
        (Activation::Rbf { gamma: 0.4 }, "{ rbf = { gamma = 0.4 } }"),
        (Activation::Hermite { degree: 2 }, "{ hermite = { degree = 2 } }"),
        (Activation::Expression { formula }, r#"{ expression = { formula = "max(x, 0)^2" } }"#),
    ];
    for (activation, text) in rows {
        assert_eq!(read(text), activation);
        // And as a manifest keeps it.
        let written = serde_json::to_string(&activation).unwrap();
        assert_eq!(serde_json::from_str::<Activation>(&written).unwrap(), activation, "{written}");
    }
}

#[test]
fn the_later_override_wins_and_all_win_over_the_file() {
    let file = "[network]\nwidth = 5\ndepth = 2";
    let experiment = in_file(file, &["network.width=6", "network.width=7"]).unwrap();
    assert_eq!((experiment.network.width, experiment.network.depth), (7, 2));
}

#[test]
fn an_override_replaces_another_variant_whole_and_merges_with_the_same() {
    let file = "[training]\noptimizer = { adam = { beta1 = 0.8, epsilon = 1e-6 } }\nlearning_rate = { absolute = 0.1 }";
    let merged = in_file(file, &["training.optimizer.adam.beta1=0.7"]).unwrap();
    assert_eq!(merged.training.optimizer, Optimizer::Adam { beta1: 0.7, beta2: 0.999, epsilon: 1e-6 });
    let replaced =
        in_file(file, &["training.optimizer.momentum.beta=0.5", "training.learning_rate.critical=1"]).unwrap();
    assert_eq!(replaced.training.optimizer, Optimizer::Momentum { beta: 0.5 });
    assert_eq!(replaced.training.learning_rate, LearningRate::Critical(1.0));
}

#[test]
fn a_data_set_and_its_parameters_are_overridden_in_any_order() {
    let file = "dataset.source = { name = \"uniform-sphere\", input_dim = 7, test = 300 }";
    let DatasetSpec::UniformSphere(sphere) =
        in_file(file, &["dataset.source.input_dim=9"]).unwrap().into_inner().dataset.source
    else {
        panic!("the name was not touched")
    };
    assert_eq!((sphere.input_dim, sphere.test), (9, 300));
    let (name, dim) = ("dataset.source.name=teacher-student", "dataset.source.input_dim=5");
    let experiment = in_file(file, &[dim, name]).unwrap();
    assert_eq!(experiment.dataset, in_file(file, &[name, dim]).unwrap().dataset);
    let DatasetSpec::TeacherStudent(teacher) = &experiment.dataset.source else { panic!("the name was overridden") };
    assert_eq!((teacher.input_dim, teacher.test), (5, 1024), "nothing of the sphere is left");
}

#[test]
fn numbers_that_are_not_finite_are_refused_wherever_they_stand() {
    for key in unknown::known_keys() {
        for value in ["nan", "-nan", "inf", "-inf"] {
            assert!(
                matches!(set(&[&format!("{key}={value}")]), Err(ConfigError::Invalid(_))) || key_is_text(&key),
                "{key}"
            );
        }
    }
}

fn key_is_text(key: &str) -> bool {
    matches!(key, "run.name" | "run.output")
}

#[test]
fn an_experiment_put_together_by_a_program_is_checked_too() {
    let mut experiment = Experiment::default();
    experiment.training.learning_rate = LearningRate::Absolute(f64::NAN);
    experiment.network.depth = 0;
    let Err(ConfigError::Invalid(problems)) = Checked::new(experiment) else { panic!("NaN is refused") };
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["network.depth", "training.learning_rate.absolute"]);
    let message = problems[0].to_string();
    assert_eq!(message, "network.depth = 0 (as given), but it must be a whole number from 1 to 10000");

    let mut experiment = Experiment::default();
    experiment.dataset.preprocessing.train = None;
    assert_eq!(Checked::new(experiment.clone()).unwrap().into_inner(), experiment, "nothing is filled in");

    let mut experiment = Experiment::default();
    experiment.run.seed = u64::MAX;
    let message = Checked::new(experiment).unwrap_err().to_string();
    assert!(message.starts_with("the experiment is not set, but it has a value"), "{message}");
}

#[test]
fn double_precision_goes_with_the_cpu_only() {
    assert!(set(&["run.precision=f64"]).is_ok());
    let Err(ConfigError::Invalid(problems)) = set(&["run.precision=f64", "run.device=wgpu"]) else {
        panic!("wgpu has no f64")
    };
    assert!(problems.iter().any(|problem| problem.key == "run.precision"));
    let has_wgpu = problems.iter().all(|problem| problem.key != "run.device");
    assert_eq!(has_wgpu, cfg!(feature = "wgpu"));
}

#[test]
fn resolved_text_reads_back_exactly_and_is_stable() {
    let experiment = set(&[
        "training.learning_rate.absolute=0.1",
        "network.sigma_w2=1.7600000000000002",
        "network.sigma_b2=5e-324",
        "training.stop.loss=1.7976931348623157e308",
        "probes.schedule.every=3",
        "run.seed=9223372036854775807",
        "network.activation={polynomial={coefficients=[0.1,1,-2.5]}}",
    ])
    .unwrap();
    let text = experiment.resolved_toml();
    let again = parse(&text, "resolved", &[]).unwrap();
    assert_eq!(again, experiment);
    assert_eq!(again.resolved_toml(), text);
}

#[test]
fn the_resolved_defaults_are_pinned() {
    // The hash of a run is taken of this text: changing it makes a new run of every old one.
    assert_eq!(Experiment::default().resolved_toml(), include_str!("tests/default_resolved.toml"));
}
