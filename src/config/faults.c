#include "config/faults.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "config/source.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Longer words are nobody's misspelt key. */
#define WORD_MAX 40

void
faults_clear(struct faults *faults)
{
	for (size_t i = 0; i < faults->count; i++)
		free(faults->list[i].text);
	free(faults->list);
	*faults = (struct faults){NULL, 0};
}

void
faults_vadd(struct faults *faults, size_t line, const char *format, va_list ap)
{
	struct str text = STR_INIT;

	str_vappendf(&text, format, ap);
	faults->list = xreallocarray(faults->list, faults->count + 1, sizeof faults->list[0]);
	faults->list[faults->count++] = (struct fault){line, str_take(&text)};
}

void
faults_add(struct faults *faults, size_t line, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	faults_vadd(faults, line, format, ap);
	va_end(ap);
}

/* Stable: the text decides between faults of one line only through the order they came in. */
static void
sort_by_line(struct fault *list, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct fault f = list[i];
		size_t j = i;

		for (; j > 0 && list[j - 1].line > f.line; j--)
			list[j] = list[j - 1];
		list[j] = f;
	}
}

/* The list is sorted, so an equal one is among those of the same line just before. */
static bool
was_said(const struct fault *list, size_t i)
{
	for (size_t j = i; j > 0 && list[j - 1].line == list[i].line; j--)
		if (strcmp(list[j - 1].text, list[i].text) == 0)
			return true;
	return false;
}

static char *
render(const struct fault *fault, const struct source *source)
{
	struct source_place place = source_place(source, fault->line);

	if (place.line == 0)
		return xasprintf("%s: %s", place.file, fault->text);
	return xasprintf("%s:%u: %s", place.file, place.line, fault->text);
}

void
faults_render(struct faults *faults, const struct source *source, struct config_faults *out)
{
	sort_by_line(faults->list, faults->count);
	for (size_t i = 0; i < faults->count; i++) {
		if (was_said(faults->list, i))
			continue;
		out->text = xreallocarray(out->text, out->count + 1, sizeof out->text[0]);
		out->text[out->count++] = render(&faults->list[i], source);
	}
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b. */
static size_t
edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t row[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= a_len; i++)
		row[i][0] = i;
	for (size_t j = 0; j <= b_len; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[j - 1]);
			size_t d = row[i - 1][j - 1] + (x != y);

			d = least(d, least(row[i - 1][j], row[i][j - 1]) + 1);
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]))
				d = least(d, row[i - 2][j - 2] + 1);
			row[i][j] = d;
		}
	}
	return row[a_len][b_len];
}

static size_t
common_prefix(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] != '\0' && tolower((unsigned char)a[n]) == tolower((unsigned char)b[n]))
		n++;
	return n;
}

/* Of two equally near words the one that begins alike is meant: "password_cmd". */
const char *
faults_nearest(const char *word, const char *const *words, size_t count)
{
	size_t len = strlen(word);
	size_t best = (len + 2) / 3 + 1;
	const char *nearest = NULL;

	if (len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t other = strlen(words[i]);
		size_t distance;

		if (other > WORD_MAX)
			continue;
		distance = edit_distance(word, len, words[i], other);
		if (distance == best && nearest != NULL &&
		    common_prefix(word, words[i]) > common_prefix(word, nearest))
			nearest = words[i];
		if (distance < best && distance < other) {
			best = distance;
			nearest = words[i];
		}
	}
	return nearest;
}
