/* SPDX-License-Identifier: MIT
 *
 * The check of a shared object's headers: plugin_elf.h.
 */
#include "core/exec/plugin_elf.h"

#include <link.h>
#include <string.h>
#include <unistd.h>

#define SEGMENTS_MAX 256u /* a shared object has about ten */

static bool read_at(int fd, void *ret_bytes, size_t len, uint64_t at)
{
    return at <= INT64_MAX && pread(fd, ret_bytes, len, (off_t)at) == (ssize_t)len;
}

mr_status mr__plugin_elf_check(int fd, uint64_t file_bytes, const char *file, mr_error *reterr)
{
    ElfW(Ehdr) head;
    ElfW(Phdr) segment;
    unsigned char own_class = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    if (!read_at(fd, &head, sizeof head, 0) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != own_class || head.e_phentsize != sizeof segment) {
        return MR_OK; /* No object, or none for this machine: the loader says so. */
    }
    if (head.e_phnum > SEGMENTS_MAX) {
        return mr__error_set(reterr, MR_EABI, "%s: cannot be loaded: more than %u segments", file,
                             SEGMENTS_MAX);
    }
    for (uint32_t i = 0; i < head.e_phnum; i++) {
        bool there = read_at(fd, &segment, sizeof segment, head.e_phoff + i * sizeof segment);
        if (!there || segment.p_offset > file_bytes ||
            segment.p_filesz > file_bytes - segment.p_offset) {
            return mr__error_set(reterr, MR_EABI, "%s: cannot be loaded: the file was cut", file);
        }
    }
    return MR_OK;
}
