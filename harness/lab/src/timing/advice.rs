//! Recommendations: sentences that follow from rows, with those rows and with how sure they are. None is across kinds of
//! numbers, and none rests on a claim.
//!
//! An advice is as sure as the weakest of its rows: sure where each has three processes or more, spreads no more than a
//! plan allows and is at most thirty days old; unsure where one has fewer than ten samples, spreads more, or is older than
//! ninety days; fair between.

use super::Row;
use super::ranking::{Among, Ranking};
use super::scaling::sizes;
use crate::basis::Kind;
use crate::figures::{duration_ns, percent, three_digits};
use crate::plan::NOISE_LIMIT;
use proofmark::Mark;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Days within which a row is young, and after which it is old.
const DAYS: [f64; 2] = [30.0, 90.0];
/// Samples below which a row is weak.
const FEW_SAMPLES: usize = 10;
/// Processes from which on a row is strong.
const MANY_PROCESSES: usize = 3;

/// How sure an advice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sureness {
    /// Few samples, much noise, or old.
    Unsure,
    /// Between.
    Fair,
    /// Several processes, little noise, and young.
    Sure,
}

impl Sureness {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsure => "unsure",
            Self::Fair => "fair",
            Self::Sure => "sure",
        }
    }
}

/// What follows from some rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The sentence, with the kind of its numbers.
    pub says: String,
    /// The kind of all numbers it rests on.
    #[serde(flatten)]
    pub kind: Kind,
    /// How sure it is.
    pub sureness: Sureness,
    /// Why it is not surer.
    pub because: String,
    /// The rows that it rests on, by their records.
    pub rests_on: Vec<String>,
}

/// All that follows, the surest first: which endpoint to take for a model, which batch, and what bounds what runs near its roof.
pub(super) fn advice(rows: &[Row], rankings: &[Ranking]) -> Vec<Advice> {
    let by_record: HashMap<(&str, Kind), &Row> =
        rows.iter().map(|row| ((row.record.as_str(), row.kind), row)).collect();
    let mut all = endpoints(rankings, &by_record);
    all.extend(batches(rows));
    all.extend(bounds(rows));
    all.sort_by_key(|advice| std::cmp::Reverse(advice.sureness));
    all
}

/// How sure a row is, and why it is not surer.
pub fn sureness(row: &Row) -> (Sureness, &'static str) {
    let noise = row.relative_noise.unwrap_or(f64::INFINITY);
    let is_predicted = row.kind.mark == Some(Mark::Simulated);
    match row {
        _ if is_predicted => (Sureness::Unsure, "nothing ran: it is simulated"),
        _ if row.samples < FEW_SAMPLES => (Sureness::Unsure, "fewer than ten samples"),
        _ if noise > NOISE_LIMIT => (Sureness::Unsure, "more noise than a plan allows"),
        _ if row.age_days > DAYS[1] => (Sureness::Unsure, "older than ninety days"),
        _ if row.processes < MANY_PROCESSES => (Sureness::Fair, "fewer than three processes"),
        _ if row.age_days > DAYS[0] => (Sureness::Fair, "older than thirty days"),
        _ => (Sureness::Sure, "three processes or more, little noise, at most thirty days old"),
    }
}

fn made(says: String, kind: Kind, rows: &[&Row]) -> Advice {
    let weakest = rows.iter().map(|row| sureness(row)).min_by_key(|(sureness, _)| *sureness);
    let (sureness, because) = weakest.unwrap_or((Sureness::Unsure, "no rows"));
    let rests_on = rows.iter().map(|row| row.record.clone()).collect();
    Advice { says, kind, sureness, because: because.to_owned(), rests_on }
}

/// For each model on a class of machines the endpoint that is alone in the first place of most rankings.
fn endpoints(rankings: &[Ranking], rows: &HashMap<(&str, Kind), &Row>) -> Vec<Advice> {
    let mut by_model: BTreeMap<(&str, Kind, &str), Vec<&Ranking>> = BTreeMap::new();
    for ranking in rankings.iter().filter(|ranking| ranking.among == Among::Endpoints) {
        by_model.entry((&ranking.of, ranking.kind, &ranking.class)).or_default().push(ranking);
    }
    let mut all = Vec::new();
    for ((model, kind, class), rankings) in by_model {
        let mut won: BTreeMap<&str, Vec<&Ranking>> = BTreeMap::new();
        for ranking in rankings.iter().filter(|ranking| is_won(ranking)) {
            won.entry(&ranking.entries[0].name).or_default().push(ranking);
        }
        let Some((name, wins)) = won.into_iter().max_by_key(|(_, wins)| wins.len()) else {
            continue;
        };
        if 2 * wins.len() <= rankings.len() {
            continue;
        }
        // On the slowest machine of the class that it ran on, against the next on its quickest.
        let slowest = |ranking: &Ranking| {
            let own = ranking.entries.iter().filter(|entry| entry.name == name);
            own.map(|entry| entry.latency_ns).fold(0.0, f64::max)
        };
        let times = wins.iter().filter_map(|r| Some(r.next_to(name)?.latency_ns / slowest(r)));
        let least = times.fold(f64::INFINITY, f64::min);
        // What was not won speaks against it, and counts for how sure that is.
        let cited = rankings.iter().flat_map(|ranking| {
            let own = ranking.entries.iter().filter(|entry| entry.name == name);
            own.chain(ranking.next_to(name))
        });
        let cited: Vec<&Row> =
            cited.filter_map(|entry| rows.get(&(&*entry.record, kind)).copied()).collect();
        let says = format!(
            "Run {model} on {name} where the machine is {class}: in {} of {} comparisons it is alone in the first place, at \
             least {} times as quick as the next ({}).",
            wins.len(),
            rankings.len(),
            three_digits(least),
            kind.name(),
        );
        all.push(made(says, kind, &cited));
    }
    all
}

/// Whether the first place is one entry's alone.
fn is_won(ranking: &Ranking) -> bool {
    let Some(first) = ranking.entries.first() else { return false };
    let next = ranking.next_to(&first.name);
    !first.too_close && first.latency_ns > 0.0 && next.is_some_and(|next| next.place > 1)
}

/// The batch from which on a larger one brings no throughput that can be told from noise.
fn batches(rows: &[Row]) -> Vec<Advice> {
    type Key<'a> = ([&'a str; 6], Kind, String);
    let mut groups: BTreeMap<Key<'_>, Vec<(u64, &Row)>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.items_per_s.is_some() && is_judged(row)) {
        let Some(sizes) = sizes(&row.shape) else { continue };
        let Some((_, batch)) = sizes.iter().find(|(name, _)| *name == "b") else { continue };
        let rest = sizes.iter().filter(|(name, _)| *name != "b");
        let rest = rest.map(|(name, size)| format!("-{name}{size}")).collect::<String>();
        let of = [&row.model, &row.endpoint, &row.device, &row.precision, &row.machine, &row.class];
        groups.entry((of.map(String::as_str), row.kind, rest)).or_default().push((*batch, row));
    }
    let mut all = Vec::new();
    for ((of, kind, rest), mut members) in groups {
        members.sort_by_key(|(batch, _)| *batch);
        if members.len() < 3 {
            continue;
        }
        let rate = |row: &Row| row.items_per_s.unwrap_or_default();
        let Some((_, best)) =
            members.iter().copied().max_by(|a, b| rate(a.1).total_cmp(&rate(b.1)))
        else {
            continue;
        };
        // Throughput ∝ batch ÷ latency: its interval is that of the latency, upside down.
        let reach = |row: &Row| {
            let [low, high] = row.latency_ns_interval.unwrap_or([row.latency_ns; 2]);
            [rate(row) * row.latency_ns / high, rate(row) * row.latency_ns / low]
        };
        let enough = members.iter().copied().find(|(_, row)| reach(row)[1] >= reach(best)[0]);
        let (Some((batch, chosen)), (first, least)) = (enough, members[0]) else { continue };
        let [model, endpoint, device, precision, machine, _] = of;
        let rest = of_rest(&rest);
        let what =
            format!("{model} in {precision} on {endpoint} ({device}) of machine {machine}{rest}");
        let says = if batch == first {
            format!(
                "A batch of {batch} is enough for {what}: {} items/s, and none of {} larger ones brings more that can be \
                 told from noise ({}).",
                three_digits(rate(chosen)),
                members.len() - 1,
                kind.name(),
            )
        } else {
            format!(
                "Use a batch of {batch} for {what}: {} items/s, {} times those of batch {first}; a larger one brings no more \
                 that can be told from noise ({}).",
                three_digits(rate(chosen)),
                three_digits(rate(chosen) / rate(least)),
                kind.name(),
            )
        };
        // That the others bring no more rests on them as well.
        let others = members.iter().map(|(_, row)| *row).filter(|row| row.record != chosen.record);
        let cited: Vec<&Row> = std::iter::once(chosen).chain(others).collect();
        all.push(made(says, kind, &cited));
    }
    all
}

fn of_rest(rest: &str) -> String {
    let rest = rest.trim_start_matches('-');
    if rest.is_empty() { String::new() } else { format!(" at {rest}") }
}

fn is_judged(row: &Row) -> bool {
    row.latency_ns_interval.is_some()
        && !row.kind.fallbacks
        && row.kind.mark.is_some_and(|mark| mark != Mark::Claimed)
}

/// The part of the roof from which on a case is near it.
const NEAR: f64 = 0.5;

/// What is near the roof of its memory is not made quicker by quicker arithmetic, and the other way round.
fn bounds(rows: &[Row]) -> Vec<Advice> {
    type Key<'a> = (&'a str, &'a str, &'a str, Kind, &'a str, &'a str);
    let mut groups: BTreeMap<Key<'_>, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let Some(below) = row.below.as_ref().filter(|below| below.of_roof >= NEAR) else {
            continue;
        };
        let key = (
            row.model.as_str(),
            row.endpoint.as_str(),
            row.class.as_str(),
            row.kind,
            row.precision.as_str(),
            below.bound.name(),
        );
        groups.entry(key).or_default().push(row);
    }
    groups
        .into_iter()
        .map(|((model, endpoint, class, kind, precision, bound), rows)| {
            let parts = rows.iter().filter_map(|row| Some(row.below.as_ref()?.of_roof));
            let most = parts.fold(0.0, f64::max);
            let remedy = match bound {
                "memory" => "only fewer bytes can make it quicker there, such as a narrower precision",
                _ => "only fewer operations can make it quicker there, or a device with more arithmetic",
            };
            let slowest = rows.iter().map(|row| row.latency_ns).fold(0.0, f64::max);
            let says = format!(
                "{model} in {precision} on {endpoint} of {class} is bound by {bound} and attains up to {} of the measured roof \
                 in {} cases of up to {}: {remedy} ({}).",
                percent(most),
                rows.len(),
                duration_ns(slowest),
                kind.name(),
            );
            made(says, kind, &rows)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::measured;
    use super::super::{Measurement, timing};
    use super::*;

    fn found(all: &[Measurement]) -> Vec<Advice> {
        timing(all, &[], &[], "2026-01-11T00:00:00Z".parse().unwrap()).recommendations
    }

    fn on(endpoint: &str, shape: &str, latency_ns: f64) -> Measurement {
        measured(&format!("bert-a/{endpoint}/f32/{shape}"), Mark::Real, latency_ns)
    }

    #[test]
    fn an_endpoint_is_recommended_where_it_wins_most_and_cites_what_it_beat() {
        let mut all = vec![
            on("cpu", "b1", 300.0),
            on("cuda", "b1", 100.0),
            on("cpu", "b2", 300.0),
            on("cuda", "b2", 150.0),
        ];
        let advice = found(&all);
        assert_eq!(advice.len(), 1, "{advice:?}");
        assert!(advice[0].says.contains("bert-a on cuda (wood)"), "{advice:?}");
        assert!(
            advice[0].says.contains("in 2 of 2 comparisons")
                && advice[0].says.contains("2.00 times")
        );
        assert!(advice[0].says.ends_with("(real)."), "{advice:?}");
        assert_eq!(advice[0].rests_on.len(), 4);
        assert_eq!(advice[0].sureness, Sureness::Fair);
        // Half of the comparisons are not most of them.
        all[2].latency_ns = 150.0;
        all[2].samples = all[3].samples.clone();
        assert_eq!(found(&all), []);
    }

    #[test]
    fn marks_are_never_compared() {
        let mut all = [on("cpu", "b1", 300.0), on("cuda", "b1", 100.0)];
        assert_eq!(found(&all).len(), 1);
        all[1].kind.mark = Some(Mark::Software);
        assert_eq!(found(&all), []);
    }

    #[test]
    fn the_smallest_batch_is_told_that_is_as_good_as_the_best() {
        let at = |batch: u64, latency_ns| {
            let mut one = on("cpu", &format!("b{batch}-s8"), latency_ns);
            one.items_per_run = Some(batch);
            one
        };
        // Items per ns: 1, 2, 4, 4.02: eight brings nothing over four.
        let advice = found(&[at(1, 1.0), at(2, 1.0), at(4, 1.0), at(8, 1.99)]);
        assert_eq!(advice.len(), 1, "{advice:?}");
        let says = &advice[0].says;
        assert!(
            says.starts_with(
                "Use a batch of 4 for bert-a in f32 on cpu (wood) of machine here at s8"
            ),
            "{says}"
        );
        assert!(says.contains("4.00 times those of batch 1"), "{says}");
        assert_eq!(advice[0].rests_on.len(), 4, "what is no better is evidence too");
        assert!(advice[0].rests_on[0].contains("/b4-s8"), "{advice:?}");
        let advice = found(&[at(1, 1.0), at(2, 2.0), at(4, 4.0)]);
        assert!(advice[0].says.starts_with("A batch of 1 is enough"), "{advice:?}");
    }

    #[test]
    fn an_advice_is_as_sure_as_its_weakest_row() {
        let with = |change: fn(&mut Measurement)| {
            let mut all = [on("cpu", "b1", 300.0), on("cuda", "b1", 100.0)];
            all.iter_mut().for_each(|one| one.processes = vec![one.latency_ns; 3]);
            change(&mut all[1]);
            let advice = found(&all).remove(0);
            (advice.sureness, advice.because)
        };
        assert_eq!(with(|_| {}).0, Sureness::Sure);
        assert_eq!(with(|one| one.processes.truncate(2)).1, "fewer than three processes");
        assert_eq!(with(|one| one.samples.truncate(9)).0, Sureness::Unsure);
        let old = with(|one| one.at = "2025-11-20T00:00:00Z".parse().unwrap());
        assert_eq!((old.0, &*old.1), (Sureness::Fair, "older than thirty days"));
        assert_eq!(
            with(|one| one.at = "2025-10-01T00:00:00Z".parse().unwrap()).0,
            Sureness::Unsure
        );
    }
}
