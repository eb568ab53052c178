"""Servers that offer what they cannot do: it is noticed, gone on without, and remembered; nothing is
held against any message."""

import re
import subprocess

import faults
import pytest
from support.daemon import find_program
from support.spool import (
    accepted,
    check_none_lost_or_doubled,
    drop_letters,
    letter,
    once_each,
    unknown_ones,
    wait_settled,
)
from support.waiting import wait_for


def with_parameter(keyword, reply):
    """Any command with this parameter is answered so."""
    return faults.matching(f" {keyword}", faults.answer(reply))


def later_letters(daemon, relay, spool, dropped):
    """Others, by a daemon that was started again."""
    count = len(dropped)
    daemon.restart()
    dropped |= drop_letters(spool, 2, first=count)
    relay.wait_accepted(count + 2)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


@pytest.mark.parametrize("chunking", [False, True], ids=["DATA", "BDAT"])
@pytest.mark.parametrize("reply", ["555 5.5.4 what", "501 syntax", "504 not here"])
@pytest.mark.parametrize("keyword", ["SIZE", "RET", "ENVID"])
def test_parameters_of_mail(daemon, relay, spool, account, keyword, reply, chunking):
    relay.chunking = chunking
    relay.on("MAIL", with_parameter(keyword, reply))
    dropped = drop_letters(spool, 3)
    account(dsn={"ret": "hdrs"}).start()
    relay.wait_accepted(3)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert "offers parameters of MAIL and RCPT and cannot do it" in daemon.log()
    assert spool.status()["left_out"] == ["parameters of MAIL and RCPT"]
    asked = [line for line in relay.sent_command("MAIL") if keyword in line]
    later_letters(daemon, relay, spool, dropped)
    assert [line for line in relay.sent_command("MAIL") if keyword in line] == asked
    assert spool.failed() == []


@pytest.mark.parametrize("keyword", ["NOTIFY", "ORCPT"])
def test_parameters_of_rcpt(daemon, relay, spool, account, keyword):
    relay.on("RCPT", with_parameter(keyword, "555 5.5.4 what"))
    people = [f"p{number}@example.com" for number in range(5)]
    dropped = drop_letters(spool, 3, to=", ".join(people))
    account(dsn={"notify": "failure"}, max_recipients=2).start()
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped, *people)
    assert spool.failed() == []


def test_not_about_parameters(relay, spool, account):
    """What is refused without them too has failed, and the next message has them again."""
    relay.on("MAIL", faults.answer("501 5.5.4 no"), times=2)
    dropped = drop_letters(spool, 1)
    account().start()
    spool.wait_failed(1)
    dropped = drop_letters(spool, 1, first=1)
    relay.wait_accepted(1)
    assert accepted(relay) == once_each(dropped)
    assert ["SIZE" in line for line in relay.sent_command("MAIL")] == [True, False, True]


def test_smtputf8(daemon, relay, spool, account):
    """An IDN domain goes as A-labels; who needs SMTPUTF8 is refused here, and says so."""
    relay.on("MAIL", with_parameter("SMTPUTF8", "555 5.5.4 what"))
    header = "Subject: Grüße"
    account().start()
    spool.drop("one", letter(1, "you@bücher.example", fields=[header]))
    (one,) = relay.wait_accepted(1)
    assert one.recipients == ["you@xn--bcher-kva.example"]
    assert "offers SMTPUTF8 and cannot do it" in daemon.log()
    spool.drop("two", letter(2, "grüße@example.com"))
    spool.wait_failed(1)
    assert "SMTPUTF8" in spool.reason("two")
    asked = relay.sent_command("MAIL")
    daemon.restart()
    spool.drop("three", letter(3, "you@bücher.example", fields=[header]))
    relay.wait_accepted(2)
    assert not any("SMTPUTF8" in line for line in relay.sent_command("MAIL")[len(asked) :])


def closes_on_pipelined(session, _):
    """RCPT: the connection goes when DATA is there already, which leaves with it or much later."""
    return b"DATA" in session._in and faults.hang_up()(session, "")


def test_pipelining(daemon, relay, spool, account):
    """Twice may be the network; then the commands go one by one, also on later days."""
    relay.on("RCPT", closes_on_pipelined)
    dropped = drop_letters(spool, 3)
    account().start()
    relay.wait_accepted(3)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert "the server breaks on PIPELINING: it is gone on without for 30 days" in daemon.log()
    sessions = len(relay.sessions)
    later_letters(daemon, relay, spool, dropped)
    assert len(relay.sessions) <= sessions + 2
    assert spool.failed() == []


def status_text(daemon):
    command = [find_program("postriderctl"), "-c", daemon.config, "status"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_chunking(daemon, relay, spool, account, reset):
    """The connection goes at the first chunk, each time."""
    relay.chunking = True
    relay.on("CHUNK", faults.hang_up(reset=reset))
    dropped = drop_letters(spool, 3)
    account().start()
    relay.wait_accepted(3)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert len(relay.sent_command("BDAT")) == 2
    assert "the server breaks on CHUNKING: it is gone on without for 30 days" in daemon.log()
    later_letters(daemon, relay, spool, dropped)
    assert len(relay.sent_command("BDAT")) == 2
    assert spool.status()["left_out"] == ["CHUNKING"]
    assert "Left out, for the server breaks on it: CHUNKING" in status_text(daemon)
    daemon.stop()
    assert "left out, for the server breaks on it: CHUNKING" in daemon.session_logs()[-1]


def test_few_messages_a_connection(daemon, relay, spool, account):
    """A server that closes without a word behind its second message: what had followed is unknown,
    twice; then one message follows the answer to the other, and nothing is unknown any more."""
    relay.chunking = True
    relay.on("MAIL", closes_at_third)
    dropped = drop_letters(spool, 100)
    account().start()
    wait_for(lambda: "breaks on CHUNKING: it is gone on without" in daemon.log(), "it is noticed")
    wait_settled(relay, spool, 100)
    check_none_lost_or_doubled(relay, spool, dropped)
    assert len(unknown_ones(spool)) <= 2 * 32


def closes_at_third(session, _):
    return len(session.sent_command("MAIL")) > 2 and faults.hang_up()(session, "")


def test_a_network_that_breaks(daemon, relay, spool, account):
    """Sessions that break with mail between them are no reason to go without anything."""
    relay.chunking = True
    uses = iter(range(1, 1000))
    relay.on("CHUNK", lambda s, a: next(uses) % 2 and faults.hang_up()(s, a))
    dropped = drop_letters(spool, 20)
    account(max_messages=3).start()
    relay.wait_accepted(20)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert not re.search("tried without|gone on without", daemon.log())
    assert not relay.sent_command("DATA")


def test_blamed_wrongly(daemon, relay, spool, account):
    """The session without it breaks as well: it was not that."""
    relay.chunking = True
    relay.on("CHUNK", faults.hang_up(), times=2)
    relay.on("DATA", faults.hang_up(), times=1)
    dropped = drop_letters(spool, 3)
    account().start()
    relay.wait_accepted(3)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert "it is tried without" in daemon.log()
    assert "gone on without" not in daemon.log()
    wait_for(lambda: len(relay.sent_command("BDAT")) > 2, "chunks again")
