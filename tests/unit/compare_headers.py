#!/bin/sh
''':'
if command -v python3 >/dev/null 2>&1; then exec python3 "$0" "$@"; fi
echo "python3 is missing, so nothing is compared"
exit 77
'''
# Generated headers, whose meaning is known because it was there first, and headers as mailers
# write them, read by scan_headers and by Python's email package.  scan_headers must always find
# the meaning.  Where Python finds another one, a rule below must say why.
#
#	compare_headers.py [COUNT [SEED]]     beside tests/unit/scan_headers, or $SCAN_HEADERS

import email
import email.policy
import email.utils
import json
import os
import random
import subprocess
import sys

PRIVATE = ("bcc", "resent-bcc", "return-path")


def scan(messages, local=None):
    program = os.environ.get("SCAN_HEADERS", "tests/unit/scan_headers")
    packed = b"".join(b"%d\n%s" % (len(m), m) for m in messages)
    done = subprocess.run(
        [program] + ([local] if local else []), input=packed, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


# -- Writing what is known --------------------------------------------------------------------

WORDS = "alice bob Carol dave+tag e_f O'Neil x-y Zed root 7up".split()
LABELS = "example test mail Foo a-b x1 Net org".split()
UNICODE_WORDS = ["jürgen", "łukasz", "用户", "Ünal"]
UNICODE_DOMAINS = ["bücher.example", "例え.test", "faß.example", "пример.test"]
TEXTS = ["a", "nice chap", "x, y", "<a@b>", "(inner (most))", "\\)", "it's; him:"]


class Writer:
    """One random message; every choice comes from the generator."""

    def __init__(self, rng):
        self.rng = rng
        self.odd = rng.random() < 0.6       # comments, folds, obsolete forms
        self.unicode = rng.random() < 0.25

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, items):
        return self.rng.choice(items)

    def blank(self):
        """CFWS that may stand anywhere between two tokens."""
        if not self.odd or self.chance(0.7):
            return ""
        return self.pick([" ", "\t", "  ", "\n ", " (%s) " % self.pick(TEXTS), "(c)"])

    def gap(self):
        return self.blank() if self.chance(0.3) and self.odd else " "

    def local(self):
        """(text, meaning)"""
        if self.unicode and self.chance(0.4):
            word = self.pick(UNICODE_WORDS)
            return word, word
        if self.chance(0.15):
            meaning = self.pick(["john doe", "a@b", 'q"q', "b\\s", "a,b", "x.y", "(x)", "<z>"])
            return quote(meaning), meaning
        words = [self.pick(WORDS) for _ in range(self.rng.randint(1, 3))]
        dot = lambda: self.blank() + "." + self.blank() if self.chance(0.1) else "."
        text = words[0]
        for word in words[1:]:
            text += dot() + word
        return text, ".".join(words)

    def domain(self):
        if self.unicode and self.chance(0.4):
            domain = self.pick(UNICODE_DOMAINS)
            return domain, domain
        if self.chance(0.05):
            literal = self.pick(["[192.0.2.1]", "[IPv6:2001:db8::1]"])
            return literal, literal
        labels = [self.pick(LABELS) for _ in range(self.rng.randint(1, 3))]
        return ".".join(labels), ".".join(labels).lower()

    def addr_spec(self):
        text, local = self.local()
        domain_text, domain = self.domain()
        at = self.blank() + "@" + self.blank() if self.chance(0.1) else "@"
        return text + at + domain_text, (local, domain)

    def name(self):
        kind = self.rng.randint(0, 6)
        if kind == 0:
            return self.pick(WORDS) + " " + self.pick(WORDS)
        if kind == 1:
            return quote(self.pick(["Smith, John", 'The "Boss"', "a@b.example", "x; y: <z>"]))
        if kind == 2:
            return "=?utf-8?Q?J=C3=BCrgen?= =?iso-8859-1?Q?M=FCller?="
        if kind == 3 and self.odd:
            return "John Q. Public"
        if kind == 4 and self.unicode:
            return "Jürgen Müller"
        if kind == 5 and self.odd:
            return "Joe " + quote("the, man") + self.gap() + "Doe"
        return self.pick(WORDS)

    def mailbox(self):
        spec, meaning = self.addr_spec()
        if self.chance(0.4):
            return self.blank() + spec + self.blank(), meaning
        name = self.name() + self.gap() if self.chance(0.8) else ""
        route = "@a.example,@b.example:" if self.odd and self.chance(0.05) else ""
        angle = "<" + self.blank() + route + spec + self.blank() + ">"
        return self.blank() + name + angle + self.blank(), meaning

    def address_list(self, least=1):
        """(text, meanings)"""
        items, meanings = [], []
        for _ in range(self.rng.randint(least, 4)):
            if self.chance(0.1):
                members = [self.mailbox() for _ in range(self.rng.randint(0, 3))]
                items.append("My Group:" + ",".join(m[0] for m in members) + ";")
                meanings += [m[1] for m in members]
            else:
                text, meaning = self.mailbox()
                items.append(text)
                meanings.append(meaning)
            if self.odd and self.chance(0.05):
                items.append(self.blank())
        comma = lambda: self.pick([", ", ",", ",\n ", ",\n\t"])
        text = items[0] if items else ""
        for item in items[1:]:
            text += comma() + item
        return " " + text, meanings

    def field_name(self, name):
        if self.odd and self.chance(0.1):
            name += self.pick([" ", "\t", "  "])
        return self.pick([name, name.lower(), name.upper()]) if self.chance(0.2) else name

    def message(self):
        return Message(self)


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Message:
    """Fields as [(name, value, meanings or None)] from the top, and what they ask for."""

    def __init__(self, w):
        self.fields = []
        self.steered = None
        self.null_sender = False
        self.resent = False
        upper = []
        if w.chance(0.15):
            self.resent = True
            block = [("Resent-From", *one(w)), ("Resent-To", *w.address_list())]
            if w.chance(0.5):
                block.append(("Resent-Cc", *w.address_list()))
            if w.chance(0.5):
                block.append(("Resent-Bcc", *w.address_list()))
            w.rng.shuffle(block)
            upper += block
            if w.chance(0.3):       # an older block, which does not count
                upper += [("Resent-From", *one(w)), ("Resent-To", *w.address_list())]
        steering = []
        if w.chance(0.1):
            self.null_sender = True
            steering.append(("X-Postrider-Sender", " <>", None))
        if w.chance(0.1):
            text, self.steered = w.address_list()
            steering.append(("X-Postrider-Recipient", text, None))
        upper = steering + upper
        trace = []
        if w.chance(0.3):
            trace.append(("Return-Path", " <bounce@example>", None))
        if w.chance(0.3) or trace:
            trace.append(("Received", " from x by y;\n\tFri, 20 Nov 2026 10:15:00 +0000", None))
            trace.append(("X-Postrider-Sender", " not@this.example", None))
        body = [("From", *one(w)), ("Subject", " Re: lunch,\n tomorrow: <x@y>", None)]
        if w.chance(0.3):
            body.append(("Sender", *one(w)))
        for name in ("To", "Cc", "Bcc"):
            if w.chance(0.6) or name == "To":
                body.append((name, *w.address_list()))
        if w.chance(0.2):
            body.append(("To", *w.address_list()))
        w.rng.shuffle(body)
        self.fields = [(w.field_name(n), v, m) for n, v, m in upper + trace + body]
        self.end = w.pick(["\n", "\r\n"])
        self.body = w.pick(["", "hello\n", "Bcc: not@this.example\n\nbye", ".\n..\n"])

    def text(self):
        head = "".join("%s:%s\n" % (n, v) for n, v, _ in self.fields)
        return (head + "\n" + self.body).replace("\n", self.end)

    def meanings(self, *names):
        return [m for n, _, ms in self.fields if ms and n.strip().lower() in names for m in ms]

    def first_block(self, *names):
        """The same of the topmost Resent- fields; each name once, as it was written."""
        seen, found = set(), []
        for n, _, ms in self.fields:
            n = n.strip().lower()
            if n.startswith("x-postrider-"):
                continue
            if not n.startswith("resent-") or n in seen:
                break
            seen.add(n)
            if n in names:
                found += ms
        return found

    def envelope(self):
        get = self.first_block if self.resent else self.meanings
        p = "resent-" if self.resent else ""
        author = get(p + "from")[:1]
        sender = (get(p + "sender") or author)[:1]
        to = self.steered
        if to is None:
            to = get(p + "to", p + "cc", p + "bcc")
        once = list(dict.fromkeys(to))
        return author, [("", "")] if self.null_sender else sender, once

    def output(self):
        kept = [(n, v) for n, v, _ in self.fields
                if n.strip().lower() not in PRIVATE
                and not n.lower().startswith("x-postrider-")]
        body = self.body + ("\n" if self.body and not self.body.endswith("\n") else "")
        text = "".join("%s:%s\n" % field for field in kept) + "\n" + body
        return text.replace("\n", "\r\n")


def one(w):
    text, meaning = w.mailbox()
    return " " + text, [meaning]


# -- Comparing ---------------------------------------------------------------------------------

def split_address(wire):
    """"local@domain" of the wire to (meaning of local, domain)."""
    if wire is None or wire == "":
        return ("", "")
    local, at, domain = wire.rpartition("@")
    if not at or domain.endswith('"'):
        local, domain = wire, ""
    if local.startswith('"'):
        out, i = "", 1
        while i < len(local) - 1:
            i += local[i] == "\\"
            out += local[i]
            i += 1
        local = out
    return (local, domain)


def python_addresses(value):
    """What the email package finds in a field's value, or the name of what it raises."""
    try:
        header = email.policy.default.header_factory("To", " ".join(value.split("\n")).strip())
        return [(a.username, a.domain.lower() if not a.domain.startswith("[") else a.domain)
                for a in header.addresses]
    except Exception as error:  # it raises IndexError and others on odd input
        return type(error).__name__


# Why the email package may find something else: a reason, and when it applies to a field's value.
RULES = [
    ("versions before 3.7 miss comments in some places", lambda value: "(" in value),
]


class Tally:
    def __init__(self):
        self.same = 0           # Python and scan_headers agree
        self.explained = {}
        self.faults = []

    def fault(self, what, message, want, got):
        self.faults.append("%s\n--- message\n%s\n--- wanted %r\n--- got    %r"
                           % (what, message, want, got))

    def explain(self, reason):
        self.explained[reason] = self.explained.get(reason, 0) + 1

    def compare_names(self, message, want):
        got = email.message_from_string(message).keys()
        if got == want:
            self.same += 1
        elif any(name != name.rstrip() for name in want):
            self.explain("its header ends at a field with blanks before the colon")
        else:
            self.fault("Python has other fields", message, want, got)

    def compare_addresses(self, message, value, want):
        got = python_addresses(value)
        if got == want:
            self.same += 1
            return
        for reason, applies in RULES:
            if applies(value):
                self.explain(reason)
                return
        self.fault("Python differs and no rule says why", message, want, got)


def compare_fields(tally, text, fields, shown):
    if [f["name"] for f in shown["fields"]] != [n.rstrip() for n, _, _ in fields]:
        tally.fault("fields", text, [n for n, _, _ in fields],
                    [f["name"] for f in shown["fields"]])
        return
    tally.compare_names(text, [n for n, _, _ in fields])
    for (_, value, meanings), field in zip(fields, shown["fields"]):
        if meanings is None:
            continue
        got = [split_address(a[1]) if isinstance(a, list) else a for a in field["addresses"]]
        if got != meanings:
            tally.fault("addresses of " + field["name"], text, meanings, got)
        tally.compare_addresses(text, value, meanings)


def compare_generated(count, seed):
    tally = Tally()
    rng = random.Random(seed)
    messages = [Writer(rng).message() for _ in range(count)]
    for m, shown in zip(messages, scan([m.text().encode() for m in messages])):
        author, sender, to = m.envelope()
        e = shown["envelope"]
        compare_fields(tally, m.text(), m.fields, shown)
        if not to:
            if "error" not in e:
                tally.fault("no recipients, but no error", m.text(), None, e)
        elif "error" in e:
            tally.fault("refused", m.text(), to, e["error"])
        else:
            got = ([split_address(e["from"])] if e["from"] is not None else [],
                   [split_address(e["sender"])] if e["sender"] is not None else [],
                   [split_address(a) for a in e["recipients"]])
            if got != (author, sender, to):
                tally.fault("envelope", m.text(), (author, sender, to), got)
        if shown["output"] != m.output():
            tally.fault("output", m.text(), m.output(), shown["output"])
    return tally


# Fields as mailers write them: value, what it means (None: refused).
REAL = [
    ("jdoe@machine.example", ["jdoe@machine.example"]),
    ('"Joe Q. Public" <john.q.public@example.com>', ["john.q.public@example.com"]),
    ("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
     ["mary@x.test", "jdoe@example.org", "one@y.test"]),
    ('<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
     ["boss@nil.test", "sysservices@example.net"]),
    ("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
     ["c@a.test", "joe@where.test", "jdoe@one.test"]),
    ("Undisclosed recipients:;", []),
    ("undisclosed-recipients:;", []),
    ("undisclosed-recipients: ;", []),
    ("recipient list not shown:;", []),
    ("MAILER-DAEMON@mx.example.org (Mail Delivery System)", ["MAILER-DAEMON@mx.example.org"]),
    ("postmaster@[192.0.2.25]", ["postmaster@[192.0.2.25]"]),
    ("=?UTF-8?B?SsO8cmdlbg==?= <j@example.org>", ["j@example.org"]),
    ('"=?UTF-8?Q?M=C3=BCller=2C?= Jan" <j@example.org>', ["j@example.org"]),
    ("=?utf-8?Q?M=C3=BCller,_Jan?= <j@example.org>", ["j@example.org"]),
    ("'Jan Müller' <j@example.org>", ["j@example.org"]),
    ("user@example.org <user@example.org>", ["user@example.org"]),
    ('"user@example.org" <user@example.org>', ["user@example.org"]),
    ("'user@example.org'", None),
    ("Support @ Example <support@example.org>", ["support@example.org"]),
    ("Dr. A. B. Smith, Jr. <smith@example.org>", None),
    ("bounces+12345=user=example.net@lists.example.org",
     ["bounces+12345=user=example.net@lists.example.org"]),
    ("SRS0=abc=XY=example.org=user@forwarder.example",
     ["SRS0=abc=XY=example.org=user@forwarder.example"]),
    ("/O=ORG/OU=FIRST/CN=USER@x400.example", ["/O=ORG/OU=FIRST/CN=USER@x400.example"]),
    ("a@example.org;b@example.org", ["a@example.org", "b@example.org"]),
    ("a@example.org b@example.org", ["a@example.org", "b@example.org"]),
    ("Foo <a@example.org> Bar <b@example.org>", ["a@example.org", "b@example.org"]),
    ("a@example.org, , b@example.org,", ["a@example.org", "b@example.org"]),
    ("debian-devel@lists.debian.example (Debian Devel), me@example.org (Me, (and you))",
     ["debian-devel@lists.debian.example", "me@example.org"]),
    ("root", ["root"]),
    ("root (Cron Daemon)", ["root"]),
    ('"Cron Daemon" <root>', ["root"]),
    ("ta..ro.@docomo.example", ['"ta..ro."@docomo.example']),
    ("John Smith", None),
    ("John Smith <>", [""]),
    ("John <john@example.org", None),
    ("<john@example.org>>", None),
    ("john@@example.org", None),
    ("john@", None),
    ("@example.org", None),
    ("john@exam_ple.example", ["john@exam_ple.example"]),
    ("john at example.org", None),
    ("[mailto:john@example.org]", None),
    ("john@example.org.", ["john@example.org"]),
    ("", []),
]

# Where the email package sees these otherwise.
REAL_PYTHON = {
    "Support @ Example <support@example.org>": "it wants the display name quoted",
    "a@example.org;b@example.org": "a semicolon separates nothing outside of a group",
    "a@example.org b@example.org": "it takes both for a broken one",
    "Foo <a@example.org> Bar <b@example.org>": "it stops behind the first",
    "john@example.org.": "it keeps the dot",
}


def compare_real():
    tally = Tally()
    messages = [("To: %s\n\n" % value).encode() for value, _ in REAL]
    for (value, want), shown in zip(REAL, scan(messages)):
        found = shown["fields"][0]["addresses"]
        refused = bool(found) and not isinstance(found[-1], list)
        got = None if refused else [a[1] for a in found]
        if got != want:
            tally.fault("addresses", value, want, got)
            continue
        python = python_addresses(value)
        if want is not None and python == [split_address(a) for a in want]:
            tally.same += 1
            continue
        reason = "what is refused here has no meaning to compare" if want is None \
            else REAL_PYTHON.get(value)
        if reason is None:
            tally.fault("Python differs and no rule says why", value, want, python)
        else:
            tally.explain(reason)
    return tally


def compare_dates(count, seed):
    """Dates that both read must be the same instant."""
    tally = Tally()
    rng = random.Random(seed)
    zones = ["+0000", "-0000", "+0100", "-0330", "+1400", "GMT", "UT", "EST", "EDT", "CST", "CDT",
             "MST", "MDT", "PST", "PDT"]
    values = []
    for _ in range(count):
        wall = rng.randrange(-500000000, 2500000000)
        value = email.utils.formatdate(wall)[:-6]
        if rng.random() < 0.2:
            value = value[5:]
        if rng.random() < 0.2:
            value = value[:-3].rstrip(":")
        values.append(value + " " + rng.choice(zones) + rng.choice(["", " (zone)", " "]))
    for value, shown in zip(values, scan([("Date: %s\n\n" % v).encode() for v in values])):
        want = email.utils.mktime_tz(email.utils.parsedate_tz(value))
        got = shown["fields"][0]["date"]
        if got == want:
            tally.same += 1
        else:
            tally.fault("date", value, want, got)
    return tally


def report(name, tally):
    for fault in tally.faults[:3]:
        print("not ok %s: %s" % (name, fault))
    if not tally.faults:
        print("ok %s: as Python has it %d times" % (name, tally.same))
    for reason, n in sorted(tally.explained.items()):
        print("# Python differs %d times: %s" % (n, reason))
    return not tally.faults


def main():
    if sys.version_info < (3, 6):
        print("python3 is older than 3.6, so nothing is compared")
        return 77
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 5322
    good = [report("generated headers", compare_generated(count, seed)),
            report("headers as mailers write them", compare_real()),
            report("dates", compare_dates(count, seed))]
    return 0 if all(good) else 1


sys.exit(main())
