#include "config/config.h"

#include "base/secret.h"
#include "base/xalloc.h"
#include "config/dispose.h"
#include "config/faults.h"
#include "config/path.h"
#include "config/reader.h"
#include "config/settings.h"
#include "config/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
config_faults_clear(struct config_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++)
		free(faults->text[i]);
	free(faults->text);
	*faults = (struct config_faults){NULL, 0};
}

/* The key that a line sets when it sets only one, to free(3); else NULL. */
static char *
only_key(const char *text, size_t line)
{
	const char *end;
	size_t len, next;

	for (; line > 1 && text != NULL; line--) {
		text = strchr(text, '\n');
		text = text != NULL ? text + 1 : NULL;
	}
	if (text == NULL)
		return NULL;
	end = strchrnul(text, '\n');
	text += strspn(text, " \t");
	len = strcspn(text, " \t\r\n=:");
	next = len + strspn(text + len, " \t");
	if (len == 0 || text + next >= end || strchr("=:", text[next]) == NULL)
		return NULL;
	if (text + next + 1 + strcspn(text + next + 1, "=:") < end)
		return NULL;
	return xstrndup(text, len);
}

static void
say_duplicate(struct faults *faults, const struct source *source, size_t line)
{
	char *key = only_key(source->text, line);

	if (key != NULL)
		faults_add(faults, line, "%s: this key was given before in the same group", key);
	else
		faults_add(faults, line, "a key of this line was given before in the same group");
	free(key);
}

/* libconfig's words, with what they mean for the person who reads them. */
static void
say_parse_error(struct faults *faults, const struct source *source, const config_t *parsed)
{
	size_t line = config_error_line(parsed) > 0 ? (size_t)config_error_line(parsed) : 0;
	const char *text = config_error_text(parsed);

	if (text != NULL && strcmp(text, "duplicate setting name") == 0)
		say_duplicate(faults, source, line);
	else if (text != NULL && strcmp(text, "syntax error") == 0)
		faults_add(faults, line,
		    "syntax error here or just before; expected KEY = VALUE; with text in quotes "
		    "and every bracket closed");
	else if (text != NULL && strcmp(text, "memory exhausted") == 0)
		faults_add(faults, line, "the brackets are nested too deeply");
	else
		faults_add(faults, line, "%s", text != NULL ? text : "cannot be parsed");
	if (source->open_string > 0 && source->open_string <= line)
		faults_add(faults, source->open_string,
		    "the string that begins here runs over the end of its line; is a '\"' "
		    "missing?");
}

/* libconfig frees its strings as they are; among them may be passwords. */
static void
wipe_strings(config_setting_t *setting)
{
	if (config_setting_type(setting) == CONFIG_TYPE_STRING && setting->value.sval != NULL)
		secret_wipe(setting->value.sval, strlen(setting->value.sval));
	if (!config_setting_is_aggregate(setting))
		return;
	for (int i = 0; i < config_setting_length(setting); i++)
		wipe_strings(config_setting_get_elem(setting, (unsigned)i));
}

static struct config *
parse(const char *file, struct source *source, struct faults *faults, bool client)
{
	char *base = path_base(file);
	struct reader reader = {faults, source, base, "", client, false};
	struct config *config = NULL;
	config_t parsed;

	config_init(&parsed);
	if (config_read_string(&parsed, source->text) == CONFIG_TRUE)
		config = settings_read(&reader, config_root_setting(&parsed), file);
	else
		say_parse_error(faults, source, &parsed);
	wipe_strings(config_root_setting(&parsed));
	config_destroy(&parsed);
	free(base);
	return config;
}

static struct config *
load(const char *file, struct config_faults *out, bool *unreadable, bool client)
{
	struct source source = {.text = NULL};
	struct faults faults = {NULL, 0};
	struct config *config = NULL;
	bool readable = source_read(&source, file, &faults);

	if (readable && !source.broken)
		config = parse(file, &source, &faults, client);
	if (faults.count > 0)
		dispose_config(&config);
	faults_render(&faults, &source, out);
	faults_clear(&faults);
	source_clear(&source);
	if (unreadable != NULL)
		*unreadable = !readable;
	return config;
}

struct config *
config_load(const char *file, struct config_faults *faults, bool *unreadable)
{
	return load(file, faults, unreadable, false);
}

struct config *
config_load_client(const char *file, struct config_faults *faults, bool *unreadable)
{
	return load(file, faults, unreadable, true);
}

struct config *
config_ref(struct config *config)
{
	config->refs++;
	return config;
}

void
config_unref(struct config **config)
{
	struct config *c = *config;

	*config = NULL;
	if (c != NULL && --c->refs == 0)
		dispose_config(&c);
}

char *
config_find(void)
{
	const char *named = getenv("POSTRIDER_CONFIG");
	char *own;

	if (!str_empty(named) && access(named, F_OK) == 0)
		return xstrdup(named);
	own = path_xdg("XDG_CONFIG_HOME", ".config", "postrider/postrider.conf");
	if (own != NULL && access(own, F_OK) == 0)
		return own;
	free(own);
	return xstrdup("/etc/postrider/postrider.conf");
}

const struct account_config *
config_account(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->account_count; i++)
		if (strcmp(config->accounts[i].name, name) == 0)
			return &config->accounts[i];
	return NULL;
}

const char *
auth_mechanism_name(enum auth_mechanism mechanism)
{
	static const char *const names[AUTH_MECHANISM_COUNT] = {
	    [AUTH_EXTERNAL] = "EXTERNAL",
	    [AUTH_SCRAM_SHA_256_PLUS] = "SCRAM-SHA-256-PLUS",
	    [AUTH_SCRAM_SHA_1_PLUS] = "SCRAM-SHA-1-PLUS",
	    [AUTH_SCRAM_SHA_256] = "SCRAM-SHA-256",
	    [AUTH_SCRAM_SHA_1] = "SCRAM-SHA-1",
	    [AUTH_OAUTHBEARER] = "OAUTHBEARER",
	    [AUTH_XOAUTH2] = "XOAUTH2",
	    [AUTH_PLAIN] = "PLAIN",
	    [AUTH_LOGIN] = "LOGIN",
	    [AUTH_USER] = "USER",
	    [AUTH_CRAM_MD5] = "CRAM-MD5",
	    [AUTH_APOP] = "APOP",
	    [AUTH_NONE] = "none",
	};

	return names[mechanism];
}

static bool
is_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
is_same_argv(char *const *a, char *const *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	while (*a != NULL && *b != NULL && strcmp(*a, *b) == 0) {
		a++;
		b++;
	}
	return *a == NULL && *b == NULL;
}

bool
secret_source_equal(const struct secret_source *a, const struct secret_source *b)
{
	return a->kind == b->kind && is_same_text(a->value, b->value) &&
	       is_same_text(a->path, b->path) && is_same_argv(a->argv, b->argv);
}
