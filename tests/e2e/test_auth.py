"""Mechanisms, and where secrets come from."""

import os

import faults
import pytest
from support import messages
from support.dovecot import PASSWORD
from support.spool import drop_letters, smtp_account

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


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_an_initial_response_that_is_not_looked_at(daemon, peer, box, mechanism):
    """The server asks for it, and is told again."""
    box.add(messages.simple(1))
    peer.mechanisms = [mechanism]
    peer.on("AUTH", faults.ignore_initial)
    daemon.configure(daemon.account(peer)).start()
    assert daemon.fetch()["fetched"] == 1
    first, *others = [line for _, line in peer.sessions[0].commands if len(line) > 8][:2]
    assert first.startswith(f"AUTH {mechanism} ") and others == first.split()[2:]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_one_that_is_not_looked_at_for_sending(daemon, spool, relay, mechanism):
    relay.users = {"box": "pass word"}
    relay.mechanisms = [mechanism]
    relay.on("AUTH", faults.ignore_initial)
    account = smtp_account(daemon, relay, user="box", password="pass word")
    daemon.configure(account).start()
    drop_letters(spool, 1)
    relay.wait_accepted(1)
    assert relay.sessions[0].user == "box"


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


def test_a_credential(daemon, peer, box):
    """As systemd gives it: its directory and modes are not ours to judge."""
    os.mkdir(daemon.path("credentials"))
    with open(daemon.path("credentials", "mail-password"), "w") as file:
        os.fchmod(file.fileno(), 0o444)
        file.write("pass word\n")
    daemon.environment["CREDENTIALS_DIRECTORY"] = daemon.path("credentials")
    account = daemon.account(peer, password=None, credential="mail-password")
    daemon.configure(account).start()
    daemon.fetch()
    os.chmod(daemon.path("credentials", "mail-password"), 0o644)
    with open(daemon.path("credentials", "mail-password"), "w") as file:
        file.write("another\n")
    daemon.ctl("reload")  # it is read at the start, and kept
    daemon.fetch()


def test_a_credential_that_is_not_there(daemon, peer, box):
    os.mkdir(daemon.path("empty"))
    daemon.environment["CREDENTIALS_DIRECTORY"] = daemon.path("empty")
    account = daemon.account(peer, password=None, credential="mail-password")
    done = daemon.configure(account).run("-t")
    assert done.returncode == 78
    assert "credential" in done.stderr and "mail-password" in done.stderr


def test_a_credential_without_a_service_manager(daemon, peer, box):
    account = daemon.account(peer, password=None, credential="mail-password")
    daemon.configure(account).start()
    daemon.fail("local", "CREDENTIALS_DIRECTORY", "LoadCredential")
    assert peer.sent_command("PASS") == []


# A certificate as the secret


@pytest.fixture
def certified(certificates):
    """Keys of an account that shows the client certificate."""
    client = certificates["client"]
    return {
        "password": None,
        "tls_ca_file": certificates["ca"],
        "tls_cert": client.cert,
        "tls_key": client.key,
    }


@pytest.mark.parametrize("auth", ["auto", ["EXTERNAL"]])
@pytest.mark.parametrize("mode", ["implicit", "starttls"])
def test_external(daemon, make_peer, certificates, certified, auth, mode):
    peer = make_peer(mode, client_ca=certificates["ca"])
    peer.add_mailbox("box").add(messages.simple(1))
    peer.mechanisms = ["PLAIN", "EXTERNAL"]
    daemon.configure(daemon.account(peer, auth=auth, **certified)).start()
    assert daemon.fetch()["fetched"] == 1
    assert peer.sent_command("AUTH") == ["EXTERNAL Ym94"]  # "box", whom to act as
    assert peer.sent_command("USER") == []


def test_external_without_a_user(daemon, make_peer, certificates, certified):
    """An empty response (RFC 5034: "="): whom to act as is for the certificate to say."""
    peer = make_peer("implicit", client_ca=certificates["ca"])
    peer.add_mailbox("").add(messages.simple(1))
    peer.mechanisms = ["PLAIN", "EXTERNAL"]
    account = daemon.account(peer, auth=["EXTERNAL"], **certified | {"user": None})
    daemon.configure(account).start()
    assert daemon.fetch()["fetched"] == 1
    assert peer.sent_command("AUTH") == ["EXTERNAL ="]


def test_external_without_a_user_for_sending(daemon, spool, make_relay, certificates, certified):
    relay = make_relay("starttls", client_ca=certificates["ca"])
    relay.mechanisms = ["PLAIN", "EXTERNAL"]
    daemon.configure(smtp_account(daemon, relay, auth=["EXTERNAL"], **certified)).start()
    drop_letters(spool, 1)
    relay.wait_accepted(1)
    assert relay.sent_command("AUTH") == ["EXTERNAL ="]


def test_a_certificate_alone_logs_in_as_nobody(daemon, spool, make_relay, certificates, certified):
    """It serves TLS: auth does not name EXTERNAL."""
    relay = make_relay("starttls", client_ca=certificates["ca"])
    relay.mechanisms = ["EXTERNAL"]
    relay.on("MAIL", lambda session, _: session.reply(250, "2.1.0", "ok") or True)
    daemon.configure(smtp_account(daemon, relay, **certified)).start()
    drop_letters(spool, 1)
    relay.wait_accepted(1)
    assert relay.sent_command("AUTH") == []


def test_external_refused(daemon, make_peer, certificates, certified):
    peer = make_peer("implicit", client_ca=certificates["ca"])
    peer.add_mailbox("somebody else")
    peer.mechanisms = ["EXTERNAL"]
    daemon.configure(daemon.account(peer, auth=["EXTERNAL"], **certified)).start()
    daemon.fail("auth", "refused AUTH", "check tls_cert")


def test_external_is_not_offered(daemon, make_peer, certificates, certified):
    peer = make_peer("implicit", client_ca=certificates["ca"])
    peer.add_mailbox("box")
    daemon.configure(daemon.account(peer, auth="auto", **certified)).start()
    daemon.fail("auth", "EXTERNAL", "PLAIN")
    assert peer.sent_command("AUTH") == peer.sent_command("USER") == []


def test_external_for_sending(daemon, spool, make_relay, certificates, certified):
    relay = make_relay("starttls", client_ca=certificates["ca"])
    relay.mechanisms = ["PLAIN", "EXTERNAL"]
    daemon.configure(smtp_account(daemon, relay, user="box", **certified)).start()
    drop_letters(spool, 2)
    relay.wait_accepted(2)
    assert relay.sent_command("AUTH") == ["EXTERNAL Ym94"]
    assert relay.sessions[0].user == "box"


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
