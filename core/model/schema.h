/* SPDX-License-Identifier: MIT
 *
 * The JSON Schema (draft 2020-12) of a dag file, written from the parser's own tables of keys: each
 * key carries the schema of its value. Pure; any thread.
 *
 * Editors complete from it: each key has its help as description, and its types stand in the open,
 * not below an allOf, where the language servers do not look for them.
 *
 * It sees what stands in one place: keys, types, words. What depends on other places (the graph,
 * names in templates and Lua, a default's type) is the parser's alone.
 */
#ifndef MR__SCHEMA_H
#define MR__SCHEMA_H

#include "core/base/buf.h"

/* For the tables: pieces of JSON. */
#define MR__SCHEMA_REF(name)     "{\"$ref\":\"#/$defs/" name "\"}"
#define MR__SCHEMA_WORDS(words)  "{\"enum\":[" words ",null]}"
#define MR__SCHEMA_ANY_TYPE      "[\"string\",\"number\",\"boolean\",\"array\",\"object\",\"null\"]"
#define MR__SCHEMA_OR_NULL(json) "{\"anyOf\":[{\"type\":\"null\"}," json "]}"

/* Adds the members of "$defs": one for each table of keys and one for each kind of value. "dag" is
 * the whole file. "actions", which a task refers to, is left to the caller: which there are, the
 * registry knows. */
void mr__schema_defs(struct mr__buf *out);

#endif
