"""The next envelope follows the final dot without waiting for its reply (RFC 2920): whatever happens
then, each answer counts for the message that it is about, and nobody gets anything twice."""

import random
import subprocess
import threading
from collections import Counter

import faults
import pytest
from support.report import reports
from support.spool import (
    RETRY,
    accepted,
    drop_letters,
    fates,
    letter,
    once_each,
    smtp_account,
    wire,
)
from support.waiting import wait_for

LONG = {"first": "1h", "max": "1h"}


class Held:
    """DOT, once: the reply waits until `answered` is set. `asked` is set when another envelope has
    come behind the dot, or with `ahead` false when the dot has."""

    def __init__(self, relay, ahead=True):
        self.asked, self.answered = threading.Event(), threading.Event()
        self.ahead = ahead
        relay.on("DOT", self.hold, times=1)

    def hold(self, session, argument):
        while self.ahead and not session._in.endswith(b"DATA\r\n"):
            session.fill()
        self.asked.set()
        return faults.hold(self.answered)(session, argument)


def until_ahead(count):
    """DOT: no answer before the next envelope is there, save to the last of `count` messages."""

    def act(session, _):
        while len(session.peer.accepted) < count - 1 and not session._in.endswith(b"DATA\r\n"):
            session.fill()
        return False

    return act


def dot_answered_then_gone(reset=False):
    """DOT: the message is taken and that is said; then the connection is closed."""

    def act(session, _):
        session.do_dot()
        session.end_transaction(session.is_positive())
        session.flush()
        session.close(reset=reset)
        raise faults.Hangup("as scripted")

    return act


def in_later_transactions(act):
    """`act` from the second MAIL of a session on."""
    return lambda session, argument: (
        act(session, argument) if len(session.sent_command("MAIL")) > 1 else False
    )


def test_the_envelope_comes_while_the_dot_waits(relay, spool, account):
    held = Held(relay)
    dropped = drop_letters(spool, 4)
    daemon = account().start()
    assert held.asked.wait(30)
    assert len(relay.transactions) == 1
    held.answered.set()
    relay.wait_accepted(4)
    spool.wait_empty()
    daemon.stop()
    assert accepted(relay) == once_each(dropped)
    assert bytes(relay.sessions[0].wire).count(b"\r\n.\r\nMAIL FROM:") == 3


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_nothing_of_it_before_the_dot(daemon, relay, spool, account, reset):
    """The dot could not leave, for the server does not read: no octet of the next message did."""
    wires = []

    def cut(session, _):
        while len(session.wire) < 100_000:
            session.fill()
        wires.append(session.wire)
        session.close(reset=reset)
        raise faults.Hangup("as scripted")

    relay.on("TEXT", cut, times=1)
    dropped = drop_letters(spool, 3, body="a line of a large message\n" * 400_000)
    account().start()
    relay.wait_accepted(3)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert bytes(wires[0]).count(b"MAIL FROM:") == 1
    assert sorted(set(fates(daemon))) == ["deferred", "sent"]
    assert fates(daemon).count("deferred") == 1


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_unknown_is_the_first_alone(daemon, relay, spool, account, taken, reset):
    Held(relay).answered.set()
    relay.on("DOT", faults.dot_unanswered(accepted=taken, reset=reset), times=1)
    dropped = drop_letters(spool, 4)
    account().start()
    relay.wait_accepted(3 + taken)
    (message,) = spool.wait_queue(lambda queue: len(queue) == 1, "only the unknown one is left")
    assert message["recipients"][0]["state"] == "unknown"
    assert message["attempts"] == 1
    found = accepted(relay)
    first = (relay.transactions[0].octets, "you@example.com")
    assert found.pop(first, 0) == taken
    rest = once_each(dropped)
    del rest[first]
    assert found == rest
    assert sorted(fates(daemon)) == ["sent"] * 3 + ["unknown", "untried"]
    assert daemon.maildir().messages() == []


@pytest.mark.parametrize("reply", ["450 4.2.0 later", "550 5.7.1 never"])
def test_refused_at_the_dot_is_the_first_alone(daemon, relay, spool, account, reply):
    relay.on("DOT", faults.answer(reply), times=1)
    dropped = drop_letters(spool, 4)
    account(retry=LONG).once(expect=75)
    assert len(relay.sessions) == 1
    first = (relay.transactions[0].octets, "you@example.com")
    assert accepted(relay) == once_each(dropped) - Counter([first])
    assert len(spool.failed() + spool.files("queue")) == 1
    assert sorted(fates(daemon)) == ["deferred" if reply[0] == "4" else "failed"] + ["sent"] * 3


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("reply", ["451 4.3.0 later", "550 5.7.1 never"])
def test_refused_ahead_is_the_second_alone(daemon, relay, spool, account, step, reply):
    relay.on(step, in_later_transactions(faults.answer(reply)), times=None)
    drop_letters(spool, 3)
    account(retry=LONG).once(expect=75)
    assert len(relay.sessions) == 1
    assert len(relay.accepted) == 1
    assert len(spool.failed() + spool.files("queue")) == 2
    assert fates(daemon).count("deferred" if reply[0] == "4" else "failed") == 2


@pytest.mark.parametrize("end", ["421", "closed", "reset"])
def test_a_server_that_takes_one_message_a_connection(daemon, relay, spool, account, end):
    """What had its envelope sent ahead each time is sent the next time, and none is blamed."""
    relay.on("DOT", until_ahead(4))
    if end == "421":
        relay.on("MAIL", in_later_transactions(faults.hang_up("421 4.7.0 one a connection")))
    else:
        relay.on("DOT", dot_answered_then_gone(reset=end == "reset"))
    dropped = drop_letters(spool, 4)
    account().start()
    relay.wait_accepted(4)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert set(fates(daemon)) == {"sent", "untried"}


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("fault", ["gone", "reset", "421", "silence", "garbage"])
def test_the_second_goes_wrong(relay, spool, account, step, fault):
    act = {
        "gone": faults.hang_up(),
        "reset": faults.hang_up(reset=True),
        "421": faults.hang_up("421 4.3.2 closing down"),
        "silence": faults.stall(),
        "garbage": faults.garbage(),
    }[fault]
    relay.on(step, faults.from_use(2, act), times=2)
    dropped = drop_letters(spool, 4)
    account(timeout=1).start()
    relay.wait_accepted(4)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


def test_several_transactions_of_several_messages(daemon, relay, spool, account):
    """Split by max_recipients, one of each refused, some deferred: each once, one bounce each."""
    relay.on("RCPT", faults.matching("never@", faults.answer("550 5.1.1 no such user")))
    relay.on("RCPT", faults.matching("p3@", faults.answer("450 4.2.0 later")), times=3)
    relay.on("DOT", faults.answer("451 4.3.0 later"), times=2)
    people = [f"p{number}@example.com" for number in range(7)]
    dropped = drop_letters(spool, 5, to=",\n ".join([*people, "never@example.com"]))
    account(max_recipients=3).start()
    spool.wait_failed(5)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped, *people)
    wait_for(lambda: len(daemon.maildir().files()) == 5, "five bounces")
    assert [list(r.fates()) for r in reports(daemon)] == [["never@example.com"]] * 5


def test_what_is_refused_here_is_not_sent(daemon, relay, spool, account):
    relay.size_limit = 10_000
    relay.without.add("SMTPUTF8")
    dropped = {}
    for number in range(9):
        to = "grüße@example.com" if number % 3 == 1 else "you@example.com"
        body = "x" * 70 + "\n" + "y\n" * 20_000 if number % 3 == 2 else None
        octets = letter(number, to, body=body)
        spool.drop(f"letter-{number}", octets)
        if number % 3 == 0:
            dropped[f"letter-{number}"] = octets
    account().start()
    spool.wait_failed(6)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert len(relay.sent_command("MAIL")) == 3
    assert sorted(fates(daemon)) == ["failed"] * 6 + ["sent"] * 3


def test_max_messages_counts_what_went_ahead(relay, spool, account):
    dropped = drop_letters(spool, 10)
    account(max_messages=3).once()
    assert accepted(relay) == once_each(dropped)
    assert max(len(session.sent_command("MAIL")) for session in relay.sessions) == 3
    assert all(session.commands[-1][1] == "QUIT" for session in relay.sessions)


# Stopped, taken back, reloaded


@pytest.mark.parametrize("reply", ["250 2.0.0 taken", "450 4.3.0 later", "550 5.7.1 never"])
def test_a_stop_while_an_envelope_is_ahead(daemon, relay, spool, account, reply):
    """The reply to the dot is heard and recorded; nothing of the next message leaves."""
    held = Held(relay)
    relay.on("DOT", faults.answer(reply), times=1)
    dropped = drop_letters(spool, 4)
    account(retry=LONG).start()
    assert held.asked.wait(30)
    daemon.process.terminate()
    wait_for(lambda: "info: stopping" in daemon.log(), "it stops")
    held.answered.set()
    daemon.stop()
    word = {"2": "sent", "4": "deferred", "5": "failed"}[reply[0]]
    assert sorted(fates(daemon)) == sorted([word, "untried"])
    assert len(relay.transactions) == 1
    first = (relay.transactions[0].octets, "you@example.com")
    daemon.restart()
    rest = 4 if word == "sent" else 3
    relay.wait_accepted(rest)
    wait_for(lambda: len(spool.files("queue")) == (word == "deferred"), spool.listing)
    assert accepted(relay) == once_each(dropped) - Counter([] if word == "sent" else [first])


def test_a_stop_that_hears_nothing(daemon, relay, spool, account):
    """The connection goes while the stop waits: the first is unknown, the second is not."""
    held = Held(relay)
    relay.on("DOT", faults.dot_unanswered(), times=1)
    dropped = drop_letters(spool, 3)
    account().start()
    assert held.asked.wait(30)
    daemon.process.terminate()
    wait_for(lambda: "info: stopping" in daemon.log(), "it stops")
    held.answered.set()
    daemon.stop()
    assert sorted(fates(daemon)) == ["unknown", "untried"]
    daemon.restart()
    relay.wait_accepted(3)
    (message,) = spool.wait_queue(lambda queue: len(queue) == 1, "only the unknown one is left")
    assert message["recipients"][0]["state"] == "unknown"
    assert accepted(relay) == once_each(dropped)


def test_killed_while_an_envelope_is_ahead(daemon, relay, spool, account):
    """Nothing was said of either: both are sent, the first perhaps twice, as ever; none is lost."""
    held = Held(relay)
    dropped = drop_letters(spool, 3)
    account().start()
    assert held.asked.wait(30)
    daemon.kill()
    held.answered.set()
    daemon.restart()
    spool.wait_empty()
    found = accepted(relay)
    found[(relay.transactions[0].octets, "you@example.com")] = 1
    assert found == once_each(dropped)


@pytest.mark.parametrize("verb", ["hold", "remove"])
def test_the_message_whose_envelope_is_ahead_is_taken_back(daemon, relay, spool, account, verb):
    """A person's word counts until the text leaves; the others are sent over a new connection."""
    held = Held(relay)
    dropped = drop_letters(spool, 6)
    account(retry=LONG, dsn={"ret": "hdrs"}).start()
    assert held.asked.wait(30)
    (taken_back,) = [
        m["id"]
        for m in spool.wait_queue(lambda queue: len(queue) == 6, "all are queued")
        if f"ENVID={m['id']}" in ahead_of(relay)
    ]
    (name,) = [name for name in spool.files("queue") if name.startswith(taken_back)]
    octets = spool.read("queue", name)
    daemon.ctl(verb, taken_back)
    held.answered.set()
    relay.wait_accepted(5)
    wait_for(lambda: not daemon.ctl("sessions")["sessions"], "the sessions are over")
    stopped = (wire(octets), "you@example.com")
    assert accepted(relay) == once_each(dropped) - Counter([stopped])
    wait_for(lambda: len(spool.files("queue")) == (verb == "hold"), spool.listing)
    if verb == "hold":
        daemon.ctl("release", taken_back)
        relay.wait_accepted(6)
        assert accepted(relay) == once_each(dropped)


def ahead_of(relay):
    """What stands behind the dot that waits."""
    return bytes(relay.sessions[0].wire).decode().rpartition("\r\n.\r\n")[2]


def test_the_account_is_gone_while_an_envelope_is_ahead(daemon, relay, spool, account):
    held = Held(relay)
    dropped = drop_letters(spool, 4)
    account().start()
    assert held.asked.wait(30)
    daemon.configure(smtp_account(daemon, relay, "other"))
    daemon.ctl("reload")
    assert [s["account"] for s in daemon.ctl("sessions")["sessions"]] == ["box"]
    held.answered.set()
    wait_for(lambda: not daemon.ctl("sessions")["sessions"], "the session is over")
    assert len(relay.transactions) == 1
    daemon.configure(smtp_account(daemon, relay), retry=RETRY)
    daemon.ctl("reload")
    relay.wait_accepted(4)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_reload_while_an_envelope_is_ahead(daemon, relay, spool, account, pipelining):
    held = Held(relay)
    dropped = drop_letters(spool, 4)
    account().start()
    assert held.asked.wait(30)
    account(pipelining=pipelining)
    daemon.ctl("reload")
    held.answered.set()
    relay.wait_accepted(4)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


# Storms


ANSWERS = ["450 4.2.0 later", "451 4.3.0 not now", "421 4.3.2 enough"]


def storm(seed, relay, unknown):
    """At each step now and then a fault, twenty in all; returns what was taken without a
    reply."""
    dice = random.Random(seed)
    silent = []

    def mischief(step):
        kinds = ["answer", "gone", "reset"]
        if step == "DOT":
            kinds = ["answer", "answered and gone", "answered and reset"]
            kinds += ["unanswered"] if unknown else []
        kind = dice.choice(kinds)
        reset = kind.endswith("reset")
        if kind == "answer":
            reply = dice.choice(ANSWERS)
            return (faults.hang_up if reply.startswith("421") else faults.answer)(reply)
        if kind.startswith("answered"):
            return dot_answered_then_gone(reset)
        if kind == "unanswered":
            return unanswered
        return faults.hang_up(reset=reset)

    def unanswered(session, argument):
        silent.append(session.transaction.octets)
        return faults.dot_unanswered(reset=dice.random() < 0.5)(session, argument)

    maybe = faults.now_and_then(dice, 0.2, 20, mischief)
    for step in ["MAIL", "RCPT", "DATA", "DOT"]:
        relay.on(step, maybe(step))
    return silent


@pytest.mark.parametrize("lines", [1, 3])
@pytest.mark.parametrize("seed", range(2))
def test_a_storm(daemon, relay, spool, account, seed, lines):
    """Whatever happens at whatever step, every recipient gets every message once."""
    storm(seed, relay, unknown=False)
    people = ["you@example.com", "too@example.com", "them@example.com"]
    dropped = drop_letters(spool, 60, to=", ".join(people))
    account(max_recipients=2, max_connections=lines).start()
    spool.wait_empty(120)
    assert accepted(relay) == once_each(dropped, *people)
    assert spool.files("failed") == []
    assert daemon.maildir().messages() == []
    assert "unknown" not in fates(daemon)


@pytest.mark.parametrize("seed", range(2))
def test_a_storm_with_replies_that_never_come(daemon, relay, spool, account, seed):
    """What was taken without a reply is unknown, that and nothing else, and not sent again."""
    silent = storm(seed, relay, unknown=True)
    dropped = drop_letters(spool, 60)
    account().start()
    wait_for(lambda: len(accepted(relay)) == 60, lambda: f"all are there: {spool.listing()}", 120)
    queue = spool.wait_queue(lambda queue: len(queue) == len(silent), "only unknown ones are left")
    assert all(m["recipients"][0]["state"] == "unknown" for m in queue)
    left = [wire(spool.read("queue", name)) for name in spool.files("queue")]
    assert sorted(left) == sorted(silent)
    assert accepted(relay) == once_each(dropped)
    assert fates(daemon).count("unknown") == len(silent)


def test_a_storm_of_stops(daemon, relay, spool, account):
    """Stopped and started again at any moment: the reply to a dot is always waited for."""
    relay.delay = 0.01
    dropped = drop_letters(spool, 120)
    account()
    dice = random.Random(1)
    for _ in range(12):
        before = len(relay.transactions)
        daemon.start()
        wanted = before + dice.randrange(1, 8)
        try:
            relay.wait_for(lambda: len(relay.transactions) >= wanted, "some", 30)  # noqa: B023
        finally:
            daemon.stop()
    daemon.start()
    spool.wait_empty(120)
    assert accepted(relay) == once_each(dropped)


def test_a_stop_gives_the_dot_a_minute(daemon, relay, spool, account):
    """The stop is not cut short by the envelope ahead."""
    held = Held(relay)
    dropped = drop_letters(spool, 2)
    account()
    daemon.configure(smtp_account(daemon, relay), retry=RETRY, shutdown_timeout=1)
    daemon.start()
    assert held.asked.wait(30)
    daemon.process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.process.wait(3)
    held.answered.set()
    daemon.stop()
    assert fates(daemon) == ["sent", "untried"]
    daemon.restart()
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
