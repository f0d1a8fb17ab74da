//! What sentences of a report say: that it was measured on real hardware, that it was not, how results came about.

use crate::words;

/// Words that turn a statement into a plan, a condition or its contrary.
const TURNS: [&str; 24] = [
    "will", "would", "plan", "plans", "planned", "could", "should", "must", "until", "once",
    "before", "unless", "requires", "require", "need", "needs", "todo", "future", "next",
    "pending", "never", "instead", "cannot", "aim",
];

/// A sentence and the line that it begins in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Splits text at ends of sentences.
pub(crate) fn sentences(text: &str, line: usize) -> Vec<Sentence> {
    let mut found = Vec::new();
    let mut current = String::new();
    let (mut start, mut now) = (line, line);
    let chars: Vec<char> = text.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let next = chars.get(at + 1);
        let stops = matches!(c, '!' | '?' | ';')
            || *c == '.' && next.is_none_or(|next| next.is_whitespace());
        if current.trim().is_empty() {
            start = now;
        }
        if *c == '\n' {
            now += 1;
            current.push(' ');
        } else {
            current.push(*c);
        }
        if stops {
            found.push(Sentence {
                text: std::mem::take(&mut current).trim().to_owned(),
                line: start,
            });
        }
    }
    if !current.trim().is_empty() {
        found.push(Sentence { text: current.trim().to_owned(), line: start });
    }
    found
}

/// Whether a sentence claims that results come from real hardware.
pub(crate) fn claims(sentence: &str) -> bool {
    const SAYS: [&str; 26] = [
        "real hardware",
        "actual hardware",
        "physical hardware",
        "real device",
        "real gpu",
        "real-hardware",
        "bare metal",
        "bare-metal",
        "measured on",
        "measured with",
        "measured using",
        "real measurement",
        "real measurements",
        "actual measurement",
        "actual measurements",
        "real-world measurement",
        "hardware-verified",
        "verified on hardware",
        "genuine hardware",
        "production hardware",
        "not simulated",
        "no simulation",
        "real-world performance",
        "real performance",
        "real benchmark",
        "genuine measurement",
    ];
    let lower = sentence.to_lowercase();
    let claimed = SAYS.iter().any(|phrase| {
        lower.match_indices(phrase).any(|(at, _)| {
            // What turns a claim stands near it; a text may be of any length.
            let start = lower[..at].char_indices().rev().nth(300).map_or(0, |(start, _)| start);
            let before = words::of_text(&lower[start..at]);
            let near: Vec<_> = before.iter().rev().take(6).map(String::as_str).collect();
            let negated = near.iter().take(3).any(|word| {
                matches!(
                    *word,
                    "not" | "no" | "without" | "nothing" | "none" | "nor" | "than" | "never"
                )
            });
            let after = words::split(&lower[at..]);
            let lacking = after.iter().take(8).any(|word| {
                matches!(
                    word.as_str(),
                    "unavailable" | "missing" | "needed" | "required" | "pending"
                )
            });
            !negated && !lacking && !before.iter().any(|word| TURNS.contains(&word.as_str()))
        })
    });
    claimed && !denies_lower(&lower)
}

/// What a denial must be about.
const SUBJECTS: &str = "result results number numbers value values data latency latencies throughput timing timings figure \
    figures metric metrics benchmark benchmarks measurement measurements table report run runs output outputs inference \
    hardware device devices gpu backend mode platform platforms performance row rows entries below above times measured";
/// Phrases that deny by themselves.
const DENIALS: [&str; 27] = [
    "not measured",
    "not actually measured",
    "no hardware was",
    "no real hardware",
    "no gpu was",
    "without real hardware",
    "not run on real",
    "never ran on",
    "did not run on",
    "not executed on",
    "randomly generated",
    "random number",
    "random generator",
    "hard-coded",
    "hardcoded",
    "made up",
    "made-up",
    "fabricated",
    "invented",
    "no device was",
    "no actual hardware",
    "not real measurements",
    "not actual measurements",
    "not obtained on",
    "illustrative only",
    "placeholder",
    "not taken on",
];
/// Words that deny beside a subject.
const DENYING: &str = "simulated simulation simulating simulator mock mocked estimated estimates estimate synthetic emulated dummy \
    fake extrapolated projected predicted modelled modeled";
/// Words before a denial that take it back.
const NEGATIONS: &str = "not no without nothing none never nor neither than non versus vs";
/// Words that make a sentence one about something else than what is there.
const PLANS: &str = "will would plan plans planned should must todo future cannot never";
/// Inputs may be synthetic where results are real.
const INPUTS: [&str; 10] = [
    "synthetic input",
    "random input",
    "synthetic prompt",
    "dummy input",
    "synthetic data",
    "synthetic batch",
    "random tensors",
    "synthetic dataset",
    "synthetic workload",
    "synthetic images",
];

/// Whether a word stands in a list of words.
fn among(word: &str, list: &str) -> bool {
    list.split_whitespace().any(|found| found == word)
}

/// Whether any of the words does.
pub(super) fn any_among(words: &[String], list: &str) -> bool {
    words.iter().any(|word| among(word, list))
}

/// Whether a sentence says that results were not measured.
pub(crate) fn denies(sentence: &str) -> bool {
    denies_lower(&sentence.to_lowercase())
}

/// The same, of a sentence in small letters.
fn denies_lower(lower: &str) -> bool {
    let phrase = DENIALS.iter().any(|phrase| lower.contains(phrase));
    let mut all = lower.split(|c: char| !c.is_alphanumeric());
    if !phrase && !all.any(|word| among(word, DENYING)) {
        return false;
    }
    let words = words::of_text(lower);
    let denied = || {
        words.iter().enumerate().any(|(at, word)| {
            let before = || words[..at].iter().rev();
            let negated = || before().take(3).any(|word| among(word, NEGATIONS));
            let against = || before().take(2).any(|word| among(word, "against versus vs with"));
            let compared = || against() && words.iter().any(|word| word == "compared");
            among(word, DENYING) && !negated() && !compared()
        })
    };
    let of_inputs =
        || INPUTS.iter().any(|phrase| lower.contains(phrase)) && !lower.contains("simulat");
    (phrase || any_among(&words, SUBJECTS) && denied()) && !any_among(&words, PLANS) && !of_inputs()
}

/// Whether a denial is about some rows only, which are marked.
pub(crate) fn is_partial(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    [
        "marked",
        "labelled",
        "labeled",
        "flagged",
        "where noted",
        "with an asterisk",
        "column",
        "rows with",
        "italic",
        "tagged",
        "separately",
        "excluded",
        "left out",
        "not included",
        "are not compared",
        "listed apart",
        "badge",
    ]
    .iter()
    .any(|phrase| lower.contains(phrase))
}

/// Whether a text says how results came about: any of the four marks or words that mean one.
pub(crate) fn states_origin(text: &str) -> bool {
    let lower = text.to_lowercase();
    let ran = [
        "ran on ",
        "run on ",
        "runs on ",
        "executed on ",
        "tested on ",
        "benchmarked on ",
        "collected on ",
        "obtained on ",
        "timed on ",
    ];
    ran.iter().any(|phrase| lower.contains(phrase))
        || lower.split(|c: char| !c.is_alphanumeric()).any(|word| {
            matches!(
                word,
                "real"
                    | "simulated"
                    | "simulation"
                    | "simulator"
                    | "software"
                    | "claimed"
                    | "measured"
                    | "measure"
                    | "measurement"
                    | "measurements"
                    | "estimated"
                    | "estimate"
                    | "estimates"
                    | "predicted"
                    | "prediction"
                    | "emulated"
                    | "theoretical"
                    | "modelled"
                    | "modeled"
                    | "projected"
                    | "synthetic"
                    | "mock"
                    | "published"
                    | "reported"
                    | "vendor"
                    | "datasheet"
                    | "quoted"
                    | "lavapipe"
                    | "swiftshader"
                    | "target"
                    | "targets"
                    | "budget"
                    | "extrapolated"
                    | "recorded"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_and_denials_are_told_from_what_looks_like_them() {
        for (text, claimed, denied) in [
            ("All were measured on real hardware.", true, false),
            ("It was not measured on real hardware.", false, true),
            ("It will be measured on real hardware.", false, false),
            ("Real hardware is required.", false, false),
            ("The results are simulated.", false, true),
            ("The results are not simulated.", true, false),
            ("The simulator is fast.", false, false),
            ("The results will be simulated.", false, false),
            ("The results compared with simulated ones.", false, false),
            ("The results are of synthetic inputs: synthetic input.", false, false),
            ("The real device was hot; its numbers are fabricated.", false, true),
            ("Nothing of note.", false, false),
        ] {
            assert_eq!((claims(text), denies(text)), (claimed, denied), "{text}");
        }
    }
}
