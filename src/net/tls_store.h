#ifndef POSTRIDER_NET_TLS_STORE_H
#define POSTRIDER_NET_TLS_STORE_H

#include "base/verdict.h"

#include <stddef.h>

struct x509_store_st;

/*
 * Reads the trusted certificates of ca_file, or the system's when it is NULL, completely, so that
 * no handshake reads a file later.  Blocks.  NULL with a FAIL_LOCAL verdict when ca_file cannot be
 * read or holds no certificate.  The caller drops it with X509_STORE_free().
 */
struct x509_store_st *tls_store_load(const char *ca_file, struct verdict *why);

/* "reason" of OpenSSL's oldest error in this thread's queue, which is emptied; never "". */
const char *tls_store_error(char *buf, size_t size);

#endif
