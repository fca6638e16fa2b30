/* SPDX-License-Identifier: MIT
 *
 * doctor, of the machine: its disk, limits, shell, time zones and clock.
 */
#include "sdk/cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define ROOM_BAD      (UINT64_C(64) << 20)
#define ROOM_FEW      (UINT64_C(1) << 30)
#define SYNC_COUNT    16
#define SYNC_BYTES    4096
#define SYNC_SLOW_US  10000
#define SYNC_FAST_US  20 /* no disk that keeps it is so fast */
#define FILES_FEW     1024
#define PROCESSES_FEW 256
#define ZONE_FILE     "Europe/Paris"
#define ZONE_FOLDER   "/usr/share/zoneinfo"

/* ---- the disk ------------------------------------------------------------------------------ */

static void check_file_system(struct mr__doctor *d)
{
    static const struct {
        uint64_t magic;
        const char *name;
        enum mr__health health;
    } kinds[] = {
        {0x6969, "NFS", MR__HEALTH_BAD},          {0x517b, "SMB", MR__HEALTH_BAD},
        {0xff534d42, "CIFS", MR__HEALTH_BAD},     {0xfe534d42, "SMB2", MR__HEALTH_BAD},
        {0x01021997, "9P", MR__HEALTH_BAD},       {0x65735546, "FUSE", MR__HEALTH_BAD},
        {0x00c36400, "CephFS", MR__HEALTH_BAD},   {0x5346414f, "AFS", MR__HEALTH_BAD},
        {0x0bd00bd0, "Lustre", MR__HEALTH_BAD},   {0x7461636f, "OCFS2", MR__HEALTH_BAD},
        {0x01161970, "GFS2", MR__HEALTH_BAD},     {0x786f4256, "vboxsf", MR__HEALTH_BAD},
        {0x01021994, "tmpfs", MR__HEALTH_WARN},   {0x858458f6, "ramfs", MR__HEALTH_WARN},
        {0x794c7630, "overlay", MR__HEALTH_WARN},
    };
    struct statfs fs;
    if (statfs(d->place.at, &fs) != 0) {
        mr__doctor_add(d, MR__HEALTH_BAD, "disk", "another --store DIR", "%s: %s", d->place.at,
                       strerror(errno));
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].magic == ((uint64_t)fs.f_type & 0xffffffff)) {
            mr__doctor_add(d, kinds[i].health, "disk", "a folder on a local disk",
                           kinds[i].health == MR__HEALTH_BAD
                               ? "%s is on %s, which cannot hold a store safely"
                               : "%s is on %s, which may lose what is in it with the machine or "
                                 "container",
                           d->place.at, kinds[i].name);
            return;
        }
    }
    mr__doctor_add(d, MR__HEALTH_OK, "disk", NULL, "%s is on a local file system", d->place.at);
}

static void check_room(struct mr__doctor *d)
{
    struct statvfs fs;
    if (statvfs(d->place.at, &fs) != 0) {
        return; /* check_file_system has said so */
    }
    uint64_t bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    mr__doctor_add(d,
                   bytes < ROOM_BAD   ? MR__HEALTH_BAD
                   : bytes < ROOM_FEW ? MR__HEALTH_WARN
                                      : MR__HEALTH_OK,
                   "room", "make room, or millrace prune", "%.1f GiB free",
                   (double)bytes / 1073741824);
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Writes and syncs as often as SYNC_COUNT. False: errno says why that is not possible. */
static bool measure(int fd, int64_t *times)
{
    char block[SYNC_BYTES];
    memset(block, 'x', sizeof block);
    for (size_t i = 0; i < SYNC_COUNT; i++) {
        int64_t begin = now_us();
        if (pwrite(fd, block, sizeof block, (off_t)(i * sizeof block)) != (ssize_t)sizeof block ||
            fdatasync(fd) != 0) {
            return false;
        }
        times[i] = now_us() - begin;
    }
    qsort(times, SYNC_COUNT, sizeof *times, compare_times);
    return true;
}

/* Every commit waits for one of these. */
static void check_sync(struct mr__doctor *d)
{
    int64_t times[SYNC_COUNT];
    struct mr__text path = {0};
    mr__text_printf(&path, "%s/.millrace-doctor-XXXXXX", d->place.at);
    int fd = path.failed ? -1 : mkostemp(path.at, O_CLOEXEC);
    if (fd < 0) {
        mr__doctor_add(d, MR__HEALTH_BAD, "sync", "another --store DIR", "cannot write to %s: %s",
                       d->place.at, strerror(errno));
        mr__text_finish(&path);
        return;
    }
    (void)unlink(path.at); /* nobody needs its name */
    if (!measure(fd, times)) {
        mr__doctor_add(d, MR__HEALTH_BAD, "sync", "look at the disk", "a write to %s fails: %s",
                       d->place.at, strerror(errno));
    } else {
        int64_t median_us = times[SYNC_COUNT / 2];
        double ms = (double)median_us / 1000;
        bool slow = median_us > SYNC_SLOW_US;
        bool fast = median_us < SYNC_FAST_US;
        mr__doctor_add(d, slow || fast ? MR__HEALTH_WARN : MR__HEALTH_OK, "sync",
                       slow ? "a faster disk: each step of a chain of tasks waits for one"
                            : "make sure that the disk keeps what it says it keeps",
                       fast ? "%.3f ms for a durable write, too fast to be one"
                            : "%.2f ms for a durable write (median of %d)",
                       ms, SYNC_COUNT);
    }
    (void)close(fd); /* it is gone with this */
    mr__text_finish(&path);
}

void mr__doctor_disk(struct mr__doctor *d)
{
    check_file_system(d);
    check_room(d);
    check_sync(d);
}

/* ---- limits -------------------------------------------------------------------------------- */

static void check_limits(struct mr__doctor *d)
{
    static const struct {
        int which;
        rlim_t few;
        const char *name, *what, *advice;
    } limits[] = {
        {RLIMIT_NOFILE, FILES_FEW, "files", "open files", "ulimit -n 4096, or LimitNOFILE="},
        {RLIMIT_NPROC, PROCESSES_FEW, "processes", "processes of this user",
         "ulimit -u 4096, or LimitNPROC="},
        {RLIMIT_AS, RLIM_INFINITY, "memory", "bytes of address space",
         "ulimit -v unlimited: the store is a map of its file"},
        {RLIMIT_FSIZE, RLIM_INFINITY, "file-size", "bytes a file", "ulimit -f unlimited"},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit limit;
        if (getrlimit(limits[i].which, &limit) != 0) {
            continue; /* not known here: nothing to say */
        }
        bool few = limit.rlim_cur < limits[i].few;
        if (limit.rlim_cur == RLIM_INFINITY) {
            mr__doctor_add(d, MR__HEALTH_OK, limits[i].name, NULL, "no limit of %s",
                           limits[i].what);
        } else {
            mr__doctor_add(d, few ? MR__HEALTH_WARN : MR__HEALTH_OK, limits[i].name,
                           limits[i].advice, "at most %llu %s", (unsigned long long)limit.rlim_cur,
                           limits[i].what);
        }
    }
}

/* ---- shell, /proc, time -------------------------------------------------------------------- */

static void check_programs(struct mr__doctor *d)
{
    bool shell = access("/bin/sh", X_OK) == 0;
    bool proc = access("/proc/self/stat", R_OK) == 0 &&
                access("/proc/sys/kernel/random/boot_id", R_OK) == 0;
    mr__doctor_add(d, shell ? MR__HEALTH_OK : MR__HEALTH_BAD, "shell", "install a POSIX shell",
                   shell ? "/bin/sh can be executed" : "no /bin/sh: `run:` cannot work");
    mr__doctor_add(d, proc ? MR__HEALTH_OK : MR__HEALTH_BAD, "proc", "mount -t proc proc /proc",
                   proc ? "/proc is mounted"
                        : "no /proc: what is left of a killed engine's commands cannot be found");
}

static void check_zones(struct mr__doctor *d)
{
    const char *folder = getenv("TZDIR");
    struct mr__text path = {0};
    folder = folder != NULL && folder[0] != '\0' ? folder : ZONE_FOLDER;
    mr__text_printf(&path, "%s/" ZONE_FILE, folder);
    bool found = !path.failed && access(path.at, R_OK) == 0;
    mr__doctor_add(
        d, found ? MR__HEALTH_OK : MR__HEALTH_WARN, "time-zones", "install tzdata, or set TZDIR",
        found ? "the data are in %s" : "no data in %s: a schedule can have no timezone but UTC",
        folder);
    mr__text_finish(&path);
}

/* A clock that stands before the making of this very program is wrong. */
static void check_clock(struct mr__doctor *d)
{
    struct timex state = {.modes = 0};
    struct stat info;
    int64_t now_s = mr__session_unix_ms() / 1000;
    int answer = adjtimex(&state);
    if (stat("/proc/self/exe", &info) == 0 && now_s < info.st_mtime) {
        mr__doctor_add(d, MR__HEALTH_BAD, "clock", "set the clock",
                       "it stands before the time at which this program was built");
    } else if (answer >= 0 && (state.status & STA_UNSYNC) != 0) {
        mr__doctor_add(d, MR__HEALTH_WARN, "clock", "systemctl enable --now systemd-timesyncd",
                       "nothing keeps it right: schedules go by it");
    } else {
        mr__doctor_add(d, MR__HEALTH_OK, "clock", NULL, "%s",
                       answer >= 0 ? "kept right by the system" : "plausible");
    }
}

void mr__doctor_machine(struct mr__doctor *d)
{
    check_limits(d);
    check_programs(d);
    check_zones(d);
    check_clock(d);
}
