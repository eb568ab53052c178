"""Every mechanism alone, and "auto" beside every offer, on Dovecot (POP3) and on Postfix with
Dovecot's users (SMTP). Mail moves, server and session log say by which mechanism, and no log has
the secret. What these servers cannot do is shown on the scripted ones, in test_auth*.py."""

import base64
import os
import re

import pytest
from support import messages
from support.daemon import check_error
from support.dovecot import ODD_PASSWORD, PASSWORD, Dovecot, find_dovecot, make_token
from support.postfix import Postfix, as_sent, find_postfix
from support.spool import letter, smtp_account

PASSWORDS = ("CRAM-MD5", "PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256")
TOKENS = ("OAUTHBEARER", "XOAUTH2")
LONG = 3900  # of a token: Dovecot hangs up on a response of more than 8 KiB
USED = re.compile(r" --> (?:AUTH (\S+)|(USER|APOP) )")

# What is offered, and what "auto" makes of it: with a password, with a token.
OFFERS = [
    (("plain",), "PLAIN", None),
    (("login",), "LOGIN", None),
    (("login", "plain", "cram-md5"), "PLAIN", None),
    (("plain", "scram-sha-1"), "SCRAM-SHA-1", None),
    (("login", "scram-sha-1", "cram-md5", "scram-sha-256"), "SCRAM-SHA-256", None),
    (("plain", "xoauth2"), "PLAIN", "XOAUTH2"),
    (("xoauth2", "oauthbearer", "scram-sha-256"), "SCRAM-SHA-256", "OAUTHBEARER"),
]
CHOICES = [
    pytest.param(offer, kind, mechanism, id=f"{' '.join(offer)}, {kind}")
    for offer, *chosen in OFFERS
    for kind, mechanism in zip(("password", "token"), chosen, strict=True)
    if mechanism is not None
]


def keys_of(kind, user, is_right=True, room=0):
    """The keys of the secret, and the secret itself."""
    if kind == "password":
        password = PASSWORD if is_right else "not " + PASSWORD
        return {"password": password}, password
    token = make_token(user, room=room) if is_right else make_token(user, b"another", room)
    return {"password": None, "token_command": ["printf", "%s", token]}, token


def kind_of(mechanism):
    return "token" if mechanism in TOKENS else "password"


def check_logs(daemon, user, mechanism, secret, server_log):
    """The session says what was used; neither its log nor the server's has the secret."""
    session = daemon.ended_session_logs(1)[-1]
    used = [first or second for first, second in USED.findall(session)]
    assert used == [mechanism], session
    plain = f"\0{user}\0{secret}"
    forms = [secret, *(base64.b64encode(text.encode()).decode() for text in (secret, plain))]
    for text in (session, daemon.log(), server_log):
        assert not [form for form in forms if form.rstrip("=") in text]


# Fetching


@pytest.fixture(scope="session")
def offering(certificates):
    """offering("plain", …): a Dovecot that has just these."""
    found = find_dovecot()
    if found is None:
        pytest.skip("Dovecot's POP3 server is missing; on Debian: apt install dovecot-pop3d")
    servers = {}

    def offer(*mechanisms):
        if mechanisms not in servers:
            servers[mechanisms] = Dovecot(found, certificates, mechanisms).start()
        return servers[mechanisms]

    yield offer
    for server in servers.values():
        server.stop()


@pytest.fixture
def fetching(daemon, certificates):
    """Starts the daemon with an account at this Dovecot that has one message."""

    def start(dovecot, user, **keys):
        keys = {"tls_ca_file": certificates["ca"]} | keys
        daemon.configure(daemon.account(dovecot.implicit, user=user, **keys)).start()

    return start


def methods(dovecot, user):
    """By which mechanisms the user was let in, in Dovecot's words."""
    return re.findall(rf"Login: user=<{user}>, method=(\S+),", dovecot.log())


@pytest.mark.parametrize("mechanism", [*PASSWORDS, *TOKENS, "APOP", "USER"])
def test_fetching_alone(daemon, dovecot, fetching, mechanism):
    user = dovecot.add_user([messages.simple(1)])
    keys, secret = keys_of(kind_of(mechanism), user, room=LONG)
    fetching(dovecot, user, auth=[mechanism], **keys)
    assert daemon.fetch()["fetched"] == 1
    assert methods(dovecot, user) == ["PLAIN" if mechanism == "USER" else mechanism]
    check_logs(daemon, user, mechanism, secret, dovecot.log())


@pytest.mark.parametrize("mechanism", [*PASSWORDS, "APOP", "USER"])
def test_fetching_with_an_odd_password(daemon, dovecot, fetching, mechanism):
    user = dovecot.add_user([messages.simple(1)], "odd")
    fetching(dovecot, user, auth=[mechanism], password=ODD_PASSWORD)
    assert daemon.fetch()["fetched"] == 1
    check_logs(daemon, user, mechanism, ODD_PASSWORD, dovecot.log())


@pytest.mark.parametrize("mechanism", [*PASSWORDS, *TOKENS, "APOP", "USER"])
def test_fetching_with_a_wrong_secret(daemon, dovecot, fetching, mechanism):
    user = dovecot.add_user([messages.simple(1)])
    keys, secret = keys_of(kind_of(mechanism), user, is_right=False)
    fetching(dovecot, user, auth=[mechanism], **keys)
    daemon.fail("auth", "refused")
    assert methods(dovecot, user) == []
    check_logs(daemon, user, mechanism, secret, dovecot.log())


@pytest.mark.parametrize("offer, kind, mechanism", CHOICES)
def test_fetching_by_the_strongest(daemon, offering, fetching, offer, kind, mechanism):
    dovecot = offering(*offer)
    user = dovecot.add_user([messages.simple(1)])
    keys, secret = keys_of(kind, user)
    fetching(dovecot, user, **keys)
    assert daemon.fetch()["fetched"] == 1
    assert methods(dovecot, user) == [mechanism]
    check_logs(daemon, user, mechanism, secret, dovecot.log())


def test_a_server_that_offers_less(daemon, offering, fetching):
    """It says so, and only a person who was told may go on with less."""
    dovecot = offering("login", "scram-sha-256")
    user = dovecot.add_user([messages.simple(1)])
    fetching(dovecot, user, password=PASSWORD)
    daemon.fetch()
    dovecot.offer("login", "plain")
    daemon.fail("auth", "last login was by SCRAM-SHA-256", "only PLAIN, LOGIN", "postriderctl poll")
    assert methods(dovecot, user) == ["SCRAM-SHA-256"]
    daemon.fetch()
    assert methods(dovecot, user) == ["SCRAM-SHA-256", "PLAIN"]


@pytest.fixture
def certified(certificates, offering):
    """A Dovecot that believes certificates, a user there, and the keys that show that user's."""
    dovecot = offering("external", "plain")
    user = dovecot.add_user([messages.simple(1)])
    pair = certificates["authority"].issue(user, user)
    return dovecot, user, {"password": None, "tls_cert": pair.cert, "tls_key": pair.key}


@pytest.mark.parametrize("auth", ["auto", ["EXTERNAL"]])
def test_fetching_by_a_certificate(daemon, fetching, certified, auth):
    dovecot, user, keys = certified
    fetching(dovecot, user, auth=auth, **keys)
    assert daemon.fetch()["fetched"] == 1
    assert methods(dovecot, user) == ["EXTERNAL"]


def test_fetching_as_the_one_whom_the_certificate_names(daemon, fetching, certified):
    dovecot, user, keys = certified
    fetching(dovecot, None, auth=["EXTERNAL"], **keys)
    assert daemon.fetch()["fetched"] == 1
    assert methods(dovecot, user) == ["EXTERNAL"]


def test_fetching_by_somebody_elses_certificate(daemon, fetching, certified):
    dovecot, user, keys = certified
    other = dovecot.add_user([messages.simple(1)])
    fetching(dovecot, other, **keys)
    daemon.fail("auth", "refused AUTH")
    assert methods(dovecot, user) == methods(dovecot, other) == []


# Sending


@pytest.fixture(scope="session")
def postfix_offering(certificates, dovecot):
    """A Postfix with a listener for each offer."""
    found = find_postfix()
    if found is None:
        pytest.skip("Postfix is missing; on Debian: apt install postfix")
    if os.geteuid() != 0:
        pytest.skip("Postfix needs root")
    alone = [(name.lower(),) for name in PASSWORDS + TOKENS]
    offers = dict.fromkeys(alone + [offer for offer, *_ in OFFERS])
    server = Postfix(found, certificates, dovecot, tuple(offers))
    try:
        yield server.start()
    finally:
        server.stop()


class Sending:
    def __init__(self, daemon, spool, certificates, postfix, user):
        self.daemon, self.spool, self.certificates = daemon, spool, certificates
        self.postfix, self.user = postfix, user

    def drop(self, offer, **keys):
        """One message on its way to the listener with this offer; returns its mailbox and text."""
        account = smtp_account(
            self.daemon,
            self.postfix.offering(*offer),
            user=self.user,
            tls_ca_file=self.certificates["ca"],
            **{key: value for key, value in keys.items() if value is not None},
        )
        self.daemon.configure(account, retry={"first": "1h", "max": "1h"}).start()
        box = self.postfix.add_box()
        text = letter(1, f"{box}@example.com")
        self.spool.drop("one", text)
        return box, text

    def methods(self):
        """By which mechanisms the user was let in, in Postfix's words."""
        pattern = rf"sasl_method=(\S+), sasl_username={self.user}\n"
        return re.findall(pattern, self.postfix.log())


@pytest.fixture
def sending(daemon, spool, certificates, postfix_offering, dovecot):
    return Sending(daemon, spool, certificates, postfix_offering, dovecot.add_user())


def check_sent(sending, box, text, mechanism, secret):
    [stored] = sending.postfix.wait_for(box, 1)
    assert as_sent(stored) == text
    sending.spool.wait_empty()
    assert sending.methods() == [mechanism]
    sending.daemon.stop()
    check_logs(sending.daemon, sending.user, mechanism, secret, sending.postfix.log())


@pytest.mark.parametrize("mechanism", [*PASSWORDS, *TOKENS])
def test_sending_alone(sending, mechanism):
    keys, secret = keys_of(kind_of(mechanism), sending.user, room=LONG)
    box, text = sending.drop((mechanism.lower(),), auth=[mechanism], **keys)
    check_sent(sending, box, text, mechanism, secret)


@pytest.mark.parametrize("offer, kind, mechanism", CHOICES)
def test_sending_by_the_strongest(sending, offer, kind, mechanism):
    keys, secret = keys_of(kind, sending.user)
    box, text = sending.drop(offer, **keys)
    check_sent(sending, box, text, mechanism, secret)


@pytest.mark.parametrize("mechanism", PASSWORDS)
def test_sending_with_an_odd_password(sending, dovecot, mechanism):
    sending.user = dovecot.add_user(kind="odd")
    box, text = sending.drop((mechanism.lower(),), auth=[mechanism], password=ODD_PASSWORD)
    check_sent(sending, box, text, mechanism, ODD_PASSWORD)


@pytest.mark.parametrize("offer, kind", [("cram-md5", "password"), ("plain", "token")])
def test_nothing_that_is_offered_fits(daemon, spool, sending, offer, kind):
    """CRAM-MD5 is for who names it, and a token is no password."""
    keys, _ = keys_of(kind, sending.user)
    sending.drop((offer,), **keys)
    status = spool.wait_status(lambda s: s["last_error"], "trouble")
    check_error(status, "auth", f"offers {offer}, auth allows \"auto\"", "would work if offered")
    assert sending.methods() == []
    assert USED.findall(daemon.ended_session_logs(1)[-1]) == []


@pytest.mark.parametrize("mechanism", [*PASSWORDS, *TOKENS])
def test_sending_with_a_wrong_secret(daemon, spool, sending, mechanism):
    keys, secret = keys_of(kind_of(mechanism), sending.user, is_right=False)
    sending.drop((mechanism.lower(),), auth=[mechanism], **keys)
    status = spool.wait_status(lambda s: s["last_error"], "a refusal")
    check_error(status, "auth", "refused")
    assert len(spool.queue()) == 1 and sending.methods() == []
    check_logs(daemon, sending.user, mechanism, secret, sending.postfix.log())
