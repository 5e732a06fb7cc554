//! The log on standard error: one event a line, as text or JSON. Control threads only.

use std::io::Write as _;
use std::time::SystemTime;

use control::{LogFormat, LogLevel, LogSettings};

/// Writes events at or above a level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    level: LogLevel,
    format: LogFormat,
}

impl Log {
    pub(crate) const fn new(settings: &LogSettings) -> Self {
        Self { level: settings.level.0, format: settings.format.0 }
    }

    pub(crate) fn info(self, message: &str) {
        self.write(LogLevel::Info, "info", message);
    }

    pub(crate) fn warn(self, message: &str) {
        self.write(LogLevel::Warn, "warning", message);
    }

    pub(crate) fn error(self, message: &str) {
        self.write(LogLevel::Error, "error", message);
    }

    fn write(self, level: LogLevel, word: &str, message: &str) {
        if level > self.level {
            return;
        }
        let line = match self.format {
            LogFormat::Text => format!("wirepatch: {word}: {message}\n"),
            LogFormat::Json => {
                let time = unix_seconds();
                format!(
                    "{}\n",
                    serde_json::json!({ "time": time, "level": word, "message": message })
                )
            }
        };
        // Where standard error is gone there is nobody to tell.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

/// Now, for logs and for "how long has the fix been out". Never for packets.
#[expect(clippy::disallowed_methods, reason = "the control side's one look at the wall clock")]
pub(crate) fn unix_seconds() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
