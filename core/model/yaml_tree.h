/* SPDX-License-Identifier: MIT
 *
 * A YAML 1.2 (or JSON) text as a tree of nodes that know their place. Aliases share the nodes that
 * they name, merges (`<<`) are done, repeated keys found; what is left is a plain JSON-like tree.
 *
 * Nodes live in the caller's arena. Problems are added to a list; a tree is given whenever there is
 * one, so that the reader above can find its own problems as well.
 */
#ifndef MR__YAML_TREE_H
#define MR__YAML_TREE_H

#include "core/base/arena.h"
#include "core/base/value.h"
#include "core/model/problems.h"

enum mr__yaml_kind { MR__YAML_SCALAR = 0, MR__YAML_LIST, MR__YAML_MAP };

/* How the text of a scalar lies in the file, so that a place within it can be told. */
enum mr__yaml_layout {
    MR__YAML_OTHER = 0, /* folded, with escapes, or through an alias */
    MR__YAML_AS_IS,     /* in one line, character for character */
    MR__YAML_BLOCK      /* from the next line on, line for line, behind an indentation */
};

struct mr__yaml_node {
    uint32_t line, column;
    uint32_t width : 24;   /* characters, where it ends in its first line; else 1 */
    uint32_t kind : 2;     /* enum mr__yaml_kind */
    uint32_t plain : 1;    /* without quotes: may be a number, true, null, ... */
    uint32_t is_float : 1; /* !!float: an integer becomes a number */
    uint32_t layout : 2;   /* enum mr__yaml_layout */
    uint32_t len;          /* bytes of text, items of a list, pairs of a map */
    union {
        const char *text;                  /* NUL-terminated, without NUL in it */
        const struct mr__yaml_node *items; /* of a map: key, value, key, value, ... */
    } u;
};

/* Reads one document. MR_OK: `ret_root` is the tree, in `arena`; problems may have been added.
 * MR_EDEFINITION: there is no tree, and a problem says why. MR_ENOMEM. */
mr_status mr__yaml_read(const char *text, size_t len, struct mr__arena *arena,
                        struct mr__problems *problems, struct mr__yaml_node *ret_root);

struct mr__pos mr__yaml_pos(const struct mr__yaml_node *node);
bool mr__yaml_is_null(const struct mr__yaml_node *node);

/* A scalar by the core schema; its text is borrowed from the node. NULL, or what is wrong with it.
 */
const char *mr__yaml_scalar(const struct mr__yaml_node *node, mr_value *ret_value);

/* Reads a text that is one value, as --vars FILE is, into `arena`. As mr__yaml_read. */
mr_status mr__yaml_value(const char *text, size_t len, struct mr__arena *arena,
                         struct mr__problems *problems, mr_value *ret_value);

#endif
