//! C functions that Rust's standard library names and Debian's wasi-libc of
//! 2022 does not have. Without them a program that changes permissions,
//! resolves a path or starts a thread does not link; with them the call fails
//! with "unsupported", as it does with a newer libc.

#![no_std]
#![feature(thread_local)]

const ENOTSUP: i32 = 58;

unsafe extern "C" {
    #[thread_local]
    static mut errno: i32;
}

fn unsupported() -> i32 {
    // SAFETY: a variable of this thread, in a program that has only one.
    unsafe { errno = ENOTSUP };
    -1
}

#[unsafe(no_mangle)]
extern "C" fn chmod(_path: usize, _mode: u32) -> i32 {
    unsupported()
}

#[unsafe(no_mangle)]
extern "C" fn fchmod(_file: i32, _mode: u32) -> i32 {
    unsupported()
}

#[unsafe(no_mangle)]
extern "C" fn fchmodat(_dir: i32, _path: usize, _mode: u32, _flags: i32) -> i32 {
    unsupported()
}

#[unsafe(no_mangle)]
extern "C" fn realpath(_path: usize, _resolved: usize) -> usize {
    unsupported();
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_create(_thread: usize, _attributes: usize, _start: usize, _argument: usize) -> i32 {
    ENOTSUP
}

#[unsafe(no_mangle)]
extern "C" fn pthread_join(_thread: usize, _value: usize) -> i32 {
    ENOTSUP
}

#[unsafe(no_mangle)]
extern "C" fn pthread_detach(_thread: usize) -> i32 {
    ENOTSUP
}

#[unsafe(no_mangle)]
extern "C" fn pthread_attr_init(_attributes: usize) -> i32 {
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_attr_setstacksize(_attributes: usize, _size: usize) -> i32 {
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_attr_destroy(_attributes: usize) -> i32 {
    0
}
