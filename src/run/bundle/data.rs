//! The data of a run in its bundle: the numbers that it was trained on and tested with, after all preprocessing.

use std::path::Path;

use faer::Mat;
use serde::{Deserialize, Serialize};
use widthwise_datasets::{Examples, ImageShape, Prepared};

use super::BundleDescription;
use crate::error::{Result, bail, ensure};
use crate::record::folder::read_json;
use crate::record::npy;
use crate::session::DataSource;

/// Inputs, targets and classes of both splits; those that have no numbers are not there.
pub(super) const FILES: [&str; 6] = [
    "data/train_inputs.npy",
    "data/train_targets.npy",
    "data/train_labels.npy",
    "data/test_inputs.npy",
    "data/test_targets.npy",
    "data/test_labels.npy",
];

pub(super) fn is_bundled(path: &str) -> bool {
    FILES.contains(&path)
}

/// What the arrays do not say themselves.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DataDescription {
    shape: ImageShape,
    outputs: usize,
    classes: usize,
    tasks: usize,
    train: usize,
    test: usize,
}

impl DataDescription {
    pub(super) fn of(prepared: &Prepared) -> Self {
        let Prepared { shape, outputs, classes, tasks, ref train, ref test } = *prepared;
        Self { shape, outputs, classes, tasks, train: train.n, test: test.n }
    }
}

/// The arrays that there are, under their names.
pub(super) fn arrays(prepared: &Prepared) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let Prepared { shape, outputs, train, test, .. } = prepared;
    let of_examples = |examples: &Examples| {
        let labels = examples.labels.iter().map(|label| f64::from(*label)).collect::<Vec<f64>>();
        [(examples.inputs.clone(), shape.len()), (examples.targets.clone(), *outputs), (labels, 1)]
    };
    let all = of_examples(train).into_iter().chain(of_examples(test));
    let there = FILES.into_iter().zip(all).filter(|(_, (values, _))| !values.is_empty());
    there
        .map(|(name, (values, columns))| {
            let matrix = Mat::from_fn(values.len() / columns, columns, |i, j| values[i * columns + j]);
            Ok((name, npy::bytes(&matrix)?))
        })
        .collect()
}

/// Bytes of the arrays.
pub(super) fn size(prepared: &Prepared) -> u64 {
    let numbers = |examples: &Examples| examples.inputs.len() + examples.targets.len() + examples.labels.len();
    8 * (numbers(&prepared.train) + numbers(&prepared.test)) as u64
}

/// Whether the bundle that lies in `folder` has its data; no other folder has.
pub(super) fn is_there(folder: &Path) -> Result<bool> {
    Ok(description(folder)?.is_some())
}

fn description(folder: &Path) -> Result<Option<DataDescription>> {
    let found: Option<BundleDescription> =
        read_json(&folder.join(BundleDescription::FILE), "no description of a bundle")?;
    let Some(BundleDescription { bundle_version, data, .. }) = found else { return Ok(None) };
    ensure!(
        bundle_version == super::VERSION,
        Folder: "{} is a bundle of version {bundle_version}, this program reads {}; use the version that made it",
        folder.display(),
        super::VERSION
    );
    Ok(data)
}

/// Where the data of the run in `folder` are: in the folder, if that is a bundle that has them and no other place is given.
pub(in super::super) fn data_of<'a>(folder: &Path, data_dir: Option<&'a Path>) -> Result<DataSource<'a>> {
    let found = if data_dir.is_none() { description(folder)? } else { None };
    Ok(match found {
        Some(description) => DataSource::Given(read(folder, &description)?),
        None => DataSource::Named(data_dir),
    })
}

fn read(folder: &Path, described: &DataDescription) -> Result<Prepared> {
    let DataDescription { shape, outputs, classes, tasks, train, test } = *described;
    let features = shape.channels.checked_mul(shape.height).and_then(|numbers| numbers.checked_mul(shape.width));
    let features =
        features.filter(|features| *features > 0 && outputs > 0 && classes <= 256 && (1..=train).contains(&tasks));
    let Some(features) = features else {
        bail!(
            damaged: "{} of {} describes no data that a run could have ({described:?}); copy the bundle again",
            BundleDescription::FILE,
            folder.display()
        );
    };
    // Sizes are held against the files before anything is made of them.
    let array = |name: &str, rows: usize, columns: usize| -> Result<Vec<f64>> {
        let path = folder.join(name);
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let found = npy::read_array(&path)?;
        ensure!(
            found.shape == [rows, columns],
            damaged: "{} is damaged: it holds {:?} numbers and {} says {rows} x {columns}; copy the bundle again",
            path.display(),
            found.shape,
            BundleDescription::FILE
        );
        Ok(found.values)
    };
    let [train_names, test_names] = [[FILES[0], FILES[1], FILES[2]], [FILES[3], FILES[4], FILES[5]]];
    let examples = |[inputs, targets, labels]: [&str; 3], n: usize| -> Result<Examples> {
        let (of_inputs, of_targets) = (array(inputs, n, features)?, array(targets, n, outputs)?);
        if n > 0 && (of_inputs.is_empty() || of_targets.is_empty()) {
            bail!(damaged: "{} holds no {inputs} or no {targets}; copy the bundle again", folder.display());
        }
        let class = |value: f64| {
            let is_class = value.fract() == 0.0 && (0.0..classes.max(1) as f64).contains(&value);
            is_class.then_some(value as u8)
        };
        let of_labels: Option<Vec<u8>> = array(labels, n, 1)?.into_iter().map(class).collect();
        let of_labels = of_labels.filter(|found| classes == 0 || found.len() == n);
        let Some(labels) = of_labels else {
            bail!(
                damaged: "{} is damaged: it does not hold {n} whole numbers below {classes}; copy the bundle again",
                folder.join(labels).display()
            );
        };
        Ok(Examples { n, inputs: of_inputs, targets: of_targets, labels })
    };
    Ok(Prepared {
        shape,
        outputs,
        classes,
        tasks,
        train: examples(train_names, train)?,
        test: examples(test_names, test)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::folder::write_json;

    fn prepared(labels: bool, test: usize) -> Prepared {
        let examples = |n: usize| Examples {
            n,
            inputs: (0..n * 4)
                .map(|i| (i as f64).sqrt() - 1.0)
                .chain((n > 0).then_some(-0.0))
                .skip(usize::from(n > 0))
                .collect(),
            targets: (0..n * 2).map(|i| 1.0 / (1.0 + i as f64)).collect(),
            labels: if labels { (0..n).map(|i| i as u8).collect() } else { Vec::new() },
        };
        let shape = ImageShape { channels: 1, height: 2, width: 2 };
        let classes = if labels { 3 } else { 0 };
        Prepared { shape, outputs: 2, classes, tasks: 1, train: examples(3), test: examples(test) }
    }

    /// To the last bit, whatever is missing.
    #[test]
    fn arrays_come_back_as_they_were() {
        for (labels, test) in [(true, 2), (false, 2), (true, 0), (false, 0)] {
            let folder = tempfile::tempdir().unwrap();
            let prepared = prepared(labels, test);
            std::fs::create_dir(folder.path().join("data")).unwrap();
            let mut bytes = 0;
            for (name, array) in arrays(&prepared).unwrap() {
                bytes += array.len() as u64;
                std::fs::write(folder.path().join(name), array).unwrap();
            }
            assert!(size(&prepared) < bytes, "headers come on top");
            let data = Some(DataDescription::of(&prepared));
            let description =
                BundleDescription { bundle_version: super::super::VERSION, data_hash: String::new(), data };
            write_json(&folder.path().join(BundleDescription::FILE), &description).unwrap();
            let DataSource::Given(read) = data_of(folder.path(), None).unwrap() else { panic!("no data") };
            assert_eq!(crate::session::data_hash(&read), crate::session::data_hash(&prepared));
            assert_eq!(read, prepared);
            let elsewhere = data_of(folder.path(), Some(Path::new("elsewhere"))).unwrap();
            assert!(matches!(elsewhere, DataSource::Named(Some(_))), "a folder that is given is the only one");
        }
    }

    #[test]
    fn other_sizes_than_described_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        for (name, array) in arrays(&prepared(true, 2)).unwrap() {
            std::fs::write(folder.path().join(name), array).unwrap();
        }
        let told = |data: DataDescription| {
            let (bundle_version, data_hash) = (super::super::VERSION, String::new());
            let description = BundleDescription { bundle_version, data_hash, data: Some(data) };
            write_json(&folder.path().join(BundleDescription::FILE), &description).unwrap();
            data_of(folder.path(), None).map(drop).unwrap_err().to_string()
        };
        let right = || DataDescription::of(&prepared(true, 2));
        let longer = told(DataDescription { train: 4, ..right() });
        assert!(longer.contains("train_inputs.npy is damaged") && longer.contains("4 x 4"), "{longer}");
        let fewer = told(DataDescription { classes: 2, ..right() });
        assert!(fewer.contains("train_labels.npy is damaged") && fewer.contains("below 2"), "{fewer}");
        let vast = ImageShape { channels: usize::MAX, height: usize::MAX, width: 2 };
        for wrong in [
            DataDescription { shape: vast, ..right() },
            DataDescription { tasks: 0, ..right() },
            DataDescription { tasks: 4, ..right() },
            DataDescription { outputs: 0, ..right() },
            DataDescription { classes: 257, ..right() },
        ] {
            assert!(told(wrong).contains("describes no data that a run could have"));
        }
    }
}
