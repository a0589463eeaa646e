"""What the durability tests share: bulk clients that cost little, a file system that can be filled, a skip that is seen.

Run a test by hand with LINNETD=<binary> /usr/bin/python3 <name>_test.py.
"""

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("support", "robustness"):
    sys.path.insert(0, os.path.join(HERE, os.pardir, folder))

import harness  # noqa: E402
import linnetd  # noqa: E402
import raw_amqp as amqp  # noqa: E402
from pipe import Ended, Pipe, Publishing, acknowledgement  # noqa: E402,F401

Client, Linnetd, KIB, MIB, GIB = harness.Client, linnetd.Linnetd, 1 << 10, 1 << 20, 1 << 30
SKIPPED = 77  # ctest's SKIP_RETURN_CODE of these tests


def skip(why):
    print(f"SKIPPED: {why}", flush=True)
    sys.exit(SKIPPED)


@contextlib.contextmanager
def tmpfs(size):
    """A file system of its own, so small that a test can fill it."""
    folder = tempfile.mkdtemp(prefix="linnet-tmpfs-")
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], text=True,
                              stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            skip(f"no tmpfs may be mounted here: {done.stderr.strip()}")
        try:
            yield folder
        finally:
            unmount(folder)
    finally:
        os.rmdir(folder)


def unmount(folder, seconds=10):
    """The kernel lets go of the ring of a process that was killed a moment after its end, and of the files in it."""
    deadline = time.monotonic() + seconds
    while subprocess.run(["umount", folder], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise AssertionError(f"{folder} is still in use after {seconds} s")
        time.sleep(0.05)


class Bulk:
    """One connection with one channel in confirm mode. Counts instead of looking; frames come ready-made."""

    def __init__(self, address, vhost="/"):
        self.sent = self.confirmed = self.refused = self.received = 0
        self.early = set()  # confirmed out of turn
        self.base = 0  # everything up to this tag is confirmed
        self.blocked, self.blocks, self.unblocks, self.answers = False, 0, 0, []
        self.on_message = None
        self.pipe = Pipe(address, vhost, self)
        self.call("channel.open")
        self.call("confirm.select")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipe.close()

    # ---- What the pipe calls -------------------------------------------------------------------
    def on_deliver(self, pipe, channel, consumer, tag, redelivered, header, body):
        self.received += 1
        if self.on_message:
            self.on_message(tag, redelivered, header, body)

    def on_confirm(self, pipe, channel, tag, multiple, accepted):
        before = self.confirmed
        if multiple:
            self.confirmed += max(0, tag - self.base - sum(1 for t in self.early if t <= tag))
            self.base = max(self.base, tag)
            self.early = {t for t in self.early if t > tag}
        else:
            self.confirmed += 1
            self.early.add(tag)
        while self.base + 1 in self.early:
            self.base += 1
            self.early.discard(self.base)
        if not accepted:
            self.refused += self.confirmed - before

    def on_method(self, pipe, channel, name, values):
        if name == "connection.blocked":
            self.blocked, self.blocks = True, self.blocks + 1
        elif name == "connection.unblocked":
            self.blocked, self.unblocks = False, self.unblocks + 1
        elif name in ("connection.close", "channel.close"):
            raise Ended(f"{values['reply_code']} {values['reply_text']}")
        else:
            self.answers.append((name, values))

    # ---- What a test calls ---------------------------------------------------------------------
    def turn(self, seconds=0.1):
        """Sends what there is to send and hears what there is to hear."""
        readable, writable, _ = select.select([self.pipe], [self.pipe] if self.pipe.out else [], [], seconds)
        if writable:
            self.pipe.send()
        if readable and not self.pipe.read():
            raise Ended("the broker hung up")

    def until(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Ended(f"not within {seconds} s: {what}")
            self.turn()

    def call(self, name, **values):
        self.answers.clear()
        self.pipe.say(1 if not name.startswith("connection.") else 0, name, **values)
        wanted = f"{name}-ok"
        # The pipe says its part of the handshake by itself.
        self.until(lambda: any(a == wanted for a, _ in self.answers), 120, wanted)
        return next(v for a, v in self.answers if a == wanted)

    def count(self, queue):
        return self.call("queue.declare", queue=queue, passive=True)["message_count"]

    def publish(self, frames, count, window=10_000):
        """`frames` hold `count` publishings. Waits only for room in the window."""
        while self.sent + count - self.confirmed > max(window, count) or len(self.pipe.out) > 1 << 22:
            self.turn()
        self.pipe.out += frames
        self.sent += count
        self.turn(0)

    def all_confirmed(self, seconds=120):
        self.until(lambda: self.confirmed == self.sent, seconds, f"{self.sent} confirms")
        if self.refused:
            raise Ended(f"{self.refused} messages were refused")

    def consume(self, queue, on_message, prefetch=0, **values):
        self.on_message = on_message
        if prefetch:
            self.call("basic.qos", prefetch_count=prefetch)
        self.call("basic.consume", queue=queue, consumer_tag="b", **values)

    def acknowledge(self, tag, multiple=True):
        self.pipe.out += acknowledgement(1, tag, multiple)


def numbered(address, first, count, size):
    """Publishings whose bodies begin with their number."""
    rest = bytes(size - 8)
    return b"".join(address.frames(n.to_bytes(8, "big") + rest) for n in range(first, first + count))


def number_of(body):
    return int.from_bytes(body[:8], "big")


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class Ping:
    """Another client's view: how long the broker takes to answer one that publishes nothing, and so is not held back."""

    def __init__(self, address):
        self.client = Client(address, seconds=60)
        self.queue = self.client.declare("", exclusive=True).values["queue"]
        self.seconds = []

    def once(self):
        began = time.monotonic()
        self.client.declare(self.queue, passive=True)
        self.seconds.append(time.monotonic() - began)

    def text(self):
        return (f"another client's round trips: {len(self.seconds)}, p50 {percentile(self.seconds, 0.5) * 1e3:.2f} ms, "
                f"p99 {percentile(self.seconds, 0.99) * 1e3:.2f} ms, at most {max(self.seconds) * 1e3:.1f} ms")


def log_files(pid, data_dir):
    """Files below the data folder that the daemon holds open."""
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            path = os.readlink(f"/proc/{pid}/fd/{number}")
            if path.startswith(os.path.realpath(data_dir) + "/"):
                found.append(path)
    return found


def folder_bytes(folder):
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(path, name)).st_blocks * 512
    return total
