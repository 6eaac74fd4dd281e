//! The page.

use super::*;
use crate::config::ControlConfig;
use crate::report::figure::draw_all;
use crate::report::fixture::FixtureRun;

fn page_of(records: &Records) -> String {
    page(records, &draw_all(records))
}

/// The page without its first line is XML, so it can be checked as such.
fn parse(html: &str) -> roxmltree::Document<'_> {
    roxmltree::Document::parse(html.split_once('\n').unwrap().1).unwrap()
}

#[test]
fn the_page_is_well_formed_and_fetches_nothing() {
    let html = page_of(&FixtureRun::small().records());
    let document = parse(&html);
    assert!(document.descendants().all(|n| n.tag_name().name() != "script"));
    assert!(document.descendants().all(|n| ["src", "href"].iter().all(|a| n.attribute(*a).is_none())));
    assert!(!html.contains("url(") && !html.contains("@import"));
}

#[test]
fn text_from_the_files_is_escaped() {
    let html = page_of(&FixtureRun::small().records());
    assert!(!html.contains("<deep>") && html.contains("wide &amp; &lt;deep&gt;"));
    assert!(html.contains("# &lt;b&gt;") && html.contains("Kernels &amp; &lt;means&gt;"));
    assert!(html.contains("<td class=\"value\">member 0, outcome finished, step 100; member 1,"));
    assert!(html.contains("widthwise run &#39;my config.toml&#39; --seed 7"));
}

#[test]
fn every_comparison_of_the_csv_stands_in_the_page() {
    let records = FixtureRun::small().records();
    let html = page_of(&records);
    let claims = Claims::of(&records);
    assert!(!claims.rows.is_empty());
    for row in claims.rows {
        let tooltip =
            format!("measured = {}, std_error = {}", exact(row.measured.unwrap()), exact(row.std_error.unwrap()));
        assert!(html.contains(&tooltip), "{tooltip}");
        assert!(html.contains(&measured(row)));
        assert!(html.contains(&format!("z = {}", exact(row.z.unwrap()))));
    }
}

#[test]
fn unknown_quantities_and_single_members_are_listed() {
    let mut records = FixtureRun::small().records();
    let mut odd = records.rows[0].clone();
    odd.quantity = "spin<glass>".to_owned();
    odd.members = "1".to_owned();
    records.rows.push(odd);
    let html = page_of(&records);
    assert!(html.contains("<td>gradient norm</td>"));
    assert!(html.contains("single members only, not drawn: <code>spin&lt;glass&gt;</code>"));
}

#[test]
fn the_page_says_what_was_registered_and_whether_it_still_is() {
    let mut records = FixtureRun::small().records();
    assert!(page_of(&records).contains("Not registered"));
    let registration = Registration {
        registration_version: Registration::VERSION,
        widthwise_version: "0".into(),
        run: "r".into(),
        seed: 1,
        members: 2,
        last_step: 3,
        config_hash: "c".into(),
        data_hash: "d".into(),
        rule: "r".into(),
        significance: 1e-3,
        resolution: 0.1,
        required: Vec::new(),
        control: ControlConfig::default(),
        claims: Vec::new(),
        configuration: records.config.clone().unwrap(),
    };
    records.manifest.insert("registration".to_owned(), Value::String(registration.hash()));
    records.registration = Some(registration.text());
    let html = page_of(&records);
    parse(&html);
    assert!(html.contains(&format!("is <code>{}</code>", registration.hash())) && html.contains("0 claims"), "{html}");
    records.config = Some("[network]\nfamily = \"mlp\"\nwidth = 512\n".to_owned());
    let html = page_of(&records);
    parse(&html);
    assert!(html.contains("network.width was registered as 1024 and is 512 now"));
    records.registration = None;
    assert!(page_of(&records).contains("registration.toml is not there"));
}

#[test]
fn an_unfinished_or_empty_run_says_so() {
    let mut records = FixtureRun::small().records();
    assert!(!page_of(&records).contains("Outcome of the run"));
    records.manifest.insert("outcome".to_owned(), Value::String("diverged".to_owned()));
    assert!(page_of(&records).contains("Outcome of the run: diverged."));
    let empty = Records {
        manifest: Map::new(),
        config: None,
        registration: None,
        rows: Vec::new(),
        training: Vec::new(),
        budget: Vec::new(),
    };
    let html = page_of(&empty);
    parse(&html);
    assert!(html.contains("there is no verdict") && html.contains("names no command"));
}
