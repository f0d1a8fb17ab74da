//! What a report rests on: how many numbers of each mark, and of them how many are made up to try reports out. Pure.

use proofmark::Mark;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// All marks, the strongest first.
pub const MARKS: [Mark; 4] = [Mark::Real, Mark::Software, Mark::Simulated, Mark::Claimed];

/// Says at the head of a report that some of it is made up.
pub const BANNER: &str = "FIXTURE: this report has numbers that a program made up to try reports out. Nobody measured \
them; each says \"fixture\" beside its mark.";

/// What kind of thing a number is. Only numbers of one kind are comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Kind {
    /// What it proves; nothing for a run that opened no device.
    pub mark: Option<Mark>,
    /// Ops ran elsewhere than on the device.
    pub fallbacks: bool,
    /// It was made up: its suite is [`proofmark::record::FIXTURE`].
    pub fixture: bool,
}

impl Kind {
    /// The kind as it stands beside a number: `real`, `fixture real with fallbacks`.
    pub fn name(self) -> String {
        let fixture = if self.fixture { "fixture " } else { "" };
        let mark = self.mark.map_or("unopened", Mark::name);
        let fallbacks = if self.fallbacks { " with fallbacks" } else { "" };
        format!("{fixture}{mark}{fallbacks}")
    }
}

/// Whether a suite is the fixture.
pub fn is_fixture(suite: &str) -> bool {
    suite == proofmark::record::FIXTURE
}

/// Numbers by mark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Basis {
    /// Those that were measured, simulated or claimed.
    pub counts: BTreeMap<&'static str, usize>,
    /// Those of a fixture; empty where there is none.
    pub fixture: BTreeMap<&'static str, usize>,
}

impl Basis {
    /// Counts the kinds of what a report shows.
    pub fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let counts = MARKS.iter().map(|mark| (mark.name(), 0)).collect();
        let mut basis = Self { counts, fixture: BTreeMap::new() };
        for kind in kinds {
            let into = if kind.fixture { &mut basis.fixture } else { &mut basis.counts };
            *into.entry(kind.mark.map_or("unopened", Mark::name)).or_default() += 1;
        }
        basis
    }

    /// Whether anything is made up.
    pub fn has_fixture(&self) -> bool {
        !self.fixture.is_empty()
    }

    /// `12 results: 10 real, 2 software, 0 simulated, 0 claimed`.
    pub fn sentence(&self, what: &str) -> String {
        let order = MARKS.iter().map(|mark| mark.name()).chain(["unopened"]);
        let told = |counts: &BTreeMap<&'static str, usize>| {
            let of = |name: &'static str| Some(format!("{} {name}", counts.get(name)?));
            order.clone().filter_map(of).collect::<Vec<_>>().join(", ")
        };
        let total: usize = self.counts.values().sum();
        let mut text = format!("{total} {what}: {}", told(&self.counts));
        if self.has_fixture() {
            let made: usize = self.fixture.values().sum();
            let _ = write!(text, "; and on {made} of a fixture: {} (fixture)", told(&self.fixture));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_numbers_are_never_counted_among_the_others() {
        let kind = |mark, fixture| Kind { mark, fallbacks: false, fixture };
        let real = kind(Some(Mark::Real), false);
        let basis = Basis::of([real, real, kind(Some(Mark::Software), false)]);
        assert_eq!(
            basis.sentence("results"),
            "3 results: 2 real, 1 software, 0 simulated, 0 claimed"
        );
        assert!(!basis.has_fixture());
        let basis = Basis::of([real, kind(Some(Mark::Real), true), kind(None, false)]);
        assert_eq!(
            basis.sentence("results"),
            "2 results: 1 real, 0 software, 0 simulated, 0 claimed, 1 unopened; and on 1 of a fixture: 1 real (fixture)"
        );
        let all = Kind { mark: Some(Mark::Real), fallbacks: true, fixture: true };
        assert_eq!(all.name(), "fixture real with fallbacks");
        assert_eq!(kind(None, false).name(), "unopened");
    }
}
