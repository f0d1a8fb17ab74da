//! E-mail: one message to one address, over SMTP.

use super::news::News;
use crate::env;
use anyhow::{Context as _, Result, bail};
use lettre::message::{Mailbox, header::ContentType};
use lettre::{Address, Message, SmtpTransport, Transport};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::time::Duration;
use url::{Host, Url};

/// For each answer of the server.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The channel's name in the ledger. The ledger may be published, so it does not hold the address.
pub(super) fn channel(address: &Address) -> String {
    format!("email-{}", &digest(address.to_string().to_lowercase().as_bytes())[..16])
}

/// Sends what is news to an address.
pub(super) fn send(address: &Address, news: &[&News]) -> Result<()> {
    let server = env::smtp_url().context(format!("{} is not set", env::SMTP_URL))?;
    let from = env::smtp_from().context(format!("{} is not set", env::SMTP_FROM))?;
    let from: Mailbox =
        from.parse().with_context(|| format!("failed to read {}", env::SMTP_FROM))?;
    refuse_clear_password(&server)?;
    let transport = SmtpTransport::from_url(&server)
        .with_context(|| format!("failed to read {}", env::SMTP_URL))?
        .timeout(Some(TIMEOUT))
        .build();
    let text = text(news);
    // The same news has the same id, so that a mailbox may know it again.
    let id = digest(format!("{address}\n{text}").as_bytes());
    let message = Message::builder()
        .message_id(Some(format!("<{}@{}>", &id[..32], from.email.domain())))
        .from(from)
        .to(address.clone().into())
        .subject(subject(news))
        .header(ContentType::TEXT_PLAIN)
        .body(text)
        .context("failed to write the message")?;
    transport.send(&message).context("failed to send the message")?;
    Ok(())
}

/// A password goes to another machine over TLS only.
fn refuse_clear_password(server: &str) -> Result<()> {
    let Ok(url) = Url::parse(server) else {
        bail!("{} is no address such as smtps://user:password@host:465", env::SMTP_URL)
    };
    let is_here = match url.host() {
        // `smtp` is no scheme that the standard of addresses knows, so that its hosts are texts.
        Some(Host::Domain(name)) => name == "localhost" || name == "127.0.0.1",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let required = url.query_pairs().any(|(key, value)| key == "tls" && value == "required");
    if url.password().is_some() && url.scheme() == "smtp" && !required && !is_here {
        bail!(
            "{} would send the password in the clear: begin it with smtps://, or end it with ?tls=required",
            env::SMTP_URL
        );
    }
    Ok(())
}

fn subject(news: &[&News]) -> String {
    match news {
        [only] => format!("Proofmark: {}", only.title()),
        all => format!("Proofmark: {} regressions", all.len()),
    }
}

fn text(news: &[&News]) -> String {
    let mut text = String::new();
    for news in news {
        let _ = writeln!(text, "{}", news.title());
        for line in news.details() {
            let _ = writeln!(text, "    {line}");
        }
        text.push('\n');
    }
    text
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(server: &str, refused: bool) {
        assert_eq!(refuse_clear_password(server).is_err(), refused, "{server}");
    }

    #[test]
    fn a_password_is_sent_to_other_machines_over_tls_only() {
        check("smtp://user:pass@mail.example", true);
        check("smtp://user:pass@mail.example:587?tls=opportunistic", true);
        check("smtp://user:pass@mail.example:587?tls=required", false);
        check("smtps://user:pass@mail.example", false);
        check("smtp://user:pass@localhost:2525", false);
        check("smtp://user:pass@127.0.0.1:2525", false);
        check("smtp://mail.example", false);
        check("mail.example", true);
    }
}
