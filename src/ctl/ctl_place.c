#include "ctl/ctl_place.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "ctl/ctl_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define SYSTEM_SOCKET "/run/postrider/control"

static void
add_path(struct ctl_places *places, char *path)
{
	if (places->count < sizeof places->path / sizeof places->path[0])
		places->path[places->count++] = path;
	else
		free(path);
}

static void
add_usual(struct ctl_places *places)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (runtime != NULL && runtime[0] == '/')
		add_path(places, xasprintf("%s/postrider/control", runtime));
	add_path(places, xstrdup(SYSTEM_SOCKET));
}

static void
print_faults(const struct config_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++) {
		struct str safe = STR_INIT;

		ctl_text_append(&safe, faults->text[i], false);
		fprintf(stderr, "postriderctl: %s\n", str_text(&safe));
		str_clear(&safe);
	}
	fputs("postriderctl: with -s SOCKET the configuration is not needed\n", stderr);
}

/* False when it cannot be used; then the faults say why. */
static bool
add_configured(
    struct ctl_places *places, const char *file, struct config_faults *faults, bool *unreadable)
{
	struct config *config = config_load_client(file, faults, unreadable);

	if (config == NULL)
		return false;
	add_path(places, xstrdup(config->control.socket));
	places->config = xstrdup(file);
	config_unref(&config);
	return true;
}

static int
find_named(struct ctl_places *places, const char *file)
{
	struct config_faults faults = {0};
	bool unreadable = false;
	int code = EX_OK;

	if (!add_configured(places, file, &faults, &unreadable)) {
		print_faults(&faults);
		code = unreadable ? EX_NOINPUT : EX_CONFIG;
	}
	config_faults_clear(&faults);
	return code;
}

static void
find_unnamed(struct ctl_places *places)
{
	struct config_faults faults = {0};
	bool unreadable = false;
	char *file = config_find();

	if (!add_configured(places, file, &faults, &unreadable)) {
		if (access(file, F_OK) == 0 && faults.count > 0)
			places->fault = xstrdup(faults.text[0]);
		add_usual(places);
	}
	config_faults_clear(&faults);
	free(file);
}

int
ctl_place_find(struct ctl_places *places, const char *socket, const char *config)
{
	*places = (struct ctl_places){0};
	if (socket != NULL)
		add_path(places, xstrdup(socket));
	else if (config != NULL)
		return find_named(places, config);
	else
		find_unnamed(places);
	return EX_OK;
}

void
ctl_place_clear(struct ctl_places *places)
{
	for (size_t i = 0; i < places->count; i++)
		free(places->path[i]);
	free(places->config);
	free(places->fault);
	*places = (struct ctl_places){0};
}

char *
ctl_place_start_command(const struct ctl_places *places, const char *path)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (strcmp(path, SYSTEM_SOCKET) == 0)
		return xstrdup("systemctl start postrider");
	if (!str_empty(runtime) && strncmp(path, runtime, strlen(runtime)) == 0)
		return xstrdup("systemctl --user start postrider");
	if (places->config != NULL)
		return xasprintf("postriderd -c %s", places->config);
	return xstrdup("postriderd -c FILE");
}
