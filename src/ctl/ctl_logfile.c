#include "ctl/ctl_logfile.h"

#include "base/clock.h"
#include "base/xalloc.h"
#include "ctl/ctl_time.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_SIZE  (64 * 1024)
#define PIECES_MAX  (512 * 1024) /* the writer's longest, with every octet escaped */
#define TAIL_SIZE   8192
#define EMPTY_MAX   10000            /* ms */
#define SILENCE_MAX (15 * 60 * 1000) /* ms; no step of a session waits for longer */
#define STAMP_LEN   24               /* of "2026-11-20T10:15:00.123Z" */

/* -- lines ------------------------------------------------------------------------------------ */

static char *
head_word(const char *line, const char *key)
{
	const char *p = strstr(line, key);
	size_t len;

	if (p == NULL)
		return xstrdup("-");
	p += strlen(key);
	len = strcspn(p, " ");
	return len > 0 ? xstrndup(p, len) : xstrdup("-");
}

void
ctl_logfile_parse_head(struct ctl_logfile_head *head, const char *line)
{
	const char *rest = strncmp(line, "# postrider session ", 20) == 0 ? line : "";

	head->session = head_word(rest, "# postrider session ");
	head->account = head_word(rest, " account=");
	head->protocol = head_word(rest, " protocol=");
	head->server = head_word(rest, " server=");
}

void
ctl_logfile_clear_head(struct ctl_logfile_head *head)
{
	free(head->session);
	free(head->account);
	free(head->protocol);
	free(head->server);
	*head = (struct ctl_logfile_head){0};
}

void
ctl_logfile_parse(struct ctl_logfile_line *parsed, const char *line)
{
	static const char *const marks[] = {[CTL_LOGFILE_SENT] = " -->",
	    [CTL_LOGFILE_RECEIVED] = " <--",
	    [CTL_LOGFILE_NOTE] = " ---"};
	const char *mark = line + STAMP_LEN;
	char stamp[STAMP_LEN + 1];
	int64_t time;

	*parsed = (struct ctl_logfile_line){CTL_LOGFILE_OTHER, 0, line};
	if (strnlen(line, STAMP_LEN) < STAMP_LEN)
		return;
	memcpy(stamp, line, STAMP_LEN);
	stamp[STAMP_LEN] = '\0';
	if (!ctl_time_parse(stamp, &time))
		return;
	for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
		size_t len = strlen(marks[i]);

		if (strncmp(mark, marks[i], len) != 0 || (mark[len] != ' ' && mark[len] != '\0'))
			continue;
		parsed->kind = (enum ctl_logfile_kind)i;
		parsed->time = time;
		parsed->text = mark + len + (mark[len] == ' ');
	}
}

bool
ctl_logfile_is_end(const struct ctl_logfile_line *line)
{
	return line->kind == CTL_LOGFILE_NOTE && strncmp(line->text, "closed: ", 8) == 0;
}

/* "250 ok", "250-", "250" */
static bool
is_code(const char *text)
{
	return isdigit((unsigned char)text[0]) && isdigit((unsigned char)text[1]) &&
	       isdigit((unsigned char)text[2]) &&
	       (text[3] == ' ' || text[3] == '-' || text[3] == '\0');
}

static enum ctl_tone
reply_tone(const char *text)
{
	if (strncmp(text, "+OK", 3) == 0)
		return CTL_GOOD;
	if (strncmp(text, "-ERR", 4) == 0)
		return CTL_BAD;
	if (!is_code(text))
		return CTL_PLAIN;
	return text[0] == '2'   ? CTL_GOOD
	       : text[0] == '4' ? CTL_WARN
	       : text[0] == '5' ? CTL_BAD
				: CTL_PLAIN;
}

enum ctl_tone
ctl_logfile_tone(const struct ctl_logfile_line *line)
{
	switch (line->kind) {
	case CTL_LOGFILE_SENT:
		return CTL_OURS;
	case CTL_LOGFILE_RECEIVED:
		return reply_tone(line->text);
	case CTL_LOGFILE_NOTE:
		if (!ctl_logfile_is_end(line))
			return CTL_DIM;
		if (strncmp(line->text + 8, "ok", 2) == 0)
			return CTL_GOOD;
		return strncmp(line->text + 8, "stopped", 7) == 0 ? CTL_WARN : CTL_BAD;
	case CTL_LOGFILE_OTHER:
		break;
	}
	return CTL_BOLD;
}

/* -- the file --------------------------------------------------------------------------------- */

void
ctl_logfile_open(struct ctl_logfile *file, int fd)
{
	*file = (struct ctl_logfile){.fd = fd};
}

void
ctl_logfile_close(struct ctl_logfile *file)
{
	close(file->fd);
	str_clear(&file->buffer);
	str_clear(&file->line);
	file->fd = -1;
}

/* False at the end, and when reading fails. */
static bool
read_more(struct ctl_logfile *file)
{
	char piece[PIECE_SIZE];
	ssize_t n;

	if (file->taken > 0) {
		size_t left = file->buffer.len - file->taken;

		memmove(file->buffer.data, file->buffer.data + file->taken, left);
		str_truncate(&file->buffer, left);
		file->taken = 0;
	}
	do
		n = read(file->fd, piece, sizeof piece);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		file->error = errno;
	if (n > 0)
		str_append(&file->buffer, piece, (size_t)n);
	return n > 0;
}

static const char *
give(struct ctl_logfile *file, size_t len, size_t end)
{
	const char *data = file->buffer.data + file->taken;
	struct ctl_logfile_line parsed;

	str_truncate(&file->line, 0);
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\0')
			str_append_text(&file->line, "\\x00");
		else
			str_append_char(&file->line, data[i]);
	}
	file->taken += len + end;
	ctl_logfile_parse(&parsed, str_text(&file->line));
	file->ended = ctl_logfile_is_end(&parsed);
	return str_text(&file->line);
}

const char *
ctl_logfile_next(struct ctl_logfile *file, bool rest)
{
	size_t looked = 0;

	for (;;) {
		size_t len = file->buffer.len - file->taken;
		const char *data = len > 0 ? file->buffer.data + file->taken : NULL;
		const char *lf = len > looked ? memchr(data + looked, '\n', len - looked) : NULL;

		if (lf != NULL)
			return give(file, (size_t)(lf - data), 1);
		if (len >= PIECES_MAX)
			return give(file, len, 0);
		looked = len;
		if (!read_more(file))
			return rest && len > 0 ? give(file, len, 0) : NULL;
	}
}

static bool
is_younger(const struct stat *st, int64_t age)
{
	return clock_wall() - (int64_t)st->st_mtime * 1000 < age;
}

/*
 * A file without a line may be about to be locked, which trying would be in the way of; but not for
 * long.  Where there are no locks nobody can tell, save by when something was written last.
 */
bool
ctl_logfile_is_written(const struct ctl_logfile *file)
{
	struct stat st;

	if (file->ended || fstat(file->fd, &st) < 0)
		return false;
	if (st.st_size == 0 && is_younger(&st, EMPTY_MAX))
		return true;
	if (flock(file->fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK || is_younger(&st, SILENCE_MAX);
	flock(file->fd, LOCK_UN);
	return false;
}

/* The line is the last of text, which is cut before it.  NULL when nothing is left. */
static char *
cut_line(char *text)
{
	char *lf = strrchr(text, '\n');
	char *line;

	if (lf == NULL)
		return NULL;
	line = xstrdup(lf + 1);
	*lf = '\0';
	return line;
}

static char *
note_of(char *line)
{
	struct ctl_logfile_line parsed;
	char *text = NULL;

	if (line == NULL)
		return NULL;
	ctl_logfile_parse(&parsed, line);
	if (parsed.kind == CTL_LOGFILE_NOTE)
		text = xstrdup(parsed.text);
	free(line);
	return text;
}

void
ctl_logfile_tail(struct ctl_logfile *file, char **trouble, char **end)
{
	char tail[TAIL_SIZE + 1];
	off_t size = lseek(file->fd, 0, SEEK_END);
	off_t at = size > TAIL_SIZE ? size - TAIL_SIZE : 0;
	ssize_t len = pread(file->fd, tail, TAIL_SIZE, at);

	*trouble = *end = NULL;
	if (len <= 0 || tail[len - 1] != '\n')
		return;
	tail[len - 1] = '\0';
	*end = note_of(cut_line(tail));
	if (*end == NULL || strncmp(*end, "closed: ", 8) != 0) {
		free(*end);
		*end = NULL;
		return;
	}
	file->ended = true;
	if (strncmp(*end, "closed: ok", 10) != 0 && strncmp(*end, "closed: stopped", 15) != 0)
		*trouble = note_of(cut_line(tail));
}
