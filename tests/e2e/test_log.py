"""Session logs: their format, and that no secret is in them or anywhere else."""

import base64
import os
import re
import stat
import time

import faults
import pytest
from support import messages

HEAD = re.compile(r"^# postrider session \d{6,} account=\S+ protocol=pop3 server=\S+:\d+$")
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (-->|<--|---)( .*)?$")
NAME = re.compile(r"^\d{8}T\d{6}\.\d{3}Z-pop3-\d{6,}\.log$")
SECRET = "s3cr3t-Zauberwort"


def parse(text):
    """A log's lines after the first as (direction, text), each of the promised form."""
    lines = text.removesuffix("\n").split("\n")
    assert HEAD.match(lines[0]), lines[0]
    parsed = []
    for line in lines[1:]:
        assert LINE.match(line), line
        assert line.isprintable() and line.isascii(), line
        _, direction, *rest = line.split(" ", 2)
        parsed.append((direction, rest[0] if rest else ""))
    return parsed


@pytest.fixture
def secretive(peer):
    box = peer.add_mailbox("box", SECRET)
    box.add(messages.simple(1))
    return box


def files_below(path):
    for directory, _, names in os.walk(path):
        for name in names:
            yield os.path.join(directory, name)


def assert_kept_secret(daemon):
    """The secret is in no file but the configuration, in no form that a log may give it."""
    forms = [SECRET, base64.b64encode(SECRET.encode()).decode()]
    forms.append(base64.b64encode(f"\0box\0{SECRET}".encode()).decode())
    for path in files_below(daemon.directory):
        if path == daemon.config or stat.S_ISSOCK(os.lstat(path).st_mode):
            continue
        with open(path, "rb") as file:
            octets = file.read()
        for form in forms:
            assert form.encode() not in octets, f"{form} in {path}"


def test_the_whole_conversation(daemon, peer, secretive):
    peer.without = {"PIPELINING"}
    account = daemon.account(peer, password=SECRET, auth=["USER"], keep="no")
    daemon.configure(account).start()
    daemon.fetch()
    daemon.stop()
    (text,) = daemon.session_logs()
    lines = parse(text)
    size = secretive.expunged[0].size
    assert f"account=box protocol=pop3 server=127.0.0.1:{peer.port}" in text.splitlines()[0]
    assert lines[0] == ("---", f"connected to 127.0.0.1:{peer.port}")
    assert lines[1] == ("<--", "+OK " + peer.greeting)
    sent = [line for direction, line in lines if direction == "-->"]
    assert sent[:3] == ["CAPA", "USER box", "PASS ****"]
    assert [line for line in sent if line[:4] in ("RETR", "DELE", "QUIT")] == [
        "RETR 1",
        "DELE 1",
        "QUIT",
    ]
    got = [line for direction, line in lines if direction == "<--"]
    for expected in ("TOP", "UIDL", ".", "1 box-00000001", "+OK 1 messages"):
        assert expected in got, expected
    assert any(re.match(r"^\(message 1: \d+ octets\)$", line) for line in got)
    assert not any("Message 1." in line for line in got), "octets are not in it"
    direction, last = lines[-1]
    assert direction == "---"
    assert re.match(
        r"^closed: ok, 1 fetched, 1 deleted, \d+ octets in, \d+\.\d{3} s$", last
    ), last
    assert int(re.search(r"(\d+) octets in", last)[1]) >= size


def test_tls_is_noted(daemon, make_peer, certificates):
    peer = make_peer("implicit")
    peer.add_mailbox("box")
    daemon.configure(daemon.account(peer, tls_ca_file=certificates["ca"])).start()
    daemon.fetch()
    daemon.stop()
    lines = parse(daemon.session_logs()[0])
    assert lines[1][0] == "---"
    assert re.match(r"^TLSv1\.3 TLS_\S+, CN=localhost verified$", lines[1][1]), lines[1]


def test_a_failure_is_noted(daemon, peer, box):
    peer.on("STAT", faults.hang_up())
    daemon.configure(daemon.account(peer)).start()
    daemon.fail("network")
    daemon.stop()
    direction, last = parse(daemon.session_logs()[0])[-1]
    assert direction == "---"
    assert last.startswith("closed: ") and "ok" not in last.split(",")[0]


@pytest.mark.parametrize("auth", ["USER", "PLAIN"])
@pytest.mark.parametrize("detail", ["commands", "full"])
def test_the_secret_is_nowhere(daemon, peer, secretive, auth, detail):
    daemon.configure(
        daemon.account(peer, password=SECRET, auth=[auth]),
        log={"level": "debug", "sessions": daemon.sessions, "detail": detail},
    ).start()
    daemon.fetch()
    daemon.stop()
    assert "****" in daemon.session_logs()[0]
    assert_kept_secret(daemon)


@pytest.mark.parametrize("auth", ["USER", "PLAIN"])
@pytest.mark.parametrize("detail", ["commands", "full"])
def test_the_secret_echoed_by_the_server(daemon, peer, secretive, auth, detail):
    encoded = base64.b64encode(SECRET.encode()).decode()
    whole = base64.b64encode(f"\0box\0{SECRET}".encode()).decode()
    echo = f"-ERR [AUTH] you said {SECRET} alias {encoded} alias {whole}"
    peer.on("PASS", faults.answer(echo))
    peer.on("AUTH", faults.answer(echo))
    daemon.configure(
        daemon.account(peer, password=SECRET, auth=[auth]),
        log={"level": "debug", "sessions": daemon.sessions, "detail": detail},
    ).start()
    status = daemon.fail("auth")
    assert SECRET not in str(status)
    assert encoded not in str(status)
    assert whole not in str(status)
    daemon.stop()
    assert_kept_secret(daemon)


def test_the_secret_in_a_greeting_and_in_garbage(daemon, peer, secretive):
    peer.greeting = f"welcome {SECRET}"
    peer.on("STAT", faults.answer(f"+OK {SECRET}"))
    daemon.configure(daemon.account(peer, password=SECRET)).start()
    status = daemon.poll()
    assert SECRET not in str(status)
    daemon.stop()
    assert_kept_secret(daemon)


def test_modes(daemon, peer, secretive):
    daemon.configure(daemon.account(peer, password=SECRET)).start()
    daemon.fetch()
    daemon.stop()
    directory = os.path.join(daemon.sessions, "box")
    for path in (daemon.sessions, directory, daemon.path("state")):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700, path
    (name,) = os.listdir(directory)
    assert NAME.match(name), name
    assert stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) == 0o600
    for path in files_below(daemon.path("state")):
        assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 == 0, path


def test_control_characters_are_escaped(daemon, peer, secretive):
    """ESC, CSI as one 8-bit octet and as UTF-8, DEL, tab, a CR within the line."""
    nasty = b"+OK \x1b[2J\x9b2J\xc2\x9b2J\x7f\t\r\x07 hello\r\n"
    peer.on("GREETING", faults.octets(nasty))
    daemon.configure(daemon.account(peer, password=SECRET)).start()
    daemon.poll()
    daemon.stop()
    lines = parse(daemon.session_logs()[0])
    assert any("hello" in line for direction, line in lines if direction == "<--")


def test_escapes_reach_neither_status_nor_standard_error(daemon, peer, secretive):
    peer.on("STAT", faults.octets(b"-ERR \x1b[2J\xc2\x9b2J\x07 bad\r\n"))
    daemon.configure(daemon.account(peer, password=SECRET)).start()
    text = daemon.poll()["last_error"]["text"]
    assert text.isprintable(), text
    daemon.stop()
    for line in daemon.log().splitlines():
        assert line.isprintable(), line


def test_full_detail(daemon, peer, secretive):
    daemon.configure(
        daemon.account(peer, password=SECRET),
        log={"sessions": daemon.sessions, "detail": "full"},
    ).start()
    daemon.fetch()
    daemon.stop()
    (text,) = daemon.session_logs()
    assert ("<--", "Message 1.") in parse(text)


def test_no_session_logs(daemon, peer, secretive):
    daemon.configure(daemon.account(peer, password=SECRET), log={"sessions": ""}).start()
    daemon.fetch()
    daemon.stop()
    assert not os.path.exists(daemon.sessions)


def test_logs_that_cannot_be_written_stop_no_mail(daemon, peer, secretive):
    with open(daemon.sessions, "w") as file:
        file.write("in the way")
    daemon.configure(daemon.account(peer, password=SECRET)).start()
    assert daemon.fetch()["fetched"] == 1


def old_file(path, days):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("# postrider session 000001 account=box protocol=pop3 server=x:1\n")
    then = time.time() - days * 86400
    os.utime(path, (then, then))
    return path


def log_name(days, number):
    then = time.gmtime(time.time() - days * 86400)
    return time.strftime("%Y%m%dT%H%M%S.000Z", then) + f"-pop3-{number:06d}.log"


def test_pruning_by_age(daemon, peer, secretive):
    """The oldest go, and only what bears a session log's name."""
    directory = os.path.join(daemon.sessions, "box")
    old = old_file(os.path.join(directory, log_name(30, 1)), 30)
    young = old_file(os.path.join(directory, log_name(2, 2)), 2)
    strangers = [
        old_file(os.path.join(directory, "notes.log"), 30),
        old_file(os.path.join(daemon.sessions, log_name(30, 1)[:-4]), 30),
    ]
    daemon.configure(
        daemon.account(peer, password=SECRET),
        log={"sessions": daemon.sessions, "keep": "14d", "keep_idle": "14d"},
    ).start()
    daemon.fetch()
    daemon.wait_status(lambda _: not os.path.exists(old), "the old log is pruned")
    assert os.path.exists(young)
    assert all(os.path.exists(path) for path in strangers)


def test_pruning_by_size(daemon, peer, secretive):
    directory = os.path.join(daemon.sessions, "box")
    paths = []
    for number in range(1, 6):
        path = old_file(os.path.join(directory, log_name(6 - number, number)), 6 - number)
        with open(path, "a") as file:
            file.write("2026-01-01T00:00:00.000Z <-- x\n" * 10_000)
        then = time.time() - (6 - number) * 86400
        os.utime(path, (then, then))
        paths.append(path)
    daemon.configure(
        daemon.account(peer, password=SECRET),
        log={"sessions": daemon.sessions, "max_total": "1M", "keep_idle": "14d"},
    ).start()
    daemon.fetch()
    daemon.wait_status(lambda _: not os.path.exists(paths[1]), "the oldest logs are pruned")
    assert not os.path.exists(paths[0])
    assert os.path.exists(paths[4])
