//! Verdicts of the gate as Markdown. What is decided, and the numbers, are in `gate`.

use super::{escape_markdown, kind};
use crate::export::printable;
use crate::figures::percent;
use crate::gate::{Family, Finding, Gate, Judgement, Options, Outcome, Revision, Verdict};
use proofmark::Mark;
use std::fmt::Write as _;

/// In which order verdicts are told: what needs somebody first.
const ORDER: [Verdict; 7] = [
    Verdict::Broken,
    Verdict::Regressed,
    Verdict::Improved,
    Verdict::Incomparable,
    Verdict::Undecided,
    Verdict::Equivalent,
    Verdict::Unaffected,
];

/// The verdicts about a replay: a summary, and a table with a row per case.
pub fn markdown(judged: &[Judgement], options: &Options) -> String {
    // Nothing shows that what a file says was measured.
    let row = |judgement| Row { metric: None, mark: Some(Mark::Claimed), judgement };
    let rows: Vec<_> = judged.iter().map(row).collect();
    let family = match options.family {
        Family::None => "each case is judged by itself",
        Family::All => "p is corrected for all cases (Holm)",
    };
    let mut text = format!("# Gate\n\n{} cases: {}.\n\n", judged.len(), counts(&rows));
    table(&mut text, &rows);
    let _ = writeln!(
        text,
        "\nEffects are head / base - 1. Changes up to {} do not matter. An alarm needs p of {:.4} or less; {family}. \
         Detectable is the change that is found in four of five cases.",
        percent(options.min_effect),
        options.level
    );
    reasons(&mut text, &rows);
    text
}

/// What a live gate found, for people: the body of a comment.
pub fn live(gate: &Gate) -> String {
    let rows: Vec<_> = gate.cases.iter().map(Row::of).collect();
    let word = match gate.outcome {
        Outcome::Passed => "nothing regressed",
        Outcome::Failed => "regressed",
        Outcome::Unjudged => "nothing could be judged",
        Outcome::Unfit => "the machine was unfit, no verdict",
    };
    let side = |revision: &Revision| {
        let name = revision.revision.as_deref().unwrap_or("the tree as it stands");
        let dirty = if revision.dirty { " with uncommitted changes" } else { "" };
        let commit = escape_markdown(revision.commit.get(..10).unwrap_or(&revision.commit));
        // Nothing is escaped within code.
        format!("`{}` ({commit}{dirty})", printable(&name.replace('`', "'")))
    };
    let mut text = format!("# Gate: {word}\n\n");
    let _ = writeln!(text, "Base {}, head {}.\n", side(&gate.base), side(&gate.head));
    let _ = writeln!(text, "{} verdicts: {}.\n", rows.len(), counts(&rows));
    // What was not touched needs no row.
    let (told, untouched): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.judgement.verdict != Verdict::Unaffected);
    table(&mut text, &told);
    if !untouched.is_empty() {
        let _ = writeln!(
            text,
            "\n{} cases are unaffected: nothing differs that they depend on, so they were not run.",
            untouched.len()
        );
    }
    let options = &gate.options;
    let _ = writeln!(
        text,
        "\nEffects are head / base - 1. Latencies that change by up to {} do not matter. The probability of any false \
         alarm in the gate is held at {} over all cases and looks. Detectable is the change that is found in four of \
         five cases. Measured in {:.0} s of {:.0} s; the order of the {} processes came from the seed {}.",
        percent(options.min_effect),
        percent(options.level),
        gate.took_s,
        options.budget_s,
        gate.order.len(),
        options.seed,
    );
    machine(&mut text, gate);
    reasons(&mut text, &told);
    changes(&mut text, &gate.cases);
    text
}

/// What is known of the machine: the control, and what an earlier calibration found.
fn machine(text: &mut String, gate: &Gate) {
    if let Some(Finding { judgement, mark, .. }) = &gate.control {
        let effect = judgement.effect.map(signed).unwrap_or_else(|| "-".to_owned());
        let id = escape_markdown(&judgement.id);
        let _ = match &gate.unfit {
            Some(reason) => {
                writeln!(text, "\n**The machine was unfit.** {}.", escape_markdown(reason))
            }
            None => writeln!(
                text,
                "\nControl: the base against itself in {id} differed by {effect} ({}, {}).",
                judgement.verdict.name(),
                kind(*mark, false)
            ),
        };
    }
    let _ = match &gate.calibration {
        Some(calibration) => writeln!(
            text,
            "\nThis machine on {}: {} of {} splits of equal code alarmed; a slowdown of {} was found in four of five.",
            calibration.measured_at.strftime("%Y-%m-%d"),
            percent(calibration.false_alarms),
            calibration.splits,
            calibration.detectable_effect.map_or("more than 50 %".to_owned(), percent)
        ),
        None => writeln!(text, "\nThis machine is not calibrated: `cargo xtask gate --calibrate`."),
    };
}

/// What was changed, for cases that need somebody.
fn changes(text: &mut String, cases: &[Finding]) {
    let is_told = |f: &&Finding| {
        matches!(f.judgement.verdict, Verdict::Regressed | Verdict::Broken) && !f.changed.is_empty()
    };
    let told: Vec<_> = cases.iter().filter(is_told).collect();
    if told.is_empty() {
        return;
    }
    text.push_str(
        "\n## What changed in what they depend on\n\n| case | metric | changed |\n|---|---|---|\n",
    );
    for finding in told {
        let id = escape_markdown(&finding.judgement.id);
        let changed = escape_markdown(&finding.changed.join(", "));
        let _ = writeln!(text, "| {id} | {} | {changed} |", finding.metric.name());
    }
}

/// A judgement, the metric that it is about where there are several, and what its numbers prove.
#[derive(Clone, Copy)]
struct Row<'a> {
    metric: Option<&'static str>,
    mark: Option<Mark>,
    judgement: &'a Judgement,
}

impl<'a> Row<'a> {
    fn of(finding: &'a Finding) -> Self {
        let Finding { metric, mark, judgement, .. } = finding;
        Self { metric: Some(metric.name()), mark: *mark, judgement }
    }
}

/// How often each verdict was given.
fn counts(rows: &[Row<'_>]) -> String {
    let count =
        |verdict: Verdict| rows.iter().filter(|row| row.judgement.verdict == verdict).count();
    let counts = ORDER.iter().map(|verdict| (count(*verdict), verdict));
    let counts = counts.filter(|(count, _)| *count > 0);
    counts
        .map(|(count, verdict)| format!("{count} {}", verdict.name()))
        .collect::<Vec<_>>()
        .join(", ")
}

fn table(text: &mut String, rows: &[Row<'_>]) {
    if rows.is_empty() {
        return;
    }
    let has_metric = rows[0].metric.is_some();
    let (metric, rule) = if has_metric { (" metric |", "---|") } else { ("", "") };
    let _ = writeln!(
        text,
        "| case |{metric} mark | verdict | effect | interval | p | noise floor | detectable | processes |"
    );
    let _ = writeln!(text, "|---|{rule}---|---|---|---|---|---|---|---|");
    for verdict in ORDER {
        for row in rows.iter().filter(|row| row.judgement.verdict == verdict) {
            write_row(text, *row);
        }
    }
}

fn write_row(text: &mut String, Row { metric, mark, judgement }: Row<'_>) {
    let shown = |value: Option<f64>| value.map(signed).unwrap_or_default();
    let interval = match (judgement.low, judgement.high) {
        (Some(low), Some(high)) if low < high => format!("{} to {}", signed(low), signed(high)),
        (Some(_), Some(_)) => "exact".to_owned(),
        _ => String::new(),
    };
    let _ = writeln!(
        text,
        "| {} |{} {} | {} | {} | {interval} | {} | {} | {} | {} + {} |",
        escape_markdown(&judgement.id),
        metric.map(|metric| format!(" {metric} |")).unwrap_or_default(),
        kind(mark, false),
        judgement.verdict.name(),
        shown(judgement.effect),
        judgement.p.map(|p| format!("{p:.2e}")).unwrap_or_default(),
        judgement.noise_floor.map(percent).unwrap_or_default(),
        judgement.detectable_effect.map(percent).unwrap_or_default(),
        judgement.processes.base,
        judgement.processes.head,
    );
}

/// Why verdicts without an effect were given.
fn reasons(text: &mut String, rows: &[Row<'_>]) {
    let reasons: Vec<_> = rows.iter().filter(|row| row.judgement.reason.is_some()).collect();
    if !reasons.is_empty() {
        text.push_str("\n## Why\n\n| case | verdict | why |\n|---|---|---|\n");
        for Judgement { id, reason, verdict, .. } in reasons.iter().map(|row| row.judgement) {
            let reason = escape_markdown(reason.as_deref().unwrap_or_default());
            let _ = writeln!(text, "| {} | {} | {reason} |", escape_markdown(id), verdict.name());
        }
    }
}

/// A relative effect as percent with its sign.
pub(super) fn signed(effect: f64) -> String {
    let rounded = (1e4 * effect).round() / 100.0;
    // A zero below zero is a zero.
    format!("{:+.2} %", if rounded == 0.0 { 0.0 } else { rounded })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{judge, read};

    #[test]
    fn what_needs_somebody_comes_first() {
        let side = |level: f64| format!("[{}]", vec![format!("[{level}]"); 5].join(","));
        let case = |id: &str, head: &str| {
            format!(r#"{{"id": "{id}", "base": {}, "head": {head}}}"#, side(1.0))
        };
        let cases = [case("same", &side(1.0)), case("a|b", &side(1.5)), case("bad", "[]")];
        let cases = read(&format!(r#"{{"cases": [{}]}}"#, cases.join(","))).unwrap();
        let options = Options::new(0.01, 0.05).unwrap();
        let text = markdown(&judge(&cases, &options), &options);
        assert!(text.contains("3 cases: 1 regressed, 1 undecided, 1 equivalent."), "{text}");
        let at = |what: &str| text.find(what).unwrap();
        assert!(
            at("| a\\|b | claimed | regressed | +50.00 %") < at("| bad | claimed | undecided |"),
            "{text}"
        );
        assert!(
            at("| bad | claimed | undecided |") < at("| same | claimed | equivalent | +0.00 %"),
            "{text}"
        );
        assert!(text.contains("## Why") && text.contains("it takes 4 processes"), "{text}");
    }
}
