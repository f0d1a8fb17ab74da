//! Known failures, as data: which endpoint, which version, what it says, and where that is tracked.

use crate::case::CaseId;
use crate::endpoint::Endpoint;

/// A failure that is expected. A matching case that passes is an error, so that the entry gets removed.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The endpoint on which it fails.
    pub endpoint: Endpoint,
    /// The beginning of the model's name; empty for all models.
    pub model: &'static str,
    /// A piece of the driver's text, so that the entry ends with the version that has the fault.
    pub driver: &'static str,
    /// A piece of the failure's message: another failure is not expected.
    pub message: &'static str,
    /// Where the fault is tracked.
    pub link: &'static str,
}

/// What a run means once the expectations are known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It passed and no failure was expected, or it failed as expected.
    Good,
    /// It failed, or it passed against expectation; the message for the user.
    Bad(String),
}

/// Judges a case that ran on `driver` and failed with `failure`, or passed.
pub(crate) fn judge(
    expectations: &[Expectation],
    case: &CaseId,
    driver: &str,
    failure: Option<&str>,
) -> Verdict {
    let applies = |e: &&Expectation| {
        e.endpoint == case.endpoint && case.model.starts_with(e.model) && driver.contains(e.driver)
    };
    match (expectations.iter().find(applies), failure) {
        (None, None) => Verdict::Good,
        (None, Some(message)) => Verdict::Bad(message.to_owned()),
        (Some(expected), Some(message)) if message.contains(expected.message) => Verdict::Good,
        (Some(expected), Some(message)) => Verdict::Bad(format!(
            "{message}\n(another failure is expected here: `{}`, {})",
            expected.message, expected.link
        )),
        (Some(expected), None) => Verdict::Bad(format!(
            "passed, but `{}` is expected ({}): if the fault is mended, remove the expectation",
            expected.message, expected.link
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Expectation; 1] = [Expectation {
        endpoint: Endpoint::WEBGPU_NATIVE,
        model: "bert",
        driver: "Mesa 22.",
        message: "device lost",
        link: "issue 1",
    }];

    #[track_caller]
    fn check(case: &str, driver: &str, failure: Option<&str>, good: bool) {
        let verdict = judge(&KNOWN, &case.parse().unwrap(), driver, failure);
        assert_eq!(verdict == Verdict::Good, good, "{verdict:?}");
    }

    #[test]
    fn only_the_expected_failure_is_good() {
        let case = "bert-tiny/webgpu-native/f32/b1";
        check(case, "Mesa 22.3", Some("the device lost its way: device lost"), true);
        check(case, "Mesa 22.3", Some("wrong output"), false);
        check(case, "Mesa 22.3", None, false);
        check(case, "Mesa 23.0", None, true);
        check(case, "Mesa 23.0", Some("device lost"), false);
        check("t5-tiny/webgpu-native/f32/b1", "Mesa 22.3", None, true);
        check("bert-tiny/cpu/f32/b1", "Mesa 22.3", Some("device lost"), false);
    }
}
