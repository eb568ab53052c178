#ifndef POSTRIDER_TESTS_FAKE_FETCHER_H
#define POSTRIDER_TESTS_FAKE_FETCHER_H

#include "fetch/fetcher.h"

/* A fetcher that does what the test says, in place of the real one. */
struct fetcher {
	struct fetcher_view *views;
	size_t count;
	struct fetcher_session_view *sessions;
	size_t session_count;

	/* What was asked of it. */
	char polled[64]; /* "*" for all */
	size_t polls;
	char adopted[64];
	bool adopted_all;
	fetcher_adopt_cb *adopt_cb; /* the adoption under way; the test calls it */
	void *adopt_arg;
};

#endif
