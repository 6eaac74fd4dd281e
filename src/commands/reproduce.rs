//! `widthwise reproduce`: a figure of a paper made again, with a table of paper, theory and what was found.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use widthwise::ensemble::Ended;
use widthwise::reproduce::{ReproduceOptions, Reproduced, Reproduction, Size, TableRow, recipes, reproduce};
use widthwise::signals::StopFlag;
use widthwise::verdict::Verdict;

use super::Exit;
use super::claims::painted;
use super::run::unfinished;
use crate::cli::{ReproduceArguments, SizeName};
use crate::terminal::columns::{Align, columns};
use crate::terminal::console::{Colour, Console};
use crate::terminal::progress::monitor;

#[derive(Serialize)]
struct ListLine<'a> {
    event: &'static str,
    name: &'a str,
    about: &'a str,
    paper: &'a str,
}

#[derive(Serialize)]
struct RowLine<'a> {
    event: &'static str,
    #[serde(flatten)]
    row: &'a TableRow,
}

#[derive(Serialize)]
struct RecipeEndLine<'a> {
    event: &'static str,
    verdict: Verdict,
    folder: &'a Path,
}

/// Lists the recipes, or works through one and ends with its verdict.
///
/// # Errors
/// An unknown recipe, a folder of something else, and whatever stops training.
pub(crate) fn execute(arguments: &ReproduceArguments, console: &Console) -> Result<Exit> {
    let Some(name) = &arguments.name else { return list(console) };
    let size = match (arguments.full, arguments.size) {
        (true, _) | (_, Some(SizeName::Full)) => Size::Full,
        (_, Some(SizeName::Tiny)) => Size::Tiny,
        _ => Size::Default,
    };
    let folder = arguments.out.clone().unwrap_or_else(|| PathBuf::from("reproduce").join(name));
    let (data_dir, force, shard) = (arguments.data_dir.clone(), arguments.force, arguments.shard);
    let options = ReproduceOptions { folder, data_dir, size, force, shard };
    let stop = StopFlag::on_signals();
    let monitor = monitor(console);
    let found = reproduce(name, &options, &stop, &*monitor);
    // Takes the bar away, also before an error is told.
    drop(monitor);
    let found = match found? {
        Reproduction::Done(found) => found,
        Reproduction::Paused(Ended::Unfinished { done, all }) => {
            return unfinished("networks of this part", (done, all), &options.folder, console);
        }
        Reproduction::Paused(_) => {
            let stopped = console.paint(Colour::Yellow, "stopped");
            let folder = options.folder.display();
            console.line(format_args!(
                "{stopped}: networks that are trained are in {folder}; give the same command again to go on"
            ))?;
            return Ok(Exit::Interrupted);
        }
    };
    print(&found, console)?;
    console.json(&RecipeEndLine { event: "end", verdict: found.verdict, folder: &options.folder })?;
    console.line(format_args!("table, numbers and figure: {}", options.folder.display()))?;
    Ok(Exit::of_verdict(found.verdict))
}

fn list(console: &Console) -> Result<Exit> {
    let mut lines = Vec::new();
    for recipe in recipes() {
        console.json(&ListLine { event: "recipe", name: recipe.name, about: recipe.about, paper: recipe.paper })?;
        lines.push([recipe.name.to_owned(), recipe.about.to_owned()]);
    }
    for line in columns([Align::Left, Align::Left], &lines) {
        console.line(line)?;
    }
    Ok(Exit::Done)
}

fn print(found: &Reproduced, console: &Console) -> Result<()> {
    for row in &found.table {
        console.json(&RowLine { event: "row", row })?;
    }
    let mut lines = vec![["quantity", "paper", "theory", "here", "verdict"].map(str::to_owned)];
    for row in &found.table {
        let verdict = row.verdict.map_or_else(|| row.judgement().to_owned(), |verdict| painted(verdict, console));
        lines.push([row.quantity.clone(), row.paper.clone(), row.theory.clone(), row.finding(), verdict]);
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, left, right, right, left], &lines) {
        console.detail(line)?;
    }
    found.remarks.iter().for_each(|remark| console.note(remark));
    let count = |verdict| found.table.iter().filter(|row| row.verdict == Some(verdict)).count();
    console.line(format_args!(
        "{}: {} agree, {} disagree, {} undecided",
        painted(found.verdict, console),
        count(Verdict::Agrees),
        count(Verdict::Disagrees),
        count(Verdict::Undecided)
    ))
}
