"""The programs whose sending is compared: how each is given the messages, and how it is told when
all have left.
"""

import os
import pwd
import shutil
import subprocess
import time

from ground import Trouble, measure, tail
from programs import write_private

POSTFIX_MAIN = """
compatibility_level = 3.6
config_directory = {dir}/conf
queue_directory = {dir}/queue
data_directory = {dir}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = client.example.test
myorigin = example.test
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
alias_maps =
alias_database =
local_transport = error:nothing is local here
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
relayhost = [{host}]:{port}
smtp_host_lookup = native
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = {host}
smtp_tls_wrappermode = {wrapper}
smtp_tls_CAfile = {ca}
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:{dir}/conf/password
smtp_sasl_security_options = noanonymous
"""

POSTFIX_MASTER = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Sender:
    """One program; a run has a directory of its own."""

    name = None

    def __init__(self, build, options):
        self.build = build
        self.options = options

    def missing(self):
        """Why it cannot be run, or None."""
        return None

    def messages(self):
        """How many messages it is measured with; fewer than asked for means times are scaled."""
        return self.options.messages

    def run(self, sink, drafts, directory):
        """drafts: a directory with the messages, a file each."""
        self.prepare(sink, drafts, directory)
        os.sync()
        sink.reset()
        measured = self.send(sink, directory)
        sink.verify(self.name, self.messages())
        measured["sessions"] = sink.counts()["sessions"]
        return measured

    def prepare(self, sink, drafts, directory):
        """Everything up to where the messages lie and wait."""
        raise NotImplementedError

    def send(self, sink, directory):
        """From there until all were taken by the sink and forgotten here."""
        raise NotImplementedError


def copy_drafts(drafts, place, count):
    os.makedirs(place, mode=0o700, exist_ok=True)
    for name in sorted(os.listdir(drafts))[:count]:
        shutil.copyfile(os.path.join(drafts, name), os.path.join(place, name))


def write_postrider_config(path, directory, sink, sessions, connections):
    write_private(
        path,
        f"""spool = "{directory}/spool";
state = "{directory}/state";
control = {{ socket = "{directory}/control"; }};
log = {{ level = "warning"; sessions = "{sessions}"; }};
accounts = (
  {{ name = "bench";
    addresses = [ "bench@example.org" ];
    maildir = "{directory}/Maildir";
    smtp = {{
      host = "{sink.host}"; port = {sink.port};
      tls = "{"starttls" if sink.starttls else "implicit"}";
      tls_ca_file = "{sink.ca}";
      user = "{sink.user}"; password = "{sink.password}";
      max_connections = {connections};
    }};
  }}
);
""",
    )


class Postrider(Sender):
    """With its defaults: one connection, a hundred messages a session."""

    name = "postriderd"
    connections = 1

    def prepare(self, sink, drafts, directory):
        sessions = "" if self.options.no_session_logs else f"{directory}/log"
        config = os.path.join(directory, "postrider.conf")
        write_postrider_config(config, directory, sink, sessions, self.connections)
        copy_drafts(drafts, os.path.join(directory, "spool"), self.messages())

    def send(self, sink, directory):
        command = [self.build.daemon, "--once", "-c", f"{directory}/postrider.conf"]
        measured = measure(self.build, command, directory, self.options.timeout)
        for place in ("spool/queue", "spool"):
            left = [e.name for e in os.scandir(os.path.join(directory, place)) if e.is_file()]
            if left:
                raise Trouble(f"{self.name} left {len(left)} messages in {place}")
        return measured


class Postrider4(Postrider):
    """As many connections as limits.sessions_per_host allows by default."""

    name = "postriderd-4"
    connections = 4


class Msmtp(Sender):
    """One process a message, as programs and people call it."""

    name = "msmtp"

    def missing(self):
        return None if shutil.which("msmtp") else "msmtp is not installed"

    def messages(self):
        return min(self.options.messages, self.options.msmtp_messages)

    def prepare(self, sink, drafts, directory):
        write_private(
            os.path.join(directory, "msmtprc"),
            f"""account default
host {sink.host}
port {sink.port}
tls on
tls_starttls {"on" if sink.starttls else "off"}
tls_trust_file {sink.ca}
auth plain
user {sink.user}
password {sink.password}
from bench@example.org
""",
        )
        copy_drafts(drafts, os.path.join(directory, "out"), self.messages())

    def send(self, sink, directory):
        script = f"""for f in {directory}/out/*; do
msmtp --file={directory}/msmtprc -t < "$f" || exit 1
rm "$f"
done"""
        return measure(self.build, ["sh", "-c", script], directory, self.options.timeout)


class Postfix(Sender):
    """A null client of its own, already running: the messages wait where sendmail(1) leaves them,
    and it is woken.  It is over when its queue is empty.
    """

    name = "postfix"
    QUEUES = ("maildrop", "incoming", "active", "deferred")

    def __init__(self, build, options):
        super().__init__(build, options)
        self.program = shutil.which("postfix") or shutil.which("postfix", path="/usr/sbin")
        self.templates = None  # what sendmail(1) made of the messages, by the first run

    def missing(self):
        if self.program is None or shutil.which("sendmail", path="/usr/sbin:/usr/lib") is None:
            return "postfix is not installed"
        if os.geteuid() != 0:
            return "postfix wants root"
        return None

    def command(self, verb, directory):
        done = subprocess.run(
            [self.program, "-c", f"{directory}/conf", verb],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise Trouble(f"postfix {verb}: {done.stdout}{done.stderr}{tail(f'{directory}/log')}")

    def prepare(self, sink, drafts, directory):
        owner = pwd.getpwnam("postfix")
        # Its daemons are others than the user whose directory this is.
        for parent in (os.path.dirname(directory), directory):
            os.chmod(parent, 0o711)
        for name in ("conf", "queue", "data"):
            os.mkdir(os.path.join(directory, name), 0o755)
        os.chown(f"{directory}/data", owner.pw_uid, owner.pw_gid)
        values = {
            "dir": directory,
            "host": sink.host,
            "port": sink.port,
            "wrapper": "no" if sink.starttls else "yes",
            "ca": sink.ca,
        }
        for name, text in (("main.cf", POSTFIX_MAIN), ("master.cf", POSTFIX_MASTER)):
            with open(f"{directory}/conf/{name}", "w") as file:
                file.write(text.format(**values))
        with open(f"{directory}/conf/password", "w") as file:
            file.write(f"[{sink.host}]:{sink.port} {sink.user}:{sink.password}\n")
        self.command("check", directory)  # makes the directories of the queue
        self.fill(drafts, directory)

    def fill(self, drafts, directory):
        """Beside the queue; sendmail(1) would take longer for each run than the run itself."""
        if self.templates is None:
            self.templates = self.inject(drafts, directory)
        waiting = f"{directory}/queue/waiting"
        shutil.copytree(self.templates, waiting)
        owner = pwd.getpwnam("postfix")
        for name in os.listdir(waiting):
            os.chown(os.path.join(waiting, name), owner.pw_uid, owner.pw_gid)

    def inject(self, drafts, directory):
        """Nobody picks up, for Postfix does not run yet."""
        sendmail = shutil.which("sendmail", path="/usr/sbin:/usr/lib")
        for name in sorted(os.listdir(drafts))[: self.messages()]:
            with open(os.path.join(drafts, name), "rb") as file:
                done = subprocess.run(
                    [sendmail, "-C", f"{directory}/conf", "-t", "-f", "bench@example.org"],
                    stdin=file,
                    stderr=subprocess.PIPE,  # each time it says that nobody is there to be woken
                    check=False,
                )
            if done.returncode != 0:
                raise Trouble(f"sendmail: {done.stderr.decode(errors='backslashreplace')}")
        os.rename(f"{directory}/queue/maildrop", f"{directory}/templates")
        self.command("check", directory)
        return f"{directory}/templates"

    def send(self, sink, directory):
        self.command("start", directory)
        begun = time.monotonic()
        try:
            for name in os.listdir(f"{directory}/queue/waiting"):
                os.rename(f"{directory}/queue/waiting/{name}", f"{directory}/queue/maildrop/{name}")
            postkick = os.path.join(os.path.dirname(self.program), "postkick")
            wake = [postkick, "-c", f"{directory}/conf", "public", "pickup", "W"]
            subprocess.run(wake, check=True)
            self.wait(sink, directory, begun)
            return {"wall": time.monotonic() - begun, "cpu": None, "rss": None}
        finally:
            self.command("stop", directory)

    def wait(self, sink, directory, begun):
        while sink.counts()["accepted"] < self.messages() or self.is_busy(directory):
            if time.monotonic() > begun + self.options.timeout:
                raise Trouble(f"postfix: {sink.counts()}{tail(f'{directory}/log')}")
            time.sleep(0.05)

    def is_busy(self, directory):
        return any(
            files for queue in self.QUEUES for _, _, files in os.walk(f"{directory}/queue/{queue}")
        )


PEERS = {"postriderd-4": Postrider4, "postfix": Postfix, "msmtp": Msmtp}
