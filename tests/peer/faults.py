"""What servers do wrong, as hooks for Peer.on(): each function returns one.

    peer.on("RETR", faults.cut_message(100), times=1)

A hook gets the session and the command's argument. It returns True when it has answered itself;
otherwise the command is answered in the ordinary way.
"""

from pop3_peer import Hangup, stuff


def answer(*lines):
    """These lines in place of the ordinary answer."""

    def act(session, _):
        for line in lines:
            session.say(line)
        return True

    return act


def octets(data):
    """These octets in place of the ordinary answer, without a line end of their own."""

    def act(session, _):
        session.send(data)
        return True

    return act


def decline(line, *mechanisms):
    """For AUTH: this line to these mechanisms, whatever the server lists."""

    def act(session, argument):
        declined = argument.partition(" ")[0] in mechanisms
        if declined:
            session.say(line)
        return declined

    return act


def ignore_initial(session, argument):
    """For AUTH: what came with it is asked for again."""
    session.obey("AUTH", argument.partition(" ")[0])
    return True


def hang_up(*lines, reset=False):
    """Says these lines, closes the connection."""

    def act(session, _):
        for line in lines:
            session.say(line)
        session.flush()
        session.close(reset=reset)
        raise Hangup("as scripted")

    return act


def stall(*lines):
    """Says these lines (none, or half an answer), then nothing until the client gives up."""

    def act(session, _):
        for line in lines:
            session.say(line)
        session.wait_until_gone()

    return act


def hold(event):
    """Answers in the ordinary way, but not before `event` (a threading.Event) is set."""

    def act(session, _):
        session.flush()
        while not event.wait(0.05):
            if session.peer.stopping.is_set():
                raise Hangup("stopping")
        return False

    return act


def drip(pause=0.0):
    """From here on one octet at a time, `pause` seconds apart."""

    def act(session, _):
        session.drip = pause
        return False

    return act


def lf_lines():
    """From here on lines end in a bare LF."""

    def act(session, _):
        session.eol = b"\n"
        return False

    return act


def garbage(length=4096):
    """Octets of all values, line ends too."""
    data = bytes(range(256)) * (length // 256 + 1)
    return octets(data[:length])


def huge_line(length=1 << 20):
    """A line longer than anyone may send, and no end of it."""

    def act(session, _):
        session.send(b"+OK " + b"x" * length)
        session.wait_until_gone()

    return act


def endless_lines(line):
    """A multi-line answer that never comes to its end."""

    def act(session, _):
        session.say("+OK")
        block = (line.encode() + session.eol) * 512
        while True:
            session.send(block)
            session.flush()

    return act


def cut_message(length):
    """RETR: this many octets of the message, then the connection is gone."""

    def act(session, argument):
        _, message = session.find(argument)
        if message is not None:
            session.say("+OK")
            session.send(stuff(message.octets)[:length])
            session.flush()
            session.close()
            raise Hangup("as scripted")
        return True

    return act


def short_message(length):
    """RETR: the message ends in order, but before the size that LIST said."""

    def act(session, argument):
        _, message = session.find(argument)
        if message is not None:
            session.say("+OK")
            session.send(stuff(message.octets[:length]))
        return True

    return act


def quit_unanswered(update=True):
    """QUIT is read and obeyed (or not), and the connection closed without an answer."""

    def act(session, _):
        if update:
            session.update()
        session.flush()
        session.close()
        raise Hangup("as scripted")

    return act


def stls_with_injection(injected):
    """STLS: octets behind the +OK, in the same segment, that belong to no one (RFC 3207 section 6,
    CVE-2011-0411)."""

    def act(session, _):
        session.send(b"+OK begin\r\n" + injected)
        session.start_tls()
        return True

    return act


def from_use(number, act):
    """Ordinary for the first uses, `act` from the use with this number on (1 is the first)."""
    uses = 0

    def count(session, argument):
        nonlocal uses
        uses += 1
        return act(session, argument) if uses >= number else False

    return count


def now_and_then(dice, odds, most, choose):
    """For each step, what `choose(step)` says at so many uses in one, `most` over all steps."""
    left = most

    def at(step):
        def act(session, argument):
            nonlocal left
            if left <= 0 or dice.random() > odds:
                return False
            left -= 1
            return choose(step)(session, argument)

        return act

    return at


# SMTP


def matching(text, act):
    """`act` only where the command's argument has `text` in it: one recipient, one sender."""

    def check(session, argument):
        return act(session, argument) if text in argument else False

    return check


def obeyed_then_gone(verb, reset=False):
    """The command is answered in the ordinary way, then the connection is closed."""

    def act(session, argument):
        session.obey(verb, argument)
        session.flush()
        session.close(reset=reset)
        raise Hangup("as scripted")

    return act


def dot_unanswered(accepted=True, reset=False):
    """DOT: the message is taken (or not), and the connection closed without a reply."""

    def act(session, _):
        session.end_transaction(accepted)
        session.close(reset=reset)
        raise Hangup("as scripted")

    return act


def cut_text(length):
    """TEXT: the connection is closed once this much of the message has come."""

    def act(session, _):
        while len(session.wire) < length:
            session.fill()
        session.close()
        raise Hangup("as scripted")

    return act
