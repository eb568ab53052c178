#ifndef POSTRIDER_CTL_CTL_TEXT_H
#define POSTRIDER_CTL_CTL_TEXT_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What standard output is: decides colour, width and alphabet. */
struct ctl_screen {
	size_t width; /* columns; 0: not a terminal, nothing is cut or wrapped */
	bool colour;
	bool ascii; /* a terminal that does not say it reads UTF-8 */
};

/* Looks at standard output, NO_COLOR, TERM, COLUMNS and the locale. */
void ctl_text_init_screen(struct ctl_screen *screen);

/*
 * The same for what is drawn: also where standard output is no terminal it has a width ($COLUMNS,
 * else 80), and the locale decides the alphabet.
 */
void ctl_text_init_drawing(struct ctl_screen *screen);

/*
 * Appends words of the daemon, and through it of servers, so that no terminal obeys them: controls
 * and deceptive characters become \xHH, with ascii everything beyond ASCII too.  A backslash stays
 * as it is: the daemon has escaped already.
 */
void ctl_text_append(struct str *s, const char *text, bool ascii);

/* The columns that printable UTF-8 takes. */
size_t ctl_text_width(const char *text);

/* The octets of as many whole characters from the start of text as fit into width columns. */
size_t ctl_text_fitting(const char *text, size_t width);

/* Cuts text in place, visibly, so that it takes no more than width columns (at least 4). */
void ctl_text_cut(char *text, size_t width);

/*
 * Appends lines of at most width columns (0: one line), each with the indent in front, broken
 * between words; a word that is too long stays whole.  Ends with a line end.
 */
void ctl_text_append_wrapped(struct str *s, const char *text, const char *indent, size_t width);

/* "712 octets", "1.2 MB" (powers of 1000). */
void ctl_text_append_size(struct str *s, uint64_t octets);

#endif
