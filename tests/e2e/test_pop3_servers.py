"""POP3 servers as people have them: what they ask for is obeyed, what they cannot do is noticed and
gone on without, and all mail comes, once."""

import os
from datetime import datetime, timedelta

import faults
import pytest
from support import messages
from support.maildir import expected


@pytest.fixture
def fill(box):
    def add(count, first=0):
        return [box.add(messages.simple(number)) for number in range(first, first + count)]

    return add


def check(daemon, sent):
    daemon.maildir().check()
    assert daemon.maildir().digests() == expected(sent)


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# EXPIRE (RFC 2449 section 6.7)


def test_mail_that_expires_before_keep_is_told_once(daemon, peer, fill):
    fill(2)
    peer.offers = ["EXPIRE 7"]
    daemon.configure(daemon.account(peer, keep="14d")).start()
    for _ in range(3):
        daemon.fetch()
    daemon.restart()
    daemon.fetch()
    assert daemon.log().count("deletes mail after 7 days") == 1

    peer.offers = ["EXPIRE 0"]
    for _ in range(2):
        daemon.fetch()
    assert daemon.log().count("nothing is kept there") == 1


def test_what_expires_after_keep_is_not_told(daemon, peer, fill):
    fill(2)
    peer.offers = ["EXPIRE 14"]
    daemon.configure(daemon.account(peer, keep="14d")).start()
    daemon.fetch()
    assert "EXPIRE" not in daemon.log()


def test_expire_is_told_again_for_another_keep(daemon, peer, fill):
    fill(2)
    peer.offers = ["EXPIRE 7"]
    daemon.configure(daemon.account(peer, keep="14d")).start()
    daemon.fetch()
    daemon.configure(daemon.account(peer, keep="forever"))
    daemon.ctl("reload")
    daemon.fetch()
    assert daemon.log().count("deletes mail after 7 days") == 2


def test_nothing_expires_that_is_not_stored(daemon, peer, box, fill):
    """EXPIRE 0: QUIT deletes what was retrieved, so there is no QUIT when storing has failed."""
    sent = fill(5)
    peer.offers = ["EXPIRE 0"]
    peer.expires_retrieved = True
    daemon.configure(daemon.account(peer)).start()
    new, away = daemon.maildir().path + "/new", daemon.path("away")

    def break_the_maildir(_session, _argument):
        os.rename(new, away)
        open(new, "w").close()
        return False

    peer.on("RETR", break_the_maildir, times=1)
    daemon.fail("local", new)
    assert peer.sent_command("QUIT") == []
    assert box.messages == sent

    os.remove(new)
    os.rename(away, new)
    daemon.fetch()
    check(daemon, sent)
    assert box.messages == []


# LOGIN-DELAY (RFC 2449 section 6.5)


def test_login_delay_is_obeyed_after_a_restart(daemon, peer, fill):
    sent = fill(2)
    peer.offers = ["LOGIN-DELAY 900"]
    daemon.configure(daemon.account(peer, interval="1m")).start()
    daemon.wait_status(lambda s: s["fetched"] == 2 and s["state"] == "idle", "the first poll")
    daemon.restart()
    status = daemon.wait_status(lambda s: s["next_attempt"] is not None, "it is scheduled")
    pause = moment(status["next_attempt"]) - moment(status["last_attempt"])
    assert pause > timedelta(minutes=14), status
    assert len(peer.sessions) == 1
    check(daemon, sent)


def test_login_delay_is_obeyed_after_a_reload(daemon, peer, fill):
    fill(2)
    peer.offers = ["LOGIN-DELAY 900"]
    daemon.configure(daemon.account(peer, interval="1m")).start()
    daemon.wait_status(lambda s: s["fetched"] == 2 and s["state"] == "idle", "the first poll")
    daemon.configure(daemon.account(peer, interval="2m"))
    daemon.ctl("reload")
    status = daemon.status()
    pause = moment(status["next_attempt"]) - moment(status["last_attempt"])
    assert pause > timedelta(minutes=14), status


def test_a_person_need_not_wait_for_the_login_delay(daemon, peer, fill):
    """Whoever asks is told what the server says to that."""
    fill(2)
    peer.offers = ["LOGIN-DELAY 900"]
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    peer.on("PASS", faults.answer("-ERR [LOGIN-DELAY] too soon"))
    peer.mechanisms = []
    daemon.fail("server", "too soon", "longer interval")


# What a server cannot do although it says so, or cannot bear to be asked for


def clipped(session, argument):
    """Whatever came behind a command in the same breath is lost."""
    session.obey(session.commands[-1][1].partition(" ")[0].upper(), argument)
    session.forget_input()
    return True


def tries(peer, verb):
    """How often each session has sent this verb."""
    return [len(session.sent_command(verb)) for session in peer.sessions]


@pytest.mark.parametrize(
    "act",
    [
        faults.hang_up(),
        faults.stall(),
        faults.stall("+OK", "TOP"),
        faults.answer("500 what?"),
        faults.garbage(),
        faults.huge_line(),
        faults.endless_lines("X-NOTHING"),
    ],
    ids=["closed", "silent", "half", "no answer", "octets", "long line", "no end"],
)
def test_a_server_that_breaks_on_capa(daemon, peer, box, fill, act):
    sent = fill(3)
    peer.on("CAPA", act)
    daemon.configure(daemon.account(peer, keep="no", timeout=1)).start()
    daemon.fetch()
    check(daemon, sent)
    assert box.messages == []
    daemon.restart()
    daemon.fetch()
    assert tries(peer, "CAPA") == [1, 0, 0]
    assert daemon.log().count("breaks on CAPA") == 1
    assert "--- left out, for the server breaks on it: CAPA" in daemon.ended_session_logs(3)[-1]


def test_capa_is_asked_again_under_other_settings(daemon, peer, fill):
    fill(1)
    peer.on("CAPA", faults.hang_up(), times=1)
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    daemon.configure(daemon.account(peer, auth=["PLAIN"]))
    daemon.ctl("reload")
    daemon.fetch()
    assert tries(peer, "CAPA") == [1, 0, 1]


def test_a_server_that_breaks_on_capa_with_once(daemon, peer, fill):
    sent = fill(3)
    peer.on("CAPA", faults.hang_up())
    daemon.configure(daemon.account(peer))
    daemon.once()
    daemon.once()
    assert tries(peer, "CAPA") == [1, 0, 0]
    check(daemon, sent)


def test_a_network_that_breaks_is_no_server_without_capa(daemon, peer, fill):
    """CAPA has worked before: a connection lost there says nothing."""
    fill(1)
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    peer.on("CAPA", faults.hang_up(), times=1)
    daemon.fail("network")
    daemon.fetch()
    assert tries(peer, "CAPA") == [1, 1, 1]


def test_a_server_that_breaks_on_utf8(daemon, peer, fill):
    sent = fill(3)
    peer.offers = ["UTF8"]
    peer.on("UTF8", faults.hang_up())
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    daemon.fetch()
    assert tries(peer, "UTF8") == [1, 0, 0]
    assert tries(peer, "CAPA") == [1, 1, 1]
    check(daemon, sent)


@pytest.mark.parametrize("keep", ["no", "forever"])
def test_pipelining_that_loses_questions(daemon, peer, fill, keep):
    """The reading ahead of such a server is thrown away: it answers the first and waits."""
    sent = fill(5)
    peer.on("STAT", clipped)
    daemon.configure(daemon.account(peer, keep=keep, timeout=1)).start()
    daemon.fetch()
    check(daemon, sent)
    daemon.restart()
    daemon.fetch()
    assert len(peer.sessions) == 3
    assert tries(peer, "QUIT") == [0, 1, 1]
    assert daemon.log().count("breaks on PIPELINING") == 1


@pytest.mark.parametrize("keep", ["no", "forever"])
def test_pipelining_that_closes_the_connection(daemon, peer, fill, keep):
    sent = fill(5)
    peer.on("RETR", faults.obeyed_then_gone("RETR"), when=lambda session: session.has_input())
    daemon.configure(daemon.account(peer, keep=keep)).start()
    daemon.fetch()
    check(daemon, sent)
    sent += fill(5, first=10)
    daemon.fetch()
    check(daemon, sent)
    assert tries(peer, "QUIT") == [0, 1, 1]
    assert peer.sessions[1].retrieved == [m.uid for m in sent[1:5]]
    assert daemon.log().count("breaks on PIPELINING of RETR and DELE") == 1


def test_pipelining_that_is_a_setting_stays(daemon, peer, fill):
    fill(5)
    peer.on("STAT", clipped)
    daemon.configure(daemon.account(peer, pipelining=True, timeout=1)).start()
    daemon.fail("network")
    assert len(peer.sessions) == 1


def test_trouble_that_stays_without_pipelining_is_not_pipelining(daemon, peer, fill):
    sent = fill(3)
    peer.on("LIST", faults.hang_up())
    daemon.configure(daemon.account(peer)).start()
    daemon.fail("network")
    peer.behave()
    daemon.fetch()
    check(daemon, sent)
    assert "breaks on" not in daemon.log()


def test_a_login_delay_is_kept_to_before_it_is_tried_without(daemon, peer, fill):
    sent = fill(3)
    peer.offers = ["LOGIN-DELAY 60"]
    peer.on("STAT", clipped)
    daemon.configure(daemon.account(peer, timeout=1)).start()
    daemon.fail("network")
    assert len(peer.sessions) == 1
    daemon.fetch()
    check(daemon, sent)


@pytest.mark.parametrize(
    "act", [faults.answer("-ERR no"), faults.hang_up()], ids=["refused", "closed"]
)
def test_uidl_that_is_offered_and_does_not_work(daemon, peer, box, fill, act):
    peer.without = {"PIPELINING"}
    peer.on("UIDL", act)
    sent = fill(3)
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fetch()
    sent += fill(3, first=20)
    daemon.fetch()
    check(daemon, sent)
    assert box.messages == []
    assert tries(peer, "UIDL") == [1, 0, 0]


def test_uidl_that_fails_one_day_is_waited_for(daemon, peer, box, fill):
    """Without UIDL what was only marked as seen would be fetched and deleted."""
    sent = fill(3)
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.ctl("adopt", "box", "*")
    peer.on("UIDL", faults.answer("-ERR index is being rebuilt"))
    for _ in range(4):
        daemon.fail("server", "rebuilt")
    assert peer.retrieved == []
    assert box.messages == sent
