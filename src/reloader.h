#ifndef POSTRIDER_RELOADER_H
#define POSTRIDER_RELOADER_H

/*
 * Reads the configuration again, in a thread, one reading at a time: who asks during a reading gets
 * another one behind it, because that one may have seen the file as it was before.
 */
#include "config/config.h"
#include "control/control.h"

struct worker;
struct reloader;

struct reloader_handler {
	void (*begun)(void *arg);

	/*
	 * loaded: yours, or NULL when the file is faulty; faults are borrowed for the call, and
	 * empty otherwise.
	 */
	void (*over)(struct config *loaded, const struct config_faults *faults, void *arg);
};

/* All borrowed. */
struct reloader *reloader_new(
    struct worker *worker, const char *file, const struct reloader_handler *handler, void *arg);

/* done: told behind over(), with the faults, NULL when there are none; may itself be NULL. */
void reloader_start(struct reloader *reloader, control_reload_done *done, void *done_arg);

/* Begins no reading any more; one that runs still comes to its end. */
void reloader_stop(struct reloader *reloader);

/* Behind worker_free(), which waits for what runs. */
void reloader_free(struct reloader **reloader);

#endif
