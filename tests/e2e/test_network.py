"""A machine whose network comes and goes: what waits after trouble is tried as soon as it may work,
and hours without a network do not fill the log."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import faults
import pytest
from support.daemon import Daemon
from support.dovecot import free_ports
from support.spool import Spool, drop_letters, smtp_account
from support.waiting import wait_for

LOOPBACK_UP = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    request = struct.pack("16sH14x", b"lo", 1)  # IFF_UP
    fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS
"""
ANOTHER_ADDRESS = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    request = struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton("10.9.9.9"))
    fcntl.ioctl(s, 0x8916, request)  # SIOCSIFADDR
"""
CLONE_NEWNET = 0x40000000


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


def change_network(daemon, script):
    subprocess.run(
        ["nsenter", "-t", str(daemon.process.pid), "-n", sys.executable, "-c", script],
        check=True,
        env={"PATH": os.environ["PATH"]},
    )


def go_online(daemon):
    change_network(daemon, LOOPBACK_UP)


def make_there(daemon, make):
    """make() in a thread that is in the daemon's network: a socket stays where it was made."""

    def work():
        with open(f"/proc/{daemon.process.pid}/ns/net", "rb") as network:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.setns(network.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        return make()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


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


def test_who_is_in_doubt_waits_all_the_same(offline, make_relay):
    """Another network makes what waits after trouble due, and not what may have been delivered."""
    offline.configure()
    offline.start()
    go_online(offline)
    relay = make_there(offline, make_relay)
    relay.on("DOT", faults.dot_unanswered(), times=1)
    offline.configure(smtp_account(offline, relay), retry={"first": "1h", "max": "1h"})
    offline.ctl("reload")
    spool = Spool(offline)
    drop_letters(spool, 1)
    spool.wait_queue(
        lambda queue: queue and queue[0]["recipients"][0]["state"] == "unknown", "one is in doubt"
    )
    spool.wait_status(lambda status: status["state"] == "backoff", "the account waits")
    drop_letters(spool, 1, first=1)
    spool.wait_queue(lambda queue: len(queue) == 2, "another one waits with it")
    change_network(offline, ANOTHER_ADDRESS)
    relay.wait_accepted(2)
    (message,) = spool.wait_queue(lambda queue: len(queue) == 1, "the other one is sent")
    assert message["attempts"] == 1
    assert len(relay.transactions) == 2


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
