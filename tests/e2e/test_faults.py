"""Servers that are dead, slow, broken or hostile: each is named for what it is, and once it
behaves again every message is there, once."""

import faults
import pytest
from support import messages
from support.daemon import check_error
from support.dovecot import free_ports
from support.maildir import expected

COUNT = 6
STEPS = ["GREETING", "USER", "PASS", "STAT", "UIDL", "LIST", "RETR", "DELE", "QUIT"]


@pytest.fixture
def account(daemon, peer, box):
    """Starts the daemon with the one account, its mailbox filled."""
    for number in range(COUNT):
        box.add(messages.simple(number, size=2000))
    sent = list(box.messages)

    def start(**changes):
        changes.setdefault("auth", ["USER"])
        daemon.configure(daemon.account(peer, keep="no", **changes)).start()
        return sent

    return start


def recover(daemon, peer, box, sent):
    """The server behaves again: all is fetched, nothing twice, and the server is empty."""
    peer.behave()
    peer.wait_for(lambda: box.open_sessions == 0, "the maildrop is free")
    daemon.fetch()
    daemon.maildir().check()
    assert daemon.maildir().digests() == expected(sent)
    assert box.messages == []


# Silence and closed connections


@pytest.mark.parametrize("step", STEPS)
def test_silence(daemon, peer, box, account, step):
    sent = account(timeout=1)
    peer.on(step, faults.stall())
    daemon.fail("network", f":{peer.port}")
    recover(daemon, peer, box, sent)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_lost_connection(daemon, peer, box, account, step, reset):
    sent = account()
    peer.on(step, faults.hang_up(reset=reset))
    daemon.fail("network", f":{peer.port}")
    recover(daemon, peer, box, sent)


@pytest.mark.parametrize("step", ["UIDL", "LIST", "RETR"])
def test_silence_within_an_answer(daemon, peer, box, account, step):
    sent = account(timeout=1)
    peer.on(step, faults.stall("+OK", "1 1"))
    daemon.fail("network", f":{peer.port}")
    recover(daemon, peer, box, sent)


@pytest.mark.parametrize("message", range(1, COUNT + 1))
def test_a_message_cut_off(daemon, peer, box, account, message):
    sent = account()
    peer.on("RETR", faults.from_use(message, faults.cut_message(500)))
    daemon.fail("network", f":{peer.port}")
    assert daemon.maildir().digests() == expected(sent[: message - 1])

    broken = len(peer.sessions)
    recover(daemon, peer, box, sent)
    again = [uid for session in peer.sessions[broken:] for uid in session.retrieved]
    assert sorted(again) == [m.uid for m in sent[message - 1 :]], "what was whole is not fetched"


def test_no_one_listens(daemon, peer, account):
    account(port=free_ports(1)[0])
    daemon.fail("network", "127.0.0.1", "refused")


def test_no_such_host(daemon, peer, account):
    account(host="mail.invalid", cleartext_auth=True)
    daemon.fail("network", "mail.invalid")


def test_too_slow_to_ever_end(daemon, peer, box, account):
    """Each octet comes in time, but the session gets nowhere: `deadline` ends it."""
    sent = account(timeout=5, deadline=1)
    peer.on("RETR", faults.drip(pause=0.05))
    daemon.fail("network", f":{peer.port}")
    recover(daemon, peer, box, sent)


# What is not POP3


@pytest.mark.parametrize(
    "greeting",
    [
        "220 mail.example.org ESMTP",
        "* OK IMAP4rev1 ready",
        "HTTP/1.1 400 Bad Request",
        "SSH-2.0-OpenSSH_9.2",
        "",
        "+OKAY",
    ],
)
def test_not_a_pop3_server(daemon, peer, box, account, greeting):
    sent = account()
    peer.on("GREETING", faults.answer(greeting))
    daemon.fail("protocol", f":{peer.port}")
    assert peer.sent_command("USER") == []
    recover(daemon, peer, box, sent)


@pytest.mark.parametrize("step", ["GREETING", "USER", "STAT", "UIDL", "LIST", "RETR"])
def test_garbage(daemon, peer, box, account, step):
    sent = account(timeout=1)
    peer.on(step, faults.garbage())
    daemon.fail("protocol")
    recover(daemon, peer, box, sent)


@pytest.mark.parametrize(
    "step", ["GREETING", "PASS", "STAT", "UIDL", "LIST", "RETR", "QUIT"]
)
def test_a_huge_line(daemon, peer, box, account, step):
    sent = account()
    peer.on(step, faults.huge_line())
    daemon.fail("protocol", "line|long")
    recover(daemon, peer, box, sent)


@pytest.mark.parametrize(
    "step, line",
    [("UIDL", "1 same"), ("LIST", "1 100"), ("RETR", "never ends")],
)
def test_an_answer_without_end(daemon, peer, box, account, step, line):
    sent = account()
    peer.on(step, faults.endless_lines(line))
    daemon.fail("protocol", f":{peer.port}")
    recover(daemon, peer, box, sent)


@pytest.mark.parametrize(
    "step, lines",
    [
        ("STAT", ["+OK"]),
        ("STAT", ["+OK many"]),
        ("STAT", ["+OK -1 5"]),
        ("STAT", ["+OK 99999999999999999999 1"]),
        ("UIDL", ["+OK", "0 a", "."]),
        ("UIDL", ["+OK", "-1 a", "."]),
        ("UIDL", ["+OK", "4294967297 a", "."]),
        ("UIDL", ["+OK", "1 a", "1 b", "."]),
        ("UIDL", ["+OK", "1 a\x07b", "."]),
        ("UIDL", ["+OK", "1 " + "u" * 300, "."]),
        ("LIST", ["+OK", "x", "."]),
        ("LIST", ["+OK", "0 5", "."]),
        ("LIST", ["+OK", "1 -5", "."]),
        ("LIST", ["+OK", "1 5", "1 6", "."]),
        ("LIST", ["+OK", "1 99999999999999999999999", "."]),
    ],
)
def test_an_unreadable_listing(daemon, peer, box, account, step, lines):
    sent = account()
    peer.on(step, faults.answer(*lines))
    daemon.fail("protocol", f":{peer.port}")
    assert peer.sent_command("RETR") == peer.sent_command("DELE") == []
    recover(daemon, peer, box, sent)


def test_a_message_shorter_than_listed(daemon, peer, box, account):
    """What the server ends in order is the message, whatever LIST said."""
    sent = account()
    peer.on("RETR", faults.short_message(300), times=1)
    daemon.poll()
    stored = daemon.maildir().messages()
    assert len(stored) == COUNT
    assert sum(len(octets) <= 300 for octets in stored) == 1
    assert expected(sent[1:]) <= daemon.maildir().digests()


def test_listings_that_do_not_agree(daemon, peer, box, account):
    """LIST knows fewer messages than UIDL: nothing without a size is deleted."""
    sent = account()
    first = sent[0]
    peer.on("LIST", faults.answer("+OK", f"1 {first.size}", "."))
    status = daemon.poll()
    assert status["state"] in ("idle", "backoff")
    recover(daemon, peer, box, sent)


# The server says no


@pytest.mark.parametrize(
    "step, reply",
    [
        ("GREETING", "-ERR not today"),
        ("GREETING", "-ERR [SYS/TEMP] not today"),
        ("STAT", "-ERR not today"),
        ("STAT", "-ERR [SYS/TEMP] not today"),
        ("UIDL", "-ERR [SYS/TEMP] not today"),
        ("LIST", "-ERR not today"),
        ("LIST", "-ERR [SYS/TEMP] not today"),
    ],
)
def test_a_refused_command(daemon, peer, box, account, step, reply):
    sent = account()
    peer.on(step, faults.answer(reply))
    daemon.fail("server", "not today", f":{peer.port}")
    recover(daemon, peer, box, sent)


def test_one_message_refused(daemon, peer, box, account):
    sent = account()
    peer.on("RETR", faults.answer("-ERR cannot read it"), times=1)
    check_error(daemon.poll(), "server", "cannot read it")
    assert daemon.maildir().digests() == expected(sent[1:])
    assert box.messages == sent[:1]
    recover(daemon, peer, box, sent)


def test_deletions_refused(daemon, peer, box, account):
    sent = account()
    peer.on("DELE", faults.answer("-ERR [SYS/TEMP] read-only today"))
    check_error(daemon.poll(), "server", "read-only today")
    assert daemon.maildir().digests() == expected(sent)
    assert box.messages == sent
    recover(daemon, peer, box, sent)
    assert peer.sessions[-1].retrieved == []


def test_quit_refused(daemon, peer, box, account):
    """RFC 1939 section 6: some messages may not have been removed."""
    sent = account()
    peer.on("QUIT", faults.hang_up("-ERR some deleted messages not removed"))
    check_error(daemon.poll(), "server", "not removed")
    assert daemon.maildir().digests() == expected(sent)
    recover(daemon, peer, box, sent)


def test_the_memory_does_not_follow_a_hostile_server(daemon, peer, box, account):
    """A listing of many long UIDs that LIST knows nothing of."""
    account()
    lines = "".join(f"{n} {'u' * 70}\r\n" for n in range(1, 200_001))
    peer.on("UIDL", faults.octets(b"+OK\r\n" + lines.encode() + b".\r\n"))
    daemon.poll(timeout=60)
    with open(f"/proc/{daemon.process.pid}/status") as file:
        peak = next(line for line in file if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 400_000, peak
