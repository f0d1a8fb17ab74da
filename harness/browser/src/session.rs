//! A WebDriver session as plain calls that block and have a limit: thirtyfour inside a runtime of this thread's own.

use serde_json::{Map, Value};
use std::future::Future;
use std::time::Duration;
use thirtyfour::error::{WebDriverError, WebDriverErrorInner};
use thirtyfour::{Capabilities, WebDriver};
use tokio::runtime::{Builder, Runtime};

/// A session with a driver. Dropping it does not end it: the driver's processes are ended instead.
#[derive(Debug)]
pub(crate) struct Session {
    runtime: Runtime,
    driver: WebDriver,
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A dialog was open; the driver has closed it. Its text.
    Dialog(String),
    /// No answer within the limit.
    TimedOut,
    /// The driver's words.
    Refused(String),
}

impl Session {
    /// Asks the driver at this port for a session.
    pub(crate) fn new(
        port: u16,
        wanted: Map<String, Value>,
        limit: Duration,
    ) -> Result<Session, Fault> {
        let refused = |e: std::io::Error| Fault::Refused(format!("no runtime: {e}"));
        let runtime = Builder::new_current_thread().enable_all().build().map_err(refused)?;
        // A proxy that the environment names is not for a driver of this machine.
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.map_err(|e| Fault::Refused(format!("no HTTP client: {e}")))?;
        let address = format!("http://127.0.0.1:{port}");
        let begun = WebDriver::builder(address, Capabilities::from(wanted)).client(client);
        let driver = within(&runtime, limit, begun.connect())?;
        Ok(Session { runtime, driver })
    }

    /// Begins to load a page in the window; with the page load strategy `none` the answer comes at once.
    pub(crate) fn go(&self, url: &str, limit: Duration) -> Result<(), Fault> {
        within(&self.runtime, limit, self.driver.goto(url))
    }

    /// The address of the page in the window.
    pub(crate) fn address(&self, limit: Duration) -> Result<String, Fault> {
        within(&self.runtime, limit, self.driver.current_url()).map(|address| address.to_string())
    }

    /// Asks for the windows, which a browser that lives can tell.
    pub(crate) fn windows(&self, limit: Duration) -> Result<usize, Fault> {
        within(&self.runtime, limit, self.driver.windows()).map(|windows| windows.len())
    }

    /// Ends the session, and with it a browser that the driver started.
    pub(crate) fn quit(self, limit: Duration) -> Result<(), Fault> {
        within(&self.runtime, limit, self.driver.clone().quit())
    }

    /// What the driver says of this name, at its top level or below another name.
    pub(crate) fn said(&self, path: &[&str]) -> Option<Value> {
        let (first, rest) = path.split_first()?;
        let found = self.driver.capabilities().get(first)?;
        rest.iter().try_fold(found, |value, name| value.get(name)).cloned()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Otherwise thirtyfour would ask the driver, which may hang, to end it. It fails if it has ended.
        let _ = self.driver.clone().leak();
    }
}

fn within<T>(
    runtime: &Runtime,
    limit: Duration,
    command: impl Future<Output = Result<T, WebDriverError>>,
) -> Result<T, Fault> {
    let answer = runtime.block_on(async { tokio::time::timeout(limit, command).await });
    answer.map_err(|_| Fault::TimedOut)?.map_err(|e| match &*e {
        WebDriverErrorInner::UnexpectedAlertOpen(info) => {
            let text = info.value.data.as_ref().and_then(|data| data.get("text")?.as_str());
            Fault::Dialog(text.unwrap_or("a dialog of unknown text").to_owned())
        }
        _ => Fault::Refused(words(&e.to_string())),
    })
}

/// The driver's message in one line, without its stack trace and the labels around it.
fn words(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let before = lines.take_while(|line| !line.starts_with("Stacktrace:") && *line != "Data:");
    let labels = ["Status:", "State:", "Additional info:", "Error:"];
    let kept = before.filter(|line| !labels.iter().any(|label| line.starts_with(label)));
    kept.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_drivers_words_the_message_is_kept() {
        let body = r##"{"value": {"error": "session not created", "message": "this is why\nand more",
            "stacktrace": "#0 0x1 <unknown>\n#1 0x2 <unknown>"}}"##;
        let error = WebDriverError::parse(500, body.to_owned()).to_string();
        assert_eq!(words(&error), "Unable to create WebDriver session: this is why and more");
    }
}
