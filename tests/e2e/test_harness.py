"""The harness itself: the scripted peer and Dovecot serve other clients as they should."""

import poplib
import shutil
import ssl
import subprocess
import sys

import faults
import pop3_peer
import pytest
from support import libconfig, messages
from support.dovecot import PASSWORD, served


def log_in(peer, certificates, user="box"):
    trust = ssl.create_default_context(cafile=certificates["ca"])
    if peer.tls_mode == "implicit":
        client = poplib.POP3_SSL("localhost", peer.port, context=trust, timeout=30)
    else:
        client = poplib.POP3("localhost", peer.port, timeout=30)
    if peer.tls_mode == "starttls":
        client.stls(trust)
    client.user(user)
    client.pass_("pass word")
    return client


@pytest.mark.parametrize("mode", ["none", "starttls", "implicit"])
def test_the_peer_serves_poplib(make_peer, certificates, mode):
    peer = make_peer(mode)
    box = peer.add_mailbox("box")
    for number in range(3):
        box.add(messages.simple(number) + b".dot\r\n")
    sizes = [message.size for message in box.messages]
    client = log_in(peer, certificates)
    assert client.stat() == (3, sum(sizes))
    assert client.list()[1] == [b"%d %d" % pair for pair in enumerate(sizes, 1)]
    assert client.uidl()[1][2] == b"3 box-00000003"
    assert client.retr(2)[1][-1] == b".dot"
    assert client.top(2, 1)[1][-1] == b"Message 1."
    client.dele(2)
    client.rset()
    client.dele(1)
    client.quit()
    peer.wait_for(lambda: peer.open_sessions == 0, "the session is over")
    assert [m.uid for m in box.expunged] == ["box-00000001"]
    assert len(box.messages) == 2
    assert peer.sessions[0].secured == (mode != "none")


def test_without_quit_nothing_goes(peer, box, certificates):
    box.add(messages.simple(1))
    client = log_in(peer, certificates)
    client.dele(1)
    client.close()
    peer.wait_for(lambda: peer.open_sessions == 0, "the session is over")
    assert len(box.messages) == 1


def test_one_session_a_maildrop(peer, box, certificates):
    client = log_in(peer, certificates)
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        log_in(peer, certificates)
    client.quit()
    log_in(peer, certificates).quit()


def test_hooks(peer, box, certificates):
    peer.on("NOOP", faults.answer("-ERR scripted"), times=1)
    client = log_in(peer, certificates)
    with pytest.raises(poplib.error_proto, match="scripted"):
        client.noop()
    assert client.noop() == b"+OK"
    client.quit()


def test_byte_stuffing():
    table = {
        b"": b".\r\n",
        b".": b"..\r\n.\r\n",
        b".\r\n": b"..\r\n.\r\n",
        b"a\r\n.b": b"a\r\n..b\r\n.\r\n",
        b"a\n.b\r\n": b"a\n.b\r\n.\r\n",
        b"a\r": b"a\r\r\n.\r\n",
    }
    for octets, stuffed in table.items():
        assert pop3_peer.stuff(octets) == stuffed, octets


def test_the_program(tmp_path):
    (tmp_path / "one").write_bytes(b"Subject: one\n\nText\n")
    process = subprocess.Popen(
        [sys.executable, pop3_peer.__file__, "--account", f"me@example.org:secret:{tmp_path}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        client = poplib.POP3("127.0.0.1", int(process.stdout.readline()), timeout=30)
        client.user("me@example.org")
        client.pass_("secret")
        assert client.retr(1)[1] == [b"Subject: one", b"", b"Text"]
        client.quit()
    finally:
        process.stdin.close()
        assert process.wait(30) == 0
        process.stdout.close()


@pytest.mark.parametrize("tls", ["plain", "starttls", "implicit"])
def test_dovecot_serves_poplib(dovecot, certificates, tls):
    user = dovecot.add_user([messages.simple(1), messages.simple(2)])
    client = log_in(getattr(dovecot, tls), certificates, user)
    assert client.stat()[0] == 2
    client.dele(1)
    client.quit()
    assert dovecot.waiting(user) == 1


def test_what_dovecot_makes_of_octets(dovecot, certificates):
    sources = [octets for octets in messages.many(200) if octets != b"."]
    user = dovecot.add_user(sources)
    client = log_in(dovecot.plain, certificates, user)
    assert client.stat()[0] == len(sources)
    for number, source in enumerate(sources, 1):
        client._putcmd(f"RETR {number}")
        assert client.file.readline().startswith(b"+OK")
        octets = bytearray()
        while not (octets == b".\r\n" or octets.endswith(b"\r\n.\r\n")):
            octets += client.file.readline()
        assert bytes(octets) == pop3_peer.stuff(served(source)), source[-100:]
    client.quit()


def test_dovecot_serves_mpop(dovecot, certificates, tmp_path):
    if shutil.which("mpop") is None:
        pytest.skip("mpop is missing; on Debian: apt install mpop")
    user = dovecot.add_user([messages.simple(number) for number in range(10)])
    for folder in ("new", "cur", "tmp"):
        (tmp_path / "Mail" / folder).mkdir(parents=True)
    done = subprocess.run(
        ["mpop", "--host=localhost", f"--port={dovecot.tls_port}", f"--user={user}",
         "--tls=on", "--tls-starttls=off", f"--tls-trust-file={certificates['ca']}",
         f"--passwordeval=printf '%s' '{PASSWORD}'", f"--delivery=maildir,{tmp_path}/Mail",
         f"--uidls-file={tmp_path}/uidls", "--keep=off"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "Mail" / "new").iterdir())) == 10
    assert dovecot.waiting(user) == 0


def test_configuration_files_are_written_as_meant():
    text = libconfig.group(
        {"a": 'quote " and \\', "b": True, "c": 5, "d": ["x"], "e": ({"f": None, "g": 1},)}
    )
    assert text == (
        'a = "quote \\" and \\\\";\nb = true;\nc = 5;\nd = [ "x" ];\ne = (\n{\ng = 1;\n}\n);\n'
    )
