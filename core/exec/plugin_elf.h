/* SPDX-License-Identifier: MIT
 *
 * What is seen of a shared object before it is mapped. The C library's loader maps what the headers
 * promise; of a file that was cut (a copy under way, a full disk) it would touch pages that are not
 * there, and SIGBUS would end the process. Opening thread.
 */
#ifndef MR__PLUGIN_ELF_H
#define MR__PLUGIN_ELF_H

#include "core/base/base.h"

/* MR_EABI, with `file` in the message: what its headers promise does not lie within its
 * `file_bytes`. Everything else about it is left for the loader to judge. */
mr_status mr__plugin_elf_check(int fd, uint64_t file_bytes, const char *file, mr_error *reterr);

#endif
