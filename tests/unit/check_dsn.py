#!/usr/bin/env python3
"""Reads the reports that test_dsn_mime has written, with Python's email package.

usage: check_dsn.py DIRECTORY

N.eml is a report, N.json says what is to be found in it, N.orig is the original.  Prints what is
wrong with which report; exit status 1 when anything is.
"""

import email
import email.policy
import json
import pathlib
import re
import sys

ESCAPE = re.compile(r"\\x\{([0-9A-F]+)\}")
RESPONSE = re.compile(r"\d\.\d{1,3}\.\d{1,3}")

# What each of dsn.h's enum dsn_original may be declared as.
TYPES = {1: {"text/rfc822-headers", "message/global-headers"},
         2: {"message/rfc822", "message/global"}}


class Wrong(Exception):
    """A report is not what it ought to be."""


def expect(condition, *what):
    if not condition:
        raise Wrong(" ".join(str(w) for w in what))


def split_raw(data, boundary):
    """The octets of each part, headers and content, by the boundary alone."""
    pieces = data.split(b"\n--" + boundary.encode())
    expect(pieces[-1] == b"--\n", "the closing boundary is not at the end")
    expect(all(p.startswith(b"\n") for p in pieces[1:-1]), "a boundary is followed by something")
    return [p[1:].partition(b"\n\n") for p in pieces[1:-1]]


def widest(data):
    """The least encoding that may be declared for octets (RFC 2045 section 6.2)."""
    if b"\0" in data or any(len(line) > 998 for line in data.split(b"\n")):
        return "binary"
    return "7bit" if data.isascii() else "8bit"


def check_octets(data):
    expect(b"\r" not in data, "a CR")
    head = data.partition(b"\n\n")[0]
    for line in head.split(b"\n"):
        expect(len(line) <= 998, "a header line of", len(line))
        expect(line.strip() != b"", "an empty line in the header")
    expect(data.startswith(b"Return-Path: <>\n"), "no empty Return-Path")


def check_header(report, wanted):
    names = [name.lower() for name in report.keys()]
    expect(len(names) == len(set(names)), "a field twice:", names)
    allowed = {"return-path", "date", "from", "to", "subject", "message-id", "in-reply-to",
               "references", "auto-submitted", "mime-version", "content-type",
               "content-transfer-encoding"}
    expect(set(names) <= allowed, "a field too many:", names)
    expect(report["Auto-Submitted"] == "auto-replied", "Auto-Submitted")
    expect(report["From"].addresses[0].username == "mailer-daemon", "From:", report["From"])
    expect(report.get_content_type() == "multipart/report", report.get_content_type())
    expect(report.get_param("report-type") == "delivery-status", "report-type")
    if wanted["exact"]:
        expect(report["Subject"] == wanted["subject"], "Subject:", report["Subject"])


def check_encodings(report, parts):
    """Each part is what it says, and the whole is what the widest of them is."""
    order = ["7bit", "8bit", "binary"]
    declared = []
    for fields, _, content in parts:
        found = re.search(rb"(?m)^Content-Transfer-Encoding: (\S+)$", fields)
        declared.append(found.group(1).decode() if found else "7bit")
        expect(order.index(widest(content)) <= order.index(declared[-1]),
               "declared", declared[-1], "but it is", widest(content))
    expect(report["Content-Transfer-Encoding"] == max(declared, key=order.index),
           "the whole is declared", report["Content-Transfer-Encoding"])


def check_text(part, wanted):
    expect(part.get_content_type() == "text/plain", part.get_content_type())
    text = part.get_content()
    expect("\ufffd" not in text or not wanted["exact"], "the text is not what it says")
    if wanted["exact"]:
        expect(text == wanted["text"], "text:", repr(text))


def check_status(part, wanted):
    expect(part.get_content_type() == "message/delivery-status", part.get_content_type())
    once, *each = part.get_payload()
    expect(once["Reporting-MTA"].startswith("dns; "), "Reporting-MTA")
    expect(len(each) == 2, len(each), "recipients")
    for fields in each:
        names = [name.lower() for name in fields.keys()]
        expect(len(names) == len(set(names)), "a field twice:", names)
        expect(fields["Action"] == wanted["action"], "Action:", fields["Action"])
        expect(RESPONSE.fullmatch(fields["Status"]), "Status:", fields["Status"])
        if wanted["exact"]:
            check_recipient(fields, wanted)


def unfold(value):
    return str(value).replace("\n", "")


def check_recipient(fields, wanted):
    kind, _, address = unfold(fields["Final-Recipient"]).partition("; ")
    expect(kind == ("rfc822" if wanted["recipient"].isascii() else "utf-8"), "type:", kind)
    if kind == "utf-8":
        address = ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), address)
    expect(address == wanted["recipient"], "Final-Recipient:", repr(address))
    expect(unfold(fields["Diagnostic-Code"]) == "smtp; " + wanted["diagnostic"],
           "Diagnostic-Code:", repr(fields["Diagnostic-Code"]))


def check_original(part, raw, wanted, original):
    expect(part.get_content_type() in TYPES[wanted["original"]], part.get_content_type())
    original = original.replace(b"\r", b"")
    if wanted["original"] == 1:
        original = b"" if original.startswith(b"\n") else original.partition(b"\n\n")[0]
        original = original.rstrip(b"\n") + b"\n" if original else original
    elif original and not original.endswith(b"\n"):
        original += b"\n"
    content = raw[2]
    expect(content == original, "the original is not the original:", content, original)


def check(path):
    data = path.read_bytes()
    wanted = json.loads(path.with_suffix(".json").read_text())
    check_octets(data)
    report = email.message_from_bytes(data, policy=email.policy.default)
    expect(not report.defects, "defects:", report.defects)
    check_header(report, wanted)
    parts = report.get_payload()
    raw = split_raw(data, report.get_boundary())
    count = 2 if wanted["original"] == 0 else 3
    expect(len(parts) == count and len(raw) == count, len(parts), len(raw), "parts")
    check_encodings(report, raw)
    check_text(parts[0], wanted)
    check_status(parts[1], wanted)
    if count == 3:
        check_original(parts[2], raw[2], wanted, path.with_suffix(".orig").read_bytes())


def main():
    failed = 0
    paths = sorted(pathlib.Path(sys.argv[1]).glob("*.eml"), key=lambda p: int(p.stem))
    for path in paths:
        try:
            check(path)
        except Wrong as wrong:
            print(f"{path.name}: {wrong}")
            failed += 1
    print(f"{len(paths)} reports, {failed} wrong")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
