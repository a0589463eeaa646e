#!/usr/bin/env python3
"""T9: ten times more is published than consumed, against a memory budget of 256 MiB. What is resident stays within
budget + 10 %, nobody is killed, what was confirmed is there, another client is served all the while.

One pair of clients uses a durable queue and persistent messages, which may go to the disk; the other a transient one,
whose publisher has to wait.

    LINNETD=... overload_test.py [seconds [rate]]

What is published and not consumed lies on the disk: 20 000 a second, as usual, are 4 GiB a minute.
"""

import sys
import threading
import time

from common import MIB, Bulk, Client, Linnetd, Ping, Publishing, harness, log_files, numbered

BUDGET = 256 * MIB
BODY = 4096
RATE = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000  # publishes a second of each pair
CONFIG = f'[memory]\nbudget = "{BUDGET // MIB}MiB"\n'


class Pair(threading.Thread):
    """Publishes at a rate, or as fast as it may, and consumes a tenth of that."""

    def __init__(self, address, queue, durable, seconds):
        super().__init__(daemon=True)
        self.address, self.queue, self.durable, self.seconds = address, queue, durable, seconds
        self.failure, self.sent, self.consumed, self.blocked_seconds = None, 0, 0, 0.0

    def run(self):
        try:
            with Bulk(self.address) as publisher, Bulk(self.address) as consumer:
                self.work(publisher, consumer)
        except BaseException as failure:
            self.failure = failure

    def work(self, publisher, consumer):
        frames = numbered(Publishing(1, "", self.queue), 0, 50, BODY)
        consumer.consume(self.queue, None, prefetch=50)
        began = last = time.monotonic()
        while (now := time.monotonic()) - began < self.seconds:
            due = (now - began) * RATE
            if publisher.blocked:
                self.blocked_seconds += now - last
            elif publisher.sent < due and publisher.sent - publisher.confirmed < 5000 and not publisher.pipe.out:
                publisher.publish(frames, 50)
            last = now
            publisher.turn(0.002)
            if consumer.received - self.consumed >= 25 and self.consumed < publisher.sent / 10:
                self.consumed = consumer.received
                consumer.acknowledge(0)
            consumer.turn(0)
            self.sent = publisher.sent
        self.confirmed = publisher.confirmed


class Watch(threading.Thread):
    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.stopping = pid, 0, threading.Event()

    def run(self):
        while not self.stopping.wait(0.05):
            try:
                self.most = max(self.most, harness.resident_bytes(self.pid))
            except (LookupError, FileNotFoundError):
                return


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(f"{RATE} publishes of {BODY} bytes a second, for {seconds:.0f} s")
    with Linnetd(config=CONFIG) as broker:
        with Client(broker.address) as client:
            client.declare("durable", durable=True)
            client.declare("transient")
        quiet = Ping(broker.address)
        for _ in range(200):
            quiet.once()
        print("quiet: " + quiet.text())
        watch, pairs = Watch(broker.pid), [Pair(broker.address, q, q == "durable", seconds) for q in ("durable", "transient")]
        watch.start()
        for pair in pairs:
            pair.start()
        ping = Ping(broker.address)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert broker.process.poll() is None, broker.log_tail()
            ping.once()
            time.sleep(0.02)
        for pair in pairs:
            pair.join(60)
            if pair.failure:
                raise pair.failure
            print(f"{pair.queue}: {pair.sent} published, {pair.consumed} consumed, "
                  f"{pair.blocked_seconds:.1f} of {seconds:.0f} s blocked")
        watch.stopping.set()
        watch.join()
        peak = max(watch.most, harness.resident_bytes(broker.pid, "VmHWM"))
        print(f"budget {BUDGET // MIB} MiB, at most {peak / MIB:.0f} MiB resident, "
              f"{len(log_files(broker.pid, broker.data_dir))} log files open; {ping.text()}", flush=True)
        assert peak <= BUDGET * 1.1, "above the budget"
        with Client(broker.address, seconds=60) as client:
            there = client.declare("durable", passive=True).values["message_count"]
        durable = pairs[0]
        assert there + durable.consumed + 100 >= durable.confirmed, f"{there} there of {durable.confirmed}"
        assert durable.sent > 10 * durable.consumed * 0.5, "that was no overload"


if __name__ == "__main__":
    main()
