"""The faults of every day, each produced for real: whatever shows it (the status, the daemon's log,
`postriderctl test`) says what, where, and what to do next."""

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass

import faults
import pytest
from support import messages
from support.daemon import find_program
from support.dovecot import PASSWORD, free_ports
from support.spool import drop_letters, smtp_account
from support.waiting import wait_for

LONG = {"first": "1h", "max": "1h"}


@dataclass
class Fault:
    """What each text must have, as regular expressions."""

    kind: str
    what: str
    where: str
    step: str  # what a person does next, or need not do
    side: str = "pop3"
    tested: str = ""  # the step of `postriderctl test` that shows it

    def check(self, text):
        for name in ("what", "where", "step"):
            words = getattr(self, name)
            assert re.search(words, text), f"{name}: {words!r} is not in {text!r}"


class Everywhere:
    """Where a fault of an account is shown."""

    def __init__(self, daemon, spool):
        self.daemon = daemon
        self.spool = spool

    def status(self, fault):
        if fault.side == "pop3":
            return self.daemon.poll()
        drop_letters(self.spool, 1)
        return self.spool.wait_status(lambda s: s["last_error"], "trouble")

    def check(self, fault):
        """Runs the daemon into the fault, and looks at all that tells of it."""
        self.daemon.start()
        error = self.status(fault)["last_error"]
        assert error["kind"] == fault.kind, error
        fault.check(error["text"])
        self.check_log(fault)
        if fault.tested:
            self.check_test(fault)

    def check_log(self, fault):
        reasons = re.findall(r'reason="(.*)"', self.daemon.log())
        assert reasons, self.daemon.log()
        fault.check(reasons[0])

    def check_test(self, fault):
        done = subprocess.run(
            [find_program("postriderctl"), "-c", self.daemon.config, "test", "box"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.daemon.environment,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1, done
        (failed,) = [line for line in done.stdout.splitlines() if "✗" in line]
        assert failed.split()[1] == fault.tested, failed
        fault.check(failed)


@pytest.fixture
def everywhere(daemon, spool):
    return Everywhere(daemon, spool)


@pytest.fixture(params=["pop3", "smtp"])
def side(request):
    return request.param


@pytest.fixture
def configure(daemon):
    """Writes the configuration: one account that fetches from a server, or sends to it."""

    def write(side, server, **changes):
        if side == "pop3":
            account = daemon.account(server, **changes)
        else:
            account = smtp_account(daemon, server, account_default=True, **changes)
        daemon.configure(account, retry=LONG)

    return write


@pytest.fixture
def make_server(make_peer, make_relay):
    def make(side, *arguments, **settings):
        if side == "smtp":
            return make_relay(*arguments, **settings)
        peer = make_peer(*arguments, **settings)
        peer.add_mailbox("box")
        return peer

    return make


# Who we are


def test_wrong_password(dovecot, postfix, certificates, configure, everywhere, side):
    server = dovecot.implicit if side == "pop3" else postfix.starttls
    login = {"user": dovecot.add_user(), "password": "wrong"}
    configure(side, server, tls_ca_file=certificates["ca"], **login)
    where = f"127.0.0.1:{server.port}"
    everywhere.check(
        Fault("auth", "refused (AUTH|PASS)", where, "check user and password", side, "login")
    )


def test_blocked_account(daemon, dovecot, configure, everywhere):
    """Refused three times in a row: that, and that no poll comes soon, is said as well."""
    server = dovecot.plain
    configure("pop3", server, user=dovecot.add_user(), password="wrong", interval="1h")
    where = f"127.0.0.1:{server.port}"
    daemon.start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first refusal")
    daemon.fail("auth")
    status = daemon.fail("auth")
    assert status["state"] == "blocked"
    fault = Fault("auth", "refused (AUTH|PASS)", where, "check user and password", "pop3", "login")
    fault.check(status["last_error"]["text"])
    assert "refused 3 times in a row, it is tried once a day" in status["last_error"]["text"]
    (line,) = [line for line in daemon.log().splitlines() if "is blocked" in line]
    fault.check(line)
    assert "when it is mended: postriderctl poll box" in line
    everywhere.check_test(fault)
    shown = subprocess.run(
        [find_program("postriderctl"), "-c", daemon.config],
        capture_output=True,
        text=True,
        env=daemon.environment,
        check=True,
    )
    assert "postriderctl poll box" in shown.stdout


def test_blocked_for_sending(daemon, relay, spool, configure):
    relay.users = {"me": "another word"}
    account = smtp_account(daemon, relay, account_default=True, user="me", password="wrong")
    daemon.configure(account, retry={"first": "1s", "max": "1s"})
    drop_letters(spool, 1)
    daemon.start()
    status = spool.wait_status(lambda s: s["state"] == "blocked", "blocked")
    text = status["last_error"]["text"]
    where = f"127.0.0.1:{relay.port}"
    fault = Fault("auth", "refused AUTH", where, "check user and password", "smtp")
    fault.check(text)
    assert "refused 3 times in a row, it is tried once a day" in text
    (line,) = [line for line in daemon.log().splitlines() if "is blocked" in line]
    fault.check(line)
    assert "postriderctl flush box" in line


# The way there


def test_unknown_host(relay, peer, configure, everywhere, side):
    server = peer if side == "pop3" else relay
    settings = {"user": "box", "password": "pass word", "cleartext_auth": True}
    configure(side, server, host="mail.invalid", **settings)
    where = f"^.*mail.invalid:{server.port}"
    step = "check the name and the network"
    everywhere.check(Fault("network", "does not resolve", where, step, side, "name"))


def test_refused_port(relay, peer, configure, everywhere, side):
    (port,) = free_ports(1)
    configure(side, peer if side == "pop3" else relay, port=port)
    step = "check host, port and the network"
    everywhere.check(
        Fault("network", "Connection refused", f"127.0.0.1:{port}", step, side, "connect")
    )


# Certificates and clocks


@pytest.mark.parametrize("mode", ["implicit", "starttls"])
@pytest.mark.parametrize(
    "cert, what, step",
    [
        ("expired", "certificate .*expired on 2024-02-01", "tell the server's administrator"),
        (
            "named",
            "certificate .*is not for localhost but for mail.example.test",
            "check host, or set tls_server_name",
        ),
        (
            "future",
            r"certificate .*is not valid before 2048-01-01; this machine's clock says 20\d\d-",
            "looks wrong: set it",
        ),
    ],
    ids=["expired", "wrong-name", "clock"],
)
def test_certificates(
    certificates, make_server, configure, everywhere, side, mode, cert, what, step
):
    server = make_server(side, mode, cert=cert)
    login = {"user": "box", "password": "pass word"}
    configure(side, server, host="localhost", tls_ca_file=certificates["ca"], **login)
    everywhere.check(Fault("tls", what, f"localhost:{server.port}", step, side, "tls"))


def test_a_clock_that_is_ahead_is_said_too(make_server, certificates, configure, everywhere):
    """Then every certificate looks expired."""
    server = make_server("pop3", "implicit", cert="expired")
    configure("pop3", server, tls_ca_file=certificates["ca"])
    step = r"or set this machine's clock, which says 20\d\d-"
    where = f"127.0.0.1:{server.port}"
    everywhere.check(Fault("tls", "expired on 2024-02-01", where, step, "pop3", "tls"))


# What servers say no to


@contextlib.contextmanager
def another_session(port, user, password):
    """Somebody else is in the maildrop."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        lines = sock.makefile("rwb")
        lines.write(f"USER {user}\r\nPASS {password}\r\n".encode())
        lines.flush()
        assert all(lines.readline().startswith(b"+OK") for _ in range(3))
        yield


def locked(server):
    where = f"127.0.0.1:{server.port}"
    step = "another session holds the maildrop; it is tried again"
    return Fault("server", "refused (AUTH|PASS)", where, step, "pop3", "login")


def test_mailbox_locked(peer, box, configure, everywhere):
    configure("pop3", peer)
    with another_session(peer.port, "box", "pass word"):
        everywhere.check(locked(peer))


def test_mailbox_locked_at_dovecot(daemon, dovecot, configure):
    """It says so only after it has waited for the other session, ten seconds."""
    user = dovecot.add_user([messages.simple(1)])
    configure("pop3", dovecot.plain, user=user, password=PASSWORD, timeout=60)
    daemon.start()
    with another_session(dovecot.plain.port, user, PASSWORD):
        fault = locked(dovecot.plain)
        error = daemon.poll(timeout=60)["last_error"]
    assert error["kind"] == fault.kind
    fault.check(error["text"])


@pytest.mark.parametrize(
    "reply, step",
    [
        ("-ERR [SYS/PERM] quota exceeded", "needs the server's administrator"),
        ("-ERR [SYS/TEMP] quota exceeded", "should pass; it is tried again"),
    ],
)
def test_quota_of_a_maildrop(peer, box, configure, everywhere, reply, step):
    peer.on("AUTH", faults.answer(reply))
    configure("pop3", peer)
    where = f"127.0.0.1:{peer.port}"
    everywhere.check(Fault("server", "quota exceeded", where, step, "pop3", "login"))


@pytest.mark.parametrize("verb", ["RCPT", "DOT"])
@pytest.mark.parametrize(
    "reply, what, step",
    [
        ("450 4.2.0 Greylisted, try again in 300 s", "Greylisted", "nothing to do"),
        ("451 4.7.1 Please try again later", "Please try again", r"\(greylisting\): it is tried"),
        ("450 try again later", "450 try again later", "greylisting.*nothing to do"),
        ("452 4.2.2 over quota", "over quota", "mailbox is full: it is tried again"),
        ("452 4.3.1 insufficient storage", "insufficient storage", "short of space.*tried again"),
    ],
    ids=["greylisted", "4.7.1", "450", "quota", "storage"],
)
def test_deferred(daemon, relay, spool, configure, verb, reply, what, step):
    """That is the message's fate and no trouble of the account's: the queue shows it."""
    relay.on(verb, faults.answer(reply))
    configure("smtp", relay)
    daemon.start()
    drop_letters(spool, 1)
    (message,) = spool.wait_queue(
        lambda queue: queue and queue[0]["attempts"] == 1, "one attempt is noted"
    )
    fault = Fault("", what, f"127.0.0.1:{relay.port}, of you@example.com", step)
    fault.check(message["last_error"])
    assert message["recipients"][0]["reply"] == reply
    assert spool.wait_settled()["last_error"] is None
    fault.where = f"server=127.0.0.1:{relay.port}"
    (line,) = [line for line in daemon.log().splitlines() if "fate=deferred" in line]
    fault.check(line)


@pytest.mark.parametrize(
    "reply, step",
    [
        ("552 5.2.2 over quota", "mailbox is full: tell the recipient another way"),
        ("552 over quota", "mailbox is full or the message too large"),
    ],
)
def test_quota_of_a_recipient(daemon, relay, spool, configure, reply, step):
    """Behind the text, for at RCPT a bare 552 means too many recipients."""
    relay.on("DOT", faults.answer(reply))
    configure("smtp", relay)
    daemon.start()
    drop_letters(spool, 1)
    (name,) = spool.wait_failed()
    (line,) = [line for line in daemon.log().splitlines() if "fate=failed" in line]
    Fault("", "over quota", f"server=127.0.0.1:{relay.port}", step).check(line)
    assert "over quota" in spool.reason(name)


# This machine


@pytest.fixture
def small(daemon, as_root):
    """Mounts a small file system at this path."""
    mounted = []

    def mount(path):
        os.makedirs(path)
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "postrider-test", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"mount: {done.stderr.strip()}")
        mounted.append(path)

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=False)


def test_no_space(daemon, peer, box, small, configure, everywhere):
    small(daemon.path("Mail"))
    for number in range(5):
        box.add(messages.simple(number, size=40_000))
    configure("pop3", peer)
    where = re.escape(daemon.maildir().path)
    step = "free space on its file system"
    everywhere.check(Fault("local", "No space left on device", where, step))


def test_no_space_for_a_copy(daemon, relay, spool, small, configure):
    """The message is sent all the same; the copy waits."""
    small(daemon.path("Sent"))
    sent = daemon.path("Sent", "box")
    configure("smtp", relay, sent_maildir=sent)
    daemon.start()
    drop_letters(spool, 1, body="x" * 70 + "\n" + "y" * 100_000)
    relay.wait_accepted(1)

    def lines():
        return [line for line in daemon.log().splitlines() if "copy or a report waits" in line]

    line = wait_for(lines, "the log tells of the copy")[0]
    step = "free space on its file system"
    Fault("local", "No space left on device", re.escape(sent), step).check(line)


def test_no_space_in_the_state(daemon, peer, box, small, configure):
    small(daemon.path("state"))
    configure("pop3", peer)
    done = daemon.run("--once")
    assert done.returncode != 0
    step = "free space on its file system"
    fault = Fault("local", "disk is full", re.escape(daemon.path("state", "state.db")), step)
    fault.check(done.stderr)


def give(path, user):
    for place, folders, files in os.walk(path):
        for name in [".", *folders, *files]:
            os.chown(os.path.join(place, name), user.pw_uid, user.pw_gid)


class TestPermission:
    """The daemon runs as nobody, whom permissions bind."""

    @pytest.fixture
    def nobody(self, as_root):
        return pwd.getpwnam("nobody")

    @pytest.fixture
    def tmp_path(self, nobody):
        """In place of pytest's own, which only its user may enter."""
        path = tempfile.mkdtemp(prefix="postrider-nobody-")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
        yield path
        shutil.rmtree(path)

    @pytest.fixture
    def program(self, program, tmp_path, nobody):
        """A copy that nobody may run, and does."""
        copy, wrapper = os.path.join(tmp_path, "program"), os.path.join(tmp_path, "postriderd")
        shutil.copy(program, copy)
        user = f"--reuid=nobody --regid={nobody.pw_gid} --clear-groups"
        with open(wrapper, "w") as file:
            os.fchmod(file.fileno(), 0o755)
            file.write(f'#!/bin/sh\nexec setpriv {user} {copy} "$@"\n')
        return wrapper

    @pytest.fixture
    def configure(self, daemon, configure, nobody):
        def write(*arguments, **changes):
            configure(*arguments, **changes)
            give(daemon.directory, nobody)

        return write

    def test_a_maildir(self, daemon, peer, box, configure, everywhere):
        box.add(messages.simple(1))
        for folder in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(daemon.maildir().path, folder))
        configure("pop3", peer)
        os.chown(os.path.join(daemon.maildir().path, "tmp"), 0, 0)
        where = re.escape(daemon.maildir().path)
        step = "give the daemon's user access to it"
        everywhere.check(Fault("local", "Permission denied", where, step))

    def test_the_spool(self, daemon, relay, configure):
        configure("smtp", relay)
        path = daemon.path("spool")
        os.makedirs(path, mode=0o700)
        done = daemon.run("--once")
        assert done.returncode != 0
        (line,) = [line for line in done.stderr.splitlines() if "Permission" in line]
        step = "give the daemon's user access to it"
        Fault("", "Permission denied", re.escape(path), step).check(line)

    def test_a_message(self, daemon, relay, spool, configure):
        configure("smtp", relay)
        daemon.start()
        path = spool.outside("secret", b"From: me@example.org\nTo: you@example.com\n\nx\n")
        os.chmod(path, 0o600)
        os.rename(path, spool.at("secret"))
        (name,) = spool.wait_failed()
        reason = wait_for(lambda: spool.reason(name), "the reason is written")
        Fault("", "no read permission", "user root and group", "chmod g.r").check(reason)

    def test_a_password_file(self, daemon, peer, box, configure, nobody):
        path = daemon.path("secret")
        with open(path, "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write("pass word\n")
        configure("pop3", peer, password=None, password_file=path)
        os.chown(path, 0, 0)
        step = "give the daemon's user access to it"
        fault = Fault("", "Permission denied", re.escape(path), step)
        done = daemon.run("-t")
        assert done.returncode == 78
        fault.check(done.stderr)
        assert re.search(r"postrider\.conf:\d+: ", done.stderr)

        # The same when the permission goes while the daemon runs.
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
        daemon.start()
        daemon.fetch()
        os.chown(path, 0, 0)
        peer.on("AUTH", faults.answer("-ERR [AUTH] the password has changed"), times=1)
        daemon.fail("auth")
        fault.check(daemon.fail("local")["last_error"]["text"])
        assert re.search(f'reason=".*{re.escape(path)}.*Permission denied', daemon.log())
