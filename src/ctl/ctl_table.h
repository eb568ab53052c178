#ifndef POSTRIDER_CTL_CTL_TABLE_H
#define POSTRIDER_CTL_CTL_TABLE_H

#include "ctl/ctl_text.h"

#include <stdbool.h>
#include <stddef.h>

/* Rows of cells in columns as wide as their widest cell, and notes below a row. */
struct ctl_table;

struct ctl_column {
	const char *title;
	bool right; /* numbers */
};

/* CTL_OURS: what was sent, beside what came back. */
enum ctl_tone { CTL_PLAIN, CTL_GOOD, CTL_WARN, CTL_BAD, CTL_BOLD, CTL_DIM, CTL_OURS };

/* Borrows columns and screen until ctl_table_free(). */
struct ctl_table *ctl_table_new(
    const struct ctl_column *columns, size_t count, const struct ctl_screen *screen);
void ctl_table_free(struct ctl_table **table);

/* The next cell, row by row.  Copied, escaped for the screen; NULL is "-". */
void ctl_table_add(struct ctl_table *table, const char *text, enum ctl_tone tone);

/* A note below the row that was begun last, indented, wrapped on a terminal.  Copied, escaped. */
void ctl_table_note(struct ctl_table *table, const char *text, enum ctl_tone tone);

/*
 * On a terminal too narrow for the table, columns with a rank go, the highest first, until it fits;
 * 0 stays.  Before the first cell.
 */
void ctl_table_spare(struct ctl_table *table, size_t column, unsigned rank);

/* Which column is cut when it is still too wide; the first unless this is called. */
void ctl_table_give_way(struct ctl_table *table, size_t column);

/* Appends the table, titles first. */
void ctl_table_append(const struct ctl_table *table, struct str *s);

/* Appends text in a tone, without one when the screen has no colour. */
void ctl_table_append_tone(
    struct str *s, const struct ctl_screen *screen, enum ctl_tone tone, const char *text);

#endif
