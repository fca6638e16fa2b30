/* SPDX-License-Identifier: MIT
 *
 * The child table's file. Its only writer is the one process that holds the store's lock, except
 * for the children, each of which swaps its own word once between clone and exec.
 *
 * The boot field guards the pids: after a reboot, or in another pid namespace (a new container over
 * the same folder), they name strangers, so that all rows are dropped. From then on a missing row
 * proves nothing about attempts of before, until mr__child_table_settle says that there are none.
 */
#include "core/exec/child_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAGIC     0x314c484352494d00u /* "\0MIRCHL1" in memory of a little-endian machine */
#define FORMAT    1u
#define CHILDLESS (UINT64_C(1) << 63)
#define PID_BITS  24

#define TABLE_BYTES \
    (sizeof(struct mr__child_header) + MR__CHILD_TABLE_ROWS * sizeof(struct mr__child_row))

_Static_assert(sizeof(struct mr__child_row) == 32, "the file's format");
_Static_assert(sizeof(struct mr__child_header) == 128, "the file's format");

static mr_status read_boot(char ret_boot[64], mr_error *reterr);
static mr_status map_file(struct mr__child_table *table, int fd, mr_error *reterr);
static mr_status adopt_rows(struct mr__child_table *table);

static uint64_t load(const struct mr__child_row *row)
{
    return __atomic_load_n(&row->child, __ATOMIC_ACQUIRE);
}

mr_status mr__child_table_open(struct mr__child_table *table, const char *store, mr_error *reterr)
{
    char path[4096], boot[64];
    memset(table, 0, sizeof *table);
    mr_status status = read_boot(boot, reterr);
    if (status != MR_OK) {
        return status;
    }
    if (snprintf(path, sizeof path, "%s/children", store) >= (int)sizeof path) {
        return mr__error_set(reterr, MR_EINVAL, "the store's path is too long");
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return mr__error_set(reterr, mr__status_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    status = map_file(table, fd, reterr);
    (void)close(fd); /* The mapping stays. */
    if (status != MR_OK) {
        return status;
    }
    struct mr__child_header *header = table->header;
    if (header->magic == 0 || strcmp(header->boot, boot) != 0) {
        /* The boot goes in last: a death in between leaves a file that is emptied once more. */
        memset(table->rows, 0, MR__CHILD_TABLE_ROWS * sizeof *table->rows);
        header->settled = 0;
        header->rows = MR__CHILD_TABLE_ROWS;
        header->format = FORMAT;
        header->magic = MAGIC;
        memcpy(header->boot, boot, sizeof boot);
    }
    status = adopt_rows(table);
    if (status != MR_OK) {
        mr__child_table_close(table);
        return mr__error_set(reterr, status, "%s", mr_status_text(status));
    }
    return MR_OK;
}

static mr_status read_boot(char ret_boot[64], mr_error *reterr)
{
    char id[40] = "", space[20] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, id, 36);
    if (fd >= 0) {
        (void)close(fd);
    }
    ssize_t space_len = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    if (len != 36 || space_len < 0) {
        return mr__error_set(reterr, MR_EIO, "cannot read the boot id (is /proc mounted?)");
    }
    memset(ret_boot, 0, 64);
    (void)snprintf(ret_boot, 64, "%s %s", id, space);
    return MR_OK;
}

static mr_status map_file(struct mr__child_table *table, int fd, mr_error *reterr)
{
    struct mr__child_header old = {0};
    struct stat st;
    if (fstat(fd, &st) != 0 || pread(fd, &old, sizeof old, 0) < 0) {
        return mr__error_set(reterr, MR_EIO, "children: %s", strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        return mr__error_set(reterr, MR_EFORMAT, "children: no regular file");
    }
    bool made = old.magic != 0; /* Zeros are a file whose making was cut short. */
    if (made && (old.magic != MAGIC || old.format != FORMAT || old.rows != MR__CHILD_TABLE_ROWS)) {
        return mr__error_set(reterr, MR_EFORMAT,
                             "children: unknown format (%u, this program writes %u)", old.format,
                             FORMAT);
    }
    /* Room is taken now, since a write to a mapping that the disk has no room for is fatal. */
    int number = posix_fallocate(fd, 0, (off_t)TABLE_BYTES);
    if (number != 0) {
        return mr__error_set(reterr, mr__status_from_errno(number), "children: %s",
                             strerror(number));
    }
    void *memory = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        return mr__error_set(reterr, mr__status_from_errno(errno), "children: %s", strerror(errno));
    }
    table->header = memory;
    table->rows = (struct mr__child_row *)(table->header + 1);
    return MR_OK;
}

/* Rows without a child get a new claim number, so that a child which its dead engine had cloned but
 * which has not come to enter itself cannot do so any more. */
static mr_status adopt_rows(struct mr__child_table *table)
{
    for (uint32_t i = 0; i < MR__CHILD_TABLE_ROWS; i++) {
        struct mr__child_row *row = &table->rows[i];
        uint64_t word = load(row);
        while ((word & CHILDLESS) != 0 &&
               !__atomic_compare_exchange_n(&row->child, &word, CHILDLESS | ++table->header->claims,
                                            false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        }
        if (word != 0) {
            mr_status status = mr__hash_put(&table->by_key, &row->key, sizeof row->key, i);
            if (status != MR_OK) {
                return status;
            }
        }
    }
    return MR_OK;
}

void mr__child_table_close(struct mr__child_table *table)
{
    mr__hash_finish(&table->by_key);
    if (table->header != NULL) {
        (void)munmap(table->header, TABLE_BYTES);
        table->header = NULL;
    }
}

mr_status mr__child_table_enter(struct mr__child_table *table, const struct mr__child_key *key,
                                uint32_t *ret_row)
{
    for (uint32_t n = 0; n < MR__CHILD_TABLE_ROWS; n++) {
        uint32_t i = (table->next + n) % MR__CHILD_TABLE_ROWS;
        struct mr__child_row *row = &table->rows[i];
        if (load(row) != 0) {
            continue;
        }
        row->key = *key;
        mr_status status = mr__hash_put(&table->by_key, &row->key, sizeof row->key, i);
        if (status != MR_OK) {
            return status;
        }
        __atomic_store_n(&row->child, CHILDLESS | ++table->header->claims, __ATOMIC_RELEASE);
        table->own[i] = 1;
        table->next = i + 1;
        *ret_row = i;
        return MR_OK;
    }
    return MR_ELIMIT;
}

mr_status mr__child_table_enter_again(struct mr__child_table *table,
                                      const struct mr__child_key *key, uint32_t *ret_row)
{
    if (!mr__child_table_find(table, key, ret_row)) {
        return mr__child_table_enter(table, key, ret_row);
    }
    mr__child_table_childless(table, *ret_row);
    table->own[*ret_row] = 1;
    return MR_OK;
}

bool mr__child_table_find(const struct mr__child_table *table, const struct mr__child_key *key,
                          uint32_t *ret_row)
{
    uint64_t row;
    if (!mr__hash_get(&table->by_key, key, sizeof *key, &row)) {
        return false;
    }
    *ret_row = (uint32_t)row;
    return true;
}

void mr__child_table_free(struct mr__child_table *table, uint32_t row)
{
    (void)mr__hash_del(&table->by_key, &table->rows[row].key, sizeof table->rows[row].key);
    table->own[row] = 0;
    __atomic_store_n(&table->rows[row].child, 0, __ATOMIC_RELEASE);
}

uint64_t mr__child_table_claim(struct mr__child_table *table, uint32_t row)
{
    uint64_t claim = CHILDLESS | ++table->header->claims;
    __atomic_store_n(&table->rows[row].child, claim, __ATOMIC_RELEASE);
    return claim;
}

/* The 22nd field of /proc/self/stat, read with system calls alone: the memory is the parent's. */
__attribute__((no_sanitize("address", "thread", "undefined"))) static uint64_t own_start_time(void)
{
    char text[1024];
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
    long len = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof text);
    if (fd >= 0) {
        (void)syscall(SYS_close, fd);
    }
    long at = len;
    while (at > 0 && text[at - 1] != ')') { /* The name may hold anything, also blanks and ')'. */
        at--;
    }
    unsigned field = 2;
    uint64_t start = 0;
    for (; at < len && field <= 22; at++) {
        if (text[at] == ' ') {
            field++;
        } else if (field == 22 && text[at] >= '0' && text[at] <= '9') {
            start = start * 10 + (uint64_t)(text[at] - '0');
        }
    }
    return start;
}

__attribute__((no_sanitize("address", "thread", "undefined"))) bool
mr__child_table_enter_child(struct mr__child_row *row, uint64_t claim)
{
    uint64_t start = own_start_time();
    uint64_t pid = (uint64_t)syscall(SYS_getpid);
    if (start == 0) {
        return false;
    }
    return __atomic_compare_exchange_n(&row->child, &claim, start << PID_BITS | pid, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void mr__child_table_adopt(struct mr__child_table *table, uint32_t row, pid_t pid, uint64_t start)
{
    __atomic_store_n(&table->rows[row].child, start << PID_BITS | (uint64_t)pid, __ATOMIC_RELEASE);
}

void mr__child_table_childless(struct mr__child_table *table, uint32_t row)
{
    (void)mr__child_table_claim(table, row);
}

bool mr__child_table_child(const struct mr__child_table *table, uint32_t row, pid_t *ret_pid,
                           uint64_t *ret_start)
{
    uint64_t word = load(&table->rows[row]);
    if (word == 0 || (word & CHILDLESS) != 0) {
        return false;
    }
    *ret_pid = (pid_t)(word & ((1u << PID_BITS) - 1));
    *ret_start = word >> PID_BITS;
    return true;
}

bool mr__child_table_settled(const struct mr__child_table *table)
{
    return table->header->settled != 0;
}

void mr__child_table_settle(struct mr__child_table *table)
{
    for (uint32_t i = 0; i < MR__CHILD_TABLE_ROWS; i++) {
        uint64_t word = load(&table->rows[i]);
        if ((word & CHILDLESS) != 0 && !table->own[i]) {
            mr__child_table_free(table, i);
        }
    }
    table->header->settled = 1;
}
