/* Fails, tears or kills at the n-th call that changes a file under a folder; loaded by LD_PRELOAD.
   It sees what Python, SQLite, safetensors and torch ask of libc alike. One thread at a time. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FAIL = 1, KILL_BEFORE, KILL_TORN, KILL_AFTER, SHORT };

static char folder[4096];
static long at, seen;
static int action, number, lasting, with_reads;

void shim_arm(const char *path, long n, int what, int error, int for_good, int reads) {
    snprintf(folder, sizeof folder, "%s", path);
    at = n, action = what, number = error, lasting = for_good, with_reads = reads, seen = 0;
}

long shim_seen(void) { return seen; }

static int is_ours(const char *path) { return folder[0] && path && strstr(path, folder) == path; }

static int is_ours_fd(int fd) {
    char link[64], path[4096];
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return is_ours(path);
}

/* What to do at this call: 0, or one of the actions. */
static int due(void) {
    seen++;
    return at > 0 && (seen == at || (lasting && seen > at)) ? action : 0;
}

static void die(void) { kill(getpid(), SIGKILL); pause(); }

#define REAL(type, name, ...)                                                    \
    static type (*real)(__VA_ARGS__);                                            \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name);

#define AROUND(ours, call)                                                       \
    int what = (ours) ? due() : 0;                                               \
    if (what == FAIL || what == SHORT) { errno = number; return -1; }            \
    if (what == KILL_BEFORE || what == KILL_TORN) die();                         \
    __typeof__(call) result = call;                                              \
    if (what == KILL_AFTER) die();                                               \
    return result;

#define AROUND_WRITE(half, whole)                                                \
    int what = is_ours_fd(fd) ? due() : 0;                                       \
    if (what == FAIL) { errno = number; return -1; }                             \
    if (what == KILL_BEFORE) die();                                              \
    if (what == KILL_TORN) { if (half < 0) {} die(); }                           \
    if (what == SHORT) { if (half > 0) {} errno = number; return -1; }           \
    ssize_t result = whole;                                                      \
    if (what == KILL_AFTER) die();                                               \
    return result;

ssize_t write(int fd, const void *data, size_t n) {
    REAL(ssize_t, write, int, const void *, size_t)
    AROUND_WRITE(real(fd, data, n / 2), real(fd, data, n))
}
ssize_t pwrite(int fd, const void *data, size_t n, off_t where) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t)
    AROUND_WRITE(real(fd, data, n / 2, where), real(fd, data, n, where))
}
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t where) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)
    AROUND_WRITE(real(fd, data, n / 2, where), real(fd, data, n, where))
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(ssize_t, writev, int, const struct iovec *, int)
    AROUND_WRITE(real(fd, parts, n > 1 ? n / 2 : n), real(fd, parts, n))
}
ssize_t read(int fd, void *data, size_t n) {
    REAL(ssize_t, read, int, void *, size_t)
    AROUND(with_reads && is_ours_fd(fd), real(fd, data, n))
}
ssize_t pread(int fd, void *data, size_t n, off_t where) {
    REAL(ssize_t, pread, int, void *, size_t, off_t)
    AROUND(with_reads && is_ours_fd(fd), real(fd, data, n, where))
}
ssize_t pread64(int fd, void *data, size_t n, off64_t where) {
    REAL(ssize_t, pread64, int, void *, size_t, off64_t)
    AROUND(with_reads && is_ours_fd(fd), real(fd, data, n, where))
}
int fsync(int fd) {
    REAL(int, fsync, int)
    AROUND(is_ours_fd(fd), real(fd))
}
int fdatasync(int fd) {
    REAL(int, fdatasync, int)
    AROUND(is_ours_fd(fd), real(fd))
}
int ftruncate(int fd, off_t n) {
    REAL(int, ftruncate, int, off_t)
    AROUND(is_ours_fd(fd), real(fd, n))
}
int ftruncate64(int fd, off64_t n) {
    REAL(int, ftruncate64, int, off64_t)
    AROUND(is_ours_fd(fd), real(fd, n))
}
int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *)
    AROUND(is_ours(to), real(from, to))
}
int link(const char *from, const char *to) {
    REAL(int, link, const char *, const char *)
    AROUND(is_ours(to), real(from, to))
}
int unlink(const char *path) {
    REAL(int, unlink, const char *)
    AROUND(is_ours(path), real(path))
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t)
    AROUND(is_ours(path), real(path, mode))
}
#define OPEN(name)                                                               \
    int name(const char *path, int flags, ...) {                                 \
        mode_t mode = 0;                                                         \
        if (flags & (O_CREAT | O_TMPFILE)) {                                     \
            va_list more;                                                        \
            va_start(more, flags);                                               \
            mode = va_arg(more, mode_t);                                         \
            va_end(more);                                                        \
        }                                                                        \
        REAL(int, name, const char *, int, ...)                                  \
        AROUND((flags & O_CREAT) && is_ours(path), real(path, flags, mode))      \
    }
OPEN(open)
OPEN(open64)
