#!/usr/bin/env python3
"""T14: the wall clock jumps by an hour and by ten years, back and forth, while times to live, delays, retries and
expiring queues run. Nothing happens early by the clock that cannot jump, nothing is forgotten, nobody is cut off.

The daemon runs under libfaketime, which leaves the monotonic clock alone.

    LINNETD=... clock_test.py
"""

import glob
import os
import random
import re
import sys
import tempfile
import time

from common import Client, Linnetd, amqp, harness, skip

HOUR, YEAR = 3600, 365 * 86400
JUMPS = (HOUR, -HOUR, 10 * YEAR, -10 * YEAR, 0)
SECONDS = 4.0
PATIENCE = 30


class Clock:
    """The wall clock that the daemon sees."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "offset")
        self.jump(0)

    def jump(self, offset):
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(f"{offset:+d}s\n")
        os.rename(self.path + ".new", self.path)

    def environment(self):
        library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not library:
            skip("libfaketime is not installed (Debian: faketime)")
        return {"LD_PRELOAD": library[0], "FAKETIME_TIMESTAMP_FILE": self.path, "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}


def expect_not_before(client, queue, due, what):
    """The message is there now, or comes; not before its time."""
    deadline = due + PATIENCE
    while time.monotonic() < deadline:
        client.send(amqp.method_frame(1, "basic.get", queue=queue, no_ack=True))
        event = client.receive(1, 10)
        if event.name == "basic.get-ok":
            assert time.monotonic() >= due, f"{what}: {due - time.monotonic():.3f} s early"
            return time.monotonic() - due
        assert event.name == "basic.get-empty", event
        time.sleep(0.02)
    raise AssertionError(f"{what}: never came")


def scenario(client, chance, clock, durable, address):
    """Everything that waits is set going; the clock jumps; then each is awaited."""
    kind = "durable" if durable else "transient"
    mode = {"delivery_mode": 2} if durable else {}
    dead, slow, retry = f"{kind}-dead", f"{kind}-ttl", f"{kind}-delayed"
    letters = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    client.declare(dead, durable=durable)
    client.declare(slow, durable=durable, arguments=letters | {"x-message-ttl": int(SECONDS * 1000)})
    client.declare(f"{slow}-own", durable=durable, arguments=letters)
    client.declare(f"{kind}-expires", durable=durable, arguments={"x-expires": int(SECONDS * 1000)})
    client.call(1, "exchange.declare", exchange=f"{kind}-later", type="x-delayed-message", durable=durable,
                arguments={"x-delayed-type": "direct"})
    client.declare(retry, durable=durable)
    client.call(1, "queue.bind", queue=retry, exchange=f"{kind}-later", routing_key="k")

    began = time.monotonic()
    client.publish(slow, b"by the queue", **mode)
    client.publish(f"{slow}-own", b"by itself", expiration=str(int(SECONDS * 1000)), **mode)
    client.publish("k", b"delayed", exchange=f"{kind}-later", headers={"x-delay": int(SECONDS * 1000)}, **mode)
    client.declare(dead, durable=durable)  # they have arrived
    jumps = 0
    while time.monotonic() - began < SECONDS - 1:
        clock.jump(chance.choice(JUMPS))
        jumps += 1
        if jumps % 10 == 0:
            harness.works(address)  # and who comes now is served as well
        time.sleep(chance.uniform(0, 0.1))
        for queue in (slow, f"{slow}-own"):
            assert client.declare(queue, passive=True).values["message_count"] == 1, f"{queue}: gone early"
        assert client.declare(retry, passive=True).values["message_count"] == 0, "delivered early"
    due = began + SECONDS
    # Whatever the time is now; the declarations above keep no queue from expiring but its own.
    late = [expect_not_before(client, retry, due, f"{kind}: delayed")]
    late += [expect_not_before(client, dead, due, f"{kind}: a time to live") for _ in range(2)]
    harness.wait_for(lambda: not exists(client, f"{kind}-expires"), PATIENCE, "the unused queue has expired")
    print(f"{kind}: {jumps} jumps, late by {', '.join(f'{seconds * 1000:.0f}' for seconds in late)} ms", flush=True)


def exists(client, queue):
    client.send(amqp.method_frame(2, "channel.open"))
    assert client.receive(2, 10).name == "channel.open-ok"
    client.send(amqp.method_frame(2, "queue.declare", queue=queue, passive=True))
    answer = client.receive(2, 10)
    there = answer.name == "queue.declare-ok"
    client.send(amqp.method_frame(2, "channel.close", reply_code=200) if there
                else amqp.method_frame(2, "channel.close-ok"))
    if there:
        assert client.receive(2, 10).name == "channel.close-ok"
    return there


def main():
    seed = int(os.environ.get("LINNET_SEED") or random.randrange(1 << 32))
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="linnet-clock-") as folder:
        clock = Clock(folder)
        with Linnetd(settings=("shards=2",), env=clock.environment()) as broker:
            # Logged in before every jump, and still there at the end.
            with Client(broker.address, seconds=30) as witness, Client(broker.address, seconds=30) as client:
                for durable in (False, True):
                    scenario(client, chance, clock, durable, broker.address)
                witness.declare("", exclusive=True)
                witness.hang_up()
                client.hang_up()
            # The jumps are no illusion: the daemon's own log has them.
            years = set(re.findall(r"^(\d{4})-", broker.log_text(), re.MULTILINE))
            assert len(years) > 1, f"the clock never jumped: {years}"
            assert broker.terminate() == 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
