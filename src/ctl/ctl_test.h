#ifndef POSTRIDER_CTL_CTL_TEST_H
#define POSTRIDER_CTL_CTL_TEST_H

#include "ctl/ctl_call.h"

#define CTL_TEST_OPERANDS "ACCOUNT"

/*
 * `test ACCOUNT`: reads the configuration as the daemon would,
 * and logs in to both servers of the account without it.  Prints what it finds.  Returns an exit
 * code: 0, 1 when something failed, or that of a configuration that cannot be used.
 */
int ctl_test_run(const struct ctl_call *call, int argc, char **argv);

#endif
