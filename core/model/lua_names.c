/* SPDX-License-Identifier: MIT
 *
 * A lexer of Lua 5.4 and two walks over its tokens: the first collects what the text declares
 * (anywhere: scopes are not told apart), the second what it reads. Pure, any thread; linear.
 *
 * Where it is in doubt it says less: a name that is missed is found when it is evaluated, one that
 * was wrongly refused would be in nobody's power.
 */
#include "core/model/lua_names.h"

#include <stdlib.h>

#define NESTING_MAX 200u /* Lua's own limit of what is nested in an expression */

/* Symbols of one character stand for themselves; of the longer ones these matter here. */
enum { SYMBOL_CONCAT = 'c', SYMBOL_LABEL = 'l', SYMBOL_OTHER = 'o' };
enum token_kind { TOKEN_NAME = 0, TOKEN_KEYWORD, TOKEN_STRING, TOKEN_NUMBER, TOKEN_SYMBOL };

struct mr__lua_token {
    uint32_t at, len;
    uint8_t kind;
    char symbol; /* of a symbol, else 0 */
};

static const char *const keywords[] = {"and",   "break", "do",       "else", "elseif", "end",
                                       "false", "for",   "function", "goto", "if",     "in",
                                       "local", "nil",   "not",      "or",   "repeat", "return",
                                       "then",  "true",  "until",    "while"};

const struct mr__lua_global mr__lua_globals[] = {
    {.name = "vars", .is_data = true},
    {.name = "share", .is_data = true},
    {.name = "tasks", .is_data = true},
    {.name = "run", .is_data = true},
    {.name = "null", .is_data = true},
    {.name = "error"}, /* the function; in retry.if the failure */
    {.name = "json"},
    {.name = "date"},
    {.name = "filter"},
    {.name = "map"},
    {.name = "keys"},
    {.name = "contains"},
    {.name = "string"},
    {.name = "table"},
    {.name = "math"},
    {.name = "utf8"},
    {.name = "assert"},
    {.name = "pcall"},
    {.name = "xpcall"},
    {.name = "select"},
    {.name = "type"},
    {.name = "tonumber"},
    {.name = "tostring"},
    {.name = "ipairs"},
    {.name = "pairs"},
    {.name = "next"},
    {.name = "rawequal"},
    {.name = "rawlen"},
    {.name = "rawget"},
    {.name = "rawset"},
    {.name = "setmetatable"},
    {.name = "getmetatable"},
    {.name = "trace", .acts = true},
    {.name = "print", .acts = true},
    {.name = "log", .acts = true},
    {.name = "sleep", .acts = true},
    {.name = "canceled", .acts = true},
    {.name = "now", .acts = true},
    {.name = "flush", .acts = true},
    {.name = "fail", .acts = true},
    {.name = "heartbeat", .acts = true},
    {.name = "progress", .acts = true},
    {.name = "lock", .acts = true},
    {.name = "unlock", .acts = true},
    {.name = "value", .acts = true},
};
const size_t mr__lua_global_count = MR__COUNT(mr__lua_globals);

static mr_status read_tokens(struct mr__lua_names *names, const char *text, size_t len);
static mr_status collect_declared(struct mr__lua_names *names, const char *text);
static mr_status collect_read(struct mr__lua_names *names, const char *text);

void mr__lua_names_init(struct mr__lua_names *names)
{
    memset(names, 0, sizeof *names);
    mr__hash_init(&names->declared);
}

void mr__lua_names_finish(struct mr__lua_names *names)
{
    mr__free(names->list);
    mr__free(names->tokens);
    mr__hash_finish(&names->declared);
    memset(names, 0, sizeof *names);
}

mr_status mr__lua_names_read(struct mr__lua_names *names, const char *text, size_t len)
{
    MR_ASSERT(len <= UINT32_MAX);
    names->count = 0;
    names->token_count = 0;
    mr_status status = read_tokens(names, text, len);
    if (status == MR_OK) {
        status = collect_declared(names, text);
    }
    if (status == MR_OK) {
        status = collect_read(names, text);
    }
    if (names->declared.count > 0) {
        mr__hash_finish(&names->declared);
        mr__hash_init(&names->declared);
    }
    return status;
}

static bool equals(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

const struct mr__lua_global *mr__lua_global_find(const char *name, size_t len)
{
    for (size_t i = 0; i < mr__lua_global_count; i++) {
        if (equals(name, len, mr__lua_globals[i].name)) {
            return &mr__lua_globals[i];
        }
    }
    return NULL;
}

bool mr__lua_is_keyword(const char *text, size_t len)
{
    for (size_t i = 0; i < MR__COUNT(keywords); i++) {
        if (equals(text, len, keywords[i])) {
            return true;
        }
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

bool mr__lua_is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_name_char(text[i])) {
            return false;
        }
    }
    return len > 0 && !is_digit(text[0]) && !mr__lua_is_keyword(text, len);
}

/* ---- tokens -------------------------------------------------------------------------------- */

/* Behind the long bracket [[...]] or [=[...]=] that begins at `at`; `at` itself if none does. */
static const char *skip_long(const char *at, const char *end)
{
    const char *p = at + 1;
    while (p < end && *p == '=') {
        p++;
    }
    if (p == end || *p != '[') {
        return at;
    }
    size_t level = (size_t)(p - at) - 1;
    for (p++; p < end; p++) {
        size_t equal_signs = 0;
        while (*p == ']' && p + 1 + equal_signs < end && p[1 + equal_signs] == '=') {
            equal_signs++;
        }
        if (*p == ']' && equal_signs == level && p + 1 + level < end && p[1 + level] == ']') {
            return p + 2 + level;
        }
        p += equal_signs;
    }
    return end;
}

/* Behind a quoted string, which ends at a newline that no backslash takes. */
static const char *skip_quoted(const char *at, const char *end)
{
    char quote = *at++;
    while (at < end && *at != quote && *at != '\n') {
        at += *at == '\\' && end - at > 1 ? 2 : 1;
    }
    return at < end ? at + 1 : end;
}

static const char *skip_number(const char *at, const char *end)
{
    while (at < end && (is_name_char(*at) || *at == '.' ||
                        ((*at == '-' || *at == '+') && strchr("eEpP", at[-1]) != NULL))) {
        at++;
    }
    return at;
}

static const char *skip_comment(const char *at, const char *end)
{
    at += 2;
    const char *behind = at < end && *at == '[' ? skip_long(at, end) : at;
    if (behind != at) {
        return behind;
    }
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    return newline == NULL ? end : newline;
}

/* The symbol at `at`: how long it is, and what it counts as. */
static size_t read_symbol(const char *at, const char *end, char *ret_symbol)
{
    char next = end - at > 1 ? at[1] : '\0';
    *ret_symbol = *at;
    if (*at == '.' && next == '.') {
        *ret_symbol = SYMBOL_CONCAT;
        return end - at > 2 && at[2] == '.' ? 3 : 2;
    }
    if (*at == ':' && next == ':') {
        *ret_symbol = SYMBOL_LABEL;
        return 2;
    }
    if (next == '=' && strchr("=~<>", *at) != NULL) {
        *ret_symbol = SYMBOL_OTHER;
        return 2;
    }
    return 1;
}

static mr_status add_token(struct mr__lua_names *names, const struct mr__lua_token *token)
{
    if (names->token_count == names->token_cap) {
        size_t cap = names->token_cap == 0 ? 64 : names->token_cap * 2;
        struct mr__lua_token *tokens = mr__realloc(names->tokens, cap * sizeof *tokens);
        if (tokens == NULL) {
            return MR_ENOMEM;
        }
        names->tokens = tokens;
        names->token_cap = cap;
    }
    names->tokens[names->token_count++] = *token;
    return MR_OK;
}

/* Reads the token at `at`, where no blank and no comment is; its end. */
static const char *read_token(const char *at, const char *end, struct mr__lua_token *token)
{
    if (is_digit(*at) || (*at == '.' && end - at > 1 && is_digit(at[1]))) {
        token->kind = TOKEN_NUMBER;
        return skip_number(at + 1, end);
    }
    if (is_name_char(*at)) {
        const char *p = at;
        while (p < end && is_name_char(*p)) {
            p++;
        }
        token->kind = mr__lua_is_keyword(at, (size_t)(p - at)) ? TOKEN_KEYWORD : TOKEN_NAME;
        return p;
    }
    if (*at == '\'' || *at == '"') {
        token->kind = TOKEN_STRING;
        return skip_quoted(at, end);
    }
    if (*at == '[' && skip_long(at, end) != at) {
        token->kind = TOKEN_STRING;
        return skip_long(at, end);
    }
    token->kind = TOKEN_SYMBOL;
    return at + read_symbol(at, end, &token->symbol);
}

static mr_status read_tokens(struct mr__lua_names *names, const char *text, size_t len)
{
    const char *end = text + len;
    for (const char *at = text; at < end;) {
        if (*at == ' ' || (*at >= '\t' && *at <= '\r')) {
            at++;
            continue;
        }
        if (*at == '-' && end - at > 1 && at[1] == '-') {
            at = skip_comment(at, end);
            continue;
        }
        struct mr__lua_token token = {.at = (uint32_t)(at - text)};
        const char *behind = read_token(at, end, &token);
        token.len = (uint32_t)(behind - at);
        if (add_token(names, &token) != MR_OK) {
            return MR_ENOMEM;
        }
        at = behind;
    }
    return MR_OK;
}

/* A token that may lie outside: a symbol that is none. */
static struct mr__lua_token token_at(const struct mr__lua_names *names, size_t i)
{
    static const struct mr__lua_token none = {.kind = TOKEN_SYMBOL};
    return i < names->token_count ? names->tokens[i] : none;
}

static bool is_symbol(struct mr__lua_token token, char symbol)
{
    return token.kind == TOKEN_SYMBOL && token.symbol == symbol;
}

static bool is_keyword(const char *text, struct mr__lua_token token, const char *word)
{
    return token.kind == TOKEN_KEYWORD && equals(text + token.at, token.len, word);
}

/* ---- what is declared ---------------------------------------------------------------------- */

static mr_status declare(struct mr__lua_names *names, const char *text, size_t i)
{
    struct mr__lua_token token = token_at(names, i);
    return token.kind == TOKEN_NAME && token.len > 0
               ? mr__hash_put(&names->declared, text + token.at, token.len, 1)
               : MR_OK;
}

/* The names of a list from `i` on: of `local` (with attributes), `for`, or parameters. */
static mr_status declare_list(struct mr__lua_names *names, const char *text, size_t i)
{
    while (token_at(names, i).kind == TOKEN_NAME) {
        if (declare(names, text, i) != MR_OK) {
            return MR_ENOMEM;
        }
        i++;
        if (is_symbol(token_at(names, i), '<') && is_symbol(token_at(names, i + 2), '>')) {
            i += 3;
        }
        if (!is_symbol(token_at(names, i), ',')) {
            break;
        }
        i++;
    }
    return MR_OK;
}

/* `i` stands behind `function`: its name, if it has one, and its parameters. */
static mr_status declare_function(struct mr__lua_names *names, const char *text, size_t i)
{
    mr_status status = MR_OK;
    if (token_at(names, i).kind == TOKEN_NAME && is_symbol(token_at(names, i + 1), '(')) {
        status = declare(names, text, i);
    }
    while (token_at(names, i).kind == TOKEN_NAME) {
        if (is_symbol(token_at(names, i + 1), ':') && status == MR_OK) {
            status = mr__hash_put(&names->declared, "self", 4, 1);
        }
        bool more =
            is_symbol(token_at(names, i + 1), ':') || is_symbol(token_at(names, i + 1), '.');
        i += more ? 2 : 1;
    }
    if (status == MR_OK && is_symbol(token_at(names, i), '(')) {
        status = declare_list(names, text, i + 1);
    }
    return status;
}

static mr_status collect_declared(struct mr__lua_names *names, const char *text)
{
    mr_status status = MR_OK;
    for (size_t i = 0; i < names->token_count && status == MR_OK; i++) {
        struct mr__lua_token token = names->tokens[i];
        if (is_keyword(text, token, "function")) {
            status = declare_function(names, text, i + 1);
        } else if (is_keyword(text, token, "local") || is_keyword(text, token, "for")) {
            status = declare_list(names, text, i + 1);
        }
    }
    return status;
}

/* ---- what is read -------------------------------------------------------------------------- */

static mr_status add_name(struct mr__lua_names *names, enum mr__lua_name_kind kind,
                          const char *text, size_t len)
{
    if (names->count == names->cap) {
        size_t cap = names->cap == 0 ? 16 : names->cap * 2;
        struct mr__lua_name *list = mr__realloc(names->list, cap * sizeof *list);
        if (list == NULL) {
            return MR_ENOMEM;
        }
        names->list = list;
        names->cap = cap;
    }
    names->list[names->count++] = (struct mr__lua_name){.kind = kind, .text = text, .len = len};
    return MR_OK;
}

/* The member that follows the name at `i`: .NAME or ["NAME"]. False: another use. */
static bool read_member(const struct mr__lua_names *names, const char *text, size_t i,
                        const char **ret_name, size_t *ret_len)
{
    struct mr__lua_token next = token_at(names, i + 1), member = token_at(names, i + 2);
    if (is_symbol(next, '.') && member.kind == TOKEN_NAME) {
        *ret_name = text + member.at;
        *ret_len = member.len;
        return true;
    }
    const char *string = text + member.at;
    if (!is_symbol(next, '[') || member.kind != TOKEN_STRING || member.len < 2 ||
        !is_symbol(token_at(names, i + 3), ']') || *string == '[' ||
        string[member.len - 1] != *string || memchr(string, '\\', member.len) != NULL) {
        return false;
    }
    *ret_name = string + 1;
    *ret_len = member.len - 2;
    return true;
}

/* Looks at the name at `i`, which is no field, key or label. */
static mr_status read_name(struct mr__lua_names *names, const char *text, size_t i)
{
    const char *name = text + names->tokens[i].at, *member;
    size_t len = names->tokens[i].len, member_len;
    uint64_t unused;
    bool declared = mr__hash_get(&names->declared, name, len, &unused);
    if (equals(name, len, "tasks")) {
        if (!declared && read_member(names, text, i, &member, &member_len)) {
            return add_name(names, MR__LUA_TASK, member, member_len);
        }
        return add_name(names, MR__LUA_TASKS, name, len);
    }
    if (declared) {
        return MR_OK;
    }
    if (equals(name, len, "vars") && read_member(names, text, i, &member, &member_len)) {
        return add_name(names, MR__LUA_VAR, member, member_len);
    }
    mr_status status = add_name(names, MR__LUA_FREE, name, len);
    if (status == MR_OK) {
        struct mr__lua_token next = token_at(names, i + 1);
        names->list[names->count - 1].may_set = is_symbol(next, '=') || is_symbol(next, ',');
    }
    return status;
}

/* What is open around a token. */
struct nesting {
    char brackets[NESTING_MAX];
    size_t depth;
};

static void nest(struct nesting *nesting, struct mr__lua_token token)
{
    if (token.kind != TOKEN_SYMBOL) {
        return;
    }
    if (token.symbol == '{' || token.symbol == '(' || token.symbol == '[') {
        if (nesting->depth < NESTING_MAX) {
            nesting->brackets[nesting->depth] = token.symbol;
        }
        nesting->depth++;
    } else if ((token.symbol == '}' || token.symbol == ')' || token.symbol == ']') &&
               nesting->depth > 0) {
        nesting->depth--;
    }
}

/* `{name = ...}`: the name is a key of the table. */
static bool is_table_key(const struct mr__lua_names *names, size_t i, const struct nesting *nesting)
{
    struct mr__lua_token before = token_at(names, i - 1);
    bool in_table = nesting->depth > 0 && nesting->depth <= NESTING_MAX &&
                    nesting->brackets[nesting->depth - 1] == '{';
    return in_table && is_symbol(token_at(names, i + 1), '=') &&
           (is_symbol(before, '{') || is_symbol(before, ',') || is_symbol(before, ';'));
}

/* A name that names nothing by itself: a field, a label, or <const> and <close>. */
static bool is_no_use(const struct mr__lua_names *names, const char *text, size_t i)
{
    struct mr__lua_token token = names->tokens[i], before = token_at(names, i - 1);
    struct mr__lua_token after = token_at(names, i + 1);
    const char *name = text + token.at;
    bool is_label = is_symbol(before, SYMBOL_LABEL) && is_symbol(after, SYMBOL_LABEL);
    bool is_attribute = is_symbol(before, '<') && is_symbol(after, '>') &&
                        (equals(name, token.len, "const") || equals(name, token.len, "close"));
    return is_symbol(before, '.') || is_symbol(before, ':') || is_label || is_attribute ||
           is_keyword(text, before, "goto");
}

static mr_status collect_read(struct mr__lua_names *names, const char *text)
{
    struct nesting nesting = {.depth = 0};
    mr_status status = MR_OK;
    for (size_t i = 0; i < names->token_count && status == MR_OK; i++) {
        nest(&nesting, names->tokens[i]);
        if (names->tokens[i].kind == TOKEN_NAME && !is_no_use(names, text, i) &&
            !is_table_key(names, i, &nesting)) {
            status = read_name(names, text, i);
        }
    }
    return status;
}
