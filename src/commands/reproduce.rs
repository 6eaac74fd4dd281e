//! `widthwise reproduce`: a figure of a paper made again, with a table of paper, theory and what was found.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use widthwise::record::row::Verdict;
use widthwise::reproduce::{RecipeMonitor, ReproduceOptions, Reproduced, Size, TableRow, recipes, reproduce};
use widthwise::signals::StopFlag;

use super::Exit;
use super::claims::painted;
use super::columns::{Align, columns};
use super::console::{Colour, Console};
use crate::cli::{ReproduceArguments, SizeName};
use crate::progress::Parts;

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
struct EndLine<'a> {
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
    let options = ReproduceOptions { folder, data_dir: arguments.data_dir.clone(), size, force: arguments.force };
    let stop = StopFlag::on_signals();
    let progress = Progress { console, parts: RefCell::new(None) };
    let found = reproduce(name, &options, &stop, &progress);
    // Takes the bar away, also before an error is told.
    drop(progress);
    let Some(found) = found? else {
        let stopped = console.paint(Colour::Yellow, "stopped");
        console.line(format_args!("{stopped}: no results were written; give the same command again to start anew"))?;
        return Ok(Exit::Interrupted);
    };
    print(&found, console)?;
    console.json(&EndLine { event: "end", verdict: found.verdict, folder: &options.folder })?;
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

/// Remarks, and a bar for every stage.
struct Progress<'a> {
    console: &'a Console,
    parts: RefCell<Option<Parts<'a>>>,
}

impl RecipeMonitor for Progress<'_> {
    fn note(&self, line: &str) {
        self.console.note(line);
    }

    fn stage(&self, name: &str, parts: usize) {
        // The bar of the last stage has to go before the next one is drawn.
        self.parts.replace(None);
        if self.console.is_interactive {
            self.console.note(name);
        }
        self.parts.replace(Some(Parts::new(self.console, "parts", 0, parts)));
    }

    fn advanced(&self) {
        if let Some(parts) = &*self.parts.borrow() {
            parts.advance();
        }
    }
}
