#include "script.h"

#include "base/str.h"
#include "base/xalloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HAPPENINGS_MAX = 4096 };

static struct {
	char kind;
	char *text;
} happened[HAPPENINGS_MAX];
static size_t happened_count;
static unsigned faults;

static size_t
unescape(char *s)
{
	char *out = s, *start = s;
	unsigned code;

	for (; *s != '\0'; s++) {
		if (*s != '\\') {
			*out++ = *s;
			continue;
		}
		s++;
		if (*s == 'x' && sscanf(s + 1, "%2x", &code) == 1) {
			*out++ = (char)code;
			s += 2;
		} else {
			*out++ = *s == 'n' ? '\n' : *s == 'r' ? '\r' : *s == 't' ? '\t' : *s;
		}
	}
	*out = '\0';
	return (size_t)(out - start);
}

static bool
parse_step(char *line, struct script_step *step)
{
	size_t n = strcspn(line, " \n");

	line[strcspn(line, "\n")] = '\0';
	if (n == 0 || *line == '#')
		return false;
	snprintf(step->word, sizeof step->word, "%.*s", (int)n, line);
	step->rest = line + n + (line[n] == ' ');
	step->rest_len = unescape(step->rest);
	return true;
}

bool
script_run(const char *file, script_play *play, void *arg)
{
	struct script_step step = {.file = file};
	FILE *in = fopen(file, "r");
	char line[8192];

	if (in == NULL) {
		perror(file);
		return false;
	}
	while (fgets(line, sizeof line, in) != NULL) {
		step.line++;
		if (parse_step(line, &step))
			play(&step, arg);
	}
	fclose(in);
	return true;
}

void
script_happened(char kind, const char *format, ...)
{
	struct str s = STR_INIT;
	va_list ap;

	va_start(ap, format);
	str_vappendf(&s, format, ap);
	va_end(ap);
	if (happened_count == HAPPENINGS_MAX)
		abort();
	happened[happened_count].kind = kind;
	happened[happened_count++].text = str_take(&s);
}

void
script_complain(const struct script_step *step, const char *format, ...)
{
	va_list ap;

	faults++;
	fprintf(stderr, "%s:%u: ", step->file, step->line);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

void
script_expect(const struct script_step *step, char kind)
{
	size_t i = 0;

	while (i < happened_count && happened[i].kind != kind)
		i++;
	if (i == happened_count) {
		script_complain(step, "expected \"%s\", nothing happened", step->rest);
		return;
	}
	if (strcmp(happened[i].text, step->rest) != 0)
		script_complain(step, "expected \"%s\", got \"%s\"", step->rest, happened[i].text);
	free(happened[i].text);
	memmove(&happened[i], &happened[i + 1], (happened_count - i - 1) * sizeof happened[0]);
	happened_count--;
}

void
script_forget(char kind)
{
	size_t kept = 0;

	for (size_t i = 0; i < happened_count; i++) {
		if (happened[i].kind == kind)
			free(happened[i].text);
		else
			happened[kept++] = happened[i];
	}
	happened_count = kept;
}

unsigned
script_finish(const char *file)
{
	unsigned result;

	for (size_t i = 0; i < happened_count; i++) {
		fprintf(stderr, "%s: at the end: unexpected %c \"%s\"\n", file, happened[i].kind,
		    happened[i].text);
		free(happened[i].text);
		faults++;
	}
	happened_count = 0;
	result = faults;
	faults = 0;
	return result;
}
