//! The folder of a ladder.
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | the resolved configuration |
//! | `ladder.json` | what all its networks share: hashes of configuration and data, the learning rate |
//! | `width_00064/member_003.csv` | the numbers of one network, there whole once it is trained |
//! | `ladder.csv` | all of them |
//! | `means.csv` | mean, standard error and median over members |
//! | `fits.csv` | exponents and limits, with their verdicts |
//! | `ladder.svg` | a figure of both |
//!
//! A network's file is the only sign that it is done: a ladder that is run again trains what has no file, and shards or machines
//! that share the folder need no lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use widthwise_statistics::Estimate;
use widthwise_statistics::power_law::Center;

use super::quantity::LadderQuantity;
use super::unit::LadderNumber;
use crate::config::parse;
use crate::error::{At, OrDamaged, Result, ensure};
use crate::record::atomic;
use crate::record::csv_file::bytes_of;
use crate::record::folder::{expect_no_file, is_free, make, read_json, write_json};
use crate::session::in_what;

/// One row of the CSV files.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnitRow {
    /// Units (channels) of every hidden layer.
    pub width: usize,
    /// Member, from 0.
    pub member: usize,
    /// What.
    pub quantity: LadderQuantity,
    /// Where, if the quantity has one number a layer.
    pub layer: Option<usize>,
    /// The number.
    pub value: f64,
}

/// One row of `means.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanRow {
    /// What.
    pub quantity: LadderQuantity,
    /// Where, if the quantity has one number a layer.
    pub layer: Option<usize>,
    /// Units (channels) of every hidden layer.
    pub width: usize,
    /// Networks that have the number.
    pub members: usize,
    /// Mean over them.
    pub mean: f64,
    /// Its standard error; `None` for one network.
    pub std_error: Option<f64>,
    /// Median over them.
    pub median: f64,
}

/// `ladder.json`: what networks in one folder must share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LadderManifest {
    pub(super) schema_version: u32,
    pub(super) config_hash: String,
    pub(super) data_hash: String,
    /// Whether only pre-activations are measured.
    pub(super) is_coordinate_check: bool,
    pub(super) learning_rate: f64,
    pub(super) widthwise_version: String,
}

/// Keys that the networks of one ladder need not share.
const NOT_SHARED: &[&str] = &["network.width", "run.members", "claims.significance"];

pub(super) const MANIFEST: &str = "ladder.json";
const VERSION: u32 = 1;

/// Whether `folder` is that of a ladder.
pub fn is_ladder(folder: &Path) -> bool {
    folder.join(MANIFEST).is_file()
}

/// Finds the ladder of `folder` or begins one; `learning_rate` is asked for at the beginning only.
pub(super) fn open(
    folder: &Path,
    config_text: &str,
    hashes: (String, String),
    is_coordinate_check: bool,
    learning_rate: impl FnOnce() -> Result<f64>,
) -> Result<LadderManifest> {
    expect_no_file(folder, "--out")?;
    let [path, config] = [MANIFEST, "config.toml"].map(|name| folder.join(name));
    let (config_hash, data_hash) = hashes;
    if let Some(found) = read_json::<LadderManifest>(&path, "no manifest of a ladder")? {
        ensure!(
            found.schema_version == VERSION && found.config_hash == config_hash,
            Folder: "{} holds a ladder of another configuration than the one given{}; give its own, {}, or choose another --out",
            folder.display(),
            parse(config_text, "", &[]).map_or_else(|_| String::new(), |given| in_what(folder, &given, NOT_SHARED)),
            config.display()
        );
        ensure!(
            found.is_coordinate_check == is_coordinate_check,
            Folder: "{} holds a ladder {} --coordinates; choose another --out",
            folder.display(),
            if found.is_coordinate_check { "with" } else { "without" }
        );
        ensure!(
            found.data_hash == data_hash,
            Folder: "{} was begun with other data; give the same --data-dir, or choose another --out",
            folder.display()
        );
        // What was not written before a kill or a full disk is written now.
        if !config.is_file() {
            atomic::write(&config, config_text.as_bytes())?;
        }
        return Ok(found);
    }
    let is_free = is_free(folder).at("read", folder)?;
    ensure!(is_free, Folder: "{} holds files that are no ladder; choose another --out", folder.display());
    let manifest = LadderManifest {
        schema_version: VERSION,
        config_hash,
        data_hash,
        is_coordinate_check,
        learning_rate: learning_rate()?,
        widthwise_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    make(folder)?;
    write_json(&path, &manifest)?;
    atomic::write(&config, config_text.as_bytes())?;
    Ok(manifest)
}

/// The file of one network.
pub(super) fn unit_path(folder: &Path, width: usize, member: usize) -> PathBuf {
    folder.join(format!("width_{width:05}")).join(format!("member_{member:03}.csv"))
}

/// Writes the numbers of one network, whole or not at all.
pub(super) fn write_unit(folder: &Path, width: usize, member: usize, measured: &[LadderNumber]) -> Result<()> {
    let path = unit_path(folder, width, member);
    path.parent().map_or(Ok(()), make)?;
    let rows = measured.iter().map(|found| UnitRow {
        width,
        member,
        quantity: found.quantity,
        layer: found.layer,
        value: found.value,
    });
    Ok(atomic::write(&path, &bytes_of(rows)?)?)
}

/// Reads the numbers of one network.
pub(super) fn read_unit(folder: &Path, width: usize, member: usize) -> Result<Vec<UnitRow>> {
    let path = unit_path(folder, width, member);
    let damaged = || format!("{} is damaged; remove it and give the command again", path.display());
    let mut reader = csv::Reader::from_path(&path).at("read", &path)?;
    let rows = reader.deserialize().collect::<Result<Vec<UnitRow>, _>>().or_damaged(damaged)?;
    ensure!(rows.iter().all(|row| (row.width, row.member) == (width, member)), damaged: "{}", damaged());
    Ok(rows)
}

/// Values by quantity and layer, then by width, one a member in their order.
pub(super) type ValuesByWidth = BTreeMap<(LadderQuantity, Option<usize>), BTreeMap<usize, Vec<f64>>>;

/// Mean, standard error and median of every quantity at every width.
pub(super) fn means(values: &ValuesByWidth) -> Vec<MeanRow> {
    let of_width = |(quantity, layer): (LadderQuantity, Option<usize>), (&width, values): (&usize, &Vec<f64>)| {
        let found = Estimate::mean(values);
        let median = Center::Median.of(&mut values.clone());
        MeanRow {
            quantity,
            layer,
            width,
            members: values.len(),
            mean: found.value,
            std_error: Some(found.std_error).filter(|e| e.is_finite()),
            median,
        }
    };
    values.iter().flat_map(|(&key, by_width)| by_width.iter().map(move |entry| of_width(key, entry))).collect()
}

/// Sorts rows into values; members without a number are left out of their width.
pub(super) fn by_quantity(rows: &[UnitRow]) -> ValuesByWidth {
    let mut values = ValuesByWidth::new();
    for row in rows {
        values.entry((row.quantity, row.layer)).or_default().entry(row.width).or_default().push(row.value);
    }
    values
}
