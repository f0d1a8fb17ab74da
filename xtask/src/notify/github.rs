//! GitHub, reached through the program `gh`: one comment on a pull request, and one issue for each case and metric.
//! Both are found again by a hidden marker in their text.

use super::news::{Kind, News, Recovery, plain};
use crate::context::Context;
use crate::process;
use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const COMMENT: &str = "<!-- proofmark-gate -->";
const ISSUE: &str = "<!-- proofmark-regression ";
const END: &str = " -->";
/// Only people who may write can give it, so that nobody else's issue is taken for ours.
const LABEL: &str = "proofmark";
/// GitHub takes 65 536 characters.
const LONGEST: usize = 65_000;

/// Makes or updates the one comment on a pull request; tells whether anything had to change.
pub(super) fn comment(context: &Context, pull_request: u64, markdown: &str) -> Result<bool> {
    let body = format!("{COMMENT}\n{}", shortened(markdown));
    let number = pull_request.to_string();
    let answer = process::gh(&context.root, &["pr", "view", &number, "--json", "comments"], None)?;
    let answer: Value = serde_json::from_str(&answer)
        .context("failed to understand what gh knows of the pull request")?;
    let comments = answer["comments"].as_array().cloned().unwrap_or_default();
    // A person who quotes our comment is not us.
    let ours = comments.iter().find(|comment| {
        comment["viewerDidAuthor"] == true
            && comment["body"].as_str().is_some_and(|body| body.trim_start().starts_with(COMMENT))
    });
    let Some(ours) = ours else {
        let path = format!("issues/{number}/comments");
        return send(context, "POST", &path, &json!({ "body": body })).map(|_| true);
    };
    // GitHub ends lines with CR LF where a person edited, and drops the last one.
    let text = |body: &str| body.replace("\r\n", "\n").trim_end().to_owned();
    if ours["body"].as_str().map(text) == Some(text(&body)) {
        return Ok(false);
    }
    let id = ours["url"].as_str().and_then(|url| url.rsplit_once("issuecomment-"));
    let (_, id) = id.context("gh gave a comment without its address")?;
    send(context, "PATCH", &format!("issues/comments/{id}"), &json!({ "body": body }))?;
    Ok(true)
}

/// As many whole lines as fit into a comment.
fn shortened(markdown: &str) -> String {
    if markdown.len() <= LONGEST {
        return markdown.to_owned();
    }
    let mut text = String::new();
    for line in markdown.split_inclusive('\n') {
        if text.len() + line.len() > LONGEST {
            break;
        }
        text += line;
    }
    text + "\nThe rest did not fit here; it is in the artifacts of the run.\n"
}

/// What an issue says of itself in its marker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    case: String,
    metric: String,
    broken: bool,
    /// The relative change that was told.
    effect: Option<f64>,
    /// What is left of it.
    left: Option<f64>,
    /// The points that were told or taken into account.
    points: Vec<String>,
}

/// An issue with our label and a marker.
#[derive(Clone, Debug, PartialEq)]
struct Issue {
    number: u64,
    open: bool,
    body: String,
    state: State,
}

/// What is to be done with one issue.
#[derive(Debug, PartialEq)]
enum Step {
    Nothing,
    /// A comment, if there is something to say; and what the issue is from now on.
    Change {
        comment: Option<String>,
        open: bool,
        state: State,
    },
}

/// All issues of ours.
#[derive(Debug)]
pub(super) struct Issues<'a> {
    context: &'a Context,
    known: Vec<Issue>,
}

impl<'a> Issues<'a> {
    /// Asks for all of them, open and closed.
    pub(super) fn read(context: &'a Context) -> Result<Self> {
        let path = format!("repos/{{owner}}/{{repo}}/issues?labels={LABEL}&state=all&per_page=100");
        let answer = process::gh(&context.root, &["api", "--paginate", &path], None)?;
        let mut known = Vec::new();
        // One list, or one after another, by the version of gh.
        for page in serde_json::Deserializer::from_str(&answer).into_iter::<Vec<Value>>() {
            let page = page.context("failed to understand gh's list of issues")?;
            known.extend(page.iter().filter_map(Issue::of));
        }
        known.sort_by_key(|issue| issue.number);
        Ok(Self { context, known })
    }

    /// Opens the issue of a regression, or tells of it in the one that is there.
    pub(super) fn tell(&mut self, news: &News) -> Result<()> {
        let Some(index) = self.find(&news.case, &news.metric) else {
            let state = State::of(news);
            let body = format!("{}\n\n{}", said(news), state.marker());
            let new = json!({ "title": news.title(), "body": body, "labels": [LABEL] });
            let made = send(self.context, "POST", "issues", &new)?;
            let number = made["number"].as_u64().context("gh gave an issue without its number")?;
            self.known.push(Issue { number, open: true, body, state });
            return Ok(());
        };
        let step = self.known[index].hear(news);
        self.take(index, step)
    }

    /// Closes the issue of a regression that is gone. Without an issue there is nothing to do.
    pub(super) fn recover(&mut self, recovery: &Recovery) -> Result<bool> {
        let Some(index) = self.find(&recovery.case, &recovery.metric) else { return Ok(false) };
        let was_open = self.known[index].open;
        let step = self.known[index].recover(recovery);
        self.take(index, step)?;
        Ok(was_open && !self.known[index].open)
    }

    fn find(&self, case: &str, metric: &str) -> Option<usize> {
        self.known.iter().position(|issue| issue.state.case == case && issue.state.metric == metric)
    }

    /// The comment first: if it fails, the marker does not know of it, and it is tried again.
    fn take(&mut self, index: usize, step: Step) -> Result<()> {
        let Step::Change { comment, open, state } = step else { return Ok(()) };
        let issue = &mut self.known[index];
        let number = issue.number;
        if let Some(comment) = comment {
            let path = format!("issues/{number}/comments");
            send(self.context, "POST", &path, &json!({ "body": comment }))?;
        }
        let body = issue.body.replace(&issue.state.marker(), &state.marker());
        let mut change = json!({ "body": body });
        if open != issue.open {
            change["state"] = if open { "open".into() } else { "closed".into() };
        }
        send(self.context, "PATCH", &format!("issues/{number}"), &change)?;
        *issue = Issue { number, open, body, state };
        Ok(())
    }
}

impl Issue {
    fn of(value: &Value) -> Option<Self> {
        let body = value["body"].as_str()?;
        let (_, marked) = body.split_once(ISSUE)?;
        let (marker, _) = marked.split_once(END)?;
        let state: State = serde_json::from_str(marker).ok()?;
        // The marker as we would write it, so that it is found when it is replaced.
        let body = body.replace(&format!("{ISSUE}{marker}{END}"), &state.marker());
        Some(Self {
            number: value["number"].as_u64()?,
            open: value["state"] == "open",
            body,
            state,
        })
    }

    fn knows(&self, points: &[String]) -> bool {
        points.iter().any(|point| self.state.points.contains(point))
    }

    fn hear(&self, news: &News) -> Step {
        if self.knows(&news.points) {
            return Step::Nothing;
        }
        let mut state = State::of(news);
        if let (true, Some(old), Some(new)) = (self.open, self.state.left, news.effect) {
            state.effect = Some((1.0 + old) * (1.0 + new) - 1.0);
            state.left = state.effect;
        }
        state.points = [self.state.points.clone(), state.points].concat();
        Step::Change { comment: Some(said(news)), open: true, state }
    }

    fn recover(&self, recovery: &Recovery) -> Step {
        if !self.open || self.knows(&recovery.points) {
            return Step::Nothing;
        }
        let mut state = self.state.clone();
        state.points.extend(recovery.points.iter().cloned());
        let at = plain(&recovery.points.join(", "));
        let (gone, word) = match (recovery.effect, self.state.effect, self.state.left) {
            (None, ..) => (true, "Gone: the level is back.".to_owned()),
            (Some(_), ..) if self.state.broken => (true, format!("Gone: it runs again at `{at}`.")),
            (Some(change), Some(effect), Some(left)) if change != 0.0 => {
                let left = (1.0 + left) * (1.0 + change) - 1.0;
                state.left = Some(left);
                (left / effect <= 0.5, format!("Gone: more than half of it is undone at `{at}`."))
            }
            _ => return Step::Nothing,
        };
        Step::Change { comment: gone.then_some(word), open: !gone, state }
    }
}

impl State {
    fn of(news: &News) -> Self {
        Self {
            case: news.case.clone(),
            metric: news.metric.clone(),
            broken: news.kind == Kind::Broken,
            effect: news.effect,
            left: news.effect,
            points: news.points.clone(),
        }
    }

    /// JSON in a comment of HTML, which no text in it can end.
    fn marker(&self) -> String {
        let text = json!(self).to_string().replace('<', "\\u003c").replace('>', "\\u003e");
        format!("{ISSUE}{text}{END}")
    }
}

/// What an issue or a comment in it says; all texts of others are code, which mentions nobody.
fn said(news: &News) -> String {
    let lines = news.details().into_iter().map(|line| format!("- `{line}`\n"));
    format!("`{}`\n\n{}", news.title(), lines.collect::<String>())
}

/// One call of GitHub's API for the repository, with this JSON.
fn send(context: &Context, method: &str, path: &str, body: &Value) -> Result<Value> {
    let path = format!("repos/{{owner}}/{{repo}}/{path}");
    let args = ["api", "--method", method, &path, "--input", "-"];
    let answer = process::gh(&context.root, &args, Some(&body.to_string()))?;
    serde_json::from_str(&answer).map_err(|e| anyhow!("failed to understand gh's answer: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(effect: Option<f64>) -> Issue {
        let case = "a-->b".to_owned();
        let points = vec!["one".to_owned()];
        let broken = effect.is_none();
        let state = State { case, metric: "latency".into(), broken, effect, left: effect, points };
        Issue { number: 7, open: true, body: format!("text {} more", state.marker()), state }
    }

    fn recovery(point: &str, effect: Option<f64>) -> Recovery {
        Recovery { case: "a".into(), metric: "latency".into(), points: vec![point.into()], effect }
    }

    /// Whether the issue is open after a recovery; nothing if nothing is done.
    #[track_caller]
    fn check(effect: Option<f64>, recovery: &Recovery, expected: Option<bool>) {
        let open = match issue(effect).recover(recovery) {
            Step::Nothing => None,
            Step::Change { open, .. } => Some(open),
        };
        assert_eq!(open, expected);
    }

    #[test]
    fn an_issue_is_closed_when_more_than_half_is_undone() {
        check(Some(0.10), &recovery("two", Some(-0.08)), Some(false));
        check(Some(0.10), &recovery("two", Some(-0.01)), Some(true));
        check(Some(0.10), &recovery("two", Some(0.0)), None);
        check(Some(0.10), &recovery("one", Some(-0.08)), None);
        check(Some(0.10), &recovery("two", None), Some(false));
        check(None, &recovery("two", Some(0.0)), Some(false));
    }

    #[test]
    fn steps_back_add_up() {
        let mut issue = issue(Some(0.10));
        for (point, open) in [("two", true), ("three", true), ("four", false)] {
            let step = issue.recover(&recovery(point, Some(-0.02)));
            let Step::Change { open: found, state, .. } = step else { panic!("{step:?}") };
            assert_eq!(found, open, "{point}: {state:?}");
            issue.state = state;
        }
    }

    #[test]
    fn a_marker_is_read_back_whatever_the_case_is_called() {
        let issue = issue(Some(0.25));
        let value = json!({ "number": 7, "state": "open", "body": issue.body });
        assert_eq!(Issue::of(&value), Some(issue));
        assert_eq!(
            Issue::of(&json!({ "number": 8, "state": "open", "body": "of a person" })),
            None
        );
    }

    #[test]
    fn a_comment_that_is_too_long_ends_at_a_line() {
        let text = shortened(&"0123456789\n".repeat(10_000));
        assert!(text.len() <= LONGEST + 100 && text.contains("0123456789\n\nThe rest"));
        assert_eq!(shortened("short\n"), "short\n");
    }
}
