"""A machine whose network comes and goes: what waits after trouble is tried as soon as it may work,
and hours without a network do not fill the log."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from support.daemon import Daemon
from support.dovecot import free_ports
from support.spool import Spool, drop_letters
from support.waiting import wait_for

LOOPBACK_UP = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    request = struct.pack("16sH14x", b"lo", 1)  # IFF_UP
    fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS
"""


@pytest.fixture
def offline(tmp_path, program, as_root):
    """A daemon in a network of its own, in which not even the loopback interface is up."""
    if shutil.which("unshare") is None or subprocess.run(
        ["unshare", "-n", "true"], capture_output=True, check=False
    ).returncode != 0:
        pytest.skip("no network namespaces here")
    wrapper = tmp_path / "offline"
    wrapper.write_text(f'#!/bin/sh\nexec unshare -n "{program}" "$@"\n')
    wrapper.chmod(0o700)
    daemon = Daemon(tmp_path, str(wrapper))
    yield daemon
    daemon.stop()
    daemon.check_sanitizers()


def go_online(daemon):
    subprocess.run(
        ["nsenter", "-t", str(daemon.process.pid), "-n", sys.executable, "-c", LOOPBACK_UP],
        check=True,
        env={"PATH": os.environ["PATH"]},
    )


def test_a_network_that_comes(offline):
    port = free_ports(1)[0]
    endpoint = {"host": "127.0.0.1", "port": port, "tls": "none"}
    account = {
        "name": "box",
        "maildir": offline.path("Mail", "box"),
        "addresses": ["me@example.org"],
        "pop3": endpoint | {"interval": "1h"},
        "smtp": endpoint,
    }
    offline.configure(account, retry={"first": "1h", "max": "1h"})
    spool = Spool(offline)
    drop_letters(spool, 2)
    offline.start()

    def sides():
        found = offline.ctl("status", "box")["accounts"][0]
        return [found["pop3"], found["smtp"]]

    wait_for(
        lambda: all(side["state"] == "backoff" for side in sides()),
        lambda: f"both sides wait: {sides()}",
    )
    assert [side["failures"] for side in sides()] == [1, 1]
    assert all("unreachable" in side["last_error"]["text"] for side in sides())
    go_online(offline)
    wait_for(
        lambda: all("refused" in side["last_error"]["text"] for side in sides()),
        lambda: f"both sides are tried again: {sides()}",
    )
    assert [side["failures"] for side in sides()] == [2, 2]
    assert re.search("the network has changed", offline.log())
    assert len(spool.files("queue")) == 2


def test_hours_without_a_network(offline):
    """The same trouble again and again is told ever more rarely; `status` has it all the time."""
    port = free_ports(1)[0]
    endpoint = {"host": "127.0.0.1", "port": port, "tls": "none"}
    account = {
        "name": "box",
        "maildir": offline.path("Mail", "box"),
        "addresses": ["me@example.org"],
        "pop3": endpoint | {"interval": "1s"},
        "smtp": endpoint,
    }
    offline.configure(account, retry={"first": "1s", "max": "1s"}, log={"level": "info"})
    drop_letters(Spool(offline), 1)
    offline.start()
    failures = 10

    def smtp():
        return offline.ctl("status", "box")["accounts"][0]["smtp"]

    wait_for(lambda: smtp()["failures"] >= failures, lambda: f"{failures} failures: {smtp()}")
    told = [line for line in offline.log().splitlines() if "protocol=smtp" in line]
    assert 3 <= len(told) <= 5, told
    assert "failures=8" in told[-1], told
