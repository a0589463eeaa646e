"""What a situation is made of: connections, channels, and the transcript of what the broker did.

A situation is a function that takes a Talk. It opens connections and channels through it, sends
methods, and waits for what it expects; every line sent and received goes into the transcript, with
what differs from run to run (server-made names, times, the run's own token) replaced. Two brokers
behave alike in a situation when the transcripts are equal.

Waiting: a situation says how many events it expects, so that only a broker that fails lets it wait
long. To see that nothing more comes, Channel.quiet() sends two passive declares of amq.direct on the
channel (what a queue had sent before the first has been written when the second is answered) and
then lingers a moment for what has to cross threads inside the broker.
"""

import os
import re
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import raw_amqp as amqp  # noqa: E402
from raw_amqp import Typed  # noqa: E402,F401

REPLY_SECONDS = 5
# For what is on its way between a broker's threads when a channel is to be quiet.
LINGER_SECONDS = 0.02
# Once a broker has let a situation wait in vain, the rest of it is not given as long again.
REPLY_SECONDS_AFTER_NOTHING = 0.5
FRAME_MAX = 131072


class Broken(Exception):
    """The situation cannot go on; what happened stands in the transcript already."""


# ---- registry ----------------------------------------------------------------------------------

SITUATIONS = {}


def situation(function):
    """Registers a function as the situation `<module>/<function-name>`."""
    name = f"{function.__module__.split('.')[-1]}/{function.__name__.replace('_', '-')}"
    assert name not in SITUATIONS, name
    SITUATIONS[name] = function
    return function


# ---- rendering ---------------------------------------------------------------------------------

def show(value):
    if isinstance(value, Typed):
        if value.letter == "F":
            return "F" + show(value.value)
        if value.letter == "A":
            return "A" + show(value.value)
        if value.letter == "T":
            return "T*"
        return value.letter + ("" if value.value is None else show(value.value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {show(amqp.typed(v))}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, bytes):  # not UTF-8, or not meant to be text
        return show_body(value) if len(value) <= 64 else show(value.decode(errors="backslashreplace"))
    if isinstance(value, str):
        return '"' + value + '"' if not value or re.search(r"[\s\"{},]", value) else value
    if isinstance(value, list):
        return "[" + ", ".join(show(amqp.typed(v)) for v in value) + "]"
    return str(value)


def show_body(body):
    if len(body) > 64:
        return f"<{len(body)} bytes>"
    if all(32 <= byte < 127 for byte in body):
        return '"' + body.decode("ascii") + '"'
    return "0x" + body.hex()


def show_sent(name, values, properties=None, body=None):
    """Only what was said: an argument left at zero is not shown."""
    words = [name] + [f"{k}={show(v)}" for k, v in values.items()
                      if not (v is False or v == "" or v == {} or (v == 0 and k != "reply_code"))]
    return _with_content(words, properties, body)


def show_received(event):
    """Every field, except the two of channel and connection that mean nothing."""
    hidden = {"channel_id", "known_hosts", "cluster_id"}
    words = [event.name] + [f"{k}={show(v)}" for k, v in event.values.items()
                            if k not in hidden or v]
    return _with_content(words, event.properties, event.body)


def _with_content(words, properties, body):
    if properties:
        words.append("| " + " ".join(f"{k}={show(v)}" for k, v in sorted(properties.items())))
    if body is not None:
        words.append("| " + show_body(body))
    return " ".join(words)


class Normaliser:
    """Numbers server-made names in the order they are first seen; takes the run's token away."""

    # A made-up part is long: the short names of situations stay as they are.
    PATTERN = re.compile(r"(amq\.gen-|amq\.ctag-|amq\.rabbitmq\.reply-to\.)([A-Za-z0-9_=+/.-]{16,})")

    def __init__(self, token):
        self.token, self.seen = token, {}

    def __call__(self, line):
        def number(match):
            names = self.seen.setdefault(match[1], {})
            return f"{match[1]}*{names.setdefault(match[2], len(names) + 1)}"

        return self.PATTERN.sub(number, line.replace(self.token, ""))


# ---- conversation ------------------------------------------------------------------------------

class Talk:
    """One situation's run against one broker."""

    def __init__(self, name, address, token):
        self.name, self.address = name, address
        self.prefix = name.split("/")[1]
        self.token = token
        self.normalise = Normaliser(token)
        self.lines, self.connections = [], []
        self.waited_in_vain = False

    def n(self, suffix=""):
        """A name of this situation's own: queue, exchange or consumer tag."""
        return f"{self.prefix}{'.' if suffix else ''}{suffix}{self.token}"

    def record(self, line):
        self.lines.append(self.normalise(line))

    def nothing(self, text):
        self.record(text)
        self.waited_in_vain = True

    def patience(self, seconds):
        return min(seconds, REPLY_SECONDS_AFTER_NOTHING) if self.waited_in_vain else seconds

    def note(self, text):
        self.record(f"-- {text}")

    def raw(self):
        """A connection on which nothing has been sent."""
        connection = Connection(self, chr(ord("a") + len(self.connections)))
        self.connections.append(connection)
        return connection

    def connect(self, **options):
        """A connection that is open; its handshake is not part of the transcript."""
        return self.raw().handshake(**options)

    def channel(self):
        """A channel on a connection of its own."""
        return self.connect().channel()

    def finish(self):
        """What came and was not waited for is part of the transcript, too."""
        for connection in self.connections:
            connection.finish()

    def close(self):
        for connection in self.connections:
            connection.sock.close()


class Connection:
    def __init__(self, talk, label):
        self.talk, self.label = talk, label
        self.sock = amqp.Socket(talk.address)
        self.channels, self.opened, self.ended = {}, False, False

    # -- the transcript --

    def _mark(self, channel, arrow):
        return f"{self.label}{channel or ''} {arrow} "

    def sent(self, channel, text):
        self.talk.record(self._mark(channel, ">") + text)

    def received(self, channel, text):
        self.talk.record(self._mark(channel, "<") + text)

    def nothing(self, channel):
        self.talk.nothing(self._mark(channel, "<") + "nothing")

    # -- sending --

    def bytes(self, data, say):
        """Arbitrary bytes; `say` stands for them in the transcript."""
        self.sent(0, say)
        self.sock.send(data)

    def send(self, name, channel=0, **values):
        self.sent(channel, show_sent(name, values))
        self.sock.send(amqp.method_frame(channel, name, **values))

    # -- receiving --

    def event(self, seconds=REPLY_SECONDS, channel=0):
        """The next event on channel 0, recorded; a close is answered, and the end awaited."""
        event = self.sock.receive(channel, self.talk.patience(seconds))
        if event is None:
            self.nothing(channel)
            return None
        self._note(event, channel)
        return event

    def _note(self, event, channel):
        if event.name == amqp.EOF:
            if not self.ended:
                self.received(0, "end of stream")
            self.ended = True
            return
        self.received(channel, show_received(event))
        if event.name == "connection.close":
            self.sock.send(amqp.method_frame(0, "connection.close-ok"))
            self.end()

    def end(self, seconds=REPLY_SECONDS):
        """Waits for the peer to close the socket."""
        self.opened = False
        while not self.ended:
            if self.event(seconds) is None:
                return

    def call(self, name, **values):
        self.send(name, **values)
        return self.event()

    def part(self, **close):
        """connection.close, and what answers it. Who then closes the socket first is no matter."""
        self.send("connection.close", **({"reply_code": 200} | close))
        event = self.event()
        self.opened = False
        return event

    # -- handshake --

    def start(self):
        """The protocol header, and connection.start taken in silence."""
        self.sock.send(amqp.HEADER)
        event = self.sock.receive(0, REPLY_SECONDS)
        if event is None or event.name != "connection.start":
            self.received(0, show_received(event) if event else "nothing")
            raise Broken
        return event

    def start_ok(self, user="guest", password="guest", mechanism="PLAIN", response=None,
                 capabilities=None, locale="en_US", properties=None):
        if capabilities is None:
            capabilities = {c: True for c in (
                "publisher_confirms", "exchange_exchange_bindings", "basic.nack",
                "consumer_cancel_notify", "connection.blocked", "authentication_failure_close")}
        if response is None:
            response = f"\0{user}\0{password}"
        client = {"product": "linnet differential test", "capabilities": capabilities}
        return amqp.method_frame(0, "connection.start-ok", mechanism=mechanism, response=response,
                                 locale=locale, client_properties=client | (properties or {}))

    def handshake(self, vhost="/", channel_max=2047, frame_max=FRAME_MAX, heartbeat=0, **start_ok):
        self.start()
        self.sock.send(self.start_ok(**start_ok))
        self._silent("connection.tune")
        self.sock.send(amqp.method_frame(0, "connection.tune-ok", channel_max=channel_max,
                                         frame_max=frame_max, heartbeat=heartbeat))
        self.sock.send(amqp.method_frame(0, "connection.open", virtual_host=vhost))
        self._silent("connection.open-ok")
        self.opened = True
        return self

    def _silent(self, wanted):
        event = self.sock.receive(0, REPLY_SECONDS)
        if event is None or event.name != wanted:
            self.received(0, show_received(event) if event else f"nothing instead of {wanted}")
            raise Broken

    # -- channels --

    def channel(self, number=None):
        """A channel that is open, unrecorded."""
        number = number or max(self.channels, default=0) + 1
        self.sock.send(amqp.method_frame(number, "channel.open"))
        event = self.sock.receive(number, REPLY_SECONDS)
        if event is None or event.name != "channel.open-ok":
            self.received(number, show_received(event) if event else "nothing")
            raise Broken
        return self.unopened(number, is_open=True)

    def unopened(self, number, is_open=False):
        channel = Channel(self, number, is_open)
        self.channels[number] = channel
        return channel

    def close(self):
        """A clean end, unrecorded."""
        self.sock.send(amqp.method_frame(0, "connection.close", reply_code=200))
        while True:
            event = self.sock.receive(0, REPLY_SECONDS)
            if event is None or event.name in (amqp.EOF, "connection.close-ok"):
                break
            self._note(event, 0)
        self.opened, self.ended = False, True
        self.sock.close()

    def finish(self):
        if not self.opened or self.ended:
            return
        for channel in self.channels.values():
            channel.quiet()
        while self.sock.inboxes[0]:
            self._note(self.sock.inboxes[0].popleft(), 0)
        if self.opened:
            self.close()


class Channel:
    def __init__(self, connection, number, is_open):
        self.connection, self.number, self.is_open = connection, number, is_open
        self.sock, self.talk = connection.sock, connection.talk

    # -- sending --

    def send(self, name, **values):
        self.connection.send(name, self.number, **values)

    def publish(self, exchange="", key="", body=b"m", mandatory=False, immediate=False,
                **properties):
        values = dict(exchange=exchange, routing_key=key, mandatory=mandatory, immediate=immediate)
        self.connection.sent(self.number, show_sent("basic.publish", values, properties, body))
        self.sock.send(amqp.method_frame(self.number, "basic.publish", **values)
                       + amqp.content_frames(self.number, body, FRAME_MAX, **properties))

    def frame(self, kind, payload, say, **options):
        """A frame of one's own making on this channel."""
        self.connection.sent(self.number, say)
        self.sock.send(amqp.frame(kind, self.number, payload, **options))

    # -- receiving --

    def event(self, seconds=REPLY_SECONDS):
        """The next event of this channel or the connection's end, recorded. A close is answered."""
        self.sock.wait((self.number, 0), self.talk.patience(seconds))
        if not self.sock.inboxes[self.number] and (self.sock.inboxes[0] or self.sock.ended):
            self.is_open = False
            event = self.connection.event(0)
            if event is not None and event.name in ("connection.blocked", "connection.unblocked"):
                return self.event(seconds)
            return event
        event = self.sock.receive(self.number, 0)
        if event is None:
            self.connection.nothing(self.number)
            return None
        self._note(event)
        return event

    def _note(self, event):
        self.connection.received(self.number, show_received(event))
        if event.name == "channel.close":
            self.is_open = False
            self.sock.send(amqp.method_frame(self.number, "channel.close-ok"))
        elif event.name == "channel.close-ok":
            self.is_open = False
        elif event.name == "channel.open-ok":
            self.is_open = True

    def call(self, name, **values):
        """Sends and takes one event, whatever it is."""
        self.send(name, **values)
        return self.event()

    def expect(self, count, seconds=REPLY_SECONDS):
        """That many events; a broker that sends fewer shows a line `nothing` and goes on."""
        events = []
        for _ in range(count):
            event = self.event(seconds)
            if event is None:
                break
            events.append(event)
            if event.name in (amqp.EOF, "connection.close", "channel.close"):
                break
        return events

    def expect_in_any_order(self, count):
        """As expect(), where the broker is free in the order: recorded sorted."""
        start = len(self.talk.lines)
        self.expect(count)
        self.talk.lines[start:] = sorted(self.talk.lines[start:])

    def quiet(self):
        """Records everything the broker has to say on this channel up to now (see above)."""
        for _ in range(2):
            if not self.is_open:
                break
            self.sock.send(amqp.method_frame(self.number, "exchange.declare",
                                             exchange="amq.direct", type="direct", passive=True))
            if not self._take_until_barrier():
                break
        if self.is_open:
            self.sock.wait((self.number,), LINGER_SECONDS)
        while self.sock.inboxes[self.number]:
            self._note(self.sock.inboxes[self.number].popleft())

    def _take_until_barrier(self):
        while True:
            self.sock.wait((self.number, 0), self.talk.patience(REPLY_SECONDS))
            inbox = self.sock.inboxes[self.number]
            if inbox and inbox[0].name == "exchange.declare-ok":
                inbox.popleft()
                return True
            event = self.event(0)
            if event is None or not self.is_open:
                return False

    def settle(self, queue, ready, seconds=REPLY_SECONDS):
        """Waits, unrecorded, until a queue holds that many ready messages: they come from elsewhere."""
        pause = threading.Event()
        for _ in range(int(self.talk.patience(seconds) / 0.02)):
            self.sock.send(amqp.method_frame(self.number, "queue.declare", queue=queue,
                                             passive=True))
            event = self.sock.receive(self.number, REPLY_SECONDS)
            if event is None or event.name != "queue.declare-ok":
                self._note(event) if event else self.connection.received(self.number, "nothing")
                raise Broken
            if event.values["message_count"] == ready:
                return
            pause.wait(0.02)
        self.talk.nothing(f"-- {queue} never held {ready} messages, but {event.values['message_count']}")

    # -- short forms; each is one method and its answer --

    def queue(self, queue="", arguments=None, **flags):
        return self.call("queue.declare", queue=queue, arguments=arguments or {}, **flags)

    def exchange(self, exchange, type="direct", arguments=None, **flags):
        return self.call("exchange.declare", exchange=exchange, type=type,
                         arguments=arguments or {}, **flags)

    def bind(self, queue, exchange, routing_key="", arguments=None, **flags):
        return self.call("queue.bind", queue=queue, exchange=exchange, routing_key=routing_key,
                         arguments=arguments or {}, **flags)

    def consume(self, queue, consumer_tag="", arguments=None, **flags):
        return self.call("basic.consume", queue=queue, consumer_tag=consumer_tag,
                         arguments=arguments or {}, **flags)

    def get(self, queue, no_ack=True):
        return self.call("basic.get", queue=queue, no_ack=no_ack)

    def confirm(self):
        return self.call("confirm.select")

    def reopen(self):
        return self.call("channel.open")

    def reply(self, name, **values):
        """A new channel's worth of one call: for errors that close the channel, one after another."""
        if not self.is_open:
            self.sock.send(amqp.method_frame(self.number, "channel.open"))
            event = self.sock.receive(self.number, REPLY_SECONDS)
            if event is None or event.name != "channel.open-ok":
                raise Broken
            self.is_open = True
        return self.call(name, **values)
