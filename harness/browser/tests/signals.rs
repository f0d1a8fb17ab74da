//! A process that a signal ends takes the browser with it that it had started for itself.
//! A browser that is absent is told and passed over.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "the pages that it serves are for other tests")]
mod support;

use proofmark_browser::{BrowserEndpoint, Interface, Kind, Wishes};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use support::assert_gone;

const ENDPOINTS: [BrowserEndpoint; 2] = [
    BrowserEndpoint::new("webgpu-chromium", Kind::Chromium, Interface::WebGpu),
    BrowserEndpoint::new("webgpu-firefox", Kind::Firefox, Interface::WebGpu),
];
/// Names the endpoint to the process that is to be ended.
const OPEN: &str = "PROOFMARK_SIGNALS_OPEN";

/// Not a test: the process that is ended while it has a browser.
#[test]
#[ignore = "waits to be ended by another test"]
fn owner() {
    let Ok(name) = std::env::var(OPEN) else { return };
    let endpoint = ENDPOINTS.iter().find(|endpoint| endpoint.name == name).unwrap();
    match endpoint.open(None, Wishes::default()) {
        Err(why) => println!("\nabsent: {why}"),
        Ok(_device) => {
            println!("\nopen");
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        }
    }
}

#[test]
fn a_signal_ends_the_browser_too() {
    for (endpoint, signal) in ENDPOINTS.iter().zip(["INT", "TERM"]) {
        let parent = tempfile::tempdir().unwrap();
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "owner", "--ignored", "--nocapture"])
            .env(OPEN, endpoint.name)
            .env("TMPDIR", parent.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
        let said = lines.find(|line| line == "open" || line.starts_with("absent: ")).unwrap();
        if said != "open" {
            println!("not tested: {said}");
            owner.wait().unwrap();
            continue;
        }
        let mut folders = fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().path());
        let folder = folders.find(|f| f.join("short").is_symlink()).unwrap();
        let ended = Command::new("kill").args(["-s", signal, &owner.id().to_string()]).status();
        assert!(ended.unwrap().success());
        let status = owner.wait().unwrap();
        assert_eq!(status.signal(), Some(if signal == "INT" { 2 } else { 15 }), "{status}");
        assert_gone(&folder, &[]);
    }
}
