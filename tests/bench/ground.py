"""What the benchmark stands on: the built programs, the servers, and the measuring of one run."""

import fcntl
import hashlib
import json
import os
import re
import smtplib
import ssl
import statistics
import struct
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = ("maildir_mda", "measure", "pop3_reader", "pop3_server", "relay", "smtp_sink")
# <linux/fs.h>, for machines whose long has 8 octets
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL = 0x80086601, 0x40086602, 0x00020000
SAMPLE = 20  # messages whose octets are compared after each run


class Trouble(Exception):
    """Something that makes the benchmark meaningless; its text is for the person who runs it."""


class Build:
    """Where the compiled programs are; what is missing is made."""

    def __init__(self):
        self.directory = os.path.abspath(os.environ.get("POSTRIDER_BUILD") or f"{SOURCE}/build")
        self.daemon = os.path.join(self.directory, "postriderd")
        wanted = ["postriderd", *(f"tests/bench/{tool}" for tool in TOOLS)]
        missing = [p for p in wanted if not os.access(os.path.join(self.directory, p), os.X_OK)]
        if missing:
            self._make(missing)

    def _make(self, programs):
        if not os.path.exists(os.path.join(self.directory, "Makefile")):
            raise Trouble(
                f"{self.directory} is not configured: scripts/setup builds in build/, "
                "POSTRIDER_BUILD names another place"
            )
        if subprocess.run(["make", "-s", "-C", self.directory, *programs], check=False).returncode:
            raise Trouble(f"make {' '.join(programs)} failed in {self.directory}")

    def tool(self, name):
        return os.path.join(self.directory, "tests", "bench", name)


class Certificate:
    """Made for this run; it is its own CA."""

    def __init__(self, directory):
        self.cert = os.path.join(directory, "server.crt")
        self.key = os.path.join(directory, "server.key")
        command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        command += ["-keyout", self.key, "-out", self.cert]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise Trouble("the openssl command is missing") from None
        if done.returncode != 0:
            raise Trouble(f"openssl req: {done.stderr}")


class Maildrop:
    """One shape of maildrop: how many messages, of how many octets, behind which delay."""

    def __init__(self, port, messages, size, rtt, certificate):
        self.host = "localhost"
        self.port = port
        self.user = "bench"
        self.password = "bench"
        self.messages = messages
        self.size = size
        self.rtt = rtt
        self.ca = certificate.cert
        self.stored_size = 0  # of each message, with LF
        self.sample = {}  # number: SHA-256 of the message as it has to be stored


class Sink:
    """An SMTP server for one shape of messages, behind one delay."""

    COUNTS = ("accepted", "distinct", "spoilt", "strangers", "sessions")

    def __init__(self, port, direct_port, size, starttls, certificate):
        self.host = "localhost"
        self.port = port
        self.size = size
        self.starttls = starttls
        self.user = "bench"
        self.password = "bench"
        self.ca = certificate.cert
        self._direct_port = direct_port
        self._connection = None

    def _ask(self, command):
        """Past the relay, over a connection that stays."""
        if self._connection is None:
            if self.starttls:
                self._connection = smtplib.SMTP(self.host, self._direct_port)
            else:
                context = ssl.create_default_context(cafile=self.ca)
                self._connection = smtplib.SMTP_SSL(
                    self.host, self._direct_port, context=context
                )
        return self._connection.docmd(command)[1].decode()

    def reset(self):
        self._ask("XRESET")

    def counts(self):
        """What came since reset()."""
        return dict(zip(self.COUNTS, map(int, self._ask("XTALLY").split()), strict=True))

    def verify(self, name, wanted):
        """Every message once, none twice, all of them with the body that they had."""
        counts = self.counts()
        right = {"accepted": wanted, "distinct": wanted, "spoilt": 0, "strangers": 0}
        if {key: counts[key] for key in right} != right:
            raise Trouble(f"{name} sent {counts} of {wanted} messages")


class Servers:
    """The servers and relays of a whole benchmark, started when first wanted."""

    def __init__(self, build, certificate):
        self.build = build
        self.certificate = certificate
        self.processes = []
        self.maildrops = {}
        self.sinks = {}
        self.ports = {}

    def maildrop(self, messages, size, rtt):
        """The same for the same question."""
        key = (messages, size, rtt)
        if key not in self.maildrops:
            port = self._server(messages, size)
            if rtt:
                port = self._start("relay", "--target", port, "--rtt", rtt)
            self.maildrops[key] = self._describe(port, *key)
        return self.maildrops[key]

    def sink(self, messages, size, rtt, starttls=False):
        """The same for the same question."""
        key = (messages, size, rtt, starttls)
        if key not in self.sinks:
            direct = self._server(messages, size, "smtp_sink", *["--starttls"] * starttls)
            port = self._start("relay", "--target", direct, "--rtt", rtt) if rtt else direct
            self.sinks[key] = Sink(port, direct, size, starttls, self.certificate)
        return self.sinks[key]

    def _server(self, messages, size, tool="pop3_server", *options):
        key = (messages, size, tool, *options)
        if key not in self.ports:
            pair = ("--cert", self.certificate.cert, "--key", self.certificate.key)
            shape = ("--messages", messages, "--size", size)
            self.ports[key] = self._start(tool, *pair, *shape, *options)
        return self.ports[key]

    def _start(self, tool, *arguments):
        """The port that it listens on.  It ends with the pipe to its standard input."""
        process = subprocess.Popen(
            [self.build.tool(tool), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.processes.append(process)
        line = process.stdout.readline()
        if not line.strip().isdigit():
            raise Trouble(f"{tool} did not start")
        return int(line)

    def _describe(self, port, messages, size, rtt):
        maildrop = Maildrop(port, messages, size, rtt, self.certificate)
        step = max(1, messages // SAMPLE)
        for number in sorted({*range(1, messages + 1, step), messages}):
            octets = self._show(maildrop, number)
            maildrop.stored_size = len(octets)
            maildrop.sample[number] = hashlib.sha256(octets).digest()
        return maildrop

    def _show(self, maildrop, number):
        command = [self.build.tool("pop3_server"), "--user", maildrop.user, "--show", str(number)]
        command += ["--messages", str(maildrop.messages), "--size", str(maildrop.size)]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
            process.stdin.close()
            process.stdout.close()


class Result:
    """Several runs of one program on one maildrop."""

    def __init__(self, scale=1.0):
        self.scale = scale  # by which times are multiplied
        self.runs = []

    def add(self, measured):
        self.runs.append(measured)

    def _all(self, key):
        return [run[key] for run in self.runs]

    def wall(self, function=statistics.median):
        return function(self._all("wall")) * self.scale

    def cpu(self):
        return statistics.median(self._all("cpu")) * self.scale

    def rss(self):
        return max(self._all("rss"))


def spread_directories(path):
    """Each run's directory in a part of the disk of its own, as homes are (chattr +T).  ext4 passes
    over inodes that were removed in the last minutes one by one, which would triple the work of
    whoever comes after an earlier benchmark's end.  Elsewhere it does nothing.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = struct.unpack("i", fcntl.ioctl(fd, FS_IOC_GETFLAGS, struct.pack("i", 0)))[0]
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("i", flags | FS_TOPDIR_FL))
    except OSError:
        pass
    finally:
        os.close(fd)


def measure(build, command, directory, timeout, environment=None):
    """Runs a program to its end; wall and cpu in seconds, rss in octets."""
    report = os.path.join(directory, "measured.json")
    errors = os.path.join(directory, "output.txt")
    full = [build.tool("measure"), report, *command]
    with open(errors, "wb") as output:
        process = subprocess.Popen(
            full,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=directory,
            env={**os.environ, **(environment or {})},
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{command[0]} did not end within {timeout} s{tail(errors)}") from None
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if code != 0:
        raise Trouble(f"{command[0]} ended with {code}{tail(errors)}")
    with open(report, encoding="ascii") as file:
        return json.load(file)


def tail(path, octets=2000):
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - octets))
        text = file.read().decode(errors="backslashreplace").strip()
    return f":\n{text}" if text else ""


def numbers(text):
    return [int(word) for word in text.split(",")]


def say(text):
    """How far it is, for a person only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def check_place(path):
    """The path goes into files of four programs, each with rules of its own for quoting."""
    if not os.path.isdir(path):
        raise Trouble(f"{path} is not a directory")
    if not re.fullmatch(r"[\w/.,+@:=-]+", os.path.abspath(path)):
        raise Trouble(f"{os.path.abspath(path)}: choose a --dir without blanks and quotes")


def on_terminate(_number, _frame):
    raise KeyboardInterrupt
