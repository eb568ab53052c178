#include "auth/fingerprint.h"

#include "base/str.h"
#include "config/config.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { HALF = (FINGERPRINT_SIZE - 1) / 2 };

/* Each part is closed by a line end, which none of them can hold. */
static void
add_text(struct str *s, const char *text)
{
	str_append_text(s, text != NULL ? text : "-");
	str_append_char(s, '\n');
}

static void
add_file(struct str *s, const char *path)
{
	struct stat st;

	if (path == NULL || stat(path, &st) < 0)
		return;
	str_appendf(s, "%" PRIdMAX " %ld %" PRIdMAX " %" PRIuMAX "\n", (intmax_t)st.st_mtim.tv_sec,
	    st.st_mtim.tv_nsec, (intmax_t)st.st_size, (uintmax_t)st.st_ino);
}

static void
add_source(struct str *s, const struct secret_source *source)
{
	str_appendf(s, "%d\n", (int)source->kind);
	switch (source->kind) {
	case SECRET_NONE:
		break;
	case SECRET_PASSWORD:
		add_file(s, source->place);
		break;
	case SECRET_PASSWORD_FILE:
		add_text(s, source->path);
		add_file(s, source->path);
		break;
	case SECRET_CREDENTIAL:
		add_text(s, source->value);
		break;
	case SECRET_PASSWORD_COMMAND:
	case SECRET_TOKEN_COMMAND:
		for (char **argv = source->argv; *argv != NULL; argv++)
			add_text(s, *argv);
		break;
	}
}

/* What there is to log in with decides which ways there are. */
static int
secret_class(const struct secret_source *source)
{
	if (source->kind == SECRET_NONE)
		return 2; /* the client certificate, if anything */
	return source->kind == SECRET_TOKEN_COMMAND ? 1 : 0;
}

static void
add_server(struct str *s, const struct endpoint_config *endpoint)
{
	add_text(s, endpoint->host);
	add_text(s, endpoint->user);
	add_text(s, endpoint->tls_config.cert);
	str_appendf(s, "%u %d %" PRIu32 " %d %d\n", endpoint->port, (int)endpoint->tls,
	    endpoint->auth, endpoint->auth_auto, secret_class(&endpoint->secret));
}

static void
add_rest(struct str *s, const struct endpoint_config *endpoint)
{
	const struct proxy_config *proxy = endpoint->proxy;

	add_source(s, &endpoint->secret);
	add_text(s, endpoint->bind);
	str_appendf(s, "%d %d\n", (int)endpoint->family, endpoint->cleartext_auth);
	if (proxy == NULL)
		return;
	add_text(s, proxy->host);
	str_appendf(s, "%u\n", proxy->port);
}

static void
write_half(struct str *s, char out[HALF + 1])
{
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};
	unsigned len = 0;

	EVP_Digest(str_text(s), s->len, digest, &len, EVP_sha256(), NULL);
	for (size_t i = 0; i < HALF / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	str_clear(s);
}

void
fingerprint_endpoint(const struct endpoint_config *endpoint, char out[FINGERPRINT_SIZE])
{
	struct str server = STR_INIT, rest = STR_INIT;

	add_server(&server, endpoint);
	add_rest(&rest, endpoint);
	write_half(&server, out);
	write_half(&rest, out + HALF);
}

bool
fingerprint_same_server(const char *a, const char *b)
{
	return strncmp(a, b, HALF) == 0;
}

bool
fingerprint_same_rest(const char *a, const char *b)
{
	return strlen(a) == strlen(b) && strcmp(a + strnlen(a, HALF), b + strnlen(b, HALF)) == 0;
}
