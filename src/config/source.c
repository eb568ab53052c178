#include "config/source.h"

#include "base/secret.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "config/faults.h"
#include "config/path.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 10
#define FILES_MAX 4096
#define TEXT_MAX  ((size_t)16 * 1024 * 1024)

/* One file while its text is copied. */
struct scan {
	struct source *source;
	struct faults *faults;
	const char *p;
	const char *end;
	unsigned file;
	unsigned line;
	unsigned depth;
	bool fresh; /* nothing but blanks so far on this line */
};

static bool scan_file(
    struct source *source, char *name, unsigned depth, size_t from, struct faults *faults);

/* Like realloc(3), but leaves no copy of a password behind. */
static void
grow(struct source *s, size_t more)
{
	size_t cap = s->cap;
	char *text;

	if (s->len + more <= s->cap)
		return;
	while (cap < s->len + more)
		cap = cap == 0 ? 4096 : cap * 2;
	text = xcalloc(1, cap);
	if (s->len > 0) {
		memcpy(text, s->text, s->len);
		secret_wipe(s->text, s->len);
	}
	free(s->text);
	s->text = text;
	s->cap = cap;
}

static void
emit(struct source *s, char c)
{
	grow(s, 2);
	s->text[s->len++] = c;
	s->text[s->len] = '\0';
}

/* The text's last line begins: it came from this line of that file. */
static void
begin_line(struct source *s, unsigned file, unsigned line)
{
	if ((s->line_count & (s->line_count - 1)) == 0)
		s->lines = xreallocarray(
		    s->lines, s->line_count != 0 ? s->line_count * 2 : 1, sizeof s->lines[0]);
	s->lines[s->line_count++] = (struct source_line){file, line};
}

static void
end_line(struct scan *s)
{
	emit(s->source, '\n');
	begin_line(s->source, s->file, s->line);
	s->fresh = true;
}

static void
take(struct scan *s)
{
	char c = *s->p++;

	if (c == '\n') {
		s->line++;
		end_line(s);
		return;
	}
	if (c == '\0') {
		faults_add(s->faults, s->source->line_count, "the file holds a NUL octet here");
		s->source->broken = true;
		c = ' ';
	}
	emit(s->source, c);
}

static bool
ahead(const struct scan *s, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(s->end - s->p) >= len && memcmp(s->p, word, len) == 0;
}

static void
scan_line_comment(struct scan *s)
{
	while (s->p < s->end && *s->p != '\n')
		take(s);
}

static void
scan_comment(struct scan *s)
{
	size_t begun = s->source->line_count;

	take(s);
	take(s);
	while (s->p < s->end && !ahead(s, "*/"))
		take(s);
	if (s->p < s->end) {
		take(s);
		take(s);
		s->fresh = false;
		return;
	}
	faults_add(s->faults, begun, "the comment that begins here has no '*/'");
	s->source->broken = true;
}

static void
scan_escape(struct scan *s)
{
	if (ahead(s, "\\x00") || ahead(s, "\\X00")) {
		faults_add(s->faults, s->source->line_count, "a string cannot hold a NUL (\\x00)");
		s->source->broken = true;
	}
	take(s);
	if (s->p < s->end && (*s->p == '"' || *s->p == '\\'))
		take(s);
}

static void
scan_string(struct scan *s)
{
	size_t begun = s->source->line_count;

	take(s);
	while (s->p < s->end && *s->p != '"') {
		if (*s->p == '\n' && s->source->open_string == 0)
			s->source->open_string = begun;
		if (*s->p == '\\')
			scan_escape(s);
		else
			take(s);
	}
	if (s->p < s->end) {
		take(s);
		s->fresh = false;
		return;
	}
	if (s->source->open_string != 0)
		begun = s->source->open_string;
	faults_add(s->faults, begun, "the string that begins here has no closing '\"'");
	s->source->broken = true;
}

static bool
is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*';
}

static void
scan_name(struct scan *s)
{
	while (s->p < s->end && is_name_char(*s->p))
		take(s);
}

static bool
scan_fraction(struct scan *s)
{
	if (s->p == s->end || strchr(".eE", *s->p) == NULL || *s->p == '\0')
		return false;
	while (s->p < s->end && *s->p != '\0' && strchr("0123456789.eE+-", *s->p) != NULL)
		take(s);
	return true;
}

/*
 * An integer that needs more than the 32 bits libconfig gives it is marked as a long one ("L");
 * one that needs more than 64 is refused.  A fraction or an exponent is left to libconfig.
 */
static void
scan_number(struct scan *s)
{
	bool hex = ahead(s, "0x") || ahead(s, "0X");
	const char *digits = s->p + (hex ? 2 : 0);
	const char *p = digits;
	uint64_t value = 0;
	bool over = false;

	for (; p < s->end && (hex ? isxdigit((unsigned char)*p) : isdigit((unsigned char)*p));
	     p++) {
		unsigned digit = isdigit((unsigned char)*p)
				     ? (unsigned)(*p - '0')
				     : (unsigned)(tolower((unsigned char)*p) - 'a') + 10;

		over |= value > ((uint64_t)INT64_MAX - digit) / (hex ? 16 : 10);
		value = over ? value : value * (hex ? 16 : 10) + digit;
	}
	while (s->p < p)
		take(s);
	if (!hex && scan_fraction(s))
		return;
	if (over) {
		faults_add(s->faults, s->source->line_count, "the integer is too large");
		s->source->broken = true;
	} else if (value > INT_MAX && !(p < s->end && *p == 'L')) {
		emit(s->source, 'L');
	}
}

/*
 * At "@include" in the first column but for blanks: the quoted name behind it, to free(3), and the
 * scan moves behind its closing quote.  NULL when there is none, for libconfig to complain about.
 */
static char *
take_include(struct scan *s)
{
	const char *p = s->p + strlen("@include");
	struct str name = STR_INIT;

	if (!s->fresh || !ahead(s, "@include"))
		return NULL;
	while (p < s->end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == s->end || *p != '"')
		return NULL;
	for (p++; p < s->end && *p != '"' && *p != '\n' && *p != '\0'; p++) {
		if (*p == '\\' && p + 1 < s->end && (p[1] == '"' || p[1] == '\\'))
			p++;
		str_append_char(&name, *p);
	}
	if (p == s->end || *p != '"') {
		str_clear(&name);
		return NULL;
	}
	s->p = p + 1;
	return str_take(&name);
}

/* Relative names are looked for beside the file that includes them. */
static char *
include_name(const struct scan *s, const char *text, char **why)
{
	const char *including = s->source->files[s->file].name;
	char *plain = path_substitute(text, why);
	char *directory, *name;

	if (plain == NULL || plain[0] == '/' || strchr(including, '/') == NULL)
		return plain;
	directory = path_directory(including);
	name = xasprintf("%s/%s", strcmp(directory, "/") == 0 ? "" : directory, plain);
	free(directory);
	free(plain);
	return name;
}

static void
include(struct scan *s, const char *text)
{
	size_t from = s->source->line_count;
	char *why;
	char *name;

	if (s->source->broken)
		return;
	name = include_name(s, text, &why);
	if (name == NULL) {
		faults_add(s->faults, from, "@include \"%s\": %s", text, why);
		free(why);
		return;
	}
	if (s->depth == DEPTH_MAX || s->source->file_count == FILES_MAX) {
		faults_add(s->faults, from,
		    "@include \"%s\": more than %d files deep, or %d in all", text, DEPTH_MAX,
		    FILES_MAX);
		s->source->broken = true;
		free(name);
		return;
	}
	if (scan_file(s->source, name, s->depth + 1, from, s->faults))
		end_line(s);
}

static void
scan_text(struct scan *s)
{
	char *name;

	while (s->p < s->end) {
		bool fresh = s->fresh;

		if ((name = take_include(s)) != NULL) {
			include(s, name);
			free(name);
			s->fresh = false;
			continue;
		}
		s->fresh = fresh && (*s->p == ' ' || *s->p == '\t');
		if (*s->p == '"')
			scan_string(s);
		else if (*s->p == '#' || ahead(s, "//"))
			scan_line_comment(s);
		else if (ahead(s, "/*"))
			scan_comment(s);
		else if (isdigit((unsigned char)*s->p))
			scan_number(s);
		else if (is_name_char(*s->p) && *s->p != '-' && *s->p != '_')
			scan_name(s);
		else
			take(s);
	}
}

/* Reads all of a regular file; *text is to be wiped and freed.  Returns 0 or an errno value. */
static int
read_all(int fd, size_t size, char **text, size_t *len)
{
	ssize_t n = 1;

	*text = xmalloc(size + 1);
	*len = 0;
	while (n != 0 && *len < size) {
		n = read(fd, *text + *len, size - *len);
		if (n < 0 && errno != EINTR)
			return errno;
		*len += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Opens the file and notes who may read it.  Returns an errno value; EINVAL: not a regular file. */
static int
open_file(const char *name, struct source_file *file, int *fd, size_t *size)
{
	struct stat st;

	*fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd < 0)
		return errno;
	if (fstat(*fd, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode))
		return EINVAL;
	*file = (struct source_file){NULL, st.st_uid, st.st_gid, st.st_mode, false};
	*size = (size_t)st.st_size;
	return (uint64_t)st.st_size > TEXT_MAX ? EFBIG : 0;
}

static int
load_file(const char *name, struct source_file *file, char **text, size_t *len)
{
	size_t size = 0;
	int fd = -1;
	int error = open_file(name, file, &fd, &size);

	if (error == 0)
		error = read_all(fd, size, text, len);
	if (fd >= 0)
		close(fd);
	return error;
}

/* Keeps who may read the file; takes its name.  Returns its number. */
static unsigned
add_file(struct source *source, struct source_file file, char *name)
{
	file.name = name;
	source->files =
	    xreallocarray(source->files, source->file_count + 1, sizeof source->files[0]);
	source->files[source->file_count] = file;
	return (unsigned)source->file_count++;
}

/* The text always ends its last line: libconfig takes no comment that has no line end. */
static void
copy_text(struct scan *s, const char *text, size_t len)
{
	s->p = text;
	s->end = text + len;
	s->line = 1;
	if (s->source->line_count > 0)
		end_line(s);
	else
		begin_line(s->source, s->file, s->line);
	s->fresh = true;
	scan_text(s);
	if (len == 0 || text[len - 1] != '\n')
		end_line(s);
}

/* Takes the name.  from is the line that names the file, 0 for the main one. */
static bool
scan_file(struct source *source, char *name, unsigned depth, size_t from, struct faults *faults)
{
	struct scan s = {.source = source, .faults = faults, .depth = depth};
	struct source_file file = {NULL, 0, 0, 0, false};
	char *text = NULL;
	size_t len = 0;
	int error = load_file(name, &file, &text, &len);

	if (error == 0 && source->len + len > TEXT_MAX)
		error = EFBIG;
	s.file = add_file(source, file, name);
	if (error == 0)
		copy_text(&s, text, len);
	else
		faults_add(faults, from, "%s%scannot be read: %s", from != 0 ? name : "",
		    from != 0 ? " " : "",
		    error == EINVAL ? "it is not a regular file" : strerror(error));
	if (text != NULL)
		secret_wipe(text, len);
	free(text);
	return error == 0;
}

bool
source_read(struct source *source, const char *file, struct faults *faults)
{
	grow(source, 1);
	return scan_file(source, xstrdup(file), 0, 0, faults);
}

void
source_clear(struct source *source)
{
	if (source->text != NULL)
		secret_wipe(source->text, source->len);
	free(source->text);
	for (size_t i = 0; i < source->file_count; i++)
		free(source->files[i].name);
	free(source->files);
	free(source->lines);
	*source = (struct source){.text = NULL};
}

struct source_place
source_place(const struct source *source, size_t line)
{
	const struct source_line *at;

	if (line == 0 || line > source->line_count)
		return (struct source_place){source->files[0].name, source->line_count > 0};
	at = &source->lines[line - 1];
	return (struct source_place){source->files[at->file].name, at->line};
}

struct source_file *
source_file(struct source *source, size_t line)
{
	if (line == 0 || line > source->line_count)
		return &source->files[0];
	return &source->files[source->lines[line - 1].file];
}
