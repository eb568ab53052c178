#include "config/lists.h"

#include "base/xalloc.h"
#include "config/convert.h"
#include "config/faults.h"
#include "config/path.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

void
lists_free(char ***list)
{
	char **strings = *list;

	*list = NULL;
	for (char **p = strings; p != NULL && *p != NULL; p++)
		free(*p);
	free(strings);
}

static char **
new_list(size_t count)
{
	return xcalloc(count + 1, sizeof(char *));
}

/* A program named by a path is expanded as paths are; a bare name is left to $PATH. */
static char *
read_program(struct reader *reader, const struct key *key, const struct raw *raw)
{
	if (strchr(raw->text, '/') == NULL && raw->text[0] != '~' &&
	    strncmp(raw->text, "${", 2) != 0)
		return xstrdup(raw->text);
	return convert_path(reader, key, raw);
}

static bool
read_argv(struct reader *reader, const struct key *key, const struct raw *raw, char ***dest)
{
	size_t count = reader_count(raw);
	char **argv = new_list(count);

	for (size_t i = 0; i < count; i++) {
		struct raw element = reader_element(raw, i);

		if (element.kind == RAW_TEXT && (i > 0 || element.text[0] != '\0'))
			argv[i] =
			    i == 0 ? read_program(reader, key, &element) : xstrdup(element.text);
		else
			reader_wrong(reader, key, &element);
		if (argv[i] == NULL) {
			for (size_t j = 0; j < i; j++)
				free(argv[j]);
			free(argv);
			return true;
		}
	}
	*dest = argv;
	return true;
}

bool
lists_read_command(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	char **argv;

	if (raw->kind == RAW_LIST && reader_count(raw) > 0)
		return read_argv(reader, key, raw, dest);
	if (raw->kind != RAW_TEXT || raw->text[strspn(raw->text, " \t\r\n")] == '\0')
		return false;
	argv = new_list(3);
	argv[0] = xstrdup("/bin/sh");
	argv[1] = xstrdup("-c");
	argv[2] = xstrdup(raw->text);
	*(char ***)dest = argv;
	return true;
}

static bool
holds(char *const *list, const char *text)
{
	for (; *list != NULL; list++)
		if (strcasecmp(*list, text) == 0)
			return true;
	return false;
}

bool
lists_read_mailboxes(
    struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	size_t count = reader_count(raw), n = 0;
	char **list = new_list(count);

	for (size_t i = 0; i < count; i++) {
		struct raw element = reader_element(raw, i);

		if (element.kind != RAW_TEXT || !value_mailbox(element.text, true))
			reader_wrong(reader, key, &element);
		else if (holds(list, element.text))
			reader_fault(reader, key->name, element.line, "\"%s\" stands here twice",
			    element.text);
		else
			list[n++] = xstrdup(element.text);
	}
	*(char ***)dest = list;
	return raw->kind == RAW_LIST;
}

/* NULL for what is neither; a path that does not expand was said. */
static char *
read_listen(struct reader *reader, const struct key *key, const struct raw *raw, bool *said)
{
	char *path;

	*said = false;
	if (raw->kind != RAW_TEXT)
		return NULL;
	if (value_loopback_port(raw->text))
		return xstrdup(raw->text);
	if (strchr("/~$", raw->text[0]) == NULL || raw->text[0] == '\0')
		return NULL;
	path = convert_path(reader, key, raw);
	*said = path == NULL;
	if (path != NULL && strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
		free(path);
		path = NULL;
	}
	return path;
}

bool
lists_read_listen(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	size_t count = reader_count(raw), n = 0;
	char **list = new_list(count);

	for (size_t i = 0; i < count; i++) {
		struct raw element = reader_element(raw, i);
		bool said;
		char *address = read_listen(reader, key, &element, &said);

		if (address == NULL && !said) {
			reader_wrong(reader, key, &element);
		} else if (address != NULL && holds(list, address)) {
			reader_fault(
			    reader, key->name, element.line, "\"%s\" stands here twice", address);
			free(address);
		} else if (address != NULL) {
			list[n++] = address;
		}
	}
	*(char ***)dest = list;
	return raw->kind == RAW_LIST;
}

/* One mechanism by name; what is none is said, with the one that was probably meant. */
static uint32_t
read_mechanism(struct reader *reader, const struct key *key, const struct raw *raw)
{
	const char *names[AUTH_MECHANISM_COUNT];
	const char *nearest;
	char shown[64];

	if (raw->kind != RAW_TEXT) {
		reader_wrong(reader, key, raw);
		return 0;
	}
	for (unsigned i = 0; i < AUTH_MECHANISM_COUNT; i++) {
		names[i] = auth_mechanism_name((enum auth_mechanism)i);
		if (strcasecmp(names[i], raw->text) == 0)
			return 1u << i;
	}
	nearest = faults_nearest(raw->text, names, AUTH_MECHANISM_COUNT);
	reader_fault(reader, key->name, raw->line, "unknown mechanism \"%s\"%s%s%s",
	    str_escape(shown, sizeof shown, raw->text, strlen(raw->text)),
	    nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
	    nearest != NULL ? "\"?" : "");
	return 0;
}

bool
lists_read_auth(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	struct endpoint_config *endpoint =
	    (struct endpoint_config *)(void *)((char *)dest -
					       offsetof(struct endpoint_config, auth));

	if (raw->kind == RAW_TEXT && strcmp(raw->text, "auto") == 0) {
		endpoint->auth_auto = true;
		return true;
	}
	for (size_t i = 0; i < reader_count(raw); i++) {
		struct raw element = reader_element(raw, i);

		endpoint->auth |= read_mechanism(reader, key, &element);
	}
	return reader_count(raw) > 0;
}

static void
add_pin(struct reader *reader, const struct key *key, const struct raw *raw, struct tls_config *tls)
{
	struct tls_pin pin;

	if (raw->kind != RAW_TEXT || !value_pin(raw->text, &pin)) {
		reader_wrong(reader, key, raw);
		return;
	}
	tls->pins = xreallocarray(tls->pins, tls->pin_count + 1, sizeof pin);
	tls->pins[tls->pin_count++] = pin;
}

bool
lists_read_pins(struct reader *reader, const struct key *key, const struct raw *raw, void *dest)
{
	if (raw->kind == RAW_TEXT)
		add_pin(reader, key, raw, dest);
	for (size_t i = 0; i < reader_count(raw); i++) {
		struct raw element = reader_element(raw, i);

		add_pin(reader, key, &element, dest);
	}
	return raw->kind == RAW_TEXT || reader_count(raw) > 0;
}
