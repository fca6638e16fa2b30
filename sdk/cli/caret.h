/* SPDX-License-Identifier: MIT
 *
 * A problem of a dag file as a person reads it: where it stands, the line, a caret under the place,
 * and the nearest known word (contract.md). Pure.
 */
#ifndef MR__CARET_H
#define MR__CARET_H

#include "sdk/cli/pick.h"

/* Adds one of contract.md's error objects with what docs/requests.md adds to it. */
void mr__caret_add(struct mr__text *text, struct mr__pick problem, bool color);

#endif
