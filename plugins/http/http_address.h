/* SPDX-License-Identifier: MIT
 *
 * Which hosts and addresses http may reach. Pure; any thread, as nothing changes after the reading.
 *
 * Refused without any configuration: link-local addresses, those at which clouds tell their
 * machines secrets, multicast, broadcast, and "this host" (0.0.0.0, ::), also in the forms in which
 * IPv6 carries an IPv4 address. The owner's lists allow more or deny more. A rule is an address, a
 * network (10.0.0.0/8), a host name (which stands for itself and all names below it) or * (all).
 *
 * A name's rule decides before any address is looked at; of several the longest, and of equal ones
 * the denying. Otherwise the most specific rule for the address decides; of equal ones a denying
 * one of the owner before an allowing one, and that before one of those above.
 */
#ifndef MR__HTTP_ADDRESS_H
#define MR__HTTP_ADDRESS_H

#include <millrace/status.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#define MR__HTTP_RULES_MAX      1024u /* of one list */
#define MR__HTTP_HOST_BYTES_MAX 253u  /* of a name of the DNS */

struct mr__http_rule;

struct mr__http_list {
    struct mr__http_rule *rules;
    size_t count;
};

struct mr__http_rules {
    struct mr__http_list allow, deny;
};

enum mr__http_verdict { MR__HTTP_UNDECIDED, MR__HTTP_ALLOWED, MR__HTTP_DENIED };

/* Reads both lists: rules with commas between them; NULL is an empty one. `*ret_rules` is
 * **owned**, also after an error: mr__http_rules_finish. MR_EINVAL names the rule that is none;
 * MR_ELIMIT; MR_ENOMEM. */
mr_status mr__http_rules_read(const char *allow, const char *deny, struct mr__http_rules *ret_rules,
                              mr_error *reterr);
void mr__http_rules_finish(struct mr__http_rules *rules);

/* What the rules for names say of a host; a host that is an address has no name. */
enum mr__http_verdict mr__http_rules_host(const struct mr__http_rules *rules, const char *host);

/* NULL if the address may be reached, given what was said of the host's name; else why not: a few
 * words, **static**. */
const char *mr__http_rules_address(const struct mr__http_rules *rules,
                                   const struct sockaddr *address, enum mr__http_verdict of_host);

/* The address as text; "" for a family that has none. */
void mr__http_address_text(const struct sockaddr *address, char *ret_text, size_t bytes);

/* Whether `host` is an address as it stands (IPv6 without brackets); then `*ret_address` is it. */
int mr__http_is_address(const char *host, struct sockaddr_storage *ret_address);

#endif
