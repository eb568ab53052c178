"""A refused password is tried three times and no more: promise 5."""

import os
from datetime import datetime, timedelta

import faults
import pytest
from support import messages
from support.waiting import wait_for


def write_secret(daemon, text):
    path = daemon.path("secret")
    with open(path, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text + "\n")
    return path


@pytest.fixture
def account(daemon, peer, box):
    """An account whose password is wrong."""
    box.add(messages.simple(1))

    def make(**changes):
        path = write_secret(daemon, "wrong")
        settings = {"password": None, "password_file": path, "auth": ["USER"]} | changes
        return daemon.account(peer, **settings)

    return make


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def block(daemon, peer):
    """Polls until the account is blocked, and returns its status."""
    for tries in (1, 2, 3):
        status = daemon.fail("auth")
        assert len(peer.sent_command("PASS")) == tries
        assert (status["state"] == "blocked") == (tries == 3), status
    return status


def test_blocked_after_three(daemon, peer, account):
    daemon.configure(account()).start()
    status = block(daemon, peer)
    assert status["failures"] == 3


def test_a_blocked_account_tries_once_a_day(daemon, peer, account):
    daemon.configure(account(interval="1h")).start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first refusal")
    daemon.fail("auth")
    status = daemon.fail("auth")
    assert status["state"] == "blocked"
    pause = moment(status["next_attempt"]) - moment(status["last_attempt"])
    assert timedelta(hours=20) < pause < timedelta(hours=28), status


def test_the_pauses_grow(daemon, peer, account):
    daemon.configure(account(interval="10m")).start()
    first = daemon.wait_status(
        lambda s: s["failures"] == 1 and s["next_attempt"], "the first refusal"
    )
    second = daemon.fail("auth")
    pauses = [moment(s["next_attempt"]) - moment(s["last_attempt"]) for s in (first, second)]
    assert timedelta(minutes=5) < pauses[0] < pauses[1], pauses


def test_a_restart_does_not_unblock(daemon, peer, account):
    daemon.configure(account(interval="1h")).start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first refusal")
    daemon.fail("auth")
    daemon.fail("auth")
    daemon.restart()
    status = daemon.wait_status(lambda s: s["state"] == "blocked", "blocked as ever")
    assert status["last_error"]["kind"] == "auth"
    assert len(peer.sent_command("PASS")) == 3


def test_a_person_may_try(daemon, peer, account):
    daemon.configure(account()).start()
    block(daemon, peer)
    status = daemon.fail("auth")
    assert len(peer.sent_command("PASS")) == 4
    assert status["state"] == "blocked"

    write_secret(daemon, "pass word")
    status = daemon.fetch()
    assert (status["fetched"], status["failures"]) == (1, 0)


def test_a_changed_secret_is_tried_at_once(daemon, peer, account):
    daemon.configure(account(interval="1h")).start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first refusal")
    daemon.fail("auth")
    assert daemon.fail("auth")["state"] == "blocked"
    write_secret(daemon, "pass word")
    daemon.ctl("reload")
    daemon.wait_status(lambda s: s["state"] == "idle" and s["fetched"] == 1, "it works again")


def test_a_changed_configuration_is_tried_at_once(daemon, peer, account):
    daemon.configure(account(interval="1h")).start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first refusal")
    daemon.fail("auth")
    assert daemon.fail("auth")["state"] == "blocked"
    daemon.configure(account(interval="1h", password="pass word", password_file=None))
    daemon.ctl("reload")
    daemon.wait_status(lambda s: s["state"] == "idle" and s["fetched"] == 1, "it works again")


def test_an_unchanged_reload_does_not_try(daemon, peer, account):
    """Reloading is not a person's `poll`: the same secret would be refused again."""
    daemon.configure(account(interval="1h")).start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first refusal")
    daemon.fail("auth")
    daemon.fail("auth")
    daemon.ctl("reload")
    wait_for(lambda: daemon.ask("version")["ok"], "the daemon answers")
    assert daemon.status()["state"] == "blocked"
    assert len(peer.sent_command("PASS")) == 3


# A password in the configuration itself, which holds other things too


def block_in_a_file(daemon, peer, account, **changes):
    daemon.configure(account(password="wrong", password_file=None, interval="1h", **changes))
    daemon.start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first refusal")
    daemon.fail("auth")
    assert daemon.fail("auth")["state"] == "blocked"


def test_another_change_of_the_file_does_not_try(daemon, peer, account):
    block_in_a_file(daemon, peer, account)
    with open(daemon.config, "a") as file:
        file.write('retry = { first = "2m"; };\n')
    daemon.ctl("reload")
    wait_for(lambda: "reloaded" in daemon.log(), "the reload")
    assert daemon.status()["state"] == "blocked"
    daemon.restart()
    daemon.wait_status(lambda s: s["state"] == "blocked", "blocked as ever")
    assert len(peer.sent_command("PASS")) == 3


def test_a_changed_password_in_the_file_is_tried_at_once(daemon, peer, account):
    block_in_a_file(daemon, peer, account)
    daemon.configure(account(interval="1h", password="pass word", password_file=None))
    daemon.ctl("reload")
    daemon.wait_status(lambda s: s["state"] == "idle" and s["fetched"] == 1, "it works again")


@pytest.mark.parametrize("password", ["wrong", "pass word"])
def test_a_password_in_an_included_file(daemon, peer, account, password):
    """While the daemon is stopped only the time of the very file can tell."""
    secret = daemon.path("secret.conf")

    def write(text):
        with open(secret, "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(f'password = "{text}";\n')

    write("wrong")
    daemon.configure(account(interval="1h", password=None, password_file=None))
    with open(daemon.config) as file:
        text = file.read()
    daemon.write(text.replace('user = "box";', f'user = "box";\n@include "{secret}"\n'))
    daemon.start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first refusal")
    daemon.fail("auth")
    assert daemon.fail("auth")["state"] == "blocked"
    daemon.stop()
    if password != "wrong":
        write(password)
    os.utime(daemon.config)
    daemon.start()
    if password == "wrong":
        daemon.wait_status(lambda s: s["state"] == "blocked", "blocked as ever")
        assert len(peer.sent_command("PASS")) == 3
    else:
        daemon.wait_status(lambda s: s["fetched"] == 1, "it works again")


def test_success_forgives(daemon, peer, box, account):
    """Two refusals, a success, two refusals: not blocked."""
    daemon.configure(account()).start()
    for _ in range(2):
        box.password = "another"
        daemon.fail("auth")
        assert daemon.fail("auth")["state"] != "blocked"
        box.password = "wrong"
        assert daemon.fetch()["failures"] == 0


@pytest.mark.parametrize(
    "code", ["[SYS/TEMP]", "[SYS/PERM]", "[IN-USE]", "[LOGIN-DELAY]"]
)
def test_what_does_not_count(daemon, peer, account, code):
    daemon.configure(account()).start()
    peer.on("PASS", faults.answer(f"-ERR {code} not now"))
    for _ in range(5):
        daemon.fail("server", "not now")
    peer.behave()
    status = daemon.fail("auth")
    assert status["state"] != "blocked"


def test_a_held_maildrop(daemon, peer, box, account):
    """Another client has the maildrop: [IN-USE], and the mail is fetched when it is gone."""
    daemon.configure(account(password="pass word", password_file=None)).start()
    box.enter()
    for _ in range(4):
        assert daemon.fail("server", "another session")["state"] != "blocked"
    box.leave()
    assert daemon.fetch()["fetched"] == 1
