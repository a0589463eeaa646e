#!/usr/bin/env python3
"""Consumers that do not read: the daemon's memory stays bounded, fast ones are unharmed, nothing is lost."""

import base64
import socket
import struct
import threading
import time
import unittest

import harness
import raw_amqp as amqp
from harness import KIB, MIB, Client, Linnetd

BODY = 16 * KIB
# What a broker may hold for one socket that is not read: output up to its mark, and what goes with it.
PER_SLOW_CONSUMER = 512 * KIB

# Messages that a publisher may be ahead of the reader it watches.
AHEAD = 512


def numbered(queue, first, count, size=BODY, **target):
    """Publishings whose bodies begin with their number."""
    return b"".join(harness.publishing(queue, struct.pack(">Q", n) + bytes(size - 8), **target)
                    for n in range(first, first + count))


class Counter(threading.Thread):
    """Reads auto-acknowledged deliveries as fast as it can and keeps what their bodies begin with."""

    def __init__(self, client, count):
        super().__init__(daemon=True)
        self.client, self.count, self.numbers, self.failure = client, count, [], None

    def run(self):
        try:
            while len(self.numbers) < self.count:
                self.numbers.append(struct.unpack_from(">Q", self.client.expect(1, "basic.deliver").body)[0])
        except Exception as failure:  # the test's thread tells of it
            self.failure = failure


class SlowConsumers(unittest.TestCase):
    def setUp(self):
        self.broker = Linnetd().start()
        self.addCleanup(self.broker.stop)

    def publish_all(self, queue, count, chunk=64, reader=None, **target):
        """With a confirm a chunk: what is published has arrived. Never far ahead of a reader, if there is one."""
        with Client(self.broker.address, seconds=30) as publisher:
            publisher.call(1, "confirm.select")
            for first in range(0, count, chunk):
                publisher.send(numbered(queue, first, min(chunk, count - first), **target))
                confirmed = 0
                while confirmed < min(first + chunk, count):
                    confirmed = max(confirmed, publisher.expect(1, "basic.ack").values["delivery_tag"])
                if reader:
                    harness.wait_for(lambda: confirmed - len(reader.numbers) <= AHEAD, 10, "the reader follows")
            publisher.hang_up()

    def test_a_hundred_that_never_read_share_a_queue_with_one_that_does(self):
        slow_count, count = 100, 200 * MIB // BODY
        with Client(self.broker.address) as owner:
            owner.declare("shared")
            owner.declare("fast")
            slow = [Client(self.broker.address, receive_buffer=4 * KIB) for _ in range(slow_count)]
            with harness.closing_all(slow):
                for client in slow:
                    client.call(1, "basic.qos", prefetch_count=10)
                    client.call(1, "basic.consume", queue="shared")
                fast_client = Client(self.broker.address, seconds=30)
                fast_client.call(1, "basic.consume", queue="fast", no_ack=True)
                fast = Counter(fast_client, count)
                before = harness.resident_bytes(self.broker.pid)
                fast.start()
                # The slow ones have their prefetch and no more; then 200 MB go past them.
                self.publish_all("shared", 10 * slow_count)
                began = time.monotonic()
                self.publish_all("fast", count, reader=fast)
                fast.join(30)
                took = time.monotonic() - began
                peak = harness.resident_bytes(self.broker.pid, "VmHWM")
                self.assertIsNone(fast.failure)
                self.assertEqual(fast.numbers, list(range(count)))
                print(f"200 MiB past {slow_count} consumers that do not read: {took:.1f} s, "
                      f"{(peak - before) / MIB:.0f} MiB more resident at most")
                # 1000 messages are lent, some are on their way; of the 200 MiB nothing stays.
                self.assertLess(peak - before, (10 * slow_count + AHEAD) * BODY + 24 * MIB)
                fast_client.hang_up()
            # They went without a word: what they were lent is there again.
            harness.wait_for(lambda: owner.declare("shared", passive=True).values["message_count"] == 10 * slow_count,
                             5, "all that was lent comes back")
            for queue in ("shared", "fast"):
                owner.call(1, "queue.delete", queue=queue)
            owner.hang_up()

    def test_auto_ack_to_a_socket_nobody_reads_is_kept_once_and_in_order(self):
        count = 48 * MIB // BODY
        with Client(self.broker.address, receive_buffer=4 * KIB, seconds=20) as slow:
            slow.declare("backlog", auto_delete=True)
            slow.call(1, "basic.consume", queue="backlog", no_ack=True)
            before = harness.resident_bytes(self.broker.pid)
            self.publish_all("backlog", count)
            self.assertLess(harness.resident_bytes(self.broker.pid) - before, count * BODY + 16 * MIB)
            reader = Counter(slow, count)
            reader.start()
            reader.join(30)
            self.assertIsNone(reader.failure)
            self.assertEqual(reader.numbers, list(range(count)))
            slow.hang_up()

    def test_auto_ack_to_a_socket_nobody_reads_is_not_lost_when_it_closes(self):
        count = 48 * MIB // BODY
        with Client(self.broker.address) as other:
            other.declare("left")
            slow = Client(self.broker.address, receive_buffer=4 * KIB)
            slow.call(1, "basic.consume", queue="left", no_ack=True)
            self.publish_all("left", count)
            slow.close()
            # What went into its socket is gone, as it asked for. That is a few buffers full, not the queue.
            left = harness.wait_for(lambda: other.declare("left", passive=True).values["consumer_count"] == 0
                                    and other.declare("left", passive=True).values["message_count"], 5, "it is gone")
            self.assertGreater(left * BODY, 36 * MIB)
            # The end of the queue is whole: nothing in the middle is missing.
            other.call(1, "basic.consume", queue="left", no_ack=True)
            numbers = [struct.unpack_from(">Q", other.expect(1, "basic.deliver").body)[0] for _ in range(left)]
            self.assertEqual(numbers, list(range(count - left, count)))
            other.hang_up()

    def test_a_fan_out_to_many_that_do_not_read_holds_each_body_once(self):
        consumers, count = 50, 8 * MIB // BODY
        clients = [Client(self.broker.address, receive_buffer=4 * KIB, seconds=20) for _ in range(consumers)]
        with harness.closing_all(clients):
            for client in clients:
                queue = client.declare("", exclusive=True).values["queue"]
                client.call(1, "queue.bind", queue=queue, exchange="amq.fanout")
                client.call(1, "basic.consume", queue=queue, no_ack=True)
            before = harness.resident_bytes(self.broker.pid)
            self.publish_all("", count, exchange="amq.fanout")
            grown = harness.resident_bytes(self.broker.pid) - before
            print(f"8 MiB to {consumers} consumers that do not read: {grown / MIB:.0f} MiB more resident")
            self.assertLess(grown, 8 * MIB + consumers * PER_SLOW_CONSUMER)
            # Each of them finds everything, in order.
            for client in clients[::10]:
                for number in range(count):
                    body = client.expect(1, "basic.deliver").body
                    self.assertEqual(struct.unpack_from(">Q", body)[0], number)

    def test_who_asks_and_does_not_listen_is_not_read_any_more(self):
        # Answers pile up in front of a peer that only talks: it is held back by its own full socket.
        with Client(self.broker.address, receive_buffer=4 * KIB) as talker:
            question = amqp.method_frame(1, "queue.declare", queue="asked")
            talker.call(1, "queue.declare", queue="asked")
            before = harness.resident_bytes(self.broker.pid)
            talker.sock.settimeout(0.5)
            sent, block = 0, question * 4096
            with self.assertRaises(TimeoutError):
                while sent < 256 * MIB:
                    sent += talker.sock.send(block)
            self.assertLess(harness.resident_bytes(self.broker.pid) - before, 8 * MIB)
            harness.works(self.broker.address)


class SlowReaders(unittest.TestCase):
    """Of a long answer: a byte now and then is no progress. The kernel takes more of an answer only when a good part of
    what it has is gone, so whoever takes little is seen not to read at all."""

    def test_a_byte_at_a_time_holds_no_answer(self):
        with Linnetd(settings=("http.idle_timeout=1s",), listen=("amqp=127.0.0.1:0", "http=127.0.0.1:0")) as broker:
            with Client(broker.address) as client:
                for n in range(15_000):
                    client.declare(f"{'long' * 40}-{n}")
                before = harness.open_descriptors(broker.pid)
                for connection in (b"close", b"keep-alive"):
                    with self.subTest(connection), socket.socket() as reader:
                        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
                        reader.settimeout(20)
                        reader.connect(broker.address_of("http"))
                        reader.sendall(b"GET /api/queues HTTP/1.1\r\nHost: a\r\nConnection: " + connection + b"\r\n"
                                       b"Authorization: Basic " + base64.b64encode(b"guest:guest") + b"\r\n\r\n")
                        head = reader.recv(12)
                        self.assertEqual(head, b"HTTP/1.1 200")

                        def let_go():
                            self.assertEqual(len(reader.recv(1)), 1)
                            time.sleep(0.05)
                            return harness.open_descriptors(broker.pid) <= before

                        harness.wait_for(let_go, 30, "the broker gives the answer up")
                        self.assertFalse(harness.drained(reader, 20).endswith(b"0\r\n\r\n"), "it was all sent")
                client.hang_up()


if __name__ == "__main__":
    unittest.main()
