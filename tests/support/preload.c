/* Loaded before the system's C library: reads and writes that do less than they were
 * asked for (PRELOAD_MOST bytes at most), and a clock that is wrong by PRELOAD_CLOCK
 * seconds. Built and used by tests/faults.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static size_t most(size_t asked)
{
    const char *limit = getenv("PRELOAD_MOST");
    size_t bytes = limit ? (size_t)atol(limit) : asked;
    return asked < bytes ? asked : bytes;
}

ssize_t read(int file, void *buffer, size_t bytes)
{
    ssize_t (*next)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
    return next(file, buffer, most(bytes));
}

ssize_t pread64(int file, void *buffer, size_t bytes, off64_t at)
{
    ssize_t (*next)(int, void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pread64");
    return next(file, buffer, most(bytes), at);
}

ssize_t write(int file, const void *buffer, size_t bytes)
{
    ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    return next(file, buffer, most(bytes));
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int (*next)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int told = next(clock, now);
    const char *shift = getenv("PRELOAD_CLOCK");
    if (told == 0 && clock == CLOCK_REALTIME && shift)
        now->tv_sec += atol(shift);
    return told;
}
