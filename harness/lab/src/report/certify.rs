//! What is said of benchmarks and their certificates, as Markdown and as rows of a table.

use super::escape_markdown;
use crate::certify::certificate::{Certificate, Standing};
use crate::certify::{Assessment, Estimate, Status};
use crate::figures::{duration_ns, percent, three_digits};
use proofmark::Mark;
use serde::Serialize;
use std::fmt::Write as _;

/// What is said of one case or benchmark.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// Its name.
    pub id: String,
    /// What its numbers prove; nothing where there are none.
    pub mark: Option<Mark>,
    /// Why it could not be judged, if it could not.
    pub fault: Option<String>,
    /// What the checks say; nothing where its certificate holds and it was not judged again.
    pub assessment: Option<Assessment>,
    /// Its certificate, if it has one.
    pub certificate: Option<Certificate>,
    /// Whether that holds.
    pub standing: Option<Standing>,
}

impl Told {
    /// What could not be judged, and why.
    pub fn fault(id: impl Into<String>, fault: impl Into<String>) -> Self {
        let (id, fault) = (id.into(), Some(fault.into()));
        Self { id, mark: None, fault, assessment: None, certificate: None, standing: None }
    }

    /// A benchmark of a file, which has no certificate, and of which nothing shows that it ran.
    pub fn judged(assessment: Assessment) -> Self {
        let id = assessment.id.clone();
        let (mark, assessment) = (Some(Mark::Claimed), Some(assessment));
        Self { id, mark, fault: None, assessment, certificate: None, standing: None }
    }

    /// Case, mark, level, score, time, why, and the certificate.
    pub fn row(&self) -> [String; 7] {
        let (level, score, estimate) = match (&self.assessment, &self.certificate) {
            (Some(found), _) => (found.level.name(), format!("{:.0}", found.score), found.estimate),
            (None, Some(kept)) => {
                (kept.level.name(), format!("{:.0}", kept.score), Some(kept.estimate))
            }
            (None, None) => ("-", "-".to_owned(), None),
        };
        let time = estimate.map_or_else(|| "-".to_owned(), |estimate| time(&estimate));
        let mark = self.mark.map_or("-", Mark::name).to_owned();
        [self.id.clone(), mark, level.to_owned(), score, time, self.why(), self.holds()]
    }

    /// The reasons, or how much the next level lacks.
    fn why(&self) -> String {
        match (&self.fault, &self.assessment) {
            (Some(fault), _) => fault.clone(),
            (None, Some(found)) if !found.reasons.is_empty() => found.reasons.join(", "),
            (None, Some(found)) if !found.missing.is_empty() => {
                format!("{} open", found.missing.len())
            }
            _ => String::new(),
        }
    }

    fn holds(&self) -> String {
        match (&self.certificate, &self.standing) {
            (Some(kept), Some(Standing::Holds)) => {
                format!("until {}", kept.expires_at.strftime("%Y-%m-%d"))
            }
            (Some(_), Some(Standing::Expired)) => "expired".to_owned(),
            (Some(_), Some(Standing::Revoked(_))) => "revoked".to_owned(),
            _ => "none".to_owned(),
        }
    }

    /// Sentences for people: what fails or is to be known, and why a certificate does not hold.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if let Some(Standing::Revoked(reason)) = &self.standing {
            sentences.push(format!("the certificate is revoked: {reason}"));
        }
        if let Some(found) = &self.assessment {
            let next = match found.level {
                crate::certify::Level::Unverified => "reproducible",
                _ => "certified",
            };
            sentences.extend(found.missing.iter().map(|missing| format!("for {next}, {missing}")));
        }
        sentences
    }
}

/// `5.31 ms ± 0.80 %`.
fn time(estimate: &Estimate) -> String {
    let level = duration_ns(1e9 * estimate.median_s);
    match estimate.half_width {
        Some(width) => format!("{level} ± {}", percent(width)),
        None => level,
    }
}

/// A table of all, and for each that was judged the parts of its score.
pub fn markdown(told: &[Told]) -> String {
    let mut text = String::from("# Certificates\n\n");
    text += "| benchmark | mark | level | score | time of a run | reasons | certificate |\n";
    text += "|---|---|---|---|---|---|---|\n";
    for told in told {
        let cells = told.row().map(|cell| escape_markdown(&cell));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    for told in told {
        let Some(found) = &told.assessment else { continue };
        let mark = told.mark.map_or("-", Mark::name);
        let _ = writeln!(text, "\n## {} ({mark})\n", escape_markdown(&told.id));
        for sentence in told.sentences() {
            let _ = writeln!(text, "- {}", escape_markdown(&sentence));
        }
        checks(&mut text, found);
    }
    text
}

fn checks(text: &mut String, found: &Assessment) {
    *text += "\n| check | answer | counts | value | what it is | in words |\n|---|---|---|---|---|---|\n";
    for check in &found.checks {
        let credit = check.status.credit().map_or_else(
            || "-".to_owned(),
            |credit| format!("{} of {}", credit * check.weight, check.weight),
        );
        let value = check.value.map_or_else(
            || "-".to_owned(),
            |value| {
                if value.abs() < 0.01 && value != 0.0 {
                    format!("{value:.1e}")
                } else {
                    three_digits(value)
                }
            },
        );
        let bold = if check.status == Status::Fail { "**" } else { "" };
        let _ = writeln!(
            text,
            "| {} | {bold}{}{bold} | {credit} | {value} | {} | {} |",
            check.part.name(),
            check.status.name(),
            check.part.measure(),
            escape_markdown(&check.says)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::{Benchmark, Process, judge};

    #[test]
    fn a_fault_and_a_judgement_have_their_rows() {
        let processes = vec![Process::of(vec![1e-3; 30]); 5];
        let judged = judge(&Benchmark { id: "a|b".into(), processes, ..Benchmark::default() });
        let told = [Told::judged(judged), Told::fault("c", "it has no samples")];
        let text = markdown(&told);
        assert!(text.contains("| a\\|b | claimed | unverified | "), "{text}");
        assert!(text.contains("| 1.00 ms ± 0.00 % | "), "{text}");
        assert!(text.contains("| c | - | - | - | - | it has no samples | none |"), "{text}");
        assert!(text.contains("- for reproducible, outputs must be known: nobody says"), "{text}");
        assert!(text.contains("| outputs | unknown | 0 of 15 | - | none |"), "{text}");
    }
}
