"""OAuth 2 access tokens: both mechanisms, both protocols, and what happens when one has ended."""

import json
import os
import stat
import threading

import bearer
import faults
import pytest
from support import messages
from support.daemon import Control, check_error
from support.spool import RETRY, drop_letters, letter, smtp_account
from support.waiting import wait_for

LINE_MAX = {"pop3": 255, "smtp": 512}  # RFC 2449 section 4, RFC 5321 section 4.5.3.1.4; with CRLF
SHORT = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
MANY = 60  # messages, for which three connections are worth their handshakes
LONG = "ya29." + "0aZ9-_.~" * 2048  # 16 KiB


class Helper:
    """A token_command that prints what the test last gave it, and counts its runs."""

    def __init__(self, daemon):
        self.runs = daemon.path("runs")
        self.output = daemon.path("output")
        self.path = daemon.path("token-helper")
        with open(self.path, "w") as file:
            file.write(f"#!/bin/sh\necho >> {self.runs}\ncat {self.output}\n")
        os.chmod(self.path, stat.S_IRWXU)

    def give(self, output):
        with open(self.output, "w") as file:
            file.write(output if isinstance(output, str) else json.dumps(output))

    def take_time(self):
        """From now on it takes a second."""
        with open(self.path, "a") as file:
            file.write("sleep 1\n")

    def count(self):
        return os.path.getsize(self.runs) if os.path.exists(self.runs) else 0

    def keys(self):
        return {"user": "box", "token_command": [self.path]}


@pytest.fixture
def helper(daemon):
    return Helper(daemon)


@pytest.fixture(params=bearer.MECHANISMS)
def mechanism(request):
    return request.param


class Side:
    """One protocol: its server, its side of an account, and a session that is to go well or not."""

    def __init__(self, daemon, spool, server, name):
        self.daemon, self.spool, self.server, self.name = daemon, spool, server, name
        self.letters = 0

    def configure(self, helper, **changes):
        helper.give(SHORT)
        changes = helper.keys() | changes
        if self.name == "pop3":
            account = self.daemon.account(self.server, password=None, **changes)
        else:
            account = smtp_account(self.daemon, self.server, **changes)
        self.daemon.configure(account, retry=RETRY)
        return self.daemon

    def offer(self, token, *mechanisms):
        self.server.tokens.valid = {"box": token}
        self.server.mechanisms = list(mechanisms)

    def work(self):
        """A session that must go well."""
        if self.name == "pop3":
            return self.daemon.fetch()
        drop_letters(self.spool, 1, first=self.letters)
        self.letters += 1
        self.server.wait_accepted(self.letters)
        self.spool.wait_empty()
        return self.spool.wait_settled()

    def fail(self, *words):
        """A session that must be refused."""
        if self.name == "pop3":
            return self.daemon.fail("auth", *words)
        self.spool.drop("refused", letter(99))
        status = self.spool.wait_status(lambda s: s["last_error"], "a failure")
        return check_error(status, "auth", *words)

    def auth(self):
        """The lines of the last login: AUTH and what came after it."""
        lines = [line for _, line in self.server.sessions[-1].commands]
        first = next(n for n, line in enumerate(lines) if line.startswith("AUTH "))
        return lines[first : first + 3]

    def check_secrecy(self, token):
        shown = [word for line in self.auth() for word in line.split() if len(word) > 40]
        assert token not in self.daemon.log()
        for log in self.daemon.ended_session_logs(len(self.server.sessions)):
            assert token not in log
            assert not [word for word in shown if word in log]


@pytest.fixture(params=["pop3", "smtp"])
def side(request, daemon, spool, peer, relay):
    peer.add_mailbox("box").add(messages.simple(1))
    return Side(daemon, spool, peer if request.param == "pop3" else relay, request.param)


# The exchange


def test_one_step(side, helper, mechanism):
    """A response that fits goes with AUTH."""
    side.offer(SHORT, mechanism)
    side.configure(helper).start()
    side.work()
    words = side.auth()[0].split()
    assert words[:2] == ["AUTH", mechanism] and len(words) == 3
    assert len(side.auth()[0]) + 2 <= LINE_MAX[side.name]
    side.check_secrecy(SHORT)


def test_two_steps(side, helper, mechanism):
    """A server that does not look at what comes with AUTH, and asks for it, is told again."""
    side.offer(SHORT, mechanism)
    side.server.tokens.ignores_initial = True
    side.configure(helper).start()
    side.work()
    assert side.auth()[1] == side.auth()[0].split()[2]
    assert side.server.tokens.seen == [SHORT]


def test_a_token_of_16_kib(side, helper, mechanism):
    """What does not fit into the command's line comes behind the server's empty challenge."""
    side.offer(LONG, mechanism)
    side.configure(helper)
    helper.give(LONG)
    side.daemon.start()
    side.work()
    assert side.auth()[0] == "AUTH " + mechanism
    assert side.server.tokens.seen == [LONG]
    side.check_secrecy(LONG)


def test_the_stronger_is_taken(side, helper):
    side.offer(SHORT, "XOAUTH2", "PLAIN", "OAUTHBEARER")
    side.configure(helper).start()
    side.work()
    assert side.auth()[0].startswith("AUTH OAUTHBEARER ")


def test_a_token_is_no_password(side, helper):
    side.offer(SHORT, "PLAIN", "LOGIN", "SCRAM-SHA-256")
    side.configure(helper).start()
    side.fail("OAUTHBEARER", "token")
    assert side.server.tokens.seen == []


# Refusals


def test_the_reason_of_a_refusal(side, helper, mechanism):
    """The peer insists on the right answer to its error challenge."""
    side.offer("another", mechanism)
    side.configure(helper).start()
    side.fail("invalid_token", "scope mail.example", "token_command", str(side.server.port))
    side.check_secrecy(SHORT)


@pytest.mark.parametrize(
    "refusal, words",
    [
        ({"status": "401", "schemes": "bearer mac"}, r"\(401\)"),
        ({"status": 400, "error_description": "expired \x1b[2J"}, r"\(400: expired \\x1b"),
        (["odd"], "odd"),
        (None, "refused AUTH"),
    ],
)
def test_refusals_in_other_words(side, helper, refusal, words):
    side.offer("another", "XOAUTH2")
    side.server.tokens.refusal = refusal
    side.configure(helper).start()
    side.fail(words)


def test_a_refusal_that_says_the_token(side, helper, mechanism):
    side.offer("another", mechanism)
    side.server.tokens.refusal = {"status": "invalid_token", "scope": SHORT}
    side.configure(helper).start()
    status = side.fail("refused AUTH")
    assert SHORT not in json.dumps(status)
    side.check_secrecy(SHORT)


def test_a_refusal_that_says_some_of_the_token(side, helper, mechanism):
    """As servers do that cut what they repeat."""
    side.offer("another", mechanism)
    side.server.tokens.refusal = {"status": "400", "error_description": f"ended: {LONG[:100]}..."}
    side.configure(helper)
    helper.give(LONG)
    side.daemon.start()
    status = side.fail("400: ended: ")
    assert LONG[:12] not in json.dumps(status)
    assert LONG[:12] not in side.daemon.log()


def test_a_new_token_that_is_refused_is_tried_once(side, helper):
    """It has just been fetched: another would be no better."""
    side.offer("another", "XOAUTH2")
    side.configure(helper).start()
    side.fail("invalid_token")
    if side.name == "pop3":
        assert side.server.tokens.seen == [SHORT]
        assert helper.count() == 1


# The life of a token


def test_a_token_is_fetched_once(side, helper):
    side.offer(SHORT, "XOAUTH2")
    side.configure(helper)
    helper.give({"access_token": SHORT, "expires_in": 3600, "token_type": "Bearer"})
    side.daemon.start()
    for _ in range(3):
        side.work()
    assert helper.count() == 1


def test_expires_in(side, helper):
    """A token is used no longer than its life: the server need not refuse it."""
    side.offer(SHORT, "XOAUTH2")
    side.configure(helper)
    helper.give({"access_token": SHORT, "expires_in": 1})
    side.daemon.start()
    side.work()

    def again():
        side.work()
        return helper.count() > 1

    wait_for(again, "another token")
    assert set(side.server.tokens.seen) == {SHORT}


def test_a_token_that_has_ended(side, helper, mechanism):
    """Another one is fetched at once, and nobody hears of trouble."""
    side.offer(SHORT, mechanism)
    hook = side.daemon.path("hook")
    side.configure(helper, account_on_failure=["touch", hook]).start()
    side.work()
    with Control(side.daemon.socket) as watch:
        assert watch.ask("watch")["ok"]
        side.offer(LONG, mechanism)
        helper.give(LONG)
        status = side.work()
        assert status["last_error"] is None and status["failures"] == 0, status
        events = []
        while not events or events[-1]["event"] != "session-end" or len(ends(events)) < 2:
            events.append(watch.receive())
    assert not {"poll-failed", "message-deferred"} & {e["event"] for e in events}, events
    assert side.server.tokens.seen == [SHORT, SHORT, LONG]
    assert helper.count() == 2
    assert not os.path.exists(hook)


def ends(events):
    return [event for event in events if event["event"] == "session-end"]


def test_a_token_that_has_ended_and_the_next_one_too(side, helper):
    """Once only: what is refused right after it was fetched is trouble."""
    side.offer(SHORT, "XOAUTH2")
    side.configure(helper).start()
    side.work()
    side.offer("another", "XOAUTH2")
    status = side.fail("invalid_token")
    assert status["failures"] >= 1
    if side.name == "pop3":
        assert side.server.tokens.seen == [SHORT, SHORT, SHORT]
        assert helper.count() == 2


def test_both_protocols_share_a_token(daemon, spool, peer, relay, helper):
    """Also when it ends for both at once."""
    peer.add_mailbox("box")
    for server in (peer, relay):
        server.tokens.valid = {"box": SHORT}
        server.mechanisms = ["XOAUTH2"]
    helper.give(SHORT)
    account = smtp_account(daemon, relay, **helper.keys())
    account["pop3"] = daemon.account(peer, password=None, **helper.keys())["pop3"]
    daemon.configure(account, retry=RETRY).start()
    drop_letters(spool, 1)
    daemon.fetch()
    relay.wait_accepted(1)
    assert helper.count() == 1

    for server in (peer, relay):
        server.tokens.valid = {"box": LONG}
    helper.give(LONG)
    before = daemon.status()["last_attempt"]
    drop_letters(spool, 1, first=1)
    daemon.ctl("poll", "box")
    assert daemon.wait_polled(before)["last_error"] is None
    relay.wait_accepted(2)
    assert helper.count() == 2
    assert LONG in peer.tokens.seen and LONG in relay.tokens.seen


def hold_greetings(*servers):
    """They say nothing until the event that is returned is set."""
    go_on = threading.Event()
    for server in servers:
        server.on("GREETING", faults.hold(go_on))
    return go_on


def test_all_sessions_share_a_token(daemon, spool, peer, relay, helper):
    """Polls and deliveries, side by side, that want it at once, and to which it ends at once."""
    peer.add_mailbox("box")
    for server in (peer, relay):
        server.tokens.valid = {"box": SHORT}
        server.mechanisms = ["XOAUTH2"]
    helper.give(SHORT)
    helper.take_time()
    account = smtp_account(daemon, relay, max_connections=3, **helper.keys())
    account["pop3"] = daemon.account(peer, password=None, **helper.keys())["pop3"]
    daemon.configure(account, retry=RETRY)
    go_on = hold_greetings(peer, relay)
    drop_letters(spool, MANY)
    daemon.start()
    before = daemon.status()["last_attempt"]
    daemon.ctl("poll", "box")
    wait_for(lambda: len(relay.sessions) == 3 and peer.sessions, "all to be connected")
    go_on.set()
    assert daemon.wait_polled(before)["last_error"] is None
    relay.wait_accepted(MANY)
    spool.wait_empty()
    spool.wait_settled()
    assert helper.count() == 1

    for server in (peer, relay):
        server.tokens.valid = {"box": LONG}
    helper.give(LONG)
    so_far = len(relay.sessions)
    go_on = hold_greetings(peer, relay)
    drop_letters(spool, MANY, first=MANY)
    before = daemon.status()["last_attempt"]
    daemon.ctl("poll", "box")
    wait_for(
        lambda: len(relay.sessions) == so_far + 3 and len(peer.sessions) == 2,
        "all to be connected again",
    )
    go_on.set()
    assert daemon.wait_polled(before)["last_error"] is None
    relay.wait_accepted(2 * MANY)
    spool.wait_empty()
    assert relay.tokens.seen.count(SHORT) == so_far + 3
    assert peer.tokens.seen == [SHORT, SHORT, LONG]
    assert helper.count() == 2
    assert spool.wait_settled()["last_error"] is None


def test_a_helper_that_fails(side, helper):
    side.offer(SHORT, "XOAUTH2")
    side.configure(helper)
    helper.give({"error": "invalid_grant"})
    side.daemon.start()
    if side.name == "pop3":
        side.daemon.fail("local", "access_token", "error")
    else:
        side.spool.drop("one", letter(1))
        status = side.spool.wait_status(lambda s: s["last_error"], "a failure")
        check_error(status, "local", "access_token", "error")
    assert side.server.tokens.seen == []
