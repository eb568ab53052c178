"""What an account's queue does over time: notices, blocks, what a restart or a reload keeps, what
people ask for one message, and mail for this machine's own users."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone

import faults
import pytest
from support.daemon import Refused, find_program
from support.report import reports
from support.spool import (
    RETRY,
    accepted,
    drop_letters,
    letter,
    once_each,
    smtp_account,
    wire,
)
from support.waiting import wait_for

LONG = {"first": "1h", "max": "1h"}


def attempts(relay):
    return len(relay.sessions)


# Notices


def test_a_notice_while_the_account_is_in_trouble(daemon, relay, spool, account):
    """Every sender whose mail waits is told, once, also beyond those that are tried at a time."""
    relay.on("GREETING", faults.answer("554 5.3.2 go away"))
    count = 230
    dropped = drop_letters(spool, count)
    account(retry=LONG | {"warn_after": "2s"}).start()
    wait_for(
        lambda: len(daemon.maildir().files()) >= count,
        lambda: f"{count} notices, {len(daemon.maildir().files())} came",
    )
    daemon.stop()
    daemon.start()
    spool.wait_status(lambda s: s["state"] == "backoff", "it backs off again")
    daemon.stop()
    found = reports(daemon)
    assert len(found) == count
    assert {report.fates()["you@example.com"][0] for report in found} == {"delayed"}
    assert all("go away" in report.text.get_content() for report in found)
    assert len(spool.files("queue")) == count

    relay.behave()
    daemon.once()
    assert accepted(relay) == once_each(dropped)
    assert len(daemon.maildir().files()) == count


def test_a_notice_for_a_deferred_message(daemon, relay, spool, account):
    relay.on("RCPT", faults.answer("450 4.2.1 mailbox busy"))
    drop_letters(spool, 1)
    account(retry=RETRY | {"warn_after": "1s"}).start()
    wait_for(lambda: daemon.maildir().files(), "the notice comes")
    before = len(relay.sent_command("RCPT"))
    relay.wait_for(lambda: len(relay.sent_command("RCPT")) > before + 2, "it is tried on")
    assert len(daemon.maildir().files()) == 1
    (report,) = reports(daemon)
    assert report.fates()["you@example.com"][0] == "delayed"
    assert "mailbox busy" in report.text.get_content()


# Refused passwords


def test_sessions_at_a_time_are_refused_once(relay, spool, account):
    """The three tries of a password are apart, however many sessions there are."""
    together = threading.Barrier(3, timeout=30)

    def refuse(session, _):
        session.flush()
        together.wait()
        session.reply(535, "5.7.8", "no")
        return True

    relay.users["me"] = "another word"
    relay.on("AUTH", refuse, times=3)
    drop_letters(spool, 100)
    account(user="me", password="secret word", max_connections=3, retry=LONG).start()
    spool.wait_status(lambda s: s["last_error"], "a refusal")
    wait_for(lambda: relay.open_sessions == 0, "all three have ended")
    status = spool.wait_settled()
    assert (status["state"], status["failures"]) == ("backoff", 1)
    assert len(relay.sent_command("AUTH")) == 3


def test_blocked_after_three_refusals(daemon, relay, spool, account):
    """Also across restarts; a person's flush is one try, a changed password frees it."""
    relay.users["me"] = "another word"
    login = {"user": "me", "password": "secret word"}
    dropped = drop_letters(spool, 3)
    account(**login).start()
    status = spool.wait_status(lambda s: s["state"] == "blocked", "three refusals block it")
    assert status["failures"] == 3
    assert status["last_error"]["kind"] == "auth"
    assert attempts(relay) == 3
    assert re.search("is blocked for sending.*postriderctl flush", daemon.log())

    daemon.restart()
    status = spool.wait_status(lambda s: s["state"] == "blocked", "still blocked")
    assert status["last_error"]["kind"] == "auth"
    assert 23 < hours_until(status["next_attempt"]) < 24.1
    drop_letters(spool, 1, first=3)
    spool.wait_queue(lambda queue: len(queue) == 4, "all wait")
    daemon.ctl("reload")
    assert attempts(relay) == 3

    account(account_on_failure=["true"], **login)  # of no use for the login
    daemon.ctl("reload")
    daemon.restart()
    spool.wait_status(lambda s: s["state"] == "blocked", "blocked as ever")
    spool.wait_queue(lambda queue: len(queue) == 4, "all wait")
    assert attempts(relay) == 3

    daemon.ctl("flush")
    relay.wait_for(lambda: attempts(relay) == 4, "one try for a person")
    spool.wait_status(lambda s: s["state"] == "blocked", "blocked again")

    relay.users["me"] = "new word"
    account(user="me", password="new word")
    daemon.ctl("reload")
    relay.wait_accepted(4)
    spool.wait_empty()
    assert spool.status()["failures"] == 0
    assert spool.files("failed") == []
    assert set(accepted(relay).values()) == {1}
    assert {octets for octets, _ in accepted(relay)} >= {wire(octets) for octets in dropped.values()}


def hours_until(stamp):
    return (datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() - time.time()) / 3600


def test_a_restart_keeps_the_figures(daemon, relay, spool, account):
    drop_letters(spool, 3)
    account().start()
    relay.wait_accepted(3)
    before = spool.wait_status(lambda s: s["sent"] == 3 and s["state"] == "idle", "three are sent")
    daemon.restart()
    after = spool.wait_status(lambda s: s["sent"] == 3, "they are remembered")
    for key in ("sent", "sent_octets", "last_success", "last_attempt"):
        assert after[key] == before[key]


# One message


def test_flush_of_one(daemon, relay, spool, account):
    """Deferred ones wait on for their own time."""
    relay.on("RCPT", faults.answer("450 4.2.1 mailbox busy"))
    drop_letters(spool, 3)
    account(retry=LONG).start()
    queue = spool.wait_queue(
        lambda queue: [m["attempts"] for m in queue] == [1, 1, 1], "all are deferred"
    )
    relay.behave()
    answer = daemon.ctl("flush", queue[1]["id"])
    assert answer["account"] == "box"
    relay.wait_accepted(1)
    left = spool.wait_queue(lambda queue: len(queue) == 2, "two wait")
    assert [m["id"] for m in left] == [queue[0]["id"], queue[2]["id"]]
    assert [m["attempts"] for m in left] == [1, 1]
    with pytest.raises(Refused, match="no message"):
        daemon.ctl("flush", queue[1]["id"])


def test_flush_of_one_in_a_troubled_account(daemon, relay, spool, account):
    relay.on("GREETING", faults.answer("421 4.3.2 not now"))
    dropped = drop_letters(spool, 2)
    account(retry=LONG).start()
    spool.wait_status(lambda s: s["state"] == "backoff", "it backs off")
    queue = spool.wait_queue(lambda queue: len(queue) == 2, "both wait")
    relay.behave()
    daemon.ctl("flush", queue[0]["id"])
    relay.wait_accepted(2)  # the account works again, so what is due goes as well
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


def test_hold_release_remove(daemon, relay, spool, account):
    relay.on("GREETING", faults.answer("421 4.3.2 not now"))
    dropped = drop_letters(spool, 3)
    account(retry=LONG).start()
    spool.wait_status(lambda s: s["state"] == "backoff", "it backs off")
    queue = spool.wait_queue(lambda queue: len(queue) == 3, "all wait")
    ids = [message["id"] for message in queue]
    daemon.ctl("hold", ids[0])
    daemon.ctl("remove", ids[1])
    relay.behave()
    daemon.ctl("flush")
    relay.wait_accepted(1)
    (held,) = spool.wait_queue(lambda queue: len(queue) == 1, "one is held")
    assert (held["id"], held["held"]) == (ids[0], True)
    assert spool.status()["queued"] == 1
    with pytest.raises(Refused, match="is held"):
        daemon.ctl("flush", ids[0])
    daemon.restart()
    assert spool.wait_queue(lambda queue: queue, "held across a restart")[0]["held"]
    daemon.ctl("release", ids[0])
    relay.wait_accepted(2)
    spool.wait_empty()
    sent = {octets for octets, _ in accepted(relay)}
    gone = [name for name in dropped if wire(dropped[name]) not in sent]
    assert len(gone) == 1, "only what was removed is not sent"
    assert accepted(relay) == once_each({n: dropped[n] for n in dropped if n not in gone})
    assert spool.files("failed") == []


def test_not_before(daemon, relay, spool, account):
    later = (datetime.now(timezone.utc) + timedelta(hours=2)).isoformat()
    soon = (datetime.now(timezone.utc) + timedelta(seconds=2)).strftime("%a, %d %b %Y %T +0000")
    spool.drop("later", f"X-Postrider-Not-Before: {later}\n".encode() + letter(1))
    spool.drop("soon", f"X-Postrider-Not-Before: {soon}\n".encode() + letter(2))
    account().start()
    queue = spool.wait_queue(lambda queue: len(queue) == 2, "both wait")
    assert relay.transactions == []
    assert sorted(round(hours_until(m["next_attempt"])) for m in queue) == [0, 2]
    (transaction,) = relay.wait_accepted(1)
    assert transaction.octets == wire(letter(2))
    (left,) = spool.wait_queue(lambda queue: len(queue) == 1, "one waits on")
    daemon.ctl("flush")  # is for what waits after trouble
    spool.drop("third", letter(3))
    relay.wait_accepted(2)
    daemon.ctl("flush", left["id"])
    assert relay.wait_accepted(3)[-1].octets == wire(letter(1))
    spool.wait_empty()


def test_a_file_that_cannot_be_read(daemon, relay, spool, account):
    """It waits, which queue and log say, and nothing is held against it: no attempt was made."""
    relay.on("GREETING", faults.answer("421 4.3.2 not now"))
    dropped = drop_letters(spool, 1)
    account(retry=LONG).start()
    spool.wait_queue(lambda queue: queue and queue[0]["last_error"], "it waits with its account")
    relay.behave()
    (file,) = spool.files("queue")
    os.rename(spool.at("queue", file), daemon.path("aside"))
    os.mkdir(spool.at("queue", file))
    daemon.ctl("flush")
    (message,) = spool.wait_queue(
        lambda queue: "Is a directory" in (queue[0]["last_error"] or ""), "the queue says so"
    )
    assert message["attempts"] == 0
    assert message["recipients"][0]["state"] == "pending"
    assert round(hours_until(message["next_attempt"])) == 1
    assert re.search(
        f'message={message["id"]} fate=deferred result=local reason="cannot read', daemon.log()
    )
    assert relay.transactions == []
    assert spool.status()["failures"] == 0
    os.rmdir(spool.at("queue", file))
    os.rename(daemon.path("aside"), spool.at("queue", file))
    daemon.ctl("flush")
    relay.wait_accepted(1)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


# Settings that change


def test_an_account_that_is_taken_away(daemon, relay, spool, account):
    """Its mail waits, which the log says, and goes once the account is there again."""
    relay.on("GREETING", faults.answer("421 4.3.2 not now"))
    dropped = drop_letters(spool, 2)
    account(retry=LONG).start()
    spool.wait_queue(lambda queue: len(queue) == 2, "both wait")
    daemon.configure(smtp_account(daemon, relay, "other"), retry=LONG)
    daemon.ctl("reload")
    wait_for(lambda: re.search("account=box has 2 messages", daemon.log()), "the log says so")
    with pytest.raises(Refused, match="does not have"):
        daemon.ctl("flush", spool.queue()[0]["id"])
    daemon.restart()
    wait_for(
        lambda: len(re.findall("account=box has 2 messages", daemon.log())) >= 2,
        "and again at the start",
    )
    relay.behave()
    account(retry=LONG)
    daemon.ctl("reload")
    relay.wait_accepted(2)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


def test_reload_while_messages_go_out(daemon, relay, spool, account):
    relay.delay = 0.01
    dropped = drop_letters(spool, 60)
    account().start()
    for number in range(6):
        relay.wait_for(lambda: len(relay.accepted) >= number * 8, "some are sent")  # noqa: B023
        account(max_messages=5 + number)
        daemon.ctl("reload")
    relay.wait_accepted(60)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


def test_a_stop_in_the_middle_is_no_attempt(daemon, relay, spool, account):
    """What a stop cuts off before the final dot is sent by the next daemon at once."""
    relay.on("TEXT", faults.stall(), times=1)
    dropped = drop_letters(spool, 1, body="a line of a large message\n" * 100_000)
    account(retry=LONG, timeout=60).start()
    relay.wait_for(lambda: relay.sent_command("DATA"), "the text is on its way")
    daemon.stop()
    assert len(spool.files("queue")) == 1
    daemon.start()
    relay.wait_accepted(1)
    spool.wait_empty()
    assert accepted(relay) == once_each(dropped)


# Mail for this machine


def test_mail_from_cron_arrives(daemon, relay, spool, account):
    """root to root: bare addresses get the domain, and the aliases lead to a person."""
    aliases = daemon.path("aliases")
    with open(aliases, "w") as file:
        file.write("# who reads it\nroot: admin, \"second one\"@example.net\nadmin: me@example.com\n")
    account(
        account_default=True,
        top={"local": {"domain": "host.example.org", "aliases": aliases}},
    )
    sendmail = find_program("postrider-sendmail")
    text = b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> true\n\nout\n"
    subprocess.run(
        [sendmail, "-C", daemon.config, "-i", "-f", "root", "root"],
        input=text,
        env={"PATH": os.environ["PATH"], "HOME": daemon.directory},
        check=True,
    )
    daemon.once()
    (transaction,) = relay.accepted
    assert transaction.sender == "root@host.example.org"
    assert transaction.recipients == ["me@example.com", '"second one"@example.net']
    header = transaction.octets.split(b"\r\n\r\n")[0].decode()
    assert "root@host.example.org" in re.search("^From:.*$", header, re.MULTILINE)[0]
    assert "root@host.example.org" in re.search("^To:.*$", header, re.MULTILINE)[0]


def test_aliases_are_read_again(daemon, relay, spool, account):
    aliases = daemon.path("aliases")
    with open(aliases, "w") as file:
        file.write("root: first@example.com\n")
    account(
        account_default=True,
        top={"local": {"domain": "host.example.org", "aliases": aliases}},
    ).start()
    spool.drop("one", letter(1, to="root"))
    assert relay.wait_accepted(1)[0].recipients == ["first@example.com"]
    with open(aliases, "w") as file:
        file.write("root: second@example.com\n")
    daemon.ctl("reload")
    # The file is read in a thread; a message that comes before that has the old meaning.
    seen = set()
    for number in range(2, 50):
        spool.drop(f"n{number}", letter(number, to="root"))
        seen |= set(relay.wait_accepted(number)[-1].recipients)
        if "second@example.com" in seen:
            break
    assert "second@example.com" in seen


# Many


def test_more_than_the_kernel_reports(daemon, relay, spool, account):
    """inotify's queue overflows while the daemon cannot read it: the directory is read instead."""
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        count = int(file.read()) + 500
    if count > 40_000:
        pytest.skip(f"the kernel queues {count - 500} events: too many to overflow it here")
    account(port=1, retry=LONG).start()
    spool.make()
    drafts = daemon.path("drafts")
    os.makedirs(drafts, exist_ok=True)
    octets = letter(1)
    for number in range(count):
        with open(os.path.join(drafts, str(number)), "wb") as file:
            file.write(octets)
    daemon.process.send_signal(signal.SIGSTOP)
    for number in range(count):
        os.rename(os.path.join(drafts, str(number)), spool.at(str(number)))
    daemon.process.send_signal(signal.SIGCONT)
    spool.wait_status(lambda s: s["queued"] == count, f"{count} are queued", timeout=120)
    assert spool.files() == []
    assert daemon.ctl("status")["loop"]["lag_max_ms"] < 1000


def test_mutt_drops_a_file(daemon, relay, spool, account):
    """Without any program of ours in between: what mutt writes lands in the spool itself."""
    if shutil.which("mutt") is None:
        pytest.skip("mutt is missing; on Debian: apt install mutt")
    account().start()
    script = daemon.path("drop")
    with open(script, "w") as file:
        file.write(f'#!/bin/sh\ncat >"{spool.path}/.new" && mv "{spool.path}/.new" "{spool.path}/m"\n')
    os.chmod(script, 0o700)
    spool.wait_settled()
    rc = daemon.path("muttrc")
    with open(rc, "w") as file:
        file.write(f'set sendmail="{script}" copy=no from=me@example.org\n')
    subprocess.run(
        ["mutt", "-n", "-F", rc, "-s", "by mutt", "-c", "c@example.net", "--", "a@example.com"],
        input=b"one\n.\ntwo\n",
        env={"PATH": os.environ["PATH"], "HOME": daemon.directory, "TERM": "dumb"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    (transaction,) = relay.wait_accepted(1)
    assert sorted(transaction.recipients) == ["a@example.com", "c@example.net"]
    assert transaction.octets.endswith(b"\r\n\r\none\r\n.\r\ntwo\r\n")
