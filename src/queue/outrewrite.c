#include "queue/outrewrite.h"

#include "base/xalloc.h"
#include "proto/rfc5322_domain.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a.  The ID is unique on this machine, the host below makes it so elsewhere. */
static uint64_t
hash_text(const char *text)
{
	uint64_t hash = 14695981039346656037u;

	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
		hash = (hash ^ *p) * 1099511628211u;
	return hash;
}

static const char *
domain_of(const char *address)
{
	const char *at = address != NULL ? strrchr(address, '@') : NULL;

	return at != NULL && at[1] != '\0' ? at + 1 : NULL;
}

static char *
make_message_id(const char *id, const char *sender, int64_t queued, const struct outrewrite *r)
{
	const char *domain = domain_of(r->header_from);
	char *host, *result;

	if (domain == NULL)
		domain = domain_of(sender);
	if (domain == NULL)
		domain = domain_of(r->from);
	if (domain == NULL)
		domain = r->local_domain;
	host = domain != NULL ? rfc5322_domain_to_ascii(domain) : NULL;
	result =
	    rfc5322_rewrite_message_id(queued, hash_text(id), host != NULL ? host : "localhost");
	free(host);
	return result;
}

void
outrewrite_init(struct outrewrite *r, const char *id, const char *sender, int64_t queued,
    const struct outreader_rewrite *wish)
{
	memset(r, 0, sizeof *r);
	r->from = xstrdup(wish->from);
	r->header_from = xstrdup(wish->header_from);
	r->local_domain = xstrdup(wish->local_domain);
	r->message_id = make_message_id(id, sender, queued, r);
	rfc5322_date_format(queued, rfc5322_date_local_offset(queued), r->date);
	r->rewrite = (struct rfc5322_rewrite){.date = r->date,
	    .message_id = r->message_id,
	    .from = r->from,
	    .header_from = r->header_from,
	    .local_domain = r->local_domain};
}

void
outrewrite_clear(struct outrewrite *r)
{
	free(r->message_id);
	free(r->from);
	free(r->header_from);
	free(r->local_domain);
	memset(r, 0, sizeof *r);
}
