/* SPDX-License-Identifier: MIT
 *
 * Which hosts and addresses http may reach; see http_address.h.
 */
#include "plugins/http/http_address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "plugins/text.h"

/* An address in the form in which it is compared: IPv4 wherever one is meant. */
struct address {
    int family;
    uint8_t bytes[16];
};

struct mr__http_rule {
    char *name; /* NULL: a network */
    size_t name_len;
    int family; /* AF_INET, AF_INET6; AF_UNSPEC: all addresses, the rule * */
    uint8_t bytes[16];
    unsigned bits;
};

/* What is refused as long as no rule of the owner says otherwise. */
static const struct {
    const char *network;
    const char *why;
} refused[] = {
    {"0.0.0.0/8", "it means this host"},
    {"169.254.0.0/16", "it is link-local"},
    {"169.254.169.254/32", "clouds keep their metadata there"},
    {"169.254.170.2/32", "clouds keep their metadata there"},
    {"100.100.100.200/32", "clouds keep their metadata there"},
    {"192.0.0.192/32", "clouds keep their metadata there"},
    {"224.0.0.0/4", "it is multicast"},
    {"255.255.255.255/32", "it is the broadcast address"},
    {"::/128", "it means this host"},
    {"fe80::/10", "it is link-local"},
    {"fd00:ec2::254/128", "clouds keep their metadata there"},
    {"fd20:ce::254/128", "clouds keep their metadata there"},
    {"ff00::/8", "it is multicast"},
};

static mr_status read_list(const char *text, const char *list_name, struct mr__http_list *list,
                           mr_error *reterr);
static bool read_rule(const char *text, size_t len, struct mr__http_rule *ret_rule);
static bool read_network(const char *text, struct mr__http_rule *ret_rule);

mr_status mr__http_rules_read(const char *allow, const char *deny, struct mr__http_rules *ret_rules,
                              mr_error *reterr)
{
    *ret_rules = (struct mr__http_rules){0};
    mr_status status = read_list(allow, "MILLRACE_HTTP_ALLOW", &ret_rules->allow, reterr);
    return status != MR_OK ? status
                           : read_list(deny, "MILLRACE_HTTP_DENY", &ret_rules->deny, reterr);
}

static void list_finish(struct mr__http_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->rules[i].name);
    }
    free(list->rules);
    *list = (struct mr__http_list){0};
}

void mr__http_rules_finish(struct mr__http_rules *rules)
{
    if (rules != NULL) {
        list_finish(&rules->allow);
        list_finish(&rules->deny);
    }
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static mr_status read_list(const char *text, const char *list_name, struct mr__http_list *list,
                           mr_error *reterr)
{
    static const char between[] = ", \t";
    const char *at = text == NULL ? "" : text;
    for (at += strspn(at, between); *at != '\0'; at += strspn(at, between)) {
        size_t len = strcspn(at, between);
        struct mr__http_rule rule = {0};
        if (list->count == MR__HTTP_RULES_MAX) {
            return mr__text_error(reterr, MR_ELIMIT, "%s: more than %u rules", list_name,
                                  MR__HTTP_RULES_MAX);
        }
        if (!read_rule(at, len, &rule)) {
            return mr__text_error(reterr, MR_EINVAL,
                                  "%s: \"%.*s\" is no address, network (10.0.0.0/8) or host name",
                                  list_name, (int)(len < 80 ? len : 80), at);
        }
        struct mr__http_rule *grown = realloc(list->rules, (list->count + 1) * sizeof *list->rules);
        if (grown == NULL || (rule.name_len > 0 && rule.name == NULL)) {
            list->rules = grown == NULL ? list->rules : grown;
            free(rule.name);
            return mr__text_error(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
        }
        list->rules = grown;
        list->rules[list->count++] = rule;
        at += len;
    }
    return MR_OK;
}

/* A name has a last part that begins with a letter: 10.0.0 is a mistake and no name. */
static bool is_name(const char *text, size_t len)
{
    const char *last = text;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!isalnum(c) && c != '-' && c != '_' && c != '.') {
            return false;
        }
        if (c == '.') {
            last = text + i + 1;
        }
    }
    return last < text + len && isalpha((unsigned char)*last) != 0;
}

/* A name is copied; where that fails `name_len` is set and `name` NULL. */
static bool read_rule(const char *text, size_t len, struct mr__http_rule *ret_rule)
{
    char copy[MR__HTTP_HOST_BYTES_MAX + 1];
    if (len >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (strcmp(copy, "*") == 0) {
        ret_rule->family = AF_UNSPEC;
        return true;
    }
    if (read_network(copy, ret_rule)) {
        return true;
    }
    if (!is_name(copy, len)) {
        return false;
    }
    ret_rule->name = strdup(copy);
    ret_rule->name_len = len;
    return true;
}

/* ::ffff:a.b.c.d is a.b.c.d in another spelling. */
static bool is_mapped(const uint8_t *bytes)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(bytes, mapped, sizeof mapped) == 0;
}

static bool read_network(const char *text, struct mr__http_rule *ret_rule)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
    if (len >= sizeof address) {
        return false;
    }
    memcpy(address, text, len);
    address[len] = '\0';
    ret_rule->family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
    unsigned bits_max = ret_rule->family == AF_INET ? 32 : 128;
    if (inet_pton(ret_rule->family, address, ret_rule->bytes) != 1) {
        return false;
    }
    ret_rule->bits = bits_max;
    if (slash != NULL) {
        size_t digits = strspn(slash + 1, "0123456789");
        if (digits == 0 || digits > 3 || slash[1 + digits] != '\0') {
            return false;
        }
        ret_rule->bits = (unsigned)strtoul(slash + 1, NULL, 10);
    }
    if (ret_rule->bits > bits_max) {
        return false;
    }
    if (ret_rule->family == AF_INET6 && ret_rule->bits >= 96 && is_mapped(ret_rule->bytes)) {
        ret_rule->family = AF_INET;
        ret_rule->bits -= 96;
        memmove(ret_rule->bytes, ret_rule->bytes + 12, 4);
    }
    return true;
}

/* ---- deciding ---------------------------------------------------------------------------------
 */

static bool is_same_or_below(const char *host, size_t host_len, const struct mr__http_rule *rule)
{
    if (rule->name == NULL || rule->name_len > host_len) {
        return false;
    }
    size_t above = host_len - rule->name_len;
    return strncasecmp(host + above, rule->name, rule->name_len) == 0 &&
           (above == 0 || host[above - 1] == '.');
}

/* The length of the longest name that is or stands above `host`; 0: none. */
static size_t longest_name(const struct mr__http_list *list, const char *host, size_t host_len)
{
    size_t longest = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct mr__http_rule *rule = &list->rules[i];
        if (rule->name_len > longest && is_same_or_below(host, host_len, rule)) {
            longest = rule->name_len;
        }
    }
    return longest;
}

enum mr__http_verdict mr__http_rules_host(const struct mr__http_rules *rules, const char *host)
{
    size_t len = strlen(host);
    while (len > 0 && host[len - 1] == '.') {
        len--; /* example.com. is example.com */
    }
    size_t allowed = longest_name(&rules->allow, host, len);
    size_t denied = longest_name(&rules->deny, host, len);
    if (allowed == 0 && denied == 0) {
        return MR__HTTP_UNDECIDED;
    }
    return allowed > denied ? MR__HTTP_ALLOWED : MR__HTTP_DENIED;
}

static bool starts_with(const uint8_t *bytes, const uint8_t *prefix, unsigned bits)
{
    if (memcmp(bytes, prefix, bits / 8) != 0) {
        return false;
    }
    unsigned rest = bits % 8;
    return rest == 0 || ((bytes[bits / 8] ^ prefix[bits / 8]) >> (8 - rest)) == 0;
}

/* IPv4 addresses travel inside IPv6 ones: mapped (::ffff:a.b.c.d), compatible (::a.b.c.d), through
 * NAT64 (64:ff9b::a.b.c.d) and 6to4 (2002:aabb:ccdd::). Returns whether there is one in it. */
static bool unwrap(const struct address *address, struct address *ret_inner)
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t zeros[12] = {0};
    const uint8_t *b = address->bytes;
    size_t at = 0;
    if (address->family != AF_INET6) {
        return false;
    }
    if (is_mapped(b) || memcmp(b, nat64, sizeof nat64) == 0) {
        at = 12;
    } else if (memcmp(b, zeros, sizeof zeros) == 0 && (b[12] != 0 || b[13] != 0 || b[14] != 0)) {
        at = 12; /* not :: and ::1 */
    } else if (b[0] == 0x20 && b[1] == 0x02) {
        at = 2;
    }
    *ret_inner = (struct address){.family = AF_INET};
    memcpy(ret_inner->bytes, b + at, 4);
    return at > 0;
}

/* How specific the best rule is that holds the address: -1 none, 0 the rule *, else 1 + its bits.
 */
static int best_network(const struct mr__http_list *list, const struct address *address)
{
    int best = -1;
    for (size_t i = 0; i < list->count; i++) {
        const struct mr__http_rule *rule = &list->rules[i];
        if (rule->name != NULL) {
            continue;
        }
        int specific = rule->family == AF_UNSPEC ? 0 : 1 + (int)rule->bits;
        bool holds =
            rule->family == AF_UNSPEC || (rule->family == address->family &&
                                          starts_with(address->bytes, rule->bytes, rule->bits));
        best = holds && specific > best ? specific : best;
    }
    return best;
}

static const char *why_not(const struct mr__http_rules *rules, const struct address *address)
{
    int allowed = best_network(&rules->allow, address);
    int denied = best_network(&rules->deny, address);
    if (denied >= 0 && denied >= allowed) {
        return "MILLRACE_HTTP_DENY holds it";
    }
    const char *why = NULL;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct mr__http_rule rule = {0};
        if (read_network(refused[i].network, &rule) && rule.family == address->family &&
            starts_with(address->bytes, rule.bytes, rule.bits) && 1 + (int)rule.bits > allowed) {
            why = refused[i].why;
        }
    }
    return why;
}

const char *mr__http_rules_address(const struct mr__http_rules *rules, const struct sockaddr *from,
                                   enum mr__http_verdict of_host)
{
    struct address address = {.family = from->sa_family}, inner;
    if (of_host == MR__HTTP_ALLOWED) {
        return NULL;
    }
    if (of_host == MR__HTTP_DENIED) {
        return "MILLRACE_HTTP_DENY names its host";
    }
    if (from->sa_family == AF_INET) {
        memcpy(address.bytes, &((const struct sockaddr_in *)from)->sin_addr, 4);
    } else if (from->sa_family == AF_INET6) {
        memcpy(address.bytes, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
    } else {
        return "it is none of the Internet";
    }
    bool has_inner = unwrap(&address, &inner);
    const char *why = has_inner ? why_not(rules, &inner) : NULL;
    return why != NULL || (has_inner && is_mapped(address.bytes)) ? why : why_not(rules, &address);
}

void mr__http_address_text(const struct sockaddr *address, char *ret_text, size_t bytes)
{
    const void *at = address->sa_family == AF_INET
                         ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                         : (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;
    if (inet_ntop(address->sa_family, at, ret_text, (socklen_t)bytes) == NULL && bytes > 0) {
        ret_text[0] = '\0';
    }
}

int mr__http_is_address(const char *host, struct sockaddr_storage *ret_address)
{
    struct sockaddr_in *four = (struct sockaddr_in *)ret_address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)ret_address;
    memset(ret_address, 0, sizeof *ret_address);
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        return 1;
    }
    char without_zone[INET6_ADDRSTRLEN];
    size_t len = strcspn(host, "%");
    if (len >= sizeof without_zone) {
        return 0;
    }
    memcpy(without_zone, host, len);
    without_zone[len] = '\0';
    if (inet_pton(AF_INET6, without_zone, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        return 1;
    }
    return 0;
}
