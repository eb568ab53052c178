#include "net/transcript.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "net/transcript_file.h"
#include "net/transcript_hidden.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define PIECE_SIZE  (32 * 1024) /* handed over at once when there is as much */
#define PIECE_DELAY 200000      /* microseconds, else */
#define OCTETS_LINE (64 * 1024) /* a longer line of a message is cut */
#define STAMP_SIZE  (CLOCK_RFC3339_SIZE + 8)

/* Owned by whoever called transcript_open(). */
struct transcript {
	struct transcript_file *file; /* NULL: nothing is written */
	struct event *timer;          /* pending while text waits */
	struct str text;
	struct transcript_hidden hidden;
	bool full;
	const char *challenge; /* the prefix of lines whose rest is not shown; NULL: none */
	void (*tap)(bool sent, const char *line, void *arg);
	void *tap_arg;

	struct str partial; /* message octets behind the last LF */
	bool partial_sent;
	size_t dropped; /* lines */

	int64_t second; /* that stamp shows */
	char stamp[STAMP_SIZE];
};

static void
hand_over(struct transcript *t)
{
	event_del(t->timer);
	transcript_file_write(t->file, &t->text);
}

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	hand_over(arg);
}

/* -- one line --------------------------------------------------------------------------------- */

/* "2026-11-20T10:15:00.123Z": only the milliseconds change within a second. */
static void
append_time(struct transcript *t)
{
	int64_t now = clock_wall();
	int ms = (int)((now % 1000 + 1000) % 1000);
	int64_t second = (now - ms) / 1000;
	char *at;

	if (second != t->second || t->stamp[0] == '\0')
		clock_rfc3339(now - ms, t->stamp);
	t->second = second;
	at = t->stamp + strlen(t->stamp) - 4;
	at[0] = (char)('0' + ms / 100);
	at[1] = (char)('0' + ms / 10 % 10);
	at[2] = (char)('0' + ms % 10);
	str_append_text(&t->text, t->stamp);
}

static void
say_dropped(struct transcript *t)
{
	if (t->dropped == 0)
		return;
	append_time(t);
	str_appendf(&t->text, " --- %zu lines are missing: the disk was too slow\n", t->dropped);
	t->dropped = 0;
}

static bool
begin_line(struct transcript *t, const char *mark)
{
	if (t->file == NULL)
		return false;
	if (transcript_file_is_behind(t->file)) {
		t->dropped++;
		return false;
	}
	say_dropped(t);
	append_time(t);
	str_append_char(&t->text, ' ');
	str_append_text(&t->text, mark);
	str_append_char(&t->text, ' ');
	return true;
}

static void
end_line(struct transcript *t)
{
	str_append_char(&t->text, '\n');
	if (t->text.len >= PIECE_SIZE)
		hand_over(t);
	else if (!event_pending(t->timer, EV_TIMEOUT, NULL))
		event_add(t->timer, &(struct timeval){.tv_usec = PIECE_DELAY});
}

/* A line of foreign octets. */
static void
write_line(struct transcript *t, const char *mark, const char *line, size_t len)
{
	struct str shown = STR_INIT;

	if (!begin_line(t, mark))
		return;
	if (transcript_hidden_is_clean(&t->hidden, line, len)) {
		str_append_escaped(&t->text, line, len);
	} else {
		transcript_hidden_apply(&t->hidden, line, len, &shown);
		str_append_escaped(&t->text, shown.data, shown.len);
		str_clear(&shown);
	}
	end_line(t);
}

/* A line of our own: what a peer said in it is escaped already. */
static void __attribute__((format(printf, 3, 0)))
write_own(struct transcript *t, const char *mark, const char *format, va_list ap)
{
	struct str line = STR_INIT;
	size_t start;

	if (!begin_line(t, mark))
		return;
	start = t->text.len;
	str_vappendf(&line, format, ap);
	transcript_hidden_apply(&t->hidden, str_text(&line), line.len, &t->text);
	for (size_t i = start; i < t->text.len; i++) {
		if ((unsigned char)t->text.data[i] < 0x20 || t->text.data[i] == 0x7f)
			t->text.data[i] = ' ';
	}
	str_clear(&line);
	end_line(t);
}

/* -- message octets --------------------------------------------------------------------------- */

static const char *
mark_of(bool sent)
{
	return sent ? "-->" : "<--";
}

static void
end_partial(struct transcript *t)
{
	size_t len = t->partial.len;

	if (len > 0 && t->partial.data[len - 1] == '\r')
		len--;
	write_line(t, mark_of(t->partial_sent), str_text(&t->partial), len);
	str_truncate(&t->partial, 0);
}

/* Message octets that ended without LF come before whatever follows. */
static void
flush_partial(struct transcript *t)
{
	if (t->partial.len > 0)
		end_partial(t);
}

void
transcript_octets(struct transcript *t, bool sent, const char *data, size_t len)
{
	if (!transcript_is_full(t))
		return;
	if (sent != t->partial_sent)
		flush_partial(t);
	t->partial_sent = sent;
	while (len > 0) {
		const char *lf = memchr(data, '\n', len);
		size_t n = lf != NULL ? (size_t)(lf - data) : len;

		if (n > OCTETS_LINE - t->partial.len) {
			n = OCTETS_LINE - t->partial.len;
			lf = NULL;
		}
		str_append(&t->partial, data, n);
		if (lf != NULL || t->partial.len == OCTETS_LINE)
			end_partial(t);
		data += n + (lf != NULL);
		len -= n + (lf != NULL);
	}
}

bool
transcript_is_full(const struct transcript *t)
{
	return t != NULL && t->full && t->file != NULL;
}

/* -- the interface ---------------------------------------------------------------------------- */

static void
open_file(struct transcript *t, struct worker *worker, const struct transcript_settings *s)
{
	char time[CLOCK_RFC3339_SIZE];
	char *name =
	    xasprintf("%s-%s-%s.log", clock_compact(clock_wall(), time), s->protocol, s->id);

	t->file = transcript_file_new(worker, s->directory, s->account, name);
	free(name);
	str_appendf(&t->text, "# postrider session %s account=%s protocol=%s server=", s->id,
	    s->account, s->protocol);
	str_append_escaped(&t->text, s->server, strlen(s->server));
	end_line(t);
}

struct transcript *
transcript_open(
    struct event_base *base, struct worker *worker, const struct transcript_settings *settings)
{
	struct transcript *t = xcalloc(1, sizeof *t);

	t->full = settings->full;
	t->tap = settings->tap;
	t->tap_arg = settings->tap_arg;
	t->timer = evtimer_new(base, timer_cb, t);
	if (t->timer == NULL)
		exit(EX_OSERR);
	if (!str_empty(settings->directory))
		open_file(t, worker, settings);
	return t;
}

void
transcript_close(struct transcript **transcript)
{
	struct transcript *t = *transcript;

	*transcript = NULL;
	if (t == NULL)
		return;
	flush_partial(t);
	if (t->file != NULL) {
		say_dropped(t);
		hand_over(t);
	}
	transcript_file_close(&t->file);
	event_free(t->timer);
	transcript_hidden_clear(&t->hidden);
	str_clear(&t->partial);
	str_clear(&t->text);
	free(t);
}

static void
tell_tap(const struct transcript *t, bool sent, const char *line, size_t len)
{
	struct str hidden = STR_INIT, shown = STR_INIT;

	if (t->tap == NULL)
		return;
	transcript_hidden_apply(&t->hidden, line, len, &hidden);
	str_append_escaped(&shown, str_text(&hidden), hidden.len);
	t->tap(sent, str_text(&shown), t->tap_arg);
	str_clear(&hidden);
	str_clear(&shown);
}

void
transcript_sent(struct transcript *t, const char *line, size_t len)
{
	if (t == NULL)
		return;
	flush_partial(t);
	write_line(t, "-->", line, len);
	tell_tap(t, true, line, len);
}

static bool
is_challenge(const struct transcript *t, const char *line, size_t len)
{
	size_t n = t->challenge != NULL ? strlen(t->challenge) : 0;

	return n > 0 && len > n && memcmp(line, t->challenge, n - 1) == 0 &&
	       strchr(" \t-", line[n - 1]) != NULL && line[n - 1] != '\0';
}

void
transcript_received(struct transcript *t, const char *line, size_t len)
{
	if (t == NULL)
		return;
	flush_partial(t);
	if (!is_challenge(t, line, len)) {
		write_line(t, "<--", line, len);
		tell_tap(t, false, line, len);
	} else if (begin_line(t, "<--")) {
		str_appendf(&t->text, "%s****", t->challenge);
		end_line(t);
	}
}

void
transcript_note(struct transcript *t, const char *format, ...)
{
	va_list ap;

	if (t == NULL)
		return;
	flush_partial(t);
	va_start(ap, format);
	write_own(t, "---", format, ap);
	va_end(ap);
}

void
transcript_received_summary(struct transcript *t, const char *format, ...)
{
	va_list ap;

	if (t == NULL)
		return;
	flush_partial(t);
	va_start(ap, format);
	write_own(t, "<--", format, ap);
	va_end(ap);
}

void
transcript_hide(struct transcript *t, const char *octets, size_t len)
{
	if (t != NULL)
		transcript_hidden_add(&t->hidden, octets, len);
}

void
transcript_end_login(struct transcript *t)
{
	if (t != NULL)
		t->hidden.whole_only = true;
}

void
transcript_hide_challenges(struct transcript *t, const char *prefix)
{
	if (t != NULL)
		t->challenge = prefix;
}

const char *
transcript_escape(const struct transcript *t, char *buf, size_t size, const void *data, size_t len)
{
	struct str shown = STR_INIT;

	if (t == NULL || transcript_hidden_is_clean(&t->hidden, data, len))
		return str_escape(buf, size, data, len);
	transcript_hidden_apply(&t->hidden, data, len, &shown);
	str_escape(buf, size, str_text(&shown), shown.len);
	str_clear(&shown);
	return buf;
}

void
transcript_conceal(const struct transcript *t, char *text, size_t size)
{
	struct str shown = STR_INIT;

	if (t == NULL)
		return;
	transcript_hidden_apply(&t->hidden, text, strlen(text), &shown);
	snprintf(text, size, "%s", str_text(&shown));
	str_clear(&shown);
}
