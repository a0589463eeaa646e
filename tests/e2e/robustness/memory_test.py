#!/usr/bin/env python3
"""The memory high watermark: publishers wait, consumers go on, and what is resident stays bounded."""

import signal
import socket
import struct
import threading
import time
import unittest

import harness
import raw_amqp as amqp
from harness import KIB, MIB, Client, Linnetd

WATERMARK = 64 * MIB
BODY = 64 * KIB


class Publisher(threading.Thread):
    """Publishes without a pause until it is told to stop or `bytes_max` are out; one byte goes when it goes."""

    def __init__(self, client, queue, bytes_max):
        super().__init__(daemon=True)
        self.client, self.queue, self.bytes_max = client, queue, bytes_max
        self.sent, self.rest, self.stopping = 0, b"", threading.Event()
        self.last_progress = time.monotonic()

    def run(self):
        block = harness.publishing(self.queue, bytes(BODY))
        self.client.sock.settimeout(0.05)
        while not self.stopping.is_set() and (self.sent < self.bytes_max or self.rest):
            self.rest = self.rest or block
            try:
                count = self.client.sock.send(self.rest)
            except TimeoutError:
                continue
            except OSError:
                return
            self.sent += count
            self.rest = self.rest[count:]
            self.last_progress = time.monotonic()

    def held_back(self):
        return time.monotonic() - self.last_progress > 0.4


class Overload(unittest.TestCase):
    mode = "memory"

    def setUp(self):
        self.broker = Linnetd(config=f'[store]\nmode = "{self.mode}"\n'
                                     f'[memory]\nbudget = "{WATERMARK // MIB}MiB"\n').start()
        self.addCleanup(self.broker.stop)
        self.clients = []
        self.start = harness.resident_bytes(self.broker.pid)

    def connect(self, **arguments):
        client = Client(self.broker.address, seconds=15, **arguments)
        self.addCleanup(client.close)
        self.clients.append(client)
        return client

    def overload(self, publishers, through=False):
        """Publishes ten times what fits, from `publishers` at once, until all of them are held back, or are through."""
        threads = [Publisher(p, "overload", 10 * WATERMARK // len(publishers)) for p in publishers]
        for thread in threads:
            thread.start()
            self.addCleanup(thread.join, 5)
            self.addCleanup(thread.stopping.set)
        if through:
            harness.wait_for(lambda: not any(t.is_alive() for t in threads), 60, "all publishers are through")
        else:
            harness.wait_for(lambda: all(t.held_back() for t in threads), 10, "all publishers are held back")
        return threads

    def drain(self, client, queue="overload", seconds=10, publisher=None):
        """Consumes until the publisher, if any, is through, and nothing has come for a moment."""
        client.call(1, "basic.consume", queue=queue, no_ack=True, consumer_tag="drain")
        count, deadline = 0, time.monotonic() + seconds
        while time.monotonic() < deadline:
            through = publisher is None or not publisher.is_alive()
            event = client.receive(1, 0.5)
            if event is None and through:
                return count
            if event is None:
                continue
            self.assertEqual((event.name, len(event.body)), ("basic.deliver", BODY))
            count += 1
        self.fail("the queue never ran empty")


class Spilling(Overload):
    """With a store, queues put into the log what memory has no room for: nobody waits."""

    mode = "durable"

    def test_an_overload_goes_to_the_disk_and_comes_back_whole(self):
        consumer = self.connect()
        consumer.declare("overload")
        publishers = self.overload([self.connect(), self.connect()], through=True)
        sent = sum(p.sent for p in publishers)
        peak = harness.resident_bytes(self.broker.pid, "VmHWM")
        print(f"budget {WATERMARK // MIB} MiB: took {sent / MIB:.0f} MiB, {peak / MIB:.0f} MiB at most")
        self.assertGreaterEqual(sent, 10 * WATERMARK)
        self.assertLess(peak - self.start, WATERMARK * 2)
        whole = sent // len(harness.publishing("overload", bytes(BODY)))
        self.assertEqual(self.drain(consumer, seconds=60), whole)


class HighWatermark(Overload):
    """Without one, publishers wait."""

    def test_overload_is_held_back_and_everybody_else_served(self):
        consumer = self.connect()
        consumer.declare("overload")
        before_alarm = self.connect()
        before_alarm.declare("other")
        for _ in range(100):
            before_alarm.publish("other", b"published before")
        before_alarm.declare("other", passive=True)  # they have arrived
        polite, rude = self.connect(), self.connect(capabilities=())
        publishers = self.overload([polite, rude, self.connect(), self.connect()])
        sent = sum(p.sent for p in publishers)
        resident = harness.resident_bytes(self.broker.pid)
        peak = harness.resident_bytes(self.broker.pid, "VmHWM")
        print(f"watermark {WATERMARK // MIB} MiB: took {sent / MIB:.0f} MiB, {resident / MIB:.0f} MiB resident, "
              f"{peak / MIB:.0f} MiB at most")
        self.assertLess(peak - self.start, WATERMARK * 2)
        # The kernel's buffers hold the difference between what was sent and what fits.
        self.assertLess(sent, 10 * WATERMARK / 2)

        # Whoever can hear it is told, once; whoever cannot is not.
        blocked = polite.expect(0, "connection.blocked")
        self.assertEqual(blocked.values["reason"], "low on memory")
        self.assertIsNone(rude.receive(0, 0.1))

        # Consuming works, on an old connection and on a new one, which may also declare.
        before_alarm.call(1, "basic.consume", queue="other", no_ack=True)
        for _ in range(100):
            self.assertEqual(before_alarm.expect(1, "basic.deliver").body, b"published before")
        newcomer = self.connect()
        newcomer.declare("", exclusive=True)
        self.assertEqual(newcomer.call(1, "queue.purge", queue="other").values["message_count"], 0)
        newcomer.hang_up()
        # Who has published nothing so far is blocked by its first attempt only.
        late = self.connect()
        late.declare("other")
        late.publish("other", b"late")
        late.expect(0, "connection.blocked")

        for p in publishers:
            p.bytes_max = p.sent  # finish the sentence, say nothing new
        self.drain(consumer)
        for client in (polite, late):
            client.expect(0, "connection.unblocked")
        self.assertEqual(before_alarm.expect(1, "basic.deliver").body, b"late")
        for p in publishers:
            p.join(5)
            self.assertFalse(p.is_alive())
        for client in (polite, rude, late):
            client.declare("", exclusive=True)
            client.hang_up()

    def test_nothing_is_lost_over_many_alarms(self):
        consumer, publisher = self.connect(), self.connect()
        consumer.declare("overload")
        thread = self.overload([publisher])[0]
        count = self.drain(consumer, seconds=60, publisher=thread)
        self.assertEqual(thread.sent % len(harness.publishing("overload", bytes(BODY))), 0)
        self.assertEqual(count, thread.sent // len(harness.publishing("overload", bytes(BODY))))
        self.assertLess(harness.resident_bytes(self.broker.pid, "VmHWM") - self.start, WATERMARK * 2)

    def test_a_blocked_publisher_that_dies_gives_back_what_it_was_lent(self):
        # Else the memory that its death could free would stay taken, and nobody could publish any more.
        owner, dying = self.connect(), self.connect()
        owner.declare("overload")
        dying.call(1, "basic.qos", prefetch_count=10)
        dying.call(1, "basic.consume", queue="overload")
        thread = self.overload([dying])[0]
        thread.stopping.set()
        thread.join(5)
        queued = owner.declare("overload", passive=True).values
        self.assertEqual(queued["consumer_count"], 1)
        dying.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        dying.close()
        harness.wait_for(lambda: owner.declare("overload", passive=True).values["consumer_count"] == 0, 3,
                         "the dead one is noticed while the alarm is on")
        self.assertEqual(owner.declare("overload", passive=True).values["message_count"], queued["message_count"] + 10)
        owner.hang_up()

    def test_shutting_down_waits_for_no_blocked_publisher(self):
        self.connect().declare("overload")
        stays = self.connect()
        thread = self.overload([stays])[0]
        thread.stopping.set()
        thread.join(5)
        began = time.monotonic()
        self.broker.signal(signal.SIGTERM)
        while (close := stays.receive(0, 5)).name in ("connection.blocked", "connection.unblocked"):
            pass
        self.assertEqual((close.name, close.values["reply_code"]), ("connection.close", 320))
        # First the rest of the frame that it was in the middle of; then the answer that the broker waits for.
        stays.send(thread.rest + amqp.method_frame(0, "connection.close-ok"))
        self.assertEqual(stays.receive(0, 3).name, amqp.EOF)
        stays.close()
        for client in self.clients:
            client.close()
        self.assertEqual(self.broker.process.wait(5), 0)
        self.assertLess(time.monotonic() - began, 4)


if __name__ == "__main__":
    unittest.main()
