#!/usr/bin/env python3
"""`linnet backup` of a broker at work, and `linnet restore`: what was confirmed before the backup began is in it.

    LINNETD=... LINNET=... backup_test.py [seconds of traffic]
"""

import collections
import contextlib
import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from common import Bulk, Client, Linnetd, MIB, Publishing, amqp, number_of, numbered, tmpfs

SETTINGS = ("shards=2", "store.segment_size=4MiB")
BACKUPS = 3
DEAD = ("d0", "d1", "d2", "d3")  # some of them are on the shard that `work` is not on
FIRST = 4000  # messages in each queue before there are backups
STREAM = 500
SIZE = 300
F_OFD_SETLK = 37  # of Linux; Python 3.11 does not know it
OK, FAILURE, BAD_DATA, UNREACHABLE, CANNOT_CREATE = 0, 1, 65, 69, 73


def environment():
    """`linnet` looks for the daemon beside itself and on the path."""
    path = os.path.dirname(os.path.realpath(os.environ["LINNETD"])) + os.pathsep + os.environ["PATH"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LINNET")}
    return clean | {"PATH": path}


def command(*arguments):
    return [os.environ["LINNET"], *arguments]


def linnet(*arguments):
    return subprocess.run(command(*arguments), env=environment(), text=True, capture_output=True, timeout=120,
                          check=False)


class Traffic(threading.Thread):
    """Publishes to `queue` with confirms, and rejects everything in `work`, until it is told to stop."""

    def __init__(self, address, first):
        super().__init__()
        self.address, self.next, self.confirmed = address, first, first
        self.first, self.stopping, self.rejected, self.error = first, threading.Event(), 0, None

    def run(self):
        try:
            with Bulk(self.address) as publisher, Bulk(self.address) as rejecter:
                tags = collections.deque()
                rejecter.consume("work", lambda tag, *_: tags.append(tag), prefetch=20)
                while not self.stopping.is_set():
                    publisher.publish(numbered(Publishing(1, "", "q"), self.next, 50, SIZE), 50, 400)
                    self.next += 50
                    self.confirmed = self.first + publisher.base
                    rejecter.turn(0)
                    time.sleep(0.004)  # so that each backup cuts through what goes on, and reading it back takes no minute
                    if tags:
                        self.rejected += 1
                        rejecter.pipe.out += amqp.method_frame(1, "basic.reject", delivery_tag=tags.popleft(),
                                                               requeue=False)
                publisher.all_confirmed()
                self.confirmed = self.next
        except Exception as error:  # for the main thread to show
            self.error = error


def everything_in(client, queue):
    """Numbers, as they come; and how many were not marked redelivered."""
    found, fresh = [], 0
    count = client.count(queue)

    def on_message(tag, redelivered, _, body):
        nonlocal fresh
        found.append(number_of(body))
        fresh += not redelivered

    client.consume(queue, on_message)
    client.until(lambda: len(found) >= count, 60, f"{count} messages of {queue}")
    return found, fresh


class Backup(unittest.TestCase):
    seconds = 0.5

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="linnet-backup-")
        self.addCleanup(shutil.rmtree, self.root, True)
        self.data = self.path("data")

    def path(self, name):
        return os.path.join(self.root, name)

    def daemon(self, folder=None):
        broker = Linnetd(settings=SETTINGS, data_dir=folder or self.data)
        self.addCleanup(lambda: broker.process is not None and broker.stop())
        return broker

    def backup(self, to, *arguments, code=OK):
        done = linnet("backup", "--data-dir", self.data, "--to", to, *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertFalse(os.path.exists(to + ".part"))
        return done

    def restore(self, backup, to, *arguments, code=OK):
        done = linnet("restore", backup, "--data-dir", to, *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def fill(self, broker):
        with Bulk(broker.address) as client:
            client.call("queue.declare", queue="q", durable=True)
            client.call("exchange.declare", exchange="in", type="direct", durable=True)
            client.call("queue.declare", queue="delayed", durable=True)
            client.call("queue.declare", queue="work", durable=True, arguments={"x-dead-letter-exchange": ""})
            for name in DEAD:
                client.call("queue.declare", queue=name, durable=True)
                client.call("queue.bind", queue="work", exchange="in", routing_key=name)
            client.call("queue.declare", queue="s", durable=True, arguments={"x-queue-type": "stream"})
            client.call("exchange.declare", exchange="later", type="x-delayed-message", durable=True,
                        arguments={"x-delayed-type": "direct"})
            client.call("queue.bind", queue="delayed", exchange="later", routing_key="k")
            for queue, count in ("q", FIRST), ("s", STREAM):
                client.publish(numbered(Publishing(1, "", queue), 0, count, SIZE), count)
            for i, name in enumerate(DEAD):
                part = FIRST // len(DEAD)
                client.publish(numbered(Publishing(1, "in", name), i * part, part, SIZE), part)
            later = Publishing(1, "later", "k", headers={"x-delay": 8000})
            client.publish(numbered(later, 0, 1, SIZE), 1)
            client.all_confirmed()

    def what_is_missing(self, folder, confirmed):
        """Of what had been confirmed, in a daemon that starts on that folder."""
        missing = []
        with self.daemon(folder) as broker, contextlib.ExitStack() as stack:
            def client():
                return stack.enter_context(Bulk(broker.address))
            for queue, wanted in ("q", range(confirmed)), ("delayed", range(1)):
                reader = client()
                if queue == "delayed":
                    reader.until(lambda: reader.count("delayed") == 1, 60, "the delayed message")
                found, fresh = everything_in(reader, queue)
                self.assertEqual(found, sorted(set(found)), f"{queue}: in order, and each once")
                missing += [(queue, n) for n in set(wanted) - set(found)]
                if queue == "q":
                    self.assertEqual(fresh, 0, "nobody knows what had been delivered")
            where = collections.Counter()
            for queue in "work", *DEAD:
                found, _ = everything_in(client(), queue)
                self.assertEqual(len(found), len(set(found)), f"{queue}: each once")
                where.update(found)
            # A message may be in both: it leaves one queue after it is durable in the other.
            missing += [("work", n) for n in range(FIRST) if where[n] == 0]
            missing += self.missing_in_stream(client())
            broker.kill()
        return missing

    def missing_in_stream(self, reader):
        found = []
        reader.consume("s", lambda tag, redelivered, header, body: found.append(number_of(body)), prefetch=STREAM + 1,
                       arguments={"x-stream-offset": "first"})
        reader.until(lambda: len(found) >= STREAM, 60, "the stream")
        return [("s", n) for n, at in zip(range(STREAM), found) if n != at]

    def test_of_a_broker_at_work(self):
        with self.daemon() as broker:
            self.fill(broker)
            traffic = Traffic(broker.address, FIRST)
            traffic.start()
            confirmed = []
            for i in range(BACKUPS):
                time.sleep(self.seconds)
                confirmed.append(traffic.confirmed)
                done = json.loads(self.backup(self.path(f"copy{i}"), "-o", "json").stdout)
                self.assertTrue(done["online"])
                print(f"{done['bytes'] / MIB:.1f} MiB, {done['records']} records in {done['seconds']:.1f} s; "
                      f"{traffic.confirmed} messages confirmed, {traffic.rejected} rejected")
            traffic.stopping.set()
            traffic.join()
            self.assertIsNone(traffic.error)
            broker.kill()
        self.assertGreater(confirmed[-1], confirmed[0])
        for i, before in enumerate(confirmed):
            folder = self.path(f"again{i}")
            self.restore(self.path(f"copy{i}"), folder)
            self.assertEqual(self.what_is_missing(folder, before), [])
        # The canary: the first copy cannot hold what was confirmed before the last one began.
        shutil.rmtree(self.path("again0"))
        self.restore(self.path("copy0"), self.path("again0"))
        self.assertNotEqual(self.what_is_missing(self.path("again0"), traffic.confirmed), [])

    def simple(self, count=1000):
        with self.daemon() as broker:
            with Bulk(broker.address) as client:
                client.call("queue.declare", queue="q", durable=True)
                client.publish(numbered(Publishing(1, "", "q"), 0, count, 1000), count)
                client.all_confirmed()
            self.assertEqual(broker.terminate(), 0)

    def count(self, folder):
        with self.daemon(folder) as broker, Client(broker.address) as client:
            return client.declare("q", passive=True).values["message_count"]

    def test_of_a_broker_at_rest(self):
        self.simple()
        text = self.backup(self.path("copy")).stdout
        self.assertIn(self.path("copy"), text)
        done = json.loads(self.restore(self.path("copy"), self.path("again"), "-o", "json").stdout)
        self.assertEqual(done["data_dir"], self.path("again"))
        self.assertEqual(self.count(self.path("again")), 1000)
        self.assertEqual(self.count(self.data), 1000)

    def test_refusals(self):
        self.simple(10)
        self.backup(self.path("copy"))
        self.assertIn("is there already", self.backup(self.path("copy"), code=CANNOT_CREATE).stderr)
        self.assertIn("is not empty", self.restore(self.path("copy"), self.data, code=CANNOT_CREATE).stderr)
        self.assertIn("is no backup", self.restore(self.data, self.path("again"), code=BAD_DATA).stderr)
        os.mkdir(self.path("empty"))
        done = linnet("backup", "--data-dir", self.path("empty"), "--to", self.path("new"))
        self.assertEqual(done.returncode, BAD_DATA, done.stderr)
        self.assertEqual(linnet("backup").returncode, 64)
        self.assertEqual(self.count(self.data), 10)

    def test_a_damaged_backup_restores_nothing(self):
        self.simple()
        self.backup(self.path("copy"))
        name = max((os.path.join(path, name) for path, _, names in os.walk(self.path("copy")) for name in names),
                   key=os.path.getsize)
        with open(name, "r+b") as file:
            file.seek(os.path.getsize(name) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 1]))
        text = self.restore(self.path("copy"), self.path("again"), code=BAD_DATA).stderr
        print(text.strip())
        self.assertIn(name, text)
        self.assertFalse(os.path.exists(self.path("again")))

    def test_a_damaged_data_folder_is_not_backed_up(self):
        self.simple()
        name = next(path for path in (os.path.join(self.data, n, f"log-{n}-{1:016x}") for n in "01")
                    if os.path.exists(path))
        with open(name, "r+b") as file:
            file.seek(200_000)
            file.write(b"damage")
        text = self.backup(self.path("copy"), code=BAD_DATA).stderr
        print(text.strip())
        self.assertIn(os.path.basename(name), text)
        self.assertFalse(os.path.exists(self.path("copy")))

    def test_a_full_disk(self):
        self.simple(3000)
        with tmpfs("1m") as folder:
            text = self.backup(os.path.join(folder, "copy"), code=CANNOT_CREATE).stderr
            self.assertEqual(os.listdir(folder), [])
            print(text.strip())
            self.backup(self.path("copy"))
            text = self.restore(self.path("copy"), os.path.join(folder, "data"), code=CANNOT_CREATE).stderr
            print(text.strip())
            self.assertEqual(os.listdir(folder), [])

    def segments(self):
        return {os.path.relpath(os.path.join(path, name), self.data)
                for path, _, names in os.walk(self.data) for name in names if name.startswith("log-")}

    def test_nothing_that_is_being_copied_goes(self):
        """A backup as the broker sees one; over a deletion, and over a death of the broker."""
        with self.daemon() as broker, contextlib.ExitStack() as backup:
            with Bulk(broker.address) as client:
                for queue, kind in ("q", "classic"), ("s", "stream"):
                    client.call("queue.declare", queue=queue, durable=True, arguments={"x-queue-type": kind})
                    client.publish(numbered(Publishing(1, "", queue), 0, 6000, 1000), 6000)
                client.all_confirmed()
                before = self.segments()
                request = backup.enter_context(open(os.path.join(self.data, "BACKUP"), "w", encoding="ascii"))
                fcntl.fcntl(request, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
                request.write(f"{0x5eed:016x}\n")
                request.flush()
                self.until(lambda: self.answered(0x5eed), "the broker's answer")
                client.call("queue.purge", queue="q")
                client.call("queue.delete", queue="s")
                client.publish(numbered(Publishing(1, "", "q"), 0, 12000, 1000), 12000)
                client.all_confirmed()
                client.call("queue.purge", queue="q")
            time.sleep(2.5)
            self.assertLessEqual(before, self.segments())
            broker.kill()
            broker.start_again()
            time.sleep(2.5)
            self.assertLessEqual(before, self.segments())
            backup.close()
            with Bulk(broker.address) as client:
                # What is left goes with what comes.
                client.publish(numbered(Publishing(1, "", "q"), 0, 12000, 1000), 12000)
                client.all_confirmed()
            self.until(lambda: not before & {name for name in self.segments() if not name.startswith("meta/")},
                       "what was to go, to go")
            self.assertEqual(broker.terminate(), 0)
        self.assertEqual(self.count(self.data), 12000)

    def answered(self, number):
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.data, "BACKUP.cut"), "rb") as file:
            return file.readline() == f"request {number:016x}\n".encode()
        return False

    def until(self, condition, what):
        deadline = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"waited for {what}")
            time.sleep(0.05)

    def test_one_that_ends_early_leaves_nothing(self):
        with self.daemon() as broker:
            with Bulk(broker.address) as client:
                client.call("queue.declare", queue="q", durable=True)
            for number, code in (signal.SIGTERM, FAILURE), (signal.SIGKILL, -signal.SIGKILL):
                broker.signal(signal.SIGSTOP)  # it does not answer, so the backup waits
                waiting = subprocess.Popen(command("backup", "--data-dir", self.data, "--to", self.path("copy")),
                                           env=environment(), stderr=subprocess.PIPE, text=True)
                while not os.path.exists(os.path.join(self.path("copy.part"), ".linnet-unfinished")):
                    time.sleep(0.01)
                time.sleep(0.2)
                waiting.send_signal(number)
                self.assertEqual(waiting.wait(30), code)
                waiting.stderr.close()
                self.assertFalse(os.path.exists(self.path("copy")))
                broker.signal(signal.SIGCONT)
            # What the one that was killed has left goes with the next, and nothing holds the broker up.
            self.backup(self.path("copy"))
            self.assertEqual(broker.terminate(), 0)
        self.assertEqual(self.count(self.data), 0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Backup.seconds = float(sys.argv.pop())
    unittest.main()
