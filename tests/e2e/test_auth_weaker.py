"""A server that offered SCRAM and now only has mechanisms that show it the password: the one who
took them out of the offer may be somebody else."""

import pytest
from support import messages
from support.daemon import check_error
from support.spool import RETRY, letter, smtp_account
from support.waiting import wait_for

STRONG = ["PLAIN", "SCRAM-SHA-256"]
SECRETS = ("PASS", "AUTH", "USER", "APOP")


@pytest.fixture(params=["implicit", "none"])
def server(request, make_peer):
    peer = make_peer(request.param)
    peer.add_mailbox("box").add(messages.simple(1))
    peer.mechanisms = STRONG
    return peer


@pytest.fixture
def begin(daemon, certificates):
    def start(server, **changes):
        if server.tls_mode != "none":
            changes["tls_ca_file"] = certificates["ca"]
        daemon.configure(daemon.account(server, **changes), retry=RETRY)

    return start


def mechanisms_used(server):
    return [argument.split()[0] for argument in server.sent_command("AUTH")]


def check_silence(server):
    """Nothing secret was said in the last session."""
    session = server.sessions[-1]
    assert not [verb for verb in SECRETS if session.sent_command(verb)]


def test_nothing_weaker_is_taken(daemon, server, begin):
    begin(server)
    daemon.start()
    daemon.fetch()
    server.mechanisms = ["PLAIN", "LOGIN"]
    status = daemon.fail("auth", "SCRAM-SHA-256", "only PLAIN, LOGIN", "postriderctl poll")
    assert status["state"] == "backoff" or status["state"] == "idle"
    check_silence(server)
    server.mechanisms = STRONG
    daemon.fetch()
    assert set(mechanisms_used(server)) == {"SCRAM-SHA-256"}


def test_without_capa_neither(daemon, server, begin):
    """Without CAPA there is USER and PASS by RFC 1939."""
    begin(server)
    daemon.start()
    daemon.fetch()
    server.without = {"CAPA"}
    daemon.fail("auth", "SCRAM-SHA-256", "only USER")
    check_silence(server)


def test_a_restart_changes_nothing(daemon, server, begin):
    begin(server)
    daemon.start()
    daemon.fetch()
    daemon.restart()
    server.mechanisms = ["PLAIN"]
    daemon.fail("auth", "SCRAM-SHA-256")
    check_silence(server)


def test_a_second_poll_by_hand_accepts_it(daemon, server, begin):
    begin(server)
    daemon.start()
    daemon.fetch()
    server.mechanisms = ["PLAIN"]
    daemon.fail("auth", "SCRAM-SHA-256")
    daemon.fetch()
    daemon.fetch()
    assert mechanisms_used(server) == ["SCRAM-SHA-256", "PLAIN", "PLAIN"]
    server.mechanisms = STRONG
    daemon.fetch()
    server.mechanisms = ["PLAIN"]
    daemon.fail("auth", "SCRAM-SHA-256")


def test_the_timer_does_not_accept_it(daemon, server, begin):
    """Three times, and then the account is blocked, as for a refused password."""
    begin(server, interval="1s")
    daemon.start()
    daemon.wait_status(lambda s: s["last_success"], "a success")
    server.mechanisms = ["PLAIN"]
    daemon.wait_status(lambda s: s["state"] == "blocked", "blocked", timeout=60)
    assert set(mechanisms_used(server)) == {"SCRAM-SHA-256"}
    daemon.fetch()


def test_changed_settings_forget(daemon, server, begin):
    begin(server)
    daemon.start()
    daemon.fetch()
    server.mechanisms = ["PLAIN"]
    begin(server, host="localhost")
    daemon.ctl("reload")
    daemon.fetch()


def test_adopting_accepts_what_was_told(daemon, server, begin):
    """Who adopts a Maildir has not read of the offer, unless the last poll told of it."""
    begin(server)
    daemon.start()
    daemon.fetch()
    server.mechanisms = ["PLAIN"]
    before = daemon.status()["last_attempt"]
    daemon.ctl("adopt", "box")
    status = daemon.wait_polled(before)
    check_error(status, "auth", "SCRAM-SHA-256", "only PLAIN")
    check_silence(server)
    daemon.ctl("adopt", "box")
    assert daemon.wait_polled(status["last_attempt"])["last_error"] is None


@pytest.mark.parametrize("changes", [{}, {"bind": "127.0.0.1"}, {"account_on_fetch": ["true"]}])
def test_other_changes_do_not_forget(daemon, server, begin, changes):
    """Nor does it matter that the file which the password is in was written anew."""
    begin(server)
    daemon.start()
    daemon.fetch()
    server.mechanisms = ["PLAIN"]
    begin(server, **changes)
    daemon.ctl("reload")
    daemon.fail("auth", "SCRAM-SHA-256", "only PLAIN")
    check_silence(server)
    server.mechanisms = STRONG
    daemon.fetch()
    server.mechanisms = ["PLAIN"]
    begin(server, **changes)
    daemon.restart()
    daemon.fail("auth", "SCRAM-SHA-256", "only PLAIN")


def test_what_auth_names_is_taken(daemon, server, begin):
    begin(server, auth=["SCRAM-SHA-256", "PLAIN"])
    daemon.start()
    daemon.fetch()
    server.mechanisms = ["PLAIN"]
    daemon.fetch()
    assert mechanisms_used(server) == ["SCRAM-SHA-256", "PLAIN"]


@pytest.fixture
def sender(daemon, spool, relay):
    """Has sent a message, logged in by the strong mechanism, which is gone now."""
    relay.users = {"box": "pass word"}
    relay.mechanisms = STRONG
    account = smtp_account(daemon, relay, user="box", password="pass word")
    daemon.configure(account, retry=RETRY).start()
    spool.drop("one", letter(1))
    relay.wait_accepted(1)
    spool.wait_empty()
    relay.mechanisms = ["PLAIN", "LOGIN"]
    return daemon


def test_flushing_one_message_accepts_it(sender, spool, relay):
    """A person who asks for one message was told before as well."""
    spool.drop("two", letter(2))
    spool.wait_status(lambda s: s["state"] == "blocked", "blocked")
    [message] = spool.queue()
    assert "SCRAM-SHA-256" in message["last_error"]
    sender.ctl("flush", message["id"])
    relay.wait_accepted(2)
    spool.wait_empty()
    assert mechanisms_used(relay) == ["SCRAM-SHA-256", "PLAIN"]


def test_flushing_one_message_before_anybody_was_told(sender, spool, relay):
    """The first session after a restart tells; the second flush knows."""
    spool.drop("two", letter(2))
    status = spool.wait_status(lambda s: s["state"] == "blocked", "blocked")
    sender.restart()
    [message] = spool.queue()
    sender.ctl("flush", message["id"])
    spool.wait_status(lambda s: s["last_attempt"] != status["last_attempt"], "an attempt")
    check_silence(relay)
    wait_for(lambda: spool.wait_settled()["state"] == "blocked", "blocked again")
    assert len(relay.accepted) == 1
    sender.ctl("flush", message["id"])
    relay.wait_accepted(2)
    spool.wait_empty()
    assert mechanisms_used(relay) == ["SCRAM-SHA-256", "PLAIN"]


def test_flushing_as_soon_as_the_daemon_runs(sender, spool, relay):
    """What it is blocked for may not have been read yet."""
    spool.drop("two", letter(2))
    status = spool.wait_status(lambda s: s["state"] == "blocked", "blocked")
    for _ in range(10):
        sender.stop()
        sender.start("flush")
        before = status["last_attempt"]
        spool.wait_status(lambda s, b=before: s["last_attempt"] not in (None, b), "an attempt")
        status = spool.wait_status(lambda s: s["state"] == "blocked", "blocked again")


def test_sending(sender, spool, relay):
    daemon = sender
    spool.drop("two", letter(2))
    status = spool.wait_status(lambda s: s["state"] == "blocked", "blocked")
    check_error(status, "auth", "SCRAM-SHA-256", "only PLAIN, LOGIN", "flush")
    check_silence(relay)
    assert len(relay.accepted) == 1
    daemon.restart()
    wait_for(lambda: spool.status()["state"] == "blocked", "still blocked")
    daemon.ctl("flush")
    spool.wait_status(lambda s: s["last_attempt"] != status["last_attempt"], "an attempt")
    check_silence(relay)
    wait_for(lambda: spool.wait_settled()["state"] == "blocked", "blocked again")
    daemon.ctl("flush")
    relay.wait_accepted(2)
    spool.wait_empty()
    assert mechanisms_used(relay) == ["SCRAM-SHA-256", "PLAIN"]
