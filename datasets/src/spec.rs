//! The choice of a data set as it stands in a configuration.

use crate::catalog;
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::load::load_entry;
use crate::synthetic::{gaussian_mixture, teacher_student, twelve_bit, uniform_sphere};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::str::FromStr;

/// A data set and, for synthetic data, its parameters; `name` selects the variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DatasetSpec {
    /// MNIST; the bundled subset where the full set is not found and no folder is named.
    Mnist {},
    /// Fashion-MNIST.
    FashionMnist {},
    /// CIFAR-10.
    Cifar10 {},
    /// CIFAR-100 with its 100 fine labels.
    Cifar100 {},
    /// The 12-bit information-plane task.
    TwelveBit {},
    /// Regression on the outputs of a random network.
    TeacherStudent(teacher_student::TeacherStudentParameters),
    /// Gaussian classes.
    GaussianMixture(gaussian_mixture::GaussianMixtureParameters),
    /// Uniform inputs on the unit sphere.
    UniformSphere(uniform_sphere::UniformSphereParameters),
}

/// All names that [`DatasetSpec`] knows.
pub const NAMES: [&str; 8] = [
    "mnist",
    "fashion-mnist",
    "cifar10",
    "cifar100",
    "twelve-bit",
    "teacher-student",
    "gaussian-mixture",
    "uniform-sphere",
];

impl DatasetSpec {
    /// The name that selects this variant.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mnist {} => "mnist",
            Self::FashionMnist {} => "fashion-mnist",
            Self::Cifar10 {} => "cifar10",
            Self::Cifar100 {} => "cifar100",
            Self::TwelveBit {} => "twelve-bit",
            Self::TeacherStudent(_) => "teacher-student",
            Self::GaussianMixture(_) => "gaussian-mixture",
            Self::UniformSphere(_) => "uniform-sphere",
        }
    }
}

impl Default for DatasetSpec {
    fn default() -> Self {
        Self::Mnist {}
    }
}

impl FromStr for DatasetSpec {
    type Err = DataError;

    /// The data set of this name, synthetic data with its default parameters.
    fn from_str(name: &str) -> Result<Self, DataError> {
        Ok(match name {
            "mnist" => Self::Mnist {},
            "fashion-mnist" => Self::FashionMnist {},
            "cifar10" => Self::Cifar10 {},
            "cifar100" => Self::Cifar100 {},
            "twelve-bit" => Self::TwelveBit {},
            "teacher-student" => Self::TeacherStudent(teacher_student::TeacherStudentParameters::default()),
            "gaussian-mixture" => Self::GaussianMixture(gaussian_mixture::GaussianMixtureParameters::default()),
            "uniform-sphere" => Self::UniformSphere(uniform_sphere::UniformSphereParameters::default()),
            _ => return Err(DataError::UnknownName { name: name.to_owned(), known: NAMES.to_vec() }),
        })
    }
}

/// Reads or generates a data set; `seed` matters for synthetic data only.
///
/// # Errors
/// [`DataError`] when files are missing or damaged, or a parameter is out of range.
pub fn load(spec: &DatasetSpec, data_dir: Option<&Path>, seed: u64) -> Result<Dataset, DataError> {
    match spec {
        DatasetSpec::Mnist {} => load_entry(&catalog::MNIST, data_dir),
        DatasetSpec::FashionMnist {} => load_entry(&catalog::FASHION_MNIST, data_dir),
        DatasetSpec::Cifar10 {} => load_entry(&catalog::CIFAR10, data_dir),
        DatasetSpec::Cifar100 {} => load_entry(&catalog::CIFAR100, data_dir),
        DatasetSpec::TwelveBit {} => Ok(twelve_bit::dataset(seed)),
        DatasetSpec::TeacherStudent(parameters) => teacher_student::dataset(parameters, seed),
        DatasetSpec::GaussianMixture(parameters) => gaussian_mixture::dataset(parameters, seed),
        DatasetSpec::UniformSphere(parameters) => uniform_sphere::dataset(parameters, seed),
    }
}
