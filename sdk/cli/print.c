/* SPDX-License-Identifier: MIT
 *
 * What the program writes: documents and tables on stdout, talk on stderr. Errors are in errors.c.
 */
#include "sdk/cli/print.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- stdout -------------------------------------------------------------------------------- */

void mr__print_out(struct mr__cli *cli, const char *bytes, size_t len)
{
    if (cli->stdout_error == 0 && len > 0 && fwrite(bytes, 1, len, stdout) != len) {
        cli->stdout_error = errno != 0 ? errno : EIO;
    }
}

void mr__print_document(struct mr__cli *cli, struct mr__pick document)
{
    mr__print_out(cli, document.at, document.len);
    mr__print_out(cli, "\n", 1);
}

bool mr__print_closed(const struct mr__cli *cli)
{
    return cli->stdout_error != 0;
}

int mr__print_flush(struct mr__cli *cli, int code)
{
    if (fflush(stdout) != 0 && cli->stdout_error == 0) {
        cli->stdout_error = errno != 0 ? errno : EIO;
    }
    if (cli->stdout_error == 0 || cli->stdout_error == EPIPE) {
        return code;
    }
    mr__print_talk(cli, "millrace: standard output: %s", strerror(cli->stdout_error));
    cli->stdout_error = EPIPE; /* it is said once */
    return code == MR__EXIT_OK ? MR__EXIT_STORE : code;
}

bool mr__print_is_json(const struct mr__cli *cli)
{
    return cli->options.output != MR__OUTPUT_TEXT;
}

void mr__documents_add(struct mr__documents *documents, struct mr__pick document)
{
    struct mr__cli *cli = documents->cli;
    if (cli->options.output == MR__OUTPUT_JSON) {
        const char *before = documents->count == 0 ? "[" : ",\n";
        mr__print_out(cli, before, strlen(before));
        mr__print_out(cli, document.at, document.len);
    } else {
        mr__print_document(cli, document);
    }
    documents->count++;
}

void mr__documents_end(struct mr__documents *documents)
{
    struct mr__cli *cli = documents->cli;
    if (cli->options.output == MR__OUTPUT_JSON) {
        const char *end = documents->count == 0 ? "[]\n" : "]\n";
        mr__print_out(cli, end, strlen(end));
    }
}

/* ---- tables -------------------------------------------------------------------------------- */

void mr__table_init(struct mr__table *table, const char *const *heads)
{
    memset(table, 0, sizeof *table);
    table->heads = heads;
    while (heads[table->columns] != NULL &&
           table->columns < sizeof table->widths / sizeof table->widths[0]) {
        table->widths[table->columns] = strlen(heads[table->columns]);
        table->columns++;
    }
}

void mr__table_cell(struct mr__table *table, const char *text)
{
    size_t width =
        mr__text_clean(&table->cells, text, strlen(text), SIZE_MAX, ""); /* on one line */
    size_t column = table->cell_count++ % table->columns;
    mr__text_add(&table->cells, "", 1);
    table->widths[column] = width > table->widths[column] ? width : table->widths[column];
}

void mr__table_cell_pick(struct mr__table *table, struct mr__pick value)
{
    struct mr__text text = {0};
    (void)mr__pick_text(value, &text); /* absent: an empty cell */
    mr__table_cell(table, mr__text_str(&text));
    mr__text_finish(&text);
}

/* The colour of a status that stands in a cell; "" where it is none. */
static const char *color_of(const struct mr__cli *cli, const char *cell)
{
    if (!cli->color_out) {
        return "";
    }
    for (int state = 0; state < MR__STATE_COUNT; state++) {
        if (strcmp(mr__progress_state_name((enum mr__state)state), cell) == 0) {
            return mr__progress_state_color((enum mr__state)state);
        }
    }
    return "";
}

/* `cells`: one for each column. The last column is cut at the terminal's edge. */
static void print_row(struct mr__cli *cli, const struct mr__table *table, const char *const *cells,
                      size_t width_max)
{
    struct mr__text line = {0};
    size_t used = 0;
    size_t shown =
        table->columns; /* no blanks at the end of a line: empty cells there are left out */
    while (shown > 1 && cells[shown - 1][0] == '\0') {
        shown--;
    }
    for (size_t i = 0; i < shown; i++) {
        bool last = i + 1 == table->columns;
        const char *color = strcmp(table->heads[i], "STATUS") == 0 ? color_of(cli, cells[i]) : "";
        size_t room = !last ? SIZE_MAX : width_max > used ? width_max - used : 0;
        mr__text_puts(&line, color);
        size_t width =
            mr__text_clean(&line, cells[i], strlen(cells[i]), room, cli->utf8 ? "…" : "~");
        mr__text_puts(&line, color[0] != '\0' ? "\033[0m" : "");
        if (i + 1 < shown) {
            mr__text_fill(&line, ' ', table->widths[i] - width + 2);
        }
        used += table->widths[i] + 2;
    }
    mr__text_puts(&line, "\n");
    mr__print_out(cli, mr__text_str(&line), line.len);
    mr__text_finish(&line);
}

void mr__table_print(struct mr__cli *cli, struct mr__table *table)
{
    uint32_t columns = 0;
    uint32_t rows = 0;
    size_t width_max = SIZE_MAX;
    if (isatty(STDOUT_FILENO)) {
        mr__screen_size(STDOUT_FILENO, &columns, &rows);
        width_max = columns;
    }
    if (!table->has_heads) {
        print_row(cli, table, table->heads, width_max);
        table->has_heads = true;
    }
    const char *row[sizeof table->widths / sizeof table->widths[0]];
    const char *cell = mr__text_str(&table->cells);
    for (size_t i = 0; !table->cells.failed && i < table->cell_count; i++) {
        row[i % table->columns] = cell;
        cell += strlen(cell) + 1;
        if ((i + 1) % table->columns == 0) {
            print_row(cli, table, row, width_max);
        }
    }
    mr__text_clear(&table->cells);
    table->cell_count = 0;
}

void mr__table_finish(struct mr__table *table)
{
    mr__text_finish(&table->cells);
}

void mr__print_ago(struct mr__text *text, int64_t time_ms, int64_t now_ms)
{
    long long s = now_ms > time_ms ? (now_ms - time_ms) / 1000 : 0;
    if (time_ms == 0) {
        return;
    }
    if (s < 60) {
        mr__text_printf(text, "%llds ago", s);
    } else if (s < 3600) {
        mr__text_printf(text, "%lldm ago", s / 60);
    } else if (s < 2 * 86400) {
        mr__text_printf(text, "%lldh ago", s / 3600);
    } else {
        mr__text_printf(text, "%lldd ago", s / 86400);
    }
}

void mr__print_took(struct mr__text *text, struct mr__pick object, int64_t now_ms)
{
    int64_t started_ms = mr__pick_time(mr__pick_member(object, "startedAt"));
    int64_t ended_ms = mr__pick_time(mr__pick_member(object, "endedAt"));
    if (started_ms != 0) {
        mr__text_duration(text, (ended_ms != 0 ? ended_ms : now_ms) - started_ms);
    }
}

const char *mr__print_short_id(const char *id)
{
    size_t len = strlen(id);
    return len > MR__RUN_ID_SHOWN ? id + len - MR__RUN_ID_SHOWN : id;
}

/* ---- stderr -------------------------------------------------------------------------------- */

void mr__print_talk(struct mr__cli *cli, const char *fmt, ...)
{
    char line[2048];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line - 1, fmt, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    size_t used = strlen(line); /* a longer line is cut */
    line[used] = '\n';
    mr__screen_write(&cli->screen, line, used + 1);
}

void mr__print_command(const struct mr__cli *cli, struct mr__text *text, const char *verb,
                       const char *run, const char *task)
{
    mr__text_shell(text, cli->program);
    mr__text_puts(text, " ");
    mr__text_puts(text, verb);
    if (run != NULL) {
        mr__text_puts(text, " ");
        mr__text_shell(text, mr__print_short_id(run));
    }
    if (task != NULL) {
        mr__text_puts(text, " ");
        mr__text_shell(text, task);
    }
    if (cli->options.store_typed) {
        mr__text_puts(text, " --store ");
        mr__text_shell(text, cli->options.store);
    }
    for (size_t i = 0; cli->options.plugins_typed && i < cli->options.plugins.count; i++) {
        mr__text_puts(text, " --plugins ");
        mr__text_shell(text, cli->options.plugins.at[i]);
    }
}
