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
		secret_unref(&h->list[i].text);
	free(h->list);
	*h = (struct transcript_hidden){0};
}

static bool
is_known(const struct transcript_hidden *h, const char *octets, size_t len)
{
	for (size_t i = 0; i < h->count; i++) {
		if (secret_len(h->list[i].text) == len &&
		    memcmp(secret_text(h->list[i].text), octets, len) == 0)
			return true;
	}
	return false;
}

/* The longest first, so that one that begins another does not leave the other's end. */
static void
add_one(struct transcript_hidden *h, const char *octets, size_t len, bool has_pieces)
{
	size_t at = 0;

	if (len == 0 || is_known(h, octets, len))
		return;
	while (at < h->count && secret_len(h->list[at].text) >= len)
		at++;
	h->list = xreallocarray(h->list, h->count + 1, sizeof *h->list);
	memmove(h->list + at + 1, h->list + at, (h->count - at) * sizeof *h->list);
	h->list[at] = (struct transcript_hidden_string){secret_new(octets, len), has_pieces};
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
	add_one(h, text, n, true);
	secret_wipe(text, size);
	free(text);
}

static void
add_escaped(struct transcript_hidden *h, const char *octets, size_t len)
{
	struct str s = STR_INIT;

	str_append_escaped(&s, octets, len);
	add_one(h, s.data, s.len, false);
	secret_wipe(s.data, s.cap);
	str_clear(&s);
}

/* One with control characters is put together: from a name, among others, which may be shown. */
static bool
is_plain(const char *octets, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)octets[i] < 0x20)
			return false;
	return true;
}

void
transcript_hidden_add(struct transcript_hidden *h, const char *octets, size_t len)
{
	if (len == 0 || len > (1u << 20))
		return;
	add_one(h, octets, len, is_plain(octets, len));
	add_base64(h, octets, len);
	add_escaped(h, octets, len);
}

static bool
is_word_octet(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* So many octets of a hidden string stand at this place of the line: all of it, or none. */
static size_t
match_whole(const struct transcript_hidden *h, const char *line, size_t len, size_t at)
{
	for (size_t i = 0; i < h->count; i++) {
		size_t n = secret_len(h->list[i].text);

		if (n > len - at || memcmp(line + at, secret_text(h->list[i].text), n) != 0)
			continue;
		if (n >= WORD_MAX_LEN || ((at == 0 || !is_word_octet(line[at - 1])) &&
					     (at + n == len || !is_word_octet(line[at + n]))))
			return n;
	}
	return 0;
}

/* How far the line goes on as the string does, which it does for a piece at least; or 0. */
static size_t
measure_piece(const struct secret *secret, const char *line, size_t len)
{
	const char *text = secret_text(secret), *end = text + secret_len(secret);
	size_t n = TRANSCRIPT_PIECE_MIN;
	const char *found = memmem(text, secret_len(secret), line, n);

	if (found == NULL)
		return 0;
	while (n < len && found + n < end && found[n] == line[n])
		n++;
	return n;
}

static size_t
match_piece(const struct transcript_hidden *h, const char *line, size_t len, size_t at)
{
	size_t longest = 0;

	if (h->whole_only || len - at < TRANSCRIPT_PIECE_MIN)
		return 0;
	for (size_t i = 0; i < h->count; i++) {
		size_t n =
		    h->list[i].has_pieces ? measure_piece(h->list[i].text, line + at, len - at) : 0;

		longest = n > longest ? n : longest;
	}
	return longest;
}

bool
transcript_hidden_is_clean(const struct transcript_hidden *h, const char *line, size_t len)
{
	if (h->count > 0 && !h->whole_only && len >= TRANSCRIPT_PIECE_MIN)
		return false;
	for (size_t i = 0; i < h->count; i++) {
		if (memmem(line, len, secret_text(h->list[i].text), secret_len(h->list[i].text)) !=
		    NULL)
			return false;
	}
	return true;
}

void
transcript_hidden_apply(
    const struct transcript_hidden *h, const char *line, size_t len, struct str *out)
{
	for (size_t at = 0; at < len;) {
		size_t n = match_whole(h, line, len, at);

		if (n == 0)
			n = match_piece(h, line, len, at);
		if (n == 0) {
			str_append_char(out, line[at++]);
			continue;
		}
		str_append_text(out, MASK);
		at += n;
		while (at < len && line[at] == '=') /* padding of base64 */
			at++;
	}
}
