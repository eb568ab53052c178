"""The spool as its users see it, and the smtp side of accounts."""

import os
import re
import shutil
import stat
import threading
from collections import Counter

from .daemon import SETTLED
from .waiting import wait_for

RETRY = {"first": "1s", "max": "1s"}


def smtp_account(daemon, relay, name="box", **changes):
    """An account that only sends, through a scripted peer or Postfix. Keys of smtp are given as
    they are, keys of the account itself as account_KEY; None takes a key away."""
    smtp = {"host": "127.0.0.1", "port": relay.port, "tls": relay.tls_mode, "timeout": 10}
    account = {
        "name": name,
        "maildir": daemon.path("Mail", name),
        "addresses": ["me@example.org"],
    }
    for key, item in changes.items():
        if key.startswith("account_"):
            account[key.removeprefix("account_")] = item
        else:
            smtp[key] = item
    account["smtp"] = smtp
    return account


def letter(number, to="you@example.com", sender="me@example.org", body=None, fields=()):
    """A small message that is like no other, with LF as line ends."""
    lines = [
        f"From: {sender}",
        *([f"To: {to}"] if to else []),
        f"Subject: number {number}",
        "Date: Fri, 20 Nov 2026 10:15:00 +0000",
        f"Message-ID: <number-{number}@test.example>",
        *fields,
    ]
    text = f"Message {number}.\n" if body is None else body
    text = text if isinstance(text, bytes) else text.encode()
    return "".join(line + "\n" for line in lines).encode() + b"\n" + text


def wire(octets):
    """A message as it must come over the wire, when nothing of its header changes."""
    octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def drop_letters(spool, count, first=0, **settings):
    """Drops that many, and returns them by file name."""
    dropped = {}
    for number in range(first, first + count):
        octets = dropped[f"letter-{number}"] = letter(number, **settings)
        spool.drop(f"letter-{number}", octets)
    return dropped


def accepted(relay):
    """How often each message was accepted for each recipient."""
    return Counter(
        (transaction.octets, recipient)
        for transaction in relay.accepted
        for recipient in transaction.recipients
    )


def once_each(dropped, *recipients):
    recipients = recipients or ("you@example.com",)
    return Counter((wire(octets), who) for octets in dropped.values() for who in recipients)


def fates(daemon):
    """What was said of each recipient, in order, as the daemon's log has it."""
    return re.findall(r" recipient=<\S+> fate=(\w+)", daemon.log())


def unknown_ones(spool):
    """The texts that the queue calls unknown."""
    unknown = {
        m["id"] for m in spool.queue() if any(r["state"] == "unknown" for r in m["recipients"])
    }
    return [
        wire(spool.read("queue", name))
        for name in spool.files("queue")
        if name.split(".")[0] in unknown
    ]


def check_none_lost_or_doubled(relay, spool, dropped):
    """Each was taken once, or is said to be unknown; both when the answer did not arrive."""
    found, unknown = accepted(relay), unknown_ones(spool)
    assert not found - once_each(dropped)
    for octets in map(wire, dropped.values()):
        assert (octets, "you@example.com") in found or octets in unknown


def wait_settled(relay, spool, count):
    """Nothing waits but what is unknown."""

    def is_settled():
        left = len(spool.queue())
        return len(relay.accepted) + left >= count and left == len(unknown_ones(spool))

    wait_for(is_settled, lambda: f"only unknown ones are left: {spool.listing()}", 120)


class Spool:
    def __init__(self, daemon):
        self.daemon = daemon
        self.path = daemon.path("spool")

    def at(self, *names):
        return os.path.join(self.path, *names)

    def make(self):
        """As the daemon would, for what is dropped before its first start."""
        os.makedirs(self.path, mode=0o700, exist_ok=True)

    # Dropping files, in each way that people and programs have

    def drop(self, name, octets, style="mv"):
        self.make()
        getattr(self, "drop_by_" + style)(name, octets)

    def outside(self, name, octets):
        path = self.daemon.path("drafts", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(octets)
        return path

    def drop_by_mv(self, name, octets):
        os.rename(self.outside(name, octets), self.at(name))

    def drop_by_cp(self, name, octets):
        shutil.copyfile(self.outside(name, octets), self.at(name))

    def drop_by_ln(self, name, octets):
        os.link(self.outside(name, octets), self.at(name))

    def drop_by_hidden(self, name, octets):
        """Written under a hidden name in the spool itself, then renamed."""
        with open(self.at("." + name), "wb") as file:
            file.write(octets)
        os.rename(self.at("." + name), self.at(name))

    # What lies there

    def files(self, folder=""):
        """Names of regular files."""
        directory = self.at(folder)
        try:
            names = sorted(os.listdir(directory))
        except FileNotFoundError:
            return []
        return [name for name in names if self.is_regular(os.path.join(directory, name))]

    @staticmethod
    def is_regular(path):
        try:
            return stat.S_ISREG(os.lstat(path).st_mode)
        except FileNotFoundError:
            return False

    def read(self, *names):
        with open(self.at(*names), "rb") as file:
            return file.read()

    def failed(self):
        """Names of the messages in failed/."""
        return [name for name in self.files("failed") if not name.endswith(".reason")]

    def wait_failed(self, count=1):
        """Their names, once there are `count`, each with its reason."""

        def there():
            names = self.failed()
            return len(names) >= count and set(self.files("failed")) >= {
                name + ".reason" for name in names
            }

        wait_for(there, lambda: f"{count} in failed/: {self.files('failed')}; {self.listing()}")
        assert len(self.failed()) == count
        return self.failed()

    def reason(self, name):
        return self.read("failed", name + ".reason").decode()

    def is_empty(self):
        return self.files() == self.files("queue") == []

    def wait_empty(self, timeout=60):
        wait_for(self.is_empty, lambda: f"the spool is empty: {self.listing()}", timeout)

    def listing(self):
        return {folder: self.files(folder) for folder in ("", "queue", "failed")}

    # What the daemon says of it

    def status(self, account="box"):
        """The smtp side of one account."""
        accounts = self.daemon.ctl("status", account)["accounts"]
        assert [a["name"] for a in accounts] == [account]
        return accounts[0]["smtp"]

    def queue(self):
        return self.daemon.ctl("queue")["messages"]

    def wait_status(self, condition, what, account="box", timeout=30):
        status = {}

        def holds():
            status.update(self.status(account))
            return condition(status)

        wait_for(holds, lambda: f"{what}: {status}", timeout)
        return dict(status)

    def wait_settled(self, account="box"):
        """The account is at rest, whatever it has come to."""
        return self.wait_status(lambda s: s["state"] in SETTLED, "at rest", account)

    def wait_queue(self, condition, what, timeout=30):
        queue = []

        def holds():
            queue[:] = self.queue()
            return condition(queue)

        wait_for(holds, lambda: f"{what}: {queue}; {self.daemon.log()[-3000:]}", timeout)
        return list(queue)


class SlowWriter:
    """Writes a file in place, a piece each time it is told to, and keeps it open in between."""

    def __init__(self, path):
        self.file = open(path, "wb", buffering=0)  # noqa: SIM115 - that it stays open is the point

    def write(self, octets):
        self.file.write(octets)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def at_once(works):
    """Runs each of these functions in a thread of its own."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
