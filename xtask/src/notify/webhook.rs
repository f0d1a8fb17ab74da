//! A webhook: what is news as JSON, posted to one address.

use super::news::News;
use crate::env;
use anyhow::{Context as _, Result, bail};
use serde_json::json;
use std::time::Duration;

/// The channel's name in the ledger.
pub(super) const CHANNEL: &str = "webhook";
/// For the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Posts what is news. Only an answer of 2xx counts; nothing is followed elsewhere.
pub(super) fn send(news: &[&News]) -> Result<()> {
    let address = env::webhook_url().context(format!("{} is not set", env::WEBHOOK_URL))?;
    let lines: Vec<_> = news.iter().map(|news| news.title()).collect();
    let body =
        json!({ "source": "proofmark", "format": 1, "text": lines.join("\n"), "news": news });
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false);
    let request = ureq::Agent::new_with_config(config.build())
        .post(&address)
        .content_type("application/json");
    let answer = request.send(body.to_string()).context("failed to post")?;
    if !answer.status().is_success() {
        bail!("the answer was {}", answer.status());
    }
    Ok(())
}
