#include "fake_fetcher.h"

#include <stdio.h>
#include <string.h>

struct fetcher *
fetcher_new(const struct fetcher_settings *settings)
{
	(void)settings;
	return NULL;
}

void
fetcher_free(struct fetcher **fetcher)
{
	*fetcher = NULL;
}

void
fetcher_configure(struct fetcher *fetcher, struct config *config)
{
	(void)fetcher;
	(void)config;
}

static enum fetcher_answer
find(const struct fetcher *fetcher, const char *account)
{
	for (size_t i = 0; i < fetcher->count; i++) {
		if (strcmp(fetcher->views[i].account, account) == 0)
			return fetcher->views[i].server != NULL ? FETCHER_STARTED
								: FETCHER_DISABLED;
	}
	return FETCHER_NO_SUCH_ACCOUNT;
}

enum fetcher_answer
fetcher_poll(struct fetcher *fetcher, const char *account)
{
	enum fetcher_answer answer = account == NULL ? FETCHER_STARTED : find(fetcher, account);

	if (answer == FETCHER_STARTED) {
		snprintf(
		    fetcher->polled, sizeof fetcher->polled, "%s", account != NULL ? account : "*");
		fetcher->polls++;
	}
	return answer;
}

enum fetcher_answer
fetcher_adopt(
    struct fetcher *fetcher, const char *account, bool all, fetcher_adopt_cb *cb, void *arg)
{
	enum fetcher_answer answer = find(fetcher, account);

	if (answer != FETCHER_STARTED)
		return answer;
	snprintf(fetcher->adopted, sizeof fetcher->adopted, "%s", account);
	fetcher->adopted_all = all;
	fetcher->adopt_cb = cb;
	fetcher->adopt_arg = arg;
	return answer;
}

void
fetcher_once(struct fetcher *fetcher, fetcher_once_cb *cb, void *arg)
{
	(void)fetcher;
	cb(0, arg);
}

void
fetcher_stop(struct fetcher *fetcher, fetcher_stopped_cb *cb, void *arg)
{
	(void)fetcher;
	cb(arg);
}

size_t
fetcher_count(const struct fetcher *fetcher)
{
	return fetcher->count;
}

void
fetcher_view(const struct fetcher *fetcher, size_t index, struct fetcher_view *view)
{
	*view = fetcher->views[index];
}

size_t
fetcher_session_count(const struct fetcher *fetcher)
{
	return fetcher->session_count;
}

void
fetcher_session_view(const struct fetcher *fetcher, size_t index, struct fetcher_session_view *view)
{
	*view = fetcher->sessions[index];
}
