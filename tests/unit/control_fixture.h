#ifndef POSTRIDER_TESTS_CONTROL_FIXTURE_H
#define POSTRIDER_TESTS_CONTROL_FIXTURE_H

#include "base/events.h"
#include "config/config.h"
#include "control/control.h"
#include "fake_deliverer.h"
#include "fake_fetcher.h"

#include <event2/event.h>
#include <jansson.h>

/* A control socket in a temporary directory, with a daemon behind it that the test plays. */
struct fixture {
	struct event_base *base;
	char directory[64];
	char socket[96];
	struct config config;
	struct account_config accounts[3];
	struct pop3_config pop3;
	struct smtp_config smtp;
	struct fetcher fetcher;
	struct fetcher_view views[3];
	struct deliverer deliverer; /* not the daemon's, until the test says so in settings */
	struct deliverer_view sending[3];
	struct events events;
	struct control_settings settings;
	struct control *control;

	/* What was asked of the daemon. */
	size_t stops;
	size_t reloads;
	control_reload_done *reload_done; /* the reading under way; the test calls it */
	void *reload_arg;
};

/* Everything but control, which the test starts with its own limits. */
void fixture_set_up(struct fixture *f);
void fixture_start(struct fixture *f);
void fixture_tear_down(struct fixture *f);

/* A client: a connected non-blocking descriptor. */
int fixture_connect(const struct fixture *f);

/* Sends while the loop turns; false when the other side has closed. */
bool fixture_send(struct fixture *f, int fd, const void *data, size_t len);
bool fixture_send_text(struct fixture *f, int fd, const char *text);

/* The next line, while the loop turns: free(3) it; NULL when the connection ended. */
char *fixture_line(struct fixture *f, int fd);

/* The next line as JSON, which it must be. */
json_t *fixture_answer(struct fixture *f, int fd);

/* Sends a line, waits for its answer. */
json_t *fixture_ask(struct fixture *f, int fd, const char *line);

/* True when the connection has ended and nothing more is to be read. */
bool fixture_ended(struct fixture *f, int fd);

/* One turn of the loop, then a moment for others.  Fails the test when called for half a minute. */
void fixture_turn(struct fixture *f);

/* The value at the path, its steps separated by dots, is this compact JSON. */
void fixture_expect_json(const json_t *json, const char *path, const char *expected);

/* The answer to the request has this in its error. */
void fixture_expect_error(struct fixture *f, int fd, const char *request, const char *part);

/* The answer to the request is "ok":true. */
void fixture_expect_ok(struct fixture *f, int fd, const char *request);

/* The answer's "error", "" when it is "ok":true. */
const char *fixture_error(const json_t *answer);

#endif
