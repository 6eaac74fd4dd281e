//! A run in one file, with everything that judging, drawing and joining it again needs and nothing else: whoever has it needs neither the
//! data set nor the time to train.
//!
//! | file | what |
//! |---|---|
//! | `SHA256SUMS` | the SHA-256 of every other file, as `sha256sum` writes and checks them |
//! | `bundle.json` | the version of this layout, and what the prepared data are |
//! | `manifest.json`, `registration.toml`, `config.toml` | what ran, and what it was to be judged by |
//! | `results.csv`, `training.csv`, `error_budget.csv` | its tables |
//! | `members/NNN/*.npy` | outputs before training, and kernels, moments and units at the first and last step |
//! | `data/*.npy` | inputs, targets and classes as the run prepared them, to the last bit; left out where they are too large or not to be given away |
//!
//! The archive is a `.tar.gz` with one folder of the run's name. Names are in order, and no time, user or machine stands in it: one run
//! has one archive.

mod data;
mod open;
mod pack;
mod sums;

use serde::{Deserialize, Serialize};

use crate::record::budget::BUDGET_FILE;
use crate::record::manifest::Manifest;
use crate::record::registration::Registration;
pub(super) use data::data_of;
pub use open::OpenedRun;
pub use pack::{BundleOptions, BundleSummary, BundledData, bundle};

/// Version of the layout written now.
const VERSION: u32 = 1;

/// What every bundle has.
const NEEDED: [&str; 4] = [Manifest::FILE, "config.toml", "results.csv", "training.csv"];

/// What it has where the run has it.
const OPTIONAL: [&str; 2] = [Registration::FILE, BUDGET_FILE];

/// What a member must have left.
const OUTPUTS: &str = "outputs_initial.npy";

/// What it may have left.
const MATRICES: [&str; 6] = [
    "ntk_initial.npy",
    "ntk_final.npy",
    "moments_initial.npy",
    "moments_final.npy",
    "units_initial.npy",
    "units_final.npy",
];

/// `bundle.json`
#[derive(Debug, Serialize, Deserialize)]
struct BundleDescription {
    bundle_version: u32,
    /// SHA-256 of the prepared data, that of the manifest.
    data_hash: String,
    /// Nothing where the data were left out.
    data: Option<data::DataDescription>,
}

impl BundleDescription {
    const FILE: &'static str = "bundle.json";
}

/// Whether a bundle may hold a file of this path, with `/` between names.
fn is_bundled(path: &str) -> bool {
    let is_plain = NEEDED.iter().chain(&OPTIONAL).chain([&BundleDescription::FILE]).any(|name| path == *name);
    is_plain || data::is_bundled(path) || is_matrix(path)
}

fn is_matrix(path: &str) -> bool {
    let mut parts = path.split('/');
    let member = |name: &str| name.len() >= 3 && name.bytes().all(|byte| byte.is_ascii_digit());
    let is_member = parts.next() == Some("members") && parts.next().is_some_and(member);
    is_member && parts.next().is_some_and(|file| file == OUTPUTS || MATRICES.contains(&file)) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_bundle_are_known_by_their_path() {
        for path in ["manifest.json", "bundle.json", "members/000/ntk_final.npy", "members/1000/outputs_initial.npy"] {
            assert!(is_bundled(path), "{path}");
        }
        assert!(is_bundled("data/train_inputs.npy") && is_bundled("registration.toml"));
        for path in [
            "SHA256SUMS",
            "report.html",
            "members/000/outputs_final.npy",
            "members/../members/000/ntk_final.npy",
            "members/000/ntk_final.npy/x",
            "/members/000/ntk_final.npy",
            "../manifest.json",
            "data/../manifest.json",
            "members/1/ntk_final.npy",
            "",
        ] {
            assert!(!is_bundled(path), "{path}");
        }
    }
}
