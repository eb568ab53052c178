"""The daemon under test: its directory, its configuration, its life, and its control socket."""

import json
import os
import re
import signal
import socket
import subprocess

from . import libconfig
from .maildir import Maildir
from .waiting import wait_for

SANITIZER = re.compile(r"(Address|Leak|Thread|Memory)Sanitizer|runtime error:")
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SETTLED = {"idle", "backoff", "blocked"}


def find_program(name):
    """The program to test: $POSTRIDERD itself, or below $POSTRIDER_BUILD, or of this source."""
    named = os.environ.get(name.upper())
    if named:
        return named
    build = os.environ.get("POSTRIDER_BUILD")
    places = [build] if build else [TOP, os.path.join(TOP, "build")]
    for place in places:
        path = os.path.join(place, name)
        if os.access(path, os.X_OK):
            return path
    return None


class Refused(Exception):
    """{"ok":false}: the answer."""


class Daemon:
    """One state directory and the processes that run on it, one after the other."""

    def __init__(self, directory, binary):
        self.directory = str(directory)
        self.binary = binary
        self.config = self.path("postrider.conf")
        self.socket = self.path("run", "control")
        self.sessions = self.path("log")
        self.stderr = self.path("stderr")
        self.process = None
        self.environment = {"HOME": self.directory, "PATH": os.environ["PATH"], "TZ": "UTC"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LD_LIBRARY_PATH"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        os.makedirs(self.path("run"), exist_ok=True)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def maildir(self, account="box"):
        return Maildir(self.path("Mail", account))

    # Configuration

    def account(self, peer, name="box", **changes):
        """An account at a scripted peer or at Dovecot, polled on demand. Keys of pop3 are given
        as they are, keys of the account itself as account_KEY; None takes a key away."""
        pop3 = {
            "host": "127.0.0.1",
            "port": peer.port,
            "tls": peer.tls_mode,
            "user": name,
            "password": "pass word",
            "interval": 0,
            "timeout": 10,
        }
        account = {"name": name, "maildir": self.path("Mail", name)}
        for key, item in changes.items():
            if key.startswith("account_"):
                account[key.removeprefix("account_")] = item
            else:
                pop3[key] = item
        account["pop3"] = pop3
        return account

    def settings(self, accounts, **changes):
        """A whole configuration; changes replace top-level keys."""
        settings = {
            "spool": self.path("spool"),
            "state": self.path("state"),
            "control": {"socket": self.socket},
            "log": {"level": "debug", "sessions": self.sessions},
        }
        settings.update(changes)
        settings["accounts"] = tuple(accounts)
        return settings

    def configure(self, *accounts, **changes):
        self.write(libconfig.group(self.settings(accounts, **changes)))
        return self

    def write(self, text):
        with open(self.config, "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)

    # Life

    def run(self, *options, timeout=60, environment=None):
        """Runs the daemon to its end: --once, -t and the like. Its standard error is kept too."""
        command = [self.binary, "-c", self.config, *options]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout,
            env=self.environment | (environment or {}),
            check=False,
        )
        with open(self.stderr, "a", errors="surrogateescape") as file:
            file.write(done.stderr)
        return done

    def once(self, expect=0, **settings):
        done = self.run("--once", **settings)
        assert done.returncode == expect, f"exit {done.returncode}: {done.stderr}"
        return done

    def _spawn(self, *options):
        with open(self.stderr, "ab") as stderr:
            self.process = subprocess.Popen(
                [self.binary, "-c", self.config, *options],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                env=self.environment,
            )

    def start_once(self):
        """--once in the background: self.process is to be waited for."""
        self._spawn("--once")

    def start(self, request="version"):
        """`request` is the first that it hears, as soon as it hears any."""
        self._spawn()
        wait_for(
            lambda: self._answers(request), lambda: f"the control socket answers; {self.log()}"
        )
        return self

    def _answers(self, request):
        assert self.process.poll() is None, f"exit {self.process.returncode}: {self.log()}"
        try:
            return self.ctl(*request.split())["ok"]
        except OSError:
            return False

    def stop(self):
        """A clean stop: in time, with exit 0. Does nothing when it does not run."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"SIGTERM did not end it: {self.log()}") from None
        assert status == 0, f"exit {status}: {self.log()}"

    def restart(self):
        self.stop()
        return self.start()

    def kill(self):
        """SIGKILL."""
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def log(self):
        try:
            with open(self.stderr, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def check_sanitizers(self):
        found = SANITIZER.search(self.log())
        assert not found, f"sanitizer: {self.log()[found.start():]}"

    # Control socket

    def ask(self, request):
        """One request line, the parsed answer, whatever it says."""
        with Control(self.socket) as control:
            return control.ask(request)

    def ctl(self, *words):
        """The answer to a request that must succeed."""
        answer = self.ask(" ".join(words))
        if not answer["ok"]:
            raise Refused(answer)
        return answer

    def status(self, account="box"):
        """The pop3 side of one account."""
        accounts = self.ctl("status", account)["accounts"]
        assert [a["name"] for a in accounts] == [account]
        return accounts[0]["pop3"]

    def poll(self, account="box", timeout=30):
        """Polls, waits until that poll is over, and returns the account's status."""
        before = self.status(account)["last_attempt"]
        self.ctl("poll", account)
        return self.wait_polled(before, account, timeout)

    def wait_polled(self, before, account="box", timeout=30):
        """Waits for the end of a poll that began after the one at `before`."""
        status = {}

        def over():
            status.update(self.status(account))
            return status["last_attempt"] != before and status["state"] in SETTLED

        wait_for(over, lambda: f"poll of {account} is over: {status}", timeout)
        return status

    def wait_status(self, condition, what, account="box", timeout=30):
        status = {}

        def holds():
            status.update(self.status(account))
            return condition(status)

        wait_for(holds, lambda: f"{what}: {status}", timeout)
        return status

    def fetch(self, account="box"):
        """A poll that must go well."""
        status = self.poll(account)
        assert status["last_error"] is None, status
        assert status["state"] == "idle", status
        return status

    def fail(self, kind, *words, account="box"):
        """A poll that must fail with this kind, and say each of these words (regular
        expressions)."""
        return check_error(self.poll(account), kind, *words)

    # Session logs

    def session_logs(self, account="box"):
        """The texts of an account's session logs, oldest first."""
        directory = os.path.join(self.sessions, account)
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        texts = []
        for name in names:
            with open(os.path.join(directory, name), encoding="utf-8", newline="") as file:
                texts.append(file.read())
        return texts

    def ended_session_logs(self, count, account="box"):
        """The same, once `count` sessions or more are in them to their ends: they are written
        behind what the daemon tells of a session."""

        def look():
            texts = self.session_logs(account)
            return len(texts) >= count and all("--- closed: " in text for text in texts) and texts

        return wait_for(look, lambda: f"{count} logs: {[t[-200:] for t in self.session_logs(account)]}")


def check_error(status, kind, *words):
    error = status["last_error"]
    assert error is not None, status
    assert error["kind"] == kind, error
    assert len(error["text"]) > 10, error
    for word in words:
        assert re.search(word, error["text"], re.IGNORECASE), f"{word!r} in {error}"
    return status


class Control:
    """A connection to the control socket."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.settimeout(30)
            self.sock.connect(path)
        except OSError:
            self.sock.close()
            raise
        self.file = self.sock.makefile("rb")

    def send(self, octets):
        self.sock.sendall(octets)

    def receive(self):
        """The next answer; None when the daemon has closed."""
        line = self.file.readline()
        return json.loads(line) if line else None

    def ask(self, request):
        self.send(request.encode() + b"\n")
        answer = self.receive()
        if answer is None:
            raise ConnectionError("no answer")
        return answer

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
