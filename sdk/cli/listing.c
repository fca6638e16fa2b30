/* SPDX-License-Identifier: MIT
 *
 * Lists of things. See listing.h.
 */
#include "sdk/cli/listing.h"

int mr__listing_print(struct mr__cli *cli, struct mr__text *request,
                      const struct mr__listing *listing)
{
    struct mr__documents documents = {.cli = cli};
    struct mr__table table;
    struct mr__failure failure;
    struct mr__pick answer;
    mr_stream *stream = NULL;
    enum mr__answer kind = MR__ANSWER_FAILED;
    int code = mr__session_open(cli, 0);
    if (code != MR__EXIT_OK) {
        mr__text_finish(request);
        return code;
    }
    mr__table_init(&table, listing->heads);
    if (mr__session_request(cli, request, &stream, &failure)) {
        while ((kind = mr__session_next(cli, stream, -1, &answer, &failure)) == MR__ANSWER &&
               !mr__print_closed(cli)) {
            struct mr__pick object = mr__pick_member(answer, listing->member);
            if (object.at != NULL && mr__print_is_json(cli)) {
                mr__documents_add(&documents, object);
            } else if (object.at != NULL) {
                listing->add_row(&table, object);
            }
            if (table.cell_count >= MR__ROWS_AT_ONCE * table.columns) {
                mr__table_print(cli, &table);
            }
        }
    }
    bool failed = kind == MR__ANSWER_FAILED || kind == MR__ANSWER_LATE;
    if (mr__print_is_json(cli) && (!failed || documents.count > 0)) {
        mr__documents_end(&documents);
    } else if (table.cell_count > 0) {
        mr__table_print(cli, &table);
    }
    if (failed) {
        code = mr__print_failure(cli, &failure);
    }
    mr_stream_close(stream); /* only now: the failure is borrowed from it */
    mr__table_finish(&table);
    mr__text_finish(request);
    return code;
}
