#!/usr/bin/env python3
"""Out of file descriptors: accepting pauses without spinning, who is connected lives on, room is used again."""

import socket
import time
import unittest

import harness
from harness import Client, LimitedLinnetd

DESCRIPTORS = 64
# Of one processor, while refusing. A spinning loop takes all of it.
IDLE_SHARE = 0.10


class OutOfDescriptors(unittest.TestCase):
    def setUp(self):
        self.broker = LimitedLinnetd(DESCRIPTORS).start()
        self.addCleanup(self.broker.stop)

    def fill(self):
        """Plain sockets until the daemon has no descriptor left; more than it can take are waiting."""
        sockets = [socket.create_connection(self.broker.address, 5) for _ in range(DESCRIPTORS + 20)]
        harness.wait_for(lambda: harness.open_descriptors(self.broker.pid) >= DESCRIPTORS, 2, "no descriptor is left")
        return sockets

    def test_accepting_pauses_and_resumes(self):
        living = Client(self.broker.address)
        with living, harness.closing_all(self.fill()) as sockets:
            time.sleep(0.2)  # the burst of accepting is over
            before = harness.cpu_seconds(self.broker.pid)
            time.sleep(1)
            used = harness.cpu_seconds(self.broker.pid) - before
            print(f"processor seconds in a second of refusing: {used:.2f}")
            self.assertLess(used, IDLE_SHARE)

            # Who is in is served.
            queue = living.declare("", exclusive=True).values["queue"]
            living.publish(queue, b"alive")
            living.call(1, "basic.consume", queue=queue, no_ack=True)
            self.assertEqual(living.expect(1, "basic.deliver").body, b"alive")

            # Who waits gets in once others go: the kernel has kept its first words.
            waiting = socket.create_connection(self.broker.address, 5)
            waiting.sendall(harness.amqp.HEADER)
            waiting.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                waiting.recv(1)
            for sock in sockets:
                sock.close()
            waiting.settimeout(3)
            self.assertEqual(waiting.recv(1), b"\x01")
            waiting.close()
            harness.works(self.broker.address)
            living.hang_up()

    def test_it_says_so_once_a_time(self):
        with harness.closing_all(self.fill()):
            time.sleep(0.5)  # several attempts
            said = self.broker.log_text().count("cannot accept connections now")
        # Each shard has a listener of its own.
        self.assertIn(said, (1, 2))

    def test_it_ends_in_order_without_a_descriptor(self):
        with harness.closing_all(self.fill()):
            self.assertEqual(self.broker.terminate(5), 0)


if __name__ == "__main__":
    unittest.main()
