#!/usr/bin/env python3
"""T10: consumers with an unlimited prefetch whose sockets are never read, and one that is fast. Memory stays within the
budget + 10 %, the fast one gets everything, and what the others were sent comes back when they are gone. The kernel
holds little for each: what it takes, nobody can spill.

    LINNETD=... never_read_test.py [consumers [shards]]
"""

import sys
import time

from common import KIB, MIB, Bulk, Client, Linnetd, Publishing, harness, number_of, numbered

BUDGET = 256 * MIB
BODY = 2048
CONFIG = f'[memory]\nbudget = "{BUDGET // MIB}MiB"\n'
UNSENT = 256 * KIB  # of one connection


def unsent_bytes(port):
    """Of each of the daemon's connections at that port: what the kernel has taken and the peer has not."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return [int(row[4].partition(":")[0], 16) for row in rows if int(row[1].partition(":")[2], 16) == port and row[3] == "01"]


def fast_rate(address, queue, exchange, count):
    """Publishes `count` messages and consumes them from `queue`; messages a second."""
    with Bulk(address) as publisher, Bulk(address) as consumer:
        got, to = [], Publishing(1, exchange, queue)

        def on_message(tag, redelivered, header, body):
            got.append(number_of(body))
            if len(got) % 100 == 0:
                consumer.acknowledge(tag)

        consumer.consume(queue, on_message, prefetch=1000)
        began, first = time.monotonic(), 0
        while len(got) < count:
            assert time.monotonic() - began < 120, f"{len(got)} of {count} messages"
            if first < count and first - len(got) < 2000:
                publisher.publish(numbered(to, first, 100, BODY), 100)
                first += 100
            publisher.turn(0)
            consumer.turn(0.001)
        publisher.all_confirmed()
        consumer.acknowledge(0)
        consumer.count(queue)  # the acknowledgement has been read
        assert got == list(range(count)), "lost, doubled or out of order"
        return count / (time.monotonic() - began)


def main():
    slow_count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    shards = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    filling, count = 5_000, 20_000
    with Linnetd(config=f"shards = {shards}\n" + CONFIG) as broker:
        slow = []
        with Client(broker.address, seconds=60) as client:
            client.call(1, "exchange.declare", exchange="all", type="fanout", durable=True)
            client.declare("fast", durable=True)
            client.call(1, "queue.bind", queue="fast", exchange="all")
            for i in range(slow_count):
                client.declare(f"slow{i}", durable=True)
                client.call(1, "queue.bind", queue=f"slow{i}", exchange="all")
            fast_rate(broker.address, "fast", "all", filling)
            alone = fast_rate(broker.address, "fast", "all", count)
            for i in range(slow_count):
                client.call(1, "queue.purge", queue=f"slow{i}")
            for i in range(slow_count):
                each = Client(broker.address, receive_buffer=4096)
                each.call(1, "basic.consume", queue=f"slow{i}")
                slow.append(each)
            fast_rate(broker.address, "fast", "all", filling)  # until nobody of them takes anything more
            together = fast_rate(broker.address, "fast", "all", count)
            peak = harness.resident_bytes(broker.pid, "VmHWM")
            unsent = unsent_bytes(broker.address[1])
            print(f"fast one, beside {slow_count} queues that get the same: {alone:,.0f}/s without their consumers, "
                  f"{together:,.0f}/s with them, who never read; at most {peak / MIB:.0f} MiB resident; the kernel holds "
                  f"{max(unsent) // KIB} KiB for one of {len(unsent)}", flush=True)
            assert len(unsent) > slow_count, "not all connections were seen"
            assert max(unsent) <= UNSENT, "the kernel holds too much"
            assert peak <= BUDGET * 1.1, "above the budget"
            for each in slow:
                each.close()
            for i in range(slow_count):
                harness.wait_for(lambda q=f"slow{i}": client.declare(q, passive=True).values["message_count"] == filling + count, 30,
                                 f"all of slow{i} is back")
        assert broker.terminate(60) == 0


if __name__ == "__main__":
    main()
