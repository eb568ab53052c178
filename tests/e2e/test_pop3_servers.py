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
