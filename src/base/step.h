#ifndef POSTRIDER_BASE_STEP_H
#define POSTRIDER_BASE_STEP_H

/*
 * A storage step: a place between two system calls where a crash must lose and double nothing.
 * In builds configured with --enable-kill-points the process counts its steps, and kills itself
 * with SIGKILL before the step whose number $POSTRIDER_KILL_STEP names; $POSTRIDER_STEP_LOG names
 * a file to which each step's name is appended.  In every other build this is nothing.
 */
#ifdef POSTRIDER_KILL_POINTS
void step(const char *name);
#else
#define step(name) ((void)(name))
#endif

#endif
