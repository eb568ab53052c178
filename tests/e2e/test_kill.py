"""Killed at every storage step: promise 1. Needs a build configured with --enable-kill-points,
named by $POSTRIDER_KILL_BUILD."""

import os
import shutil
import signal
import tempfile
import threading
from collections import Counter

import pytest
from support import messages
from support.daemon import Daemon
from support.maildir import digest, expected

COUNT = 12
STEPS_MAX = 1000


class Reader:
    """A mail reader that takes every message out of new/ the moment it is there."""

    def __init__(self, maildir, folder):
        self.maildir = maildir
        self.folder = folder
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.read)

    def read(self):
        while not self.ended.wait(0.0005):
            self.take()

    def take(self):
        for path in self.maildir.files("new"):
            name = os.path.basename(path)
            os.makedirs(self.folder, exist_ok=True)
            os.rename(path, os.path.join(self.folder, name + ":2,S"))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self.take()


class NoReader:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Trial:
    """One daemon in a fresh directory, and one mailbox of its own."""

    def __init__(self, program, peer, place, keep, reader):
        number = len(peer.mailboxes)
        self.peer = peer
        self.box = peer.add_mailbox(f"box{number}")
        for message in range(COUNT):
            self.box.add(messages.simple(message, size=64 * message))
        self.sent = list(self.box.messages)
        self.keep = keep
        self.daemon = Daemon(os.path.join(place, str(number)), program)
        self.daemon.configure(self.daemon.account(peer, user=self.box.user, keep=keep))
        self.maildir = self.daemon.maildir()
        self.reader = reader
        self.elsewhere = self.daemon.path("Archive", "cur")

    def reading(self):
        if self.reader is None:
            return NoReader()
        folder = os.path.join(self.maildir.path, "cur") if self.reader == "cur" else self.elsewhere
        return Reader(self.maildir, folder)

    def run(self, **environment):
        """One run; the connection of a killed one is over before this returns."""
        done = self.daemon.run("--once", environment=environment)
        self.peer.wait_for(lambda: self.box.open_sessions == 0, "the maildrop is free")
        return done

    def found(self):
        digests = Counter()
        for folder in (self.maildir.files("new"), self.maildir.files("cur"), self.archived()):
            for path in folder:
                with open(path, "rb") as file:
                    digests[digest(file.read())] += 1
        return digests

    def archived(self):
        if not os.path.isdir(self.elsewhere):
            return []
        return [os.path.join(self.elsewhere, name) for name in os.listdir(self.elsewhere)]

    def check(self, what):
        assert self.found() == expected(self.sent), f"{what}: lost or doubled"
        left = 0 if self.keep == "no" else COUNT
        assert len(self.box.messages) == left, f"{what}: {len(self.box.messages)} on the server"


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


def count_steps(trial, place):
    log = os.path.join(place, "steps")
    done = trial.run(POSTRIDER_STEP_LOG=log)
    assert done.returncode == 0, done.stderr
    trial.check("without a kill")
    with open(log) as file:
        return file.read().splitlines()


@pytest.mark.parametrize("reader", [None, "cur", "archive"], ids=["unread", "read", "archived"])
@pytest.mark.parametrize("keep", ["no", "forever"])
def test_killed_at_every_step(kill_program, peer, place, keep, reader):
    steps = count_steps(Trial(kill_program, peer, place, keep, None), place)
    assert len(steps) > COUNT, steps
    number = 0
    killed = True
    while killed and number < STEPS_MAX:
        number += 1
        trial = Trial(kill_program, peer, place, keep, reader)
        with trial.reading():
            done = trial.run(POSTRIDER_KILL_STEP=str(number))
            killed = done.returncode == -signal.SIGKILL
            assert killed or done.returncode == 0, done.stderr
            again = trial.run()
            assert again.returncode == 0, again.stderr
        name = steps[number - 1] if number <= len(steps) else f"step {number}"
        trial.check(f"killed at {name}")
        shutil.rmtree(trial.daemon.directory)
    assert len(steps) - 5 <= number - 1 < STEPS_MAX, "every step was tried"


@pytest.mark.parametrize("keep", ["no", "forever"])
def test_killed_again_in_the_recovery(kill_program, peer, place, keep):
    """Killed while messages are renamed, then at each step of the recovery."""
    steps = count_steps(Trial(kill_program, peer, place, keep, None), place)
    renames = [i for i, line in enumerate(steps, 1) if "rename" in line]
    assert renames, steps
    first = str(renames[len(renames) // 2])
    number = 0
    killed = True
    while killed and number < STEPS_MAX:
        number += 1
        trial = Trial(kill_program, peer, place, keep, "archive")
        with trial.reading():
            assert trial.run(POSTRIDER_KILL_STEP=first).returncode == -signal.SIGKILL
            done = trial.run(POSTRIDER_KILL_STEP=str(number))
            killed = done.returncode == -signal.SIGKILL
            assert killed or done.returncode == 0, done.stderr
            again = trial.run()
            assert again.returncode == 0, again.stderr
        trial.check(f"killed at step {first}, then at step {number} of the recovery")
        shutil.rmtree(trial.daemon.directory)
    assert number < STEPS_MAX
