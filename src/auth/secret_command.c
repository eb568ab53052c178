#include "auth/secret_command.h"

#include "auth/secret_check.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/xalloc.h"
#include "config/config.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { LIFETIME_MAX = 10 * 365 * 24 * 3600 }; /* seconds */

static const char *
kind_name(const struct secret_source *source)
{
	return source->kind == SECRET_TOKEN_COMMAND ? "token_command" : "password_command";
}

/*
 * The first word, of a shell's command that of the command.  What stands behind an "=" may be a
 * secret itself ("TOKEN=... curl").
 */
static void
append_first_word(struct str *s, const struct secret_source *source)
{
	char *const *argv = source->argv;
	const char *word = argv[0];
	size_t len = strlen(word);
	bool is_shell = strcmp(argv[0], "/bin/sh") == 0 && argv[1] != NULL &&
			strcmp(argv[1], "-c") == 0 && argv[2] != NULL;

	if (is_shell) {
		word = argv[2] + strspn(argv[2], " \t\n");
		len = strcspn(word, " \t\n;|&<>()\"'`=");
	}
	if (len == 0) {
		word = argv[0];
		len = strlen(word);
	}
	str_append_escaped(s, word, len < 100 ? len : 100);
}

/* `the command "pass" (password_command)`; free(3) it. */
static char *
make_origin(const struct secret_source *source)
{
	struct str s = STR_INIT;

	str_append_text(&s, "the command \"");
	append_first_word(&s, source);
	str_appendf(&s, "\" (%s)", kind_name(source));
	return str_take(&s);
}

/* The first line that says something, in quotes, behind ": "; nothing when there is none. */
static void
append_first_error(struct str *s, const char *errors)
{
	char shown[200];
	size_t len;

	errors += strspn(errors, "\r\n\t ");
	len = strcspn(errors, "\r\n");
	if (len > 0)
		str_appendf(s, ": %s", str_escape(shown, sizeof shown, errors, len));
}

static void
append_end(struct str *s, const struct child_result *result)
{
	int status = result->status;

	if (result->error != 0)
		str_appendf(s, "could not be started: %s", strerror(result->error));
	else if (result->timed_out)
		str_append_text(s, "did not end within secret_timeout and was killed; "
				   "does it wait for a terminal or a passphrase?");
	else if (result->overflowed)
		str_append_text(s, "printed far more than a secret and was killed");
	else if (WIFSIGNALED(status))
		str_appendf(s, "was killed by signal %d (%s)", WTERMSIG(status),
		    sigdescr_np(WTERMSIG(status)) != NULL ? sigdescr_np(WTERMSIG(status)) : "?");
	else
		str_appendf(s, "exited with status %d", WEXITSTATUS(status));
}

static struct secret *
fail_command(const char *origin, const struct child_result *result, struct verdict *why)
{
	struct str s = STR_INIT;

	append_end(&s, result);
	append_first_error(&s, result->errors);
	verdict_fail(why, FAIL_LOCAL, SECRET_STAGE, "%s %s; run it by hand as the daemon's user",
	    origin, str_text(&s));
	why->code = result->error;
	str_clear(&s);
	return NULL;
}

static bool
is_json(const char *data, size_t len)
{
	while (len > 0 && strchr(" \t\r\n", *data) != NULL && *data != '\0') {
		data++;
		len--;
	}
	return len > 0 && *data == '{';
}

/* Seconds as a number, or as digits in a string, which some endpoints send. */
static int64_t
read_lifetime(const json_t *value)
{
	double seconds = -1;
	char *end;

	if (json_is_number(value)) {
		seconds = json_number_value(value);
	} else if (json_is_string(value)) {
		seconds = strtod(json_string_value(value), &end);
		if (end == json_string_value(value) || *end != '\0')
			seconds = -1;
	}
	if (!(seconds >= 0))
		return -1;
	return (int64_t)(seconds < LIFETIME_MAX ? seconds : LIFETIME_MAX) * 1000;
}

/* The library releases strings without overwriting them. */
static void
wipe_strings(json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (json_is_string(value))
			secret_wipe(
			    (char *)(uintptr_t)json_string_value(value), json_string_length(value));
	}
}

static struct secret *
read_token_json(
    const struct child_result *result, const char *origin, int64_t *lifetime, struct verdict *why)
{
	json_t *object = json_loadb(result->output, result->output_len, 0, NULL);
	const json_t *token = json_object_get(object, "access_token");
	struct secret *secret = NULL;

	if (!json_is_object(object))
		verdict_fail(why, FAIL_LOCAL, SECRET_STAGE, "%s printed unreadable JSON", origin);
	else if (!json_is_string(token))
		verdict_fail(why, FAIL_LOCAL, SECRET_STAGE,
		    "%s printed JSON without access_token%s; run it by hand as the daemon's user",
		    origin, json_object_get(object, "error") != NULL ? ", but with an error" : "");
	else
		secret =
		    secret_check(json_string_value(token), json_string_length(token), origin, why);
	*lifetime = read_lifetime(json_object_get(object, "expires_in"));
	if (object != NULL)
		wipe_strings(object);
	json_decref(object);
	return secret;
}

struct secret *
secret_command_judge(const struct secret_source *source, const struct child_result *result,
    int64_t *lifetime, struct verdict *why)
{
	char *origin = make_origin(source);
	struct secret *secret;

	*lifetime = -1;
	if (result->error != 0 || result->timed_out || result->overflowed || result->status != 0)
		secret = fail_command(origin, result, why);
	else if (source->kind == SECRET_TOKEN_COMMAND &&
		 is_json(result->output, result->output_len))
		secret = read_token_json(result, origin, lifetime, why);
	else
		secret = secret_check(result->output, result->output_len, origin, why);
	free(origin);
	return secret;
}
