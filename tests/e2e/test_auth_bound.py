"""SCRAM-SHA-256-PLUS: the login is bound to the TLS channel, so that whoever ends TLS in the
middle, with a certificate that is believed, still cannot pass it on. Against GNU SASL's server."""

import os
import subprocess

import pytest
from support.daemon import check_error, find_program
from support.spool import RETRY, drop_letters, letter, smtp_account
from support.waiting import wait_for

PASSWORD = "pencil, or so"


class BoundServer:
    def __init__(self, certificates, log, *words):
        program = find_program("tests/peer/bound_server")
        assert program, "no tests/peer/bound_server: build it"
        pair = certificates["server"]
        self.tls_mode = "implicit"
        self.log = log
        with open(log, "w") as output:
            self.process = subprocess.Popen(
                [program, words[0], pair.cert, pair.key, "box", PASSWORD, *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
            )
        wait_for(self.lines, "its port")
        self.port = int(self.lines()[0])

    def lines(self):
        with open(self.log) as file:
            return file.read().splitlines()

    def logins(self):
        return self.lines()[1:]

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def serve(certificates, tmp_path):
    servers = []

    def start(*words):
        log = os.path.join(tmp_path, f"server-{len(servers)}")
        servers.append(BoundServer(certificates, log, *words))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def keys(certificates):
    return {"user": "box", "password": PASSWORD, "tls_ca_file": certificates["ca"]}


# tls-exporter (RFC 9266) and tls-unique (RFC 5929)
@pytest.fixture(params=[[], ["1.2"]], ids=["exporter", "unique"])
def version(request):
    return request.param


def test_fetching(daemon, serve, keys, version):
    """Also when the session is resumed, which has a channel of its own."""
    server = serve("pop3", "bound", *version)
    daemon.configure(daemon.account(server, **keys)).start()
    for _ in range(3):
        daemon.fetch()
    first, *others = server.logins()
    assert first == "SCRAM-SHA-256-PLUS yes"
    assert others == [first + " resumed"] * 2
    assert ("TLSv1.2" if version else "TLSv1.3") in daemon.ended_session_logs(3)[0]


def test_sending(daemon, spool, serve, keys, version):
    server = serve("smtp", "bound", *version)
    daemon.configure(smtp_account(daemon, server, **keys), retry=RETRY).start()
    drop_letters(spool, 2)
    spool.wait_empty()
    assert spool.wait_settled()["sent"] == 2
    assert server.logins()[0] == "SCRAM-SHA-256-PLUS yes"


@pytest.mark.parametrize("auth", ["auto", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"]])
def test_another_end_of_the_channel(daemon, serve, keys, version, auth):
    """Refused, and nothing weaker is tried instead."""
    server = serve("pop3", "elsewhere", *version)
    daemon.configure(daemon.account(server, auth=auth, **keys)).start()
    daemon.fail("auth", "refused AUTH")
    assert server.logins() == ["SCRAM-SHA-256-PLUS no"]


def test_another_end_of_the_channel_for_sending(daemon, spool, serve, keys, version):
    server = serve("smtp", "elsewhere", *version)
    account = smtp_account(daemon, server, **keys)
    daemon.configure(account, retry={"first": "1h", "max": "1h"}).start()
    spool.drop("one", letter(1))
    status = spool.wait_status(lambda s: s["last_error"], "trouble")
    check_error(status, "auth", "refused AUTH")
    assert server.logins() == ["SCRAM-SHA-256-PLUS no"]
    assert len(spool.queue()) == 1


def test_a_wrong_password(daemon, serve, keys, version):
    server = serve("pop3", "bound", *version)
    daemon.configure(daemon.account(server, **keys | {"password": "wrong"})).start()
    daemon.fail("auth", "refused AUTH")
    assert server.logins() == ["SCRAM-SHA-256-PLUS no"]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN"])
def test_unbound_when_named(daemon, serve, keys, mechanism):
    server = serve("pop3", "bound")
    daemon.configure(daemon.account(server, auth=[mechanism], **keys)).start()
    daemon.fetch()
    assert server.logins() == [mechanism + " yes"]
