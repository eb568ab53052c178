#include "session/standing.h"

#include "auth/fingerprint.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* A blocked account has one try a day, and so has a mechanism that was declined. */
enum { BLOCKED_MOST = 24 * 3600 * 1000 };
enum { DECLINED_MOST = 24 * 3600 * 1000 };

void
standing_note_failure(struct record *r, const struct verdict *why)
{
	r->error_time = clock_wall();
	if (r->failures++ == 0)
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

bool
standing_take_fingerprint(
    struct record *r, const struct config *config, const struct endpoint_config *endpoint)
{
	char now[FINGERPRINT_SIZE];

	fingerprint_endpoint(config, endpoint, now);
	if (strcmp(now, r->fingerprint) == 0)
		return false;
	snprintf(r->fingerprint, sizeof r->fingerprint, "%s", now);
	standing_forgive(r);
	standing_forget_login(r);
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
