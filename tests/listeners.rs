//! Servers of the tests, each a thread on a port of this machine: one that speaks SMTP, one that speaks HTTP. They keep
//! what they are sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A server; it ends with the test.
pub(crate) struct Listener {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    /// Takes mail. Every command but those of RFC 5321 is refused.
    pub(crate) fn smtp() -> Self {
        Self::start(|stream, received| {
            // A client that goes away in the middle is no mail.
            let _ = speak_smtp(stream, received);
        })
    }

    /// Takes requests, and answers them with this status.
    pub(crate) fn http(status: &'static str) -> Self {
        Self::start(move |stream, received| {
            let _ = speak_http(stream, status, received);
        })
    }

    /// Takes requests, and thinks for half a second about each.
    pub(crate) fn slow_http() -> Self {
        Self::start(|stream, received| {
            thread::sleep(Duration::from_millis(500));
            let _ = speak_http(stream, "200 OK", received);
        })
    }

    /// A port that refuses connections: it was free a moment ago.
    pub(crate) fn dead_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    fn start(speak: impl Fn(&TcpStream, &Mutex<Vec<String>>) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming() {
                speak(&stream.unwrap(), &kept);
            }
        });
        Self { port, received }
    }

    /// What came since the last call: mails with their envelopes, or bodies of requests.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.received.lock().unwrap())
    }
}

fn speak_smtp(mut stream: &TcpStream, received: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    stream.write_all(b"220 here\r\n")?;
    let mut mail = String::new();
    while let Some(line) = lines.next().transpose()? {
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => "250-here\r\n250 AUTH PLAIN",
            "AUTH" => "235 welcome",
            "MAIL" | "RCPT" if line.contains("<refused@") => "550 no such mailbox",
            "MAIL" | "RCPT" => {
                mail += &(line + "\n");
                "250 ok"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n")?;
                for line in lines.by_ref() {
                    let line = line?;
                    if line == "." {
                        break;
                    }
                    mail += &(line + "\n");
                }
                received.lock().unwrap().push(std::mem::take(&mut mail));
                "250 kept"
            }
            "QUIT" => return stream.write_all(b"221 bye\r\n"),
            _ => "502 what?",
        };
        stream.write_all(answer.as_bytes())?;
        stream.write_all(b"\r\n")?;
    }
    Ok(())
}

fn speak_http(
    mut stream: &TcpStream,
    status: &str,
    received: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    received.lock().unwrap().push(String::from_utf8(body).unwrap());
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes())
}
