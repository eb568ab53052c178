#include "auth/fingerprint.h"

#include "base/str.h"
#include "config/config.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

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
add_source(struct str *s, const struct config *config, const struct secret_source *source)
{
	str_appendf(s, "%d\n", (int)source->kind);
	switch (source->kind) {
	case SECRET_NONE:
		break;
	case SECRET_PASSWORD:
		add_file(s, config->file);
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

void
fingerprint_endpoint(const struct config *config, const struct endpoint_config *endpoint,
    char out[FINGERPRINT_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct str s = STR_INIT;
	unsigned len = 0;

	add_text(&s, endpoint->host);
	add_text(&s, endpoint->user);
	add_text(&s, endpoint->tls_config.cert);
	str_appendf(&s, "%u %d %" PRIu32 " %d\n", endpoint->port, (int)endpoint->tls,
	    endpoint->auth, endpoint->auth_auto);
	add_source(&s, config, &endpoint->secret);
	memset(digest, 0, sizeof digest);
	EVP_Digest(str_text(&s), s.len, digest, &len, EVP_sha256(), NULL);
	for (size_t i = 0; i < (FINGERPRINT_SIZE - 1) / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	str_clear(&s);
}
