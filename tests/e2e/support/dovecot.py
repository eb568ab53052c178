"""Debian's Dovecot as a POP3 server on loopback, in a directory of its own, without privileges."""

import base64
import grp
import hashlib
import hmac
import json
import os
import poplib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .waiting import wait_for

PASSWORD = "pass word"
ODD_PASSWORD = ' pä"ss\\w:{0}röd,=2C %% and 東京'
USERS_MAX = 1000
WITH_PASSWORD = ("plain", "login", "cram-md5", "apop", "scram-sha-1", "scram-sha-256")
WITH_TOKEN = ("oauthbearer", "xoauth2")
TOKEN_KEY = b"a key that signs tokens, long enough"

CONFIG = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2
protocols = pop3
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{dir}/mail/%u
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_username_chars =
mail_max_userip_connections = 0
mail_fsync = never
pop3_uidl_format = %v-%u
pop3_lock_session = yes
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {dir}/users
  mechanisms = {passwords}
}}
passdb {{
  driver = oauth2
  args = {dir}/oauth2
  mechanisms = {tokens}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/home/%u
}}
{more}
service auth {{
  client_limit = 2000
  unix_listener postfix {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
  chroot =
}}
service stats {{
  chroot =
}}
service pop3-login {{
  chroot =
  client_limit = 400
  process_min_avail = 1
  service_count = 0
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = {tls_port}
    ssl = yes
  }}
}}
service pop3 {{
  chroot =
  service_count = 0
}}
"""


# A certificate is the secret: its common name is the user.
CERTIFIED = """
ssl_ca = <{ca}
ssl_require_crl = no
ssl_verify_client_cert = yes
auth_ssl_require_client_cert = yes
auth_ssl_username_from_cert = yes
passdb {{
  driver = static
  args = nopassword=y
  mechanisms = external
}}
"""

# Tokens are believed for their signature: keys/AZP/ALG/KID in base64.
OAUTH2 = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={dir}/keys/
username_attribute = sub
"""


def find_dovecot():
    """Where it is; None when its POP3 server is not installed."""
    path = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        return None
    done = subprocess.run([path, "--build-options"], capture_output=True, text=True, check=False)
    libexec = re.search(r"^(?:libexecdir|pkglibexecdir): *(\S+)", done.stdout, re.MULTILINE)
    places = [libexec[1]] if libexec else []
    places += ["/usr/lib/dovecot", "/usr/libexec/dovecot"]
    if any(os.path.exists(os.path.join(place, "pop3")) for place in places):
        return path
    return None


def free_ports(count):
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


def make_token(user, key=TOKEN_KEY, room=0):
    """An access token that this Dovecot believes: a JSON Web Token (RFC 7519); `room` is of a claim
    that says nothing."""
    claims = {"sub": user, "iat": int(time.time()) - 60, "exp": int(time.time()) + 3600}
    claims["room"] = "x" * room
    parts = [encode_json({"alg": "HS256", "typ": "JWT"}), encode_json(claims)]
    signature = hmac.digest(key, ".".join(parts).encode(), hashlib.sha256)
    return ".".join([*parts, encode_part(signature)])


def encode_json(item):
    return encode_part(json.dumps(item).encode())


def encode_part(octets):
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


class View:
    """One of Dovecot's two listeners, as Daemon.account() wants a server."""

    def __init__(self, port, tls_mode):
        self.port = port
        self.tls_mode = tls_mode


class Dovecot:
    def __init__(self, program, certificates, mechanisms=WITH_PASSWORD + WITH_TOKEN):
        self.program = program
        self.mechanisms = mechanisms
        # Dovecot refuses to serve mail as root, so there it runs as nobody.
        self.user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.directory = tempfile.mkdtemp(prefix="postrider-dovecot-")
        self.process = None
        self.users = 0  # of those in the file, how many were given out
        self.delivered = 0
        self.port, self.tls_port = free_ports(2)
        self._own(self.directory)
        for name in ("run", "state", "mail", "home"):
            self._make(name)
        pair = certificates["server"]
        files = ((pair.cert, "crt"), (pair.key, "key"), (certificates["ca"], "ca"))
        for source, name in files:
            shutil.copyfile(source, self.path(name))
            self._own(self.path(name))
        self._write_config()

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def _own(self, path):
        if os.getuid() == 0:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _make(self, *names):
        os.makedirs(self.path(*names), exist_ok=True)
        self._own(self.path(*names))

    def _write_config(self):
        more = CERTIFIED.format(ca=self.path("ca")) if "external" in self.mechanisms else ""
        with open(self.path("conf"), "w") as file:
            file.write(
                CONFIG.format(
                    mechanisms=" ".join(self.mechanisms),
                    passwords=" ".join(WITH_PASSWORD),
                    tokens=" ".join(WITH_TOKEN),
                    more=more,
                    dir=self.directory,
                    cert=self.path("crt"),
                    key=self.path("key"),
                    user=self.user.pw_name,
                    group=grp.getgrgid(self.user.pw_gid).gr_name,
                    uid=self.user.pw_uid,
                    gid=self.user.pw_gid,
                    port=self.port,
                    tls_port=self.tls_port,
                )
            )
        # All at once: Dovecot looks at most once a second whether the file has changed.
        odd = base64.b64encode(ODD_PASSWORD.encode()).decode()
        with open(self.path("users"), "w") as file:
            for number in range(1, USERS_MAX + 1):
                file.write(f"user{number}:{PASSWORD}\n")
            for number in range(1, USERS_MAX + 1):
                file.write(f"odd{number}:{{PLAIN.b64}}{odd}\n")
        self._own(self.path("users"))
        with open(self.path("oauth2"), "w") as file:
            file.write(OAUTH2.format(dir=self.directory))
        self._make("keys", "default", "HS256")
        with open(self.path("keys", "default", "HS256", "default"), "wb") as file:
            file.write(base64.b64encode(TOKEN_KEY))

    # Life

    def start(self):
        become = {}
        if os.getuid() == 0:
            become = {
                "user": self.user.pw_uid,
                "group": self.user.pw_gid,
                "extra_groups": [],
            }
        with open(self.path("stderr"), "wb") as stderr:
            self.process = subprocess.Popen(
                [self.program, "-F", "-c", self.path("conf")],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                env={"PATH": os.environ["PATH"]},
                **become,
            )
        wait_for(self._answers, lambda: f"Dovecot answers: {self.log()}")
        return self

    def offer(self, *mechanisms):
        """From now on it has just these."""
        self.mechanisms = mechanisms
        self._write_config()
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self._offers() == set(mechanisms), lambda: f"the offer: {self._offers()}")

    def _offers(self):
        """The mechanisms; None while it changes them."""
        try:
            client = poplib.POP3("127.0.0.1", self.port, timeout=5)
            try:
                return {name.lower() for name in client.capa().get("SASL", [])}
            finally:
                client.close()
        except (OSError, poplib.error_proto):
            return None

    def _answers(self):
        assert self.process.poll() is None, f"Dovecot ended: {self.log()}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                return sock.recv(100).startswith(b"+OK")
        except OSError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self):
        texts = []
        for name in ("stderr", "log"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), errors="replace") as file:
                    texts.append(file.read())
        return "".join(texts)

    # Users and passwords for Postfix

    @property
    def auth_socket(self):
        return self.path("run", "postfix")

    def open_auth(self):
        """Lets Postfix's own user reach auth_socket."""
        os.chmod(self.directory, 0o711)

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

    def add_user(self, messages=(), kind="user"):
        """A new user with this mail, in this order; returns its name. One who is "odd" has
        ODD_PASSWORD."""
        self.users += 1
        assert self.users <= USERS_MAX
        name = f"{kind}{self.users}"
        for folder in ("", "new", "cur", "tmp"):
            self._make("mail", name, *([folder] if folder else []))
        for octets in messages:
            self.deliver(name, octets)
        return name

    def deliver(self, name, octets):
        """One more message for a user."""
        folder = self.path("mail", name)
        self.delivered += 1
        file_name = f"1700000000.M{self.delivered:09d}P1.test"
        path = os.path.join(folder, "tmp", file_name)
        with open(path, "wb") as file:
            file.write(octets)
        self._own(path)
        os.rename(path, os.path.join(folder, "new", file_name))

    def waiting(self, name):
        """How many messages the user has on the server."""
        return sum(len(os.listdir(self.path("mail", name, folder))) for folder in ("new", "cur"))


def served(octets):
    """What Dovecot sends of a file: it ends every line in CRLF, where a CR before the LF counts
    as its line end already, and closes the last line; all else, NUL too, goes as it is."""
    wire = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if not wire.endswith(b"\r\n"):
        wire += b"\r\n"
    return wire
