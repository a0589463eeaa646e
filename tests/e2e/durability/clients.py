"""The clients that a crash test kills its broker under: each does one thing on one channel and tells the history.

All of them live in one loop (Crowd.turn), so that the history is told in the order in which things were seen.
"""

import collections
import random
import select
import time
import zlib

from history import Group
from pipe import Ended, Pipe, Publishing, acknowledgement, amqp, negative

PATTERN = random.Random(1).randbytes(1 << 19)
WINDOW = 400
BACKLOG_MAX = 4000


def body_of(message, size):
    """Its id, its size and bytes that follow from both, so that nobody else's bytes can pass for them."""
    head = message.to_bytes(8, "big") + size.to_bytes(4, "big")
    at = zlib.crc32(head) & (1 << 18) - 1
    return head + PATTERN[at:at + size]


def message_of(body):
    """The id, or None where the bytes are not those that were published."""
    message, size = int.from_bytes(body[:8], "big"), int.from_bytes(body[8:12], "big")
    return message if size < 1 << 18 and body == body_of(message, size) else None


def size_of(chance):
    """Mostly small, sometimes more than a sector, a block or a frame."""
    kind = chance.random()
    if kind < 0.9:
        return chance.randrange(0, 400)
    return chance.randrange(400, 9000) if kind < 0.995 else chance.randrange(9000, 200_000)


class Client:
    """One channel. Subclasses say what comes after the channel is open."""

    def __init__(self, world, pipe):
        self.world, self.pipe, self.chance, self.history = world, pipe, world.chance, world.history
        self.channel = pipe.who.add(self)
        self.ready = False
        self.say("channel.open")
        self.open()

    def open(self):
        raise NotImplementedError

    def say(self, method, **values):
        self.pipe.say(self.channel, method, **values)

    def step(self):
        """Once a turn: do something, if there is something to do."""

    def read(self, queue, body):
        message = message_of(body)
        if message is None:
            self.history.violate("corrupt", f"{queue}: {len(body)} bytes that begin with {body[:24].hex()}")
        return message

    def on_deliver(self, tag, redelivered, header, body):
        raise Ended("an unexpected delivery")

    def on_confirm(self, tag, multiple, accepted):
        raise Ended("an unexpected confirm")

    def on_method(self, method, values):
        raise NotImplementedError


class Numbered(Client):
    """Has a publisher's number of its own, and a sequence."""

    def __init__(self, world, pipe):
        self.number, self.sequence = world.next_publisher(), 0
        self.addresses = {}
        super().__init__(world, pipe)

    def next_message(self):
        self.sequence += 1
        return self.number << 40 | self.sequence - 1

    def put(self, message, exchange, key):
        address = self.addresses.get((exchange, key))
        if address is None:
            address = self.addresses[exchange, key] = Publishing(self.channel, exchange, key)
        self.pipe.out += address.frames(body_of(message, size_of(self.chance)))


class Publisher(Numbered):
    """Publishes with confirms, a window of them, to any address."""

    def open(self):
        self.unconfirmed = {}  # tag -> (id, queues); dicts keep their order
        self.tag = 0
        self.say("confirm.select")

    def on_method(self, method, values):
        if method == "confirm.select-ok":
            self.ready = True

    def step(self):
        room = min(WINDOW - len(self.unconfirmed), self.chance.randrange(1, 40))
        if not self.ready or room <= 0 or len(self.pipe.out) > 1 << 18:
            return
        exchange, key, queues = self.world.address(self.chance)
        if any(len(self.history.queues[q]) > BACKLOG_MAX for q in queues):
            return
        for _ in range(room):
            message = self.next_message()
            self.tag += 1
            self.unconfirmed[self.tag] = message, queues
            self.history.publish(message, queues)
            self.put(message, exchange, key)

    def on_confirm(self, tag, multiple, accepted):
        if multiple:
            tags = []
            for open_tag in self.unconfirmed:
                if open_tag > tag:
                    break
                tags.append(open_tag)
        else:
            tags = [tag]
        for each in tags:
            message, queues = self.unconfirmed.pop(each)
            if accepted:
                self.history.confirm(message, queues)
            else:
                self.history.refuse(message)


class Postponer(Publisher):
    """Publishes with delays, with confirms."""

    def step(self):
        if not self.ready or len(self.unconfirmed) > 100 or self.chance.random() > 0.2:
            return
        message = self.next_message()
        self.tag += 1
        queues = (self.world.name("later"),)
        self.unconfirmed[self.tag] = message, queues
        delay = self.chance.randrange(1, 4000)
        self.history.publish(message, queues, due=time.time() + delay / 1000)
        address = Publishing(self.channel, "k9.later", "k", headers={"x-delay": delay})
        self.pipe.out += address.frames(body_of(message, size_of(self.chance)))


class StreamWriter(Numbered):
    """A publisher to the stream; few messages, since nothing there ever goes away."""

    def open(self):
        self.unconfirmed, self.tag, self.left = {}, 0, self.chance.randrange(100, 600)
        self.say("confirm.select")

    def on_method(self, method, values):
        if method == "confirm.select-ok":
            self.ready = True

    def step(self):
        if self.ready and self.left > 0 and len(self.unconfirmed) < 50:
            self.left -= 1
            self.write()

    def write(self):
        message = self.next_message()
        self.tag += 1
        self.unconfirmed[self.tag] = message
        self.world.stream.publish(message)
        self.put(message, "", self.world.stream_queue)
        return message

    def on_confirm(self, tag, multiple, accepted):
        for each in [t for t in self.unconfirmed if t == tag or (multiple and t < tag)]:
            message = self.unconfirmed.pop(each)
            if accepted:
                self.world.stream.confirm(message)


def offset_of(header):
    size, properties = amqp.decode_content_header(header)
    return properties["headers"]["x-stream-offset"].value


class StreamReader(Client):
    """Follows the stream from an offset on; hears of every message."""

    def __init__(self, world, pipe, start, on_message):
        self.start, self.on_message, self.gone = start, on_message, False
        super().__init__(world, pipe)

    def open(self):
        self.say("basic.qos", prefetch_count=200)
        self.say("basic.consume", queue=self.world.stream_queue, consumer_tag="s",
                 arguments={"x-stream-offset": self.start})

    def on_method(self, method, values):
        if method == "channel.close":
            self.history.violate("topology", f"{self.world.name(self.world.stream_queue)}: {values['reply_text']}")
            self.say("channel.close-ok")
            self.gone = True

    def on_deliver(self, tag, redelivered, header, body):
        self.pipe.out += acknowledgement(self.channel, tag)
        message = self.read(self.world.stream_queue, body)
        if message is not None:
            self.on_message(offset_of(header), message)


class Consumer(Client):
    """Takes from one queue and does with each message what consumers do: ack, ack many, requeue, keep, bury."""

    def __init__(self, world, pipe, queue):
        self.queue, self.held, self.settled, self.marked = world.name(queue), {}, [], None
        self.plain_name = queue
        self.target = world.dead_letters.get(self.queue)
        super().__init__(world, pipe)

    def open(self):
        self.say("basic.qos", prefetch_count=self.chance.choice((1, 20, 200)))
        self.say("basic.consume", queue=self.plain_name, consumer_tag="c")

    def on_deliver(self, tag, redelivered, header, body):
        message = self.read(self.queue, body)
        if message is None:
            return
        self.history.deliver(self.queue, message, redelivered, self)
        self.held[tag] = message
        what = self.chance.random()
        if what < 0.70:
            self.settle(tag)
        elif what < 0.76:
            for each in list(self.held):
                self.settle(each, silent=True)
            self.pipe.out += acknowledgement(self.channel, tag, multiple=True)
        elif what < 0.86:
            self.history.requeue(self.queue, self.held.pop(tag))
            self.pipe.out += negative(self.channel, tag)
        elif what < 0.92 and self.target is not None:
            self.history.bury(self.queue, self.held.pop(tag), self.target)
            self.pipe.out += negative(self.channel, tag, requeue=False)
        elif len(self.held) > 15:
            self.settle(next(iter(self.held)))

    def settle(self, tag, silent=False):
        message = self.held.pop(tag)
        self.history.settle(self.queue, message)
        self.settled.append(message)
        if not silent:
            self.pipe.out += acknowledgement(self.channel, tag)

    def step(self):
        """Asks something, now and then: with the answer, all that was said before it is known to have been read."""
        if self.marked is None and len(self.settled) > 30:
            self.marked, self.settled = self.settled, []
            self.say("queue.declare", queue=self.plain_name, passive=True)

    def on_method(self, method, values):
        if method == "queue.declare-ok":
            self.history.settles_processed(self.queue, self.marked)
            self.marked = None


class Transactor(Numbered):
    """Moves messages from one queue to others in transactions, some of which it takes back."""

    def open(self):
        self.held, self.group, self.state = collections.deque(), None, "opening"
        self.source = self.world.name("txa")
        self.say("tx.select")
        self.say("basic.qos", prefetch_count=20)
        self.say("basic.consume", queue="txa", consumer_tag="t")

    def on_deliver(self, tag, redelivered, header, body):
        message = self.read(self.source, body)
        if message is not None:
            self.history.deliver(self.source, message, redelivered, self)
            self.held.append((tag, message))

    def step(self):
        if self.state != "idle" or len(self.pipe.out) > 1 << 18:
            return
        self.group = Group()
        for _ in range(self.chance.randrange(0, 6)):
            exchange, key, queues = self.world.transaction_address(self.chance)
            if any(len(self.history.queues[q]) > BACKLOG_MAX for q in queues):
                continue
            message = self.next_message()
            self.history.publish(message, queues, self.group)
            self.put(message, exchange, key)
        for tag, message in list(self.held)[:self.chance.randrange(0, 5)]:
            self.history.settle_in(self.group, self.source, message)
            self.pipe.out += acknowledgement(self.channel, tag)
        if self.chance.random() < 0.85:
            self.state = "committing"
            self.history.commit_sent(self.group)
            self.say("tx.commit")
        else:
            self.state = "rolling back"
            self.say("tx.rollback")

    def on_method(self, method, values):
        if method == "tx.select-ok":
            self.state = "idle"
        elif method == "tx.commit-ok":
            self.history.committed(self.group)
            done = {message for _, message in self.group.settles}
            self.held = collections.deque(h for h in self.held if h[1] not in done)
            self.state, self.group = "idle", None
        elif method == "tx.rollback-ok":
            self.history.rolled_back(self.group)
            self.state, self.group = "idle", None

    def crashed(self):
        """What it had not asked to commit must not have happened."""
        if self.group is not None and not self.group.asked:
            self.history.rolled_back(self.group)


class Architect(Client):
    """Declares and deletes durable things; what was answered is for good."""

    def open(self):
        self.asked = None

    def on_method(self, method, values):
        if method == "channel.open-ok":
            self.ready = True
        elif method in ("queue.declare-ok", "queue.delete-ok"):
            self.world.topology[self.asked] = method == "queue.declare-ok"
            self.ready = True

    def step(self):
        if not self.ready or self.chance.random() > 0.02:
            return
        self.ready = False
        standing = [q for q, there in self.world.topology.items() if there]
        if len(standing) > 20 or (standing and self.chance.random() < 0.4):
            self.asked = self.chance.choice(standing)
            self.say("queue.delete", queue=self.asked)
        else:
            self.asked = self.world.next_name()
            self.say("queue.declare", queue=self.asked, durable=True, arguments=self.world.queue_arguments)
        self.world.topology[self.asked] = None  # either way


class Reader(Client):
    """Reads one queue to its end, settles nothing and gives it all back by going away."""

    def __init__(self, world, pipe, queue):
        self.plain_name, self.queue = queue, world.name(queue)
        self.content, self.expected, self.done = [], None, False
        super().__init__(world, pipe)

    def open(self):
        self.say("queue.declare", queue=self.plain_name, passive=True)

    def on_method(self, method, values):
        if method == "queue.declare-ok":
            self.on_count(values["message_count"])
        elif method == "channel.close":
            self.history.violate("topology", f"{self.queue} is gone: {values['reply_text']}")
            self.say("channel.close-ok")
            self.done = True

    def on_count(self, ready):
        if self.expected is None:
            self.expected = ready
            self.say("basic.consume", queue=self.plain_name, consumer_tag="r")
        elif ready == 0:
            self.done = True
        else:
            self.expected = len(self.content) + ready
            return
        self.look()

    def on_deliver(self, tag, redelivered, header, body):
        message = self.read(self.queue, body)
        if message is not None:
            self.content.append((message, bool(redelivered)))
        self.look()

    def look(self):
        if not self.done and self.expected is not None and len(self.content) >= self.expected:
            self.expected = float("inf")  # until the answer
            self.say("queue.declare", queue=self.plain_name, passive=True)


class Looker(Client):
    """Asks whether a queue exists."""

    def __init__(self, world, pipe, queue):
        self.queue, self.found = queue, None
        super().__init__(world, pipe)

    def open(self):
        self.say("queue.declare", queue=self.queue, passive=True)

    def on_method(self, method, values):
        if method == "queue.declare-ok":
            self.found = True
        elif method == "channel.close":
            self.found = False
            self.say("channel.close-ok")


class Setup(Client):
    """Says a list of things and counts the answers."""

    def __init__(self, world, pipe, what):
        self.what, self.answers = what, 0
        super().__init__(world, pipe)

    def open(self):
        for method, values in self.what:
            self.say(method, **values)

    def on_method(self, method, values):
        if method == "channel.close":
            raise Ended(f"{self.what[max(0, self.answers)]}: {values['reply_text']}")
        self.answers += method != "channel.open-ok"

    @property
    def done(self):
        return self.answers == len(self.what)


# They know what to make of a channel that is closed.
PREPARED = (Reader, StreamReader, Looker, Setup)


class Conversation:
    """What a Pipe calls: hands each event to the client of its channel."""

    def __init__(self):
        self.clients = {}
        self.closed = False

    def add(self, client):
        self.clients[len(self.clients) + 1] = client
        return len(self.clients)

    def on_deliver(self, pipe, channel, consumer_tag, delivery_tag, redelivered, header, body):
        self.clients[channel].on_deliver(delivery_tag, redelivered, header, body)

    def on_confirm(self, pipe, channel, tag, multiple, accepted):
        self.clients[channel].on_confirm(tag, multiple, accepted)

    def on_method(self, pipe, channel, method, values):
        if channel:
            if method == "channel.close" and not isinstance(self.clients[channel], PREPARED):
                raise Ended(f"{type(self.clients[channel]).__name__}: {values['reply_text']}")
            self.clients[channel].on_method(method, values)
        elif method == "connection.close":
            pipe.say(0, "connection.close-ok")
            if values["reply_code"] != 320:  # a daemon that stops says good-bye
                raise Ended(f"connection closed: {values['reply_text']}")
        elif method == "connection.close-ok":
            self.closed = True


class Crowd:
    """The connections of one life of the broker."""

    def __init__(self, address):
        self.address, self.pipes, self.clients = address, [], []

    def connect(self, vhost):
        pipe = Pipe(self.address, vhost, Conversation())
        self.pipes.append(pipe)
        return pipe

    def turn(self, seconds=0.02):
        """False once every connection has ended."""
        for client in self.clients:
            client.step()
        alive = [p for p in self.pipes if not p.ended]
        for pipe in alive:
            pipe.send()
        readable, _, _ = select.select(alive, [p for p in alive if p.out], [], seconds)
        for pipe in readable:
            pipe.read()
        return any(not p.ended for p in self.pipes)

    def until(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.turn() and not condition():
                raise Ended(f"all connections ended: {what}")
            if time.monotonic() > deadline:
                raise Ended(f"not within {seconds} s: {what}")

    def hear_out(self, seconds=10):
        """All that the broker says before its end. Nobody does a step any more, but what they had begun to say is said, and
        answers are given: what the history was told of must reach the broker in that order, or not at all."""
        deadline = time.monotonic() + seconds
        while (alive := [p for p in self.pipes if not p.ended]) and time.monotonic() < deadline:
            for pipe in select.select(alive, [], [], 0.1)[0]:
                pipe.read()
                pipe.send()
        if alive:
            raise Ended("a broker that ends keeps its connections")

    def hang_up(self):
        for pipe in self.pipes:
            pipe.say(0, "connection.close", reply_code=200)
        self.until(lambda: all(p.who.closed for p in self.pipes), 30, "connection.close-ok")

    def close(self):
        for pipe in self.pipes:
            pipe.close()
        self.pipes, self.clients = [], []
