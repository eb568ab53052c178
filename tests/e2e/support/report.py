"""Bounces and notices (RFC 3464), read by somebody else's parser."""

import email
import email.policy

from .waiting import wait_for


class Report:
    def __init__(self, octets):
        self.octets = octets
        self.message = email.message_from_bytes(octets, policy=email.policy.default)
        assert self.message.get_content_type() == "multipart/report"
        assert self.message.get_param("report-type") == "delivery-status"
        assert self.message["Return-Path"].strip() == "<>"
        assert self.message["From"].addresses[0].username.lower() == "mailer-daemon"
        assert self.message["Auto-Submitted"] == "auto-replied"
        assert self.message["Message-ID"]
        assert self.message["Date"].datetime
        parts = list(self.message.iter_parts())
        assert len(parts) == 3
        self.text, self.status, self.original = parts
        assert not any(part.defects for part in self.message.walk())
        assert self.text.get_content_type() == "text/plain"
        assert self.status.get_content_type() == "message/delivery-status"
        self.groups = self.status.get_payload()
        assert self.groups[0]["Reporting-MTA"].startswith("dns;")

    def fates(self):
        """Recipient to (action, status, diagnostic)."""
        return {
            group["Final-Recipient"].partition(";")[2].strip(): (
                group["Action"],
                group["Status"],
                group["Diagnostic-Code"],
            )
            for group in self.groups[1:]
        }


def reports(daemon, account="box"):
    maildir = daemon.maildir(account)
    return [Report(octets) for octets in maildir.messages()]


def the_report(daemon):
    wait_for(lambda: daemon.maildir().files(), lambda: f"a report comes: {daemon.log()[-3000:]}")
    (report,) = reports(daemon)
    return report
