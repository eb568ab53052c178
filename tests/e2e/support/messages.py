"""Messages with every awkwardness that mail has."""

import random

HEADER = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: %s\r\n\r\n"

BODIES = {
    "plain": b"Hello.\r\n",
    "empty body": b"",
    "only an empty line": b"\r\n",
    "no final newline": b"the end",
    "final CR": b"the end\r",
    "two final CRs": b"the end\r\r",
    "a dot": b".\r\n",
    "dots": b"..\r\n...\r\n.a\r\n. \r\n",
    "dot at the end": b"x\r\n.",
    "dot behind a bare LF": b"x\n.\ny\n..\n",
    "dot behind a bare CR": b"x\r.\ry\r..\r",
    "end of data but for a CR": b"x\r\n.\ny\n.\r\nz\r\n",
    "bare LF": b"one\ntwo\n\nthree\r\n",
    "bare CR": b"one\rtwo\r\rthree\r\n",
    "CR CR LF": b"one\r\r\ntwo\r\r\r\n",
    "LF CR": b"one\n\rtwo\n\r\r\n",
    "NUL": b"a\0b\0\0\r\n\0\r\n",
    "8-bit": "Grüße, 東京\r\n".encode() + bytes(range(128, 256)) + b"\r\n",
    "every octet": bytes(range(256)) * 4 + b"\r\n",
    "long line": b"x" * 100_000 + b"\r\n",
    "very long line": b"y" * 1_000_000 + b"\r\n",
    "line of dots": b"." * 70_000 + b"\r\n.\r\n",
    "many empty lines": b"\r\n" * 5000,
    "many dots": b".\r\n" * 5000,
    "From line": b"From someone\r\n>From\r\n",
    "looks like POP3": b"-ERR no\r\n+OK\r\nQUIT\r\n",
    "escape sequences": b"\x1b[2J\x07\x7f\r\n",
}

ODD = {
    "no header": b"just text\r\n",
    "long header line": b"Subject: " + b"x" * 200_000 + b"\r\n\r\nx\r\n",
    "header only": b"Subject: alone\r\n",
    "header without an end": b"Subject: alone",
    "one octet": b"x",
    "one dot": b".",
    "one line end": b"\r\n",
    "one LF": b"\n",
    "one CR": b"\r",
}


def awkward():
    """(name, octets) of each kind, as they come over the wire."""
    named = [(name, HEADER % name.encode() + body) for name, body in BODIES.items()]
    return named + list(ODD.items())


def random_message(source):
    """A message of octets that codecs trip over, in random order."""
    pieces = [b"\r", b"\n", b"\r\n", b".", b"\r\n.", b"\0", b"\xff", b"x", b"word " * 20]
    body = b"".join(source.choice(pieces) for _ in range(source.randrange(200)))
    return HEADER % str(source.random()).encode() + body


def many(count, seed=1):
    """`count` messages, all different: the awkward ones first, then random ones."""
    source = random.Random(seed)
    messages = [octets for _, octets in awkward()][:count]
    while len(messages) < count:
        messages.append(random_message(source))
    return messages


def simple(number, size=0):
    """A small message that is like no other; `size` pads it."""
    body = b"Message %d.\r\n" % number
    body += b"0123456789abcdef" * 4 * (size // 64) + (b"\r\n" if size else b"")
    return HEADER % (b"number %d" % number) + body
