#include "net/tls_store.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define DIRECTORIES_MAX 4096 /* octets of SSL_CERT_DIR */

const char *
tls_store_error(char *buf, size_t size)
{
	unsigned long code = ERR_get_error();
	const char *reason;

	ERR_clear_error();
	if (ERR_SYSTEM_ERROR(code))
		reason = strerror(ERR_GET_REASON(code));
	else
		reason = code != 0 ? ERR_reason_error_string(code) : NULL;
	snprintf(buf, size, "%s", reason != NULL ? reason : "unknown OpenSSL error");
	return buf;
}

/* An encrypted block is no certificate for us: nobody is asked for its passphrase on a terminal. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return 0;
}

/* Adds every certificate of a PEM file, "TRUSTED" ones as well.  Returns how many there were. */
static int
load_file(X509_STORE *store, const char *file)
{
	FILE *f = fopen(file, "re");
	X509 *x;
	int count = 0;

	if (f == NULL)
		return -1;
	while ((x = PEM_read_X509_AUX(f, NULL, no_passphrase, NULL)) != NULL) {
		X509_STORE_add_cert(store, x); /* one that is there already is no fault */
		X509_free(x);
		count++;
	}
	fclose(f);
	ERR_clear_error();
	return count;
}

/* "9d66eef0.0", the names that c_rehash(1) gives to certificates. */
static bool
is_hash_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] != '\0' &&
	       name[9 + strspn(name + 9, "0123456789")] == '\0';
}

static void
load_directory(X509_STORE *store, const char *directory)
{
	DIR *d = opendir(directory);
	struct dirent *entry;
	char path[4096];

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL) {
		if (is_hash_name(entry->d_name) && snprintf(path, sizeof path, "%s/%s", directory,
						       entry->d_name) < (int)sizeof path)
			load_file(store, path);
	}
	closedir(d);
}

static void
load_system(X509_STORE *store)
{
	const char *file = secure_getenv(X509_get_default_cert_file_env());
	const char *list = secure_getenv(X509_get_default_cert_dir_env());
	char directories[DIRECTORIES_MAX], *rest = directories, *one;

	load_file(store, file != NULL ? file : X509_get_default_cert_file());
	snprintf(directories, sizeof directories, "%s",
	    list != NULL ? list : X509_get_default_cert_dir());
	while ((one = strsep(&rest, ":")) != NULL) {
		if (*one != '\0')
			load_directory(store, one);
	}
}

X509_STORE *
tls_store_load(const char *ca_file, struct verdict *why)
{
	X509_STORE *store = X509_STORE_new();
	int count, error;

	if (store == NULL)
		exit(EX_OSERR);
	if (ca_file == NULL) {
		load_system(store);
		return store;
	}
	count = load_file(store, ca_file);
	error = errno;
	if (count > 0) {
		/* Whatever the user named is trusted, an intermediate or the server's own too. */
		X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
		return store;
	}
	X509_STORE_free(store);
	verdict_fail(why, FAIL_LOCAL, "tls", "tls_ca_file %.300s: %s", ca_file,
	    count < 0 ? strerror(error) : "no certificate in it");
	return NULL;
}
