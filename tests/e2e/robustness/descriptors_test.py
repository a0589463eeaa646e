#!/usr/bin/env python3
"""Out of file descriptors: accepting pauses without spinning, who is connected lives on, room is used again; and what
cannot be read then does not change who may do what."""

import itertools
import os
import random
import resource
import shutil
import signal
import socket
import tempfile
import threading
import time
import unittest

import harness
import raw_amqp as amqp
from harness import Client, LimitedLinnetd, Linnetd, Refused

import brokers

DESCRIPTORS = 64
# What connections leave for what is stored and read again.
KEPT = DESCRIPTORS // 4
# Of one processor, while refusing. A spinning loop takes all of it.
IDLE_SHARE = 0.10


class OutOfDescriptors(unittest.TestCase):
    def setUp(self):
        self.broker = LimitedLinnetd(DESCRIPTORS).start()
        self.addCleanup(self.broker.stop)

    def fill(self):
        """Plain sockets until the daemon has none to spare for another; more than it can take are waiting."""
        sockets = [socket.create_connection(self.broker.address, 5) for _ in range(DESCRIPTORS + 20)]
        harness.wait_for(lambda: harness.open_descriptors(self.broker.pid) >= DESCRIPTORS - KEPT, 2, "no descriptor is left")
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

    def test_what_is_stored_goes_on(self):
        with Client(self.broker.address) as living, harness.closing_all(self.fill()):
            # The first of the logs' files are made for these.
            for queue in ("a", "b", "c", "d"):
                living.declare(queue, durable=True)
            living.call(1, "confirm.select")
            for n, queue in enumerate(("a", "b", "c", "d"), 1):
                living.publish(queue, b"kept", delivery_mode=2)
                self.assertEqual(living.expect(1, "basic.ack").values["delivery_tag"], n)
            living.hang_up()

    def test_who_waits_gets_what_others_had_and_no_more(self):
        with harness.closing_all(self.fill()) as sockets:
            for first in range(0, 20, 5):
                for sock in sockets[first:first + 5]:
                    sock.close()
                time.sleep(0.3)  # accepting pauses for a tenth of a second
            left = DESCRIPTORS - harness.open_descriptors(self.broker.pid)
            self.assertGreaterEqual(left, KEPT - 4, "what is kept for the logs went to connections")

    def test_it_says_so_once_a_time(self):
        with harness.closing_all(self.fill()):
            time.sleep(0.5)  # several attempts
            said = self.broker.log_text().count("cannot accept connections now")
        # Each shard has a listener of its own.
        self.assertIn(said, (1, 2))

    def test_it_ends_in_order_without_a_descriptor(self):
        with harness.closing_all(self.fill()):
            resource.prlimit(self.broker.pid, resource.RLIMIT_NOFILE, (0, DESCRIPTORS))
            self.assertEqual(self.broker.terminate(5), 0)


# Without guest, who is there where nothing else is said.
CONFIG = """\
[tls]
cert_file = "{dir}/server.pem"
key_file = "{dir}/server.key"
ca_file = "{dir}/ca.pem"
[[vhost]]
name = "/"
[[user]]
name = "ann"
password_file = "{dir}/password"
[[permission]]
user = "ann"
vhost = "/"
configure = "^{may}-"
write = ".*"
read = ".*"
"""
WHOSE = ("ann", "bob", "whoever")
OLD, NEW = ("ann",), ("bob",)
CHANGED, UNCHANGED = "reloaded (digest", "nothing was reloaded"


class Reload(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="linnet-robustness-")
        self.addCleanup(shutil.rmtree, self.folder)
        brokers.certificates(self.folder)
        self.write("password", "secret")
        self.broker = Linnetd(config=CONFIG.format(dir=self.folder, may="ann"), settings=("shards=2",),
                              listen=("amqp=127.0.0.1:0", "amqps=127.0.0.1:0")).start()
        self.addCleanup(self.broker.stop)
        self.limits = resource.prlimit(self.broker.pid, resource.RLIMIT_NOFILE)
        self.ann = Client(self.broker.address, user="ann", password="secret")
        self.addCleanup(self.ann.close)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def configure(self, may):
        with open(os.path.join(self.broker.dir, "linnet.toml"), "w", encoding="utf-8") as file:
            file.write(CONFIG.format(dir=self.folder, may=may))

    def leave_descriptors(self, count):
        """That many more than there are now; the kernel asks for the number, not for how many."""
        highest = max(int(name) for name in os.listdir(f"/proc/{self.broker.pid}/fd"))
        resource.prlimit(self.broker.pid, resource.RLIMIT_NOFILE, (highest + 1 + count, self.limits[1]))

    def leave_none(self):
        """Not even the gaps."""
        resource.prlimit(self.broker.pid, resource.RLIMIT_NOFILE, (0, self.limits[1]))

    def leave_all(self):
        resource.prlimit(self.broker.pid, resource.RLIMIT_NOFILE, self.limits)

    def reload(self, meanwhile=lambda: None):
        """What the log says in the end."""
        said = len(self.broker.log_text())
        self.broker.signal(signal.SIGHUP)
        meanwhile()
        return harness.wait_for(lambda: next((what for what in (CHANGED, UNCHANGED)
                                              if what in self.broker.log_text()[said:]), None), 5, "the reload")

    def rights(self):
        """Whose queues ann may declare."""
        found = []
        for name in WHOSE:
            self.ann.call(2, "channel.open")
            self.ann.send(amqp.method_frame(2, "queue.declare", queue=name + "-q", exclusive=True))
            answer = self.ann.receive(2, 5)
            if answer.name == "queue.declare-ok":
                found.append(name)
                self.ann.call(2, "channel.close", reply_code=200)
            else:
                self.assertEqual(answer.values["reply_code"], 403)
                self.ann.send(amqp.method_frame(2, "channel.close-ok"))
        return tuple(found)

    def assert_refused(self, user, password):
        with self.assertRaises(Refused) as refused:
            Client(self.broker.address, user=user, password=password)
        self.assertEqual(refused.exception.code, 403)

    def assert_only_ann(self, password="secret"):
        Client(self.broker.address, user="ann", password=password).hang_up()
        self.assert_refused("ann", "wrong")
        self.assert_refused("ann", "")
        self.assert_refused("guest", "guest")

    def test_without_any_descriptor_nothing_changes(self):
        self.configure("bob")
        self.leave_none()
        for _ in range(5):
            self.assertEqual(self.reload(), UNCHANGED)
            self.assertEqual(self.rights(), OLD)
        self.leave_all()
        self.assertEqual(self.rights(), OLD)
        self.assert_only_ann()
        self.assertEqual(self.reload(), CHANGED)
        self.assertEqual(self.rights(), NEW)
        self.assert_only_ann()

    def test_running_out_in_the_middle_changes_nothing(self):
        # A pipe halts the reading of the configuration at the password: what comes after it cannot be opened any more.
        pipe = os.path.join(self.folder, "password")
        os.unlink(pipe)
        os.mkfifo(pipe)
        self.configure("bob")

        def take_all_then_answer():
            with open(pipe, "w", encoding="utf-8") as file:
                self.leave_none()
                file.write("changed")

        self.assertEqual(self.reload(take_all_then_answer), UNCHANGED)
        self.assertIn("Too many open files", self.broker.log_tail(5))
        self.leave_all()
        self.assertEqual(self.rights(), OLD)
        self.assert_only_ann()
        os.unlink(pipe)
        self.write("password", "changed")
        self.assertEqual(self.reload(), CHANGED)
        self.assertEqual(self.rights(), NEW)
        self.assert_only_ann("changed")

    def test_one_now_and_then_gives_all_or_nothing(self):
        # It comes and goes.
        stopping = threading.Event()

        def come_and_go():
            for count in itertools.cycle((0, 1)):
                self.leave_descriptors(count)
                if stopping.wait(random.uniform(0.001, 0.1)):
                    return

        others = threading.Thread(target=come_and_go)
        others.start()
        self.addCleanup(others.join, 10)
        self.addCleanup(stopping.set)
        held, outcomes = OLD, []
        for i in range(100):
            wanted = (NEW, OLD)[i % 2]
            self.configure(wanted[0])
            outcomes.append(self.reload())
            held = wanted if outcomes[-1] == CHANGED else held
            self.assertEqual(self.rights(), held)
        print(f"{outcomes.count(CHANGED)} of {len(outcomes)} reloads found their descriptors")
        stopping.set()
        others.join(10)
        self.leave_all()
        self.assert_only_ann()


if __name__ == "__main__":
    unittest.main()
