"""Mechanisms, and where secrets come from."""

import os

import faults
import pytest
from support import messages
from support.dovecot import PASSWORD

MECHANISMS = ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "APOP", "PLAIN", "LOGIN", "USER"]


@pytest.mark.parametrize("mechanism", [*MECHANISMS, "auto"])
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_mechanisms(daemon, dovecot, mechanism, password):
    user = dovecot.add_user([messages.simple(1)])
    auth = mechanism if mechanism == "auto" else [mechanism]
    account = daemon.account(dovecot.plain, user=user, auth=auth, password=password)
    daemon.configure(account).start()
    if password == PASSWORD:
        assert daemon.fetch()["fetched"] == 1
    else:
        daemon.fail("auth", "refused")


def test_the_server_lacks_the_mechanism(daemon, peer, box):
    daemon.configure(daemon.account(peer, auth=["SCRAM-SHA-256"])).start()
    status = daemon.poll()
    assert status["last_error"]["kind"] in ("auth", "config")
    assert "SCRAM-SHA-256" in status["last_error"]["text"]
    assert peer.sent_command("USER") == peer.sent_command("AUTH") == []


def test_a_plain_login_with_an_initial_response(daemon, peer, box):
    box.add(messages.simple(1))
    daemon.configure(daemon.account(peer, auth=["PLAIN"])).start()
    assert daemon.fetch()["fetched"] == 1


def secret_file(daemon, text):
    path = daemon.path("secret")
    with open(path, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    return path


def test_a_password_file(daemon, peer, box):
    path = secret_file(daemon, "pass word\n")
    daemon.configure(daemon.account(peer, password=None, password_file=path)).start()
    daemon.fetch()


def test_a_password_command(daemon, peer, box):
    path = secret_file(daemon, "pass word\n")
    command = ["cat", path]
    daemon.configure(daemon.account(peer, password=None, password_command=command)).start()
    daemon.fetch()


def test_a_password_command_for_the_shell(daemon, peer, box):
    command = "printf '%s %s' pass word"
    daemon.configure(daemon.account(peer, password=None, password_command=command)).start()
    daemon.fetch()


def test_a_password_command_that_fails(daemon, peer, box):
    command = "echo no keys here >&2; exit 3"
    daemon.configure(daemon.account(peer, password=None, password_command=command)).start()
    daemon.fail("local", "password_command|command", "3")
    assert peer.sent_command("PASS") == []


def test_a_password_command_that_hangs(daemon, peer, box):
    account = daemon.account(
        peer, password=None, password_command=["sleep", "1000"], secret_timeout=1
    )
    daemon.configure(account).start()
    daemon.fail("local", "command|secret", "1 s|in time|timed out|timeout")


def test_a_secret_is_fetched_once(daemon, peer, box):
    counter = daemon.path("count")
    command = f"echo >> {counter}; echo pass word"
    daemon.configure(daemon.account(peer, password=None, password_command=command)).start()
    for _ in range(3):
        daemon.fetch()
    assert os.path.getsize(counter) == 1


def test_a_refused_secret_is_fetched_again(daemon, peer, box):
    path = secret_file(daemon, "old")
    account = daemon.account(peer, password=None, password_command=["cat", path])
    daemon.configure(account).start()
    daemon.fail("auth")
    secret_file(daemon, "pass word")
    daemon.fetch()


def test_no_user_means_no_authentication(daemon, peer, box):
    box.add(messages.simple(1))

    def let_in(session, _):
        session.log_in("box", "pass word")
        return True

    peer.on("GREETING", let_in)
    daemon.configure(daemon.account(peer, user=None, password=None)).start()
    assert daemon.fetch()["fetched"] == 1
    assert peer.sent_command("USER") == peer.sent_command("AUTH") == []


@pytest.mark.parametrize(
    "reply, kind",
    [
        ("-ERR [AUTH] no", "auth"),
        ("-ERR wrong", "auth"),
        ("-ERR [SYS/TEMP] database is down", "server"),
        ("-ERR [SYS/PERM] account is locked", "server"),
        ("-ERR [IN-USE] other session", "server"),
        ("-ERR [LOGIN-DELAY] too soon", "server"),
    ],
)
def test_refusals(daemon, peer, box, reply, kind):
    peer.on("PASS", faults.answer(reply))
    peer.on("AUTH", faults.answer(reply))
    daemon.configure(daemon.account(peer)).start()
    daemon.fail(kind, reply.split(maxsplit=2)[-1])
