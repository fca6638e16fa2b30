/* SPDX-License-Identifier: MIT
 *
 * Makes the stored text of a dag one that does not parse, or good again: spoil_dag STORE DAG
 * [restore]. Nobody may have the store open.
 */
#include <semaphore.h>
#include <stdio.h>

#include "tests/support/spoil.h"

static void ring(void *bell)
{
    (void)sem_post(bell);
}

int main(int argc, char **argv)
{
    struct mr__store *store;
    sem_t bell;
    mr_error error = {0};
    mr_status status;
    if (argc < 3 || sem_init(&bell, 0, 0) != 0 ||
        mr__store_lmdb_open(argv[1], ring, &bell, &store, &error) != MR_OK) {
        (void)fprintf(stderr, "spoil_dag: %s\n", error.message);
        return 1;
    }
    struct spoil spoil = {.dag = argv[2], .restore = argc > 3};
    size_t count = spoil_begin(&spoil, store, &status);
    while (status == MR_EUNKNOWN && sem_wait(&bell) == 0) {
        store->ops->poll(store);
    }
    mr__batch_finish(&spoil.batch);
    store->ops->close(store);
    (void)printf("%zu\n", count);
    return status == MR_OK && count > 0 ? 0 : 1;
}
