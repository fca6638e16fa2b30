/* SPDX-License-Identifier: MIT
 *
 * Goal: params become the request that docs/http.md tells of, or a reason that names the param; and
 * a redirect takes from it what must not go on. Method: params as JSON, over the defaults of the
 * action's table; the request's parts as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/value.h"
#include "plugins/http/http_request.h"

#include <cmocka.h> /* last: its macros take plain words */

static struct mr__arena arena;
static struct mr__http_request request;

static int set_up(void **state)
{
    mr__arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    mr__http_request_finish(&request);
    mr__arena_finish(&arena);
    return 0;
}

/* `members` are those of a JSON map, with ' for ". Returns the reason, "" where it was made. */
static const char *make(const char *members)
{
    static mr_error error;
    static const char defaults[] = "'timeout':'60s','connectTimeout':'10s','redirects':5,"
                                   "'maxBytes':4096,'output':'auto'";
    bool has_defaults = strstr(members, "'timeout'") != NULL;
    char *json = mr__arena_printf(&arena, "{%s%s%s}", members, has_defaults ? "" : ",",
                                  has_defaults ? "" : defaults);
    mr_value params;
    assert_non_null(json);
    for (char *at = json; *at != '\0'; at++) {
        *at = (char)(*at == '\'' ? '"' : *at);
    }
    if (mr__value_parse(&arena, json, strlen(json), &params, &error) != MR_OK) {
        fail_msg("%s: %s", json, error.message);
    }
    mr__http_request_finish(&request);
    error.message[0] = '\0';
    mr_status status = mr__http_request_make(&params, "the-key", &request, &error);
    assert_int_equal(status == MR_OK, error.message[0] == '\0');
    return error.message;
}

static const char *header(const char *name)
{
    size_t len = strlen(name);
    for (const struct curl_slist *at = request.headers; at != NULL; at = at->next) {
        if (strncmp(at->data, name, len) == 0 && (at->data[len] == ':' || at->data[len] == ';')) {
            return at->data + len;
        }
    }
    return NULL;
}

static void request__url_and_query(void **state)
{
    static const struct {
        const char *members, *url;
    } rows[] = {
        {"'url':'http://host'", "http://host/"},
        {"'url':'HTTPS://host:8443/a b#part'", "https://host:8443/a%20b"},
        {"'url':'http://host/?x=1','query':{'y':'a&b=c','z':[1,2.5,null]}",
         "http://host/?x=1&y=a%26b%3dc&z=1&z=2.5&z="},
        {"'url':'http://host/','query':{'no':null,'map':{'a':1}}",
         "http://host/?map=%7b%22a%22%3a1%7d"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(make(rows[i].members), "");
        for (char *at = request.url; (at = strchr(at, '%')) != NULL; at++) {
            for (int k = 1; k < 3; k++) { /* libcurl may write them either way */
                at[k] = (char)(at[k] >= 'A' && at[k] <= 'F' ? at[k] + 32 : at[k]);
            }
        }
        assert_string_equal(request.url, rows[i].url);
    }
}

static void request__method_and_body(void **state)
{
    assert_string_equal(make("'url':'http://h/'"), "");
    assert_string_equal(request.method, "GET");
    assert_null(request.body);
    assert_null(header("Idempotency-Key"));
    assert_string_equal(make("'url':'http://h/','json':{'a':[1,1.5,true,'x']}"), "");
    assert_string_equal(request.method, "POST");
    assert_string_equal(request.body, "{\"a\":[1,1.5,true,\"x\"]}");
    assert_string_equal(header("Content-Type"), ": application/json");
    assert_string_equal(header("Idempotency-Key"), ": the-key");
    assert_string_equal(make("'url':'http://h/','method':'patch','form':{'a':'1 2','b':[3,4]}"),
                        "");
    assert_string_equal(request.method, "PATCH");
    assert_string_equal(request.body, "a=1%202&b=3&b=4");
    assert_string_equal(make("'url':'http://h/','body':'','idempotencyKey':false"), "");
    assert_int_equal(request.body_len, 0);
    assert_non_null(request.body);
    assert_null(header("Idempotency-Key"));
    assert_string_equal(make("'url':'http://h/','json':false"), "");
    assert_string_equal(request.body, "false");
}

static void request__headers_and_auth(void **state)
{
    assert_string_equal(
        make("'url':'http://h/','headers':{'X-A':'b','X-Empty':'','X-No':null,'X-N':5}"), "");
    assert_string_equal(header("X-A"), ": b");
    assert_string_equal(header("X-Empty"), ";");
    assert_null(header("X-No"));
    assert_string_equal(header("X-N"), ": 5");
    assert_string_equal(header("Expect"), ":");
    assert_string_equal(make("'url':'http://h/','auth':{'bearer':'t'}"), "");
    assert_string_equal(header("Authorization"), ": Bearer t");
    assert_string_equal(make("'url':'http://h/','auth':{'basic':{'user':'u','password':'p:q'}}"),
                        "");
    assert_string_equal(request.user, "u");
    assert_string_equal(request.password, "p:q");
}

static void request__statuses(void **state)
{
    assert_string_equal(make("'url':'http://h/'"), "");
    assert_true(mr__http_request_expects(&request, 200) && mr__http_request_expects(&request, 299));
    assert_false(mr__http_request_expects(&request, 199) ||
                 mr__http_request_expects(&request, 300));
    assert_string_equal(make("'url':'http://h/','expect':[200,'3XX','400-404']"), "");
    assert_true(mr__http_request_expects(&request, 399) && mr__http_request_expects(&request, 402));
    assert_false(mr__http_request_expects(&request, 201) ||
                 mr__http_request_expects(&request, 405));
    assert_string_equal(make("'url':'http://h/','expect':404"), "");
    assert_true(mr__http_request_expects(&request, 404));
    assert_false(mr__http_request_expects(&request, 200));
}

static void request__what_is_refused_and_why(void **state)
{
    static const struct {
        const char *members, *reason;
    } rows[] = {
        {"'url':''", "url: "},
        {"'url':'host/path'", "url: it must begin with http:// or https://"},
        {"'url':'ftp://host/'", "url: only http"},
        {"'url':'file:///etc/passwd'", "url: only http"},
        {"'url':'http://u:p@host/'", "see the param auth"},
        {"'url':'http://host:0x50/'", "url: "},
        {"'url':'http://ho\\nst/'", "url: "},
        {"'url':'http://h/','method':'A B'", "method: "},
        {"'url':'http://h/','method':'connect'", "method: "},
        {"'url':'http://h/','method':'ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG'", "method: "},
        {"'url':'http://h/','method':'HEAD','body':'x'", "method: HEAD"},
        {"'url':'http://h/','json':1,'form':{}", "only one of"},
        {"'url':'http://h/','headers':{'A':'b\\r\\nC: d'}", "control character"},
        {"'url':'http://h/','headers':{'A:B':'c'}", "no name of a header"},
        {"'url':'http://h/','headers':{'':'c'}", "no name of a header"},
        {"'url':'http://h/','headers':{'Transfer-Encoding':'chunked'}", "follows from the body"},
        {"'url':'http://h/','auth':{'bearer':'t'},'headers':{'authorization':'x'}",
         "by auth already"},
        {"'url':'http://h/','auth':{}", "auth: must be"},
        {"'url':'http://h/','auth':{'bearer':'a\\nb'}", "control character"},
        {"'url':'http://h/','auth':{'basic':{'user':'a:b'}}", "auth: "},
        {"'url':'http://h/','auth':{'basic':{'user':'a'},'bearer':'b'}", "auth: must be"},
        {"'url':'http://h/','proxy':'ftp://p/'", "proxy: "},
        {"'url':'http://h/','expect':[]", "expect: "},
        {"'url':'http://h/','expect':['20']", "expect: "},
        {"'url':'http://h/','expect':['299-200']", "expect: "},
        {"'url':'http://h/','expect':['200-2999']", "expect: "},
        {"'url':'http://h/','expect':[true]", "expect: "},
        {"'url':'http://h/','timeout':'5'", "timeout: "},
        {"'url':'http://h/','timeout':'0s'", "timeout: "},
        {"'url':'http://h/','timeout':'99999999999999999999s'", "timeout: "},
        {"'url':'http://h/','timeout':'1s','connectTimeout':'s'", "connectTimeout: "},
        {"'url':'http://h/','timeout':'1s','connectTimeout':'1s','redirects':51", "redirects: "},
        {"'url':'http://h/','timeout':'1s','connectTimeout':'1s','redirects':0,'maxBytes':-1",
         "maxBytes: "},
        {"'url':'http://h/','timeout':'1s','connectTimeout':'1s','redirects':0,'maxBytes':1,"
         "'output':'xml'",
         "output: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *reason = make(rows[i].members);
        if (strstr(reason, rows[i].reason) == NULL) {
            fail_msg("%s: \"%s\"", rows[i].members, reason);
        }
    }
}

static void place__host_without_brackets(void **state)
{
    struct mr__http_place place;
    assert_int_equal(mr__http_place_of("http://[::1]:8080/x", "url", &place, NULL), MR_OK);
    assert_string_equal(place.host, "::1");
    assert_string_equal(place.port, "8080");
    assert_int_equal(mr__http_place_of("https://host/", "url", &place, NULL), MR_OK);
    assert_string_equal(place.port, "443");
    assert_int_equal(mr__http_place_of("http://2852039166/", "url", &place, NULL), MR_OK);
    assert_string_equal(place.host, "169.254.169.254");
}

#define SECRETS                                             \
    "'headers':{'cookie':'c','Host':'h','X-Own':'x'},"      \
    "'auth':{'bearer':'t'},'method':'POST','json':{'a':1}," \
    "'url':'http://host/from'"

static void follow__secrets_stay_with_their_place(void **state)
{
    static const char *const elsewhere[] = {"http://other/", "https://host/", "http://host:81/",
                                            "http://sub.host/"};
    assert_string_equal(make(SECRETS), "");
    assert_int_equal(mr__http_request_follow(&request, 307, "http://HOST:80/to", NULL), MR_OK);
    assert_string_equal(header("Authorization"), ": Bearer t");
    assert_string_equal(header("cookie"), ": c");
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        assert_string_equal(make(SECRETS), "");
        assert_int_equal(mr__http_request_follow(&request, 307, elsewhere[i], NULL), MR_OK);
        assert_string_equal(request.url, elsewhere[i]);
        assert_null(header("Authorization"));
        assert_null(header("cookie"));
        assert_null(header("Host"));
        assert_string_equal(header("X-Own"), ": x");
        assert_string_equal(request.body, "{\"a\":1}");
    }
    assert_string_equal(make("'url':'http://h/','auth':{'basic':{'user':'u','password':'p'}}"), "");
    assert_int_equal(mr__http_request_follow(&request, 302, "http://other/", NULL), MR_OK);
    assert_null(request.user);
    assert_null(request.password);
}

static void follow__what_becomes_a_get(void **state)
{
    static const struct {
        const char *method;
        long status;
        const char *then;
    } rows[] = {{"POST", 301, "GET"},  {"POST", 302, "GET"},  {"POST", 303, "GET"},
                {"POST", 307, "POST"}, {"POST", 308, "POST"}, {"PUT", 302, "PUT"},
                {"PUT", 303, "GET"},   {"X", 303, "GET"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char members[128];
        (void)snprintf(members, sizeof members, "'url':'http://h/','body':'b','method':'%s'",
                       rows[i].method);
        assert_string_equal(make(members), "");
        assert_int_equal(mr__http_request_follow(&request, rows[i].status, "http://h/2", NULL),
                         MR_OK);
        assert_string_equal(request.method, rows[i].then);
        bool is_get = strcmp(rows[i].then, "GET") == 0;
        assert_int_equal(request.body == NULL, is_get);
        assert_int_equal(header("Content-Type") == NULL, is_get);
        assert_int_equal(header("Idempotency-Key") == NULL, is_get);
    }
    assert_string_equal(make("'url':'http://h/','method':'HEAD'"), "");
    assert_int_equal(mr__http_request_follow(&request, 303, "http://h/2", NULL), MR_OK);
    assert_string_equal(request.method, "HEAD");
}

static void follow__only_http(void **state)
{
    static const char *const bad[] = {"file:///etc/passwd", "gopher://h/", "http://u@h/", "", "/x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mr_error error = {0};
        assert_string_equal(make("'url':'http://h/'"), "");
        assert_int_equal(mr__http_request_follow(&request, 302, bad[i], &error), MR_EINVAL);
        assert_non_null(strstr(error.message, "redirected to a URL that is refused: "));
        assert_string_equal(request.url, "http://h/");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request__url_and_query),
        cmocka_unit_test(request__method_and_body),
        cmocka_unit_test(request__headers_and_auth),
        cmocka_unit_test(request__statuses),
        cmocka_unit_test(request__what_is_refused_and_why),
        cmocka_unit_test(place__host_without_brackets),
        cmocka_unit_test(follow__secrets_stay_with_their_place),
        cmocka_unit_test(follow__what_becomes_a_get),
        cmocka_unit_test(follow__only_http),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
