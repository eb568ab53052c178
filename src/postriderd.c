/*
 * postriderd: options and signals, and the wiring of the rooms.  See doc/ARCHITECTURE.md.
 */
#include "auth/vault.h"
#include "base/activation.h"
#include "base/clock.h"
#include "base/events.h"
#include "base/lag.h"
#include "base/log.h"
#include "base/worker.h"
#include "base/xalloc.h"
#include "config/config.h"
#include "control/control.h"
#include "deliver/deliverer.h"
#include "fetch/fetcher.h"
#include "net/log_keeper.h"
#include "net/net.h"
#include "net/net_watch.h"
#include "reloader.h"
#include "service.h"
#include "store/mailbox.h"

#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

/* How long the reply to a final dot is waited for beyond shutdown_timeout, in seconds. */
enum { FATE_PATIENCE = 50 };

/* Seconds more to record that nobody knows. */
enum { RECORD_PATIENCE = 5 };

struct options {
	char *file;
	bool test;
	bool once;
	bool verbose;
};

/* Everything the daemon owns; lives from main() to its end. */
struct postriderd {
	struct options options;
	struct event_base *base;
	struct config *config;
	struct store *store;
	struct net *net;
	struct vault *vault;
	struct worker *log_worker;
	struct log_keeper *log_keeper;
	struct worker *load_worker;
	struct events events; /* of both sides, heard by control */
	struct fetcher *fetcher;
	struct deliverer *deliverer;
	struct control *control;
	int control_fd; /* from the service manager, until control has it; -1: none */
	struct service *service;
	struct lag *lag;
	struct net_watch *net_watch; /* NULL with --once */
	struct event *signals[3];
	struct event *patience; /* the end of shutdown_timeout */
	struct reloader *reloader;
	int64_t started;
	bool stopping;
	unsigned running;      /* of fetcher and deliverer: how many have not stopped yet */
	unsigned once_running; /* the same for --once */
	bool stopped;
	bool waits_for_fate; /* shutdown_timeout is over, and a final dot still unanswered */
	bool abandons_fate;  /* so is the minute for that: it is being recorded as unknown */
	int exit_code;
};

/* -- options --------------------------------------------------------------------------------- */

static void
print_usage(FILE *out)
{
	fprintf(out, "usage: postriderd [-c FILE] [-t] [--once] [-v] [-V] [-h]\n"
		     "  -c FILE   configuration\n"
		     "  -t        check the configuration completely and exit\n"
		     "  --once    fetch from every account and send what is due, then exit\n"
		     "  -v        log at level debug\n"
		     "  -V        print the version\n"
		     "  -h        print this help\n");
}

static _Noreturn void
usage_error(void)
{
	print_usage(stderr);
	exit(EX_USAGE);
}

static struct options
parse_options(int argc, char **argv)
{
	static const struct option long_options[] = {{"once", no_argument, NULL, 'o'},
	    {"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct options o = {0};
	int c;

	while ((c = getopt_long(argc, argv, "+c:tvVh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			free(o.file);
			o.file = xstrdup(optarg);
			break;
		case 't':
			o.test = true;
			break;
		case 'o':
			o.once = true;
			break;
		case 'v':
			o.verbose = true;
			break;
		case 'V':
			printf("postriderd %s\n", PACKAGE_VERSION);
			exit(EX_OK);
		case 'h':
			print_usage(stdout);
			exit(EX_OK);
		default:
			usage_error();
		}
	}
	if (optind < argc) {
		fprintf(stderr, "postriderd: unexpected operand '%s'\n", argv[optind]);
		usage_error();
	}
	if (o.file == NULL)
		o.file = config_find();
	return o;
}

/* -- configuration --------------------------------------------------------------------------- */

/* Every fault, on standard error; EX_OK, EX_NOINPUT or EX_CONFIG. */
static int
load_config(const char *file, struct config **config)
{
	struct config_faults faults = {0};
	bool unreadable = false;

	*config = config_load(file, &faults, &unreadable);
	for (size_t i = 0; i < faults.count; i++)
		fprintf(stderr, "%s\n", faults.text[i]);
	config_faults_clear(&faults);
	if (*config != NULL)
		return EX_OK;
	return unreadable ? EX_NOINPUT : EX_CONFIG;
}

static void
apply_log_level(const struct postriderd *d)
{
	log_set_level(d->options.verbose ? LOG_LEVEL_DEBUG : d->config->log.level);
}

/* What is opened once cannot change under a running daemon; that must not pass in silence. */
static void
warn_of_fixed_settings(const struct config *old, const struct config *new)
{
	if (strcmp(old->state, new->state) != 0)
		log_warning("state = \"%s\" takes effect when the daemon is restarted", new->state);
	if (strcmp(old->spool, new->spool) != 0)
		log_warning("spool = \"%s\" takes effect when the daemon is restarted", new->spool);
}

/* Settings are checked before they are used; that must not pass in silence either. */
static void
warn_of_unused_settings(const struct config *config)
{
	if (config->submission != NULL)
		log_warning("submission: its settings are checked, but this version does not "
			    "listen yet");
}

static void
apply_config(struct postriderd *d, struct config *config)
{
	struct config *old = d->config;

	warn_of_fixed_settings(old, config);
	warn_of_unused_settings(config);
	d->config = config;
	apply_log_level(d);
	net_forget(d->net);
	vault_forget(d->vault);
	log_keeper_configure(d->log_keeper, &config->log);
	control_configure(d->control, config);
	fetcher_configure(d->fetcher, config);
	deliverer_configure(d->deliverer, config);
	config_unref(&old);
	log_info("configuration %s reloaded: %zu accounts", config->file, config->account_count);
	events_tell(&d->events, &(struct happening){.kind = HAPPENED_CONFIG_RELOADED,
				    .accounts = config->account_count});
}

static void
on_reload_begun(void *arg)
{
	struct postriderd *d = arg;

	service_begin_reload(d->service);
}

static void
on_reload_over(struct config *loaded, const struct config_faults *faults, void *arg)
{
	struct postriderd *d = arg;

	if (d->stopping) {
		config_unref(&loaded);
	} else if (loaded != NULL) {
		apply_config(d, loaded);
	} else {
		for (size_t i = 0; i < faults->count; i++)
			log_error("%s", faults->text[i]);
		log_error("the configuration was not reloaded: the old one stays in force");
	}
	service_end_reload(d->service, faults->count);
}

static const struct reloader_handler reloader_handler = {
    .begun = on_reload_begun,
    .over = on_reload_over,
};

/* -- stopping -------------------------------------------------------------------------------- */

static void
on_room_stopped(void *arg)
{
	struct postriderd *d = arg;

	if (--d->running > 0)
		return;
	d->stopped = true;
	event_base_loopbreak(d->base);
}

static void
patience_cb(evutil_socket_t fd, short what, void *arg)
{
	struct postriderd *d = arg;
	static const struct timeval longer = {FATE_PATIENCE, 0}, recording = {RECORD_PATIENCE, 0};

	(void)fd;
	(void)what;
	/* The answer to a final dot decides whether mail is sent twice: it is worth a minute. */
	if (!d->waits_for_fate && deliverer_awaits_fate(d->deliverer)) {
		d->waits_for_fate = true;
		service_stop(d->service, longer.tv_sec * 1000);
		evtimer_add(d->patience, &longer);
		return;
	}
	if (!d->abandons_fate && deliverer_awaits_fate(d->deliverer)) {
		d->abandons_fate = true;
		deliverer_abandon_fate(d->deliverer);
		evtimer_add(d->patience, &recording);
		return;
	}
	log_warning("not everything ended within shutdown_timeout: what is not stored is fetched "
		    "again next time, what is not answered is tried again");
	_exit(d->exit_code);
}

static void
begin_stop(struct postriderd *d)
{
	struct timeval tv = {
	    d->config->shutdown_timeout / 1000, d->config->shutdown_timeout % 1000 * 1000};

	if (d->stopping)
		return;
	d->stopping = true;
	reloader_stop(d->reloader);
	service_stop(d->service, d->config->shutdown_timeout);
	log_info("stopping");
	if (d->control != NULL)
		control_set_stopping(d->control);
	evtimer_add(d->patience, &tv);
	d->running = 2;
	fetcher_stop(d->fetcher, on_room_stopped, d);
	deliverer_stop(d->deliverer, on_room_stopped, d);
}

static void
signal_cb(evutil_socket_t number, short what, void *arg)
{
	struct postriderd *d = arg;

	(void)what;
	if (number == SIGHUP) {
		if (d->options.once)
			log_info("SIGHUP is ignored: --once reads its configuration once");
		else
			reloader_start(d->reloader, NULL, NULL);
		return;
	}
	if (d->options.once && !d->stopping)
		d->exit_code = EX_TEMPFAIL; /* cut short */
	begin_stop(d);
}

/* -- the network ------------------------------------------------------------------------------ */

static void
on_network(enum net_watch_news news, void *arg)
{
	struct postriderd *d = arg;

	if (d->stopping)
		return;
	log_info("%s: what waits after trouble is tried again",
	    news == NET_WATCH_RESUMED ? "back from suspend" : "the network has changed");
	net_forget(d->net);
	fetcher_wake(d->fetcher, news == NET_WATCH_RESUMED);
	deliverer_wake(d->deliverer);
}

/* -- what the control socket asks for -------------------------------------------------------- */

static void
on_control_reload(control_reload_done *done, void *done_arg, void *arg)
{
	struct postriderd *d = arg;

	reloader_start(d->reloader, done, done_arg);
}

static void
on_control_stop(void *arg)
{
	begin_stop(arg);
}

static int64_t
on_control_lag(void *arg)
{
	struct postriderd *d = arg;

	return lag_max(d->lag);
}

static const struct control_calls control_calls = {
    .reload = on_control_reload,
    .stop = on_control_stop,
    .lag_max_ms = on_control_lag,
};

/* -- life ------------------------------------------------------------------------------------ */

static int
report(const struct verdict *why, int code)
{
	log_error("%s", why->text);
	return code;
}

static int
open_store(struct postriderd *d)
{
	struct verdict why;

	d->store = store_open(d->base, d->config->state, &why);
	if (d->store == NULL)
		return report(&why, why.code == EWOULDBLOCK ? EX_TEMPFAIL : EX_CANTCREAT);
	return EX_OK;
}

static int
open_control(struct postriderd *d)
{
	const struct control_settings settings = {
	    .base = d->base,
	    .fetcher = d->fetcher,
	    .deliverer = d->deliverer,
	    .events = &d->events,
	    .config = d->config,
	    .listen_fd = d->control_fd,
	    .version = PACKAGE_VERSION,
	    .started = d->started,
	    .calls = &control_calls,
	    .arg = d,
	};
	struct verdict why;

	d->control_fd = -1;
	d->control = control_new(&settings, &why);
	return d->control != NULL ? EX_OK : report(&why, EX_CANTCREAT);
}

static int
open_deliverer(struct postriderd *d)
{
	const struct deliverer_settings settings = {
	    .base = d->base,
	    .net = d->net,
	    .store = d->store,
	    .vault = d->vault,
	    .log_worker = d->log_worker,
	    .load_worker = d->load_worker,
	    .events = &d->events,
	};
	struct verdict why;

	d->deliverer = deliverer_new(&settings, d->config, &why);
	return d->deliverer != NULL ? EX_OK : report(&why, EX_CANTCREAT);
}

static void
open_rooms(struct postriderd *d)
{
	d->net = net_new(d->base);
	d->vault = vault_new(d->base);
	d->log_worker = worker_new(d->base, "session-logs", NULL, NULL);
	d->log_keeper = log_keeper_new(d->base, d->log_worker, &d->config->log);
	d->load_worker = worker_new(d->base, "configuration", NULL, NULL);
	d->reloader = reloader_new(d->load_worker, d->options.file, &reloader_handler, d);
	d->lag = lag_new(d->base);

	const struct fetcher_settings settings = {
	    .base = d->base,
	    .net = d->net,
	    .store = d->store,
	    .vault = d->vault,
	    .log_worker = d->log_worker,
	    .events = &d->events,
	};
	d->fetcher = fetcher_new(&settings);
}

static void
watch_signals(struct postriderd *d)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		d->signals[i] = evsignal_new(d->base, numbers[i], signal_cb, d);
		evsignal_add(d->signals[i], NULL);
	}
	d->patience = evtimer_new(d->base, patience_cb, d);
}

static void
close_rooms(struct postriderd *d)
{
	net_watch_free(&d->net_watch);
	control_free(&d->control);
	fetcher_free(&d->fetcher);
	deliverer_free(&d->deliverer);
	worker_free(&d->load_worker);
	reloader_free(&d->reloader);
	service_free(&d->service);
	vault_free(&d->vault);
	net_free(&d->net);
	log_keeper_free(&d->log_keeper);
	worker_free(&d->log_worker);
	store_close(&d->store);
	lag_free(&d->lag);
	for (size_t i = 0; i < sizeof d->signals / sizeof d->signals[0]; i++)
		if (d->signals[i] != NULL)
			event_free(d->signals[i]);
	if (d->patience != NULL)
		event_free(d->patience);
	config_unref(&d->config);
	event_base_free(d->base);
	libevent_global_shutdown();
}

static void
run_loop(struct postriderd *d)
{
	while (!d->stopped && event_base_loop(d->base, EVLOOP_ONCE) == 0) {
		lag_watch(d->lag, fetcher_is_busy(d->fetcher) || deliverer_is_busy(d->deliverer));
		service_turn(d->service);
	}
}

static void
on_pruned(void *arg)
{
	begin_stop(arg);
}

/* Nobody else prunes the session logs where no daemon runs. */
static void
on_once(size_t failed, void *arg)
{
	struct postriderd *d = arg;

	if (failed > 0)
		d->exit_code = EX_TEMPFAIL;
	if (--d->once_running == 0)
		log_keeper_run(d->log_keeper, on_pruned, d);
}

static void
start_once(struct postriderd *d)
{
	d->once_running = 2;
	fetcher_once(d->fetcher, on_once, d);
	deliverer_once(d->deliverer, on_once, d);
}

static int
run_daemon(struct postriderd *d)
{
	int code = open_store(d);

	if (code != EX_OK)
		return code;
	open_rooms(d);
	if ((code = open_deliverer(d)) != EX_OK)
		return code;
	d->service = service_new(d->base, d->fetcher, d->deliverer);
	if (!d->options.once && (code = open_control(d)) != EX_OK)
		return code;
	fetcher_configure(d->fetcher, d->config);
	deliverer_configure(d->deliverer, d->config);
	if (d->options.once)
		start_once(d);
	else
		d->net_watch = net_watch_new(d->base, on_network, d);
	warn_of_unused_settings(d->config);
	log_info("postriderd %s started: %s, %zu accounts", PACKAGE_VERSION, d->config->file,
	    d->config->account_count);
	run_loop(d);
	return d->exit_code;
}

/* Passwords and mail have no business in a file that a crash leaves behind. */
static void
refuse_core_dumps(void)
{
	static const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
}

/*
 * What a unit gives by AmbientCapabilities= stays ours until the next execve(2), and is no business
 * of password commands and hooks.  Before any thread starts: each has a set of its own.
 */
static void
keep_capabilities_to_ourselves(void)
{
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

int
main(int argc, char **argv)
{
	struct postriderd d = {.options = parse_options(argc, argv), .started = clock_wall()};
	int code = load_config(d.options.file, &d.config);

	if (code != EX_OK || d.options.test) {
		if (code == EX_OK)
			printf("%s: no faults\n", d.options.file);
		config_unref(&d.config);
		free(d.options.file);
		return code;
	}
	refuse_core_dumps();
	keep_capabilities_to_ourselves();
	apply_log_level(&d);
	d.control_fd = activation_take("control");
	d.base = event_base_new();
	if (d.base == NULL)
		return EX_OSERR;
	watch_signals(&d);
	code = run_daemon(&d);
	close_rooms(&d);
	free(d.options.file);
	return code;
}
