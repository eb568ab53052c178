#include "ctl/ctl_flow.h"

#include "config/config.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_flow_draw.h"
#include "ctl/ctl_flow_fold.h"
#include "ctl/ctl_flow_parse.h"
#include "ctl/ctl_log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* A log becomes items, repeated items are folded, the rest is drawn. */
struct flow {
	struct ctl_logfile_head head;
	struct ctl_flow_parse *parse;
	struct ctl_flow_fold *fold;
	struct ctl_flow_draw draw;
	bool has_begun;
};

static void
on_parsed(struct ctl_flow_item *item, void *arg)
{
	struct flow *f = arg;

	ctl_flow_fold_add(f->fold, item);
}

static void
on_item(struct ctl_flow_item *item, void *arg)
{
	struct flow *f = arg;

	ctl_flow_draw_item(&f->draw, item);
	ctl_flow_item_free(&item);
}

static void
on_left_out(size_t count, int64_t latest, void *arg)
{
	struct flow *f = arg;

	ctl_flow_draw_left_out(&f->draw, count, latest);
}

static void
on_line(struct flow *f, const char *line)
{
	struct ctl_logfile_line parsed;

	ctl_logfile_parse(&parsed, line);
	if (parsed.kind == CTL_LOGFILE_OTHER)
		return;
	if (!f->has_begun)
		ctl_flow_draw_head(&f->draw, &f->head, parsed.time);
	f->has_begun = true;
	ctl_flow_parse_line(f->parse, &parsed);
}

bool
ctl_flow_append(struct str *s, struct ctl_logfile *file, const struct ctl_screen *screen)
{
	const char *line = ctl_logfile_next(file, true);
	struct flow f = {0};

	ctl_logfile_parse_head(&f.head, line != NULL ? line : "");
	ctl_flow_draw_init(&f.draw, screen, s);
	f.fold = ctl_flow_fold_new(on_item, on_left_out, &f);
	f.parse = ctl_flow_parse_new(strcmp(f.head.protocol, "smtp") == 0, on_parsed, &f);
	while ((line = ctl_logfile_next(file, true)) != NULL)
		on_line(&f, line);
	ctl_flow_parse_end(&f.parse);
	ctl_flow_fold_end(&f.fold);
	if (f.has_begun && !file->ended)
		ctl_flow_draw_open_end(&f.draw, ctl_logfile_is_written(file));
	ctl_flow_draw_clear(&f.draw);
	ctl_logfile_clear_head(&f.head);
	return f.has_begun;
}

static int
show(const struct ctl_logs *logs, const struct ctl_logs_entry *entry)
{
	int fd = ctl_logs_open(logs, entry);
	struct ctl_logfile file;
	struct ctl_screen screen;
	struct str s = STR_INIT;
	int code = EX_OK;

	if (fd < 0)
		return ctl_log_complain(logs, entry);
	ctl_logfile_open(&file, fd);
	ctl_text_init_drawing(&screen);
	if (ctl_flow_append(&s, &file, &screen)) {
		fputs(str_text(&s), stdout);
	} else if (file.error != 0) {
		errno = file.error;
		code = ctl_log_complain(logs, entry);
	} else {
		ctl_call_complain("nothing has been said in this session yet");
		code = EX_DATAERR;
	}
	ctl_logfile_close(&file);
	str_clear(&s);
	return code;
}

int
ctl_flow_run(const struct ctl_call *call, int argc, char **argv)
{
	static const struct option none[] = {{NULL, 0, NULL, 0}};
	const struct ctl_logs_entry *entry = NULL;
	struct ctl_logs logs = {0};
	struct config *config;
	int code = EX_OK;

	if (getopt_long(argc, argv, "", none, NULL) != -1 || argc - optind != 1)
		return ctl_call_usage("flow", CTL_FLOW_OPERANDS);
	config = ctl_call_config(call, "flow", &code);
	if (config != NULL)
		entry = ctl_log_find(&logs, config, argv[optind], true, &code);
	if (entry != NULL)
		code = call->json ? ctl_log_show(&logs, entry, true) : show(&logs, entry);
	ctl_logs_clear(&logs);
	config_unref(&config);
	return code;
}
