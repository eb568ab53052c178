"""postrider-sendmail: what cron, mutt and scripts hand over lies in the spool, whole and durable,
before it says so. No daemon runs here."""

import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile

import pytest
from support import libconfig
from support.daemon import SANITIZER, find_program
from support.waiting import wait_for

NOBODY = 65534
EX_OK, EX_USAGE, EX_DATAERR, EX_NOINPUT = 0, 64, 65, 66
EX_UNAVAILABLE, EX_CANTCREAT, EX_TEMPFAIL, EX_CONFIG = 69, 73, 75, 78


class Sendmail:
    """The program, a directory to live in, and the spool."""

    def __init__(self, directory, binary):
        self.directory = str(directory)
        self.binary = binary
        self.spool = os.path.join(self.directory, "spool")
        self.config = os.path.join(self.directory, "postrider.conf")
        self.environment = {"HOME": self.directory, "PATH": os.environ["PATH"]}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def configure(self, file=None, **changes):
        account = {
            "name": "home",
            "maildir": os.path.join(self.directory, "Mail"),
            "addresses": ["me@example.org"],
            "default": True,
            "smtp": {"host": "127.0.0.1", "port": 2525, "tls": "none"},
        }
        settings = {"spool": self.spool, "state": os.path.join(self.directory, "state")}
        settings |= changes
        settings["accounts"] = (account,)
        file = file or self.config
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "w") as out:
            out.write(libconfig.group(settings))
        self.environment["POSTRIDER_CONFIG"] = file
        return self

    def run(self, *arguments, message=b"", expect=EX_OK, before=(), **settings):
        done = subprocess.run(
            [*before, self.binary, *arguments],
            input=message,
            capture_output=True,
            env=self.environment,
            timeout=60,
            check=False,
            **settings,
        )
        said = done.stderr.decode(errors="surrogateescape")
        assert not SANITIZER.search(said), said
        assert done.returncode == expect, f"exit {done.returncode}: {said}"
        assert done.stdout == b""
        return said

    def files(self):
        """Every file of the spool, hidden ones too."""
        return sorted(os.listdir(self.spool)) if os.path.isdir(self.spool) else []

    def message(self):
        """The one message that was handed over, looked at in every respect."""
        (name,) = self.files()
        assert not name.startswith(".")
        path = os.path.join(self.spool, name)
        status = os.stat(path)
        assert stat.S_IMODE(status.st_mode) == 0o640
        assert status.st_nlink == 1
        with open(path, "rb") as file:
            octets = file.read()
        os.unlink(path)
        return octets

    def refuse(self, *arguments, expect, **settings):
        said = self.run(*arguments, expect=expect, **settings)
        assert said.startswith("postrider-sendmail: ") or "usage:" in said
        assert self.files() == []
        return said


@pytest.fixture(scope="session")
def binary():
    path = find_program("postrider-sendmail")
    if path is None:
        pytest.fail("no postrider-sendmail: build it, or name its place in $POSTRIDER_BUILD")
    return path


@pytest.fixture
def sendmail(tmp_path, binary):
    return Sendmail(tmp_path, binary).configure()


@pytest.fixture
def public(binary):
    """As the system is set up: a spool where others may add and not look, and no configuration."""
    directory = tempfile.mkdtemp(prefix="postrider-e2e-")
    os.chmod(directory, 0o755)
    copy = os.path.join(directory, "postrider-sendmail")
    shutil.copy(binary, copy)
    one = Sendmail(directory, copy)
    os.mkdir(one.spool)
    os.chmod(one.spool, 0o3733)
    one.environment["POSTRIDER_SPOOL"] = one.spool
    yield one
    shutil.rmtree(directory)


# Callers


def test_cron(sendmail):
    sendmail.configure(local={"domain": "host.example.org"})
    text = (
        b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> true\n"
        b"X-Cron-Env: <SHELL=/bin/sh>\n\nfirst\n.\nlast\n"
    )
    sendmail.run("-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root", message=text)
    assert sendmail.message() == b"X-Postrider-Recipient: <root>\n" + text
    sendmail.run("-FCronDaemon", "-odi", "-oi", "-t", "-f", "root", message=text)
    assert sendmail.message() == b"X-Postrider-Sender: <root@host.example.org>\n" + text


def test_mutt_options(sendmail):
    text = b"From: Me <me@example.org>\nTo: a@b.example\nBcc: c@d.example\n\nhello\n"
    sendmail.run(
        *("-oem", "-oi", "-f", "me@example.org", "-N", "failure", "-R", "hdrs"),
        *("-B", "8BITMIME", "--", "a@b.example", "c@d.example"),
        message=text,
    )
    assert sendmail.message() == (
        b"X-Postrider-Sender: <me@example.org>\nX-Postrider-Recipient: <a@b.example>\n"
        b"X-Postrider-Recipient: <c@d.example>\n" + text
    )


def test_mutt(sendmail):
    if shutil.which("mutt") is None:
        pytest.skip("mutt is missing; on Debian: apt install mutt")
    rc = os.path.join(sendmail.directory, "muttrc")
    with open(rc, "w") as file:
        file.write(f'set sendmail="{sendmail.binary} -oem -oi" copy=no from=me@example.org\n')
        file.write("set use_envelope_from=yes\n")
    subprocess.run(
        ["mutt", "-n", "-F", rc, "-s", "by mutt", "-b", "c@d.example", "--", "a@b.example"],
        input=b"one\n.\ntwo\n",
        env=sendmail.environment | {"TERM": "dumb", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    octets = sendmail.message()
    assert octets.startswith(b"X-Postrider-Sender: <me@example.org>\nX-Postrider-Recipient: <")
    head, body = octets.split(b"\n\n", 1)
    for field in (b"X-Postrider-Recipient: <a@b.example>", b"X-Postrider-Recipient: <c@d.example>"):
        assert field in head.splitlines()
    assert b"\nSubject: by mutt" in head
    assert body == b"one\n.\ntwo\n"


# The envelope


def test_operands_are_the_whole_envelope(sendmail):
    text = b"X-Postrider-Recipient: evil@x.example\nFrom: a@b\nTo: c@d\n\n"
    for options in ((), ("-t",)):
        sendmail.run(*options, "e@f", message=text)
        assert sendmail.message() == b"X-Postrider-Recipient: <e@f>\nFrom: a@b\nTo: c@d\n\n"


def test_null_sender(sendmail):
    for null in ("", "<>"):
        sendmail.run("-f", null, "a@b", message=b"From: c@d\nX-Postrider-Sender: e@f\n\nx\n")
        assert sendmail.message() == (
            b"X-Postrider-Sender: <>\nX-Postrider-Recipient: <a@b>\nFrom: c@d\n\nx\n"
        )


def test_header_recipients(sendmail):
    text = b"From: a@b\nBcc: c@d\n\n"
    sendmail.run("-t", message=text)
    assert sendmail.message() == text
    said = sendmail.refuse("-t", message=b"From: a@b\nSubject: x\n\n", expect=EX_DATAERR)
    assert "no recipients" in said


def test_missing_from(sendmail):
    sendmail.run("-t", "-r", "a@b", "-F", "Jürgen K.", message=b"To: c@d\n\n")
    assert b"\nFrom: =?UTF-8?B?SsO8cmdlbiBLLg==?=\n <a@b>\n\n" in sendmail.message()
    sendmail.run("-t", "-F", "Night Job", message=b"To: c@d\n\n")
    assert b"\nFrom: Night Job <me@example.org>\n\n" in sendmail.message()
    sendmail.configure(local={"domain": "host.example.org"})
    sendmail.run("-t", "-F", "Night Job", message=b"To: c@d\n\n")
    assert re.search(rb"\nFrom: Night Job <\S+@host\.example\.org>\n\n", sendmail.message())


# The message


def test_octets_pass(sendmail):
    body = bytes(range(256)) * 5000
    sendmail.run("-i", "a@b", message=b"From: c@d\r\n\r\n" + body)
    assert sendmail.message() == b"X-Postrider-Recipient: <a@b>\nFrom: c@d\n\n" + body


def test_a_dot_ends_it(sendmail):
    sendmail.run("a@b", message=b"From x Mon\nFrom: c@d\n\none\n..\n.\ntwo\n")
    assert sendmail.message() == b"X-Postrider-Recipient: <a@b>\nFrom: c@d\n\none\n..\n"


def test_no_header_and_nothing(sendmail):
    sendmail.run("-f", "c@d", "a@b", message=b"disk full!\n")
    added = b"X-Postrider-Sender: <c@d>\nX-Postrider-Recipient: <a@b>\nFrom: c@d\n\n"
    assert sendmail.message() == added + b"disk full!\n"
    sendmail.run("-f", "c@d", "a@b", message=b"")
    assert sendmail.message() == added


def test_many_at_once(sendmail):
    running = [
        subprocess.Popen(
            [sendmail.binary, f"user{number}@b"], stdin=subprocess.PIPE, env=sendmail.environment
        )
        for number in range(40)
    ]
    for number, process in enumerate(running):
        process.communicate(b"From: c@d\n\n%d\n" % number, timeout=60)
        assert process.returncode == EX_OK
    assert len([name for name in sendmail.files() if not name.startswith(".")]) == 40
    assert len(sendmail.files()) == 40


# Where the spool is


def test_configuration_order(sendmail):
    def spool(name):
        return os.path.join(sendmail.directory, name)

    personal = os.path.join(sendmail.directory, ".config/postrider/postrider.conf")
    named = os.path.join(sendmail.directory, "named.conf")
    sendmail.configure(file=personal, spool=spool("personal"))
    sendmail.configure(file=named, spool=spool("named"))
    sendmail.configure(spool=spool("environment"))
    sendmail.environment["POSTRIDER_SPOOL"] = spool("last")
    sendmail.run("-C", named, "a@b", message=b"x\n")
    assert len(os.listdir(spool("named"))) == 1
    sendmail.run("a@b", message=b"x\n")
    assert len(os.listdir(spool("environment"))) == 1
    os.unlink(sendmail.config)
    sendmail.run("a@b", message=b"x\n")
    assert len(os.listdir(spool("personal"))) == 1
    assert stat.S_IMODE(os.stat(spool("personal")).st_mode) == 0o700
    if not os.path.exists("/etc/postrider/postrider.conf"):
        os.unlink(personal)
        os.mkdir(spool("last"))
        sendmail.run("a@b", message=b"x\n")
        assert len(os.listdir(spool("last"))) == 1


def test_the_usual_spool(public, as_root):
    """Where the daemon has it, whatever prefix this was built with."""
    del public.environment["POSTRIDER_SPOOL"]
    script = """mount -t tmpfs tmpfs /var/spool && mkdir -m 3733 /var/spool/postrider || exit 99
        if [ -d /etc/postrider ]; then mount -t tmpfs tmpfs /etc/postrider || exit 99; fi
        "$@" && cat /var/spool/postrider/* >"$HOME/seen" """
    before = ["unshare", "--mount", "sh", "-c", script, "sh"]
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        pytest.skip("no namespaces are to be had here")
    public.run("a@b", message=b"Subject: here\n\nx\n", before=before)
    with open(os.path.join(public.directory, "seen")) as file:
        assert "Subject: here" in file.read()


def test_configuration_faults(sendmail):
    sendmail.refuse("-C", "/nonexistent", "a@b", expect=EX_NOINPUT)
    with open(sendmail.config, "w") as file:
        file.write("spol = 1;\n")
    assert "spol" in sendmail.refuse("a@b", expect=EX_CONFIG)


def test_a_spool_of_others(public, as_root):
    public.run("-f", "c@d", "a@b", message=b"x\n", user=NOBODY, group=NOBODY, extra_groups=[])
    (name,) = public.files()
    status = os.stat(os.path.join(public.spool, name))
    assert (status.st_uid, status.st_gid) == (NOBODY, os.stat(public.spool).st_gid)
    assert public.message().endswith(b"\nx\n")


# Trouble


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], EX_USAGE),
        (["-Z", "a@b"], EX_USAGE),
        (["-f"], EX_USAGE),
        (["-bs"], EX_USAGE),
        (["-bd"], EX_USAGE),
        (["-bp"], EX_UNAVAILABLE),
        (["a@b", "-f", "c@d"], EX_USAGE),
        (["a@"], EX_DATAERR),
        ([""], EX_DATAERR),
        (["a@b\nX-Postrider-Account: c"], EX_DATAERR),
        (["-f", "a@b, c@d", "a@b"], EX_DATAERR),
    ],
)
def test_refused(sendmail, arguments, code):
    assert sendmail.refuse(*arguments, message=b"x\n", expect=code)


def test_ignored_options(sendmail):
    sendmail.run("-G", "-U", "-v", "-bm", "-oem", "-O", "a=b", "-V", "id", "a@b", message=b"x\n")
    assert sendmail.message()
    sendmail.run("-q")
    sendmail.run("-q30m")
    assert sendmail.files() == []


def test_garbage(sendmail):
    sendmail.refuse("a@b", message=b"To: a\0b\n\n", expect=EX_DATAERR)
    sendmail.refuse("a@b", message=b"X: y\n" * 300000, expect=EX_DATAERR)


def test_no_spool(sendmail):
    with open(sendmail.spool, "w"):
        pass
    sendmail.run("a@b", message=b"x\n", expect=EX_CANTCREAT)
    os.unlink(sendmail.spool)
    del sendmail.environment["POSTRIDER_CONFIG"]
    os.unlink(sendmail.config)
    if not os.path.exists("/etc/postrider/postrider.conf"):
        sendmail.environment["POSTRIDER_SPOOL"] = sendmail.spool
        sendmail.refuse("a@b", message=b"x\n", expect=EX_CANTCREAT)


def test_a_full_disk(sendmail):
    """As seen by write(2): a limit on the size of files."""
    limited = ("sh", "-c", 'ulimit -f 100; exec "$0" "$@"')
    sendmail.refuse("a@b", message=b"x\n" * 200000, before=limited, expect=EX_TEMPFAIL)


def test_a_closed_input(sendmail):
    closed = ("sh", "-c", 'exec "$0" "$@" <&-')
    sendmail.refuse("a@b", before=closed, expect=EX_NOINPUT)
    sendmail.run("a@b", message=b"x\n", before=("sh", "-c", 'exec "$0" "$@" >&- 2>&-'))
    assert sendmail.message().endswith(b"\n\nx\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing(sendmail, number):
    process = subprocess.Popen(
        [sendmail.binary, "a@b"], stdin=subprocess.PIPE, env=sendmail.environment
    )
    process.stdin.write(b"From: c@d\n\nnot all of it\n")
    process.stdin.flush()
    wait_for(sendmail.files, "the file that is being written")
    assert all(name.startswith(".") for name in sendmail.files())
    process.send_signal(number)
    assert process.wait(60) == -number
    process.stdin.close()
    assert sendmail.files() == []


# Durability


def trace(sendmail, **settings):
    """The calls that matter, in their order."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is missing; on Debian: apt install strace")
    log = os.path.join(sendmail.directory, "trace")
    with open(log, "w"):
        os.chmod(log, 0o666)
    calls = "trace=write,fsync,fdatasync,syncfs,renameat2,linkat,exit_group"
    sendmail.environment["ASAN_OPTIONS"] = "detect_leaks=0"
    try:
        sendmail.run(
            *("-f", "c@d", "a@b"),
            message=b"x\n",
            before=(strace, "-y", "-o", log, "-e", calls),
            **settings,
        )
    except AssertionError as error:
        if "ptrace" in str(error).lower():
            pytest.skip(f"strace may not trace: {error}")
        raise
    with open(log) as file:
        return [line for line in file if re.match(r"\w+\(", line)]


def position(calls, pattern):
    found = [n for n, line in enumerate(calls) if re.search(pattern, line)]
    assert found, f"{pattern} in {calls}"
    return found[-1]


def check_order(calls, *patterns):
    positions = [position(calls, pattern) for pattern in patterns]
    assert positions == sorted(positions), calls


def test_durable_before_exit(sendmail):
    spool = re.escape(sendmail.spool)
    check_order(
        trace(sendmail),
        rf"^write\(\d+<{spool}/\.",
        rf"^fsync\(\d+<{spool}/\..*= 0",
        r"^renameat2\(.*NOREPLACE\) = 0",
        rf"^fsync\(\d+<{spool}>\) += 0",
        r"^exit_group\(0\)",
    )


def test_durable_where_the_spool_cannot_be_read(public, as_root):
    calls = trace(public, user=NOBODY, group=NOBODY, extra_groups=[])
    spool = re.escape(public.spool)
    check_order(
        calls,
        rf"^fsync\(\d+<{spool}/\..*= 0",
        r"^renameat2\(.*NOREPLACE\) = 0",
        rf"^syncfs\(\d+<{spool}/.*= 0",
        r"^exit_group\(0\)",
    )
