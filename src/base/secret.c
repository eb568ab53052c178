#include "base/secret.h"

#include "base/xalloc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

/* One owner: the count.  The struct lies in its own locked pages, the text behind it. */
struct secret {
	size_t refs;
	size_t len;
	size_t mapped;
	char text[];
};

struct secret *
secret_new(const void *data, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t mapped = (sizeof(struct secret) + len + 1 + page - 1) / page * page;
	struct secret *s;

	s = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		_exit(EX_OSERR);
	/* RLIMIT_MEMLOCK may refuse; the secret must work all the same. */
	(void)mlock(s, mapped);
	(void)madvise(s, mapped, MADV_DONTDUMP);
	s->refs = 1;
	s->len = len;
	s->mapped = mapped;
	if (len > 0)
		memcpy(s->text, data, len);
	s->text[len] = '\0';
	return s;
}

struct secret *
secret_ref(struct secret *secret)
{
	secret->refs++;
	return secret;
}

void
secret_unref(struct secret **secret)
{
	struct secret *s = *secret;

	*secret = NULL;
	if (s == NULL || --s->refs > 0)
		return;
	secret_wipe(s->text, s->len);
	munmap(s, s->mapped);
}

const char *
secret_text(const struct secret *secret)
{
	return secret->text;
}

size_t
secret_len(const struct secret *secret)
{
	return secret->len;
}

void
secret_wipe(void *data, size_t len)
{
	explicit_bzero(data, len);
}
