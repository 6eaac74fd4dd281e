//! The folder of a recipe.
//!
//! | file | what |
//! |---|---|
//! | `recipe.json` | which recipe, how large, with which version |
//! | `NAME.toml` | every configuration that was trained |
//! | `numbers.csv` | every number behind figure and table |
//! | `figure.svg` | the figure |
//! | `table.csv`, `table.md` | paper, theory, here, verdict |
//! | `work/SIZE/` | networks, runs and ladders that the recipe made on its way |

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Findings, Recipe, ReproduceOptions, Size, table};
use crate::error::{At, Result, bail, ensure};
use crate::record::atomic;
use crate::record::csv_file::bytes_of;
use crate::record::folder::{expect_no_file, is_free, make, read_json, remove_file, write_json};
use crate::record::lock::Lock;

const MANIFEST: &str = "recipe.json";

/// Folder of what a recipe makes on its way.
pub(super) const WORK: &str = "work";

#[derive(Debug, Serialize, Deserialize)]
struct RecipeManifest {
    recipe: String,
    /// `None` while the recipe is at work for the first time, and while its files are written.
    size: Option<Size>,
    widthwise_version: String,
    /// Files that it left, all in this folder.
    files: Vec<String>,
}

impl RecipeManifest {
    fn new(recipe: &str, size: Option<Size>, files: Vec<String>) -> Self {
        Self { recipe: recipe.to_owned(), size, widthwise_version: env!("CARGO_PKG_VERSION").to_owned(), files }
    }

    fn read(folder: &Path) -> Result<Option<Self>> {
        read_json(&folder.join(MANIFEST), "damaged")
    }

    /// Whether the recipe was done: its last write is that of its size, and all its files are there.
    fn is_finished(&self, folder: &Path) -> bool {
        self.size.is_some() && self.files.iter().all(|name| folder.join(name).is_file())
    }

    fn write(&self, folder: &Path) -> Result<()> {
        Ok(write_json(&folder.join(MANIFEST), self)?)
    }
}

/// Makes the folder and locks it. With `force`, earlier results of the recipe are replaced once there are new ones; nothing else ever
/// is. What a recipe that was stopped has trained is gone on with.
pub(super) fn open(folder: &Path, recipe: &str, options: &ReproduceOptions) -> Result<Lock> {
    let shown = folder.display();
    expect_no_file(folder, "--out")?;
    ensure!(
        options.shard.is_whole() || !options.force,
        "--force and --shard: the parts of a recipe would delete each other's networks; remove {shown} first, or replace it without --shard"
    );
    let found = RecipeManifest::read(folder)?;
    match &found {
        None => ensure!(
            is_free(folder).at("read the folder", folder)?,
            Folder: "{shown} holds files that are no recipe's; choose another --out"
        ),
        Some(found) if found.recipe != recipe => {
            bail!(Folder: "{shown} holds the results of {}; choose another --out", found.recipe)
        }
        Some(found) if found.is_finished(folder) && !options.force => {
            bail!(Folder: "{shown} holds results already; replace them with --force, or choose another --out")
        }
        Some(_) => {}
    }
    make(folder)?;
    let lock = Lock::take(folder, options.shard.is_whole())?;
    let _turn = Lock::turn(folder)?;
    if RecipeManifest::read(folder)?.is_none() {
        RecipeManifest::new(recipe, None, Vec::new()).write(folder)?;
    }
    if !options.force {
        return Ok(lock);
    }
    match fs::remove_dir_all(folder.join(WORK)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).at("clear", folder),
        _ => Ok(lock),
    }
}

/// Whether a recipe writes files of this name.
fn is_own(name: &str) -> bool {
    matches!(name, "numbers.csv" | "figure.svg" | "table.csv" | "table.md")
        || name.ends_with(".toml") && Path::new(name).file_name().is_some_and(|own| own == name)
}

/// Writes what a recipe found and removes what it had left before.
pub(super) fn write(folder: &Path, recipe: &Recipe, size: Size, findings: &Findings) -> Result<()> {
    let mut files: Vec<(String, Vec<u8>)> = findings
        .configs
        .iter()
        .map(|(name, config)| (format!("{name}.toml"), config.resolved_toml().into_bytes()))
        .collect();
    files.push(("numbers.csv".to_owned(), bytes_of(&findings.numbers)?));
    files.extend(findings.figure.iter().map(|figure| ("figure.svg".to_owned(), figure.clone().into_bytes())));
    files.push(("table.csv".to_owned(), bytes_of(&findings.table)?));
    files.push(("table.md".to_owned(), page(recipe, size, findings).into_bytes()));
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    let before = RecipeManifest::read(folder)?.map_or_else(Vec::new, |manifest| manifest.files);
    let old: Vec<String> = before.into_iter().filter(|name| !names.contains(name) && is_own(name)).collect();
    // While they are written they are nothing's results: the same command begins again after a kill or a full disk.
    RecipeManifest::new(recipe.name, None, [names.as_slice(), &old].concat()).write(folder)?;
    for (name, bytes) in &files {
        atomic::write(&folder.join(name), bytes)?;
    }
    old.iter().try_for_each(|name| remove_file(&folder.join(name)))?;
    RecipeManifest::new(recipe.name, Some(size), names).write(folder)
}

/// `table.md`: heading, table, remarks and how verdicts are reached.
fn page(recipe: &Recipe, size: Size, findings: &Findings) -> String {
    let mut text = format!("# {}\n\n{}\n\n{}.\n\n", recipe.name, recipe.about, recipe.paper);
    text.push_str(&table::markdown(&findings.table));
    text.push_str(&format!("\nSize: {}. ", format!("{size:?}").to_lowercase()));
    text.push_str(
        "A value disagrees four standard errors from theory, and agrees within that if they are small enough to tell; an inequality \
         has to hold, or fail, by three. Numbers of the paper marked \"recalled\" were not read in it and are never judged by.\n",
    );
    for remark in &findings.remarks {
        text.push_str(&format!("\n{remark}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recipes_own_results_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("out");
        let options = |force| ReproduceOptions {
            folder: folder.clone(),
            data_dir: None,
            size: Size::Tiny,
            force,
            shard: crate::ensemble::Shard::WHOLE,
        };
        let open = |recipe: &str, force| open(&folder, recipe, &options(force));
        drop(open("a", false).unwrap());
        drop(open("a", false).unwrap());
        let left = vec!["old.toml".to_owned()];
        RecipeManifest::new("a", Some(Size::Tiny), left).write(&folder).unwrap();
        for name in ["old.toml", "thesis.tex"] {
            fs::write(folder.join(name), "").unwrap();
        }
        let refusal = |recipe: &str, force| open(recipe, force).unwrap_err().to_string();
        assert!(refusal("a", false).contains("--force"));
        assert!(refusal("b", true).contains("holds the results of a"));
        drop(open("a", true).unwrap());
        assert!(folder.join("old.toml").is_file(), "earlier results go when there are new ones");
        write(&folder, &super::super::RECIPES[0], Size::Tiny, &Findings::default()).unwrap();
        assert!(!folder.join("old.toml").exists() && folder.join("thesis.tex").is_file());
        fs::remove_file(folder.join(MANIFEST)).unwrap();
        assert!(refusal("a", true).contains("no recipe's"));
        // A manifest that names another's file does not make it the recipe's.
        RecipeManifest::new("a", Some(Size::Tiny), vec!["thesis.tex".to_owned()]).write(&folder).unwrap();
        write(&folder, &super::super::RECIPES[0], Size::Tiny, &Findings::default()).unwrap();
        assert!(folder.join("thesis.tex").is_file());
    }
}
