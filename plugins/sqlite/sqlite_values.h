/* SPDX-License-Identifier: MIT
 *
 * Values on their way into a statement of SQLite and out of it. Integers keep their 64 bits; a blob
 * is {"base64": "..."}; what SQLite has no type for (lists, other maps) goes in as JSON text. The
 * thread of the statement.
 */
#ifndef MR__SQLITE_VALUES_H
#define MR__SQLITE_VALUES_H

#include <millrace/status.h>
#include <millrace/value.h>
#include <sqlite3.h>

#include "plugins/text.h"

#define MR__SQLITE_BYTES_MAX (16u << 20) /* of one value; of all rows as JSON: as of any output */

/* Binds all parameters of the statement: `bind` is null, a list for them by position, or a map by
 * their names. MR_EINVAL with a reason: they do not fit each other. The values are borrowed by the
 * statement, but for those that are made here. */
mr_status mr__sqlite_bind(sqlite3_stmt *statement, const mr_value *bind, mr_error *reterr);

/* MR_EINVAL with a reason: two columns have the same name, so that a row would be no map. */
mr_status mr__sqlite_check_columns(sqlite3_stmt *statement, mr_error *reterr);

/* Adds the row at which the statement stands as a JSON map. MR_ELIMIT, MR_EINVAL (infinity) with a
 * reason; MR_ENOMEM. */
mr_status mr__sqlite_add_row(sqlite3_stmt *statement, struct mr__text *json, mr_error *reterr);

#endif
