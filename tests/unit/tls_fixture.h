#ifndef POSTRIDER_TESTS_TLS_FIXTURE_H
#define POSTRIDER_TESTS_TLS_FIXTURE_H

#include "net_peer.h"

/* What the tests of TLS share: a CA and the certificates that it issued, or did not. */
extern struct identity ca, good, wrong_name, nameless, expired, future, self_signed, stranger,
    client, old_ca, below_old_ca;
extern char tls_directory[]; /* where a test may leave its files */
extern char *ca_file, *client_cert, *client_key;

/* Of a group of tests. */
int make_identities(void **state);
int clear_identities(void **state);

/* A client that trusts the CA, and a server that shows this certificate. */
struct fixture {
	struct client c;
	struct peer peer;
};

void begin(
    struct fixture *f, peer_script *script, const struct identity *identity, enum tls_mode mode);
void end(struct fixture *f);

/* A server's script: a line that says whether the session was resumed. */
void greet(struct peer_conn *c);

/* Connects, and is greeted with this line. */
void assert_greeted(struct fixture *f, const char *line);

/* What went wrong is told with this text. */
void assert_text(struct fixture *f, const char *text);

/* What the transcript says of the connection. */
void assert_described(struct fixture *f, const char *text);

void make_pin(struct tls_pin *pin, enum pin_kind kind, const struct identity *identity);

#endif
