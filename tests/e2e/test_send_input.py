"""What is dropped into the spool by mistake or with bad intent: no line end but CRLF ever leaves,
and what cannot be a message lies in failed/ with the reason."""

import re
from collections import Counter

import pytest
from support.spool import accepted, drop_letters, letter, once_each


# Smuggling (RFC 5321 section 2.3.8): what one client ends a message with, another must not

EVIL = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<evil@example.org>\r\nDATA\r\nevil\r\n.\r\n"
ENDS = [b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\n.\r", b"\r.\n"]
ENDS += [b"\r.\r\n", b"\r\r\n.\r\r\n", b"\r\n.\r\r\n", b"\r\n\r.\r\n", b"\n\r.\n\r"]


def without_line_ends(octets):
    return octets.replace(b"\r", b"").replace(b"\n", b"")


@pytest.mark.parametrize("end", ENDS, ids=repr)
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_smuggling(daemon, relay, spool, account, end, ends):
    head = letter(1, body=b"harmless").replace(b"\n", ends)
    octets = head + end + EVIL + end + b"the end" + end
    spool.drop("smuggled", octets)
    account().once()
    (transaction,) = relay.transactions
    assert transaction.recipients == ["you@example.com"]
    assert without_line_ends(transaction.octets) == without_line_ends(octets)
    if end.endswith(b"\n"):
        assert b"\r\nMAIL FROM:<evil" in transaction.octets, "its line ends stay line ends"
    assert len(relay.sent_command("MAIL")) == 1
    assert relay.bare_line_ends() == []


def test_smuggling_in_the_header(daemon, relay, spool, account):
    fields = ["Subject: one\rBcc: evil@example.org\r", "X-Long: a\r\n b\rc"]
    octets = letter(1, fields=fields)
    spool.drop("smuggled", octets)
    account().once()
    (transaction,) = relay.accepted
    assert transaction.recipients == ["you@example.com"]
    assert relay.bare_line_ends() == []


def test_commands_in_an_address(daemon, relay, spool, account):
    """What cannot stand between angle brackets is never sent."""
    spool.drop("evil", letter(1, '"a\r\nRCPT TO:<evil@example.org>"@example.com, you@example.com'))
    account().run("--once")
    assert not any("evil" in line for line in relay.sent_command("RCPT"))
    assert len(spool.failed()) + len(relay.accepted) == 1


# What cannot be a message at all


@pytest.mark.parametrize(
    "name, octets, reason",
    [
        ("no recipients", letter(1, to=None), "no recipients"),
        ("empty groups", letter(1, "Nobody:;"), "no recipients"),
        ("empty", b"", "."),
        ("binary", bytes(range(256)) * 100, "."),
        ("a program", b"\x7fELF\x02\x01\x01" + b"\0" * 5000, "."),
        ("no header", b"just a text\nof two lines\n", "."),
        ("unknown sender", letter(1, sender="who@example.net"), "who@example.net"),
        ("unknown account", b"X-Postrider-Account: nobody\n" + letter(1), "nobody"),
    ],
    ids=lambda item: item if isinstance(item, str) and len(item) < 20 else "",
)
def test_no_message(daemon, relay, spool, account, name, octets, reason):
    """failed/NAME with the reason, every octet as it was; others are not held up."""
    spool.drop(name, octets)
    account().start()
    dropped = drop_letters(spool, 1)
    relay.wait_accepted(1)
    assert spool.wait_failed() == [name]
    assert spool.read("failed", name) == octets
    assert re.search(reason, spool.reason(name)), spool.reason(name)
    assert len(spool.reason(name)) > 10
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


def test_names_that_are_taken(daemon, relay, spool, account):
    """The same name again, and a long one: none replaces another in failed/."""
    account().start()
    long = "n" * 250
    for number in range(1, 4):
        for name in ("same", long):
            spool.drop(name, letter(number, to=None))
        spool.wait_failed(2 * number)
    found = spool.failed()
    assert len(found) == 6
    assert sum(name.startswith("same") for name in found) == 3
    assert sum(name.startswith("n" * 200) for name in found) == 3
    assert max(len(name) for name in found) <= 240
    texts = Counter(spool.read("failed", name) for name in found)
    assert texts == Counter({letter(number, to=None): 2 for number in range(1, 4)})


def test_bad_names(daemon, relay, spool, account):
    """Blanks, control characters, no UTF-8, what looks like an option or a markup."""
    account().start()
    names = [" ", "-rf", "a\nb", "\x1b[2J", "caf\udce9", "%s%n", "x" * 255, "queue.1", "ö" * 100]
    for number, name in enumerate(names):
        spool.drop(name, letter(number))
    relay.wait_accepted(len(names))
    spool.wait_empty()
    assert "\x1b[2J" not in daemon.log()
    assert spool.files("failed") == []
