//! Guests written by hand, each doing one thing that a guest must not get away with.

use super::*;
use std::fs;

const BOUNDS: Bounds = Bounds {
    memory: 16 << 20,
    time: Duration::from_secs(60),
    output: 4096,
};

fn guest(text: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read"
                (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open" (func $open
                (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_unlink_file"
                (func $unlink (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_filestat_set_times" (func $times
                (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_sizes_get"
                (func $environ (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff"
                (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            {text})"#
    ))
    .unwrap()
}

/// A guest that writes `output` and ends with `status`.
fn says(output: &str, status: i32) -> Vec<u8> {
    let escaped = output.replace('\\', "\\5c").replace('"', "\\22");
    guest(&format!(
        r#"(data (i32.const 100) "{escaped}")
           (data (i32.const 0) "\64\00\00\00")
           (func (export "_start")
               (i32.store (i32.const 4) (i32.const {length}))
               (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
               (call $exit (i32.const {status})))"#,
        length = output.len()
    ))
}

const ENDLESS: &str = r#"(func (export "_start") (loop $again (br $again)))"#;
/// Sleeps for a day by `poll_oneoff`: inside the host, where no instruction counts.
const ASLEEP: &str = r#"(func (export "_start")
    (i32.store8 (i32.const 8) (i32.const 0))
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 86400000000000))
    (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))"#;
const GREEDY: &str =
    r#"(func (export "_start") (loop $again (drop (memory.grow (i32.const 16))) (br $again)))"#;
const TRAPPING: &str = r#"(func (export "_start") unreachable)"#;
const RECURSIVE: &str = r#"(func $deeper (export "_start") (call $deeper))"#;
const FLOODING: &str = r#"(func (export "_start")
    (i32.store (i32.const 0) (i32.const 0))
    (i32.store (i32.const 4) (i32.const 1000))
    (loop $again
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br $again)))"#;

#[test]
fn a_guest_ends_with_its_own_status_and_output() {
    let finished = run(&says("hello", 7), Guest::default(), &BOUNDS).unwrap();
    assert_eq!(finished.status, 7);
    assert_eq!(finished.stdout, b"hello");
}

#[test]
fn an_endless_loop_is_ended() {
    let bounds = Bounds {
        time: Duration::from_millis(500),
        ..BOUNDS
    };
    for endless in [ENDLESS, ASLEEP] {
        let error = run(&guest(endless), Guest::default(), &bounds).unwrap_err();
        assert!(matches!(error, SandboxError::Time(_)), "{error}");
        assert!(error.to_string().contains("time bound of 500ms"), "{error}");
    }
}

#[test]
fn memory_is_bounded() {
    let error = run(&guest(GREEDY), Guest::default(), &BOUNDS).unwrap_err();
    assert!(matches!(error, SandboxError::Memory(_)), "{error}");
    assert!(error.to_string().contains("16.0 MiB"), "{error}");
}

#[test]
fn memory_that_a_module_starts_with_is_bounded_too() {
    let module = wat::parse_str(r#"(module (memory 1000) (func (export "_start")))"#).unwrap();
    let error = run(&module, Guest::default(), &BOUNDS).unwrap_err();
    assert!(matches!(error, SandboxError::Memory(_)), "{error}");
}

#[test]
fn output_is_bounded() {
    let error = run(&guest(FLOODING), Guest::default(), &BOUNDS).unwrap_err();
    assert!(matches!(error, SandboxError::Output(4096)), "{error}");
}

#[test]
fn a_crash_is_an_error() {
    for (text, reason) in [(TRAPPING, "unreachable"), (RECURSIVE, "stack")] {
        let error = run(&guest(text), Guest::default(), &BOUNDS).unwrap_err();
        assert!(matches!(&error, SandboxError::Trap(_)), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn what_is_no_module_is_an_error() {
    let wants_more = wat::parse_str(r#"(module (import "env" "system" (func)))"#).unwrap();
    let no_start = wat::parse_str("(module)").unwrap();
    for bytes in [&b"#!/bin/sh"[..], b"", &wants_more, &no_start] {
        let error = run(bytes, Guest::default(), &BOUNDS).unwrap_err();
        assert!(matches!(error, SandboxError::Module(_)), "{error}");
    }
}

/// Calls on the file `f` in the first folder that would change something, and
/// what a guest gets for them: its exit code is the first error number, or 0.
#[test]
fn a_folder_is_read_only() {
    let open = |oflags: u32, rights: u64, fdflags: u32| {
        format!(
            "(call $open (i32.const 3) (i32.const 0) (i32.const 200) (i32.const 1) (i32.const {oflags})
                (i64.const {rights}) (i64.const 0) (i32.const {fdflags}) (i32.const 300))"
        )
    };
    const FD_READ: u64 = 1 << 1;
    const FD_WRITE: u64 = 1 << 6;
    let calls = [
        ("open to read", open(0, FD_READ, 0), true),
        ("open to write", open(0, FD_WRITE, 0), false),
        ("open to append", open(0, FD_WRITE, 1), false),
        ("create", open(1 | 4, FD_WRITE, 0), false),
        ("truncate", open(8, FD_WRITE, 0), false),
        (
            "unlink",
            "(call $unlink (i32.const 3) (i32.const 200) (i32.const 1))".to_owned(),
            false,
        ),
        (
            "set times",
            "(call $times (i32.const 3) (i32.const 0) (i32.const 200) (i32.const 1)
                (i64.const 5) (i64.const 5) (i32.const 5))"
                .to_owned(),
            false,
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    fs::write(&file, "content").unwrap();
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    for (what, call, allowed) in calls {
        let module = guest(&format!(
            r#"(data (i32.const 200) "f") (func (export "_start") (call $exit {call}))"#
        ));
        let given = Guest {
            folders: vec![(folder.path().to_owned(), "/f".to_owned())],
            ..Guest::default()
        };
        let status = run(&module, given, &BOUNDS).unwrap().status;
        assert_eq!(status == 0, allowed, "{what}: error number {status}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "content");
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("f"), "secret").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("d")).unwrap();
    let module = guest(
        r#"(data (i32.const 200) "d/f")
           (func (export "_start") (call $exit
                (call $open (i32.const 3) (i32.const 1) (i32.const 200) (i32.const 3) (i32.const 0)
                    (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 300))))"#,
    );
    let given = Guest {
        folders: vec![(folder.path().to_owned(), "/f".to_owned())],
        ..Guest::default()
    };
    assert_ne!(run(&module, given, &BOUNDS).unwrap().status, 0);
}

#[test]
fn there_is_no_environment() {
    let module = guest(
        r#"(func (export "_start")
               (drop (call $environ (i32.const 0) (i32.const 4)))
               (call $exit (i32.load (i32.const 0))))"#,
    );
    assert!(std::env::vars_os().count() > 0);
    assert_eq!(run(&module, Guest::default(), &BOUNDS).unwrap().status, 0);
}

#[test]
fn a_policy_rules() {
    let module = says(r#"{"status":"warn","messages":["old"]}"#, 0);
    let ruling = rule(&module, b"{}".to_vec(), &BOUNDS).unwrap();
    assert_eq!(ruling.status, Status::Warn);
    assert_eq!(ruling.messages, ["old"]);
}

#[test]
fn a_policy_reads_the_report() {
    // Answers with its input.
    let module = guest(
        r#"(func (export "_start")
               (i32.store (i32.const 0) (i32.const 100))
               (i32.store (i32.const 4) (i32.const 1000))
               (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
               (i32.store (i32.const 4) (i32.load (i32.const 8)))
               (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"#,
    );
    let ruling = rule(&module, br#"{"status":"pass"}"#.to_vec(), &BOUNDS).unwrap();
    assert_eq!(ruling.status, Status::Pass);
}

#[test]
fn a_policy_that_answers_nonsense_is_an_error() {
    let answers = [
        ("", 0),
        ("ok", 0),
        (r#"{"status":"fine"}"#, 0),
        (r#"{"messages":[]}"#, 0),
        (r#"{"status":"pass","messages":"none"}"#, 0),
        (r#"{"status":"pass","message":["x"]}"#, 0),
        (r#"{"status":"pass"} {"status":"fail"}"#, 0),
        (r#"{"status":"pass"}"#, 1),
    ];
    for (answer, status) in answers {
        let error = rule(&says(answer, status), Vec::new(), &BOUNDS).unwrap_err();
        assert!(
            matches!(error, SandboxError::Answer(_)),
            "{answer}: {error}"
        );
    }
}

#[test]
fn a_compiled_module_is_found_again() {
    let Some(cache) = compiled::cache() else {
        panic!("the temporary folder gives no private place");
    };
    let module = says("the same module twice", 0);
    let mut config = wasmtime::Config::new();
    config.cache(Some(cache.clone()));
    let engine = wasmtime::Engine::new(&config).unwrap();
    wasmtime::Module::from_binary(&engine, &module).unwrap();
    let before = cache.cache_hits();
    wasmtime::Module::from_binary(&engine, &module).unwrap();
    assert_eq!(cache.cache_hits(), before + 1);
}
