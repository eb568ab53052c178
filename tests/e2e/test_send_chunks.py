"""BDAT (RFC 3030): many whole messages are under way at once; whatever happens then, each answer
counts for the message that it is about, nothing is lost, and a server that offers CHUNKING and
cannot do it has its mail all the same."""

import random
import threading

import faults
import pytest
from support.dovecot import PASSWORD
from support.postfix import as_sent
from support.spool import (
    RETRY,
    accepted,
    check_none_lost_or_doubled,
    drop_letters,
    fates,
    letter,
    once_each,
    smtp_account,
    unknown_ones,
    wait_settled,
)
from support.waiting import wait_for

LONG = {"first": "1h", "max": "1h"}


@pytest.fixture
def relay(relay):
    relay.chunking = True
    return relay


class Held:
    """The end of the first text waits for its answer until `answered` is set; `asked` is set when
    `count` texts have come behind it."""

    def __init__(self, relay, count):
        self.asked, self.answered = threading.Event(), threading.Event()
        self.count = count
        relay.on("DOT", self.hold, times=1)

    def hold(self, session, argument):
        while session._in.count(b" LAST\r\n") < self.count or not session._in.endswith(b"\r\n"):
            session.fill()
        self.asked.set()
        return faults.hold(self.answered)(session, argument)


def at_uses(numbers, act):
    """`act` at these uses, counted from 1."""
    uses = iter(range(1, 10_000))
    return lambda session, argument: next(uses) in numbers and act(session, argument)


def test_many_are_under_way(daemon, relay, spool, account):
    held = Held(relay, 20)
    dropped = drop_letters(spool, 40)
    account().start()
    assert held.asked.wait(30)
    assert relay.sessions[0].reset_wanted is False
    held.answered.set()
    relay.wait_accepted(40)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert not relay.sent_command("DATA")


def test_the_first_chunk_goes_alone(daemon, relay, spool, account):
    """One field of the header, and nothing behind it before it was taken."""
    asked, answered = threading.Event(), threading.Event()

    def hold(session, argument):
        asked.set()
        return faults.hold(answered)(session, argument)

    relay.on("CHUNK", hold, times=1)
    dropped = drop_letters(spool, 3)
    account().start()
    assert asked.wait(30)
    assert bytes(relay.sessions[0].wire).endswith(b"BDAT 22\r\nFrom: me@example.org\r\n")
    answered.set()
    relay.wait_accepted(3)
    assert accepted(relay) == once_each(dropped)


@pytest.mark.parametrize("reply", ["500 5.5.1 what", "502 5.5.1 no", "554 5.5.0 no", "451 later"])
def test_offered_and_refused(daemon, relay, spool, account, reply):
    """DATA at once on another connection, and on those of later days; nothing is held against any
    message."""
    relay.on("CHUNK", faults.answer(reply))
    dropped = drop_letters(spool, 3)
    account(retry=LONG).start()
    relay.wait_accepted(3)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert fates(daemon) == ["untried", *["sent"] * 3]
    assert f'the server offers CHUNKING and cannot do it: "{reply}"' in daemon.log()
    daemon.restart()
    dropped |= drop_letters(spool, 2, first=3)
    relay.wait_accepted(5)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert len(relay.sent_command("BDAT")) == 1


def test_offered_and_not_known(daemon, relay, spool, account):
    """The chunk is taken for commands: it is a field of a header, which is none."""
    relay.without.add("BDAT")
    dropped = drop_letters(spool, 3, body="MAIL FROM:<evil@example.org>\n")
    account(retry=LONG).start()
    relay.wait_accepted(3)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert relay.sessions[0].sent_command("BDAT") == ["22"]


def test_forgotten_with_other_settings(daemon, relay, spool, account):
    relay.on("CHUNK", faults.answer("500 what"), times=1)
    dropped = drop_letters(spool, 1)
    account(retry=LONG).start()
    relay.wait_accepted(1)
    spool.wait_empty()
    account(retry=LONG, host="localhost")
    daemon.ctl("reload")
    dropped |= drop_letters(spool, 1, first=1)
    relay.wait_accepted(2)
    assert accepted(relay) == once_each(dropped)
    assert len(relay.sent_command("BDAT")) > 2


@pytest.mark.parametrize("reply", ["450 4.2.0 later", "554 5.7.1 never"])
def test_refused_at_the_end_is_that_one_alone(daemon, relay, spool, account, reply):
    relay.on("DOT", at_uses([5], faults.answer(reply)))
    dropped = drop_letters(spool, 20)
    account(retry=LONG).once(expect=75)
    assert len(relay.sessions) == 1
    assert len(relay.accepted) == 19
    assert fates(daemon).count("deferred" if reply[0] == "4" else "failed") == 1
    assert not accepted(relay) - once_each(dropped)


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
@pytest.mark.parametrize("reply", ["450 4.2.0 later", "550 5.1.1 no such user"])
def test_refused_in_the_envelope_is_that_one_alone(daemon, relay, spool, account, step, reply):
    relay.on(step, at_uses([5, 6, 12], faults.answer(reply)))
    dropped = drop_letters(spool, 20)
    account(retry=LONG).once(expect=75)
    assert len(relay.sessions) == 1
    assert len(relay.accepted) == 17
    assert fates(daemon).count("deferred" if reply[0] == "4" else "failed") == 3
    assert not accepted(relay) - once_each(dropped)


def test_slowed_down(daemon, relay, spool, account):
    """The answers to what is under way are waited for, then the account waits."""
    held = Held(relay, 20)
    relay.on("MAIL", at_uses([4], faults.answer("450 4.3.2 not now")))
    dropped = drop_letters(spool, 40)
    account(retry=LONG).start()
    assert held.asked.wait(30)
    held.answered.set()
    wait_for(lambda: not daemon.ctl("sessions")["sessions"], "the session is over")
    assert "unknown" not in fates(daemon)
    assert fates(daemon).count("deferred") == 1
    assert len(relay.accepted) >= 20
    assert spool.status()["state"] == "backoff"
    daemon.ctl("flush")
    relay.wait_accepted(40)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_lost_with_many_under_way(relay, spool, account, taken, reset):
    """What has left with its end is unknown; none is lost, none is sent again by itself."""
    held = Held(relay, 10)
    relay.on("DOT", at_uses([2], faults.dot_unanswered(accepted=taken, reset=reset)))
    dropped = drop_letters(spool, 40)
    account().start()
    assert held.asked.wait(30)
    held.answered.set()
    wait_settled(relay, spool, 40)
    check_none_lost_or_doubled(relay, spool, dropped)
    assert relay.transactions[1].octets in unknown_ones(spool)


def test_stopped_with_many_under_way(daemon, relay, spool, account):
    held = Held(relay, 20)
    dropped = drop_letters(spool, 40)
    account().start()
    assert held.asked.wait(30)
    daemon.process.terminate()
    wait_for(lambda: "info: stopping" in daemon.log(), "it stops")
    held.answered.set()
    daemon.stop()
    assert set(fates(daemon)) <= {"sent", "untried"}
    assert fates(daemon).count("sent") == len(relay.accepted) >= 20
    daemon.restart()
    relay.wait_accepted(40)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


def test_stopped_amid_a_text(daemon, relay, spool, account):
    """The fate that is waited for comes while a long text is leaving: that one is cut off."""
    asked, answered = threading.Event(), threading.Event()

    def hold(session, argument):
        while len(session.wire) < 100_000:
            session.fill()
        asked.set()
        return faults.hold(answered)(session, argument)

    relay.on("DOT", hold, times=1)
    dropped = drop_letters(spool, 1)
    dropped |= drop_letters(spool, 2, first=1, body="a line of a large message\n" * 200_000)
    account().start()
    assert asked.wait(30)
    daemon.process.terminate()
    wait_for(lambda: "info: stopping" in daemon.log(), "it stops")
    answered.set()
    daemon.stop()
    daemon.restart()
    relay.wait_accepted(3)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


def test_killed_with_many_under_way(daemon, relay, spool, account):
    """None is lost; twice come only those whose answers were never recorded."""
    held = Held(relay, 20)
    dropped = drop_letters(spool, 40)
    account().start()
    assert held.asked.wait(30)
    daemon.kill()
    held.answered.set()
    daemon.restart()
    spool.wait_empty()
    found = accepted(relay)
    assert set(found) == set(once_each(dropped))
    assert max(found.values()) <= 2


def test_several_transactions_of_a_message(daemon, relay, spool, account):
    """Split by max_recipients, and by the server in the middle of what is under way."""
    people = [f"p{number}@example.com" for number in range(7)]
    relay.on("RCPT", faults.matching("p5@", faults.answer("452 4.5.3 too many")), times=4)
    dropped = drop_letters(spool, 10, to=",\n ".join(people))
    account(max_recipients=3).start()
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped, *people)


def test_large_messages(daemon, relay, spool, account):
    dropped = drop_letters(spool, 6, body="a line of a large message\n" * 60_000)
    account().start()
    relay.wait_accepted(6)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert max(t.chunks for t in relay.transactions) > 10
    assert relay.bare_line_ends() == []


@pytest.mark.parametrize("run", range(3))
def test_refused_while_it_is_read(daemon, relay, spool, account, run):
    """Nobody is left whom a text could be for, while its next piece is read: that piece comes when
    the next message is under way, and is none of it."""
    relay.on("RCPT", faults.matching("gone@", faults.answer("550 5.1.1 nobody")))
    dropped = {}
    for number in range(60):
        body = f"the text of {number}\n" * 10_000
        if number % 2 == 0:
            dropped |= drop_letters(spool, 1, first=number, body=body)
        else:
            drop_letters(spool, 1, first=number, body=body, to="gone@example.com")
    account(retry=LONG).once(expect=75)
    assert accepted(relay) == once_each(dropped)


def storm(seed, relay):
    """At each step now and then a fault, twenty in all."""
    dice = random.Random(seed)

    def mischief(step):
        kind = dice.choice(["answer", "answer", "slow", "gone", "reset", "421"])
        if kind == "answer":
            return faults.answer("450 4.2.0 later")
        if kind == "slow":
            return faults.answer("451 4.3.2 too much")
        if kind == "421":
            return faults.hang_up("421 4.3.2 enough")
        if step == "DOT" and dice.random() < 0.5:
            return faults.dot_unanswered()
        return faults.hang_up(reset=kind == "reset")

    maybe = faults.now_and_then(dice, 0.1, 20, mischief)
    for step in ["RSET", "MAIL", "RCPT", "DOT"]:
        relay.on(step, maybe(step))


@pytest.mark.parametrize("lines", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_a_storm(daemon, relay, spool, account, seed, lines):
    storm(seed, relay)
    dropped = drop_letters(spool, 150)
    account(max_connections=lines).start()
    wait_settled(relay, spool, 150)
    check_none_lost_or_doubled(relay, spool, dropped)
    assert spool.files("failed") == []


# Real servers


@pytest.fixture
def user(dovecot):
    return dovecot.add_user()


@pytest.mark.parametrize("chunking", ["auto", False], ids=["BDAT", "DATA"])
def test_through_postfix(daemon, postfix, certificates, spool, user, chunking):
    box, gone = postfix.add_box(), "nobody@example.net"
    login = {"user": user, "password": PASSWORD, "tls_ca_file": certificates["ca"]}
    daemon.configure(
        smtp_account(daemon, postfix.starttls, chunking=chunking, **login), retry=RETRY
    )
    sent = [letter(number, f"{box}@example.com", body=".\n..x\n" * number) for number in range(60)]
    for number, octets in enumerate(sent):
        spool.drop(str(number), octets)
        if number % 10 == 0:
            spool.drop(f"gone-{number}", letter(number, gone))
    daemon.start()
    assert sorted(as_sent(stored) for stored in postfix.wait_for(box, 60)) == sorted(sent)
    spool.wait_failed(6)
    spool.wait_empty()
    daemon.stop()
    chunks = sum(log.count("--> BDAT") for log in daemon.session_logs())
    assert chunks >= 60 if chunking == "auto" else chunks == 0
