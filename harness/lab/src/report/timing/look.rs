//! How the page on timing looks: its colours in both themes, which a test holds to the contrast that WCAG 2.2 asks for.

use std::fmt::Write as _;

/// A colour by its name in the style, light and dark.
type Colour = (&'static str, &'static str, &'static str);

/// All colours. Text is `ink`, `faint` or `accent`; marks in pictures are those of the last four.
const COLOURS: [Colour; 11] = [
    ("paper", "#ffffff", "#14171a"),
    ("sheet", "#f2f4f6", "#1f2429"),
    ("ink", "#1b1f23", "#e8eaed"),
    ("faint", "#505a64", "#aab4be"),
    ("accent", "#0b5394", "#8ec5ff"),
    ("line", "#767f88", "#8b959f"),
    ("warn", "#8a1c1c", "#ff9d9d"),
    ("real", "#00598c", "#63b8ea"),
    ("software", "#00664b", "#4fd1a5"),
    ("simulated", "#8a4b00", "#f0a94e"),
    ("claimed", "#8c3a6b", "#e79cc5"),
];

/// The style of the page.
pub(super) fn style() -> String {
    let theme = |of: fn(&Colour) -> &'static str| {
        COLOURS.iter().fold(String::new(), |mut text, colour| {
            let _ = write!(text, "--{}:{};", colour.0, of(colour));
            text
        })
    };
    let (light, dark) = (theme(|colour| colour.1), theme(|colour| colour.2));
    format!(
        ":root{{color-scheme:light;{light}}}\
         @media(prefers-color-scheme:dark){{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\
         :root[data-theme=dark]{{color-scheme:dark;{dark}}}{RULES}"
    )
}

/// Where there are scripts, rows beyond those that the script shows are not even laid out before it runs.
const RULES: &str = "*{box-sizing:border-box}\
body{margin:0 auto;max-width:110rem;padding:0 1rem 3rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
a{color:var(--accent)}h1,h2{line-height:1.2;overflow-wrap:anywhere}\
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}\
.skip{position:absolute;left:-999rem}.skip:focus{position:static}\
.banner{border:3px solid var(--warn);color:var(--warn);padding:.6rem 1rem;font-weight:700}\
.bar{display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:end;margin:1rem 0}.bar[hidden]{display:none}\
.bar label{display:grid;font-size:.9rem;color:var(--faint)}\
input,select,button{font:inherit;color:var(--ink);background:var(--sheet);border:1px solid var(--line);border-radius:.3rem;\
padding:.35rem .6rem;min-height:2.2rem;max-width:22rem}button{cursor:pointer}\
.scroll{overflow:auto;max-height:85vh;border:1px solid var(--line)}\
table{border-collapse:collapse;font-size:.9rem}caption{text-align:left;padding:.5rem;color:var(--faint)}\
th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top;max-width:26rem;overflow-wrap:break-word}\
thead th{position:sticky;top:0;background:var(--sheet)}\
th button{background:none;border:0;padding:0;min-height:1.5rem;text-decoration:underline dotted;font-weight:700;text-align:left}\
th[aria-sort=ascending] button::after{content:' \\2191'}th[aria-sort=descending] button::after{content:' \\2193'}\
.js #rows tbody tr:nth-child(n+201){display:none}.n{white-space:nowrap}svg{display:block;width:100%;max-width:48rem;height:auto}\
svg text{font:13px system-ui,sans-serif;fill:currentColor}.grid{stroke:var(--line);stroke-width:.5}\
.roof{stroke:var(--ink);stroke-width:2;fill:none}.dot{fill-opacity:.6;stroke-width:1.5}.dot.fixture{fill:none}\
.real{fill:var(--real);stroke:var(--real)}.software{fill:var(--software);stroke:var(--software)}\
.simulated{fill:var(--simulated);stroke:var(--simulated)}.claimed{fill:var(--claimed);stroke:var(--claimed)}\
@media(max-width:40rem){body{padding:0 .5rem 2rem}}";

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as WCAG 2.2 defines it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn contrast_is_that_of_the_definition() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        assert!((contrast("#777777", "#ffffff") - 4.48).abs() < 0.01);
    }

    #[test]
    fn text_and_marks_stand_out_in_both_themes() {
        let [paper, sheet, rest @ ..] = COLOURS;
        for theme in [|colour: &Colour| colour.1, |colour: &Colour| colour.2] {
            for colour in &rest {
                // Text needs 4.5; borders of controls and pictures 3.
                let least = if colour.0 == "line" { 3.0 } else { 4.5 };
                for ground in [&paper, &sheet] {
                    let found = contrast(theme(colour), theme(ground));
                    assert!(found >= least, "{} on {}: {found:.2}", colour.0, ground.0);
                }
            }
        }
    }
}
