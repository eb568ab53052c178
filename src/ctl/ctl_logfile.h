#ifndef POSTRIDER_CTL_CTL_LOGFILE_H
#define POSTRIDER_CTL_CTL_LOGFILE_H

#include "base/str.h"
#include "ctl/ctl_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What is written in a session log.  The file is believed nothing: whoever prints of it escapes
 * it (ctl_text_append()), and a line that is not of the promised form is CTL_LOGFILE_OTHER.
 */

/* "# postrider session 000123 account=personal protocol=pop3 server=pop.example.org:995" */
struct ctl_logfile_head {
	char *session;
	char *account;
	char *protocol;
	char *server;
};

/* Fills it from the first line; "-" stands for what is not there.  The strings are the owner's. */
void ctl_logfile_parse_head(struct ctl_logfile_head *head, const char *line);
void ctl_logfile_clear_head(struct ctl_logfile_head *head);

enum ctl_logfile_kind {
	CTL_LOGFILE_SENT,     /* --> */
	CTL_LOGFILE_RECEIVED, /* <-- */
	CTL_LOGFILE_NOTE,     /* --- */
	CTL_LOGFILE_OTHER
};

struct ctl_logfile_line {
	enum ctl_logfile_kind kind;
	int64_t time;     /* wall ms; 0 for CTL_LOGFILE_OTHER */
	const char *text; /* behind the mark; the whole line for CTL_LOGFILE_OTHER */
};

/* The text is borrowed from the line. */
void ctl_logfile_parse(struct ctl_logfile_line *parsed, const char *line);

/* How it looks: by who said it, and whether a reply is good news. */
enum ctl_tone ctl_logfile_tone(const struct ctl_logfile_line *line);

/* The last remark: "closed: ok, 1 fetched, ...". */
bool ctl_logfile_is_end(const struct ctl_logfile_line *line);

/* Reads line by line, also while the file grows.  Embedded; ctl_logfile_close() ends it. */
struct ctl_logfile {
	int fd;
	struct str buffer;
	size_t taken; /* octets of the buffer that were given out */
	struct str line;
	int error;  /* errno, once reading has failed */
	bool ended; /* the last remark was given out */
};

/* Takes the descriptor. */
void ctl_logfile_open(struct ctl_logfile *file, int fd);
void ctl_logfile_close(struct ctl_logfile *file);

/*
 * The next line without its end, borrowed until the next call; NULL when there is none (yet).
 * Without its end a line counts only with `rest`, and when it is far too long for one: then it
 * comes in pieces.
 */
const char *ctl_logfile_next(struct ctl_logfile *file, bool rest);

/*
 * Whether somebody still writes it: the daemon holds a lock on the file as long as the session
 * runs.
 */
bool ctl_logfile_is_written(const struct ctl_logfile *file);

/* The last two lines: what went wrong (NULL: nothing), and the end (NULL: there is none). */
void ctl_logfile_tail(struct ctl_logfile *file, char **trouble, char **end);

#endif
