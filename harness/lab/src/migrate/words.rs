//! The vocabulary of legacy results: where something ran, and words that say that it did not run.
//!
//! What these words govern is decided in `govern`.

/// The lower-case words of a name: parts between punctuation, and of `camelCase`.
pub(super) fn tokens(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = letter.is_lowercase() || letter.is_ascii_digit();
        if letter.is_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.extend(letter.to_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    // `WebGPU` and `OpenVINO` are one word each.
    words.into_iter().fold(Vec::new(), |mut whole, word| {
        match whole.last_mut() {
            Some(last) if names_endpoint(&format!("{last}{word}")) => last.push_str(&word),
            _ => whole.push(word),
        }
        whole
    })
}

/// What legacy files call places to run, and what we call them. Left: one word.
pub const ENDPOINTS: &[(&[&str], &str)] = &[
    (&["cpu"], "cpu"),
    (&["cuda", "nvidia"], "cuda"),
    (&["rocm", "hip", "amd"], "rocm"),
    (&["mps", "apple", "metal"], "mps"),
    (&["openvino"], "openvino"),
    (&["qnn", "qualcomm", "snpe", "hexagon"], "qnn"),
    (&["webgpu"], "webgpu"),
    (&["webnn"], "webnn"),
    (&["webgl"], "webgl"),
    (&["wasm"], "wasm"),
    (&["directml"], "directml"),
    (&["tpu"], "tpu"),
    (&["samsung", "exynos"], "samsung"),
    (&["mediatek"], "mediatek"),
];

/// Browsers, by the second part of our names.
pub const BROWSERS: &[(&[&str], &str)] = &[
    (&["chrome", "chromium"], "chromium"),
    (&["edge", "msedge"], "edge"),
    (&["firefox"], "firefox"),
    (&["safari", "webkit"], "webkit"),
];

fn one_of(words: &[String], table: &[(&[&str], &'static str)]) -> Option<&'static str> {
    let mut found = None;
    for word in words {
        let of = table.iter().find(|(names, _)| names.contains(&word.as_str()));
        match (of, found) {
            (Some((_, ours)), None) => found = Some(*ours),
            (Some((_, ours)), Some(other)) if *ours != other => return None,
            _ => {}
        }
    }
    found
}

/// The endpoint that these words name, if they name one and no other.
pub(super) fn endpoint(words: &[String]) -> Option<&'static str> {
    one_of(words, ENDPOINTS)
}

/// The browser that these words name.
pub(super) fn browser(words: &[String]) -> Option<&'static str> {
    one_of(words, BROWSERS)
}

/// Whether a word is one of those that name endpoints.
pub(super) fn names_endpoint(word: &str) -> bool {
    ENDPOINTS.iter().any(|(names, _)| names.contains(&word))
}

/// Words that say that something did not run as it is told. Of a name, each of them; of a text, see [`said`].
const UNREAL: &[&str] = &[
    "simulated",
    "simulation",
    "simulations",
    "simulator",
    "mock",
    "mocks",
    "mocked",
    "emulated",
    "emulation",
    "fake",
    "faked",
];
/// Verbs that only a log uses of itself.
const UNREAL_VERBS: &[&str] = &["simulating", "simulate", "mocking", "emulating"];
/// Words before one of these that take it back.
const NEGATIONS: &[&str] =
    &["no", "not", "non", "never", "without", "isn", "wasn", "neither", "nor", "0"];

/// Whether a word of a name says that something did not run.
pub(super) fn is_unreal(word: &str) -> bool {
    UNREAL.contains(&word)
}

/// What a text says of how it came about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// That it is simulated, a mock, emulated, fake.
    pub(super) unreal: bool,
    /// That it is real.
    pub(super) real: bool,
}

/// What a text says. `log` also takes the verbs of a program that tells what it does.
///
/// A word that is a part of a name (`is_simulated`) counts only where `true` follows, or where the name is in capitals or all that
/// the text says (`MOCK_CPU`); one that is negated does not. So does `REAL`, which is a claim only in capitals or alone.
pub(super) fn said(text: &str, log: bool) -> Said {
    let text = text.trim();
    let mut said = Said::default();
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        let parts = tokens(text);
        let has = |words: &[&str]| parts.iter().any(|part| words.contains(&part.as_str()));
        let negated = has(NEGATIONS) || has(&["false"]);
        return Said { unreal: has(UNREAL) && !negated, real: has(&["real"]) && !negated };
    }
    let bytes = text.as_bytes();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let (mut before, mut last) = ("", "");
    let mut at = 0;
    while at < bytes.len() {
        if !is_part(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && is_part(bytes[at]) {
            at += 1;
        }
        let word = &text[start..at];
        if word.split('_').any(|part| part == "REAL") {
            said.real = true;
        }
        if !said.unreal && says_unreal(word, log, &text[at..]) && !negated(before) && !negated(last)
        {
            said.unreal = true;
        }
        (before, last) = (last, word);
    }
    said
}

fn negated(word: &str) -> bool {
    word.len() <= 7 && NEGATIONS.contains(&word.to_ascii_lowercase().as_str())
}

fn says_unreal(word: &str, log: bool, rest: &str) -> bool {
    // The first letters of all that count; this is called for each word of each text.
    if !matches!(word.as_bytes()[0] | 0x20, b's' | b'm' | b'e' | b'f') && !word.contains('_') {
        return false;
    }
    let lower = word.to_ascii_lowercase();
    let counts = |part: &str| UNREAL.contains(&part) || (log && UNREAL_VERBS.contains(&part));
    let rest = rest.trim_start_matches(['"', '\'', ' ', ':', '=']);
    let begins = |word: &str| rest.get(..word.len()).is_some_and(|r| r.eq_ignore_ascii_case(word));
    match lower.contains('_') {
        true => {
            lower.split('_').any(counts)
                && (begins("true") || !word.contains(|c: char| c.is_lowercase()))
        }
        false => counts(&lower) && !begins("false"),
    }
}

/// Whether a text says no to what its name asks.
pub(super) fn denies(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    ["", "false", "no", "none", "off", "disabled", "never", "n/a", "0", "null"]
        .contains(&text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_into_words() {
        assert_eq!(tokens("cuda_total_time"), ["cuda", "total", "time"]);
        assert_eq!(tokens("inferenceTimeMs"), ["inference", "time", "ms"]);
        assert_eq!(tokens("skills/test_hf.py"), ["skills", "test", "hf", "py"]);
        assert_eq!(tokens("p95Latency"), ["p95", "latency"]);
        assert_eq!(tokens("__"), [""; 0]);
    }

    #[test]
    fn endpoints_are_named_once_or_not() {
        let of = |name: &str| endpoint(&tokens(name));
        assert_eq!(of("pipeline_cuda"), Some("cuda"));
        assert_eq!(of("Qualcomm"), Some("qnn"));
        assert_eq!(
            (of("OpenVINO"), of("WebGPU"), of("web_nn")),
            (Some("openvino"), Some("webgpu"), Some("webnn"))
        );
        assert_eq!(of("cuda:0"), Some("cuda"));
        assert_eq!(of("cpu_vs_cuda"), None);
        assert_eq!(of("linux"), None);
    }

    #[track_caller]
    fn check(text: &str, unreal: bool, real: bool) {
        assert_eq!(said(text, true), Said { unreal, real }, "{text}");
    }

    #[test]
    fn texts_say_what_they_say() {
        check("Success (MOCK)", true, false);
        check("REAL - simulated for the demonstration", true, true);
        check("REAL_WEBGPU", false, true);
        check("real", false, true);
        check("simulated_webgpu", true, false);
        check("SIMULATED_WEBGPU on a desk", true, false);
        check("not_simulated", false, false);
        check("a real dog, no simulation at all", false, false);
        check("No more simulations from here", false, false);
        check("\"is_simulated\": false, \"x\": 1", false, false);
        check("is_simulated=True", true, false);
        check("[\"is_simulated\", \"device\"]", false, false);
        check("detected by the MagicMock check", false, false);
        check("Simulating the device", true, false);
        assert!(!said("bees simulate flowers", false).unreal);
        check("é mock é", true, false);
    }
}
