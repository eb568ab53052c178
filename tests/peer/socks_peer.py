"""A SOCKS5 proxy (RFC 1928, RFC 1929) on loopback for tests: it resolves names by a table of its
own and keeps what it was asked."""

import select
import socket
import struct

from peer import Hangup, Peer, Session

VERSION = 5
CONNECT = 1
IPV4, NAME, IPV6 = 1, 3, 4
NO_AUTHENTICATION, PASSWORD, NONE_ACCEPTABLE = 0, 2, 0xFF
SUCCEEDED, UNREACHABLE, REFUSED = 0, 4, 5


class SocksSession(Session):
    """Hooks may stand at METHOD, PASSWORD and REQUEST, before the proxy answers."""

    def __init__(self, peer, sock, number):
        super().__init__(peer, sock, number)
        self.methods = None
        self.login = None  # (user, password)
        self.request = None  # (type, host, port)

    def take(self, count):
        while len(self._in) < count:
            self.flush()
            self.fill()
        octets = bytes(self._in[:count])
        del self._in[:count]
        return octets

    def take_field(self):
        return self.take(self.take(1)[0])

    def serve(self):
        version, count = self.take(2)
        assert version == VERSION
        self.methods = list(self.take(count))
        if not self.peer.intervene(self, "METHOD", ""):
            self.choose_method()
        self.read_request()
        if not self.peer.intervene(self, "REQUEST", ""):
            self.connect()

    def choose_method(self):
        wanted = PASSWORD if self.peer.login else NO_AUTHENTICATION
        if wanted not in self.methods:
            self.send(bytes([VERSION, NONE_ACCEPTABLE]))
            self.flush()
            raise Hangup("no method that is wanted here")
        self.send(bytes([VERSION, wanted]))
        if wanted == PASSWORD:
            assert self.take(1) == b"\x01"
            self.login = (self.take_field().decode(), self.take_field().decode())
            if not self.peer.intervene(self, "PASSWORD", ""):
                self.check_login()

    def check_login(self):
        right = self.login == self.peer.login
        self.send(bytes([1, 0 if right else 1]))
        self.flush()
        if not right:
            raise Hangup("user or password is wrong")

    def read_request(self):
        version, command, reserved, kind = self.take(4)
        assert (version, command, reserved) == (VERSION, CONNECT, 0)
        if kind == NAME:
            host = self.take_field().decode()
        else:
            family = socket.AF_INET if kind == IPV4 else socket.AF_INET6
            host = socket.inet_ntop(family, self.take(4 if kind == IPV4 else 16))
        (port,) = struct.unpack("!H", self.take(2))
        self.request = (kind, host, port)

    def answer(self, reply):
        self.send(bytes([VERSION, reply, 0, NAME, 4]) + b"here" + b"\0\0")
        self.flush()

    def connect(self):
        kind, host, port = self.request
        host = self.peer.names.get(host) if kind == NAME else host
        if host is None:
            self.answer(UNREACHABLE)
            return
        try:
            server = socket.create_connection((host, port), timeout=10)
        except OSError:
            self.answer(REFUSED)
            return
        with server:
            self.answer(SUCCEEDED)
            self.carry(server)

    def carry(self, server):
        """Octets in both directions until one side closes."""
        server.sendall(bytes(self._in))
        self._in.clear()
        other = {self.sock: server, server: self.sock}
        while True:
            for end in select.select(list(other), [], [])[0]:
                octets = end.recv(65536)
                if not octets:
                    return
                other[end].sendall(octets)


class SocksPeer(Peer):
    session_class = SocksSession

    def __init__(self, **settings):
        super().__init__(**settings)
        self.names = {}  # host name to address
        self.login = None  # (user, password) that it wants

    @property
    def requests(self):
        with self.changed:
            return [session.request for session in self.sessions if session.request]
