#include "unit.h"

#include "tls_fixture.h"

#include "base/xalloc.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- resumption ------------------------------------------------------------------------------- */

static void
sessions_are_resumed_with_the_same_settings_only(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin(&f, greet, &good, TLS_IMPLICIT);
		SSL_CTX_set_max_proto_version(f.peer.tls, versions[i]);
		assert_greeted(&f, "<+OK ready> ");
		for (int again = 0; again < 5; again++)
			assert_greeted(&f, "<+OK resumed> ");
		f.c.endpoint.tls_config.verify = false;
		assert_greeted(&f, "<+OK ready> ");
		assert_greeted(&f, "<+OK resumed> ");
		f.c.endpoint.tls_config.verify = true;
		f.c.endpoint.tls_config.server_name = strdup("localhost");
		assert_greeted(&f, "<+OK ready> ");
		free(f.c.endpoint.tls_config.server_name);
		f.c.endpoint.tls_config.server_name = NULL;
		assert_greeted(&f, "<+OK resumed> ");
		net_forget(f.c.net);
		assert_greeted(&f, "<+OK ready> ");
		end(&f);
	}
}

#define TICKETS 2000

/* Some 500 KiB that say nothing, and then a line. */
static void
send_tickets(struct peer_conn *c)
{
	char go;

	if (!peer_tls(c))
		return;
	for (int i = 0; i < TICKETS; i++) {
		if (SSL_new_session_ticket(c->ssl) != 1 || SSL_do_handshake(c->ssl) != 1)
			abort();
	}
	peer_say_line(c, "+OK ready");
	go = 1;
	(void)!write(*(int *)c->peer->arg, &go, 1);
	peer_drain(c);
}

static size_t
pause_when_secured(struct client *c, enum conn_event event, const struct conn_info *info)
{
	if (event == CONN_SECURED)
		conn_pause(c->conn);
	return info->len;
}

static void
tickets_without_end_leave_others_their_turn(void **state)
{
	struct fixture f;
	int ends[2], turns = 0;
	char go;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	begin(&f, send_tickets, &good, TLS_IMPLICIT);
	f.peer.arg = &ends[1];
	f.c.hook = pause_when_secured;
	client_start(&f.c);
	client_run_until(&f.c, "secured ");
	assert_int_equal(read(ends[0], &go, 1), 1);
	conn_resume(f.c.conn);
	while (strstr(str_text(&f.c.log), "<+OK ready> ") == NULL) {
		event_base_loop(f.c.base, EVLOOP_ONCE);
		turns++;
	}
	assert_true(turns > 3);
	end(&f);
	close(ends[0]);
	close(ends[1]);
}

static void
a_resumed_session_is_described_as_such(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, greet, &good, TLS_IMPLICIT);
	assert_greeted(&f, "<+OK ready> ");
	assert_described(&f, "TLSv1.3 TLS_AES_256_GCM_SHA384, CN=localhost verified");
	assert_greeted(&f, "<+OK resumed> ");
	assert_described(&f, "TLSv1.3 TLS_AES_256_GCM_SHA384, CN=localhost verified, resumed");
	end(&f);
}

static void
note_resumed(struct peer_conn *c)
{
	if (peer_tls(c) && SSL_session_reused(c->ssl))
		*(bool *)c->peer->arg = true;
	peer_drain(c);
}

static void
a_session_with_an_unverified_server_is_not_kept(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct tls_pin pin;
	struct fixture f;
	bool resumed = false;

	(void)state;
	make_pin(&pin, PIN_KEY, &ca);
	for (size_t i = 0; i < 2; i++) {
		begin(&f, note_resumed, &good, TLS_IMPLICIT);
		f.peer.arg = &resumed;
		SSL_CTX_set_max_proto_version(f.peer.tls, versions[i]);
		f.c.endpoint.tls_config.pins = &pin;
		f.c.endpoint.tls_config.pin_count = 1;
		for (int again = 0; again < 3; again++) {
			client_start(&f.c);
			client_run_until_failed(&f.c);
		}
		end(&f);
		assert_false(resumed);
	}
}

/* -- octets ----------------------------------------------------------------------------------- */

#define BIG (3u << 20)

static unsigned char
octet_at(size_t i)
{
	return (unsigned char)(i * 2654435761u >> 13);
}

static void
send_big(struct peer_conn *c)
{
	unsigned char *big = malloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		big[i] = octet_at(i);
	if (peer_tls(c)) {
		peer_say(c, big, BIG);
		peer_say_line(c, "+OK done");
		if (c->number % 2 == 0)
			peer_drain(c);
	}
	free(big);
}

/* Checks each octet; pauses now and then, and takes parts of slices. */
static size_t
check_big(struct client *c, enum conn_event event, const struct conn_info *info)
{
	size_t left = BIG - c->octets, taken;

	if (event == CONN_SECURED)
		conn_expect_octets(c->conn);
	if (event != CONN_OCTETS)
		return 0;
	taken = info->len < left ? info->len : left;
	if (taken % 3 == 1) {
		conn_pause(c->conn);
		taken -= taken / 2;
	}
	for (size_t i = 0; i < taken; i++)
		assert_int_equal((unsigned char)info->data[i], octet_at(c->octets + i));
	if (taken == left)
		conn_expect_lines(c->conn);
	return taken;
}

static void
much_arrives_whole(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, send_big, &good, TLS_IMPLICIT);
	f.c.hook = check_big;
	f.c.quiet = true;
	for (int i = 0; i < 2; i++) {
		client_start(&f.c);
		while (strstr(str_text(&f.c.log), "<+OK done> ") == NULL) {
			event_base_loop(f.c.base, EVLOOP_ONCE);
			conn_resume(f.c.conn);
		}
	}
	client_run_until_failed(&f.c); /* the second time the server closes without close_notify */
	assert_string_equal(f.c.why.stage, "closed");
	end(&f);
}

static void
echo_count(struct peer_conn *c)
{
	char text[32], buf[65536];
	size_t total = 0;

	if (!peer_tls(c))
		return;
	while (total < BIG) {
		int n = SSL_read(c->ssl, buf, sizeof buf);

		if (n <= 0)
			return;
		for (int i = 0; i < n; i++, total++) {
			if ((unsigned char)buf[i] != octet_at(total))
				abort();
		}
	}
	snprintf(text, sizeof text, "+OK %zu", total);
	peer_say_line(c, text);
	peer_drain(c);
}

static void
much_leaves_whole(void **state)
{
	char *big = malloc(BIG), text[32];
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)octet_at(i);
	begin(&f, echo_count, &good, TLS_IMPLICIT);
	client_start(&f.c);
	for (size_t at = 0, n; at < BIG; at += n) {
		n = at % 77777 + 1 < BIG - at ? at % 77777 + 1 : BIG - at;
		conn_send_octets(f.c.conn, big + at, n);
		event_base_loop(f.c.base, EVLOOP_NONBLOCK);
	}
	snprintf(text, sizeof text, "<+OK %u> ", BIG);
	client_run_until(&f.c, text);
	assert_int_equal(conn_octets_out(f.c.conn), BIG);
	end(&f);
	free(big);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sessions_are_resumed_with_the_same_settings_only),
	    cmocka_unit_test(a_resumed_session_is_described_as_such),
	    cmocka_unit_test(a_session_with_an_unverified_server_is_not_kept),
	    cmocka_unit_test(tickets_without_end_leave_others_their_turn),
	    cmocka_unit_test(much_arrives_whole),
	    cmocka_unit_test(much_leaves_whole),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, make_identities, clear_identities);
}
