"""tls_keylog: what tshark decrypts of the wire is what the session log says was sent."""

import re
import shutil
import signal
import subprocess

import pytest
from support import messages
from support.spool import drop_letters, smtp_account
from support.waiting import wait_for

SENT = re.compile(r"^\S+ --> (.*)$", re.MULTILINE)


class Capture:
    """tshark on the loopback interface, for one port."""

    def __init__(self, directory, port):
        self.file = str(directory / "wire.pcapng")
        self.log = open(directory / "tshark", "w+")  # noqa: SIM115 - closed by stop()
        self.process = subprocess.Popen(
            ["tshark", "-i", "lo", "-f", f"tcp port {port}", "-w", self.file],
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        wait_for(self.runs, lambda: f"tshark captures: {self.said()}")

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def runs(self):
        assert self.process.poll() is None, self.said()
        return "Capturing on" in self.said()

    def has_the_end(self):
        """Both sides' FIN; the file may end in the middle of a packet."""
        done = subprocess.run(
            ["tshark", "-r", self.file, "-Y", "tcp.flags.fin == 1 || tcp.flags.reset == 1"],
            capture_output=True,
            check=False,
        )
        return len(done.stdout.splitlines()) >= 2

    def end(self):
        wait_for(self.has_the_end, lambda: f"the connection's end is captured: {self.said()}")
        self.stop()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        self.log.close()

    def client_octets(self, port, keylog):
        """What the client sent, decrypted."""
        done = subprocess.run(
            ["tshark", "-r", self.file, "-o", f"tls.keylog_file:{keylog}"]
            + ["-d", f"tcp.port=={port},tls", "-q", "-z", "follow,tls,raw,0"],
            capture_output=True,
            text=True,
            check=True,
        )
        # What Node 1 sent is indented; Node 0 is who spoke first, the server here.
        server_first = re.search(rf"^Node 0: \S+:{port}$", done.stdout, re.MULTILINE)
        mark = "\t" if server_first else ""
        lines = re.findall(rf"^{mark}([0-9a-f]+)$", done.stdout, re.MULTILINE)
        assert lines, f"nothing was decrypted: {done.stdout}{done.stderr}"
        return bytes.fromhex("".join(lines))


@pytest.fixture
def capture(tmp_path, as_root):
    if shutil.which("tshark") is None:
        pytest.skip("tshark is missing; on Debian: apt install tshark")
    captures = []

    def start(port):
        captures.append(Capture(tmp_path, port))
        return captures[-1]

    yield start
    for one in captures:
        if one.process.poll() is None:
            one.stop()


def assert_same(log, octets):
    """Line for line; what the log hides stands for anything."""
    logged = SENT.findall(log)
    lines = octets.decode().split("\r\n")
    assert lines.pop() == ""
    assert len(logged) == len(lines), (logged, lines)
    for shown, line in zip(logged, lines):
        pattern = re.escape(shown).replace(re.escape("****"), ".+")
        assert re.fullmatch(pattern, line), (shown, line)
    assert any("****" in shown for shown in logged)


def test_pop3(daemon, make_peer, certificates, capture, tmp_path):
    peer = make_peer("implicit")
    box = peer.add_mailbox("box")
    for number in range(5):
        box.add(messages.simple(number))
    keylog = tmp_path / "keys"
    account = daemon.account(
        peer, tls_ca_file=certificates["ca"], tls_keylog=str(keylog), keep="no"
    )
    wire = capture(peer.port)
    daemon.configure(account).once()
    wire.end()
    (log,) = daemon.session_logs()
    assert_same(log, wire.client_octets(peer.port, keylog))
    assert keylog.stat().st_mode & 0o777 == 0o600


def test_smtp(daemon, make_relay, certificates, capture, tmp_path, spool):
    relay = make_relay("implicit")
    relay.users["me"] = "secret word"
    keylog = tmp_path / "keys"
    account = smtp_account(
        daemon,
        relay,
        user="me",
        password="secret word",
        tls_ca_file=certificates["ca"],
        tls_keylog=str(keylog),
    )
    drop_letters(spool, 3)
    wire = capture(relay.port)
    daemon.configure(account).once()
    wire.end()
    (log,) = daemon.session_logs()
    octets = wire.client_octets(relay.port, keylog)
    texts = re.compile(rb"(DATA\r\n)(.*?\r\n)\.\r\n", re.DOTALL)
    sizes = [len(text) for _, text in texts.findall(octets)]
    assert [int(n) for n in re.findall(r"--> \(message \d+: (\d+) octets\)", log)] == sizes
    shown = re.sub(r"^\S+ --> \(message .*\n", "", log, flags=re.MULTILINE)
    assert_same(shown, texts.sub(rb"\1", octets))
