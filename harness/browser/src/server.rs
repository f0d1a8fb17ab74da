//! The HTTP server of one page: it serves the page's files and weights, and takes the page's channel.
//!
//! Loopback unless it is told otherwise, a random port, a token in every path, and only requests whose `Host` and
//! `Origin` are this server's own: no other page of the browser, and no name that somebody points at this machine,
//! reaches anything.

use crate::content::{Content, parse_range};
use crate::wire::{self, Message};
use crate::{clock, page, secret};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message as Frame, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;
use tokio::sync::{mpsc as commands, oneshot};

/// The largest message that a page may send: outputs of a model, and no more.
const MESSAGE_BYTES_MAX: usize = 1 << 30;
/// The largest range that is given at once.
const RANGE_BYTES_MAX: u64 = 64 << 20;
/// Between two looks at a browser whose page is awaited.
const LOOK: Duration = Duration::from_secs(1);

/// A command on its way, and where its answer goes.
struct Asked {
    bytes: Vec<u8>,
    answer: mpsc::Sender<Result<Message, String>>,
}

/// Whether a page has come, and whether it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Awaited,
    Here,
    Gone,
}

struct Shared {
    token: String,
    hosts: Vec<String>,
    contents: Mutex<HashMap<u32, Arc<Content>>>,
    presence: Mutex<Presence>,
    changed: Condvar,
    /// Taken by the first page that connects: a link works once.
    commands: Mutex<Option<commands::UnboundedReceiver<Asked>>>,
    policy: HeaderValue,
}

impl Shared {
    fn set(&self, presence: Presence) {
        *self.presence.lock().unwrap_or_else(PoisonError::into_inner) = presence;
        self.changed.notify_all();
    }

    fn take_commands(&self) -> Option<commands::UnboundedReceiver<Asked>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn content(&self, program: u32) -> Option<Arc<Content>> {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.get(&program).map(Arc::clone)
    }
}

/// A running server. It ends when it is dropped.
pub(crate) struct Server {
    url: String,
    shared: Arc<Shared>,
    ask: commands::UnboundedSender<Asked>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// Listens on an address; port 0 takes a free one. `host` is the name by which pages reach it, if it is not the
    /// address.
    pub(crate) fn start(address: SocketAddr, host: Option<&str>) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("failed to listen on {address}: {e}");
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let own = address.to_string();
        let mut hosts: Vec<_> = host.map(str::to_owned).into_iter().collect();
        hosts.push(own.clone());
        if address.ip().is_loopback() {
            hosts.push(format!("localhost:{}", address.port()));
        }
        let token = secret::token()?;
        let (ask, receiver) = commands::unbounded_channel();
        let shared = Arc::new(Shared {
            policy: policy(&hosts),
            token: token.clone(),
            hosts,
            contents: Mutex::default(),
            presence: Mutex::new(Presence::Awaited),
            changed: Condvar::new(),
            commands: Mutex::new(Some(receiver)),
        });
        let (stop, stopped) = oneshot::channel();
        let router = router(Arc::clone(&shared));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("it listens");
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        });
        let host = host.unwrap_or(&own);
        let url = format!("http://{host}/{token}/");
        Ok(Self { url, shared, ask, stop: Some(stop), thread: Some(thread) })
    }

    /// The page's address. Whoever has it can be the page.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until a page has connected. `alive` is asked now and then whether one can still come.
    pub(crate) fn wait(
        &self,
        timeout: Duration,
        mut alive: impl FnMut() -> Result<(), String>,
    ) -> Result<(), String> {
        let start = clock::start();
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            match self.presence_within(left.min(LOOK)) {
                Presence::Here => return Ok(()),
                Presence::Gone => return Err("the page came and went".into()),
                Presence::Awaited if left.is_zero() => {
                    return Err(format!("no page connected within {timeout:?}"));
                }
                Presence::Awaited => alive()?,
            }
        }
    }

    /// Whether a page is there as soon as one has come, and otherwise at the end of this time.
    fn presence_within(&self, time: Duration) -> Presence {
        let presence = self.shared.presence.lock().unwrap_or_else(PoisonError::into_inner);
        let awaited = |presence: &mut Presence| *presence == Presence::Awaited;
        let waited = self.shared.changed.wait_timeout_while(presence, time, awaited);
        waited.map_or(Presence::Awaited, |(presence, _)| *presence)
    }

    /// Serves the bytes of a program's buffers.
    pub(crate) fn offer(&self, program: u32, content: Content) {
        let mut contents = self.shared.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.insert(program, Arc::new(content));
    }

    /// Serves them no longer.
    pub(crate) fn withdraw(&self, program: u32) {
        let mut contents = self.shared.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.remove(&program);
    }

    /// Sends a framed command and waits for its answer.
    pub(crate) fn ask(&self, bytes: Vec<u8>, timeout: Duration) -> Result<Message, String> {
        let (answer, answered) = mpsc::channel();
        let gone = || "the page is gone: the browser closed it, or its process ended".to_owned();
        self.ask.send(Asked { bytes, answer }).map_err(|_| gone())?;
        match answered.recv_timeout(timeout) {
            Ok(message) => message,
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(gone()),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(format!("the page did not answer within {timeout:?}"))
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the page may do: run its own scripts and speak with its own server.
fn policy(hosts: &[String]) -> HeaderValue {
    let sockets: Vec<_> = hosts.iter().map(|host| format!("ws://{host} wss://{host}")).collect();
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        sockets.join(" ")
    );
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/{token}/", get(file))
        .route("/{token}/{name}", get(file))
        .route("/{token}/channel", get(channel))
        .route("/{token}/content/{program}", get(content))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

/// Lets through what has the token, the host and the origin of this server, and says what browsers may do with it.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&shared, &request) {
        Some(status) => status.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, shared.policy.clone());
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(shared: &Shared, request: &Request) -> Option<StatusCode> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let ours = |host: &str| shared.hosts.iter().any(|own| own == host);
    if !text(header::HOST).is_some_and(ours) {
        return Some(StatusCode::MISDIRECTED_REQUEST);
    }
    // Scripts of other pages send their origin with everything that they may read.
    if request.headers().contains_key(header::ORIGIN) {
        let origin = text(header::ORIGIN).unwrap_or_default();
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !host.is_some_and(ours) {
            return Some(StatusCode::FORBIDDEN);
        }
    }
    let token = request.uri().path().split('/').nth(1).unwrap_or_default();
    // The same answer as for what does not exist: it tells nothing.
    (!secret::equal(token, &shared.token)).then_some(StatusCode::NOT_FOUND)
}

async fn file(Path(parts): Path<Vec<String>>) -> Response {
    match page::find(parts.get(1).map_or("", String::as_str)) {
        Some(file) => ([(header::CONTENT_TYPE, file.mime)], file.text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn content(
    State(shared): State<Arc<Shared>>,
    Path((_, program)): Path<(String, u32)>,
    headers: HeaderMap,
) -> Response {
    let Some(content) = shared.content(program) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let range = range.and_then(|range| parse_range(range, content.len()));
    let Some(range) = range.filter(|range| range.end - range.start <= RANGE_BYTES_MAX) else {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    };
    let said = format!("bytes {}-{}/{}", range.start, range.end - 1, content.len());
    let read = tokio::task::spawn_blocking(move || content.read(&range)).await;
    match read.unwrap_or_else(|e| Err(e.to_string())) {
        Ok(bytes) => {
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_RANGE, said),
            ];
            (StatusCode::PARTIAL_CONTENT, headers, Body::from(bytes)).into_response()
        }
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
    }
}

/// The channel. Browsers send an origin with it, and one without is no browser.
async fn channel(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    if !request.headers().contains_key(header::ORIGIN) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(refused) => return refused.into_response(),
    };
    let Some(commands) = shared.take_commands() else {
        return StatusCode::CONFLICT.into_response();
    };
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    upgrade.on_upgrade(move |socket| async move {
        shared.set(Presence::Here);
        speak(socket, commands).await;
        shared.set(Presence::Gone);
    })
}

/// Sends commands and hands their answers back until either side goes.
async fn speak(mut socket: WebSocket, mut commands: commands::UnboundedReceiver<Asked>) {
    loop {
        let asked = tokio::select! {
            asked = commands.recv() => asked,
            // Nothing was asked, so whatever comes now is an end.
            _ = socket.recv() => None,
        };
        let Some(Asked { bytes, answer }) = asked else { return };
        if socket.send(Frame::Binary(Bytes::from(bytes))).await.is_err() {
            return;
        }
        let message = loop {
            match socket.recv().await {
                Some(Ok(Frame::Binary(bytes))) => break wire::decode(&bytes),
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
                Some(Ok(Frame::Text(_))) => break Err("the page sent text".into()),
                // The sender goes with this task, which tells whoever waits.
                Some(Ok(Frame::Close(_)) | Err(_)) | None => return,
            }
        };
        // Whoever asked may have given up meanwhile.
        let _ = answer.send(message);
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
