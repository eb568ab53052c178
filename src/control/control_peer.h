#ifndef POSTRIDER_CONTROL_CONTROL_PEER_H
#define POSTRIDER_CONTROL_CONTROL_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Who is at the other end of a UNIX socket, as the kernel noted when it connected (SO_PEERCRED,
 * SO_PEERGROUPS).  Embedded; control_peer_clear() ends it.
 */
struct control_peer {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* the supplementary ones */
	size_t group_count;
};

/* False when the kernel does not say: then nobody is assumed. */
bool control_peer_read(struct control_peer *peer, int fd);
void control_peer_clear(struct control_peer *peer);

/* True for root, for self (the daemon's user), and for members of one of the groups. */
bool control_peer_may_change(
    const struct control_peer *peer, uid_t self, const gid_t *groups, size_t group_count);

#endif
