#!/usr/bin/env python3
"""Binding patterns made of wildcards, and the keys that all of them match: a publish costs what a walk costs.

LINNET_PATTERNS: how many patterns; a million take some minutes.
"""

import itertools
import os
import random
import unittest

import harness
import raw_amqp as amqp
from harness import Client, Linnetd

PATTERNS = int(os.environ.get("LINNET_PATTERNS", 50_000))
QUEUES = 4
AT_ONCE = 1000
PUBLISHES = 50
# Of the processor, for one publish. It takes less than a millisecond; what grows with combinations never ends.
SECONDS_MAX = 0.05
# As many of the deep ones as limits.topic_wildcards lets in, walked state by state: 0.14 ms at most was measured.
DEEP_SECONDS_MAX = 0.003

LEVELS = 127  # as many as fit into a key of 255 bytes
KEYS = {
    "a level again and again": ".".join("a" * LEVELS),
    "nothing but the last level differs": ".".join("a" * (LEVELS - 1) + "b"),
    "every other level": ".".join(("ab" * LEVELS)[:LEVELS]),
    "empty levels": "." * 255,
    "one level": "a",
    "a long level": "a" * 255,
}


def wildcards():
    """Every pattern of "a", "*" and "#", the short ones first."""
    for levels in itertools.count(1):
        for pattern in itertools.product(("a", "*", "#"), repeat=levels):
            yield ".".join(pattern)


def deep_ones():
    """Each level may be any number of levels: the longest that there can be, all different."""
    chosen = random.Random(1)
    while True:
        yield ".".join(level for _ in range(60) for level in ("#", chosen.choice("ab")))


class Binding(unittest.TestCase):
    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.broker = Linnetd(settings=("shards=2", "log.level=warning", *cls.settings), start_seconds=20).start()
        cls.addClassCleanup(cls.broker.stop)

    def bound(self, patterns, count):
        client = Client(self.broker.address, seconds=60)
        self.addCleanup(client.close)
        queues = [client.declare("", exclusive=True).values["queue"] for _ in range(QUEUES)]
        at = itertools.cycle(queues)
        for begin in range(0, count, AT_ONCE):
            part = list(itertools.islice(patterns, min(AT_ONCE, count - begin)))
            client.send(b"".join(amqp.method_frame(1, "queue.bind", queue=next(at), exchange="amq.topic",
                                                   routing_key=pattern) for pattern in part))
            for _ in part:
                client.expect(1, "queue.bind-ok")
        return client, queues

    def cost(self, publisher, key, count):
        """Processor seconds of one publish, confirmed."""
        before = harness.cpu_seconds(self.broker.pid)
        for _ in range(count):
            publisher.publish(key, exchange="amq.topic")
            publisher.expect(1, "basic.ack")
        return (harness.cpu_seconds(self.broker.pid) - before) / count

    def publisher(self):
        client = Client(self.broker.address, seconds=60)
        self.addCleanup(client.close)
        client.call(1, "confirm.select")
        return client


class Patterns(Binding):
    settings = ("limits.topic_wildcards=0",)  # they have more than it lets in

    def test_many_that_all_match(self):
        client, queues = self.bound(wildcards(), PATTERNS)
        publisher = self.publisher()
        for name, key in KEYS.items():
            with self.subTest(name):
                took = self.cost(publisher, key, PUBLISHES)
                print(f"{PATTERNS} patterns, {name}: {took * 1000:.1f} ms of the processor a publish")
                self.assertLess(took, SECONDS_MAX)
        # However many patterns of a queue match, it gets each message once. "#" matches all of them.
        for queue in queues:
            counted = client.declare(queue, passive=True).values["message_count"]
            self.assertLessEqual(counted, len(KEYS) * PUBLISHES)
            self.assertGreaterEqual(counted, PUBLISHES)
        self.assertEqual(client.declare(queues[2], passive=True).values["message_count"], len(KEYS) * PUBLISHES)
        harness.works(self.broker.address)
        client.hang_up()
        harness.works(self.broker.address)

    def test_others_are_served_meanwhile(self):
        client, _ = self.bound(wildcards(), PATTERNS // 5)
        attacker = self.publisher()
        attacker.send(b"".join(harness.publishing(key, exchange="amq.topic") for key in KEYS.values()) * PUBLISHES)
        for _ in range(10):
            harness.works(self.broker.address)
        confirmed = 0
        while confirmed < len(KEYS) * PUBLISHES:
            confirmed = attacker.expect(1, "basic.ack").values["delivery_tag"]
        client.hang_up()


class Limited(Binding):
    def test_deep_ones_are_refused_before_they_cost_much(self):
        client = Client(self.broker.address, seconds=60)
        self.addCleanup(client.close)
        client.declare("deep", durable=True)  # it outlives its client's refusal
        bound = 0
        with self.assertRaises(harness.Refused) as refused:
            for pattern in deep_ones():
                client.call(1, "queue.bind", queue="deep", exchange="amq.topic", routing_key=pattern)
                bound += 1
        self.assertEqual(refused.exception.code, 406)
        self.assertIn("limit of levels behind '#'", refused.exception.text)
        self.assertGreater(bound, 10)
        publisher = self.publisher()
        for name, key in KEYS.items():
            with self.subTest(name):
                took = self.cost(publisher, key, 10 * PUBLISHES)
                print(f"{bound} deep patterns, {name}: {took * 1000:.2f} ms of the processor a publish")
                self.assertLess(took, DEEP_SECONDS_MAX)
        harness.works(self.broker.address)
        publisher.call(1, "queue.delete", queue="deep")


if __name__ == "__main__":
    unittest.main()
