//! The language of `wirepatch ctl` and the appliance: one JSON object a line, one answer for each
//! request.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

/// A request line is short; a longer one is not from `ctl`.
pub(crate) const REQUEST_BYTES_MAX: u64 = 4_096;

/// An answer lists at most every patch.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A question to the appliance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Ports, workers, plan, drops.
    Status,
    /// Each patch with its counters.
    Patches,
    /// Tracked connections by worker.
    Flows,
    /// Load the patches anew.
    Reload,
    /// Set a group's mode until the next reload.
    Mode {
        /// Which group.
        group: String,
        /// Observe instead of enforce.
        observe: bool,
    },
}

/// Its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The request was carried out.
    Ok(serde_json::Value),
    /// The request was refused, and nothing was changed.
    Error(String),
}

/// Asks a running appliance.
pub fn ask(socket: &Path, request: &Request) -> Result<Response> {
    let shown = socket.display();
    let mut stream = UnixStream::connect(socket).with_context(|| {
        format!(
            "no appliance answers on {shown}: start `wirepatch run`, or name its \
                 `control.socket` with --socket"
        )
    })?;
    // A reload compiles and tests every patch before it answers.
    stream.set_read_timeout(Some(Duration::from_secs(300))).context("setting a time limit")?;
    let mut line = serde_json::to_string(request).context("writing the request")?;
    line.push('\n');
    stream.write_all(line.as_bytes()).with_context(|| format!("writing to {shown}"))?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_BYTES_MAX))
        .read_line(&mut answer)
        .with_context(|| format!("reading from {shown}"))?;
    if answer.is_empty() {
        bail!("the appliance closed {shown} without an answer");
    }
    serde_json::from_str(&answer)
        .with_context(|| format!("{shown} does not speak wirepatch's language"))
}
