"""How a connection leaves the machine: through a SOCKS5 proxy, from an address, by a family."""

import re

import faults
import pytest
from socks_peer import NAME, SocksPeer
from support import messages
from support.daemon import Refused, check_error
from support.maildir import expected
from support.spool import RETRY, drop_letters, letter, smtp_account

NAMED = "mail.example.test"  # of the certificate "named"; resolves nowhere


@pytest.fixture
def proxy():
    one = SocksPeer().start()
    one.names[NAMED] = "127.0.0.1"
    yield one
    one.stop()
    assert not one.failures, one.failures


def url(proxy, login=""):
    return f"socks5://{login}127.0.0.1:{proxy.port}"


@pytest.fixture
def server(make_peer):
    peer = make_peer("implicit", cert="named")
    peer.add_mailbox("box").add(messages.simple(1))
    return peer


@pytest.fixture
def begin(daemon, certificates):
    def start(server, **changes):
        changes = {"host": NAMED, "tls_ca_file": certificates["ca"]} | changes
        daemon.configure(daemon.account(server, **changes)).start()

    return start


# SOCKS5


def test_the_proxy_resolves_names(daemon, proxy, server, begin):
    begin(server, proxy=url(proxy))
    daemon.fetch()
    assert daemon.maildir().digests() == expected(server.mailboxes["box"].messages)
    assert proxy.requests == [(NAME, NAMED, server.port)]
    assert proxy.sessions[0].methods == [0]
    assert server.sessions[0].server_name == NAMED


def test_an_address_goes_as_one(daemon, proxy, peer, box):
    account = daemon.account(peer, proxy=url(proxy), cleartext_auth=True)
    daemon.configure(account).start()
    daemon.fetch()
    assert proxy.requests == [(1, "127.0.0.1", peer.port)]


def test_a_proxy_that_wants_a_password(daemon, proxy, server, begin):
    proxy.login = ("me", "p:w @/%")
    begin(server, proxy=url(proxy, "me:p%3Aw%20%40%2F%25@"))
    daemon.fetch()
    assert proxy.sessions[0].login == proxy.login
    for log in [daemon.log(), *daemon.ended_session_logs(1)]:
        assert "p:w" not in log and "p%3Aw" not in log


def test_sending_through_a_proxy(daemon, spool, certificates, proxy, make_relay):
    relay = make_relay("starttls", cert="named")
    account = smtp_account(
        daemon, relay, host=NAMED, tls_ca_file=certificates["ca"], proxy=url(proxy)
    )
    daemon.configure(account).start()
    drop_letters(spool, 3)
    relay.wait_accepted(3)
    spool.wait_empty()
    assert set(proxy.requests) == {(NAME, NAMED, relay.port)}
    assert relay.sessions[0].secured


@pytest.mark.parametrize(
    "login, words", [("", "wants a user and password"), ("me:wrong@", "refused its user")]
)
def test_a_proxy_that_refuses_us(daemon, proxy, server, begin, login, words):
    proxy.login = ("me", "secret")
    begin(server, proxy=url(proxy, login))
    daemon.fail("network", words, "proxy")
    assert server.sessions == []


@pytest.mark.parametrize(
    "reply, words",
    [
        (1, "failed"),
        (2, "rules forbid"),
        (3, "network unreachable"),
        (5, "refused"),
        (99, "unknown"),
    ],
)
def test_a_proxy_that_refuses_the_connection(daemon, proxy, server, begin, reply, words):
    proxy.on("REQUEST", lambda session, _: session.answer(reply) or True)
    begin(server, proxy=url(proxy))
    daemon.fail("network", words, NAMED)
    proxy.behave()
    daemon.fetch()


def test_a_name_that_the_proxy_does_not_know(daemon, proxy, server, begin):
    proxy.names.clear()
    begin(server, proxy=url(proxy))
    daemon.fail("network", "does not resolve", NAMED)


@pytest.mark.parametrize("stage", ["METHOD", "REQUEST"])
def test_a_silent_proxy(daemon, proxy, server, begin, stage):
    proxy.on(stage, faults.stall())
    begin(server, proxy=url(proxy), timeout=1)
    daemon.fail("network", "proxy")
    proxy.behave()
    daemon.fetch()


def test_a_proxy_that_hangs_up(daemon, proxy, server, begin):
    proxy.on("REQUEST", faults.hang_up())
    begin(server, proxy=url(proxy))
    daemon.fail("network", "proxy")


def test_no_proxy_there(daemon, proxy, server, begin):
    begin(server, proxy=url(proxy))
    proxy.stop()
    daemon.fail("network", str(proxy.port))
    assert server.sessions == []


def test_what_is_no_proxy(daemon, server, peer, begin):
    """Its greeting comes before anybody asked."""
    begin(server, proxy=url(peer))
    daemon.fail("protocol", "proxy")
    assert server.sessions == []


def test_a_proxy_that_goes_on_talking(daemon, proxy, server, begin):
    """What comes behind its yes would be taken for the server's."""
    proxy.on("REQUEST", faults.octets(b"\x05\0\0\x01\x7f\0\0\x01\0\x50+OK ready\r\n"))
    begin(server, proxy=url(proxy))
    status = daemon.poll()
    assert status["last_error"]["kind"] in ("protocol", "tls", "network"), status
    assert server.sessions == []


def test_sending_waits_for_the_proxy(daemon, spool, proxy, relay):
    """A proxy in trouble is the account's trouble: mail waits, nothing bounces."""
    proxy.on("REQUEST", lambda session, _: session.answer(4) or True)
    account = smtp_account(daemon, relay, proxy=url(proxy))
    daemon.configure(account, retry=RETRY).start()
    spool.drop("one", letter(1))
    status = spool.wait_status(lambda s: s["last_error"], "trouble")
    check_error(status, "network", "host unreachable")
    proxy.behave()
    relay.wait_accepted(1)
    spool.wait_empty()


# Addresses


def test_bind(daemon, peer, box):
    seen = []
    peer.on("CONNECT", lambda session, _: seen.append(session.sock.getpeername()[0]))
    daemon.configure(daemon.account(peer, bind="127.0.0.5")).start()
    daemon.fetch()
    assert seen == ["127.0.0.5"]


def test_bind_for_sending(daemon, spool, relay):
    seen = []
    relay.on("CONNECT", lambda session, _: seen.append(session.sock.getpeername()[0]))
    daemon.configure(smtp_account(daemon, relay, bind="127.0.0.5")).start()
    drop_letters(spool, 1)
    relay.wait_accepted(1)
    assert seen == ["127.0.0.5"]


def test_bind_to_what_is_not_ours(daemon, peer, box):
    daemon.configure(daemon.account(peer, bind="192.0.2.1")).start()
    status = daemon.poll()
    assert status["last_error"]["kind"] in ("network", "local", "config"), status
    assert re.search("bind|192.0.2.1", status["last_error"]["text"]), status
    assert peer.sessions == []


@pytest.mark.parametrize("family, address", [("ipv4", "127.0.0.1"), ("ipv6", "::1")])
def test_family(daemon, make_peer, family, address):
    """An address of the other family is refused, one of this family is gone to."""
    peer = make_peer(address=address)
    peer.add_mailbox("box")
    daemon.configure(daemon.account(peer, host=address, family=family)).start()
    daemon.fetch()
    other = "ipv6" if family == "ipv4" else "ipv4"
    daemon.configure(daemon.account(peer, host=address, family=other))
    with pytest.raises(Refused, match=f"{address}, which family"):
        daemon.ctl("reload")


def test_family_of_a_name(daemon, peer, box):
    daemon.configure(daemon.account(peer, host="localhost", family="ipv4")).start()
    daemon.fetch()
    daemon.configure(daemon.account(peer, host="localhost", family="ipv6"))
    daemon.ctl("reload")
    daemon.fail("network", "localhost")
    assert len(peer.sessions) == 1
