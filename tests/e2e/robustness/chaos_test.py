#!/usr/bin/env python3
"""Clients that do anything at any moment and vanish in the middle of it. The daemon stays, whole and empty.

A failure prints its seed; LINNET_SEED=<seed> chooses the same actions again (their interleaving is the machine's).
"""

import os
import random
import re
import socket
import struct
import time
import unittest

import harness
import raw_amqp as amqp
from harness import MIB, Linnetd

SECONDS = 6
CLIENTS = 40
NAMES = [f"shared{i}" for i in range(6)]
# Far above what they can pile up in the time: who is blocked would not see its own end (memory_test looks at that).
CONFIG = '[memory]\nhigh_watermark = "512MiB"\n[limits]\nqueues = 500\n'
CHANNEL_CLOSE = re.compile(rb"\x01(..)....\x00\x14\x00\x28", re.DOTALL)


class Wild:
    """Talks without listening much. Whatever it does, it never waits for an answer."""

    def __init__(self, address, chance):
        self.chance, self.channels = chance, chance.randrange(1, 4)
        self.sock = socket.create_connection(address, 5)
        self.sock.setblocking(False)
        self.reads = chance.random() < 0.8
        self.rest = harness.opening() + b"".join(amqp.method_frame(c, "channel.open") for c in range(1, self.channels + 1))

    def act(self):
        """One more thing to say, and as much said as the socket takes; False once the broker has closed."""
        if len(self.rest) < 65536:
            self.rest += self.sentence()
        try:
            if self.rest:
                self.rest = self.rest[self.sock.send(self.rest):]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return not self.reads or self.read()

    def read(self):
        """Only to learn which channels the broker has closed: they are opened again."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for number in CHANNEL_CLOSE.findall(data):
            channel = int.from_bytes(number, "big")
            self.rest += amqp.method_frame(channel, "channel.close-ok") + amqp.method_frame(channel, "channel.open")
        return data != b""

    def sentence(self):
        chance, channel = self.chance, self.chance.randrange(1, self.channels + 1)
        name = chance.choice(NAMES)

        def say(method, **values):
            return amqp.method_frame(channel, method, **values)

        polite = (
            lambda: say("queue.declare", queue=name),
            lambda: say("queue.declare", queue=name),
            lambda: say("queue.declare", queue="", exclusive=True, nowait=chance.random() < 0.5),
            lambda: say("queue.bind", queue=name, exchange="amq.fanout"),
            lambda: say("queue.bind", queue=name, exchange="amq.topic", routing_key="#"),
            lambda: say("basic.qos", prefetch_count=chance.choice((0, 1, 50))),
            lambda: say("basic.consume", queue=name, no_ack=chance.random() < 0.5, nowait=chance.random() < 0.5),
            lambda: say("basic.get", queue=name, no_ack=chance.random() < 0.5),
            lambda: say("basic.ack", delivery_tag=0, multiple=True),
            lambda: say("basic.nack", delivery_tag=0, multiple=True, requeue=chance.random() < 0.5),
            lambda: say("basic.recover", requeue=True),
            lambda: say("confirm.select") if channel == 1 else say("tx.select"),
            lambda: say("channel.close", reply_code=200) + say("channel.open"),
            lambda: harness.publishing(name, bytes(chance.choice((0, 1, 100, 5000, 200_000))), channel),
            lambda: harness.publishing(name, bytes(20), channel) * 200,
            lambda: harness.publishing(name, bytes(3000), channel) * 10,
            lambda: harness.publishing("a.b", bytes(3000), channel, chance.choice(("amq.fanout", "amq.topic"))) * 5,
        )
        rude = (
            lambda: say("queue.delete", queue=name),
            lambda: say("queue.purge", queue=name),
            lambda: say("tx.commit"),
            lambda: say("tx.rollback"),
            lambda: say("basic.ack", delivery_tag=10**6),
            lambda: say("channel.open"),
            lambda: say("channel.close-ok"),
            lambda: say("channel.close", reply_code=200),
            lambda: harness.publishing("none", b"back", channel, "nowhere"),
            lambda: harness.publishing(name, bytes(10), channel)[:-chance.randrange(1, 20)],  # out of step from here on
        )
        return chance.choice(rude if chance.random() < 0.01 else polite)()

    def vanish(self):
        kind = self.chance.randrange(3)
        if kind == 0:  # a reset
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif kind == 1:
            try:
                self.sock.send(amqp.method_frame(0, "connection.close", reply_code=200))
            except OSError:
                pass
        self.sock.close()


class Chaos(unittest.TestCase):
    def run_wild(self, shards):
        seed = int(os.environ.get("LINNET_SEED") or random.randrange(2**32))
        chance = random.Random(seed)
        with self.subTest(seed=seed), Linnetd(
                config=CONFIG, settings=(f"shards={shards}", "log.level=error")) as broker:
            harness.works(broker.address)
            descriptors = harness.idle_descriptors(broker.pid)
            wild, actions, deadline = [], 0, time.monotonic() + SECONDS / 2
            while time.monotonic() < deadline:
                if len(wild) < CLIENTS:
                    wild.append(Wild(broker.address, chance))
                client = chance.choice(wild)
                actions += 1
                if not client.act() or chance.random() < 0.003:
                    wild.remove(client)
                    client.vanish()
            self.assertIsNone(broker.process.poll(), broker.log_tail())
            for client in wild:
                client.vanish()
            harness.wait_for(lambda: harness.open_descriptors(broker.pid) == descriptors, 5,
                             "all connections are gone from the daemon")
            with harness.Client(broker.address, seconds=20) as last:
                for name in NAMES:
                    last.call(1, "queue.delete", queue=name)
                last.hang_up()
            harness.works(broker.address)
            peak = harness.resident_bytes(broker.pid, "VmHWM")
            print(f"seed {seed}: {actions} actions on {shards} shards, {peak / MIB:.0f} MiB resident at most")
            self.assertLess(peak, 768 * MIB)
            self.assertEqual(broker.terminate(5), 0)

    def test_one_shard(self):
        self.run_wild(1)

    def test_two_shards(self):
        self.run_wild(2)


if __name__ == "__main__":
    unittest.main()
