#ifndef POSTRIDER_CONFIG_SOURCE_H
#define POSTRIDER_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct faults;

/*
 * The text of the configuration with every @include put in its place, and where each line of it
 * came from.  Done here and not by libconfig, because libconfig 1.5 looks for a relative name in
 * the working directory, cannot open an absolute one once it was told a directory, does not say
 * which file it could not open, cuts integers to 32 bits and strings at a NUL without a word, and
 * lets a comment run into the end of the file.
 */
struct source_file {
	char *name; /* as people can open it */
	uid_t uid;
	gid_t gid;
	mode_t mode;
	bool accused; /* its permissions were found wrong, and this was said */
};

struct source_line {
	unsigned file;
	unsigned line;
};

/* Embedded in config_load(); zeroed memory begins it. */
struct source {
	char *text; /* for libconfig; NUL-terminated */
	size_t len;
	size_t cap;
	struct source_file *files; /* the first is the main one */
	size_t file_count;
	struct source_line *lines; /* one a line of text */
	size_t line_count;
	size_t open_string; /* the first line whose string runs over its end; 0: none */
	bool broken;        /* the text makes no sense to a parser */
};

/*
 * Reads the file and what it includes.  Mistakes go to faults; false when the main file itself
 * could not be read (the only fault then).
 */
bool source_read(struct source *source, const char *file, struct faults *faults);

/* Overwrites the text before it is released: it may hold passwords. */
void source_clear(struct source *source);

struct source_place {
	const char *file; /* borrowed while the source lives */
	unsigned line;    /* 0: the file could not be read */
};

/* Where a line of the text came from: 1 is the first, 0 means the main file, at its start. */
struct source_place source_place(const struct source *source, size_t line);

/* The file that holds a line of the text, for its owner and mode. */
struct source_file *source_file(struct source *source, size_t line);

#endif
