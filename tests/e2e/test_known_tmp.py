"""The sending side while its configuration changes, and what a person asks for meanwhile."""

import os
import subprocess
import threading
from itertools import product

import faults
import pytest
from support.spool import accepted, drop_letters, once_each, smtp_account, wire
from support.waiting import wait_for

LONG = {"first": "1h", "max": "1h"}


def without_smtp(account):
    return {key: item for key, item in account.items() if key != "smtp"}


@pytest.mark.parametrize("reply", ["250 2.0.0 taken", "450 4.3.0 later", "550 5.7.1 never"])
def test_smtp_is_taken_away_while_mail_is_on_its_way(daemon, relay, spool, reply):
    """The session ends with the settings that it began with, and its mail's fate is recorded."""
    asked, answered = threading.Event(), threading.Event()

    def hold(session, argument):
        asked.set()
        faults.hold(answered)(session, argument)
        session.say(reply)
        return True

    relay.on("DOT", hold, times=1)
    account = smtp_account(daemon, relay)
    daemon.configure(account, retry=LONG)
    drop_letters(spool, 6)
    daemon.start()
    assert asked.wait(30)
    spool.wait_queue(lambda queue: len(queue) == 6, "all are queued")
    daemon.configure(without_smtp(account), retry=LONG)
    daemon.ctl("reload")
    (session,) = daemon.ctl("sessions")["sessions"]
    assert session["state"] == "sending"
    answered.set()
    spool.wait_status(lambda s: s["state"] == "disabled", "disabled")
    wait_for(lambda: not daemon.ctl("sessions")["sessions"], "the session is over")
    daemon.configure(account, retry=LONG)
    daemon.ctl("reload")
    relay.wait_accepted(6 if reply.startswith("2") else 5)


def test_flush_reaches_all_that_waits(daemon, relay, spool):
    """However many wait, and whatever the queue is being asked at that moment."""
    relay.on("RCPT", faults.answer("450 4.2.0 later"))
    daemon.configure(smtp_account(daemon, relay, max_messages=1000), retry=LONG)
    dropped = drop_letters(spool, 450)
    daemon.start()
    spool.wait_queue(
        lambda queue: len(queue) == 450 and all(m["attempts"] == 1 for m in queue), "deferred", 120
    )
    relay.behave()
    daemon.ctl("flush")
    relay.wait_accepted(450, timeout=120)
    assert accepted(relay) == once_each(dropped)


def test_a_stop_waits_for_the_reply_to_an_account_that_is_gone(daemon, relay, spool):
    """The account was taken out of the configuration while its final dot waited."""
    asked, answered = threading.Event(), threading.Event()

    def hold(session, argument):
        asked.set()
        return faults.hold(answered)(session, argument)

    relay.on("DOT", hold, times=1)
    account = smtp_account(daemon, relay)
    daemon.configure(account, shutdown_timeout=1)
    dropped = drop_letters(spool, 1)
    daemon.start()
    assert asked.wait(30)
    daemon.configure(smtp_account(daemon, relay, "other"), shutdown_timeout=1)
    daemon.ctl("reload")
    assert [s["account"] for s in daemon.ctl("sessions")["sessions"]] == ["box"]
    daemon.process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.process.wait(3)
    answered.set()
    daemon.stop()
    assert spool.is_empty()
    assert accepted(relay) == once_each(dropped)


@pytest.mark.parametrize("verb", ["hold", "remove"])
def test_what_waits_its_turn_can_be_stopped(daemon, relay, spool, verb):
    """Mail that is lent to a session, or read ahead by it, but not on its way yet."""
    asked, answered = threading.Event(), threading.Event()

    def hold(session, argument):
        asked.set()
        return faults.hold(answered)(session, argument)

    relay.on("DOT", hold, times=1)
    daemon.configure(smtp_account(daemon, relay), retry=LONG)
    drop_letters(spool, 10)
    daemon.start()
    assert asked.wait(30)
    queue = spool.wait_queue(lambda queue: len(queue) == 10, "all are queued")
    begun = relay.transactions[0].octets
    stopped = [
        m["id"]
        for m, name in product(queue, spool.files("queue"))
        if name.startswith(m["id"]) and wire(spool.read("queue", name)) != begun
    ]
    for message in stopped:
        daemon.ctl(verb, message)
    answered.set()
    wait_for(lambda: not daemon.ctl("sessions")["sessions"], "the session is over")
    assert len(accepted(relay)) == 1
    left = 9 if verb == "hold" else 0
    wait_for(lambda: len(spool.files("queue")) == left, spool.listing)
    for message in stopped if verb == "hold" else []:
        daemon.ctl("release", message)
    relay.wait_accepted(10 if verb == "hold" else 1)


def test_aliases_that_cannot_be_read_any_more(daemon, relay, spool):
    """What was read before counts on: mail for root does not go astray meanwhile."""
    aliases = daemon.path("aliases")
    with open(aliases, "w") as file:
        file.write("root: admin@example.com\n")
    local = {"domain": "host.example.org", "aliases": aliases}
    daemon.configure(smtp_account(daemon, relay), local=local).start()
    os.truncate(aliases, 2 << 20)
    daemon.ctl("reload")
    wait_for(lambda: "is larger than" in daemon.log(), "the aliases are read again")
    drop_letters(spool, 1, to="root")
    assert relay.wait_accepted(1)[0].recipients == ["admin@example.com"]


def test_a_flush_reaches_all(daemon, relay, spool):
    """However many wait, each for its own time: every one of them is tried, and that once."""
    many = 10_200  # more than two pages
    relay.on("RCPT", faults.answer("450 4.2.0 later"))
    daemon.configure(smtp_account(daemon, relay), retry=LONG)
    drop_letters(spool, many)
    daemon.start()

    def tried():
        return sum(line.startswith("RCPT") for s in relay.sessions for _, line in s.commands)

    wait_for(lambda: tried() == many, lambda: f"all are deferred: {tried()}", 200)
    spool.wait_settled()
    daemon.ctl("flush")
    wait_for(lambda: tried() >= 2 * many, lambda: f"all are tried again: {tried()}", 200)
    spool.wait_settled()
    assert tried() == 2 * many


def test_a_flush_leaves_what_is_for_later(daemon, relay, spool):
    """X-Postrider-Not-Before is no trouble that a flush gets over; only a flush of that message."""
    relay.on("RCPT", faults.answer("450 4.2.0 later"), times=1)
    daemon.configure(smtp_account(daemon, relay), retry=LONG)
    drop_letters(spool, 1)
    daemon.start()
    spool.wait_queue(lambda queue: queue and queue[0]["attempts"] == 1, "deferred")
    drop_letters(
        spool, 1, first=1, fields=["X-Postrider-Not-Before: Fri, 20 Nov 2099 10:15:00 +0000"]
    )
    spool.wait_queue(lambda queue: len(queue) == 2, "both are queued")
    daemon.ctl("flush")
    relay.wait_accepted(1)
    (later,) = spool.wait_queue(lambda queue: len(queue) == 1, "one is left")
    spool.wait_settled()
    assert later["next_attempt"].startswith("2099-11-20T10:15:00")
    assert b"Subject: number 0" in relay.accepted[0].octets
    daemon.ctl("flush", later["id"])
    assert b"Subject: number 1" in relay.wait_accepted(2)[1].octets
