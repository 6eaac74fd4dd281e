//! The folder of a recipe.
//!
//! | file | what |
//! |---|---|
//! | `recipe.json` | which recipe, how large, with which version |
//! | `NAME.toml` | every configuration that was trained |
//! | `numbers.csv` | every number behind figure and table |
//! | `figure.svg` | the figure |
//! | `table.csv`, `table.md` | paper, theory, here, verdict |
//! | `work/` | runs and ladders that the recipe made on its way |

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::{Findings, Recipe, Size, table};
use crate::record::atomic;
use crate::record::lock::Lock;

const MANIFEST: &str = "recipe.json";

/// Folder of what a recipe makes on its way.
pub(super) const WORK: &str = "work";

#[derive(Debug, Serialize, Deserialize)]
struct RecipeManifest {
    recipe: String,
    size: String,
    widthwise_version: String,
}

/// Makes the folder and locks it. What a recipe of this name left is removed with `force`; nothing else ever is.
pub(super) fn open(folder: &Path, recipe: &str, force: bool) -> Result<Lock> {
    let shown = folder.display();
    ensure!(!folder.is_file(), "the output {shown} is a file; give a folder with --out");
    let found = match fs::read(folder.join(MANIFEST)) {
        Ok(text) => serde_json::from_slice::<RecipeManifest>(&text).ok().map(|manifest| manifest.recipe),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    match found {
        None => ensure!(is_free(folder), "{shown} holds files that are no recipe's; choose another --out"),
        Some(found) if found != recipe => bail!("{shown} holds the results of {found}; choose another --out"),
        Some(_) if !force => bail!("{shown} holds results already; replace them with --force, or choose another --out"),
        Some(_) => {}
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {shown}"))?;
    let lock = Lock::acquire(folder)?;
    // The work of a recipe that was stopped is not one that this one could go on with.
    match fs::remove_dir_all(folder.join(WORK)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot clear {shown}"))
        }
        _ => Ok(lock),
    }
}

/// Whether there is nothing but what a recipe leaves that was stopped.
fn is_free(folder: &Path) -> bool {
    match fs::read_dir(folder) {
        Ok(entries) => entries.flatten().all(|entry| {
            let name = entry.file_name();
            name == WORK || name.to_string_lossy().starts_with('.')
        }),
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// Writes what a recipe found.
pub(super) fn write(folder: &Path, recipe: &dyn Recipe, size: Size, findings: &Findings) -> Result<()> {
    let put = |name: &str, bytes: &[u8]| atomic::write(&folder.join(name), bytes);
    let manifest = RecipeManifest {
        recipe: recipe.name().to_owned(),
        size: format!("{size:?}").to_lowercase(),
        widthwise_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    put(MANIFEST, (serde_json::to_string_pretty(&manifest)? + "\n").as_bytes())?;
    for (name, config) in &findings.configs {
        put(&format!("{name}.toml"), config.resolved_toml().as_bytes())?;
    }
    put("numbers.csv", &csv_of(&findings.numbers)?)?;
    if let Some(figure) = &findings.figure {
        put("figure.svg", figure.as_bytes())?;
    }
    put("table.csv", &csv_of(&findings.table)?)?;
    put("table.md", page(recipe, &manifest.size, findings).as_bytes())?;
    Ok(())
}

/// `table.md`: heading, table, remarks and how verdicts are reached.
fn page(recipe: &dyn Recipe, size: &str, findings: &Findings) -> String {
    let mut text = format!("# {}\n\n{}\n\n{}.\n\n", recipe.name(), recipe.about(), recipe.paper());
    text.push_str(&table::markdown(&findings.table));
    text.push_str(&format!("\nSize: {size}. "));
    text.push_str(
        "A value disagrees four standard errors from theory, and agrees within that if they are small enough to tell; an inequality \
         has to hold, or fail, by three. Numbers of the paper marked \"recalled\" were not read in it and are never judged by.\n",
    );
    for remark in &findings.remarks {
        text.push_str(&format!("\n{remark}\n"));
    }
    text
}

fn csv_of<R: Serialize>(rows: &[R]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    writer.into_inner().context("a table in memory cannot be finished")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recipes_own_results_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("out");
        drop(open(&folder, "a", false).unwrap());
        let manifest = r#"{"recipe": "a", "size": "tiny", "widthwise_version": "0"}"#;
        fs::write(folder.join(MANIFEST), manifest).unwrap();
        let refusal = |recipe: &str, force| open(&folder, recipe, force).unwrap_err().to_string();
        assert!(refusal("a", false).contains("--force"));
        assert!(refusal("b", true).contains("holds the results of a"));
        drop(open(&folder, "a", true).unwrap());
        fs::remove_file(folder.join(MANIFEST)).unwrap();
        fs::write(folder.join("thesis.tex"), "").unwrap();
        assert!(refusal("a", true).contains("no recipe's"));
    }
}
