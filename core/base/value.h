/* SPDX-License-Identifier: MIT
 *
 * Making, reading and writing values (millrace/value.h): JSON text in both directions, 64-bit
 * integers kept exact, memory from an arena.
 */
#ifndef MR__VALUE_H
#define MR__VALUE_H

#include <millrace/value.h>

#include "core/base/arena.h"
#include "core/base/buf.h"

mr_value mr__value_null(void);
mr_value mr__value_bool(bool v);
mr_value mr__value_int(int64_t v);
mr_value mr__value_number(double v);
mr_value mr__value_str(const char *text, size_t len); /* borrows `text`, which ends in NUL */

/* Copies a value and all below it into the arena. MR_ENOMEM; MR_ELIMIT deeper than the JSON limit.
 */
mr_status mr__value_dup(struct mr__arena *arena, const mr_value *value, mr_value *ret_value);

/* Puts the members of the map `over` over those of the map `into`, whose values are not copied;
 * `over` may be NULL, or no map: it has none. MR_ENOMEM. */
mr_status mr__value_merge(struct mr__arena *arena, mr_value *into, const mr_value *over);

/* Parses exactly one JSON value (RFC 8259; duplicate keys, NUL in text and lone surrogates are
 * errors; depth <= MR__JSON_DEPTH_MAX). MR_EINVAL with the position in the message, MR_ENOMEM. */
mr_status mr__value_parse(struct mr__arena *arena, const char *json, size_t len,
                          mr_value *ret_value, mr_error *reterr);

/* Writes compact JSON. Bytes that are not UTF-8 become U+FFFD. A number that is not finite: null.
 */
void mr__value_print(struct mr__buf *buf, const mr_value *value);
/* Writes one JSON string with its quotes. A NUL, which no value holds, becomes U+FFFD too. */
void mr__json_str(struct mr__buf *buf, const char *text, size_t len);
/* Writes a number so that it reads back as the same double, and as a number, not an integer. */
void mr__json_number(struct mr__buf *buf, double v);

bool mr__value_equal(const mr_value *a, const mr_value *b);
/* "string", "int", ... Static. */
const char *mr__value_type_name(uint32_t type);

/* The text of a value inside longer text or an environment: text as it is, null as nothing,
 * anything else as JSON (contract.md). */
void mr__value_text(struct mr__buf *buf, const mr_value *value);

/* Text to the declared type: "true", "3", "1.5", JSON for list and map. False: it is none. */
bool mr__value_from_text(struct mr__arena *arena, const char *text, size_t len, uint32_t type,
                         mr_value *ret_value);

#endif
