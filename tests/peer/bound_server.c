#include <arpa/inet.h>
#include <err.h>
#include <gsasl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A POP3 or SMTP server on loopback that knows SCRAM bound to its TLS channel (RFC 5802, RFC 9266,
 * RFC 5929), with GNU SASL's own server side: Python's ssl gives no keying material out.
 *
 *	bound_server pop3|smtp CERTIFICATE KEY USER PASSWORD bound|elsewhere [1.2]
 *
 * prints its port, and then a line for each login: the mechanism, yes or no, and whether the TLS
 * session was resumed.  With "elsewhere" its end of the channel is another one, as it is when
 * somebody in the middle ends TLS on both sides.  One connection at a time, until it is killed.
 */

#define OFFER "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN"

/* What is said to a command, by its verb; the first row without a verb is for all others. */
struct answer {
	const char *verb, *text;
};

struct dialect {
	const char *greeting, *challenge, *yes, *no;
	struct answer answers[12];
};

static const struct dialect pop3 = {"+OK ready", "+ ", "+OK", "-ERR [AUTH] no",
    {{"CAPA", "+OK\r\nSASL " OFFER "\r\nUIDL\r\nAUTH-RESP-CODE\r\n."}, {"STAT", "+OK 0 0"},
	{"UIDL", "+OK\r\n."}, {"LIST", "+OK\r\n."}, {"QUIT", "+OK bye"}, {NULL, "-ERR what?"}}};

static const struct dialect smtp = {"220 ready", "334 ", "235 2.7.0 yes", "535 5.7.8 no",
    {{"EHLO", "250-bound\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH " OFFER}, {"MAIL", "250 2.1.0 ok"},
	{"RCPT", "250 2.1.5 ok"}, {"DATA", "354 go on"}, {".", "250 2.0.0 taken"},
	{"RSET", "250 2.0.0 ok"}, {"NOOP", "250 2.0.0 ok"}, {"QUIT", "221 2.0.0 bye"},
	{NULL, "500 5.5.1 what?"}}};

struct server {
	const struct dialect *dialect;
	const char *user, *password;
	bool elsewhere;
	bool in_text; /* between DATA and its dot nothing is answered */
	SSL *ssl;
	char *binding; /* base64 */
	bool is_exporter;
};

static bool
read_line(SSL *ssl, char *line, size_t size)
{
	size_t len = 0;

	while (len + 1 < size && SSL_read(ssl, line + len, 1) == 1) {
		if (line[len] == '\n') {
			line[len > 0 && line[len - 1] == '\r' ? len - 1 : len] = '\0';
			return true;
		}
		len++;
	}
	return false;
}

static void
say(SSL *ssl, const char *before, const char *text)
{
	char line[4096];
	int len = snprintf(line, sizeof line, "%s%s\r\n", before, text);

	SSL_write(ssl, line, len);
}

/* -- the channel ------------------------------------------------------------------------------- */

static void
read_binding(struct server *s)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	unsigned char data[64] = {0};
	size_t len = 32;

	s->is_exporter = SSL_version(s->ssl) >= TLS1_3_VERSION;
	if (s->is_exporter)
		SSL_export_keying_material(
		    s->ssl, data, len, label, sizeof label - 1, (const unsigned char *)"", 0, 1);
	else if (SSL_session_reused(s->ssl))
		len = SSL_get_finished(s->ssl, data, sizeof data);
	else
		len = SSL_get_peer_finished(s->ssl, data, sizeof data);
	data[0] ^= s->elsewhere;
	if (gsasl_base64_to((const char *)data, len, &s->binding, NULL) != GSASL_OK)
		errx(1, "no memory");
}

static int
property_cb(Gsasl *library, Gsasl_session *session, Gsasl_property property)
{
	const struct server *s = gsasl_callback_hook_get(library);

	switch (property) {
	case GSASL_PASSWORD:
		return gsasl_property_set(session, property, s->password);
	case GSASL_SCRAM_ITER:
		return gsasl_property_set(session, property, "4096");
	case GSASL_CB_TLS_EXPORTER:
		return s->is_exporter ? gsasl_property_set(session, property, s->binding)
				      : GSASL_NO_CALLBACK;
	case GSASL_CB_TLS_UNIQUE:
		return s->is_exporter ? GSASL_NO_CALLBACK
				      : gsasl_property_set(session, property, s->binding);
	default:
		return GSASL_NO_CALLBACK;
	}
}

/* -- the login --------------------------------------------------------------------------------- */

/* The library's verdict; the last challenge has the server's own proof. */
static int
converse(const struct server *s, Gsasl_session *session, char *line, size_t size, char *initial)
{
	char *output, *input = initial;
	int rc;

	do {
		output = NULL;
		rc = gsasl_step64(session, input, &output);
		if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE)
			return rc;
		if (rc == GSASL_NEEDS_MORE || *output != '\0') {
			say(s->ssl, s->dialect->challenge, output);
			if (!read_line(s->ssl, line, size))
				rc = GSASL_AUTHENTICATION_ERROR;
			input = line;
		}
		gsasl_free(output);
	} while (rc == GSASL_NEEDS_MORE);
	return rc;
}

static bool
judge(const struct server *s, Gsasl *library, char *line, size_t size)
{
	char *mechanism = line + strlen("AUTH "), *initial = strchr(mechanism, ' '), name[64];
	Gsasl_session *session;
	const char *user;
	bool ok;

	if (initial == NULL) /* these mechanisms begin with the client, and it fits */
		return false;
	*initial++ = '\0';
	snprintf(name, sizeof name, "%.63s", mechanism);
	if (gsasl_server_start(library, name, &session) != GSASL_OK)
		return false;
	ok = converse(s, session, line, size, initial) == GSASL_OK;
	user = gsasl_property_fast(session, GSASL_AUTHID);
	ok = ok && user != NULL && strcmp(user, s->user) == 0;
	gsasl_finish(session);
	printf("%s %s%s\n", name, ok ? "yes" : "no", SSL_session_reused(s->ssl) ? " resumed" : "");
	fflush(stdout);
	return ok;
}

static void
authenticate(struct server *s, char *line, size_t size)
{
	Gsasl *library;

	if (gsasl_init(&library) != GSASL_OK)
		errx(1, "no GNU SASL");
	gsasl_callback_hook_set(library, s);
	gsasl_callback_set(library, property_cb);
	read_binding(s);
	say(s->ssl, "", judge(s, library, line, size) ? s->dialect->yes : s->dialect->no);
	gsasl_free(s->binding);
	gsasl_done(library);
}

/* -- the protocol ------------------------------------------------------------------------------ */

static void
obey(struct server *s, const char *line)
{
	const struct answer *a = s->dialect->answers;

	while (a->verb != NULL && strncasecmp(line, a->verb, strlen(a->verb)) != 0)
		a++;
	say(s->ssl, "", a->text);
	s->in_text = a->verb != NULL && strcmp(a->verb, "DATA") == 0;
}

static void
serve(struct server *s)
{
	char line[4096];

	say(s->ssl, "", s->dialect->greeting);
	while (read_line(s->ssl, line, sizeof line)) {
		if (strncasecmp(line, "AUTH ", 5) == 0)
			authenticate(s, line, sizeof line);
		else if (!s->in_text || strcmp(line, ".") == 0)
			obey(s, line);
		if (strcasecmp(line, "QUIT") == 0)
			break;
	}
}

static SSL_CTX *
make_context(const char *certificate, const char *key, const char *newest)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		errx(1, "%s and %s cannot be used", certificate, key);
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"bound", 5);
	if (newest != NULL && strcmp(newest, "1.2") == 0)
		SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
	return context;
}

static int
listen_here(void)
{
	struct sockaddr_in here = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof here;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&here, len) < 0 || listen(fd, 16) < 0 ||
	    getsockname(fd, (struct sockaddr *)&here, &len) < 0)
		err(1, "listen");
	printf("%d\n", ntohs(here.sin_port));
	fflush(stdout);
	return fd;
}

int
main(int argc, char *argv[])
{
	struct server s = {.dialect = &pop3};
	SSL_CTX *context;
	int listener, fd;

	if (argc < 7)
		errx(64, "pop3|smtp CERTIFICATE KEY USER PASSWORD bound|elsewhere [1.2]");
	if (strcmp(argv[1], "smtp") == 0)
		s.dialect = &smtp;
	s.user = argv[4];
	s.password = argv[5];
	s.elsewhere = strcmp(argv[6], "elsewhere") == 0;
	context = make_context(argv[2], argv[3], argv[7]);
	listener = listen_here();
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		s.ssl = SSL_new(context);
		s.in_text = false;
		SSL_set_fd(s.ssl, fd);
		if (SSL_accept(s.ssl) == 1) {
			serve(&s);
			SSL_shutdown(s.ssl);
		}
		SSL_free(s.ssl);
		close(fd);
	}
	return 1;
}
