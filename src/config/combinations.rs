//! What values must be in view of each other: the data, the network that it fits, the probes and claims that they allow.
//!
//! Here every value is already allowed on its own, as the [schema](super::schema) says.

mod idle;
mod layers;
mod network;

use std::borrow::Cow;

use widthwise_datasets::{
    ColourMode, DatasetSpec, ImageShape, InputScale, Normalize, TargetForm, catalog, synthetic::twelve_bit,
};

pub(super) use idle::{Idle, idle};

use super::device::DeviceKind;
use super::experiment::{Experiment, LearningRate, Loss, Precision};
use super::probes::Schedule;
use super::values::is_within;
use crate::quantity::{Probe, Quantity};

/// Two or more keys that do not go together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conflict {
    /// The key to report, the one that most likely wants changing.
    pub(super) key: Cow<'static, str>,
    /// The others that take part.
    pub(super) others: &'static [&'static str],
    /// Why, and what to do.
    pub(super) reason: String,
}

/// All conflicts of an experiment.
pub(super) fn conflicts(experiment: &Experiment) -> Vec<Conflict> {
    let mut found = Conflicts(Vec::new());
    let data = DatasetFacts::of(&experiment.dataset.source);
    device(experiment, &mut found);
    preprocessing(experiment, &data, &mut found);
    network::conflicts(experiment, &data, &mut found);
    training(experiment, &data, &mut found);
    probes(experiment, &data, &mut found);
    claims(experiment, &mut found);
    found.0
}

/// Fewer probe examples where the training examples are fewer than the defaults; `left_out` says whether `probes.examples`
/// and `probes.jacobian_examples` are the defaults.
pub(super) fn fit_probes(experiment: &mut Experiment, left_out: [bool; 2]) {
    let examples = DatasetFacts::of(&experiment.dataset.source).training_examples(experiment);
    let [examples_left_out, jacobian_left_out] = left_out;
    let probes = &mut experiment.probes;
    if examples_left_out {
        probes.examples = probes.examples.min(examples).max(FEWEST_PROBED);
    }
    if jacobian_left_out {
        probes.jacobian_examples = probes.jacobian_examples.min(examples).max(1);
    }
}

/// Probes compare examples with each other.
const FEWEST_PROBED: usize = 2;

struct Conflicts(Vec<Conflict>);

impl Conflicts {
    fn add(&mut self, key: impl Into<Cow<'static, str>>, others: &'static [&'static str], reason: impl Into<String>) {
        self.0.push(Conflict { key: key.into(), others, reason: reason.into() });
    }
}

impl Conflict {
    /// Whether other data would end the conflict.
    pub(super) fn is_about_data(&self) -> bool {
        self.others.iter().any(|key| is_within(key, "dataset"))
    }

    /// Whether other probes, or none, would end the conflict.
    pub(super) fn is_about_probes(&self) -> bool {
        is_within(&self.key, "probes") || self.others.iter().any(|key| is_within(key, "probes"))
    }
}

/// What is known of a data set before it is read.
struct DatasetFacts {
    name: &'static str,
    shape: ImageShape,
    /// 0 for regression data.
    classes: usize,
    has_pixels: bool,
    train: usize,
    test: usize,
}

impl DatasetFacts {
    fn of(source: &DatasetSpec) -> Self {
        let name = source.name();
        let made = |features, classes, train, test| Self {
            name,
            shape: ImageShape::flat(features),
            classes,
            has_pixels: false,
            train,
            test,
        };
        let read = |entry: &catalog::CatalogEntry| Self {
            name,
            shape: entry.shape,
            classes: entry.classes,
            has_pixels: true,
            train: entry.examples.0,
            test: entry.examples.1,
        };
        match source {
            DatasetSpec::Mnist {} => read(&catalog::MNIST),
            DatasetSpec::FashionMnist {} => read(&catalog::FASHION_MNIST),
            DatasetSpec::Cifar10 {} => read(&catalog::CIFAR10),
            DatasetSpec::Cifar100 {} => read(&catalog::CIFAR100),
            DatasetSpec::TwelveBit {} => {
                made(twelve_bit::BITS, 2, twelve_bit::TRAIN, twelve_bit::PATTERNS - twelve_bit::TRAIN)
            }
            DatasetSpec::TeacherStudent(p) => made(p.input_dim, 0, p.train, p.test),
            DatasetSpec::GaussianMixture(p) => made(p.input_dim, p.classes, p.train, p.test),
            DatasetSpec::UniformSphere(p) => made(p.input_dim, 2, p.train, p.test),
        }
    }

    /// Shape of one input after preprocessing.
    fn input_shape(&self, experiment: &Experiment) -> ImageShape {
        let options = &experiment.dataset.preprocessing;
        let channels = if options.colour == ColourMode::Grey { 1 } else { self.shape.channels };
        let shape = ImageShape { channels, ..self.shape };
        options.permuted_tasks.map_or(shape, |tasks| ImageShape::flat(shape.len() + tasks))
    }

    /// Training examples after preprocessing, copies for tasks included.
    fn training_examples(&self, experiment: &Experiment) -> usize {
        let options = &experiment.dataset.preprocessing;
        options.train.unwrap_or(self.train).saturating_mul(options.permuted_tasks.unwrap_or(1))
    }
}

fn device(experiment: &Experiment, found: &mut Conflicts) {
    let run = &experiment.run;
    let feature = match run.device {
        DeviceKind::Flex => None,
        DeviceKind::Ndarray => (!cfg!(feature = "ndarray")).then_some("ndarray"),
        DeviceKind::Wgpu => (!cfg!(feature = "wgpu")).then_some("wgpu"),
        DeviceKind::Cuda => (!cfg!(feature = "cuda")).then_some("cuda"),
    };
    if let Some(feature) = feature {
        found.add(
            "run.device",
            &[],
            format!(
                "this build has no {feature}; rebuild with `cargo build --release --features {feature}` or set \"flex\""
            ),
        );
    }
    if run.device == DeviceKind::Wgpu && run.precision == Precision::F64 {
        found.add(
            "run.precision",
            &["run.device"],
            "wgpu has no double precision; set \"f32\", or run.device = \"flex\"",
        );
    }
}

fn preprocessing(experiment: &Experiment, data: &DatasetFacts, found: &mut Conflicts) {
    let options = &experiment.dataset.preprocessing;
    let DatasetFacts { name, classes, .. } = data;
    for (key, asked, available, split) in [
        ("dataset.preprocessing.train", options.train, data.train, "training"),
        ("dataset.preprocessing.test", options.test, data.test, "test"),
    ] {
        if asked.is_some_and(|asked| asked > available) {
            found.add(
                key,
                &["dataset.source"],
                format!("{name} has {available} {split} examples; ask for at most {available}"),
            );
        }
    }
    if *classes == 0 {
        let given = [
            ("dataset.preprocessing.classes", options.classes.is_some()),
            ("dataset.preprocessing.positive", options.positive.is_some()),
            ("dataset.preprocessing.label_noise", options.label_noise > 0.0),
            ("dataset.preprocessing.targets", options.targets != TargetForm::Native),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            found.add(key, &["dataset.source"], format!("{name} is regression data without classes; remove the key"));
        }
    } else {
        classes_and_targets(experiment, data, found);
    }
    if !data.has_pixels && options.scale == InputScale::UnitInterval {
        let reason = format!("{name} has no pixels to divide by 255; set \"native\" or \"standardize\"");
        found.add("dataset.preprocessing.scale", &["dataset.source"], reason);
    }
    let moves_zero = options.scale == InputScale::Standardize || options.zca.is_some();
    if matches!(experiment.dataset.source, DatasetSpec::TwelveBit {})
        && options.normalize != Normalize::None
        && !moves_zero
    {
        found.add(
            "dataset.preprocessing.normalize",
            &["dataset.source", "dataset.preprocessing.scale", "dataset.preprocessing.zca"],
            "one of the twelve-bit patterns is zero everywhere and has no direction; set \"none\", or \
             dataset.preprocessing.scale = \"standardize\"",
        );
    }
    if options.colour == ColourMode::Grey && !matches!(data.shape.channels, 1 | 3) {
        let reason = format!("{name} has {} channels and grey needs 1 or 3; set \"keep\"", data.shape.channels);
        found.add("dataset.preprocessing.colour", &["dataset.source"], reason);
    }
}

fn classes_and_targets(experiment: &Experiment, data: &DatasetFacts, found: &mut Conflicts) {
    let options = &experiment.dataset.preprocessing;
    let DatasetFacts { name, classes, .. } = data;
    let mut lists_fit = true;
    for (key, labels) in
        [("dataset.preprocessing.classes", &options.classes), ("dataset.preprocessing.positive", &options.positive)]
    {
        let labels = labels.as_deref().unwrap_or(&[]);
        let twice = (1..labels.len()).any(|index| labels[..index].contains(&labels[index]));
        if twice || labels.iter().any(|&label| usize::from(label) >= *classes) {
            lists_fit = false;
            let reason = format!("the labels of {name} run from 0 to {}; name each at most once", classes - 1);
            found.add(key, &["dataset.source"], reason);
        }
    }
    let is_binary = options.targets == TargetForm::Binary;
    let kept = options.classes.clone().unwrap_or_else(|| (0..*classes).map(|label| label as u8).collect());
    match &options.positive {
        Some(_) if !is_binary => found.add(
            "dataset.preprocessing.positive",
            &["dataset.preprocessing.targets"],
            "it names the labels of target +1, which only binary targets have; set targets = \"binary\" or remove it",
        ),
        Some(positive) if lists_fit => {
            let count = kept.iter().filter(|label| positive.contains(label)).count();
            if count == 0 || count == kept.len() {
                found.add(
                    "dataset.preprocessing.positive",
                    &["dataset.preprocessing.classes"],
                    "both signs need at least one label that is kept; name some of the kept labels, not all",
                );
            }
        }
        None if is_binary && kept.len() != 2 => found.add(
            "dataset.preprocessing.targets",
            &["dataset.preprocessing.classes", "dataset.source"],
            format!(
                "{} classes are kept and binary targets need two; choose two in dataset.preprocessing.classes, or the \
                 labels of target +1 in dataset.preprocessing.positive",
                kept.len()
            ),
        ),
        _ if kept.len() < 2 => found.add(
            "dataset.preprocessing.classes",
            &["dataset.source"],
            "targets and accuracy tell classes apart; name at least two classes",
        ),
        _ => {}
    }
}

fn training(experiment: &Experiment, data: &DatasetFacts, found: &mut Conflicts) {
    let training = &experiment.training;
    let examples = data.training_examples(experiment);
    if training.batch_size.is_some_and(|size| size > examples) {
        found.add(
            "training.batch_size",
            &["dataset"],
            format!(
                "there are {examples} training examples; set at most {examples}, or remove the key to use all of them"
            ),
        );
    }
    if training.optimizer.moment_decays().is_some() && !matches!(training.learning_rate, LearningRate::Absolute(_)) {
        found.add(
            "training.learning_rate",
            &["training.optimizer"],
            "Adam's steps do not scale with the gradient and have no critical rate; set training.learning_rate.absolute, for \
             instance 1e-3",
        );
    }
    if training.loss == Loss::CrossEntropy {
        if data.classes == 0 {
            let reason = format!("{} is regression data without labels; set \"half_sum\" or \"half_mean\"", data.name);
            found.add("training.loss", &["dataset.source"], reason);
        } else if experiment.dataset.preprocessing.targets == TargetForm::Binary {
            found.add(
                "training.loss",
                &["dataset.preprocessing.targets"],
                "cross-entropy needs one output for each class and binary targets have one in all; set \
                 dataset.preprocessing.targets = \"native\", or \"half_sum\" here",
            );
        }
    }
    let stop = &training.stop;
    if stop.steps.is_none() && stop.epochs.is_none() && stop.loss.is_none() && stop.wall_time_s.is_none() {
        found.add("training.stop", &[], "a run must end; set at least one of steps, epochs, loss, wall_time_s");
    }
}

fn probes(experiment: &Experiment, data: &DatasetFacts, found: &mut Conflicts) {
    let (probes, stop) = (&experiment.probes, &experiment.training.stop);
    let examples = data.training_examples(experiment);
    if examples < FEWEST_PROBED {
        let reason = format!("probes compare training examples with each other; set at least {FEWEST_PROBED}");
        found.add("dataset.preprocessing.train", &["dataset", "probes.examples"], reason);
    } else if probes.examples > examples {
        let reason = format!("there are {examples} training examples; set at most {examples}");
        found.add("probes.examples", &["dataset"], reason);
    }
    if probes.jacobian_vectors > 0 && probes.jacobian_examples > examples {
        let reason = format!("there are {examples} training examples; set at most {examples}");
        found.add("probes.jacobian_examples", &["dataset", "probes.jacobian_vectors"], reason);
    }
    let own = Probe::ALL.iter().copied().filter_map(|probe| probes.own_schedule(probe));
    let mut own: Vec<_> = own.collect();
    own.dedup();
    for (key, schedule) in own.iter().copied().chain([(&["probes.schedule"], probes.schedule)]) {
        if matches!(schedule, Schedule::Log(_)) && stop.steps.is_none() && stop.epochs.is_none() {
            let reason = "log-spaced steps need a known last step; set training.stop.steps or training.stop.epochs, or \
                          probes.schedule.every";
            found.add(key[0], &["training.stop"], reason);
        }
    }
    if stop.loss.is_some() {
        if probes.schedule == Schedule::Ends {
            found.add(
                "training.stop.loss",
                &["probes.schedule"],
                "the loss is examined on probe steps and probes.schedule = \"ends\" has none in between; set \
                 probes.schedule.every, or training.stop.steps",
            );
        }
        for (key, _) in own {
            let reason = "any probe step may be the last under training.stop.loss, and all probes are taken at the last; remove the \
                          schedule of this probe, or set training.stop.steps in place of the loss";
            found.add(key[0], &["training.stop.loss"], reason);
        }
    }
}

fn claims(experiment: &Experiment, found: &mut Conflicts) {
    const KEY: &str = "claims.required";
    let probes = &experiment.probes;
    let names = &experiment.claims.required;
    for &probe in Probe::ALL {
        let Some((switch, setting)) = probes.switched_off(probe) else { continue };
        let measures = |name: &&String| Quantity::of_claim(name).is_some_and(|quantity| quantity.probe() == probe);
        if let Some(name) = names.iter().find(measures) {
            let reason = format!("{name} needs a probe that is off; set {} = {setting}, or remove it here", switch[0]);
            found.add(KEY, switch, reason);
        }
    }
    if !names.is_empty() && experiment.run.members < 2 {
        let reason = "a verdict needs a standard error and one member has none; set run.members = 2 or more, or remove the claims";
        found.add(KEY, &["run.members"], reason);
    }
    if let Some(twice) = (1..names.len()).find(|&index| names[..index].contains(&names[index])) {
        found.add(KEY, &[], format!("{} is named twice; name each claim once", names[twice]));
    }
}
