#include "deliver/aliases.h"

#include "base/str.h"
#include "base/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char stage[] = "aliases";

/* Texts lie one behind the other, each with its NUL. */
struct entry {
	uint32_t name; /* offsets into the texts */
	uint32_t targets;
	unsigned line;
};

struct identity {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

/* Owned by whoever loaded it. */
struct aliases {
	struct entry *entries; /* sorted by name */
	size_t count;
	size_t capacity;
	struct str texts;
	struct identity identity;
};

/* An entry while its lines are put together. */
struct logical {
	struct str text;
	unsigned line;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *
skip_blanks(char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static void
cut_blanks(char *begin)
{
	char *end = begin + strlen(begin);

	while (end > begin && is_blank(end[-1]))
		*--end = '\0';
}

/* Keeps the first complaint. */
static void
complain(struct verdict *why, unsigned line, const char *what)
{
	if (why->kind == FAIL_NONE)
		verdict_fail(why, FAIL_LOCAL, stage, "line %u: %s", line, what);
}

static void
lower(char *p)
{
	for (; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p | 0x20);
}

/* Takes the quotes of a quoted string off in place; NULL when it does not end, else its end. */
static char *
unquote(char *quoted)
{
	char *from = quoted + 1, *to = quoted;

	for (; *from != '"'; from++) {
		if (*from == '\\')
			from++;
		if (*from == '\0')
			return NULL;
		*to++ = *from;
	}
	*to = '\0';
	return from + 1;
}

/* NULL, or what is wrong with the name at p; *targets is what stands behind its colon. */
static const char *
read_name(char *p, char **targets)
{
	bool quoted = *p == '"';
	char *end = quoted ? unquote(p) : p + strcspn(p, ":");

	if (end == NULL)
		return "a quoted name without its second quote";
	if (quoted)
		end = skip_blanks(end);
	if (*end != ':')
		return "expected \"name: address, ...\"";
	*end = '\0';
	*targets = skip_blanks(end + 1);
	cut_blanks(*targets);
	if (quoted)
		return *p != '\0' ? NULL : "an empty name";
	cut_blanks(p);
	if (*p == '\0')
		return "no name before the \":\"";
	if (strpbrk(p, " \t\"\\@,;()<>") != NULL)
		return "a name that is no local part; expected one without \"@\", or in quotes";
	return NULL;
}

static uint32_t
keep_text(struct aliases *aliases, const char *text)
{
	size_t offset = aliases->texts.len;

	str_append(&aliases->texts, text, strlen(text) + 1);
	return (uint32_t)offset;
}

static void
add_entry(struct aliases *aliases, const char *name, const char *targets, unsigned line)
{
	if (aliases->count == aliases->capacity) {
		aliases->capacity = aliases->capacity > 0 ? 2 * aliases->capacity : 16;
		aliases->entries =
		    xreallocarray(aliases->entries, aliases->capacity, sizeof *aliases->entries);
	}
	aliases->entries[aliases->count++] =
	    (struct entry){keep_text(aliases, name), keep_text(aliases, targets), line};
}

static void
end_entry(struct aliases *aliases, struct logical *logical, struct verdict *why)
{
	char *name = logical->text.data, *targets = NULL;
	const char *problem;

	if (logical->text.len == 0)
		return;
	if (strlen(name) != logical->text.len)
		problem = "holds a NUL";
	else
		problem = read_name(name, &targets);
	if (problem == NULL && *targets == '\0')
		problem = "a name without an address";
	if (problem != NULL) {
		complain(why, logical->line, problem);
	} else {
		lower(name);
		add_entry(aliases, name, targets, logical->line);
	}
	str_truncate(&logical->text, 0);
}

static void
read_line(struct aliases *aliases, struct logical *logical, const char *line, size_t len,
    unsigned number, struct verdict *why)
{
	size_t blanks = 0;

	if (len > 0 && line[len - 1] == '\r')
		len--;
	while (blanks < len && is_blank(line[blanks]))
		blanks++;
	if (blanks == len || line[blanks] == '#')
		return;
	if (blanks == 0) {
		end_entry(aliases, logical, why);
		logical->line = number;
	} else if (logical->text.len == 0) {
		complain(why, number, "begins with a blank, but there is nothing to continue");
		return;
	}
	str_append(&logical->text, line, len);
}

static const char *
name_of(const struct aliases *aliases, size_t index)
{
	return aliases->texts.data + aliases->entries[index].name;
}

static int
compare_entries(const void *a, const void *b, void *texts)
{
	const struct entry *x = a, *y = b;
	int order = strcmp((const char *)texts + x->name, (const char *)texts + y->name);

	return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static void
sort_entries(struct aliases *aliases, struct verdict *why)
{
	size_t kept = 0;

	if (aliases->count == 0)
		return;
	qsort_r(aliases->entries, aliases->count, sizeof *aliases->entries, compare_entries,
	    aliases->texts.data);
	for (size_t i = 0; i < aliases->count; i++) {
		if (kept > 0 && strcmp(name_of(aliases, kept - 1), name_of(aliases, i)) == 0)
			complain(why, aliases->entries[i].line,
			    "a name that has an alias already; the first one counts");
		else
			aliases->entries[kept++] = aliases->entries[i];
	}
	aliases->count = kept;
}

struct aliases *
aliases_parse(const char *text, size_t len, struct verdict *why)
{
	struct logical logical = {.line = 1};
	struct aliases *aliases;
	unsigned number = 0;

	*why = (struct verdict)VERDICT_OK;
	if (len > ALIASES_MAX) {
		verdict_fail(
		    why, FAIL_LOCAL, stage, "the file is larger than %d octets", ALIASES_MAX);
		return NULL;
	}
	aliases = xcalloc(1, sizeof *aliases);
	while (len > 0) {
		const char *lf = memchr(text, '\n', len);
		size_t size = lf != NULL ? (size_t)(lf - text) : len;

		read_line(aliases, &logical, text, size, ++number, why);
		size += lf != NULL;
		text += size;
		len -= size;
	}
	end_entry(aliases, &logical, why);
	str_clear(&logical.text);
	sort_entries(aliases, why);
	return aliases;
}

void
aliases_free(struct aliases **aliases)
{
	if (*aliases == NULL)
		return;
	free((*aliases)->entries);
	str_clear(&(*aliases)->texts);
	free(*aliases);
	*aliases = NULL;
}

static bool
identify(const struct stat *st, struct identity *identity, const char *path, struct verdict *why)
{
	*identity = (struct identity){st->st_dev, st->st_ino, st->st_size, st->st_mtim};
	if (!S_ISREG(st->st_mode))
		return verdict_fail(why, FAIL_LOCAL, stage, "%s is no regular file", path);
	if (st->st_size > ALIASES_MAX)
		return verdict_fail(
		    why, FAIL_LOCAL, stage, "%s is larger than %d octets", path, ALIASES_MAX);
	return true;
}

/* All of it, however it grows meanwhile: one octet beyond the limit tells that there is more. */
static bool
read_file(int fd, struct str *text)
{
	char piece[16384];
	ssize_t n;

	do {
		n = read(fd, piece, sizeof piece);
		if (n > 0)
			str_append(text, piece, (size_t)n);
	} while ((n > 0 && text->len <= ALIASES_MAX) || (n < 0 && errno == EINTR));
	return n >= 0;
}

static struct aliases *
load_descriptor(int fd, const char *path, struct verdict *why)
{
	struct aliases *aliases = NULL;
	struct identity identity;
	struct str text = STR_INIT;
	struct stat st;

	if (fstat(fd, &st) < 0) {
		verdict_fail(why, FAIL_LOCAL, stage, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (!identify(&st, &identity, path, why))
		return NULL;
	if (!read_file(fd, &text))
		verdict_fail(
		    why, FAIL_LOCAL, stage, "%s cannot be read: %s", path, strerror(errno));
	else
		aliases = aliases_parse(str_text(&text), text.len, why);
	if (aliases != NULL)
		aliases->identity = identity;
	str_clear(&text);
	return aliases;
}

struct aliases *
aliases_load(const char *path, struct verdict *why)
{
	struct aliases *aliases;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*why = (struct verdict)VERDICT_OK;
	if (fd < 0) {
		verdict_fail(
		    why, FAIL_LOCAL, stage, "%s cannot be opened: %s", path, strerror(errno));
		return NULL;
	}
	aliases = load_descriptor(fd, path, why);
	close(fd);
	return aliases;
}

bool
aliases_is_stale(const struct aliases *aliases, const char *path)
{
	const struct identity *known = &aliases->identity;
	struct stat st;

	return stat(path, &st) < 0 || st.st_dev != known->device || st.st_ino != known->inode ||
	       st.st_size != known->size || st.st_mtim.tv_sec != known->changed.tv_sec ||
	       st.st_mtim.tv_nsec != known->changed.tv_nsec;
}

size_t
aliases_count(const struct aliases *aliases)
{
	return aliases->count;
}

bool
aliases_find(const struct aliases *aliases, const char *local, struct alias *alias)
{
	char *name = xstrdup(local);
	size_t low = 0, high = aliases->count;
	int order = 1;

	if (*name == '"' && unquote(name) == NULL)
		high = 0;
	lower(name);
	while (low < high && order != 0) {
		size_t middle = low + (high - low) / 2;
		const struct entry *entry = &aliases->entries[middle];

		order = strcmp(name, name_of(aliases, middle));
		if (order < 0)
			high = middle;
		else if (order > 0)
			low = middle + 1;
		else
			*alias = (struct alias){middle, name_of(aliases, middle),
			    aliases->texts.data + entry->targets, entry->line};
	}
	free(name);
	return order == 0;
}
