"""An AMQP connection that never waits: bytes go out when there is room, callbacks tell what came in.

What a broker does under load must be seen by one observer in one order, and at a rate that fills its batches; so
the frames that come by the thousand (deliver, ack, nack) are read here by hand and everything else by raw_amqp.
"""

import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))

import raw_amqp as amqp  # noqa: E402

_HEAD = struct.Struct(">BHI")
_TAG = struct.Struct(">QB")
_ACK = struct.Struct(">BHIHHQBB")
DELIVER, ACK, NACK = 60 << 16 | 60, 60 << 16 | 80, 60 << 16 | 120
READ_BYTES = 1 << 18


class Ended(Exception):
    """The broker has closed the connection or the channel; holds what it said."""


def login(vhost):
    """All that a client says up to its open connection, in one piece."""
    properties = {"product": "durability test", "capabilities": dict.fromkeys(
        ("publisher_confirms", "basic.nack", "connection.blocked", "consumer_cancel_notify"), True)}
    return (amqp.HEADER
            + amqp.method_frame(0, "connection.start-ok", mechanism="PLAIN", response="\0guest\0guest", locale="en_US",
                                client_properties=properties)
            + amqp.method_frame(0, "connection.tune-ok", channel_max=2047, frame_max=131072, heartbeat=0)
            + amqp.method_frame(0, "connection.open", virtual_host=vhost))


def acknowledgement(channel, tag, multiple=False):
    return _ACK.pack(1, channel, 13, 60, 80, tag, multiple, 0xCE)


def negative(channel, tag, multiple=False, requeue=True):
    return _ACK.pack(1, channel, 13, 60, 120, tag, multiple | requeue << 1, 0xCE)


class Publishing:
    """The frames of one address, ready but for the body."""

    def __init__(self, channel, exchange, key, **properties):
        self.method = amqp.method_frame(channel, "basic.publish", exchange=exchange, routing_key=key)
        header = amqp.content_header(0, **{"delivery_mode": 2, **properties})
        self.before, self.after = _HEAD.pack(2, channel, len(header)) + header[:4], header[12:] + b"\xce"
        self.channel = channel

    def frames(self, body):
        size = len(body)
        out = self.method + self.before + size.to_bytes(8, "big") + self.after
        for at in range(0, size, 131064):
            part = body[at:at + 131064]
            out += _HEAD.pack(3, self.channel, len(part)) + part + b"\xce"
        return out


class Pipe:
    """`who` has on_deliver(pipe, channel, consumer_tag, delivery_tag, redelivered, header, body),
    on_confirm(pipe, channel, tag, multiple, accepted) and on_method(pipe, channel, name, values)."""

    def __init__(self, address, vhost, who):
        self.sock = socket.create_connection(address, 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.who, self.out, self.rest, self.partial = who, bytearray(login(vhost)), b"", {}
        self.ended = False

    def fileno(self):
        return self.sock.fileno()

    def say(self, channel, name, **values):
        self.out += amqp.method_frame(channel, name, **values)

    def send(self):
        """As much as the socket takes; False once it is closed."""
        try:
            while self.out:
                count = self.sock.send(self.out[:READ_BYTES])
                del self.out[:count]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def read(self):
        """Everything that is there; False once the broker has gone and all that it said has been heard."""
        while not self.ended:
            try:
                data = self.sock.recv(READ_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                data = b""
            if not data:
                self.ended = True
                break
            self._split(self.rest + data if self.rest else data)
            if len(data) < READ_BYTES:
                return True
        return False

    def close(self):
        self.sock.close()

    def _split(self, data):
        at, end = 0, len(data)
        while at + 7 <= end:
            kind, channel, size = _HEAD.unpack_from(data, at)
            after = at + 8 + size
            if after > end:
                break
            if data[after - 1] != 0xCE:
                raise amqp.Malformed(f"frame end {data[after - 1]:#x}")
            if kind == 1:
                self._on_method(channel, data, at + 7, size)
            elif kind != 8:
                self._on_content(kind, channel, data[at + 7:after - 1])
            at = after
        self.rest = data[at:]

    def _on_method(self, channel, data, at, size):
        number = int.from_bytes(data[at:at + 4], "big")
        if number == DELIVER:
            tag_end = at + 5 + data[at + 4]
            delivery_tag, redelivered = _TAG.unpack_from(data, tag_end)
            self.partial[channel] = [data[at + 5:tag_end], delivery_tag, redelivered, None, b"", 0]
        elif number in (ACK, NACK):
            tag, multiple = _TAG.unpack_from(data, at + 4)
            self.who.on_confirm(self, channel, tag, multiple & 1, number == ACK)
        else:
            self.who.on_method(self, channel, *amqp.decode_method(data[at:at + size]))

    def _on_content(self, kind, channel, payload):
        partial = self.partial[channel]
        if kind == 2:
            partial[3], partial[5] = payload, int.from_bytes(payload[4:12], "big")
        else:
            partial[4] += payload
        if len(partial[4]) >= partial[5]:
            del self.partial[channel]
            self.who.on_deliver(self, channel, partial[0], partial[1], partial[2], partial[3], partial[4])
