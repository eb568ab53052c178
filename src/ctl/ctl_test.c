#include "ctl/ctl_test.h"

#include "base/log.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "control/control_suggest.h"
#include "ctl/ctl_test_text.h"
#include "probe/probe.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#define EXIT_FAILED 1

/* -- the configuration ------------------------------------------------------------------------- */

static int
load(const char *file, struct config **config)
{
	struct config_faults faults = {0};
	bool unreadable = false;

	*config = config_load(file, &faults, &unreadable);
	for (size_t i = 0; i < faults.count; i++) {
		struct str safe = STR_INIT;

		ctl_text_append(&safe, faults.text[i], false);
		fprintf(stderr, "postriderctl: %s\n", str_text(&safe));
		str_clear(&safe);
	}
	config_faults_clear(&faults);
	if (*config != NULL)
		return EX_OK;
	return unreadable ? EX_NOINPUT : EX_CONFIG;
}

static const struct account_config *
find_account(const struct config *config, const char *name)
{
	const struct account_config *account = config_account(config, name);
	struct control_suggest suggest = CONTROL_SUGGEST(name);
	char shown[128];

	if (account != NULL)
		return account;
	for (size_t i = 0; i < config->account_count; i++)
		control_suggest_offer(&suggest, config->accounts[i].name);
	str_escape(shown, sizeof shown, name, strlen(name));
	fprintf(stderr, "postriderctl: no account \"%s\" in %s%s%s%s\n", shown, config->file,
	    suggest.best != NULL ? "; did you mean \"" : "",
	    suggest.best != NULL ? suggest.best : "", suggest.best != NULL ? "\"?" : "");
	return NULL;
}

/* -- what is found, as it is found ------------------------------------------------------------- */

static void
print(struct str *s)
{
	fputs(str_text(s), stdout);
	fflush(stdout);
	str_clear(s);
}

static void
print_side(const char *protocol, const char *server, void *arg)
{
	struct str s = STR_INIT;

	ctl_test_text_append_side(&s, protocol, server, arg);
	print(&s);
}

static void
print_step(const json_t *step, void *arg)
{
	struct str s = STR_INIT;

	ctl_test_text_append_step(&s, step, arg);
	print(&s);
}

static void
ignore_side(const char *protocol, const char *server, void *arg)
{
	(void)protocol;
	(void)server;
	(void)arg;
}

static void
ignore_step(const json_t *step, void *arg)
{
	(void)step;
	(void)arg;
}

static int
print_result(json_t *result, bool json, const struct ctl_screen *screen)
{
	int code = json_is_true(json_object_get(result, "ok")) ? EX_OK : EXIT_FAILED;
	struct str s = STR_INIT;

	if (json) {
		char *text = json_dumps(result, JSON_COMPACT);

		printf("%s\n", text != NULL ? text : "{\"ok\":false}");
		free(text);
	} else {
		ctl_test_text_append_end(&s, result, screen);
		print(&s);
	}
	json_decref(result);
	return code;
}

static int
test_account(const struct account_config *account, bool json)
{
	struct ctl_screen screen;
	const struct probe_handler people = {print_side, print_step, &screen};
	const struct probe_handler program = {ignore_side, ignore_step, NULL};

	ctl_text_init_screen(&screen);
	return print_result(probe_account(account, json ? &program : &people), json, &screen);
}

/* Passwords have no business in a file that a crash leaves behind. */
static void
refuse_core_dumps(void)
{
	static const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
}

static int
test(const char *file, const char *name, bool json)
{
	char *found = file != NULL ? xstrdup(file) : config_find();
	const struct account_config *account;
	struct config *config;
	int code;

	refuse_core_dumps();
	log_set_level(LOG_LEVEL_ERROR);
	code = load(found, &config);
	if (code == EX_OK) {
		account = find_account(config, name);
		code = account != NULL ? test_account(account, json) : EX_USAGE;
	}
	config_unref(&config);
	free(found);
	return code;
}

int
ctl_test_run(const struct ctl_call *call, int argc, char **argv)
{
	static const struct option none[] = {{NULL, 0, NULL, 0}};

	if (getopt_long(argc, argv, "", none, NULL) != -1 || optind + 1 != argc)
		return ctl_call_usage("test", CTL_TEST_OPERANDS);
	if (call->socket == NULL)
		return test(call->config, argv[optind], call->json);
	ctl_call_complain("test does not ask the daemon: name the configuration with -c");
	return ctl_call_usage("test", CTL_TEST_OPERANDS);
}
