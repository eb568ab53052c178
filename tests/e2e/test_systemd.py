"""The system service as it is installed, under a real systemd."""

import os
import re
import shutil
import sqlite3
import threading
import time

import faults
import pytest
from support.administrator import SPOOL, drop, drop_letters, fetch, queued, start
from support.machine import CONTROL, SERVICE, SOCKET
from support.spool import accepted, letter, once_each
from support.waiting import wait_for

CAP_LEASE = 1 << 28


# What is installed


@pytest.mark.parametrize("manager", ["system", "user"])
def test_the_units_are_valid(machine, manager):
    units = [f"/usr/lib/systemd/{manager}/{unit}" for unit in (SERVICE, SOCKET)]
    environment = {"XDG_RUNTIME_DIR": "/run"}
    verify = ["systemd-analyze", f"--{manager}", "--man=no", "verify", *units]
    done = machine.try_run(*verify, environment=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_system_unit_is_confined(machine):
    unit = f"/usr/lib/systemd/system/{SERVICE}"
    machine.run("systemd-analyze", "security", "--offline=true", "--threshold=13", unit)
    with open(machine.path(unit)) as file:
        text = file.read()
    assert not re.search("^(PrivateUsers|DynamicUser)=", text, re.MULTILINE)
    assert re.search("^AmbientCapabilities=CAP_LEASE$", text, re.MULTILINE)


def test_a_boot_makes_user_and_spool(machine):
    assert machine.run("getent", "passwd", "postrider").split(":")[5] == "/var/lib/postrider"
    assert machine.run("getent", "group", "postrider").startswith("postrider:")
    assert machine.look(SPOOL) == "3733 postrider:postrider"
    assert machine.look(f"{SPOOL}/queue") == "700 postrider:postrider"
    assert machine.look(f"{SPOOL}/failed") == "700 postrider:postrider"


# Starting and stopping


def test_ready_means_that_everything_works(machine, setup, make_relay, peer, certificates):
    """The moment `systemctl start` comes back: with names and TLS, as in life."""
    relay = make_relay("implicit")
    box = peer.add_mailbox("box")
    box.add(b"Subject: one\r\n\r\nfetched\r\n")
    with open(certificates["ca"]) as file:
        machine.write("/etc/postrider/ca.pem", file.read())
    sending = setup.smtp(relay, host="localhost", tls_ca_file="/etc/postrider/ca.pem")
    setup.write(setup.pop3(peer, interval="1h"), sending)
    start(machine)
    assert machine.ask("version")["ok"]
    drop(machine, "hello", letter(1))
    relay.wait_accepted(1, timeout=10)
    maildir = machine.path("/var/lib/postrider/Mail/box/new")
    wait_for(lambda: os.path.isdir(maildir) and os.listdir(maildir), "mail was fetched unasked")
    assert machine.show(SERVICE, "ActiveState") == "active"
    wait_for(
        lambda: machine.status_of() == "2 accounts: idle; queue empty",
        lambda: f"a sentence: {machine.status_of()}",
    )
    for path, look in {
        CONTROL: "660 postrider:postrider",
        "/var/lib/postrider": "700 postrider:postrider",
        "/var/lib/postrider/Mail/box": "700 postrider:postrider",
        "/var/log/postrider": "700 postrider:postrider",
    }.items():
        assert machine.look(path) == look, path


def test_a_capability_of_its_own(machine, setup, peer):
    """CAP_LEASE is the daemon's, and not its commands'."""
    peer.add_mailbox("box")
    told = "/var/lib/postrider/caps"
    command = f"grep ^Cap /proc/self/status >{told}; echo pass word"
    setup.write(setup.pop3(peer, password=None, password_command=command))
    start(machine)
    with open(machine.path(f"/proc/{machine.main_pid()}/status")) as file:
        own = dict(re.findall(r"^(Cap\w+):\s*([0-9a-f]+)$", file.read(), re.MULTILINE))
    assert int(own["CapEff"], 16) == int(own["CapBnd"], 16) == CAP_LEASE
    assert fetch(machine)["last_error"] is None
    with open(machine.path(told)) as file:
        commands = dict(re.findall(r"^(Cap\w+):\s*([0-9a-f]+)$", file.read(), re.MULTILINE))
    assert int(commands["CapEff"], 16) == int(commands["CapPrm"], 16) == 0
    assert int(commands["CapAmb"], 16) == 0


def test_a_clean_stop_takes_no_time(machine, setup, peer, make_relay):
    peer.add_mailbox("box")
    setup.write(setup.pop3(peer), setup.smtp(make_relay()))
    start(machine)
    fetch(machine)
    before = time.monotonic()
    machine.systemctl("stop", SERVICE)
    assert time.monotonic() - before < 3
    assert machine.show(SERVICE, "Result") == "success"
    assert machine.show(SERVICE, "ExecMainStatus") == "0"
    assert not os.path.exists(machine.path(CONTROL)), "it made the socket, and removes it"


def test_a_stop_waits_for_the_reply_to_a_final_dot(machine, setup, relay):
    """Beyond shutdown_timeout and beyond TimeoutStopSec=: the daemon asks for the time."""
    answered = threading.Event()
    relay.on("DOT", faults.hold(answered))
    machine.drop_in("[Service]\nTimeoutStopSec=1s\n")
    setup.write(setup.smtp(relay), shutdown_timeout=1)
    start(machine)
    dropped = drop_letters(machine, 1)
    relay.wait_for(lambda: len(relay.transactions) == 1, "the final dot came")
    machine.systemctl("stop", "--no-block", SERVICE)
    wait_for(lambda: "accepted" in machine.status_of(), "the status says what it waits for")
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 2.5, "both timeouts are over")
    assert machine.show(SERVICE, "ActiveState") == "deactivating"
    answered.set()
    wait_for(lambda: machine.show(SERVICE, "ActiveState") == "inactive", "it has stopped")
    assert machine.show(SERVICE, "Result") == "success"
    relay.behave()
    start(machine)
    assert queued(machine) == 0
    assert accepted(relay) == once_each(dropped)


def test_a_restart_with_a_full_queue(machine, setup, relay):
    """Nothing is lost, nothing sent twice, whatever is under way."""
    relay.on("MAIL", faults.answer("450 4.2.0 not now"), times=3)
    setup.write(setup.smtp(relay))
    start(machine)
    dropped = drop_letters(machine, 300)
    relay.wait_for(lambda: len(relay.transactions) >= 20, "some are sent")
    for _ in range(2):
        machine.systemctl("restart", SERVICE)
    dropped |= drop_letters(machine, 20, first=300)
    relay.wait_accepted(320)
    wait_for(lambda: queued(machine) == 0, "the queue is empty")
    assert accepted(relay) == once_each(dropped)
    assert os.listdir(machine.path(f"{SPOOL}/failed")) == []


# What it says


def test_the_status_follows_what_happens(machine, setup, peer, relay):
    box = peer.add_mailbox("box")
    relay.on("GREETING", faults.answer("421 4.3.2 not now"))
    setup.write(setup.pop3(peer), setup.smtp(relay))
    start(machine)
    assert machine.status_of() == "2 accounts: idle; queue empty"

    def says(*words):
        wait_for(
            lambda: all(word in machine.status_of() for word in words),
            lambda: f"{words} in {machine.status_of()!r}",
            timeout=10,
        )

    drop_letters(machine, 1)
    says("1 in trouble (out: server); 1 message in the queue")
    box.password = "another"
    fetch(machine)
    says("2 in trouble (box: auth, out: server)")
    box.password = "pass word"
    relay.behave()
    fetch(machine)
    machine.ask("flush")
    says("2 accounts: idle; queue empty")


def test_reload(machine, setup, peer):
    peer.add_mailbox("box")
    setup.write(setup.pop3(peer))
    start(machine)
    pid = machine.main_pid()
    peer.add_mailbox("second")
    setup.write(setup.pop3(peer), setup.pop3(peer, "second"))
    machine.systemctl("reload", SERVICE)
    wait_for(lambda: len(machine.ask("status")["accounts"]) == 2, "the new account is there")
    wait_for(lambda: machine.show(SERVICE, "ActiveState") == "active", "it is ready again")
    assert machine.main_pid() == pid


def test_a_faulty_configuration_is_not_loaded(machine, setup, peer):
    """`systemctl reload` fails; so does SIGHUP, and says so."""
    peer.add_mailbox("box")
    setup.write(setup.pop3(peer))
    start(machine)
    setup.write_text('acounts = ();\nlog = { level = "loud"; };\n')
    machine.systemctl("reload", SERVICE, expect=1)
    assert "did you mean 'accounts'" in machine.log_text()
    assert [account["name"] for account in machine.ask("status")["accounts"]] == ["box"]
    machine.systemctl("kill", "--signal=HUP", "--kill-whom=main", SERVICE)
    wait_for(lambda: "not reloaded" in machine.status_of(), lambda: machine.status_of())
    wait_for(lambda: machine.show(SERVICE, "ActiveState") == "active", "it is ready again")
    assert [account["name"] for account in machine.ask("status")["accounts"]] == ["box"]
    setup.write(setup.pop3(peer))
    machine.systemctl("reload", SERVICE)
    wait_for(lambda: machine.status_of() == "1 account: idle; queue empty", "all is well again")


def test_it_is_not_started_again_and_again_with_a_faulty_configuration(machine, setup):
    setup.write_text("accounts = 7;\n")
    machine.systemctl("start", SERVICE, expect=1)
    assert machine.show(SERVICE, "ActiveState") == "failed"
    assert machine.show(SERVICE, "ExecMainStatus") == "78"
    assert machine.show(SERVICE, "NRestarts") == "0"


def test_the_journal_has_fields(machine, setup, peer, relay):
    box = peer.add_mailbox("box")
    box.add(b"Subject: one\r\n\r\nfetched\r\n")
    setup.write(setup.pop3(peer), setup.smtp(relay))
    start(machine)
    fetch(machine)
    drop_letters(machine, 1)
    relay.wait_accepted(1)
    wait_for(lambda: queued(machine) == 0, "it is sent")
    (entry,) = machine.journal(_SYSTEMD_UNIT=SERVICE, ACCOUNT="box", PROTOCOL="pop3")
    assert (entry["PRIORITY"], entry["RESULT"]) == ("6", "ok")
    assert entry["SYSLOG_IDENTIFIER"] == "postriderd"
    assert entry["MESSAGE"].startswith(f"account=box session={entry['SESSION']} protocol=pop3 ")
    session = machine.journal(ACCOUNT="box", SESSION=entry["SESSION"])
    assert any("fate=stored" in line["MESSAGE"] for line in session)
    lines = machine.journal(ACCOUNT="out")
    (line,) = [line for line in lines if "fate=sent" in line["MESSAGE"]]
    mail = machine.journal(MAIL_ID=line["MAIL_ID"])
    assert [re.search(r"fate=(\w+)", m["MESSAGE"])[1] for m in mail] == ["queued", "sent"]


# What the manager does for it


def test_a_hung_loop_is_restarted(machine, setup, peer):
    """Alive, it feeds the watchdog; stopped by a signal, it does not."""
    peer.add_mailbox("box")
    machine.drop_in("[Service]\nWatchdogSec=1s\nRestartSec=50ms\n")
    setup.write(setup.pop3(peer))
    start(machine)
    pid = machine.main_pid()
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 2.2, "WatchdogSec has passed twice")
    assert machine.main_pid() == pid
    machine.systemctl("kill", "--signal=STOP", "--kill-whom=main", SERVICE)
    wait_for(lambda: machine.main_pid() not in (0, pid), "another one runs")
    wait_for(lambda: machine.show(SERVICE, "ActiveState") == "active", "and is ready")
    assert machine.show(SERVICE, "NRestarts") == "1"
    assert "Watchdog timeout" in machine.log_text()
    assert fetch(machine)["last_error"] is None


def test_credentials(machine, setup, peer):
    peer.add_mailbox("box", password="from the manager")
    machine.write("/etc/postrider/box.secret", "from the manager\n", 0o600)
    machine.drop_in("[Service]\nLoadCredential=box:/etc/postrider/box.secret\n")
    setup.write(setup.pop3(peer, password=None, credential="box"))
    start(machine)
    assert fetch(machine)["last_error"] is None


def test_a_credential_that_is_not_there(machine, setup, peer):
    peer.add_mailbox("box")
    setup.write(setup.pop3(peer, password=None, credential="box"))
    start(machine)
    error = fetch(machine)["last_error"]
    assert error["kind"] == "local"
    assert "LoadCredential=" in error["text"]


def test_the_socket_starts_the_service(machine, setup, peer):
    peer.add_mailbox("box")
    setup.write(setup.pop3(peer))
    machine.systemctl("start", SOCKET)
    assert machine.show(SERVICE, "ActiveState") == "inactive"
    assert machine.look(CONTROL) == "660 postrider:postrider"
    made = os.stat(machine.path(CONTROL)).st_ino
    assert machine.ask("version")["ok"]
    assert machine.show(SERVICE, "ActiveState") == "active"
    machine.systemctl("stop", SERVICE)
    assert os.stat(machine.path(CONTROL)).st_ino == made, "whose socket it is, it stays"
    assert machine.ask("status")["ok"], "the next one starts it again"
    machine.systemctl("restart", SERVICE)
    assert os.stat(machine.path(CONTROL)).st_ino == made
    assert machine.ask("status")["ok"]
    assert "stays where it was" not in machine.log_text()


def test_a_socket_of_its_own(machine, setup, peer):
    """The group is the service's own already: nothing that the sandbox refuses."""
    peer.add_mailbox("box")
    setup.write(setup.pop3(peer), control={"mode": "0640", "group": "postrider"})
    start(machine)
    assert machine.look(CONTROL) == "640 postrider:postrider"
    setup.write(setup.pop3(peer), control={"mode": "0660", "group": "postrider"})
    machine.systemctl("reload", SERVICE)
    wait_for(lambda: machine.look(CONTROL) == "660 postrider:postrider", "the mode has changed")


def test_the_socket_is_elsewhere(machine, setup, peer):
    """Clients would find nobody, so it must be said; a second socket is closed."""
    peer.add_mailbox("box")
    setup.write(setup.pop3(peer))
    machine.drop_in("[Socket]\nListenStream=/run/postrider/extra\n", SOCKET)
    machine.systemctl("start", SOCKET)
    assert machine.ask("version")["ok"]
    log = machine.log_text()
    assert 'hands over a socket named "control"' in log, "the second of that name"
    assert "find nobody" not in log
    setup.write(setup.pop3(peer), control={"socket": "/run/postrider/other"})
    machine.systemctl("reload", SERVICE)
    said = "socket=/run/postrider/other reason=.* listens at /run/postrider/control: "
    wait_for(lambda: len(re.findall(said, machine.log_text())) == 1, "it is said")
    machine.systemctl("restart", SERVICE)
    wait_for(lambda: len(re.findall(said, machine.log_text())) == 2, "and at the start")
    assert machine.ask("version")["ok"]


def test_a_socket_before_a_faulty_configuration(machine, setup, peer):
    """The client hears that nobody is there, and once it is mended all is well."""
    peer.add_mailbox("box")
    setup.write_text("accounts = 7;\n")
    machine.systemctl("start", SOCKET)
    machine.run("postriderctl", "-s", CONTROL, "version", expect=69)
    wait_for(lambda: machine.show(SOCKET, "ActiveState") == "failed", "systemd has given up")
    setup.write(setup.pop3(peer))
    machine.systemctl("reset-failed", SERVICE, SOCKET)
    machine.systemctl("start", SOCKET)
    assert machine.ask("version")["ok"]


def test_enabling(machine):
    machine.systemctl("enable", SERVICE)
    assert machine.systemctl("is-enabled", SERVICE, SOCKET).split() == ["enabled", "enabled"]
    machine.systemctl("disable", SERVICE)


def test_without_a_spool(machine, setup, relay):
    """tmpfiles.d has made none, and the daemon may not."""
    setup.write(setup.smtp(relay))
    machine.drop_in("[Service]\nRestartSec=1s\n")
    machine.remove(SPOOL)
    machine.systemctl("start", SERVICE, expect=1)
    assert f"cannot create directory {SPOOL}: " in machine.log_text()
    machine.run("systemd-tmpfiles", "--create")
    wait_for(lambda: machine.show(SERVICE, "ActiveState") == "active", "it comes back by itself")


# The rest of the machine


def test_the_clock_of_the_sandbox(machine, setup, peer, tmp_path):
    """Neither the boot's identity nor whether the clock is right is hidden: else mail that is to
    be kept for some days would be kept far longer."""
    peer.add_mailbox("box")
    machine.write("/run/systemd/timesync/synchronized", "")
    setup.write(setup.pop3(peer, keep="1d"))
    start(machine)
    fetch(machine)
    machine.systemctl("stop", SERVICE)
    machine.remove("/run/systemd/timesync")
    copy = shutil.copyfile(machine.path("/var/lib/postrider/state.db"), tmp_path / "state.db")
    with sqlite3.connect(copy) as state:
        (boot, synchronised) = state.execute("SELECT boot_id, synchronised FROM age").fetchone()
    with open("/proc/sys/kernel/random/boot_id") as file:
        assert boot == file.read().strip()
    assert synchronised == 1
