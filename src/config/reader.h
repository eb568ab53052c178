#ifndef POSTRIDER_CONFIG_READER_H
#define POSTRIDER_CONFIG_READER_H

#include "config/keys.h"

#include <libconfig.h>
#include <stdarg.h>

struct faults;
struct source;

/* What is at hand while settings are read.  Everything is borrowed. */
struct reader {
	struct faults *faults;
	struct source *source;
	const char *base;  /* absolute: where relative paths begin */
	const char *label; /* how faults call the group being read: "defaults.pop3" */
	bool client;       /* files that only the daemon reads are not looked at */
	bool silent;       /* what is read was complained about in its own place */
};

enum raw_kind { RAW_INTEGER, RAW_TEXT, RAW_BOOL, RAW_FRACTION, RAW_LIST, RAW_GROUP };

/* A value as it was found: libconfig's view, or the preset of a key. */
struct raw {
	enum raw_kind kind;
	int64_t integer;
	const char *text; /* RAW_TEXT only, never NULL there */
	bool truth;
	config_setting_t *setting; /* NULL for a preset */
	size_t line;
};

struct raw reader_raw(config_setting_t *setting);

/* The elements of a list or array. */
size_t reader_count(const struct raw *list);
struct raw reader_element(const struct raw *list, size_t i);

/* A group of the file and what it inherits from; either may be NULL. */
struct scope {
	enum key_group group;
	const char *label;
	config_setting_t *own;
	config_setting_t *inherited;
	bool partial; /* required keys may be missing */
};

/*
 * Reads every key that may stand in the group into dest, the struct that holds its settings;
 * groups below are checked to be groups and left to the caller.  Keys of the own group that may
 * not stand there are faults.
 */
void reader_read_keys(struct reader *reader, const struct scope *scope, void *dest);

/*
 * The setting that decides: the own one, else the inherited one.  An own secret source takes the
 * place of all inherited ones.
 */
config_setting_t *reader_find(const struct scope *scope, const char *name);

/* The setting in this very group, or NULL.  group may be NULL. */
config_setting_t *reader_member(config_setting_t *group, const char *name);

/* The same when it is a group; of another type, which reader_read_keys() has said, it is NULL. */
config_setting_t *reader_group(config_setting_t *group, const char *name);

/* The line of a setting in the source; 0 for NULL. */
size_t reader_line(const config_setting_t *setting);

/* "LABEL.KEY: message", at a line. */
void reader_fault(struct reader *reader, const char *key, size_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The message "found ..., expected ..."; nothing that may be secret is shown. */
void reader_wrong(struct reader *reader, const struct key *key, const struct raw *raw);

#endif
