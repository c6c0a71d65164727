//! What `-v` and `-vv` say on standard error: what is read, decided and why.

use crate::text::escape::terminal;
use std::io::{self, Write};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the log: `-v` tells what is decided, `-vv` what is read as well.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // Only a second call in one process fails, and the first one's log serves.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_level(false)
        .with_target(false)
        .without_time()
        .with_writer(|| Escaped)
        .finish()
        // What others log may hold a request, and a request a signature.
        .with(Targets::new().with_target(env!("CARGO_CRATE_NAME"), level))
        .try_init();
}

/// Standard error, with hostile names made harmless; an event comes whole.
struct Escaped;

impl Write for Escaped {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        writeln!(io::stderr(), "gocachevet: {}", terminal(text.trim_end()))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
