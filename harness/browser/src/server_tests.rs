//! The server against hostile requests, sent byte by byte as no browser would send them.

use super::Server;
use crate::clock::timed;
use crate::content::Content;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A running server with its address taken apart.
struct Tried {
    server: Server,
    host: String,
    token: String,
}

impl Tried {
    fn new() -> Self {
        let server = Server::start(([127, 0, 0, 1], 0).into(), None).unwrap();
        let (host, rest) = server.url().strip_prefix("http://").unwrap().split_once('/').unwrap();
        let (host, token) = (host.to_owned(), rest.trim_end_matches('/').to_owned());
        Self { server, host, token }
    }

    /// The whole answer to a request.
    fn send(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // The server may have answered and closed before all of it was sent.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> String {
        let headers: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        self.send(format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").as_bytes())
    }

    fn get(&self, path: &str) -> String {
        self.get_with(path, &[("Host", &self.host)])
    }

    fn own(&self, path: &str) -> String {
        format!("/{}/{path}", self.token)
    }
}

#[track_caller]
fn check(answer: &str, status: u16) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status} expected: {answer}");
}

#[test]
fn the_page_is_served_with_a_strict_policy() {
    let tried = Tried::new();
    let answer = tried.get(&tried.own(""));
    check(&answer, 200);
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'",
        "frame-ancestors 'none'",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-embedder-policy: require-corp",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(answer.contains(header), "{header} in {answer}");
    }
    check(&tried.get(&tried.own("main.js")), 200);
    check(&tried.get(&tried.own("other.js")), 404);
}

#[test]
fn nothing_is_served_without_the_token() {
    let tried = Tried::new();
    let other = "0".repeat(tried.token.len());
    let longer = format!("/{}0/", tried.token);
    let cut = format!("/{}/", &tried.token[1..]);
    for path in ["/", "/main.js", &format!("/{other}/"), &longer, &cut, "//", "/%00/"] {
        check(&tried.get(path), 404);
    }
}

#[test]
fn no_path_leaves_what_is_served() {
    let tried = Tried::new();
    for path in [
        "../Cargo.toml",
        "..%2fCargo.toml",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "./main.js",
        "main.js%00",
        "content/../../main.js",
        "content/99999999999",
        "content/-1",
    ] {
        let answer = tried.get(&tried.own(path));
        assert!(!answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}: {answer}");
    }
}

/// A name that somebody points at this machine, and the pages of others.
#[test]
fn other_hosts_and_other_origins_are_refused() {
    let tried = Tried::new();
    let page = tried.own("");
    check(&tried.get_with(&page, &[("Host", "evil.example")]), 421);
    check(&tried.get_with(&page, &[("Host", "127.0.0.1")]), 421);
    check(&tried.get_with(&page, &[]), 421);
    for origin in ["http://evil.example", "null", "file://", "", "http://127.0.0.1"] {
        check(&tried.get_with(&page, &[("Host", &tried.host), ("Origin", origin)]), 403);
    }
    let own = format!("http://{}", tried.host);
    check(&tried.get_with(&page, &[("Host", &tried.host), ("Origin", &own)]), 200);
}

#[test]
fn a_channel_is_taken_by_one_browser_only() {
    let tried = Tried::new();
    let path = tried.own("channel");
    let own = format!("http://{}", tried.host);
    let upgrade = [
        ("Host", tried.host.as_str()),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    check(&tried.get_with(&path, &upgrade), 403);
    let request = |origin: &str| {
        let headers = upgrade.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect::<String>();
        format!("GET {path} HTTP/1.1\r\n{headers}Origin: {origin}\r\n\r\n")
    };
    check(&tried.send(request("http://evil.example").as_bytes()), 403);
    let nobody = tried.server.wait(Duration::from_millis(20), || Ok(())).unwrap_err();
    assert_eq!(nobody, "no page connected within 20ms");
    let limit = Duration::from_secs(30);
    let (gone, took) = timed(|| tried.server.wait(limit, || Err("it crashed".into())));
    assert_eq!(gone.unwrap_err(), "it crashed");
    assert!(took < limit / 2, "a browser that is gone is not waited for");
    let mut first = TcpStream::connect(&tried.host).unwrap();
    first.write_all(request(&own).as_bytes()).unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    tried.server.wait(Duration::from_secs(5), || Ok(())).unwrap();
    check(&tried.send(request(&own).as_bytes()), 409);
    // The page goes, and whoever asks it is told.
    drop(first);
    let asked = tried.server.ask(vec![0; 4], Duration::from_secs(5));
    assert!(asked.is_err_and(|why| why.contains("gone")));
}

#[test]
fn content_is_given_by_ranges_within_it_and_not_for_long() {
    let tried = Tried::new();
    let sizes = [4, 4];
    tried.server.offer(7, Content::new(sizes, Box::new(|piece| Ok(vec![b'a' + piece as u8; 4]))));
    let range = |range: &str| {
        tried.get_with(&tried.own("content/7"), &[("Host", &tried.host), ("Range", range)])
    };
    let answer = range("bytes=2-5");
    check(&answer, 206);
    assert!(answer.ends_with("aabb") && answer.contains("content-range: bytes 2-5/8"), "{answer}");
    for bad in ["bytes=0-8", "bytes=5-4", "bytes=-1", "bytes=0-99999999999999999999", "x"] {
        check(&range(bad), 416);
    }
    check(&tried.get(&tried.own("content/7")), 416);
    tried.server.withdraw(7);
    check(&range("bytes=0-3"), 404);
}

#[test]
fn other_methods_large_bodies_and_noise_are_refused() {
    let tried = Tried::new();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let path = tried.own("");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            tried.host
        );
        check(&tried.send(request.as_bytes()), 405);
    }
    let huge = format!("GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(1 << 20), tried.host);
    assert!(!tried.send(huge.as_bytes()).starts_with("HTTP/1.1 200"));
    assert!(!tried.send(&[0xff; 4096]).starts_with("HTTP/1.1 200"));
    // It still serves.
    check(&tried.get(&tried.own("")), 200);
}
