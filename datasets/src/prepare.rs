//! From a raw data set to the inputs and targets of a run.

use crate::dataset::{Dataset, RawSplit, SplitInputs};
use crate::prepare_error::PrepareError;
use crate::preprocessing::{ColourMode, InputScale, Preprocessing, TargetForm};
use crate::shape::ImageShape;
use crate::stream::stream;
use crate::transform;
use rand::RngExt;
use rand::seq::SliceRandom;

/// Examples ready for training.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    /// Number of examples.
    pub n: usize,
    /// Inputs, n x features, one example after the other.
    pub inputs: Vec<f64>,
    /// Targets, n x outputs, one example after the other.
    pub targets: Vec<f64>,
    /// Class of each example, label noise included; empty for regression data.
    pub labels: Vec<u8>,
}

/// A data set after preprocessing.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// Shape of one input.
    pub shape: ImageShape,
    /// Number of target columns.
    pub outputs: usize,
    /// Number of classes; 0 for regression data.
    pub classes: usize,
    /// Number of tasks, 1 unless the data set was permuted. Examples of task t are rows t n/tasks to (t + 1) n/tasks.
    pub tasks: usize,
    /// Training examples.
    pub train: Examples,
    /// Test examples.
    pub test: Examples,
}

const TRAIN: &str = "training";
const TEST: &str = "test";

/// Selects the subset and applies the preprocessing.
///
/// The subset is chosen before anything is converted to floating point. Random choices draw from the streams `data.subset`,
/// `data.subset.test`, `data.noise` and `data.permutation.T` of the seed.
///
/// # Errors
/// [`PrepareError`] when the data set does not allow what is asked.
pub fn prepare(raw: &Dataset, options: &Preprocessing, seed: u64) -> Result<Prepared, PrepareError> {
    check(raw, options)?;
    let classes = Classes::new(raw, options)?;

    let train_rows = choose(raw, &raw.train, TRAIN, options.train, &classes, seed)?;
    let test_rows = choose(raw, &raw.test, TEST, options.test, &classes, seed)?;
    let (mut train, mut shape) = convert(raw, &raw.train, &train_rows, options);
    let (mut test, _) = convert(raw, &raw.test, &test_rows, options);

    if options.scale == InputScale::Standardize {
        let moments = transform::channel_moments(&train, shape)?;
        transform::standardize(&mut train, shape, &moments);
        transform::standardize(&mut test, shape, &moments);
    }
    if let Some(epsilon) = options.zca {
        let whitening = transform::Whitening::fit(&train, shape.len(), epsilon)?;
        whitening.apply(&mut train);
        whitening.apply(&mut test);
    }
    transform::normalize(&mut train, shape.len(), options.normalize, TRAIN)?;
    transform::normalize(&mut test, shape.len(), options.normalize, TEST)?;

    let mut train = classes.examples(&raw.train, &train_rows, train);
    let mut test = classes.examples(&raw.test, &test_rows, test);
    replace_labels(&mut train.labels, classes.count, options.label_noise, seed);
    let outputs = match raw.outputs {
        Some(outputs) => outputs,
        None => {
            train.targets = targets(&train.labels, classes.count, options.targets);
            test.targets = targets(&test.labels, classes.count, options.targets);
            if options.targets == TargetForm::Binary { 1 } else { classes.count }
        }
    };

    if let Some(tasks) = options.permuted_tasks {
        let orders = transform::task_orders(shape.len(), tasks, seed);
        train = repeat_for_tasks(&train, &orders);
        test = repeat_for_tasks(&test, &orders);
        shape = ImageShape::flat(shape.len() + tasks);
    }
    let tasks = options.permuted_tasks.unwrap_or(1);
    Ok(Prepared { shape, outputs, classes: classes.count, tasks, train, test })
}

fn check(raw: &Dataset, options: &Preprocessing) -> Result<(), PrepareError> {
    let range = |option, found: String, allowed| Err(PrepareError::Range { option, found, allowed });
    if !(0.0..=1.0).contains(&options.label_noise) {
        return range("label_noise", options.label_noise.to_string(), "a fraction from 0 to 1");
    }
    if let Some(epsilon) = options.zca.filter(|epsilon| !(epsilon.is_finite() && *epsilon > 0.0)) {
        return range("zca", epsilon.to_string(), "a finite number above 0");
    }
    if let Some(tasks) = options.permuted_tasks.filter(|tasks| !(1..=1000).contains(tasks)) {
        return range("permuted_tasks", tasks.to_string(), "1 to 1000");
    }
    if options.positive.is_some() && options.targets != TargetForm::Binary {
        return Err(PrepareError::PositiveWithoutBinary);
    }
    if raw.outputs.is_some() {
        let class_options = [
            ("classes", options.classes.is_some()),
            ("label_noise", options.label_noise > 0.0),
            ("targets", options.targets != TargetForm::Native),
        ];
        if let Some((option, _)) = class_options.into_iter().find(|(_, given)| *given) {
            return Err(PrepareError::Regression { option, dataset: raw.name.clone() });
        }
    }
    let has_pixels = matches!(raw.train.inputs, SplitInputs::Bytes(_));
    if !has_pixels && options.scale == InputScale::UnitInterval {
        return Err(PrepareError::NoPixels { option: "scale = \"unit_interval\"", dataset: raw.name.clone() });
    }
    if options.colour == ColourMode::Grey && !matches!(raw.shape.channels, 1 | 3) {
        return Err(PrepareError::Channels { dataset: raw.name.clone(), found: raw.shape.channels });
    }
    Ok(())
}

/// The class that each label of the data set becomes.
struct Classes {
    /// Class by label; `None` for labels left out. Empty for regression data.
    of_label: Vec<Option<u8>>,
    /// Number of classes.
    count: usize,
    /// Whether some labels are left out.
    chosen: bool,
}

impl Classes {
    fn new(raw: &Dataset, options: &Preprocessing) -> Result<Self, PrepareError> {
        let all: Vec<u8> = (0..raw.classes).map(|label| label as u8).collect();
        let kept = options.classes.as_deref().unwrap_or(&all);
        check_list(raw, "classes", kept, options.classes.is_some())?;
        let mut of_label = vec![None; raw.classes];
        for (class, &label) in kept.iter().enumerate() {
            of_label[usize::from(label)] = Some(class as u8);
        }
        let mut count = kept.len();
        if let Some(positive) = &options.positive {
            check_list(raw, "positive", positive, true)?;
            let is_positive = |label: &u8| positive.contains(label);
            if !kept.iter().any(is_positive) || kept.iter().all(is_positive) {
                return Err(list_error(raw, "positive", positive, "both signs need at least one label that is kept"));
            }
            for (label, class) in of_label.iter_mut().enumerate() {
                *class = class.map(|_| u8::from(is_positive(&(label as u8))));
            }
            count = 2;
        }
        if raw.outputs.is_none() && options.targets != TargetForm::Binary && count < 2 {
            return Err(list_error(raw, "classes", kept, "targets and accuracy need at least two classes"));
        }
        if options.targets == TargetForm::Binary && count != 2 {
            return Err(PrepareError::NotBinary { dataset: raw.name.clone(), found: count });
        }
        Ok(Self { of_label, count, chosen: options.classes.is_some() })
    }

    fn class_of(&self, label: u8) -> Option<u8> {
        self.of_label[usize::from(label)]
    }

    /// Joins converted inputs with the classes or the regression targets of the same rows.
    fn examples(&self, split: &RawSplit, rows: &[usize], inputs: Vec<f64>) -> Examples {
        let labels = match split.labels.is_empty() {
            true => Vec::new(),
            false => rows.iter().filter_map(|&row| self.class_of(split.labels[row])).collect(),
        };
        let targets = split.targets.as_ref().map_or_else(Vec::new, |targets| {
            let outputs = targets.len() / split.n;
            rows.iter().flat_map(|&row| targets[row * outputs..(row + 1) * outputs].iter().copied()).collect()
        });
        Examples { n: rows.len(), inputs, targets, labels }
    }
}

fn check_list(raw: &Dataset, option: &'static str, list: &[u8], given: bool) -> Result<(), PrepareError> {
    if !given {
        return Ok(());
    }
    if list.is_empty() {
        return Err(list_error(raw, option, list, "name at least one label"));
    }
    if list.iter().any(|&label| usize::from(label) >= raw.classes) {
        return Err(list_error(raw, option, list, "a label is out of range"));
    }
    if (1..list.len()).any(|index| list[..index].contains(&list[index])) {
        return Err(list_error(raw, option, list, "a label is named twice"));
    }
    Ok(())
}

fn list_error(raw: &Dataset, option: &'static str, found: &[u8], problem: &'static str) -> PrepareError {
    PrepareError::Classes { option, dataset: raw.name.clone(), found: found.to_vec(), classes: raw.classes, problem }
}

fn choose(
    raw: &Dataset,
    split: &RawSplit,
    split_name: &'static str,
    asked: Option<usize>,
    classes: &Classes,
    seed: u64,
) -> Result<Vec<usize>, PrepareError> {
    let mut rows: Vec<usize> =
        (0..split.n).filter(|&row| split.labels.is_empty() || classes.class_of(split.labels[row]).is_some()).collect();
    let available = rows.len();
    let count = asked.unwrap_or(available);
    if count == 0 {
        return Err(PrepareError::NoExamples { dataset: raw.name.clone(), split: split_name });
    }
    if count > available {
        return Err(PrepareError::TooMany {
            dataset: raw.name.clone(),
            split: split_name,
            asked: count,
            available,
            chosen_classes: classes.chosen,
        });
    }
    let name = if split_name == TRAIN { "data.subset" } else { "data.subset.test" };
    rows.shuffle(&mut stream(seed, name));
    rows.truncate(count);
    Ok(rows)
}

/// Copies the rows to floating point, in colour or grey, with pixels scaled as asked.
fn convert(raw: &Dataset, split: &RawSplit, rows: &[usize], options: &Preprocessing) -> (Vec<f64>, ImageShape) {
    let has_pixels = matches!(split.inputs, SplitInputs::Bytes(_));
    let unit = has_pixels && options.scale != InputScale::None;
    let grey = options.colour == ColourMode::Grey && raw.shape.channels == 3;
    let shape = if grey { ImageShape { channels: 1, ..raw.shape } } else { raw.shape };

    let mut inputs = Vec::with_capacity(rows.len() * shape.len());
    let mut row_values = vec![0.0; raw.shape.len()];
    for &row in rows {
        split.copy_row(row, &mut row_values);
        if unit {
            row_values.iter_mut().for_each(|value| *value /= 255.0);
        }
        if grey {
            inputs.extend(transform::grey(&row_values));
        } else {
            inputs.extend_from_slice(&row_values);
        }
    }
    (inputs, shape)
}

/// Gives round(fraction n) labels, chosen without repetition, a uniformly random other class.
fn replace_labels(labels: &mut [u8], classes: usize, fraction: f64, seed: u64) {
    if classes < 2 {
        return;
    }
    let mut rng = stream(seed, "data.noise");
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.shuffle(&mut rng);
    order.truncate((fraction * labels.len() as f64).round() as usize);
    for index in order {
        let step = rng.random_range(1..classes);
        labels[index] = ((usize::from(labels[index]) + step) % classes) as u8;
    }
}

/// Targets of classes `0..classes`, `labels x outputs`: one output for binary targets, one a class otherwise.
#[must_use]
pub fn targets(labels: &[u8], classes: usize, form: TargetForm) -> Vec<f64> {
    if form == TargetForm::Binary {
        return labels.iter().map(|&label| if label == 1 { 1.0 } else { -1.0 }).collect();
    }
    let off = if form == TargetForm::OneHot { 0.0 } else { -1.0 / classes as f64 };
    let mut targets = vec![off; labels.len() * classes];
    for (row, &label) in targets.chunks_exact_mut(classes).zip(labels) {
        row[usize::from(label)] += 1.0;
    }
    targets
}

fn repeat_for_tasks(examples: &Examples, orders: &[Vec<usize>]) -> Examples {
    let tasks = orders.len();
    Examples {
        n: examples.n * tasks,
        inputs: transform::permuted_copies(&examples.inputs, orders),
        targets: examples.targets.repeat(tasks),
        labels: examples.labels.repeat(tasks),
    }
}
