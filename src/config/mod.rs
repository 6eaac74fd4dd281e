//! `experiment.toml` to a [`Checked`] experiment: the only place where what the user wrote is doubted.
//!
//! Defaults lie under the file and the file under the `--set` overrides. Every key and every value is held against one
//! table, the values that remain against each other, and all problems are reported together. After this nothing is
//! validated again.

mod check;
mod claims;
mod combinations;
mod device;
mod differences;
mod experiment;
mod init;
mod layer;
mod network;
mod optimizer;
mod overrides;
mod probes;
mod problem;
mod resolved;
mod schema;
#[cfg(test)]
mod tests;
mod text;
mod unknown;
mod values;

use std::fs;
use std::ops::Deref;
use std::path::Path;

use toml::Value;

pub use claims::KNOWN_CLAIMS;
pub use device::DeviceKind;
pub use differences::{KeyDifference, differences};
pub use experiment::{
    Anchor, ClaimsConfig, ControlConfig, DatasetConfig, Experiment, ExplainConfig, KeepWeights, L2, LearningRate, Loss,
    Precision, RunConfig, Stop, TrainingConfig,
};
pub use init::COMMENTED;
pub use layer::{
    BranchConfig, ConvolutionLayerConfig, DenseConfig, DropoutConfig, FunctionConfig, LayerConfig, NormConfig,
    PoolingConfig, ReadoutConfig, ResidualConfig, VariancesConfig,
};
pub use network::{ConvolutionConfig, ConvolutionReadout, Family, GateKind, GatesConfig, NetworkConfig};
pub use optimizer::Optimizer;
pub use probes::{ProbeConfig, ProbesConfig, Schedule};
pub use problem::{ConfigError, ConfigProblem, Fault, ValueOrigin};

use combinations::{Conflict, Idle};
use schema::EXPERIMENT;
use values::{ValueOrigins, is_within};

/// An experiment whose values are all allowed, alone and together.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked(Experiment);

impl Checked {
    /// Checks an experiment that was put together by a program.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with all problems.
    pub fn new(experiment: Experiment) -> Result<Self, ConfigError> {
        let values = Value::try_from(&experiment).map_err(|error| unreadable(&error))?;
        let mut problems = Vec::new();
        check::check(EXPERIMENT, &values, "", &mut problems);
        if problems.is_empty() {
            problems = conflicts(&experiment, &[], Scope::Experiment)?;
        }
        if problems.is_empty() {
            return Ok(Self(experiment));
        }
        for problem in &mut problems {
            problem.place = ValueOrigin::Program;
        }
        Err(ConfigError::Invalid(problems))
    }

    /// The experiment, free to be changed and unchecked again.
    pub fn into_inner(self) -> Experiment {
        self.0
    }
}

impl Deref for Checked {
    type Target = Experiment;

    fn deref(&self) -> &Experiment {
        &self.0
    }
}

/// The default run, word for word an example.
const DEFAULT_RUN: &str = include_str!("../../examples/mnist_mlp.toml");

/// Reads a configuration, or takes the default run where there is no file, and applies the `key=value` overrides in order.
///
/// # Errors
/// [`ConfigError`] when the file cannot be read or parsed, an override is malformed, or a key or value is not allowed.
pub fn load(file: Option<&Path>, overrides: &[String]) -> Result<Checked, ConfigError> {
    let (text, origin) = text_of(file)?;
    parse(&text, &origin, overrides)
}

/// Reads the configuration that a run left in its folder, which may be of a time when keys without effect were let pass.
///
/// # Errors
/// As [`load`].
pub fn load_recorded(file: &Path) -> Result<Checked, ConfigError> {
    let (text, origin) = text_of(Some(file))?;
    parse_recorded(&text, &origin)
}

/// As [`load_recorded`], from a text; `origin` stands for the file name in messages.
///
/// # Errors
/// As [`load`].
pub(crate) fn parse_recorded(text: &str, origin: &str) -> Result<Checked, ConfigError> {
    checked(text, origin, &[], Scope::Recorded).map(Checked)
}

/// As [`load`], from a text; `origin` stands for the file name in messages.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Checked, ConfigError> {
    checked(text, origin, overrides, Scope::Experiment).map(Checked)
}

/// The network of a configuration and the seed of its gates, for other inputs than the data set of the file: whether it fits
/// that one is not asked.
///
/// # Errors
/// As [`load`].
pub fn load_network(file: Option<&Path>, overrides: &[String]) -> Result<(NetworkConfig, u64), ConfigError> {
    let (text, origin) = text_of(file)?;
    let experiment = checked(&text, &origin, overrides, Scope::NetworkOnOtherData)?;
    Ok((experiment.network, experiment.run.seed))
}

/// The data set of a configuration and the seed of its subset, for other uses than its experiment: whether network, training
/// and probes fit the data is not asked.
///
/// # Errors
/// As [`load`].
pub fn load_data(file: &Path, overrides: &[String]) -> Result<(DatasetConfig, u64), ConfigError> {
    let (text, origin) = text_of(Some(file))?;
    let experiment = checked(&text, &origin, overrides, Scope::Data)?;
    Ok((experiment.dataset, experiment.run.seed))
}

/// What a configuration is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The experiment that it describes.
    Experiment,
    /// The same, written by the program.
    Recorded,
    /// Its network alone, which need not fit its data.
    NetworkOnOtherData,
    /// Its data alone.
    Data,
}

fn text_of(file: Option<&Path>) -> Result<(String, String), ConfigError> {
    let Some(path) = file else { return Ok((DEFAULT_RUN.to_owned(), "the default run".to_owned())) };
    let bytes = fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let text = text::decode(&bytes).map_err(|found| ConfigError::Encoding { path: path.to_owned(), found })?;
    Ok((text, path.display().to_string()))
}

/// Checks what the user wrote, and with it the whole of the experiment.
fn checked(text: &str, origin: &str, overrides: &[String], scope: Scope) -> Result<Experiment, ConfigError> {
    let (table, mut places) = values::read(text, origin)?;
    let mut values = Value::Table(table);
    values::expand_names(EXPERIMENT, &mut values);
    overrides::apply(overrides, &mut values, &mut places)?;
    let mut problems = Vec::new();
    check::check(EXPERIMENT, &values, "", &mut problems);
    for problem in &problems {
        // Around a value that is missing the whole table goes, which could not be read without it.
        let around = problem.key.rsplit_once('.').map_or("", |(table, _)| table);
        values::remove(&mut values, if problem.found.is_some() { &problem.key } else { around });
    }
    let is_left_out = |key: &str| values::lookup(&values, key).is_none();
    let probes_left_out = [is_left_out("probes.examples"), is_left_out("probes.jacobian_examples")];
    let experiment = match over_defaults(values) {
        Ok(mut experiment) => {
            combinations::fit_probes(&mut experiment, probes_left_out);
            experiment
        }
        Err(error) if problems.is_empty() => return Err(error),
        // What is wrong has been found already.
        Err(_) => return Err(invalid(problems, &places)),
    };
    problems.extend(conflicts(&experiment, &problems, scope)?);
    problems.extend(idle_override(&experiment, &places));
    if scope != Scope::Recorded {
        problems.extend(idle_keys(&experiment, &problems, &places)?);
    }
    if problems.is_empty() { Ok(experiment) } else { Err(invalid(problems, &places)) }
}

fn over_defaults(values: Value) -> Result<Experiment, ConfigError> {
    let mut all = Value::try_from(Experiment::default()).map_err(|error| unreadable(&error))?;
    // The default rule must not end a run whose configuration has a rule of its own.
    if values::lookup(&values, "training.stop").is_some() {
        values::remove(&mut all, "training.stop");
    }
    values::merge(EXPERIMENT, &mut all, values);
    all.try_into().map_err(|error: toml::de::Error| unreadable(&error))
}

/// Conflicts as problems, less those in which a value takes part that was refused on its own.
fn conflicts(
    experiment: &Experiment,
    refused: &[ConfigProblem],
    scope: Scope,
) -> Result<Vec<ConfigProblem>, ConfigError> {
    let values = Value::try_from(experiment).map_err(|error| unreadable(&error))?;
    let is_refused =
        |key: &str| refused.iter().any(|problem| is_within(&problem.key, key) || is_within(key, &problem.key));
    let counts = |conflict: &Conflict| match scope {
        Scope::Experiment | Scope::Recorded => true,
        Scope::NetworkOnOtherData => {
            !conflict.is_about_data() || !(is_within(&conflict.key, "network") || conflict.is_about_probes())
        }
        Scope::Data => is_within(&conflict.key, "dataset") && !conflict.is_about_probes(),
    };
    let sound = combinations::conflicts(experiment)
        .into_iter()
        .filter(counts)
        .filter(|conflict| !is_refused(&conflict.key) && !conflict.others.iter().any(|key| is_refused(key)));
    Ok(sound
        .map(|conflict| ConfigProblem {
            found: values::lookup(&values, &conflict.key).map(check::show),
            key: conflict.key.into_owned(),
            place: ValueOrigin::Default,
            fault: Fault::Conflict { reason: conflict.reason },
        })
        .collect())
}

/// An override of the width or depth that a list of widths or of layers would silently outdo.
fn idle_override(experiment: &Experiment, places: &ValueOrigins) -> Option<ConfigProblem> {
    let network = &experiment.network;
    let widths = |width: usize, depth: usize| NetworkConfig { width, depth, ..network.clone() }.hidden_widths();
    let (list, reason) = if network.family == Family::Layers {
        ("network.layers", "the layers of network.layers decide alone; override network.layers instead")
    } else {
        let reason = "network.widths is set and decides alone; override network.widths instead, for instance \
                      --set network.widths=[512,512]";
        ("network.widths", reason)
    };
    let keys = [
        ("network.width", network.width, widths(1, 1) == widths(2, 1)),
        ("network.depth", network.depth, widths(1, 1) == widths(1, 2)),
    ];
    let (key, value, _) = keys.into_iter().find(|(key, _, is_idle)| *is_idle && places.is_override(key))?;
    if places.is_override(list) {
        return None;
    }
    let fault = Fault::Conflict { reason: reason.to_owned() };
    Some(ConfigProblem { key: key.to_owned(), found: Some(value.to_string()), place: ValueOrigin::Default, fault })
}

/// Keys that nothing reads, as far as somebody meant them to be read: by `--set`, or with another value than the default in a
/// file, whose text may be one that names every key; what a file turns off there may stay in detail.
fn idle_keys(
    experiment: &Experiment,
    refused: &[ConfigProblem],
    places: &ValueOrigins,
) -> Result<Vec<ConfigProblem>, ConfigError> {
    let table = |experiment: &Experiment| Value::try_from(experiment).map_err(|error| unreadable(&error));
    let (values, defaults) = (table(experiment)?, table(&Experiment::default())?);
    // A file is written for its own network; what an override makes of that need not read all of it.
    let is_varied = places.has_override("network");
    let is_meant = |idle: &Idle| {
        let is_changed = values::lookup(&values, idle.key) != values::lookup(&defaults, idle.key);
        let is_varied = is_varied && is_within(idle.key, "network");
        let is_in_file = !idle.is_detail && !is_varied && places.of(idle.key) != ValueOrigin::Default;
        places.has_override(idle.key) || is_changed && is_in_file
    };
    let is_refused = |idle: &Idle| refused.iter().any(|problem| is_within(&problem.key, idle.key));
    let idle = combinations::idle(experiment).into_iter().filter(|idle| is_meant(idle) && !is_refused(idle));
    Ok(idle
        .map(|Idle { key, reason, .. }| ConfigProblem {
            key: key.to_owned(),
            found: values::lookup(&values, key).map(check::show),
            place: ValueOrigin::Default,
            fault: Fault::Conflict { reason },
        })
        .collect())
}

fn invalid(mut problems: Vec<ConfigProblem>, places: &ValueOrigins) -> ConfigError {
    for problem in &mut problems {
        // The defaults are allowed: what is not was written, if in a key that only quotes can hold.
        let is_written = problem.found.is_some() && !matches!(problem.fault, Fault::Conflict { .. });
        problem.place = if is_written { places.around(&problem.key) } else { places.of(&problem.key) };
    }
    ConfigError::Invalid(problems)
}

fn unreadable(error: &dyn std::error::Error) -> ConfigError {
    let reason = format!("it has a value that TOML cannot hold: {}", error.to_string().trim().replace('\n', "; "));
    let fault = Fault::Conflict { reason };
    ConfigError::Invalid(vec![ConfigProblem {
        key: "the experiment".to_owned(),
        found: None,
        place: ValueOrigin::Default,
        fault,
    }])
}
