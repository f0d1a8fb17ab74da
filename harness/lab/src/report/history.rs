//! The change points, drifts and spikes of a series as Markdown. JSON is their own serialisation.

use super::escape_markdown;
use crate::history::History;
use std::fmt::Write as _;

/// What the columns mean; below every report.
const LEGEND: &str = "A change point is the first point of a new level that lasts. \
p is the probability that noise alone would show as strong a change anywhere in a series of this length. \
Severity is from 0 to 1, of size, certainty and reach. \
A drift is a slow slope; a spike is an outlier or a short burst, after which the level is what it was.";

/// The findings of a series that is called `name`.
pub fn markdown(name: &str, history: &History) -> String {
    let mut text = format!("# History of {}\n\n", escape_markdown(name));
    let noise = &history.noise;
    let _ = writeln!(
        text,
        "{} points, claimed: they are in a file, and nothing shows that they were measured; noise {} (standard deviation), autocorrelation {:.2}.",
        history.points,
        figure(noise.deviation),
        noise.correlation
    );
    changes(&mut text, history);
    if !history.drifts.is_empty() {
        let _ = writeln!(
            text,
            "\n## Drifts\n\n| from | to | before | after | per point | p |\n|---|---|---|---|---|---|"
        );
        for drift in &history.drifts {
            let (before, after) = (figure(drift.before), figure(drift.after));
            let (slope, p) = (figure(drift.slope), probability(drift.p));
            let last = drift.end - 1;
            let _ =
                writeln!(text, "| {} | {last} | {before} | {after} | {slope} | {p} |", drift.start);
        }
    }
    if !history.spikes.is_empty() {
        let _ =
            writeln!(text, "\n## Spikes\n\n| index | points | value | level |\n|---|---|---|---|");
        for spike in &history.spikes {
            let (value, level) = (figure(spike.value), figure(spike.level));
            let _ = writeln!(text, "| {} | {} | {value} | {level} |", spike.index, spike.length);
        }
    }
    let _ = writeln!(text, "\n{LEGEND}");
    text
}

fn changes(text: &mut String, history: &History) {
    if history.change_points.is_empty() {
        let _ = writeln!(text, "\nNo change points.");
        return;
    }
    let header =
        "| index | time | before | after | change | p | severity |\n|---|---|---|---|---|---|---|";
    let _ = writeln!(text, "\n## Change points\n\n{header}");
    for change in &history.change_points {
        let time = change.time.as_ref().map(|time| match time.as_str() {
            Some(words) => escape_markdown(words),
            None => time.to_string(),
        });
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {:.2} |",
            change.index,
            time.unwrap_or_default(),
            figure(change.before),
            figure(change.after),
            change.relative.map(|part| format!("{:+.1} %", 100.0 * part)).unwrap_or_default(),
            probability(change.p),
            change.severity
        );
    }
}

/// Five significant digits, without an exponent where that reads well.
fn figure(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e9).contains(&magnitude) {
        return format!("{value:.4e}");
    }
    let decimals = (4.0 - magnitude.log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}

fn probability(p: f64) -> String {
    if p < 1e-4 { format!("{p:.0e}") } else { format!("{p:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Options, input};

    #[test]
    fn a_step_a_spike_and_a_time_are_told() {
        let points: Vec<String> = (0..60)
            .map(|i| {
                let noise = f64::from((i * 37 + 11) % 17) / 17.0;
                let value =
                    if i < 30 { 10.0 } else { 20.0 } + noise + if i == 12 { 50.0 } else { 0.0 };
                format!("{{\"value\": {value}, \"time\": \"day|{i:02}\"}}")
            })
            .collect();
        let series = input::parse(&format!("[{}]", points.join(","))).unwrap();
        let text = markdown("a|b", &series.analyse(&Options::default()).unwrap());
        assert!(text.starts_with("# History of a\\|b\n"), "{text}");
        assert!(text.contains("| 30 | day\\|30 | 10."), "{text}");
        assert!(text.contains("## Spikes") && text.contains("| 12 | 1 | 60."), "{text}");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let history = crate::history::analyse(&[1.0; 20], &Options::default()).unwrap();
        assert!(markdown("flat", &history).contains("No change points."));
    }

    #[test]
    fn figures_have_five_digits() {
        let values = [0.0, 12.345678, 0.004869341, 1e-7, -2e10, 123_456.7];
        let texts = ["0", "12.346", "0.0048693", "1.0000e-7", "-2.0000e10", "123457"];
        assert_eq!(values.map(figure), texts);
    }
}
