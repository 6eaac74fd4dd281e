//! `widthwise bench verdicts`: the verdicts on trial.

use anyhow::{Context, Result};
use widthwise::run::simulation::{LEVELS, Trial, trial};
use widthwise::signals::StopFlag;

use super::Exit;
use crate::cli::VerdictCases;
use crate::terminal::columns::{Align, columns, number};
use crate::terminal::console::Console;

/// Judges many small ensembles and prints how the judging did; with a file, the same as Markdown.
///
/// # Errors
/// As `run`; a file that cannot be written.
pub(crate) fn execute(arguments: &VerdictCases, console: &Console) -> Result<Exit> {
    if let Some(file) = &arguments.out {
        widthwise::record::place::try_out(file)?;
    }
    let stop = StopFlag::of_run().context("cannot listen for Ctrl-C")?;
    console.note(format_args!("{} runs of {} members", arguments.runs, arguments.members));
    let Some(found) = trial(arguments.runs, arguments.members, &stop, &widthwise::monitor::Silent)? else {
        return Ok(Exit::Interrupted);
    };
    let tables = [claims(&found), mistakes(&found)];
    for line in tables.iter().flat_map(plain) {
        console.line(line)?;
    }
    for line in totals(&found) {
        console.line(line)?;
    }
    if let Some(file) = &arguments.out {
        let mut text = totals(&found).join("\n\n");
        for table in &tables {
            text.push_str("\n\n");
            text.push_str(&markdown(table));
        }
        text.push('\n');
        widthwise::record::atomic::write(file, text.as_bytes())?;
    }
    Ok(Exit::Done)
}

/// Cells of a table, the heading first.
type Cells = Vec<[String; 7]>;

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn claims(found: &Trial) -> Cells {
    let below = LEVELS.map(|level| format!("p < {level}"));
    let mut rows = vec![[
        "claim".to_owned(),
        "layer".to_owned(),
        "step".to_owned(),
        "KS p".to_owned(),
        below[0].clone(),
        below[1].clone(),
        "mean z".to_owned(),
    ]];
    for claim in &found.claims {
        let place = &claim.place;
        let layer = place.layer.map_or_else(String::new, |layer| layer.to_string());
        rows.push([
            place.claim.clone(),
            place.layer_from.map_or_else(|| layer.clone(), |from| format!("{from}>{layer}")),
            place.step.to_string(),
            if claim.is_bound { "bound".to_owned() } else { number(claim.p_value, 2) },
            percent(claim.below[0]),
            percent(claim.below[1]),
            format!("{:+.2} ± {:.2}", claim.bias[0], claim.bias[1]),
        ]);
    }
    rows
}

fn mistakes(found: &Trial) -> Cells {
    let empty = String::new;
    let mut rows = vec![[
        "error in theory".to_owned(),
        "noticed".to_owned(),
        "promised".to_owned(),
        empty(),
        empty(),
        empty(),
        empty(),
    ]];
    rows.extend(found.mistakes.iter().map(|noticed| {
        let (share, promised) = (percent(noticed.share), percent(noticed.promised));
        [noticed.mistake.name(), share, promised, empty(), empty(), empty(), empty()]
    }));
    rows
}

fn totals(found: &Trial) -> Vec<String> {
    let [agree, disagree, undecided] = found.verdicts;
    let Trial { runs, members, wolves, .. } = found;
    vec![
        format!("{runs} runs of {members} members: {agree} agree, {disagree} disagree, {undecided} undecided"),
        format!(
            "runs with a rejected claim after correction: {} at level {} ({} expected), {} at level {} ({} expected)",
            wolves[0],
            LEVELS[0],
            number(LEVELS[0] * *runs as f64, 2),
            wolves[1],
            LEVELS[1],
            number(LEVELS[1] * *runs as f64, 2)
        ),
    ]
}

fn plain(table: &Cells) -> Vec<String> {
    let [left, right] = [Align::Left, Align::Right];
    columns([left, right, right, right, right, right, right], table)
}

fn markdown(table: &Cells) -> String {
    let used = table[0].iter().filter(|cell| !cell.is_empty()).count();
    let line = |row: &[String; 7]| format!("| {} |\n", row[..used].join(" | "));
    let mut text = line(&table[0]);
    text.push_str(&format!("|{}\n", "---|".repeat(used)));
    text.extend(table[1..].iter().map(line));
    text
}
