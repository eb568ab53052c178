#include "session/standing.h"

#include "auth/fingerprint.h"
#include "base/clock.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

/* A blocked account has one try a day, and so has a mechanism that was declined. */
enum { BLOCKED_MOST = 24 * 3600 * 1000 };

#define LACKING_FOR (INT64_C(30) * 24 * 3600 * 1000)
enum { DECLINED_MOST = 24 * 3600 * 1000 };

void
standing_note_failure(struct record *r, const struct verdict *why)
{
	r->error_time = clock_wall();
	/* A record of before this was noted has failures, and no time of the first. */
	if (r->failures++ == 0 || r->failing_since == 0)
		r->failing_since = r->error_time;
	if (why->kind == FAIL_AUTH)
		r->auth_failures++;
	r->error_kind = why->kind;
	snprintf(r->error_text, sizeof r->error_text, "%s", why->text);
}

void
standing_note_blocked(struct record *r, bool daily)
{
	size_t len = strlen(r->error_text);

	snprintf(r->error_text + len, sizeof r->error_text - len, "; refused %u times in a row%s",
	    r->auth_failures, daily ? ", it is tried once a day from now on" : "");
}

void
standing_note_success(struct record *r)
{
	r->last_success = clock_wall();
	r->failures = 0;
	r->failing_since = 0;
	standing_forgive(r);
	r->error_time = 0;
	r->error_kind = FAIL_NONE;
	r->error_text[0] = '\0';
}

bool
standing_renews_token(unsigned long *renewed, unsigned long refused)
{
	bool is_first = *renewed == 0 || *renewed == refused;

	*renewed = refused != 0 && is_first ? refused : 0;
	return *renewed != 0;
}

bool
standing_note_login(struct record *r, const char *mechanism)
{
	if (mechanism == NULL || strcmp(mechanism, r->mechanism) == 0)
		return false;
	snprintf(r->mechanism, sizeof r->mechanism, "%s", mechanism);
	return true;
}

uint32_t
standing_declined(const struct standing_declined *d)
{
	return clock_mono() < d->until ? d->mechanisms : 0;
}

void
standing_note_declined(struct standing_declined *d, uint32_t mechanisms)
{
	if (mechanisms == 0)
		return;
	d->mechanisms = standing_declined(d) | mechanisms;
	d->until = clock_mono() + DECLINED_MOST;
}

void
standing_doubt_declined(struct standing_declined *d, const struct verdict *why)
{
	if (why->kind == FAIL_AUTH)
		d->mechanisms = 0;
}

void
standing_forget_login(struct record *r)
{
	r->mechanism[0] = '\0';
}

void
standing_forgive(struct record *r)
{
	r->auth_failures = 0;
	r->blocked_until = 0;
}

/*
 * The time of the file that a password is written in is not compared where the password itself can
 * be: the file has other accounts in it, and other settings.
 */
static bool
is_same_rest(const char *now, const char *then, const struct endpoint_config *endpoint,
    const struct endpoint_config *before)
{
	struct endpoint_config same_secret;
	char old[FINGERPRINT_SIZE];

	if (before == NULL || endpoint->secret.kind != SECRET_PASSWORD)
		return fingerprint_same_rest(now, then);
	same_secret = *before;
	same_secret.secret = endpoint->secret;
	fingerprint_endpoint(&same_secret, old);
	return secret_source_equal(&before->secret, &endpoint->secret) &&
	       fingerprint_same_rest(now, old);
}

bool
standing_take_settings(
    struct record *r, const struct endpoint_config *endpoint, const struct endpoint_config *before)
{
	char now[FINGERPRINT_SIZE];
	bool same_server, same_rest;

	fingerprint_endpoint(endpoint, now);
	same_server = fingerprint_same_server(now, r->fingerprint);
	same_rest = is_same_rest(now, r->fingerprint, endpoint, before);
	snprintf(r->fingerprint, sizeof r->fingerprint, "%s", now);
	if (!same_server)
		standing_forget_login(r);
	if (same_server && same_rest)
		return false;
	standing_forgive(r);
	r->proven = 0;
	r->lacking = 0;
	return true;
}

int64_t
standing_login_wait(const struct record *r)
{
	int64_t wait = r->last_login + r->login_delay - clock_wall();

	if (wait <= 0)
		return 0;
	return wait < r->login_delay ? wait : r->login_delay;
}

int64_t
standing_blocked_for(const struct record *r)
{
	int64_t wait = r->blocked_until > 0 ? r->blocked_until - clock_wall() : 0;

	if (wait <= 0)
		return 0;
	return wait < BLOCKED_MOST ? wait : BLOCKED_MOST;
}

/* The clock may have leapt: what lies in the future is over, too. */
unsigned
standing_lacking(const struct record *r)
{
	int64_t age = clock_wall() - r->lacking_since;

	return age >= 0 && age < LACKING_FOR ? r->lacking : 0;
}

void
standing_note_lacking(struct record *r, unsigned found)
{
	if (found == 0)
		return;
	r->lacking = standing_lacking(r) | found;
	r->lacking_since = clock_wall();
}
