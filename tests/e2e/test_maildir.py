"""The Maildir: made once, never silently replaced; full and read-only disks lose nothing."""

import os
import shutil
import stat
import subprocess

import pytest
from support import messages
from support.maildir import Maildir, expected


@pytest.fixture
def account(daemon, peer, box):
    """Configures and starts the one account, with five messages waiting."""
    for number in range(5):
        box.add(messages.simple(number, size=50_000))
    sent = list(box.messages)

    def start(**changes):
        daemon.configure(daemon.account(peer, **changes)).start()
        return sent

    return start


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_made_on_first_use(daemon, account):
    sent = account()
    assert not os.path.exists(daemon.maildir().path)
    daemon.fetch()
    for folder in ("", "new", "cur", "tmp"):
        assert mode(os.path.join(daemon.maildir().path, folder)) == 0o700
    daemon.maildir().check(mode=0o600)
    assert daemon.maildir().digests() == expected(sent)


def test_maildir_mode_for_a_group(daemon, account):
    account(account_maildir_mode="0640")
    daemon.fetch()
    for folder in ("", "new", "cur", "tmp"):
        assert mode(os.path.join(daemon.maildir().path, folder)) & 0o077 in (0o050, 0o070)
    daemon.maildir().check(mode=0o640)


def test_an_existing_maildir_is_used(daemon, account):
    """Mail that is there already stays as it is."""
    path = daemon.maildir().path
    for folder in ("new", "cur", "tmp"):
        os.makedirs(os.path.join(path, folder))
    old = os.path.join(path, "cur", "1234.old.host:2,S")
    with open(old, "w") as file:
        file.write("Subject: old\n\nold\n")
    account()
    daemon.fetch()
    assert os.path.exists(old)
    assert len(daemon.maildir().files("new")) == 5


def blocked(daemon, peer):
    """Refused before anything is fetched, and the text names the way out."""
    before = len(peer.retrieved)
    status = daemon.fail("local", "adopt", daemon.maildir().path)
    assert status["state"] == "blocked", status
    assert len(peer.retrieved) == before
    return status


def test_gone(daemon, peer, box, account):
    sent = account(keep="no")
    daemon.fetch()
    shutil.rmtree(daemon.maildir().path)
    box.add(messages.simple(7))
    blocked(daemon, peer)
    assert not os.path.exists(daemon.maildir().path)
    assert len(box.messages) == 1

    daemon.ctl("adopt", "box")
    daemon.fetch()
    assert len(daemon.maildir().messages()) == 1
    assert len(sent) == 5


def test_gone_and_back(daemon, peer, box, account):
    """A home that is mounted again needs no person."""
    sent = account()
    daemon.fetch()
    away = daemon.path("away")
    os.rename(daemon.maildir().path, away)
    blocked(daemon, peer)
    os.rename(away, daemon.maildir().path)
    later = box.add(messages.simple(8))
    daemon.fetch()
    assert daemon.maildir().digests() == expected([*sent, later])


def test_another_directory(daemon, peer, box, account):
    account()
    daemon.fetch()
    path = daemon.maildir().path
    os.rename(path, daemon.path("away"))
    for folder in ("new", "cur", "tmp"):
        os.makedirs(os.path.join(path, folder))
    later = box.add(messages.simple(8))
    blocked(daemon, peer)
    daemon.restart()
    blocked(daemon, peer)

    daemon.ctl("adopt", "box")
    daemon.fetch()
    assert daemon.maildir().digests() == expected([later])


def test_no_maildir_any_more(daemon, peer, account):
    """One of its three directories is missing."""
    account()
    daemon.fetch()
    os.rmdir(os.path.join(daemon.maildir().path, "tmp"))
    status = daemon.fail("local", "tmp|adopt")
    assert status["state"] in ("blocked", "backoff")


def test_moved_in_the_configuration(daemon, peer, box, account):
    """Another path is a first use of another Maildir, or asks for `adopt`; it is never silent."""
    sent = account()
    daemon.fetch()
    moved = daemon.path("Mail", "elsewhere")
    daemon.configure(daemon.account(peer, account_maildir=moved))
    daemon.ctl("reload")
    later = box.add(messages.simple(9))
    status = daemon.poll()
    if status["state"] == "blocked":
        assert "adopt" in status["last_error"]["text"]
        daemon.ctl("adopt", "box")
        daemon.fetch()
    assert Maildir(moved).digests() == expected([later])
    assert daemon.maildir().digests() == expected(sent)


def test_adopt_everything(daemon, peer, box, account):
    """`adopt ACCOUNT *`: what is on the server now was read elsewhere."""
    account()
    daemon.ctl("adopt", "box", "*")
    assert daemon.fetch()["fetched"] == 0
    assert peer.retrieved == []
    later = box.add(messages.simple(9))
    daemon.fetch()
    assert daemon.maildir().digests() == expected([later])


def test_adopt_of_no_one(daemon, account):
    account()
    answer = daemon.ask("adopt nobody")
    assert not answer["ok"]
    assert "nobody" in answer["error"]


def test_a_file_in_the_way(daemon, peer, account):
    account()
    os.makedirs(daemon.path("Mail"))
    with open(daemon.maildir().path, "w") as file:
        file.write("not a directory")
    daemon.fail("local", daemon.maildir().path)
    assert peer.retrieved == []


@pytest.fixture
def mount(daemon, as_root):
    """A small file system of its own below Mail/."""
    point = daemon.path("Mail")
    os.makedirs(point)

    def run(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"{' '.join(command)}: {done.stderr.strip()}")

    run("mount", "-t", "tmpfs", "-o", "size=128k", "postrider-test", point)
    yield lambda options: run("mount", "-o", "remount," + options, point)
    subprocess.run(["umount", "-l", point], check=False)


@pytest.mark.parametrize("keep", ["no", "forever"])
def test_a_full_disk(daemon, peer, box, mount, account, keep):
    sent = account(keep=keep)
    status = daemon.fail("local", "space", daemon.path("Mail"))
    assert status["state"] == "backoff"
    assert len(box.messages) + status["fetched"] >= 5

    mount("size=16m")
    daemon.fetch()
    daemon.maildir().check()
    assert daemon.maildir().digests() == expected(sent)
    assert len(box.messages) == (0 if keep == "no" else 5)


def test_a_read_only_disk(daemon, peer, box, mount, account):
    sent = account(keep="no")
    mount("size=16m")
    daemon.fetch()
    sent.append(box.add(messages.simple(9)))
    mount("ro")
    daemon.fail("local", "read.only", daemon.path("Mail"))
    assert len(box.messages) == 1
    mount("rw")
    daemon.fetch()
    assert daemon.maildir().digests() == expected(sent)


@pytest.mark.skipif(os.geteuid() == 0, reason="root ignores permissions")
def test_no_permission(daemon, box, account):
    sent = account(keep="no")
    daemon.fetch()
    sent.append(box.add(messages.simple(9)))
    os.chmod(os.path.join(daemon.maildir().path, "tmp"), 0o500)
    daemon.fail("local", "permission")
    os.chmod(os.path.join(daemon.maildir().path, "tmp"), 0o700)
    daemon.fetch()
    assert daemon.maildir().digests() == expected(sent)
