"""`postriderctl test`: both servers of an account looked at without the daemon, step by step."""

import hashlib
import json
import os
import pty
import re
import select
import socket
import ssl
import subprocess
import threading

import faults
import pytest
import scram
from support import messages
from support.daemon import SANITIZER, find_program
from support.dovecot import PASSWORD, free_ports
from support.spool import smtp_account

EX_USAGE, EX_NOINPUT, EX_CONFIG = 64, 66, 78
POP3_STEPS = "secret name connect tls greeting capabilities mechanism login mailbox quit".split()


class Look:
    """postriderctl on the configuration of the daemon, which need not run."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.program = find_program("postriderctl")
        self.before = []  # a command that runs it

    def run(self, *words, expect=0, **environment):
        done = subprocess.run(
            [*self.before, self.program, "-c", self.daemon.config, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.daemon.environment | environment,
            check=False,
        )
        output = done.stdout + done.stderr
        assert not SANITIZER.search(output), output
        assert done.returncode == expect, output
        assert PASSWORD not in output
        return done

    def text(self, account="box", expect=0):
        return self.run("test", account, expect=expect).stdout

    def json(self, account="box", expect=0):
        result = json.loads(self.run("--json", "test", account, expect=expect).stdout)
        assert result["account"] == account
        assert result["ok"] == (expect == 0)
        assert result["ok"] == (result["pop3"]["ok"] and result["smtp"]["ok"])
        return result


@pytest.fixture
def tester(daemon):
    return Look(daemon)


def both(daemon, fetching, sending, **changes):
    """An account with both sides, as one group."""
    account = daemon.account(fetching, **changes)
    account["smtp"] = smtp_account(daemon, sending, **changes)["smtp"]
    return account


def steps(side):
    """The steps by name; all but the last went well."""
    assert all(step["ok"] for step in side["steps"][:-1]), side
    assert side["steps"][-1]["ok"] == side["ok"]
    for step in side["steps"]:
        assert step["text"] and step["ms"] >= 0
    return {step["step"]: step for step in side["steps"]}


def failure(side):
    """The step that ended this side."""
    assert not side["ok"]
    step = side["steps"][-1]
    assert not step["ok"]
    steps(side)
    return step


# Real servers


@pytest.mark.parametrize("mode", ["implicit", "starttls"])
def test_real_servers(daemon, dovecot, postfix, certificates, tester, mode):
    user = dovecot.add_user([messages.simple(1, size=1000), messages.simple(2, size=1000)])
    fetching, sending = getattr(dovecot, mode), getattr(postfix, mode)
    settings = {"user": user, "password": PASSWORD, "tls_ca_file": certificates["ca"]}
    account = both(daemon, fetching, sending, host="localhost", **settings)
    daemon.configure(account)
    result = tester.json()

    pop3, smtp = steps(result["pop3"]), steps(result["smtp"])
    order = POP3_STEPS.copy()
    if mode == "starttls":
        order[3:5] = ["greeting", "tls"]
    assert list(pop3) == list(smtp) == order
    assert result["pop3"]["server"] == f"localhost:{fetching.port}"
    assert result["smtp"]["server"] == f"localhost:{sending.port}"
    for side, port in ((pop3, fetching.port), (smtp, sending.port)):
        assert {"address": "127.0.0.1", "result": "connected"} in side["name"]["addresses"]
        assert side["connect"]["address"] == f"127.0.0.1:{port}"
        tls = side["tls"]
        assert tls["version"] == "TLSv1.3" and tls["cipher"].startswith("TLS_")
        assert tls["starttls"] == (mode == "starttls")
        assert certificates["ca"] in tls["trust"] and "localhost" in tls["trust"]
        leaf, root = tls["certificates"]
        assert leaf["subject"] == "CN=localhost" and leaf["issuer"] == "CN=Test CA"
        assert leaf["names"] == "localhost, 127.0.0.1"
        assert leaf["not_after"] == "2049-12-31T23:59:59.000Z" and leaf["days_left"] > 0
        assert root["subject"] == "CN=Test CA"
        assert user in side["login"]["text"]
    assert "UIDL" in pop3["capabilities"]["capabilities"]
    assert pop3["mechanism"]["mechanism"] == "SCRAM-SHA-256"
    assert {"PLAIN", "SCRAM-SHA-1", "USER"} <= set(pop3["mechanism"]["offered"])
    assert pop3["mailbox"]["messages"] == 2 and pop3["mailbox"]["octets"] > 2000
    assert smtp["mailbox"]["size_limit"] == 50_000_000
    assert "8BITMIME" in smtp["capabilities"]["capabilities"]
    assert smtp["mechanism"]["mechanism"] in smtp["mechanism"]["offered"]
    assert dovecot.waiting(user) == 2


def test_the_text_for_people(daemon, dovecot, postfix, certificates, tester):
    user = dovecot.add_user()
    settings = {"user": user, "password": PASSWORD, "tls_ca_file": certificates["ca"]}
    daemon.configure(both(daemon, dovecot.implicit, postfix.starttls, **settings))
    text = tester.text()
    assert text.count("✓") == 2 * len(POP3_STEPS) and "✗" not in text
    assert f"POP3 at 127.0.0.1:{dovecot.implicit.port}\n" in text
    assert re.search(r"✓  tls +TLSv1\.3 TLS_\w+, STARTTLS\n", text)
    assert re.search(r"certificate of CN=localhost, issued by CN=Test CA, for .*2049-12-31", text)
    assert "0 messages, 0 octets" in text
    assert text.endswith("box: fetching works, sending works\n")


def on_terminal(daemon, tester, **environment):
    """What it shows on a terminal, 80 columns wide."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [tester.program, "-c", daemon.config, "test", "box"],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
        env=daemon.environment | {"TERM": "xterm", "COLUMNS": "80"} | environment,
    )
    os.close(slave)
    octets = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        octets += piece
    os.close(master)
    assert process.wait(30) == 0, octets
    return octets.decode()


def test_on_a_terminal(daemon, peer, box, tester):
    daemon.configure(daemon.account(peer))
    coloured = on_terminal(daemon, tester, LC_ALL="C.UTF-8")
    assert "\x1b[" in coloured and "✓" in coloured
    plain = on_terminal(daemon, tester, LC_ALL="C.UTF-8", NO_COLOR="1")
    assert "\x1b" not in plain and "✓" in plain
    ascii_only = on_terminal(daemon, tester, LC_ALL="C", NO_COLOR="1")
    assert ascii_only.isascii() and re.search(r"^  ok login ", ascii_only, re.MULTILINE)
    assert all(len(line) <= 80 for line in ascii_only.splitlines())


# No mail moves


def test_no_mail_moves(daemon, peer, box, make_relay, tester):
    relay = make_relay()
    relay.users = {"box": "pass word"}
    box.add(messages.simple(1))
    daemon.configure(both(daemon, peer, relay, user="box", password="pass word"))
    result = tester.json()
    assert steps(result["pop3"])["mailbox"]["messages"] == 1
    verbs = {line.split()[0] for session in peer.sessions for _, line in session.commands}
    assert verbs <= {"CAPA", "AUTH", "USER", "PASS", "STAT", "QUIT"}
    verbs = {line.split()[0] for session in relay.sessions for _, line in session.commands}
    assert verbs == {"EHLO", "AUTH", "QUIT"}
    assert len(box.messages) == 1
    assert not os.path.exists(daemon.path("state")) and not os.path.exists(daemon.path("Mail"))


def test_the_daemon_may_run(daemon, peer, box, tester):
    box.add(messages.simple(1))
    daemon.configure(daemon.account(peer)).start()
    assert steps(tester.json()["pop3"])["mailbox"]["messages"] == 1
    daemon.fetch()


def test_one_side_only(daemon, relay, peer, box, tester):
    daemon.configure(daemon.account(peer))
    result = tester.json()
    assert result["smtp"] == {"ok": True, "server": None, "steps": []}
    assert "SMTP is not configured" in tester.text()
    daemon.configure(smtp_account(daemon, relay))
    result = tester.json()
    assert list(steps(result["smtp"])) == [
        s for s in POP3_STEPS if s not in ("secret", "login")
    ]
    assert steps(result["smtp"])["mechanism"]["mechanism"] is None
    assert "in clear" in steps(result["smtp"])["tls"]["text"]


# What it finds


def test_a_mechanism_that_is_not_there(daemon, peer, relay, box, tester):
    """It is the one that logged in that is told."""
    peer.mechanisms = relay.mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]
    relay.users = {"box": "pass word"}
    peer.on("AUTH", faults.decline("-ERR unknown mechanism", "SCRAM-SHA-256", "SCRAM-SHA-1"))
    relay.on("AUTH", faults.decline("504 5.5.4 no", "SCRAM-SHA-256"))
    account = smtp_account(daemon, relay, user="box", password="pass word")
    account["pop3"] = daemon.account(peer)["pop3"]
    daemon.configure(account)
    result = tester.json()
    assert result["pop3"]["ok"] and result["smtp"]["ok"], result
    step = steps(result["pop3"])["mechanism"]
    assert step["mechanism"] == "PLAIN"
    assert step["text"].endswith(", and does not have SCRAM-SHA-256 SCRAM-SHA-1")
    step = steps(result["smtp"])["mechanism"]
    assert step["mechanism"] == "SCRAM-SHA-1"
    assert step["text"].endswith(", and does not have SCRAM-SHA-256")


def test_another_way_to_bind_is_no_other_mechanism(
    daemon, make_peer, make_relay, certificates, tester
):
    """The first one is refused, the second is taken: the server has the mechanism."""
    with open(certificates["server"].cert) as file:
        octets = ssl.PEM_cert_to_DER_cert(file.read())
    peer, relay = make_peer("implicit"), make_relay("implicit")
    peer.add_mailbox("box")
    relay.users = {"box": "pass word"}
    for server in (peer, relay):
        server.mechanisms = ["SCRAM-SHA-256-PLUS"]
        server.channel = scram.Channel(tls_server_end_point=hashlib.sha256(octets).digest())
    keys = {"user": "box", "password": "pass word", "tls_ca_file": certificates["ca"]}
    daemon.configure(both(daemon, peer, relay, **keys))
    result = tester.json()
    for side in ("pop3", "smtp"):
        step = steps(result[side])["mechanism"]
        assert step["mechanism"] == "SCRAM-SHA-256-PLUS"
        assert "does not have" not in step["text"]


def test_no_mechanism_is_there(daemon, peer, box, tester):
    peer.mechanisms = ["SCRAM-SHA-256"]
    peer.on("AUTH", faults.decline("-ERR unknown mechanism", "SCRAM-SHA-256"))
    daemon.configure(daemon.account(peer, auth=["SCRAM-SHA-256"]))
    step = tester.json(expect=1)["pop3"]["steps"][-1]
    assert (step["step"], step["ok"]) == ("mechanism", False), step
    assert "declines it" in step["text"]


@pytest.mark.parametrize("mechanism", ["USER", "PLAIN", "APOP"])
def test_the_mechanism(daemon, peer, box, tester, mechanism):
    daemon.configure(daemon.account(peer, auth=[mechanism]))
    step = steps(tester.json()["pop3"])["mechanism"]
    assert step["mechanism"] == mechanism
    assert set(step["offered"]) == {"PLAIN", "USER", "APOP"}


@pytest.mark.parametrize("kind", ["fingerprint", "key_fingerprint"])
def test_a_pin(daemon, certificates, make_peer, tester, kind):
    peer = make_peer("implicit", cert="expired")
    peer.add_mailbox("box")
    pin = getattr(certificates["expired"], kind)()
    daemon.configure(daemon.account(peer, tls_fingerprint=pin))
    tls = steps(tester.json()["pop3"])["tls"]
    assert pin in tls["trust"] and "matches" in tls["trust"]
    assert tls["certificates"][0]["days_left"] < 0
    assert any("expired on 2024-02-01" in detail for detail in tls["details"])


@pytest.mark.parametrize("cert", ["expired", "named", "unknown", "self-signed"])
def test_a_certificate_that_is_not_believed(daemon, certificates, make_peer, tester, cert):
    """What was shown is said, and that the secret did not go there."""
    peer = make_peer("implicit", cert=cert)
    peer.add_mailbox("box")
    daemon.configure(daemon.account(peer, tls_ca_file=certificates["ca"]))
    found = failure(tester.json(expect=1)["pop3"])
    assert (found["step"], found["kind"]) == ("tls", "tls")
    (shown,) = found["certificates"]
    name = "mail.example.test" if cert == "named" else "localhost"
    issuer = {"unknown": "CN=Other CA", "self-signed": "CN=localhost"}.get(cert, "CN=Test CA")
    assert (shown["subject"], shown["issuer"]) == (f"CN={name}", issuer)
    assert peer.sent_command("AUTH") == peer.sent_command("USER") == []
    assert f"certificate of CN={name}, issued by {issuer}" in tester.text(expect=1)


def test_a_pin_that_does_not_match(daemon, certificates, make_peer, tester):
    peer = make_peer("implicit", cert="unknown")
    peer.add_mailbox("box")
    daemon.configure(daemon.account(peer, tls_fingerprint=certificates["server"].fingerprint()))
    found = failure(tester.json(expect=1)["pop3"])
    assert found["step"] == "tls" and certificates["unknown"].fingerprint() in found["text"]
    assert found["certificates"][0]["issuer"] == "CN=Other CA"


def test_without_verification(daemon, make_peer, tester):
    peer = make_peer("implicit", cert="unknown")
    peer.add_mailbox("box")
    daemon.configure(daemon.account(peer, tls_verify=False))
    assert "not verified" in steps(tester.json()["pop3"])["tls"]["trust"]


def test_ipv6_that_is_broken(daemon, peer, box, tester, as_root):
    """The name has an IPv6 address that leads nowhere: IPv4 helps out, and that is said."""
    with open(daemon.path("hosts"), "w") as file:
        file.write("127.0.0.1 pop.example.test\n2001:db8::1 pop.example.test\n")
    account = daemon.account(peer, host="pop.example.test", cleartext_auth=True)
    daemon.configure(account)
    apart = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*apart, "true"], check=False).returncode != 0:
        pytest.skip("no mount namespace of its own can be had here")
    tester.before = [
        *apart,
        "sh",
        "-c",
        f'mount --bind {daemon.path("hosts")} /etc/hosts && exec "$@"',
        "sh",
    ]
    pop3 = steps(tester.json()["pop3"])
    results = {item["address"]: item["result"] for item in pop3["name"]["addresses"]}
    assert results["127.0.0.1"] == "connected" and results["[2001:db8::1]"] != "connected"
    assert pop3["connect"]["address"] == f"127.0.0.1:{peer.port}"
    assert pop3["connect"]["ipv6_broken"]
    assert "IPv6 did not work" in pop3["connect"]["details"][0]
    assert f"[2001:db8::1]:{peer.port}" in pop3["connect"]["details"][0]


class Proxy:
    """SOCKS5 (RFC 1928) without authentication, for one connection."""

    def __init__(self, target):
        self.target = target  # None: the proxy says that the host is unreachable
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"socks5://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        client, _ = self.listener.accept()
        with client:
            client.settimeout(30)
            assert client.recv(3) == b"\5\1\0"
            client.sendall(b"\5\0")
            assert client.recv(512)[:2] == b"\5\1"
            client.sendall(b"\5" + (b"\0" if self.target else b"\4") + b"\0\1" + bytes(6))
            if self.target:
                with socket.create_connection(("127.0.0.1", self.target)) as server:
                    self.relay(client, server)

    @staticmethod
    def relay(client, server):
        while True:
            for sock in select.select([client, server], [], [], 30)[0]:
                octets = sock.recv(65536)
                if not octets:
                    return
                (server if sock is client else client).sendall(octets)

    def stop(self):
        self.thread.join(30)
        self.listener.close()


def test_through_a_proxy(daemon, peer, box, tester):
    proxy = Proxy(peer.port)
    account = daemon.account(peer, host="pop.example.test", proxy=proxy.url, cleartext_auth=True)
    daemon.configure(account)
    pop3 = steps(tester.json()["pop3"])
    proxy.stop()
    assert "proxy" in pop3["name"]["text"]
    assert f"SOCKS5 proxy connected to pop.example.test:{peer.port}" in pop3["connect"]["text"]


def test_a_proxy_that_refuses(daemon, peer, tester):
    proxy = Proxy(None)
    account = daemon.account(peer, host="pop.example.test", proxy=proxy.url, cleartext_auth=True)
    daemon.configure(account)
    found = failure(tester.json(expect=1)["pop3"])
    proxy.stop()
    assert (found["step"], found["kind"]) == ("connect", "network")
    assert f"pop.example.test:{peer.port}" in found["text"] and "proxy" in found["text"]


def test_a_secret_that_the_server_echoes(daemon, peer, box, make_relay, tester):
    relay = make_relay()
    peer.greeting = "your password is pass word"
    relay.greeting = "your password is pass word"
    peer.on("QUIT", faults.hang_up("+OK goodbye pass word"))
    relay.on("EHLO", faults.answer("250-peer.example", "250-XPASS pass word", "250 AUTH PLAIN"))
    relay.on("AUTH", faults.answer("535 5.7.8 not pass word"))
    daemon.configure(both(daemon, peer, relay, user="box", password="pass word"))
    result = tester.json(expect=1)  # the tester looks for the password itself
    assert "****" in steps(result["pop3"])["greeting"]["text"]
    assert "XPASS ****" in steps(result["smtp"])["capabilities"]["capabilities"]
    assert "****" in failure(result["smtp"])["text"]
    tester.text(expect=1)


def test_a_hostile_server(daemon, peer, box, tester):
    """What it says obeys no terminal."""
    peer.greeting = "ready \x1b[2J\x07 \u202e"
    peer.on("CAPA", faults.answer("+OK", "USER", "X-\x1b]0;title\x07", "."))
    daemon.configure(daemon.account(peer))
    assert r"\x1b[2J\x07 \xe2\x80\xae" in steps(tester.json()["pop3"])["greeting"]["text"]
    text = tester.text()
    assert not set(text) & {"\x1b", "\x07", "\u202e"}


def test_no_answer_to_quit(daemon, peer, box, tester):
    peer.on("QUIT", faults.hang_up())
    daemon.configure(daemon.account(peer))
    assert "without an answer" in steps(tester.json()["pop3"])["quit"]["text"]


# What goes wrong: the step, and the other side all the same


def test_the_other_side_is_still_tried(daemon, peer, box, make_relay, tester):
    relay = make_relay()
    account = both(daemon, peer, relay)
    account["pop3"]["port"] = free_ports(1)[0]
    account["smtp"].update(user=None, password=None)
    daemon.configure(account)
    result = tester.json(expect=1)
    assert failure(result["pop3"])["step"] == "connect"
    assert result["smtp"]["ok"]
    text = tester.text(expect=1)
    assert re.search(r"^  ✗  connect +127\.0\.0\.1:\d+: .*refused", text, re.MULTILINE)
    assert text.endswith("box: fetching does not work, sending works\n")


@pytest.mark.parametrize(
    "verb, answer, step, kind",
    [
        ("GREETING", "-ERR not today", "greeting", "server"),
        ("GREETING", "* OK IMAP4", "greeting", "protocol"),
        ("CAPA", "what?", "capabilities", "protocol"),
        ("AUTH", "-ERR [AUTH] no", "login", "auth"),
        ("AUTH", "-ERR [IN-USE] locked", "login", "server"),
        ("STAT", "-ERR [SYS/TEMP] over quota", "mailbox", "server"),
        ("QUIT", "-ERR cannot", "quit", "server"),
    ],
)
def test_the_step_that_fails(daemon, peer, box, tester, verb, answer, step, kind):
    peer.on(verb, faults.answer(answer))
    daemon.configure(daemon.account(peer))
    found = failure(tester.json(expect=1)["pop3"])
    assert (found["step"], found["kind"]) == (step, kind)
    assert f"127.0.0.1:{peer.port}" in found["text"]


def test_what_the_daemon_goes_without(daemon, peer, box, tester):
    peer.on("CAPA", faults.hang_up())
    daemon.configure(daemon.account(peer))
    found = failure(tester.json(expect=1)["pop3"])
    assert found["text"].endswith("; the daemon tries it without CAPA")


@pytest.mark.parametrize(
    "step, verb",
    [("greeting", "GREETING"), ("capabilities", "CAPA"), ("login", "AUTH"), ("mailbox", "STAT")],
)
@pytest.mark.parametrize("fault", [faults.stall(), faults.hang_up()], ids=["silence", "closed"])
def test_a_server_that_goes(daemon, peer, box, tester, step, verb, fault):
    peer.on(verb, fault)
    daemon.configure(daemon.account(peer, timeout=1))
    found = failure(tester.json(expect=1)["pop3"])
    assert (found["step"], found["kind"]) == (step, "network")


@pytest.mark.parametrize(
    "verb, answer, step, kind",
    [
        ("GREETING", "554 5.3.2 no mail here", "greeting", "server"),
        ("EHLO", "451 4.3.0 later", "capabilities", "server"),
        ("AUTH", "535 5.7.8 no", "login", "auth"),
        ("AUTH", "454 4.7.0 later", "login", "server"),
    ],
)
def test_the_smtp_step_that_fails(daemon, relay, tester, verb, answer, step, kind):
    relay.users = {"box": "pass word"}
    relay.on(verb, faults.answer(answer))
    daemon.configure(smtp_account(daemon, relay, user="box", password="pass word"))
    found = failure(tester.json(expect=1)["smtp"])
    assert (found["step"], found["kind"]) == (step, kind)
    assert f"127.0.0.1:{relay.port}" in found["text"]


def test_starttls_that_is_stripped(daemon, certificates, make_peer, make_relay, tester):
    peer, relay = make_peer("starttls"), make_relay("starttls")
    peer.without, relay.without = {"STLS"}, {"STARTTLS"}
    settings = {"user": "box", "password": "pass word", "tls_ca_file": certificates["ca"]}
    daemon.configure(both(daemon, peer, relay, **settings))
    result = tester.json(expect=1)
    for side in (result["pop3"], result["smtp"]):
        found = failure(side)
        assert (found["step"], found["kind"]) == ("tls", "tls")


def test_a_mechanism_that_lacks(daemon, peer, box, tester):
    daemon.configure(daemon.account(peer, auth=["SCRAM-SHA-256"]))
    found = failure(tester.json(expect=1)["pop3"])
    assert found["step"] == "mechanism" and "SCRAM-SHA-256" in found["text"]


def test_a_secret_that_cannot_be_had(daemon, peer, box, tester):
    command = "echo no keys here >&2; exit 3"
    daemon.configure(daemon.account(peer, password=None, password_command=command))
    found = failure(tester.json(expect=1)["pop3"])
    assert (found["step"], found["kind"]) == ("secret", "local")
    assert peer.sessions == []


def test_a_command_and_a_file_for_the_secret(daemon, peer, box, tester):
    path = daemon.path("secret")
    with open(path, "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write("pass word\n")
    daemon.configure(daemon.account(peer, password=None, password_file=path))
    assert path in steps(tester.json()["pop3"])["secret"]["text"]
    command = ["sh", "-c", "echo pass word"]
    daemon.configure(daemon.account(peer, password=None, password_command=command))
    assert "password_command" in steps(tester.json()["pop3"])["secret"]["text"]


# Usage and configuration


def test_usage(daemon, peer, tester):
    daemon.configure(daemon.account(peer))
    tester.run("test", expect=EX_USAGE)
    tester.run("test", "box", "more", expect=EX_USAGE)
    done = tester.run("test", "bxo", expect=EX_USAGE)
    assert 'no account "bxo"' in done.stderr and 'did you mean "box"' in done.stderr
    done = subprocess.run(
        [tester.program, "-s", daemon.socket, "test", "box"], capture_output=True, check=False
    )
    assert done.returncode == EX_USAGE
    assert peer.sessions == []


def test_the_configuration(daemon, peer, tester):
    tester.run("test", "box", expect=EX_NOINPUT)
    daemon.write("nonsense = 1;\n")
    done = tester.run("test", "box", expect=EX_CONFIG)
    assert "postrider.conf:1:" in done.stderr and "nonsense" in done.stderr
    daemon.configure(daemon.account(peer))
    os.chmod(daemon.config, 0o644)
    done = tester.run("test", "box", expect=EX_CONFIG)
    assert "password" in done.stderr
