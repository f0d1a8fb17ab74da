//! The report on quality as pages. What is known is `crate::quality`; JSON is its own serialisation.

use super::page::{Block, Cell, Page, matrix, opening, table};
use super::time;
use super::timing::days;
use crate::basis::Kind;
use crate::figures::percent;
use crate::plan::NOISE_LIMIT;
use crate::quality::{AGES, Quality};
use crate::store::Answer;
use serde_json::json;
use std::collections::BTreeMap;

/// Rows of a list that a page shows; JSON has all.
const SHOWN: usize = 100;

/// What the words mean.
pub const LEGEND: &str = "Results are the newest timed one of each case by machine, device and mark. Noise is the scaled \
median absolute deviation divided by the median; above 5 % a plan measures a case again. A gap is a case that a suite makes and \
that was never measured, one that was only checked or only skipped, or an endpoint that no probe found. Contradictions: \
medians of one code that are more than a quarter apart and further than noise explains; one code that passed and failed; an \
endpoint that ran after a probe had called it absent; a migrated file that contradicts itself. The mark is that of the results.";

/// What the report rests on, as a sentence.
pub fn basis(report: &Quality) -> String {
    let sentence = report.rests_on.sentence("numbers");
    format!("Made {}, it rests on {sentence}.", time(report.made_at))
}

/// The pages.
pub fn pages(report: &Quality) -> Vec<Page> {
    let mut blocks = opening(&report.rests_on, basis(report));
    blocks.push(Block::Text(LEGEND.to_owned()));
    let mut list = |heading: &str, rows: Vec<Vec<Cell>>, none: &str| {
        let count = rows.len() - 1;
        blocks.push(Block::Heading(format!("{heading}: {count}")));
        match count {
            0 => blocks.push(Block::Text(none.to_owned())),
            _ => blocks.push(Block::Table(rows.into_iter().take(SHOWN + 1).collect())),
        }
        if count > SHOWN {
            blocks.push(Block::Text(format!("{SHOWN} of {count} are shown; JSON has all.")));
        }
    };
    list("Contradictions", contradictions(report), "Nothing contradicts itself.");
    list("Noisy results", noisy(report), "No newest result is noisier than a plan allows.");
    list("Gaps", gaps(report), "Nothing is known to be missing.");
    list("Oldest results", oldest(report), "Nothing was timed.");
    blocks.push(Block::Heading("Ages".to_owned()));
    blocks.push(Block::Table(ages(report)));
    blocks.push(Block::Heading("Coverage".to_owned()));
    blocks.push(Block::Table(coverage(report)));
    vec![Page { name: "quality".into(), title: "Quality".into(), blocks }]
}

fn contradictions(report: &Quality) -> Vec<Vec<Cell>> {
    table(
        ["of", "what", "mark", "says", "records"],
        report.contradictions.iter().map(|one| {
            let mark = one.kind.map(Kind::name).unwrap_or_default();
            let what = one.what.name().to_owned();
            [one.of.clone(), what, mark, one.says.clone(), one.records.join(", ")]
        }),
    )
}

fn noisy(report: &Quality) -> Vec<Vec<Cell>> {
    let noise = |one: &&crate::quality::Newest| one.relative_noise.unwrap_or_default();
    let mut noisy: Vec<_> = report.newest.iter().filter(|one| one.noisy).collect();
    noisy.sort_by(|a, b| noise(b).total_cmp(&noise(a)));
    table(
        ["case", "mark", "noise", "limit", "machine", "device", "record"],
        noisy.iter().map(|one| {
            [
                one.case.clone(),
                one.kind.name(),
                format!("{} {}", percent(noise(one)), one.kind.name()),
                percent(NOISE_LIMIT),
                one.machine.clone(),
                one.device.clone(),
                one.record.clone(),
            ]
        }),
    )
}

fn gaps(report: &Quality) -> Vec<Vec<Cell>> {
    table(
        ["of", "what", "why"],
        report.gaps.iter().map(|gap| {
            let fixture = if gap.fixture { " (fixture)" } else { "" };
            [gap.of.clone(), format!("{}{fixture}", gap.what.name()), gap.why.clone()]
        }),
    )
}

fn oldest(report: &Quality) -> Vec<Vec<Cell>> {
    table(
        ["case", "mark", "age", "machine", "device", "record"],
        report.newest.iter().map(|one| {
            [
                one.case.clone(),
                one.kind.name(),
                format!("{} {}", days(one.age_days), one.kind.name()),
                one.machine.clone(),
                one.device.clone(),
                one.record.clone(),
            ]
        }),
    )
}

fn ages(report: &Quality) -> Vec<Vec<Cell>> {
    let mut header = vec!["mark".to_owned()];
    header.extend(AGES.iter().map(|days| format!("up to {days} d")));
    header.push("older".to_owned());
    let mut rows = vec![header.iter().map(|name| Cell::from(name.as_str())).collect::<Vec<_>>()];
    rows.extend(report.ages.iter().map(|age| {
        let name = age.kind.name();
        let counts = age.counts.iter().map(|count| Cell::from(&*format!("{count} {name}")));
        std::iter::once(Cell::from(name.as_str())).chain(counts).collect()
    }));
    rows
}

fn coverage(report: &Quality) -> Vec<Vec<Cell>> {
    let mut lines: BTreeMap<&str, BTreeMap<&str, Vec<String>>> = BTreeMap::new();
    for one in &report.coverage {
        let line = format!("{} of {} models {}", one.results, one.models, one.kind.name());
        let of = lines.entry(&one.family).or_default();
        of.entry(&one.endpoint).or_default().push(line);
    }
    matrix("family", &lines)
}

/// The newest results as a table for programs, each with its mark.
pub fn answer(report: &Quality) -> Answer {
    let columns = [
        "case",
        "mark",
        "fixture",
        "fallbacks",
        "machine",
        "device",
        "record",
        "age_days",
        "relative_noise",
        "noisy",
    ];
    Answer {
        columns: columns.map(str::to_owned).to_vec(),
        rows: report
            .newest
            .iter()
            .map(|one| {
                vec![
                    json!(one.case),
                    json!(one.kind.mark),
                    json!(one.kind.fixture),
                    json!(one.kind.fallbacks),
                    json!(one.machine),
                    json!(one.device),
                    json!(one.record),
                    json!(one.age_days),
                    json!(one.relative_noise),
                    json!(one.noisy),
                ]
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::{Links, html, markdown};
    use super::*;
    use crate::quality::Run;
    use crate::quality::tests::{judged, run};

    #[test]
    fn findings_stand_beside_their_marks_and_names_are_text() {
        let noisy = Run { relative_noise: Some(0.31), ..run("a<b>/cpu/f32/b1", 1) };
        let mut made = run("c-d/cuda/f32/b1", 20);
        made.kind.fixture = true;
        let slow = Run { latency_ns: Some(300.0), ..run("e-f/cpu/f32/b1", 3) };
        let report = judged(vec![noisy, made, run("e-f/cpu/f32/b1", 2), slow]);
        let text = markdown(&pages(&report), Links::Within);
        for expected in [
            "FIXTURE:",
            "it rests on 2 numbers: 2 real, 0 software, 0 simulated, 0 claimed; and on 1 of a fixture: 1 real (fixture).",
            "## Contradictions: 1",
            "from 100 ns to 300 ns (real)",
            "| a&lt;b>/cpu/f32/b1 | real | 31.0 % real |",
            "1 of 1 models fixture real",
            "Nothing is known to be missing.",
            "| fixture real | 1 fixture real | 0 fixture real |",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(!html(&pages(&report), Links::Within).contains("a<b>"));
        assert_eq!(answer(&report).rows.len(), 3);
    }
}
