/* A disk and a clock that fail on demand, between consultd and libc (LD_PRELOAD). Only files of the state folder are
 * touched; the rest goes straight through.
 *
 *   consultd ── write ──▶ file in the state folder     what every process sees: the kernel's page cache
 *                             │ fsync of the file, when it works
 *                             ▼
 *                         platter/now/<its name>       its bytes on the disk, under the name that every process sees
 *                             │ fsync of the folder
 *                             ▼
 *                         platter/names/<its name>     the same bytes (a hard link), under the name that is on the disk
 *
 * names/ is what would be left after a power cut (tests/crash/platter.rs). A sync that fails leaves its pages out of the
 * platter for good, unless they are written anew: Linux marks them clean, reports the error once, and the next fsync
 * finds nothing to do. A name that is made, changed or removed is on the disk when the folder has been synced, and not
 * before: the file's own sync does not bring it there, as some file systems do out of kindness. The folder's sync never
 * fails: SQLite would not look.
 *
 * The power can be made to go at a given sync: before it, in the middle of it, or when all is done but the caller has
 * not heard of it. Then this process is killed by its own hand; tests/crash/platter.rs does the rest.
 *
 * The test writes the control block (tests/crash/shim.rs has the same picture) and reads the counters. Without one, and
 * with SLOW_SYNC_US, all that happens is that each sync takes so much longer (make bench-intake).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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
    int64_t cut_in;       /* the power goes after so many syncs, at the last of them; 0: never */
    int64_t cut_place;    /* of those of this place only; -1: of any */
    int64_t cut_moment;   /* enum moment */
    int64_t cut_pages;    /* AMID: page n of the file gets through where bit n % 64 is set */
    /* counted here */
    int64_t syncs;
    int64_t failed_syncs;
    int64_t failed_writes;
    int64_t full; /* writes for which the real disk had no room */
    int64_t cuts;
    int64_t cut_at; /* the place of the last one */
};

enum { PAGE = 4096, PATH = 1024 };
enum moment { BEFORE, AMID, BEHIND };

/* Where the power can go; a place is an index of this. The first is the folder itself, the last is any other file. */
static const char *const places[] = {
    "", "consultd.sqlite", "consultd.sqlite-wal", "consultd.sqlite-journal", "box.key.part", "reserve", "snapshot.part",
};
enum { PLACES = sizeof places / sizeof *places };

static struct control *control;
static const char *state;   /* the folder as consultd names it */
static const char *platter; /* the folder of what is really on the disk */
static useconds_t slow_us;

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("CRASH_CONTROL"), *slow = getenv("SLOW_SYNC_US");
    if (slow) slow_us = atoi(slow);
    state = getenv("CRASH_STATE");
    platter = getenv("CRASH_PLATTER");
    if (!file || !state || !platter) return;
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *block = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (block != MAP_FAILED) control = block;
    flock(fd, LOCK_SH); /* held until this process is gone: the test sees by it whether anybody is left */
}

/* The name of a file that lies directly in the state folder, "" of the folder itself, or NULL. */
static const char *name_in_state(const char *path) {
    size_t n = state ? strlen(state) : 0;
    if (!control || strncmp(path, state, n) != 0) return NULL;
    if (path[n] == 0) return path + n;
    if (path[n] != '/') return NULL;
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

static void below_platter(char path[PATH], const char *part, const char *name) {
    snprintf(path, PATH, "%s/%s/%s", platter, part, name);
}

static int open_below_platter(const char *part, const char *name) {
    char path[PATH];
    below_platter(path, part, name);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static void forget_below_platter(const char *part, const char *name) {
    char path[PATH];
    below_platter(path, part, name);
    syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

/* One of those that are to fail. */
static int takes_one(int64_t *left, int64_t *counter) {
    if (*left == 0) return 0;
    if (*left > 0) --*left;
    ++*counter;
    return 1;
}

static const uint64_t ALL_PAGES = ~0ULL;

/* Carries what is new down to the platter, or (doomed) remembers that it will never get there. */
static void sync_pages(int fd, const char *name, int doomed, uint64_t pages) {
    int down = open_below_platter("now", name), lost = open_below_platter("doomed", name);
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int whole = open(link, O_RDONLY | O_CLOEXEC); /* the caller's may be for writing only */
    struct stat now;
    if (down < 0 || lost < 0 || whole < 0 || fstat(fd, &now) != 0) abort(); /* the test's own disk is full: no result is worth it */
    for (off_t page = 0; page * PAGE < now.st_size; page++) {
        char new[PAGE] = {0}, old[PAGE] = {0}, mark = 0;
        ssize_t n = syscall(SYS_pread64, whole, new, PAGE, page * PAGE);
        ssize_t m = syscall(SYS_pread64, down, old, PAGE, page * PAGE);
        if (n <= 0 || (n == m && memcmp(new, old, n) == 0) || !(pages >> (page % 64) & 1)) continue;
        if (doomed) {
            syscall(SYS_pwrite64, lost, "!", 1, page);
        } else if (syscall(SYS_pread64, lost, &mark, 1, page) != 1 || mark != '!') {
            syscall(SYS_pwrite64, down, new, n, page * PAGE);
        }
    }
    if (!doomed && pages == ALL_PAGES) syscall(SYS_ftruncate, down, now.st_size);
    syscall(SYS_close, whole);
    syscall(SYS_close, down);
    syscall(SYS_close, lost);
}

static void each_name(const char *folder, void (*visit)(const char *name)) {
    DIR *open = opendir(folder);
    if (!open) abort();
    for (struct dirent *entry; (entry = readdir(open));)
        if (entry->d_type == DT_REG) visit(entry->d_name);
    closedir(open);
}

/* Of a file that was never synced the disk has the name, and none of its bytes. */
static void has_a_name(const char *name) { syscall(SYS_close, open_below_platter("now", name)); }

/* Through a third name, so that there is no moment at which the disk has neither the old nor the new. */
static void keep_name(const char *name) {
    char now[PATH], beside[PATH], kept[PATH];
    below_platter(now, "now", name);
    below_platter(beside, "doomed", ".name");
    below_platter(kept, "names", name);
    syscall(SYS_linkat, AT_FDCWD, now, AT_FDCWD, beside, 0);
    syscall(SYS_renameat2, AT_FDCWD, beside, AT_FDCWD, kept, 0);
    syscall(SYS_unlinkat, AT_FDCWD, beside, 0); /* still there where both were the same file already */
}

static void drop_name(const char *name) {
    char now[PATH];
    below_platter(now, "now", name);
    if (syscall(SYS_faccessat, AT_FDCWD, now, F_OK) != 0) forget_below_platter("names", name);
}

static void sync_names(void) {
    char folder[PATH];
    each_name(state, has_a_name);
    below_platter(folder, "now", "");
    each_name(folder, keep_name);
    below_platter(folder, "names", "");
    each_name(folder, drop_name);
}

static int place_of(const char *name) {
    int place = 0;
    while (place < PLACES && strcmp(name, places[place]) != 0) place++;
    return place;
}

/* Whether it goes at this sync. */
static int power_goes_at(int place) {
    if (control->cut_in <= 0 || (control->cut_place >= 0 && control->cut_place != place)) return 0;
    return --control->cut_in == 0;
}

static void power_goes(int place) {
    control->cut_at = place;
    ++control->cuts;
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* The disk does one thing at a time. */
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;

/* The real sync is left out: it would cost time, and what counts here is the platter. */
static int sync_named(int fd, const char *name) {
    int place = place_of(name), goes = power_goes_at(place);
    ++control->syncs;
    if (goes && control->cut_moment == BEFORE) power_goes(place);
    if (*name && takes_one(&control->fail_syncs, &control->failed_syncs)) {
        sync_pages(fd, name, 1, ALL_PAGES);
        errno = EIO;
        return -1;
    }
    int amid = goes && control->cut_moment == AMID;
    if (*name) {
        sync_pages(fd, name, 0, amid ? (uint64_t)control->cut_pages : ALL_PAGES);
    } else if (!amid) {
        sync_names(); /* all of them or none: file systems keep a journal for that */
    }
    if (goes) power_goes(place);
    return 0;
}

static int sync_with(long call, int fd) {
    char path[PATH];
    if (slow_us) usleep(slow_us);
    const char *name = name_of(fd, path);
    if (!name) return syscall(call, fd);
    if (control->sync_ms > 0) usleep(control->sync_ms * 1000);
    pthread_mutex_lock(&disk);
    int rc = sync_named(fd, name);
    pthread_mutex_unlock(&disk);
    return rc;
}

int fsync(int fd) { return sync_with(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_with(SYS_fdatasync, fd); }

/* What is written anew is dirty again, and the next sync will take it. */
static void redeem(const char *name, off_t at, ssize_t written) {
    int lost = open_below_platter("doomed", name);
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
    const char *name = name_in_state(path);
    pthread_mutex_lock(&disk);
    int rc = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (rc == 0 && name) {
        forget_below_platter("now", name);
        forget_below_platter("doomed", name);
    }
    pthread_mutex_unlock(&disk);
    return rc;
}

/* What leaves the folder, or comes into it, is as if removed, or new. */
static void rename_below_platter(const char *part, const char *old, const char *new) {
    char was[PATH], is[PATH];
    if (new) forget_below_platter(part, new);
    if (!old) return;
    if (!new) return forget_below_platter(part, old);
    below_platter(was, part, old);
    below_platter(is, part, new);
    syscall(SYS_renameat2, AT_FDCWD, was, AT_FDCWD, is, 0);
}

int rename(const char *from, const char *to) {
    const char *old = name_in_state(from), *new = name_in_state(to);
    pthread_mutex_lock(&disk);
    int rc = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (rc == 0) {
        rename_below_platter("now", old, new);
        rename_below_platter("doomed", old, new);
    }
    pthread_mutex_unlock(&disk);
    return rc;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int rc = syscall(SYS_clock_gettime, clock, now);
    if (rc == 0 && clock == CLOCK_REALTIME && control) now->tv_sec += control->clock_step_s;
    return rc;
}
