"""Which message is which: promise 2 of the storage rules. UIDs change, come back and repeat; the
octets decide, and nothing is stored twice."""

import faults
import pytest
from support import messages
from support.daemon import check_error
from support.maildir import expected


@pytest.fixture
def fill(box):
    def add(count, first=0):
        return [box.add(messages.simple(number)) for number in range(first, first + count)]

    return add


def last_retrieved(peer):
    return peer.sessions[-1].retrieved


def check(daemon, sent):
    daemon.maildir().check()
    assert daemon.maildir().digests() == expected(sent)


# A changed size


def test_other_octets_under_a_known_uid(daemon, peer, box, fill):
    sent = fill(3)
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    replaced = box.messages.pop(1)
    other = box.add(messages.simple(99, size=500), uid=replaced.uid)
    daemon.fetch()
    assert last_retrieved(peer) == [other.uid]
    check(daemon, [*sent, other])
    daemon.fetch()
    assert last_retrieved(peer) == []


def test_the_same_octets_with_another_size(daemon, peer, box, fill):
    """A server that counts differently after an update: compared, not stored again."""
    sent = fill(4)
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    for message in sent:
        message.listed = message.size + 7
    assert daemon.fetch()["fetched"] == 4
    assert len(last_retrieved(peer)) == 4
    check(daemon, sent)
    daemon.fetch()
    assert last_retrieved(peer) == []


# UIDs that come back


def test_a_uid_reused_for_new_mail(daemon, peer, box, fill):
    sent = fill(2)
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fetch()
    fresh = [box.add(messages.simple(50 + n), uid=message.uid) for n, message in enumerate(sent)]
    daemon.fetch()
    check(daemon, sent + fresh)
    assert box.messages == []


def test_deleted_mail_that_is_listed_again(daemon, peer, box, fill):
    """A server restored from its backup: known octets are deleted there, not stored here."""
    sent = fill(5)
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fetch()
    box.messages = list(sent)
    assert daemon.fetch()["fetched"] == 5
    check(daemon, sent)
    assert box.messages == []


def test_our_deletion_is_forgotten_after_a_listing_without_it(daemon, peer, box, fill):
    sent = fill(2)
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fetch()
    daemon.fetch()
    again = [box.add(m.octets, uid=m.uid) for m in sent]
    assert daemon.fetch()["fetched"] == 4, "new mail that looks like old mail is new mail"
    check(daemon, sent + again)


def test_a_uid_that_vanished_and_returned(daemon, peer, box, fill):
    sent = fill(4)
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    box.messages = sent[:2]
    daemon.fetch()
    box.messages = list(sent)
    daemon.fetch()
    assert last_retrieved(peer) == []
    check(daemon, sent)


# QUIT without an answer


@pytest.mark.parametrize("update", [True, False], ids=["obeyed", "not obeyed"])
@pytest.mark.parametrize("restart", [False, True], ids=["", "restarted"])
def test_quit_unanswered(daemon, peer, box, fill, update, restart):
    sent = fill(5)
    daemon.configure(daemon.account(peer, keep="no")).start()
    peer.on("QUIT", faults.quit_unanswered(update), times=1)
    status = check_error(daemon.poll(), "network", "QUIT|closed|answer")
    assert status["on_server"] is None
    if restart:
        daemon.restart()
    later = fill(1, first=90)
    daemon.fetch()
    check(daemon, sent + later)
    assert box.messages == []


def test_new_mail_under_the_uids_of_an_unanswered_quit(daemon, peer, box, fill):
    sent = fill(3)
    daemon.configure(daemon.account(peer, keep="no")).start()
    peer.on("QUIT", faults.quit_unanswered(update=True), times=1)
    daemon.poll()
    fresh = [box.add(m.octets.replace(b"Message", b"Massage"), uid=m.uid) for m in sent]
    daemon.fetch()
    check(daemon, sent + fresh)
    assert box.messages == []


# Another server


@pytest.mark.parametrize("keep", ["forever", "14d"])
def test_all_uids_changed(daemon, peer, box, fill, keep):
    sent = fill(20)
    daemon.configure(daemon.account(peer, keep=keep)).start()
    daemon.fetch()
    for number, message in enumerate(sent):
        message.uid = f"migrated-{number}"
    later = fill(2, first=70)
    daemon.fetch()
    check(daemon, sent + later)
    daemon.fetch()
    assert last_retrieved(peer) == []
    assert len(box.messages) == 22


def test_equal_messages_on_a_new_server(daemon, peer, box):
    """Three of the same octets are three messages, before and after the move."""
    sent = [box.add(messages.simple(1)) for _ in range(3)]
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    for number, message in enumerate(sent):
        message.uid = f"migrated-{number}"
    fourth = box.add(messages.simple(1))
    daemon.fetch()
    check(daemon, [*sent, fourth])


def test_a_migration_cut_off(daemon, peer, box, fill):
    sent = fill(10)
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    for number, message in enumerate(sent):
        message.uid = f"migrated-{number}"
    peer.on("RETR", faults.from_use(5, faults.hang_up()))
    daemon.fail("network")
    peer.behave()
    daemon.restart()
    daemon.fetch()
    check(daemon, sent)


# Repeated UIDs


def test_repeated_uids(daemon, peer, box):
    sent = [box.add(messages.simple(number), uid="same") for number in range(5)]
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    check(daemon, sent)
    daemon.fetch()
    assert last_retrieved(peer) == []

    sent.append(box.add(messages.simple(7), uid="same"))
    daemon.fetch()
    check(daemon, sent)


def test_repeated_uids_are_deleted(daemon, peer, box):
    sent = [box.add(messages.simple(number), uid="same") for number in range(5)]
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fetch()
    check(daemon, sent)
    assert box.messages == []


def test_a_repeated_uid_whose_first_is_gone(daemon, peer, box):
    """The occurrences shift, and what shifted is still known by its octets."""
    sent = [box.add(messages.simple(number, size=64 * number), uid="same") for number in range(4)]
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    box.messages = sent[1:]
    daemon.fetch()
    check(daemon, sent)
    daemon.fetch()
    assert last_retrieved(peer) == []


def test_one_uid_for_everything(daemon, peer, box):
    """More than a hundred times the same UID is no identity: nothing is fetched or deleted."""
    for number in range(150):
        box.add(messages.simple(number), uid="same")
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fail("protocol", "UID|unique-id")
    assert len(box.messages) == 150


# Without UIDL


def test_without_uidl(daemon, peer, box, fill):
    peer.without = {"UIDL"}
    sent = fill(5)
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fetch()
    assert box.messages == []
    sent += fill(3, first=40)
    daemon.fetch()
    assert box.messages == []
    check(daemon, sent)


@pytest.mark.parametrize("update", [True, False], ids=["obeyed", "not obeyed"])
def test_without_uidl_and_quit_unanswered(daemon, peer, box, fill, update):
    peer.without = {"UIDL"}
    sent = fill(5)
    daemon.configure(daemon.account(peer, keep="no")).start()
    peer.on("QUIT", faults.quit_unanswered(update), times=1)
    daemon.poll()
    sent += fill(1, first=40)
    daemon.fetch()
    assert box.messages == []
    check(daemon, sent)


@pytest.mark.parametrize("keep", ["forever", "14d"])
def test_without_uidl_nothing_can_be_kept(daemon, peer, box, fill, keep):
    peer.without = {"UIDL"}
    fill(2)
    daemon.configure(daemon.account(peer, keep=keep)).start()
    status = daemon.poll()
    assert status["state"] == "blocked"
    assert "UIDL" in status["last_error"]["text"]
    assert "keep" in status["last_error"]["text"]
    assert peer.sent_command("RETR") == []
    assert len(box.messages) == 2


# A window on a larger maildrop


def test_a_window_that_moves_as_mail_is_deleted(daemon, peer, box, fill):
    sent = fill(35)
    box.window = slice(0, 10)
    daemon.configure(daemon.account(peer, keep="no")).start()
    for _ in range(4):
        daemon.fetch()
    check(daemon, sent)
    assert box.messages == []


def test_behind_a_window_there_may_be_more(daemon, peer, box, fill):
    """One poll brings one window, so the next follows at once and not after the interval."""
    sent = fill(35)
    box.window = slice(0, 10)
    daemon.configure(daemon.account(peer, keep="no", interval="1h")).start()
    daemon.wait_status(lambda s: s["fetched"] == 35, "all windows are fetched")
    daemon.wait_status(lambda s: s["state"] == "idle", "the last poll has ended")
    check(daemon, sent)
    assert box.messages == []


def test_a_window_that_moves_by_itself(daemon, peer, box, fill):
    """Each listing shares nothing with the last one, and is no migration all the same."""
    sent = fill(30)
    daemon.configure(daemon.account(peer)).start()
    for start in (0, 10, 20, 0, 5, 15, 25):
        box.window = slice(start, start + 10)
        daemon.fetch()
    check(daemon, sent)
    assert len(box.messages) == 30


def test_only_the_latest(daemon, peer, box, fill):
    sent = fill(12)
    box.window = slice(-5, None)
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    later = fill(3, first=60)
    daemon.fetch()
    assert last_retrieved(peer) == [m.uid for m in later]
    check(daemon, sent[-5:] + later)
