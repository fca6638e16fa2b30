/* SPDX-License-Identifier: MIT
 *
 * Goal: an address is refused or allowed as http_address.h says, in whatever form it comes. Method:
 * tables of addresses without configuration, and of lists with what they make of one address.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/http/http_address.h"

#include <cmocka.h> /* last: its macros take plain words */

static const char *why(const char *allow, const char *deny, const char *address,
                       enum mr__http_verdict of_host)
{
    struct mr__http_rules rules;
    struct sockaddr_storage storage;
    mr_error error = {0};
    if (mr__http_rules_read(allow, deny, &rules, &error) != MR_OK) {
        fail_msg("%s", error.message);
    }
    assert_true(mr__http_is_address(address, &storage));
    const char *reason = mr__http_rules_address(&rules, (const struct sockaddr *)&storage, of_host);
    mr__http_rules_finish(&rules);
    return reason;
}

static void address__refused_without_configuration(void **state)
{
    static const char *const bad[] = {"169.254.0.1",
                                      "169.254.169.254",
                                      "169.254.170.2",
                                      "100.100.100.200",
                                      "192.0.0.192",
                                      "0.0.0.0",
                                      "0.1.2.3",
                                      "224.0.0.1",
                                      "239.255.255.255",
                                      "255.255.255.255",
                                      "::",
                                      "fe80::1",
                                      "febf::1",
                                      "fe80::1%eth0",
                                      "ff02::1",
                                      "fd00:ec2::254",
                                      "fd20:ce::254",
                                      "::ffff:169.254.169.254",
                                      "::169.254.169.254",
                                      "64:ff9b::169.254.169.254",
                                      "2002:a9fe:a9fe::",
                                      "::ffff:0.0.0.0",
                                      "::ffff:224.0.0.1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (why(NULL, NULL, bad[i], MR__HTTP_UNDECIDED) == NULL) {
            fail_msg("%s was not refused", bad[i]);
        }
    }
}

static void address__free_without_configuration(void **state)
{
    static const char *const good[] = {"127.0.0.1",       "10.1.2.3",        "192.168.0.1",
                                       "169.253.255.255", "169.255.0.0",     "1.1.1.1",
                                       "223.255.255.255", "100.100.100.199", "::1",
                                       "fd00::1",         "fec0::1",         "2001:db8::1",
                                       "::ffff:10.0.0.1", "64:ff9b::1.1.1.1"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const char *reason = why(NULL, "", good[i], MR__HTTP_UNDECIDED);
        if (reason != NULL) {
            fail_msg("%s was refused: %s", good[i], reason);
        }
    }
}

static void address__the_most_specific_rule_decides(void **state)
{
    static const struct {
        const char *allow, *deny, *address;
        int free;
    } rows[] = {
        {"", "10.0.0.0/8", "10.1.2.3", 0},
        {"", "10.0.0.0/8", "11.1.2.3", 1},
        {"10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", 1},
        {"10.1.0.0/16", "10.0.0.0/8", "10.2.2.3", 0},
        {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", 0},
        {"10.0.0.0/8", "10.0.0.0/8", "10.1.2.3", 0},
        {"10.0.0.0/8", "*", "10.1.2.3", 1},
        {"*", "*", "10.1.2.3", 0},
        {"", "0.0.0.0/0", "::1", 1},
        {"", "::/0", "1.1.1.1", 1},
        {"", "10.128.0.0/9", "10.127.255.255", 1},
        {"", "10.128.0.0/9", "10.128.0.0", 0},
        {"", "2001:db8:8000::/33", "2001:db8:7fff::1", 1},
        {"", "2001:db8:8000::/33", "2001:db8:8000::1", 0},
        /* What is refused in any case is allowed by a rule that is as specific. */
        {"169.254.0.0/16", "", "169.254.1.1", 1},
        {"169.254.0.0/16", "", "169.254.169.254", 0},
        {"169.254.169.254", "", "169.254.169.254", 1},
        {"169.254.169.254", "", "::ffff:169.254.169.254", 1},
        {"0.0.0.0/0,*", "", "169.254.1.1", 0},
        /* IPv4 inside IPv6, and rules that say so themselves. */
        {"", "10.0.0.0/8", "::ffff:10.0.0.1", 0},
        {"", "10.0.0.0/8", "64:ff9b::10.0.0.1", 0},
        {"", "::ffff:10.0.0.0/104", "10.0.0.1", 0},
        {"", "64:ff9b::/96", "64:ff9b::1.1.1.1", 0},
        {"", "2002::/16", "2002:101:101::1", 0},
        {"10.0.0.1", "*", "::ffff:10.0.0.1", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *reason = why(rows[i].allow, rows[i].deny, rows[i].address, MR__HTTP_UNDECIDED);
        if ((reason == NULL) != (rows[i].free != 0)) {
            fail_msg("allow \"%s\", deny \"%s\": %s is %s", rows[i].allow, rows[i].deny,
                     rows[i].address, reason == NULL ? "free" : reason);
        }
    }
}

static void address__a_name_decides_before_the_address(void **state)
{
    assert_null(why("", "*", "10.0.0.1", MR__HTTP_ALLOWED));
    assert_null(why("", "", "169.254.169.254", MR__HTTP_ALLOWED));
    assert_non_null(why("*", "", "10.0.0.1", MR__HTTP_DENIED));
}

static void host__the_longest_name_decides(void **state)
{
    static const struct {
        const char *allow, *deny, *host;
        enum mr__http_verdict verdict;
    } rows[] = {
        {"", "", "example.com", MR__HTTP_UNDECIDED},
        {"", "example.com", "example.com", MR__HTTP_DENIED},
        {"", "example.com", "EXAMPLE.com.", MR__HTTP_DENIED},
        {"", "example.com", "a.b.example.com", MR__HTTP_DENIED},
        {"", "example.com", "badexample.com", MR__HTTP_UNDECIDED},
        {"", "example.com", "com", MR__HTTP_UNDECIDED},
        {"api.example.com", "example.com", "api.example.com", MR__HTTP_ALLOWED},
        {"api.example.com", "example.com", "www.example.com", MR__HTTP_DENIED},
        {"example.com", "api.example.com", "api.example.com", MR__HTTP_DENIED},
        {"example.com", "example.com", "example.com", MR__HTTP_DENIED},
        {"example.com", "*,10.0.0.0/8", "example.com", MR__HTTP_ALLOWED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mr__http_rules rules;
        assert_int_equal(mr__http_rules_read(rows[i].allow, rows[i].deny, &rules, NULL), MR_OK);
        enum mr__http_verdict verdict = mr__http_rules_host(&rules, rows[i].host);
        mr__http_rules_finish(&rules);
        if (verdict != rows[i].verdict) {
            fail_msg("row %zu: %s gives %d", i, rows[i].host, (int)verdict);
        }
    }
}

static void rules__what_is_none_is_refused(void **state)
{
    static const char *const bad[] = {"10.0.0.0/33", "10.0.0/8",    "10.0.0", "fe80::/129",
                                      "10.0.0.0/",   "10.0.0.0/8x", "a/b",    "http://host",
                                      "a:b:c",       "host:80",     "**",     "-1/8",
                                      "10.0.0.0/ 8", "exa mple/8",  "a..1",   "host."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mr__http_rules rules;
        mr_error error = {0};
        mr_status status = mr__http_rules_read("10.0.0.1, good.example", bad[i], &rules, &error);
        mr__http_rules_finish(&rules);
        if (status != MR_EINVAL || strstr(error.message, "MILLRACE_HTTP_DENY: ") == NULL) {
            fail_msg("\"%s\": %d %s", bad[i], status, error.message);
        }
    }
}

static void rules__at_their_limit_and_one_past_it(void **state)
{
    static char text[(MR__HTTP_RULES_MAX + 1) * 9 + 1];
    struct mr__http_rules rules;
    mr_error error = {0};
    for (unsigned i = 0; i < MR__HTTP_RULES_MAX + 1; i++) {
        (void)snprintf(text + (size_t)9 * i, 10, "10.0.0.1,");
    }
    assert_int_equal(mr__http_rules_read(text, NULL, &rules, &error), MR_ELIMIT);
    mr__http_rules_finish(&rules);
    text[MR__HTTP_RULES_MAX * 9] = '\0';
    assert_int_equal(mr__http_rules_read(text, NULL, &rules, &error), MR_OK);
    assert_int_equal(rules.allow.count, MR__HTTP_RULES_MAX);
    mr__http_rules_finish(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address__refused_without_configuration),
        cmocka_unit_test(address__free_without_configuration),
        cmocka_unit_test(address__the_most_specific_rule_decides),
        cmocka_unit_test(address__a_name_decides_before_the_address),
        cmocka_unit_test(host__the_longest_name_decides),
        cmocka_unit_test(rules__what_is_none_is_refused),
        cmocka_unit_test(rules__at_their_limit_and_one_past_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
