"""Servers, commands and local clients that try to break what touches foreign octets."""

import base64
import hashlib
import hmac
import os
import socket
import ssl

import faults
import pytest
from pop3_peer import Hangup
from support import messages
from support.dovecot import PASSWORD
from support.maildir import expected
from support.waiting import wait_for


def drops(line, pause=0.05):
    """A multi-line answer, one line at a time, each well within the silence timeout."""

    def act(session, _):
        session.say("+OK")
        for number in range(1, 1_000_000):
            session.say(line.format(number))
            session.flush()
            if session.peer.stopping.wait(pause):
                raise Hangup("stopping")
        return True

    return act


@pytest.mark.parametrize(
    "step, line", [("CAPA", "X-{}"), ("UIDL", "{} uid-{}"), ("LIST", "{} 100")]
)
def test_lines_that_lead_nowhere_meet_the_deadline(daemon, peer, box, step, line):
    box.add(messages.simple(1))
    daemon.configure(daemon.account(peer, timeout=5, deadline=1)).start()
    peer.on(step, drops(line.replace("uid-{}", "uid")))
    daemon.fail("network", "64 KiB")


@pytest.mark.parametrize("step", ["UIDL", "LIST"])
def test_a_nul_does_not_cut_a_line(daemon, peer, box, step):
    """Two UIDs that differ behind a NUL are not the same."""
    box.add(messages.simple(1))
    box.add(messages.simple(2))
    peer.on(step, faults.answer("+OK", "1 5\0a", "2 5\0b", "."))
    daemon.configure(daemon.account(peer)).start()
    daemon.fail("protocol")
    assert peer.sent_command("RETR") == []


# STLS


def test_answers_before_the_questions_do_not_reach_tls(daemon, make_peer, certificates):
    """An attacker answers CAPA and STLS with the greeting, so that the client's commands would come
    to the real server inside TLS, out of step for good: a refused login that never was one."""
    peer = make_peer("starttls")
    peer.add_mailbox("box")

    def act(session, _):
        session.send(b"+OK ready\r\n+OK\r\nSTLS\r\n.\r\n+OK begin\r\n")
        session.start_tls()
        return True

    peer.on("GREETING", act)
    account = daemon.account(peer, tls_ca_file=certificates["ca"])
    daemon.configure(account).start()
    daemon.fail("tls", "before it was asked")
    assert peer.sent_command("PASS") == peer.sent_command("AUTH") == []


@pytest.mark.parametrize("mode", ["implicit", "starttls"])
def test_a_handshake_in_drops_meets_the_deadline(daemon, peer, box, mode):
    """A record of 16 KiB, an octet at a time, each well within the silence timeout."""

    def act(session, _):
        if mode == "starttls":
            session.say("+OK")
            session.flush()
            session.fill()  # the ClientHello
        for octet in b"\x16\x03\x03\x40\x00\x02" + bytes(16000):
            session.send(bytes([octet]))
            session.flush()
            if session.peer.stopping.wait(0.05):
                raise Hangup("stopping")
        return True

    peer.on("CONNECT" if mode == "implicit" else "STLS", act)
    daemon.configure(daemon.account(peer, tls=mode, timeout=5, deadline=1)).start()
    peer.without.add("CAPA")
    daemon.fail("network", "64 KiB")


# Secrets in the logs


def received(daemon):
    lines = daemon.ended_session_logs(1)[0].splitlines()
    return [line.partition(" <-- ")[2] for line in lines if " <-- " in line]


def test_challenges_are_not_logged(daemon, dovecot):
    user = dovecot.add_user([messages.simple(1)])
    account = daemon.account(dovecot.plain, user=user, auth=["SCRAM-SHA-256"], password=PASSWORD)
    daemon.configure(account).start()
    daemon.fetch()
    challenges = [line for line in received(daemon) if line.startswith("+ ")]
    assert len(challenges) >= 2
    assert set(challenges) == {"+ ****"}


def test_an_echoed_digest_is_not_logged(daemon, peer, box):
    stamp = peer.greeting.rpartition(" ")[2]
    digest = hashlib.md5((stamp + "pass word").encode()).hexdigest()
    peer.on("APOP", lambda s, argument: s.say("-ERR what is " + argument) or True)
    daemon.configure(daemon.account(peer, auth=["APOP"])).start()
    status = daemon.fail("auth")
    assert digest in peer.sent_command("APOP")[0]
    assert digest not in daemon.ended_session_logs(1)[0]
    assert digest not in status["last_error"]["text"]
    assert digest not in daemon.log()


# SCRAM over TLS: PLUS is wanted most, and a server without it is served all the same


def test_scram_over_tls(daemon, dovecot, certificates):
    user = dovecot.add_user([messages.simple(1)])
    account = daemon.account(
        dovecot.implicit,
        user=user,
        auth=["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"],
        password=PASSWORD,
        tls_ca_file=certificates["ca"],
    )
    daemon.configure(account).start()
    assert daemon.fetch()["fetched"] == 1


def hmac_sha256(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def scram_plus(binding_of):
    """RFC 5802's server with a channel binding; notes in session.bound whether it was the same."""

    def ask(session, challenge):
        session.say("+ " + base64.b64encode(challenge).decode())
        return base64.b64decode(session.read_line())

    def act(session, argument):
        mechanism, _, initial = argument.partition(" ")
        assert mechanism == "SCRAM-SHA-256-PLUS"
        header, bare = base64.b64decode(initial).split(b",,", 1)
        assert header == b"p=tls-unique"
        nonce = dict(p.split(b"=", 1) for p in bare.split(b","))[b"r"] + b"server"
        first = b"r=" + nonce + b",s=" + base64.b64encode(b"salt") + b",i=4096"
        final, _, proof = ask(session, first).rpartition(b",p=")
        bound = base64.b64decode(final.split(b",")[0][2:])
        session.bound = bound == header + b",," + binding_of(session)
        salted = hashlib.pbkdf2_hmac("sha256", b"pass word", b"salt", 4096)
        key = hmac_sha256(salted, b"Client Key")
        text = b",".join([bare, first, final])
        right = xor(key, hmac_sha256(hashlib.sha256(key).digest(), text))
        if not session.bound or base64.b64decode(proof) != right:
            session.say("-ERR [AUTH] no")
            return True
        proof = hmac_sha256(hmac_sha256(salted, b"Server Key"), text)
        assert ask(session, b"v=" + base64.b64encode(proof)) == b""
        session.log_in("box", "pass word")
        return True

    return act


@pytest.mark.parametrize("same", [True, False])
def test_scram_is_bound_to_the_channel(daemon, make_peer, certificates, same):
    peer = make_peer("implicit", newest=ssl.TLSVersion.TLSv1_2)
    peer.add_mailbox("box").add(messages.simple(1))
    peer.on("CAPA", faults.answer("+OK", "UIDL", "SASL PLAIN SCRAM-SHA-256-PLUS", "."))
    own = lambda session: session.sock.get_channel_binding("tls-unique")  # noqa: E731
    peer.on("AUTH", scram_plus(own if same else lambda _: b"somebody in between"))
    account = daemon.account(peer, tls_ca_file=certificates["ca"])
    daemon.configure(account).start()
    if same:
        assert daemon.fetch()["fetched"] == 1
        daemon.fetch()
        assert peer.sessions[-1].resumed
    else:
        daemon.fail("auth")
    assert [session.bound for session in peer.sessions] == [same] * len(peer.sessions)


@pytest.mark.parametrize("end", ["closes", "speaks"])
def test_a_server_that_does_not_wait_for_the_key(daemon, peer, box, end):
    """SCRAM's key takes most of a second; meanwhile the session is over."""

    def act(session, _):
        challenge = b"r=nonce,s=c2FsdA==,i=1000000"
        session.say("+ " + base64.b64encode(challenge).decode())
        if end == "speaks":
            session.say("+OK in")
            session.wait_until_gone()
        session.flush()
        session.close()
        raise Hangup("as scripted")

    peer.on("CAPA", faults.answer("+OK", "UIDL", "SASL SCRAM-SHA-256", "."))
    peer.on("AUTH", act)
    daemon.configure(daemon.account(peer, auth=["SCRAM-SHA-256"])).start()
    for _ in range(3):
        daemon.fail("network" if end == "closes" else "protocol")
    daemon.ctl("status")


# What must not grow


STEPS = ["GREETING", "CAPA", "USER", "PASS", "STAT", "UIDL", "LIST", "RETR", "QUIT"]


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def test_failing_polls_leave_no_descriptors(daemon, peer, box):
    box.add(messages.simple(1))
    command = ["printf", "pass word"]
    account = daemon.account(peer, auth=["USER"], password=None, password_command=command)
    daemon.configure(account).start()
    ends = [faults.hang_up(), faults.hang_up(reset=True), faults.answer("-ERR [SYS/TEMP] no")]
    ends.append(faults.garbage())

    def every_failure():
        for step in STEPS:
            for end in ends:
                peer.behave()
                peer.on(step, end)
                daemon.poll()

    every_failure()
    before = descriptors(daemon)
    for _ in range(int(os.environ.get("POSTRIDER_TEST_ROUNDS", "3"))):
        every_failure()
    wait_for(
        lambda: descriptors(daemon) <= before,
        lambda: f"{before} descriptors, now {descriptors(daemon)}",
    )
    peer.behave()
    daemon.poll()
    assert daemon.maildir().digests() == expected(box.messages)


# Commands for secrets


@pytest.mark.parametrize(
    "command, words",
    [
        ("head -c 3000000 /dev/zero | tr '\\0' x", "far more"),
        ("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 4", "status 4"),
        ("kill -SEGV $$", "signal"),
        ("printf 'a\\0b'", "NUL"),
        ("printf 'a\\rb'", "more than one line"),
        ("printf 'a\\nb'", "more than one line"),
        ("exec 1>&-; sleep 1000", "secret_timeout"),
        ("trap '' TERM INT HUP; while :; do sleep 1000; done", "secret_timeout"),
    ],
)
def test_commands_that_give_no_secret(daemon, peer, box, command, words):
    account = daemon.account(peer, password=None, password_command=command, secret_timeout=1)
    daemon.configure(account).start()
    before = descriptors(daemon)
    daemon.fail("local", words)
    assert peer.sent_command("PASS") == peer.sent_command("AUTH") == []
    wait_for(lambda: descriptors(daemon) <= before + 1, "the pipes are closed")


@pytest.mark.parametrize(
    "command",
    [
        "printf 'pass word\\r\\n'",
        "printf 'pass word'; setsid sleep 30 &",
        "printf 'pass word'; sleep 1000 &",
    ],
)
def test_commands_that_leave_something_behind(daemon, peer, box, command):
    """What has left the command's group keeps the pipe open: the secret is taken all the same."""
    account = daemon.account(peer, password=None, password_command=command, secret_timeout=20)
    daemon.configure(account).start()
    daemon.fetch()


# The control socket


def connect(daemon):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(daemon.socket)
    return client


def test_hostile_clients_keep_nobody_out(daemon, peer, box):
    """One that never ends its line, one that sends what it likes, one that reads nothing, and a
    crowd: the daemon still answers, fetches, and lets the descriptors go."""
    box.add(messages.simple(1))
    daemon.configure(daemon.account(peer)).start()
    before = descriptors(daemon)
    slow = connect(daemon)
    slow.sendall(b"stat")
    binary = connect(daemon)
    binary.sendall(bytes(range(256)) * 15 + b"\n")
    deaf = connect(daemon)
    deaf.setblocking(False)
    try:
        while True:
            deaf.send(b"metrics\nstatus\nhelp\n" * 100)
    except BlockingIOError:
        pass
    crowd = [connect(daemon) for _ in range(40)]
    daemon.fetch()
    more = [connect(daemon) for _ in range(60)]
    for client in (slow, binary, deaf, *crowd, *more):
        client.close()
    wait_for(lambda: descriptors(daemon) <= before, "all descriptors are closed")
    assert daemon.ctl("version")["ok"]
