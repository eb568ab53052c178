"""Fixtures. `daemon`, `peer` and `dovecot` each are one thing that a test configures itself."""

import os
import signal

import certs
import pytest
from peer import tls_context
from pop3_peer import Pop3Peer
from smtp_peer import SmtpPeer
from support.administrator import Setup
from support.daemon import Daemon, find_program
from support.dovecot import Dovecot, find_dovecot
from support.machine import Machine, NoMachine, why_not
from support.postfix import Postfix, find_postfix
from support.spool import RETRY, Spool, smtp_account

# A shell has its background jobs ignore SIGINT, and so would every program that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Certificates by name, see certs.make_certificates()."""
    return certs.make_certificates(str(tmp_path_factory.mktemp("certs")))


@pytest.fixture(scope="session")
def program():
    """The daemon's program."""
    path = find_program("postriderd")
    if path is None:
        pytest.fail("no postriderd: build it, or name it in $POSTRIDERD or $POSTRIDER_BUILD")
    return path


@pytest.fixture
def daemon(tmp_path, program):
    """A Daemon with an empty directory, not configured and not started."""
    one = Daemon(tmp_path, program)
    yield one
    try:
        one.stop()
    finally:
        if one.process is not None:
            one.kill()
    one.check_sanitizers()


@pytest.fixture
def make_peer(certificates):
    """Starts scripted POP3 servers: make_peer("implicit", cert="expired", …)."""
    peers = []

    def make(tls_mode="none", cert="server", address="127.0.0.1", **tls):
        context = None
        if tls_mode != "none":
            pair = certificates[cert]
            context = tls_context(pair.cert, pair.key, **tls)
        peer = Pop3Peer(tls_mode=tls_mode, tls=context, address=address)
        peers.append(peer.start())
        return peer

    yield make
    for peer in peers:
        peer.stop()
    for peer in peers:
        assert not peer.failures, peer.failures


@pytest.fixture
def peer(make_peer):
    """A scripted POP3 server without TLS, still without mailboxes."""
    return make_peer()


@pytest.fixture
def box(peer):
    """The mailbox of the account that Daemon.account() makes by default."""
    return peer.add_mailbox("box")


@pytest.fixture(scope="session")
def dovecot(certificates):
    found = find_dovecot()
    if found is None:
        pytest.skip("Dovecot's POP3 server is missing; on Debian: apt install dovecot-pop3d")
    server = Dovecot(found, certificates)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postfix(request, certificates):
    found = find_postfix()
    if found is None:
        pytest.skip("Postfix is missing; on Debian: apt install postfix")
    if os.geteuid() != 0:
        pytest.skip("Postfix needs root")
    server = Postfix(found, certificates, request.getfixturevalue("dovecot"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def make_relay(certificates):
    """Starts scripted SMTP servers, as make_peer does. Whatever a test is about, nothing that the
    daemon sends has a bare CR or LF in it."""
    relays = []

    def make(tls_mode="none", cert="server", address="127.0.0.1", **tls):
        context = None
        if tls_mode != "none":
            pair = certificates[cert]
            context = tls_context(pair.cert, pair.key, **tls)
        relay = SmtpPeer(tls_mode=tls_mode, tls=context, address=address)
        relays.append(relay.start())
        return relay

    yield make
    for relay in relays:
        relay.stop()
    for relay in relays:
        assert not relay.failures, relay.failures
        assert relay.bare_line_ends() == []


@pytest.fixture
def relay(make_relay):
    """A scripted SMTP server without TLS that wants no login."""
    return make_relay()


@pytest.fixture
def account(daemon, relay):
    """Writes the configuration with one account that sends through a scripted server."""

    def configure(server=relay, retry=RETRY, top=None, **changes):
        daemon.configure(smtp_account(daemon, server, **changes), retry=retry, **(top or {}))
        return daemon

    return configure


@pytest.fixture
def spool(daemon):
    """The spool of the daemon."""
    return Spool(daemon)


@pytest.fixture
def as_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture(scope="session")
def booted(tmp_path_factory):
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    machine = Machine(tmp_path_factory.mktemp("machine"))
    try:
        yield machine.start()
    except NoMachine as failure:
        pytest.skip(f"systemd does not run in namespaces here: {failure}")
    finally:
        machine.stop()


@pytest.fixture
def machine(booted):
    """The machine with the service installed, not configured and not started."""
    yield booted
    print(booted.journalctl())
    booted.clean()


@pytest.fixture
def setup(machine):
    """The configuration of its service."""
    return Setup(machine)
