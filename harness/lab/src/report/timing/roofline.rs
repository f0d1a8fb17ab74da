//! Rooflines as SVG: for each roof that was measured, the cases of its device below it. A mark is told by shape, by colour
//! and in words.

use super::super::escape_html;
use crate::basis::{Kind, is_fixture};
use crate::figures::{duration_ns, percent, three_digits};
use crate::timing::{Row, Timing};
use proofmark::Mark;
use proofmark::roof::{Limit, Roofs};
use std::fmt::Write as _;

/// Cases that a picture shows; the table has all.
const SHOWN: usize = 500;
/// Units of a picture; the page scales it.
const SIZE: [f64; 2] = [640.0, 360.0];
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 40.0;

/// A picture per roof, each with a heading.
pub(super) fn pictures(report: &Timing) -> String {
    let mut text = String::new();
    for line in &report.roofs {
        let own: Vec<&Row> = report
            .rows
            .iter()
            .filter(|row| row.below.as_ref().is_some_and(|b| b.roof == line.id))
            .collect();
        picture(&mut text, line, &own);
    }
    text
}

/// Where a point of intensity and attained operations per second is.
struct Scale {
    low: [f64; 2],
    high: [f64; 2],
}

impl Scale {
    /// Whole powers of ten around all points.
    fn around(points: &[[f64; 2]]) -> Self {
        let edge = |axis: usize, end: fn(f64, f64) -> f64, start: f64| {
            points.iter().map(|point| point[axis].log10()).fold(start, end)
        };
        let low = [0, 1].map(|axis| edge(axis, f64::min, f64::INFINITY).floor());
        let high = [0, 1].map(|axis| (edge(axis, f64::max, f64::NEG_INFINITY) + 1e-9).ceil());
        Self { low, high }
    }

    fn place(&self, point: [f64; 2]) -> [f64; 2] {
        let part = |axis: usize| {
            let width = (self.high[axis] - self.low[axis]).max(1.0);
            ((point[axis].log10() - self.low[axis]) / width).clamp(0.0, 1.0)
        };
        let [wide, tall] = SIZE;
        [LEFT + part(0) * (wide - LEFT - 10.0), tall - BOTTOM - part(1) * (tall - BOTTOM - 10.0)]
    }
}

fn picture(text: &mut String, line: &Roofs, rows: &[&Row]) {
    let (Some(bandwidth), Some(arithmetic)) =
        (line.best(Limit::Bandwidth), line.best(Limit::Arithmetic))
    else {
        return;
    };
    let ridge = arithmetic / bandwidth;
    let points: Vec<([f64; 2], &Row)> =
        rows.iter().filter_map(|row| Some((point(row)?, *row))).collect();
    let mut all: Vec<[f64; 2]> = points.iter().map(|(point, _)| *point).collect();
    all.extend([
        [ridge, arithmetic],
        [ridge / 10.0, arithmetic / 10.0],
        [10.0 * ridge, arithmetic],
    ]);
    let scale = Scale::around(&all);
    let kind = Kind { mark: Some(line.mark), fallbacks: false, fixture: is_fixture(&line.suite) };
    let label = format!(
        "{} cases on {} ({}) of machine {}, {}: to the right operations per byte, upwards operations per second; the line \
         is the measured roof of {} GB/s and {} Gop/s",
        points.len(),
        line.endpoint,
        line.adapter,
        line.machine,
        kind.name(),
        three_digits(bandwidth / 1e9),
        three_digits(arithmetic / 1e9),
    );
    let _ = writeln!(
        text,
        "<h3>{} ({}) in {}: {}</h3>\n<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        escape_html(line.endpoint.as_str()),
        escape_html(&line.adapter),
        escape_html(&line.precision),
        escape_html(&kind.name()),
        SIZE[0],
        SIZE[1],
        escape_html(&label)
    );
    grid(text, &scale);
    roof(text, &scale, [bandwidth, arithmetic]);
    points.iter().take(SHOWN).for_each(|(point, row)| dot(text, &scale, *point, row));
    let shown = points.len().min(SHOWN);
    let _ = writeln!(
        text,
        "</svg>\n<p>{}; {shown} of them are in the picture, all in the table.</p>",
        escape_html(&label)
    );
}

/// Operations per byte, and operations per second that were attained.
fn point(row: &Row) -> Option<[f64; 2]> {
    let below = row.below.as_ref()?;
    let operations = row.operations_per_run? as f64;
    let point = [below.intensity, operations * 1e9 / row.latency_ns];
    point.iter().all(|value| value.is_finite() && *value > 0.0).then_some(point)
}

fn grid(text: &mut String, scale: &Scale) {
    for axis in [0, 1] {
        let mut decade = scale.low[axis];
        while decade <= scale.high[axis] {
            let mut at = [10f64.powf(scale.low[0]), 10f64.powf(scale.low[1])];
            at[axis] = 10f64.powf(decade);
            let [x, y] = scale.place(at);
            let [wide, tall] = SIZE;
            let (path, place) = match axis {
                0 => (
                    format!("M{x:.1} 10V{:.1}", tall - BOTTOM),
                    format!(
                        "x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\"",
                        tall - BOTTOM + 18.0
                    ),
                ),
                _ => (
                    format!("M{LEFT} {y:.1}H{:.1}", wide - 10.0),
                    format!("x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\"", LEFT - 6.0, y + 4.0),
                ),
            };
            let _ = write!(
                text,
                "<path class=\"grid\" d=\"{path}\"/><text {place}>10<tspan dy=\"-5\" font-size=\"9\">{decade}</tspan></text>"
            );
            decade += 1.0;
        }
    }
    let [wide, tall] = SIZE;
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">operations per byte</text>\
         <text x=\"4\" y=\"12\">operations per second</text>",
        wide - 10.0,
        tall - 4.0
    );
}

fn roof(text: &mut String, scale: &Scale, [bandwidth, arithmetic]: [f64; 2]) {
    let ridge = arithmetic / bandwidth;
    // Down the slope to where the picture ends on either axis.
    let left = 10f64.powf(scale.low[0]).max(10f64.powf(scale.low[1]) / bandwidth);
    let corners =
        [[left, left * bandwidth], [ridge, arithmetic], [10f64.powf(scale.high[0]), arithmetic]];
    let path = corners.map(|corner| {
        let [x, y] = scale.place(corner);
        format!("{x:.1} {y:.1}")
    });
    let _ = writeln!(text, "<path class=\"roof\" d=\"M{}\"/>", path.join("L"));
}

/// A disc is real, a diamond software, a triangle simulated, a square claimed; what is made up is hollow.
fn dot(text: &mut String, scale: &Scale, point: [f64; 2], row: &Row) {
    let [x, y] = scale.place(point);
    let mark = row.kind.mark.map_or("claimed", Mark::name);
    let fixture = if row.kind.fixture { " fixture" } else { "" };
    let shape = match row.kind.mark {
        Some(Mark::Real) => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\""),
        Some(Mark::Software) => format!("<path d=\"M{x:.1} {:.1}l5 5-5 5-5-5z\"", y - 5.0),
        Some(Mark::Simulated) => format!("<path d=\"M{x:.1} {:.1}l5 9h-10z\"", y - 5.0),
        Some(Mark::Claimed) | None => {
            format!("<path d=\"M{:.1} {:.1}h8v8h-8z\"", x - 4.0, y - 4.0)
        }
    };
    let part = row.below.as_ref().map(|below| percent(below.of_roof)).unwrap_or_default();
    let told = format!(
        "{}: {} {}, {part} of the roof {}",
        row.case,
        duration_ns(row.latency_ns),
        row.kind.name(),
        row.kind.name()
    );
    let _ = writeln!(
        text,
        "{shape} class=\"dot {mark}{fixture}\"><title>{}</title></{}>",
        escape_html(&told),
        if row.kind.mark == Some(Mark::Real) { "circle" } else { "path" }
    );
}
