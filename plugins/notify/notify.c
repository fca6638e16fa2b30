/* SPDX-License-Identifier: MIT
 *
 * The action `notify`: a webhook, signed as standardwebhooks.com has it. Loop thread; the request
 * itself is http's (http_task.h).
 *
 * What is signed is "ID.SECONDS.BODY"; ID is the idempotency key, by which the receiver knows what
 * it has had already. The secret never is a param: those are kept with the run, for all to see.
 */
#include <millrace/plugin.h>
#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "plugins/http/http_task.h"
#include "plugins/text.h"

#define ENCODED_SECRET "whsec_" /* Base64 follows; any other secret is its own bytes */
#define SIGNED_HEADERS 3u

static const mr_param params[] = {
    {.name = "url", .type = MR_STRING, .flags = MR_REQUIRED, .help = "http:// or https://"},
    {.name = "text",
     .type = MR_STRING,
     .help = "sent as {text, dag, run, task, attempt}, which chat programs take, too"},
    {.name = "body", .type = MR_NULL, .help = "sent instead: any value, as JSON"},
    {.name = "headers", .type = MR_MAP, .help = "request headers"},
    {.name = "secretEnv",
     .type = MR_STRING,
     .help =
         "which variable of the owner's environment has the secret; without it nothing is signed"},
    {.name = "timeout", .type = MR_STRING, .default_json = "\"30s\"", .help = "for the request"},
    {.name = NULL},
};

static mr_value text_value(const char *text)
{
    return (mr_value){.type = MR_STRING, .len = (uint32_t)strlen(text), .u.s = text};
}

/* ---- the body ---------------------------------------------------------------------------------
 */

static mr_status read_body(mr_task *t, mr_value *ret_body)
{
    const mr_value *text = mr_param_get(t, "text"), *body = mr_param_get(t, "body");
    const mr_task_info *info = mr_info(t);
    const mr_member members[] = {
        {"text", *text},
        {"dag", text_value(info->dag_id)},
        {"run", text_value(info->run_id)},
        {"task", text_value(info->task_id)},
        {"attempt", {.type = MR_INT, .u.i = info->attempt}},
    };
    if ((text->type == MR_NULL) == (body->type == MR_NULL)) {
        return mr_fail(t, MR_EINVAL, "one of text and body must be given");
    }
    if (body->type != MR_NULL) {
        *ret_body = *body;
        return MR_OK;
    }
    mr_member *copy = mr_alloc(t, sizeof members);
    if (copy == NULL) {
        return MR_ENOMEM;
    }
    memcpy(copy, members, sizeof members);
    *ret_body =
        (mr_value){.type = MR_MAP, .len = sizeof members / sizeof members[0], .u.map = copy};
    return MR_OK;
}

/* ---- the signature ----------------------------------------------------------------------------
 */

/* The secret's bytes into `key`. The reason of a failure has nothing of them. */
static mr_status set_key(mr_task *t, const char *name, struct hmac_sha256_ctx *key)
{
    struct base64_decode_ctx decode;
    const char *secret = getenv(name);
    size_t len = secret == NULL ? 0 : strlen(secret);
    if (len == 0) {
        return mr_fail(t, MR_EINVAL, "secretEnv: the variable %.128s is not set", name);
    }
    if (strncmp(secret, ENCODED_SECRET, sizeof ENCODED_SECRET - 1) != 0) {
        hmac_sha256_set_key(key, len, (const uint8_t *)secret);
        return MR_OK;
    }
    secret += sizeof ENCODED_SECRET - 1;
    len -= sizeof ENCODED_SECRET - 1;
    size_t bytes = BASE64_DECODE_LENGTH(len);
    uint8_t *decoded = mr_alloc(t, bytes + 1);
    if (decoded == NULL) {
        return MR_ENOMEM;
    }
    base64_decode_init(&decode);
    if (base64_decode_update(&decode, &bytes, decoded, len, secret) == 0 ||
        base64_decode_final(&decode) == 0 || bytes == 0) {
        return mr_fail(t, MR_EINVAL,
                       "secretEnv: what follows " ENCODED_SECRET " in %.128s is no Base64", name);
    }
    hmac_sha256_set_key(key, bytes, decoded);
    return MR_OK;
}

/* The three headers of a signed message; `name` is that of the secret's variable. */
static mr_status sign(mr_task *t, const char *name, const mr_value *body, mr_member *ret_headers)
{
    struct hmac_sha256_ctx hmac;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char base64[BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) + 1] = "";
    struct mr__text json = {0};
    const char *id = mr_info(t)->idempotency_key;
    const char *seconds = mr_printf(t, "%lld", (long long)time(NULL));
    mr_status status = set_key(t, name, &hmac);
    if (status != MR_OK) {
        return status;
    }
    mr__text_json(&json, body); /* as the client writes it */
    if (seconds == NULL || json.failed) {
        mr__text_finish(&json);
        return MR_ENOMEM;
    }
    hmac_sha256_update(&hmac, strlen(id), (const uint8_t *)id);
    hmac_sha256_update(&hmac, 1, (const uint8_t *)".");
    hmac_sha256_update(&hmac, strlen(seconds), (const uint8_t *)seconds);
    hmac_sha256_update(&hmac, 1, (const uint8_t *)".");
    hmac_sha256_update(&hmac, json.len, (const uint8_t *)json.bytes);
    hmac_sha256_digest(&hmac, sizeof digest, digest);
    mr__text_finish(&json);
    base64_encode_raw(base64, sizeof digest, digest);
    const char *signature = mr_printf(t, "v1,%s", base64);
    if (signature == NULL) {
        return MR_ENOMEM;
    }
    ret_headers[0] = (mr_member){"webhook-id", text_value(id)};
    ret_headers[1] = (mr_member){"webhook-timestamp", text_value(seconds)};
    ret_headers[2] = (mr_member){"webhook-signature", text_value(signature)};
    return MR_OK;
}

/* The task's own headers, and those of the signature. */
static mr_status read_headers(mr_task *t, const mr_value *body, mr_value *ret_headers)
{
    const mr_value *own = mr_param_get(t, "headers");
    const char *secret = mr_param_str(t, "secretEnv");
    mr_member *all = mr_alloc(t, (own->len + SIGNED_HEADERS) * sizeof *all);
    if (all == NULL) {
        return MR_ENOMEM;
    }
    for (uint32_t i = 0; i < own->len; i++) {
        all[i] = own->u.map[i];
        if (strncasecmp(all[i].key, "webhook-", 8) == 0) {
            return mr_fail(t, MR_EINVAL, "headers: %.64s is for secretEnv to set", all[i].key);
        }
    }
    *ret_headers = (mr_value){.type = MR_MAP, .len = own->len, .u.map = all};
    if (*secret == '\0') {
        return MR_OK;
    }
    ret_headers->len += SIGNED_HEADERS;
    return sign(t, secret, body, all + own->len);
}

static mr_status notify_run(mr_task *t)
{
    mr_value body, headers;
    mr_status status = read_body(t, &body);
    if (status == MR_OK) {
        status = read_headers(t, &body, &headers);
    }
    if (status != MR_OK) {
        return status;
    }
    const mr_member request[] = {
        {"url", *mr_param_get(t, "url")},
        {"json", body},
        {"headers", headers},
        {"timeout", *mr_param_get(t, "timeout")},
        {"connectTimeout", *mr_param_get(t, "timeout")},
        {"redirects", {.type = MR_INT}}, /* What is signed is for one receiver. */
        {"maxBytes", {.type = MR_INT, .u.i = 4 << 20}},
        {"output", text_value("none")},
    };
    const mr_value all = {
        .type = MR_MAP, .len = sizeof request / sizeof request[0], .u.map = request};
    return mr__http_task_start(t, &all);
}

static const mr_action notify =
    MR_ACTION(.name = "notify", .help = "sends a webhook, signed", .where = MR_ON_LOOP,
              .flags = MR_IDEMPOTENT, .params = params, .run = notify_run,
              .cancel = mr__http_task_cancel);
MR_PLUGIN("notify", "0.1.0", &notify);
