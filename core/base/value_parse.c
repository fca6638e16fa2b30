/* SPDX-License-Identifier: MIT
 *
 * The JSON reader (RFC 8259): text to a value in an arena, integers exact. Pure, any thread.
 *
 * Recursion is bounded by MR__JSON_DEPTH_MAX. The members of the lists and maps that are still open
 * lie on one stack, so that each finished one is copied to the arena once, at its final size. An
 * integer that does not fit 64 bits becomes a number, as everywhere in JSON.
 */
#include "core/base/value.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/hash.h"

#define NUMBER_CHARS_MAX   1000u
#define LINEAR_MEMBERS_MAX 8u /* up to here comparing all keys is cheaper than a table */

struct parser {
    struct mr__arena *arena;
    const char *text, *at, *end;
    mr_member *stack; /* members (with keys) or items (without) of what is still open */
    size_t count, cap;
    mr_error *reterr;
};

static mr_status parse_value(struct parser *p, unsigned depth, mr_value *ret_value);
static mr_status parse_list(struct parser *p, unsigned depth, mr_value *ret_value);
static mr_status parse_map(struct parser *p, unsigned depth, mr_value *ret_value);
static mr_status parse_string(struct parser *p, mr_value *ret_value);
static mr_status parse_number(struct parser *p, mr_value *ret_value);

/* An error at `at`, which lies in the text. */
MR__PRINTF(3, 4)
static mr_status fail(struct parser *p, const char *at, const char *fmt, ...)
{
    unsigned long line = 1, column = 1;
    for (const char *c = p->text; c < at; c++) {
        if (*c == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*c & 0xc0) != 0x80) {
            column++;
        }
    }
    char what[256];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return mr__error_set(p->reterr, MR_EINVAL, "line %lu, column %lu: %s", line, column, what);
}

static mr_status out_of_memory(struct parser *p)
{
    return mr__error_set(p->reterr, MR_ENOMEM, "out of memory");
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end &&
           (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r')) {
        p->at++;
    }
}

mr_status mr__value_parse(struct mr__arena *arena, const char *json, size_t len,
                          mr_value *ret_value, mr_error *reterr)
{
    struct parser p = {
        .arena = arena, .text = json, .at = json, .end = json + len, .reterr = reterr};
    if (len > UINT32_MAX) {
        return mr__error_set(reterr, MR_EINVAL, "JSON text of more than 4 GiB");
    }
    if (!mr__utf8_valid(json, len)) {
        return mr__error_set(reterr, MR_EINVAL, "JSON text that is not UTF-8");
    }
    mr_value value;
    skip_blanks(&p);
    mr_status status = parse_value(&p, 0, &value);
    if (status == MR_OK) {
        skip_blanks(&p);
        if (p.at < p.end) {
            status = fail(&p, p.at, "text after the JSON value");
        }
    }
    mr__free(p.stack);
    if (status == MR_OK) {
        *ret_value = value;
    }
    return status;
}

static bool take_word(struct parser *p, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0) {
        return false;
    }
    p->at += len;
    return true;
}

static mr_status parse_value(struct parser *p, unsigned depth, mr_value *ret_value)
{
    if (p->at == p->end) {
        return fail(p, p->at, "the text ends where a value is expected");
    }
    char c = *p->at;
    if (c == '{' || c == '[') {
        if (depth >= MR__JSON_DEPTH_MAX) {
            return fail(p, p->at, "nested deeper than %u", MR__JSON_DEPTH_MAX);
        }
        return c == '{' ? parse_map(p, depth, ret_value) : parse_list(p, depth, ret_value);
    }
    if (c == '"') {
        return parse_string(p, ret_value);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return parse_number(p, ret_value);
    }
    if (take_word(p, "true")) {
        *ret_value = mr__value_bool(true);
    } else if (take_word(p, "false")) {
        *ret_value = mr__value_bool(false);
    } else if (take_word(p, "null")) {
        *ret_value = mr__value_null();
    } else {
        return fail(p, p->at, "not a JSON value");
    }
    return MR_OK;
}

static mr_member *push(struct parser *p)
{
    if (p->count == p->cap) {
        size_t cap = p->cap == 0 ? 32 : p->cap * 2;
        mr_member *stack = mr__realloc(p->stack, cap * sizeof *stack);
        if (stack == NULL) {
            return NULL;
        }
        p->stack = stack;
        p->cap = cap;
    }
    mr_member *top = &p->stack[p->count++];
    memset(top, 0, sizeof *top);
    return top;
}

/* After an item: true if another one follows; else `*ret_status` says whether it was the end. */
static bool another(struct parser *p, char closing, mr_status *ret_status)
{
    *ret_status = MR_OK;
    skip_blanks(p);
    if (p->at < p->end && *p->at == ',') {
        p->at++;
        skip_blanks(p);
        return true;
    }
    if (p->at < p->end && *p->at == closing) {
        p->at++;
        return false;
    }
    *ret_status = fail(p, p->at, "expected ',' or '%c'", closing);
    return false;
}

static mr_status parse_list(struct parser *p, unsigned depth, mr_value *ret_value)
{
    size_t first = p->count;
    mr_status status = MR_OK;
    p->at++;
    skip_blanks(p);
    bool more = !(p->at < p->end && *p->at == ']');
    if (!more) {
        p->at++;
    }
    while (more) {
        mr_value item;
        status = parse_value(p, depth + 1, &item);
        if (status != MR_OK) {
            return status;
        }
        mr_member *top = push(p);
        if (top == NULL) {
            return out_of_memory(p);
        }
        top->value = item;
        more = another(p, ']', &status);
    }
    if (status != MR_OK) {
        return status;
    }
    size_t count = p->count - first;
    mr_value *list = mr__arena_alloc(p->arena, count * sizeof *list);
    if (list == NULL) {
        return out_of_memory(p);
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = p->stack[first + i].value;
    }
    p->count = first;
    *ret_value = (mr_value){.type = MR_LIST, .len = (uint32_t)count, .u.list = list};
    return MR_OK;
}

/* MR_EINVAL if the newest of `count` members repeats the key of another one. `table` is filled once
 * there are many. */
static mr_status check_repeat(const mr_member *members, size_t count, struct mr__hash *table)
{
    const char *key = members[count - 1].key;
    if (count <= LINEAR_MEMBERS_MAX) {
        for (size_t i = 0; i + 1 < count; i++) {
            if (strcmp(members[i].key, key) == 0) {
                return MR_EINVAL;
            }
        }
        return MR_OK;
    }
    mr_status status = MR_OK;
    for (size_t i = table->count; i + 1 < count && status == MR_OK; i++) {
        status = mr__hash_put(table, members[i].key, strlen(members[i].key), i);
    }
    uint64_t number;
    if (status == MR_OK && mr__hash_get(table, key, strlen(key), &number)) {
        status = MR_EINVAL;
    }
    return status;
}

static mr_status parse_members(struct parser *p, unsigned depth, struct mr__hash *table)
{
    size_t first = p->count;
    mr_status status = MR_OK;
    bool more = true;
    while (more) {
        const char *key_at = p->at;
        if (p->at == p->end || *p->at != '"') {
            return fail(p, p->at, "expected a key in quotes");
        }
        mr_value key, value;
        status = parse_string(p, &key);
        if (status != MR_OK) {
            return status;
        }
        mr_member *top = push(p);
        if (top == NULL) {
            return out_of_memory(p);
        }
        top->key = key.u.s;
        size_t place = p->count - 1;
        status = check_repeat(p->stack + first, p->count - first, table);
        if (status == MR_EINVAL) {
            return fail(p, key_at, "the key \"%.100s\" stands there twice", key.u.s);
        } else if (status != MR_OK) {
            return out_of_memory(p);
        }
        skip_blanks(p);
        if (p->at == p->end || *p->at != ':') {
            return fail(p, p->at, "expected ':'");
        }
        p->at++;
        skip_blanks(p);
        status = parse_value(p, depth + 1, &value);
        if (status != MR_OK) {
            return status;
        }
        p->stack[place].value = value;
        more = another(p, '}', &status);
    }
    return status;
}

static mr_status parse_map(struct parser *p, unsigned depth, mr_value *ret_value)
{
    size_t first = p->count;
    p->at++;
    skip_blanks(p);
    if (p->at < p->end && *p->at == '}') {
        p->at++;
    } else {
        struct mr__hash table;
        mr__hash_init(&table);
        mr_status status = parse_members(p, depth, &table);
        mr__hash_finish(&table);
        if (status != MR_OK) {
            return status;
        }
    }
    size_t count = p->count - first;
    mr_member *map = mr__arena_alloc(p->arena, count * sizeof *map);
    if (map == NULL) {
        return out_of_memory(p);
    }
    if (count > 0) {
        memcpy(map, p->stack + first, count * sizeof *map);
    }
    p->count = first;
    *ret_value = (mr_value){.type = MR_MAP, .len = (uint32_t)count, .u.map = map};
    return MR_OK;
}

/* Four hexadecimal digits at `at`, or -1. */
static long hex4(const struct parser *p, const char *at)
{
    if (p->end - at < 4) {
        return -1;
    }
    long number = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i], lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9') {
            number = number * 16 + (c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            number = number * 16 + (lower - 'a' + 10);
        } else {
            return -1;
        }
    }
    return number;
}

static char *put_utf8(char *to, unsigned long c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

/* One escape, `p->at` behind its backslash; its bytes go to `*to`. */
static mr_status parse_escape(struct parser *p, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *begin = p->at - 1;
    char c = p->at < p->end ? *p->at : '\0';
    const char *found = c == '\0' ? NULL : strchr(from, c);
    if (found != NULL) {
        p->at++;
        *(*to)++ = into[found - from];
        return MR_OK;
    }
    long unit = c == 'u' ? hex4(p, p->at + 1) : -1;
    if (unit < 0) {
        return fail(p, begin, "not an escape of JSON");
    }
    p->at += 5;
    if (unit == 0) {
        return fail(p, begin, "text may not hold NUL");
    }
    unsigned long character = (unsigned long)unit;
    if (unit >= 0xd800 && unit <= 0xdfff) {
        long low =
            p->end - p->at >= 2 && p->at[0] == '\\' && p->at[1] == 'u' ? hex4(p, p->at + 2) : -1;
        if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) {
            return fail(p, begin, "half of a surrogate pair");
        }
        p->at += 6;
        character =
            0x10000ul + ((unsigned long)(unit - 0xd800) << 10 | (unsigned long)(low - 0xdc00));
    }
    *to = put_utf8(*to, character);
    return MR_OK;
}

static mr_status parse_string(struct parser *p, mr_value *ret_value)
{
    const char *begin = ++p->at, *close = begin;
    while (close < p->end && *close != '"') {
        close += *close == '\\' && close + 1 < p->end ? 2 : 1;
    }
    if (close >= p->end) {
        return fail(p, begin - 1, "this text has no closing quote");
    }
    /* An escape is never shorter than what it stands for. */
    char *text = mr__arena_bytes(p->arena, (size_t)(close - begin) + 1);
    if (text == NULL) {
        return out_of_memory(p);
    }
    char *to = text;
    while (p->at < close) {
        unsigned char c = (unsigned char)*p->at;
        if (c < 0x20) {
            return fail(p, p->at, "a control character in text must be escaped");
        }
        p->at++;
        if (c != '\\') {
            *to++ = (char)c;
            continue;
        }
        mr_status status = parse_escape(p, &to);
        if (status != MR_OK) {
            return status;
        }
    }
    p->at = close + 1;
    *to = '\0';
    *ret_value = mr__value_str(text, (size_t)(to - text));
    return MR_OK;
}

static bool skip_digits(struct parser *p)
{
    const char *begin = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9') {
        p->at++;
    }
    return p->at > begin;
}

static mr_status parse_number(struct parser *p, mr_value *ret_value)
{
    const char *begin = p->at;
    bool integer = true;
    if (*p->at == '-') {
        p->at++;
    }
    bool zero = p->at < p->end && *p->at == '0';
    const char *digits = p->at;
    bool good = skip_digits(p) && !(zero && p->at - digits > 1);
    if (good && p->at < p->end && *p->at == '.') {
        integer = false;
        p->at++;
        good = skip_digits(p);
    }
    if (good && p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        integer = false;
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-')) {
            p->at++;
        }
        good = skip_digits(p);
    }
    size_t len = (size_t)(p->at - begin);
    if (!good || len > NUMBER_CHARS_MAX) {
        return fail(p, begin, good ? "a number of more than %u characters" : "not a number",
                    NUMBER_CHARS_MAX);
    }
    char text[NUMBER_CHARS_MAX + 1];
    memcpy(text, begin, len);
    text[len] = '\0';
    if (integer) {
        errno = 0;
        long long exact = strtoll(text, NULL, 10);
        if (errno == 0) {
            *ret_value = mr__value_int(exact);
            return MR_OK;
        }
    }
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0) {
        return out_of_memory(p);
    }
    double number = strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    if (!isfinite(number)) {
        return fail(p, begin, "a number that is too large");
    }
    *ret_value = mr__value_number(number);
    return MR_OK;
}
