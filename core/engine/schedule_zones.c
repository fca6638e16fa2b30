/* SPDX-License-Identifier: MIT
 *
 * The time zones of schedules: each is read once, on the store's reader thread, since the disk may
 * be slow, and kept until nobody serves any more. Loop thread, but for the job's function.
 */
#include "core/engine/schedules_impl.h"

#include <stdlib.h>

struct mr__schedule_zone {
    struct mr__schedule_zone *next;
    struct mr__schedules *schedules;
    struct mr__zone *zone; /* NULL: not read, or not there */
    bool reading;
    mr_error error;
    char name[MR__ZONE_NAME_BYTES_MAX + 1];
};

static void give_to_rows(struct mr__schedule_zone *zone)
{
    struct mr__schedules *schedules = zone->schedules;
    for (size_t i = 0; i < schedules->count; i++) {
        struct mr__schedule_row *row = schedules->rows[i];
        if (row->zone == zone) {
            row->rule.zone = zone->zone;
            mr__schedule_row_look(row);
        }
    }
    mr__schedules_arm(schedules);
}

/* Reader thread. */
static mr_status zone_read(struct mr__snapshot *snapshot, void *user)
{
    struct mr__schedule_zone *zone = user;
    return mr__zone_load(zone->name, &zone->zone, &zone->error);
}

static void zone_read_done(void *user, mr_status status)
{
    struct mr__schedule_zone *zone = user;
    struct mr__schedules *schedules = zone->schedules;
    schedules->zone_jobs--;
    zone->reading = false;
    if (schedules->closed) {
        mr__schedules_free(schedules);
        return;
    }
    if (zone->zone == NULL) {
        mr__engine_log(schedules->engine, 1,
                       "time zone %s cannot be read, its schedules do nothing: %s", zone->name,
                       zone->error.status == status ? zone->error.message : mr_status_text(status));
    }
    give_to_rows(zone);
}

static struct mr__schedule_zone *zone_of(struct mr__schedules *schedules, const char *name)
{
    struct mr__schedule_zone *zone = schedules->zones;
    while (zone != NULL && strcmp(zone->name, name) != 0) {
        zone = zone->next;
    }
    if (zone == NULL && strlen(name) < sizeof zone->name) {
        zone = mr__calloc(1, sizeof *zone);
        if (zone != NULL) {
            zone->schedules = schedules;
            memcpy(zone->name, name, strlen(name) + 1);
            zone->next = schedules->zones;
            schedules->zones = zone;
        }
    }
    return zone;
}

void mr__schedule_zone_want(struct mr__schedule_row *row, const char *name)
{
    struct mr__schedules *schedules = row->schedules;
    row->zone = NULL;
    row->rule.zone = name[0] == '\0' ? mr__zone_utc() : NULL;
    if (row->rule.zone != NULL) {
        mr__schedule_row_look(row);
        return;
    }
    row->zone = zone_of(schedules, name);
    if (row->zone == NULL) {
        mr__engine_log(schedules->engine, 1, "the schedule of dag \"%s\" does nothing: %s", row->id,
                       strlen(name) > MR__ZONE_NAME_BYTES_MAX ? "the time zone's name is too long"
                                                              : "out of memory");
    } else if (row->zone->reading) {
        /* It is the job's until that has ended. */
    } else if (row->zone->zone != NULL) {
        row->rule.zone = row->zone->zone;
        mr__schedule_row_look(row);
    } else { /* also one that failed before: it may be there by now */
        row->zone->reading = true;
        schedules->zone_jobs++;
        mr_status status = mr__engine_read(schedules->engine, zone_read, zone_read_done, row->zone);
        if (status != MR_OK) {
            zone_read_done(row->zone, status);
        }
    }
}

void mr__schedule_zones_finish(struct mr__schedules *schedules)
{
    while (schedules->zones != NULL) {
        struct mr__schedule_zone *zone = schedules->zones;
        schedules->zones = zone->next;
        mr__zone_destroy(zone->zone);
        mr__free(zone);
    }
}
