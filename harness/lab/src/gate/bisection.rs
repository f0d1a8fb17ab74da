//! Which commit made a case slower: a search that may be wrong at every step and still ends at the right one.
//!
//! Probabilistic bisection (Horstein, "Sequential transmission using noiseless feedback", IEEE Transactions on
//! Information Theory 9 (1963); Waeber, Frazier and Henderson, "Bisection search with noisy responses", SIAM Journal on
//! Control and Optimization 51 (2013)): a probability for each commit of being the first slow one, updated by what a
//! measured commit looks like. No answer is trusted beyond [`TRUST`], so a wrong one is outvoted by later ones.

use super::evidence::{FITTED, evidence};
use super::level::Process;
use super::prior::Hypotheses;

/// A single answer is never believed more than this.
pub const TRUST: f64 = 0.98;
/// The search ends when a commit, or commits that cannot be told apart, are this likely.
pub const CERTAIN: f64 = 0.99;
/// An answer as vague as this is worth more processes.
pub const VAGUE: f64 = 0.9;

/// The state of a search over commits in their order; the last one is known to be slow, and what is before the first
/// one to be fast.
#[derive(Clone, Debug)]
pub struct Bisection {
    /// The probability of each commit of being the first slow one.
    weights: Vec<f64>,
    /// Whether it can be measured.
    testable: Vec<bool>,
}

/// How a search stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Measure this commit.
    Measure(usize),
    /// One of these commits, which cannot be told apart, was the first slow one.
    Found(std::ops::RangeInclusive<usize>),
}

impl Bisection {
    /// A search over so many commits, one at least, of which nothing is known yet.
    pub fn new(commits: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a number of commits")]
        let each = 1.0 / commits as f64;
        Self { weights: vec![each; commits], testable: vec![true; commits] }
    }

    /// The probability of a commit of being the first slow one.
    pub fn probability(&self, commit: usize) -> f64 {
        self.weights[commit]
    }

    /// This commit cannot be measured.
    pub fn skip(&mut self, commit: usize) {
        self.testable[commit] = false;
    }

    /// A commit looked slow with this probability.
    pub fn update(&mut self, commit: usize, slow: f64) {
        let slow = slow.clamp(1.0 - TRUST, TRUST);
        for (index, weight) in self.weights.iter_mut().enumerate() {
            // A commit that is slow has the first slow one at or before it.
            *weight *= if index <= commit { slow } else { 1.0 - slow };
        }
        let total: f64 = self.weights.iter().sum();
        self.weights.iter_mut().for_each(|weight| *weight /= total);
    }

    /// What to do next.
    pub fn next(&self) -> Next {
        let groups = self.groups();
        let mass = |range: &std::ops::RangeInclusive<usize>| -> f64 {
            self.weights[range.clone()].iter().sum()
        };
        let best = groups.iter().max_by(|a, b| mass(a).total_cmp(&mass(b)));
        if let Some(best) = best
            && (mass(best) >= CERTAIN || groups.len() == 1)
        {
            return Next::Found(best.clone());
        }
        // The end of a group is a commit that can be measured; the last one's answer is known.
        let ends = groups[..groups.len() - 1].iter().map(|group| *group.end());
        let mut sum = 0.0;
        let cuts = ends.zip(&groups).map(|(end, group)| {
            sum += mass(group);
            (end, (sum - 0.5_f64).abs())
        });
        let cut = cuts.min_by(|a, b| a.1.total_cmp(&b.1));
        cut.map_or(Next::Found(0..=self.weights.len() - 1), |(end, _)| Next::Measure(end))
    }

    /// Commits that no measurable commit separates. Each group ends with one that can be measured, or the last.
    fn groups(&self) -> Vec<std::ops::RangeInclusive<usize>> {
        let (mut groups, mut start) = (Vec::new(), 0);
        for index in 0..self.testable.len() {
            if self.testable[index] || index + 1 == self.testable.len() {
                groups.push(start..=index);
                start = index + 1;
            }
        }
        groups
    }
}

/// The probability that a commit is on the slow side of the middle between a good and a bad one: the mean of what the
/// comparison with either says. Each needs a process at least.
pub fn slow(good: &[Process], measured: &[Process], bad: &[Process], min_effect: f64) -> f64 {
    let hypotheses = Hypotheses::new(min_effect);
    let difference =
        |base: &[Process], head: &[Process]| evidence(base, head, &hypotheses, &FITTED).difference;
    let half = 0.5 * difference(good, bad).quantile(0.5);
    let above_good = 1.0 - difference(good, measured).mass_below(half);
    let near_bad = difference(measured, bad).mass_below(half);
    0.5 * (above_good + near_bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches for the first slow one of so many commits, each answer being wrong with a probability; gives what was
    /// found and how many were measured.
    fn search(
        commits: usize,
        first: usize,
        skipped: &[usize],
        mut wrong: impl FnMut() -> bool,
    ) -> (std::ops::RangeInclusive<usize>, usize) {
        let mut bisection = Bisection::new(commits);
        let mut measured = 0;
        loop {
            match bisection.next() {
                Next::Found(range) => return (range, measured),
                Next::Measure(commit) if skipped.contains(&commit) => bisection.skip(commit),
                Next::Measure(commit) => {
                    measured += 1;
                    assert!(measured < 200, "it does not end");
                    let slow = (commit >= first) != wrong();
                    bisection.update(commit, if slow { 0.97 } else { 0.03 });
                }
            }
        }
    }

    #[test]
    fn every_place_is_found_in_about_the_logarithm_of_steps() {
        for commits in [1, 2, 7, 64] {
            for first in 0..commits {
                let (found, measured) = search(commits, first, &[], || false);
                assert_eq!(found, first..=first, "{commits} {first}");
                assert!(measured <= 2 * 7 + 4, "{measured}");
            }
        }
    }

    #[test]
    fn one_wrong_answer_is_outvoted() {
        for place in 0..5 {
            let mut asked = 0;
            let wrong = || {
                asked += 1;
                asked == place + 1
            };
            assert_eq!(search(32, 11, &[], wrong).0, 11..=11, "wrong at {place}");
        }
    }

    #[test]
    fn commits_that_cannot_be_measured_are_told_with_those_that_they_hide() {
        assert_eq!(search(10, 5, &[4, 5], || false).0, 4..=6);
        assert_eq!(search(10, 9, &[7, 8], || false).0, 7..=9);
        assert_eq!(search(4, 2, &[0, 1, 2], || false).0, 0..=3);
        assert_eq!(search(10, 2, &[7, 8], || false).0, 2..=2);
    }

    #[test]
    fn wrong_answers_mislead_no_more_often_than_is_said() {
        // One answer in forty is wrong; fixed seeds, so that the rate is the same each time.
        let mut random = fastrand::Rng::with_seed(1963);
        let searches = 4000_usize;
        let mut misled = 0_u32;
        for each in 0..searches {
            let first = each % 24;
            let (found, _) = search(24, first, &[], || random.usize(..40) == 0);
            misled += u32::from(found != (first..=first));
        }
        let rate = f64::from(misled) / searches as f64;
        assert!(rate <= 1.0 - CERTAIN, "{misled} of {searches}");
    }

    #[test]
    fn a_commit_is_likened_to_the_nearer_side() {
        let side = |factor: f64| -> Vec<Process> {
            let level = |index: usize| factor * (1.0 + 2e-3 * (index % 4) as f64);
            (0..4).filter_map(|index| Process::new(&[level(index); 9])).collect()
        };
        let like = |factor: f64| slow(&side(1.0), &side(factor), &side(1.1), 0.01);
        assert!(like(1.0) < 0.02 && like(1.1) > 0.98, "{} {}", like(1.0), like(1.1));
        assert!(like(0.9) < 0.02 && like(1.3) > 0.98);
        assert!((0.3..0.7).contains(&like(1.1_f64.sqrt())), "{}", like(1.1_f64.sqrt()));
    }
}
