#include "control/control.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "control/control_pending.h"
#include "control/control_private.h"
#include "control/control_queue.h"
#include "control/control_verbs.h"
#include "control/control_watch.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* Clients beyond the limit that are told so, before more are just cut off. */
#define REFUSED_MAX 16

static const struct control_limits usual = {
    .clients = 64,
    .line = 4096,
    .idle = 60 * 1000,
    .linger = 1000,
    .output_high = 64 * 1024,
    .output_max = 4 * 1024 * 1024,
};

static void
set_limits(struct control_limits *limits)
{
	limits->clients = limits->clients != 0 ? limits->clients : usual.clients;
	limits->line = limits->line != 0 ? limits->line : usual.line;
	limits->idle = limits->idle != 0 ? limits->idle : usual.idle;
	limits->linger = limits->linger != 0 ? limits->linger : usual.linger;
	limits->output_high = limits->output_high != 0 ? limits->output_high : usual.output_high;
	limits->output_max = limits->output_max != 0 ? limits->output_max : usual.output_max;
}

static void
on_request(struct control_client *client, char *line, void *arg)
{
	control_verbs_serve(arg, client, line);
}

static void
remove_client(struct control *control, struct client_entry *entry)
{
	control_pending_forget(control, entry->client);
	control_queue_forget(control, entry->client);
	control_watch_forget(control, entry->client);
	control_client_free(&entry->client);
	TAILQ_REMOVE(&control->clients, entry, link);
	if (entry->refused)
		control->refused_count--;
	else
		control->client_count--;
	free(entry);
}

static void
on_closed(struct control_client *client, void *arg)
{
	struct control *control = arg;
	struct client_entry *entry;

	TAILQ_FOREACH (entry, &control->clients, link) {
		if (entry->client == client) {
			remove_client(control, entry);
			return;
		}
	}
}

static const struct control_client_calls client_calls = {on_request, on_closed};

/* No memory for it: one line that fits into any socket's buffer, and away. */
static void
cut_off(int fd)
{
	static const char text[] = "{\"ok\":false,\"error\":\"too many clients\"}\n";

	(void)send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void
refuse_one_too_many(struct control_client *client, size_t limit)
{
	char text[96];

	snprintf(
	    text, sizeof text, "too many clients: there are %zu already; try again later", limit);
	control_client_refuse(client, text);
}

static void
accept_cb(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int size,
    void *arg)
{
	struct control *control = arg;
	const struct control_limits *limits = &control->settings.limits;
	bool refused = control->client_count >= limits->clients;
	struct client_entry *entry;

	(void)listener;
	(void)address;
	(void)size;
	if (refused && control->refused_count >= REFUSED_MAX) {
		cut_off(fd);
		return;
	}
	entry = xcalloc(1, sizeof *entry);
	entry->refused = refused;
	entry->client =
	    control_client_new(control->settings.base, fd, limits, &client_calls, control);
	TAILQ_INSERT_TAIL(&control->clients, entry, link);
	if (refused) {
		control->refused_count++;
		refuse_one_too_many(entry->client, limits->clients);
	} else {
		control->client_count++;
	}
}

/* Out of descriptors: trying again at once would spin. */
static void
accept_error_cb(struct evconnlistener *listener, void *arg)
{
	static const struct timeval second = {.tv_sec = 1};
	struct control *control = arg;

	log_warning("reason=cannot accept a control client: %s", strerror(errno));
	evconnlistener_disable(listener);
	event_add(control->accept_again, &second);
}

static void
accept_again_cb(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	(void)fd;
	(void)what;
	evconnlistener_enable(control->listener);
}

/* The descriptor stays the socket's: closing it belongs to removing the file. */
static void
start_listening(struct control *control)
{
	control->listener = evconnlistener_new(control->settings.base, accept_cb, control,
	    LEV_OPT_CLOSE_ON_EXEC, 0, control->socket.fd);
	if (control->listener == NULL)
		exit(EX_OSERR);
	evconnlistener_set_error_cb(control->listener, accept_error_cb);
}

static void
stop_listening(struct control *control)
{
	event_del(control->accept_again);
	evconnlistener_free(control->listener);
	control->listener = NULL;
}

struct control *
control_new(const struct control_settings *settings, struct verdict *why)
{
	const struct control_config *config = &settings->config->control;
	struct control *control;
	struct control_socket s;

	if (settings->listen_fd >= 0 ? !control_socket_take(&s, settings->listen_fd, config, why)
				     : !control_socket_open(&s, config, why))
		return NULL;
	control = xcalloc(1, sizeof *control);
	control->settings = *settings;
	set_limits(&control->settings.limits);
	control->settings.config = NULL;
	control->config = config_ref(settings->config);
	control->socket = s;
	control->mono_started = clock_mono() - (clock_wall() - settings->started);
	TAILQ_INIT(&control->clients);
	TAILQ_INIT(&control->adopting);
	TAILQ_INIT(&control->reloading);
	TAILQ_INIT(&control->reload_next);
	TAILQ_INIT(&control->questions);
	TAILQ_INIT(&control->watchers);
	control->accept_again = evtimer_new(settings->base, accept_again_cb, control);
	if (control->accept_again == NULL)
		exit(EX_OSERR);
	start_listening(control);
	return control;
}

void
control_free(struct control **controlp)
{
	struct control *control = *controlp;
	struct client_entry *entry;

	*controlp = NULL;
	if (control == NULL)
		return;
	stop_listening(control);
	control_socket_close(&control->socket);
	control_pending_abandon(control);
	control_queue_abandon(control);
	while ((entry = TAILQ_FIRST(&control->clients)) != NULL)
		remove_client(control, entry);
	event_free(control->accept_again);
	config_unref(&control->config);
	free(control);
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
move_socket(struct control *control, const struct control_config *config)
{
	struct control_socket moved;
	struct verdict why = VERDICT_OK;

	if (!control_socket_open(&moved, config, &why)) {
		log_error("reason=the control socket stays where it was: %s", why.text);
		return;
	}
	stop_listening(control);
	control_socket_close(&control->socket);
	control->socket = moved;
	start_listening(control);
}

/* Follows control.socket, mode and group.  What the service manager made is the manager's. */
static void
follow_socket(struct control *control, const struct control_config *before,
    const struct control_config *after)
{
	struct verdict why = VERDICT_OK;

	if (control->socket.path == NULL) {
		if (!same_text(before->socket, after->socket))
			control_socket_compare(&control->socket, after);
		return;
	}
	if (!same_text(control->socket.path, after->socket) ||
	    !control_socket_is_in_place(&control->socket))
		move_socket(control, after);
	else if ((before->mode != after->mode || !same_text(before->group, after->group)) &&
		 !control_socket_protect(&control->socket, after, &why))
		log_error("reason=the control socket keeps its mode and group: %s", why.text);
}

void
control_configure(struct control *control, struct config *config)
{
	struct config *before = control->config;

	control->config = config_ref(config);
	follow_socket(control, &before->control, &config->control);
	config_unref(&before);
}

void
control_set_stopping(struct control *control)
{
	control->stopping = true;
}
