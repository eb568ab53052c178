"""Killed at every storage step while it sends: promise 3. Needs a build configured with
--enable-kill-points, named by $POSTRIDER_KILL_BUILD."""

import os
import shutil
import signal
import sqlite3
import tempfile
from collections import Counter

import faults
import pytest
from smtp_peer import SmtpPeer
from support.daemon import Daemon
from support.spool import RETRY, Spool, letter, smtp_account, wire
from support.waiting import wait_for

STEPS_MAX = 1000
SENT = 1  # of a recipient, as in the state database
TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'outmessage'"
ACCEPTED = (
    "SELECT m.name, r.address FROM outrecipient r"
    " JOIN outmessage m ON m.row = r.message WHERE r.state = ?"
)
STYLES = ["mv", "mv", "mv", "ln", "cp"]
GOOD = ["you@example.com", "too@example.com"]
BAD = "never@example.com"


class Trial:
    """One daemon in a fresh directory with five messages to send, at a server of its own."""

    def __init__(self, program, place, number):
        self.relay = SmtpPeer().start()
        self.relay.on("RCPT", faults.matching(BAD, faults.answer("550 5.1.1 no such user")))
        self.daemon = Daemon(os.path.join(place, str(number)), program)
        self.spool = Spool(self.daemon)
        copies = self.daemon.path("Mail", "sent")
        self.daemon.configure(
            smtp_account(self.daemon, self.relay, sent_maildir=copies), retry=RETRY
        )
        self.dropped = {}
        for message, style in enumerate(STYLES):
            people = [*GOOD, BAD] if message == len(STYLES) - 1 else GOOD
            octets = letter(message, ", ".join(people))
            self.dropped[f"letter-{message}"] = octets
            self.spool.drop(f"letter-{message}", octets, style)

    def run(self, **environment):
        """One run; the connection of a killed one is over before this returns."""
        done = self.daemon.run("--once", environment=environment)
        self.relay.wait_for(lambda: self.relay.open_sessions == 0, "the session is over")
        return done

    def run_to_the_end(self, what):
        """A daemon that goes on until nothing is left to do."""
        self.daemon.start()
        wait_for(self.is_done, lambda: f"{what}: {self.spool.listing()} {self.daemon.log()}")
        self.daemon.stop()

    def is_done(self):
        folders = {"box": 1, "sent": len(STYLES)}
        return self.spool.is_empty() and all(
            len(self.daemon.maildir(name).files()) >= count for name, count in folders.items()
        )

    def recorded(self):
        """(file name, recipient) of every acceptance that is on stable storage."""
        copy = self.daemon.path("state-copy")
        shutil.rmtree(copy, ignore_errors=True)
        if not os.path.exists(self.daemon.path("state", "state.db")):
            return set()
        shutil.copytree(self.daemon.path("state"), copy)
        base = sqlite3.connect(os.path.join(copy, "state.db"))
        try:
            if not base.execute(TABLE).fetchone():
                return set()
            return set(base.execute(ACCEPTED, (SENT,)))
        finally:
            base.close()

    def gone(self):
        """Everybody of the messages that have left spool and queue: those are not sent again."""
        waiting = self.spool.files() + self.spool.files("queue")
        left = {name for name in self.dropped for file in waiting if file.endswith(name)}
        return {(name, who) for name in set(self.dropped) - left for who in GOOD}

    def accepted(self):
        """(file name, recipient) to how often it was accepted."""
        names = {wire(octets): name for name, octets in self.dropped.items()}
        return Counter(
            (names[transaction.octets], who)
            for transaction in self.relay.accepted
            for who in transaction.recipients
        )

    def check(self, what, may_be_twice=(), most=2):
        """Everybody has it, once; only who is in `may_be_twice` perhaps more often."""
        accepted = self.accepted()
        wanted = {(name, who) for name in self.dropped for who in GOOD}
        assert set(accepted) == wanted, f"{what}: {wanted ^ set(accepted)}"
        twice = {pair for pair, count in accepted.items() if count > 1}
        assert twice <= set(may_be_twice), f"{what}: sent again: {twice - set(may_be_twice)}"
        assert max(accepted.values()) <= most, f"{what}: {accepted}"
        last = f"letter-{len(STYLES) - 1}"
        assert self.spool.failed() == [last], f"{what}: {self.spool.listing()}"
        assert self.spool.read("failed", last) == self.dropped[last], what
        assert BAD in self.spool.reason(last), what
        assert set(self.spool.files("failed")) == {last, last + ".reason"}, what
        self.check_maildirs(what)
        assert self.relay.bare_line_ends() == []
        assert not self.relay.failures

    def check_maildirs(self, what):
        """One bounce, and one copy of each message."""
        bounces = self.daemon.maildir().messages()
        assert len(bounces) == 1, f"{what}: {len(bounces)} bounces"
        assert BAD.encode() in bounces[0], what
        copies = self.daemon.maildir("sent").messages()
        assert sorted(copies) == sorted(self.dropped.values()), f"{what}: {len(copies)} copies"

    def end(self):
        self.relay.stop()
        shutil.rmtree(self.daemon.directory)


@pytest.fixture(scope="module")
def kill_program():
    build = os.environ.get("POSTRIDER_KILL_BUILD")
    if not build:
        pytest.skip("$POSTRIDER_KILL_BUILD names no build with --enable-kill-points")
    return os.path.join(build, "postriderd")


@pytest.fixture
def place():
    """A file system in memory: what counts is the order of the steps, and there are many runs."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = tempfile.mkdtemp(prefix="postrider-kill-", dir=base)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def steps(kill_program, place):
    """The names of the steps of a run that nobody kills."""
    trial = Trial(kill_program, place, 0)
    log = os.path.join(place, "steps")
    done = trial.run(POSTRIDER_STEP_LOG=log)
    assert done.returncode in (0, 75), done.stderr
    trial.run_to_the_end("without a kill")
    trial.check("without a kill")
    trial.end()
    with open(log) as file:
        return file.read().splitlines()


def kill(trial, step):
    """A run that is killed before this step, or comes to its end before it is reached; who may get
    something twice because of that."""
    before = trial.accepted()
    done = trial.run(POSTRIDER_KILL_STEP=str(step))
    if done.returncode == -signal.SIGKILL:
        return True, set(trial.accepted() - before) - trial.recorded() - trial.gone()
    assert done.returncode in (0, 75), done.stderr
    return False, set()


def test_killed_at_every_step(kill_program, place, steps):
    """How many steps there are depends on what happens to share a flush: a few more are tried."""
    assert len(steps) > 2 * len(STYLES), steps
    kills = 0
    for number in range(1, len(steps) + 20):
        trial = Trial(kill_program, place, number)
        killed, window = kill(trial, number)
        kills += killed
        name = steps[number - 1] if number <= len(steps) else "a later step"
        what = f"killed at step {number}, {name}"
        trial.run_to_the_end(what)
        trial.check(what, window)
        trial.end()
    assert kills > len(steps) // 2


def test_killed_again_in_the_recovery(kill_program, place, steps):
    """Killed when the fates are recorded, then at each step of the next run."""
    fates = [i for i, line in enumerate(steps, 1) if "decide" in line]
    assert fates, steps
    number = 0
    killed = True
    while killed and number < STEPS_MAX:
        number += 1
        trial = Trial(kill_program, place, number)
        _, window = kill(trial, fates[0])
        killed, more = kill(trial, number)
        what = f"killed at step {fates[0]}, then at step {number} of the recovery"
        trial.run_to_the_end(what)
        trial.check(what, window | more, most=3)
        trial.end()
    assert 10 < number < STEPS_MAX
