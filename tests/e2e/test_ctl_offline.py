"""postriderctl beside the daemon and without it: log, flow, dump, check."""

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

import faults
import pytest
from support import messages
from support.daemon import Daemon, find_program
from support.dovecot import PASSWORD
from support.spool import RETRY, letter, smtp_account
from support.waiting import wait_for

EX_USAGE, EX_NOINPUT, EX_NOPERM = 64, 66, 77
STARTED = re.compile(r"^\d\d-\d\d \d\d:\d\d:\d\dZ  ")


class Ctl:
    def __init__(self, daemon):
        self.daemon = daemon
        self.program = find_program("postriderctl")
        assert self.program is not None, "no postriderctl: build it"

    def command(self, *words):
        where = [] if "-s" in words else ["-c", self.daemon.config]
        return [self.program, *where, *words]

    def run(self, *words, expect=0, **environment):
        done = subprocess.run(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.daemon.environment | environment,
            check=False,
        )
        assert done.returncode == expect, f"exit {done.returncode}: {done.stdout}{done.stderr}"
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        return done

    def follow(self, *words):
        """`log --follow` in the background; what it prints comes in a file."""
        return self.begin("log", "--follow", *words)

    def begin(self, *words):
        path = self.daemon.path("followed")
        with open(path, "wb") as out:
            process = subprocess.Popen(
                self.command(*words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                env=self.daemon.environment,
            )
        return process, path


@pytest.fixture
def ctl(daemon):
    return Ctl(daemon)


@pytest.fixture
def fetched(daemon, peer, box):
    """A daemon that has fetched three messages in one session."""
    for number in range(3):
        box.add(messages.simple(number))
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fetch()
    wait_for(
        lambda: ["closed: ok" in text for text in daemon.session_logs()] == [True],
        lambda: f"the log is complete: {daemon.session_logs()}",
    )
    return daemon


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


# log


def test_the_list(fetched, ctl, peer):
    peer.on("STAT", faults.hang_up())
    fetched.fail("network")
    fetched.stop()
    title, newest, trouble, oldest = ctl.run("log").stdout.splitlines()
    assert title.split() == ["STARTED", "SESSION", "ACCOUNT", "SERVER", "OUTCOME", "TOOK"]
    assert STARTED.match(newest) and STARTED.match(oldest)
    assert newest.split()[2:6] == ["000002", "box", "pop3", f"127.0.0.1:{peer.port}"]
    assert "network trouble" in newest
    assert trouble.startswith("    ") and "closed the connection" in trouble
    assert "000001" in oldest and "3 fetched" in oldest
    answer = json.loads(ctl.run("--json", "log").stdout)
    assert answer["ok"] is True
    first, second = answer["logs"]
    assert (first["session"], first["outcome"]) == ("000002", "network")
    assert (second["session"], second["outcome"], second["account"]) == ("000001", "ok", "box")
    assert os.path.exists(second["file"])


def test_a_session_by_every_name(fetched, ctl):
    fetched.stop()
    (text,) = fetched.session_logs()
    (name,) = os.listdir(os.path.join(fetched.sessions, "box"))
    for word in ("000001", "1", "box", name, name.removesuffix(".log")):
        assert ctl.run("log", word).stdout == text, word
    lines = [json.loads(line) for line in ctl.run("--json", "log", "1").stdout.splitlines()]
    assert len(lines) == len(text.splitlines())
    assert {"kind": "sent", "text": "QUIT"}.items() <= lines[-3].items()


def test_the_same_number_again(fetched, ctl):
    """Numbers begin anew with each start: the newest is meant, and that is said."""
    fetched.restart()
    fetched.fetch()
    fetched.stop()
    done = ctl.run("log", "1")
    assert done.stdout == fetched.session_logs()[-1]
    assert "2 sessions have had the ID 000001" in done.stderr


def test_what_is_not_there(fetched, ctl):
    for word in ("000099", "nobody"):
        done = ctl.run("log", word, expect=EX_NOINPUT)
        assert word in done.stderr and done.stdout == ""
    ctl.run("log", "box", "box", expect=EX_USAGE)
    ctl.run("log", "--folow", expect=EX_USAGE)
    ctl.run("flow", expect=EX_USAGE)
    assert "-c FILE" in ctl.run("-s", fetched.socket, "log", expect=EX_USAGE).stderr


def test_no_logs_are_written(daemon, peer, box, ctl):
    daemon.configure(daemon.account(peer), log={"level": "debug", "sessions": ""})
    for words in (("log",), ("log", "box"), ("log", "--follow"), ("flow", "1")):
        done = ctl.run(*words, expect=EX_NOINPUT)
        assert 'log.sessions is ""' in done.stderr


def test_not_for_everybody(as_root, program, peer, box):
    """What is the daemon's alone is said to be, in place of looking empty."""
    place = tempfile.mkdtemp(prefix="postrider-")
    daemon = Daemon(place, program)
    try:
        os.chmod(place, 0o755)
        ctl = Ctl(daemon)
        ctl.program = shutil.copy(ctl.program, place)
        daemon.configure(daemon.account(peer)).start()
        daemon.fetch()
        daemon.stop()
        os.chmod(daemon.config, 0o644)
        for words in (("log",), ("log", "--follow"), ("flow", "1"), ("dump",)):
            done = subprocess.run(
                ctl.command(*words),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                env=daemon.environment,
                user="nobody",
                group=pwd.getpwnam("nobody").pw_gid,
                extra_groups=[],
                check=False,
            )
            assert done.returncode == EX_NOPERM, done
            assert "Permission denied" in done.stderr and "daemon's user" in done.stderr
    finally:
        if daemon.process:
            daemon.kill()
        shutil.rmtree(place)


def test_a_forged_log_is_shown_escaped(fetched, ctl):
    """Whatever is in the file, no control character reaches the terminal."""
    fetched.stop()
    path = os.path.join(fetched.sessions, "box", "20261120T101500.123Z-pop3-000777.log")
    forged = b"# postrider session 7 server=\x1b[2J\n\x1b]0;x\x07\n"
    forged += b"2026-11-20T10:15:00.120Z <-- +OK \x9b\xc2\x9b\xe2\x80\xae\x00\x7f\r\n"
    forged += b"2026-11-20T10:15:00.120Z --- closed: \x1b[1m, 1 fetched\n"
    with open(path, "wb") as file:
        file.write(forged)
    for words in (("log",), ("log", "777"), ("flow", "777"), ("--json", "log", "777")):
        shown = ctl.run(*words, LC_ALL="C.UTF-8").stdout
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown), (words, shown)
    assert "\\x1b]0;x\\x07" in ctl.run("log", "777").stdout


def test_follow(fetched, ctl, box):
    """The session that was, and each new one of the account, until the signal."""
    process, path = ctl.follow("box")
    try:
        wait_for(lambda: "closed: ok" in text_of(path), lambda: f"the first: {text_of(path)}")
        for number in (2, 3):
            box.add(messages.simple(10 + number))
            fetched.fetch()
            wait_for(
                lambda number=number: text_of(path).count("closed: ok") == number,
                lambda: f"the next one: {text_of(path)}",
            )
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
    assert text_of(path) == "\n".join(fetched.session_logs())


def test_follow_what_is_not_there_yet(daemon, peer, box, ctl):
    daemon.configure(daemon.account(peer)).start()
    process, path = ctl.follow()
    try:
        daemon.fetch()
        wait_for(lambda: "closed: ok" in text_of(path), lambda: f"it comes: {text_of(path)}")
    finally:
        process.terminate()
        process.wait(30)
    assert text_of(path) == daemon.session_logs()[0]


def test_follow_a_late_file(daemon, peer, box, ctl):
    """A session's file may be made after that of one that began later."""
    directory = os.path.join(daemon.sessions, "box")
    os.makedirs(directory)

    def write(second, text):
        name = f"20261120T1015{second:02}.000Z-pop3-{second:06}.log"
        with open(os.path.join(directory, name), "w") as file:
            file.write(f"# {text}\n2026-11-20T10:15:{second:02}.000Z --- closed: ok, 0 fetched\n")

    daemon.configure(daemon.account(peer))
    process, path = ctl.follow("box")
    try:
        for second, text in ((10, "first"), (14, "newer"), (12, "late")):
            write(second, text)
            wait_for(lambda text=text: text in text_of(path), lambda: f"{text_of(path)}")
        write(9, "before")
        write(15, "last")
        wait_for(lambda: "last" in text_of(path), lambda: f"{text_of(path)}")
    finally:
        process.terminate()
        process.wait(30)
    heads = re.findall(r"^# (.*)$", text_of(path), re.MULTILINE)
    assert heads == ["first", "newer", "late", "last"]


def test_follow_a_running_session(daemon, peer, box, ctl):
    """Lines come while the session runs, and nothing of a newer one before its end."""
    peer.on("STAT", faults.stall())
    daemon.configure(daemon.account(peer, timeout=120)).start()
    daemon.ctl("poll", "box")
    wait_for(
        lambda: daemon.session_logs() and "--> STAT" in daemon.session_logs()[0],
        lambda: f"STAT is in the log: {daemon.session_logs()}",
    )
    assert "running" in ctl.run("log").stdout
    assert "it is still running" in ctl.run("flow", "1").stdout
    process, path = ctl.follow("1")
    try:
        wait_for(lambda: "--> STAT" in text_of(path), lambda: f"it comes: {text_of(path)}")
        assert "closed: " not in text_of(path)
        daemon.stop()
        wait_for(lambda: "closed: " in text_of(path), lambda: f"its end: {text_of(path)}")
    finally:
        process.terminate()
        process.wait(30)


def test_a_killed_daemon(daemon, peer, box, ctl):
    peer.on("STAT", faults.stall())
    daemon.configure(daemon.account(peer, timeout=120)).start()
    daemon.ctl("poll", "box")
    wait_for(
        lambda: daemon.session_logs() and "--> STAT" in daemon.session_logs()[0],
        lambda: f"STAT is in the log: {daemon.session_logs()}",
    )
    daemon.kill()
    assert "broken off" in ctl.run("log").stdout
    assert "the log breaks off here" in ctl.run("flow", "1", COLUMNS="140").stdout


def test_follow_for_programs(fetched, ctl, box):
    process, path = ctl.begin("--json", "log", "--follow")
    try:
        wait_for(lambda: "closed: ok" in text_of(path), lambda: f"the first: {text_of(path)}")
        box.add(messages.simple(10))
        fetched.fetch()
        wait_for(lambda: text_of(path).count("closed: ok") == 2, lambda: f"two: {text_of(path)}")
    finally:
        process.terminate()
        process.wait(30)
    lines = [json.loads(line) for line in text_of(path).splitlines()]
    heads = [line["text"] for line in lines if line["kind"] == "other"]
    assert len(heads) == 2 and all("postrider session 00000" in head for head in heads), heads
    assert [line["text"] for line in lines if line["kind"] == "sent"].count("QUIT") == 2


# flow


def test_the_chart_of_a_poll(fetched, ctl):
    fetched.stop()
    chart = ctl.run("flow", "1", LC_ALL="C.UTF-8", COLUMNS="80").stdout
    rows = chart.splitlines()
    assert all(len(row) <= 79 for row in rows)
    for command in ("CAPA", "RETR 1", "DELE 3", "QUIT"):
        assert re.search(rf"[─┌├└] {command} ─+►│$", chart, re.MULTILINE), (command, chart)
    assert re.search(r"│◄── RETR 2 ─+ \+OK ", chart), chart
    assert "(message 3: " in chart
    assert "└" in rows[-1] and "ok, 3 fetched, 3 deleted" in rows[-1]
    assert ctl.run("flow", "box", LC_ALL="C.UTF-8", COLUMNS="80").stdout == chart
    ascii_chart = ctl.run("flow", "1", LC_ALL="C", COLUMNS="60").stdout
    assert ascii_chart.isascii()
    assert all(len(row) <= 59 for row in ascii_chart.splitlines())
    assert ctl.run("--json", "flow", "1").stdout == ctl.run("--json", "log", "1").stdout


DATA = [r"║└ DATA ─+►║", r"║◄── DATA ─+ 354 "]
BDAT = [r"║└ RCPT ", r"║  BDAT 22 +║", r"║  BDAT \d+ LAST", r"║◄─+ 250 .* queued as"]


@pytest.mark.parametrize("chunking, rows", [(False, DATA), (True, BDAT)], ids=["DATA", "BDAT"])
def test_the_chart_of_a_delivery(
    daemon, postfix, dovecot, spool, certificates, ctl, chunking, rows
):
    user, box = dovecot.add_user(), postfix.add_box()
    login = {"user": user, "password": PASSWORD, "tls_ca_file": certificates["ca"]}
    account = smtp_account(daemon, postfix.starttls, chunking=chunking, **login)
    daemon.configure(
        account, retry=RETRY, log={"level": "debug", "sessions": daemon.sessions, "detail": "full"}
    ).start()
    spool.drop("one", letter(1, f"{box}@example.com"))
    postfix.wait_for(box, 1)
    spool.wait_empty()
    daemon.stop()
    chart = ctl.run("flow", "box", LC_ALL="C.UTF-8", COLUMNS="80").stdout
    plain, secret = chart.split("╠", 1)
    assert "STARTTLS" in plain and "║" not in plain
    assert "TLSv1.3" in secret.splitlines()[0]
    assert re.search(r"║┌ MAIL FROM:<me@example.org>", secret), chart
    for row in rows:
        assert re.search(row, secret), chart
    assert "more lines" in secret and "(message 1: " in secret
    assert "╚" in chart.splitlines()[-1]


def test_colour_is_for_terminals(fetched, ctl):
    fetched.stop()
    assert "\x1b" not in ctl.run("flow", "1", TERM="xterm").stdout
    for no_colour, coloured in (("", True), ("1", False)):
        master, slave = os.openpty()
        with os.fdopen(master, "rb") as terminal:
            subprocess.run(
                ctl.command("flow", "1"),
                stdin=subprocess.DEVNULL,
                stdout=slave,
                timeout=60,
                env=fetched.environment | {"TERM": "xterm", "NO_COLOR": no_colour},
                check=True,
            )
            os.set_blocking(master, False)
            shown = terminal.read()
        os.close(slave)
        assert b"QUIT" in shown
        assert (b"\x1b[36mQUIT\x1b[0m" in shown) is coloured


# dump


def tables(done):
    rows = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        rows.setdefault(row.pop("table"), []).append(row)
    return rows


def check_dump(done):
    rows = tables(done)
    (account,) = rows["account"]
    assert account["name"] == "box" and account["fetched"] == 3
    uids = {bytes.fromhex(row["uid"]) for row in rows["message"]}
    assert b"box-00000001" in uids and len(uids) == 3
    assert all(re.fullmatch("[0-9a-f]{64}", row["digest"]) for row in rows["message"])
    assert len(rows["age"]) == 1


def test_dump_beside_the_daemon_and_without_it(daemon, peer, box, ctl):
    for number in range(3):
        box.add(messages.simple(number))
    daemon.configure(daemon.account(peer)).start()
    ctl.run("dump")
    daemon.fetch()
    tmp = daemon.path("tmp")
    os.mkdir(tmp)
    check_dump(ctl.run("dump", TMPDIR=tmp))
    assert os.listdir(tmp) == []
    daemon.fetch()  # the daemon is not disturbed
    daemon.kill()
    check_dump(ctl.run("dump"))
    daemon.start().stop()
    check_dump(ctl.run("dump"))
    assert "pass word" not in ctl.run("dump").stdout


def test_dump_of_nothing(daemon, peer, box, ctl):
    daemon.configure(daemon.account(peer))
    assert "when it first runs" in ctl.run("dump", expect=EX_NOINPUT).stderr
    ctl.run("dump", "box", expect=EX_USAGE)


# check


def check_line(done, word):
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"postrider {word}: "), line
    return line


def test_check(fetched, ctl, peer, box):
    line = check_line(ctl.run("check"), "OK")
    assert "1 account" in line and "| accounts=1 " in line
    peer.on("STAT", faults.hang_up(), times=1)
    fetched.fail("network")
    assert "fetching for box fails: " in check_line(ctl.run("check", expect=1), "WARNING")

    def is_old():
        done = subprocess.run(
            ctl.command("check", "--max-age", "1"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=fetched.environment,
            check=False,
        )
        return done.returncode == 2 and "has not worked for" in check_line(done, "CRITICAL")

    wait_for(is_old, lambda: "the failure is older than a second")
    since = fetched.status()["failing_since"]
    peer.on("STAT", faults.hang_up(), times=1)
    fetched.fail("network")
    fetched.restart()
    assert fetched.status()["failing_since"] == since, "the first of them, after a restart, too"
    fetched.fetch()
    check_line(ctl.run("check", "--max-age=1h", "--max-queued", "30m"), "OK")
    answer = json.loads(ctl.run("--json", "check").stdout)
    assert answer["level"] == 0 and answer["text"].startswith("postrider OK: ")


def test_check_a_blocked_account(fetched, ctl):
    os.rename(fetched.path("Mail", "box"), fetched.path("Mail", "gone"))
    fetched.fail("local")
    line = check_line(ctl.run("check", expect=2), "CRITICAL")
    assert "fetching for box is blocked: " in line


def test_check_the_queue(daemon, relay, spool, ctl):
    relay.on("RCPT", faults.answer("550 5.1.1 no such user"))
    daemon.configure(smtp_account(daemon, relay), retry=RETRY).start()
    spool.drop("one", letter(1))
    wait_for(
        lambda: daemon.ctl("status")["queue"]["failed"] == 1,
        lambda: f"it has failed: {daemon.ctl('status')}",
    )
    done = ctl.run("check", expect=1)
    assert "1 message in failed/" in check_line(done, "WARNING")


def test_check_without_a_daemon(daemon, peer, box, ctl):
    daemon.configure(daemon.account(peer))
    assert "no daemon answers on" in check_line(ctl.run("check", expect=2), "CRITICAL")
    daemon.write("nonsense")
    assert "configuration" in check_line(ctl.run("check", expect=2), "CRITICAL")
    for words in (("--max-age", "soon"), ("--max-age", "0"), ("--max-queued", "-1"), ("box",)):
        ctl.run("check", *words, expect=EX_USAGE)
