#include "unit.h"

#include "tls_fixture.h"

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

/* -- STARTTLS --------------------------------------------------------------------------------- */

static void
agree_to_tls(struct peer_conn *c)
{
	peer_say_line(c, "+OK clear");
	peer_expect(c, "STLS");
	peer_say_line(c, "+OK begin");
	if (!peer_tls(c))
		return;
	peer_expect(c, "CAPA");
	peer_say_line(c, "+OK secure");
	peer_drain(c);
}

static size_t
want_tls(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_LINE && strcmp(info->data, "+OK clear") == 0)
		conn_send(c->conn, "STLS");
	else if (event == CONN_LINE && strcmp(info->data, "+OK begin") == 0)
		conn_starttls(c->conn);
	else if (event == CONN_SECURED)
		conn_send(c->conn, "CAPA");
	return info->len;
}

static void
tls_begins_in_place(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, agree_to_tls, &good, TLS_STARTTLS);
	f.c.hook = want_tls;
	client_start(&f.c);
	client_run_until(&f.c, "<+OK secure> ");
	assert_string_equal(str_text(&f.c.log),
	    "connecting connected <+OK clear> <+OK begin> secured <+OK secure> ");
	assert_true(conn_is_secured(f.c.conn));
	end(&f);
}

/* Whatever is sent behind the agreement must not leave in clear, even by mistake. */
static size_t
want_tls_and_hurry(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_LINE && strcmp(info->data, "+OK clear") == 0)
		conn_send(c->conn, "STLS");
	else if (event == CONN_LINE && strcmp(info->data, "+OK begin") == 0) {
		conn_starttls(c->conn);
		conn_send(c->conn, "CAPA");
	}
	return info->len;
}

static void
what_is_sent_behind_the_agreement_is_encrypted(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, agree_to_tls, &good, TLS_STARTTLS);
	f.c.hook = want_tls_and_hurry;
	client_start(&f.c);
	client_run_until(&f.c, "<+OK secure> ");
	end(&f);
}

static void
inject(struct peer_conn *c)
{
	peer_say_line(c, "+OK clear");
	peer_expect(c, "STLS");
	peer_say_line(c, "+OK begin\r\n+OK injected");
	peer_drain(c);
}

static void
injected_octets_are_refused(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, inject, &good, TLS_STARTTLS);
	f.c.hook = want_tls;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(str_text(&f.c.log),
	    "connecting connected <+OK clear> <+OK begin> failed(tls/starttls) ");
	end(&f);
}

/* An attacker answers before the question has left: what follows would be out of step for good. */
static void
agree_unasked(struct peer_conn *c)
{
	peer_say_line(c, "+OK clear\r\n+OK begin");
	if (peer_tls(c))
		peer_say_line(c, "+OK secure");
	peer_drain(c);
}

static void
an_agreement_before_the_question_is_refused(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, agree_unasked, &good, TLS_STARTTLS);
	f.c.hook = want_tls;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(str_text(&f.c.log),
	    "connecting connected <+OK clear> <+OK begin> failed(tls/starttls) ");
	end(&f);
}

static void
agree_and_lie(struct peer_conn *c)
{
	char buf[16];

	peer_say_line(c, "+OK clear");
	peer_expect(c, "STLS");
	peer_say_line(c, "+OK begin");
	(void)!recv(c->fd, buf, sizeof buf, 0); /* the ClientHello */
	peer_say_line(c, "-ERR what?");
	peer_drain(c);
}

static void
an_agreement_that_is_not_kept_is_said(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, agree_and_lie, &good, TLS_STARTTLS);
	f.c.hook = want_tls;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(f.c.why.stage, "handshake");
	assert_text(&f, "agreed to TLS and then did not speak it");
	end(&f);
}

/* -- handshakes that fail --------------------------------------------------------------------- */

static void
greet_in_clear(struct peer_conn *c)
{
	peer_say_line(c, "+OK ready");
	peer_drain(c);
}

static void
a_port_without_tls_is_named(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet_in_clear, NULL, TLS_IMPLICIT);
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(str_text(&f.c.log), "connecting connected failed(tls/handshake) ");
	assert_text(&f, "does not speak TLS on this port; try tls = \"starttls\" or another port");
	end(&f);
}

static void
an_old_server_is_named(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	SSL_CTX_set_max_proto_version(f.peer.tls, TLS1_2_VERSION);
	f.c.endpoint.tls_config.min_version = TLS1_3_VERSION;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(f.c.why.stage, "handshake");
	assert_text(&f, "speaks no version of TLS that tls_min");
	end(&f);
}

static void
hang_up(struct peer_conn *c)
{
	char buf[16];

	(void)!recv(c->fd, buf, sizeof buf, 0);
}

static void
a_close_in_the_handshake_is_said(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, hang_up, NULL, TLS_IMPLICIT);
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(f.c.why.stage, "handshake");
	end(&f);
}

static void
stay_silent(struct peer_conn *c)
{
	peer_drain(c);
}

static void
a_silent_handshake_is_given_up(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, stay_silent, NULL, TLS_IMPLICIT);
	f.c.settings.silence = 50;
	client_start(&f.c);
	client_run_until_failed(&f.c);
	assert_string_equal(str_text(&f.c.log), "connecting connected failed(network/handshake) ");
	assert_text(&f, "no answer for 0.05 s in the TLS handshake");
	conn_free(&f.c.conn);
	end(&f);
}

/* -- many at once, freed at any time ---------------------------------------------------------- */

#define MANY 24

static void
handshakes_at_once_all_succeed(void **state)
{
	struct client many[MANY];
	struct fixture f;
	size_t secured = 0;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	for (size_t i = 0; i < MANY; i++) {
		many[i] = f.c;
		many[i].settings.endpoint = &f.c.endpoint;
		client_start(&many[i]);
	}
	while (secured < MANY) {
		event_base_loop(f.c.base, EVLOOP_ONCE);
		/* The server serves one after the other: who is done makes room. */
		for (size_t i = 0; i < MANY; i++) {
			assert_int_equal(many[i].why.kind, FAIL_NONE);
			if (many[i].conn != NULL &&
			    strstr(str_text(&many[i].log), "<+OK") != NULL) {
				secured++;
				conn_free(&many[i].conn);
			}
		}
	}
	for (size_t i = 0; i < MANY; i++)
		str_clear(&many[i].log);
	end(&f);
}

static void
a_conn_may_be_freed_in_every_step(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	for (int turns = 0; turns < 40; turns++) {
		client_start(&f.c);
		for (int i = 0; i < turns && strchr(str_text(&f.c.log), '>') == NULL; i++)
			event_base_loop(f.c.base, EVLOOP_ONCE);
		conn_free(&f.c.conn);
		if (turns % 7 == 0)
			net_forget(f.c.net);
	}
	end(&f);
}

static size_t
free_when_secured(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_SECURED)
		conn_free(&c->conn);
	return info->len;
}

static void
a_conn_may_be_freed_when_it_is_secured(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	f.c.hook = free_when_secured;
	client_start(&f.c);
	client_run_until(&f.c, "secured ");
	for (int i = 0; i < 10; i++)
		event_base_loop(f.c.base, EVLOOP_NONBLOCK);
	assert_string_equal(str_text(&f.c.log), "connecting connected secured ");
	end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tls_begins_in_place),
	    cmocka_unit_test(what_is_sent_behind_the_agreement_is_encrypted),
	    cmocka_unit_test(injected_octets_are_refused),
	    cmocka_unit_test(an_agreement_before_the_question_is_refused),
	    cmocka_unit_test(an_agreement_that_is_not_kept_is_said),
	    cmocka_unit_test(a_port_without_tls_is_named),
	    cmocka_unit_test(an_old_server_is_named),
	    cmocka_unit_test(a_close_in_the_handshake_is_said),
	    cmocka_unit_test(a_silent_handshake_is_given_up),
	    cmocka_unit_test(handshakes_at_once_all_succeed),
	    cmocka_unit_test(a_conn_may_be_freed_in_every_step),
	    cmocka_unit_test(a_conn_may_be_freed_when_it_is_secured),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, make_identities, clear_identities);
}
