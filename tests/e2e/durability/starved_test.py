#!/usr/bin/env python3
"""T5: an allocation fails, once or all from then on: linnetd ends with 71 and says why, or goes on as if nothing had
been; and whatever it was, what had been confirmed is there.

A cycle is kill9_test.py's, under AMQP, MQTT and HTTP clients, with a failing allocation in place of kill -9; some
starts starve as well. The allocator is starve.cpp, preloaded.

    LINNETD=... STARVE=<libstarve.so> starved_test.py [--cycles 20] [--seed N] [--shards N] [--canary]
    STARVE=... starved_test.py --commands [points]   # --check-config, definitions and a first start, point by point
    starved_test.py --limit                          # an address space that is too small, at the start and under load

--canary runs on a broker that keeps everything in memory and succeeds only if the checker objects.
"""

import contextlib
import http.client
import mmap
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

import kill9_test
from common import MIB, Bulk, Publishing, number_of, numbered, skip
from pipe import Ended

import linnetd
import raw_mqtt as mqtt

OUT_OF_MEMORY = 71  # of sysexits.h
FOR_EVER = (1 << 64) - 1
LIBRARY = os.environ.get("STARVE")
FIELDS = struct.Struct("=4Q")  # asked, first, last, failed: as starve.cpp has it


class Starver:
    """The page that a starved process shares with us."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="linnet-starve-")
        self.file.write(bytes(4096))
        self.file.flush()
        self.page = mmap.mmap(self.file.fileno(), 4096)
        self.environment = {"LD_PRELOAD": LIBRARY, "STARVE_PAGE": self.file.name}

    def clear(self):
        self.page[:FIELDS.size] = bytes(FIELDS.size)

    @property
    def asked(self):
        return FIELDS.unpack_from(self.page)[0]

    @property
    def failed(self):
        return FIELDS.unpack_from(self.page)[3]

    def starve(self, nth, count=1):
        """The nth allocation from now on fails, and as many as `count`."""
        first = self.asked + nth
        struct.pack_into("=Q", self.page, 16, min(FOR_EVER, first + count - 1))
        struct.pack_into("=Q", self.page, 8, first)

    def feed(self):
        struct.pack_into("=Q", self.page, 8, 0)


def must_be_out_of_memory(status, said, where):
    if status == -signal.SIGABRT and "Fatal glibc error" in said:  # glibc's own end, where it can do nothing else
        return
    if status != OUT_OF_MEMORY:
        raise Ended(f"{where}: linnetd ended with {status}, not {OUT_OF_MEMORY}\n{said}")
    if "out of memory" not in said:
        raise Ended(f"{where}: linnetd did not say why it ended\n{said}")


class Visitor(threading.Thread):
    """Does again and again what the crowd of AMQP clients does not: new connections, MQTT, the API."""

    def __init__(self, broker, seed):
        super().__init__(daemon=True)
        self.broker, self.chance, self.leaving, self.visits = broker, random.Random(seed), threading.Event(), 0

    def run(self):
        while not self.leaving.is_set():
            with contextlib.suppress(OSError, EOFError, ValueError, IndexError, AssertionError,
                                     http.client.HTTPException):
                self.chance.choice((self.mqtt, self.api))()
                self.visits += 1
            self.leaving.wait(0.002)

    def mqtt(self):
        name = f"visitor{self.chance.randrange(9)}"
        said = mqtt.connect(name, clean=False, expiry=60, user="guest", password="guest")
        with mqtt.Client(self.broker.address_of("mqtt"), said, seconds=2) as client:
            client.receive()
            client.send(mqtt.subscribe(f"starved/{name}/#", qos=2) + mqtt.publish(f"starved/{name}/a", b"y", qos=1, number=7,
                                                                              retain=True)
                        + mqtt.publish(f"starved/{name}/b", bytes(3000), qos=2, number=8) + mqtt.pubrel(8))
            for _ in range(4):
                client.receive()

    def api(self):
        host, port = self.broker.address_of("http")
        paths = ("/api/overview", "/api/queues", "/api/connections", "/api/definitions", "/metrics")
        talk = http.client.HTTPConnection(host, port, timeout=2)
        try:
            headers = {"Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q=", "Accept-Encoding": "gzip"}
            talk.request("GET", self.chance.choice(paths), headers=headers)
            talk.getresponse().read()
        finally:
            talk.close()

    def leave(self):
        self.leaving.set()
        self.join(10)


class Starving(kill9_test.Killer):
    def make_broker(self):
        self.starver = Starver()
        broker = super().make_broker()
        broker.listen = ("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0", "http=127.0.0.1:0")
        broker.extra_env = self.starver.environment
        return broker

    def run(self):
        self.starver.clear()
        super().run()

    @contextlib.contextmanager
    def company(self):
        visitor = Visitor(self.broker, self.chance.randrange(1 << 32))
        visitor.start()
        try:
            yield
        finally:
            visitor.leave()

    def stop(self, crowd):
        """Starves it, and sees how it ends."""
        failed = self.starver.failed
        self.starver.starve(self.chance.choice((1, 10, 100, 1000)) + self.chance.randrange(50),
                            self.chance.choice((1, 1, FOR_EVER)))
        deadline = time.monotonic() + 3
        with contextlib.suppress(Ended):  # what a client is told by a connection that closes
            while self.starver.failed == failed and time.monotonic() < deadline and crowd.turn():
                pass
        fired = self.starver.failed > failed
        crowd.hear_out() if self.ends(0.3 if fired else 0) else None
        if self.broker.process.poll() is not None:
            must_be_out_of_memory(self.broker.process.returncode, self.broker.log_tail(), "under load")
            self.counts["ends under load"] += 1
        else:
            # Not by C++, so it was somebody's who can do without; or there was nothing to allocate any more.
            self.counts["survived" if fired else "kills, since nothing was allocated"] += 1
            self.broker.kill()
            crowd.hear_out()
        self.starver.feed()
        self.history.crash()

    def ends(self, seconds):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.broker.process.wait(seconds)
        return self.broker.process.poll() is not None

    def start_again(self):
        while self.chance.random() < 0.3:
            self.starver.clear()
            self.starver.starve(1 + self.chance.randrange(self.start_allocations()), FOR_EVER)
            self.broker.spawn_again()
            self.wait_for_start()
        self.starver.clear()
        began = time.monotonic()
        self.broker.start_again()
        self.restart_seconds.append(time.monotonic() - began)

    def start_allocations(self):
        return getattr(self, "allocations_of_a_start", 20_000)

    def wait_for_start(self):
        deadline = time.monotonic() + 20
        while not self.ends(0.01):
            if os.path.exists(self.broker.ports_file):  # it got through
                self.allocations_of_a_start = max(1000, self.starver.asked)
                self.counts["starts that got through"] += 1
                return self.broker.kill()
            if time.monotonic() > deadline:
                raise Ended("a starved start neither serves nor ends")
        must_be_out_of_memory(self.broker.process.returncode, self.broker.log_tail(), "at the start")
        self.counts["ends at the start"] += 1


def load(options):
    options.no_delay = True  # what is late has its own test
    starving = Starving(options)
    try:
        starving.run()
    except (Ended, linnetd.StartError) as e:
        starving.report()
        print(f"seed {options.seed}: {type(e).__name__}: {e}")
        return 1
    starving.report()
    broken = starving.history.broken
    if options.canary:
        print("caught" if "lost" in broken else "NOT caught: the checker would miss a broker that loses everything")
        return 0 if "lost" in broken else 1
    if options.cycles >= 10 and not starving.counts["ends under load"]:
        print("nothing ever ended: was an allocation refused at all?")
        return 1
    return 1 if broken else 0


# ---- Without clients ---------------------------------------------------------------------------

CONFIG = """
shards = 1
[store]
segment_size = "4MiB"
[[vhost]]
name = "starved"
[[user]]
name = "guest"
password = "guest"
tags = ["administrator"]
[[permission]]
user = "guest"
vhost = "starved"
configure = "^a.*$"
write = ".*"
read = ".*"
[[policy]]
name = "short"
vhost = "starved"
pattern = "^b"
apply_to = "queues"
definition = { max-length = 10, expires = 60000 }
[definitions]
file = "definitions.json"
"""
DEFINITIONS = """{"vhosts": [{"name": "starved"}], "queues": [{"name": "q", "vhost": "starved", "durable": true,
"auto_delete": false, "arguments": {"x-max-length": 10}}], "exchanges": [], "bindings": [{"source": "amq.topic",
"vhost": "starved", "destination": "q", "destination_type": "queue", "routing_key": "a.#", "arguments": {}}],
"policies": [{"vhost": "starved", "name": "p", "pattern": "^q", "apply-to": "queues", "definition": {"max-length": 5}}]}"""


def command_starved(folder, starver, arguments, nth, count, good):
    """Runs to its end, or until it serves."""
    starver.clear()
    starver.starve(nth, count)
    ports = os.path.join(folder, "ports.json")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(ports)
    log = os.path.join(folder, "log")
    with open(log, "wb") as out:
        process = subprocess.Popen([os.environ["LINNETD"], "-c", "linnet.toml", *arguments], cwd=folder, stdout=out,
                                   stderr=out, env={"PATH": os.environ["PATH"], "HOME": folder} | starver.environment)
    deadline = time.monotonic() + 30
    while process.poll() is None and not os.path.exists(ports):
        if time.monotonic() > deadline:
            process.kill()
            raise Ended(f"{arguments} neither serves nor ends, starved at {nth}")
        time.sleep(0.001)
    served = process.poll() is None
    process.kill()
    process.wait()
    with open(log, encoding="utf-8", errors="replace") as file:
        said = file.read()
    if starver.failed and not served and process.returncode != good:
        must_be_out_of_memory(process.returncode, said, f"{arguments} starved at {nth}")
        return True
    if not starver.failed and not served and process.returncode != good:
        raise Ended(f"{arguments} ended with {process.returncode}, starved of nothing\n{said}")
    return False


def commands(points, chance):
    starver = Starver()
    with tempfile.TemporaryDirectory(prefix="linnet-starved-") as folder:
        for name, text in (("linnet.toml", CONFIG), ("definitions.json", DEFINITIONS)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        data = os.path.join(folder, "data")
        serve = ("--set", f"data_dir={data}", "--listen", "amqp=127.0.0.1:0", "--ports-file", "ports.json")
        for arguments in (("--check-config",), serve):
            command_starved(folder, starver, arguments, FOR_EVER // 2, 1, 0)
            every, ended = starver.asked, 0
            some = range(1, every + 1) if points >= every else sorted(chance.sample(range(1, every + 1), points))
            for nth in some:
                ended += command_starved(folder, starver, arguments, nth, chance.choice((1, FOR_EVER)), 0)
            # Whatever the starved ones have left behind is no obstacle.
            command_starved(folder, starver, arguments, FOR_EVER // 2, 1, 0)
            print(f"{arguments[0] if len(arguments) == 1 else 'a start'}: {every} allocations, {len(some)} of them failed, "
                  f"{ended} ended with {OUT_OF_MEMORY}", flush=True)
            assert ended * 2 > len(some), "hardly any of them ended: was an allocation refused at all?"
    return 0


# ---- The system's own limit --------------------------------------------------------------------

class Limited(linnetd.Linnetd):
    address_space = None

    def _command(self):
        limit = [] if self.address_space is None else ["prlimit", f"--as={self.address_space}"]
        return limit + super()._command()


def virtual_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def start_in(broker, size):
    """Whether it serves in so much address space; else it has said why not."""
    broker.address_space = size
    before = len(broker.log_text())
    broker.spawn_again()
    try:
        broker._wait_for_ports()
    except linnetd.StartError:
        said = broker.log_text()[before:]
        if broker.process.returncode != 127:  # the loader's word: there is not even a program
            must_be_out_of_memory(broker.process.returncode, said, f"in {size >> 20} MiB")
        return False
    return True


def limited(chance):
    settings = ("shards=1", "memory.budget=4GiB", "store.segment_size=4MiB", "log.level=info")
    with Limited(settings=settings) as broker:
        with Bulk(broker.address) as client:
            client.call("queue.declare", queue="q", durable=True)
        enough = virtual_bytes(broker.pid)
        broker.kill()
        refused = sum(not start_in(broker, enough * tenth // 20) or broker.kill() is not None for tenth in range(1, 20))
        broker.address_space = None
        broker.start_again()
        room = 24 * MIB + chance.randrange(16 * MIB)
        resource.prlimit(broker.pid, resource.RLIMIT_AS, (virtual_bytes(broker.pid) + room,) * 2)
        body, address, beside = 16 << 10, Publishing(1, "", "q"), Publishing(1, "", "beside")
        # What is stored does not stay in memory; what lies in a queue that ends with the broker does.
        client, other = Bulk(broker.address), Bulk(broker.address)
        try:
            other.call("queue.declare", queue="beside")
            while other.sent * body < 8 * room:
                client.publish(numbered(address, client.sent, 10, body), 10, window=200)
                other.publish(numbered(beside, 0, 10, body), 10, window=200)
        except (Ended, OSError):
            pass
        with contextlib.suppress(Ended, OSError):
            client.until(lambda: False, 2, "the rest")
        confirmed, sent = client.confirmed - client.refused, client.sent
        client.pipe.close()
        other.pipe.close()
        must_be_out_of_memory(broker.process.wait(10), broker.log_tail(), "under load")
        broker.start_again()
        got = []
        with Bulk(broker.address) as client:
            client.consume("q", lambda tag, again, header, body: got.append(number_of(body)), prefetch=0)
            count = client.count("q")
            client.until(lambda: len(got) >= confirmed, 60, f"{confirmed} messages, of which it has {count}")
        assert got == sorted(set(got)) and set(range(confirmed)) <= set(got) and max(got) < sent
        print(f"{refused} starts in too small a space; {room >> 20} MiB more than at the start: ended after {confirmed} "
              f"confirms of {sent}, and all are there", flush=True)
        assert broker.terminate() == 0
    return 0


def main():
    flags = {"--commands", "--limit"} & set(sys.argv)
    seed = int(os.environ.get("LINNET_SEED") or random.randrange(1 << 32))
    if "--limit" not in flags and not LIBRARY:
        skip("STARVE names no library (sanitizers have an allocator of their own)")
    if not flags:
        return load(kill9_test.arguments())
    print(f"seed {seed}", flush=True)
    try:
        if "--limit" in flags:
            return limited(random.Random(seed))
        points = os.environ.get("LINNET_ALLOCATION_POINTS") or sys.argv[sys.argv.index("--commands") + 1]
        return commands(int(points), random.Random(seed))
    except Ended as e:
        print(f"seed {seed}: {e}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
