"""What an administrator of a Machine does: configures and starts the service, asks, drops mail."""

import os

from . import libconfig
from .machine import SERVICE
from .spool import letter
from .waiting import wait_for

SPOOL = "/var/spool/postrider"
QUICK = {"first": "1s", "max": "1s"}


class Setup:
    """What an administrator writes down."""

    def __init__(self, machine):
        self.machine = machine

    def pop3(self, peer, name="box", **changes):
        """An account that fetches. None takes a key away."""
        pop3 = {"host": "127.0.0.1", "port": peer.port, "tls": peer.tls_mode, "user": name}
        pop3 |= {"password": "pass word", "interval": 0, "timeout": 10} | changes
        return {"name": name, "maildir": f"~/Mail/{name}", "pop3": pop3}

    def smtp(self, relay, name="out", **changes):
        smtp = {"host": "127.0.0.1", "port": relay.port, "tls": relay.tls_mode, "timeout": 10}
        account = {"name": name, "maildir": f"~/Mail/{name}", "addresses": ["me@example.org"]}
        return account | {"default": True, "smtp": smtp | changes}

    def write(self, *accounts, **settings):
        text = libconfig.group({"retry": QUICK} | settings | {"accounts": tuple(accounts)})
        self.write_text(text)

    def write_text(self, text):
        """Secrets are in there: the service may read it, other people may not."""
        owner = (0, self.machine.ids()[1])
        self.machine.write("/etc/postrider/postrider.conf", text, 0o640, owner)


def start(machine):
    machine.systemctl("start", SERVICE)


def queued(machine):
    return machine.ask("status")["queue"]["messages"]


def fetch(machine, account="box"):
    """Polls, and returns the account's side once that is over."""
    assert machine.ask(f"poll {account}")["ok"]
    found = {}

    def over():
        found.update(machine.ask(f"status {account}")["accounts"][0]["pop3"])
        return found["last_attempt"] and found["state"] in ("idle", "backoff", "blocked")

    wait_for(over, lambda: f"the poll is over: {found}")
    return found


def drop(machine, name, octets, user="postrider"):
    """Whole, by its last rename."""
    machine.write(f"{SPOOL}/.{name}", octets, 0o640, machine.ids(user))
    os.rename(machine.path(f"{SPOOL}/.{name}"), machine.path(f"{SPOOL}/{name}"))


def drop_letters(machine, count, first=0):
    dropped = {f"letter-{number}": letter(number) for number in range(first, first + count)}
    for name, octets in dropped.items():
        drop(machine, name, octets)
    return dropped
