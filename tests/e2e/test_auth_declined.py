"""Servers that list a mechanism and do not have it: the next one is taken, when it is no weaker
than what has served, and that is remembered."""

import faults
import pytest
from support import messages
from support.daemon import check_error
from support.spool import RETRY, drop_letters, letter, smtp_account

OFFER = ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"]
KEYS = {"user": "box", "password": "pass word"}


class Fetching:
    def __init__(self, daemon, server):
        self.daemon, self.server = daemon, server
        server.add_mailbox("box").add(messages.simple(1))
        server.mechanisms = OFFER

    def decline(self, *mechanisms):
        line = "-ERR [AUTH] Unsupported authentication mechanism."
        self.server.on("AUTH", faults.decline(line, *mechanisms))

    def configure(self, **changes):
        self.daemon.configure(self.daemon.account(self.server, **KEYS | changes))

    def work(self):
        self.daemon.fetch()

    def fail(self, kind, *words):
        return self.daemon.fail(kind, *words)


class Sending:
    def __init__(self, daemon, spool, server):
        self.daemon, self.spool, self.server = daemon, spool, server
        self.letters = 0
        server.users = {"box": "pass word"}
        server.mechanisms = OFFER

    def decline(self, *mechanisms):
        self.server.on("AUTH", faults.decline("504 5.5.4 not here", *mechanisms))

    def configure(self, **changes):
        account = smtp_account(self.daemon, self.server, **KEYS | changes)
        self.daemon.configure(account, retry=RETRY)

    def work(self):
        drop_letters(self.spool, 1, first=self.letters)
        self.letters += 1
        self.server.wait_accepted(self.letters)
        self.spool.wait_empty()
        self.spool.wait_settled()

    def fail(self, kind, *words):
        self.spool.drop("refused", letter(99))
        status = self.spool.wait_status(lambda s: s["last_error"], "a failure")
        return check_error(status, kind, *words)


@pytest.fixture(params=["pop3", "smtp"])
def side(request, daemon, spool, peer, relay):
    return Fetching(daemon, peer) if request.param == "pop3" else Sending(daemon, spool, relay)


def asked(side):
    """The mechanisms of the last session, in order."""
    return [argument.split()[0] for argument in side.server.sessions[-1].sent_command("AUTH")]


def test_the_next_one_is_taken_and_remembered(side):
    side.decline("SCRAM-SHA-256", "SCRAM-SHA-1")
    side.configure()
    side.daemon.start()
    side.work()
    assert asked(side) == ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
    side.work()
    assert asked(side) == ["PLAIN"]


def test_what_auth_names_is_taken_in_turn(side):
    side.decline("SCRAM-SHA-256")
    side.configure(auth=["SCRAM-SHA-256", "PLAIN"])
    side.daemon.start()
    side.work()
    assert asked(side) == ["SCRAM-SHA-256", "PLAIN"]


def test_nothing_weaker_than_what_has_served(side):
    side.configure()
    side.daemon.start()
    side.work()
    assert asked(side) == ["SCRAM-SHA-256"]
    side.decline("SCRAM-SHA-256")
    side.fail("auth", "SCRAM-SHA-256", "only PLAIN, SCRAM-SHA-1|only SCRAM-SHA-1, PLAIN")
    assert asked(side) == ["SCRAM-SHA-256"]


def test_it_is_asked_for_when_nothing_else_is_left(side):
    """The server has what it declined, now, and no longer what it had."""
    side.decline("SCRAM-SHA-256")
    side.configure()
    side.daemon.start()
    side.work()
    assert asked(side) == ["SCRAM-SHA-256", "SCRAM-SHA-1"]
    side.server.behave()
    side.server.mechanisms = ["SCRAM-SHA-256", "PLAIN"]
    side.work()
    assert asked(side) == ["SCRAM-SHA-256"]


def test_it_is_asked_for_when_the_other_one_is_declined(side):
    """As above, and the server still lists all of them."""
    side.decline("SCRAM-SHA-256")
    side.configure()
    side.daemon.start()
    side.work()
    side.server.behave()
    side.decline("SCRAM-SHA-1")
    side.work()
    assert asked(side) == ["SCRAM-SHA-1", "SCRAM-SHA-256"]


def test_changed_settings_forget(side):
    side.decline("SCRAM-SHA-256")
    side.configure()
    side.daemon.start()
    side.work()
    side.server.behave()
    side.configure(auth=["SCRAM-SHA-256", "SCRAM-SHA-1"])
    side.daemon.ctl("reload")
    side.work()
    assert asked(side) == ["SCRAM-SHA-256"]


def test_nothing_that_is_listed_is_there(side):
    """No password was refused."""
    side.decline(*OFFER, "LOGIN")
    side.configure(auth=OFFER)
    side.daemon.start()
    side.fail("server", "PLAIN, and declines it", "auth")
    assert asked(side) == ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
