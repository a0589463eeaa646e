#!/usr/bin/env python3
"""T21: a log of 200 MiB (2 GiB, 10 GiB by argument) is read back after kill -9: everything is there, the time it took is
told, and the daemon holds few of the log's files open however many there are (the small log is made of small ones).

    LINNETD=... recovery_test.py [MiB] [queues]
"""

import sys
import time

from common import MIB, Bulk, Client, Linnetd, Publishing, folder_bytes, harness, log_files, number_of, numbered

BODY = 1024
FILES_MAX = 40
SMALL_MIB = 1024


def fill(broker, queues, total):
    with Bulk(broker.address) as publisher:
        for queue in queues:
            publisher.pipe.say(1, "queue.declare", queue=queue, durable=True)
        publisher.until(lambda: len(publisher.answers) >= len(queues), 120, "all queues are declared")
        addresses = [Publishing(1, "", q) for q in queues]
        each, files, began = total // len(queues), 0, time.monotonic()
        for first in range(0, each, 20):
            for address in addresses:
                publisher.publish(numbered(address, first, min(20, each - first), BODY), min(20, each - first))
            files = max(files, len(log_files(broker.pid, broker.data_dir)))
        publisher.all_confirmed()
        assert files <= FILES_MAX, f"{files} log files open while writing"
        return time.monotonic() - began, files


def check(broker, queues, each):
    with Client(broker.address, seconds=120) as client:
        counts = {q: client.declare(q, passive=True).values["message_count"] for q in queues}
        wrong = {q: n for q, n in counts.items() if n != each}
        assert not wrong, f"{each} messages were confirmed in each queue; there are {wrong}"
    with Bulk(broker.address) as consumer:
        got = []
        consumer.consume(queues[-1], lambda tag, redelivered, header, body: got.append((number_of(body), body[8:])))
        consumer.until(lambda: len(got) == each, 120, "a whole queue is read")
        assert got == [(n, bytes(BODY - 8)) for n in range(each)], "not what was published"


def main():
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    queues = [f"q{i}" for i in range(int(sys.argv[2]) if len(sys.argv) > 2 else 50)]
    total = size * MIB // BODY // len(queues) * len(queues)
    settings = ["log.level=info", "shards=2"]
    if size < SMALL_MIB:
        settings.append("store.segment_size=4MiB")
    with Linnetd(settings=settings, start_seconds=20 + size / 20) as broker:
        try:
            seconds, files = fill(broker, queues, total)
            print(f"{total} messages of {BODY} B in {len(queues)} queues: {total / seconds:,.0f} confirmed a second, "
                  f"{total * BODY / seconds / MIB:,.0f} MiB/s", flush=True)
            for how, stop in ("kill -9", broker.kill), ("SIGTERM", lambda: broker.terminate(120)):
                stop()
                began = time.monotonic()
                broker.start_again()
                seconds = time.monotonic() - began
                open_files = len(log_files(broker.pid, broker.data_dir))
                stored = folder_bytes(broker.data_dir)
                print(f"after {how}: back in {seconds:.2f} s, {stored / MIB / seconds:,.0f} MiB/s of {stored / MIB:,.0f} MiB; "
                      f"{max(files, open_files)} log files open at most, "
                      f"{harness.resident_bytes(broker.pid) / MIB:.0f} MiB resident", flush=True)
                assert open_files <= FILES_MAX
                check(broker, queues, total // len(queues))
        except BaseException:
            print(broker.log_tail())
            raise


if __name__ == "__main__":
    main()
