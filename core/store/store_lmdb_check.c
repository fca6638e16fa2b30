/* SPDX-License-Identifier: MIT
 *
 * LMDB's data file read by hand, before LMDB maps it: LMDB trusts its pages, and a page that lies
 * behind the file's end or points nowhere would end the process. Pure reading with pread; no thread
 * of its own, no state.
 *
 * The file is an array of pages. Pages 0 and 1 are metas, the one with the higher transaction
 * counts. A meta holds two trees: the free list (transaction -> list of page numbers) and the main
 * tree (table name -> tree). A tree is branch pages above leaf pages; a value that is too large for
 * a leaf has overflow pages of its own, one after the other. What this file takes for granted about
 * their layout is LMDB 0.9 on a 64-bit little-endian or big-endian machine, its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/store/store_lmdb.h"

_Static_assert(sizeof(size_t) == 8, "LMDB's page layout is read for 64-bit machines only");

enum {
    META_MAGIC = 0xBEEFC0DE,
    META_VERSION = 1,
    PAGE_HEAD =
        16, /* number u64, pad u16, flags u16, lower u16 and upper u16 or overflow pages u32 */
    NODE_HEAD = 8,
    META_BYTES = 136,
    TREE_BYTES = 48,
    PAGE_BRANCH = 0x01,
    PAGE_LEAF = 0x02,
    PAGE_OVERFLOW = 0x04,
    PAGE_META = 0x08,
    PAGE_KINDS = 0x6f,
    NODE_OVERFLOW = 0x01,
    NODE_TREE = 0x02,
    NODE_DUPS = 0x04,
    DEPTH_MAX = 32,
    PAGES_WHOLE_MAX = 256 /* a tree of more pages is not read whole, so that opening stays quick */
};

struct tree {
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct meta {
    uint32_t page_bytes;
    struct tree free_list, main;
    uint64_t last_page, transaction;
};

enum tree_kind { TREE_FREE_LIST, TREE_MAIN, TREE_TABLE };

struct check {
    int fd;
    const char *path;
    mr_error *reterr;
    uint64_t file_bytes, last_page;
    uint32_t page_bytes;
    bool whole;
    uint64_t free_pages; /* in the free list, as far as it has been read */
    /* of the tree that is being walked: */
    enum tree_kind kind;
    unsigned depth, levels; /* levels: how far down pages are read */
    uint64_t pages_left;    /* more than this would be a circle */
    /* The trees of the main tree's tables, walked after it. */
    struct tree tables[MR__LMDB_TABLES];
    size_t tables_count;
};

struct node {
    uint64_t child; /* of a branch page */
    const uint8_t *key, *data;
    size_t key_len, data_len; /* of a leaf */
    unsigned flags;
};

static mr_status damaged(struct check *c, const char *what, uint64_t page);
static mr_status read_at(struct check *c, void *bytes, size_t len, uint64_t at);
static mr_status read_meta(struct check *c, uint64_t at, struct meta *ret_meta);
static mr_status check_trees(struct check *c, const struct meta *meta);
static mr_status check_tree(struct check *c, const struct tree *tree, enum tree_kind kind);
static mr_status check_page(struct check *c, uint64_t number, unsigned level);
static mr_status check_nodes(struct check *c, const uint8_t *page, uint64_t number, unsigned level);
static mr_status check_leaf_node(struct check *c, const struct node *node, uint64_t number);
static mr_status check_overflow(struct check *c, const struct node *node, uint64_t number);
static mr_status check_free_pages(struct check *c, const uint8_t *list, size_t len,
                                  uint64_t number);
static mr_status check_table(struct check *c, const struct node *node, uint64_t number);

static uint16_t u16_at(const uint8_t *at)
{
    uint16_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint32_t u32_at(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

static uint64_t u64_at(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return v;
}

mr_status mr__lmdb_check(int fd, const char *path, struct mr__lmdb_file *ret_file, mr_error *reterr)
{
    struct check c = {.fd = fd, .path = path, .reterr = reterr};
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return mr__lmdb_error(reterr, errno, path);
    }
    memset(ret_file, 0, sizeof *ret_file);
    if (st.st_size == 0) {
        return MR_OK;
    }
    c.file_bytes = (uint64_t)st.st_size;
    struct meta metas[2];
    mr_status status = read_meta(&c, 0, &metas[0]);
    if (status == MR_OK) {
        c.page_bytes = metas[0].page_bytes;
        if (metas[0].transaction == 0 && c.file_bytes < 2 * (uint64_t)c.page_bytes) {
            ret_file->file_bytes = c.file_bytes;
            return MR_OK; /* its making was broken off: nothing has ever been committed */
        }
        status = read_meta(&c, c.page_bytes, &metas[1]);
    }
    if (status != MR_OK) {
        return status;
    }
    if (metas[1].page_bytes != c.page_bytes) {
        return damaged(&c, "its two heads differ", 1);
    }
    const struct meta *meta = &metas[metas[1].transaction > metas[0].transaction];
    c.last_page = meta->last_page;
    if (c.last_page < 1 || c.last_page >= (uint64_t)1 << 47) {
        return damaged(&c, "no sensible number of pages", 0);
    }
    ret_file->page_bytes = c.page_bytes;
    ret_file->file_bytes = c.file_bytes;
    ret_file->needed_bytes = (c.last_page + 1) * c.page_bytes;
    c.whole = ret_file->needed_bytes > c.file_bytes;
    status = check_trees(&c, meta);
    uint64_t missing = c.whole ? (ret_file->needed_bytes - c.file_bytes) / c.page_bytes : 0;
    if (status == MR_OK && missing > c.free_pages) {
        return damaged(&c, "pages are missing at its end", c.last_page);
    }
    return status;
}

static mr_status damaged(struct check *c, const char *what, uint64_t page)
{
    return mr__error_set(c->reterr, MR_ESTORE, "%s/data.mdb is damaged: %s (page %llu)", c->path,
                         what, (unsigned long long)page);
}

static mr_status read_at(struct check *c, void *bytes, size_t len, uint64_t at)
{
    if (at + len > c->file_bytes) {
        return mr__error_set(c->reterr, MR_ESTORE,
                             "%s/data.mdb is damaged: it was cut off at %llu bytes", c->path,
                             (unsigned long long)c->file_bytes);
    }
    for (size_t done = 0; done < len;) {
        ssize_t n = pread(c->fd, (char *)bytes + done, len - done, (off_t)(at + done));
        if (n <= 0) {
            if (n < 0 && errno == EINTR) {
                continue;
            }
            return mr__error_set(c->reterr, MR_EIO, "%s/data.mdb: %s", c->path,
                                 strerror(n < 0 ? errno : EIO));
        }
        done += (size_t)n;
    }
    return MR_OK;
}

/* ---- metas ------------------------------------------------------------------------------------
 */

static void parse_tree(const uint8_t *at, struct tree *ret_tree)
{
    ret_tree->flags = u16_at(at + 4);
    ret_tree->depth = u16_at(at + 6);
    ret_tree->branch_pages = u64_at(at + 8);
    ret_tree->leaf_pages = u64_at(at + 16);
    ret_tree->overflow_pages = u64_at(at + 24);
    ret_tree->entries = u64_at(at + 32);
    ret_tree->root = u64_at(at + 40);
}

static mr_status read_meta(struct check *c, uint64_t at, struct meta *ret_meta)
{
    uint8_t bytes[PAGE_HEAD + META_BYTES];
    if (at == 0 && c->file_bytes < sizeof bytes) {
        return mr__error_set(c->reterr, MR_EFORMAT, "%s/data.mdb is no millrace store", c->path);
    }
    mr_status status = read_at(c, bytes, sizeof bytes, at);
    if (status != MR_OK) {
        return status;
    }
    const uint8_t *meta = bytes + PAGE_HEAD;
    uint32_t magic = u32_at(meta), version = u32_at(meta + 4);
    if (magic == __builtin_bswap32(META_MAGIC)) {
        return mr__error_set(c->reterr, MR_EFORMAT,
                             "%s/data.mdb was written on a machine with another byte order",
                             c->path);
    }
    if (magic != (uint32_t)META_MAGIC || (u16_at(bytes + 10) & PAGE_META) == 0) {
        return at > 0 ? damaged(c, "its second head is none", 1)
                      : mr__error_set(c->reterr, MR_EFORMAT, "%s/data.mdb is no millrace store",
                                      c->path);
    }
    if (version != META_VERSION) {
        return mr__error_set(c->reterr, MR_EFORMAT,
                             "%s/data.mdb has format %u of LMDB's, this program reads %d", c->path,
                             version, META_VERSION);
    }
    ret_meta->page_bytes = u32_at(meta + 24); /* LMDB keeps it in the free list's first field */
    parse_tree(meta + 24, &ret_meta->free_list);
    parse_tree(meta + 24 + TREE_BYTES, &ret_meta->main);
    ret_meta->last_page = u64_at(meta + 24 + 2 * TREE_BYTES);
    ret_meta->transaction = u64_at(meta + 32 + 2 * TREE_BYTES);
    uint32_t page = ret_meta->page_bytes;
    if (page < 4096 || page > 32768 || (page & (page - 1)) != 0) {
        return mr__error_set(c->reterr, MR_EFORMAT,
                             "%s/data.mdb has pages of %u bytes, this program reads 4096 to 32768",
                             c->path, page);
    }
    return MR_OK;
}

/* ---- trees ------------------------------------------------------------------------------------
 */

static mr_status check_trees(struct check *c, const struct meta *meta)
{
    if (meta->free_list.flags != MDB_INTEGERKEY || meta->main.flags != 0) {
        return damaged(c, "trees of a kind that the store has none of", 0);
    }
    mr_status status = check_tree(c, &meta->free_list, TREE_FREE_LIST);
    if (status == MR_OK) {
        status = check_tree(c, &meta->main, TREE_MAIN);
    }
    for (size_t i = 0; status == MR_OK && i < c->tables_count; i++) {
        status = check_tree(c, &c->tables[i], TREE_TABLE);
    }
    return status;
}

static mr_status check_tree(struct check *c, const struct tree *tree, enum tree_kind kind)
{
    if (tree->root == UINT64_MAX) {
        return tree->entries == 0 ? MR_OK : damaged(c, "a tree without a root", 0);
    }
    if (tree->depth == 0 || tree->depth > DEPTH_MAX) {
        return damaged(c, "a tree of no sensible depth", tree->root);
    }
    uint64_t limit = c->last_page;
    if (tree->branch_pages > limit || tree->leaf_pages > limit || tree->overflow_pages > limit) {
        return damaged(c, "a tree of more pages than there are", tree->root);
    }
    uint64_t pages = tree->branch_pages + tree->leaf_pages;
    c->kind = kind;
    c->depth = tree->depth;
    c->pages_left = pages;
    c->levels = 1;
    if (c->whole || pages <= PAGES_WHOLE_MAX) {
        c->levels = tree->depth;
    } else if (tree->branch_pages <= PAGES_WHOLE_MAX) {
        c->levels = tree->depth - 1u;
    }
    return check_page(c, tree->root, 1);
}

/* Goes no deeper than DEPTH_MAX. */
static mr_status check_page(struct check *c, uint64_t number, unsigned level)
{
    if (number < 2 || number > c->last_page) {
        return damaged(c, "a page number that is none", number);
    }
    if (level > c->levels) {
        return MR_OK;
    }
    if (c->pages_left-- == 0) {
        return damaged(c, "a tree of more pages than it says", number);
    }
    uint8_t *page = mr__malloc(c->page_bytes);
    if (page == NULL) {
        return mr__error_set(c->reterr, MR_ENOMEM, "out of memory");
    }
    mr_status status = read_at(c, page, c->page_bytes, number * c->page_bytes);
    if (status == MR_OK) {
        status = check_nodes(c, page, number, level);
    }
    mr__free(page);
    return status;
}

static bool parse_node(const struct check *c, const uint8_t *page, size_t at, bool leaf,
                       struct node *ret_node)
{
    size_t room = c->page_bytes - at;
    if ((at & 1) != 0 || room < NODE_HEAD) {
        return false;
    }
    const uint8_t *node = page + at;
    /* Two halves of a number, low first on little-endian machines; flags are its top in a branch.
     */
    const uint16_t one = 1;
    bool little = *(const uint8_t *)&one == 1;
    uint64_t low = u16_at(node + (little ? 0 : 2)), high = u16_at(node + (little ? 2 : 0));
    ret_node->flags = u16_at(node + 4);
    ret_node->key_len = u16_at(node + 6);
    ret_node->key = node + NODE_HEAD;
    ret_node->data = ret_node->key + ret_node->key_len;
    ret_node->child = low | high << 16 | (uint64_t)ret_node->flags << 32;
    ret_node->data_len = (size_t)(low | high << 16);
    if (ret_node->key_len > room - NODE_HEAD) {
        return false;
    }
    room -= NODE_HEAD + ret_node->key_len;
    size_t inside = (ret_node->flags & NODE_OVERFLOW) != 0 ? 8 : ret_node->data_len;
    return !leaf || inside <= room;
}

static mr_status check_nodes(struct check *c, const uint8_t *page, uint64_t number, unsigned level)
{
    bool leaf = level == c->depth;
    size_t lower = u16_at(page + 12), upper = u16_at(page + 14);
    if (u64_at(page) != number ||
        (u16_at(page + 10) & PAGE_KINDS) != (leaf ? PAGE_LEAF : PAGE_BRANCH)) {
        return damaged(c, "it is not the page that it should be", number);
    }
    size_t count = lower < PAGE_HEAD ? 0 : (lower - PAGE_HEAD) / 2;
    bool enough = leaf || c->kind == TREE_FREE_LIST ? count >= 1 : count >= 2;
    if (!enough || (lower & 1) != 0 || lower > upper || upper > c->page_bytes) {
        return damaged(c, "its list of nodes", number);
    }
    struct node last = {.key = NULL};
    for (size_t i = 0; i < count; i++) {
        struct node node;
        size_t at = u16_at(page + PAGE_HEAD + 2 * i);
        if (at < upper || at >= c->page_bytes || !parse_node(c, page, at, leaf, &node)) {
            return damaged(c, "a node that is none", number);
        }
        /* The first key of a branch page stands for "all below" and is not looked at. */
        if (last.key != NULL && c->kind != TREE_FREE_LIST) {
            int order = memcmp(last.key, node.key, MR__MIN(last.key_len, node.key_len));
            if (order > 0 || (order == 0 && last.key_len >= node.key_len)) {
                return damaged(c, "keys that are not in order", number);
            }
        }
        if (leaf || i > 0) {
            last = node;
        }
        mr_status status =
            leaf ? check_leaf_node(c, &node, number) : check_page(c, node.child, level + 1);
        if (status != MR_OK) {
            return status;
        }
    }
    return MR_OK;
}

static mr_status check_leaf_node(struct check *c, const struct node *node, uint64_t number)
{
    if (c->kind == TREE_MAIN) {
        return check_table(c, node, number);
    }
    if ((node->flags & (NODE_TREE | NODE_DUPS)) != 0) {
        return damaged(c, "a value of a kind that the store has none of", number);
    }
    if (c->kind == TREE_FREE_LIST && node->key_len != 8) {
        return damaged(c, "its list of free pages", number);
    }
    if ((node->flags & NODE_OVERFLOW) != 0) {
        return check_overflow(c, node, number);
    }
    return c->kind == TREE_FREE_LIST ? check_free_pages(c, node->data, node->data_len, number)
                                     : MR_OK;
}

static mr_status check_overflow(struct check *c, const struct node *node, uint64_t number)
{
    uint64_t first = u64_at(node->data);
    uint64_t pages = (PAGE_HEAD + (uint64_t)node->data_len + c->page_bytes - 1) / c->page_bytes;
    if (first < 2 || first > c->last_page || pages > c->last_page - first + 1) {
        return damaged(c, "a large value that lies nowhere", number);
    }
    uint8_t head[PAGE_HEAD], end;
    mr_status status = read_at(c, head, sizeof head, first * c->page_bytes);
    if (status == MR_OK) {
        status = read_at(c, &end, 1, first * c->page_bytes + PAGE_HEAD + node->data_len - 1);
    }
    if (status != MR_OK) {
        return status;
    }
    uint32_t has = u32_at(head + 12);
    if (u64_at(head) != first || (u16_at(head + 10) & PAGE_KINDS) != PAGE_OVERFLOW || has < pages ||
        has > c->last_page - first + 1) {
        return damaged(c, "a large value that is none", first);
    }
    if (c->kind != TREE_FREE_LIST) {
        return MR_OK;
    }
    uint8_t *list = mr__malloc(node->data_len);
    if (list == NULL) {
        return mr__error_set(c->reterr, MR_ENOMEM, "out of memory");
    }
    status = read_at(c, list, node->data_len, first * c->page_bytes + PAGE_HEAD);
    if (status == MR_OK) {
        status = check_free_pages(c, list, node->data_len, first);
    }
    mr__free(list);
    return status;
}

/* A count, then page numbers, the highest first; the bytes may not be aligned. */
static mr_status check_free_pages(struct check *c, const uint8_t *list, size_t len, uint64_t number)
{
    uint64_t count = len < 8 ? UINT64_MAX : u64_at(list), last = c->last_page + 1;
    if (count > len / 8 - 1) {
        return damaged(c, "its list of free pages", number);
    }
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = u64_at(list + 8 * i);
        if (page < 2 || page >= last) {
            return damaged(c, "its list of free pages", number);
        }
        last = page;
    }
    c->free_pages += count;
    return MR_OK;
}

static mr_status check_table(struct check *c, const struct node *node, uint64_t number)
{
    bool known = false;
    for (size_t i = 0; i < MR__LMDB_TABLES; i++) {
        const char *name = mr__lmdb_tables[i].name;
        known |= strlen(name) == node->key_len && memcmp(name, node->key, node->key_len) == 0;
    }
    if (!known) {
        return mr__error_set(
            c->reterr, MR_EFORMAT,
            "%s/data.mdb holds the data of another program, or of a newer millrace", c->path);
    }
    if (node->flags != NODE_TREE || node->data_len != TREE_BYTES ||
        c->tables_count == MR__LMDB_TABLES) {
        return damaged(c, "its list of tables", number);
    }
    struct tree tree;
    parse_tree(node->data, &tree);
    if (tree.flags != 0) {
        return damaged(c, "a table of a kind that the store has none of", number);
    }
    c->tables[c->tables_count++] = tree;
    return MR_OK;
}
