#ifndef POSTRIDER_SERVICE_SENTENCE_H
#define POSTRIDER_SERVICE_SENTENCE_H

#include <stddef.h>

struct deliverer;
struct fetcher;

enum service_phase { SERVICE_STARTS, SERVICE_RUNS, SERVICE_STOPS };

/*
 * How the daemon is doing, for `systemctl status`, in one line to free(3): "2 accounts: 1 fetching,
 * 1 in trouble (personal: auth); 3 messages in the queue, 1 deferred".  faults: why the last reload
 * was refused; 0: it was not.
 */
char *service_sentence(const struct fetcher *fetcher, struct deliverer *deliverer,
    enum service_phase phase, size_t faults);

#endif
