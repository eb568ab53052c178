#include "net/transcript_hidden.h"

#include "base/secret.h"
#include "base/xalloc.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX_LEN 4 /* shorter ones are matched as whole words only */
#define MASK         "****"

void
transcript_hidden_clear(struct transcript_hidden *h)
{
	for (size_t i = 0; i < h->count; i++)
		secret_unref(&h->list[i]);
	free(h->list);
	*h = (struct transcript_hidden){0};
}

static bool
is_known(const struct transcript_hidden *h, const char *octets, size_t len)
{
	for (size_t i = 0; i < h->count; i++) {
		if (secret_len(h->list[i]) == len &&
		    memcmp(secret_text(h->list[i]), octets, len) == 0)
			return true;
	}
	return false;
}

/* The longest first, so that one that begins another does not leave the other's end. */
static void
add_one(struct transcript_hidden *h, const char *octets, size_t len)
{
	size_t at = 0;

	if (len == 0 || is_known(h, octets, len))
		return;
	while (at < h->count && secret_len(h->list[at]) >= len)
		at++;
	h->list = xreallocarray(h->list, h->count + 1, sizeof *h->list);
	memmove(h->list + at + 1, h->list + at, (h->count - at) * sizeof *h->list);
	h->list[at] = secret_new(octets, len);
	h->count++;
}

/* Without its padding, so that it is found with and without. */
static void
add_base64(struct transcript_hidden *h, const char *octets, size_t len)
{
	size_t size = (len + 2) / 3 * 4 + 1;
	char *text = xmalloc(size);
	size_t n =
	    (size_t)EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)octets, (int)len);

	while (n > 0 && text[n - 1] == '=')
		n--;
	add_one(h, text, n);
	secret_wipe(text, size);
	free(text);
}

static void
add_escaped(struct transcript_hidden *h, const char *octets, size_t len)
{
	struct str s = STR_INIT;

	str_append_escaped(&s, octets, len);
	add_one(h, s.data, s.len);
	secret_wipe(s.data, s.cap);
	str_clear(&s);
}

void
transcript_hidden_add(struct transcript_hidden *h, const char *octets, size_t len)
{
	if (len == 0 || len > (1u << 20))
		return;
	add_one(h, octets, len);
	add_base64(h, octets, len);
	add_escaped(h, octets, len);
}

static bool
is_word_octet(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The hidden string that stands at this place of the line, or NULL. */
static const struct secret *
match_at(const struct transcript_hidden *h, const char *line, size_t len, size_t at)
{
	for (size_t i = 0; i < h->count; i++) {
		size_t n = secret_len(h->list[i]);

		if (n > len - at || memcmp(line + at, secret_text(h->list[i]), n) != 0)
			continue;
		if (n >= WORD_MAX_LEN || ((at == 0 || !is_word_octet(line[at - 1])) &&
					     (at + n == len || !is_word_octet(line[at + n]))))
			return h->list[i];
	}
	return NULL;
}

bool
transcript_hidden_is_clean(const struct transcript_hidden *h, const char *line, size_t len)
{
	for (size_t i = 0; i < h->count; i++) {
		if (memmem(line, len, secret_text(h->list[i]), secret_len(h->list[i])) != NULL)
			return false;
	}
	return true;
}

void
transcript_hidden_apply(
    const struct transcript_hidden *h, const char *line, size_t len, struct str *out)
{
	const struct secret *found;

	for (size_t at = 0; at < len;) {
		found = match_at(h, line, len, at);
		if (found == NULL) {
			str_append_char(out, line[at++]);
			continue;
		}
		str_append_text(out, MASK);
		at += secret_len(found);
		while (at < len && line[at] == '=') /* padding of base64 */
			at++;
	}
}
