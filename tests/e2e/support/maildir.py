"""What a reader of a Maildir sees, and what the daemon promises about its files."""

import hashlib
import os
import re
import stat
from collections import Counter

NAME = re.compile(r"^[0-9]+\.M[0-9]+P[0-9]+Q[0-9]+\.[^/:,]+,S=([0-9]+)(,W=[0-9]+)?$")


class Maildir:
    def __init__(self, path):
        self.path = str(path)

    def files(self, folder="new"):
        """Paths below a folder, sorted by name."""
        directory = os.path.join(self.path, folder)
        try:
            return sorted(os.path.join(directory, name) for name in os.listdir(directory))
        except FileNotFoundError:
            return []

    def messages(self):
        """The octets of each message in new/ and cur/."""
        found = []
        for path in self.files("new") + self.files("cur"):
            with open(path, "rb") as file:
                found.append(file.read())
        return found

    def digests(self):
        return Counter(digest(octets) for octets in self.messages())

    def check(self, mode=0o600):
        """File names, sizes, modes, and that nothing is left behind."""
        assert self.files("tmp") == [], "files left in tmp/"
        assert self.files("cur") == [], "only a reader puts files into cur/"
        for path in self.files():
            name = os.path.basename(path)
            match = NAME.match(name)
            assert match, f"file name {name}"
            status = os.lstat(path)
            assert stat.S_ISREG(status.st_mode)
            assert int(match[1]) == status.st_size, f"S= of {name}, {status.st_size} octets"
            assert stat.S_IMODE(status.st_mode) == mode, f"mode of {name}"


def digest(octets):
    return hashlib.sha256(octets).hexdigest()


def stored(wire):
    """The storage rule: CRLF becomes LF, nothing else changes. `wire` is as the server sent it,
    undotted, with the CRLF of its last line."""
    return wire.replace(b"\r\n", b"\n")


def stored_of(message):
    """What a Message of the scripted peer must be in the Maildir."""
    octets = message.octets
    if octets and not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    return stored(octets)


def expected(messages):
    """The digests() of a Maildir that holds each of the peer's messages once."""
    return Counter(digest(stored_of(message)) for message in messages)
