use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError};

/// Standard output that ends a guest which floods it.
///
/// The library's own pipe only reports that it is full, which a guest is free
/// to ignore and try again for ever.
#[derive(Clone)]
pub(super) struct BoundedOutput {
    pipe: MemoryOutputPipe,
    flooded: Arc<AtomicBool>,
}

impl BoundedOutput {
    /// Takes up to `bytes`.
    pub(super) fn new(bytes: usize) -> BoundedOutput {
        BoundedOutput {
            // One more, so that output which just fits is not a flood.
            pipe: MemoryOutputPipe::new(bytes.saturating_add(1)),
            flooded: Arc::default(),
        }
    }

    pub(super) fn flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    pub(super) fn contents(&self) -> Vec<u8> {
        self.pipe.contents().to_vec()
    }
}

impl IsTerminal for BoundedOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for BoundedOutput {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.pipe.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for BoundedOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for BoundedOutput {
    fn write(&mut self, bytes: Bytes) -> Result<(), StreamError> {
        self.pipe.write(bytes)
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> Result<usize, StreamError> {
        self.pipe.check_write().map_err(|_| {
            self.flooded.store(true, Ordering::Relaxed);
            StreamError::trap("over the output bound")
        })
    }
}
