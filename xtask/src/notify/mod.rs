//! `notify`: carries verdicts to people: a comment, issues, e-mail, a webhook. Each regression is told once on each.

mod github;
mod ledger;
mod mail;
mod news;
mod secret;
mod webhook;

use crate::context::Context;
use crate::env;
use crate::output;
use crate::output::tell;
use anyhow::{Context as _, Result, bail};
use ledger::Ledger;
pub(crate) use ledger::damaged;
use lettre::Address;
use news::{Found, News};
use proofmark::exit;
use secret::Secrets;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `notify`.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("input").required(true)))]
#[command(group(clap::ArgGroup::new("channel").required(true).multiple(true)))]
pub(crate) struct Args {
    /// The gate.json of a gate; its gate.md is beside it
    #[arg(long, value_name = "FILE", group = "input")]
    gate: Option<PathBuf>,
    /// Change points, as `history --format json` prints them
    #[arg(long, value_name = "FILE", group = "input")]
    history: Option<PathBuf>,
    /// Put gate.md into one comment on this pull request, or update it there
    #[arg(long, value_name = "NUMBER", group = "channel", conflicts_with = "history")]
    github_comment: Option<u64>,
    /// Open an issue for each regression, and close those of regressions that are gone
    #[arg(long, group = "channel")]
    github_issue: bool,
    /// Send e-mail to this address, through the server in PROOFMARK_SMTP_URL; may be repeated
    #[arg(long, value_name = "ADDRESS", group = "channel")]
    email: Vec<Address>,
    /// Post JSON to the address in PROOFMARK_WEBHOOK_URL
    #[arg(long, group = "channel")]
    webhook: bool,
    /// Print what would be told, and tell nobody
    #[arg(long)]
    dry_run: bool,
}

/// A way to people.
#[derive(Debug)]
enum Channel {
    Comment { pull_request: u64, markdown: String },
    Issues,
    Email(Address),
    Webhook,
}

impl Args {
    /// Tells on every channel; one that fails stops no other.
    pub(crate) fn run(self, context: &Context) -> Result<ExitCode> {
        let found = self.read()?;
        let channels = self.channels()?;
        let mut ledger = Ledger::open(&context.state)?;
        let secrets = Secrets::of(env::secrets());
        let mut failed = false;
        for channel in &channels {
            let told = match self.dry_run {
                true => Ok(channel.would_tell(&found, &ledger)),
                false => channel.tell(&found, context, &mut ledger),
            };
            match told {
                Ok(text) => output::print(&text)?,
                Err(error) => {
                    let text = secrets.hide(&format!("{error:#}"));
                    tell!("error: failed to tell by {}: {text}", channel.title());
                    failed = true;
                }
            }
        }
        Ok(if failed { ExitCode::from(exit::FAILED) } else { ExitCode::SUCCESS })
    }

    fn read(&self) -> Result<Found> {
        match (&self.gate, &self.history) {
            (Some(path), _) => news::of_gate(path),
            (None, Some(path)) => news::of_history(path),
            (None, None) => bail!("name --gate or --history"),
        }
    }

    fn channels(&self) -> Result<Vec<Channel>> {
        let mut channels = Vec::new();
        if let (Some(pull_request), Some(gate)) = (self.github_comment, &self.gate) {
            let path = gate.with_file_name("gate.md");
            let markdown = std::fs::read_to_string(&path)
                .with_context(|| format!("failed to read {}", path.display()))?;
            channels.push(Channel::Comment { pull_request, markdown });
        }
        channels.extend(self.github_issue.then_some(Channel::Issues));
        let mut addresses: Vec<&Address> = Vec::new();
        for address in &self.email {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        channels.extend(addresses.into_iter().cloned().map(Channel::Email));
        channels.extend(self.webhook.then_some(Channel::Webhook));
        Ok(channels)
    }
}

impl Channel {
    /// For people.
    fn title(&self) -> String {
        match self {
            Self::Comment { pull_request, .. } => format!("comment on pull request {pull_request}"),
            Self::Issues => "issues".to_owned(),
            Self::Email(address) => format!("e-mail to {address}"),
            Self::Webhook => "webhook".to_owned(),
        }
    }

    /// For the ledger. A comment shows how things are, and is no news.
    fn name(&self) -> String {
        match self {
            Self::Comment { .. } => "github-comment".to_owned(),
            Self::Issues => "github-issue".to_owned(),
            Self::Email(address) => mail::channel(address),
            Self::Webhook => webhook::CHANNEL.to_owned(),
        }
    }

    /// What has not been told here yet.
    fn untold<'a>(&self, found: &'a Found, ledger: &Ledger) -> Vec<&'a News> {
        let name = self.name();
        found.news.iter().filter(|news| !ledger.knows(&name, news)).collect()
    }

    fn would_tell(&self, found: &Found, ledger: &Ledger) -> String {
        if let Self::Comment { markdown, .. } = self {
            return format!("{}: would say\n{markdown}\n", self.title());
        }
        let untold = self.untold(found, ledger);
        let mut text = format!("{}: would tell {}\n", self.title(), untold.len());
        for news in untold {
            let _ = writeln!(text, "  {}\n    {}", news.title(), news.details().join("\n    "));
        }
        if matches!(self, Self::Issues) {
            for recovery in &found.recoveries {
                let (case, metric) = (news::plain(&recovery.case), news::plain(&recovery.metric));
                let _ = writeln!(text, "  would close, if open and undone: {case}: {metric}");
            }
        }
        text
    }

    /// Tells, and keeps what was told.
    fn tell(&self, found: &Found, context: &Context, ledger: &mut Ledger) -> Result<String> {
        let untold = self.untold(found, ledger);
        match self {
            Self::Comment { pull_request, markdown } => {
                let changed = github::comment(context, *pull_request, markdown)?;
                let word = if changed { "updated" } else { "as it was" };
                return Ok(format!("{}: {word}\n", self.title()));
            }
            Self::Issues => return self.tell_issues(&untold, found, context, ledger),
            Self::Email(_) | Self::Webhook if untold.is_empty() => {}
            Self::Email(address) => mail::send(address, &untold)?,
            Self::Webhook => webhook::send(&untold)?,
        }
        ledger.keep(&self.name(), &untold)?;
        Ok(format!("{}: told {}\n", self.title(), untold.len()))
    }

    /// Goes on after an issue that fails.
    fn tell_issues(
        &self,
        untold: &[&News],
        found: &Found,
        context: &Context,
        ledger: &mut Ledger,
    ) -> Result<String> {
        let (mut told, mut closed) = (0, 0);
        let mut faults = Vec::new();
        if !(untold.is_empty() && found.recoveries.is_empty()) {
            let mut issues = github::Issues::read(context)?;
            for news in untold {
                let kept = issues.tell(news).and_then(|()| ledger.keep(&self.name(), &[news]));
                match kept.with_context(|| news.title()) {
                    Ok(()) => told += 1,
                    Err(error) => faults.push(format!("{error:#}")),
                }
            }
            for recovery in &found.recoveries {
                match issues.recover(recovery).with_context(|| recovery.case.clone()) {
                    Ok(ended) => closed += u32::from(ended),
                    Err(error) => faults.push(format!("{error:#}")),
                }
            }
        }
        if !faults.is_empty() {
            bail!("{}", faults.join("; "));
        }
        Ok(format!("{}: told {told}, closed {closed}\n", self.title()))
    }
}
