#include "ctl/ctl_table.h"

#include "base/queue.h"
#include "base/xalloc.h"

#include <stdlib.h>

#define GAP     2
#define CUT_MIN 8
#define INDENT  "    "

struct cell {
	char *text;
	enum ctl_tone tone;
	TAILQ_ENTRY(cell) link;
};

TAILQ_HEAD(cells, cell);

struct row {
	struct cells cells;
	struct cells notes;
	size_t count;
	TAILQ_ENTRY(row) link;
};

TAILQ_HEAD(rows, row);

/* Owned by whoever called ctl_table_new(). */
struct ctl_table {
	const struct ctl_column *columns;
	size_t count;
	size_t giving; /* the column that is cut on a narrow terminal */
	const struct ctl_screen *screen;
	unsigned *rank; /* by column: what may go first; 0: stays */
	bool *gone;     /* by column: while the table is written */
	struct rows rows;
};

struct ctl_table *
ctl_table_new(const struct ctl_column *columns, size_t count, const struct ctl_screen *screen)
{
	struct ctl_table *t = xcalloc(1, sizeof *t);

	t->columns = columns;
	t->count = count;
	t->screen = screen;
	t->rank = xcalloc(count, sizeof *t->rank);
	t->gone = xcalloc(count, sizeof *t->gone);
	TAILQ_INIT(&t->rows);
	return t;
}

static void
free_cells(struct cells *cells)
{
	struct cell *cell;

	while ((cell = TAILQ_FIRST(cells)) != NULL) {
		TAILQ_REMOVE(cells, cell, link);
		free(cell->text);
		free(cell);
	}
}

void
ctl_table_free(struct ctl_table **table)
{
	struct ctl_table *t = *table;
	struct row *row;

	*table = NULL;
	if (t == NULL)
		return;
	while ((row = TAILQ_FIRST(&t->rows)) != NULL) {
		TAILQ_REMOVE(&t->rows, row, link);
		free_cells(&row->cells);
		free_cells(&row->notes);
		free(row);
	}
	free(t->rank);
	free(t->gone);
	free(t);
}

void
ctl_table_spare(struct ctl_table *t, size_t column, unsigned rank)
{
	t->rank[column] = rank;
}

static void
add_cell(const struct ctl_table *t, struct cells *cells, const char *text, enum ctl_tone tone)
{
	struct cell *cell = xcalloc(1, sizeof *cell);
	struct str safe = STR_INIT;

	ctl_text_append(&safe, text != NULL ? text : "-", t->screen->ascii);
	cell->text = str_take(&safe);
	cell->tone = tone;
	TAILQ_INSERT_TAIL(cells, cell, link);
}

static struct row *
last_row(struct ctl_table *t)
{
	return TAILQ_LAST(&t->rows, rows);
}

void
ctl_table_add(struct ctl_table *t, const char *text, enum ctl_tone tone)
{
	struct row *row = last_row(t);

	if (row == NULL || row->count == t->count) {
		row = xcalloc(1, sizeof *row);
		TAILQ_INIT(&row->cells);
		TAILQ_INIT(&row->notes);
		TAILQ_INSERT_TAIL(&t->rows, row, link);
	}
	add_cell(t, &row->cells, text, tone);
	row->count++;
}

void
ctl_table_note(struct ctl_table *t, const char *text, enum ctl_tone tone)
{
	struct row *row = last_row(t);

	if (row != NULL)
		add_cell(t, &row->notes, text, tone);
}

void
ctl_table_give_way(struct ctl_table *t, size_t column)
{
	t->giving = column;
}

void
ctl_table_append_tone(
    struct str *s, const struct ctl_screen *screen, enum ctl_tone tone, const char *text)
{
	static const char *const begin[] = {
	    "", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[1m", "\x1b[2m", "\x1b[36m"};

	if (!screen->colour || tone == CTL_PLAIN)
		str_append_text(s, text);
	else
		str_appendf(s, "%s%s\x1b[0m", begin[tone], text);
}

static void
measure(const struct ctl_table *t, size_t *width)
{
	const struct row *row;
	const struct cell *cell;

	for (size_t i = 0; i < t->count; i++)
		width[i] = ctl_text_width(t->columns[i].title);
	TAILQ_FOREACH (row, &t->rows, link) {
		size_t i = 0;

		TAILQ_FOREACH (cell, &row->cells, link) {
			size_t w = ctl_text_width(cell->text);

			width[i] = w > width[i] ? w : width[i];
			i++;
		}
	}
}

static size_t
total_width(const struct ctl_table *t, const size_t *width)
{
	size_t total = 0;

	for (size_t i = 0; i < t->count; i++)
		if (!t->gone[i])
			total += width[i] + (i > 0 ? GAP : 0);
	return total;
}

/* The column that can best be spared of those that are left; 0: none. */
static size_t
find_spare(const struct ctl_table *t)
{
	size_t found = 0;

	for (size_t i = 1; i < t->count; i++)
		if (!t->gone[i] && t->rank[i] > t->rank[found])
			found = i;
	return found;
}

static void
narrow(const struct ctl_table *t, size_t *width)
{
	size_t *giving = &width[t->giving];
	size_t spare, over;

	if (t->screen->width == 0)
		return;
	while (total_width(t, width) > t->screen->width && (spare = find_spare(t)) != 0)
		t->gone[spare] = true;
	if (total_width(t, width) <= t->screen->width || *giving <= CUT_MIN)
		return;
	over = total_width(t, width) - t->screen->width;
	*giving = *giving > over + CUT_MIN ? *giving - over : CUT_MIN;
}

static void
append_blanks(struct str *s, size_t count)
{
	while (count-- > 0)
		str_append_char(s, ' ');
}

static bool
is_last(const struct ctl_table *t, size_t column)
{
	while (++column < t->count)
		if (!t->gone[column])
			return false;
	return true;
}

/* The last column of a line has no blanks behind it. */
static void
append_cell(const struct ctl_table *t, struct str *s, size_t column, const size_t *width,
    const char *text, enum ctl_tone tone)
{
	char *shown;
	size_t pad;

	if (t->gone[column])
		return;
	shown = xstrdup(text);
	if (column == t->giving)
		ctl_text_cut(shown, width[column]);
	pad = width[column] - ctl_text_width(shown);
	append_blanks(s, column > 0 ? GAP : 0);
	if (t->columns[column].right)
		append_blanks(s, pad);
	ctl_table_append_tone(s, t->screen, tone, shown);
	if (!t->columns[column].right && !is_last(t, column))
		append_blanks(s, pad);
	free(shown);
}

static void
append_row(const struct ctl_table *t, struct str *s, const struct row *row, const size_t *width)
{
	const struct cell *cell;
	size_t i = 0;

	TAILQ_FOREACH (cell, &row->cells, link)
		append_cell(t, s, i++, width, cell->text, cell->tone);
	str_append_char(s, '\n');
	TAILQ_FOREACH (cell, &row->notes, link) {
		struct str wrapped = STR_INIT;

		ctl_text_append_wrapped(&wrapped, cell->text, INDENT, t->screen->width);
		str_truncate(&wrapped, wrapped.len - 1);
		ctl_table_append_tone(s, t->screen, cell->tone, str_text(&wrapped));
		str_append_char(s, '\n');
		str_clear(&wrapped);
	}
}

void
ctl_table_append(const struct ctl_table *t, struct str *s)
{
	size_t *width = xcalloc(t->count, sizeof *width);
	const struct row *row;

	measure(t, width);
	narrow(t, width);
	for (size_t i = 0; i < t->count; i++)
		append_cell(t, s, i, width, t->columns[i].title, CTL_BOLD);
	str_append_char(s, '\n');
	TAILQ_FOREACH (row, &t->rows, link)
		append_row(t, s, row, width);
	free(width);
}
