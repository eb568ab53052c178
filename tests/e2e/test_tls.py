"""TLS: every key, and everything that must end in kind "tls" with no secret sent."""

import os
import re
import ssl
import stat
import subprocess
from datetime import datetime, timezone

import faults
import pytest
from support import messages
from support.daemon import check_error, find_program
from support.maildir import expected
from support.spool import RETRY, drop_letters, smtp_account

MODES = ["implicit", "starttls"]


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def serve(make_peer):
    """A server with three messages in its mailbox."""

    def make(mode, **settings):
        peer = make_peer(mode, **settings)
        box = peer.add_mailbox("box")
        for number in range(3):
            box.add(messages.simple(number))
        return peer

    return make


@pytest.fixture
def start(daemon, certificates):
    """Starts the daemon with one account at this server; the CA is trusted unless told."""

    def begin(peer, **changes):
        changes.setdefault("tls_ca_file", certificates["ca"])
        daemon.configure(daemon.account(peer, **changes)).start()

    return begin


def fetch_all(daemon, peer):
    daemon.fetch()
    assert daemon.maildir().digests() == expected(peer.mailboxes["box"].messages)


def fail(daemon, peer, *words):
    """Refused, and nothing secret was sent before."""
    status = daemon.fail("tls", *words)
    for verb in ("USER", "PASS", "AUTH", "APOP"):
        assert peer.sent_command(verb) == [], verb
    return status


# Trust


def test_a_ca_file(daemon, serve, start, mode):
    peer = serve(mode)
    start(peer)
    fetch_all(daemon, peer)
    assert peer.sessions[0].secured


def test_a_host_name(daemon, serve, start, mode):
    peer = serve(mode)
    start(peer, host="localhost")
    fetch_all(daemon, peer)
    assert peer.sessions[0].server_name == "localhost"


def test_an_address_is_no_server_name(daemon, serve, start):
    """RFC 6066 section 3: literal addresses are not permitted in SNI."""
    peer = serve("implicit")
    start(peer)
    fetch_all(daemon, peer)
    assert peer.sessions[0].server_name is None


def test_an_unknown_ca(daemon, certificates, serve, start, mode):
    """The text brings the fingerprint, so that a person can compare and pin it."""
    peer = serve(mode, cert="unknown")
    start(peer)
    fail(daemon, peer, certificates["unknown"].fingerprint().removeprefix("sha256:"), "tls_")


def test_self_signed(daemon, certificates, serve, start, mode):
    peer = serve(mode, cert="self-signed")
    start(peer)
    fail(daemon, peer, "self.signed", certificates["self-signed"].fingerprint())


def test_expired(daemon, serve, start, mode):
    peer = serve(mode, cert="expired")
    start(peer)
    fail(daemon, peer, "expired", "2024-02-01")


def test_not_yet_valid(daemon, serve, start, mode):
    peer = serve(mode, cert="future")
    start(peer)
    fail(daemon, peer, "not yet valid|not valid before|valid from|clock")


def test_another_name(daemon, serve, start, mode):
    peer = serve(mode, cert="named")
    start(peer, host="localhost")
    fail(daemon, peer, "mail.example.test", "localhost")


def test_another_address(daemon, serve, start):
    peer = serve("implicit", cert="named")
    start(peer)
    fail(daemon, peer, "mail.example.test")


def test_tls_server_name(daemon, serve, start, mode):
    peer = serve(mode, cert="named")
    start(peer, tls_server_name="mail.example.test")
    fetch_all(daemon, peer)
    assert peer.sessions[0].server_name == "mail.example.test"


def test_tls_server_name_is_checked(daemon, serve, start):
    peer = serve("implicit")
    start(peer, tls_server_name="other.example.test")
    fail(daemon, peer, "other.example.test")


@pytest.mark.parametrize("cert", ["expired", "self-signed", "named", "unknown"])
def test_tls_verify_off(daemon, serve, start, cert):
    peer = serve("implicit", cert=cert)
    start(peer, tls_verify=False, tls_ca_file=None)
    fetch_all(daemon, peer)
    assert "not verified" in daemon.ended_session_logs(1)[0]


# Pins


@pytest.mark.parametrize("cert", ["server", "self-signed", "named", "unknown"])
@pytest.mark.parametrize("pin", ["fingerprint", "key_fingerprint"])
def test_a_pin_in_place_of_a_ca(daemon, certificates, serve, start, cert, pin):
    peer = serve("implicit", cert=cert)
    start(peer, tls_ca_file=None, tls_fingerprint=getattr(certificates[cert], pin)())
    fetch_all(daemon, peer)


def test_one_pin_of_several(daemon, certificates, serve, start, mode):
    pins = [certificates["named"].fingerprint(), certificates["server"].key_fingerprint()]
    peer = serve(mode)
    start(peer, tls_ca_file=None, tls_fingerprint=pins)
    fetch_all(daemon, peer)


@pytest.mark.parametrize("pin", ["fingerprint", "key_fingerprint"])
def test_a_pin_that_does_not_fit(daemon, certificates, serve, start, mode, pin):
    peer = serve(mode)
    wrong = getattr(certificates["named"], pin)()
    start(peer, tls_ca_file=None, tls_fingerprint=wrong)
    fail(daemon, peer, "fingerprint|pin")


@pytest.mark.parametrize("pin", ["fingerprint", "key_fingerprint"])
def test_pins_for_sending(daemon, spool, certificates, make_relay, mode, pin):
    """One of several; and one that does not fit is the account's trouble, not the message's."""
    relay = make_relay(mode, cert="self-signed")
    right, wrong = (getattr(certificates[cert], pin)() for cert in ("self-signed", "server"))
    account = smtp_account(daemon, relay, tls_fingerprint=[wrong])
    daemon.configure(account, retry=RETRY).start()
    drop_letters(spool, 1)
    status = spool.wait_status(lambda s: s["last_error"], "a failure")
    check_error(status, "tls", "fingerprint")
    assert relay.sent_command("MAIL") == []
    daemon.configure(smtp_account(daemon, relay, tls_fingerprint=[wrong, right]), retry=RETRY)
    daemon.ctl("reload")
    relay.wait_accepted(1)
    spool.wait_empty()


# Versions, client certificates, keys


def test_tls_min(daemon, serve, start):
    peer = serve("implicit", newest=ssl.TLSVersion.TLSv1_2)
    start(peer, tls_min="1.3")
    fail(daemon, peer, "version|TLS ?v?1")


def test_tls_1_2(daemon, serve, start, mode):
    peer = serve(mode, newest=ssl.TLSVersion.TLSv1_2)
    start(peer)
    fetch_all(daemon, peer)
    assert peer.sessions[0].tls_version == "TLSv1.2"


def test_a_client_certificate(daemon, certificates, serve, start, mode):
    peer = serve(mode, client_ca=certificates["ca"])
    client = certificates["client"]
    start(peer, tls_cert=client.cert, tls_key=client.key)
    fetch_all(daemon, peer)
    assert peer.sessions[0].client_certificate


def test_a_client_certificate_missing(daemon, certificates, serve, start):
    peer = serve("implicit", client_ca=certificates["ca"])
    start(peer)
    fail(daemon, peer, "certificate")


def test_tls_keylog(daemon, serve, start):
    peer = serve("implicit")
    path = daemon.path("keys")
    start(peer, tls_keylog=path)
    fetch_all(daemon, peer)
    with open(path) as file:
        lines = file.read().splitlines()
    kept = [line for line in lines if line and not line.startswith("#")]
    assert kept
    assert all(re.match(r"^[A-Z0-9_]+ [0-9a-f]{64} [0-9a-f]+$", line) for line in kept)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_session_is_resumed(daemon, serve, start, mode):
    peer = serve(mode)
    start(peer)
    for _ in range(3):
        daemon.fetch()
    assert [session.resumed for session in peer.sessions] == [False, True, True]


def test_a_session_is_not_resumed_with_other_settings(daemon, certificates, serve, start):
    """What an unverified session proved is worth nothing to a verifying one."""
    peer = serve("implicit", cert="unknown")
    start(peer, tls_verify=False, tls_ca_file=None)
    daemon.fetch()
    daemon.configure(daemon.account(peer, tls_ca_file=certificates["ca"]))
    daemon.ctl("reload")
    daemon.fail("tls")


def test_a_session_is_resumed_for_sending(daemon, spool, certificates, make_relay, mode):
    relay = make_relay(mode)
    account = smtp_account(daemon, relay, tls_ca_file=certificates["ca"], max_messages=1)
    daemon.configure(account).start()
    for number in range(3):
        drop_letters(spool, 1, first=number)
        relay.wait_accepted(number + 1)
        spool.wait_empty()
        relay.wait_for(lambda: relay.open_sessions == 0, "the session is over")
    assert [session.resumed for session in relay.sessions] == [False, True, True]


# A certificate that will end soon


def run_ctl(daemon, *words):
    program = find_program("postriderctl")
    return subprocess.run(
        [program, "-s", daemon.socket, *words], capture_output=True, text=True, check=True
    ).stdout


def warnings_of_end(daemon):
    return [line for line in daemon.log().splitlines() if "certificate of" in line]


def test_a_certificate_that_ends_soon(daemon, certificates, serve, start, mode):
    """Told while it still works, and once, however often it is polled; on resumed sessions too."""
    peer = serve(mode, cert="ending")
    start(peer)
    ends = daemon.fetch()["certificate_expires"]
    assert 9 < (datetime.fromisoformat(ends) - datetime.now(timezone.utc)).days + 1 <= 10
    assert daemon.fetch()["certificate_expires"] == ends
    assert peer.sessions[1].resumed
    (line,) = warnings_of_end(daemon)
    assert ends[:10] in line and str(peer.port) in line
    shown = run_ctl(daemon, "status")
    assert re.search(r"certificate of 127\.0\.0\.1:\d+ ends in 9 d ", shown), shown


def test_a_certificate_that_lasts(daemon, serve, start):
    peer = serve("implicit")
    start(peer)
    assert daemon.fetch()["certificate_expires"] == "2049-12-31T23:59:59.000Z"
    assert warnings_of_end(daemon) == []
    assert "certificate" not in run_ctl(daemon, "status")


@pytest.mark.parametrize("pinned", [True, False])
def test_the_end_does_not_matter(daemon, certificates, serve, start, pinned):
    peer = serve("implicit", cert="ending")
    pin = {"tls_fingerprint": certificates["ending"].fingerprint()}
    start(peer, tls_ca_file=None, **(pin if pinned else {"tls_verify": False}))
    assert daemon.fetch()["certificate_expires"] is None
    assert warnings_of_end(daemon) == []


def test_a_certificate_that_ends_soon_for_sending(
    daemon, spool, certificates, make_relay, mode
):
    relay = make_relay(mode, cert="ending")
    daemon.configure(smtp_account(daemon, relay, tls_ca_file=certificates["ca"])).start()
    drop_letters(spool, 1)
    relay.wait_accepted(1)
    spool.wait_status(lambda s: s["certificate_expires"] is not None, "the date is known")
    assert len(warnings_of_end(daemon)) == 1
    assert "certificate of" in run_ctl(daemon, "status")


# STLS


def test_stls_stripped(daemon, serve, start):
    """A man in the middle takes STLS out of CAPA: never in clear."""
    peer = serve("starttls")
    peer.without = {"STLS"}
    start(peer)
    fail(daemon, peer, "STLS|STARTTLS")


def test_stls_stripped_with_all_of_capa(daemon, serve, start):
    peer = serve("starttls")
    peer.without = {"STLS", "CAPA"}
    start(peer)
    fail(daemon, peer, "STLS|STARTTLS")


def test_stls_refused(daemon, serve, start):
    peer = serve("starttls")
    peer.on("STLS", faults.answer("-ERR no TLS today"))
    start(peer)
    fail(daemon, peer, "no TLS today")


@pytest.mark.parametrize("injected", [b"+OK\r\n", b"x", b"+OK\r\n.\r\n"])
def test_stls_injected(daemon, serve, start, injected):
    peer = serve("starttls")
    peer.on("STLS", faults.stls_with_injection(injected))
    start(peer)
    fail(daemon, peer)


def test_nothing_is_sent_behind_stls(daemon, serve, start):
    peer = serve("starttls")
    start(peer)
    fetch_all(daemon, peer)
    assert peer.sessions[0].early_octets == b""


def test_capabilities_are_asked_again(daemon, serve, start):
    """RFC 2595 section 4: what was said in clear is forgotten."""
    peer = serve("starttls")
    start(peer)
    fetch_all(daemon, peer)
    verbs = [line.split()[0] for _, line in peer.sessions[0].commands]
    assert verbs[:3] == ["CAPA", "STLS", "CAPA"]


# The wrong port


def test_no_tls_where_tls_is_wanted(daemon, peer, box, certificates):
    account = daemon.account(peer, tls="implicit", tls_ca_file=certificates["ca"], timeout=2)
    daemon.configure(account).start()
    daemon.fail("tls", "starttls|does not speak TLS")


def test_tls_where_none_is_expected(daemon, serve):
    peer = serve("implicit")
    daemon.configure(daemon.account(peer, tls="none", timeout=1)).start()
    status = daemon.poll()
    assert status["last_error"]["kind"] in ("network", "protocol")


@pytest.mark.parametrize("step", ["CONNECT", "STLS"])
def test_silence_in_the_handshake(daemon, serve, start, step):
    peer = serve("implicit" if step == "CONNECT" else "starttls")
    peer.on(step, faults.stall(*([] if step == "CONNECT" else ["+OK begin"])))
    start(peer, timeout=1)
    daemon.fail("network", str(peer.port))
    peer.behave()
    fetch_all(daemon, peer)
