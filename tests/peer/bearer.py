"""The server's side of OAUTHBEARER (RFC 7628) and XOAUTH2, whatever protocol is around it. It is
strict: what a client must not say is an AssertionError, which fails the test."""

import base64
import json
import re

MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
RESPONSES = {
    "OAUTHBEARER": re.compile(
        rb"n,a=([^,]*),\x01host=[^\x01]+\x01port=[0-9]+\x01auth=Bearer ([^\x01]*)\x01\x01"
    ),
    "XOAUTH2": re.compile(rb"user=([^\x01]*)\x01auth=Bearer ([^\x01]*)\x01\x01"),
}
DUMMIES = {"OAUTHBEARER": "AQ==", "XOAUTH2": ""}  # what a client says to the error challenge


def parse(mechanism, response):
    """User and token of a response in base64."""
    match = RESPONSES[mechanism].fullmatch(base64.b64decode(response, validate=True))
    assert match, f"no response of {mechanism}"
    user, token = (part.decode() for part in match.groups())
    return user.replace("=2C", ",").replace("=3D", "="), token


class Tokens:
    """What a server knows of tokens, and how it likes to hear them."""

    def __init__(self):
        self.valid = {}  # user to token
        self.seen = []  # every token that was shown, in order
        self.ignores_initial = False  # asks for what it was told with AUTH already
        self.refusal = {"status": "invalid_token", "scope": "mail.example"}  # None: says nothing

    def judge(self, mechanism, initial, ask):
        """The user, or None. `ask(challenge)` sends it, and returns the client's next line."""
        if not initial or self.ignores_initial:
            initial = ask("")
        user, token = parse(mechanism, initial)
        self.seen.append(token)
        if user in self.valid and self.valid[user] == token:
            return user
        if self.refusal is not None:
            text = base64.b64encode(json.dumps(self.refusal).encode()).decode()
            dummy = ask(text)
            assert dummy == DUMMIES[mechanism], f"{dummy!r} to the error of {mechanism}"
        return None
