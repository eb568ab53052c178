"""Old session logs go: with --once, after a reload, and idle ones first. See test_log.py too."""

import os
import re
import time

import faults
import pytest
from support import messages
from support.waiting import wait_for


def make_log(daemon, days, number):
    """A log of another life of the daemon."""
    then = time.gmtime(time.time() - days * 86400)
    directory = os.path.join(daemon.sessions, "box")
    name = time.strftime("%Y%m%dT%H%M%S.000Z", then) + f"-pop3-{number:06d}.log"
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, name), "w") as file:
        file.write("# postrider session 000001 account=box protocol=pop3 server=x:1\n")
    return file.name


def configure(daemon, peer, **log):
    return daemon.configure(daemon.account(peer), log={"sessions": daemon.sessions} | log)


@pytest.fixture
def box(peer):
    box = peer.add_mailbox("box")
    box.add(messages.simple(1))
    return box


def test_once(daemon, peer, box):
    """What it has written itself counts, too."""
    old, young = make_log(daemon, 30, 1), make_log(daemon, 2, 2)
    configure(daemon, peer).once()
    assert not os.path.exists(old)
    assert os.path.exists(young)
    assert len(daemon.session_logs()) == 2
    configure(daemon, peer, max_total=1).once()
    assert daemon.session_logs() == []


def test_once_without_session_logs(daemon, peer, box):
    old = make_log(daemon, 30, 1)
    daemon.configure(daemon.account(peer), log={"sessions": ""}).once()
    assert os.path.exists(old)


def test_reload(daemon, peer, box):
    old = make_log(daemon, 30, 1)
    configure(daemon, peer, keep="60d").start()
    daemon.fetch()
    configure(daemon, peer, keep="14d")
    daemon.ctl("reload")
    wait_for(lambda: not os.path.exists(old), "the old log is pruned")
    assert len(daemon.ended_session_logs(1)) == 1


def test_idle_sessions(daemon, peer, box):
    """Of three sessions one has fetched, one has failed, and one has done nothing."""
    configure(daemon, peer, keep_idle="1d").start()
    daemon.fetch()
    daemon.fetch()
    peer.on("STAT", faults.hang_up())
    daemon.fail("network")
    assert len(daemon.session_logs()) == 3
    configure(daemon, peer, keep_idle=0)
    daemon.ctl("reload")
    wait_for(lambda: len(daemon.session_logs()) == 2, "the idle session's log is pruned")
    fetched, failed = daemon.session_logs()
    assert re.search(r"closed: ok, 1 fetched", fetched)
    assert re.search(r"closed: network, 0 fetched", failed)
