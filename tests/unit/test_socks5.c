#include "unit.h"

#include "net/socks5.h"

#include <string.h>

struct dialogue {
	const char *host;
	const char *user;
	const char *password;
	const char *answers; /* everything that the proxy says */
	size_t answers_len;
	const char *sent; /* everything that is sent */
	size_t sent_len;
	enum socks5_result result;
	enum fail kind;
	size_t left; /* octets of the answers that are the server's */
};

#define BYTES(s) s, sizeof s - 1

static const struct dialogue dialogues[] = {
    {"pop.example.org", NULL, NULL, BYTES("\5\0\5\0\0\1\1\2\3\4\0\7+OK"),
	BYTES("\5\1\0\5\1\0\3\17pop.example.org\3\343"), SOCKS5_DONE, FAIL_NONE, 3},
    {"192.0.2.1", NULL, NULL, BYTES("\5\0\5\0\0\4aaaabbbbccccdddd\0\7"),
	BYTES("\5\1\0\5\1\0\1\300\0\2\1\3\343"), SOCKS5_DONE, FAIL_NONE, 0},
    {"2001:db8::1", NULL, NULL, BYTES("\5\0\5\0\0\3\4name\0\7"),
	BYTES("\5\1\0\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\3\343"), SOCKS5_DONE, FAIL_NONE,
	0},
    {"h", "me", "secret", BYTES("\5\2\1\0\5\0\0\1\1\2\3\4\0\7"),
	BYTES("\5\2\0\2\1\2me\6secret\5\1\0\3\1h\3\343"), SOCKS5_DONE, FAIL_NONE, 0},
    {"h", "me", "secret", BYTES("\5\0\5\0\0\1\1\2\3\4\0\7"), BYTES("\5\2\0\2\5\1\0\3\1h\3\343"),
	SOCKS5_DONE, FAIL_NONE, 0},
    {"h", "me", "secret", BYTES("\5\2\1\1"), BYTES("\5\2\0\2\1\2me\6secret"), SOCKS5_FAILED,
	FAIL_NETWORK, 0},
    {"h", NULL, NULL, BYTES("\5\377"), BYTES("\5\1\0"), SOCKS5_FAILED, FAIL_NETWORK, 0},
    {"h", NULL, NULL, BYTES("\5\2"), BYTES("\5\1\0"), SOCKS5_FAILED, FAIL_PROTOCOL, 0},
    {"h", NULL, NULL, BYTES("HTTP/1.1 400"), BYTES("\5\1\0"), SOCKS5_FAILED, FAIL_PROTOCOL, 0},
    {"h", NULL, NULL, BYTES("\5\0\5\5\0\1\0\0\0\0\0\0"), BYTES("\5\1\0\5\1\0\3\1h\3\343"),
	SOCKS5_FAILED, FAIL_NETWORK, 0},
    {"h", NULL, NULL, BYTES("\5\0\5\377\0\1\0\0\0\0\0\0"), BYTES("\5\1\0\5\1\0\3\1h\3\343"),
	SOCKS5_FAILED, FAIL_NETWORK, 0},
    {"h", NULL, NULL, BYTES("\5\0\5\0\0\2\0\0\0\0\0\0"), BYTES("\5\1\0\5\1\0\3\1h\3\343"),
	SOCKS5_FAILED, FAIL_PROTOCOL, 0},
    {"h", NULL, NULL, BYTES("\5\0\5\0\0\1\0\0\0"), BYTES("\5\1\0\5\1\0\3\1h\3\343"), SOCKS5_MORE,
	FAIL_NONE, 0},
};

/* Feeds the answers in pieces that end at cut and at the end. */
static void
play(const struct dialogue *d, size_t cut)
{
	struct socks5 s = {.host = d->host, .port = 995, .user = d->user, .password = d->password};
	const uint8_t *answers = (const uint8_t *)d->answers;
	enum socks5_result result;
	struct str sent = STR_INIT;
	struct verdict why = VERDICT_OK;
	size_t at, used;

	assert_true(socks5_start(&s, &sent, &why));
	result = socks5_feed(&s, answers, cut, &at, &sent, &why);
	if (result == SOCKS5_MORE) {
		result = socks5_feed(&s, answers + at, d->answers_len - at, &used, &sent, &why);
		at += used;
	}
	assert_int_equal(result, d->result);
	assert_int_equal(why.kind, d->kind);
	assert_int_equal(sent.len, d->sent_len);
	assert_memory_equal(sent.data, d->sent, sent.len);
	if (result == SOCKS5_DONE)
		assert_int_equal(d->answers_len - at, d->left);
	str_clear(&sent);
}

static void
dialogues_cut_at_each_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++) {
		for (size_t cut = 0; cut <= dialogues[i].answers_len; cut++)
			play(&dialogues[i], cut);
	}
}

static void
fields_that_do_not_fit_are_refused(void **state)
{
	struct str sent = STR_INIT;
	struct verdict why;
	char longer[257];

	(void)state;
	memset(longer, 'a', 256);
	longer[256] = '\0';
	const struct socks5 bad[] = {
	    {.host = longer},
	    {.host = "h", .user = longer, .password = "x"},
	    {.host = "h", .user = "me", .password = longer},
	    {.host = "h", .user = "", .password = "x"},
	    {.host = "h", .user = "me", .password = NULL},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct socks5 s = bad[i];

		assert_false(socks5_start(&s, &sent, &why));
		assert_int_equal(why.kind, FAIL_CONFIG);
	}
	str_clear(&sent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dialogues_cut_at_each_byte),
	    cmocka_unit_test(fields_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
