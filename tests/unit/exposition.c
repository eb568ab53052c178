#include "exposition.h"

#include "base/xalloc.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A document on its way; p is what is left of it. */
struct reading {
	struct exposition *e;
	const char *p;
	char *family; /* NULL before the first one */
	bool counter;
};

static bool
fault(struct reading *r, const char *what)
{
	if (r->e->error.len == 0)
		str_appendf(&r->e->error, "%s at \"%.60s\"", what, r->p);
	return false;
}

static bool
take(struct reading *r, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(r->p, text, len) != 0)
		return false;
	r->p += len;
	return true;
}

/* [a-zA-Z_:][a-zA-Z0-9_:]*; a label's has no colons. */
static size_t
name_length(const char *p, bool label)
{
	size_t len = 0;

	while (isalpha((unsigned char)p[len]) || p[len] == '_' || (!label && p[len] == ':') ||
	       (len > 0 && isdigit((unsigned char)p[len])))
		len++;
	return len;
}

static char *
take_name(struct reading *r, bool label)
{
	size_t len = name_length(r->p, label);
	char *name = len > 0 ? xmalloc(len + 1) : NULL;

	if (name == NULL)
		return NULL;
	memcpy(name, r->p, len);
	name[len] = '\0';
	r->p += len;
	return name;
}

/* Up to one of the ends, with these escapes and no others; what it holds is UTF-8. */
static bool
skip_text(struct reading *r, char end, const char *escapes)
{
	const char *begin = r->p;
	json_t *utf8;

	for (; *r->p != end; r->p++) {
		if (*r->p == '\0' || *r->p == '\n')
			return fault(r, "a text without an end");
		if (*r->p == '\\' && (r->p[1] == '\0' || strchr(escapes, *++r->p) == NULL))
			return fault(r, "an escape that is none");
	}
	utf8 = json_stringn(begin, (size_t)(r->p - begin));
	if (utf8 == NULL)
		return fault(r, "what is not UTF-8");
	json_decref(utf8);
	r->p++;
	return true;
}

static bool
ends_in_total(const char *name)
{
	size_t len = strlen(name);

	return len > 6 && strcmp(name + len - 6, "_total") == 0;
}

/* Takes the name. */
static bool
begin_family(struct reading *r, char *name)
{
	struct str line = STR_INIT;
	bool known;

	str_appendf(&line, "\n%s\n", name);
	known = strstr(str_text(&r->e->families), str_text(&line)) != NULL;
	if (r->e->families.len == 0)
		str_append_char(&r->e->families, '\n');
	str_appendf(&r->e->families, "%s\n", name);
	str_clear(&line);
	free(r->family);
	r->family = name;
	return !known || fault(r, "a family that was there before");
}

static bool
take_head(struct reading *r)
{
	char *name = take_name(r, false);

	if (name == NULL)
		return fault(r, "HELP without a name");
	if (!begin_family(r, name))
		return false;
	if (!take(r, " ") || !skip_text(r, '\n', "\\n"))
		return fault(r, "HELP without a text");
	if (!take(r, "# TYPE ") || !take(r, r->family) || !take(r, " "))
		return fault(r, "no TYPE of that family");
	r->counter = take(r, "counter\n");
	if (!r->counter && !take(r, "gauge\n"))
		return fault(r, "a TYPE that is none");
	if (r->counter != ends_in_total(r->family))
		return fault(r, "_total where it does not belong, or none where it does");
	return true;
}

static bool
take_labels(struct reading *r)
{
	struct str seen = STR_INIT;
	bool good = true;

	do {
		char *name = take_name(r, true);
		struct str mark = STR_INIT;

		if (name == NULL || strncmp(name, "__", 2) == 0)
			good = fault(r, "a label without a name");
		str_appendf(&mark, "{%s}", name != NULL ? name : "");
		if (good && strstr(str_text(&seen), str_text(&mark)) != NULL)
			good = fault(r, "a label twice");
		str_append_text(&seen, str_text(&mark));
		str_clear(&mark);
		free(name);
		good = good && (take(r, "=\"") || fault(r, "a label without a value")) &&
		       skip_text(r, '"', "\\\"n");
	} while (good && take(r, ","));
	str_clear(&seen);
	return good && (take(r, "}") || fault(r, "labels without an end"));
}

static bool
add_series(struct reading *r, const char *begin, const char *end, double value)
{
	struct exposition *e = r->e;
	struct series *s;
	char *name = xmalloc((size_t)(end - begin) + 1);

	memcpy(name, begin, (size_t)(end - begin));
	name[end - begin] = '\0';
	if (exposition_value(e, name) != NULL) {
		free(name);
		return fault(r, "a series twice, before");
	}
	e->series = xreallocarray(e->series, e->count + 1, sizeof *e->series);
	s = &e->series[e->count++];
	*s = (struct series){name, value};
	return true;
}

static bool
take_sample(struct reading *r)
{
	const char *begin = r->p, *end;
	char *name = take_name(r, false), *rest;
	bool mine = name != NULL && r->family != NULL && strcmp(name, r->family) == 0;
	double value;

	free(name);
	if (!mine)
		return fault(r, "a sample that is not of the family before it");
	if (take(r, "{") && !take_labels(r))
		return false;
	end = r->p;
	if (!take(r, " ") || strchr(" \t\n", *r->p) != NULL)
		return fault(r, "a sample without a value");
	value = strtod(r->p, &rest);
	if (rest == r->p || *rest != '\n')
		return fault(r, "a value that is no number");
	r->p = rest + 1;
	if (r->counter && !(value >= 0 && isfinite(value)))
		return fault(r, "a counter that counted backwards, before");
	return add_series(r, begin, end, value);
}

bool
exposition_parse(struct exposition *e, const char *text)
{
	struct reading r = {.e = e, .p = text};
	bool good = true;

	*e = (struct exposition){0};
	while (good && *r.p != '\0')
		good = take(&r, "# HELP ") ? take_head(&r) : take_sample(&r);
	free(r.family);
	return good;
}

void
exposition_clear(struct exposition *e)
{
	for (size_t i = 0; i < e->count; i++)
		free(e->series[i].name);
	free(e->series);
	str_clear(&e->families);
	str_clear(&e->error);
	*e = (struct exposition){0};
}

const double *
exposition_value(const struct exposition *e, const char *series)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcmp(e->series[i].name, series) == 0)
			return &e->series[i].value;
	return NULL;
}
