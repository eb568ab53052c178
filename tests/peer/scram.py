"""The server's side of SCRAM-SHA-256 and SCRAM-SHA-1 (RFC 5802, RFC 7677) without channel binding,
whatever protocol is around it. What a client must not say is an AssertionError."""

import base64
import hashlib
import hmac
import os

MECHANISMS = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
ITERATIONS = 4096


def encode(octets):
    return base64.b64encode(octets).decode()


def attributes(text):
    return dict(part.split("=", 1) for part in text.split(","))


def judge(mechanism, passwords, initial, ask):
    """The user, or None. `ask(challenge)` sends it in base64, and returns the client's next line;
    both are as on the wire."""
    name = MECHANISMS[mechanism]
    first = base64.b64decode(initial or ask("")).decode()
    assert first.startswith("n,,"), first
    bare = first.removeprefix("n,,")
    user = attributes(bare)["n"]
    nonce = attributes(bare)["r"] + encode(os.urandom(12))
    salt = os.urandom(16)
    server_first = f"r={nonce},s={encode(salt)},i={ITERATIONS}"

    final = base64.b64decode(ask(encode(server_first.encode()))).decode()
    unproved, _, proof = final.rpartition(",p=")
    assert unproved == f"c={encode(b'n,,')},r={nonce}", unproved
    salted = hashlib.pbkdf2_hmac(name, passwords.get(user, "").encode(), salt, ITERATIONS)
    message = f"{bare},{server_first},{unproved}".encode()
    stored = hashlib.new(name, hmac.digest(salted, b"Client Key", name)).digest()
    signature = hmac.digest(stored, message, name)
    key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
    if user not in passwords or hashlib.new(name, key).digest() != stored:
        return None
    verifier = hmac.digest(hmac.digest(salted, b"Server Key", name), message, name)
    assert ask(encode(b"v=" + encode(verifier).encode())) == ""
    return user
