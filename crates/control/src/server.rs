//! The control socket: a thread that answers one client after the other.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::forms::FilePermissions;
use crate::protocol::{REQUEST_BYTES_MAX, Request, Response};

/// A client that says nothing is sent away, so that the next one is served.
const CLIENT_SILENCE_MAX: Duration = Duration::from_secs(2);

/// A listening control socket; dropping it ends the thread and removes the file.
#[derive(Debug)]
pub struct ControlServer {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Listens on `path`, and answers with `answer` on a thread of its own.
    pub fn start(
        path: PathBuf,
        permissions: FilePermissions,
        answer: impl Fn(Request) -> Response + Send + 'static,
    ) -> Result<Self> {
        let shown = path.display().to_string();
        if UnixStream::connect(&path).is_ok() {
            bail!(
                "{shown}: another appliance answers there; give this one its own `control.socket`"
            );
        }
        if fs::symlink_metadata(&path).is_ok() {
            // Left by an appliance that was killed: nobody answers on it.
            fs::remove_file(&path).with_context(|| format!("removing the stale {shown}"))?;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        // Bind under another name first, so that nobody finds the socket with too wide permissions.
        let draft = path.with_extension(format!("{}.new", std::process::id()));
        let listener = UnixListener::bind(&draft)
            .with_context(|| format!("listening on {}", draft.display()))?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(permissions.0))
            .with_context(|| format!("setting permissions of {shown}"))?;
        fs::rename(&draft, &path).with_context(|| format!("putting {shown} in place"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn({
                let stop = Arc::clone(&stop);
                move || {
                    for client in listener.incoming() {
                        if stop.load(Ordering::Acquire) {
                            return;
                        }
                        if let Ok(client) = client {
                            // A client that went away mid-sentence is its own affair.
                            let _ = serve(&client, &answer);
                        }
                    }
                }
            })
            .context("starting the control thread")?;
        Ok(Self { path, stop, thread: Some(thread) })
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread out of `accept`.
        let woken = UnixStream::connect(&self.path).is_ok();
        if let (true, Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
        let _ = fs::remove_file(&self.path);
    }
}

fn serve(client: &UnixStream, answer: &impl Fn(Request) -> Response) -> Result<()> {
    client.set_read_timeout(Some(CLIENT_SILENCE_MAX)).context("setting a time limit")?;
    client.set_write_timeout(Some(CLIENT_SILENCE_MAX)).context("setting a time limit")?;
    let mut line = String::new();
    BufReader::new(client.take(REQUEST_BYTES_MAX))
        .read_line(&mut line)
        .context("reading a request")?;
    if line.is_empty() {
        return Ok(());
    }
    let response = match serde_json::from_str::<Request>(&line) {
        Ok(request) => answer(request),
        Err(error) => Response::Error(format!("not a request: {error}")),
    };
    let mut out = serde_json::to_string(&response).context("writing the answer")?;
    out.push('\n');
    let mut client = client;
    client.write_all(out.as_bytes()).context("writing the answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ask;

    #[test]
    fn asks_and_answers_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/control.sock");
        let permissions = FilePermissions(0o600);
        let server = ControlServer::start(path.clone(), permissions, |request| {
            let Request::Mode { group, observe } = request else {
                return Response::Error(format!("{request:?}"));
            };
            Response::Ok(serde_json::json!({ "group": group, "observe": observe }))
        })
        .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let request = Request::Mode { group: "web".to_owned(), observe: true };
        let Response::Ok(value) = ask(&path, &request).unwrap() else { panic!("refused") };
        assert_eq!(value, serde_json::json!({ "group": "web", "observe": true }));
        assert!(matches!(ask(&path, &Request::Flows).unwrap(), Response::Error(_)));
        assert!(
            ControlServer::start(path.clone(), permissions, |_| Response::Error(String::new()))
                .is_err()
        );
        drop(server);
        assert!(!path.exists());
        assert!(ask(&path, &Request::Status).unwrap_err().to_string().contains("--socket"));
    }

    #[test]
    fn garbage_and_silence_do_not_stop_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sock");
        let permissions = FilePermissions(0o600);
        let quiet = |_| Response::Ok(serde_json::Value::Null);
        let _server = ControlServer::start(path.clone(), permissions, quiet).unwrap();
        let mut noisy = UnixStream::connect(&path).unwrap();
        noisy.write_all(b"{\"command\":\"explode\"}\n").unwrap();
        let mut said = String::new();
        BufReader::new(&noisy).read_line(&mut said).unwrap();
        assert!(said.contains("not a request"), "{said}");
        let mut long = UnixStream::connect(&path).unwrap();
        let _ = long.write_all(&[b'x'; 10_000]);
        drop(long);
        let _silent = UnixStream::connect(&path).unwrap();
        assert!(matches!(ask(&path, &Request::Status).unwrap(), Response::Ok(_)));
    }
}
