#!/usr/bin/env python3
"""T10: a consumer with an unlimited prefetch that reads everything and acknowledges nothing. Memory stays within the
budget + 10 % although it is lent many times that; all of it comes back in order, marked as redelivered, when it is gone;
and what is rejected reaches the dead-letter exchange whole.

    LINNETD=... unacked_test.py [MiB]
"""

import hashlib
import sys
import time

from common import MIB, Bulk, Client, Linnetd, Publishing, harness, number_of

BUDGET = 256 * MIB
BODY = 8 * 1024
CONFIG = f'[memory]\nbudget = "{BUDGET // MIB}MiB"\n'


def body_of(number):
    """Its number, and bytes that are no other's."""
    seed = hashlib.sha256(number.to_bytes(8, "big")).digest()
    return number.to_bytes(8, "big") + (seed * (BODY // len(seed) + 1))[:BODY - 8]


def read_all(consumer, queue, count, redelivered=None):
    """Tags of `count` messages, which have to come in order and whole. None is acknowledged."""
    tags = []

    def on_message(tag, again, header, body):
        assert number_of(body) == len(tags), f"message {number_of(body)} instead of {len(tags)}"
        assert bytes(body) == body_of(len(tags)), f"message {len(tags)} is not what was published"
        assert redelivered is None or again == redelivered, f"message {len(tags)}: redelivered is {again}"
        tags.append(tag)

    consumer.consume(queue, on_message)
    began = time.monotonic()
    consumer.until(lambda: len(tags) == count, 120, f"{count} messages")
    return tags, count * BODY / MIB / (time.monotonic() - began)


def within_budget(broker, what):
    peak = harness.resident_bytes(broker.pid, "VmHWM")
    print(f"{what}: at most {peak / MIB:.0f} MiB resident", flush=True)
    assert peak <= BUDGET * 1.1, "above the budget"


def main():
    count = (int(sys.argv[1]) if len(sys.argv) > 1 else 768) * MIB // BODY
    with Linnetd(config=CONFIG) as broker:
        with Client(broker.address, seconds=60) as client:
            client.call(1, "exchange.declare", exchange="dead", type="fanout", durable=True)
            client.declare("dead", durable=True)
            client.call(1, "queue.bind", queue="dead", exchange="dead")
            client.declare("q", durable=True, arguments={"x-dead-letter-exchange": "dead"})
        with Bulk(broker.address) as publisher:
            # Every third is transient: what memory had no room for of those is not found after a crash, but it comes.
            kept, fleeting = Publishing(1, "", "q"), Publishing(1, "", "q", delivery_mode=1)
            for n in range(count):
                publisher.publish((fleeting if n % 3 == 0 else kept).frames(body_of(n)), 1)
            publisher.all_confirmed()
            within_budget(broker, f"{count} messages of {BODY} bytes published")

        with Bulk(broker.address) as hoarder:
            _, rate = read_all(hoarder, "q", count, redelivered=False)
            within_budget(broker, f"all read and none acknowledged, {rate:.0f} MiB/s")
        with Bulk(broker.address) as hoarder:
            tags, rate = read_all(hoarder, "q", count, redelivered=True)
            within_budget(broker, f"again by the next, {rate:.0f} MiB/s")
            # The half is done, the rest is dead.
            hoarder.acknowledge(tags[count // 2 - 1])
            hoarder.pipe.say(1, "basic.nack", delivery_tag=0, multiple=True, requeue=False)
            began = time.monotonic()
            hoarder.until(lambda: hoarder.count("dead") == count - count // 2, 120, "all that is dead")
            within_budget(broker, f"half of it dead in {time.monotonic() - began:.1f} s")
            assert hoarder.count("q") == 0
        dead = []
        with Bulk(broker.address) as reader:
            def on_dead(tag, again, header, body):
                assert bytes(body) == body_of(number_of(body)), "a dead letter is not what was published"
                dead.append(number_of(body))
                reader.acknowledge(tag)

            reader.consume("dead", on_dead, prefetch=1000)
            reader.until(lambda: len(dead) == count - count // 2, 120, "the dead letters")
            assert dead == list(range(count // 2, count)), "dead letters out of order"
        assert broker.terminate(60) == 0


if __name__ == "__main__":
    main()
