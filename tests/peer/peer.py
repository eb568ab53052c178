"""What a scripted server is, whatever protocol it speaks: a listener on loopback with one thread
for each connection, lines in and octets out, TLS at once or in place, a record of all that
happened, and hooks through which a test makes it misbehave (see faults.py).
"""

import socket
import ssl
import threading
import time

RECEIVE_SIZE = 65536
LINE_LIMIT = 1 << 20
DRAIN_SECONDS = 10


class Hangup(Exception):
    """Ends the session: the client went, or a fault wants the connection closed."""


class Hook:
    """A fault for one command. `times` is how often it still applies; None is for ever."""

    def __init__(self, act, times, when):
        self.act = act
        self.times = times
        self.when = when


class Session:
    """One connection. Belongs to its own thread; other threads only read what is recorded."""

    def __init__(self, peer, sock, number):
        self.peer = peer
        self.sock = sock
        self.number = number
        self.opened = time.monotonic()
        self.closed = None
        self.commands = []  # (monotonic time, line) in order of arrival
        self.secured = False
        self.tls_version = None
        self.resumed = False
        self.server_name = None  # SNI
        self.client_certificate = None
        self.tls_error = None
        self.early_octets = b""  # what the client sent behind STLS before TLS was up
        self.eol = b"\r\n"
        self.drip = None  # seconds between octets; None: as fast as it goes
        self._in = bytearray()
        self._out = bytearray()

    # Octets and lines

    def fill(self):
        """Reads more from the client. Raises Hangup when it has gone."""
        try:
            data = self.sock.recv(RECEIVE_SIZE)
        except (OSError, ValueError) as error:
            raise Hangup(str(error)) from error
        if not data:
            raise Hangup("the client closed")
        self._in += data

    def read_line(self):
        """The next line without its end. What was said before leaves first."""
        while True:
            end = self._in.find(b"\n")
            if end >= 0:
                line = bytes(self._in[:end])
                del self._in[: end + 1]
                return line.removesuffix(b"\r").decode("utf-8", "surrogateescape")
            if len(self._in) > LINE_LIMIT:
                raise Hangup("endless line from the client")
            self.flush()
            self.fill()

    def send(self, octets):
        """Queues octets; they leave when there is no further command to answer."""
        self._out += octets
        if len(self._out) > RECEIVE_SIZE:
            self.flush()

    def say(self, text):
        """Queues one line."""
        self.send(text.encode("utf-8", "surrogateescape") + self.eol)

    def flush(self):
        if not self._out:
            return
        octets, self._out = bytes(self._out), bytearray()
        if self.peer.delay:
            self.peer.stopping.wait(self.peer.delay)
        try:
            if self.drip is None:
                self.sock.sendall(octets)
            else:
                self._send_drops(octets)
        except (OSError, ValueError) as error:
            raise Hangup(str(error)) from error

    def _send_drops(self, octets):
        for octet in octets:
            self.sock.sendall(bytes([octet]))
            if self.drip and self.peer.stopping.wait(self.drip):
                raise Hangup("stopping")

    def has_input(self):
        """True when the client has sent more than what was read as a line."""
        return bool(self._in)

    def forget_input(self, most=None):
        """Loses what the client has sent ahead, or its first octets."""
        del self._in[:most]

    def wait_until_gone(self):
        """Says nothing any more, and ends when the client does."""
        self.flush()
        while True:
            self._in.clear()
            self.fill()

    # TLS

    def start_tls(self):
        self.flush()
        self.early_octets = bytes(self._in)
        self._in.clear()
        try:
            self.sock = self.peer.tls.wrap_socket(self.sock, server_side=True)
        except (OSError, ValueError) as error:
            self.tls_error = str(error)
            raise Hangup(str(error)) from error
        self.secured = True
        self.tls_version = self.sock.version()
        self.resumed = bool(self.sock.session_reused)
        self.server_name = getattr(self.sock, "postrider_server_name", None)
        self.client_certificate = self.sock.getpeercert(binary_form=True)

    # Ends

    def close(self, reset=False):
        """Closes without TLS's close_notify; with `reset` the client sees ECONNRESET."""
        self.finish()
        if reset:
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            self._drain()
        self.sock.close()

    def _drain(self):
        """Unread octets would turn the close into a reset, which may eat our last answer."""
        raw = socket.socket
        try:
            raw.shutdown(self.sock, socket.SHUT_WR)
            raw.settimeout(self.sock, DRAIN_SECONDS)
            while raw.recv(self.sock, RECEIVE_SIZE):
                pass
        except (OSError, ValueError):
            pass

    def cut(self):
        """Ends both directions from any thread; the session's own thread sees it and cleans up."""
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        except OSError:
            pass

    def sent_command(self, verb):
        """All arguments that this verb came with, in order."""
        found = []
        for _, line in list(self.commands):
            word, _, argument = line.partition(" ")
            if word.upper() == verb:
                found.append(argument)
        return found

    # For the protocol

    def serve(self):
        raise NotImplementedError

    def finish(self):
        """The connection is over or about to be; may be called twice."""


class Peer:
    """A server that listens on a free port of `address` from start() to stop()."""

    session_class = Session

    def __init__(self, tls_mode="none", tls=None, address="127.0.0.1", port=0):
        self.tls_mode = tls_mode  # "implicit", "starttls", "none"
        self.tls = tls  # an ssl.SSLContext
        self.address = address
        self.port = port
        self.delay = 0.0  # seconds before each burst of answers
        self.stopping = threading.Event()
        self.changed = threading.Condition()  # guards what follows
        self.sessions = []  # every connection there ever was
        self.open_sessions = 0
        self.most_sessions = 0
        self.failures = []  # exceptions of the peer itself: a bug in it or in a hook
        self._hooks = {}
        self._listener = None
        self._threads = []

    # Life

    def start(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.create_server(
            (self.address, self.port), family=family, backlog=256
        )
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept)
        return self

    def stop(self):
        self.stopping.set()
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        with self.changed:
            sessions = list(self.sessions)
        for session in sessions:
            session.cut()
        for thread in list(self._threads):
            thread.join()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def _spawn(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.changed:
                session = self.session_class(self, sock, len(self.sessions) + 1)
                self.sessions.append(session)
                self.open_sessions += 1
                self.most_sessions = max(self.most_sessions, self.open_sessions)
                self.changed.notify_all()
            self._spawn(self._run, session)

    def _run(self, session):
        try:
            self._converse(session)
        except Hangup:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, a test must hear of it
            self.failures.append(error)
        finally:
            self._finish(session)

    def _converse(self, session):
        if self.stopping.is_set():
            raise Hangup("stopping")
        self.intervene(session, "CONNECT", "")
        if self.tls_mode == "implicit":
            session.start_tls()
        session.serve()
        session.flush()

    def _finish(self, session):
        try:
            session.close()
        except OSError:
            pass
        with self.changed:
            session.closed = time.monotonic()
            self.open_sessions -= 1
            self.changed.notify_all()

    # Faults

    def on(self, verb, act, times=None, when=None):
        """From now on `act(session, argument)` is asked before `verb` is answered; when it returns
        True it has answered itself. `when(session)` limits it to some sessions. "CONNECT" is
        asked before anything is sent, "GREETING" in place of the greeting."""
        with self.changed:
            self._hooks.setdefault(verb, []).append(Hook(act, times, when))

    def behave(self):
        """Forgets every hook."""
        with self.changed:
            self._hooks.clear()

    def intervene(self, session, verb, argument):
        """True when a hook has dealt with the command."""
        for hook in self._take_hooks(session, verb):
            if hook.act(session, argument):
                return True
        return False

    def _take_hooks(self, session, verb):
        with self.changed:
            taken = []
            for hook in self._hooks.get(verb, []):
                if hook.times == 0 or (hook.when is not None and not hook.when(session)):
                    continue
                if hook.times is not None:
                    hook.times -= 1
                taken.append(hook)
            return taken

    # Records

    def wait_for(self, condition, what, timeout=30):
        """Waits until `condition()` holds, looked at whenever a session comes, speaks or goes."""
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise AssertionError(f"not within {timeout} s: {what}")

    def note_command(self, session, line):
        with self.changed:
            session.commands.append((time.monotonic(), line))
            self.changed.notify_all()

    def sent_command(self, verb):
        """All arguments that this verb came with, over all sessions."""
        with self.changed:
            sessions = list(self.sessions)
        return [argument for session in sessions for argument in session.sent_command(verb)]


def tls_context(certificate, key, client_ca=None, newest=None, oldest=None):
    """A server's TLS settings. With `client_ca` clients must show a certificate of that CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if newest is not None:
        context.maximum_version = newest
    if oldest is not None:
        context.minimum_version = oldest
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)

    def note_name(sock, name, _context):
        sock.postrider_server_name = name

    context.sni_callback = note_name
    return context
