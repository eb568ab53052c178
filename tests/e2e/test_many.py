"""Many accounts: one that stalls delays no other, and the limits hold."""

import threading

import faults
import pytest
from support import messages
from support.maildir import expected
from support.waiting import wait_for


@pytest.fixture
def gate():
    """An event for faults.hold(), opened at the end of the test whatever happens."""
    event = threading.Event()
    yield event
    event.set()


def fill(peer, names, count=3):
    for name in names:
        box = peer.add_mailbox(name)
        for number in range(count):
            box.add(messages.simple(number) + name.encode() + b"\r\n")


def done(daemon, names):
    """Whether each of these accounts has had a poll that went well."""
    sides = {a["name"]: a["pop3"] for a in daemon.ctl("status")["accounts"]}
    return all(
        sides[name]["last_success"] and sides[name]["state"] == "idle" for name in names
    )


def spans(peers):
    """(begin, end) of every session; the end is its QUIT, after which a slot is free again."""
    found = []
    for peer in peers:
        for session in peer.sessions:
            quits = [when for when, line in session.commands if line.upper() == "QUIT"]
            found.append((session.opened, quits[0] if quits else session.closed))
    return found


def most_at_once(peers):
    moments = sorted([(b, 1) for b, _ in spans(peers)] + [(e, -1) for _, e in spans(peers)])
    most = now = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


@pytest.mark.parametrize("step", ["GREETING", "PASS", "RETR"])
def test_one_of_twenty_stalls(daemon, peer, gate, step):
    names = [f"box{number}" for number in range(20)]
    fill(peer, names)
    if step == "GREETING":
        peer.on(step, faults.hold(gate), times=1)
    else:
        peer.on(step, faults.hold(gate), when=lambda s: s.user == "box7", times=1)
    accounts = [daemon.account(peer, name, auth=["USER"], timeout=60) for name in names]
    daemon.configure(*accounts).start()
    daemon.ctl("poll")

    def others():
        return [name for name in names if done(daemon, [name])]

    wait_for(lambda: len(others()) == 19, lambda: f"only {others()} are done")
    (stalled,) = daemon.ctl("sessions")["sessions"]
    assert not done(daemon, [stalled["account"]])
    gate.set()
    wait_for(lambda: done(daemon, names), "the stalled one is done too")
    for name in names:
        assert daemon.maildir(name).digests() == expected(peer.mailboxes[name].messages)


def test_dead_and_hostile_servers_delay_no_one(daemon, make_peer, gate):
    """Accounts that failed last time share at most half the slots."""
    good, bad = make_peer(), make_peer(address="127.0.0.2")
    names, bad_names = [f"good{n}" for n in range(6)], [f"bad{n}" for n in range(6)]
    fill(good, names)
    fill(bad, bad_names)
    bad.on("GREETING", faults.hang_up())
    accounts = [daemon.account(good, name) for name in names]
    accounts += [daemon.account(bad, name, host="127.0.0.2", timeout=60) for name in bad_names]
    daemon.configure(*accounts, limits={"sessions": 4, "sessions_per_host": 4}).start()
    daemon.ctl("poll")
    wait_for(lambda: done(daemon, names), "the good ones are done")
    wait_for(
        lambda: all(daemon.status(name)["failures"] for name in bad_names), "the bad ones failed"
    )

    bad.behave()
    bad.on("GREETING", faults.hold(gate))
    before = len(good.sessions)
    for name in [*bad_names, *names]:
        daemon.ctl("poll", name)
    wait_for(lambda: len(good.sessions) == before + 6, "the good ones are polled meanwhile")
    wait_for(lambda: done(daemon, names), "the good ones are done again")
    assert bad.open_sessions <= 2


def test_sessions_per_host(daemon, peer, gate):
    names = [f"box{number}" for number in range(8)]
    fill(peer, names)
    peer.on("STAT", faults.hold(gate))
    accounts = [daemon.account(peer, name, timeout=60) for name in names]
    daemon.configure(*accounts, limits={"sessions": 64, "sessions_per_host": 2}).start()
    daemon.ctl("poll")
    peer.wait_for(lambda: len(peer.sent_command("STAT")) == 2, "two sessions are at STAT")
    assert len(daemon.ctl("sessions")["sessions"]) == 2
    gate.set()
    wait_for(lambda: done(daemon, names), "all are done")
    assert most_at_once([peer]) == 2


def test_sessions_in_all(daemon, make_peer, gate):
    hosts = [f"127.0.0.{number}" for number in range(2, 8)]
    peers = [make_peer(address=host) for host in hosts]
    names = [f"box{number}" for number in range(len(peers))]
    accounts = []
    for name, host, peer in zip(names, hosts, peers, strict=True):
        fill(peer, [name])
        peer.on("STAT", faults.hold(gate))
        accounts.append(daemon.account(peer, name, host=host, timeout=60))
    daemon.configure(*accounts, limits={"sessions": 3}).start()
    daemon.ctl("poll")
    wait_for(
        lambda: sum(len(peer.sent_command("STAT")) for peer in peers) == 3, "three are at STAT"
    )
    assert len(daemon.ctl("sessions")["sessions"]) == 3
    gate.set()
    wait_for(lambda: done(daemon, names), "all are done")
    assert most_at_once(peers) == 3


def test_never_two_sessions_on_one_mailbox(daemon, peer, gate):
    """Not however often it is polled."""
    box = peer.add_mailbox("box", exclusive=False)
    for number in range(20):
        box.add(messages.simple(number))
    sent = list(box.messages)
    peer.on("RETR", faults.hold(gate), times=1)
    daemon.configure(daemon.account(peer, keep="no", timeout=60)).start()
    daemon.ctl("poll", "box")
    peer.wait_for(lambda: peer.sent_command("RETR"), "the first poll is at RETR")
    for _ in range(100):
        daemon.ctl("poll", "box")
        daemon.ctl("poll")
    assert len(daemon.ctl("sessions")["sessions"]) == 1
    gate.set()
    daemon.wait_status(
        lambda s: s["state"] == "idle" and s["on_server"] == 0, "the polls are over"
    )
    for _ in range(50):
        daemon.ctl("poll", "box")
    wait_for(lambda: not daemon.ctl("sessions")["sessions"], "no session is left")
    assert box.most_sessions == 1
    assert daemon.maildir().digests() == expected(sent)


def test_polls_by_interval(daemon, peer, box):
    box.add(messages.simple(1))
    daemon.configure(daemon.account(peer, interval="1h")).start()
    status = daemon.wait_status(lambda s: s["last_success"], "polled by itself after the start")
    assert status["fetched"] == 1
    assert status["next_attempt"] > status["last_success"]


def test_on_demand_means_on_demand(daemon, peer, box):
    """interval = 0: nothing by itself; the account beside it is polled."""
    other = peer.add_mailbox("other")
    other.add(messages.simple(1))
    accounts = [daemon.account(peer), daemon.account(peer, "other", interval="1h")]
    daemon.configure(*accounts).start()
    daemon.wait_status(lambda s: s["last_success"], "the other is polled", account="other")
    status = daemon.status()
    assert status["last_attempt"] is None
    assert status["next_attempt"] is None
