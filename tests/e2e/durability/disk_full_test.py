#!/usr/bin/env python3
"""T8: a data folder of 64 MiB is filled, emptied and used again. Publishers are told and wait, everybody else goes on,
what was confirmed is there, also after a kill -9 on the full disk.

    LINNETD=... disk_full_test.py [cycles]
"""

import contextlib
import os
import sys
import time

from common import Bulk, Client, Linnetd, Publishing, number_of, numbered, tmpfs
from linnetd import StartError

SIZE = 64 << 20
BODY = 16 << 10
SETTINGS = ("shards=1", "store.segment_size=4MiB", "store.disk_free_limit=16MiB", "log.level=info")


class Publisher(Bulk):
    def __init__(self, address):
        super().__init__(address)
        self.address, self.next = Publishing(1, "", "full"), 0

    def fill(self):
        """Publishes until the broker says that it can take no more."""
        deadline = time.monotonic() + 60
        while not self.blocked:
            assert self.next * BODY < 4 * SIZE, "four times what the disk holds, and nobody was blocked"
            assert time.monotonic() < deadline, "neither room nor a word about it"
            if self.sent - self.confirmed < 100:
                self.publish(numbered(self.address, self.next, 10, BODY), 10)
                self.next += 10
            else:
                self.turn(0.01)
        # What was under way may still be confirmed, or wait.
        for _ in range(20):
            self.turn(0.02)


def drain(address, count_min):
    """Everything there is, acknowledged; others may do that while publishers wait."""
    got, last = [], 0
    with Bulk(address) as consumer:
        def on_message(tag, redelivered, header, body):
            nonlocal last
            assert len(body) == BODY
            got.append(number_of(body))
            last = tag
            if len(got) % 50 == 0:
                consumer.acknowledge(tag)

        consumer.consume("full", on_message, prefetch=200)
        deadline = time.monotonic() + 60
        idle = time.monotonic()
        while time.monotonic() - idle < 1.5:
            before = len(got)
            consumer.turn(0.05)
            idle = time.monotonic() if len(got) > before else idle
            if len(got) % 50 and len(got) == before and last:
                consumer.acknowledge(last)
                last = 0
            assert time.monotonic() < deadline
        assert consumer.count("full") == 0
    assert len(got) >= count_min, f"{len(got)} messages where {count_min} had been confirmed"
    return got


def exactly_once(got, confirmed, sent, again=()):
    """Each confirmed one is among them, none twice, none that was never sent, in order."""
    assert len(set(got)) == len(got), "a message twice"
    assert got == sorted(got), "out of order"
    missing = confirmed - set(got) - set(again)
    assert not missing, f"{len(missing)} confirmed messages are lost, the first {min(missing)}"
    assert max(got, default=-1) < sent, "a message that was never sent"


def cycle(broker, number):
    with Publisher(broker.address) as publisher:
        publisher.fill()
        assert publisher.refused == 0
        blocked_at = publisher.confirmed
        # Others go on: they connect, declare, ask, delete.
        with Client(broker.address, seconds=20) as other:
            queue = other.declare("", exclusive=True).values["queue"]
            other.call(1, "queue.delete", queue=queue)
        got = drain(broker.address, blocked_at)
        freed = time.monotonic()
        publisher.until(lambda: not publisher.blocked, 30, "connection.unblocked")
        resumed = time.monotonic() - freed
        publisher.all_confirmed(30)
        got += drain(broker.address, 0)
        exactly_once(got, set(range(publisher.sent)), publisher.sent)
        assert publisher.blocks >= 1 and publisher.blocks == publisher.unblocks
        print(f"cycle {number}: blocked after {blocked_at * BODY / (1 << 20):.1f} MiB, {publisher.sent} confirmed in all, "
              f"unblocked {max(0.0, resumed):.2f} s after the end of the draining", flush=True)


def crash_when_full(broker):
    with Publisher(broker.address) as publisher:
        publisher.fill()
        confirmed, sent = publisher.confirmed, publisher.sent
        base = publisher.base
    broker.kill()
    broker.start_again()
    got = drain(broker.address, confirmed)
    exactly_once(got, set(range(base)), sent)
    print(f"killed on a full disk: {confirmed} confirmed, {len(got)} there", flush=True)


def no_room_to_begin():
    """A first start on a disk that is full says so and ends, and succeeds once there is room."""
    with tmpfs(SIZE) as folder:
        filling = os.path.join(folder, "filling")
        with open(filling, "wb") as f, contextlib.suppress(OSError):
            while True:
                f.write(bytes(64 << 10))
        os.truncate(filling, os.path.getsize(filling) - (1 << 20))  # enough for small files, not for a log
        data = os.path.join(folder, "data")
        os.mkdir(data)
        try:
            with Linnetd(settings=SETTINGS, data_dir=data):
                raise AssertionError("it began without room for anything")
        except StartError as error:
            assert "ended with 73" in str(error) and "no space for another segment" in str(error), error
        os.remove(filling)
        with Linnetd(settings=SETTINGS, data_dir=data) as broker:
            assert broker.terminate() == 0
    print("a first start on a full disk ends with 73", flush=True)


def main():
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    no_room_to_begin()
    with tmpfs(SIZE) as folder, Linnetd(settings=SETTINGS, data_dir=folder) as broker:
        try:
            with Client(broker.address) as client:
                client.declare("full", durable=True)
            for number in range(cycles):
                cycle(broker, number)
            crash_when_full(broker)
            cycle(broker, "after it")
            assert broker.terminate() == 0
        except BaseException:
            print(broker.log_tail())
            raise


if __name__ == "__main__":
    main()
