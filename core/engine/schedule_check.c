/* SPDX-License-Identifier: MIT
 *
 * Looks whether a schedule's time zone exists. See schedule_check.h.
 */
#include "core/engine/schedule_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/base/zone.h"
#include "core/model/nearest.h"

#define FOLDER      "/usr/share/zoneinfo"
#define LIST        "zone.tab" /* a zone a line: country, place, name */
#define LINE_BYTES  512
#define LINES_MAX   5000
#define NAME_COLUMN 3

/* The name in a line of the list, in place; NULL: there is none. */
static char *name_in(char *line)
{
    char *at = line;
    for (int column = 1; column < NAME_COLUMN && at != NULL; column++) {
        at = strchr(at, '\t');
        at = at == NULL ? NULL : at + 1;
    }
    if (line[0] == '#' || at == NULL) {
        return NULL;
    }
    at[strcspn(at, "\t\r\n")] = '\0';
    return at;
}

/* The zone that may have been meant: the same but for its case, or the nearest. */
static bool nearest_zone(const char *name, char ret_name[MR__ZONE_NAME_BYTES_MAX + 1])
{
    char path[LINE_BYTES], line[LINE_BYTES] = "\t\tUTC"; /* which is in no list */
    struct mr__nearest nearest;
    const char *folder = getenv("TZDIR");
    bool same = false;
    (void)snprintf(path, sizeof path, "%s/" LIST,
                   folder == NULL || folder[0] == '\0' ? FOLDER : folder); /* cut: not there */
    FILE *list = fopen(path, "re");
    mr__nearest_init(&nearest, name, NULL);
    for (uint64_t i = 0; list != NULL && !same && i < LINES_MAX; i++) {
        const char *zone = name_in(line);
        if (zone != NULL && strlen(zone) <= MR__ZONE_NAME_BYTES_MAX) {
            same = strcasecmp(zone, name) == 0;
            mr__nearest_try(&nearest, zone, i);
            if (same || nearest.found == zone) {
                memcpy(ret_name, zone, strlen(zone) + 1);
                nearest.found = ret_name; /* the line is read over */
            }
        }
        if (fgets(line, sizeof line, list) == NULL) {
            break;
        }
    }
    if (list != NULL) {
        (void)fclose(list); /* it was only read */
    }
    return nearest.found != NULL;
}

void mr__schedule_check(const struct mr__dag *dag, struct mr__problems *problems)
{
    const struct mr__schedule *schedule = &dag->schedule;
    struct mr__zone *zone = NULL;
    mr_error error;
    char near[MR__ZONE_NAME_BYTES_MAX + 1];
    if (schedule->cron == NULL || schedule->timezone == NULL ||
        mr__zone_load(schedule->timezone, &zone, &error) == MR_OK) {
        mr__zone_destroy(zone);
        return;
    }
    bool wrong = error.status == MR_ENOTFOUND || error.status == MR_EINVAL;
    mr__problem_add(problems, "E353", schedule->timezone_pos,
                    wrong && nearest_zone(schedule->timezone, near) ? near : NULL, "%s",
                    error.message);
}
