#!/usr/bin/env python3
"""T3: the daemon is killed with -9 at random moments under load, and must come back with all that it had promised.

A cycle: start on the same folder; read every queue to its end and compare; let clients publish with confirms, move
messages in transactions, consume, requeue, bury, declare, delete, write and read a stream; kill. Some lives end
before the daemon serves, some during the reading, some by SIGTERM; some cycles begin to work without the reading.
The checker (history.py) lives through all of them.

    LINNETD=... kill9_test.py [--cycles 50] [--seed N] [--shards N] [--canary] [--broker rabbitmq --queue-type quorum]

--canary runs on a broker that keeps everything in memory and succeeds only if the checker objects.
"""

import argparse
import collections
import contextlib
import os
import random
import sys
import time

import clients
from history import History, Stream
from pipe import Ended

import linnetd  # noqa: E402  (pipe has put the support folder into the path)
import rabbitmq  # noqa: E402

QUEUES = ("fan0", "fan1", "own0", "own1", "deep", "txa", "txb", "sick", "dead")
EXCHANGES = (("k9.fan", "fanout"), ("k9.topic", "topic"))
BINDINGS = (("fan0", "k9.fan", ""), ("fan1", "k9.fan", ""), ("own0", "k9.topic", "a.*"), ("fan1", "k9.topic", "#"),
            ("deep", "k9.topic", "*.b"))
ADDRESSES = (("k9.fan", "", ("fan0", "fan1")), ("", "own0", ("own0",)), ("", "own1", ("own1",)), ("", "deep", ("deep",)),
             ("k9.topic", "a.b", ("own0", "fan1", "deep")), ("k9.topic", "c.d.e", ("fan1",)), ("", "txa", ("txa",)),
             ("", "sick", ("sick",)))
TRANSACTIONS = (("", "txa", ("txa",)), ("", "txb", ("txb",)), ("k9.topic", "a.b", ("own0", "fan1", "deep")),
                ("k9.fan", "", ("fan0", "fan1")))
STREAM = "log"


class World:
    """One vhost: its names, and what is known of it from life to life."""

    def __init__(self, vhost, history, chance, options):
        self.vhost, self.history, self.chance = vhost, history, chance
        self.queue_arguments = {"x-queue-type": options.queue_type} if options.queue_type else {}
        self.no_stream, self.delays = options.no_stream, options.broker == "linnetd" and not options.no_delay
        self.queues = QUEUES + ("later",) if self.delays else QUEUES
        self.topology = {}  # queue -> there, or not, or None for either
        self.names = 0
        # Dead letters as a quorum queue has them may be lost by its default; ours may not.
        self.dead_letters = {self.name("sick"): self.name("dead")} if options.queue_type != "quorum" else {}
        self.stream_queue = STREAM
        self.stream = Stream(history, self.name(STREAM))
        self.addresses = [(e, k, tuple(map(self.name, q))) for e, k, q in ADDRESSES]
        self.transactions = [(e, k, tuple(map(self.name, q))) for e, k, q in TRANSACTIONS]

    publishers = 0

    @classmethod
    def next_publisher(cls):
        World.publishers += 1
        return World.publishers

    def next_name(self):
        self.names += 1
        return f"built-{self.names}"

    def name(self, queue):
        return f"{self.vhost} {queue}"

    def address(self, chance):
        return chance.choice(self.addresses)

    def transaction_address(self, chance):
        return chance.choice(self.transactions)

    def declarations(self):
        letters = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
        out = [("exchange.declare", {"exchange": e, "type": t, "durable": True}) for e, t in EXCHANGES]
        for queue in QUEUES:
            arguments = self.queue_arguments | (letters if queue == "sick" else {})
            out.append(("queue.declare", {"queue": queue, "durable": True, "arguments": arguments}))
        if self.delays:
            out.append(("queue.declare", {"queue": "later", "durable": True, "arguments": self.queue_arguments}))
            out.append(("exchange.declare", {"exchange": "k9.later", "type": "x-delayed-message", "durable": True,
                                             "arguments": {"x-delayed-type": "direct"}}))
            out.append(("queue.bind", {"queue": "later", "exchange": "k9.later", "routing_key": "k"}))
        if not self.no_stream:
            out.append(("queue.declare", {"queue": STREAM, "durable": True, "arguments": {"x-queue-type": "stream"}}))
        return out + [("queue.bind", {"queue": q, "exchange": e, "routing_key": k}) for q, e, k in BINDINGS]


class Killer:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.history = History(loose=[f"{v} dead" for v in options.vhosts],
                               unordered=[f"{v} later" for v in options.vhosts],
                               doubled=[f"{v} later" for v in options.vhosts if options.shards > 1])
        self.history.ignored = options.ignore
        self.worlds = [World(v, self.history, self.chance, options) for v in options.vhosts]
        self.broker = self.make_broker()
        self.counts = collections.Counter()
        self.restart_seconds = []
        self.owed = False  # a reading that did not come to its end

    def make_broker(self):
        if self.options.broker == "rabbitmq":
            return rabbitmq.Rabbitmq(definitions=definitions(self.options.vhosts))
        everything = 'configure = ".*"\nwrite = ".*"\nread = ".*"\n'
        vhosts = "".join(f'[[vhost]]\nname = "{v}"\n[[permission]]\nuser = "guest"\nvhost = "{v}"\n{everything}'
                         for v in self.options.vhosts)
        settings = [f"shards={self.options.shards}", "log.level=info", *self.options.set]
        return linnetd.Linnetd(self.options.linnetd, settings=settings,
                               config=vhosts + '[[user]]\nname = "guest"\npassword = "guest"\ntags = ["administrator"]\n')

    def run(self):
        self.broker.start()
        try:
            self.with_crowd(self.declare)
            for cycle in range(self.options.cycles):
                self.cycle(cycle)
                if self.history.broken:
                    return
            self.with_crowd(self.read_everything)
            self.await_the_delayed()
        finally:
            self.end()

    def await_the_delayed(self):
        """Nothing is published any more; what was postponed comes, or is missed once its time and all patience are over."""
        deadline = time.monotonic() + self.history.patience + 10
        while self.history.waiting and not self.history.broken and time.monotonic() < deadline:
            time.sleep(0.5)
            self.with_crowd(self.read_everything)

    def end(self):
        if self.options.keep and self.history.broken:
            print(f"kept: {self.broker.dir}")
            self.broker.kill()
        else:
            self.broker.stop()

    def with_crowd(self, what):
        crowd = clients.Crowd(self.broker.address)
        try:
            what(crowd)
        finally:
            crowd.close()

    def declare(self, crowd):
        setups = [clients.Setup(w, crowd.connect(w.vhost), w.declarations()) for w in self.worlds]
        crowd.until(lambda: all(s.done for s in setups), 30, "everything is declared")

    def cycle(self, cycle):
        chance = self.chance.random()
        if cycle == 0 or chance < 0.75 or self.history.groups or self.owed or self.options.canary:
            self.owed = True
            if 0.70 < chance < 0.75 and not self.options.canary:
                return self.crash_while(self.start_reading, 0.1)
            self.with_crowd(lambda crowd: self.read_everything(crowd, cycle))
            self.owed = False
        if not self.history.broken:
            self.crash_while(self.populate, self.options.load_seconds)

    def crash_while(self, begin, seconds_max):
        crowd = clients.Crowd(self.broker.address)
        try:
            with self.company():
                begin(crowd)
                deadline = time.monotonic() + self.chance.uniform(0, seconds_max)
                while time.monotonic() < deadline or self.nothing_to_lose():
                    if not crowd.turn():
                        raise Ended("the broker hung up")
                self.stop(crowd)
        finally:
            for client in crowd.clients:
                getattr(client, "crashed", lambda: None)()
            crowd.close()
        self.start_again()

    def company(self):
        """Who is there beside the crowd, until the broker has ended."""
        return contextlib.nullcontext()

    def nothing_to_lose(self):
        """A crash before the first confirms loses nothing: the canary waits for more than the last moment can settle."""
        return self.options.canary and self.history.sure < 1000

    def stop(self, crowd):
        if self.options.broker == "linnetd" and self.chance.random() < 0.1:
            self.counts["clean stops"] += 1
            self.history.ending = True
            self.broker.signal(15)
            crowd.hear_out()
            if (status := self.broker.process.wait(20)) != 0:
                raise Ended(f"linnetd ended with {status} after SIGTERM")
            return self.history.clean_stop()
        self.counts["kills"] += 1
        self.broker.kill()
        crowd.hear_out()
        self.history.crash()

    def start_again(self):
        while self.options.broker == "linnetd" and self.chance.random() < 0.08:
            self.counts["kills while starting"] += 1
            self.broker.spawn_again()
            time.sleep(self.chance.uniform(0, 0.1))
            self.broker.kill()
        began = time.monotonic()
        self.broker.start_again()
        self.restart_seconds.append(time.monotonic() - began)

    # ---- One life ------------------------------------------------------------------------------
    def populate(self, crowd):
        for world in self.worlds:
            senders, takers, third = (crowd.connect(world.vhost) for _ in range(3))
            crowd.clients += [clients.Publisher(world, senders) for _ in range(3)]
            crowd.clients += [clients.Consumer(world, takers, q) for q in world.queues
                              if q not in ("deep", "txa", "later") or self.chance.random() < 0.3]
            crowd.clients += [clients.Transactor(world, third) for _ in range(2)]
            crowd.clients.append(clients.Architect(world, third))
            if world.delays:
                crowd.clients.append(clients.Postponer(world, third))
            if self.options.no_stream:
                continue
            crowd.clients.append(clients.StreamWriter(world, senders))
            start = max(0, len(world.stream.at) - self.chance.randrange(300))
            crowd.clients.append(clients.StreamReader(world, takers, start, world.stream.deliver))

    # ---- The reading ---------------------------------------------------------------------------
    def start_reading(self, crowd):
        readers = []
        for world in self.worlds:
            pipe = crowd.connect(world.vhost)
            readers += [clients.Reader(world, pipe, q) for q in world.queues]
        return readers

    def read_everything(self, crowd, cycle=0):
        readers = self.start_reading(crowd)
        streams = [StreamReading(crowd, w, 0 if cycle % 25 == 0 else max(0, len(w.stream.at) - 500))
                   for w in self.worlds if not self.options.no_stream]
        lookers = [[clients.Looker(w, crowd.connect(w.vhost), q) for q in w.topology] for w in self.worlds]
        crowd.until(lambda: all(r.done for r in readers) and all(s.done for s in streams)
                    and all(one.found is not None for some in lookers for one in some), 120, "everything is read")
        self.history.recovered({r.queue: r.content for r in readers})
        for stream in streams:
            stream.judge()
        for world, some in zip(self.worlds, lookers):
            self.judge_topology(world, some)
        crowd.hang_up()

    def judge_topology(self, world, lookers):
        for looker in lookers:
            there = world.topology.pop(looker.queue)
            if there is not None and there != looker.found:
                self.history.violate("topology", f"{world.name(looker.queue)} is {'' if looker.found else 'not '}there")
            if looker.found:
                world.topology[looker.queue] = True

    def report(self):
        h = self.history
        rest = sorted(self.restart_seconds) or [0]
        counts = ", ".join(f"{n} {what}" for what, n in self.counts.items())
        print(f"seed {self.options.seed}: {counts}; {h.confirmed} confirmed, {h.delivered} delivered, {h.settled} settled, "
              f"{h.came_back} of these came back, {h.alive} still there; back after {rest[len(rest) // 2]:.2f} s, "
              f"at most {rest[-1]:.2f} s", flush=True)
        for rule, text in h.violations:
            print(f"  {rule}: {text}")
        if h.broken:
            print("  in all: " + ", ".join(f"{n} {rule}" for rule, n in h.broken.items()))


class StreamReading:
    """Writes a last message and reads up to it."""

    def __init__(self, crowd, world, start):
        self.world, self.start, self.content = world, start, []
        pipe = crowd.connect(world.vhost)
        self.writer = clients.StreamWriter(world, pipe)
        self.last = self.writer.write()
        self.reader = clients.StreamReader(world, pipe, start, self.on_message)
        self.seen = False

    def on_message(self, offset, message):
        # RabbitMQ begins with the chunk that holds the offset.
        if offset >= self.start:
            self.content.append((offset, message))
        self.seen = self.seen or message == self.last

    @property
    def done(self):
        return self.reader.gone or (self.seen and not self.writer.unconfirmed)

    def judge(self):
        self.world.stream.recovered(self.content, self.start)


def definitions(vhosts):
    return {
        "vhosts": [{"name": v} for v in vhosts],
        "users": [{"name": "guest", "password_hash": rabbitmq.password_hash("guest"), "tags": "administrator",
                   "hashing_algorithm": "rabbit_password_hashing_sha256"}],
        "permissions": [{"user": "guest", "vhost": v, "configure": ".*", "write": ".*", "read": ".*"} for v in vhosts]}


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--linnetd", default=os.environ.get("LINNETD"))
    a.add_argument("--cycles", type=int, default=int(os.environ.get("LINNET_KILL9_CYCLES", "50")))
    a.add_argument("--seed", type=int, default=int(os.environ.get("LINNET_SEED") or random.randrange(1 << 32)))
    a.add_argument("--load-seconds", type=float, default=1.0, help="the longest that clients work before the kill")
    a.add_argument("--shards", type=int, default=2)
    a.add_argument("--vhosts", nargs="*", default=["/", "other"])
    a.add_argument("--broker", choices=("linnetd", "rabbitmq"), default="linnetd")
    a.add_argument("--queue-type", choices=("classic", "quorum"))
    a.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of linnetd's configuration")
    a.add_argument("--ignore", action="append", default=[], metavar="RULE")
    a.add_argument("--no-stream", action="store_true")
    a.add_argument("--no-delay", action="store_true")
    a.add_argument("--canary", action="store_true", help="a broker that keeps nothing: it must be caught")
    a.add_argument("--keep", action="store_true", help="keep the folder where something was wrong")
    options = a.parse_args()
    if options.canary:
        options.set.append("store.mode=memory")
    return options


def main():
    options = arguments()
    print(f"seed {options.seed}, {options.cycles} cycles", flush=True)
    killer = Killer(options)
    try:
        killer.run()
    except (Ended, linnetd.StartError, rabbitmq.StartError) as e:
        killer.report()
        print(f"seed {options.seed}: {type(e).__name__}: {e}")
        return 1
    killer.report()
    if options.canary:
        caught = "lost" in killer.history.broken
        print("caught" if caught else "NOT caught: the checker would miss a broker that loses everything")
        return 0 if caught else 1
    return 1 if killer.history.broken else 0


if __name__ == "__main__":
    sys.exit(main())
