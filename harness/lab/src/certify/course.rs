//! The course of times within processes: where it becomes steady, by change points, and what it does before.
//!
//! What all processes have in common is looked for in their median, sample by sample: noise cancels there, and a
//! warm-up, a leak or heat adds up. What each does by itself is looked for in each.

use super::check::{Check, Part, Status};
use super::evidence::Process;
use crate::figures::percent;
use crate::history::{self, History, Options};
use crate::stats::median;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Fewer samples have no course.
pub(super) const FEWEST: usize = 20;
/// Changes below this do not matter: the minimal effect of a gate.
pub(super) const RELEVANT: f64 = 0.01;
/// A warm-up that ends within this part of the samples has no weight in their median.
const EARLY: f64 = 0.1;
/// The part of the processes that must leave the steady state by themselves.
const MANY: f64 = 0.5;
const SOME: f64 = 0.25;
/// A course is in one direction if its ends differ by this part of its range.
const ONE_WAY: f64 = 0.6;
/// In its last third a leak still grows by this part of what it grew in the middle third.
const ENDLESS: f64 = 0.6;
/// A later process rises by less than this part of the first one's rise where it begins in the heat of the one before.
const COOLER: f64 = 0.65;
/// Of processes that change by themselves, this part does so in one direction: chance rarely makes it.
const NEARLY_ALL: f64 = 0.9;
/// A common course is followed by this part of the processes, each with at least this slope.
const MOST: f64 = 0.8;
const FOLLOWED: f64 = 0.2;
/// Fewer processes do not show what all do, and at this level they show it.
const FEWEST_SHARED: usize = 4;
const SHARED_ALPHA: f64 = 0.01;
/// Blocks of samples that are compared, at most.
const BLOCKS: usize = 10;
/// Nothing that heat does makes a processor slower than this many times.
const HOTTEST: f64 = 3.0;

/// Samples of processes as logarithms around the median of each, all of one length.
#[derive(Clone, Debug, Default)]
pub(super) struct Aligned {
    /// Per process.
    pub(super) series: Vec<Vec<f64>>,
    /// Whether a process is the first of its session.
    first: Vec<bool>,
}

impl Aligned {
    pub(super) fn new(processes: &[Process]) -> Self {
        let length = common_length(processes);
        let long = |process: &Process| process.samples_s.len() >= length.max(FEWEST);
        let mut aligned = Self::default();
        let mut last = None;
        for process in processes {
            let first = last != Some(process.session());
            last = Some(process.session());
            if !long(process) {
                continue;
            }
            let mut logs = process.logs();
            logs.truncate(length);
            let middle = median(&logs).unwrap_or_default();
            aligned.series.push(logs.into_iter().map(|x| x - middle).collect());
            aligned.first.push(first);
        }
        aligned
    }

    fn len(&self) -> usize {
        self.series.first().map_or(0, Vec::len)
    }

    /// The median over processes, sample by sample; of two their mean.
    fn common(&self) -> Vec<f64> {
        let at = |i: usize| self.series.iter().map(|series| series[i]).collect::<Vec<_>>();
        (0..self.len()).map(|i| median(&at(i)).unwrap_or_default()).collect()
    }
}

/// The number of samples that most of the longer processes have: the lower median over those that have a course.
fn common_length(processes: &[Process]) -> usize {
    let lengths = processes.iter().map(|process| process.samples_s.len());
    let mut lengths: Vec<usize> = lengths.filter(|length| *length >= FEWEST).collect();
    lengths.sort_unstable();
    lengths.get(lengths.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

/// The levels and slopes of a series.
#[derive(Clone, Debug)]
struct Course {
    fitted: Vec<f64>,
    /// The first sample from which on it stays near its end.
    steady_from: usize,
    /// From its first to its last level.
    rise: f64,
    /// Between its extreme levels.
    range: f64,
}

impl Course {
    /// Of logarithms. Nothing if there is no change that is significant, relevant, and more than the noise.
    fn of(logs: &[f64]) -> Option<Self> {
        let found = history::analyse(logs, &Options::default()).ok()?;
        let fitted = fitted(logs, &found);
        let (first, last) = (*fitted.first()?, *fitted.last()?);
        let near = RELEVANT.max(found.noise.deviation);
        let from = fitted.iter().rposition(|level| (level - last).abs() > near)? + 1;
        let extreme = |pick: fn(f64, f64) -> f64| fitted.iter().copied().fold(last, pick);
        let range = extreme(f64::max) - extreme(f64::min);
        Some(Self { steady_from: from, rise: last - first, range, fitted })
    }

    /// What processes do alike, by blocks of samples: a slow smooth course looks like autocorrelated noise in one series,
    /// but noise is not the same in all. Nothing unless the mean over processes of some block differs from that of the
    /// last ones by more than chance, by Student's t with Bonferroni's correction, and relevantly.
    fn shared(aligned: &Aligned) -> Option<Self> {
        let (n, processes) = (aligned.len(), aligned.series.len());
        if processes < FEWEST_SHARED {
            return None;
        }
        let count = (n / 4).clamp(5, BLOCKS);
        let bounds: Vec<usize> = (0..=count).map(|block| block * n / count).collect();
        let blocks = |series: &Vec<f64>| -> Vec<f64> {
            let level = |b: &[usize]| median(&series[b[0]..b[1]]).unwrap_or_default();
            let levels: Vec<f64> = bounds.windows(2).map(level).collect();
            let end = (levels[count - 2] + levels[count - 1]) / 2.0;
            levels.into_iter().map(|level| level - end).collect()
        };
        let each: Vec<Vec<f64>> = aligned.series.iter().map(blocks).collect();
        let chance = StudentsT::new(0.0, 1.0, (processes - 1) as f64).ok()?;
        let limit = chance.inverse_cdf(1.0 - SHARED_ALPHA / (2 * count) as f64);
        let mut means = Vec::new();
        let mut errors = Vec::new();
        for block in 0..count {
            let mean = each.iter().map(|levels| levels[block]).sum::<f64>() / processes as f64;
            let square = each.iter().map(|levels| (levels[block] - mean).powi(2)).sum::<f64>();
            means.push(mean);
            errors.push((square / ((processes - 1) * processes) as f64).sqrt());
        }
        let differs = |block: usize| means[block].abs() > (limit * errors[block]).max(RELEVANT);
        let last = (0..count).rev().find(|block| differs(*block))?;
        let centres = bounds.windows(2).map(|b| (b[0] + b[1] - 1) as f64 / 2.0);
        let corners: Vec<(f64, f64)> = centres.zip(means.iter().copied()).collect();
        let fitted: Vec<f64> = (0..n).filter_map(|i| along(&corners, i as f64)).collect();
        let extreme = |pick: fn(f64, f64) -> f64| means.iter().copied().fold(0.0, pick);
        let range = extreme(f64::max) - extreme(f64::min);
        Some(Self {
            steady_from: bounds[last + 1],
            rise: means[count - 1] - means[0],
            range,
            fitted,
        })
    }

    /// Whether most processes follow this course, and do not only make it together: the slope of their samples over
    /// it is 1 for one that does, and 0 for one that knows nothing of it.
    fn is_followed(&self, aligned: &Aligned) -> bool {
        let mean = self.fitted.iter().sum::<f64>() / self.fitted.len() as f64;
        let square = self.fitted.iter().map(|level| (level - mean).powi(2)).sum::<f64>();
        let follows = |series: &&Vec<f64>| {
            let along = series.iter().zip(&self.fitted).map(|(x, level)| x * (level - mean));
            along.sum::<f64>() > FOLLOWED * square
        };
        let following = aligned.series.iter().filter(follows).count();
        following as f64 >= MOST * aligned.series.len() as f64
    }

    fn is_one_way(&self) -> bool {
        self.rise.abs() >= ONE_WAY * self.range
    }
}

/// The fitted value of every point: levels between change points, and slopes where there are drifts.
fn fitted(values: &[f64], found: &History) -> Vec<f64> {
    let mut bounds: Vec<usize> = found.change_points.iter().map(|change| change.index).collect();
    bounds.insert(0, 0);
    bounds.push(values.len());
    let mut fitted = Vec::with_capacity(values.len());
    for bound in bounds.windows(2) {
        let (start, end) = (bound[0], bound[1]);
        let within = |drift: &&history::Drift| drift.start >= start && drift.end <= end;
        let drifts = found.drifts.iter().filter(within);
        let corners: Vec<(f64, f64)> = drifts
            .flat_map(|d| [(d.start as f64, d.before), (d.end as f64 - 1.0, d.after)])
            .collect();
        let level = median(&values[start..end]).unwrap_or_default();
        fitted.extend((start..end).map(|i| along(&corners, i as f64).unwrap_or(level)));
    }
    fitted
}

/// Linear between corners and flat beyond them.
fn along(corners: &[(f64, f64)], place: f64) -> Option<f64> {
    let after = corners.iter().position(|corner| corner.0 >= place);
    match after {
        None => corners.last().map(|corner| corner.1),
        Some(0) => Some(corners[0].1),
        Some(next) => {
            let ((x0, y0), (x1, y1)) = (corners[next - 1], corners[next]);
            Some(if x1 > x0 { y0 + (y1 - y0) * (place - x0) / (x1 - x0) } else { y1 })
        }
    }
}

/// What was found of the course.
#[derive(Debug)]
pub(super) struct Found {
    /// Warm-up, steadiness, drift and growth.
    pub(super) checks: Vec<Check>,
    /// The samples without what all processes have in common, per process.
    pub(super) flat: Vec<Vec<f64>>,
}

const PARTS: [Part; 4] = [Part::WarmUp, Part::Steady, Part::Drift, Part::Growth];

pub(super) fn check(processes: &[Process]) -> Found {
    let aligned = Aligned::new(processes);
    if aligned.series.is_empty() {
        let says = format!("it takes {FEWEST} samples of a process");
        let checks = PARTS.map(|part| Check::unknown(part, says.clone())).into();
        return Found { checks, flat: Vec::new() };
    }
    let common = Course::of(&aligned.common()).filter(|course| course.is_followed(&aligned));
    let common = common.or_else(|| Course::shared(&aligned));
    let flat = match &common {
        None => aligned.series.clone(),
        Some(course) => {
            let without = |series: &Vec<f64>| {
                series.iter().zip(&course.fitted).map(|(x, level)| x - level).collect()
            };
            aligned.series.iter().map(without).collect()
        }
    };
    Found { checks: judge(&aligned, common.as_ref()), flat }
}

/// What happens in a benchmark.
enum Happens {
    Nothing,
    /// It gets faster.
    Falls,
    /// It gets slower.
    Rises,
    /// Neither.
    Moves,
}

fn judge(aligned: &Aligned, common: Option<&Course>) -> Vec<Check> {
    let length = aligned.len() as f64;
    let own: Vec<Course> = aligned.series.iter().filter_map(|series| Course::of(series)).collect();
    let late = |course: &&Course| course.steady_from as f64 > EARLY * length;
    let moved: Vec<&Course> = own.iter().filter(late).collect();
    let share = moved.len() as f64 / aligned.series.len() as f64;
    let one_way = |sign: f64| {
        let agree = moved.iter().filter(|c| c.is_one_way() && c.rise * sign > 0.0).count();
        agree as f64 >= NEARLY_ALL * moved.len() as f64
    };
    let happens = match common {
        Some(course) if course.is_one_way() && course.rise < 0.0 => Happens::Falls,
        Some(course) if course.is_one_way() => Happens::Rises,
        Some(_) => Happens::Moves,
        None if share < MANY => Happens::Nothing,
        None if one_way(-1.0) => Happens::Falls,
        None if one_way(1.0) => Happens::Rises,
        None => Happens::Moves,
    };
    let from = common.map_or_else(
        || median(&moved.iter().map(|c| c.steady_from as f64).collect::<Vec<_>>()).unwrap_or(0.0),
        |course| course.steady_from as f64,
    );
    let change = common.map_or_else(
        || median(&moved.iter().map(|c| c.rise).collect::<Vec<_>>()).unwrap_or(0.0),
        |course| course.rise,
    );
    let steady = steady(share, moved.len(), aligned.series.len(), &happens, common);
    let [drift, growth] = slower(aligned, &happens, change);
    vec![warm_up(&happens, from / length, change), steady, drift, growth]
}

fn warm_up(happens: &Happens, from: f64, change: f64) -> Check {
    let limit = EARLY;
    match happens {
        Happens::Falls => {
            let faster = percent(-change.exp_m1());
            let says = format!(
                "it gets {faster} faster within a process, and is steady after {} of the samples",
                percent(from)
            );
            let status = if from > EARLY { Status::Fail } else { Status::Warn };
            Check::new(Part::WarmUp, status, from, limit, says)
        }
        _ => Check::new(Part::WarmUp, Status::Pass, 0.0, limit, "it does not get faster".into()),
    }
}

fn steady(
    share: f64,
    moved: usize,
    all: usize,
    happens: &Happens,
    common: Option<&Course>,
) -> Check {
    let says = match (happens, common) {
        (Happens::Moves, Some(course)) => {
            format!("all processes go up and down by {} alike", percent(course.range.exp_m1()))
        }
        _ => format!("{moved} of {all} processes leave their level by more than the noise"),
    };
    let status = match happens {
        Happens::Moves => Status::Fail,
        Happens::Nothing if share > SOME => Status::Warn,
        _ => Status::Pass,
    };
    Check::new(Part::Steady, status, share, MANY, says)
}

/// Drift and growth: of one that gets slower it is said which of both it is.
fn slower(aligned: &Aligned, happens: &Happens, change: f64) -> [Check; 2] {
    let calm =
        |part| Check::new(part, Status::Pass, 0.0, RELEVANT, "it does not get slower".to_owned());
    let (drift, growth) = (calm(Part::Drift), calm(Part::Growth));
    if !matches!(happens, Happens::Rises) {
        return [drift, growth];
    }
    let rise = change.exp_m1();
    let settled = last_growth(aligned).is_some_and(|part| part < ENDLESS);
    let carried = later_rise(aligned).is_some_and(|part| part < COOLER);
    let slower = format!("it gets {} slower within a process", percent(rise));
    if (settled || carried) && rise < HOTTEST - 1.0 {
        let how = if carried { "the next one begins where it ended" } else { "it settles" };
        let says = format!("{slower}, and {how}: heat, or a cache that fills");
        return [Check::new(Part::Drift, Status::Fail, rise, RELEVANT, says), growth];
    }
    let says =
        format!("{slower}, without end and anew in each: it keeps something from run to run");
    [drift, Check::new(Part::Growth, Status::Fail, rise, RELEVANT, says)]
}

/// Growth from the middle third to the last one, by that from the first third to the middle one, of times and not of
/// their logarithms: 1 for what grows linearly.
fn last_growth(aligned: &Aligned) -> Option<f64> {
    let common = aligned.common();
    let third = common.len() / 3;
    let level = |range: &[f64]| median(range).unwrap_or_default().exp();
    let (a, b) = (level(&common[..third]), level(&common[third..common.len() - third]));
    let c = level(&common[common.len() - third..]);
    (b > a).then(|| (c - b) / (b - a))
}

/// How much later processes of a session rise, by how much the first one did. Nothing where there are too few.
fn later_rise(aligned: &Aligned) -> Option<f64> {
    let fifth = aligned.len() / 5;
    let rise = |series: &Vec<f64>| {
        let end = median(&series[series.len() - fifth..]).unwrap_or_default();
        end - median(&series[..fifth]).unwrap_or_default()
    };
    let rises = |wanted: bool| {
        let chosen = aligned.series.iter().zip(&aligned.first).filter(move |(_, f)| **f == wanted);
        chosen.map(|(series, _)| rise(series)).collect::<Vec<_>>()
    };
    let (first, later) = (rises(true), rises(false));
    let first = median(&first).filter(|rise| *rise > RELEVANT)?;
    (later.len() >= 3).then(|| median(&later).map(|rise| rise / first))?
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    /// Eight processes that follow a course in time, with noise of half a percent.
    fn processes(course: impl Fn(usize, usize) -> f64) -> Vec<Process> {
        let mut random = Random::new(1);
        let mut sample = |p: usize, i: usize| course(p, i) * random.between(0.995, 1.005);
        (0..8).map(|p| Process::of((0..60).map(|i| sample(p, i)).collect())).collect()
    }

    #[track_caller]
    fn check_of(course: impl Fn(usize, usize) -> f64, expected: &[(Part, Status)]) {
        let found = check(&processes(course)).checks;
        let wrong = |check: &&Check| !matches!(check.status, Status::Pass);
        let found_of: Vec<_> =
            found.iter().filter(wrong).map(|check| (check.part, check.status)).collect();
        assert_eq!(found_of, expected, "{found:?}");
    }

    #[test]
    fn each_course_has_its_name() {
        check_of(|_, _| 1.0, &[]);
        check_of(|p, _| 1.0 + 0.1 * p as f64, &[]);
        let decay = |i: usize, tau: f64| (-(i as f64) / tau).exp();
        check_of(|_, i| 1.0 + 0.4 * decay(i, 15.0), &[(Part::WarmUp, Status::Fail)]);
        check_of(|_, i| if i < 30 { 1.2 } else { 1.0 }, &[(Part::WarmUp, Status::Fail)]);
        check_of(|_, i| 1.0 + 0.02 * i as f64, &[(Part::Growth, Status::Fail)]);
        check_of(|_, i| 1.3 - 0.3 * decay(i, 15.0), &[(Part::Drift, Status::Fail)]);
        check_of(
            |_, i| if (20..40).contains(&i) { 1.3 } else { 1.0 },
            &[(Part::Steady, Status::Fail)],
        );
    }

    #[test]
    fn what_begins_where_the_last_one_ended_is_heat() {
        let hot = |p: usize, i: usize| {
            let start = if p == 0 { 0.0 } else { 0.75 };
            1.0 + 0.3 * (start + (1.0 - start) * i as f64 / 60.0)
        };
        check_of(hot, &[(Part::Drift, Status::Fail)]);
    }

    #[test]
    fn few_samples_have_no_course() {
        let short = vec![Process::of(vec![1.0; 19]); 8];
        assert!(check(&short).checks.iter().all(|check| check.status == Status::Unknown));
    }

    #[test]
    fn what_is_common_is_taken_out() {
        let flat = check(&processes(|_, i| if i < 30 { 1.2 } else { 1.0 })).flat;
        let spread = flat.iter().flatten().fold(0.0, |most: f64, x| most.max(x.abs()));
        assert!(spread < 0.03, "{spread}");
    }
}
