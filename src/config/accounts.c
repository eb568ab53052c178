#include "config/accounts.h"

#include "base/xalloc.h"
#include "config/dispose.h"
#include "config/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What stands in defaults is checked by itself, whether an account uses it or not. */
static void
read_defaults(struct reader *reader, config_setting_t *root)
{
	struct pop3_config *pop3 = xcalloc(1, sizeof *pop3);
	struct smtp_config *smtp = xcalloc(1, sizeof *smtp);
	config_setting_t *defaults = reader_group(root, "defaults");
	config_setting_t *dsn = reader_group(reader_group(defaults, "smtp"), "dsn");
	struct scope top = {KEYS_DEFAULTS, "defaults", defaults, NULL, true};
	struct scope in_pop3 = {
	    KEYS_POP3, "defaults.pop3", reader_group(defaults, "pop3"), NULL, true};
	struct scope in_smtp = {
	    KEYS_SMTP, "defaults.smtp", reader_group(defaults, "smtp"), NULL, true};
	struct scope in_dsn = {KEYS_DSN, "defaults.smtp.dsn", dsn, NULL, true};

	if (defaults != NULL) {
		reader_read_keys(reader, &top, NULL);
		reader_read_keys(reader, &in_pop3, pop3);
		reader_read_keys(reader, &in_smtp, smtp);
		reader_read_keys(reader, &in_dsn, smtp);
	}
	dispose_pop3(&pop3);
	dispose_smtp(&smtp);
}

static struct pop3_config *
read_pop3(struct reader *reader, config_setting_t *own, config_setting_t *inherited)
{
	struct scope scope = {KEYS_POP3, "pop3", own, inherited, false};
	struct pop3_config *pop3 = xcalloc(1, sizeof *pop3);

	reader_read_keys(reader, &scope, pop3);
	server_finish(reader, &scope, &pop3->endpoint);
	return pop3;
}

/* Bounces are stored or sent; an own key of the two takes the place of an inherited one. */
static void
finish_bounces(
    struct reader *reader, const struct scope *scope, struct smtp_config *smtp, const char *maildir)
{
	config_setting_t *stored = reader_find(scope, "bounce_maildir");
	config_setting_t *sent = reader_find(scope, "bounce_to");

	if (stored != NULL && sent != NULL) {
		if (config_setting_parent(stored) == config_setting_parent(sent))
			reader_fault(reader, "smtp.bounce_to", reader_line(sent),
			    "bounce_maildir is given as well, expected one of the two");
		if (config_setting_parent(stored) == scope->own) {
			free(smtp->bounce_to);
			smtp->bounce_to = NULL;
		}
	}
	if (smtp->bounce_to != NULL) {
		free(smtp->bounce_maildir);
		smtp->bounce_maildir = NULL;
	} else if (smtp->bounce_maildir == NULL) {
		smtp->bounce_maildir = xstrdup(maildir);
	}
}

static struct smtp_config *
read_smtp(
    struct reader *reader, config_setting_t *own, config_setting_t *inherited, const char *maildir)
{
	struct scope scope = {KEYS_SMTP, "smtp", own, inherited, false};
	struct scope dsn = {
	    KEYS_DSN, "smtp.dsn", reader_group(own, "dsn"), reader_group(inherited, "dsn"), false};
	struct smtp_config *smtp = xcalloc(1, sizeof *smtp);

	reader_read_keys(reader, &scope, smtp);
	reader_read_keys(reader, &dsn, smtp);
	server_finish(reader, &scope, &smtp->endpoint);
	finish_bounces(reader, &scope, smtp, maildir);
	return smtp;
}

static void
read_account(struct reader *reader, config_setting_t *group, config_setting_t *defaults,
    struct account_config *account)
{
	struct scope scope = {KEYS_ACCOUNT, "accounts", group, NULL, false};
	config_setting_t *pop3 = reader_group(group, "pop3");
	config_setting_t *smtp = reader_group(group, "smtp");

	reader_read_keys(reader, &scope, account);
	if (account->addresses == NULL)
		account->addresses = xcalloc(1, sizeof(char *));
	if (pop3 != NULL)
		account->pop3 = read_pop3(reader, pop3, reader_group(defaults, "pop3"));
	if (smtp != NULL)
		account->smtp =
		    read_smtp(reader, smtp, reader_group(defaults, "smtp"), account->maildir);
	if (pop3 != NULL && reader_member(group, "maildir") == NULL)
		reader_fault(reader, "accounts.maildir", reader_line(group),
		    "this key is missing, pop3 needs it");
}

/* Only groups count: the rest was complained about, and is not an account. */
static config_setting_t *
nth_account(config_setting_t *root, size_t n)
{
	config_setting_t *list = reader_member(root, "accounts");
	int count = list != NULL && config_setting_is_list(list) ? config_setting_length(list) : 0;

	for (int i = 0; i < count; i++) {
		config_setting_t *element = config_setting_get_elem(list, (unsigned)i);

		if (config_setting_is_group(element) && n-- == 0)
			return element;
	}
	return NULL;
}

void
accounts_read(struct reader *reader, config_setting_t *root, struct config *config)
{
	config_setting_t *defaults = reader_group(root, "defaults");
	config_setting_t *group;

	read_defaults(reader, root);
	while ((group = nth_account(root, config->account_count)) != NULL) {
		config->accounts = xreallocarray(
		    config->accounts, config->account_count + 1, sizeof config->accounts[0]);
		config->accounts[config->account_count] = (struct account_config){.name = NULL};
		read_account(reader, group, defaults, &config->accounts[config->account_count++]);
	}
}

/* Where the name of a Maildir leads, when it is there. */
struct directory {
	bool exists;
	dev_t dev;
	ino_t ino;
};

/* Two accounts that are compared, the second in the file complains. */
struct pair {
	struct reader *reader;
	config_setting_t *group; /* of b */
	const struct account_config *a;
	const struct account_config *b;
	const struct directory *a_directory;
	const struct directory *b_directory;
};

static void
pair_fault(const struct pair *p, const char *key, const config_setting_t *at, const char *what)
{
	reader_fault(p->reader, key, reader_line(at != NULL ? at : p->group), "%s '%s'", what,
	    p->a->name != NULL ? p->a->name : "(without a name)");
}

/* True when the two collide, which was said then; so are the following. */
static bool
compare_names(const struct pair *p)
{
	if (p->a->name == NULL || p->b->name == NULL || strcmp(p->a->name, p->b->name) != 0)
		return false;
	pair_fault(p, "name", reader_member(p->group, "name"), "there is already an account named");
	return true;
}

static bool
compare_defaults(const struct pair *p)
{
	if (!p->a->is_default || !p->b->is_default)
		return false;
	pair_fault(
	    p, "default", reader_member(p->group, "default"), "the default account is already");
	return true;
}

/* By name, and when both are there, by what the names lead to. */
static bool
is_same_maildir(const struct pair *p)
{
	const struct directory *x = p->a_directory, *y = p->b_directory;

	if (p->a->maildir == NULL || p->b->maildir == NULL)
		return false;
	if (strcmp(p->a->maildir, p->b->maildir) == 0)
		return true;
	return x->exists && y->exists && x->dev == y->dev && x->ino == y->ino;
}

static bool
compare_maildirs(const struct pair *p)
{
	if (!is_same_maildir(p))
		return false;
	pair_fault(p, "maildir", reader_member(p->group, "maildir"),
	    "this Maildir is already that of the account");
	return true;
}

static bool
is_same_host(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);

	a_len -= a_len > 0 && a[a_len - 1] == '.';
	b_len -= b_len > 0 && b[b_len - 1] == '.';
	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

static bool
is_same_mailbox(const struct pop3_config *a, const struct pop3_config *b)
{
	if (a == NULL || b == NULL || a->endpoint.host == NULL || b->endpoint.host == NULL)
		return false;
	if (a->endpoint.port != b->endpoint.port ||
	    !is_same_host(a->endpoint.host, b->endpoint.host))
		return false;
	if (a->endpoint.user == NULL || b->endpoint.user == NULL)
		return a->endpoint.user == b->endpoint.user;
	return strcmp(a->endpoint.user, b->endpoint.user) == 0;
}

static bool
compare_mailboxes(const struct pair *p)
{
	if (!is_same_mailbox(p->a->pop3, p->b->pop3))
		return false;
	pair_fault(p, "pop3", reader_member(reader_group(p->group, "pop3"), "host"),
	    "this mailbox (host, port and user) is already that of the account");
	return true;
}

static bool
claims(const struct account_config *account, const char *address)
{
	for (char **p = account->addresses; *p != NULL; p++)
		if (strcasecmp(*p, address) == 0)
			return true;
	return false;
}

/* Each address of b, with the first account before it that claims it. */
static void
compare_addresses(struct pair *p, const struct config *config)
{
	for (char **address = p->b->addresses; *address != NULL; address++) {
		char *what;

		p->a = config->accounts;
		while (p->a < p->b && !claims(p->a, *address))
			p->a++;
		if (p->a == p->b)
			continue;
		what = xasprintf("\"%s\" is already claimed by the account", *address);
		pair_fault(p, "addresses", reader_member(p->group, "addresses"), what);
		free(what);
	}
}

static struct directory *
find_directories(const struct config *config)
{
	struct directory *list = xcalloc(config->account_count, sizeof *list);
	struct stat st;

	for (size_t i = 0; i < config->account_count; i++) {
		const char *maildir = config->accounts[i].maildir;

		if (maildir != NULL && stat(maildir, &st) == 0)
			list[i] = (struct directory){true, st.st_dev, st.st_ino};
	}
	return list;
}

void
accounts_compare(struct reader *reader, config_setting_t *root, const struct config *config)
{
	static bool (*const compare[])(const struct pair *) = {
	    compare_names, compare_defaults, compare_maildirs, compare_mailboxes};
	struct directory *directories = find_directories(config);
	const char *outer = reader->label;

	reader->label = "accounts";
	for (size_t i = 1; i < config->account_count; i++) {
		struct pair p = {reader, nth_account(root, i), NULL, &config->accounts[i], NULL,
		    &directories[i]};

		for (size_t c = 0; c < sizeof compare / sizeof compare[0]; c++) {
			for (size_t j = 0; j < i; j++) {
				p.a = &config->accounts[j];
				p.a_directory = &directories[j];
				if (compare[c](&p))
					break;
			}
		}
		compare_addresses(&p, config);
	}
	reader->label = outer;
	free(directories);
}
