#!/usr/bin/env python3
"""However a conversation is cut into pieces, the answers are the same, bit for bit."""

import random
import socket
import time
import unittest

import harness
import raw_amqp as amqp
from harness import Linnetd

FRAME_MAX = 4096
BODY = bytes(range(256)) * 20  # two frames of the smallest size that can be agreed on
PUBLISHING = harness.publishing("a.b.c", BODY, exchange="cut", frame_max=FRAME_MAX, content_type="text/plain",
                                headers={"n": 1, "deep": {"list": [1, "two", 3.0]}}, priority=3)

# A whole life in two acts: between them the delivery, which comes when it comes, is waited for.
BEFORE_BODY = b"".join([
    amqp.HEADER, harness.start_ok(),
    amqp.method_frame(0, "connection.tune-ok", channel_max=2047, frame_max=FRAME_MAX, heartbeat=0),
    amqp.method_frame(0, "connection.open", virtual_host="/"),
    amqp.method_frame(1, "channel.open"),
    amqp.method_frame(1, "exchange.declare", exchange="cut", type="topic", auto_delete=True),
    amqp.method_frame(1, "queue.declare", queue="cut", exclusive=True, arguments={"x-max-length": 10}),
    amqp.method_frame(1, "queue.bind", queue="cut", exchange="cut", routing_key="a.*.#"),
    amqp.method_frame(1, "confirm.select")])
FIRST_ACT = b"".join([
    BEFORE_BODY, PUBLISHING,
    harness.publishing("a.b", b"", exchange="cut"),
    amqp.frame(amqp.HEARTBEAT, 0, b""),
    amqp.method_frame(1, "basic.get", queue="cut"),
    amqp.method_frame(1, "basic.ack", delivery_tag=1),
    amqp.method_frame(1, "basic.consume", queue="cut", consumer_tag="c")])
SECOND_ACT = b"".join([
    amqp.method_frame(1, "basic.cancel", consumer_tag="c"),
    amqp.method_frame(1, "basic.publish", exchange="nowhere", routing_key="x"), amqp.content_frames(1, b"lost"),
    amqp.method_frame(1, "channel.close-ok"),
    amqp.method_frame(2, "channel.open"),
    amqp.method_frame(2, "queue.delete", queue="cut"),
    amqp.method_frame(0, "connection.close", reply_code=200)])

LAST_WORD = amqp.method_frame(0, "connection.close-ok")
EXPECTED = ["connection.start", "connection.tune", "connection.open-ok", "channel.open-ok", "exchange.declare-ok",
            "queue.declare-ok", "queue.bind-ok", "confirm.select-ok", "basic.get-ok", "basic.consume-ok", "basic.deliver",
            "basic.cancel-ok", "channel.close", "channel.open-ok", "queue.delete-ok", "connection.close-ok"]


def whole(act):
    return [act]


def single_bytes(act):
    return [act[i:i + 1] for i in range(len(act))]


def cut_at(places):
    def cut(act):
        inside = [0] + [p for p in places if 0 < p < len(act)] + [len(act)]
        return [act[a:b] for a, b in zip(inside, inside[1:])]
    return cut


def conversation(address, cut, pause=0.0):
    """What is heard: the answers apart from confirms, and the highest confirm.

    Confirms may come one by one or together, now or a turn later: that is timing, not meaning.
    """
    with socket.create_connection(address, 10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        for act in (FIRST_ACT, SECOND_ACT):
            for piece in cut(act):
                sock.sendall(piece)
                if pause:
                    time.sleep(pause)
            while act is FIRST_ACT and not has_delivery(data):
                part = sock.recv(1 << 16)
                if not part:
                    break
                data += part
        # The last word: whoever has it may hang up, and the broker gives the peer time to be the first.
        while not data.endswith(LAST_WORD) and (part := sock.recv(1 << 16)):
            data += part
    events, rest = harness.events_in(data)
    if rest:
        raise AssertionError(f"{len(rest)} bytes of a frame that never ended")
    tags = [e.values["delivery_tag"] for e in events if e.name == "basic.ack"]
    return [e for e in events if e.name != "basic.ack"], max(tags, default=0)


def has_delivery(data):
    return data and any(e.name in ("basic.deliver", "connection.close") for e in harness.events_in(data)[0])


class Splits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # One shard: nothing waits for another thread, so that the order of answers is fixed.
        cls.broker = Linnetd(settings=("shards=1", "log.level=error")).start()
        cls.addClassCleanup(cls.broker.stop)
        cls.reference = conversation(cls.broker.address, whole)

    def assert_same(self, cut, pause=0.0, about=None):
        events, confirmed = conversation(self.broker.address, cut, pause)
        self.assertEqual([e.name for e in events], EXPECTED, about)  # first, for it can be read
        self.assertEqual((events, confirmed), self.reference, about)

    def test_in_one_piece(self):
        events, confirmed = self.reference
        self.assertEqual([e.name for e in events], EXPECTED)
        by_name = {e.name: e for e in events}
        got = by_name["basic.get-ok"]
        self.assertEqual((got.body, got.properties["content_type"], got.properties["priority"]), (BODY, "text/plain", 3))
        self.assertEqual(got.frame_sizes, (FRAME_MAX - 8, len(BODY) - (FRAME_MAX - 8)))
        self.assertEqual(by_name["basic.deliver"].body, b"")
        self.assertEqual(by_name["channel.close"].values["reply_code"], 404)
        self.assertEqual(confirmed, 2)

    def test_byte_by_byte(self):
        self.assert_same(single_bytes)

    def test_byte_by_byte_with_the_broker_looking_at_each(self):
        self.assert_same(single_bytes, pause=0.0003)

    def test_in_two_at_every_byte(self):
        # Inside a body one byte is like the other; its ends are not.
        begin = len(BEFORE_BODY) + len(PUBLISHING) - len(BODY)
        for at in range(1, len(FIRST_ACT)):
            if not begin < at < begin + len(BODY) - 1100 or at % 101 == 0:
                self.assert_same(cut_at([at]), pause=0.0002, about=f"cut at {at}")

    def test_in_many_at_random(self):
        seed = random.randrange(2**32)
        chance = random.Random(seed)
        for _ in range(50):
            cuts = sorted(chance.sample(range(1, len(FIRST_ACT)), chance.randrange(1, 60)))
            self.assert_same(cut_at(cuts), pause=0.0002, about=f"seed {seed}, cut at {cuts}")

    def test_every_prefix_leaves_nothing_behind(self):
        for at in range(1, len(FIRST_ACT), 7):
            with socket.create_connection(self.broker.address, 10) as sock:
                sock.sendall(FIRST_ACT[:at])
                sock.shutdown(socket.SHUT_WR)
                harness.drained(sock, 10)
        # The connection's queue is gone, and so is the exchange that lives by it.
        with harness.Client(self.broker.address, channels=2) as client:
            for channel, kind in ((1, "queue"), (2, "exchange")):
                client.send(amqp.method_frame(channel, f"{kind}.declare", passive=True, **{kind: "cut"}))
                self.assertEqual(client.expect(channel, "channel.close").values["reply_code"], 404)
                client.send(amqp.method_frame(channel, "channel.close-ok"))
            client.hang_up()


if __name__ == "__main__":
    unittest.main()
