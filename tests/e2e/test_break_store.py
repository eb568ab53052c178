"""Reloads, stops and requests of people at the worst moment: no mail is lost, none is stored twice,
nobody waits for an answer that never comes."""

import os
import signal
import sqlite3
import threading
from datetime import datetime, timedelta

import faults
import pytest
from support import messages
from support.daemon import Control
from support.maildir import expected
from support.waiting import wait_for

EX_TEMPFAIL = 75


@pytest.fixture
def gate():
    """An event for faults.hold(), opened at the end of the test whatever happens."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def fence(daemon, peer):
    """An account of its own: when its poll is over, what was asked before has been begun."""
    peer.add_mailbox("fence")
    return daemon.account(peer, "fence")


def fill(box, count, first=0):
    return [box.add(messages.simple(number)) for number in range(first, first + count)]


def of_mailbox(name):
    """For Peer.on(): only sessions of this user, once logged in."""
    return lambda session: session.mailbox is not None and session.mailbox.user == name


def without_pop3(account):
    return {key: item for key, item in account.items() if key != "pop3"}


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def open_writing(fifo):
    """A descriptor, once somebody has the other end open."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


# Reload


def test_removed_and_back_while_it_polls(daemon, peer, gate, fence):
    """The session that ends is still on the mailbox."""
    box = peer.add_mailbox("box", exclusive=False)
    sent = fill(box, 5)
    peer.on("QUIT", faults.hold(gate), times=1, when=of_mailbox("box"))
    account = daemon.account(peer, keep="no")
    daemon.configure(account, fence).start()
    daemon.ctl("poll", "box")
    peer.wait_for(lambda: peer.sent_command("QUIT"), "the first poll is at QUIT")
    for accounts in ([fence], [account, fence], [fence], [account, fence]):
        daemon.configure(*accounts)
        daemon.ctl("reload")
    sent += fill(box, 3, first=50)
    daemon.ctl("poll", "box")
    daemon.fetch("fence")
    assert box.most_sessions == 1
    gate.set()
    wait_for(lambda: box.messages == [], "the second poll has fetched the rest")
    daemon.wait_status(lambda s: s["state"] == "idle" and s["fetched"] == 8, "all is counted")
    assert box.most_sessions == 1
    assert daemon.maildir().digests() == expected(sent)


def test_removed_and_back_is_polled_again_by_itself(daemon, peer, gate, fence, box):
    sent = fill(box, 5)
    peer.on("RETR", faults.hold(gate), times=1, when=of_mailbox("box"))
    account = daemon.account(peer, interval="1h")
    daemon.configure(account, fence).start()
    peer.wait_for(lambda: peer.sent_command("RETR"), "the first poll is at RETR")
    for accounts in ([fence], [account, fence]):
        daemon.configure(*accounts)
        daemon.ctl("reload")
    gate.set()
    daemon.wait_status(lambda s: s["fetched"] == 5, "the mail is fetched")
    assert daemon.maildir().digests() == expected(sent)


def test_pop3_is_removed_from_an_account_that_waits(daemon, peer, gate, box):
    busy = peer.add_mailbox("busy")
    fill(busy, 1)
    peer.on("RETR", faults.hold(gate), times=1)
    accounts = daemon.account(peer, "busy"), daemon.account(peer)
    limits = {"sessions": 1}
    daemon.configure(*accounts, limits=limits).start()
    daemon.ctl("poll", "busy")
    peer.wait_for(lambda: peer.sent_command("RETR"), "the only slot is taken")
    daemon.ctl("poll", "box")
    daemon.configure(accounts[0], without_pop3(accounts[1]), limits=limits)
    daemon.ctl("reload")
    assert daemon.status()["state"] == "disabled"
    gate.set()
    daemon.wait_status(lambda s: s["fetched"] == 1, "the other poll is over", "busy")
    assert daemon.status()["state"] == "disabled"

    daemon.configure(*accounts, limits=limits)
    daemon.ctl("reload")
    daemon.fetch()


# Adopt


def adopt_during_poll(daemon, peer, verb, gate, request="adopt box *"):
    """A poll is held at `verb`, and the request sent; returns the connection."""
    peer.on(verb, faults.hold(gate), times=1)
    daemon.ctl("poll", "box")
    peer.wait_for(lambda: peer.sent_command(verb), f"the poll is at {verb}")
    control = Control(daemon.socket)
    control.send(request.encode() + b"\n")
    assert daemon.ctl("version")
    return control


def test_adopt_all_during_a_poll(daemon, peer, box, gate):
    """It marks what comes after that poll; it is not answered by it."""
    sent = fill(box, 3)
    daemon.configure(daemon.account(peer)).start()
    with adopt_during_poll(daemon, peer, "RETR", gate) as control:
        fill(box, 2, first=10)
        gate.set()
        answer = control.receive()
    assert answer["ok"] and answer["marked"] == 5, answer
    daemon.fetch()
    assert daemon.maildir().digests() == expected(sent)


@pytest.mark.parametrize("how", ["removed", "without pop3"])
@pytest.mark.parametrize("verb", ["RETR", "UIDL"])
def test_adopt_of_an_account_that_goes(daemon, peer, box, gate, fence, how, verb):
    """An answer comes, and it is no."""
    fill(box, 3)
    account = daemon.account(peer)
    daemon.configure(account, fence).start()
    with adopt_during_poll(daemon, peer, verb, gate) as control:
        if verb == "UIDL":
            gate.set()
            gate = threading.Event()
            peer.on(verb, faults.hold(gate))
            peer.wait_for(lambda: len(peer.sent_command(verb)) == 2, "adopt lists the server")
        rest = [fence] if how == "removed" else [without_pop3(account), fence]
        daemon.configure(*rest)
        daemon.ctl("reload")
        gate.set()
        answer = control.receive()
    if how == "removed" or verb == "RETR":
        assert not answer["ok"], answer
        assert "box" in answer["error"]
    else:
        assert answer["ok"] and answer["marked"] == 3, answer


def test_a_failed_adopt_does_not_end_the_polls(daemon, peer, box):
    fill(box, 1)
    daemon.configure(daemon.account(peer, interval="1h")).start()
    daemon.wait_status(lambda s: s["fetched"] == 1, "the first poll")
    os.rename(daemon.path("Mail", "box"), daemon.path("Mail", "old"))
    with open(daemon.path("Mail", "box"), "w"):
        pass
    assert not daemon.ask("adopt box")["ok"]
    daemon.wait_status(lambda s: s["next_attempt"] is not None, "it is tried again")


def test_adopt_all_without_uidl(daemon, peer, box):
    """Nothing can be marked; it says so, and the polls go on."""
    sent = fill(box, 3)
    peer.without.add("UIDL")
    daemon.configure(daemon.account(peer, keep="no")).start()
    answer = daemon.ask("adopt box *")
    assert not answer["ok"] and "unique-id" in answer["error"], answer
    assert daemon.status()["state"] == "backoff"
    daemon.fetch()
    assert daemon.maildir().digests() == expected(sent)


# The block after refused passwords


@pytest.fixture
def blocked(daemon, peer, box):
    """Three refusals of what a command prints, which then prints the right password."""
    fill(box, 1)
    secret = daemon.path("secret")
    with open(secret, "w") as file:
        file.write("wrong")
    account = daemon.account(
        peer, password=None, password_command=["cat", secret], interval="1h", auth=["USER"]
    )
    daemon.configure(account).start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first refusal")
    daemon.fail("auth")
    daemon.fail("auth")
    assert daemon.status()["state"] == "blocked"
    with open(secret, "w") as file:
        file.write("pass word")
    return daemon


def test_a_success_is_remembered(blocked, box):
    """A restart does not bring back a block that was over."""
    blocked.fetch()
    fill(box, 1, first=7)
    blocked.restart()
    status = blocked.wait_status(lambda s: s["fetched"] == 2, "polled after the restart")
    assert status["state"] == "idle"


def test_a_wall_clock_that_was_ahead(blocked):
    """The one try a day comes within a day, whatever the clock said when it was planned."""
    blocked.stop()
    with sqlite3.connect(blocked.path("state", "state.db")) as state:
        state.execute("UPDATE account SET blocked_until = blocked_until + 86400000 * 365")
    state.close()
    blocked.start()
    status = blocked.wait_status(lambda s: s["next_attempt"] is not None, "it is planned")
    assert status["state"] == "blocked"
    assert moment(status["next_attempt"]) - moment(status["last_attempt"]) < timedelta(days=2)


# Once


def test_once_survives_a_reload(daemon, peer, box, gate):
    sent = fill(box, 3)
    peer.on("RETR", faults.hold(gate), times=1)
    other = peer.add_mailbox("other")
    fill(other, 1)
    daemon.configure(daemon.account(peer))
    daemon.start_once()
    peer.wait_for(lambda: peer.sent_command("RETR"), "the poll is at RETR")
    daemon.configure(daemon.account(peer), daemon.account(peer, "other", interval="1h"))
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "SIGHUP" in daemon.log(), "it was noticed")
    gate.set()
    assert daemon.process.wait(30) == 0
    daemon.process = None
    assert daemon.maildir().digests() == expected(sent)


def test_once_cut_short(daemon, peer, box, gate):
    """Not even QUIT was answered within shutdown_timeout: that did not go well."""
    fill(box, 1)
    peer.on("QUIT", faults.hold(gate), times=1)
    daemon.configure(daemon.account(peer, keep="no"), shutdown_timeout=1)
    daemon.start_once()
    peer.wait_for(lambda: peer.sent_command("QUIT"), "the poll is at QUIT")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(30) == EX_TEMPFAIL
    daemon.process = None


def test_once_waits_for_its_hooks(daemon, peer, box):
    fill(box, 2)
    mark, fifo = daemon.path("mark"), daemon.path("fifo")
    os.mkfifo(fifo)
    hook = ["sh", "-c", f"cat < {fifo} > {mark}"]
    daemon.configure(daemon.account(peer, account_on_fetch=hook))
    daemon.start_once()
    peer.wait_for(lambda: peer.sessions and peer.sessions[0].closed, "the session is over")
    out = wait_for(lambda: open_writing(fifo), "the hook reads")
    with open(out, "w") as file:
        file.write("seen")
    assert daemon.process.wait(30) == 0
    daemon.process = None
    with open(mark) as file:
        assert file.read() == "seen"


# Servers that count badly, or ask for patience


def test_login_delay_of_a_refused_login(daemon, peer, box):
    """What CAPA asked for holds although the session got no further."""
    peer.on("CAPA", faults.answer("+OK", "USER", "UIDL", "LOGIN-DELAY 900", "."))
    peer.on("PASS", faults.answer("-ERR [LOGIN-DELAY] too soon"))
    daemon.configure(daemon.account(peer, interval="1m")).start()
    status = daemon.wait_status(lambda s: s["failures"] == 1, "the refusal")
    pause = moment(status["next_attempt"]) - moment(status["last_attempt"])
    assert pause > timedelta(minutes=14), status


def test_stat_counts_fewer_than_it_lists(daemon, peer, box):
    sent = fill(box, 4)
    peer.on("STAT", faults.answer("+OK 1 100"))
    daemon.configure(daemon.account(peer, keep="no")).start()
    assert daemon.fetch()["on_server"] == 0
    assert daemon.maildir().digests() == expected(sent)
    assert box.messages == []
