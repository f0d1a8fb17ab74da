//! Verdicts of a live gate for other programs: JUnit XML, SARIF, and the annotations of GitHub's workflow commands.

use super::gate::signed;
use super::kind;
use crate::export::{is_obeyed, printable};
use crate::gate::{Finding, Gate, Verdict};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What a program that shows annotations should do with a verdict.
fn severity(verdict: Verdict, strict: bool) -> Option<&'static str> {
    match verdict {
        Verdict::Regressed | Verdict::Broken => Some("error"),
        Verdict::Undecided if strict => Some("error"),
        Verdict::Undecided | Verdict::Incomparable => Some("warning"),
        Verdict::Improved => Some("notice"),
        Verdict::Equivalent | Verdict::Unaffected => None,
    }
}

/// A verdict in one line.
fn sentence(finding: &Finding) -> String {
    let judgement = &finding.judgement;
    let mut text = format!("{} {}", finding.metric.name(), judgement.verdict.name());
    if let Some(effect) = judgement.effect {
        let _ = write!(text, " {}", signed(effect));
    }
    if let (Some(low), Some(high)) = (judgement.low, judgement.high)
        && low < high
    {
        let _ = write!(text, " ({} to {})", signed(low), signed(high));
    }
    if judgement.effect.is_some() {
        let _ = write!(text, ", {}", kind(finding.mark, false));
    }
    if let Some(reason) = &judgement.reason {
        let _ = write!(text, ": {reason}");
    }
    if !finding.changed.is_empty() {
        let _ = write!(text, "; changed: {}", finding.changed.join(", "));
    }
    text
}

/// A workflow command per verdict that somebody should see.
pub fn annotations(gate: &Gate) -> String {
    // https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    let escape = |text: &str| {
        let lines: Vec<_> = text.split('\n').map(printable).collect();
        lines.join("\n").replace('%', "%25").replace('\n', "%0A")
    };
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let mut text = String::new();
    for finding in &gate.cases {
        if let Some(command) = severity(finding.judgement.verdict, gate.options.strict) {
            let title = property(&format!("gate: {}", finding.judgement.id));
            let _ = writeln!(text, "::{command} title={title}::{}", escape(&sentence(finding)));
        }
    }
    if let Some(reason) = &gate.unfit {
        let _ = writeln!(text, "::warning title=gate%3A the machine was unfit::{}", escape(reason));
    }
    text
}

/// One test case per verdict: bad ones failed, those that say nothing skipped.
pub fn junit(gate: &Gate) -> String {
    let count = |wanted: &str| {
        let kind = |f: &&Finding| junit_element(f, gate.options.strict) == Some(wanted);
        gate.cases.iter().filter(kind).count()
    };
    let (failures, skipped, tests) = (count("failure"), count("skipped"), gate.cases.len());
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let totals =
        format!("tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\" errors=\"0\"");
    let _ = writeln!(text, "<testsuites name=\"proofmark gate\" {totals}>");
    let _ = writeln!(
        text,
        "  <testsuite name=\"{}\" time=\"{:.3}\" {totals}>",
        xml(&gate.id),
        gate.took_s
    );
    for finding in &gate.cases {
        let (name, class) = (xml(&finding.judgement.id), finding.metric.name());
        let _ = write!(text, "    <testcase name=\"{name}\" classname=\"{class}\"");
        let said = xml(&sentence(finding));
        let _ = match junit_element(finding, gate.options.strict) {
            Some(element) => writeln!(text, "><{element} message=\"{said}\"/></testcase>"),
            None => writeln!(text, "/>"),
        };
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn junit_element(finding: &Finding, strict: bool) -> Option<&'static str> {
    match severity(finding.judgement.verdict, strict)? {
        "error" => Some("failure"),
        "warning" => Some("skipped"),
        _ => None,
    }
}

/// As text or attribute of XML; characters that XML cannot hold, and those that do something unseen, are shown.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' | '\r' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if is_obeyed(c) => escaped.push_str(&printable(&c.to_string())),
            c => escaped.push(c),
        }
    }
    escaped
}

/// SARIF 2.1.0: a rule per verdict, a result per verdict that somebody should see.
pub fn sarif(gate: &Gate) -> Value {
    let shown = gate.cases.iter().filter_map(|finding| {
        let severity = severity(finding.judgement.verdict, gate.options.strict)?;
        let level = if severity == "notice" { "note" } else { severity };
        let id = &finding.judgement.id;
        Some(json!({
            "ruleId": format!("{}/{}", finding.metric.name(), finding.judgement.verdict.name()),
            "level": level,
            "message": { "text": format!("{id}: {}", sentence(finding)) },
            "locations": [{
                // A case has no line; the manifest of the workspace stands for all.
                "physicalLocation": { "artifactLocation": { "uri": "Cargo.toml" } },
                "logicalLocations": [{ "fullyQualifiedName": id, "kind": "member" }],
            }],
            "partialFingerprints": { "caseMetric/v1": format!("{id} {}", finding.metric.name()) },
        }))
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "proofmark-gate", "version": env!("CARGO_PKG_VERSION") } },
            "automationDetails": { "id": gate.id },
            "results": shown.collect::<Vec<_>>(),
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Conclusion, Pairing, Trial};
    use crate::gate::{Family, Options, Outcome, Revision, Setup};

    /// A gate whose cases were settled without a process.
    fn gate() -> Gate {
        let options = Options { family: Family::All, ..Options::new(0.01, 0.05).unwrap() };
        let settle = |id: &str, verdict, reason: &str| crate::gate::pairing::Settled {
            id: id.parse().unwrap(),
            verdict,
            reason: reason.into(),
        };
        let settled = vec![
            settle("a/cpu/f32/b1", Verdict::Broken, "50 % of \"y\" < 1,\nand <b>"),
            settle("b/cpu/f32/b1", Verdict::Unaffected, "nothing"),
            settle("c/cpu/f32/b1", Verdict::Incomparable, "gone"),
        ];
        let Conclusion { findings, .. } =
            Trial::new(options, Pairing { affected: Vec::new(), settled }).conclude();
        let revision = Revision { revision: None, commit: "abc".into(), dirty: true };
        Gate {
            format: 1,
            id: "gate-1".into(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            took_s: 1.5,
            base: revision.clone(),
            head: revision,
            environment: None,
            options: Setup::new(&options, 600.0, 7, false),
            control: None,
            unfit: None,
            calibration: None,
            outcome: Outcome::Failed,
            exit_code: 1,
            cases: findings,
            order: Vec::new(),
        }
    }

    #[test]
    fn annotations_stay_on_their_line() {
        let text = annotations(&gate());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "::error title=gate%3A a/cpu/f32/b1::latency broken: 50 %25 of \"y\" < 1,%0Aand <b>",
                "::warning title=gate%3A c/cpu/f32/b1::latency incomparable: gone",
            ]
        );
    }

    #[test]
    fn junit_counts_and_escapes() {
        let text = junit(&gate());
        assert!(text.contains("tests=\"3\" failures=\"1\" skipped=\"1\""), "{text}");
        assert!(text.contains("&quot;y&quot; &lt; 1, and &lt;b&gt;"), "{text}");
        assert!(text.contains("<testcase name=\"b/cpu/f32/b1\" classname=\"latency\"/>"), "{text}");
    }

    #[test]
    fn sarif_has_what_somebody_should_see() {
        let found = sarif(&gate());
        let results = found["runs"][0]["results"].as_array().unwrap();
        let levels: Vec<_> =
            results.iter().map(|result| result["level"].as_str().unwrap()).collect();
        assert_eq!(levels, ["error", "warning"]);
        assert_eq!(results[0]["ruleId"], "latency/broken");
    }

    #[test]
    fn people_are_told_the_reasons_and_what_was_left_alone() {
        let text = super::super::gate::live(&gate());
        assert!(text.starts_with("# Gate: regressed\n"), "{text}");
        assert!(text.contains("1 broken, 1 incomparable, 1 unaffected"), "{text}");
        assert!(text.contains("1 cases are unaffected"), "{text}");
        assert!(text.contains("the tree as it stands` (abc with uncommitted changes)"), "{text}");
        assert!(!text.contains("<b>"), "{text}");
    }
}
