"""POP3 servers as people have them: what they ask for is obeyed, what they cannot do is noticed and
gone on without, and all mail comes, once."""

import os
from datetime import datetime, timedelta

import faults
import pytest
from support import messages
from support.maildir import expected
from support.waiting import wait_for


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
    assert daemon.status()["expires_after"] == 0


def test_what_expires_after_keep_is_not_told(daemon, peer, fill):
    fill(2)
    peer.offers = ["EXPIRE 14"]
    daemon.configure(daemon.account(peer, keep="14d")).start()
    daemon.fetch()
    assert "EXPIRE" not in daemon.log()
    assert daemon.status()["expires_after"] is None


def test_expire_is_told_again_for_another_keep(daemon, peer, fill):
    fill(2)
    peer.offers = ["EXPIRE 7"]
    daemon.configure(daemon.account(peer, keep="14d")).start()
    daemon.fetch()
    daemon.configure(daemon.account(peer, keep="forever"))
    daemon.ctl("reload")
    daemon.fetch()
    assert daemon.log().count("deletes mail after 7 days") == 2


def test_a_server_that_says_nothing_of_expire_any_more(daemon, peer, fill):
    fill(2)
    peer.offers = ["EXPIRE 7"]
    daemon.configure(daemon.account(peer, keep="14d")).start()
    daemon.fetch()
    assert daemon.status()["expires_after"] == 7
    peer.offers = []
    daemon.fetch()
    assert daemon.status()["expires_after"] is None


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
        faults.hang_up("-ERR what?"),
        faults.stall(),
        faults.stall("+OK", "TOP"),
        faults.answer("500 what?"),
        faults.garbage(),
        faults.huge_line(),
        faults.endless_lines("X-NOTHING"),
    ],
    ids=["closed", "refused", "silent", "half", "no answer", "octets", "long line", "no end"],
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
    assert daemon.status()["left_out"] == ["CAPA"]
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


def test_messages_that_need_utf8(daemon, peer, fill):
    """Without UTF8 such a server refuses what it cannot send otherwise."""
    sent = fill(3)
    peer.offers = ["UTF8 USER", "LANG"]
    refusal = faults.answer("-ERR [UTF8] needs it")
    peer.on("RETR", refusal, when=lambda session: not session.sent_command("UTF8"))
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    check(daemon, sent)
    assert peer.sent_command("LANG") == []


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
    assert sorted(peer.sessions[1].retrieved) == [m.uid for m in sent[1:5]]
    assert daemon.log().count("breaks on PIPELINING of RETR and DELE") == 1


def clipped_in_pieces(session, argument):
    """The same by a server that reads what has come in pieces."""
    session.obey("RETR", argument)
    session.forget_input(500)
    return True


@pytest.mark.parametrize("lose", [clipped, clipped_in_pieces], ids=["all", "pieces"])
@pytest.mark.parametrize("keep", ["no", "forever"])
def test_pipelining_that_loses_retrievals(daemon, peer, fill, keep, lose):
    """No answer is taken for that of a command which was lost."""
    sent = fill(1100)
    peer.on("RETR", lose)
    daemon.configure(daemon.account(peer, keep=keep, timeout=2)).start()
    daemon.fetch()
    check(daemon, sent)
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


@pytest.mark.parametrize("update", [True, False], ids=["obeyed", "not obeyed"])
def test_uidl_after_an_unanswered_quit_without(daemon, peer, box, fill, update):
    """What was fetched by number is known again when it comes with a unique-id."""
    sent = fill(5)
    peer.without = {"PIPELINING"}
    peer.on("UIDL", faults.hang_up(), times=1)
    peer.on("QUIT", faults.quit_unanswered(update), times=1)
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fail("network")
    assert tries(peer, "UIDL") == [1, 0]
    sent += fill(1, first=10)
    daemon.fetch()
    assert tries(peer, "UIDL") == [1, 0, 1]
    check(daemon, sent)
    assert box.messages == []


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


def test_without_uidl_what_was_adopted_is_left_alone(daemon, peer, box, fill):
    sent = fill(3)
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.ctl("adopt", "box", "*")
    peer.without = {"UIDL"}
    daemon.configure(daemon.account(peer, keep="no", received_header=True))
    daemon.ctl("reload")
    daemon.fail("server", "adopt", "UIDL")
    assert peer.retrieved == []
    assert box.messages == sent


# Messages that the server cannot deliver


def test_a_message_refused_for_ever_holds_up_no_other(daemon, peer, box, fill):
    sent = fill(3)
    peer.on("RETR", faults.answer("-ERR cannot read it"), when=lambda s: s.asked_for(sent[0]))
    daemon.configure(daemon.account(peer, keep="no", interval="10m")).start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first poll")
    for number in range(4):
        sent += fill(1, first=20 + number)
        status = daemon.poll()
        check(daemon, sent[1:])
    assert box.messages == sent[:1]
    assert "RETR of message 1: -ERR cannot read it" in status["last_error"]["text"]
    assert status["on_server"] == 1
    pause = moment(status["next_attempt"]) - moment(status["last_attempt"])
    assert timedelta(minutes=8) < pause < timedelta(minutes=12), status


def test_a_message_that_breaks_the_session_holds_up_no_other(daemon, peer, box, fill):
    sent = fill(5)
    broken, others = sent[1], [m for m in sent if m is not sent[1]]
    peer.on("RETR", faults.hang_up(), when=lambda s: s.asked_for(broken))
    daemon.configure(daemon.account(peer, keep="no", interval="10m")).start()
    daemon.wait_status(lambda s: s["failures"] == 1, "the first poll")
    check(daemon, others)
    for number in range(3):
        others += fill(1, first=30 + number)
        status = daemon.poll()
        check(daemon, others)
        assert box.messages == [broken], "what is stored is deleted"
    assert status["last_error"]["kind"] == "network"
    assert status["fetched"] == len(others)
    pause = moment(status["next_attempt"]) - moment(status["last_attempt"])
    assert timedelta(minutes=8) < pause < timedelta(minutes=12), status
    assert "breaks on" not in daemon.log()

    peer.behave()
    daemon.fetch()
    check(daemon, [*others, broken])
    assert box.messages == []


def test_messages_that_break_the_session_hold_up_no_other(daemon, peer, box, fill):
    sent = fill(6)
    broken = [sent[1], sent[3]]
    peer.on("RETR", faults.hang_up(), when=lambda s: any(map(s.asked_for, broken)))
    daemon.configure(daemon.account(peer, keep="no")).start()
    for _ in range(4):
        daemon.fail("network")
    check(daemon, [m for m in sent if m not in broken])
    assert box.messages == broken


def test_a_broken_session_counts_what_it_has_fetched(daemon, peer, fill):
    """The hook hears of it, and so does the statistic, when another session follows at once."""
    sent = fill(5)
    peer.on("RETR", faults.from_use(3, faults.hang_up()), times=3)
    count = daemon.path("count")
    hook = ["sh", "-c", f'echo "$POSTRIDER_COUNT" >> {count}']
    daemon.configure(daemon.account(peer, keep="no", account_on_fetch=hook)).start()
    assert daemon.fetch()["fetched"] == 5
    check(daemon, sent)

    def counts():
        return os.path.exists(count) and open(count).read().split()

    wait_for(lambda: counts() in (["2", "3"], ["5"]), counts)


# Listings


def test_a_message_without_a_uid_is_told(daemon, peer, box, fill):
    sent = fill(3)
    sent[1].uid = ""
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fail("server", "no unique-id to 1 of the messages", "message 2")
    check(daemon, [sent[0], sent[2]])
    assert box.messages == [sent[1]]


@pytest.mark.parametrize("keep", ["no", "forever"])
def test_uidl_knows_fewer_than_list(daemon, peer, fill, keep):
    sent = fill(4)
    peer.on("UIDL", faults.answer("+OK", f"1 {sent[0].uid}", f"3 {sent[2].uid}", "."))
    daemon.configure(daemon.account(peer, keep=keep)).start()
    daemon.fail("server", "no unique-id to 2 of the messages", "message 2")
    check(daemon, [sent[0], sent[2]])
    peer.behave()
    daemon.fetch()
    check(daemon, sent)


def test_list_that_knows_no_sizes(daemon, peer, box):
    """LIST says 0 of each: what is larger than any estimate allows for comes all the same."""
    sent = [box.add(messages.simple(n, size=n * 2_000_000), listed=0) for n in range(3)]
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    check(daemon, sent)


@pytest.mark.parametrize("uid", ["with a blank", "gr\u00fcn", "x" * 71, "y" * 255, "#"])
def test_uids_that_rfc_1939_does_not_allow(daemon, peer, box, fill, uid):
    sent = [*fill(1), box.add(messages.simple(7), uid=uid), *fill(1, first=8)]
    daemon.configure(daemon.account(peer)).start()
    daemon.fetch()
    check(daemon, sent)
    daemon.fetch()
    assert peer.sessions[-1].retrieved == []


@pytest.mark.parametrize("keep", ["no", "14d"])
def test_an_empty_maildrop_that_is_told_as_an_error(daemon, peer, fill, keep):
    peer.on("UIDL", faults.answer("-ERR no messages"))
    peer.on("LIST", faults.answer("-ERR no messages"))
    daemon.configure(daemon.account(peer, keep=keep)).start()
    daemon.fetch()
    peer.behave()
    sent = fill(2)
    daemon.fetch()
    check(daemon, sent)


# A window on a larger maildrop


def test_keep_counts_in_a_window_from_the_fetching(daemon, peer, box, fill):
    """What left the window while its time ran is deleted when it is listed again."""
    sent = fill(6)
    daemon.configure(daemon.account(peer, keep="1s")).start()
    box.window = slice(0, 3)
    daemon.fetch()
    box.window = slice(3, 6)
    daemon.fetch()
    box.window = slice(0, 3)
    wait_for(lambda: daemon.poll() and box.messages == sent[3:], "their time has run out")
    box.window = None
    wait_for(lambda: daemon.poll() and box.messages == [], "that of the others, too")
    check(daemon, sent)
    assert sorted(peer.retrieved) == sorted(m.uid for m in sent)
