#!/usr/bin/python3
"""A POP3 server (RFC 1939, 2449, 2595, 5034) on loopback with its mail in memory: for the
demonstration, and for tests that script what it says and does.

    python3 pop3_peer.py --account me@example.org:secret:DIRECTORY [--tls implicit|starttls|none]

serves the files of DIRECTORY, prints its port, and runs until it is killed or its standard input
ends.
"""

import argparse
import base64
import binascii
import hashlib
import os
import sys
import threading

import bearer
import scram
from peer import Hangup, Peer, Session, tls_context


def wire_form(octets):
    """A file's octets as a server sends them: every line ends in CRLF."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def stuff(octets):
    """The multi-line form of a message (RFC 1939 section 3): only CRLF ends a line."""
    if octets and not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    stuffed = octets.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + b".\r\n"


class Message:
    """`octets` as on the wire before byte-stuffing. `listed` is what LIST and STAT say of it."""

    def __init__(self, octets, uid=None, listed=None):
        self.octets = octets
        self.uid = uid if uid is not None else hashlib.sha256(octets).hexdigest()[:32]
        self.listed = listed

    @property
    def size(self):
        if self.listed is not None:
            return self.listed
        ended = not self.octets or self.octets.endswith(b"\r\n")
        return len(self.octets) + (0 if ended else 2)


class Mailbox:
    """A maildrop. Change `messages` and the rest freely between sessions."""

    def __init__(self, user, password, exclusive=True):
        self.user = user
        self.password = password
        self.exclusive = exclusive  # a second session hears [IN-USE]
        self.messages = []
        self.window = None  # a slice: what a session sees of the messages, as Gmail does
        self.expunged = []  # messages deleted, in order
        self.lock = threading.Lock()
        self.open_sessions = 0
        self.most_sessions = 0
        self._next_uid = 1

    def add(self, octets, uid=None, listed=None):
        """Puts a message in. Without `uid` it gets one that was never used here."""
        if uid is None:
            uid = f"{self.user.partition('@')[0]}-{self._next_uid:08d}"
            self._next_uid += 1
        message = Message(octets, uid, listed)
        with self.lock:
            self.messages.append(message)
        return message

    def enter(self):
        """The messages that a new session sees, or None when another one holds the maildrop."""
        with self.lock:
            if self.exclusive and self.open_sessions > 0:
                return None
            self.open_sessions += 1
            self.most_sessions = max(self.most_sessions, self.open_sessions)
            return list(self.messages if self.window is None else self.messages[self.window])

    def leave(self):
        with self.lock:
            self.open_sessions -= 1

    def expunge(self, messages):
        with self.lock:
            for message in messages:
                if any(m is message for m in self.messages):
                    self.messages = [m for m in self.messages if m is not message]
                    self.expunged.append(message)


class Pop3Session(Session):
    def __init__(self, peer, sock, number):
        super().__init__(peer, sock, number)
        self.user = None
        self.mailbox = None
        self.messages = []
        self.deleted = set()
        self.retrieved = []  # UIDs sent with RETR
        self.quit_answered = False

    def serve(self):
        if not self.peer.intervene(self, "GREETING", ""):
            self.say("+OK " + self.peer.greeting)
        while not self.quit_answered:
            line = self.read_line()
            self.peer.note_command(self, line)
            verb, _, argument = line.partition(" ")
            verb = verb.upper()
            if not self.peer.intervene(self, verb, argument):
                self.obey(verb, argument)

    def finish(self):
        if self.mailbox is not None:
            self.mailbox.leave()
            self.mailbox = None

    def obey(self, verb, argument):
        """Answers in the ordinary way; a hook may call it too, before or after its own mischief."""
        before = {"CAPA", "STLS", "UTF8", "USER", "PASS", "AUTH", "APOP", "QUIT"}
        within = {"CAPA", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "NOOP", "RSET", "QUIT"}
        allowed = before if self.mailbox is None else within
        if verb not in allowed or verb in self.peer.without:
            self.say("-ERR not now, or not known here")
            return
        getattr(self, "do_" + verb.lower())(argument)

    # Authorization

    def do_capa(self, _):
        self.say("+OK")
        for capability in self.peer.capabilities(self):
            self.say(capability)
        self.say(".")

    def do_stls(self, _):
        if self.secured or self.peer.tls_mode != "starttls":
            self.say("-ERR not here")
            return
        self.say("+OK begin")
        self.start_tls()

    def do_utf8(self, _):
        self.say("+OK")

    def do_user(self, argument):
        self.user = argument
        self.say("+OK")

    def do_pass(self, argument):
        self.log_in(self.user, argument)

    def do_apop(self, argument):
        user, _, digest = argument.partition(" ")
        mailbox = self.peer.mailboxes.get(user)
        stamp = self.peer.greeting.rpartition(" ")[2]
        secret = mailbox.password if mailbox else ""
        right = hashlib.md5((stamp + secret).encode()).hexdigest()
        self.log_in(user, secret if mailbox and digest == right else None)

    def do_auth(self, argument):
        mechanism, _, initial = argument.partition(" ")
        mechanism = mechanism.upper()
        if mechanism not in self.peer.mechanisms:
            self.say("-ERR unknown mechanism")
        elif mechanism in bearer.MECHANISMS:
            self.let_in(self.peer.tokens.judge(mechanism, initial, self.ask))
        elif mechanism in scram.MECHANISMS:
            passwords = {user: box.password for user, box in self.peer.mailboxes.items()}
            self.let_in(scram.judge(mechanism, passwords, initial, self.ask, self.peer.channel))
        elif mechanism == "EXTERNAL":
            self.log_in_external(initial)
        else:
            self.log_in_plain(initial)

    def log_in_external(self, initial):
        """RFC 4422 appendix A: TLS has said who it is, the response says whom to act as."""
        response = self.read_sasl(initial)
        user = base64.b64decode(response or "").decode()
        self.let_in(user if self.client_certificate else None)

    def log_in_plain(self, initial):
        response = self.read_sasl(initial)
        if response is None:
            self.say("-ERR cancelled")
            return
        try:
            fields = base64.b64decode(response, validate=True).decode().split("\0")
            _, user, password = fields
        except (binascii.Error, ValueError):
            self.say("-ERR unreadable response")
            return
        self.log_in(user, password)

    def read_sasl(self, initial):
        """RFC 5034 section 4: an initial response, "=" for an empty one, else a challenge."""
        if initial:
            return "" if initial == "=" else initial
        line = self.ask("")
        return None if line == "*" else line

    def ask(self, challenge):
        """The client's answer to a challenge, both as they are on the wire."""
        self.say("+ " + challenge)
        line = self.read_line()
        self.peer.note_command(self, line)
        return line

    def log_in(self, user, password):
        mailbox = self.peer.mailboxes.get(user)
        right = mailbox is not None and mailbox.password == password
        self.let_in(user if right else None)

    def let_in(self, user):
        """Opens the user's maildrop; None is a refusal."""
        mailbox = self.peer.mailboxes.get(user)
        if mailbox is None:
            self.say("-ERR [AUTH] user or password is wrong")
            return
        messages = mailbox.enter()
        if messages is None:
            self.say("-ERR [IN-USE] another session has this maildrop")
            return
        self.user = user
        self.mailbox = mailbox
        self.messages = messages
        self.say(f"+OK {len(messages)} messages")

    # Transaction

    def left(self):
        """Number and message of what is not marked as deleted."""
        return [(n, m) for n, m in enumerate(self.messages, 1) if n not in self.deleted]

    def asked_for(self, message):
        """True when this is the message that the last command names."""
        number = self.commands[-1][1].partition(" ")[2]
        return number.isdigit() and self.messages[int(number) - 1] is message

    def find(self, argument):
        """The number and message that an argument names; (0, None) after saying why not."""
        try:
            number = int(argument.split()[0])
        except (IndexError, ValueError):
            number = 0
        if not 1 <= number <= len(self.messages) or number in self.deleted:
            self.say("-ERR no such message")
            return 0, None
        return number, self.messages[number - 1]

    def do_stat(self, _):
        left = self.left()
        self.say(f"+OK {len(left)} {sum(m.size for _, m in left)}")

    def do_list(self, argument):
        self.list_by(argument, lambda message: message.size)

    def do_uidl(self, argument):
        self.list_by(argument, lambda message: message.uid)

    def list_by(self, argument, quality):
        if argument:
            number, message = self.find(argument)
            if message is not None:
                self.say(f"+OK {number} {quality(message)}")
            return
        self.say("+OK")
        for number, message in self.left():
            self.say(f"{number} {quality(message)}")
        self.say(".")

    def do_retr(self, argument):
        _, message = self.find(argument)
        if message is not None:
            self.retrieved.append(message.uid)
            self.say(f"+OK {message.size} octets")
            self.send(stuff(message.octets))

    def do_top(self, argument):
        number, message = self.find(argument)
        if message is None:
            return
        words = argument.split()
        lines = int(words[1]) if len(words) == 2 and words[1].isdigit() else 0
        head, separator, body = message.octets.partition(b"\r\n\r\n")
        self.say("+OK")
        self.send(stuff(head + separator + b"".join(body.splitlines(keepends=True)[:lines])))

    def do_dele(self, argument):
        number, message = self.find(argument)
        if message is not None:
            self.deleted.add(number)
            self.say("+OK")

    def do_noop(self, _):
        self.say("+OK")

    def do_rset(self, _):
        self.deleted.clear()
        self.say("+OK")

    # Update

    def update(self):
        """What QUIT does to the maildrop."""
        if self.mailbox is not None:
            gone = [self.messages[n - 1] for n in sorted(self.deleted)]
            if self.peer.expires_retrieved:
                gone += [m for m in self.messages if m.uid in self.retrieved and m not in gone]
            self.mailbox.expunge(gone)
            self.deleted.clear()

    def do_quit(self, _):
        self.update()
        self.finish()  # before the answer: who has heard it may come again at once
        self.say("+OK bye")
        self.quit_answered = True


class Pop3Peer(Peer):
    """`without` names verbs and capabilities that this server does not have, `offers` lines that
    CAPA tells besides. With `expires_retrieved` QUIT deletes what was retrieved (EXPIRE 0)."""

    session_class = Pop3Session

    def __init__(self, **settings):
        super().__init__(**settings)
        self.greeting = "ready <1896.697170952@peer.example>"
        self.mailboxes = {}
        self.without = set()
        self.offers = []
        self.expires_retrieved = False
        self.mechanisms = ["PLAIN"]
        self.tokens = bearer.Tokens()
        self.channel = scram.Channel()

    def add_mailbox(self, user, password="pass word", **settings):
        mailbox = Mailbox(user, password, **settings)
        self.mailboxes[user] = mailbox
        return mailbox

    def capabilities(self, session):
        offered = ["TOP", "USER", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"]
        if self.mechanisms:
            offered.append("SASL " + " ".join(self.mechanisms))
        if self.tls_mode == "starttls" and not session.secured:
            offered.append("STLS")
        offered += self.offers
        offered.append("IMPLEMENTATION postrider-peer")
        return [c for c in offered if c.split()[0] not in self.without]

    @property
    def retrieved(self):
        """Every UID sent with RETR, in order of the sessions."""
        with self.changed:
            sessions = list(self.sessions)
        return [uid for session in sessions for uid in session.retrieved]


# The program


def load_directory(mailbox, directory):
    """Every regular file is a message; its name is its UID."""
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if name.startswith(".") or not os.path.isfile(path):
            continue
        with open(path, "rb") as file:
            octets = wire_form(file.read())
        uid = "".join(c if "!" <= c <= "~" else "_" for c in name)[:70]
        mailbox.add(octets, uid=uid)


def parse_arguments():
    parser = argparse.ArgumentParser(description="An embedded POP3 server on loopback.")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--tls", choices=["implicit", "starttls", "none"], default="none")
    parser.add_argument("--cert", help="certificate chain, PEM")
    parser.add_argument("--key", help="its key, PEM")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before answers")
    parser.add_argument(
        "--account",
        action="append",
        required=True,
        metavar="USER:PASSWORD:DIRECTORY",
        help="serves the files of DIRECTORY (may be empty); may be given again",
    )
    arguments = parser.parse_args()
    if arguments.tls != "none" and not (arguments.cert and arguments.key):
        parser.error("--tls wants --cert and --key")
    if any(account.count(":") < 2 for account in arguments.account):
        parser.error("--account wants USER:PASSWORD:DIRECTORY")
    return arguments


def main():
    arguments = parse_arguments()
    tls = None
    if arguments.tls != "none":
        tls = tls_context(arguments.cert, arguments.key)
    peer = Pop3Peer(
        tls_mode=arguments.tls, tls=tls, address=arguments.address, port=arguments.port
    )
    peer.delay = arguments.delay
    for account in arguments.account:
        user, password, directory = account.split(":", 2)
        mailbox = peer.add_mailbox(user, password)
        if directory:
            load_directory(mailbox, directory)
    with peer:
        print(peer.port, flush=True)
        try:
            while sys.stdin.buffer.read(4096):
                pass
        except KeyboardInterrupt:
            pass


__all__ = ["Hangup", "Mailbox", "Message", "Pop3Peer", "Pop3Session", "stuff", "wire_form"]

if __name__ == "__main__":
    main()
