#!/usr/bin/env python3
"""Ten thousand connections with a channel each: all open, little memory a connection, all closed in order."""

import select
import socket
import time
import unittest

import harness
import raw_amqp as amqp
from harness import Linnetd

COUNT = 10_000
SPARE = 500  # descriptors for everything else
AT_ONCE = 200  # on their way to being open: fewer than a listen queue takes
# User space; the aim is 4096.
BYTES_MAX = 8192

OPENING = harness.opening() + amqp.method_frame(1, "channel.open")
CLOSING = amqp.method_frame(0, "connection.close", reply_code=200, reply_text="bye")
OPEN = amqp.method_frame(1, "channel.open-ok")
CLOSED = amqp.method_frame(0, "connection.close-ok")


class ManyConnections(unittest.TestCase):
    def setUp(self):
        if not harness.own_descriptors(COUNT + SPARE):
            self.skipTest(f"this machine allows no {COUNT + SPARE} descriptors a process")
        # Without the log's lines: two a connection would be part of the figure.
        self.broker = Linnetd(settings=("log.level=warning", "limits.handshake_timeout=30s")).start()
        self.addCleanup(self.broker.stop)

    def open_all(self, count):
        """Says everything at once on each connection, and waits for the last word of the answer."""
        sockets, waiting = [], {}
        self.addCleanup(lambda: [s.close() for s in sockets])
        poll = select.epoll()
        while len(sockets) < count or waiting:
            while len(sockets) < count and len(waiting) < AT_ONCE:
                sock = socket.create_connection(self.broker.address, 10)
                sockets.append(sock)
                sock.sendall(OPENING)
                waiting[sock.fileno()] = (sock, bytearray())
                poll.register(sock, select.EPOLLIN)
            for fd, _ in poll.poll(10) or self.fail(f"{len(waiting)} connections do not open"):
                sock, data = waiting[fd]
                data += sock.recv(4096)
                if data.endswith(OPEN):
                    poll.unregister(fd)
                    del waiting[fd]
        poll.close()
        return sockets

    def close_all(self, sockets):
        """All ask first; then each must be answered and see the end."""
        for sock in sockets:
            sock.sendall(CLOSING)
        for sock in sockets:
            self.assertEqual(harness.drained(sock, 10), CLOSED)
            sock.close()

    def test_ten_thousand(self):
        harness.works(self.broker.address)
        before, descriptors = harness.resident_bytes(self.broker.pid), harness.idle_descriptors(self.broker.pid)
        began = time.monotonic()
        sockets = self.open_all(COUNT)
        took = time.monotonic() - began
        time.sleep(0.2)
        each = (harness.resident_bytes(self.broker.pid) - before) / COUNT
        print(f"{COUNT} connections with a channel each: {took:.1f} s, {each:.0f} bytes resident a connection")
        self.assertEqual(harness.open_descriptors(self.broker.pid), descriptors + COUNT)
        self.assertLess(each, BYTES_MAX)

        # Idle ones cost nothing, and others are served.
        used = harness.cpu_seconds(self.broker.pid)
        time.sleep(1)
        self.assertLess(harness.cpu_seconds(self.broker.pid) - used, 0.1)
        for _ in range(20):
            harness.works(self.broker.address)
        began = time.monotonic()
        self.close_all(sockets)
        print(f"all closed in {time.monotonic() - began:.1f} s")
        harness.wait_for(lambda: harness.open_descriptors(self.broker.pid) == descriptors, 5, "all descriptors back")
        harness.works(self.broker.address)
        self.assertEqual(self.broker.terminate(5), 0)

    def test_shutting_down_with_two_thousand_open(self):
        sockets = self.open_all(2000)
        self.broker.signal(15)
        close_ok = amqp.method_frame(0, "connection.close-ok")
        for sock in sockets:
            sock.settimeout(10)
            event = harness.events_in(sock.recv(4096))[0][0]
            self.assertEqual((event.name, event.values["reply_code"]), ("connection.close", 320))
            sock.sendall(close_ok)
            sock.close()
        self.assertEqual(self.broker.process.wait(10), 0)


if __name__ == "__main__":
    unittest.main()
