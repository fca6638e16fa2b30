/* SPDX-License-Identifier: MIT
 *
 * What is asked; see http_request.h.
 */
#include "plugins/http/http_request.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "plugins/text.h"

#define DURATION_MS_MAX (INT64_C(366) * 24 * 3600 * 1000)

static mr_status read_numbers(const mr_value *params, struct mr__http_request *request,
                              mr_error *reterr);
static mr_status read_url(const mr_value *params, struct mr__http_request *request,
                          mr_error *reterr);
static mr_status read_body(const mr_value *params, struct mr__http_request *request,
                           const char **ret_type, mr_error *reterr);
static mr_status read_method(const mr_value *params, struct mr__http_request *request,
                             mr_error *reterr);
static mr_status read_auth(const mr_value *params, struct mr__http_request *request,
                           mr_error *reterr);
static mr_status read_headers(const mr_value *params, struct mr__http_request *request,
                              mr_error *reterr);
static mr_status read_proxy(const mr_value *params, struct mr__http_request *request,
                            mr_error *reterr);
static mr_status read_expect(const mr_value *params, struct mr__http_request *request,
                             mr_error *reterr);
static bool has_header(const struct mr__http_request *request, const char *name);
static mr_status add_header(struct mr__http_request *request, const char *name, const char *value,
                            size_t len, mr_error *reterr);

static mr_status no_memory(mr_error *reterr)
{
    return mr__text_error(reterr, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
}

/* The headers that are sent unless the task has its own. */
static mr_status add_defaults(const mr_value *params, struct mr__http_request *request,
                              const char *type, const char *idempotency_key, mr_error *reterr)
{
    const mr_value *keyed = mr_value_get(params, "idempotencyKey");
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    mr_status status = MR_OK;
    if (request->body != NULL && !has_header(request, "Content-Type")) {
        status = add_header(request, "Content-Type", type, strlen(type), reterr);
    }
    if (status == MR_OK && !reads && mr_value_int(keyed, 1) != 0 &&
        !has_header(request, "Idempotency-Key")) {
        status = add_header(request, "Idempotency-Key", idempotency_key, strlen(idempotency_key),
                            reterr);
    }
    if (status == MR_OK && !has_header(request, "Expect")) {
        status = add_header(request, "Expect", NULL, 0, reterr); /* no waiting for a "100" */
    }
    return status;
}

mr_status mr__http_request_make(const mr_value *params, const char *idempotency_key,
                                struct mr__http_request *ret_request, mr_error *reterr)
{
    static mr_status (*const readers[])(const mr_value *, struct mr__http_request *, mr_error *) = {
        read_numbers, read_url, read_auth, read_headers, read_proxy, read_expect};
    const char *type = "";
    *ret_request = (struct mr__http_request){0};
    mr_status status = read_body(params, ret_request, &type, reterr);
    if (status == MR_OK) {
        status = read_method(params, ret_request, reterr);
    }
    for (size_t i = 0; status == MR_OK && i < sizeof readers / sizeof readers[0]; i++) {
        status = readers[i](params, ret_request, reterr);
    }
    return status != MR_OK ? status
                           : add_defaults(params, ret_request, type, idempotency_key, reterr);
}

void mr__http_request_finish(struct mr__http_request *request)
{
    if (request != NULL) {
        free(request->url);
        curl_slist_free_all(request->headers);
        free(request->user);
        free(request->password);
        free(request->proxy);
        free(request->body);
        *request = (struct mr__http_request){0};
    }
}

/* ---- numbers and words ------------------------------------------------------------------------
 */

/* One number and one unit, as everywhere in dag files; 0: none. */
static int64_t parse_duration(const char *text)
{
    int64_t ms;
    return mr__text_duration(text, &ms) && ms <= DURATION_MS_MAX ? ms : 0;
}

static mr_status read_duration(const mr_value *params, const char *name, int64_t *ret_ms,
                               mr_error *reterr)
{
    const char *text = mr_value_str(mr_value_get(params, name), "");
    *ret_ms = parse_duration(text);
    return *ret_ms > 0
               ? MR_OK
               : mr__text_error(reterr, MR_EINVAL,
                                "%s: \"%.64s\" is no duration such as 300ms, 10s, 5m, 2h or 1d",
                                name, text);
}

static mr_status read_numbers(const mr_value *params, struct mr__http_request *request,
                              mr_error *reterr)
{
    static const char *const outputs[] = {"auto", "json", "text", "none"};
    const char *output = mr_value_str(mr_value_get(params, "output"), "auto");
    int64_t bytes_max = mr_value_int(mr_value_get(params, "maxBytes"), -1);
    mr_status status = read_duration(params, "timeout", &request->timeout_ms, reterr);
    if (status == MR_OK) {
        status = read_duration(params, "connectTimeout", &request->connect_timeout_ms, reterr);
    }
    if (status != MR_OK) {
        return status;
    }
    request->redirects_max = mr_value_int(mr_value_get(params, "redirects"), -1);
    if (request->redirects_max < 0 || request->redirects_max > MR__HTTP_REDIRECTS_MAX) {
        return mr__text_error(reterr, MR_EINVAL, "redirects: must be 0 to %d",
                              MR__HTTP_REDIRECTS_MAX);
    }
    if (bytes_max < 0 || bytes_max > MR__HTTP_BYTES_MAX) {
        return mr__text_error(reterr, MR_EINVAL, "maxBytes: must be 0 to %d", MR__HTTP_BYTES_MAX);
    }
    request->bytes_max = (size_t)bytes_max;
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        if (strcmp(output, outputs[i]) == 0) {
            request->output = (enum mr__http_output)i;
            return MR_OK;
        }
    }
    return mr__text_error(reterr, MR_EINVAL, "output: \"%.64s\" is none of auto, json, text, none",
                          output);
}

/* ---- the URL ----------------------------------------------------------------------------------
 */

/* Adds "key=value", encoded, with an & before it unless it is the first. */
static void add_pair(struct mr__text *text, const char *key, const mr_value *value)
{
    struct mr__text plain = {0};
    mr__text_plain(&plain, value);
    mr__text_puts(text, text->len == 0 ? "" : "&");
    mr__text_percent(text, key, strlen(key));
    mr__text_puts(text, "=");
    if (plain.len > 0) {
        mr__text_percent(text, plain.bytes, plain.len);
    }
    text->failed = text->failed || plain.failed;
    mr__text_finish(&plain);
}

/* A map as "a=1&b=2": a list gives a pair for each of its items, null gives none. */
static void add_pairs(struct mr__text *text, const mr_value *map)
{
    for (uint32_t i = 0; map != NULL && map->type == MR_MAP && i < map->len; i++) {
        const mr_value *value = &map->u.map[i].value;
        if (value->type == MR_LIST) {
            for (uint32_t j = 0; j < value->len; j++) {
                add_pair(text, map->u.map[i].key, &value->u.list[j]);
            }
        } else if (value->type != MR_NULL) {
            add_pair(text, map->u.map[i].key, value);
        }
    }
}

static const char *url_problem(CURLUcode code, const char *scheme)
{
    switch (code) {
    case CURLUE_OK:
        return strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0
                   ? NULL
                   : "only http:// and https:// are possible";
    case CURLUE_BAD_SCHEME: return "it must begin with http:// or https://";
    case CURLUE_UNSUPPORTED_SCHEME: return "only http:// and https:// are possible";
    case CURLUE_USER_NOT_ALLOWED: return "no user and password in it, please: see the param auth";
    case CURLUE_BAD_PORT_NUMBER: return "a port is a number up to 65535";
    case CURLUE_NO_HOST: return "it names no host";
    default: return curl_url_strerror(code);
    }
}

/* Parses `text`. `*ret_url` is **owned** (curl_url_cleanup), NULL after an error. */
static mr_status parse_url(const char *text, const char *what, CURLU **ret_url, mr_error *reterr)
{
    char *scheme = NULL;
    CURLU *url = curl_url();
    if (url == NULL) {
        return no_memory(reterr);
    }
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text,
                                  CURLU_URLENCODE | CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OK) {
        code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
    }
    const char *problem = url_problem(code, scheme);
    curl_free(scheme);
    if (problem == NULL) {
        *ret_url = url;
        return MR_OK;
    }
    curl_url_cleanup(url);
    return code == CURLUE_OUT_OF_MEMORY
               ? no_memory(reterr)
               : mr__text_error(reterr, MR_EINVAL, "%s: %s", what, problem);
}

/* `*ret_text` is **owned**: free. */
static mr_status print_url(CURLU *url, char **ret_text, mr_error *reterr)
{
    char *text = NULL;
    (void)curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
    CURLUcode code = curl_url_get(url, CURLUPART_URL, &text, 0);
    *ret_text = code == CURLUE_OK ? strdup(text) : NULL;
    curl_free(text);
    return *ret_text != NULL ? MR_OK : no_memory(reterr);
}

static mr_status read_url(const mr_value *params, struct mr__http_request *request,
                          mr_error *reterr)
{
    const char *text = mr_value_str(mr_value_get(params, "url"), "");
    struct mr__text query = {0};
    CURLU *url = NULL;
    if (strlen(text) > MR__HTTP_URL_BYTES_MAX) {
        return mr__text_error(reterr, MR_ELIMIT, "url: more than %u bytes", MR__HTTP_URL_BYTES_MAX);
    }
    mr_status status = parse_url(text, "url", &url, reterr);
    if (status != MR_OK) {
        return status;
    }
    add_pairs(&query, mr_value_get(params, "query"));
    if (query.failed) {
        status = no_memory(reterr);
    } else if (query.len > MR__HTTP_URL_BYTES_MAX) {
        status =
            mr__text_error(reterr, MR_ELIMIT, "query: more than %u bytes", MR__HTTP_URL_BYTES_MAX);
    } else if (query.len > 0 &&
               curl_url_set(url, CURLUPART_QUERY, query.bytes, CURLU_APPENDQUERY) != CURLUE_OK) {
        status = no_memory(reterr);
    }
    if (status == MR_OK) {
        status = print_url(url, &request->url, reterr);
    }
    mr__text_finish(&query);
    curl_url_cleanup(url);
    return status;
}

mr_status mr__http_place_of(const char *text, const char *what, struct mr__http_place *ret_place,
                            mr_error *reterr)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    CURLU *url = NULL;
    mr_status status = parse_url(text, what, &url, reterr);
    if (status != MR_OK) {
        return status;
    }
    if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
        status = no_memory(reterr);
    } else {
        size_t len = strlen(host);
        bool brackets = len > 2 && host[0] == '[' && host[len - 1] == ']';
        (void)snprintf(ret_place->scheme, sizeof ret_place->scheme, "%s", scheme); /* fits */
        (void)snprintf(ret_place->port, sizeof ret_place->port, "%s", port);       /* fits */
        int bytes = snprintf(ret_place->host, sizeof ret_place->host, "%.*s",
                             (int)(brackets ? len - 2 : len), host + (brackets ? 1 : 0));
        if (bytes < 0 || (size_t)bytes >= sizeof ret_place->host) {
            status = mr__text_error(reterr, MR_EINVAL, "%s: its host has more than %u bytes", what,
                                    MR__HTTP_HOST_BYTES_MAX);
        }
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    return status;
}

/* ---- body and method --------------------------------------------------------------------------
 */

static bool is_given(const mr_value *value)
{
    return value != NULL && value->type != MR_NULL;
}

static mr_status read_body(const mr_value *params, struct mr__http_request *request,
                           const char **ret_type, mr_error *reterr)
{
    const mr_value *json = mr_value_get(params, "json"), *form = mr_value_get(params, "form");
    const mr_value *body = mr_value_get(params, "body");
    struct mr__text text = {0};
    if (is_given(json) + is_given(form) + is_given(body) > 1) {
        return mr__text_error(reterr, MR_EINVAL, "only one of json, form and body can be sent");
    }
    if (!is_given(json) && !is_given(form) && !is_given(body)) {
        return MR_OK;
    }
    mr__text_puts(&text, "");
    if (is_given(json)) {
        *ret_type = "application/json";
        mr__text_json(&text, json);
    } else if (is_given(form)) {
        *ret_type = "application/x-www-form-urlencoded";
        add_pairs(&text, form);
    } else {
        *ret_type = "text/plain; charset=utf-8";
        mr__text_plain(&text, body);
    }
    if (text.failed || text.len > MR__HTTP_BODY_BYTES_MAX) {
        mr_status status = text.failed
                               ? no_memory(reterr)
                               : mr__text_error(reterr, MR_ELIMIT, "body: more than %u bytes",
                                                MR__HTTP_BODY_BYTES_MAX);
        mr__text_finish(&text);
        return status;
    }
    request->body = text.bytes;
    request->body_len = text.len;
    return MR_OK;
}

/* What HTTP takes as a name. */
static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("!#$%&'*+-.^_`|~", text[i]) == NULL) {
            return false;
        }
    }
    return len > 0;
}

static mr_status read_method(const mr_value *params, struct mr__http_request *request,
                             mr_error *reterr)
{
    const char *given = mr_value_str(mr_value_get(params, "method"), "");
    const char *method = *given != '\0' ? given : request->body != NULL ? "POST" : "GET";
    size_t len = strlen(method);
    if (len > MR__HTTP_METHOD_BYTES_MAX || !is_token(method, len) ||
        strcasecmp(method, "CONNECT") == 0) {
        return mr__text_error(reterr, MR_EINVAL, "method: \"%.64s\" is none", method);
    }
    for (size_t i = 0; i <= len; i++) {
        request->method[i] = (char)toupper((unsigned char)method[i]);
    }
    if (strcmp(request->method, "HEAD") == 0 && request->body != NULL) {
        return mr__text_error(reterr, MR_EINVAL, "method: HEAD sends no body");
    }
    return MR_OK;
}

/* ---- headers and secrets ----------------------------------------------------------------------
 */

static bool line_is(const char *line, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(line, name, len) == 0 && (line[len] == ':' || line[len] == ';');
}

static bool has_header(const struct mr__http_request *request, const char *name)
{
    for (const struct curl_slist *at = request->headers; at != NULL; at = at->next) {
        if (line_is(at->data, name)) {
            return true;
        }
    }
    return false;
}

/* libcurl's spelling: "Name: value", "Name;" for an empty value, "Name:" for none of its own. */
static mr_status add_header(struct mr__http_request *request, const char *name, const char *value,
                            size_t len, mr_error *reterr)
{
    struct mr__text line = {0};
    struct curl_slist *grown = NULL;
    mr__text_puts(&line, name);
    mr__text_puts(&line, value == NULL ? ":" : len == 0 ? ";" : ": ");
    if (value != NULL) {
        mr__text_add(&line, value, len);
    }
    if (!line.failed) {
        grown = curl_slist_append(request->headers, line.bytes);
    }
    mr__text_finish(&line);
    if (grown == NULL) {
        return no_memory(reterr);
    }
    request->headers = grown;
    return MR_OK;
}

/* Nothing that would end the line or the header. */
static bool is_header_value(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static mr_status add_own_header(struct mr__http_request *request, const char *name,
                                const mr_value *value, mr_error *reterr)
{
    struct mr__text text = {0};
    mr_status status = MR_OK;
    mr__text_puts(&text, "");
    mr__text_plain(&text, value);
    if (text.failed) {
        status = no_memory(reterr);
    } else if (!is_token(name, strlen(name))) {
        status =
            mr__text_error(reterr, MR_EINVAL, "headers: \"%.64s\" is no name of a header", name);
    } else if (strcasecmp(name, "Content-Length") == 0 ||
               strcasecmp(name, "Transfer-Encoding") == 0) {
        status = mr__text_error(reterr, MR_EINVAL, "headers: %s follows from the body", name);
    } else if (!is_header_value(text.bytes, text.len)) {
        status = mr__text_error(reterr, MR_EINVAL, "headers: %.64s has a control character", name);
    } else {
        status = add_header(request, name, text.bytes, text.len, reterr);
    }
    mr__text_finish(&text);
    return status;
}

static mr_status read_headers(const mr_value *params, struct mr__http_request *request,
                              mr_error *reterr)
{
    const mr_value *map = mr_value_get(params, "headers");
    mr_status status = MR_OK;
    for (uint32_t i = 0; status == MR_OK && is_given(map) && i < map->len; i++) {
        const char *name = map->u.map[i].key;
        const mr_value *value = &map->u.map[i].value;
        if (value->type == MR_NULL) {
            continue;
        }
        if (strcasecmp(name, "Authorization") == 0 &&
            (request->user != NULL || has_header(request, name))) {
            return mr__text_error(reterr, MR_EINVAL,
                                  "headers: Authorization is set by auth already");
        }
        status = add_own_header(request, name, value, reterr);
    }
    return status;
}

static mr_status read_auth(const mr_value *params, struct mr__http_request *request,
                           mr_error *reterr)
{
    static const char form[] = "auth: must be {basic: {user: ..., password: ...}} or {bearer: ...}";
    const mr_value *auth = mr_value_get(params, "auth");
    if (!is_given(auth)) {
        return MR_OK;
    }
    const mr_value *basic = mr_value_get(auth, "basic"), *bearer = mr_value_get(auth, "bearer");
    const char *user = mr_value_str(mr_value_get(basic, "user"), NULL);
    const char *token = mr_value_str(bearer, NULL);
    if (auth->len != 1 || (user == NULL && (token == NULL || *token == '\0'))) {
        return mr__text_error(reterr, MR_EINVAL, "%s", form);
    }
    if (token != NULL) {
        char *value = malloc(strlen(token) + sizeof "Bearer ");
        if (value == NULL) {
            return no_memory(reterr);
        }
        (void)sprintf(value, "Bearer %s", token);
        mr_status status =
            is_header_value(value, strlen(value))
                ? add_header(request, "Authorization", value, strlen(value), reterr)
                : mr__text_error(reterr, MR_EINVAL, "auth: bearer has a control character");
        free(value);
        return status;
    }
    if (strchr(user, ':') != NULL) {
        return mr__text_error(reterr, MR_EINVAL, "auth: a user has no \":\" in it");
    }
    request->user = strdup(user);
    request->password = strdup(mr_value_str(mr_value_get(basic, "password"), ""));
    return request->user != NULL && request->password != NULL ? MR_OK : no_memory(reterr);
}

static mr_status read_proxy(const mr_value *params, struct mr__http_request *request,
                            mr_error *reterr)
{
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    const char *proxy = mr_value_str(mr_value_get(params, "proxy"), "");
    bool known = *proxy == '\0';
    for (size_t i = 0; !known && i < sizeof schemes / sizeof schemes[0]; i++) {
        known = strncmp(proxy, schemes[i], strlen(schemes[i])) == 0;
    }
    if (!known) {
        return mr__text_error(reterr, MR_EINVAL,
                              "proxy: must begin with http://, https://, socks5:// or socks5h://");
    }
    request->proxy = *proxy == '\0' ? NULL : strdup(proxy);
    return request->proxy != NULL || *proxy == '\0' ? MR_OK : no_memory(reterr);
}

/* ---- what is a success ------------------------------------------------------------------------
 */

/* 204, 2xx or 200-299. */
static bool parse_range(const char *text, size_t len, struct mr__http_range *ret_range)
{
    if (len == 3 && isdigit((unsigned char)text[0]) && tolower(text[1]) == 'x' &&
        tolower(text[2]) == 'x') {
        ret_range->from = (text[0] - '0') * 100L;
        ret_range->to = ret_range->from + 99;
    } else {
        for (size_t i = 0; i < len; i++) {
            bool dash = i == 3 && len == 7 && text[i] == '-';
            if (!isdigit((unsigned char)text[i]) && !dash) {
                return false;
            }
        }
        ret_range->from = strtol(text, NULL, 10);
        ret_range->to = len == 7 ? strtol(text + 4, NULL, 10) : ret_range->from;
    }
    return (len == 3 || len == 7) && ret_range->from >= 100 && ret_range->to <= 999 &&
           ret_range->from <= ret_range->to;
}

static mr_status add_ranges(struct mr__http_request *request, const char *text, mr_error *reterr)
{
    static const char between[] = ", ";
    for (text += strspn(text, between); *text != '\0'; text += strspn(text, between)) {
        size_t len = strcspn(text, between);
        if (request->expect_count == MR__HTTP_EXPECT_MAX) {
            return mr__text_error(reterr, MR_ELIMIT, "expect: more than %u", MR__HTTP_EXPECT_MAX);
        }
        if (!parse_range(text, len, &request->expect[request->expect_count++])) {
            return mr__text_error(reterr, MR_EINVAL,
                                  "expect: \"%.*s\" is no status such as 204, 2xx or 200-299",
                                  (int)(len < 64 ? len : 64), text);
        }
        text += len;
    }
    return MR_OK;
}

static mr_status add_expected(struct mr__http_request *request, const mr_value *value,
                              mr_error *reterr)
{
    char number[24];
    if (value->type == MR_INT) {
        (void)snprintf(number, sizeof number, "%lld", (long long)value->u.i);
        return add_ranges(request, number, reterr);
    }
    return value->type == MR_STRING
               ? add_ranges(request, value->u.s, reterr)
               : mr__text_error(reterr, MR_EINVAL,
                                "expect: must be statuses such as [204, \"3xx\"]");
}

static mr_status read_expect(const mr_value *params, struct mr__http_request *request,
                             mr_error *reterr)
{
    const mr_value *expect = mr_value_get(params, "expect");
    mr_status status = MR_OK;
    if (!is_given(expect)) {
        return add_ranges(request, "2xx", reterr);
    }
    if (expect->type != MR_LIST) {
        status = add_expected(request, expect, reterr);
    }
    for (uint32_t i = 0; status == MR_OK && expect->type == MR_LIST && i < expect->len; i++) {
        status = add_expected(request, &expect->u.list[i], reterr);
    }
    if (status == MR_OK && request->expect_count == 0) {
        status =
            mr__text_error(reterr, MR_EINVAL, "expect: must be statuses such as [204, \"3xx\"]");
    }
    return status;
}

bool mr__http_request_expects(const struct mr__http_request *request, long status)
{
    for (size_t i = 0; i < request->expect_count; i++) {
        if (status >= request->expect[i].from && status <= request->expect[i].to) {
            return true;
        }
    }
    return false;
}

/* ---- redirects --------------------------------------------------------------------------------
 */

bool mr__http_is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void del_header(struct mr__http_request *request, const char *name)
{
    struct curl_slist **at = &request->headers;
    while (*at != NULL) {
        struct curl_slist *line = *at;
        if (line_is(line->data, name)) {
            *at = line->next;
            line->next = NULL;
            curl_slist_free_all(line);
        } else {
            at = &line->next;
        }
    }
}

static void forget_secrets(struct mr__http_request *request)
{
    free(request->user);
    free(request->password);
    request->user = request->password = NULL;
    del_header(request, "Authorization");
    del_header(request, "Cookie");
    del_header(request, "Host"); /* of the place that was asked first */
}

static void become_get(struct mr__http_request *request)
{
    free(request->body);
    request->body = NULL;
    request->body_len = 0;
    memcpy(request->method, "GET", sizeof "GET");
    del_header(request, "Content-Type");
    del_header(request, "Idempotency-Key");
}

mr_status mr__http_request_follow(struct mr__http_request *request, long status, const char *url,
                                  mr_error *reterr)
{
    struct mr__http_place from, to;
    CURLU *parsed = NULL;
    char *text = NULL;
    if (strlen(url) > MR__HTTP_URL_BYTES_MAX) {
        return mr__text_error(reterr, MR_ELIMIT, "redirected to a URL of more than %u bytes",
                              MR__HTTP_URL_BYTES_MAX);
    }
    mr_status result = mr__http_place_of(request->url, "url", &from, reterr);
    if (result == MR_OK) {
        result = mr__http_place_of(url, "redirected to a URL that is refused", &to, reterr);
    }
    if (result == MR_OK) {
        result = parse_url(url, "redirected to a URL that is refused", &parsed, reterr);
    }
    if (result == MR_OK) {
        result = print_url(parsed, &text, reterr);
        curl_url_cleanup(parsed);
    }
    if (result != MR_OK) {
        return result;
    }
    bool same = strcmp(from.scheme, to.scheme) == 0 && strcasecmp(from.host, to.host) == 0 &&
                strcmp(from.port, to.port) == 0;
    if (!same) {
        forget_secrets(request);
    }
    bool is_post = strcmp(request->method, "POST") == 0;
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if ((status == 303 && !reads) || (is_post && (status == 301 || status == 302))) {
        become_get(request);
    }
    free(request->url);
    request->url = text;
    return MR_OK;
}
