use super::output::BoundedOutput;
use super::{Bounds, SandboxError, compiled};
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;
use wasmtime::error::format_err;
use wasmtime::{Config, Engine, Linker, Module, ResourceLimiter, Store, Trap};
use wasmtime_wasi::filesystem::FsPerms;
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

/// How long a guest may take to notice that its time is up. A call into the
/// host (a sleep, a read) is not interrupted; the guest is then left behind.
const NOTICE: Duration = Duration::from_secs(1);

/// Standard error is for people: what is beyond this is cut off.
const MAX_STDERR: usize = 256 * 1024;

/// Entries in a table: function pointers. A module of ours has some thousands.
const MAX_TABLE: usize = 1_000_000;

/// What a guest is given; nothing else reaches it: no environment, no network.
#[derive(Clone, Debug, Default)]
pub struct Guest {
    /// Its arguments, the name of the program first.
    pub args: Vec<String>,
    /// Folders it may read: here, and under which name it sees them.
    pub folders: Vec<(PathBuf, String)>,
    /// Its standard input.
    pub stdin: Vec<u8>,
}

/// How a guest ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code.
    pub status: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, cut off after 256 KiB.
    pub stderr: Vec<u8>,
}

/// Runs `module` (WASI preview 1) as `guest` within `bounds`.
///
/// It sees its folders read-only, its arguments, its input and the clocks.
///
/// # Errors
/// The module cannot be compiled or set up, traps, or goes over a bound.
pub fn run(module: &[u8], guest: Guest, bounds: &Bounds) -> Result<Finished, SandboxError> {
    let engine = engine()?;
    let (done, result) = sync_channel(1);
    let thread = std::thread::Builder::new().name("guest".to_owned());
    let (module, limits) = (module.to_vec(), *bounds);
    let guest_engine = engine.clone();
    thread
        .spawn(move || {
            // Nobody listens any more after the time was up.
            let _ = done.send(run_here(&guest_engine, &module, guest, &limits));
        })
        .map_err(|error| SandboxError::Setup(error.to_string()))?;
    match result.recv_timeout(bounds.time) {
        Ok(finished) => finished,
        Err(RecvTimeoutError::Timeout) => {
            engine.increment_epoch();
            let _ = result.recv_timeout(NOTICE);
            Err(SandboxError::Time(bounds.time))
        }
        Err(RecvTimeoutError::Disconnected) => {
            Err(SandboxError::Setup("the guest's thread died".to_owned()))
        }
    }
}

fn engine() -> Result<Engine, SandboxError> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.cache(compiled::cache());
    Engine::new(&config).map_err(|error| setup(&error))
}

fn run_here(
    engine: &Engine,
    module: &[u8],
    guest: Guest,
    bounds: &Bounds,
) -> Result<Finished, SandboxError> {
    let module = Module::from_binary(engine, module)
        .map_err(|error| SandboxError::Module(format!("{error:#}")))?;
    let stdout = BoundedOutput::new(bounds.output);
    let stderr = MemoryOutputPipe::new(MAX_STDERR);
    let mut wasi = WasiCtxBuilder::new();
    // Files are read where the guest runs; another thread for each call would
    // make every one of them many times slower.
    wasi.allow_blocking_current_thread(true)
        .args(&guest.args)
        .stdin(MemoryInputPipe::new(guest.stdin))
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    for (here, there) in &guest.folders {
        wasi.preopened_dir(here, there, FsPerms::ReadOnly)
            .map_err(|error| SandboxError::Setup(format!("{}: {error}", here.display())))?;
    }
    let state = State {
        wasi: wasi.build_p1(),
        memory: bounds.memory,
        over_memory: false,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| state);
    // The first tick of the epoch is the end.
    store.set_epoch_deadline(1);
    let mut linker = Linker::new(engine);
    add_to_linker_sync(&mut linker, |state: &mut State| &mut state.wasi)
        .map_err(|error| setup(&error))?;
    let ended = linker
        .instantiate(&mut store, &module)
        .and_then(|instance| instance.get_typed_func::<(), ()>(&mut store, "_start"))
        .and_then(|start| start.call(&mut store, ()));
    let status = match ended {
        Ok(()) => 0,
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => exit.0,
            None => return Err(breach(&error, &store, &stdout, bounds)),
        },
    };
    drop(store);
    Ok(Finished {
        status,
        stdout: stdout.contents(),
        stderr: stderr.contents().to_vec(),
    })
}

/// Why a guest did not come to its end.
fn breach(
    error: &wasmtime::Error,
    store: &Store<State>,
    stdout: &BoundedOutput,
    bounds: &Bounds,
) -> SandboxError {
    if store.data().over_memory {
        return SandboxError::Memory(bounds.memory);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => SandboxError::Time(bounds.time),
        Some(trap) => SandboxError::Trap(trap.to_string()),
        None if stdout.flooded() => SandboxError::Output(bounds.output),
        None => SandboxError::Module(format!("{error:#}")),
    }
}

fn setup(error: &wasmtime::Error) -> SandboxError {
    SandboxError::Setup(format!("{error:#}"))
}

struct State {
    wasi: WasiP1Ctx,
    memory: u64,
    over_memory: bool,
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired as u64 <= self.memory {
            return Ok(true);
        }
        // An error ends the guest; `false` would leave it to go on somehow.
        self.over_memory = true;
        Err(format_err!("over the memory bound"))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        8
    }

    fn memories(&self) -> usize {
        1
    }
}
