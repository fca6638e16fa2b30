/* SPDX-License-Identifier: MIT
 *
 * One request on its way; see http_transfer.h. The client's thread.
 */
#include "plugins/http/http_transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES 8192L /* libcurl's buffer of each transfer: there may be thousands */
#define ADDRESS_BYTES 64u

static int on_resolver_start(void *resolver, void *reserved, void *user);
static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *to);
static int on_connected(void *user, char *remote, char *local, int remote_port, int local_port);
static size_t on_header(char *bytes, size_t size, size_t count, void *user);
static size_t on_body(char *bytes, size_t size, size_t count, void *user);
static void fail_by(struct mr__http_transfer *transfer, CURLcode result);

struct mr__http_transfer *mr__http_transfer_create(struct mr__http_request *request,
                                                   const struct mr__http_rules *rules)
{
    struct mr__http_transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL) {
        mr__http_request_finish(request);
        return NULL;
    }
    atomic_init(&transfer->refs, 1);
    transfer->request = *request;
    transfer->rules = rules;
    *request = (struct mr__http_request){0};
    return transfer;
}

void mr__http_transfer_unref(struct mr__http_transfer *transfer)
{
    if (transfer != NULL && atomic_fetch_sub(&transfer->refs, 1) == 1) {
        mr__http_transfer_close(transfer);
        mr__http_request_finish(&transfer->request);
        mr__http_answer_finish(&transfer->answer);
        free(transfer);
    }
}

mr_status mr__http_transfer_fail(struct mr__http_transfer *transfer, mr_status status,
                                 const char *fmt, ...)
{
    va_list args;
    if (transfer->failure.status == MR_OK) {
        transfer->failure.status = status;
        va_start(args, fmt);
        (void)vsnprintf(transfer->failure.message, sizeof transfer->failure.message, fmt, args);
        va_end(args);
    }
    return status;
}

static mr_status fail_for_memory(struct mr__http_transfer *transfer)
{
    return mr__http_transfer_fail(transfer, MR_ENOMEM, "%s", mr_status_text(MR_ENOMEM));
}

/* ---- before it starts -------------------------------------------------------------------------
 */

mr_status mr__http_transfer_aim(struct mr__http_transfer *transfer)
{
    struct sockaddr_storage address;
    struct mr__http_place *place = &transfer->place;
    mr_status status = mr__http_place_of(transfer->request.url, "url", place, &transfer->failure);
    if (status != MR_OK) {
        return status;
    }
    const char *why = NULL;
    bool is_address = mr__http_is_address(place->host, &address) != 0;
    transfer->by_name = !is_address || transfer->request.proxy != NULL;
    transfer->of_host =
        is_address ? MR__HTTP_UNDECIDED : mr__http_rules_host(transfer->rules, place->host);
    if (is_address) {
        why = mr__http_rules_address(transfer->rules, (struct sockaddr *)&address,
                                     MR__HTTP_UNDECIDED);
    } else if (transfer->of_host == MR__HTTP_DENIED) {
        why = "MILLRACE_HTTP_DENY names it";
    }
    return why == NULL ? MR_OK
                       : mr__http_transfer_fail(transfer, MR_EPERM, "%s%s is refused: %s",
                                                transfer->redirects > 0 ? "redirected: " : "",
                                                place->host, why);
}

static CURLcode set_method(CURL *easy, const struct mr__http_request *request)
{
    bool is_get = strcmp(request->method, "GET") == 0;
    CURLcode code = CURLE_OK;
    if (strcmp(request->method, "HEAD") == 0) {
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    bool sends = request->body != NULL || strcmp(request->method, "POST") == 0 ||
                 strcmp(request->method, "PUT") == 0 || strcmp(request->method, "PATCH") == 0;
    if (sends) { /* Without a body it says that it has none. */
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        if (code == CURLE_OK) {
            code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                                    request->body == NULL ? "" : request->body);
        }
    } else {
        code = curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    return code != CURLE_OK || (is_get && !sends)
               ? code
               : curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

/* What no param changes. */
static CURLcode set_rules(CURL *easy)
{
    static const struct {
        CURLoption option;
        long value;
    } longs[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_NOPROGRESS, 1},
        {CURLOPT_FOLLOWLOCATION, 0}, /* each hop is checked first: mr__http_transfer_ended */
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 2},
        {CURLOPT_PROXY_SSL_VERIFYPEER, 1},
        {CURLOPT_PROXY_SSL_VERIFYHOST, 2},
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
        {CURLOPT_HTTP09_ALLOWED, 0},
        {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1}, /* a proxy's answer is not the server's */
        {CURLOPT_NETRC, CURL_NETRC_IGNORED},
        {CURLOPT_HTTPAUTH, CURLAUTH_BASIC},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_BUFFERSIZE, RECEIVE_BYTES},
        {CURLOPT_TIMEOUT_MS, 0}, /* The client has its own, which do not ... */
        {CURLOPT_CONNECTTIMEOUT_MS, 24 * 3600 * 1000}, /* ... wait for a look-up to end. */
        {CURLOPT_QUICK_EXIT, 1},                       /* nor does the end of the program */
    };
    CURLcode code = CURLE_OK;
    for (size_t i = 0; code == CURLE_OK && i < sizeof longs / sizeof longs[0]; i++) {
        code = curl_easy_setopt(easy, longs[i].option, longs[i].value);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_NOPROXY, ""); /* nothing from the environment */
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(easy, CURLOPT_USERAGENT, "millrace/" MILLRACE_VERSION);
    }
    return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate")
                            : code;
}

static CURLcode set_callbacks(CURL *easy, struct mr__http_transfer *transfer)
{
    const struct {
        CURLoption function, user;
        void (*call)(void);
    } calls[] = {
        {CURLOPT_RESOLVER_START_FUNCTION, CURLOPT_RESOLVER_START_DATA,
         (void (*)(void))on_resolver_start},
        {CURLOPT_OPENSOCKETFUNCTION, CURLOPT_OPENSOCKETDATA, (void (*)(void))on_open_socket},
        {CURLOPT_PREREQFUNCTION, CURLOPT_PREREQDATA, (void (*)(void))on_connected},
        {CURLOPT_HEADERFUNCTION, CURLOPT_HEADERDATA, (void (*)(void))on_header},
        {CURLOPT_WRITEFUNCTION, CURLOPT_WRITEDATA, (void (*)(void))on_body},
    };
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)transfer);
    for (size_t i = 0; code == CURLE_OK && i < sizeof calls / sizeof calls[0]; i++) {
        code = curl_easy_setopt(easy, calls[i].function, calls[i].call);
        if (code == CURLE_OK) {
            code = curl_easy_setopt(easy, calls[i].user, (void *)transfer);
        }
    }
    return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_error)
                            : code;
}

static CURLcode set_request(CURL *easy, const struct mr__http_request *request, const char *ca_file)
{
    const struct {
        CURLoption option;
        const char *text;
    } texts[] = {
        {CURLOPT_URL, request->url},
        {CURLOPT_PROXY, request->proxy == NULL ? "" : request->proxy},
        {CURLOPT_USERNAME, request->user},
        {CURLOPT_PASSWORD, request->password},
    };
    CURLcode code = set_method(easy, request);
    for (size_t i = 0; code == CURLE_OK && i < sizeof texts / sizeof texts[0]; i++) {
        code = curl_easy_setopt(easy, texts[i].option, texts[i].text);
    }
    if (code == CURLE_OK && ca_file != NULL) {
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    }
    return code == CURLE_OK ? curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers) : code;
}

mr_status mr__http_transfer_prepare(struct mr__http_transfer *transfer, const char *ca_file)
{
    transfer->easy = curl_easy_init();
    if (transfer->easy == NULL) {
        return fail_for_memory(transfer);
    }
    CURLcode code = set_rules(transfer->easy);
    if (code == CURLE_OK) {
        code = set_callbacks(transfer->easy, transfer);
    }
    if (code == CURLE_OK) {
        code = set_request(transfer->easy, &transfer->request, ca_file);
    }
    return code == CURLE_OK ? MR_OK
                            : mr__http_transfer_fail(transfer, MR_EFAILED, "libcurl: %s",
                                                     curl_easy_strerror(code));
}

void mr__http_transfer_close(struct mr__http_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    transfer->easy = NULL;
}

/* ---- on its way -------------------------------------------------------------------------------
 */

void mr__http_transfer_looked_up(struct mr__http_transfer *transfer)
{
    if (transfer->look_up != MR__HTTP_LOOK_UP_NONE) {
        transfer->look_up = MR__HTTP_LOOK_UP_NONE;
        (*transfer->look_ups)--;
    }
}

static int on_resolver_start(void *resolver, void *reserved, void *user)
{
    struct mr__http_transfer *transfer = user;
    if (transfer->look_up == MR__HTTP_LOOK_UP_EXPECTED) {
        transfer->look_up = MR__HTTP_LOOK_UP_RUNS;
    }
    return 0;
}

/* The address is known and nothing was sent to it: the moment to refuse it. */
static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct mr__http_transfer *transfer = user;
    char text[ADDRESS_BYTES] = "";
    mr__http_transfer_looked_up(transfer);
    if (transfer->over) {
        return CURL_SOCKET_BAD;
    }
    /* Through a proxy the name's verdict is for the host behind it, not for the proxy's address. */
    const char *why = mr__http_rules_address(transfer->rules, &to->addr,
                                             transfer->request.proxy == NULL ? transfer->of_host
                                                                             : MR__HTTP_UNDECIDED);
    if (why != NULL) {
        mr__http_address_text(&to->addr, text, sizeof text);
        (void)mr__http_transfer_fail(
            transfer, MR_EPERM, "%s%s has the address %s, which is refused: %s",
            transfer->redirects > 0 ? "redirected: " : "", transfer->place.host, text, why);
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* A connection is there, a new one or one that was used before. */
static int on_connected(void *user, char *remote, char *local, int remote_port, int local_port)
{
    struct mr__http_transfer *transfer = user;
    mr__http_transfer_looked_up(transfer);
    transfer->connect_due_ms = 0;
    if (!transfer->over) {
        transfer->failure = (mr_error){.status = MR_OK}; /* One of several addresses did. */
    }
    return transfer->over ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *user)
{
    struct mr__http_transfer *transfer = user;
    mr_status status =
        mr__http_answer_line(&transfer->answer, bytes, size * count, &transfer->failure);
    return status == MR_OK ? size * count : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct mr__http_transfer *transfer = user;
    mr_status status = mr__http_answer_part(&transfer->answer, bytes, size * count,
                                            transfer->request.bytes_max, &transfer->failure);
    return status == MR_OK ? size * count : CURL_WRITEFUNC_ERROR;
}

/* ---- its end ----------------------------------------------------------------------------------
 */

/* The URL to which the answer leads; NULL: none. Borrowed from the handle. */
static const char *redirect_of(const struct mr__http_transfer *transfer)
{
    const char *url = NULL;
    if (mr__http_is_redirect(transfer->answer.status) && transfer->request.redirects_max > 0) {
        (void)curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &url); /* else NULL */
    }
    return url;
}

bool mr__http_transfer_ended(struct mr__http_transfer *transfer, CURLcode result)
{
    struct mr__http_answer *answer = &transfer->answer;
    curl_off_t retry_after = 0;
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &answer->status);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after);
    answer->retry_after_s = retry_after;
    const char *url = redirect_of(transfer);
    /* Of an answer that leads elsewhere the body does not matter, nor how it ended. */
    if (result != CURLE_OK && (url == NULL || transfer->failure.status == MR_ENOMEM)) {
        fail_by(transfer, result);
        return false;
    }
    if (url == NULL) {
        return false;
    }
    transfer->failure = (mr_error){.status = MR_OK};
    if (transfer->redirects >= transfer->request.redirects_max) {
        (void)mr__http_transfer_fail(transfer, MR_ELIMIT, "more than %lld redirects",
                                     (long long)transfer->request.redirects_max);
        return false;
    }
    transfer->redirects++;
    if (mr__http_request_follow(&transfer->request, answer->status, url, &transfer->failure) !=
            MR_OK ||
        mr__http_transfer_aim(transfer) != MR_OK) {
        return false;
    }
    mr__http_answer_reset(answer);
    return true;
}

/* libcurl's own words, which begin with a capital. */
static const char *words_of(struct mr__http_transfer *transfer, CURLcode result)
{
    return transfer->curl_error[0] != '\0' ? transfer->curl_error : curl_easy_strerror(result);
}

static void fail_by(struct mr__http_transfer *transfer, CURLcode result)
{
    const struct mr__http_place *place = &transfer->place;
    const char *words = words_of(transfer, result);
    long number = 0;
    switch (result) {
    case CURLE_OUT_OF_MEMORY: /* libcurl's limit of a line has no code of its own before 8.6. */
        (void)mr__http_transfer_fail(
            transfer, MR_ENOMEM, "out of memory, or the answer has a header of more than 100 KB");
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
        (void)mr__http_transfer_fail(transfer, MR_EFAILED, "no host %s is known", place->host);
        break;
    case CURLE_COULDNT_CONNECT:
        (void)curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
        (void)mr__http_transfer_fail(transfer, MR_EFAILED, "no connection to %s port %s: %s",
                                     place->host, place->port,
                                     number != 0 ? strerror((int)number) : words);
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
        (void)mr__http_transfer_fail(transfer, MR_EFAILED, "the certificate of %s is refused: %s",
                                     place->host, words);
        break;
    case CURLE_SSL_CONNECT_ERROR:
        (void)mr__http_transfer_fail(transfer, MR_EFAILED, "no TLS with %s port %s: %s",
                                     place->host, place->port, words);
        break;
    case CURLE_GOT_NOTHING:
        (void)mr__http_transfer_fail(transfer, MR_EFAILED,
                                     "%s port %s closed the connection without an answer",
                                     place->host, place->port);
        break;
    case CURLE_PARTIAL_FILE:
        (void)mr__http_transfer_fail(transfer, MR_EFAILED,
                                     "the answer ended before it was complete: %s", words);
        break;
    case CURLE_BAD_CONTENT_ENCODING:
        (void)mr__http_transfer_fail(transfer, MR_EFAILED, "the answer is not well compressed: %s",
                                     words);
        break;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        (void)mr__http_transfer_fail(transfer, MR_EFAILED, "what %s port %s answers is no HTTP: %s",
                                     place->host, place->port, words);
        break;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        (void)mr__http_transfer_fail(transfer, MR_EFAILED,
                                     "the exchange with %s port %s broke off: %s", place->host,
                                     place->port, words);
        break;
    default: (void)mr__http_transfer_fail(transfer, MR_EFAILED, "%s", words);
    }
}
