"""What `watch` and `metrics` tell of a daemon at work, and postriderctl's way of saying it."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess

import faults
import pytest
from support import messages
from support.daemon import SANITIZER, Control, Refused, find_program
from support.dovecot import free_ports
from support.spool import drop_letters, letter, smtp_account
from support.waiting import wait_for

MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
LONG = {"first": "1h", "max": "1h"}


class Watcher(Control):
    """A connection that is told of events."""

    def __init__(self, daemon, *words):
        super().__init__(daemon.socket)
        assert self.ask(" ".join(("watch", *words))) == {"ok": True}

    def event(self):
        event = self.receive()
        assert event is not None, "the daemon has closed"
        assert list(event)[:3] == ["time", "event", "account"], event
        assert MOMENT.match(event["time"]), event
        return event

    def until(self, name, account="box"):
        """The events up to the first with this name, the last of them that one."""
        events = [self.event()]
        while events[-1]["event"] != name:
            events.append(self.event())
        assert events[-1]["account"] == account, events[-1]
        return events

    def rest(self):
        """The events up to the end."""
        return list(map(json.loads, self.file))


def names(events):
    return [event["event"] for event in events]


@pytest.fixture
def watch(daemon):
    """Starts watchers, closed in the end."""
    watchers = []

    def start(*words):
        watchers.append(Watcher(daemon, *words))
        return watchers[-1]

    yield start
    for one in watchers:
        one.close()


@pytest.fixture
def running(daemon, peer, box):
    box.add(messages.simple(1))
    return daemon.configure(daemon.account(peer)).start()


@pytest.fixture
def sending(daemon, relay):
    return daemon.configure(smtp_account(daemon, relay), retry=LONG).start()


# What is told


def test_a_poll(running, peer, watch):
    watcher = watch()
    running.fetch()
    start, fetched, end = watcher.until("session-end")
    assert names([start, fetched]) == ["session-start", "message-fetched"]
    assert start["protocol"] == end["protocol"] == "pop3"
    assert start["server"] == end["server"] == f"127.0.0.1:{peer.port}"
    assert start["session"] == fetched["session"] == end["session"]
    head = f"session {start['session']} "
    wait_for(lambda: any(head in text for text in running.session_logs()), "its log is written")
    (file,) = os.listdir(running.path("Mail", "box", "new"))
    assert fetched["file"] == file
    assert fetched["octets"] == running.status()["fetched_octets"]
    assert fetched["uid"]
    assert (end["outcome"], end["kind"], end["text"]) == ("ok", None, None)
    assert (end["fetched"], end["deleted"]) == (1, 0)
    assert end["octets_in"] > fetched["octets"] and end["octets_out"] > 0
    assert 0 <= end["seconds"] < 30


def test_every_message_of_many(running, box, watch):
    for number in range(2, 1501):
        box.add(messages.simple(number))
    watcher = watch("box")
    running.fetch()
    events = watcher.until("session-end")
    assert names(events) == ["session-start"] + ["message-fetched"] * 1500 + ["session-end"]
    assert len({event["file"] for event in events[1:-1]}) == 1500


def test_a_poll_that_fails(running, peer, watch):
    peer.on("STAT", faults.answer("-ERR no such luck\x1b[2J"))
    watcher = watch()
    status = running.fail("server", "no such luck")
    start, end, failed = watcher.until("poll-failed")
    assert names([start, end]) == ["session-start", "session-end"]
    assert (end["outcome"], end["kind"]) == ("failed", "server")
    assert failed["kind"] == status["last_error"]["kind"]
    assert failed["text"] == end["text"] == status["last_error"]["text"]
    assert "\x1b" not in failed["text"]
    assert failed["session"] == start["session"]
    assert (failed["state"], failed["failures"]) == ("backoff", 1)
    assert failed["next_attempt"] == status["next_attempt"]


def test_a_secret_that_cannot_be_had(daemon, peer, box, watch):
    """No connection was made, but a session was meant: it ends, too."""
    daemon.configure(daemon.account(peer, password=None, password_command=["false"])).start()
    watcher = watch()
    daemon.fail("local")
    assert names(watcher.until("poll-failed")) == ["session-start", "session-end", "poll-failed"]
    assert peer.sessions == []


def test_a_message_is_sent(sending, relay, spool, watch):
    watcher = watch()
    octets = letter(1, "you@example.com, too@example.net")
    spool.drop("a letter", octets)
    queued, start, one, two, end = watcher.until("session-end")
    assert names([queued, start, one, two]) == [
        "message-queued",
        "session-start",
        "message-sent",
        "message-sent",
    ]
    assert queued["name"] == "a letter"
    assert queued["sender"] == "me@example.org"
    assert (queued["recipients"], queued["octets"]) == (2, len(octets))
    for sent, who in ((one, "you@example.com"), (two, "too@example.net")):
        assert sent["message"] == queued["message"]
        assert sent["session"] == start["session"]
        assert (sent["sender"], sent["recipient"]) == ("me@example.org", who)
        assert sent["reply"].startswith("250")
        assert (sent["octets"], sent["attempts"]) == (len(octets), 1)
    assert start["protocol"] == end["protocol"] == "smtp"
    assert start["server"] == f"127.0.0.1:{relay.port}"
    assert (end["outcome"], end["sent"]) == ("ok", 2)
    assert "fetched" not in end


def test_a_message_is_queued_again(sending, relay, spool, watch):
    """By retry, for those who failed: told as when it came first."""
    relay.on("RCPT", faults.matching("never@", faults.answer("550 5.1.1 nobody")), times=1)
    watcher = watch("box")
    spool.drop("mixed", letter(1, "never@example.com, a@example.com"))
    first = watcher.until("message-failed")[0]
    assert (first["event"], first["recipients"]) == ("message-queued", 2)
    spool.wait_failed()
    sending.ctl("retry", "mixed")
    again = watcher.until("message-queued")[-1]
    assert {**again, "time": None, "recipients": 2} == {**first, "time": None}
    assert again["recipients"] == 1
    assert watcher.until("message-sent")[-1]["recipient"] == "never@example.com"


def test_a_report_by_mail_is_queued(daemon, relay, spool, watch):
    relay.on("RCPT", faults.matching("never@", faults.answer("550 5.1.1 nobody")))
    account = smtp_account(daemon, relay, account_maildir=None, bounce_to="boss@example.com")
    daemon.configure(account).start()
    watcher = watch("box")
    spool.drop("lost", letter(1, "never@example.com"))
    assert watcher.until("message-queued")[-1]["name"] == "lost"
    report = watcher.until("message-queued")[-1]
    assert (report["name"], report["sender"], report["recipients"]) == ("report", "", 1)
    assert report["octets"] > 0
    assert watcher.until("message-sent")[-1]["message"] == report["message"]


def test_each_recipient_has_its_own_fate(sending, relay, spool, watch):
    relay.on("RCPT", faults.matching("later@", faults.answer("450 4.2.0 later")))
    relay.on("RCPT", faults.matching("never@", faults.answer("550 5.1.1 nobody")))
    watcher = watch("box")
    spool.drop("mixed", letter(1, "a@example.com, later@example.com, never@example.com"))
    events = {event["event"]: event for event in watcher.until("session-end")}
    sent, deferred, failed = (events["message-" + n] for n in ("sent", "deferred", "failed"))
    assert sent["recipient"] == "a@example.com"
    assert deferred["recipient"] == "later@example.com"
    assert deferred["reply"] == "450 4.2.0 later"
    assert (deferred["state"], deferred["held"]) == ("pending", False)
    (message,) = spool.queue()
    assert deferred["message"] == message["id"]
    assert deferred["next_attempt"] == message["next_attempt"]
    assert failed["recipient"] == "never@example.com"
    assert failed["reply"] == "550 5.1.1 nobody"


def test_an_unknown_fate(sending, relay, spool, watch):
    relay.on("DOT", faults.dot_unanswered())
    watcher = watch()
    drop_letters(spool, 1)
    events = {event["event"]: event for event in watcher.until("session-end")}
    assert events["message-deferred"]["state"] == "unknown"
    assert events["message-deferred"]["recipient"] == "you@example.com"
    assert events["session-end"]["outcome"] == "failed"


def test_a_server_that_is_not_there(daemon, relay, spool, watch):
    """The account's trouble defers its messages: each is told once an attempt."""
    (port,) = free_ports(1)
    dropped = drop_letters(spool, 3)
    daemon.configure(smtp_account(daemon, relay, port=port), retry=LONG).start()
    spool.wait_queue(lambda queue: len(queue) == 3, "all are queued")
    spool.wait_status(lambda s: s["state"] == "backoff", "the account waits")
    watcher = watch()
    daemon.ctl("flush")
    events = watcher.until("session-end")
    end = events[-1]
    assert "session-start" in names(events)
    assert (end["outcome"], end["kind"]) == ("failed", "network")
    deferred = [watcher.event() for _ in range(3)]
    assert names(deferred) == ["message-deferred"] * 3
    assert {event["name"] for event in deferred} == set(dropped)
    for event in deferred:
        assert event["session"] is event["recipient"] is event["reply"] is None
        assert event["text"] == end["text"]
        assert (event["recipients"], event["attempts"]) == (1, 0)
        assert MOMENT.match(event["next_attempt"])


def test_what_is_no_message(sending, spool, watch):
    everything, one = watch(), watch("box")
    spool.drop("nobody", letter(1, to=None))
    failed = everything.until("message-failed", None)[-1]
    assert failed["name"] == "nobody"
    assert failed["text"] in spool.reason("nobody")
    assert failed["recipient"] is failed["sender"] is failed["session"] is None
    assert one.event()["message"] == failed["message"]


@pytest.mark.parametrize("how", ["socket", "signal"])
def test_a_reload(running, peer, watch, how):
    watchers = watch(), watch("box")
    peer.add_mailbox("second")
    running.configure(running.account(peer), running.account(peer, "second"))
    if how == "socket":
        running.ctl("reload")
    else:
        running.process.send_signal(signal.SIGHUP)
    for watcher in watchers:
        event = watcher.event()
        assert (event["event"], event["account"]) == ("config-reloaded", None)
        assert event["accounts"] == 2


def test_a_reload_that_is_refused(running, peer, watch):
    watcher = watch()
    running.write("accounts = (")
    assert not running.ask("reload")["ok"]
    running.fetch()
    assert watcher.event()["event"] == "session-start"


def test_one_account_of_two(daemon, peer, box, watch):
    peer.add_mailbox("second").add(messages.simple(2))
    daemon.configure(daemon.account(peer), daemon.account(peer, "second")).start()
    watcher = watch("second")
    daemon.fetch("box")
    daemon.fetch("second")
    events = watcher.until("session-end", "second")
    assert {event["account"] for event in events} == {"second"}


def test_no_such_account(running):
    with pytest.raises(Refused, match="did you mean"):
        running.ctl("watch", "bix")


# How it ends


def test_the_end_of_the_daemon(daemon, peer, box, watch):
    """What is cut short by it is told still, and then the connection is closed in order."""
    peer.on("STAT", faults.stall())
    daemon.configure(daemon.account(peer, timeout=60), shutdown_timeout=5).start()
    watcher = watch()
    daemon.ctl("poll", "box")
    peer.wait_for(lambda: peer.sent_command("STAT"), "the session is at STAT")
    daemon.stop()
    start, end = watcher.rest()
    assert names([start, end]) == ["session-start", "session-end"]
    assert (end["outcome"], end["kind"]) == ("stopped", None)


def test_a_killed_daemon(running, watch):
    watcher = watch()
    running.kill()
    assert watcher.rest() == []


def watchers_of(daemon):
    return int(re.search(r"^postrider_control_watchers (\d+)$", text_of(daemon), re.M)[1])


def text_of(daemon):
    return daemon.ctl("metrics")["text"]


@pytest.mark.parametrize("how", ["close", "half-close first"])
def test_a_watcher_that_goes_is_noticed(running, watch, how):
    watcher = watch()
    assert watchers_of(running) == 1
    if how != "close":
        watcher.sock.shutdown(socket.SHUT_WR)
        running.fetch()
        assert watcher.event()["event"] == "session-start"
    watcher.close()
    if how != "close":
        running.fetch()  # the next event finds nobody
    wait_for(lambda: watchers_of(running) == 0, "nobody watches")


def test_a_watcher_that_does_not_read(running, box, watch):
    """It holds up neither the mail nor other watchers."""
    slow, quick = watch(), watch()
    for number in range(2, 3001):
        box.add(messages.simple(number))
    running.fetch()
    assert len(quick.until("session-end")) == 3002
    assert len(slow.until("session-end")) == 3002


# Metrics


def test_metrics(daemon, peer, relay, box, spool):
    box.add(messages.simple(1))
    account = daemon.account(peer, account_addresses=["me@example.org"])
    account |= {"smtp": smtp_account(daemon, relay)["smtp"]}
    daemon.configure(account, retry=LONG).start()
    daemon.fetch()
    drop_letters(spool, 2)
    spool.wait_status(lambda s: s["sent"] == 2 and s["state"] == "idle", "all is sent")
    wait_for(lambda: daemon.ctl("status")["queue"]["messages"] == 0, "all has left")
    peer.on("STAT", faults.answer("-ERR no"))
    daemon.fail("server")
    lines = text_of(daemon).splitlines()
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    octets = daemon.status()["fetched_octets"]
    for name, expected in {
        'postrider_fetched_messages_total{account="box"}': 1,
        'postrider_fetched_octets_total{account="box"}': octets,
        'postrider_polls_total{account="box"}': 2,
        'postrider_polls_failed_total{account="box"}': 1,
        'postrider_poll_failures{account="box"}': 1,
        'postrider_poll_trouble{account="box",kind="server"}': 1,
        'postrider_sent_messages_total{account="box"}': 2,
        'postrider_send_sessions_failed_total{account="box"}': 0,
        "postrider_queue_messages": 0,
        'postrider_sessions{protocol="pop3"}': 0,
    }.items():
        assert float(samples[name]) == expected, name
    assert float(samples['postrider_send_sessions_total{account="box"}']) >= 1


# postriderctl


@pytest.fixture
def ctl(daemon):
    """Starts postriderctl, ended in the end; nothing that it says is a sanitizer's."""
    program = find_program("postriderctl")
    assert program, "no postriderctl beside the daemon"
    started = []

    def start(*words, **settings):
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
        environment = daemon.environment | settings.pop("environment", {})
        command = [program, "-s", daemon.socket, *words]
        started.append(subprocess.Popen(command, env=environment, **settings))
        return started[-1]

    yield start
    for one in started:
        if one.poll() is None:
            one.kill()
        stderr = one.communicate()[1] or b""
        assert not SANITIZER.search(stderr.decode()), stderr


def wait_watched(daemon, count=1):
    wait_for(lambda: watchers_of(daemon) == count, "it watches")


def test_lines_for_people(running, ctl):
    one = ctl("watch", "box")
    wait_watched(running)
    running.fetch()
    lines = [one.stdout.readline().decode() for _ in range(3)]
    stamp = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d box: "
    assert re.match(stamp + r"pop3 session \S+ with 127\.0\.0\.1:\d+ begins$", lines[0]), lines
    assert re.match(stamp + r"fetched \S+, .* octets, uid \S+$", lines[1]), lines
    assert re.match(stamp + r"pop3 session .* ended: 1 fetched, 0 deleted, in ", lines[2]), lines
    assert "\x1b" not in "".join(lines)


def test_lines_for_programs(running, ctl, watch):
    """The very lines of the daemon."""
    one, watcher = ctl("--json", "watch"), watch()
    wait_watched(running, 2)
    running.fetch()
    assert one.stdout.readline() == b'{"ok":true}\n'
    for _ in range(3):
        assert one.stdout.readline() == watcher.file.readline()


def test_it_says_that_the_daemon_ends(running, ctl):
    one = ctl("watch")
    wait_watched(running)
    running.stop()
    output, said = one.communicate(timeout=30)
    assert (one.returncode, output) == (69, b"")
    assert b"the daemon has ended" in said


def test_no_daemon(running, ctl):
    running.stop()
    assert ctl("watch").wait(30) == 69


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_the_daemons_no(running, ctl, option):
    one = ctl(*option, "watch", "bix")
    output, said = one.communicate(timeout=30)
    assert one.returncode == 1
    assert b"did you mean" in (output if option else said)


def test_interrupted(running, ctl):
    one = ctl("watch")
    wait_watched(running)
    one.send_signal(signal.SIGINT)
    output, said = one.communicate(timeout=30)
    assert (one.returncode, output, said) == (-signal.SIGINT, b"", b"")
    wait_for(lambda: watchers_of(running) == 0, "nobody watches")


@pytest.mark.parametrize("ignored", [True, False])
@pytest.mark.parametrize("when", ["at once", "at the next event"])
def test_nobody_reads_it(running, ctl, ignored, when):
    """It ends quietly, even when nothing happens any more."""
    one = ctl("watch", restore_signals=not ignored)
    wait_watched(running)
    if when != "at once":
        running.fetch()
        assert one.stdout.readline()
    one.stdout.close()
    assert one.wait(30) == 0
    assert one.stderr.read() == b""
    one.stdout = None


@pytest.mark.parametrize("plain", [True, False])
def test_colour_on_a_terminal(running, peer, ctl, plain):
    peer.on("STAT", faults.answer("-ERR no"))
    mine, its = pty.openpty()
    settings = {"TERM": "xterm", "LC_ALL": "C.UTF-8"} | ({"NO_COLOR": "1"} if plain else {})
    one = ctl("watch", stdout=its, environment=settings)
    os.close(its)
    wait_watched(running)
    running.fail("server")
    seen = b""
    while b"poll failed" not in seen:
        assert select.select([mine], [], [], 30)[0], seen
        seen += os.read(mine, 4096)
    assert (b"\x1b[" in seen) != plain
    one.terminate()
    one.wait(30)
    os.close(mine)


def test_metrics_as_they_are(running, ctl):
    running.fetch()
    one = ctl("metrics")
    output, said = one.communicate(timeout=30)
    assert (one.returncode, said) == (0, b"")
    expected = text_of(running)
    steady = re.compile(r"^(?!postrider_loop_lag).*$", re.M)
    assert steady.findall(output.decode()) == steady.findall(expected)
    one = ctl("--json", "metrics")
    assert json.loads(one.communicate(timeout=30)[0])["ok"]
