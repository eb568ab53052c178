"""Debian's Postfix as a submission server on loopback, in a directory of its own. It wants root,
and a Dovecot that knows the users; whatever it accepts lies in Maildirs by the local part."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile

from .dovecot import View, free_ports
from .maildir import Maildir
from .waiting import wait_for

DOMAINS = ("example.org", "example.net", "example.com")
BOXES_MAX = 200

MAIN = """
compatibility_level = 3.6
config_directory = {dir}/conf
queue_directory = {dir}/queue
data_directory = {dir}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = relay.example.test
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
local_header_rewrite_clients =
biff = no
maillog_file = {dir}/log
maillog_file_prefixes = {dir}

virtual_mailbox_domains = {domains}
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = texthash:{dir}/conf/boxes
virtual_mailbox_limit = 0
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
message_size_limit = 50000000
smtputf8_enable = yes

smtpd_peername_lookup = no
smtpd_sasl_auth_enable = yes
smtpd_sasl_authenticated_header = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dir}/conf/crt
smtpd_tls_key_file = {dir}/conf/key
smtpd_tls_session_cache_database =
smtpd_tls_received_header = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access texthash:{dir}/conf/access,
  permit_sasl_authenticated, reject
smtpd_forbid_bare_newline = yes
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_discard_ehlo_keywords = etrn, vrfy
strict_rfc821_envelopes = yes
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{tls_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
{offering}
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
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# One more listener that offers these mechanisms only, of those that Dovecot has.
OFFERING = "127.0.0.1:{port} inet n - n - - smtpd -o smtpd_sasl_mechanism_filter={mechanisms}"

ADDED = re.compile(rb"(?:Return-Path|X-Original-To|Delivered-To|Received):.*\n(?:[ \t].*\n)*")


def find_postfix():
    """Where it is; None when it is not installed."""
    path = shutil.which("postfix") or shutil.which("postfix", path="/usr/sbin:/usr/local/sbin")
    if path is None or not os.path.exists("/usr/lib/postfix/sbin/smtpd"):
        return None
    return path


class Postfix:
    def __init__(self, program, certificates, dovecot, offers=()):
        self.program = program
        self.offers = dict(zip(offers, free_ports(len(offers)), strict=True))
        self.directory = tempfile.mkdtemp(prefix="postrider-postfix-")
        self.port, self.tls_port = free_ports(2)
        self.boxes = 0
        os.chmod(self.directory, 0o755)
        dovecot.open_auth()
        owner = pwd.getpwnam("postfix")
        reader = pwd.getpwnam("nobody")
        for name, user in (("conf", None), ("queue", None), ("data", owner), ("mail", reader)):
            os.mkdir(self.path(name))
            if user is not None:
                os.chown(self.path(name), user.pw_uid, user.pw_gid)
        pair = certificates["server"]
        shutil.copyfile(pair.cert, self.path("conf", "crt"))
        shutil.copyfile(pair.key, self.path("conf", "key"))
        values = {
            "dir": self.directory,
            "domains": " ".join(DOMAINS),
            "uid": reader.pw_uid,
            "gid": reader.pw_gid,
            "auth": dovecot.auth_socket,
            "port": self.port,
            "tls_port": self.tls_port,
            "offering": "\n".join(
                OFFERING.format(port=port, mechanisms=",".join(mechanisms))
                for mechanisms, port in self.offers.items()
            ),
        }
        for name, text in (("main.cf", MAIN), ("master.cf", MASTER)):
            with open(self.path("conf", name), "w") as file:
                file.write(text.format(**values))
        self.write_access({})
        with open(self.path("conf", "boxes"), "w") as file:
            # All at once: each of Postfix's processes reads it when it starts.
            for number in range(1, BOXES_MAX + 1):
                for domain in DOMAINS:
                    file.write(f"box{number}@{domain} box{number}/\n")

    def path(self, *names):
        return os.path.join(self.directory, *names)

    # Life

    def command(self, verb):
        return subprocess.run(
            [self.program, "-c", self.path("conf"), verb],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self):
        done = self.command("start")
        assert done.returncode == 0, f"Postfix: {done.stdout}{done.stderr}{self.log()}"
        wait_for(self._answers, lambda: f"Postfix answers: {self.log()}")
        return self

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                return sock.recv(100).startswith(b"220")
        except OSError:
            return False

    def stop(self):
        done = self.command("stop")
        shutil.rmtree(self.directory, ignore_errors=True)
        assert done.returncode == 0, f"Postfix: {done.stdout}{done.stderr}"

    def log(self):
        try:
            with open(self.path("log"), errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def write_access(self, answers):
        with open(self.path("conf", "access"), "w") as file:
            file.writelines(f"{address} {text}\n" for address, text in answers.items())

    def answer_recipients(self, answers):
        """From now on: address to what RCPT is answered with, "450 4.2.0 …"."""
        self.write_access(answers)
        done = self.command("reload")
        assert done.returncode == 0, f"Postfix: {done.stdout}{done.stderr}"

    # Mail

    @property
    def plain(self):
        return View(self.port, "none")

    @property
    def starttls(self):
        return View(self.port, "starttls")

    @property
    def implicit(self):
        return View(self.tls_port, "implicit")

    def offering(self, *mechanisms):
        """The listener with STARTTLS that offers just these; one of `offers`."""
        return View(self.offers[mechanisms], "starttls")

    def add_box(self):
        """The local part of a mailbox that nobody uses yet."""
        self.boxes += 1
        assert self.boxes <= BOXES_MAX
        return f"box{self.boxes}"

    def maildir(self, box):
        return Maildir(self.path("mail", box))

    def wait_for(self, box, count, timeout=60):
        """The messages of a mailbox once there are `count`, as Postfix has stored them."""
        maildir = self.maildir(box)
        wait_for(
            lambda: len(maildir.files()) >= count,
            lambda: f"{count} messages in {box}, {len(maildir.files())} came: {self.log()[-3000:]}",
            timeout,
        )
        found = maildir.messages()
        assert len(found) == count
        return found


def as_sent(stored):
    """A stored message without the fields that Postfix puts on top; lines end in LF."""
    place = 0
    while match := ADDED.match(stored, place):
        place = match.end()
    return stored[place:]
