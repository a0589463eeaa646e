#!/usr/bin/env python3
"""T6 of the daemon (P5): a sync fails under publishers who wait for confirms. Nothing more is confirmed, the daemon ends
at once and says why, and the next one has all that was confirmed: of a queue and of a stream, whether the log is
written by a thread (fdatasync fails once, and would succeed from then on) or by a ring (O_DSYNC writes fail).

A library made here is preloaded into the daemon, see failing_sync.c.

The canary is a daemon for which the sync that fails is a good one, as it would be if it asked again.

    LINNETD=... failing_sync_test.py [cycles]
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from common import HERE, Bulk, Client, Ended, Linnetd, Publishing, harness, number_of, numbered, skip

BODY = 1024
IO_ERROR = 74  # EX_IOERR
PATIENCE = 30
BELIEVED = "something was confirmed after the failure"
LIMIT = 1 << 20  # of a file's size, for a ring: what is written below it has been written
NO_RING, CANARY = ("-DWITHOUT_RING",), "-DBELIEVED"
QUEUES = {"queue": {}, "stream": {"x-queue-type": "stream"}}


class Shim:
    def __init__(self, folder, *defines):
        self.folder, self.library = folder, os.path.join(folder, "shim.so")
        compiler = shutil.which("cc") or skip("no C compiler to make the library with")
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", *defines, "-o", self.library,
                        os.path.join(HERE, "failing_sync.c"), "-ldl"], check=True)

    def environment(self):
        return {"LD_PRELOAD": self.library, "FAILING_SYNC_FOLDER": self.folder}

    def say(self, name):
        with open(os.path.join(self.folder, name), "wb"):
            pass

    def heard(self, name):
        return os.path.exists(os.path.join(self.folder, name))


class Publisher(Bulk):
    def __init__(self, address, queue):
        super().__init__(address)
        self.address, self.next = Publishing(1, "", queue), 0

    def publish_some(self, count=20):
        if self.sent - self.confirmed < 500:
            self.pipe.out += numbered(self.address, self.next, count, BODY)
            self.sent += count
            self.next += count
        self.turn(0.005)

    def hear_all(self):
        """All that the broker has said so far: until it has been silent for a while."""
        before, since = self.confirmed, time.monotonic()
        while time.monotonic() - since < 1.5:
            self.turn(0.02)
            if self.confirmed != before:
                before, since = self.confirmed, time.monotonic()


def has_ring(broker):
    folder = f"/proc/{broker.pid}/fd"
    return any("io_uring" in os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder))


def fail_thread(broker, shim, publisher):
    """The sync that is to fail is held back until everything that came before it has been heard of."""
    shim.say("arm")
    deadline = time.monotonic() + PATIENCE
    while not shim.heard("failing"):
        assert time.monotonic() < deadline, "nothing was synced"
        publisher.publish_some()
    publisher.hear_all()
    may_be_confirmed = publisher.confirmed
    shim.say("fail")
    return may_be_confirmed


def fail_ring(broker, shim, publisher):
    """What has been sent before may have been written; what is sent from now on can not."""
    while publisher.confirmed * BODY < 2 * LIMIT:
        publisher.publish_some()
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (LIMIT, resource.RLIM_INFINITY))
    return publisher.sent


def until_the_end(publisher, may_be_confirmed):
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            publisher.publish_some()
            assert publisher.confirmed <= may_be_confirmed, BELIEVED
        raise AssertionError("it goes on")
    except (Ended, OSError):
        publisher.pipe.read()  # what is left of what it said


def read_back(broker, queue, stream):
    got = []
    with Bulk(broker.address) as reader:
        count = reader.count(queue)

        def on_message(tag, redelivered, header, body):
            got.append(number_of(body))
            if len(got) % 50 == 0:
                reader.acknowledge(tag)

        reader.consume(queue, on_message, prefetch=200, arguments={"x-stream-offset": "first"} if stream else {})
        if stream:
            quiet = time.monotonic()  # its count may be of what has been kept since
            while time.monotonic() - quiet < 1 and len(got) < count:
                reader.turn(0.05)
        reader.until(lambda: len(got) >= count, PATIENCE, f"{count} messages")
    return got


def cycle(kind, fail_by, defines):
    with tempfile.TemporaryDirectory(prefix="linnet-sync-") as folder:
        shim = Shim(folder, *defines)
        with Linnetd(settings=("shards=1", "store.segment_size=16MiB"), env=shim.environment()) as broker:
            try:
                run(broker, shim, kind, fail_by)
            except BaseException as error:
                if str(error) != BELIEVED or CANARY not in defines:
                    print(broker.log_tail())
                raise


def run(broker, shim, kind, fail_by):
    with Client(broker.address) as client:
        client.declare(kind, durable=True, arguments=QUEUES[kind])
    means = "ring" if fail_by is fail_ring else "thread"
    with Publisher(broker.address, kind) as publisher:
        while publisher.confirmed < 200:
            publisher.publish_some()
        if has_ring(broker) != (fail_by is fail_ring):
            print(f"NOT TESTED: {kind}, {means}: there is no ring to be had", flush=True)
            return
        may_be_confirmed = fail_by(broker, shim, publisher)
        failed = time.monotonic()
        until_the_end(publisher, may_be_confirmed)
        status = broker.process.wait(PATIENCE)
        ended = time.monotonic() - failed
        assert status == IO_ERROR, f"it ended with {status}"
        assert publisher.refused == 0
        assert publisher.confirmed <= may_be_confirmed, BELIEVED
        confirmed, sent = publisher.base, publisher.sent
    assert not publisher.early, "confirms out of turn in one queue"
    assert "nothing more can be made durable" in broker.log_text()
    broker.extra_env = {}
    broker.start_again()
    got = read_back(broker, kind, kind == "stream")
    assert got == list(range(len(got))), "something is missing in between, twice, or out of order"
    assert confirmed <= len(got) <= sent, f"{len(got)} there, {confirmed} confirmed, {sent} sent"
    harness.works(broker.address)
    assert broker.terminate() == 0
    print(f"{kind}, {means}: {sent} sent, {confirmed} confirmed, {len(got)} there; ended after {ended * 1e3:.0f} ms",
          flush=True)


def canary():
    try:
        cycle("queue", fail_thread, (*NO_RING, CANARY))
    except AssertionError as error:
        assert str(error) == BELIEVED, error
        print("a daemon that believes the sync is noticed", flush=True)
        return
    raise AssertionError("a daemon that believes a failed sync was not noticed")


def main():
    canary()
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        for kind in QUEUES:
            cycle(kind, fail_thread, NO_RING)
            cycle(kind, fail_ring, ())


if __name__ == "__main__":
    main()
