#include "control/control_peer.h"

#include "base/xalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* As NGROUPS_MAX, which sysconf(3) may not tell. */
#define GROUPS_MAX 65536

static bool
read_groups(struct control_peer *peer, int fd)
{
	socklen_t size = 32 * sizeof(gid_t);

	for (;;) {
		peer->groups = xrealloc(peer->groups, size);
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &size) == 0)
			break;
		if (errno != ERANGE || size > GROUPS_MAX * sizeof(gid_t))
			return false;
	}
	peer->group_count = size / sizeof(gid_t);
	return true;
}

bool
control_peer_read(struct control_peer *peer, int fd)
{
	struct ucred ucred;
	socklen_t size = sizeof ucred;

	*peer = (struct control_peer){.uid = (uid_t)-1, .gid = (gid_t)-1};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &size) != 0 || size != sizeof ucred)
		return false;
	peer->uid = ucred.uid;
	peer->gid = ucred.gid;
	/* Without its groups a peer is still its user. */
	if (!read_groups(peer, fd))
		peer->group_count = 0;
	return true;
}

void
control_peer_clear(struct control_peer *peer)
{
	free(peer->groups);
	*peer = (struct control_peer){.uid = (uid_t)-1, .gid = (gid_t)-1};
}

static bool
is_member(const struct control_peer *peer, gid_t group)
{
	if (peer->gid == group)
		return true;
	for (size_t i = 0; i < peer->group_count; i++) {
		if (peer->groups[i] == group)
			return true;
	}
	return false;
}

bool
control_peer_may_change(
    const struct control_peer *peer, uid_t self, const gid_t *groups, size_t group_count)
{
	if (peer->uid == (uid_t)-1)
		return false;
	if (peer->uid == 0 || peer->uid == self)
		return true;
	for (size_t i = 0; i < group_count; i++) {
		if (groups[i] != (gid_t)-1 && is_member(peer, groups[i]))
			return true;
	}
	return false;
}
