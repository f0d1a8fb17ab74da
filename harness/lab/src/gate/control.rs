//! The same-binary control: a case whose base and head are the same program, judged like every other.
//!
//! It tells whether the machine was fit, not whether the code changed.

use super::judge::{Judgement, Verdict};

/// Why the machine is unfit for verdicts, if the control says so.
///
/// An alarm is a verdict that something changed. It is a false one in two directions with the probability that is
/// stated for one in `docs/STATISTICS.md`; a control that could not be judged says nothing for the machine either.
pub fn unfit(control: &Judgement) -> Option<String> {
    let Judgement { id, verdict, reason, .. } = control;
    match verdict {
        Verdict::Regressed | Verdict::Improved => Some(format!(
            "{id}: the same program was judged as {}, by {:.1} %; the machine changed while it was measured, and no \
             verdict from it holds; run the gate again when the machine is calm",
            verdict.name(),
            100.0 * control.effect.unwrap_or(0.0),
        )),
        Verdict::Undecided if control.p.is_none() => {
            let why = reason.as_deref().unwrap_or("no reason was given");
            Some(format!("{id}: the control could not be judged: {why}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::{Case, Sides};
    use super::super::judge::{Options, judge};
    use super::super::level::Process;
    use super::*;

    fn control(head: f64, processes: usize) -> Option<String> {
        let side = |factor: f64| -> Vec<Process> {
            let level = |index: usize| factor * (1.0 + 1e-3 * (index % 4) as f64);
            (0..processes).filter_map(|i| Process::new(&[level(i); 9])).collect()
        };
        let case =
            Case { id: "same".into(), sides: Ok(Sides { base: side(1.0), head: side(head) }) };
        unfit(&judge(&[case], &Options::new(0.01, 0.05).unwrap())[0])
    }

    #[test]
    fn only_a_change_or_silence_makes_a_machine_unfit() {
        assert_eq!(control(1.0, 5), None);
        assert!(control(1.2, 5).unwrap().contains("regressed, by 20.0 %"));
        assert!(control(0.8, 5).unwrap().contains("improved"));
        assert!(control(1.0, 2).unwrap().contains("could not be judged"));
    }
}
