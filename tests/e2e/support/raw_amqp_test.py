#!/usr/bin/env python3
"""The raw driver's codec: known bytes, round trips, and refusal of anything that is not exact."""

import socket
import unittest

import raw_amqp as amqp
from raw_amqp import Typed

EVERY_TYPE = {
    "b": Typed("b", -1), "B": Typed("B", 255), "s": Typed("s", -2), "u": Typed("u", 65535),
    "I": Typed("I", -3), "i": Typed("i", 2**32 - 1), "l": Typed("l", -2**40),
    "f": Typed("f", 0.5), "d": Typed("d", 1.5), "D": Typed("D", (2, 314)), "S": Typed("S", "ü"),
    "x": Typed("x", "y"), "t": Typed("t", True), "V": Typed("V", None), "T": Typed("T", 1),
    "A": Typed("A", [Typed("I", 1), Typed("A", [])]), "F": Typed("F", {"k": Typed("t", False)}),
}


class Codec(unittest.TestCase):
    def test_known_bytes(self):
        self.assertEqual(
            amqp.method_frame(1, "basic.ack", delivery_tag=5, multiple=True).hex(" "),
            "01 00 01 00 00 00 0d 00 3c 00 50 00 00 00 00 00 00 00 05 01 ce")

    def test_bits_share_octets_between_other_fields(self):
        payload = amqp.method("queue.declare", queue="q", durable=True, nowait=True,
                              arguments={"a": 1})
        self.assertEqual(payload.hex(" "),
                         "00 32 00 0a 00 00 01 71 12 00 00 00 07 01 61 49 00 00 00 01")

    def test_every_method_round_trips(self):
        samples = {"o": 7, "h": 65535, "l": 2**32 - 1, "q": 2**64 - 1, "T": 5, "s": "é", "S": "long",
                   "t": EVERY_TYPE}
        for name, spec in amqp.METHODS.items():
            bit = False
            values = {}
            for field, kind in spec.fields:
                if kind == "b":
                    bit = not bit
                values[field] = bit if kind == "b" else samples[kind]
            with self.subTest(name):
                self.assertEqual(amqp.decode_method(amqp.method(name, **values)), (name, values))

    def test_properties_round_trip(self):
        properties = {"content_type": "a", "headers": EVERY_TYPE, "priority": 9, "timestamp": 2**63,
                      "cluster_id": "z"}
        self.assertEqual(amqp.decode_content_header(amqp.content_header(42, **properties)),
                         (42, properties))

    def test_every_prefix_of_a_method_is_refused(self):
        payload = amqp.method("queue.declare", queue="name", arguments=EVERY_TYPE)
        for size in range(len(payload)):
            with self.assertRaises(amqp.Malformed):
                amqp.decode_method(payload[:size])

    def test_bytes_left_over_are_refused(self):
        for payload in (amqp.method("channel.close-ok") + b"\0", amqp.method("basic.ack") + b"\0"):
            with self.assertRaises(amqp.Malformed):
                amqp.decode_method(payload)

    def test_unused_bits_are_refused(self):
        payload = bytearray(amqp.method("channel.flow", active=True))
        payload[-1] = 3
        with self.assertRaises(amqp.Malformed):
            amqp.decode_method(bytes(payload))

    def test_a_key_twice_is_refused(self):
        pair = amqp.short_string("k") + amqp.field(1)
        with self.assertRaises(amqp.Malformed):
            amqp.Reader(amqp.long_string(pair + pair)).table()

    def test_an_unknown_argument_is_an_error(self):
        with self.assertRaises(TypeError):
            amqp.method("basic.ack", tag=1)


class Frames(unittest.TestCase):
    def setUp(self):
        self.peer, ours = socket.socketpair()
        self.socket = amqp.Socket.__new__(amqp.Socket)
        self.socket.sock, self.socket.buffer, self.socket.ended = ours, b"", False
        self.socket.inboxes = amqp.collections.defaultdict(amqp.collections.deque)
        self.socket.partial = {}

    def tearDown(self):
        self.peer.close()
        self.socket.close()

    def receive(self, data, channel=1):
        self.peer.sendall(data)
        return self.socket.receive(channel, 1)

    def test_contents_of_two_channels_interleaved(self):
        deliver = [amqp.method_frame(c, "basic.deliver", delivery_tag=c) for c in (1, 2)]
        header = [amqp.frame(amqp.CONTENT_HEADER, c, amqp.content_header(2)) for c in (1, 2)]
        body = [amqp.frame(amqp.BODY, c, b"%d" % c) for c in (1, 2)]
        event = self.receive(b"".join(deliver + header + body + body))
        self.assertEqual((event.body, event.frame_sizes), (b"11", (1, 1)))
        self.assertEqual(self.socket.receive(2, 1).body, b"22")

    def test_any_split_gives_the_same_event(self):
        data = amqp.method_frame(1, "basic.get-ok", delivery_tag=1) + amqp.content_frames(1, b"ab")
        for at in range(1, len(data)):
            self.peer.sendall(data[:at])
            self.socket.wait((1,), 0.001)
            self.assertEqual(self.receive(data[at:]).body, b"ab")

    def test_the_end_comes_after_what_was_sent(self):
        self.peer.sendall(amqp.method_frame(1, "channel.close-ok"))
        self.peer.shutdown(socket.SHUT_WR)
        self.assertEqual([self.socket.receive(1, 1).name for _ in range(3)],
                         ["channel.close-ok", amqp.EOF, amqp.EOF])

    def test_silence_is_none(self):
        self.assertIsNone(self.socket.receive(1, 0.01))

    def test_what_is_not_exact_is_refused(self):
        deliver = amqp.method_frame(1, "basic.deliver")
        header = amqp.frame(amqp.CONTENT_HEADER, 1, amqp.content_header(1))
        for name, data in {
                "frame end": amqp.frame(amqp.METHOD, 1, amqp.method("basic.qos-ok"), end=0),
                "frame type": amqp.frame(5, 1, b""),
                "heartbeat on a channel": amqp.frame(amqp.HEARTBEAT, 1, b""),
                "header alone": header,
                "body alone": amqp.frame(amqp.BODY, 1, b""),
                "body before header": deliver + amqp.frame(amqp.BODY, 1, b"x"),
                "method inside content": deliver + amqp.method_frame(1, "basic.qos-ok"),
                "two headers": deliver + header + header,
                "body too long": deliver + header + amqp.frame(amqp.BODY, 1, b"xy")}.items():
            with self.subTest(name), self.assertRaises(amqp.Malformed):
                self.receive(data)
            self.tearDown()
            self.setUp()


if __name__ == "__main__":
    unittest.main()
