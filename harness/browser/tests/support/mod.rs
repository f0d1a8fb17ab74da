//! A tiny web server for the tests of browsers, and looks at the processes of this system.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A page says once that it ran and what it is in, and then that it still runs.
const PAGE: &str = r#"<!doctype html><title>page</title><script>
    const page = location.search.slice(1);
    const facts = [navigator.userAgent, !!navigator.gpu, !!navigator.ml, isSecureContext];
    fetch(`/ran?${page}&${facts.map(encodeURIComponent).join("&")}`);
    setInterval(() => fetch(`/beat?${page}`), 20);
</script>"#;
const ALERT: &str =
    r#"<!doctype html><script>fetch(`/alerts${location.search}`); alert("look here")</script>"#;
/// It holds as many bytes as it is told and says when it does.
const HOLDING: &str = r#"<!doctype html><script>
    window.held = new Uint8Array(Number(location.search.slice(1))).fill(1);
    fetch(`/held${location.search}`);
</script>"#;
const ENDLESS: &str =
    r#"<!doctype html><script>fetch("/ran?endless"); setTimeout(() => { for (;;); }, 50)</script>"#;

/// A server on this machine that keeps what it was asked for, and when.
pub(crate) struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Server {
    pub(crate) fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || answer(stream, &kept));
            }
        });
        Server { port, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// When it was first asked for a path that begins so, and the whole path; fails after 20 s.
    #[track_caller]
    pub(crate) fn wait_for(&self, begin: &str) -> (Instant, String) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            let found =
                self.asked.lock().unwrap().iter().find(|(_, p)| p.starts_with(begin)).cloned();
            if let Some(found) = found {
                return found;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("nobody asked for {begin}, but for {:?}", self.asked.lock().unwrap());
    }

    /// How often it was asked for a path that begins so.
    pub(crate) fn count(&self, begin: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(_, path)| path.starts_with(begin)).count()
    }
}

fn answer(stream: TcpStream, asked: &Mutex<Vec<(Instant, String)>>) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut header = String::from("-");
        while !header.trim().is_empty() {
            header.clear();
            if reader.read_line(&mut header).unwrap_or(0) == 0 {
                return;
            }
        }
        let body = match path.split('?').next().unwrap_or_default() {
            "/page" => PAGE,
            "/alert" => ALERT,
            "/holding" => HOLDING,
            "/endless" => ENDLESS,
            _ => "",
        };
        asked.lock().unwrap().push((Instant::now(), path));
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length";
        if writer.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).is_err() {
            return;
        }
    }
}

/// Fails if a process of these ids lives, or any that names the folder, or the folder itself is there.
#[track_caller]
pub(crate) fn assert_gone(folder: &Path, processes: &[u32]) {
    assert!(!folder.exists(), "{} is still there", folder.display());
    let mark = folder.to_str().unwrap().as_bytes();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(pid) = name.parse::<u32>() else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let is_dead = stat.rsplit(") ").next().is_none_or(|rest| rest.starts_with(['Z', 'X']));
        if is_dead || pid == std::process::id() {
            continue;
        }
        assert!(!processes.contains(&pid), "a process of the browser lives: {stat}");
        for what in ["environ", "cmdline"] {
            let text = fs::read(entry.path().join(what)).unwrap_or_default();
            let names = text.windows(mark.len()).any(|part| part == mark);
            assert!(!names, "a process names the folder in its {what}: {stat}");
        }
    }
}
