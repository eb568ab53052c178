#include "base/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_stderr;
static bool takes_fields;

/*
 * systemd sets JOURNAL_STREAM=device:inode; it counts only while standard error is that stream.
 * sd_journal_sendv(3) drops what it is given, and says nothing, where its socket is not there.
 */
static void
detect_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	is_stderr = stream != NULL && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
		    fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
	takes_fields =
	    is_stderr && S_ISSOCK(st.st_mode) && access("/run/systemd/journal/socket", W_OK) == 0;
}

bool
journal_is_stderr(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, detect_journal);
	return is_stderr;
}

/* MESSAGE and MESSAGE_ID mean something else in the journal. */
static const struct {
	const char *key, *name;
} fields[] = {
    {"account", "ACCOUNT"},
    {"session", "SESSION"},
    {"message", "MAIL_ID"},
    {"protocol", "PROTOCOL"},
    {"result", "RESULT"},
    {"stage", "STAGE"},
};
enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

static const char *
field_name(const char *key, size_t len)
{
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (strlen(fields[i].key) == len && strncmp(fields[i].key, key, len) == 0)
			return fields[i].name;
	return NULL;
}

bool
journal_next_field(const char **line, struct journal_field *field)
{
	size_t len = strcspn(*line, " =");
	size_t value_len;

	field->name = field_name(*line, len);
	if (field->name == NULL || (*line)[len] != '=')
		return false;
	field->value = *line + len + 1;
	value_len = strcspn(field->value, " ");
	field->value_len = (int)value_len;
	*line = field->value + value_len + (field->value[value_len] == ' ');
	return value_len > 0;
}

#ifdef HAVE_SYSTEMD

#include <systemd/sd-journal.h>

enum { TEXT_SIZE = 512 };

/* What is said twice stays what it was said to be first. */
static bool
has_field(const struct iovec *items, size_t count, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < count; i++)
		if (items[i].iov_len > len && memcmp(items[i].iov_base, name, len) == 0 &&
		    ((const char *)items[i].iov_base)[len] == '=')
			return true;
	return false;
}

/* Appends "NAME=value" to text.  False when there is no room. */
static bool
add_field(struct iovec *item, char *text, size_t *used, const struct journal_field *field)
{
	int n = snprintf(text + *used, TEXT_SIZE - *used, "%s=%.*s", field->name, field->value_len,
	    field->value);

	if (n < 0 || (size_t)n >= TEXT_SIZE - *used)
		return false;
	*item = (struct iovec){.iov_base = text + *used, .iov_len = (size_t)n};
	*used += (size_t)n;
	return true;
}

bool
journal_send(int priority, const char *line)
{
	struct iovec items[3 + FIELD_COUNT];
	char message[2048 + sizeof "MESSAGE="], text[TEXT_SIZE];
	char level[] = "PRIORITY=0", name[] = "SYSLOG_IDENTIFIER=postriderd";
	struct journal_field field;
	size_t count = 3, used = 0;

	if (!journal_is_stderr() || !takes_fields)
		return false;
	level[sizeof level - 2] = (char)('0' + priority);
	snprintf(message, sizeof message, "MESSAGE=%s", line);
	items[0] = (struct iovec){.iov_base = message, .iov_len = strlen(message)};
	items[1] = (struct iovec){.iov_base = level, .iov_len = sizeof level - 1};
	items[2] = (struct iovec){.iov_base = name, .iov_len = sizeof name - 1};
	while (count < 3 + FIELD_COUNT && journal_next_field(&line, &field))
		if (!has_field(items + 3, count - 3, field.name) &&
		    add_field(&items[count], text, &used, &field))
			count++;
	return sd_journal_sendv(items, (int)count) >= 0;
}

#else

bool
journal_send(int priority, const char *line)
{
	(void)priority;
	(void)line;
	return false;
}

#endif
