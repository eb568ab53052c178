#include "ctl/sendmail_place.h"

#include "base/xalloc.h"
#include "config/config.h"
#include "config/path.h"
#include "store/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#define SYSTEM_CONFIG "/etc/postrider/postrider.conf"
#define SYSTEM_SPOOL  "/var/spool/postrider"

static void
print_faults(const struct config_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++) {
		struct str safe = STR_INIT;

		str_append_escaped(&safe, faults->text[i], strlen(faults->text[i]));
		fprintf(stderr, "postrider-sendmail: %s\n", str_text(&safe));
		str_clear(&safe);
	}
}

/* EX_NOINPUT, said only if it was asked for by name, EX_CONFIG or EX_OK. */
static int
load(struct sendmail_place *place, const char *file, bool is_named)
{
	struct config_faults faults = {0};
	bool unreadable = false;

	place->config = config_load_client(file, &faults, &unreadable);
	if (place->config != NULL)
		place->spool = xstrdup(place->config->spool);
	else if (is_named || !unreadable)
		print_faults(&faults);
	config_faults_clear(&faults);
	if (place->config != NULL)
		return EX_OK;
	return unreadable ? EX_NOINPUT : EX_CONFIG;
}

static int
load_personal(struct sendmail_place *place)
{
	const char *named = getenv("POSTRIDER_CONFIG");
	int code = EX_NOINPUT;
	char *own;

	if (!str_empty(named))
		code = load(place, named, false);
	if (code != EX_NOINPUT)
		return code;
	own = path_xdg("XDG_CONFIG_HOME", ".config", "postrider/postrider.conf");
	if (own != NULL)
		code = load(place, own, false);
	free(own);
	return code;
}

/*
 * The system's may be readable but for what it includes, or be wrong at the moment; mail that cron
 * hands over must not be lost for that while there is a spool to keep it.
 */
static int
load_system(struct sendmail_place *place)
{
	const char *named = getenv("POSTRIDER_SPOOL");
	int code = load(place, SYSTEM_CONFIG, false);
	struct stat st;

	if (code == EX_OK)
		return EX_OK;
	place->spool = xstrdup(!str_empty(named) ? named : SYSTEM_SPOOL);
	if (code == EX_NOINPUT)
		return EX_OK;
	if (stat(place->spool, &st) < 0 || !S_ISDIR(st.st_mode))
		return code;
	fprintf(stderr, "postrider-sendmail: %s is taken as the spool\n", place->spool);
	return EX_OK;
}

/* The system's spool belongs to the daemon's user and is made when the system is set up. */
static int
make_spool(const struct sendmail_place *place)
{
	struct verdict why = VERDICT_OK;

	if (place->config == NULL || path_is_system(place->config->file) ||
	    disk_make_directory(place->spool, 0700, &why))
		return EX_OK;
	fprintf(stderr, "postrider-sendmail: %s\n", why.text);
	return EX_CANTCREAT;
}

int
sendmail_place_find(struct sendmail_place *place, const char *config)
{
	int code;

	*place = (struct sendmail_place){0};
	if (config != NULL) {
		code = load(place, config, true);
	} else {
		code = load_personal(place);
		if (code == EX_NOINPUT)
			code = load_system(place);
	}
	return code == EX_OK ? make_spool(place) : code;
}

void
sendmail_place_clear(struct sendmail_place *place)
{
	free(place->spool);
	config_unref(&place->config);
	*place = (struct sendmail_place){0};
}
