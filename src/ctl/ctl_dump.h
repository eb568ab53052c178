#ifndef POSTRIDER_CTL_CTL_DUMP_H
#define POSTRIDER_CTL_CTL_DUMP_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>

struct ctl_call;

/* The command "dump": the state database as lines of JSON. */
#define CTL_DUMP_OPERANDS ""
int ctl_dump_run(const struct ctl_call *call, int argc, char **argv);

/* Every row of every table as an object on a line of its own; false when SQLite fails. */
bool ctl_dump_write(sqlite3 *db, FILE *out);

#endif
