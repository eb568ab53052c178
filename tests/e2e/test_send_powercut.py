"""The power is cut before every storage step of the sending side: promise 3. Spool, state and
Maildirs lie on the disk whose power is cut; what the server saw does not. Needs root, loop devices,
and the unit test program test_outqueue_kill, whose runs these are."""

import os
import shutil
import signal
import subprocess

import pytest
from support.daemon import find_program
from support.power import Disk, Steps, make_place

STEPS_MAX = 1000
STEPS = set(
    "claim-rename claim-create-copy spool-flush-directories admit-commit reveal-remove-original "
    "reveal-rename decide-commit end-remove end-commit fail-rename fail-create-reason "
    "fail-show-reason errand-intend-commit flush-file rename errand-settle-commit report-create "
    "report-commit retry-rename".split()
)


@pytest.fixture(scope="module")
def place():
    yield from make_place()


class Trial:
    def __init__(self, program, place):
        self.program = program
        self.point = os.path.join(place, "mnt")
        self.server = os.path.join(place, "server")
        self.disk = Disk(place)
        self.steps = Steps(place)

    def call(self, verb, *more, step=0):
        """False when it was killed."""
        done = subprocess.run(
            [self.program, verb, self.point, self.server, *more],
            env={**os.environ, "POSTRIDER_KILL_STEP": str(step), **self.steps.environment()},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode == -signal.SIGKILL:
            return False
        assert done.returncode == 0, done.stdout + done.stderr
        return True

    def fill(self):
        """The disk as every run finds it."""
        self.disk.become(self.disk.image + ".empty")
        os.makedirs(self.server, exist_ok=True)
        self.disk.mount(self.point)
        try:
            self.call("fill")
        finally:
            self.disk.unmount()
        shutil.copyfile(self.disk.image, self.disk.image + ".filled")

    def run(self, step):
        """Cuts the power before this step; False when there is no such step."""
        self.disk.become(self.disk.image + ".filled")
        shutil.rmtree(self.server)
        os.mkdir(self.server)
        try:
            self.disk.mount(self.point)
            ended = self.call("run", step=step)
            self.last = self.steps.names()
            self.disk.cut()
            self.disk.mount(self.point)
            for _ in range(2):
                self.call("run")
                self.call("check", str(step))
        finally:
            self.disk.unmount()
        return not ended


def test_power_cut_before_every_step(place):
    program = find_program("tests/unit/test_outqueue_kill")
    if program is None:
        pytest.skip("no test_outqueue_kill: make check builds it")
    trial = Trial(program, place)
    trial.fill()
    step = 1
    while trial.run(step):
        step += 1
        assert step < STEPS_MAX
    assert trial.last >= STEPS, "a whole run was cut everywhere"
