//! The verdict of a case, and what stands beside it.
//!
//! *Significant*: p is at most the level of the gate. *Relevant*: the effect is larger than the minimal one.
//! `regressed` and `improved` are both; `equivalent` is shown by a test of its own; all else is `undecided`, with the
//! reason. What these rest on is in `evidence`.

use super::case::{Case, Sides};
use super::evidence::{Evidence, FITTED, evidence};
use super::exact::{permutation_p, processes_needed, smallest_p};
use super::family::holm;
use super::level::Process;
use super::power::{detectable_effect, power, standard_error};
use super::prior::Hypotheses;
use serde::Serialize;

/// Alarms are made at α divided by this. If one case in six changed and most changes are found, then about a share of α
/// of the alarms is false: Benjamin et al., "Redefine Statistical Significance", Nature Human Behaviour 2 (2018), for
/// pre-study odds of 1 : 5. At the usual α of 0.05 it is half a percent in either direction.
pub const PRE_STUDY_ODDS: f64 = 5.0;

/// How a gate judges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The relative effect below which a change does not matter: 0.01 is one percent.
    pub min_effect: f64,
    /// The share of alarms that may be false where one case in six changed; one minus the confidence of intervals;
    /// what the exact test of a design must be able to reach.
    pub alpha: f64,
    /// The level of the alarms: two-sided p up to here are significant.
    pub level: f64,
    /// The level of each of the two tests of equivalence.
    pub equivalence: f64,
    /// Whether p are corrected for the number of cases.
    pub family: Family,
}

/// Over what errors are controlled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Each case by itself.
    #[default]
    None,
    /// All cases together, by Holm's method.
    All,
}

/// Options that make no sense.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum OptionsError {
    /// The minimal effect is negative, or too large to mean anything.
    #[error("the minimal effect is {0}; it must be a part of one from 0 to 0.5, such as 1%")]
    MinEffect(f64),
    /// The level is no probability of an error that one would accept.
    #[error("alpha is {0}; it must be above 0 and below 0.5, such as 0.05")]
    Alpha(f64),
}

impl Options {
    /// Each case by itself, at the level of α / [`PRE_STUDY_ODDS`].
    pub fn new(min_effect: f64, alpha: f64) -> Result<Self, OptionsError> {
        if !(0.0..=0.5).contains(&min_effect) {
            return Err(OptionsError::MinEffect(min_effect));
        }
        if !(alpha > 0.0 && alpha < 0.5) {
            return Err(OptionsError::Alpha(alpha));
        }
        let (level, equivalence) = (alpha / PRE_STUDY_ODDS, alpha);
        Ok(Self { min_effect, alpha, level, equivalence, family: Family::None })
    }
}

/// What is said of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The head is slower, or needs more of what is compared.
    Regressed,
    /// The head is faster, or needs less.
    Improved,
    /// The difference is within the minimal effect.
    Equivalent,
    /// Nothing was shown.
    Undecided,
    /// Nothing differs that the case depends on, so it was not run.
    Unaffected,
    /// The head fails, or its outputs are not those of the base.
    Broken,
    /// Base and head cannot be compared: marks, machines or drivers differ, or one of them lacks the case.
    Incomparable,
}

impl Verdict {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::Equivalent => "equivalent",
            Self::Undecided => "undecided",
            Self::Unaffected => "unaffected",
            Self::Broken => "broken",
            Self::Incomparable => "incomparable",
        }
    }
}

/// How many processes a side has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Processes {
    /// Of the base.
    pub base: usize,
    /// Of the head.
    pub head: usize,
}

/// A verdict with its numbers. Effects are relative, head / base - 1: 0.05 is five percent slower.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// The case.
    pub id: String,
    /// What is said.
    pub verdict: Verdict,
    /// Why nothing is said.
    pub reason: Option<String>,
    /// The posterior median of the effect.
    pub effect: Option<f64>,
    /// The lower end of the interval that holds the effect with a probability of 1 - α.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// How often equal code shows as much evidence of a change, in either direction; corrected if that was asked for.
    pub p: Option<f64>,
    /// The level with which p was compared.
    pub level: Option<f64>,
    /// The p of the exact permutation test of the medians, which assumes nothing about the noise; it decides nothing.
    pub p_exact: Option<f64>,
    /// The smallest p that the permutation test could have reached.
    pub p_exact_smallest: Option<f64>,
    /// The probability of finding a change of five times the minimal effect (of 5 % at least) with this noise.
    pub power: Option<f64>,
    /// The effect that is found with a probability of 80 % with this noise and so many processes.
    pub detectable_effect: Option<f64>,
    /// Half the width of the interval: what equal code differs by, up to a share of α.
    pub noise_floor: Option<f64>,
    /// How far processes of the same code typically lie apart, relative.
    pub process_noise: Option<f64>,
    /// How many processes there were.
    pub processes: Processes,
}

/// Why a case says nothing, and how many processes it has.
type Silence = (Processes, String);

/// Judges cases, in their order.
pub fn judge(cases: &[Case], options: &Options) -> Vec<Judgement> {
    let hypotheses = Hypotheses::new(options.min_effect);
    let weighed: Vec<Result<(&Sides, Evidence), Silence>> =
        cases.iter().map(|case| weigh(case, &hypotheses, options)).collect();
    let mut p: Vec<f64> = weighed.iter().flatten().map(|(_, e)| p_value(e)).collect();
    if options.family == Family::All {
        p = holm(&p);
    }
    let mut p = p.into_iter();
    let conclude = |(case, weighed): (&Case, _)| match weighed {
        Ok((sides, evidence)) => {
            conclude(&case.id, sides, &evidence, p.next().unwrap_or(1.0), options)
        }
        Err(silence) => silent(&case.id, silence, options),
    };
    cases.iter().zip(weighed).map(conclude).collect()
}

fn p_value(evidence: &Evidence) -> f64 {
    FITTED.p_value(evidence.weighed.slower.max(evidence.weighed.faster))
}

/// The evidence of a case, or why it has none.
fn weigh<'a>(
    case: &'a Case,
    hypotheses: &Hypotheses,
    options: &Options,
) -> Result<(&'a Sides, Evidence), Silence> {
    let sides = case.sides.as_ref().map_err(|fault| (Processes::default(), fault.clone()))?;
    let processes = Processes { base: sides.base.len(), head: sides.head.len() };
    match too_small(processes, options.alpha) {
        Some(reason) => Err((processes, reason)),
        None => Ok((sides, evidence(&sides.base, &sides.head, hypotheses, &FITTED))),
    }
}

/// Why a design is refused: with so few processes, exchangeability alone can never show a change at α, and an alarm
/// would rest on the model of the noise and nothing else.
pub fn too_small(processes: Processes, alpha: f64) -> Option<String> {
    let Processes { base, head } = processes;
    let p = smallest_p(base, head);
    (p > alpha).then(|| {
        let needed = processes_needed(alpha);
        format!(
            "{base} processes of base and {head} of head cannot reach p ≤ {alpha}: an exact test of them never goes \
             below {p:.3}; it takes {needed} processes a side"
        )
    })
}

fn silent(id: &str, (processes, reason): Silence, options: &Options) -> Judgement {
    let known = processes.base.min(processes.head) > 0;
    Judgement {
        level: Some(options.level),
        p_exact_smallest: known.then(|| smallest_p(processes.base, processes.head)),
        ..Judgement::without_numbers(id, Verdict::Undecided, Some(reason), processes)
    }
}

impl Judgement {
    /// A verdict that rests on no estimate.
    pub(super) fn without_numbers(
        id: &str,
        verdict: Verdict,
        reason: Option<String>,
        processes: Processes,
    ) -> Self {
        Self {
            id: id.to_owned(),
            verdict,
            reason,
            effect: None,
            low: None,
            high: None,
            p: None,
            level: None,
            p_exact: None,
            p_exact_smallest: None,
            power: None,
            detectable_effect: None,
            noise_floor: None,
            process_noise: None,
            processes,
        }
    }
}

fn conclude(id: &str, sides: &Sides, evidence: &Evidence, p: f64, options: &Options) -> Judgement {
    let Sides { base, head } = sides;
    let difference = &evidence.difference;
    let [low, middle, high] =
        [options.alpha / 2.0, 0.5, 1.0 - options.alpha / 2.0].map(|q| difference.quantile(q));
    let error = standard_error(difference);
    let detectable = detectable_effect(error, options.level, options.min_effect);
    let (verdict, reason) = verdict(evidence, p, middle, detectable, options);
    let medians = |side: &[Process]| side.iter().map(|p| p.levels[0]).collect::<Vec<_>>();
    let design = (5.0 * options.min_effect).max(0.05);
    Judgement {
        id: id.to_owned(),
        verdict,
        reason,
        effect: Some(middle.exp_m1()),
        low: Some(low.exp_m1()),
        high: Some(high.exp_m1()),
        p: Some(p),
        level: Some(options.level),
        p_exact: permutation_p(&medians(base), &medians(head)),
        p_exact_smallest: Some(smallest_p(base.len(), head.len())),
        power: Some(power(design, error, options.level)),
        detectable_effect: Some(detectable),
        noise_floor: Some((0.5 * (high - low)).exp_m1()),
        process_noise: Some(evidence.noise),
        processes: Processes { base: base.len(), head: head.len() },
    }
}

/// `middle` is the posterior median of the difference, in logarithms.
fn verdict(
    evidence: &Evidence,
    p: f64,
    middle: f64,
    detectable: f64,
    options: &Options,
) -> (Verdict, Option<String>) {
    let [above, below, _] = evidence.weighed.masses;
    let (slower, faster) = (evidence.weighed.slower, evidence.weighed.faster);
    let relevant = options.min_effect.ln_1p();
    let significant = p <= options.level;
    if significant && slower > faster && middle > relevant {
        return (Verdict::Regressed, None);
    }
    if significant && faster > slower && middle < -relevant {
        return (Verdict::Improved, None);
    }
    // Two one-sided tests: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987).
    if above < options.equivalence && below < options.equivalence {
        return (Verdict::Equivalent, None);
    }
    let reason = format!(
        "neither a change nor its absence is shown: p is {p:.3} and would have to be {:.4} or less; with this noise \
         a change of {:.1} % is found in four of five cases; run more processes",
        options.level,
        100.0 * detectable
    );
    (Verdict::Undecided, Some(reason))
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
