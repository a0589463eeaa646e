#!/usr/bin/python3
"""MQTT through WebSocket, frame by frame over a real socket: what MQTT's chapter 6 demands, and a few of the cases of
the Autobahn test suite, by their numbers, that a library would never send.
"""

import base64
import hashlib
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from checks import check, equal, fresh, run  # noqa: E402

ADDRESS = os.environ.get("HTTP_HOST", "127.0.0.1"), int(os.environ.get("HTTP_PORT", "15675"))
PLAIN = os.environ.get("MQTT_HOST", "127.0.0.1"), int(os.environ.get("MQTT_PORT", "1883"))
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"
SECONDS = 10


def clause(specification, *ids):
    """What tests/conformance/mqtt/table.py reads."""
    print(f"      {specification}: {', '.join(ids)}", flush=True)


def frame(code, payload=b"", final=True, rsv=0, masked=True):
    length = len(payload)
    head = bytes([(0x80 if final else 0) | rsv << 4 | code])
    bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", length)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", length)
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[i & 3] for i, byte in enumerate(payload))


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


def packet(first, body):
    assert len(body) < 128
    return bytes([first, len(body)]) + body


def connect(level, name):
    properties = b"\0" if level == 5 else b""
    return packet(0x10, text("MQTT") + bytes([level, 0xC2, 0, 0]) + properties + text(name) + text("guest") + text("guest"))


def publish(level, topic, body):
    return packet(0x30, text(topic) + (b"\0" if level == 5 else b"") + body)


class WebSocket:
    def __init__(self, protocols="mqtt"):
        self.socket = socket.create_connection(ADDRESS, SECONDS)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Protocol: {protocols}\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        equal(self.fields.get("sec-websocket-accept"), base64.b64encode(accept).decode(), "Sec-WebSocket-Accept")

    def more(self):
        got = self.socket.recv(65536)
        if not got:
            raise EOFError("the broker has closed the connection")
        self.buffer += got

    def take(self, count):
        while len(self.buffer) < count:
            self.more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def get(self):
        """(opcode, payload); a server's frames are whole and never masked."""
        first, length = self.take(2)
        equal((first & 0xF0, length & 0x80), (0x80, 0), "FIN, RSV and MASK")
        if length == 126:
            length = struct.unpack(">H", self.take(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.take(8))[0]
        return first & 15, self.take(length)

    def send(self, raw, piece=None):
        for at in range(0, len(raw), piece or len(raw)):
            self.socket.sendall(raw[at:at + (piece or len(raw))])

    def packets(self, count):
        """MQTT packets, whatever messages they came in."""
        whole, found = b"", []
        while len(found) < count:
            code, payload = self.get()
            equal(code, BINARY, "opcode")
            whole += payload
            while len(whole) > 1 and len(whole) >= 2 + whole[1]:
                found.append(whole[:2 + whole[1]])
                whole = whole[2 + whole[1]:]
        return found

    def ends(self, code):
        """A close frame of that code, and then nothing."""
        opcode, payload = self.get()
        equal(opcode, CLOSE, "opcode")
        equal(struct.unpack(">H", payload[:2])[0], code, "close code")
        try:
            self.more()
        except (EOFError, ConnectionResetError):
            return
        raise AssertionError("more came after the close frame")


def opened(level, name=None):
    ws = WebSocket()
    ws.send(frame(BINARY, connect(level, name or fresh("ws"))))
    equal([p[0] for p in ws.packets(1)], [0x20], "CONNACK")
    return ws


@check("MQTT travels in binary messages, whose bounds mean nothing")
def binary_messages():
    clause("MQTT 5", "MQTT-6.0.0-1", "MQTT-6.0.0-2", "MQTT-6.0.0-4")
    clause("MQTT 3.1.1", "MQTT-6.0.0-1", "MQTT-6.0.0-2", "MQTT-6.0.0-4")
    for level in (4, 5):
        topic = fresh("frames").replace(".", "/")
        options = b"\0" if level == 5 else b""
        stream = (connect(level, fresh("ws")) + packet(0x82, b"\0\1" + options + text(topic) + b"\0") +
                  b"".join(publish(level, topic, str(i).encode()) for i in range(3)) + packet(0xC0, b""))
        for size in (1, 2, 7, len(stream)):
            ws = WebSocket("mqttv3.1, mqtt" if size == 1 else "mqtt")
            if size > 1:
                equal(ws.fields["sec-websocket-protocol"], "mqtt", "sub-protocol")
            for at in range(0, len(stream), size):
                ws.send(frame(BINARY, stream[at:at + size]))
            got = ws.packets(6)
            # Deliveries have their own pace.
            equal((got[0][0], sorted(p[0] for p in got[1:])), (0x20, [0x30, 0x30, 0x30, 0x90, 0xD0]),
                  f"packets in messages of {size}")
        ws = WebSocket()
        ws.send(frame(TEXT, stream))
        ws.ends(1003)


@check("one stream of bytes over TCP, in both versions, without an extension")
def transport():
    clause("MQTT 5", "MQTT-4.2-1")
    clause("MQTT 3.1.1", "MQTT-4.2.0-1", "MQTT-7.1.1-1", "MQTT-7.0.0-2")
    for level in (4, 5):
        with socket.create_connection(PLAIN, SECONDS) as s:
            for byte in connect(level, fresh("tcp")) + packet(0xC0, b""):
                s.sendall(bytes([byte]))
            got = b""
            while not got.endswith(b"\xd0\0"):
                got += s.recv(4096) or sys.exit("the broker has closed the connection")
            equal(got[0], 0x20, "CONNACK first")


@check("Autobahn 1.2: sizes of binary messages, in one piece and octet by octet")
def sizes():
    for size, piece in ((0, None), (125, None), (126, 1), (127, None), (128, 997), (65535, None), (65536, 997)):
        ws = opened(4)
        topic = fresh("size").replace(".", "/")
        ws.send(frame(BINARY, packet(0x82, b"\0\1" + text(topic) + b"\0")))
        equal(ws.packets(1)[0][0], 0x90, "SUBACK")
        body = b"\xfe" * size
        whole, rest = text(topic) + body, len(text(topic) + body)
        length = b""
        while True:
            rest, low = divmod(rest, 128)
            length += bytes([low | (128 if rest else 0)])
            if not rest:
                break
        ws.send(frame(BINARY, b"\x30" + length + whole), piece)
        got = b""
        while len(got) < 1 + len(length) + len(whole):
            got += ws.get()[1]
        equal(got, b"\x30" + length + whole, f"1.2, {size} octets in pieces of {piece}")


@check("Autobahn 2.2, 2.4, 2.10: pings are answered with what they hold, in their order")
def pings():
    ws = opened(4)
    for payload in (b"Hello, world!", b"\xfe" * 125):
        ws.send(frame(PING, payload))
        equal(ws.get(), (PONG, payload), "PONG")
    ws.send(b"".join(frame(PING, b"payload-%d" % i) for i in range(10)), 1)
    equal([ws.get() for _ in range(10)], [(PONG, b"payload-%d" % i) for i in range(10)], "ten pongs")
    ws.send(frame(PONG, b"unsolicited") + frame(PING))
    equal(ws.get(), (PONG, b""), "2.9")


@check("Autobahn 2.5, 3, 4, 5.1, 5.9, 5.15, 5.18, 7.3, 7.9: what breaks the protocol ends it with 1002")
def violations():
    piece = frame(BINARY, packet(0xC0, b"")[:1], final=False)
    for number, raw in (("2.5", frame(PING, b"\xfe" * 126)), ("3.1", frame(BINARY, b"\xc0\0", rsv=1)),
                        ("3.5", frame(BINARY, b"\xc0\0", rsv=5)), ("3.7", frame(CLOSE, b"\3\xe8", rsv=7)),
                        ("4.1.1", frame(3)), ("4.1.5", frame(7, b"x")), ("4.2.1", frame(11)), ("4.2.5", frame(15, b"x")),
                        ("5.1", frame(PING, b"fragment1", final=False)), ("5.9", frame(0, b"\xc0\0")),
                        ("5.15", piece + frame(0, b"") + frame(0, b"\0")), ("5.18", piece + frame(BINARY, b"\0")),
                        ("7.3.2", frame(CLOSE, b"a")), ("7.3.6", frame(CLOSE, b"\3\xe8" + b"*" * 124)),
                        ("7.9.1", frame(CLOSE, b"\0\0")), ("7.9.4", frame(CLOSE, struct.pack(">H", 1005))),
                        ("7.9.9", frame(CLOSE, struct.pack(">H", 2999))), ("unmasked", frame(BINARY, b"\xc0\0", masked=False))):
        for step in (None, 1):
            ws = opened(4)
            ws.send(raw, step)
            try:
                ws.ends(1002)
            except AssertionError as error:
                raise AssertionError(f"{number} in pieces of {step}: {error}") from error
    for number, code in (("7.7.1", 1000), ("7.7.2", 1001), ("7.7.9", 3000), ("7.7.13", 4999)):
        ws = opened(5)
        ws.send(frame(CLOSE, struct.pack(">H", code)))
        ws.ends(code)
    ws = opened(5)
    ws.send(frame(CLOSE, struct.pack(">H", 1000) + b"\xed\xa0\x80"))
    ws.ends(1007)


@check("Autobahn 5.6, 5.19: a message in fragments, with pings in between")
def fragments():
    ws = opened(4)
    ws.send(frame(BINARY, b"\xc0", final=False) + frame(PING, b"pongme 1!") + frame(0, b"", final=False) +
            frame(PING, b"pongme 2!") + frame(0, b"\0"))
    got = [ws.get() for _ in range(3)]
    equal(got, [(PONG, b"pongme 1!"), (PONG, b"pongme 2!"), (BINARY, b"\xd0\0")], "what came")


run(90)
