"""SMTP servers that refuse, fail, lie or vanish: each recipient has its own fate, nobody gets
anything twice, and nothing vanishes."""

import base64
import os
import re
import threading
import time
from collections import Counter
from datetime import datetime, timezone

import faults
import pytest
from support.daemon import check_error
from support.dovecot import free_ports
from support.report import Report, reports, the_report
from support.spool import accepted, drop_letters, letter, once_each, smtp_account, wire
from support.waiting import wait_for

LONG = {"first": "1h", "max": "1h"}
STEPS = ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "DOT"]
BEFORE_MAIL = ["GREETING", "EHLO"]
FROM_MAIL = ["MAIL", "RCPT", "DATA", "DOT"]


# The ordinary case, and the conversation itself


def test_the_wire(daemon, relay, spool, account):
    """What the server gets is the message and nothing else, and is told what it may know."""
    octets = letter(1, "you@example.com, too@example.net", body="Grüße\n.\n..dots\nend\n")
    spool.drop("letter", octets)
    account().once()
    (transaction,) = relay.accepted
    assert transaction.octets == wire(octets)
    assert transaction.sender == "me@example.org"
    assert transaction.recipients == ["you@example.com", "too@example.net"]
    assert transaction.parameters["BODY"] == "8BITMIME"
    assert int(transaction.parameters["SIZE"]) >= len(wire(octets))
    assert [line for _, line in relay.sessions[0].commands][-1] == "QUIT"
    assert b"\r\n...dots\r\n" in transaction.wire


@pytest.mark.parametrize(
    "missing", ["EHLO", "PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN"]
)
def test_servers_that_have_less(daemon, relay, spool, account, missing):
    relay.without.add(missing)
    dropped = drop_letters(spool, 3, body="Grüße\n")
    account().once()
    assert accepted(relay) == once_each(dropped)
    parameters = set().union(*(t.parameters for t in relay.accepted))
    if missing == "EHLO":
        assert parameters == set()
    assert {"SIZE": "SIZE", "8BITMIME": "BODY"}.get(missing) not in parameters


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_tls_and_login(daemon, make_relay, certificates, spool, account, mode):
    relay = make_relay(mode)
    relay.users["me"] = "secret word"
    dropped = drop_letters(spool, 3)
    login = {"user": "me", "password": "secret word", "tls_ca_file": certificates["ca"]}
    account(relay, **login).once()
    assert accepted(relay) == once_each(dropped)
    assert [session.secured for session in relay.sessions] == [True]
    assert relay.sessions[0].user == "me"
    assert relay.sessions[0].early_octets == b""


def test_many_messages_a_connection(daemon, relay, spool, account):
    dropped = drop_letters(spool, 25)
    account(max_messages=10).once()
    assert accepted(relay) == once_each(dropped)
    assert len(relay.sessions) == 3


def test_many_recipients(daemon, relay, spool, account):
    people = [f"p{number}@example.com" for number in range(25)]
    octets = letter(1, ",\n ".join(people))
    spool.drop("letter", octets)
    account(max_recipients=10).once()
    assert accepted(relay) == once_each({"letter": octets}, *people)
    assert max(len(t.recipients) for t in relay.accepted) <= 10


def test_too_many_recipients_at_a_time(daemon, relay, spool, account):
    """Who is put off until the next transaction of the same session is not said to be deferred."""

    def two_at_most(session, _):
        if len(session.transaction.recipients) < 2:
            return False
        session.say("452 4.5.3 too many recipients")
        return True

    relay.on("RCPT", two_at_most)
    people = [f"p{number}@example.com" for number in range(7)]
    octets = letter(1, ", ".join(people))
    spool.drop("letter", octets)
    account().once()
    assert accepted(relay) == once_each({"letter": octets}, *people)
    assert len(relay.sessions) == 1
    fates = re.findall(r"recipient=<(\S+)> fate=(\w+)", daemon.log())
    assert sorted(fates) == [(who, "sent") for who in people]


@pytest.mark.parametrize("step", FROM_MAIL)
@pytest.mark.parametrize("reply", ["450 4.2.0 later", "550 5.7.1 never"])
def test_once_says_that_not_all_went_well(daemon, relay, spool, account, step, reply):
    relay.on(step, faults.answer(reply))
    drop_letters(spool, 2)
    account(retry=LONG).once(expect=75)
    assert len(spool.failed() + spool.files("queue")) == 2


def test_once_leaves_nothing_behind(daemon, relay, spool, account):
    dropped = drop_letters(spool, 20)
    account(sent_maildir=daemon.path("Mail", "sent")).once()
    assert accepted(relay) == once_each(dropped)
    assert spool.listing() == {"": [], "queue": [], "failed": []}
    sent = daemon.maildir("sent")
    sent.check()
    assert sorted(sent.messages()) == sorted(dropped.values())


def test_the_copy_is_as_it_went_out(daemon, relay, spool):
    """header_from, a missing From and the local domain are in the copy too; its mode is the
    account's."""
    account = smtp_account(
        daemon,
        relay,
        header_from="robot@example.org",
        sent_maildir=daemon.path("Mail", "sent"),
        account_maildir_mode="0640",
    )
    daemon.configure(account, local={"domain": "host.example.org"})
    spool.drop("letter", letter(1, "root"))
    daemon.once()
    (transaction,) = relay.accepted
    assert b"From: robot@example.org\r\nTo: root@host.example.org\r\n" in transaction.octets
    sent = daemon.maildir("sent")
    assert [wire(octets) for octets in sent.messages()] == [transaction.octets]
    sent.check(mode=0o640)


# 4yz: later


@pytest.mark.parametrize("step", STEPS)
def test_deferred_then_accepted(daemon, relay, spool, account, step):
    relay.on(step, faults.answer("451 4.3.0 not just now"), times=1)
    dropped = drop_letters(spool, 1)
    account().start()
    relay.wait_accepted(1)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert spool.files("failed") == []
    assert daemon.maildir().messages() == []


@pytest.mark.parametrize("step", FROM_MAIL)
def test_deferred_is_shown(daemon, relay, spool, account, step):
    relay.on(step, faults.answer("450 4.2.1 mailbox busy"))
    drop_letters(spool, 1)
    account(retry=LONG).start()
    (message,) = spool.wait_queue(
        lambda queue: queue and queue[0]["attempts"] == 1, "one attempt is noted"
    )
    assert re.search("mailbox busy", message["last_error"])
    assert message["account"] == "box"
    assert message["sender"] == "me@example.org"
    assert not message["held"]
    (recipient,) = message["recipients"]
    assert recipient["address"] == "you@example.com"
    assert recipient["state"] == "pending"
    assert "mailbox busy" in recipient["reply"]
    assert 0.7 < hours_until(message["next_attempt"]) < 1.3

    relay.behave()
    daemon.ctl("flush")
    relay.wait_accepted(1)
    spool.wait_empty()


def hours_until(stamp):
    return (datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() - time.time()) / 3600


def test_given_up(daemon, relay, spool, account):
    """Deferred by the server until give_up: then it is a failure like any other."""
    relay.on("RCPT", faults.answer("450 4.2.1 mailbox busy"))
    dropped = drop_letters(spool, 1)
    account(retry={"first": "1s", "max": "1s", "give_up": "2s", "warn_after": "1s"}).start()
    assert spool.wait_failed() == list(dropped)
    found = reports(daemon)
    assert found[-1].fates()["you@example.com"][0] in ("failed", "delayed")
    failed = [r for r in found if r.fates()["you@example.com"][0] == "failed"]
    assert len(failed) == 1
    assert failed[0].fates()["you@example.com"][1].startswith("4.")


# 5yz: never


@pytest.mark.parametrize("step", FROM_MAIL)
def test_refused(daemon, relay, spool, account, step):
    relay.on(step, faults.answer("550 5.7.1 we do not want this"))
    (octets,) = drop_letters(spool, 1).values()
    account().start()
    assert spool.wait_failed() == ["letter-0"]
    assert spool.read("failed", "letter-0") == octets
    assert "we do not want this" in spool.reason("letter-0")
    assert "you@example.com" in spool.reason("letter-0")

    report = the_report(daemon)
    daemon.maildir().check()
    assert report.message["To"].addresses[0].addr_spec == "me@example.org"
    assert "you@example.com" in report.text.get_content()
    assert "we do not want this" in report.text.get_content()
    action, status, diagnostic = report.fates()["you@example.com"]
    assert (action, status) == ("failed", "5.7.1")
    assert diagnostic.startswith("smtp; 550")
    assert report.original.get_content_type() in ("message/rfc822", "text/rfc822-headers")
    assert "number-0@test.example" in report.original.as_string()
    spool.wait_empty()
    assert accepted(relay) == Counter()

    relay.behave()
    daemon.ctl("retry", "letter-0")
    relay.wait_accepted(1)
    spool.wait_empty()
    wait_for(lambda: spool.files("failed") == [], "failed/ is empty again")
    assert relay.accepted[0].octets == wire(octets)


def test_mixed_recipients(daemon, relay, spool, account):
    """Accepted, deferred and refused ones in one message: each its own fate, once."""
    relay.on("RCPT", faults.matching("later@", faults.answer("450 4.2.0 later")), times=3)
    relay.on("RCPT", faults.matching("never@", faults.answer("550 5.1.1 no such user")))
    people = ["first@example.com", "later@example.com", "never@example.com", "last@example.com"]
    octets = letter(1, ", ".join(people))
    spool.drop("mixed", octets)
    account().start()
    assert spool.wait_failed() == ["mixed"]
    spool.wait_empty()
    rest = [who for who in people if who != "never@example.com"]
    assert accepted(relay) == once_each({"mixed": octets}, *rest)
    report = the_report(daemon)
    assert list(report.fates()) == ["never@example.com"]
    assert "never@example.com" in spool.reason("mixed")
    asked = Counter(re.search("<(.*)>", line)[1] for line in relay.sent_command("RCPT"))
    assert asked["first@example.com"] == asked["last@example.com"] == 1
    assert asked["never@example.com"] == 1
    assert asked["later@example.com"] > 1

    relay.behave()
    daemon.ctl("retry", "mixed")
    relay.wait_accepted(3)
    assert accepted(relay) == once_each({"mixed": octets}, *people)
    spool.wait_empty()


def test_each_attempt_reports_once(daemon, relay, spool, account):
    """Two recipients that fail in different attempts: two bounces, each with its own."""
    relay.on("RCPT", faults.matching("late@", faults.answer("450 4.2.0 later")), times=3)
    relay.on("RCPT", faults.matching("soon@", faults.answer("550 5.1.1 no soon")))
    relay.on("RCPT", faults.matching("late@", faults.answer("550 5.1.1 no late")))
    spool.drop("two", letter(1, "soon@example.com, late@example.com"))
    account().start()
    spool.wait_failed()
    wait_for(lambda: len(daemon.maildir().files()) == 2, "two bounces")
    assert sorted(who for r in reports(daemon) for who in r.fates()) == [
        "late@example.com",
        "soon@example.com",
    ]


def test_the_null_sender_never_bounces(daemon, relay, spool, account):
    relay.on("RCPT", faults.answer("550 5.1.1 no such user"))
    spool.drop("null", b"X-Postrider-Sender: <>\n" + letter(1))
    account().start()
    spool.wait_failed()
    spool.wait_empty()
    daemon.stop()
    assert daemon.maildir().messages() == []
    assert relay.sent_command("MAIL")[0].startswith("FROM:<>")


@pytest.mark.parametrize("where", ["bounce_to", "bounce_maildir"])
def test_where_bounces_go(daemon, relay, spool, account, where):
    relay.on("RCPT", faults.matching("you@", faults.answer("550 5.1.1 no such user")))
    drop_letters(spool, 1)
    place = "post@example.org" if where == "bounce_to" else daemon.path("Mail", "bounces")
    account(**{where: place}).start()
    spool.wait_failed()
    if where == "bounce_maildir":
        wait_for(lambda: daemon.maildir("bounces").files(), "the bounce comes")
        (report,) = reports(daemon, "bounces")
    else:
        (transaction,) = relay.wait_accepted(1)
        assert (transaction.sender, transaction.recipients) == ("", ["post@example.org"])
        report = Report(b"Return-Path: <>\n" + transaction.octets.replace(b"\r\n", b"\n"))
    assert list(report.fates()) == ["you@example.com"]
    spool.wait_empty()
    assert daemon.maildir().messages() == []


@pytest.mark.parametrize("ret", ["full", "hdrs"])
def test_a_bounce_by_mail_names_no_hidden_recipient(daemon, relay, spool, account, ret):
    """What leaves the machine has no Bcc in it, nor what steers; the rest is as it was."""
    relay.on("RCPT", faults.matching("you@", faults.answer("550 5.1.1 no such user")))
    fields = ["Bcc: hidden@example.com", "X-Postrider-Sender: me@example.org", "X-Kept: yes"]
    head = "".join(field + "\n" for field in fields).encode()
    spool.drop("letter", b"From me Fri\n" + head + letter(1))
    account(account_maildir=None, bounce_to="post@example.org", dsn={"ret": ret}).start()
    relay.wait_accepted(2)
    (bounce,) = [t for t in relay.accepted if t.recipients == ["post@example.org"]]
    spool.wait_empty()
    assert b"hidden@example.com" not in bounce.octets
    assert b"X-Postrider-" not in bounce.octets
    report = Report(b"Return-Path: <>\n" + bounce.octets.replace(b"\r\n", b"\n"))
    original = report.original.as_string()
    assert "X-Kept: yes" in original
    assert "Subject: number 1" in original
    assert ("Message 1." in original) == (ret == "full")


def test_too_large_for_the_server(daemon, relay, spool, account):
    relay.size_limit = 10_000
    drop_letters(spool, 1, body="x" * 70 + "\n" + "y" * 70 + "\n" * 20_000)
    account().start()
    spool.wait_failed()
    assert the_report(daemon).fates()["you@example.com"][0] == "failed"
    assert relay.transactions == [], "not one octet of it was sent"


def test_control_characters_in_an_address(daemon, relay, spool, account):
    """Those of 8 bits too: refused here, and no log shows them as they are."""
    spool.drop("letter", letter(1, "<a\x85\x9b31m@example.com>, you@example.com"))
    account().once(expect=75)
    assert [t.recipients for t in relay.accepted] == [["you@example.com"]]
    assert list(the_report(daemon).fates()) != []
    assert "fate=failed" in daemon.log()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", daemon.log())


def test_no_smtputf8(daemon, relay, spool, account):
    """A UTF-8 address is a permanent failure that says so; an IDN domain alone is not."""
    relay.without.add("SMTPUTF8")
    spool.drop("domain", letter(1, "you@bücher.example"))
    account().start()
    (transaction,) = relay.wait_accepted(1)
    assert transaction.recipients == ["you@xn--bcher-kva.example"]
    spool.drop("local", letter(2, "grüße@example.com"))
    assert spool.wait_failed() == ["local"]
    assert re.search("SMTPUTF8", spool.reason("local"))
    spool.wait_empty()


# Trouble before MAIL: the account's


@pytest.mark.parametrize("code", ["421 4.3.2", "451 4.3.0", "554 5.3.2"])
@pytest.mark.parametrize("step", BEFORE_MAIL)
def test_trouble_before_mail(daemon, relay, spool, account, step, code):
    """One attempt, however many messages wait; nothing bounces, `flush` tries again."""
    relay.without.add("HELO")
    relay.on(step, faults.answer(f"{code} go away"))
    dropped = drop_letters(spool, 10)
    account(retry=LONG).start()
    status = spool.wait_status(lambda s: s["state"] in ("backoff", "blocked"), "it backs off")
    check_error(status, "server", "go away", f":{relay.port}")
    dropped |= drop_letters(spool, 10, first=10)
    queue = spool.wait_queue(lambda queue: len(queue) == 20, "all wait")
    assert {message["attempts"] for message in queue} == {0}
    assert len(relay.sessions) == 1
    assert spool.files("failed") == []
    assert daemon.maildir().messages() == []

    relay.behave()
    relay.without.clear()
    daemon.ctl("flush")
    relay.wait_accepted(20)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


def test_no_one_listens(daemon, relay, spool, account):
    dropped = drop_letters(spool, 5)
    account(port=free_ports(1)[0], retry=LONG).start()
    status = spool.wait_status(
        lambda s: s["state"] == "backoff" and s["queued"] == 5, "it backs off, and all are queued"
    )
    check_error(status, "network", "refused")
    assert status["failures"] == 1
    daemon.stop()
    account().once()
    assert accepted(relay) == once_each(dropped)


@pytest.mark.parametrize("fault", ["wrong password", "login fails for now", "no login offered"])
def test_login_trouble(daemon, relay, spool, account, fault):
    relay.users["me"] = "secret word"
    if fault == "wrong password":
        relay.users["me"] = "another word"
    elif fault == "login fails for now":
        relay.on("AUTH", faults.answer("454 4.7.0 not now"))
    else:
        relay.without.add("AUTH")
    dropped = drop_letters(spool, 5)
    account(retry=LONG, user="me", password="secret word").once(expect=75)
    assert len(relay.sessions) == 1
    assert relay.sent_command("MAIL") == []
    assert len(spool.files("queue")) == 5
    assert daemon.maildir().messages() == []

    relay.behave()
    relay.without.clear()
    relay.users["me"] = "secret word"
    daemon.once()
    assert accepted(relay) == once_each(dropped)


@pytest.mark.parametrize("width", [10_000, 70], ids=["whole", "wrapped"])
def test_a_long_secret_that_is_echoed(daemon, relay, spool, account, width):
    """A server that repeats what it refuses, a token with kilobytes: nothing of it is shown."""
    secret = "".join(f"T{number:05d}" for number in range(400))
    coded = base64.b64encode(f"\0me\0{secret}".encode()).decode()
    relay.users["me"] = secret

    def echo(session, _):
        session.say("334 ")
        assert session.read_line() == coded
        for text in (coded, secret):
            for at in range(0, len(text), width):
                session.say("535-5.7.8 refused " + text[at : at + width])
        session.say("535 5.7.8 refused")
        return True

    relay.on("AUTH", echo)
    drop_letters(spool, 1)
    account(retry=LONG, user="me", password=secret, auth=["PLAIN"]).start()
    status = spool.wait_status(lambda s: s["last_error"], "refused")
    check_error(status, "auth", "535 5.7.8 refused")
    daemon.stop()
    shown = [str(status), daemon.log()]
    for folder, _, files in os.walk(daemon.sessions):
        for name in files:
            with open(os.path.join(folder, name)) as file:
                shown.append(file.read())
    assert len(shown) == 3
    for text in shown:
        for hidden in (secret, coded):
            assert not [at for at in range(len(hidden) - 12) if hidden[at : at + 12] in text]


@pytest.mark.parametrize("cert", ["expired", "unknown", "self-signed", "named"])
@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_wrong_certificate(daemon, make_relay, certificates, spool, account, mode, cert):
    """Not a letter is sent to who cannot prove its name."""
    bad = make_relay(mode, cert=cert)
    drop_letters(spool, 3)
    account(bad, retry=LONG, tls_ca_file=certificates["ca"]).once(expect=75)
    assert len(spool.files("queue")) == 3
    assert bad.sent_command("MAIL") == []
    assert len(bad.sessions) == 1
    assert daemon.maildir().messages() == []


def test_starttls_taken_away(daemon, make_relay, certificates, spool, account):
    relay = make_relay("starttls")
    relay.on("EHLO", faults.answer("250-peer.example", "250 PIPELINING"))
    drop_letters(spool, 1)
    account(relay, retry=LONG, tls_ca_file=certificates["ca"]).once(expect=75)
    assert relay.sent_command("MAIL") == []
    assert len(spool.files("queue")) == 1


# Connections lost


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("step", ["CONNECT", *STEPS[:-1], "TEXT"])
def test_a_lost_connection(daemon, relay, spool, account, step, reset):
    """Before the final dot nothing can have been taken: it is sent again soon. A text must be
    larger than the buffers in between, or its dot has left when the server goes."""
    relay.on(step, faults.hang_up(reset=reset), times=1)
    body = "a line of a large message\n" * 400_000 if step == "TEXT" else None
    dropped = drop_letters(spool, 3, body=body)
    account().start()
    relay.wait_accepted(3)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert daemon.maildir().messages() == []


def test_cut_off_within_the_text(daemon, relay, spool, account):
    relay.on("TEXT", faults.cut_text(300_000), times=1)
    dropped = drop_letters(spool, 1, body="a line of a large message\n" * 50_000)
    account().start()
    relay.wait_accepted(1)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert len(relay.transactions) == 1


@pytest.mark.parametrize("step", STEPS[:-1])
def test_silence(daemon, relay, spool, account, step):
    relay.on(step, faults.stall(), times=1)
    dropped = drop_letters(spool, 2)
    account(timeout=1).start()
    relay.wait_accepted(2)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


@pytest.mark.parametrize("fault", ["garbage", "huge line", "endless lines"])
@pytest.mark.parametrize("step", STEPS[:-1])
def test_what_is_not_smtp(daemon, relay, spool, account, step, fault):
    act = {
        "garbage": faults.garbage(),
        "huge line": faults.huge_line(),
        "endless lines": faults.endless_lines("250-and more"),
    }[fault]
    relay.on(step, act, times=1)
    dropped = drop_letters(spool, 2)
    account(timeout=2).start()
    relay.wait_accepted(2)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert spool.files("failed") == []


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_closing_down(daemon, relay, spool, account, step):
    relay.on(step, faults.hang_up("421 4.3.2 closing down"), times=1)
    dropped = drop_letters(spool, 3)
    account().start()
    relay.wait_accepted(3)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


def test_gone_behind_the_reply(daemon, relay, spool, account):
    """250 to the final dot was said: that is what counts, whatever comes then."""
    relay.on("QUIT", faults.hang_up(reset=True))
    dropped = drop_letters(spool, 3)
    account().once()
    assert accepted(relay) == once_each(dropped)
    assert spool.is_empty()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("pipelining", ["PIPELINING", None], ids=["one by one", "ahead"])
def test_closed_behind_each_message(daemon, relay, spool, account, pipelining, reset):
    """A server that takes one message a connection, and closes without a word, gets the next one
    at once: what it took was no failure."""
    relay.without.add(pipelining)
    relay.on("DOT", closed_behind_the_reply(reset))
    dropped = drop_letters(spool, 5)
    account(retry=LONG).start()
    relay.wait_accepted(5)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
    assert spool.wait_settled()["failures"] == 0


def closed_behind_the_reply(reset):
    def act(session, _):
        session.end_transaction(True)
        session.say("250 2.0.0 taken")
        session.flush()
        session.close(reset=reset)
        raise faults.Hangup("as scripted")

    return act


def test_closed_before_each_message(daemon, relay, spool, account):
    """One that takes none is left alone for a while."""
    relay.on("MAIL", faults.hang_up())
    drop_letters(spool, 2)
    account(retry=LONG).start()
    spool.wait_status(lambda status: status["failures"] == 1, "the account waits")
    assert len(relay.sessions) == 1


# The one window no client can close


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_unknown(daemon, relay, spool, account, taken, reset):
    """No reply to the final dot: said so, not sent again at once, never bounced."""
    relay.on("DOT", faults.dot_unanswered(accepted=taken, reset=reset), times=1)
    (octets,) = drop_letters(spool, 1).values()
    account().start()
    (message,) = spool.wait_queue(
        lambda queue: queue and queue[0]["recipients"][0]["state"] == "unknown", "unknown is said"
    )
    assert 0.5 < hours_until(message["next_attempt"]) < 1.5
    assert "unknown" in daemon.log()

    spool.wait_status(lambda s: s["state"] in ("idle", "backoff"), "at rest")
    others = drop_letters(spool, 3, first=1)
    relay.wait_accepted(3 + taken)
    wait_for(lambda: len(spool.files("queue")) == 1, "only the unknown one is left")
    found = accepted(relay)
    assert found.pop((wire(octets), "you@example.com"), 0) == taken
    assert found == once_each(others)
    assert spool.files("failed") == []
    assert daemon.maildir().messages() == []


def test_unknown_three_times_in_a_row(daemon, relay, spool, account):
    """Held, with a notice that is no bounce; a person's release sends it once more."""
    relay.on("DOT", faults.dot_unanswered(accepted=False))
    drop_letters(spool, 1)
    account().start()
    for attempt in (1, 2, 3):
        relay.wait_for(
            lambda: len(relay.transactions) == attempt,  # noqa: B023 - used at once
            f"attempt {attempt}",
        )
        (message,) = spool.wait_queue(
            lambda queue: queue and queue[0]["attempts"] == attempt,  # noqa: B023
            f"attempt {attempt} is noted",
        )
        if attempt < 3:
            assert not message["held"]
            daemon.ctl("flush")
    assert message["held"]
    report = the_report(daemon)
    assert "may have been delivered" in report.text.get_content()
    assert [fate[0] for fate in report.fates().values()] != ["failed"]
    assert spool.files("failed") == []

    relay.behave()
    daemon.ctl("release", message["id"])
    relay.wait_accepted(1)
    spool.wait_empty()


def test_unknown_for_those_who_were_accepted_only(daemon, relay, spool, account):
    relay.on("RCPT", faults.matching("never@", faults.answer("550 5.1.1 no such user")))
    relay.on("DOT", faults.dot_unanswered(), times=1)
    spool.drop("mixed", letter(1, "you@example.com, never@example.com"))
    account().start()
    (message,) = spool.wait_queue(
        lambda queue: queue and queue[0]["recipients"][0]["state"] == "unknown", "unknown is said"
    )
    states = {who["address"]: who["state"] for who in message["recipients"]}
    assert states == {"you@example.com": "unknown", "never@example.com": "failed"}
    assert list(the_report(daemon).fates()) == ["never@example.com"]


def test_an_unknown_fate_delays_nobody_else(daemon, relay, spool, account):
    """Who has not been tried yet is tried without those who wait an hour."""
    relay.on("DOT", faults.dot_unanswered(accepted=False), times=1)
    octets = letter(1, "you@example.com, too@example.com")
    spool.drop("letter", octets)
    account(max_recipients=1).start()
    relay.wait_accepted(1)
    (message,) = spool.wait_queue(
        lambda queue: [r["state"] for r in queue[0]["recipients"]] == ["unknown", "sent"],
        "one is in doubt, the other has it",
    )
    assert accepted(relay) == once_each({"letter": octets}, "too@example.com")
    wait = datetime.fromisoformat(message["next_attempt"]) - datetime.now(timezone.utc)
    assert 0.8 < wait.total_seconds() / 3600 < 1.2
    daemon.ctl("flush", message["id"])
    relay.wait_accepted(2)
    spool.wait_empty()
    assert accepted(relay) == once_each({"letter": octets}, "you@example.com", "too@example.com")


# Ends and beginnings


def test_a_stop_waits_for_the_reply(daemon, relay, spool, account):
    """SIGTERM while the final dot waits: the reply is heard and recorded."""
    answered = threading.Event()
    relay.on("DOT", faults.hold(answered))
    dropped = drop_letters(spool, 1)
    account().start()
    relay.wait_for(lambda: len(relay.transactions) == 1, "the final dot came")
    daemon.process.terminate()
    wait_for(lambda: "info: stopping" in daemon.log(), "it stops")
    answered.set()
    daemon.stop()
    assert spool.is_empty()
    assert accepted(relay) == once_each(dropped)


def test_a_stop_does_not_wait_for_ever(daemon, relay, spool):
    """After a minute without a reply the fate is unknown, and that is recorded."""
    asked = threading.Event()

    def stall(session, argument):
        asked.set()
        return faults.stall()(session, argument)

    relay.on("DOT", stall, times=1)
    daemon.configure(smtp_account(daemon, relay), shutdown_timeout=1)
    drop_letters(spool, 1)
    daemon.start()
    assert asked.wait(30)
    daemon.process.terminate()
    assert daemon.process.wait(70) == 0
    assert "may have been delivered" in daemon.log()
    daemon.restart()
    (message,) = spool.wait_queue(lambda queue: len(queue) == 1, "it is queued")
    assert message["recipients"][0]["state"] == "unknown"
    assert 0.5 < hours_until(message["next_attempt"]) < 1.5


def test_restarts_send_nothing_twice(daemon, relay, spool, account):
    dropped = drop_letters(spool, 5)
    account().start()
    relay.wait_accepted(5)
    for _ in range(3):
        daemon.restart()
    dropped |= drop_letters(spool, 1, first=5)
    relay.wait_accepted(6)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)
