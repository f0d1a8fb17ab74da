//! The pictures of the page as inline SVG: the roofline, the timeline, memory over time.
//!
//! Written by hand, because colours come from the page's style (light and dark) and every mark says what it is in
//! a `<title>`; crates for charts write fixed colours and no titles.

use super::analysis::{Profile, Row};
use super::roofs;
use super::text;
use super::units::{percent, si, time};
use proofmark_kernels::{Limit, Roof};
use std::fmt::Write as _;

/// Units of the pictures; the page scales them.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 16.0;
/// Colours that the page's style has; kinds beyond them share the last.
pub(super) const COLOURS: usize = 8;

/// Text as HTML and SVG take it, also within an attribute.
pub(super) fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// The class with the colour of a kind: those with most time have colours of their own.
pub(super) fn colour(profile: &Profile, kind: &str) -> String {
    let place = profile.kinds.iter().position(|other| other.kind == kind);
    format!("k{}", place.unwrap_or(COLOURS).min(COLOURS - 1))
}

/// A picture in the making.
struct Svg(String);

impl Svg {
    fn new(height: f64, label: &str) -> Self {
        Self(format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">\n",
            escape(label)
        ))
    }

    /// One element without content; the attributes are ours.
    fn mark(&mut self, element: &str, attributes: &str, title: &str) {
        let _ = writeln!(
            self.0,
            "<{element} {attributes}><title>{}</title></{element}>",
            escape(title)
        );
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.0,
            "<line class=\"{class}\" x1=\"{x1:.2}\" y1=\"{y1:.2}\" x2=\"{x2:.2}\" y2=\"{y2:.2}\"/>"
        );
    }

    fn text(&mut self, at: (f64, f64), anchor: &str, text: &str) {
        let (x, y) = at;
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(text)
        );
    }

    fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

/// A logarithmic axis over whole decades.
struct Decades {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Decades {
    /// Decades that hold all of these, drawn between two places.
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for log in values.filter(|v| *v > 0.0 && v.is_finite()).map(f64::log10) {
            (low, high) = (low.min(log.floor()), high.max(log.ceil()));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        Self { low, high: high.max(low + 1.0), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.log10() - self.low) / (self.high - self.low);
        self.from + part * (self.to - self.from)
    }

    /// The powers of ten on the axis.
    fn ticks(&self) -> Vec<f64> {
        let mut exponent = self.low;
        std::iter::from_fn(|| {
            let tick = (exponent <= self.high).then(|| 10f64.powf(exponent));
            exponent += 1.0;
            tick
        })
        .collect()
    }
}

/// Ops by their operations per byte and their speed, below the roofs.
pub(super) fn roofline(profile: &Profile) -> String {
    const HEIGHT: f64 = 440.0;
    let (top, bottom) = (16.0, HEIGHT - 44.0);
    let points: Vec<_> = profile.ops.iter().filter_map(|row| Some((row, point(row)?))).collect();
    let (bandwidth, arithmetic) = roofs::best(&profile.roofs);
    let ridge = arithmetic / bandwidth;
    let intensities = points.iter().map(|(_, (x, _))| *x).chain([ridge / 4.0, ridge * 4.0]);
    let x = Decades::around(intensities, LEFT, RIGHT);
    let speeds = points.iter().map(|(_, (_, y))| *y).chain([arithmetic * 1.2, arithmetic * 0.01]);
    let y = Decades::around(speeds, bottom, top);
    let mut svg = Svg::new(HEIGHT, "Roofline: speed over operations per byte");
    axes(&mut svg, &x, &y, (top, bottom));
    for roof in &profile.roofs {
        draw_roof(&mut svg, roof, (bandwidth, arithmetic), &x, &y);
    }
    for (row, (intensity, speed)) in points {
        let radius = 3.0 + 14.0 * row.work.share.max(0.0).sqrt();
        let (class, cx, cy) = (colour(profile, &row.kind), x.at(intensity), y.at(speed));
        let attributes =
            format!("class=\"op {class}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"{radius:.1}\"");
        svg.mark("circle", &attributes, &describe(row));
    }
    svg.finish()
}

/// Operations per byte and operations per second; none if it has no operations or took no time.
fn point(row: &Row) -> Option<(f64, f64)> {
    let work = &row.work;
    let speed = work.operations_per_s.filter(|_| work.operations > 0 && work.bytes > 0)?;
    Some((work.operations as f64 / work.bytes as f64, speed))
}

/// How many ops that do something have no place below the roofs.
pub(super) fn without_place(profile: &Profile) -> usize {
    let outside = |row: &&Row| !row.nodes.is_empty() && point(row).is_none();
    profile.ops.iter().filter(outside).count()
}

fn axes(svg: &mut Svg, x: &Decades, y: &Decades, (top, bottom): (f64, f64)) {
    for tick in x.ticks() {
        svg.line("grid", (x.at(tick), top), (x.at(tick), bottom));
        let label = if tick < 1.0 { format!("{tick}") } else { si(tick) };
        svg.text((x.at(tick), bottom + 16.0), "middle", &label);
    }
    for tick in y.ticks() {
        svg.line("grid", (LEFT, y.at(tick)), (RIGHT, y.at(tick)));
        svg.text((LEFT - 6.0, y.at(tick) + 4.0), "end", &si(tick));
    }
    svg.text((f64::midpoint(LEFT, RIGHT), bottom + 36.0), "middle", "operations per byte");
    svg.text((LEFT, top - 4.0), "start", "operations per second");
}

/// The best of its kind as a line, the others dashed.
fn draw_roof(svg: &mut Svg, roof: &Roof, best: (f64, f64), x: &Decades, y: &Decades) {
    let (bandwidth, arithmetic) = best;
    let (low, high) = (10f64.powf(x.low), 10f64.powf(x.high));
    let (from, to, is_best) = match roof.limit {
        Limit::Bandwidth => {
            let begin = low.max(10f64.powf(y.low) / roof.per_s);
            let end = (arithmetic / roof.per_s).clamp(begin, high);
            ((begin, begin * roof.per_s), (end, end * roof.per_s), roof.per_s >= bandwidth)
        }
        Limit::Arithmetic => {
            let begin = (roof.per_s / bandwidth).clamp(low, high);
            ((begin, roof.per_s), (high, roof.per_s), roof.per_s >= arithmetic)
        }
    };
    let [(x1, y1), (x2, y2)] = [from, to].map(|(i, speed)| (x.at(i), y.at(speed)));
    let class = if is_best { "roof" } else { "roof other" };
    let attributes = format!("class=\"{class}\" d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\"");
    svg.mark("path", &attributes, &text::roof(roof));
}

fn describe(row: &Row) -> String {
    let work = &row.work;
    let of_roof = work.of_roof.map_or(String::new(), |of| format!(", {} of the roof", percent(of)));
    let (time, share) = (time(work.time_ns as f64), percent(work.share));
    format!("{}: {time}, {share} of the whole{of_roof}", row.name)
}

/// Places on a linear axis from zero to `end`.
fn along(value: u64, end: u64) -> f64 {
    LEFT + (RIGHT - LEFT) * value as f64 / (end as f64).max(1.0)
}

/// The end of the last step.
fn end(profile: &Profile) -> u64 {
    profile.timeline.last().map_or(0, |span| span.start_ns + span.time_ns)
}

fn time_axis(svg: &mut Svg, end: u64, (top, bottom): (f64, f64)) {
    const PARTS: u64 = 8;
    for part in 0..=PARTS {
        let at = along(end * part / PARTS, end);
        svg.line("grid", (at, top), (at, bottom));
        let ns = (end * part) as f64 / PARTS as f64;
        // The last label would reach over the edge.
        let anchor = if part == PARTS { "end" } else { "middle" };
        svg.text((at, bottom + 16.0), anchor, &time(ns));
    }
}

/// The steps of one run one after the other.
pub(super) fn timeline(profile: &Profile) -> String {
    let (top, bottom) = (4.0, 64.0);
    let end = end(profile);
    let mut svg = Svg::new(bottom + 24.0, "Timeline: the steps of one run");
    time_axis(&mut svg, end, (top, bottom));
    for span in &profile.timeline {
        let row = &profile.ops[span.op];
        let (x, next) = (along(span.start_ns, end), along(span.start_ns + span.time_ns, end));
        let attributes = format!(
            "class=\"{}\" x=\"{x:.2}\" y=\"{}\" width=\"{:.2}\" height=\"{}\"",
            colour(profile, &row.kind),
            top + 4.0,
            (next - x).max(0.2),
            bottom - top - 8.0,
        );
        let title = format!(
            "{}: {} from {}",
            span.name,
            time(span.time_ns as f64),
            time(span.start_ns as f64)
        );
        svg.mark("rect", &attributes, &title);
    }
    svg.finish()
}

/// The bytes of the values that live, step by step.
pub(super) fn memory(profile: &Profile) -> String {
    let (top, bottom) = (16.0, 150.0);
    let end = end(profile);
    let most = profile.memory.live_bytes_max;
    let mut svg = Svg::new(bottom + 24.0, "Memory: bytes of the values that live");
    time_axis(&mut svg, end, (top, bottom));
    let height = |bytes: u64| bottom - (bottom - top) * bytes as f64 / (most as f64).max(1.0);
    svg.text((LEFT - 6.0, top + 4.0), "end", &format!("{}B", si(most as f64)));
    svg.text((LEFT - 6.0, bottom + 4.0), "end", "0");
    for span in &profile.timeline {
        let (x, next) = (along(span.start_ns, end), along(span.start_ns + span.time_ns, end));
        let y = height(span.live_bytes);
        let attributes = format!(
            "class=\"memory\" x=\"{x:.2}\" y=\"{y:.1}\" width=\"{:.2}\" height=\"{:.1}\"",
            (next - x).max(0.2),
            bottom - y,
        );
        let title = format!("{}: {}B alive", span.name, si(span.live_bytes as f64));
        svg.mark("rect", &attributes, &title);
    }
    svg.finish()
}
