//! The pictures of a trend as SVG: a chart for a page of HTML, and a sparkline that stands alone.
//!
//! Written by hand, as the pictures of a profile are: colours come from the page's style (light and dark), and every
//! mark says what it is in a `<title>`.

use super::escape_html;
use super::trends::{abbreviated, step};
use crate::figures::{duration_ns, percent};
use crate::trend::{Analysed, Point};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The style of charts; a page that has one needs it.
pub const STYLE: &str = ":root{--line:#0072b2;--mark:#d55e00;--odd:#cc79a7}\
@media(prefers-color-scheme:dark){:root{--line:#56b4e9;--mark:#ff8c42;--odd:#e09cc4}}\
svg{display:block;max-width:100%}svg.chart{width:100%;height:auto;max-width:60rem}\
.chart text{font:13px system-ui,sans-serif;fill:currentColor}.grid{stroke:#8885}\
.dots{stroke:var(--line);stroke-width:4;stroke-linecap:round}.dot{fill:var(--line)}\
.band{fill:var(--line);fill-opacity:.15}.level{stroke:var(--line);stroke-width:2.5}\
.change{stroke:var(--mark);stroke-width:2;stroke-dasharray:5 4}.first{fill:var(--mark)}.spike{fill:var(--odd)}\
@media(max-width:40rem){.chart text{font-size:24px}.dots{stroke-width:6}.dot{r:4px}}";

/// How many standard deviations of the noise the band reaches to either side of a level.
pub const BAND: f64 = 2.0;
/// So many of the newest results are marks that say what they are; older ones are dots, for pages must stay small.
pub const TOLD: usize = 200;

/// Units of a chart; the page scales it.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 118.0;
const RIGHT: f64 = WIDTH - 12.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = HEIGHT - 36.0;

/// A straight piece of the fit: a level, or a drift.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    /// Its first point.
    start: usize,
    /// The point after its last one.
    end: usize,
    /// Its value at the first point and at the last one.
    values: [f64; 2],
}

/// The pieces between the change points and the ends of the drifts, in order.
fn pieces(trend: &Analysed) -> Vec<Piece> {
    let count = trend.trend.points.len();
    let mut cuts = BTreeSet::from([0, count]);
    cuts.extend(trend.change_points.iter().map(|change| change.found.index));
    cuts.extend(trend.drifts.iter().flat_map(|drift| [drift.start, drift.end]));
    let cuts: Vec<_> = cuts.into_iter().collect();
    let piece = |pair: &[usize]| {
        let (start, end) = (pair[0], pair[1]);
        Piece { start, end, values: values(trend, start, end) }
    };
    cuts.windows(2).map(piece).collect()
}

/// What the fit is at both ends of a piece; the median where nothing was found beside it.
fn values(trend: &Analysed, start: usize, end: usize) -> [f64; 2] {
    if let Some(drift) = trend.drifts.iter().find(|drift| drift.start == start) {
        return [drift.before, drift.after];
    }
    let found = |index| trend.change_points.iter().map(|c| &c.found).find(|c| c.index == index);
    let level = found(start)
        .map(|change| change.after)
        .or_else(|| found(end).map(|change| change.before))
        .or_else(|| trend.drifts.iter().find(|d| d.end == start).map(|drift| drift.after))
        .or_else(|| trend.drifts.iter().find(|d| d.start == end).map(|drift| drift.before));
    let points = || trend.trend.points[start..end].iter().map(|point| point.latency_ns_median);
    let level = level.or_else(|| crate::stats::median(&points().collect::<Vec<_>>()));
    [level.unwrap_or_default(); 2]
}

/// Where a point and a value are in a picture.
struct Scale {
    count: usize,
    low: f64,
    high: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Scale {
    /// A scale that holds the levels with their bands, and all results but the spikes.
    fn around(trend: &Analysed, pieces: &[Piece], frame: [f64; 4]) -> Self {
        let spikes = spikes(trend);
        let points = trend.trend.points.iter().enumerate();
        let plain = points.filter(|(index, _)| !spikes.contains(index));
        let values = plain.map(|(_, point)| point.latency_ns_median);
        let noise = BAND * trend.noise.map_or(0.0, |noise| noise.deviation);
        let fit = pieces.iter().flat_map(|piece| piece.values);
        let all = values.chain(fit.flat_map(|value| [value - noise, value + noise]));
        let (low, high) = all.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), value| {
            (low.min(value), high.max(value))
        });
        // A trend that does not move is a line in the middle.
        let margin = if high > low { 0.05 * (high - low) } else { (0.05 * high).max(1.0) };
        let [left, right, top, bottom] = frame;
        let (low, high) = (low - margin, high + margin);
        Self { count: trend.trend.points.len(), low, high, left, right, top, bottom }
    }

    /// The first and the last point are half a step from the edges.
    fn x(&self, index: f64) -> f64 {
        self.left + (self.right - self.left) * (index + 0.5) / self.count.max(1) as f64
    }

    /// What is beyond the scale is at its edge.
    fn y(&self, value: f64) -> f64 {
        let part = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.bottom - (self.bottom - self.top) * part
    }

    /// Round values from low to high, two to six.
    fn ticks(&self) -> Vec<f64> {
        let raw = (self.high - self.low) / 5.0;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|part| part * power);
        let step = step.into_iter().find(|step| *step >= raw).unwrap_or(raw);
        let (first, last) = ((self.low.max(0.0) / step).ceil(), (self.high / step).floor());
        let count = (last - first).clamp(0.0, 10.0) as usize;
        (0..=count).map(|index| (first + index as f64) * step).collect()
    }

    /// A tick with as many digits as tell it from its neighbours.
    fn label(ticks: &[f64], value: f64) -> String {
        let largest = ticks.last().copied().unwrap_or(value);
        let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
        let (size, unit) = units.into_iter().find(|(s, _)| largest >= *s).unwrap_or((1.0, "ns"));
        let step = ticks.get(1).map_or(value, |next| next - ticks[0]) / size;
        let decimals = (-step.log10()).ceil().clamp(0.0, 6.0) as usize;
        format!("{:.decimals$} {unit}", value / size)
    }
}

/// The places of all points that are in spikes.
fn spikes(trend: &Analysed) -> BTreeSet<usize> {
    trend.spikes.iter().flat_map(|spike| spike.index..spike.index + spike.length).collect()
}

/// `2026-01-31 12:00 UTC: 12.3 ms ± 1.00 %, commit 0123456789, record r-1`.
fn describe(point: &Point) -> String {
    let spread = point.latency_ns_spread.filter(|_| point.latency_ns_median > 0.0);
    let noise = spread.map(|spread| spread / point.latency_ns_median);
    let noise = noise.map(|noise| format!(" ± {}", percent(noise))).unwrap_or_default();
    let commit = match point.commit.as_str() {
        "" => "no commit".to_owned(),
        id => format!("commit {}", abbreviated(id)),
    };
    let (time, latency) = (super::time(point.recorded_at), duration_ns(point.latency_ns_median));
    format!("{time}: {latency}{noise}, {commit}, record {}", point.record)
}

/// A trend with its levels, the band of its noise and its change points, for a page that has [`STYLE`].
pub fn chart(trend: &Analysed, label: &str) -> String {
    let pieces = pieces(trend);
    let scale = Scale::around(trend, &pieces, [LEFT, RIGHT, TOP, BOTTOM]);
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escape_html(label)
    );
    axes(&mut svg, trend, &scale);
    fit(&mut svg, trend, &pieces, &scale);
    for change in &trend.change_points {
        let x = scale.x(change.found.index as f64 - 0.5);
        let line = format!("x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{BOTTOM}\"");
        mark(&mut svg, "line", &format!("class=\"change\" {line}"), &step(change));
    }
    results(&mut svg, trend, &scale);
    svg.push_str("</svg>\n");
    svg
}

/// One element that says what it is; the attributes are ours.
fn mark(svg: &mut String, element: &str, attributes: &str, title: &str) {
    let title = escape_html(title);
    let _ = writeln!(svg, "<{element} {attributes}><title>{title}</title></{element}>");
}

fn axes(svg: &mut String, trend: &Analysed, scale: &Scale) {
    let ticks = scale.ticks();
    for &tick in &ticks {
        let y = scale.y(tick);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            y + 5.0,
            Scale::label(&ticks, tick)
        );
    }
    let points = &trend.trend.points;
    for (point, x, anchor) in [(points.first(), LEFT, "start"), (points.last(), RIGHT, "end")] {
        let day = point.map(|point| point.recorded_at.strftime("%Y-%m-%d").to_string());
        let (y, day) = (BOTTOM + 27.0, day.unwrap_or_default());
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{day}</text>");
    }
}

fn fit(svg: &mut String, trend: &Analysed, pieces: &[Piece], scale: &Scale) {
    let noise = BAND * trend.noise.map_or(0.0, |noise| noise.deviation);
    for piece in pieces {
        let (x1, x2) = (scale.x(piece.start as f64 - 0.5), scale.x(piece.end as f64 - 0.5));
        let [y1, y2] = piece.values.map(|value| scale.y(value));
        let [above1, above2] = piece.values.map(|value| scale.y(value + noise));
        let [below1, below2] = piece.values.map(|value| scale.y(value - noise));
        let _ = writeln!(
            svg,
            "<path class=\"band\" d=\"M{x1:.1} {above1:.1}L{x2:.1} {above2:.1}L{x2:.1} {below2:.1}\
             L{x1:.1} {below1:.1}Z\"/><line class=\"level\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" \
             x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }
}

/// The newest results, the spikes and those at change points say what they are; the others are dots.
fn results(svg: &mut String, trend: &Analysed, scale: &Scale) {
    let points = &trend.trend.points;
    let spikes = spikes(trend);
    let firsts: BTreeSet<_> = trend.change_points.iter().map(|c| c.found.index).collect();
    let is_told = |index: usize| {
        let at_change = firsts.contains(&index) || firsts.contains(&(index + 1));
        index + TOLD >= points.len() || at_change || spikes.contains(&index)
    };
    let place = |(index, point): (usize, &Point)| {
        (index, scale.x(index as f64), scale.y(point.latency_ns_median))
    };
    let places: Vec<_> = points.iter().enumerate().map(place).collect();
    let dots = places.iter().filter(|(index, _, _)| !is_told(*index));
    let dots: String = dots.map(|(_, x, y)| format!("M{x:.1} {y:.1}h0")).collect();
    if !dots.is_empty() {
        let _ = writeln!(svg, "<path class=\"dots\" d=\"{dots}\"/>");
    }
    for &(index, x, y) in places.iter().filter(|(index, _, _)| is_told(*index)) {
        let (class, radius) = match (firsts.contains(&index), spikes.contains(&index)) {
            (true, _) => ("first", 5.0),
            (false, true) => ("spike", 4.0),
            (false, false) => ("dot", 3.0),
        };
        let circle = format!("class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"");
        mark(svg, "circle", &circle, &describe(&points[index]));
    }
}

/// A small picture without words that stands alone: the results, their levels and the change points. Its colours can be
/// seen on light and on dark.
pub fn sparkline(trend: &Analysed, label: &str) -> String {
    const SIZE: (f64, f64) = (160.0, 32.0);
    let pieces = pieces(trend);
    let scale = Scale::around(trend, &pieces, [1.0, SIZE.0 - 1.0, 3.0, SIZE.1 - 3.0]);
    // There is no room for more than a place per unit: where there are more results, the median of neighbours has it.
    let together = trend.trend.points.len().div_ceil(SIZE.0 as usize).max(1);
    let place = |(index, points): (usize, &[Point])| {
        let values: Vec<_> = points.iter().map(|point| point.latency_ns_median).collect();
        let middle = (index * together) as f64 + 0.5 * (points.len() as f64 - 1.0);
        let (x, y) = (scale.x(middle), scale.y(crate::stats::median(&values).unwrap_or_default()));
        format!("{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' })
    };
    let path: String = trend.trend.points.chunks(together).enumerate().map(place).collect();
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n\
         <path d=\"{path}\" fill=\"none\" stroke=\"#56a0d3\" stroke-width=\"1\"/>\n",
        escape_html(label)
    );
    for piece in &pieces {
        let (x1, x2) = (scale.x(piece.start as f64 - 0.5), scale.x(piece.end as f64 - 0.5));
        let [y1, y2] = piece.values.map(|value| scale.y(value));
        let _ = writeln!(
            svg,
            "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#888\" stroke-width=\"1.5\"/>"
        );
    }
    for change in &trend.change_points {
        let (x, y) = (scale.x(change.found.index as f64), scale.y(change.found.after));
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"#d55e00\"/>");
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Options;
    use crate::trend::{tests::row, trends};
    use proofmark::Mark;

    fn trend(latencies: impl IntoIterator<Item = f64>) -> Analysed {
        let rows = latencies.into_iter().zip(0..);
        let rows = rows.map(|(ns, hour)| row("m/cpu/f32/b1", "here", Mark::Real, hour, ns));
        trends(rows.collect()).remove(0).analyse(&Options::default()).unwrap()
    }

    fn noise(index: u32) -> f64 {
        f64::from(index * 37 % 11) / 10.0
    }

    #[test]
    fn the_fit_has_no_gap_and_follows_levels_and_drifts() {
        let level = |i: u32| if i < 30 { 100.0 } else { 150.0 } + noise(i);
        let ramp = |i: u32| 200.0 + 2.0 * f64::from(i) + noise(i);
        for trend in [
            trend((0..60).map(level)),
            trend((0..90).map(|i| if i < 30 { level(i) } else { ramp(i) })),
        ] {
            let pieces = pieces(&trend);
            assert!(pieces.len() >= 2, "{pieces:?}");
            let ends = pieces.iter().map(|piece| piece.end);
            let starts = pieces.iter().skip(1).map(|piece| piece.start);
            assert!(ends.eq(starts.chain([trend.trend.points.len()])), "{pieces:?}");
            for piece in &pieces {
                let middle = usize::midpoint(piece.start, piece.end - 1);
                let value = trend.trend.points[middle].latency_ns_median;
                let fit = f64::midpoint(piece.values[0], piece.values[1]);
                assert!((fit - value).abs() < 3.0, "{value} at {middle}: {piece:?}");
            }
        }
    }

    #[test]
    fn a_spike_does_not_flatten_the_rest() {
        let trend = trend((0..40).map(|i| 100.0 + noise(i) + if i == 9 { 1e6 } else { 0.0 }));
        let scale = Scale::around(&trend, &pieces(&trend), [0.0, 1.0, 0.0, 100.0]);
        assert!(scale.high < 110.0, "{}", scale.high);
        assert!(scale.y(1e6).abs() < 1e-9, "beyond the scale is at its edge");
        assert_eq!(chart(&trend, "t").matches("class=\"spike\"").count(), 1);
    }

    #[test]
    fn flat_and_short_trends_have_pictures_of_numbers() {
        for trend in
            [trend([5.0; 8]), trend([0.0; 8]), trend([1e12, 1e12 + 1.0, 1e12]), trend([7.0])]
        {
            for picture in [chart(&trend, "a \"b\""), sparkline(&trend, "a \"b\"")] {
                assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
                assert!(picture.contains("aria-label=\"a &quot;b&quot;\""), "{picture}");
            }
        }
    }

    #[test]
    fn of_a_long_trend_the_newest_and_the_odd_say_what_they_are() {
        let count = 3 * TOLD as u32;
        let level = |i: u32| if i < 100 { 100.0 } else { 150.0 } + noise(i);
        let picture = chart(&trend((0..count).map(level)), "t");
        assert_eq!(picture.matches("<circle").count(), TOLD + 2, "and both sides of the step");
        assert_eq!(picture.matches("h0").count(), 2 * TOLD - 2);
        let small = sparkline(&trend((0..count).map(level)), "t");
        assert!(small.len() < 3000, "{} bytes", small.len());
    }

    #[track_caller]
    fn check_ticks(low: f64, high: f64, expected: &[&str]) {
        let (left, right, top, bottom) = (0.0, 1.0, 0.0, 1.0);
        let ticks = Scale { count: 1, low, high, left, right, top, bottom }.ticks();
        let labels: Vec<_> = ticks.iter().map(|tick| Scale::label(&ticks, *tick)).collect();
        assert_eq!(labels, expected);
    }

    #[test]
    fn ticks_are_round_and_told_apart() {
        check_ticks(95.0, 160.0, &["100 ns", "120 ns", "140 ns", "160 ns"]);
        check_ticks(1.001e6, 1.0023e6, &["1.0010 ms", "1.0015 ms", "1.0020 ms"]);
        check_ticks(-1.0, 2.1e9, &["0.0 s", "0.5 s", "1.0 s", "1.5 s", "2.0 s"]);
    }
}
