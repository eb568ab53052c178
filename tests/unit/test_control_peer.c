#include "unit.h"

#include "control/control_peer.h"

#include <sys/socket.h>
#include <unistd.h>

#define SELF 990

static void
root_the_user_and_the_group_may_change(void **state)
{
	static gid_t few[] = {100, 27}, member[] = {100, 985};
	static const gid_t socket_groups[] = {985, (gid_t)-1};
	static const struct {
		uid_t uid;
		gid_t gid;
		gid_t *groups;
		size_t group_count;
		bool may;
	} row[] = {
	    {0, 0, NULL, 0, true}, {0, 12345, few, 2, true}, {SELF, 12345, NULL, 0, true},
	    {1000, 985, NULL, 0, true}, {1000, 1000, member, 2, true}, {1000, 1000, few, 2, false},
	    {1000, 0, NULL, 0, false}, {65534, 65534, NULL, 0, false},
	    {(uid_t)-1, 985, NULL, 0, false},
	    {1000, (gid_t)-1, NULL, 0, false}, /* no group is not the group that is not set */
	};

	(void)state;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct control_peer peer = {
		    row[i].uid, row[i].gid, row[i].groups, row[i].group_count};

		assert_int_equal(
		    control_peer_may_change(&peer, SELF, socket_groups, 2), row[i].may);
		assert_int_equal(control_peer_may_change(&peer, SELF, NULL, 0),
		    row[i].uid == 0 || row[i].uid == SELF);
	}
}

static void
the_kernel_knows_us(void **state)
{
	struct control_peer peer;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_true(control_peer_read(&peer, ends[0]));
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.gid, getegid());
	control_peer_clear(&peer);
	assert_null(peer.groups);
	close(ends[0]);
	close(ends[1]);
}

static void
nobody_is_assumed_without_the_kernel(void **state)
{
	struct control_peer peer;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_false(control_peer_read(&peer, ends[0]));
	assert_false(control_peer_may_change(&peer, geteuid(), NULL, 0));
	control_peer_clear(&peer);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(root_the_user_and_the_group_may_change),
	    cmocka_unit_test(the_kernel_knows_us),
	    cmocka_unit_test(nobody_is_assumed_without_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
