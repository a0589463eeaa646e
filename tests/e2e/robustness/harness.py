"""What every robustness test needs: a client at the level of frames, and a look at the daemon from outside.

Run a test by hand with LINNETD=<binary> /usr/bin/python3 <name>_test.py.
"""

import contextlib
import os
import resource
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))

import linnetd  # noqa: E402
import raw_amqp as amqp  # noqa: E402

Linnetd = linnetd.Linnetd
KIB, MIB = 1024, 1024 * 1024
CAPABILITIES = ("connection.blocked", "authentication_failure_close", "consumer_cancel_notify", "basic.nack",
                "publisher_confirms")


class Refused(Exception):
    """The broker did not answer as a conversation goes; holds what it said instead."""

    def __init__(self, event):
        super().__init__(str(event))
        self.event = event
        self.code = event.values.get("reply_code") if event else None
        self.text = event.values.get("reply_text") if event else None


def start_ok(user="guest", password="guest", capabilities=CAPABILITIES, mechanism="PLAIN"):
    response = f"\0{user}\0{password}" if mechanism == "PLAIN" else ""
    return amqp.method_frame(
        0, "connection.start-ok", mechanism=mechanism, response=response, locale="en_US",
        client_properties={"product": "robustness test", "capabilities": dict.fromkeys(capabilities, True)})


def opening(user="guest", password="guest", vhost="/", frame_max=131072, channel_max=2047, capabilities=CAPABILITIES):
    """Everything a client says up to its open connection; a broker takes it in one piece as well."""
    return (amqp.HEADER + start_ok(user, password, capabilities)
            + amqp.method_frame(0, "connection.tune-ok", channel_max=channel_max, frame_max=frame_max, heartbeat=0)
            + amqp.method_frame(0, "connection.open", virtual_host=vhost))


class Client(amqp.Socket):
    """A connection that is open, or an exception. Calls wait; nothing is answered behind the test's back."""

    def __init__(self, address, user="guest", password="guest", vhost="/", channels=1, seconds=10, frame_max=131072,
                 channel_max=2047, capabilities=CAPABILITIES, mechanism="PLAIN", wrap=None, receive_buffer=None):
        if receive_buffer:
            self._adopt(_connect_with_buffer(address, receive_buffer))
        else:
            super().__init__(address)
        if wrap:
            self.sock.settimeout(seconds)
            try:
                self.sock = wrap(self.sock)
            except BaseException:
                self.sock.close()
                raise
        self.seconds = seconds
        self.send(amqp.HEADER)
        self.server = self.expect(0, "connection.start").values
        self.send(start_ok(user, password, capabilities, mechanism))
        self.tune = self.expect(0, "connection.tune").values
        self.send(amqp.method_frame(0, "connection.tune-ok", channel_max=channel_max, frame_max=frame_max, heartbeat=0))
        self.call(0, "connection.open", virtual_host=vhost)
        for channel in range(1, channels + 1):
            self.call(channel, "channel.open")

    def _adopt(self, sock):
        self.sock, self.buffer, self.ended = sock, b"", False
        self.inboxes, self.partial = amqp.collections.defaultdict(amqp.collections.deque), {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self, deadline):
        # A TLS socket may hold what select() no longer sees.
        pending = getattr(self.sock, "pending", None)
        if pending and pending():
            self.buffer += self.sock.recv(pending())
            self._split()
            return True
        return super()._read(deadline)

    def expect(self, channel, name, seconds=None):
        deadline = time.monotonic() + (self.seconds if seconds is None else seconds)
        while not self.inboxes[channel] and not self._close() and not self.ended and self._read(deadline):
            pass
        event = self.inboxes[channel].popleft() if self.inboxes[channel] else self._close()
        if event is not None and event.name == "basic.cancel" and name != "basic.cancel":
            # Who deletes the queue that it consumes from hears of both, in either order.
            return self.expect(channel, name, seconds)
        if event is None and self.ended:
            event = amqp.Event(channel, amqp.EOF)
        if event is None or event.name != name:
            self.close()
            raise Refused(event)
        return event

    def _close(self):
        """A connection's end explains a channel's silence."""
        return next((e for e in self.inboxes[0] if e.name == "connection.close"), None)

    def call(self, channel, name, **values):
        self.send(amqp.method_frame(channel, name, **values))
        return self.expect(channel, f"{name}-ok")

    def declare(self, queue, channel=1, **values):
        return self.call(channel, "queue.declare", queue=queue, **values)

    def publish(self, queue, body=b"x", channel=1, exchange="", **properties):
        return self.send(publishing(queue, body, channel, exchange, **properties))

    def hang_up(self):
        """The polite end, whatever was said about memory before it."""
        self.send(amqp.method_frame(0, "connection.close", reply_code=200))
        while (event := self.receive(0, self.seconds)) and event.name in ("connection.blocked", "connection.unblocked"):
            pass
        if event is None or event.name != "connection.close-ok":
            self.close()
            raise Refused(event)
        end = self.receive(0, self.seconds)
        self.close()
        return end.name == amqp.EOF


def _connect_with_buffer(address, receive_buffer):
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)  # before connect: it sets the window
    sock.settimeout(10)
    sock.connect(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def publishing(queue, body=b"x", channel=1, exchange="", frame_max=131072, **properties):
    return (amqp.method_frame(channel, "basic.publish", exchange=exchange, routing_key=queue)
            + amqp.content_frames(channel, body, frame_max, **properties))


def drained(sock, seconds):
    """All that comes until the peer closes; raises TimeoutError if it does not."""
    deadline, data = time.monotonic() + seconds, b""
    while True:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            part = sock.recv(1 << 16)
        except ConnectionResetError:
            return data
        if not part:
            return data
        data += part


def events_in(data):
    """The replies in a stream of bytes, heartbeats apart."""
    reader = amqp.Socket.__new__(amqp.Socket)
    reader.buffer, reader.ended, reader.partial = data, True, {}
    found = []
    reader._deliver = found.append
    if data.startswith(b"AMQP"):
        reader._split()
    reader._split()
    return found, reader.buffer


def works(address, **arguments):
    """Proves that the broker serves: a queue of our own, there and back."""
    with Client(address, **arguments) as client:
        queue = client.declare("", exclusive=True).values["queue"]
        client.publish(queue, b"there and back")
        client.call(1, "basic.consume", queue=queue, no_ack=True)
        body = client.expect(1, "basic.deliver").body
        client.hang_up()
    if body != b"there and back":
        raise AssertionError(f"another message came back: {body!r}")


def resident_bytes(pid, field="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * KIB
    raise LookupError(field)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def idle_descriptors(pid):
    """Without those of a connection that has just been closed and is being let go."""
    lowest = open_descriptors(pid)
    for _ in range(15):
        time.sleep(0.02)
        lowest = min(lowest, open_descriptors(pid))
    return lowest


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what}")


def own_descriptors(wanted):
    """Raises this process's own limit; False where the machine does not allow as many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


class LimitedLinnetd(Linnetd):
    """A daemon under `ulimit -n`, hard and soft."""

    def __init__(self, descriptors, **arguments):
        super().__init__(**arguments)
        self.descriptors = descriptors

    def _command(self):
        return ["prlimit", f"--nofile={self.descriptors}:{self.descriptors}"] + super()._command()


@contextlib.contextmanager
def closing_all(sockets):
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()
