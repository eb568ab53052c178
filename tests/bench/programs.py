"""The programs that are compared: how each is told to fetch, and how what it stored is checked."""

import hashlib
import os
import shutil

from ground import Trouble, measure


def write_private(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def digest_file(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def check_count(name, found, wanted):
    if found != wanted:
        raise Trouble(f"{name} stored {found} messages, not {wanted}")


def check_maildir_octets(name, new, maildrop):
    """Every message once, none twice, and those of the sample octet for octet."""
    digests = set()
    for entry in os.scandir(new):
        if entry.stat().st_size != maildrop.stored_size:
            raise Trouble(f"{name} stored {entry.stat().st_size} octets in {entry.name}")
        digests.add(digest_file(entry.path))
    check_count(name, len(digests), maildrop.messages)
    for number, digest in maildrop.sample.items():
        if digest not in digests:
            raise Trouble(f"{name} has not stored message {number} as it was sent")


class Program:
    """One program; a run has a directory of its own."""

    name = None

    def __init__(self, build, options):
        self.build = build
        self.options = options

    def missing(self):
        """Why it cannot be run, or None."""
        if shutil.which(self.name) is None:
            return f"{self.name} is not installed"
        return None

    def messages(self):
        """How many messages it is measured with; fewer than asked for means times are scaled."""
        return self.options.messages

    def run(self, maildrop, directory):
        command, environment = self.prepare(maildrop, directory)
        measured = measure(self.build, command, directory, self.options.timeout, environment)
        self.verify(maildrop, directory)
        return measured

    def prepare(self, maildrop, directory):
        """Writes its files; the command line, and what to add to the environment."""
        raise NotImplementedError

    def verify(self, maildrop, directory):
        new = os.path.join(directory, "Maildir", "new")
        check_count(self.name, len(os.listdir(new)), maildrop.messages)
        check_maildir_octets(self.name, new, maildrop)


class Postrider(Program):
    name = "postriderd"

    def missing(self):
        return None

    def prepare(self, maildrop, directory):
        config = os.path.join(directory, "postrider.conf")
        sessions = "" if self.options.no_session_logs else f"{directory}/log"
        write_private(
            config,
            f"""spool = "{directory}/spool";
state = "{directory}/state";
control = {{ socket = "{directory}/control"; }};
log = {{ level = "warning"; sessions = "{sessions}"; }};
accounts = (
  {{ name = "bench";
    maildir = "{directory}/Maildir";
    pop3 = {{
      host = "{maildrop.host}"; port = {maildrop.port}; tls = "implicit";
      tls_ca_file = "{maildrop.ca}";
      user = "{maildrop.user}"; password = "{maildrop.password}";
      interval = 0; keep = "forever"; max_size = "1G";
    }};
  }}
);
""",
        )
        return [self.build.daemon, "--once", "-c", config], {}


class Mpop(Program):
    name = "mpop"

    def prepare(self, maildrop, directory):
        config = os.path.join(directory, "mpoprc")
        for folder in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(directory, "Maildir", folder))
        write_private(
            config,
            f"""account bench
host {maildrop.host}
port {maildrop.port}
tls on
tls_starttls off
tls_trust_file {maildrop.ca}
user {maildrop.user}
password {maildrop.password}
keep on
received_header off
uidls_file {directory}/uidls
delivery maildir {directory}/Maildir
""",
        )
        return ["mpop", f"--file={config}", "--quiet", "bench"], {}


class Fetchmail(Program):
    """It fetches one message after the other and starts a delivery agent for each."""

    name = "fetchmail"

    def messages(self):
        return min(self.options.messages, self.options.fetchmail_messages)

    def prepare(self, maildrop, directory):
        config = os.path.join(directory, "fetchmailrc")
        for folder in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(directory, "Maildir", folder))
        write_private(
            config,
            f"""set no syslog
set invisible
poll {maildrop.host} protocol pop3 port {maildrop.port} uidl
  user "{maildrop.user}" password "{maildrop.password}"
  ssl sslproto "TLS1.2+" sslcertck sslcertfile "{maildrop.ca}"
  keep no rewrite no forcecr
  mda "{self.build.tool("maildir_mda")} {directory}/Maildir"
""",
        )
        command = ["fetchmail", "--fetchmailrc", config, "--idfile", f"{directory}/ids"]
        command += ["--pidfile", f"{directory}/pid", "--silent"]
        return command, {"FETCHMAILHOME": directory}

    def verify(self, maildrop, directory):
        """It adds header fields of its own, so only the count can be compared."""
        new = os.path.join(directory, "Maildir", "new")
        check_count(self.name, len(os.listdir(new)), maildrop.messages)


class Reader(Program):
    """No Maildir at all: the least that fetching can cost."""

    name = "reader"

    def missing(self):
        return None

    def prepare(self, maildrop, directory):
        command = [self.build.tool("pop3_reader"), "--port", str(maildrop.port)]
        command += ["--user", maildrop.user, "--ca", maildrop.ca]
        command += ["--output", os.path.join(directory, "messages")]
        return command, {}

    def verify(self, maildrop, directory):
        path = os.path.join(directory, "messages")
        size = os.path.getsize(path)
        if size != maildrop.messages * maildrop.stored_size:
            raise Trouble(f"{self.name} stored {size} octets")
        with open(path, "rb") as file:
            for number, digest in maildrop.sample.items():
                file.seek((number - 1) * maildrop.stored_size)
                if hashlib.sha256(file.read(maildrop.stored_size)).digest() != digest:
                    raise Trouble(f"{self.name} has not stored message {number} as it was sent")


class Flush(Program):
    """The reader into a Maildir, with one flush at the end and no care for a crash before it."""

    name = "one-flush"

    def missing(self):
        return None

    def prepare(self, maildrop, directory):
        for folder in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(directory, "Maildir", folder))
        command = [self.build.tool("pop3_reader"), "--port", str(maildrop.port)]
        command += ["--user", maildrop.user, "--ca", maildrop.ca]
        command += ["--maildir", os.path.join(directory, "Maildir")]
        return command, {}

    def verify(self, maildrop, directory):
        new = os.path.join(directory, "Maildir", "new")
        check_count(self.name, len(os.listdir(new)), maildrop.messages)


PEERS = {"mpop": Mpop, "fetchmail": Fetchmail, "one-flush": Flush, "reader": Reader}
