//! `widthwise check --power` and `--mutate all`: what a run would have noticed, and what it does notice, of errors put into theory.

use anyhow::Result;
use serde::Serialize;
use widthwise::run::power::{Mutations, NOTICED, PowerReport, SIZES};
use widthwise::verdict::Verdict;

use super::claims::{layers, painted};
use crate::terminal::columns::{Align, columns, number};
use crate::terminal::console::Console;

#[derive(Serialize)]
struct PowerLine<'a> {
    event: &'static str,
    mistake: &'a str,
    smallest: Option<f64>,
    sizes: &'a [f64],
    probabilities: &'a [f64],
    seen_by: &'a str,
}

#[derive(Serialize)]
struct MutationLine<'a> {
    event: &'static str,
    claim: &'a str,
    layer_from: Option<usize>,
    layer: Option<usize>,
    step: u64,
    mistake: String,
    verdict: Option<Verdict>,
}

#[derive(Serialize)]
struct OutcomeLine {
    event: &'static str,
    mistake: String,
    verdict: Verdict,
}

/// Prints the smallest error of each kind that would have been noticed, and the chance to notice errors of certain sizes.
///
/// # Errors
/// Standard output refuses.
pub(crate) fn print_power(report: &PowerReport, console: &Console) -> Result<()> {
    let percent = |share: f64| format!("{} %", number(100.0 * share, 2));
    let chance = |probability: f64| {
        if probability > 0.999 { "> 99.9 %".to_owned() } else { format!("{:.1} %", 100.0 * probability) }
    };
    let noticed = format!("noticed in {:.0} % from", 100.0 * NOTICED);
    let mut rows = vec![[
        "error in theory".to_owned(),
        noticed,
        percent(SIZES[0]),
        percent(SIZES[1]),
        percent(SIZES[2]),
        percent(SIZES[3]),
        "seen best by".to_owned(),
    ]];
    for row in &report.rows {
        console.json(&PowerLine {
            event: "power",
            mistake: row.mistake,
            smallest: row.smallest,
            sizes: if row.probabilities.len() > 1 { &SIZES } else { &[] },
            probabilities: &row.probabilities,
            seen_by: &row.seen_by,
        })?;
        let seen_by = row.seen_by.clone();
        rows.push(match row.probabilities[..] {
            [a, b, c, d] => {
                let from = row.smallest.map_or_else(|| "never".to_owned(), percent);
                [row.mistake.to_owned(), from, chance(a), chance(b), chance(c), chance(d), seen_by]
            }
            _ => {
                let whole = row.probabilities.first().copied().map_or_else(String::new, chance);
                [row.mistake.to_owned(), whole, String::new(), String::new(), String::new(), String::new(), seen_by]
            }
        });
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right, right, left], &rows) {
        console.line(line)?;
    }
    console.detail(format_args!(
        "of the required claim alone that sees an error best, at level {} (the strictest of {} claims); from this run's standard errors",
        number(report.level, 2),
        report.claims
    ))
}

/// Prints the verdict of every claim under every mistake: `.` agrees, `X` disagrees, `?` is undecided.
///
/// # Errors
/// Standard output refuses.
pub(crate) fn print_mutations(found: &Mutations, console: &Console) -> Result<()> {
    for row in &found.rows {
        for (mistake, verdict) in found.mistakes.iter().zip(&row.verdicts) {
            console.json(&MutationLine {
                event: "mutation",
                claim: &row.claim,
                layer_from: row.row.layer_from,
                layer: row.row.layer,
                step: row.row.step,
                mistake: mistake.name(),
                verdict: *verdict,
            })?;
        }
    }
    let numbered: Vec<String> = (1..=found.mistakes.len()).map(|index| format!("{index:>3}")).collect();
    let mut rows = vec![["claim", "layer", "step", "now", &numbered.concat()].map(str::to_owned)];
    for row in &found.rows {
        let cells: String = row.verdicts.iter().map(|verdict| format!("  {}", letter(*verdict))).collect();
        let now = letter(row.row.verdict).to_owned();
        rows.push([row.claim.clone(), layers(&row.row), row.row.step.to_string(), now, cells]);
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, left], &rows) {
        console.line(line)?;
    }
    console.detail(". agrees   X disagrees   ? undecided")?;
    for ((index, mistake), verdict) in (1..).zip(&found.mistakes).zip(&found.verdicts) {
        console.json(&OutcomeLine { event: "mutated", mistake: mistake.name(), verdict: *verdict })?;
        console.line(format_args!("{index:>3}  {:<24} {}", mistake.name(), painted(*verdict, console)))?;
    }
    Ok(())
}

fn letter(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Agrees) => ".",
        Some(Verdict::Disagrees) => "X",
        Some(Verdict::Undecided) => "?",
        Some(Verdict::NoPrediction) | None => " ",
    }
}
