"""SCRAM's channel binding beyond what GNU SASL's server has (test_auth_bound.py): servers that bind
to their certificate only (tls-server-end-point), and those who find out that somebody took -PLUS
out of their offer."""

import base64
import hashlib
import ssl

import faults
import pytest
import scram
from peer import Hangup
from support import messages
from support.daemon import check_error
from support.spool import RETRY, drop_letters, letter, smtp_account

BOUND, UNBOUND = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"
OFFER = [BOUND, UNBOUND, "PLAIN"]
FIRST = {None: "p=tls-exporter", ssl.TLSVersion.TLSv1_2: "p=tls-unique"}
END_POINT = "p=tls-server-end-point"
ONCE = {"first": "1h", "max": "1h"}


def end_point(pair):
    """RFC 5929 section 4.1: these certificates are signed with SHA-256."""
    with open(pair.cert) as file:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).digest()


@pytest.fixture(params=[None, ssl.TLSVersion.TLSv1_2], ids=["1.3", "1.2"])
def newest(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["plainly", "in words"])
def channel(request, certificates):
    octets = end_point(certificates["server"])
    return scram.Channel(in_words=request.param, tls_server_end_point=octets)


@pytest.fixture
def begin(daemon, make_peer, certificates):
    """A server with this end of the channel, and a daemon with an account there."""

    def start(channel, mode="implicit", newest=None, offer=OFFER, **keys):
        peer = make_peer(mode, newest=newest)
        peer.add_mailbox("box").add(messages.simple(1))
        peer.mechanisms = offer
        peer.channel = channel
        if mode != "none":
            keys["tls_ca_file"] = certificates["ca"]
        daemon.configure(daemon.account(peer, **keys)).start()
        return peer

    return start


@pytest.fixture
def begin_relay(daemon, make_relay, certificates):
    """The same for sending. `on_auth` is a hook, for a test that wants one from the start."""

    def start(channel, mode="implicit", newest=None, offer=OFFER, on_auth=None, retry=ONCE):
        relay = make_relay(mode, newest=newest)
        relay.users = {"box": "pass word"}
        relay.mechanisms = offer
        relay.channel = channel
        if on_auth is not None:
            relay.on("AUTH", on_auth)
        keys = {"user": "box", "password": "pass word", "tls_ca_file": certificates["ca"]}
        daemon.configure(smtp_account(daemon, relay, **keys), retry=retry).start()
        return relay

    return start


def check_sending(spool, kind, *words):
    """A message waits, for that reason."""
    spool.drop("one", letter(1))
    check_error(spool.wait_status(lambda s: s["last_error"], "trouble"), kind, *words)


def logins(peer):
    """Mechanism and gs2-cbind-flag of each login begun, in order."""
    begun = []
    for argument in peer.sent_command("AUTH"):
        mechanism, _, initial = argument.partition(" ")
        flag, _, _ = scram.read_header(base64.b64decode(initial).decode())
        begun.append((mechanism, flag))
    return begun


@pytest.mark.parametrize("mode", ["implicit", "starttls"])
def test_fetching(daemon, begin, channel, newest, mode):
    """The first way to bind is refused, the second is taken, and remembered: a refusal at every
    poll would look like an attack."""
    peer = begin(channel, mode, newest)
    assert daemon.fetch()["fetched"] == 1
    assert logins(peer) == [(BOUND, FIRST[newest]), (BOUND, END_POINT)]
    assert f"bound by {FIRST[newest][2:]}; once more" in daemon.ended_session_logs(1)[0]
    daemon.fetch()
    daemon.restart()
    daemon.fetch()
    assert logins(peer)[2:] == [(BOUND, END_POINT)] * 2


def test_sending(daemon, spool, begin_relay, channel, newest):
    relay = begin_relay(channel, newest=newest, retry=RETRY)
    drop_letters(spool, 1)
    spool.wait_empty()
    assert logins(relay) == [(BOUND, FIRST[newest]), (BOUND, END_POINT)]
    daemon.restart()
    spool.drop("two", letter(2))
    relay.wait_accepted(2)
    assert logins(relay)[2:] == [(BOUND, END_POINT)]


def test_what_was_remembered_serves_no_more(daemon, begin, channel, newest):
    peer = begin(channel, newest=newest)
    daemon.fetch()
    del peer.sessions[:]
    name = FIRST[newest][2:]
    peer.channel = scram.Channel(**{name: b"which Python cannot know"})
    daemon.fail("auth", "refused AUTH")
    assert logins(peer) == [(BOUND, END_POINT), (BOUND, FIRST[newest])]


def test_another_certificate(daemon, begin, certificates):
    """As it is when somebody in the middle has one that is believed."""
    other = end_point(certificates["named"])
    peer = begin(scram.Channel(in_words=True, tls_server_end_point=other))
    daemon.fail("auth", "channel-bindings-dont-match", "somebody may be between")
    assert logins(peer) == [(BOUND, "p=tls-exporter"), (BOUND, END_POINT)]


def test_a_certificate_that_was_replaced(daemon, begin, channel, certificates, newest):
    """A resumed session still has the old one, and the server tells its new one."""
    peer = begin(channel, newest=newest)
    for _ in range(3):
        daemon.fetch()
    assert peer.sessions[-1].resumed
    new = certificates["ending"]
    peer.tls.load_cert_chain(new.cert, new.key)
    peer.channel = scram.Channel(tls_server_end_point=end_point(new))
    daemon.fail("auth", "refused AUTH")
    assert peer.sessions[-1].resumed
    daemon.fetch()
    assert not peer.sessions[-1].resumed


@pytest.mark.parametrize("bound", [BOUND, "SCRAM-SHA-1-PLUS"])
def test_a_proof_is_given_once(daemon, begin, bound):
    """Another end of the channel: the server has seen the proof, and no second one."""
    channel = scram.Channel(in_words=True, tls_exporter=b"the other end's")
    peer = begin(channel, offer=[bound, UNBOUND, "PLAIN"])
    daemon.fail("auth", "channel-bindings-dont-match", "somebody may be between")
    assert logins(peer) == [(bound, "p=tls-exporter")]


def test_the_weaker_hash(daemon, begin, channel):
    peer = begin(channel, offer=["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", UNBOUND])
    daemon.fetch()
    daemon.fetch()
    flags = ["p=tls-exporter", END_POINT, END_POINT]
    assert logins(peer) == [("SCRAM-SHA-1-PLUS", flag) for flag in flags]


def test_no_way_to_bind_is_taken(daemon, begin):
    """Nothing weaker is tried."""
    peer = begin(scram.Channel())
    words = "refused AUTH bound by tls-exporter, and by tls-server-end-point"
    daemon.fail("auth", words, "without -PLUS")
    assert logins(peer) == [(BOUND, "p=tls-exporter"), (BOUND, END_POINT)]


def test_no_way_to_bind_is_taken_for_sending(spool, begin_relay):
    relay = begin_relay(scram.Channel())
    check_sending(spool, "auth", "exporter, and by tls-server-end-point", "without -PLUS")
    assert logins(relay) == [(BOUND, "p=tls-exporter"), (BOUND, END_POINT)]


def refuse_and_close(reply):
    def act(session, _):
        session.say(reply)
        session.flush()
        raise Hangup("refused")

    return act


def test_a_server_that_closes_behind_its_refusal(daemon, begin):
    """It is the refusal that counts, or nobody would stop trying."""
    peer = begin(scram.Channel())
    peer.on("AUTH", refuse_and_close("-ERR [AUTH] no"))
    daemon.fail("auth", "having refused AUTH bound by tls-exporter", "without -PLUS")


def test_a_relay_that_closes_behind_its_refusal(spool, begin_relay):
    begin_relay(scram.Channel(), on_auth=refuse_and_close("535 5.7.8 no"))
    check_sending(spool, "auth", "having refused AUTH bound by tls-exporter", "without -PLUS")


@pytest.mark.parametrize(
    "reply", ["-ERR [IN-USE] wait", "-ERR [LOGIN-DELAY] wait", "-ERR [SYS/TEMP] wait", "+OK ?"]
)
def test_replies_that_are_not_about_the_binding(daemon, begin, reply):
    peer = begin(scram.Channel())
    peer.on("AUTH", faults.answer(reply))
    assert daemon.poll()["last_error"]["kind"] in ("server", "protocol")
    assert logins(peer) == [(BOUND, "p=tls-exporter")]


@pytest.mark.parametrize("reply", ["454 4.7.0 wait", "421 4.3.2 bye"])
def test_replies_to_smtp_that_are_not_about_the_binding(spool, begin_relay, reply):
    relay = begin_relay(scram.Channel(), on_auth=faults.answer(reply))
    check_sending(spool, "server", "wait|bye")
    assert logins(relay) == [(BOUND, "p=tls-exporter")]


def test_a_wrong_password(daemon, begin, channel):
    """One guess, not one for each way to bind."""
    peer = begin(channel, password="wrong")
    daemon.fail("auth", "refused")
    assert logins(peer) == [(BOUND, "p=tls-exporter"), (BOUND, END_POINT)]
    del peer.sessions[:]
    daemon.fail("auth", "refused")
    assert logins(peer) == [(BOUND, "p=tls-exporter"), (BOUND, END_POINT)]


# The flags "y" and "n": what a server is told that offers no -PLUS


@pytest.mark.parametrize("auth", ["auto", [BOUND, UNBOUND, "PLAIN"]])
def test_an_offer_that_lost_what_binds(daemon, begin, channel, auth):
    """RFC 5802 section 6: the server learns from "y" that somebody changed its offer."""
    peer = begin(channel, offer=[UNBOUND, "PLAIN"], auth=auth)
    words = ["did not offer it"] if channel.in_words else ["refused AUTH"]
    daemon.fail("auth", *words)
    assert logins(peer) == [(UNBOUND, "y")]


def test_an_offer_that_lost_what_binds_for_sending(spool, begin_relay, channel):
    relay = begin_relay(channel, "starttls", offer=[UNBOUND, "PLAIN"])
    check_sending(spool, "auth", "refused")
    assert logins(relay) == [(UNBOUND, "y")]


@pytest.mark.parametrize(
    "mode, offer, auth, flag",
    [
        ("implicit", [UNBOUND], "auto", "y"),
        ("starttls", [UNBOUND], [BOUND, UNBOUND], "y"),
        ("implicit", ["SCRAM-SHA-1"], "auto", "y"),
        ("implicit", ["SCRAM-SHA-1"], [BOUND, "SCRAM-SHA-1"], "y"),
        ("implicit", ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"], [BOUND, "SCRAM-SHA-1"], "n"),
        ("implicit", [UNBOUND], [UNBOUND], "n"),  # nobody asked for binding
        ("implicit", [BOUND, UNBOUND], [UNBOUND], "n"),  # "y" would be a lie
        ("none", [UNBOUND], "auto", "n"),  # there is no channel
        ("none", [BOUND, UNBOUND], "auto", "n"),
    ],
)
def test_flags(daemon, begin, certificates, mode, offer, auth, flag):
    supports = {"tls_server_end_point": end_point(certificates["server"])}
    channel = scram.Channel(**supports if flag == "n" else {})
    peer = begin(channel, mode, offer=offer, auth=auth)
    assert daemon.fetch()["fetched"] == 1
    assert logins(peer) == [(offer[-1], flag)]


def test_a_server_that_has_what_binds_after_all(daemon, begin, channel):
    """It declined -PLUS, and was told "y" since: which is refused once, and not for the day that
    what was declined is known."""
    peer = begin(scram.Channel(), offer=[BOUND, UNBOUND])
    peer.on("AUTH", faults.decline("-ERR unsupported mechanism", BOUND))
    daemon.fetch()
    daemon.fetch()
    peer.behave()
    peer.channel = channel
    del peer.sessions[:]
    daemon.fail("auth")
    daemon.fetch()
    assert logins(peer)[0] == (UNBOUND, "y")
    assert logins(peer)[-1] == (BOUND, END_POINT)


def test_a_relay_that_has_what_binds_after_all(daemon, spool, begin_relay, channel):
    decline = faults.decline("504 5.5.4 no", BOUND)
    relay = begin_relay(scram.Channel(), offer=[BOUND, UNBOUND], on_auth=decline, retry=RETRY)
    drop_letters(spool, 1)
    spool.wait_empty()
    relay.behave()
    relay.channel = channel
    del relay.sessions[:]
    drop_letters(spool, 1, first=1)
    spool.wait_empty()
    assert logins(relay)[0] == (UNBOUND, "y")
    assert logins(relay)[-1] == (BOUND, END_POINT)


def test_dovecot_takes_it(daemon, dovecot, certificates):
    """Dovecot 2.3 binds to nothing, and is told that it could have."""
    user = dovecot.add_user([messages.simple(1)])
    account = daemon.account(dovecot.implicit, user=user, password="pass word")
    account["pop3"] |= {"tls_ca_file": certificates["ca"]}
    daemon.configure(account).start()
    assert daemon.fetch()["fetched"] == 1
    assert "AUTH SCRAM-SHA-256 ****" in daemon.ended_session_logs(1)[0]
