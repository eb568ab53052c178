"""Octets that only a scripted server sends, and ways of sending them."""

import faults
import pytest
from support import messages
from support.maildir import expected


def fill(box):
    for _, octets in messages.awkward():
        box.add(octets)
    return list(box.messages)


@pytest.mark.parametrize("without", [set(), {"PIPELINING"}, {"CAPA"}])
def test_every_awkward_octet(daemon, peer, box, without):
    sent = fill(box)
    peer.without = without
    daemon.configure(daemon.account(peer, keep="no")).start()
    assert daemon.fetch()["fetched"] == len(sent)
    daemon.maildir().check()
    assert daemon.maildir().digests() == expected(sent)
    assert box.messages == []


def test_one_octet_at_a_time(daemon, peer, box):
    for _, octets in messages.awkward():
        if len(octets) < 2000:
            box.add(octets)
    sent = list(box.messages)
    peer.on("CONNECT", faults.drip())
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fetch()
    assert daemon.maildir().digests() == expected(sent)


def test_replies_that_end_in_a_bare_lf(daemon, peer, box):
    sent = fill(box)
    peer.on("CONNECT", faults.lf_lines())
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fetch()
    assert daemon.maildir().digests() == expected(sent)


def test_random_messages(daemon, peer, box):
    for octets in messages.many(500, seed=2):
        box.add(octets)
    sent = list(box.messages)
    daemon.configure(daemon.account(peer, keep="no")).start()
    daemon.fetch()
    assert daemon.maildir().digests() == expected(sent)
    assert box.messages == []


def test_the_same_octets_twice_are_two_messages(daemon, peer, box):
    for _ in range(3):
        box.add(messages.simple(1))
    sent = list(box.messages)
    daemon.configure(daemon.account(peer)).start()
    assert daemon.fetch()["fetched"] == 3
    assert daemon.maildir().digests() == expected(sent)


@pytest.mark.parametrize("factor", [0, 0.5, 2])
def test_list_lies_about_sizes(daemon, peer, box, factor):
    for number in range(10):
        octets = messages.simple(number)
        box.add(octets, listed=int(len(octets) * factor))
    sent = list(box.messages)
    daemon.configure(daemon.account(peer, keep="no")).start()
    assert daemon.fetch()["on_server"] == 0
    assert daemon.maildir().digests() == expected(sent)
