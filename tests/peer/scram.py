"""The server's side of SCRAM-SHA-256 and SCRAM-SHA-1 (RFC 5802, RFC 7677), with -PLUS bound to the
channel, whatever protocol is around it. What a client must not say is an AssertionError."""

import base64
import hashlib
import hmac
import os

HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
MECHANISMS = {*HASHES, *(name + "-PLUS" for name in HASHES)}
ITERATIONS = 4096


class Channel:
    """What a server can bind a login to: names of RFC 5056's registry, and the octets. It has no
    channel binding when there are none. `in_words`: it says in a server-error what it refuses."""

    def __init__(self, in_words=False, **bindings):
        self.in_words = in_words
        self.bindings = {name.replace("_", "-"): octets for name, octets in bindings.items()}


class Refusal(Exception):
    """A server-error-value of RFC 5802 section 7."""


def encode(octets):
    return base64.b64encode(octets).decode()


def attributes(text):
    return dict(part.split("=", 1) for part in text.split(","))


def read_header(first):
    """The gs2-cbind-flag, the gs2-header, and what is behind it."""
    flag, authorization, bare = first.split(",", 2)
    assert authorization == "", first
    return flag, f"{flag},,", bare


def judge_flag(mechanism, flag, channel):
    """The octets that bind; b"" without binding. RFC 5802 section 6."""
    if mechanism.endswith("-PLUS"):
        assert flag.startswith("p="), flag
        if flag[2:] not in channel.bindings:
            raise Refusal("unsupported-channel-binding-type")
        return channel.bindings[flag[2:]]
    assert flag in ("y", "n"), flag
    if flag == "y" and channel.bindings:
        raise Refusal("server-does-support-channel-binding")
    return b""


def judge(mechanism, passwords, initial, ask, channel):
    """The user, or None. `ask(challenge)` sends it in base64, and returns the client's next line;
    both are as on the wire."""
    try:
        return prove(mechanism, passwords, initial, ask, channel)
    except Refusal as refusal:
        if channel.in_words:
            ask(encode(f"e={refusal}".encode()))
        return None


def prove(mechanism, passwords, initial, ask, channel):
    name = HASHES[mechanism.removesuffix("-PLUS")]
    first = base64.b64decode(initial or ask("")).decode()
    flag, header, bare = read_header(first)
    bound = judge_flag(mechanism, flag, channel)
    user = attributes(bare)["n"]
    nonce = attributes(bare)["r"] + encode(os.urandom(12))
    salt = os.urandom(16)
    server_first = f"r={nonce},s={encode(salt)},i={ITERATIONS}"

    final = base64.b64decode(ask(encode(server_first.encode()))).decode()
    unproved, _, proof = final.rpartition(",p=")
    said = attributes(unproved)
    assert unproved == f"c={said['c']},r={nonce}", unproved
    if base64.b64decode(said["c"]) != header.encode() + bound:
        raise Refusal("channel-bindings-dont-match")
    salted = hashlib.pbkdf2_hmac(name, passwords.get(user, "").encode(), salt, ITERATIONS)
    message = f"{bare},{server_first},{unproved}".encode()
    stored = hashlib.new(name, hmac.digest(salted, b"Client Key", name)).digest()
    signature = hmac.digest(stored, message, name)
    key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
    if user not in passwords or hashlib.new(name, key).digest() != stored:
        raise Refusal("invalid-proof")
    verifier = hmac.digest(hmac.digest(salted, b"Server Key", name), message, name)
    assert ask(encode(b"v=" + encode(verifier).encode())) == ""
    return user
