"""Certificates made at run time with the openssl command: a CA, and servers' and clients' that are
good or wrong in one way each.
"""

import hashlib
import os
import subprocess
from datetime import datetime, timedelta, timezone


def openssl(*arguments, stdin=None):
    done = subprocess.run(
        ["openssl", *arguments], input=stdin, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.decode()}")
    return done.stdout


class Pair:
    """A certificate and its key, both PEM files."""

    def __init__(self, cert, key):
        self.cert = cert
        self.key = key

    def fingerprint(self):
        """As tls_fingerprint takes it: the digest of the certificate."""
        der = openssl("x509", "-in", self.cert, "-outform", "DER")
        return "sha256:" + hashlib.sha256(der).hexdigest()

    def key_fingerprint(self):
        """As tls_fingerprint takes it: the digest of the public key."""
        public = openssl("x509", "-in", self.cert, "-noout", "-pubkey")
        der = openssl("pkey", "-pubin", "-outform", "DER", stdin=public)
        return "spki-sha256:" + hashlib.sha256(der).hexdigest()


class Authority:
    """A CA that lives in `directory`."""

    def __init__(self, directory, name="Test CA"):
        self.directory = directory
        self.name = name
        os.makedirs(directory, exist_ok=True)
        self.pair = self.self_signed("ca", name, ca=True)
        self.cert = self.pair.cert
        self._write_config()

    def path(self, name):
        return os.path.join(self.directory, name)

    def self_signed(self, file, name, names=("DNS:localhost", "IP:127.0.0.1"), ca=False):
        """A certificate that vouches for itself only."""
        cert, key = self.path(file + ".crt"), self.path(file + ".key")
        use = (
            ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
            if ca
            else ["subjectAltName=" + ",".join(names)]
        )
        extensions = [word for line in use for word in ("-addext", line)]
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "3650", "-subj", f"/CN={name}", *extensions, "-out", cert, "-keyout", key,
        )  # fmt: skip
        return Pair(cert, key)

    def issue(
        self,
        file,
        name="localhost",
        names=("DNS:localhost", "IP:127.0.0.1"),
        start="20200101000000Z",
        end="20491231235959Z",
    ):
        """A certificate of this CA for these subjectAltNames, valid from `start` to `end`."""
        cert, key, request = (self.path(file + end_) for end_ in (".crt", ".key", ".csr"))
        openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-addext", "subjectAltName=" + ",".join(names),
            "-out", request, "-keyout", key,
        )  # fmt: skip
        openssl(
            "ca", "-batch", "-notext", "-config", self.path("ca.cnf"), "-startdate", start,
            "-enddate", end, "-in", request, "-out", cert,
        )  # fmt: skip
        return Pair(cert, key)

    def _write_config(self):
        open(self.path("index.txt"), "w").close()
        with open(self.path("ca.cnf"), "w") as file:
            file.write(
                "[ca]\ndefault_ca = test\n[test]\n"
                f"database = {self.path('index.txt')}\nnew_certs_dir = {self.directory}\n"
                f"certificate = {self.pair.cert}\nprivate_key = {self.pair.key}\n"
                "rand_serial = yes\ndefault_md = sha256\npolicy = any\ncopy_extensions = copy\n"
                "unique_subject = no\n[any]\ncommonName = supplied\n"
            )


def in_days(days):
    then = datetime.now(timezone.utc) + timedelta(days=days)
    return then.strftime("%Y%m%d%H%M%SZ")


def make_certificates(directory):
    """The usual set, by name."""
    authority = Authority(os.path.join(directory, "ca"))
    stranger = Authority(os.path.join(directory, "other"), "Other CA")
    return {
        "authority": authority,
        "ca": authority.cert,
        "server": authority.issue("server"),
        "named": authority.issue("named", "mail.example.test", ("DNS:mail.example.test",)),
        "expired": authority.issue("expired", start="20240101000000Z", end="20240201000000Z"),
        "ending": authority.issue("ending", end=in_days(10)),
        "future": authority.issue("future", start="20480101000000Z", end="20490101000000Z"),
        "unknown": stranger.issue("unknown"),
        "self-signed": authority.self_signed("self", "localhost"),
        "client": authority.issue("client", "me", ("email:me@example.org",)),
    }
