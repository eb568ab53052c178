"""A machine to try the service on: what `make install` installs, under a real systemd in namespaces
of its own (machine.sh), with a person who is not the service."""

import functools
import json
import os
import signal
import subprocess

from .daemon import TOP, Control
from .waiting import wait_for

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "machine.sh")
UNSHARE = "--mount --pid --uts --fork --kill-child=KILL --cgroup --propagation private".split()
ALICE = 61001
CONTROL = "/run/postrider/control"
SERVICE = "postrider.service"
SOCKET = "postrider.socket"


def find_build():
    """A build as a distribution has it, or None: scripts/setup makes one in build/."""
    build = os.environ.get("POSTRIDER_SERVICE_BUILD", os.path.join(TOP, "build"))
    try:
        with open(os.path.join(build, "Makefile")) as file:
            lines = set(file.read().splitlines())
    except FileNotFoundError:
        return None
    return build if {"prefix = /usr", "sysconfdir = /etc"} <= lines else None


def why_not():
    """Why there cannot be such a machine here, or None."""
    if os.geteuid() != 0:
        return "a machine of its own needs root"
    for path in ("/lib/systemd/systemd", "/usr/bin/systemctl", "/usr/bin/unshare"):
        if not os.path.exists(path):
            return f"{path} is missing; on Debian: apt install systemd util-linux"
    if find_build() is None:
        return "there is no build with prefix /usr: scripts/setup makes one"
    command = ["unshare", *UNSHARE, "true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return f"no namespaces are to be had here: {tried.stderr.strip()}"
    return None


class Machine:
    def __init__(self, directory):
        self.root = os.path.join(str(directory), "root")
        self.group = f"postrider-{os.getpid()}"
        self.log = os.path.join(str(directory), "machine.log")
        self.process = None
        self.pid = None  # of its systemd, seen from here
        self.cursor = None  # in the journal

    def start(self):
        install = ["make", "-C", find_build(), "-s", "install", f"DESTDIR={self.root}"]
        subprocess.run(install, check=True, capture_output=True)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", *UNSHARE, "sh", SCRIPT, os.path.join(self.root, "usr"), self.group],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for(self._is_up, lambda: f"the machine is up: {self.said()}")
        return self

    def _is_up(self):
        if self.process.poll() is not None:
            raise NoMachine(self.said())
        if self.pid is None:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
                pids = file.read().split()
            self.pid = int(pids[0]) if pids else None
            return False
        with open(f"/proc/{self.pid}/comm") as file:
            if file.read() != "systemd\n":
                return False
        return self.try_run("systemctl", "is-active", "-q", "machine.target").returncode == 0

    def said(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def stop(self):
        self.process.send_signal(signal.SIGKILL)  # and so dies everything in its namespace
        self.process.wait()
        self.remove_groups()

    def remove_groups(self):
        """Control groups can be removed once the last process in them is gone."""
        with open("/proc/self/mountinfo") as file:
            mounts = [line.split() for line in file]
        for mount in mounts:
            own = os.path.join(mount[4], self.group)
            if mount[mount.index("-") + 1] == "cgroup2" and os.path.isdir(own):
                wait_for(lambda: remove_tree(own), f"{own} can be removed")  # noqa: B023

    # Files

    def path(self, path):
        """What has this absolute path there."""
        return f"/proc/{self.pid}/root{path}"

    def write(self, path, text, mode=0o644, owner=(0, 0)):
        place = self.path(path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb" if isinstance(text, bytes) else "w") as file:
            os.fchmod(file.fileno(), mode)
            os.fchown(file.fileno(), *owner)
            file.write(text)

    def look(self, path):
        """Mode and names of owner and group, as `stat` prints them."""
        return self.run("stat", "--format=%a %U:%G", path).strip()

    @functools.cache  # noqa: B019 - there is one machine
    def ids(self, user="postrider"):
        return tuple(int(self.run("id", option, user)) for option in ("-u", "-g"))

    def remove(self, *paths):
        self.run("rm", "-rf", "--", *paths)

    # Programs

    def try_run(self, *command, user=None, environment=None, data=None, timeout=60):
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--root", "--wd=/"]
        if user is not None:
            enter += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return subprocess.run(
            [*enter, *command],
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | (environment or {}),
            timeout=timeout,
            check=False,
        )

    def run(self, *command, expect=0, **settings):
        done = self.try_run(*command, **settings)
        said = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        assert done.returncode == expect, f"{command} exits with {done.returncode}: {said}"
        return said[0]

    # The manager

    def systemctl(self, *words, **settings):
        return self.run("systemctl", *words, **settings)

    def show(self, unit, name):
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def status_of(self, unit=SERVICE):
        return self.show(unit, "StatusText")

    def main_pid(self, unit=SERVICE):
        return int(self.show(unit, "MainPID"))

    def drop_in(self, text, unit=SERVICE):
        """A change of a unit, until clean()."""
        self.write(f"/run/systemd/system/{unit}.d/test.conf", text)
        self.systemctl("daemon-reload")

    def journalctl(self, *words):
        """Of what was logged since the last clean(), oldest first."""
        self.run("journalctl", "--sync")
        since = ["--after-cursor", self.cursor] if self.cursor else []
        return self.run("journalctl", "--no-pager", "--quiet", "--all", *since, *words)

    def journal(self, **fields):
        """The entries with these fields. journalctl itself skips one when it is given both a
        cursor and fields."""
        entries = [json.loads(line) for line in self.journalctl("--output=json").splitlines()]
        return [entry for entry in entries if fields.items() <= entry.items()]

    def log_text(self):
        return self.journalctl("--output=cat")

    # The service

    def ask(self, request, socket=CONTROL):
        with Control(self.path(socket)) as control:
            return control.ask(request)

    def clean(self):
        """As after the boot."""
        self.run("sh", "-euc", CLEAN, "sh", SOCKET, SERVICE)
        entries = self.journal()
        if entries:
            self.cursor = entries[-1]["__CURSOR"]


CLEAN = """
systemctl stop "$@"
systemctl reset-failed
cd /run/systemd/system
if [ -d "$1.d" ] || [ -d "$2.d" ]; then
    rm -rf "$1.d" "$2.d"
    systemctl daemon-reload
fi
rm -rf /etc/postrider /run/postrider /var/lib/postrider /var/log/postrider /var/spool/postrider
systemd-tmpfiles --create /usr/lib/tmpfiles.d/postrider.conf
"""


def remove_tree(group):
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)
    except OSError:
        return False
    return True


class NoMachine(Exception):
    """It did not come up: what it said."""
