"""MQTT packets made by hand, and a connection that keeps to no rule of its own: what paho would never send."""

import socket
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK = range(1, 10)
DISCONNECT = 14
V3_1_1, V5 = 4, 5
EXPIRY, USER_PROPERTY = 0x11, 0x26
FOR_EVER = 0xFFFFFFFF
QUOTA_EXCEEDED, RECEIVE_MAXIMUM_EXCEEDED, ID_NOT_FOUND, ID_IN_USE = 0x97, 0x93, 0x92, 0x91


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">H", len(data)) + data


def length(number):
    out = b""
    while True:
        number, digit = divmod(number, 128)
        out += bytes([digit | (0x80 if number else 0)])
        if not number:
            return out


def packet(kind, body=b"", flags=0):
    return bytes([kind << 4 | flags]) + length(len(body)) + body


def properties(version, data=b""):
    return length(len(data)) + data if version == V5 else b""


def connect(client_id, version=V5, clean=True, expiry=0, user=None, password=None, will=None):
    """`will` is (topic, payload, QoS, whether it is retained)."""
    flags, body = 0x02 if clean else 0, text(client_id)
    if will:
        topic, payload, qos, retain = will
        flags |= 0x04 | qos << 3 | (0x20 if retain else 0)
        body += properties(version) + text(topic) + text(payload)
    if user is not None:
        flags |= 0xC0
        body += text(user) + text(password)
    said = struct.pack(">BI", EXPIRY, expiry) if expiry else b""
    return packet(CONNECT, text("MQTT") + struct.pack(">BBH", version, flags, 0) + properties(version, said) + body)


def publish(topic, payload=b"x", qos=0, number=0, version=V5, retain=False, again=False, said=b""):
    head = text(topic) + (struct.pack(">H", number) if qos else b"") + properties(version, said)
    return packet(PUBLISH, head + payload, again << 3 | qos << 1 | retain)


def pubrel(number):
    return packet(PUBREL, struct.pack(">H", number), 2)


def subscribe(topic, qos=0, version=V5, number=1):
    return packet(SUBSCRIBE, struct.pack(">H", number) + properties(version) + text(topic) + bytes([qos]), 2)


class Answer:
    """A packet that came: its kind, its flags, its body."""

    def __init__(self, first, body):
        self.kind, self.flags, self.body = first >> 4, first & 15, body

    def number(self):
        return int.from_bytes(self.body[:2], "big")

    def reason(self):
        """That of a CONNACK, a DISCONNECT, an acknowledgement: 0 where it is left out."""
        at = {CONNACK: 1, DISCONNECT: 0}.get(self.kind, 2)
        return self.body[at] if len(self.body) > at else 0

    def published(self, version=V5):
        """Topic, properties and payload of a PUBLISH."""
        at = 2 + self.number()
        topic, at = self.body[2:at].decode(), at + (2 if self.flags & 6 else 0)
        said = b""
        if version == V5:
            size, at = _length_in(self.body, at)
            said, at = self.body[at:at + size], at + size
        return topic, said, self.body[at:]


def _length_in(data, at):
    """A length and where it ends, or None twice if it is not all there."""
    number = shift = 0
    while at < len(data):
        number |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return number, at
    return None, None


class Client:
    def __init__(self, address, said=None, seconds=20):
        self.sock = socket.create_connection(address, seconds)
        self.buffer, self.welcome = b"", None
        if said is not None:
            self.send(said)
            self.welcome = self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def leave(self):
        self.send(packet(DISCONNECT))
        self.close()

    def send(self, data):
        self.sock.sendall(data)

    def receive(self):
        """The next answer; None once the daemon has closed."""
        while (found := self._next()) is None:
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.buffer += data
        return found

    def _next(self):
        size, at = _length_in(self.buffer, 1)
        if size is None or len(self.buffer) < at + size:
            return None
        found = Answer(self.buffer[0], self.buffer[at:at + size])
        self.buffer = self.buffer[at + size:]
        return found
