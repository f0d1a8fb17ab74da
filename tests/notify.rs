//! `notify`: what is told, to whom, and how often; with a mail server and a listener of our own, and a recorder in the
//! place of GitHub.

use crate::listeners::Listener;
use crate::support::xtask;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// Notes its arguments and its input, and answers what lies beside it.
const GH: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
if [ -e fails ]; then echo "HTTP 401: bad credentials $GH_TOKEN" >&2; exit 1; fi
case "$*" in
  "pr view"*) cat comments.json ;;
  *"issues?labels"*) cat issues.json ;;
  *"--input -") printf '{"call": "%s", "input": %s}\n' "$*" "$(cat)" >> calls.jsonl; echo '{"number": 5}' ;;
  *) echo "unexpected: $*" >&2; exit 1 ;;
esac
"#;
const TOKEN: &str = "ghp_0123456789";
const CASE: &str = "bert-tiny/cpu/f32/b1-s16";

/// An empty workspace, and what notify is told of in it.
struct Desk {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Self { folder, variables: vec![("GH_TOKEN", TOKEN.into())] };
        desk.write("Cargo.toml", "[workspace]\n");
        desk.write("gh/gh", GH);
        desk.write("gh/comments.json", r#"{"comments": []}"#);
        desk.write("gh/issues.json", "[]");
        fs::set_permissions(desk.path("gh/gh"), fs::Permissions::from_mode(0o755)).unwrap();
        desk.write("out/gate.md", "## Verdict\n\nOne case regressed.\n");
        desk.gate("aaa", &[("regressed", 0.05), ("improved", -0.1), ("undecided", 0.2)]);
        desk
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.variables.push((name, value));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A gate's result over this head: the first case is `CASE`.
    fn gate(&self, commit: &str, verdicts: &[(&str, f64)]) {
        let case = |(index, (verdict, effect)): (usize, &(&str, f64))| {
            let id = if index == 0 { CASE.to_owned() } else { format!("{CASE}{index}") };
            json!({ "id": id, "metric": "latency", "verdict": verdict, "reason": null, "changed": [], "effect": effect,
                "low": effect - 0.01, "high": effect + 0.01, "p": 0.001, "base_value": 1e6,
                "head_value": 1e6 * (1.0 + effect), "unit": "ns" })
        };
        let cases: Vec<_> = verdicts.iter().enumerate().map(case).collect();
        let gate = json!({ "format": 1, "head": { "revision": null, "commit": commit, "dirty": false }, "cases": cases });
        self.write("out/gate.json", &gate.to_string());
    }

    /// Runs notify; gives what it said, which never holds a secret. Nor does anything that it left behind.
    #[track_caller]
    fn notify(&self, args: &[&str], code: i32) -> String {
        let mut command = xtask(&["notify"]);
        command.args(args).current_dir(self.folder.path()).env("PROOFMARK_GH", self.path("gh/gh"));
        for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().cloned());
        let output = command.output().unwrap();
        let said =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        let ledger = fs::read_to_string(self.path(".proofmark/notified.jsonl")).unwrap_or_default();
        for secret in [TOKEN, "s3cret", "hook-token"] {
            assert!(!said.contains(secret), "{args:?} told a secret: {said}");
            assert!(!ledger.contains(secret), "{args:?} kept a secret: {ledger}");
        }
        said
    }

    /// Calls of GitHub that change something, since the last time.
    fn calls(&self) -> Vec<(String, Value)> {
        let path = self.path("gh/calls.jsonl");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        let calls = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        calls
            .map(|call| (call["call"].as_str().unwrap().to_owned(), call["input"].clone()))
            .collect()
    }
}

const GATE: [&str; 2] = ["--gate", "out/gate.json"];

#[test]
fn a_regression_is_mailed_once_to_each_address() {
    let server = Listener::smtp();
    let url = format!("smtp://user:s3cret@localhost:{}", server.port);
    let desk = Desk::new().with("PROOFMARK_SMTP_URL", url);
    let desk = desk.with("PROOFMARK_SMTP_FROM", "Proofmark <bench@example.org>".into());
    let ann = [&GATE[..], &["--email", "ann@example.org"]].concat();
    desk.notify(&ann, 0);
    let mails = server.take();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert!(mails[0].contains("RCPT TO:<ann@example.org>"), "{}", mails[0]);
    // Long subjects are folded.
    assert!(
        mails[0]
            .replace("\n ", " ")
            .contains(&format!("Subject: Proofmark: {CASE}: latency regressed by 5.00 %")),
        "{}",
        mails[0]
    );
    assert!(
        mails[0].contains("from 1.00 ms to 1.05 ms") && !mails[0].contains("s161"),
        "{}",
        mails[0]
    );
    desk.notify(&ann, 0);
    assert_eq!(server.take().len(), 0, "it was told twice");
    // Somebody else has not been told yet, and a name that is refused keeps nobody from it.
    let all =
        [&ann[..], &["--email", "refused@example.org", "--email", "bob@example.org"]].concat();
    let said = desk.notify(&all, 1);
    assert!(
        said.contains("failed to tell by e-mail to refused@example.org")
            && said.contains("no such mailbox"),
        "{said}"
    );
    let mails = server.take();
    assert!(mails.len() == 1 && mails[0].contains("RCPT TO:<bob@example.org>"), "{mails:?}");
    let ledger = fs::read_to_string(desk.path(".proofmark/notified.jsonl")).unwrap();
    assert!(ledger.lines().count() == 2 && !ledger.contains("example.org"), "{ledger}");
    // The next head is news again.
    desk.gate("bbb", &[("broken", 0.0)]);
    desk.notify(&ann, 0);
    assert!(server.take()[0].replace("\n ", " ").contains("latency is broken"));
}

#[test]
fn a_dead_server_stops_no_other_channel_and_is_told_again() {
    let hook = Listener::http("204 No Content");
    let address = format!("http://127.0.0.1:{}/hook-token", hook.port);
    let server = format!("smtp://user:s3cret@localhost:{}", Listener::dead_port());
    let desk =
        Desk::new().with("PROOFMARK_SMTP_URL", server).with("PROOFMARK_WEBHOOK_URL", address);
    let mut desk = desk.with("PROOFMARK_SMTP_FROM", "bench@example.org".into());
    let args = [&GATE[..], &["--email", "ann@example.org", "--webhook"]].concat();
    let said = desk.notify(&args, 1);
    assert!(
        said.contains("failed to tell by e-mail") && said.contains("webhook: told 1"),
        "{said}"
    );
    assert_eq!(hook.take().len(), 1);
    let server = Listener::smtp();
    desk.variables.push(("PROOFMARK_SMTP_URL", format!("smtp://localhost:{}", server.port)));
    desk.notify(&args, 0);
    assert_eq!((server.take().len(), hook.take().len()), (1, 0));
}

#[test]
fn a_webhook_gets_json_once() {
    let hook = Listener::http("200 OK");
    let address = format!("http://s3cret:s3cret@127.0.0.1:{}/services/hook-token", hook.port);
    let desk = Desk::new().with("PROOFMARK_WEBHOOK_URL", address);
    let args = [&GATE[..], &["--webhook"]].concat();
    desk.notify(&args, 0);
    desk.notify(&args, 0);
    let bodies = hook.take();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let body: Value = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!(body["text"], format!("{CASE}: latency regressed by 5.00 %"));
    assert_eq!(
        (&body["news"][0]["case"], &body["news"][0]["kind"]),
        (&CASE.into(), &"regressed".into())
    );
    assert_eq!(body["news"].as_array().unwrap().len(), 1, "only what is worse is news");
}

#[test]
fn two_commands_at_once_tell_once() {
    let hook = Listener::slow_http();
    let address = format!("http://127.0.0.1:{}/hook-token", hook.port);
    let desk = Desk::new().with("PROOFMARK_WEBHOOK_URL", address);
    let args = [&GATE[..], &["--webhook"]].concat();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| desk.notify(&args, 0));
        }
    });
    assert_eq!(hook.take().len(), 1);
}

#[test]
fn addresses_that_do_not_work_are_errors_without_their_secrets() {
    let broken = Listener::http("500 hook-token is unknown");
    let moved = Listener::http("302 Found");
    let check = |name: &'static str, value: String, channel: &[&str], says: &str| {
        let desk = Desk::new().with("PROOFMARK_SMTP_FROM", "bench@example.org".into());
        let desk = desk.with(name, value);
        let said = desk.notify(&[&GATE[..], channel].concat(), 1);
        assert!(said.contains(says), "{said}");
        assert!(
            !desk.path(".proofmark/notified.jsonl").exists()
                || fs::read(desk.path(".proofmark/notified.jsonl")).unwrap().is_empty()
        );
    };
    let (hook, mail) = ("PROOFMARK_WEBHOOK_URL", "PROOFMARK_SMTP_URL");
    check(
        hook,
        format!("http://127.0.0.1:{}/hook-token", broken.port),
        &["--webhook"],
        "the answer was 500",
    );
    check(
        hook,
        format!("http://127.0.0.1:{}/?key=hook-token", moved.port),
        &["--webhook"],
        "the answer was 302",
    );
    check(
        hook,
        format!("https://127.0.0.1:{}/hook-token", broken.port),
        &["--webhook"],
        "failed to post",
    );
    check(hook, "hook-token of no address".into(), &["--webhook"], "failed to post");
    check(hook, String::new(), &["--webhook"], "PROOFMARK_WEBHOOK_URL is not set");
    let ann = ["--email", "ann@example.org"];
    check(mail, format!("smtps://user:s3cret@127.0.0.1:{}", broken.port), &ann, "failed to send");
    check(mail, "smtp://user:s3cret@mail.example.org".into(), &ann, "in the clear");
    check(
        mail,
        "http://user:s3cret@mail.example.org".into(),
        &ann,
        "failed to read PROOFMARK_SMTP_URL",
    );
    check(mail, "s3cret".into(), &ann, "PROOFMARK_SMTP_URL is no address");
}

#[test]
fn the_comment_is_updated_and_never_repeated() {
    let desk = Desk::new();
    let args = [&GATE[..], &["--github-comment", "12"]].concat();
    desk.notify(&args, 0);
    let calls = desk.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].0, "api --method POST repos/{owner}/{repo}/issues/12/comments --input -");
    let body = calls[0].1["body"].as_str().unwrap();
    assert_eq!(body, "<!-- proofmark-gate -->\n## Verdict\n\nOne case regressed.\n");
    // Beside the quotation of a person.
    let comment = |ours: bool, id: u32| {
        let url = format!("https://github.com/o/r/pull/12#issuecomment-{id}");
        json!({ "body": body.trim_end(), "viewerDidAuthor": ours, "url": url })
    };
    let comments = json!({ "comments": [comment(false, 76), comment(true, 77)] });
    desk.write("gh/comments.json", &comments.to_string());
    assert!(desk.notify(&args, 0).contains("as it was"));
    assert_eq!(desk.calls().len(), 0);
    desk.write("out/gate.md", "All is well.\n");
    desk.notify(&args, 0);
    let calls = desk.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].0, "api --method PATCH repos/{owner}/{repo}/issues/comments/77 --input -");
    assert_eq!(calls[0].1["body"], "<!-- proofmark-gate -->\nAll is well.\n");
}

#[test]
fn an_issue_is_opened_once_and_closed_when_its_regression_is_gone() {
    let desk = Desk::new();
    let args = ["--history", "series.json", "--github-issue"];
    let write = |levels: &[f64]| {
        let change = |(index, pair): (usize, &[f64])| json!({ "before": pair[0], "after": pair[1], "p": 1e-6, "severity": 0.5, "commits": [format!("c{index}")] });
        let changes: Vec<_> = levels.windows(2).enumerate().map(change).collect();
        let series = json!([{ "case": CASE, "endpoint": "cpu", "machine": "m1", "mark": "real", "unit": "ns", "points": 90,
            "change_points": changes }]);
        desk.write("series.json", &series.to_string());
    };
    write(&[1e6, 1.2e6]);
    desk.notify(&args, 0);
    let calls = desk.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].0, "api --method POST repos/{owner}/{repo}/issues --input -");
    let issue = &calls[0].1;
    assert_eq!(issue["title"], format!("{CASE}: latency regressed by 20.0 %"));
    assert_eq!(issue["labels"], json!(["proofmark"]));
    let list = |body: &Value, state: &str| {
        let issues = json!([{ "number": 5, "state": state, "body": body }]).to_string();
        // Two pages, one after the other, as older versions of gh give them.
        desk.write("gh/issues.json", &(issues + "[]"));
    };
    list(&issue["body"], "open");
    desk.notify(&args, 0);
    assert_eq!(desk.calls(), []);
    // Nor is it told again where the ledger is lost: the issue itself knows.
    fs::remove_file(desk.path(".proofmark/notified.jsonl")).unwrap();
    desk.notify(&args, 0);
    assert_eq!(desk.calls(), []);
    // A second step is a comment on the same issue.
    write(&[1e6, 1.2e6, 1.5e6]);
    desk.notify(&args, 0);
    let calls = desk.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[0].0.contains("POST repos/{owner}/{repo}/issues/5/comments"), "{calls:?}");
    assert!(
        calls[1].0.contains("PATCH repos/{owner}/{repo}/issues/5 ")
            && calls[1].1["state"].is_null(),
        "{calls:?}"
    );
    list(&calls[1].1["body"], "open");
    write(&[1e6, 1.2e6, 1.5e6, 1.01e6]);
    desk.notify(&args, 0);
    let calls = desk.calls();
    assert!(calls[0].1["body"].as_str().unwrap().starts_with("Gone"), "{calls:?}");
    assert_eq!((calls.len(), &calls[1].1["state"]), (2, &"closed".into()));
    list(&calls[1].1["body"], "closed");
    desk.notify(&args, 0);
    assert_eq!(desk.calls(), []);
    // It comes back: the same issue is opened again.
    write(&[1e6, 1.2e6, 1.5e6, 1.01e6, 1.4e6]);
    desk.notify(&args, 0);
    let calls = desk.calls();
    assert_eq!((calls.len(), &calls[1].1["state"]), (2, &"open".into()), "{calls:?}");
}

#[test]
fn github_that_refuses_is_told_again() {
    let desk = Desk::new();
    desk.write("gh/fails", "");
    let args = [&GATE[..], &["--github-comment", "12", "--github-issue"]].concat();
    let said = desk.notify(&args, 1);
    assert!(
        said.contains("comment on pull request 12: gh pr view 12") && said.contains("by issues"),
        "{said}"
    );
    assert!(said.contains("bad credentials ***"), "{said}");
    fs::remove_file(desk.path("gh/fails")).unwrap();
    desk.notify(&args, 0);
    assert_eq!(desk.calls().len(), 2);
}

#[test]
fn a_dry_run_tells_nobody() {
    let desk = Desk::new();
    let args = [
        &GATE[..],
        &["--github-comment", "12", "--github-issue", "--email", "ann@example.org", "--webhook"],
    ]
    .concat();
    let dry = [&args[..], &["--dry-run"]].concat();
    let said = desk.notify(&dry, 0);
    assert!(
        said.contains("One case regressed.")
            && said.contains("e-mail to ann@example.org: would tell 1"),
        "{said}"
    );
    assert!(said.contains(&format!("would close, if open and undone: {CASE}1: latency")), "{said}");
    assert_eq!(desk.calls(), []);
    assert_eq!(desk.notify(&dry, 0), said, "a dry run was kept");
}

#[test]
fn input_that_is_no_verdict_is_refused() {
    let desk = Desk::new();
    let check = |file: &str, text: &str, flag: &str, says: &str| {
        desk.write(file, text);
        let said = desk.notify(&[flag, file, "--webhook"], 2);
        assert!(said.contains(says), "{said}");
    };
    check("a.json", "{", "--gate", "a.json is not JSON");
    check("a.json", "[1]", "--gate", "a.json is not a gate.json");
    check(
        "a.json",
        r#"{"format": 2, "cases": []}"#,
        "--gate",
        "of format 2, this version reads up to 1",
    );
    check("a.json", r#"{"format": 1, "cases": []}"#, "--gate", "missing field `head`");
    check("a.json", r#"[{"case": "a"}]"#, "--history", "history --format json");
    let said = desk.notify(&["--gate", "none.json", "--webhook"], 2);
    assert!(said.contains("failed to read none.json"), "{said}");
    fs::remove_file(desk.path("out/gate.md")).unwrap();
    let said = desk.notify(&[&GATE[..], &["--github-comment", "1"]].concat(), 2);
    assert!(said.contains("out/gate.md"), "{said}");
    desk.notify(&GATE, 2);
    desk.notify(&[&GATE[..], &["--email", "nobody"]].concat(), 2);
    desk.notify(&["--history", "a.json", "--github-comment", "1"], 2);
}
