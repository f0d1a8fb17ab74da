//! Verdicts of the gate as Markdown. What is decided, and the numbers, are in `gate`.

use super::escape_markdown;
use crate::figures::percent;
use crate::gate::{Family, Judgement, Options, Verdict};
use std::fmt::Write as _;

/// In which order verdicts are told: what needs somebody first.
const ORDER: [Verdict; 4] =
    [Verdict::Regressed, Verdict::Improved, Verdict::Undecided, Verdict::Equivalent];

/// A summary, and a table with a row per case.
pub fn markdown(judged: &[Judgement], options: &Options) -> String {
    let mut text = String::from("# Gate\n\n");
    let count = |verdict: Verdict| judged.iter().filter(|j| j.verdict == verdict).count();
    let counts: Vec<_> = ORDER.iter().map(|v| format!("{} {}", count(*v), v.name())).collect();
    let _ = writeln!(text, "{} cases: {}.\n", judged.len(), counts.join(", "));
    text.push_str("| case | verdict | effect | interval | p | detectable | processes |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for verdict in ORDER {
        for judgement in judged.iter().filter(|j| j.verdict == verdict) {
            row(&mut text, judgement);
        }
    }
    let family = match options.family {
        Family::None => "each case is judged by itself",
        Family::All => "p is corrected for all cases (Holm)",
    };
    let _ = writeln!(
        text,
        "\nEffects are head / base - 1. Changes up to {} do not matter. An alarm needs p of {:.4} or less; {family}. \
         Detectable is the change that is found in four of five cases.",
        percent(options.min_effect),
        options.level
    );
    let reasons: Vec<_> = judged.iter().filter(|j| j.reason.is_some()).collect();
    if !reasons.is_empty() {
        text.push_str("\n## Undecided\n\n| case | why |\n|---|---|\n");
        for Judgement { id, reason, .. } in reasons {
            let reason = escape_markdown(reason.as_deref().unwrap_or_default());
            let _ = writeln!(text, "| {} | {reason} |", escape_markdown(id));
        }
    }
    text
}

fn row(text: &mut String, judgement: &Judgement) {
    let shown = |value: Option<f64>| value.map(signed).unwrap_or_default();
    let interval = match (judgement.low, judgement.high) {
        (Some(low), Some(high)) => format!("{} to {}", signed(low), signed(high)),
        _ => String::new(),
    };
    let p = judgement.p.map(|p| format!("{p:.2e}")).unwrap_or_default();
    let _ = writeln!(
        text,
        "| {} | {} | {} | {interval} | {p} | {} | {} + {} |",
        escape_markdown(&judgement.id),
        judgement.verdict.name(),
        shown(judgement.effect),
        judgement.detectable_effect.map(percent).unwrap_or_default(),
        judgement.processes.base,
        judgement.processes.head,
    );
}

/// A relative effect as percent with its sign.
fn signed(effect: f64) -> String {
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
        assert!(
            text.contains("3 cases: 1 regressed, 0 improved, 1 undecided, 1 equivalent."),
            "{text}"
        );
        let at = |what: &str| text.find(what).unwrap();
        assert!(at("| a\\|b | regressed | +50.00 %") < at("| bad | undecided |"), "{text}");
        assert!(at("| bad | undecided |") < at("| same | equivalent | +0.00 %"), "{text}");
        assert!(text.contains("## Undecided") && text.contains("it takes 4 processes"), "{text}");
    }
}
