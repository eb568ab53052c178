"""The control socket, the daemon's options and its exit codes."""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from types import SimpleNamespace

import faults
import pytest
from support import libconfig, messages
from support.daemon import Control, Daemon
from support.dovecot import free_ports
from support.spool import drop_letters, smtp_account
from support.waiting import wait_for

EX_USAGE, EX_NOINPUT, EX_TEMPFAIL, EX_CONFIG = 64, 66, 75, 78
MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
STATES = set(
    "idle resolving connecting handshake authenticating listing fetching committing sending "
    "backoff blocked disabled".split()
)


def is_moment(item):
    return isinstance(item, str) and MOMENT.match(item)


def is_moment_or_null(item):
    return item is None or is_moment(item)


def is_count(item):
    return isinstance(item, int) and not isinstance(item, bool) and item >= 0


def is_text(item):
    return isinstance(item, str) and item != ""


def is_list(item):
    return isinstance(item, list)


def is_state(item):
    return item in STATES


def is_error(item):
    return item is None or fits(ERROR, item)


def nullable(check):
    return lambda item: item is None or check(item)


ERROR = {"time": is_moment, "kind": is_text, "text": is_text}
SIDE = {
    "state": is_state,
    "server": nullable(is_text),
    "last_attempt": is_moment_or_null,
    "last_success": is_moment_or_null,
    "next_attempt": is_moment_or_null,
    "failures": is_count,
    "failing_since": is_moment_or_null,
    "last_error": is_error,
}
POP3 = SIDE | {
    "fetched": is_count,
    "fetched_octets": is_count,
    "on_server": nullable(is_count),
    "skipped_large": is_count,
    "expires_after": nullable(is_count),
    "left_out": is_list,
}
SMTP = SIDE | {
    "sent": is_count,
    "sent_octets": is_count,
    "queued": is_count,
    "left_out": is_list,
}
QUEUE = dict.fromkeys(("messages", "octets", "deferred", "held", "failed"), is_count)
QUEUE["oldest"] = is_moment_or_null
SESSION = dict.fromkeys(("id", "account", "protocol", "server", "state"), is_text)
SESSION |= {"since": is_moment, "octets_in": is_count, "octets_out": is_count}


def fits(schema, item):
    """Exactly these fields, each as it should be."""
    assert isinstance(item, dict), item
    assert set(item) >= set(schema), set(schema) - set(item)
    for key, check in schema.items():
        assert check(item[key]), (key, item[key])
    return True


@pytest.fixture
def running(daemon, peer, box):
    box.add(messages.simple(1))
    daemon.configure(daemon.account(peer)).start()
    return daemon


# Verbs


def test_status_has_every_field(running, peer):
    def check():
        status = running.ctl("status")
        assert status["state"] == "running"
        assert status["pid"] == running.process.pid
        assert is_text(status["version"]) and is_moment(status["started"])
        assert isinstance(status["uptime"], (int, float)) and status["uptime"] >= 0
        assert is_count(status["loop"]["lag_max_ms"])
        assert fits(QUEUE, status["queue"])
        (account,) = status["accounts"]
        assert account["name"] == "box"
        assert fits(POP3, account["pop3"])
        assert account["pop3"]["server"] == f"127.0.0.1:{peer.port}"
        assert account["smtp"]["state"] == "disabled"
        return account["pop3"]

    side = check()
    assert side["state"] == "idle"
    assert side["last_attempt"] is side["last_success"] is side["last_error"] is None
    running.fetch()
    side = check()
    assert side["fetched"] == 1
    peer.on("STAT", faults.answer("-ERR no"))
    running.poll()
    side = check()
    assert side["last_error"]["kind"] == "server"
    assert side["failures"] == 1


def test_both_sides_of_an_account(daemon, peer, box):
    smtp = {"host": "127.0.0.1", "port": 25, "tls": "none"}
    both = daemon.account(peer, account_smtp=smtp, account_addresses=["me@example.org"])
    only = {"name": "sender", "addresses": ["you@example.org"], "smtp": smtp}
    only["smtp"] = smtp | {"bounce_to": "me@example.org"}
    daemon.configure(both, only).start()
    first, second = daemon.ctl("status")["accounts"]
    assert fits(POP3, first["pop3"]) and fits(SMTP, first["smtp"])
    assert first["smtp"]["state"] == "idle"
    assert second["pop3"]["state"] == "disabled"
    answer = daemon.ask("poll sender")
    assert not answer["ok"] and "sender" in answer["error"]


def test_status_of_no_one(running):
    for verb in ("status", "poll", "adopt"):
        answer = running.ask(verb + " nobody")
        assert answer["ok"] is False
        assert "nobody" in answer["error"]


def test_a_time_is_now(running):
    before = datetime.now(timezone.utc)
    running.fetch()
    when = running.status()["last_success"]
    moment = datetime.fromisoformat(when.replace("Z", "+00:00"))
    assert abs((moment - before).total_seconds()) < 60


def test_version_and_help(running):
    assert running.ctl("version")["version"] == running.ctl("status")["version"]
    text = str(running.ctl("help"))
    for verb in ("status", "poll", "adopt", "reload", "stop", "sessions", "version"):
        assert verb in text, verb


@pytest.mark.parametrize(
    "request_line", ["", "   ", "nonsense", "status a b c", "sta\x01tus", "poll box box", "reload x"]
)
def test_bad_requests(running, request_line):
    answer = running.ask(request_line)
    assert answer["ok"] is False
    assert is_text(answer["error"])
    assert running.ctl("version")


def test_a_misspelt_verb(running):
    assert "status" in running.ask("staus")["error"]


def test_many_requests_on_one_connection(running):
    with Control(running.socket) as control:
        control.send(b"version\nstatus box\n  status   box  \nversion\r\nsessions\n")
        answers = [control.receive() for _ in range(5)]
    assert all(answer["ok"] for answer in answers)
    assert "accounts" in answers[1] and "accounts" in answers[2]
    assert "sessions" in answers[4]


def test_a_request_in_pieces(running):
    with Control(running.socket) as control:
        for octet in b"version\n":
            control.send(bytes([octet]))
        assert control.receive()["ok"]


@pytest.mark.parametrize("junk", [b"a" * 5000 + b"\n", b"a" * 5000, b"a b\0c\n", b"\xff\xfe\n"])
def test_junk_is_answered_with_an_error(running, junk):
    with Control(running.socket) as control:
        control.send(junk)
        assert control.receive()["ok"] is False
    assert running.ctl("version")


def test_too_long_a_line_closes(running):
    with Control(running.socket) as control:
        control.send(b"a" * 5000)
        assert control.receive()["ok"] is False
        assert control.receive() is None


def test_too_many_clients(running):
    """The one too many is told so; when some have gone there is room again."""
    clients = []
    try:
        refused = None
        while refused is None and len(clients) < 1000:
            client = Control(running.socket)
            clients.append(client)
            client.send(b"version\n")
            answer = client.receive()
            refused = None if answer and answer["ok"] else answer or {}
        assert refused and refused["ok"] is False
    finally:
        for client in clients:
            client.close()

    def room():
        try:
            return running.ask("version")["ok"]
        except OSError:
            return False

    wait_for(room, "there is room again")


def test_sessions(daemon, peer, box):
    peer.on("STAT", faults.stall(), times=1)
    daemon.configure(daemon.account(peer, timeout=60)).start()
    assert daemon.ctl("sessions")["sessions"] == []
    daemon.ctl("poll", "box")
    peer.wait_for(lambda: peer.sent_command("STAT"), "the session is at STAT")
    (session,) = daemon.ctl("sessions")["sessions"]
    assert fits(SESSION, session)
    assert session["account"] == "box"
    assert session["protocol"] == "pop3"
    assert session["server"] == f"127.0.0.1:{peer.port}"
    assert session["state"] == "listing"
    assert session["octets_in"] > 0 and session["octets_out"] > 0
    assert daemon.status()["state"] == "listing"


def test_the_socket_is_private(running):
    assert stat.S_IMODE(os.stat(running.socket).st_mode) == 0o660


def test_the_socket_goes_with_the_daemon(running):
    running.stop()
    assert not os.path.exists(running.socket)


def test_a_dead_daemons_socket_is_replaced(running):
    running.kill()
    assert os.path.exists(running.socket)
    running.start()


def test_changing_verbs_are_for_those_who_may(as_root, program, peer, box):
    """A stranger who can reach the socket may look, not touch."""
    place = tempfile.mkdtemp(prefix="postrider-")
    daemon = Daemon(place, program)
    try:
        os.chmod(place, 0o755)
        daemon.configure(
            daemon.account(peer), control={"socket": daemon.socket, "mode": "0666"}
        ).start()
        script = (
            "import socket,sys\n"
            "s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
            "for v in sys.argv[2:]: s.sendall(v.encode()+b'\\n')\n"
            "f=s.makefile()\n"
            "for v in sys.argv[2:]: print(f.readline(),end='')\n"
        )
        verbs = ["status", "poll", "adopt box", "reload", "stop", "version"]
        done = subprocess.run(
            [sys.executable, "-c", script, daemon.socket, *verbs],
            user="nobody",
            group=pwd.getpwnam("nobody").pw_gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=True,
        )
        allowed = [json.loads(line)["ok"] for line in done.stdout.splitlines()]
        assert allowed == [True, False, False, False, False, True], done.stdout
        assert peer.sessions == []
        daemon.stop()
    finally:
        if daemon.process:
            daemon.kill()
        shutil.rmtree(place)


# Reload and stop


@pytest.mark.parametrize("how", ["socket", "signal"])
def test_a_good_reload(running, peer, how):
    peer.add_mailbox("second")
    running.configure(running.account(peer), running.account(peer, "second"))
    if how == "socket":
        running.ctl("reload")
    else:
        running.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(running.ctl("status")["accounts"]) == 2, "the second account is there")
    running.fetch("second")
    running.fetch("box")


def test_a_removed_account(daemon, peer, box):
    peer.add_mailbox("second")
    daemon.configure(daemon.account(peer), daemon.account(peer, "second")).start()
    daemon.fetch("second")
    daemon.configure(daemon.account(peer))
    daemon.ctl("reload")
    assert [a["name"] for a in daemon.ctl("status")["accounts"]] == ["box"]


def test_a_bad_reload(running, peer):
    """Every fault is told, and the old configuration stays."""
    bad = running.account(peer, keep="sometimes", nonsense=1)
    running.configure(bad)
    answer = running.ask("reload")
    assert answer["ok"] is False
    assert is_text(answer["error"])
    assert len(answer["faults"]) == 2, answer
    text = "\n".join(answer["faults"])
    assert "keep" in text and "nonsense" in text
    assert re.search(r"postrider\.conf:\d+: ", text)
    running.fetch()


def test_many_bad_reloads_at_once(running, peer):
    """Those that come during a reading begin the next one, and each hears of all the faults."""
    running.configure(running.account(peer, keep="sometimes", nonsense=1))
    for _ in range(20):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Control(running.socket)) for _ in range(8)]
            for client in clients:
                client.send(b"reload\n")
            assert [len(client.receive()["faults"]) for client in clients] == [2] * 8
    running.fetch()


def test_a_broken_reload_by_signal(running):
    running.write("accounts = (")
    running.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "postrider.conf" in running.log(), "the fault is in the log")
    running.fetch()


def test_stop_by_the_socket(running):
    assert running.ctl("stop")["ok"]
    assert running.process.wait(30) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_by_signal(running, number):
    running.process.send_signal(number)
    assert running.process.wait(30) == 0


@pytest.mark.parametrize("step", ["CONNECT", "RETR", "QUIT"])
def test_stop_in_the_middle_of_a_session(daemon, peer, box, step):
    """Within shutdown_timeout, cleanly; what was not stored is fetched after the next start."""
    for number in range(5):
        box.add(messages.simple(number))
    peer.on(step, faults.from_use(3, faults.stall()) if step == "RETR" else faults.stall())
    daemon.configure(
        daemon.account(peer, keep="no", timeout=60), shutdown_timeout=1
    ).start()
    daemon.ctl("poll", "box")
    if step == "CONNECT":
        peer.wait_for(lambda: peer.sessions, "it is connected")
    else:
        peer.wait_for(lambda: len(peer.sent_command(step)) >= (3 if step == "RETR" else 1), step)
    daemon.stop()
    peer.behave()
    daemon.start()
    daemon.fetch()
    assert len(daemon.maildir().messages()) == 5
    assert box.messages == []


# The command line


def test_a_second_daemon(running):
    holder = running.process.pid
    done = running.run()
    assert done.returncode == EX_TEMPFAIL
    assert str(holder) in done.stderr
    assert running.ctl("status")["pid"] == holder


def test_a_second_daemon_with_another_socket(running, peer):
    """The state directory is what is held."""
    holder = running.process.pid
    other = running.settings([running.account(peer)], control={"socket": running.path("run", "2")})
    running.write(libconfig.group(other))
    done = running.run("--once")
    assert done.returncode == EX_TEMPFAIL
    assert str(holder) in done.stderr


def test_once(daemon, peer, box):
    box.add(messages.simple(1))
    daemon.configure(daemon.account(peer, keep="no"))
    daemon.once(expect=0)
    assert len(daemon.maildir().messages()) == 1
    assert box.messages == []
    daemon.once(expect=0)
    assert len(daemon.maildir().messages()) == 1


def test_once_with_a_failure(daemon, peer, box):
    """One account fails, the other is polled all the same."""
    other = peer.add_mailbox("other")
    other.add(messages.simple(1))
    daemon.configure(daemon.account(peer, password="wrong"), daemon.account(peer, "other"))
    daemon.once(expect=EX_TEMPFAIL)
    assert len(daemon.maildir("other").messages()) == 1


BAD = """
nonsense = 1;
accounts = (
  { name = "one"; maildri = "/tmp/x"; pop3 = { host = 5; keep = "sometimes"; }; },
  { name = "one"; maildir = "/tmp/y"; pop3 = { host = "localhost"; tls = "perhaps"; }; }
);
"""


def test_every_fault_is_told(daemon):
    daemon.write(BAD)
    done = daemon.run("-t")
    assert done.returncode == EX_CONFIG
    faults_told = [line for line in (done.stdout + done.stderr).splitlines() if line]
    assert len(faults_told) >= 6, faults_told
    for line in faults_told:
        assert re.match(r"^\S+postrider\.conf:\d+: \S", line), line
    text = "\n".join(faults_told)
    for word in ("nonsense", "maildri", "maildir", "host", "sometimes", "perhaps", "one"):
        assert word in text, word


@pytest.mark.parametrize("option", [[], ["--once"], ["-t"]])
def test_a_bad_configuration(daemon, option):
    daemon.write(BAD)
    assert daemon.run(*option).returncode == EX_CONFIG
    assert not os.path.exists(daemon.path("state"))


def test_a_good_configuration(daemon, peer):
    daemon.configure(daemon.account(peer))
    assert daemon.run("-t").returncode == 0
    assert not os.path.exists(daemon.path("state"))
    assert peer.sessions == []


def test_a_readable_password(daemon, peer):
    daemon.configure(daemon.account(peer))
    os.chmod(daemon.config, 0o644)
    done = daemon.run("-t")
    assert done.returncode == EX_CONFIG
    assert "password" in done.stdout + done.stderr


def test_a_secret_in_clear(daemon, peer):
    """Not to another machine, unless that is spelt out."""
    daemon.configure(daemon.account(peer, host="pop.example.org"))
    assert daemon.run("-t").returncode == EX_CONFIG
    daemon.configure(daemon.account(peer, host="pop.example.org", cleartext_auth=True))
    assert daemon.run("-t").returncode == 0


def test_no_such_configuration(daemon):
    done = daemon.run()
    assert done.returncode == EX_NOINPUT
    assert "postrider.conf" in done.stderr


@pytest.mark.parametrize("options", [["--nonsense"], ["-x"], ["operand"], ["-c"]])
def test_usage(daemon, peer, options):
    daemon.configure(daemon.account(peer))
    assert daemon.run(*options).returncode == EX_USAGE


@pytest.mark.parametrize("option", ["-V", "-h"])
def test_version_and_usage(daemon, option):
    done = daemon.run(option)
    assert done.returncode == 0
    assert "postrider" in done.stdout


def test_environment_names_the_configuration(daemon, peer, box):
    daemon.configure(daemon.account(peer))
    done = subprocess.run(
        [daemon.binary, "--once"],
        env=daemon.environment | {"POSTRIDER_CONFIG": daemon.config},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(peer.sessions) == 1


# Commands that a poll runs


def test_on_fetch(daemon, peer, box):
    """Run after a poll that fetched, and not after one that did not."""
    count = daemon.path("count")
    box.add(messages.simple(1))
    box.add(messages.simple(2))
    hook = ["sh", "-c", f"echo x >> {count}"]
    daemon.configure(daemon.account(peer, account_on_fetch=hook)).start()
    daemon.fetch()
    wait_for(lambda: os.path.exists(count), "the hook has run")
    daemon.fetch()
    daemon.stop()
    assert os.path.getsize(count) == 2


def test_on_failure(daemon, peer, box):
    """Run when trouble begins, with what it is, and not for each failure after that."""
    told = daemon.path("told")
    peer.on("STAT", faults.answer("-ERR no"))
    hook = ["sh", "-c", 'echo "$POSTRIDER_ACCOUNT $POSTRIDER_COUNT $POSTRIDER_ERROR" >>' + told]
    daemon.configure(daemon.account(peer, account_on_failure=hook)).start()
    daemon.fail("server")
    wait_for(lambda: os.path.exists(told) and os.path.getsize(told), "the hook has run")
    daemon.fail("server")
    peer.behave()
    daemon.fetch()
    peer.on("STAT", faults.answer("-ERR no"))
    daemon.fail("server")
    wait_for(lambda: len(open(told).readlines()) == 2, "the hook has run again")
    daemon.stop()
    with open(told) as file:
        lines = file.read().splitlines()
    assert len(lines) == 2
    assert all(re.match(rf"box 1 .*:{peer.port}.*no", line) for line in lines), lines


def test_on_failure_of_sending(daemon, spool):
    """The same for the side that sends; --once waits for it."""
    told = daemon.path("told")
    hook = ["sh", "-c", 'echo "$POSTRIDER_ACCOUNT $POSTRIDER_COUNT $POSTRIDER_ERROR" >>' + told]
    (port,) = free_ports(1)
    account = smtp_account(daemon, SimpleNamespace(port=port, tls_mode="none"))
    daemon.configure(account | {"on_failure": hook})
    drop_letters(spool, 1)
    daemon.once(expect=75)
    daemon.once(expect=75)
    with open(told) as file:
        (line,) = file.read().splitlines()
    assert re.match(rf"box 1 .*:{port}.*refused", line), line


def test_a_hook_that_hangs(daemon, peer, box):
    """It delays neither the mail nor the end."""
    box.add(messages.simple(1))
    daemon.configure(
        daemon.account(peer, account_on_fetch=["sleep", "1000"]), shutdown_timeout=1
    ).start()
    daemon.fetch()
    box.add(messages.simple(2))
    assert daemon.fetch()["fetched"] == 2
    daemon.stop()


def test_a_socket_in_use_by_no_daemon(daemon, peer):
    """Something that is no socket stands in the way: refused, and left alone."""
    with open(daemon.socket, "w") as file:
        file.write("precious")
    daemon.configure(daemon.account(peer))
    done = daemon.run()
    assert done.returncode != 0
    assert daemon.socket in done.stderr
    with open(daemon.socket) as file:
        assert file.read() == "precious"


def test_a_client_that_does_not_read(running):
    """It is dropped at last; others are served meanwhile."""
    with Control(running.socket) as control:
        control.sock.setblocking(False)
        for _ in range(20_000):
            try:
                control.sock.send(b"status\n" * 100)
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                break
        assert running.ctl("version")
    assert isinstance(control.sock, socket.socket)


def test_settings_that_are_not_used_are_said(daemon, peer, box):
    """What is checked and not used must not pass in silence."""
    submission = {"listen": [daemon.path("submission")]}
    daemon.configure(daemon.account(peer), submission=submission)
    assert "does not listen yet" in daemon.once().stderr
