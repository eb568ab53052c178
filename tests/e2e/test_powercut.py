"""The power is cut before every storage step: promise 1. Mail and state lie on the disk whose power
is cut. Needs root, loop devices, and the unit test program test_store_kill, whose sessions it
runs."""

import os
import shutil
import signal
import subprocess
from collections import Counter

import pytest
from support.daemon import find_program
from support.power import Disk, Steps, make_place

STEPS_MAX = 500
EQUAL = 2  # the message that the server has twice: its number and the next one


def server_messages():
    """What the program's server has, see make_texts() there."""
    texts = [f"From: {number}\n\ntext\n".encode() for number in range(7)]
    texts[EQUAL + 1] = texts[EQUAL]
    texts[4] = b""
    texts[5] = b"x" * 150000
    return Counter(texts)


@pytest.fixture(scope="module")
def program():
    path = find_program("tests/unit/test_store_kill")
    if path is None:
        pytest.skip("no test_store_kill: make check builds it")
    return path


@pytest.fixture(scope="module")
def place():
    yield from make_place()


STEPS = set("create write intend-commit rename flush-new mark-commit".split())
DELETING = set("expunging-commit quit quit-answered expunged-commit".split())


class Trial:
    def __init__(self, program, place, deletes, reader):
        self.program = program
        self.place = place
        self.verb = "delete" if deletes else "keep"
        self.reader = reader
        self.point = os.path.join(place, "mnt")
        self.server = os.path.join(place, "server")
        self.disk = Disk(place)
        self.steps = Steps(place)

    def session(self, step=0):
        """True when it came to its end."""
        done = subprocess.run(
            [self.program, "session", self.point, self.server, self.verb],
            env={**os.environ, "POSTRIDER_KILL_STEP": str(step), **self.steps.environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == -signal.SIGKILL:
            return False
        assert done.returncode == 0, done.stderr
        return True

    def read(self):
        """A reader takes what is new to a folder of its own."""
        new, taken = os.path.join(self.point, "mail", "new"), os.path.join(self.point, "taken")
        if not self.reader or not os.path.isdir(new):
            return
        os.makedirs(taken, exist_ok=True)
        for name in os.listdir(new):
            os.rename(os.path.join(new, name), os.path.join(taken, name + ":2,S"))

    def stored(self):
        found = Counter()
        for folder in ("mail/new", "mail/cur", "taken"):
            path = os.path.join(self.point, folder)
            for name in os.listdir(path) if os.path.isdir(path) else ():
                with open(os.path.join(path, name), "rb") as file:
                    found[file.read()] += 1
        return found

    def run(self, step):
        """Cuts the power before this step; False when there is no such step."""
        self.disk.become(self.disk.image + ".empty")
        shutil.rmtree(self.server, ignore_errors=True)
        os.mkdir(self.server)
        try:
            self.disk.mount(self.point)
            ended = self.session(step)
            self.last = self.steps.names()
            self.read()
            self.disk.cut()
            self.disk.mount(self.point)
            for _ in range(2):
                self.read()
                assert self.session()
            wrong = server_messages(), self.stored()
            assert wrong[0] == wrong[1], f"power cut before step {step}"
        finally:
            self.disk.unmount()
        return not ended


@pytest.mark.parametrize("reader", [False, True], ids=["", "beside a reader"])
@pytest.mark.parametrize("deletes", [False, True], ids=["kept", "deleted"])
def test_power_cut_before_every_step(program, place, deletes, reader):
    trial = Trial(program, place, deletes, reader)
    step = 1
    while trial.run(step):
        step += 1
        assert step < STEPS_MAX
    assert trial.last >= (STEPS | DELETING if deletes else STEPS), "a whole run was cut everywhere"
