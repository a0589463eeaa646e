#!/usr/bin/env python3
"""Connections that never become one: silence, drips and rubbish. All are gone at the handshake timeout."""

import socket
import time
import unittest

import harness
import raw_amqp as amqp
from harness import Client, Linnetd

TIMEOUT = 1.0
# A loaded machine may be late; never early.
LATE = 1.5

TUNE_OK = amqp.method_frame(0, "connection.tune-ok", channel_max=2047, frame_max=131072, heartbeat=0)
# What was said before falling silent -> what the broker has answered by then.
STAGES = {
    "nothing": (b"", []),
    "half a header": (amqp.HEADER[:5], []),
    "header": (amqp.HEADER, ["connection.start"]),
    "half a frame": (amqp.HEADER + harness.start_ok()[:40], ["connection.start"]),
    "start-ok": (amqp.HEADER + harness.start_ok(), ["connection.start", "connection.tune"]),
    "tune-ok": (amqp.HEADER + harness.start_ok() + TUNE_OK, ["connection.start", "connection.tune"]),
}


class HalfOpen(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Linnetd(config=f'[limits]\nhandshake_timeout = "{int(TIMEOUT * 1000)}ms"\n').start()
        cls.addClassCleanup(cls.broker.stop)

    def test_silence_ends_at_the_timeout_wherever_it_begins(self):
        # All at once: they wait together, not one after the other.
        began, sockets = time.monotonic(), {}
        for name, (said, _) in STAGES.items():
            sockets[name] = socket.create_connection(self.broker.address, 5)
            sockets[name].sendall(said)
        with harness.closing_all(sockets.values()):
            harness.works(self.broker.address)
            for name, (_, answers) in STAGES.items():
                with self.subTest(name):
                    data = harness.drained(sockets[name], TIMEOUT + LATE)
                    took = time.monotonic() - began
                    events, rest = harness.events_in(data)
                    self.assertEqual([e.name for e in events], answers)
                    self.assertEqual(rest, b"")
                    self.assertGreater(took, TIMEOUT * 0.9)

    def test_drips_do_not_prolong_it(self):
        # One byte each 20 ms: never silent, never done.
        with socket.create_connection(self.broker.address, 5) as sock:
            began = time.monotonic()
            ended = None
            for byte in amqp.HEADER + harness.start_ok():
                try:
                    sock.sendall(bytes([byte]))
                    sock.settimeout(0.02)
                    if not sock.recv(1 << 12):
                        raise ConnectionResetError
                except TimeoutError:
                    pass
                except OSError:
                    ended = time.monotonic() - began
                    break
            self.assertIsNotNone(ended, "the whole handshake dripped in")
            self.assertGreater(ended, TIMEOUT * 0.9)
            self.assertLess(ended, TIMEOUT + LATE)

    def test_an_open_connection_is_not_measured_by_it(self):
        with Client(self.broker.address) as client:
            # A frame of an open connection may take as long as it likes.
            frame = amqp.method_frame(1, "queue.declare", queue="slow", exclusive=True)
            for at in range(0, len(frame), 8):
                client.send(frame[at:at + 8])
                time.sleep(TIMEOUT * 1.5 / (len(frame) / 8))
            self.assertEqual(client.expect(1, "queue.declare-ok").values["queue"], "slow")
            client.hang_up()

    def test_rubbish_gets_our_header_and_the_end(self):
        for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"AMQP\x00\x01\x00\x00", b"AMQP\x01\x01\x08\x00", bytes(64)):
            with self.subTest(rubbish), socket.create_connection(self.broker.address, 5) as sock:
                sock.sendall(rubbish)
                # Well before any timeout: it is known at once.
                self.assertEqual(harness.drained(sock, TIMEOUT * 0.8), amqp.HEADER)

    def test_a_hundred_silent_ones_harm_nobody(self):
        with Client(self.broker.address) as living:
            descriptors = harness.open_descriptors(self.broker.pid)
            sockets = [socket.create_connection(self.broker.address, 5) for _ in range(100)]
            with harness.closing_all(sockets):
                harness.wait_for(lambda: harness.open_descriptors(self.broker.pid) >= descriptors + 100, 1,
                                 "all hundred are accepted")
                harness.works(self.broker.address)
                for sock in sockets:
                    self.assertEqual(harness.drained(sock, TIMEOUT + LATE), b"")
            living.call(1, "queue.declare", queue="", exclusive=True)
            living.hang_up()
            harness.wait_for(lambda: harness.open_descriptors(self.broker.pid) < descriptors, 1,
                             "their descriptors are given back")


if __name__ == "__main__":
    unittest.main()
