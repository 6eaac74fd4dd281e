//! The claims of a run as a table and in one line.

use anyhow::Result;
use serde::Serialize;
use widthwise::comparison::p_value;
use widthwise::quantity::Quantity;
use widthwise::record::row::Row;
use widthwise::run::CheckReport;
use widthwise::training::Outcome;
use widthwise::verdict::Verdict;

use crate::terminal::columns::{Align, cell, columns};
use crate::terminal::console::{Colour, Console};

/// Digits of measured and predicted numbers.
const DIGITS: usize = 6;

#[derive(Serialize)]
struct ClaimLine<'a> {
    event: &'static str,
    claim: &'a str,
    is_required: bool,
    p_value: Option<f64>,
    #[serde(flatten)]
    row: &'a Row,
}

#[derive(Serialize)]
struct VerdictLine<'a> {
    event: &'static str,
    verdict: Verdict,
    outcome: &'a Outcome,
    required: &'a [String],
    missing: &'a [String],
}

#[derive(Serialize)]
struct ReasonLine<'a> {
    event: &'static str,
    text: &'a str,
}

/// Prints every claim, the required claims that have no prediction, and what the required ones come to.
///
/// # Errors
/// Standard output refuses.
pub(crate) fn print(check: &CheckReport, console: &Console) -> Result<()> {
    for (claim, row) in &check.claims {
        let is_required = check.required.contains(claim);
        console.json(&ClaimLine { event: "claim", claim, is_required, p_value: p_value(row), row })?;
    }
    for text in &check.remarks {
        console.json(&ReasonLine { event: "remark", text })?;
    }
    let CheckReport { verdict, outcome, required, missing, .. } = check;
    console.json(&VerdictLine { event: "verdict", verdict: *verdict, outcome, required, missing })?;
    if !check.claims.is_empty() {
        for line in table(check, console) {
            console.detail(line)?;
        }
        if !check.required.is_empty() {
            console.detail("* required: decides the verdict")?;
        }
    }
    for claim in missing {
        console.detail(format_args!("{claim} is required, but there is no prediction for it in this run"))?;
    }
    for sentence in &check.remarks {
        console.detail(sentence)?;
    }
    for reason in &check.reasons {
        console.json(&ReasonLine { event: "reason", text: reason })?;
        console.detail(format_args!("why: {reason}"))?;
    }
    console.line(summary(check, console))
}

fn table(check: &CheckReport, console: &Console) -> Vec<String> {
    const HEADING: [&str; 9] = ["claim", "layer", "step", "predicted", "measured", "std_error", "z", "p", "verdict"];
    let mut rows = vec![HEADING.map(str::to_owned)];
    for (claim, row) in &check.claims {
        let is_bound = Quantity::is_bounded(&row.quantity);
        let bound = if is_bound { "<= " } else { "" };
        // The star tells the claims that decide from those that do not.
        let star = if check.required.contains(claim) { "*" } else { "" };
        rows.push([
            format!("{claim}{star}"),
            layers(row),
            row.step.to_string(),
            format!("{bound}{}", cell(row.predicted, DIGITS)),
            cell(row.measured, DIGITS),
            cell(row.std_error, 2),
            row.z.map_or_else(String::new, |z| format!("{z:+.2}")),
            cell(p_value(row), 2),
            row.verdict.map_or_else(String::new, |verdict| painted(verdict, console)),
        ]);
    }
    let [left, right] = [Align::Left, Align::Right];
    if console.is_verbose {
        return columns([left, right, right, right, right, right, right, right, left], &rows);
    }
    let without_p: Vec<[String; 8]> =
        rows.into_iter().map(|[a, b, c, d, e, f, g, _, h]| [a, b, c, d, e, f, g, h]).collect();
    columns([left, right, right, right, right, right, right, left], &without_p)
}

/// `3`, `1>3` for a pair, or nothing.
pub(super) fn layers(row: &Row) -> String {
    let layer = row.layer.map_or_else(String::new, |layer| layer.to_string());
    row.layer_from.map_or_else(|| layer.clone(), |from| format!("{from}>{layer}"))
}

/// The verdict in one line, with the reason where it is undecided.
fn summary(check: &CheckReport, console: &Console) -> String {
    let required = || check.claims.iter().filter(|(claim, _)| check.required.contains(claim));
    let count = |verdict| required().filter(|(_, row)| row.verdict == Some(verdict)).count();
    let reason = if check.outcome == Outcome::Diverged {
        "a network diverged".to_owned()
    } else if check.outcome == Outcome::Running || check.outcome == Outcome::Interrupted {
        "the run is unfinished; continue it with `widthwise run ... --resume`".to_owned()
    } else if check.required.is_empty() {
        "no claim is required; name some in claims.required of the configuration".to_owned()
    } else {
        let (agree, disagree, undecided) =
            (count(Verdict::Agrees), count(Verdict::Disagrees), count(Verdict::Undecided));
        let missing = match check.missing.len() {
            0 => String::new(),
            n => format!(", {n} without prediction"),
        };
        format!("required comparisons: {agree} agree, {disagree} disagree, {undecided} undecided{missing}")
    };
    format!("{}: {reason}", painted(check.verdict, console))
}

pub(super) fn painted(verdict: Verdict, console: &Console) -> String {
    let (colour, word) = match verdict {
        Verdict::Agrees => (Colour::Green, "agrees"),
        Verdict::Disagrees => (Colour::Red, "disagrees"),
        Verdict::Undecided => (Colour::Yellow, "undecided"),
        Verdict::NoPrediction => (Colour::Yellow, "no prediction"),
    };
    console.paint(colour, word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Global;
    use widthwise::record::row::SCHEMA_VERSION;

    fn row(quantity: Quantity, layer: Option<usize>, verdict: Verdict) -> Row {
        Row {
            schema_version: SCHEMA_VERSION,
            run: "default".into(),
            seed: 1,
            members: "0..16".into(),
            dataset: "mnist".into(),
            family: "mlp".into(),
            parameterization: "ntk".into(),
            width: 1024,
            depth: 3,
            step: 0,
            flow_time: Some(0.0),
            quantity: quantity.name().into(),
            unit: String::new(),
            layer_from: None,
            layer,
            measured: Some(1.2345678),
            std_error: Some(0.0123456),
            se_method: "members".into(),
            kind: None,
            method: String::new(),
            ceiling: None,
            flag: None,
            predicted: Some(1.25),
            z: Some(-1.25),
            verdict: Some(verdict),
        }
    }

    fn check(verdict: Verdict) -> CheckReport {
        let named = |quantity: Quantity, layer| (quantity.name().to_owned(), row(quantity, layer, verdict));
        let frozen = row(Quantity::NtkRelativeChange, None, Verdict::Undecided);
        CheckReport {
            claims: vec![named(Quantity::PreactivationVariance, Some(2)), ("ntk_frozen".to_owned(), frozen)],
            required: vec!["preactivation_variance".to_owned()],
            missing: Vec::new(),
            outcome: Outcome::Finished,
            verdict,
            remarks: Vec::new(),
            reasons: Vec::new(),
        }
    }

    fn console(verbose: bool) -> Console {
        Console::unseen(&Global { verbose, ..Global::default() })
    }

    #[test]
    fn the_table_marks_what_decides_and_what_is_a_bound() {
        let lines = table(&check(Verdict::Agrees), &console(false));
        assert_eq!(
            lines,
            [
                "claim                    layer  step   predicted  measured  std_error      z  verdict",
                "preactivation_variance*      2     0     1.25000   1.23457      0.012  -1.25  agrees",
                "ntk_frozen                         0  <= 1.25000   1.23457      0.012  -1.25  undecided",
            ]
        );
        let verbose = table(&check(Verdict::Agrees), &console(true));
        assert!(verbose[0].ends_with("z     p  verdict") && verbose[1].ends_with("0.23  agrees"), "{verbose:?}");
    }

    #[test]
    fn the_verdict_comes_with_its_reason() {
        let console = console(false);
        let mut report = check(Verdict::Disagrees);
        assert_eq!(summary(&report, &console), "disagrees: required comparisons: 0 agree, 1 disagree, 0 undecided");
        report.outcome = Outcome::Diverged;
        assert_eq!(summary(&report, &console), "disagrees: a network diverged");
        let mut report = check(Verdict::Undecided);
        report.required.clear();
        assert!(summary(&report, &console).starts_with("undecided: no claim is required"));
        report.outcome = Outcome::Interrupted;
        assert!(summary(&report, &console).contains("--resume"));
    }
}
