/* A disk and a clock that fail on demand, between consultd and libc (LD_PRELOAD). Only files of the state folder are
 * touched; the rest goes straight through.
 *
 *   consultd ── write ──▶ file in the state folder     what every process sees: the kernel's page cache
 *                             │ fsync, when it works
 *                             ▼
 *                         platter/<same name>          what would be left after a power cut (tests/crash/platter.rs)
 *
 * A sync that fails leaves its pages out of the platter for good, unless they are written anew: Linux marks them clean,
 * reports the error once, and the next fsync finds nothing to do. Making, removing and renaming files counts as durable
 * at once.
 *
 * The test writes the control block (tests/crash/shim.rs has the same picture) and reads the counters.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if __SIZEOF_POINTER__ != 8 || !defined(__linux__)
#error "written for 64-bit Linux: the arguments of the system calls are passed as they are"
#endif

struct control {
    int64_t clock_step_s; /* added to CLOCK_REALTIME */
    int64_t fail_syncs;   /* so many of the next syncs fail; -1: all */
    int64_t fail_writes;  /* the same of writes */
    int64_t sync_ms;      /* each sync takes so much longer */
    /* counted here */
    int64_t syncs;
    int64_t failed_syncs;
    int64_t failed_writes;
    int64_t full; /* writes for which the real disk had no room */
};

enum { PAGE = 4096, PATH = 1024 };

static struct control *control;
static const char *state;   /* the folder as consultd names it */
static const char *platter; /* the folder of what is really on the disk */

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("CRASH_CONTROL");
    state = getenv("CRASH_STATE");
    platter = getenv("CRASH_PLATTER");
    if (!file || !state || !platter) return;
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *block = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (block != MAP_FAILED) control = block;
    syscall(SYS_close, fd);
}

/* The name of a file that lies directly in the state folder, or NULL. */
static const char *name_in_state(const char *path) {
    size_t n = state ? strlen(state) : 0;
    if (!control || strncmp(path, state, n) != 0 || path[n] != '/') return NULL;
    const char *name = path + n + 1;
    return *name == 0 || strchr(name, '/') || strstr(name, " (deleted)") ? NULL : name;
}

static const char *name_of(int fd, char path[PATH]) {
    char link[64];
    if (!control) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH - 1);
    if (n < 0) return NULL;
    path[n] = 0;
    return name_in_state(path);
}

static void below_platter(char path[PATH], const char *name, const char *ending) {
    snprintf(path, PATH, "%s/%s%s", platter, name, ending);
}

static int open_below_platter(const char *name, const char *ending) {
    char path[PATH];
    below_platter(path, name, ending);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

/* One of those that are to fail. */
static int takes_one(int64_t *left, int64_t *counter) {
    if (*left == 0) return 0;
    if (*left > 0) --*left;
    ++*counter;
    return 1;
}

/* Carries what is new down to the platter, or (doomed) remembers that it will never get there. */
static void sync_pages(int fd, const char *name, int doomed) {
    int down = open_below_platter(name, ""), lost = open_below_platter(name, ".doomed");
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int whole = open(link, O_RDONLY | O_CLOEXEC); /* the caller's may be for writing only */
    struct stat now;
    if (down < 0 || lost < 0 || whole < 0 || fstat(fd, &now) != 0) abort(); /* the test's own disk is full: no result is worth it */
    for (off_t page = 0; page * PAGE < now.st_size; page++) {
        char new[PAGE] = {0}, old[PAGE] = {0}, mark = 0;
        ssize_t n = syscall(SYS_pread64, whole, new, PAGE, page * PAGE);
        ssize_t m = syscall(SYS_pread64, down, old, PAGE, page * PAGE);
        if (n <= 0 || (n == m && memcmp(new, old, n) == 0)) continue;
        if (doomed) {
            syscall(SYS_pwrite64, lost, "!", 1, page);
        } else if (syscall(SYS_pread64, lost, &mark, 1, page) != 1 || mark != '!') {
            syscall(SYS_pwrite64, down, new, n, page * PAGE);
        }
    }
    if (!doomed) syscall(SYS_ftruncate, down, now.st_size);
    syscall(SYS_close, whole);
    syscall(SYS_close, down);
    syscall(SYS_close, lost);
}

static int sync_with(long call, int fd) {
    char path[PATH];
    const char *name = name_of(fd, path);
    if (!name) return syscall(call, fd);
    ++control->syncs;
    if (control->sync_ms > 0) usleep(control->sync_ms * 1000);
    if (takes_one(&control->fail_syncs, &control->failed_syncs)) {
        sync_pages(fd, name, 1);
        errno = EIO;
        return -1;
    }
    int rc = syscall(call, fd);
    if (rc == 0) sync_pages(fd, name, 0);
    return rc;
}

int fsync(int fd) { return sync_with(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_with(SYS_fdatasync, fd); }

/* What is written anew is dirty again, and the next sync will take it. */
static void redeem(const char *name, off_t at, ssize_t written) {
    int lost = open_below_platter(name, ".doomed");
    for (off_t page = at / PAGE; written > 0 && page <= (at + written - 1) / PAGE; page++) {
        char mark = 0;
        if (syscall(SYS_pread64, lost, &mark, 1, page) == 1 && mark) syscall(SYS_pwrite64, lost, "", 1, page);
    }
    syscall(SYS_close, lost);
}

/* at < 0: where the file stands. */
static ssize_t write_at(int fd, const void *bytes, size_t n, off_t at) {
    char path[PATH];
    const char *name = name_of(fd, path);
    if (name && takes_one(&control->fail_writes, &control->failed_writes)) {
        errno = EIO;
        return -1;
    }
    off_t where = at;
    if (name && at < 0) where = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t written = at < 0 ? syscall(SYS_write, fd, bytes, n) : syscall(SYS_pwrite64, fd, bytes, n, at);
    if (!name) return written;
    if (written < 0 && errno == ENOSPC) ++control->full;
    if (written > 0) redeem(name, where, written);
    return written;
}

ssize_t write(int fd, const void *bytes, size_t n) { return write_at(fd, bytes, n, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) { return write_at(fd, bytes, n, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at) { return write_at(fd, bytes, n, at); }

int unlink(const char *path) {
    int rc = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    const char *name = name_in_state(path);
    if (rc != 0 || !name) return rc;
    char there[PATH];
    const char *endings[] = {"", ".doomed"};
    for (int i = 0; i < 2; i++) {
        below_platter(there, name, endings[i]);
        syscall(SYS_unlinkat, AT_FDCWD, there, 0);
    }
    return rc;
}

int rename(const char *from, const char *to) {
    int rc = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    const char *old = name_in_state(from), *new = name_in_state(to);
    if (rc != 0 || !old || !new) return rc;
    const char *endings[] = {"", ".doomed"};
    for (int i = 0; i < 2; i++) {
        char was[PATH], is[PATH];
        below_platter(was, old, endings[i]);
        below_platter(is, new, endings[i]);
        syscall(SYS_unlinkat, AT_FDCWD, is, 0);
        syscall(SYS_renameat2, AT_FDCWD, was, AT_FDCWD, is, 0);
    }
    return rc;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int rc = syscall(SYS_clock_gettime, clock, now);
    if (rc == 0 && clock == CLOCK_REALTIME && control) now->tv_sec += control->clock_step_s;
    return rc;
}
