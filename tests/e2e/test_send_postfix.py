"""Sending through Postfix: whatever is dropped into the spool, in whatever way, arrives once, with
every octet of its text."""

import email
import email.utils
import os
import re

import pytest
from support.dovecot import PASSWORD, free_ports
from support.postfix import as_sent
from support.report import the_report
from support.spool import RETRY, SlowWriter, at_once, letter, smtp_account
from support.waiting import wait_for

STYLES = ["mv", "cp", "ln", "hidden"]

BODIES = {
    "empty": b"",
    "no final newline": b"the end",
    "a dot": b"before\n.\nbehind\n",
    "dots": b".\n..\n...\n.a\n. \n",
    "dot at the end": b"x\n.",
    "8-bit": "Grüße, 東京\n".encode() + bytes(range(128, 256)) + b"\n",
    "998 octets": b"x" * 998 + b"\n" + b"." + b"y" * 997 + b"\n",
    "a long line": b"z" * 100_000 + b"\n",
    "From line": b"From someone\n>From\n",
    "looks like SMTP": b"QUIT\nRSET\n.QUIT\n250 ok\nMAIL FROM:<evil@example.org>\n",
    "many empty lines": b"\n" * 5000,
    "large": b"".join(b"line %d of many, .dots. inside\n" % n for n in range(100_000)),
}


@pytest.fixture
def user(dovecot):
    return dovecot.add_user()


@pytest.fixture
def account(daemon, postfix, certificates, user):
    """Writes the configuration with one account that sends through Postfix with STARTTLS."""

    def configure(server=postfix.starttls, **changes):
        settings = {"user": user, "password": PASSWORD, "tls_ca_file": certificates["ca"]}
        settings.update(changes)
        daemon.configure(smtp_account(daemon, server, **settings), retry=RETRY)
        return daemon

    return configure


def arrived(postfix, box, count=1):
    return sorted(as_sent(stored) for stored in postfix.wait_for(box, count))


def test_started_and_dropped(daemon, postfix, spool, account):
    box = postfix.add_box()
    account().start()
    spool.drop("hello", letter(1, f"{box}@example.com"))
    assert arrived(postfix, box) == [letter(1, f"{box}@example.com")]
    spool.wait_empty()
    status = spool.wait_status(lambda s: s["sent"] == 1 and s["queued"] == 0, "counted as sent")
    assert status["last_error"] is None
    assert spool.files("failed") == []


@pytest.mark.parametrize("style", STYLES)
def test_every_way_to_drop(daemon, postfix, spool, account, style):
    box = postfix.add_box()
    sent = [letter(number, f"{box}@example.com") for number in range(3)]
    account().start()
    for number, octets in enumerate(sent):
        spool.drop(f"{style}-{number}", octets, style)
    assert arrived(postfix, box, 3) == sent
    spool.wait_empty()


def test_a_linked_file_stays_as_it_is(daemon, postfix, spool, account):
    box = postfix.add_box()
    octets = letter(1, f"{box}@example.com", fields=["Bcc: secret@example.org"])
    account().start()
    spool.drop("linked", octets, "ln")
    postfix.wait_for(box, 1)
    spool.wait_empty()
    path = daemon.path("drafts", "linked")
    with open(path, "rb") as file:
        assert file.read() == octets
    assert os.stat(path).st_nlink == 1


def test_a_slow_writer(daemon, postfix, spool, account):
    """A file that somebody still writes is not touched, while others are sent."""
    box, other = postfix.add_box(), postfix.add_box()
    octets = letter(1, f"{box}@example.com", body="half and half\n" * 1000)
    account().start()
    with SlowWriter(spool.at("slow")) as writer:
        writer.write(octets[:300])
        for number in range(3):
            spool.drop(f"other-{number}", letter(number, f"{other}@example.com"), "cp")
        postfix.wait_for(other, 3)
        assert spool.files() == ["slow"]
        writer.write(octets[300:])
    assert arrived(postfix, box) == [octets]
    spool.wait_empty()


@pytest.mark.parametrize("style", STYLES)
def test_left_from_before_the_start(daemon, postfix, spool, account, style):
    box = postfix.add_box()
    sent = [letter(number, f"{box}@example.com") for number in range(3)]
    for number, octets in enumerate(sent):
        spool.drop(f"early-{number}", octets, style)
    account().start()
    assert arrived(postfix, box, 3) == sent
    spool.wait_empty()


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_left_in_the_queue(daemon, postfix, spool, account, ending):
    """What was queued while the server was away is sent by the next daemon."""
    box = postfix.add_box()
    sent = [letter(number, f"{box}@example.com") for number in range(3)]
    account(port=free_ports(1)[0]).start()
    for number, octets in enumerate(sent):
        spool.drop(f"queued-{number}", octets)
    spool.wait_queue(lambda queue: len(queue) == 3, "three wait")
    getattr(daemon, ending)()
    assert len(spool.files("queue")) == 3
    assert spool.files() == []
    account().start()
    assert arrived(postfix, box, 3) == sent
    spool.wait_empty()


def test_once(daemon, postfix, spool, account):
    box = postfix.add_box()
    sent = [letter(number, f"{box}@example.com") for number in range(5)]
    for number, octets in enumerate(sent):
        spool.drop(str(number), octets)
    account().once()
    assert spool.is_empty()
    assert arrived(postfix, box, 5) == sent


@pytest.mark.parametrize("connections", [1, 4])
def test_two_hundred_at_once(daemon, postfix, spool, account, connections):
    box = postfix.add_box()
    sent = [letter(1000 + number, f"{box}@example.com") for number in range(200)]
    account(max_connections=connections, max_messages=30).start()

    def dropper(start):
        def drop():
            for number in range(start, 200, 4):
                spool.drop(f"many-{number}", sent[number], STYLES[start])

        return drop

    at_once([dropper(start) for start in range(4)])
    assert arrived(postfix, box, 200) == sent
    spool.wait_empty()
    assert spool.files("failed") == []


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_every_octet(daemon, postfix, spool, account, name, ends):
    box = postfix.add_box()
    octets = letter(1, f"{box}@example.com", body=BODIES[name])
    spool.drop("message", octets.replace(b"\n", ends))
    account().once()
    assert arrived(postfix, box) == [octets if octets.endswith(b"\n") else octets + b"\n"]


def test_the_header(daemon, postfix, spool, account):
    """Bcc goes, Date and Message-ID come, nothing else changes; a From_ line is no part of it."""
    to, cc, bcc, resent = (postfix.add_box() for _ in range(4))
    lines = [
        "Return-Path: <who@example.org>",
        "X-Odd:   kept  as it\t is",
        "From: Me <me@example.org>",
        f'To: "You, there" <{to}@example.com>, A group: {cc}@example.net;',
        f"Cc: {cc}@example.net (a comment)",
        f"Bcc: {bcc}@example.org,",
        f" {resent}@example.org",
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
        "X-Postrider-Something: goes as well",
        "",
        "Bcc: in the body stays",
    ]
    spool.drop("header", "".join(line + "\n" for line in ["From me Fri", *lines]).encode())
    account().once()
    for box in (to, cc, bcc, resent):
        (octets,) = arrived(postfix, box)
        header, _, body = octets.partition(b"\n\n")
        assert body == b"Bcc: in the body stays\n"
        kept = [line.encode() for line in (lines[1], lines[2], lines[3], lines[4], lines[7])]
        rest = [line for line in header.split(b"\n") if line not in kept]
        assert [line for line in header.split(b"\n") if line in kept] == kept
        message = email.message_from_bytes(octets)
        assert sorted(line.partition(b":")[0].lower() for line in rest) == [b"date", b"message-id"]
        assert email.utils.parsedate_to_datetime(message["Date"]) is not None
        assert message["Message-ID"].startswith("<")
        assert message["Message-ID"].endswith(">")


def test_the_envelope_of_a_resent_message(daemon, postfix, spool, account):
    old, new, hidden = (postfix.add_box() for _ in range(3))
    fields = ["Resent-From: me@example.org", f"Resent-To: {new}@example.com"]
    fields += [f"Resent-Bcc: {hidden}@example.com"]
    octets = letter(1, f"{old}@example.com", sender="other@example.com")
    head = "".join(line + "\n" for line in fields).encode()
    spool.drop("resent", head + octets)
    account(account_default=True).once()
    for box in (new, hidden):
        (stored,) = arrived(postfix, box)
        assert b"Resent-Bcc" not in stored
        assert stored.endswith(octets)
    assert postfix.maildir(old).files() == []


def test_steering_fields(daemon, postfix, spool, account):
    named, other = postfix.add_box(), postfix.add_box()
    fields = ["X-Postrider-Account: box", "X-Postrider-Sender: <>"]
    fields += [f"X-Postrider-Recipient: {other}@example.com"]
    octets = letter(1, f"{named}@example.com", sender="nobody@example.com")
    spool.drop("steered", "".join(line + "\n" for line in fields).encode() + octets)
    account().once()
    (stored,) = postfix.wait_for(other, 1)
    assert stored.startswith(b"Return-Path: <>\n")
    assert as_sent(stored) == octets
    assert postfix.maildir(named).files() == []


def test_the_copy_of_what_was_sent(daemon, postfix, spool, account):
    box = postfix.add_box()
    octets = letter(1, f"{box}@example.com", fields=[f"Bcc: {box}@example.net"])
    spool.drop("copied", octets)
    account(sent_maildir=daemon.path("Mail", "sent")).once()
    postfix.wait_for(box, 2)
    sent = daemon.maildir("sent")
    sent.check()
    (copy,) = sent.messages()
    assert copy.endswith(b"\n\nMessage 1.\n")
    assert b"Subject: number 1\n" in copy


def test_two_accounts_by_sender(daemon, postfix, dovecot, certificates, spool):
    """Each From goes through its own account, with its own user; the rest through the default."""
    box = postfix.add_box()
    users = [dovecot.add_user() for _ in range(2)]
    secrets = {"password": PASSWORD, "tls_ca_file": certificates["ca"]}
    first = smtp_account(
        daemon, postfix.starttls, "first", user=users[0], account_default=True, **secrets
    )
    second = smtp_account(
        daemon,
        postfix.implicit,
        "second",
        user=users[1],
        account_addresses=["me@example.net", "@example.com"],
        **secrets,
    )
    daemon.configure(first, second, retry=RETRY)
    senders = {
        "me@example.org": users[0],
        "Me@Example.NET": users[1],
        "anyone@example.com": users[1],
        "stranger@example.net": users[0],
    }
    for number, sender in enumerate(senders):
        spool.drop(str(number), letter(number, f"{box}@example.com", sender=sender))
    daemon.once()
    for stored in postfix.wait_for(box, len(senders)):
        sender = email.message_from_bytes(stored)["From"]
        assert f"(Authenticated sender: {senders[sender]})".encode() in stored
        assert stored.lower().startswith(f"return-path: <{sender.lower()}>".encode())


@pytest.mark.parametrize("mode", ["plain", "starttls", "implicit"])
@pytest.mark.parametrize("mechanism", ["auto", "PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"])
def test_tls_and_authentication(daemon, postfix, spool, account, user, mode, mechanism):
    box = postfix.add_box()
    octets = letter(1, f"{box}@example.com")
    spool.drop("message", octets)
    server = getattr(postfix, mode)
    changes = {"tls_ca_file": None} if mode == "plain" else {}
    account(server, auth=mechanism if mechanism == "auto" else [mechanism], **changes).once()
    (stored,) = postfix.wait_for(box, 1)
    assert as_sent(stored) == octets
    assert f"(Authenticated sender: {user})".encode() in stored
    assert (b"(using TLSv1" in stored) == (mode != "plain")
    (log,) = daemon.session_logs()
    assert PASSWORD not in log


def test_a_wrong_password(daemon, postfix, spool, account):
    """The account's trouble, not the message's: nothing bounces, and it goes once it is right."""
    box = postfix.add_box()
    octets = letter(1, f"{box}@example.com")
    spool.drop("message", octets)
    account(password="wrong").once(expect=75)
    assert len(spool.files("queue")) == 1
    assert spool.files("failed") == []
    assert daemon.maildir().messages() == []
    account().once()
    assert arrived(postfix, box) == [octets]


def test_an_unknown_recipient(daemon, postfix, spool, account):
    """Postfix's own 550: the others have it, the sender hears of it, the original is kept."""
    box = postfix.add_box()
    octets = letter(1, f"{box}@example.com, unknown@example.com")
    spool.drop("message", octets)
    account().once(expect=75)
    assert arrived(postfix, box) == [octets]
    assert spool.failed() == ["message"]
    assert spool.read("failed", "message") == octets
    assert "unknown@example.com" in spool.reason("message")
    (bounce,) = daemon.maildir().messages()
    assert b"unknown@example.com" in bounce
    assert postfix.maildir("unknown").files() == []


def test_deferred_then_accepted(daemon, postfix, spool, account):
    """Postfix's own 450: that one recipient waits, and has the message once."""
    first, later = postfix.add_box(), postfix.add_box()
    octets = letter(1, f"{first}@example.com, {later}@example.com")
    postfix.answer_recipients({f"{later}@example.com": "450 4.2.0 greylisted, come back"})
    try:
        spool.drop("message", octets)
        account().start()
        queue = spool.wait_queue(
            lambda queue: queue and queue[0]["attempts"] >= 1, "one attempt is noted"
        )
        states = {who["address"]: who["state"] for who in queue[0]["recipients"]}
        assert states == {f"{first}@example.com": "sent", f"{later}@example.com": "pending"}
        assert "greylisted" in queue[0]["last_error"]
    finally:
        postfix.answer_recipients({})
    assert arrived(postfix, later) == [octets]
    spool.wait_empty()
    assert arrived(postfix, first) == [octets]
    assert daemon.maildir().messages() == []


def test_refused_by_postfix(daemon, postfix, spool, account):
    """A 550 for one of several, in Postfix's words, in the bounce."""
    first, never = postfix.add_box(), postfix.add_box()
    octets = letter(1, f"{first}@example.com, {never}@example.com")
    postfix.answer_recipients({f"{never}@example.com": "550 5.7.1 not wanted here"})
    try:
        spool.drop("message", octets)
        account().once(expect=75)
    finally:
        postfix.answer_recipients({})
    assert arrived(postfix, first) == [octets]
    assert postfix.maildir(never).files() == []
    report = the_report(daemon)
    action, status, diagnostic = report.fates()[f"{never}@example.com"]
    assert (action, status) == ("failed", "5.7.1")
    assert "not wanted here" in diagnostic


def test_utf8_addresses(daemon, postfix, spool, account):
    """SMTPUTF8 (RFC 6531) where the server has it: the reply to such a recipient is its own."""
    box = postfix.add_box()
    octets = letter(1, f"{box}@example.com", fields=["X-Name: Grüße"])
    spool.drop("message", octets)
    account().once()
    assert arrived(postfix, box) == [octets]


def test_what_is_no_message_stays(daemon, postfix, spool, account):
    """Hidden files, directories, links and FIFOs are not looked at."""
    box = postfix.add_box()
    spool.make()
    octets = letter(1, f"{box}@example.com")
    os.mkdir(spool.at("directory"))
    os.mkfifo(spool.at("fifo"))
    os.symlink(spool.outside("target", octets), spool.at("link"))
    with open(spool.at(".hidden"), "wb") as file:
        file.write(octets)
    account().start()
    spool.drop("message", octets)
    assert arrived(postfix, box) == [octets]
    wait_for(lambda: spool.files("queue") == [], "the queue is empty")
    left = set(os.listdir(spool.path)) - {"queue", "failed"}
    assert left == {"directory", "fifo", "link", ".hidden"}
    for name in ("fifo", "link"):
        found = [line for line in daemon.log().splitlines() if re.search(rf"\b{name}\b", line)]
        assert len(found) == 1, f"{name} is named once: {found}"
