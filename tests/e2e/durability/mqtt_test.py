#!/usr/bin/python3
"""kill -9 between every two steps of MQTT's promises: sessions, deliveries under way, taken ids, retained messages, wills.

The client speaks raw packets, so that it decides what is answered and what is not.
"""

import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from linnetd import Linnetd  # noqa: E402

SECONDS = 20


def text(value):
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def packet(first, body):
    length, rest = b"", len(body)
    while True:
        rest, low = divmod(rest, 128)
        length += bytes([low | (128 if rest else 0)])
        if not rest:
            return bytes([first]) + length + body


class Client:
    """MQTT 3.1.1, a session that is kept."""

    def __init__(self, address, name, will=None):
        self.socket = socket.create_connection(address, SECONDS)
        self.buffer = b""
        flags, more = 0xC0, b""
        if will:
            flags, more = flags | 0x0C, text(will[0]) + text(will[1])
        self.send(0x10, text("MQTT") + bytes([4, flags, 0, 0]) + text(name) + more + text("guest") + text("guest"))
        first, body = self.get()
        equal((first, body[1]), (0x20, 0), "CONNACK")
        self.present = body[0] == 1

    def send(self, first, body):
        self.socket.sendall(packet(first, body))

    def read(self, count):
        while len(self.buffer) < count:
            got = self.socket.recv(65536)
            if not got:
                raise AssertionError("the broker has closed the connection")
            self.buffer += got
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def get(self):
        first, length, shift = self.read(1)[0], 0, 0
        while True:
            byte = self.read(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return first, self.read(length)

    def subscribe(self, filter, qos):
        self.send(0x82, b"\0\1" + text(filter) + bytes([qos]))
        equal(self.get(), (0x90, b"\0\1" + bytes([qos])), "SUBACK")

    def publish(self, topic, body, qos, number, dup=False, retain=False):
        first = 0x30 | qos << 1 | (8 if dup else 0) | (1 if retain else 0)
        self.send(first, text(topic) + number.to_bytes(2, "big") + body.encode())

    def delivered(self):
        """(first byte, packet id, body) of a PUBLISH."""
        return parsed(*self.get())

    def answer(self, first, number):
        self.send(first, number.to_bytes(2, "big"))

    def answered(self, first, number):
        equal(self.get(), (first, number.to_bytes(2, "big")), "an answer")


def parsed(first, body):
    equal(first >> 4, 3, "a PUBLISH")
    at = 2 + int.from_bytes(body[:2], "big")
    return first, int.from_bytes(body[at:at + 2], "big"), body[at + 2:].decode()


def equal(got, expected, what):
    if got != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {got!r}")


def main():
    with Linnetd(listen=("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0")) as broker:
        def client(name, **more):
            return Client(broker.address_of("mqtt"), name, **more)

        def crash():
            broker.kill()
            broker.start_again()

        # What has been acknowledged is there, and so is the subscription that it is for.
        me = client("me")
        equal(me.present, False, "a session before")
        me.subscribe("t/#", 2)
        crash()
        other = client("other")
        for i, qos in enumerate((1, 2, 2)):
            other.publish("t/x", f"m{i}", qos, i + 1)
            other.answered(0x40 if qos == 1 else 0x50, i + 1)
        other.publish("kept", "a value", 1, 9, retain=True)
        other.answered(0x40, 9)
        crash()
        print("ok    a session and what was published for it survive", flush=True)

        me = client("me")
        equal(me.present, True, "the session")
        got = [me.delivered() for _ in range(3)]
        equal([body for _, _, body in got], ["m0", "m1", "m2"], "deliveries")
        ids = [number for _, number, _ in got]
        me.answer(0x50, ids[1])  # PUBREC
        me.answered(0x62, ids[1])
        crash()
        # The same ids after the crash: what QoS 2 receivers know a publish by. What they have received is not sent again.
        me = client("me")
        again = [me.get() for _ in range(3)]
        released = (0x62, ids[1].to_bytes(2, "big"))
        equal([packet for packet in again if packet[0] == 0x62], [released], "what had been received")
        again.remove(released)
        equal([(first & 8, number, body) for first, number, body in (parsed(*packet) for packet in again)],
              [(8, ids[0], "m0"), (8, ids[2], "m2")], "deliveries that were under way")
        me.answer(0x40, ids[0])
        me.answer(0x70, ids[1])
        me.answer(0x50, ids[2])
        me.answered(0x62, ids[2])
        me.answer(0x70, ids[2])
        me.send(0xC0, b"")
        equal(me.get(), (0xD0, b""), "PINGRESP")
        print("ok    deliveries under way come again with their ids", flush=True)

        # A publish of QoS 2 that has been taken is not taken twice.
        other = client("other")
        for number in (2, 3):
            other.publish("t/x", "twice", 2, number, dup=True)
            other.answered(0x50, number)
            other.answer(0x62, number)
            other.answered(0x70, number)
        other.publish("t/x", "last", 1, 5)
        other.answered(0x40, 5)
        first, number, body = me.delivered()
        equal((first, body), (0x32, "last"), "what comes next")
        me.answer(0x40, number)
        print("ok    a QoS 2 publish is taken once, whatever lies between", flush=True)

        # Retained messages and wills.
        crash()
        you = client("you", will=("wills", "gone"))
        you.subscribe("kept", 1)
        first, number, body = you.delivered()
        equal((first & 0x0F, body), (0x03, "a value"), "the retained message")
        you.answer(0x40, number)
        other = client("other")
        other.subscribe("wills", 1)
        you.socket.close()
        equal(other.delivered()[2], "gone", "the will")
        print("ok    retained messages survive, wills are said", flush=True)


if __name__ == "__main__":
    main()
