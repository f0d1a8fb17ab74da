//! Known failures, as data: which endpoint, which version, what it says, and where that is tracked.

use crate::case::CaseId;
use crate::endpoint::Endpoint;
use serde::{Deserialize, Serialize};

/// A failure that is expected. A matching case that passes is an error, so that the entry gets removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation<S = &'static str> {
    /// The endpoint on which it fails.
    pub endpoint: Endpoint,
    /// The beginning of the model's name; empty for all models.
    pub model: S,
    /// A piece of the driver's text, so that the entry ends with the version that has the fault.
    pub driver: S,
    /// A piece of the failure's message: another failure is not expected.
    pub message: S,
    /// Where the fault is tracked.
    pub link: S,
}

impl<S: AsRef<str>> Expectation<S> {
    /// Whether it is about a case that ran on `driver`.
    pub fn applies(&self, case: &CaseId, driver: &str) -> bool {
        self.endpoint == case.endpoint
            && case.model.starts_with(self.model.as_ref())
            && driver.contains(self.driver.as_ref())
    }

    /// Whether a failure with this message is the one that is expected.
    pub fn explains(&self, message: &str) -> bool {
        message.contains(self.message.as_ref())
    }

    /// The same for another process to read.
    pub fn owned(&self) -> Expectation<String> {
        let [model, driver, message, link] =
            [&self.model, &self.driver, &self.message, &self.link].map(|s| s.as_ref().to_owned());
        Expectation { endpoint: self.endpoint.clone(), model, driver, message, link }
    }
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
    match (expectations.iter().find(|e| e.applies(case, driver)), failure) {
        (None, None) => Verdict::Good,
        (None, Some(message)) => Verdict::Bad(message.to_owned()),
        (Some(expected), Some(message)) if expected.explains(message) => Verdict::Good,
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
