"""Fetching from a real server: every octet, every keep policy."""

from collections import Counter

import pytest
from support import messages
from support.dovecot import served
from support.maildir import digest, stored
from support.waiting import wait_for

# Dovecot 2.3 sends a message that is a single dot without byte-stuffing, so no client can read it.
DOVECOT_BREAKS = {b"."}


def mail(count):
    return [m for m in messages.many(count) if m not in DOVECOT_BREAKS]


def expected(sources):
    return Counter(digest(stored(served(source))) for source in sources)


@pytest.fixture
def account(daemon, dovecot, certificates):
    """Makes the account of a Dovecot user."""

    def make(user, tls="implicit", **changes):
        changes.setdefault("tls_ca_file", certificates["ca"] if tls != "none" else None)
        server = getattr(dovecot, "plain" if tls == "none" else tls)
        return daemon.account(server, user=user, **changes)

    return make


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
def test_two_thousand_awkward_messages(daemon, dovecot, account, tls):
    sources = mail(2000)
    user = dovecot.add_user(sources)
    daemon.configure(account(user, tls, keep="no", timeout=60)).start()

    status = daemon.poll(timeout=120)
    assert status["last_error"] is None
    assert status["fetched"] == len(sources)
    assert status["on_server"] == 0
    maildir = daemon.maildir()
    maildir.check()
    assert maildir.digests() == expected(sources)
    assert status["fetched_octets"] == sum(len(octets) for octets in maildir.messages())
    assert dovecot.waiting(user) == 0


@pytest.mark.parametrize("pipelining", [True, False])
def test_with_and_without_pipelining(daemon, dovecot, account, pipelining):
    sources = mail(100)
    user = dovecot.add_user(sources)
    daemon.configure(account(user, keep="no", pipelining=pipelining)).start()
    daemon.fetch()
    assert daemon.maildir().digests() == expected(sources)
    assert dovecot.waiting(user) == 0


def test_an_empty_maildrop(daemon, dovecot, account):
    user = dovecot.add_user()
    daemon.configure(account(user)).start()
    status = daemon.fetch()
    assert (status["fetched"], status["on_server"]) == (0, 0)
    assert daemon.maildir().messages() == []


def test_keep_forever_fetches_once(daemon, dovecot, account):
    sources = mail(60)
    user = dovecot.add_user(sources)
    daemon.configure(account(user, keep="forever")).start()
    assert daemon.fetch()["fetched"] == len(sources)
    assert dovecot.waiting(user) == len(sources)

    status = daemon.fetch()
    assert status["fetched"] == len(sources)
    assert status["on_server"] == len(sources)
    assert not any("RETR" in log for log in daemon.ended_session_logs(2)[1:])

    later = messages.simple(1)
    dovecot.deliver(user, later)
    assert daemon.fetch()["fetched"] == len(sources) + 1
    daemon.maildir().check()
    assert daemon.maildir().digests() == expected([*sources, later])


def test_keep_forever_is_the_default(daemon, dovecot, account):
    user = dovecot.add_user(mail(3))
    daemon.configure(account(user)).start()
    daemon.fetch()
    daemon.fetch()
    assert dovecot.waiting(user) == 3


def test_keep_for_a_time(daemon, dovecot, account):
    sources = mail(20)
    user = dovecot.add_user(sources)
    daemon.configure(account(user, keep="1s")).start()
    assert daemon.fetch()["on_server"] == len(sources)

    wait_for(lambda: daemon.fetch()["on_server"] == 0, "the messages' time is over")
    assert dovecot.waiting(user) == 0
    assert daemon.maildir().digests() == expected(sources)


def test_keep_for_a_long_time(daemon, dovecot, account):
    user = dovecot.add_user(mail(3))
    daemon.configure(account(user, keep="14d")).start()
    daemon.fetch()
    assert daemon.fetch()["on_server"] == 3
    assert dovecot.waiting(user) == 3


def test_what_was_kept_goes_after_keep_is_changed(daemon, dovecot, account):
    sources = mail(10)
    user = dovecot.add_user(sources)
    daemon.configure(account(user, keep="forever")).start()
    daemon.fetch()
    daemon.configure(account(user, keep="no"))
    daemon.ctl("reload")
    assert daemon.fetch()["on_server"] == 0
    assert dovecot.waiting(user) == 0
    assert daemon.maildir().digests() == expected(sources)


def test_a_restart_remembers(daemon, dovecot, account):
    sources = mail(25)
    user = dovecot.add_user(sources)
    daemon.configure(account(user)).start()
    first = daemon.fetch()
    daemon.restart()
    again = daemon.status()
    for key in ("last_success", "fetched", "fetched_octets"):
        assert again[key] == first[key], key
    assert daemon.fetch()["fetched"] == len(sources)
    assert daemon.maildir().digests() == expected(sources)


def test_large_messages_stay(daemon, dovecot, account):
    small, large = messages.simple(1), messages.simple(2, size=200_000)
    user = dovecot.add_user([small, large, messages.simple(3)])
    daemon.configure(account(user, keep="no", max_size="64K")).start()
    status = daemon.fetch()
    assert status["skipped_large"] == 1
    assert status["fetched"] == 2
    assert status["on_server"] == 1
    assert dovecot.waiting(user) == 1


def test_received_header(daemon, dovecot, account):
    source = messages.simple(1)
    user = dovecot.add_user([source])
    daemon.configure(account(user, received_header=True)).start()
    daemon.fetch()
    daemon.maildir().check()
    (octets,) = daemon.maildir().messages()
    assert octets.startswith(b"Received: ")
    assert octets.endswith(b"\n" + stored(source))
    assert daemon.fetch()["fetched"] == 1


def test_a_wrong_password(daemon, dovecot, account):
    user = dovecot.add_user(mail(1))
    daemon.configure(account(user, password="wrong")).start()
    daemon.fail("auth", "refused", "password")
    assert daemon.maildir().messages() == []


def test_a_large_message(daemon, dovecot, account):
    source = messages.simple(1, size=30_000_000)
    user = dovecot.add_user([source])
    daemon.configure(account(user, keep="no")).start()
    daemon.fetch()
    assert daemon.maildir().digests() == expected([source])
