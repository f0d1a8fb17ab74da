//! What a user may ask of a run: which cases, on which endpoints, how long, how often. From flags or variables.

use crate::case::CaseId;
use crate::endpoint::Endpoint;
use crate::env;
use globset::{Glob, GlobSet, GlobSetBuilder};
use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a suite makes its cases from, besides what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choices {
    /// Batch sizes in place of the suite's own.
    pub batches: Option<Vec<usize>>,
    /// Ops that a device cannot do may run elsewhere; each is told in the record.
    pub allow_fallback: bool,
}

/// The choices of one run. Flags come before variables.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Globs over whole case ids, in which `*` crosses `/`; all cases when there is none.
    pub filters: Vec<String>,
    /// Endpoints that the user insists on; an absent one is an error.
    pub endpoints: Vec<Endpoint>,
    /// What the cases are made from.
    pub choices: Choices,
    /// The time after which a case is killed.
    pub timeout: Duration,
    /// Samples per measured case.
    pub samples: usize,
    /// Wanted length of the measured phase of a case; one whose samples take longer gets the time that they need.
    pub measure_for: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            filters: Vec::new(),
            endpoints: Vec::new(),
            choices: Choices::default(),
            timeout: Duration::from_secs(120),
            samples: 20,
            measure_for: Duration::from_secs(1),
        }
    }
}

const FLAGS: [(&str, &str); 7] = [
    (ALLOW_FALLBACK, env::ALLOW_FALLBACK),
    ("--filter", env::FILTER),
    ("--endpoint", env::ENDPOINT),
    ("--batch", env::BATCH),
    ("--timeout", env::TIMEOUT),
    ("--samples", env::SAMPLES),
    ("--measure-for", env::MEASURE_FOR),
];

/// The one flag that needs no value.
const ALLOW_FALLBACK: &str = "--allow-fallback";

impl Settings {
    /// Takes our flags out of `args` and leaves the rest for the runner; then reads the variables of flags
    /// that were not given.
    pub fn take(args: Vec<String>) -> Result<(Self, Vec<String>), String> {
        let mut settings = Self::default();
        let mut rest = Vec::new();
        let mut given = Vec::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let (flag, value) = match arg.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (arg.clone(), None),
            };
            let Some((flag, variable)) = FLAGS.into_iter().find(|(name, _)| *name == flag) else {
                rest.push(arg);
                continue;
            };
            let yes = (flag == ALLOW_FALLBACK).then(|| "yes".to_owned());
            let value = value.or(yes).or_else(|| args.next());
            let value = value.ok_or_else(|| format!("{flag} needs a value"))?;
            settings.set(flag, &value)?;
            given.push(variable);
        }
        for (flag, variable) in FLAGS.into_iter().filter(|(_, v)| !given.contains(v)) {
            if let Some(value) = env::var(variable) {
                settings.set(flag, &value).map_err(|e| format!("{variable}: {e}"))?;
            }
        }
        Ok((settings, rest))
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        let context = |e: String| format!("{flag} {value}: {e}");
        let list = || value.split(',').map(str::trim);
        match flag {
            "--filter" => self.filters.extend(globs(value)),
            "--endpoint" => {
                for name in list() {
                    self.endpoints.push(name.parse().map_err(context)?);
                }
            }
            "--batch" => {
                let sizes = list().map(at_least_one).collect::<Result<_, _>>();
                self.choices.batches = Some(sizes.map_err(context)?);
            }
            ALLOW_FALLBACK => self.choices.allow_fallback = yes_or_no(value).map_err(context)?,
            "--timeout" => self.timeout = parse_duration(value).map_err(context)?,
            "--measure-for" => self.measure_for = parse_duration(value).map_err(context)?,
            _ => self.samples = parse_samples(value).map_err(context)?,
        }
        Ok(())
    }

    /// The predicate of the filters and the endpoints together.
    pub fn selection(&self) -> Result<Selection, String> {
        let mut globs = GlobSetBuilder::new();
        for filter in &self.filters {
            // A `*` crosses `/` unless the glob says otherwise, which is globset's default.
            let glob = Glob::new(filter).map_err(|e| format!("the filter `{filter}`: {e}"))?;
            globs.add(glob);
        }
        let globs = globs.build().map_err(|e| format!("the filters: {e}"))?;
        let any = self.filters.is_empty();
        Ok(Selection { any, globs, endpoints: self.endpoints.clone() })
    }
}

/// Globs that are separated by commas; a comma in braces belongs to its glob.
fn globs(value: &str) -> Vec<String> {
    let mut depth = 0usize;
    let split = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    value.split(split).map(|glob| glob.trim().to_owned()).collect()
}

/// Which cases a run is about.
#[derive(Clone, Debug)]
pub struct Selection {
    any: bool,
    globs: GlobSet,
    endpoints: Vec<Endpoint>,
}

impl Selection {
    /// Whether a case is selected.
    pub fn holds(&self, id: &CaseId) -> bool {
        let endpoint = self.endpoints.is_empty() || self.endpoints.contains(&id.endpoint);
        endpoint && (self.any || self.globs.is_match(id.to_string()))
    }
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" | "1" => Ok(true),
        "no" | "false" | "0" => Ok(false),
        _ => Err(format!("`{text}` is neither yes nor no")),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is not a whole number of at least 1")),
        Ok(n) => Ok(n),
    }
}

/// A number of samples; criterion's statistics need ten.
pub fn parse_samples(text: &str) -> Result<usize, String> {
    match at_least_one(text)? {
        n @ 10..=100_000 => Ok(n),
        n => Err(format!("{n} samples: between 10 and 100000 are possible")),
    }
}

/// A length of time as people write it: `60s`, `10m`, `2h`, `30d`. A day has 24 hours.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = |detail: &dyn std::fmt::Display| {
        format!("`{text}` is not a length of time ({detail}); write 60s, 10m, 2h or 30d")
    };
    let span: Span = text.parse().map_err(|e: jiff::Error| bad(&e))?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|e| bad(&e))?;
    let duration = Duration::try_from(duration).map_err(|e| bad(&e))?;
    if duration.is_zero() { Err(bad(&"it is zero")) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(args: &[&str]) -> Result<(Settings, Vec<String>), String> {
        Settings::take(args.iter().map(|arg| (*arg).to_owned()).collect())
    }

    #[test]
    fn flags_are_taken_and_the_rest_is_left() {
        let args = ["--list", "--filter", "bert*", "--batch=1,4", "name", "--timeout", "2m"];
        let (settings, rest) = take(&args).unwrap();
        assert_eq!(rest, ["--list", "name"]);
        assert_eq!(settings.choices.batches, Some(vec![1, 4]));
        assert_eq!(settings.timeout, Duration::from_secs(120));
    }

    #[test]
    fn fallbacks_are_allowed_by_a_word_of_its_own() {
        let allows = |args: &[&str]| {
            let (settings, rest) = take(args).unwrap();
            (settings.choices.allow_fallback, rest.len())
        };
        assert_eq!(allows(&["name"]), (false, 1));
        assert_eq!(allows(&["--allow-fallback", "name"]), (true, 1));
        assert_eq!(allows(&["--allow-fallback=no"]), (false, 0));
    }

    #[test]
    fn a_star_crosses_slashes() {
        let selection = take(&["--filter", "bert*"]).unwrap().0.selection().unwrap();
        assert!(selection.holds(&"bert-tiny/cpu/f32/b1".parse().unwrap()));
        assert!(!selection.holds(&"t5-small/cpu/f32/b1".parse().unwrap()));
        let selection = take(&["--filter", "x, a/{cpu,cuda}/*"]).unwrap().0.selection().unwrap();
        assert!(selection.holds(&"a/cuda/f32/b1".parse().unwrap()));
        let selection = take(&["--filter", "*/f32/*", "--endpoint", "cpu"]).unwrap().0.selection();
        let selection = selection.unwrap();
        assert!(selection.holds(&"a/cpu/f32/b1".parse().unwrap()));
        assert!(!selection.holds(&"a/cuda/f32/b1".parse().unwrap()));
    }

    #[track_caller]
    fn check_refused(args: &[&str], says: &str) {
        let message = take(args).and_then(|(s, _)| s.selection()).unwrap_err();
        assert!(message.contains(says), "{message}");
    }

    #[test]
    fn bad_values_say_what_is_possible() {
        check_refused(&["--samples", "3"], "between 10 and 100000");
        check_refused(&["--timeout", "soon"], "write 60s, 10m, 2h or 30d");
        check_refused(&["--timeout", "0s"], "it is zero");
        check_refused(&["--batch", "0"], "at least 1");
        check_refused(&["--endpoint", "GPU 1"], "lowercase");
        check_refused(&["--filter", "a["], "the filter `a[`");
        check_refused(&["--filter"], "needs a value");
        check_refused(&["--allow-fallback=perhaps"], "neither yes nor no");
    }

    #[test]
    fn lengths_of_time() {
        assert_eq!(parse_duration("30d").unwrap(), Duration::from_secs(30 * 86400));
        assert_eq!(parse_duration("10m").unwrap(), Duration::from_secs(600));
    }
}
