#!/usr/bin/env python3
"""Messages at the ends of what their formats can say: ten thousand headers, delays, expiries and priorities of 2^63.

Whatever it is, it is delivered as it was or refused in the protocol's words; the next message is served.
"""

import base64
import http.client
import json
import unittest

import harness
import raw_amqp as amqp
import raw_mqtt as mqtt
from harness import Client, Linnetd, Refused
from raw_amqp import Typed

HEADERS = 10_000
TEN_YEARS_MS = 315_360_000_000
LONG_MAX, LONG_MIN = 2**63 - 1, -2**63
HEAD_TOO_LARGE = 431

NO_EXPIRATION = (str(LONG_MAX), str(LONG_MAX + 1), str(2**64), "9" * 255, str(TEN_YEARS_MS + 1), "-1", str(LONG_MIN),
                 "", "abc", "1e3", " 5", "0x10")
# As RabbitMQ's plug-in: what is not positive or beyond 2^32 - 1 is no delay.
NO_DELAYS = (Typed("l", LONG_MAX), Typed("l", LONG_MIN), Typed("l", -1), Typed("l", 2**32), Typed("I", 0),
             Typed("T", 2**63), Typed("T", 2**64 - 1), Typed("d", 1e308), Typed("d", -1e308), Typed("d", float("inf")),
             Typed("d", float("-inf")), Typed("f", 2.0**127), Typed("S", str(LONG_MAX)), Typed("S", str(LONG_MAX + 1)),
             Typed("S", "-5"), Typed("S", "abc"), Typed("S", ""), Typed("D", (0, 2**31 - 1)), Typed("D", (255, -1)),
             Typed("A", [Typed("I", 1)]), Typed("F", {"x": Typed("I", 1)}), Typed("t", True), Typed("V", None))
LONGEST_DELAYS = (Typed("l", 2**32 - 1), Typed("i", 2**32 - 1), Typed("S", str(2**32 - 1)))


class Extremes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Linnetd(settings=("shards=2",),
                             listen=("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0", "http=127.0.0.1:0")).start()
        cls.addClassCleanup(cls.broker.stop)

    def setUp(self):
        self.client = Client(self.broker.address, channels=2)
        self.addCleanup(self.client.close)
        self.client.call(2, "confirm.select")
        self.queue = self.client.declare("", exclusive=True).values["queue"]
        self.client.call(1, "queue.bind", queue=self.queue, exchange="amq.topic", routing_key="t")
        self.client.call(1, "basic.consume", queue=self.queue, no_ack=True)

    def tearDown(self):
        harness.works(self.broker.address)

    def delivered(self, body=b"x"):
        event = self.client.expect(1, "basic.deliver")
        self.assertEqual(event.body, body)
        return event.properties

    def publish(self, exchange="", **properties):
        self.client.send(harness.publishing(self.queue, b"x", 2, exchange, **properties))
        self.client.expect(2, "basic.ack")

    def refused(self, **properties):
        """The text of the channel's end; it is opened again."""
        self.client.send(harness.publishing(self.queue, b"x", 2, **properties))
        close = self.client.expect(2, "channel.close").values
        self.assertEqual(close["reply_code"], 406)
        self.client.send(amqp.method_frame(2, "channel.close-ok"))
        self.client.call(2, "channel.open")
        self.client.call(2, "confirm.select")
        return close["reply_text"]

    # ---- Many ------------------------------------------------------------------------------------

    def test_ten_thousand_headers_come_as_they_were(self):
        headers = {f"k{i}": Typed("I", i) for i in range(HEADERS)}
        self.publish(headers=headers)
        self.assertEqual(self.delivered()["headers"], headers)

    def test_they_are_compared_by_a_headers_exchange(self):
        headers = {f"k{i}": Typed("I", i) for i in range(HEADERS)}
        for match in ("all", "any"):
            self.client.call(1, "queue.bind", queue=self.queue, exchange="amq.headers",
                             arguments={"x-match": match, "k0": 0, f"k{HEADERS - 1}": HEADERS - 1})
        self.publish("amq.headers", headers=headers)
        self.assertEqual(self.delivered()["headers"], headers)

    def test_more_than_a_frame_holds_end_the_connection(self):
        headers = {f"k{i}": "more than a few bytes" for i in range(HEADERS)}
        self.client.send(harness.publishing(self.queue, b"x", 2, headers=headers))
        with self.assertRaises(Refused) as refused:
            self.client.expect(2, "basic.ack")
        self.assertEqual(refused.exception.code, 501)

    def test_ten_thousand_user_properties_come_as_they_were(self):
        said = b"".join(bytes([mqtt.USER_PROPERTY]) + mqtt.text(f"k{i}") + mqtt.text("v") for i in range(HEADERS))
        address = self.broker.address_of("mqtt")
        with mqtt.Client(address, mqtt.connect("reader")) as reader, mqtt.Client(address, mqtt.connect("me")) as me:
            reader.send(mqtt.subscribe("t"))
            self.assertEqual(reader.receive().kind, mqtt.SUBACK)
            me.send(mqtt.publish("t", b"x", 1, 1, said=said))
            self.assertEqual(me.receive().reason(), 0)
            self.assertEqual(reader.receive().published(), ("t", said, b"x"))
        self.assertEqual(self.delivered()["headers"], {f"k{i}": Typed("S", "v") for i in range(HEADERS)})

    def http(self, fields=(), body=b"x"):
        """The status of a publish over HTTP."""
        link = http.client.HTTPConnection(*self.broker.address_of("http"), timeout=20)
        self.addCleanup(link.close)
        link.putrequest("POST", f"/v1/%2F/q/{self.queue}")
        link.putheader("Authorization", "Basic " + base64.b64encode(b"guest:guest").decode())
        link.putheader("Content-Length", str(len(body)))
        for name, value in fields:
            link.putheader(name, value)
        try:
            link.endheaders(body)
        except OSError:
            pass  # it has been answered before it was all said
        return link.getresponse().status

    def test_http_takes_as_many_as_a_head_holds(self):
        self.assertEqual(self.http([(f"X-H-k{i}", "v") for i in range(80)]), 201)
        self.assertEqual(len(self.delivered()["headers"]), 80)
        self.assertEqual(self.http([(f"X-H-k{i}", "v") for i in range(200)]), HEAD_TOO_LARGE)

    def test_ten_thousand_headers_in_json(self):
        headers = {f"k{i}": "v" for i in range(HEADERS)}
        line = json.dumps({"body": "x", "headers": headers}).encode() + b"\n"
        self.assertEqual(self.http([("Content-Type", "application/x-ndjson")], line), 200)
        self.assertEqual(self.delivered()["headers"], {k: Typed("S", v) for k, v in headers.items()})

    # ---- Large -----------------------------------------------------------------------------------

    def test_expirations(self):
        for text in ("0", str(TEN_YEARS_MS), "0" * 200 + "5"):
            with self.subTest(text):
                self.publish(expiration=text)
                self.assertEqual(self.delivered()["expiration"], text)
        for text in NO_EXPIRATION:
            with self.subTest(text):
                self.assertIn(f"invalid expiration '{text[:200]}", self.refused(expiration=text))

    def test_priorities_and_timestamps(self):
        for number in (0, 9, 10, 255):
            self.publish(priority=number)
            self.assertEqual(self.delivered()["priority"], number)
        for number in (0, LONG_MAX, 2**63, 2**64 - 1):
            self.publish(timestamp=number)
            self.assertEqual(self.delivered()["timestamp"], number)

    def test_a_queue_with_priorities_takes_the_highest_for_its_own(self):
        queue = self.client.declare("", exclusive=True, arguments={"x-max-priority": 5}).values["queue"]
        for number, body in ((0, b"0"), (255, b"255"), (5, b"5"), (4, b"4")):
            self.client.send(harness.publishing(queue, body, 2, priority=number))
            self.client.expect(2, "basic.ack")
        self.client.call(2, "basic.consume", queue=queue, no_ack=True)
        self.assertEqual([self.client.expect(2, "basic.deliver").body for _ in range(4)], [b"255", b"5", b"4", b"0"])

    def test_delays(self):
        self.client.call(1, "exchange.declare", exchange="later", type="x-delayed-message", auto_delete=True,
                         arguments={"x-delayed-type": "fanout"})
        self.client.call(1, "queue.bind", queue=self.queue, exchange="later")
        for delay in LONGEST_DELAYS:
            self.publish("later", headers={"x-delay": delay})
        for delay in NO_DELAYS:
            with self.subTest(delay):
                # At once, unchanged, and none of those before it.
                self.publish("later", headers={"x-delay": delay})
                self.assertEqual(self.delivered()["headers"], {"x-delay": delay})
        self.assertIsNone(self.client.receive(1, 0.2))

    def test_over_http(self):
        for field, value in (("TTL", str(LONG_MAX)), ("TTL", "1e300"), ("TTL", "inf"), ("TTL", "nan"), ("TTL", "-1"),
                             ("TTL", str(TEN_YEARS_MS // 1000 + 1)), ("Timestamp", str(2**64)), ("Timestamp", "-1"),
                             ("Priority", "256"), ("Priority", "-1"), ("Priority", str(2**63))):
            with self.subTest(field=field, value=value):
                self.assertEqual(self.http([(field, value)]), 400)
        for field, value, name, expected in (("TTL", str(TEN_YEARS_MS // 1000), "expiration", str(TEN_YEARS_MS)),
                                             ("Timestamp", str(2**64 - 1), "timestamp", 2**64 - 1),
                                             ("Priority", "255", "priority", 255)):
            with self.subTest(field=field, value=value):
                self.assertEqual(self.http([(field, value)]), 201)
                self.assertEqual(self.delivered()[name], expected)
        self.assertEqual(self.http([("Priority", "u=1, i")]), 201, "a browser's, which means the answer's")
        self.assertNotIn("priority", self.delivered())
        line = json.dumps({"body": "x", "priority": 2**63}).encode() + b"\n"
        self.assertEqual(self.http([("Content-Type", "application/x-ndjson")], line), 400)

    def test_over_mqtt(self):
        with mqtt.Client(self.broker.address_of("mqtt"), mqtt.connect("me")) as me:
            me.send(mqtt.publish("t", b"x", 1, 1, said=b"\x02\xff\xff\xff\xff"))  # the longest expiry: 136 years
            self.assertEqual(me.receive().reason(), 0)
        self.assertEqual(self.delivered()["expiration"], str((2**32 - 1) * 1000))


if __name__ == "__main__":
    unittest.main()
