#!/usr/bin/python3
"""An SMTP server (RFC 5321, 3207, 4954, 1870, 6152, 6531, 3461, 2920, 3030) on loopback that keeps what
it accepts in memory: for the demonstration, and for tests that script what it says and does.

    python3 smtp_peer.py [--account USER:PASSWORD] [--tls implicit|starttls|none] [--store DIR]
                         [--refuse RECIPIENT]

prints its port, stores each message it accepts as a file of DIR, and runs until it is killed or
its standard input ends.
"""

import argparse
import base64
import binascii
import os
import re
import sys
import time

import bearer
import faults
import scram
from peer import Hangup, Peer, Session, tls_context

BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
PATH = re.compile(r"<([^>]*)>(.*)")
END = b"\r\n.\r\n"


def unstuff(octets):
    """The text of a message as it was before byte-stuffing (RFC 5321 section 4.5.2)."""
    text = octets.replace(b"\r\n.", b"\r\n")
    return text[1:] if text.startswith(b".") else text


def bare_line_ends(octets):
    """Where a CR or an LF stands alone; a CR at the very end may still get its LF."""
    found = [match.start() for match in BARE.finditer(octets)]
    return [place for place in found if place != len(octets) - 1 or octets[place] == 10]


class Transaction:
    """From MAIL to the reply to the final dot, or to what ended it before."""

    def __init__(self, session, sender, parameters):
        self.session = session
        self.sender = sender
        self.parameters = parameters  # of MAIL: upper-case keyword to value, "" without one
        self.recipients = []  # accepted so far
        self.recipient_parameters = {}
        self.refused = []
        self.began = time.monotonic()
        self.ended = None
        self.wire = None  # what came behind 354, with the final dot; or the chunks of BDAT
        self.chunks = 0
        self.reply = None  # to the final dot
        self.accepted = False

    @property
    def octets(self):
        """The message, dot-unstuffed, with the CRLF of its last line."""
        if self.chunks:
            return self.wire
        return unstuff(self.wire.removesuffix(b".\r\n"))


class SmtpSession(Session):
    def __init__(self, peer, sock, number):
        super().__init__(peer, sock, number)
        self.wire = bytearray()  # every octet that came, decrypted
        self.user = None
        self.greeted = False
        self.transaction = None
        self.reset_wanted = False
        self.last_reply = ""
        self.quit_answered = False

    def fill(self):
        before = len(self._in)
        super().fill()
        self.wire += self._in[before:]

    def say(self, text):
        self.last_reply = text
        super().say(text)

    def reply(self, code, status, text):
        """One line, with the enhanced status code (RFC 2034) where this server has them."""
        with_status = status and "ENHANCEDSTATUSCODES" not in self.peer.without
        self.say(f"{code} {status} {text}" if with_status else f"{code} {text}")

    def is_positive(self):
        return self.last_reply.startswith("2")

    def serve(self):
        if not self.peer.intervene(self, "GREETING", ""):
            self.say("220 " + self.peer.greeting)
        while not self.quit_answered:
            line = self.read_line()
            self.peer.note_command(self, line)
            verb, _, argument = line.partition(" ")
            self.answer(verb.upper(), argument)

    def answer(self, verb, argument):
        if verb in ("MAIL", "RCPT"):
            self.answer_path(verb, argument)
        elif not self.peer.intervene(self, verb, argument):
            self.obey(verb, argument)

    def answer_path(self, verb, argument):
        """What counts is the reply, whoever wrote it."""
        if not self.peer.intervene(self, verb, argument):
            self.obey(verb, argument)
        path, parameters = parse_path(argument)
        if verb == "MAIL":
            if self.is_positive():
                self.transaction = Transaction(self, path, parameters)
        elif self.transaction is not None and self.is_positive():
            self.transaction.recipients.append(path)
            self.transaction.recipient_parameters[path] = parameters
        elif self.transaction is not None:
            self.transaction.refused.append(path)

    def obey(self, verb, argument):
        """Answers in the ordinary way; a hook may call it too, before or after its own mischief."""
        known = {"EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "RSET"}
        known |= {"NOOP", "QUIT"}
        if verb not in known or verb in self.peer.without:
            self.reply(500, "5.5.1", "not known here")
            return
        getattr(self, "do_" + verb.lower())(argument)

    # Opening

    def do_ehlo(self, _):
        self.greeted = True
        self.transaction = None
        lines = ["peer.example", *self.peer.capabilities(self)]
        for line in lines[:-1]:
            self.say("250-" + line)
        self.say("250 " + lines[-1])

    def do_helo(self, _):
        self.greeted = True
        self.transaction = None
        self.say("250 peer.example")

    def do_starttls(self, _):
        if self.secured or self.peer.tls_mode != "starttls":
            self.reply(502, "5.5.1", "not here")
            return
        self.reply(220, "2.0.0", "begin")
        self.greeted = False
        self.start_tls()

    def do_auth(self, argument):
        mechanism, _, initial = argument.partition(" ")
        if not self.greeted or self.user is not None or self.transaction is not None:
            self.reply(503, "5.5.1", "not now")
        elif mechanism.upper() not in self.peer.mechanisms:
            self.reply(504, "5.5.4", "unknown mechanism")
        elif mechanism.upper() in bearer.MECHANISMS:
            self.let_in(self.peer.tokens.judge(mechanism.upper(), initial, self.ask))
        elif mechanism.upper() in scram.MECHANISMS:
            peer = self.peer
            self.let_in(
                scram.judge(mechanism.upper(), peer.users, initial, self.ask, peer.channel)
            )
        else:
            getattr(self, "log_in_" + mechanism.lower())(initial)

    def log_in_external(self, initial):
        """RFC 4422 appendix A: TLS has said who it is, the response says whom to act as."""
        user = decode(initial) if initial else self.challenge("")
        self.let_in(user if self.client_certificate else None)

    def log_in_plain(self, initial):
        response = decode(initial) if initial else self.challenge("")
        fields = (response or "").split("\0")
        self.log_in(*fields[1:]) if len(fields) == 3 else self.log_in(None, None)

    def log_in_login(self, initial):
        user = decode(initial) if initial else self.challenge("Username:")
        if user is None:
            self.reply(501, "5.5.2", "cancelled")
            return
        self.log_in(user, self.challenge("Password:"))

    def challenge(self, text):
        """The answer to a challenge; None when it cannot be read or the client cancels."""
        line = self.ask(base64.b64encode(text.encode()).decode())
        return None if line == "*" else decode(line)

    def ask(self, challenge):
        """The client's answer to a challenge, both as they are on the wire."""
        self.say("334 " + challenge)
        line = self.read_line()
        self.peer.note_command(self, line)
        return line

    def log_in(self, user, password):
        right = user is not None and password is not None and self.peer.users.get(user) == password
        self.let_in(user if right else None)

    def let_in(self, user):
        """The session is this user's from now on; None is a refusal."""
        if user is None:
            self.reply(535, "5.7.8", "user or password is wrong")
            return
        self.user = user
        self.reply(235, "2.7.0", "welcome")

    # A transaction

    def do_mail(self, argument):
        _, parameters = parse_path(argument)
        size = parameters.get("SIZE", "0")
        if not self.greeted or self.transaction is not None or self.reset_wanted:
            self.reply(503, "5.5.1", "not now")
        elif self.peer.wants_login() and self.user is None:
            self.reply(530, "5.7.0", "authentication required")
        elif not argument.upper().startswith("FROM:<") or not size.isdigit():
            self.reply(501, "5.5.4", "FROM:<path>, please")
        elif int(size) > self.peer.size_limit:
            self.reply(552, "5.3.4", "too large")
        else:
            self.reply(250, "2.1.0", "ok")

    def do_rcpt(self, argument):
        if self.transaction is None:
            self.reply(503, "5.5.1", "MAIL first")
        elif not argument.upper().startswith("TO:<"):
            self.reply(501, "5.5.4", "TO:<path>, please")
        else:
            self.reply(250, "2.1.5", "ok")

    def do_data(self, _):
        if self.transaction is None:
            self.reply(503, "5.5.1", "MAIL first")
        elif not self.transaction.recipients:
            self.reply(554, "5.5.1", "no valid recipients")
        else:
            self.say("354 go on")
            self.take_message()

    def take_message(self):
        """Everything behind 354: the text and what is said to its final dot."""
        transaction = self.transaction
        self.flush()
        self.peer.intervene(self, "TEXT", "")
        transaction.wire = self.read_text()
        self.peer.note_text(transaction)
        if not self.peer.intervene(self, "DOT", ""):
            self.do_dot()
        self.end_transaction(self.is_positive())
        self.flush()

    def do_bdat(self, argument):
        """RFC 3030: the chunk is read whatever is said of it; behind a refusal, RSET is wanted."""
        size, _, last = argument.partition(" ")
        chunk = self.read_octets(int(size))
        if self.reset_wanted or self.transaction is None:
            self.reply(503, "5.5.1", "MAIL first")
        elif not self.transaction.recipients:
            self.reply(554, "5.5.1", "no valid recipients")
        else:
            self.transaction.chunks += 1
            self.transaction.wire = (self.transaction.wire or b"") + chunk
            self.take_chunk(last.upper() == "LAST")
            self.flush()
            return
        self.reset_wanted = True

    def take_chunk(self, is_last):
        if not is_last:
            if not self.peer.intervene(self, "CHUNK", ""):
                self.reply(250, "2.0.0", "more")
            self.reset_wanted = not self.is_positive()
            return
        self.peer.note_text(self.transaction)
        if not self.peer.intervene(self, "DOT", ""):
            self.do_dot()
        self.reset_wanted = not self.is_positive()
        self.end_transaction(self.is_positive())

    def read_octets(self, size):
        while len(self._in) < size:
            self.fill()
        octets = bytes(self._in[:size])
        del self._in[:size]
        return octets

    def read_text(self):
        """Up to the dot that stands between two CRLFs, and that one only."""
        looked = 0
        while True:
            if self._in.startswith(END[2:]):
                end = len(END) - 2
                break
            found = self._in.find(END, looked)
            if found >= 0:
                end = found + len(END)
                break
            looked = max(0, len(self._in) - len(END))
            self.fill()
        text = bytes(self._in[:end])
        del self._in[:end]
        return text

    def do_dot(self):
        if len(self.transaction.wire) > self.peer.size_limit:
            self.reply(552, "5.3.4", "too large")
        else:
            self.reply(250, "2.0.0", "taken")

    def end_transaction(self, accepted):
        """The message's fate at this server, before the client can know of it."""
        transaction, self.transaction = self.transaction, None
        transaction.reply = self.last_reply
        transaction.accepted = accepted
        self.peer.note_end(transaction)

    def do_rset(self, _):
        self.transaction = None
        self.reset_wanted = False
        self.reply(250, "2.0.0", "ok")

    def do_noop(self, _):
        self.reply(250, "2.0.0", "ok")

    def do_quit(self, _):
        self.reply(221, "2.0.0", "bye")
        self.quit_answered = True


class SmtpPeer(Peer):
    """`without` names verbs and extensions that this server does not have; with `users` (names to
    passwords) it wants to be logged in to."""

    session_class = SmtpSession

    def __init__(self, **settings):
        super().__init__(**settings)
        self.greeting = "peer.example ESMTP ready"
        self.users = {}
        self.tokens = bearer.Tokens()
        self.channel = scram.Channel()
        self.mechanisms = ["PLAIN", "LOGIN"]
        self.without = set()
        self.chunking = False
        self.size_limit = 50_000_000
        self.transactions = []  # those whose final dot came, in order
        self.store = None  # called with each accepted Transaction

    def wants_login(self):
        return bool(self.users or self.tokens.valid or "EXTERNAL" in self.mechanisms)

    def capabilities(self, session):
        offered = ["PIPELINING", f"SIZE {self.size_limit}", "8BITMIME", "SMTPUTF8", "DSN"]
        offered += ["ENHANCEDSTATUSCODES", *(["CHUNKING"] if self.chunking else [])]
        if self.tls_mode == "starttls" and not session.secured:
            offered.append("STARTTLS")
        elif self.wants_login():
            offered.append("AUTH " + " ".join(self.mechanisms))
        return [c for c in offered if c.split()[0] not in self.without]

    # Records

    def note_text(self, transaction):
        with self.changed:
            self.transactions.append(transaction)
            self.changed.notify_all()

    def note_end(self, transaction):
        if transaction.accepted and self.store is not None:
            self.store(transaction)
        with self.changed:
            transaction.ended = time.monotonic()
            self.changed.notify_all()

    @property
    def accepted(self):
        """The transactions that ended in 2yz."""
        with self.changed:
            return [transaction for transaction in self.transactions if transaction.accepted]

    def wait_accepted(self, count, timeout=30):
        """The first `count` accepted transactions."""
        self.wait_for(lambda: len(self.accepted) >= count, f"{count} messages accepted", timeout)
        return self.accepted[:count]

    def bare_line_ends(self):
        """(session, place) of every CR or LF that came outside a CRLF."""
        with self.changed:
            sessions = list(self.sessions)
        return [
            (session.number, place)
            for session in sessions
            for place in bare_line_ends(bytes(session.wire))
        ]


def decode(response):
    """Base64 to text; None when it is not."""
    try:
        return base64.b64decode("" if response == "=" else response, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def parse_path(argument):
    """The address of MAIL or RCPT, and its parameters."""
    match = PATH.search(argument)
    if match is None:
        return "", {}
    parameters = {}
    for word in match[2].split():
        keyword, _, item = word.partition("=")
        parameters[keyword.upper()] = item
    return match[1], parameters


# The program


def store_in(directory):
    """Stores each message as a file, with its envelope on top (RFC 5321 section 4.4)."""
    os.makedirs(directory, exist_ok=True)

    def store(transaction):
        name = os.path.join(directory, f"{time.time_ns()}-{transaction.session.number}.eml")
        lines = [f"Return-Path: <{transaction.sender}>"]
        lines += [f"Delivered-To: {recipient}" for recipient in transaction.recipients]
        with open(name + ".part", "wb") as file:
            file.write("".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"))
            file.write(transaction.octets.replace(b"\r\n", b"\n"))
        os.rename(name + ".part", name)

    return store


def parse_arguments():
    parser = argparse.ArgumentParser(description="An embedded SMTP server on loopback.")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--tls", choices=["implicit", "starttls", "none"], default="none")
    parser.add_argument("--cert", help="certificate chain, PEM")
    parser.add_argument("--key", help="its key, PEM")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before answers")
    parser.add_argument("--store", metavar="DIRECTORY", help="what is accepted goes there")
    parser.add_argument(
        "--account",
        action="append",
        default=[],
        metavar="USER:PASSWORD",
        help="only whoever logs in may send; may be given again",
    )
    parser.add_argument(
        "--refuse",
        action="append",
        default=[],
        metavar="RECIPIENT",
        help="is refused as unknown; may be given again",
    )
    arguments = parser.parse_args()
    if arguments.tls != "none" and not (arguments.cert and arguments.key):
        parser.error("--tls wants --cert and --key")
    if any(":" not in account for account in arguments.account):
        parser.error("--account wants USER:PASSWORD")
    return arguments


def main():
    arguments = parse_arguments()
    tls = None
    if arguments.tls != "none":
        tls = tls_context(arguments.cert, arguments.key)
    peer = SmtpPeer(
        tls_mode=arguments.tls, tls=tls, address=arguments.address, port=arguments.port
    )
    peer.delay = arguments.delay
    peer.users = dict(account.split(":", 1) for account in arguments.account)
    for recipient in arguments.refuse:
        refusal = faults.answer("550 5.1.1 No such user here")
        peer.on("RCPT", faults.matching(f"<{recipient}>", refusal))
    if arguments.store:
        peer.store = store_in(arguments.store)
    with peer:
        print(peer.port, flush=True)
        try:
            while sys.stdin.buffer.read(4096):
                pass
        except KeyboardInterrupt:
            pass


__all__ = ["Hangup", "SmtpPeer", "SmtpSession", "Transaction", "bare_line_ends", "unstuff"]

if __name__ == "__main__":
    main()
