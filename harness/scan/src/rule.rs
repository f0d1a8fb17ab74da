//! The rules by name, and how sure a finding is.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Worth a look: the pattern is there, but honest code often has it too.
    Low,
    /// Likely: the pattern is there, and nothing near it says otherwise.
    Medium,
    /// The file itself shows it from the source of the number to the place where it is presented.
    High,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A constant is presented as a measured quantity.
    ConstantResult,
    /// A random number is presented as a measured quantity.
    RandomResult,
    /// Sleeping is timed, and the time is presented as that of work.
    SleepInTiming,
    /// What could not be run gives a made-up result.
    FabricatedFallback,
    /// Something is marked as simulated, and then the mark is lost.
    DroppedMark,
    /// A stand-in of tests is used outside of tests.
    MockOutsideTests,
    /// A text claims real hardware, and the same file denies it.
    DeniedClaim,
    /// A table or list of results does not say how they came about.
    UnmarkedTable,
    /// A report is older than what it cites.
    StaleReport,
    /// A file ends in the middle.
    TruncatedFile,
    /// A finding is suppressed without a reason, or under a name that is no rule.
    BareSuppression,
}

impl Rule {
    /// All rules.
    pub const ALL: [Self; 11] = [
        Self::ConstantResult,
        Self::RandomResult,
        Self::SleepInTiming,
        Self::FabricatedFallback,
        Self::DroppedMark,
        Self::MockOutsideTests,
        Self::DeniedClaim,
        Self::UnmarkedTable,
        Self::StaleReport,
        Self::TruncatedFile,
        Self::BareSuppression,
    ];

    /// The name by which it is suppressed.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConstantResult => "constant-result",
            Self::RandomResult => "random-result",
            Self::SleepInTiming => "sleep-in-timing",
            Self::FabricatedFallback => "fabricated-fallback",
            Self::DroppedMark => "dropped-mark",
            Self::MockOutsideTests => "mock-outside-tests",
            Self::DeniedClaim => "denied-claim",
            Self::UnmarkedTable => "unmarked-table",
            Self::StaleReport => "stale-report",
            Self::TruncatedFile => "truncated-file",
            Self::BareSuppression => "bare-suppression",
        }
    }

    /// What is wrong, in one sentence.
    pub fn summary(self) -> &'static str {
        match self {
            Self::ConstantResult => "a constant is presented as a measured quantity",
            Self::RandomResult => "a random number is presented as a measured quantity",
            Self::SleepInTiming => "sleeping is timed as if it were work",
            Self::FabricatedFallback => "what could not be run gives a made-up result",
            Self::DroppedMark => "a mark that says simulated is lost on the way to the result",
            Self::MockOutsideTests => "a stand-in of tests is used outside of tests",
            Self::DeniedClaim => "real hardware is claimed, and the same file denies it",
            Self::UnmarkedTable => {
                "results do not say whether they are real, simulated or estimated"
            }
            Self::StaleReport => "the report is older than what it cites",
            Self::TruncatedFile => "the file ends in the middle",
            Self::BareSuppression => "a suppression has no reason or names no rule",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::ConstantResult | Self::RandomResult => {
                "Measure it with a clock around the real work, or leave it out; if it is a model or an estimate, \
                 say so in the result itself, for example with mark: \"simulated\"."
            }
            Self::SleepInTiming => {
                "Time the real work. Move waiting out of the timed region, or mark what this gives as simulated."
            }
            Self::FabricatedFallback => {
                "Raise the error, skip, or return no numbers and the reason; if a stand-in must answer, mark its \
                 answer as simulated."
            }
            Self::DroppedMark => {
                "Carry the mark into every copy of the result and everything that is written from it."
            }
            Self::MockOutsideTests => {
                "Move the stand-in into the tests; outside of them use the real thing, or fail."
            }
            Self::DeniedClaim => {
                "Say which of the two is true, once. If nothing ran on the hardware, take the claim back."
            }
            Self::UnmarkedTable => {
                "Add a column or a sentence that says for each row whether it is real, software, simulated or \
                 claimed."
            }
            Self::StaleReport => {
                "Make the report again from what it cites, or say of which version it is."
            }
            Self::TruncatedFile => {
                "Write the file again, whole; what is lost cannot be seen from what is left."
            }
            Self::BareSuppression => "Name a rule and say why: proofmark: allow(RULE) REASON.",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rule {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|rule| rule.name() == name).ok_or(())
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, as its path was given or found.
    pub path: String,
    /// From 1.
    pub line: usize,
    /// From 1, in bytes.
    pub column: usize,
    /// What is wrong.
    pub rule: Rule,
    /// How sure that is.
    pub confidence: Confidence,
    /// Why this is thought, in a sentence.
    pub message: String,
    /// The line, or the part of the text, that shows it.
    pub evidence: String,
    /// What to do.
    pub remedy: &'static str,
}
