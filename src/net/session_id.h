#ifndef POSTRIDER_NET_SESSION_ID_H
#define POSTRIDER_NET_SESSION_ID_H

enum { SESSION_ID_SIZE = 16 };

/* The next session's number, "000123": one sequence for all protocols.  Loop's thread only. */
const char *session_id_next(char buf[SESSION_ID_SIZE]);

#endif
