//! The report as one HTML page: style and images inline, no scripts, nothing fetched.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::claims::{Claims, counted, measured, predicted, word};
use super::figure::Figure;
use super::quantity::{self, label};
use super::read::Records;
use super::select::{in_order, is_ensemble, latest, subject};
use crate::plot::markup::escape;
use crate::plot::number::{exact, fixed, significant};
use crate::record::budget::largest_parts;
use crate::record::registration::Registration;
use crate::record::row::Row;
use crate::verdict::Verdict;

/// Outcomes of a run that came to its own end.
const COMPLETE: [&str; 3] = ["completed", "finished", "loss_reached"];
/// With more claims than this the table shows each at its last step and folds the rest away.
const LONG: usize = 48;

/// The page for `records` with `figures`.
pub(crate) fn page(records: &Records, figures: &[Figure]) -> String {
    let claims = Claims::of(records);
    let name = run_name(records);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"/>\n<title>{0} – widthwise report</title>\n<style>\n{1}</style>\n\
         </head>\n<body>\n<main>\n<h1>{0}</h1>\n",
        escape(&name),
        include_str!("report.css")
    );
    html.push_str(&facts(records));
    html.push_str(&verdict(records, &claims));
    html.push_str(&registration(records));
    html.push_str(&reasons(records));
    if !claims.rows.is_empty() {
        html.push_str("<h2>Claims</h2>\n");
        html.push_str(&claims_section(&claims));
    }
    if !figures.is_empty() {
        html.push_str("<h2>Figures</h2>\n");
        for figure in figures {
            html.push_str(&format!(
                "<figure id=\"{}\">\n<h3>{}</h3>\n<div class=\"card\">\n{}</div>\n<figcaption>{}</figcaption>\n</figure>\n",
                figure.name,
                escape(figure.title),
                figure.svg,
                escape(&figure.caption)
            ));
        }
    }
    html.push_str(&others(records, figures, &claims));
    html.push_str(&provenance(records));
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn run_name(records: &Records) -> String {
    let from_rows = || records.rows.first().map(|r| r.run.clone());
    records.manifest_text("run").or_else(from_rows).unwrap_or_else(|| "unnamed run".to_owned())
}

/// The line under the title: what was run.
fn facts(records: &Records) -> String {
    let Some(row) = records.rows.first() else { return String::new() };
    let mut parts = vec![
        format!("{} on {}", row.family, row.dataset),
        format!("{} parameterization", row.parameterization),
        format!("width {}", row.width),
        format!("depth {}", row.depth),
        format!("seed {}", row.seed),
    ];
    let members = records.rows.iter().find(|r| is_ensemble(r)).map(|r| format!("members {}", r.members));
    parts.extend(members);
    parts.extend(records.rows.iter().map(|r| r.step).max().map(|step| format!("last step {step}")));
    format!("<p class=\"facts\">{}</p>\n", escape(&parts.join(" · ")))
}

fn verdict(records: &Records, claims: &Claims<'_>) -> String {
    let mut html = String::from("<div class=\"verdict\">\n");
    let shares: Vec<(Verdict, usize)> = [Verdict::Agrees, Verdict::Undecided, Verdict::Disagrees]
        .into_iter()
        .map(|v| (v, claims.count(v)))
        .filter(|(_, count)| *count > 0)
        .collect();
    if !shares.is_empty() {
        html.push_str("<div class=\"share\">");
        for (verdict, count) in shares {
            let name = word(verdict);
            html.push_str(&format!("<i class=\"{name}\" style=\"flex-grow:{count}\" title=\"{count} {name}\"></i>"));
        }
        html.push_str("</div>\n");
    }
    html.push_str(&format!("<p>{}</p>\n", escape(&claims.paragraph())));
    if let Some(theory) = records.manifest_text("theory").filter(|t| !t.is_empty()) {
        html.push_str(&format!("<p class=\"theory\">{}</p>\n", escape(&theory)));
    }
    html.push_str("</div>\n");
    if let Some(outcome) = records.manifest_text("outcome").filter(|o| !COMPLETE.contains(&o.as_str())) {
        html.push_str(&format!(
            "<div class=\"verdict warning\"><p>Outcome of the run: {}. The numbers are those recorded until then.</p></div>\n",
            escape(&outcome)
        ));
    }
    html
}

/// Whether what is judged was written down before training, and is still that.
fn registration(records: &Records) -> String {
    let hash = records.manifest_text("registration");
    let text = records.registration.as_deref().map(str::as_bytes);
    let unchanged = Registration::recall(hash.as_deref(), text).and_then(|found| match (found, &records.config) {
        (Some(registration), Some(config)) => registration.expect_config_text(config).map(|()| Some(registration)),
        (found, _) => Ok(found),
    });
    match (unchanged, hash) {
        (Ok(Some(registration)), Some(hash)) => format!(
            "<p class=\"facts\">Registered before training: {}, {} of them required; the SHA-256 of <code>{}</code> is \
             <code>{}</code></p>\n",
            counted(registration.claims.len(), "claim"),
            registration.claims.iter().filter(|claim| claim.is_required).count(),
            Registration::FILE,
            escape(&hash)
        ),
        (Err(fault), _) => format!(
            "<div class=\"verdict warning\"><p>What is judged is not what was registered: {}.</p></div>\n",
            escape(&fault.to_string())
        ),
        _ => "<p class=\"facts\">Not registered: what is judged was not written down before training.</p>\n".to_owned(),
    }
}

/// The largest part of the gap to theory, in words.
fn reasons(records: &Records) -> String {
    let items: Vec<String> =
        largest_parts(&records.budget).iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
    if items.is_empty() {
        return String::new();
    }
    format!("<div class=\"verdict\">\n<p>Why the run differs from theory:</p>\n<ul>{}</ul>\n</div>\n", items.concat())
}

fn claims_section(claims: &Claims<'_>) -> String {
    let last = in_order(latest(claims.rows.iter().copied()));
    let tally = |row: &Row| {
        let same = claims.rows.iter().filter(|r| subject(r) == subject(row));
        let mut counts = [0; 3];
        for other in same {
            match other.verdict {
                Some(Verdict::Agrees) => counts[0] += 1,
                Some(Verdict::Disagrees) => counts[1] += 1,
                _ => counts[2] += 1,
            }
        }
        format!("{} / {} / {}", counts[0], counts[1], counts[2])
    };
    let pointer = "Rest the pointer on a number to see it as it stands in <code>results.csv</code>; ≤ marks a bound.";
    if claims.rows.len() <= LONG || claims.rows.len() == last.len() {
        return format!("<p>{pointer}</p>\n{}", claims_table(&in_order(claims.rows.clone()), None));
    }
    let mut html = format!(
        "<p>Each claim at its last step; the last column counts its verdicts over all steps, agrees / disagrees / \
         undecided. {pointer}</p>\n",
    );
    html.push_str(&claims_table(&last, Some(&tally)));
    html.push_str(&format!("<details>\n<summary>All {}</summary>\n", counted(claims.rows.len(), "comparison")));
    html.push_str(&claims_table(&in_order(claims.rows.clone()), None));
    html.push_str("</details>\n");
    html
}

fn claims_table(rows: &[&Row], tally: Option<&dyn Fn(&Row) -> String>) -> String {
    let mut html = String::from(
        "<div class=\"scroll\"><table>\n<thead><tr><th>claim</th><th>layer</th><th class=\"number\">step</th>\
         <th class=\"number\">predicted</th><th class=\"number\">measured ± standard error</th><th class=\"number\">z</th>\
         <th>verdict</th>",
    );
    if tally.is_some() {
        html.push_str("<th class=\"number\">all steps</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        let verdict = row.verdict.map(word).unwrap_or_default();
        html.push_str(&format!(
            "<tr><td>{}{}</td><td>{}</td><td class=\"number\">{}</td>{}{}{}<td class=\"verdict-word {}\">{verdict}</td>",
            escape(&label(&row.quantity)),
            unit(row),
            escape(&quantity::layers(row)),
            row.step,
            predicted_cell(row),
            measured_cell(row),
            number_cell(row.z.map(|z| if z.is_finite() { fixed(z, 2) } else { significant(z, 3) }), &[("z", row.z)]),
            verdict.replace(' ', "-"),
        ));
        if let Some(tally) = tally {
            html.push_str(&format!("<td class=\"number\">{}</td>", tally(row)));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

fn unit(row: &Row) -> String {
    if row.unit.is_empty() { String::new() } else { format!(" [{}]", escape(&row.unit)) }
}

fn predicted_cell(row: &Row) -> String {
    number_cell(Some(predicted(row)), &[("predicted", row.predicted)])
}

fn measured_cell(row: &Row) -> String {
    let caveat = quantity::caveat(row);
    let text = if caveat.is_empty() { measured(row) } else { format!("{} ({caveat})", measured(row)) };
    number_cell(Some(text), &[("measured", row.measured), ("std_error", row.std_error)])
}

/// A cell with a rounded number; its tooltip holds the CSV columns it came from.
fn number_cell(text: Option<String>, columns: &[(&str, Option<f64>)]) -> String {
    let exact: Vec<String> =
        columns.iter().filter_map(|(name, cell)| cell.map(|v| format!("{name} = {}", exact(v)))).collect();
    format!(
        "<td class=\"number\" title=\"{}\">{}</td>",
        escape(&exact.join(", ")),
        escape(&text.filter(|t| !t.is_empty()).unwrap_or_else(|| "–".to_owned()))
    )
}

/// Quantities that stand neither in a figure nor in the table of claims.
fn others(records: &Records, figures: &[Figure], claims: &Claims<'_>) -> String {
    let shown =
        |row: &&Row| figures.iter().any(|f| f.shows(row)) || claims.rows.iter().any(|r| subject(r) == subject(row));
    let rows = latest(records.rows.iter().filter(|r| is_ensemble(r)).filter(|r| !shown(r)));
    let mut lonely: Vec<&str> = records
        .rows
        .iter()
        .filter(|r| !shown(r) && !rows.iter().any(|s| s.quantity == r.quantity))
        .map(|r| r.quantity.as_str())
        .collect();
    lonely.sort_unstable();
    lonely.dedup();
    if rows.is_empty() && lonely.is_empty() {
        return String::new();
    }
    let mut html = String::from("<h2>Other measurements</h2>\n");
    if !rows.is_empty() {
        html.push_str("<p>Quantities without a figure and without a verdict, each at its last step.</p>\n");
        html.push_str(
            "<div class=\"scroll\"><table>\n<thead><tr><th>quantity</th><th>layer</th><th class=\"number\">step</th>\
             <th class=\"number\">predicted</th><th class=\"number\">measured ± standard error</th></tr></thead>\n<tbody>\n",
        );
        for row in rows {
            html.push_str(&format!(
                "<tr><td>{}{}</td><td>{}</td><td class=\"number\">{}</td>{}{}</tr>\n",
                escape(&label(&row.quantity)),
                unit(row),
                escape(&quantity::layers(row)),
                row.step,
                predicted_cell(row),
                measured_cell(row)
            ));
        }
        html.push_str("</tbody></table></div>\n");
    }
    if !lonely.is_empty() {
        let names: Vec<String> = lonely.into_iter().map(|q| format!("<code>{}</code>", escape(q))).collect();
        html.push_str(&format!("<p>Recorded for single members only, not drawn: {}.</p>\n", names.join(", ")));
    }
    html
}

/// How the run came about: manifest, configuration, command.
fn provenance(records: &Records) -> String {
    let mut html = String::from("<h2>Provenance</h2>\n");
    if !records.manifest.is_empty() {
        html.push_str("<div class=\"scroll\"><table>\n<tbody>\n");
        for (key, value) in flattened(&records.manifest) {
            html.push_str(&format!("<tr><th>{}</th><td class=\"value\">{}</td></tr>\n", escape(&key), escape(&value)));
        }
        html.push_str("</tbody></table></div>\n");
    }
    if let Some(config) = &records.config {
        html.push_str(&format!(
            "<details>\n<summary>Resolved configuration (<code>config.toml</code>)</summary>\n<pre>{}</pre>\n</details>\n",
            escape(config)
        ));
    }
    html.push_str("<h2>How to reproduce</h2>\n");
    match records.manifest.get("command").and_then(command) {
        Some(command) => html.push_str(&format!(
            "<p>With the resolved configuration above, this command makes the run again:</p>\n<pre>{}</pre>\n",
            escape(&command)
        )),
        None => html.push_str(
            "<p>The manifest names no command; <code>widthwise run</code> with the resolved configuration above repeats the \
             run.</p>\n",
        ),
    }
    html.push_str(
        "<p>Page and figures hold no number that is not in <code>results.csv</code>, <code>training.csv</code>, \
         <code>error_budget.csv</code>, <code>registration.toml</code> or the manifest, and are redrawn from these files alone.</p>\n",
    );
    html
}

/// A command given as text or as a list of arguments; arguments a shell would split are quoted.
fn command(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(arguments) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+".contains(c);
            let quote = |text: &str| {
                if !text.is_empty() && text.chars().all(plain) {
                    text.to_owned()
                } else {
                    format!("'{}'", text.replace('\'', "'\\''"))
                }
            };
            let words: Vec<String> = arguments.iter().map(|a| quote(&scalar(a))).collect();
            (!words.is_empty()).then(|| words.join(" "))
        }
        _ => None,
    }
}

/// Entries of a manifest sorted by key, those of nested objects under dotted keys.
fn flattened(map: &Map<String, Value>) -> Vec<(String, String)> {
    let mut entries = Vec::new();
    for (key, value) in map {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                entries.extend(flattened(inner).into_iter().map(|(rest, text)| (format!("{key}.{rest}"), text)));
            }
            _ => entries.push((
                key.clone(),
                if key == "command" { command(value) } else { None }.unwrap_or_else(|| scalar(value)),
            )),
        }
    }
    entries.sort();
    entries
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let apart = if items.iter().any(Value::is_object) { "; " } else { ", " };
            items.iter().map(scalar).collect::<Vec<_>>().join(apart)
        }
        Value::Object(map) => {
            flattened(map).into_iter().map(|(key, text)| format!("{key} {text}")).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
