#include "config/settings.h"

#include "base/xalloc.h"
#include "config/accounts.h"
#include "config/config.h"
#include "config/group.h"
#include "config/path.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static void
read_group(struct reader *reader, config_setting_t *root, enum key_group group, void *dest)
{
	const char *name = keys_group_name(group);
	struct scope scope = {group, name, reader_group(root, name), NULL, false};

	reader_read_keys(reader, &scope, dest);
}

/* These two are off when they are absent. */
static void
read_optional_groups(struct reader *reader, config_setting_t *root, struct config *config)
{
	if (reader_group(root, "submission") != NULL) {
		config->submission = xcalloc(1, sizeof *config->submission);
		read_group(reader, root, KEYS_SUBMISSION, config->submission);
		if (config->submission->listen == NULL)
			config->submission->listen = xcalloc(1, sizeof(char *));
	}
	if (reader_group(root, "local") != NULL) {
		config->local = xcalloc(1, sizeof *config->local);
		read_group(reader, root, KEYS_LOCAL, config->local);
	}
}

/* $XDG_STATE_HOME/postrider/NAME, or a fault at the key that would have named it. */
static char *
state_directory(struct reader *reader, const char *key, const char *name)
{
	char *sub = xasprintf("postrider/%s", name);
	char *path = path_xdg("XDG_STATE_HOME", ".local/state", sub);

	free(sub);
	if (path == NULL)
		reader_fault(reader, key, 0, "this key is missing, and no home directory is known");
	return path;
}

static char *
default_socket(struct reader *reader)
{
	char *path = path_xdg("XDG_RUNTIME_DIR", NULL, "postrider/control");

	if (path == NULL)
		path = state_directory(reader, "control.socket", "control");
	if (path != NULL && strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path)
		reader_fault(reader, "control.socket", 0,
		    "this key is missing, and the default is too long for a socket: %s", path);
	return path;
}

/* The places depend on whether this is the system's configuration or a user's. */
static void
complete_places(struct reader *reader, config_setting_t *root, struct config *c)
{
	bool system = path_is_system(c->file);

	if (reader_member(root, "spool") == NULL)
		c->spool = system ? xstrdup("/var/spool/postrider")
				  : state_directory(reader, "spool", "spool");
	if (reader_member(root, "state") == NULL)
		c->state = system ? xstrdup("/var/lib/postrider")
				  : state_directory(reader, "state", "state");
	if (reader_member(reader_group(root, "control"), "socket") == NULL)
		c->control.socket =
		    system ? xstrdup("/run/postrider/control") : default_socket(reader);
	if (reader_member(reader_group(root, "log"), "sessions") == NULL)
		c->log.sessions = system ? xstrdup("/var/log/postrider")
					 : state_directory(reader, "log.sessions", "log");
}

struct place {
	const char *key;
	const char *path;
	const config_setting_t *setting;
};

/* Whatever lies in the spool is sent, and whatever is old in the logs is deleted. */
static void
check_places(struct reader *reader, config_setting_t *root, const struct config *c)
{
	const struct place places[] = {
	    {"spool", c->spool, reader_member(root, "spool")},
	    {"state", c->state, reader_member(root, "state")},
	    {"log.sessions", c->log.sessions, reader_member(reader_group(root, "log"), "sessions")},
	};

	for (size_t i = 1; i < sizeof places / sizeof places[0]; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct place *a = &places[j], *b = &places[i];
			size_t line = reader_line(b->setting != NULL ? b->setting : a->setting);

			if (a->path != NULL && b->path != NULL && strcmp(a->path, b->path) == 0)
				reader_fault(reader, b->key, line,
				    "%s is the directory of %s already", b->path, a->key);
		}
	}
}

/* The greater of two keys of a group; the lesser one must not exceed it. */
struct order {
	enum key_group group;
	const char *lesser;
	const char *greater;
};

/*
 * True when lesser <= greater.  When only one of them is given the caller lets the other follow;
 * when both are, it is a fault.
 */
static bool
is_ordered(struct reader *reader, config_setting_t *root, const struct order *o, int64_t lesser,
    int64_t greater)
{
	const char *name = keys_group_name(o->group);
	config_setting_t *group = reader_group(root, name);
	config_setting_t *low = reader_member(group, o->lesser);
	const char *outer = reader->label;

	if (lesser <= greater)
		return true;
	if (low == NULL || reader_member(group, o->greater) == NULL)
		return false;
	reader->label = name;
	reader_fault(reader, o->lesser, reader_line(low),
	    "found more than %s, expected less or as much", o->greater);
	reader->label = outer;
	return false;
}

static bool
is_given(config_setting_t *root, const struct order *o, const char *key)
{
	return reader_member(reader_group(root, keys_group_name(o->group)), key) != NULL;
}

static void
order_durations(struct reader *reader, config_setting_t *root, const struct order *o,
    int64_t *lesser, int64_t *greater)
{
	if (is_ordered(reader, root, o, *lesser, *greater))
		return;
	if (is_given(root, o, o->lesser))
		*greater = *lesser;
	else
		*lesser = *greater;
}

static void
check_orders(struct reader *reader, config_setting_t *root, struct config *c)
{
	static const struct order idle = {KEYS_LOG, "keep_idle", "keep"};
	static const struct order wait = {KEYS_RETRY, "first", "max"};
	static const struct order hosts = {KEYS_LIMITS, "sessions_per_host", "sessions"};

	order_durations(reader, root, &idle, &c->log.keep_idle, &c->log.keep);
	order_durations(reader, root, &wait, &c->retry.first, &c->retry.max);
	if (!is_ordered(reader, root, &hosts, c->sessions_per_host, c->sessions)) {
		if (is_given(root, &hosts, hosts.lesser))
			c->sessions = c->sessions_per_host;
		else
			c->sessions_per_host = c->sessions;
	}
}

/* Here, for whoever uses the settings must not wait for a directory service. */
static void
complete_group(const struct reader *reader, struct control_config *control)
{
	bool is_wanted = control->group != NULL && !reader->client;

	control->gid = is_wanted ? group_find(control->group) : NO_GID;
}

struct config *
settings_read(struct reader *reader, config_setting_t *root, const char *file)
{
	struct config *config = xcalloc(1, sizeof *config);
	struct scope top = {KEYS_TOP, "", root, NULL, false};

	config->refs = 1;
	config->file = xstrdup(file);
	reader_read_keys(reader, &top, config);
	read_group(reader, root, KEYS_CONTROL, &config->control);
	complete_group(reader, &config->control);
	read_group(reader, root, KEYS_LOG, &config->log);
	read_group(reader, root, KEYS_LIMITS, config);
	read_group(reader, root, KEYS_RETRY, &config->retry);
	read_optional_groups(reader, root, config);
	complete_places(reader, root, config);
	accounts_read(reader, root, config);
	check_places(reader, root, config);
	check_orders(reader, root, config);
	accounts_compare(reader, root, config);
	return config;
}
