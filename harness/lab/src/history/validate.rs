//! Keeps of a division what is significant and relevant, and says it in the unit of the series.
//!
//! A boundary is tested by the jump between the two fits beside it, with the variance that autocorrelated noise gives
//! to means. The place was chosen because it looks strong, so p is that of the largest jump anywhere in the series.

use super::clean::{BURST, Cleaned, TAIL};
use super::fit::{Fit, Segment, Shape, Sums};
use super::noise::Noise;
use super::segment::{SHORTEST_SLOPE, price};
use super::severity::severity;
use super::{ChangePoint, Drift, History, Options, Spike};
use statrs::distribution::{Continuous, ContinuousCDF, Normal, StudentsT};
use std::ops::Range;

/// So many points of pooled noise are mixed into the noise of a segment.
const NOISE_PRIOR: f64 = 20.0;
/// A drift moves by so many times the least relevant effect from its first point to its last.
const DRIFT_EFFECT: f64 = 2.0;

/// So many steps in a row may be a ramp.
const LONGEST_STAIRS: usize = 7;
/// A ramp is looked for between about so many places.
const RAMP_PLACES: usize = 24;
/// What a ramp costs, in prices of a boundary: it has two places, but its levels are joined.
const RAMP_PRICE: f64 = 1.5;

/// A boundary between two segments.
#[derive(Clone, Copy, Debug)]
struct Boundary {
    before: f64,
    after: f64,
    /// In standard deviations of a point's noise.
    effect: f64,
    p: f64,
    /// One fit ends here and another begins, without a step.
    kink: bool,
}

/// What is left of a division.
pub(super) struct Kept {
    sums: Sums,
    segments: Vec<Segment>,
    /// One less than segments.
    boundaries: Vec<Boundary>,
    noise: Noise,
    options: Options,
}

/// Merges what no boundary parts that is significant and relevant, weakest first.
pub(super) fn validate(
    cleaned: &Cleaned,
    noise: &Noise,
    segments: Vec<Segment>,
    options: &Options,
) -> Kept {
    let sums = Sums::new(cleaned);
    let mut kept =
        Kept { sums, segments, boundaries: Vec::new(), noise: *noise, options: *options };
    kept.absorb_bursts();
    kept.join_ramps();
    kept.drop_weak();
    kept.relocate();
    kept.join_ramps();
    kept.drop_weak();
    kept
}

impl Kept {
    /// A short stretch between two others is no regime: it goes to the neighbour that it is nearer to.
    fn absorb_bursts(&mut self) {
        let is_burst = |s: &Segment| s.range.len() <= BURST;
        while let Some(index) =
            (1..self.segments.len().saturating_sub(1)).find(|&i| is_burst(&self.segments[i]))
        {
            let level = |i: usize, place: usize| self.sums.fit(&self.segments[i]).at(place as f64);
            let Range { start, end } = self.segments[index].range;
            let own = level(index, start);
            let (left, right) = (level(index - 1, start), level(index + 1, end));
            self.join(if (own - left).abs() <= (own - right).abs() { index - 1 } else { index });
        }
    }

    /// Steps that follow each other may be one ramp: they are where that explains them for less.
    fn join_ramps(&mut self) {
        let mut first = 0;
        while first + 1 < self.segments.len() {
            let longest = (first + LONGEST_STAIRS).min(self.segments.len());
            let ramp =
                (first + 2..=longest).rev().find_map(|end| self.ramp(first..end).map(|r| (end, r)));
            match ramp {
                Some((end, segment)) => {
                    self.segments.splice(first..end, [segment]);
                    first = first.saturating_sub(1);
                }
                None => first += 1,
            }
        }
    }

    /// The ramp that explains a run of segments for less than they do, if one does.
    fn ramp(&self, run: Range<usize>) -> Option<Segment> {
        let parts = &self.segments[run];
        let fits: Vec<Fit> = parts.iter().map(|s| self.sums.fit(s)).collect();
        let levels: Vec<f64> = fits.iter().flat_map(|f| [f.first, f.last]).collect();
        let sloped = parts.iter().filter(|s| s.is_ramp()).count();
        let rises = levels.is_sorted() || levels.is_sorted_by(|a, b| a >= b);
        let range = parts.first()?.range.start..parts.last()?.range.end;
        if !(rises || sloped > 0) || range.len() < SHORTEST_SLOPE {
            return None;
        }
        let price = self.price();
        let apart =
            fits.iter().map(|f| f.cost).sum::<f64>() + price * (parts.len() - 1 + sloped) as f64;
        let stride = (range.len() / RAMP_PLACES).max(1);
        let places = || range.clone().step_by(stride).chain([range.end]);
        let ramps = places().flat_map(|from| {
            places()
                .filter(move |to| *to >= from + SHORTEST_SLOPE)
                .map(move |to| Shape::Ramp { from, to })
        });
        let segments = ramps.map(|shape| Segment { range: range.clone(), shape });
        let costed = segments.map(|segment| (self.sums.fit(&segment).cost, segment));
        let (cost, segment) = costed.min_by(|a, b| a.0.total_cmp(&b.0))?;
        (cost + RAMP_PRICE * price < apart).then_some(segment)
    }

    fn drop_weak(&mut self) {
        self.boundaries = (1..self.segments.len()).map(|i| self.boundary(i - 1)).collect();
        while let Some(weakest) = self.weakest() {
            let (left, right) = (&self.segments[weakest], &self.segments[weakest + 1]);
            let sloped = left.is_ramp() || right.is_ramp();
            let apart = self.sums.fit(left).cost + self.sums.fit(right).cost;
            let together = self.sums.fit(&self.union(weakest)).cost;
            if sloped && together - apart > self.price() {
                self.boundaries[weakest].kink = true;
                continue;
            }
            self.join(weakest);
            self.boundaries.remove(weakest);
            // What lies beside the new segment is judged anew.
            for near in [weakest.wrapping_sub(1), weakest] {
                if near < self.boundaries.len() {
                    self.boundaries[near] = self.boundary(near);
                }
            }
        }
    }

    fn price(&self) -> f64 {
        price(self.sums.len(), &self.noise, &self.options)
    }

    /// The boundary that is farthest from being kept, if one is not.
    fn weakest(&self) -> Option<usize> {
        let fails = |b: &&Boundary| b.p > self.options.alpha || b.effect < self.options.min_effect;
        let failing = self.boundaries.iter().enumerate().filter(|(_, b)| !b.kink && fails(b));
        failing.max_by(|a, b| a.1.p.total_cmp(&b.1.p)).map(|(i, _)| i)
    }

    /// Both sides of a boundary as one segment, in the shape that fits better for its price.
    fn union(&self, boundary: usize) -> Segment {
        let range = self.segments[boundary].range.start..self.segments[boundary + 1].range.end;
        let (level, line) = self.sums.costs(range.start, range.end);
        let sloped = range.len() >= SHORTEST_SLOPE && line + self.price() < level;
        if sloped { Segment::line(range) } else { Segment::level(range) }
    }

    fn join(&mut self, boundary: usize) {
        self.segments[boundary] = self.union(boundary);
        self.segments.remove(boundary + 1);
    }

    /// Moves each boundary between levels to where both fit best.
    fn relocate(&mut self) {
        for index in 1..self.segments.len() {
            let (left, right) = (&self.segments[index - 1], &self.segments[index]);
            if left.is_ramp() || right.is_ramp() {
                continue;
            }
            let (start, end) = (left.range.start, right.range.end);
            let cost =
                |place: usize| self.sums.costs(start, place).0 + self.sums.costs(place, end).0;
            let best = (start + TAIL..=end - TAIL).min_by(|a, b| cost(*a).total_cmp(&cost(*b)));
            if let Some(place) = best.filter(|&place| cost(place) < cost(left.range.end)) {
                self.segments[index - 1].range.end = place;
                self.segments[index].range.start = place;
            }
        }
    }

    /// Tests the jump at a boundary.
    fn boundary(&self, index: usize) -> Boundary {
        let (left, right) = (&self.segments[index], &self.segments[index + 1]);
        let (l, r) = (self.sums.fit(left), self.sums.fit(right));
        let place = right.range.start as f64 - 0.5;
        let variance = self.variance(&l, left, place) + self.variance(&r, right, place);
        let (before, after) = (l.at(place), r.at(place));
        let jump = (after - before).abs();
        let points = (left.range.len() + right.range.len()) as f64;
        let deviation = (self.noise.variance * points / (l.weight + r.weight)).sqrt();
        let n = self.sums.len() as f64;
        let freedom = (n / self.noise.inflation(n / 2.0) - 2.0).max(3.0);
        let score = normal_score(jump / variance.sqrt(), freedom);
        let p = anywhere(score, points / self.noise.inflation(points / 2.0), n / points);
        Boundary { before, after, effect: jump / deviation, p, kink: false }
    }

    /// The variance of a fit at a place.
    fn variance(&self, fit: &Fit, segment: &Segment, place: f64) -> f64 {
        let count = segment.range.len() as f64;
        let pooled = NOISE_PRIOR * self.noise.variance;
        let own = (pooled + fit.cost) / (NOISE_PRIOR + (count - 1.0).max(0.0));
        own * fit.variance(place) * self.noise.inflation(count)
    }

    /// Levels, slopes and kinks.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What is left, in the unit of the series.
    pub(super) fn describe(&self, values: &[f64], cleaned: &Cleaned) -> History {
        let noise = &self.noise;
        let raw = |y: f64| cleaned.centre + cleaned.unit * y;
        let mut change_points = Vec::new();
        let steps = || self.boundaries.iter().enumerate().filter(|(_, boundary)| !boundary.kink);
        for (index, found) in steps() {
            let (before, after) = (raw(found.before), raw(found.after));
            let next = steps().map(|(i, _)| i).find(|&i| i > index);
            let end = next.map_or(values.len(), |i| self.segments[i].range.end);
            let at = self.segments[index + 1].range.start;
            let severity = severity(before, after, found.p, end - at);
            let relative = (before != 0.0).then(|| (after - before) / before.abs());
            change_points.push(ChangePoint {
                index: at,
                time: None,
                before,
                after,
                relative,
                p: found.p,
                severity,
            });
        }
        let drifts = self.segments.iter().filter_map(|s| self.drift(s, cleaned)).collect();
        let deviation = cleaned.unit * noise.variance.sqrt();
        let inflation = noise.inflation(values.len() as f64);
        let noise = super::Noise { deviation, correlation: noise.share * noise.phi, inflation };
        History {
            points: values.len(),
            change_points,
            drifts,
            spikes: spikes(values, cleaned),
            noise,
        }
    }

    /// A segment as a drift, if its slope is significant and relevant.
    fn drift(&self, segment: &Segment, cleaned: &Cleaned) -> Option<Drift> {
        let Shape::Ramp { from, to } = segment.shape else { return None };
        let fit = self.sums.fit(segment);
        let rise = fit.last - fit.first;
        let count = segment.range.len() as f64;
        let inflation = self.noise.inflation(count);
        let freedom = (count / inflation - 2.0).max(1.0);
        let error = (self.noise.variance * inflation * fit.rise_variance()).sqrt();
        let p = 2.0 * StudentsT::new(0.0, 1.0, freedom).ok()?.sf(rise.abs() / error);
        let effect = rise.abs() * (fit.weight / count / self.noise.variance).sqrt();
        if p > self.options.alpha || effect < DRIFT_EFFECT * self.options.min_effect {
            return None;
        }
        let raw = |y: f64| cleaned.centre + cleaned.unit * y;
        let slope = cleaned.unit * rise / (to - from) as f64;
        Some(Drift { start: from, end: to, before: raw(fit.first), after: raw(fit.last), slope, p })
    }
}

/// The normal score that is as extreme as Student's t. Source: Wallace, "Bounds on normal approximations to Student's
/// and the chi-square distributions", Annals of Mathematical Statistics 30 (1959), the approximation for t.
fn normal_score(t: f64, freedom: f64) -> f64 {
    (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0) * (freedom * (t * t / freedom).ln_1p()).sqrt()
}

/// The probability that the largest of the standardised jumps anywhere in `points` independent normal points is above
/// `score`, times `windows`, the number of such stretches in the series (Bonferroni).
/// Source: James, James & Siegmund, "Tests for a change-point", Biometrika 74 (1987), equation 9, with ν as in
/// Siegmund & Yakir, "The statistics of gene mapping" (2007), page 112.
fn anywhere(score: f64, points: f64, windows: f64) -> f64 {
    let normal = Normal::standard();
    let single = 2.0 * normal.sf(score);
    if score < 1.0 {
        return 1.0;
    }
    let points = points.max(2.0 * TAIL as f64 + 1.0);
    let edge = (points / TAIL as f64 - 1.0).ln();
    let steps = 64;
    let width = 2.0 * edge / f64::from(steps);
    // Over u = ln(t ÷ (1 − t)), where dt ÷ (t·(1 − t)) = du and t·(1 − t) = 1 ÷ (2 + 2·cosh u).
    let term = |step: i32| {
        let u = -edge + width * (f64::from(step) + 0.5);
        overshoot(score * ((2.0 + 2.0 * u.cosh()) / points).sqrt(), &normal)
    };
    let scanned = score * normal.pdf(score) * width * (0..steps).map(term).sum::<f64>();
    (windows.max(1.0) * scanned.max(single)).clamp(1e-300, 1.0)
}

/// ν(x): by how much a walk in discrete steps passes a boundary less often than a continuous one.
fn overshoot(x: f64, normal: &Normal) -> f64 {
    let half = x / 2.0;
    let (below, density) = (normal.cdf(half), normal.pdf(half));
    if x < 1e-6 { 1.0 } else { ((below - 0.5) / half) / (half * below + density) }
}

/// Neighbouring spikes as one.
fn spikes(values: &[f64], cleaned: &Cleaned) -> Vec<Spike> {
    let mut spikes: Vec<Spike> = Vec::new();
    for index in (0..values.len()).filter(|&i| cleaned.spike[i]) {
        let (value, level) = (values[index], cleaned.level[index]);
        match spikes.last_mut().filter(|last| last.index + last.length == index) {
            Some(last) => {
                last.length += 1;
                if (value - level).abs() > (last.value - last.level).abs() {
                    (last.value, last.level) = (value, level);
                }
            }
            None => spikes.push(Spike { index, length: 1, value, level }),
        }
    }
    spikes
}
