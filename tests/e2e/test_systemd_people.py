"""People and the services: the spool of the system's, and a service of their own."""

import os
import time

import pytest
from support import libconfig
from support.administrator import QUICK, SPOOL, drop, queued, start
from support.machine import CONTROL, SERVICE, SOCKET
from support.spool import accepted, letter, once_each
from support.waiting import wait_for

# The spool of the system's service


def sendmail(machine, octets, *arguments, user="alice", **settings):
    home = {"HOME": f"/home/{user}"}
    return machine.run(
        "postrider-sendmail", *arguments, user=user, data=octets, environment=home, **settings
    )


def test_another_user_sends(machine, setup, relay):
    """She can read neither the configuration nor the spool; her file is 0640, and the group's."""
    setup.write(setup.smtp(relay))
    assert machine.try_run("cat", "/etc/postrider/postrider.conf", user="alice").returncode == 1
    sendmail(machine, letter(0), "-t")
    (name,) = [n for n in os.listdir(machine.path(SPOOL)) if n not in ("queue", "failed")]
    assert machine.look(f"{SPOOL}/{name}") == "640 alice:postrider"
    start(machine)
    relay.wait_accepted(1)
    sendmail(machine, letter(1), "-t")
    relay.wait_accepted(2)
    wait_for(lambda: queued(machine) == 0, "both are sent")
    assert accepted(relay) == once_each({"0": letter(0), "1": letter(1)})
    wait_for(
        lambda: sorted(os.listdir(machine.path(SPOOL))) == ["failed", "queue"],
        "the originals are gone",
    )
    assert os.listdir(machine.path(f"{SPOOL}/failed")) == []


def test_another_user_writes_a_file_in_place(machine, setup, relay):
    """A lease on her file tells when she has closed it, so it takes seconds and not a minute."""
    setup.write(setup.smtp(relay))
    start(machine)
    machine.write("/home/alice/letter", letter(1), 0o644, machine.ids("alice"))
    began = time.monotonic()
    machine.run("cp", "/home/alice/letter", f"{SPOOL}/letter", user="alice")
    wait_for(lambda: relay.accepted and queued(machine) == 0, "it is sent")
    assert time.monotonic() - began < 20
    assert accepted(relay) == once_each({"letter": letter(1)})


def test_what_other_users_cannot_do(machine, setup, relay):
    setup.write(setup.smtp(relay))
    drop(machine, "somebody's", letter(1))
    for command in (
        f"ls {SPOOL}",
        f"rm -f {SPOOL}/\"somebody's\"",
        f"mv {SPOOL}/\"somebody's\" {SPOOL}/mine",
        f"ls {SPOOL}/queue",
        f"touch {SPOOL}/failed/x",
        "ls /var/lib/postrider",
        "ls /var/log/postrider",
    ):
        done = machine.try_run("sh", "-c", command, user="alice")
        assert done.returncode != 0, command
    start(machine)
    machine.run("postriderctl", "-s", CONTROL, "version", user="postrider")
    machine.run("postriderctl", "-s", CONTROL, "version", user="alice", expect=77)


def test_a_file_that_the_service_may_not_read(machine, setup, relay):
    """A rename keeps the group: it lies in failed/ with the reason, and goes once it is mended."""
    setup.write(setup.smtp(relay))
    start(machine)
    machine.write("/var/spool/private", letter(1), 0o600, machine.ids("alice"))
    machine.run("sh", "-c", f"mv /var/spool/private {SPOOL}/letter")
    failed = machine.path(f"{SPOOL}/failed")
    wait_for(lambda: len(os.listdir(failed)) == 2, "it lies in failed/")
    with open(f"{failed}/letter.reason") as file:
        reason = file.read()
    assert "postrider" in reason
    assert "alice" in reason
    assert "0600" in reason
    assert relay.transactions == []


# A user's service


# What gpg and its agent do: the command asks an agent, which it starts when there is none; that one
# stays, in a session of its own, makes sockets, and has executable memory.
AGENT = """
import mmap, os, socket, sys
place = os.environ['XDG_RUNTIME_DIR'] + '/agent'
agent = socket.socket(socket.AF_UNIX)
if agent.connect_ex(place) != 0:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen()
    if os.fork() == 0:
        os.setsid()
        for fd in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), fd)
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15).close()
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
        while True:
            with listener.accept()[0] as client:
                client.sendall(open(os.path.expanduser('~/secret'), 'rb').read())
    agent.connect(place)
sys.stdout.write(agent.makefile().read())
"""


class Own:
    """alice's own manager, and her service."""

    UNIT = "alice.service"
    MANAGER = """
[Service]
Type=notify
User=alice
Environment=XDG_RUNTIME_DIR=/run/user/alice HOME=/home/alice
RuntimeDirectory=user/alice
RuntimeDirectoryMode=0700
Delegate=yes
ExecStart=/lib/systemd/systemd --user --unit=basic.target
KillMode=mixed
"""
    ENVIRONMENT = {"XDG_RUNTIME_DIR": "/run/user/alice", "HOME": "/home/alice"}
    SOCKET = "/run/user/alice/postrider/control"

    def __init__(self, machine):
        self.machine = machine
        machine.write(f"/run/systemd/system/{self.UNIT}", self.MANAGER)
        machine.systemctl("daemon-reload")
        machine.systemctl("start", self.UNIT)

    def run(self, *command, **settings):
        return self.machine.run(*command, user="alice", environment=self.ENVIRONMENT, **settings)

    def systemctl(self, *words, **settings):
        return self.run("systemctl", "--user", *words, **settings)

    def show(self, name):
        return self.systemctl("show", "--value", f"--property={name}", SERVICE).strip()

    def configure(self, *accounts):
        path = "/home/alice/.config/postrider/postrider.conf"
        text = libconfig.group({"retry": QUICK, "accounts": accounts})
        self.run("mkdir", "-p", os.path.dirname(path))
        self.machine.write(path, text, 0o600, self.machine.ids("alice"))

    def ask(self, request):
        return self.machine.ask(request, self.SOCKET)

    def stop(self):
        self.machine.systemctl("stop", self.UNIT)
        self.machine.remove(f"/run/systemd/system/{self.UNIT}", "/home/alice/.config")
        self.machine.systemctl("daemon-reload")


@pytest.fixture
def own(machine):
    one = Own(machine)
    yield one
    one.stop()


def test_a_users_service(machine, own, setup, make_relay, peer):
    """Her mail in her home, her secrets from an agent that her password command starts, a hook that
    runs what it likes, and a socket that starts it all."""
    relay = make_relay()
    box = peer.add_mailbox("box", password="from the agent")
    box.add(b"Subject: one\r\n\r\nfetched\r\n")
    machine.write("/home/alice/secret", "from the agent\n", 0o600, machine.ids("alice"))
    agent = ["/usr/bin/python3", "-c", AGENT]
    account = setup.pop3(peer, password=None, password_command=agent)
    account["on_fetch"] = ["sh", "-c", "nice cat ~/Mail/box/new/* >~/hook"]
    own.configure(account, setup.smtp(relay))
    own.systemctl("start", SOCKET)
    assert machine.look(own.SOCKET) == "600 alice:alice"
    assert own.ask("version")["ok"]
    assert own.show("ActiveState") == "active"
    own.run("postriderctl", "poll", "box")
    hook = machine.path("/home/alice/hook")
    wait_for(lambda: os.path.exists(hook) and os.path.getsize(hook) > 0, "the hook has run")
    with open(hook) as file:
        assert file.read() == "Subject: one\n\nfetched\n"
    own.run("postrider-sendmail", "-t", data=letter(1))
    relay.wait_accepted(1)
    wait_for(lambda: own.ask("status")["queue"]["messages"] == 0, "it is sent")
    own.systemctl("reload", SERVICE)
    wait_for(lambda: own.show("StatusText") == "2 accounts: idle; queue empty", "a sentence")
    own.systemctl("stop", SERVICE)
    assert own.show("Result") == "success"
    assert os.path.exists(machine.path(own.SOCKET))
    again = own.run("/usr/bin/python3", "-c", AGENT.replace("bind", "missing"))
    assert again == "from the agent\n", "the agent is hers, and outlives the service"
