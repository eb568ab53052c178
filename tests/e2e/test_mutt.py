"""mutt reads what the daemon stores."""

import mailbox
import os
import pty
import select
import shutil
import signal
import subprocess
import time

import pytest
from support import messages

MUTTRC = """
set folder={home} spoolfile={maildir} record="" header_cache="" move=no quit=yes
set confirmcreate=no confirmappend=no wait_key=no beep=no mark_old=no
push "<tag-pattern>~A<enter><tag-prefix><copy-message>{copy}<enter><exit>"
"""


def run_in_terminal(command, environment, timeout=60):
    """Runs a full-screen program to its end, its screen read and thrown away."""
    try:
        master, slave = pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminal for mutt: {error}; is /dev/pts mounted?")
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        start_new_session=True,
    )
    os.close(slave)
    screen = bytearray()
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([master], [], [], 0.1)
            if ready:
                screen += os.read(master, 65536)
            elif process.poll() is not None:
                break
    except OSError:  # EIO: the other side is closed
        pass
    finally:
        os.close(master)
    try:
        return process.wait(max(0.1, deadline - time.monotonic())), bytes(screen)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        raise AssertionError(f"{command[0]} did not end: {bytes(screen)[-2000:]}") from None


def test_mutt_reads_the_maildir(daemon, peer, box):
    if shutil.which("mutt") is None:
        pytest.skip("mutt is missing; on Debian: apt install mutt")
    for number in range(20):
        box.add(messages.simple(number))
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()

    copy, rc = daemon.path("copy"), daemon.path("muttrc")
    with open(rc, "w") as file:
        file.write(
            MUTTRC.format(home=daemon.directory, maildir=daemon.maildir().path, copy=copy)
        )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": daemon.directory,
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }
    status, screen = run_in_terminal(
        ["mutt", "-n", "-F", rc, "-m", "mbox", "-f", daemon.maildir().path], environment
    )
    assert status == 0, screen[-2000:]
    assert os.path.exists(copy), screen[-2000:]
    subjects = sorted(message["Subject"] for message in mailbox.mbox(copy))
    assert subjects == sorted(f"number {number}" for number in range(20))
    assert len(daemon.maildir().messages()) == 20


def test_python_reads_the_maildir(daemon, peer, box):
    for number in range(20):
        box.add(messages.simple(number))
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    reader = mailbox.Maildir(daemon.maildir().path, create=False)
    subjects = sorted(message["Subject"] for message in reader)
    assert subjects == sorted(f"number {number}" for number in range(20))
