#!/usr/bin/env python3
"""Huge messages that are announced and never sent: they cost what a connection costs, and end at the deadline."""

import base64
import select
import socket
import struct
import time
import unittest

import harness
import raw_amqp as amqp
import raw_mqtt as mqtt
from harness import KIB, MIB, Client, Linnetd

COUNT = 500
# For all of them to come, and to be looked at while all are there.
TIMEOUT = 5.0
LATE = 5.0
# Resident, a connection that nobody has logged in on, or somebody has.
BYTES_MAX = 8 * KIB
LOGGED_IN_BYTES_MAX = 16 * KIB
# Asked of the system, whether it is touched or not: far less than what is announced, with room for stacks and pools.
RESERVED_MAX = MIB

MESSAGE_MAX = 128 * MIB
PACKET_MAX = 16 * MIB
STRANGER_MAX = 256 * KIB  # of a packet from somebody who is not known yet
CONNECT = mqtt.text("MQTT") + b"\x05\x02\0\0"
LOGIN = b"Authorization: Basic " + base64.b64encode(b"guest:guest") + b"\r\n"
UPGRADE = (b"GET /ws/mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Protocol: mqtt\r\n\r\n")


def amqp_frame(size):
    return amqp.HEADER + struct.pack(">BHI", amqp.METHOD, 0, size) + b"\0\x0a\0\x0b"


def amqp_content(size):
    return (harness.opening() + amqp.method_frame(1, "channel.open")
            + amqp.method_frame(1, "basic.publish", routing_key="nowhere")
            + amqp.frame(amqp.CONTENT_HEADER, 1, amqp.content_header(size)) + struct.pack(">BHI", amqp.BODY, 1, 100_000)
            + bytes(100))


def mqtt_connect(size):
    return bytes([mqtt.CONNECT << 4]) + mqtt.length(size) + CONNECT


def websocket(size, within):
    return UPGRADE + b"\x82\xff" + struct.pack(">Q", size) + bytes(4) + within


def http(size, login=b""):
    return b"POST /v1/%%2F/t/a HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\nabc" % (login, size)


# Within the limits: port, what is said before, what announces more, how what comes by the deadline begins.
WAITED_FOR = {
    "an AMQP frame before the login": ("amqp", amqp.HEADER, amqp_frame(4000)[len(amqp.HEADER):], b"\x01"),
    "an MQTT CONNECT": ("mqtt", b"", mqtt_connect(STRANGER_MAX - 5), b""),
    "an MQTT CONNECT in a WebSocket": ("http", UPGRADE,
                                       websocket(PACKET_MAX, mqtt_connect(STRANGER_MAX - 5))[len(UPGRADE):],
                                       b"HTTP/1.1 101"),
    "an HTTP body": ("http", b"", http(MESSAGE_MAX, LOGIN), b"HTTP/1.1 408"),
}
# Beyond them: nobody waits.
REFUSED = {
    "an AMQP frame before the login": ("amqp", amqp_frame((1 << 31) - 1), b"\x01"),
    "an MQTT CONNECT": ("mqtt", mqtt_connect(STRANGER_MAX), b""),
    "an MQTT CONNECT of a packet's size": ("mqtt", mqtt_connect(PACKET_MAX - 5), b""),
    "an MQTT CONNECT of any size": ("mqtt", mqtt_connect(0x0FFFFFFF), b""),
    "an MQTT CONNECT in a WebSocket": ("http", websocket(PACKET_MAX, mqtt_connect(PACKET_MAX - 5)), b"HTTP/1.1 101"),
    "a WebSocket message": ("http", websocket(1 << 62, b""), b"HTTP/1.1 101"),
    "an HTTP body without a login": ("http", http(MESSAGE_MAX), b"HTTP/1.1 401"),
    "an HTTP body": ("http", http(MESSAGE_MAX + 1, LOGIN), b"HTTP/1.1 413"),
    "an HTTP body beyond any number": ("http", http(1 << 64, LOGIN), b"HTTP/1.1 4"),
}


class Announced(unittest.TestCase):
    def setUp(self):
        if not harness.own_descriptors(len(WAITED_FOR) * COUNT + 200):
            self.skipTest("this machine does not allow as many descriptors a process")
        # Without the log's lines: two a connection would be part of the figure.
        self.broker = Linnetd(config=f'[limits]\nhandshake_timeout = "{int(TIMEOUT)}s"\n',
                              settings=("shards=2", "log.level=error"),
                              listen=("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0", "http=127.0.0.1:0")).start()
        self.addCleanup(self.broker.stop)
        for _ in range(4):
            harness.works(self.broker.address)
        # Before all others: select() knows of a thousand descriptors only.
        self.living = Client(self.broker.address)
        self.addCleanup(self.living.close)

    def memory(self):
        return harness.resident_bytes(self.broker.pid), harness.resident_bytes(self.broker.pid, "VmData")

    def announce(self, port, said):
        """As many connections that have said it."""
        sockets = []
        for _ in range(COUNT):
            sockets.append(socket.create_connection(self.broker.address_of(port), 5))
            self.addCleanup(sockets[-1].close)
            sockets[-1].sendall(said)
        return sockets

    def assert_cheap(self, name, before, most=BYTES_MAX):
        time.sleep(0.2)  # what has been said is read by then
        resident, reserved = ((now - then) / COUNT for now, then in zip(self.memory(), before))
        print(f"{name}: {resident:.0f} bytes resident, {reserved:.0f} reserved a connection")
        self.assertLess(resident, most, name)
        self.assertLess(reserved, RESERVED_MAX, name)

    def assert_all_are_there(self, descriptors):
        harness.wait_for(lambda: harness.open_descriptors(self.broker.pid) >= descriptors + COUNT, 5,
                         "all are accepted")

    def heard_so_far(self, sock, name):
        """Without waiting; the broker has not hung up."""
        heard = b""
        sock.setblocking(False)
        try:
            while data := sock.recv(65536):
                heard += data
        except BlockingIOError:
            return heard
        self.fail(f"{name}: the broker has hung up on one that it should wait for, after {heard[:60]}")

    def answer_to(self, port, opening):
        """What the broker says to one who has said only this."""
        if not opening:
            return b""
        with socket.create_connection(self.broker.address_of(port), 5) as sock:
            sock.sendall(opening)
            harness.wait_for(lambda: select.select([sock], [], [], 0)[0], 5, "an answer")
            return sock.recv(1 << 16)

    def test_it_is_waited_for_until_the_deadline(self):
        waiting, heard = {}, {}
        for name, (port, opening, said, _) in WAITED_FOR.items():
            descriptors = harness.idle_descriptors(self.broker.pid)
            answer = self.answer_to(port, opening)
            harness.wait_for(lambda: harness.open_descriptors(self.broker.pid) <= descriptors, 5, "it has gone")
            before = self.memory()
            waiting[name] = self.announce(port, opening + said)
            self.assert_all_are_there(descriptors)
            self.assert_cheap(name, before)
            # All have come, what they said has been read, and others are served: they are still waited for.
            self.living.declare("", exclusive=True)
            heard[name] = [self.heard_so_far(sock, name) for sock in waiting[name]]
            for so_far in heard[name]:
                self.assertEqual(len(so_far), len(answer), f"{name}: {so_far}")
        for name, sockets in waiting.items():
            expected = WAITED_FOR[name][-1]
            for sock, before in zip(sockets, heard[name]):
                said = before + harness.drained(sock, TIMEOUT + LATE)
                self.assertEqual(said[:len(expected)], expected, name)
        self.living.hang_up()

    def test_what_is_beyond_the_limits_is_refused_at_once(self):
        for name, (port, said, expected) in REFUSED.items():
            with self.subTest(name):
                before = self.memory()
                with harness.closing_all(self.announce(port, said)) as sockets:
                    self.assert_cheap(name, before)
                    for sock in sockets:
                        self.assertEqual(harness.drained(sock, TIMEOUT * 0.6)[:len(expected)], expected)
        self.living.hang_up()

    def test_a_stranger_has_nothing_held(self):
        for port, begin in (("mqtt", mqtt_connect(14 * MIB)), ("http", websocket(14 * MIB, mqtt_connect(14 * MIB)))):
            with self.subTest(port):
                before = self.memory()
                sockets = [socket.create_connection(self.broker.address_of(port), 5) for _ in range(20)]
                with harness.closing_all(sockets):
                    for sock in sockets:
                        try:
                            sock.sendall(begin + bytes(12 * MIB))
                        except OSError:
                            pass  # refused, as it should be
                    resident = self.memory()[0] - before[0]
                print(f"{port}: {resident / 20:.0f} bytes resident a connection that sends 12 MiB")
                self.assertLess(resident / 20, STRANGER_MAX + 64 * KIB)
        self.living.hang_up()

    def test_a_content_beyond_the_limits_ends_its_channel(self):
        for size in (MESSAGE_MAX + 1, (1 << 64) - 1):
            with self.subTest(size), Client(self.broker.address) as client:
                self.living.declare("", exclusive=True)
                client.send(amqp.method_frame(1, "basic.publish", routing_key="nowhere")
                            + amqp.frame(amqp.CONTENT_HEADER, 1, amqp.content_header(size)))
                self.assertEqual(client.expect(1, "channel.close").values["reply_code"], 406)
                client.hang_up()
        self.living.hang_up()

    def test_who_is_logged_in_may_take_its_time(self):
        before, descriptors = self.memory(), harness.idle_descriptors(self.broker.pid)
        sockets = self.announce("amqp", amqp_content(MESSAGE_MAX))
        self.assert_all_are_there(descriptors)
        self.assert_cheap("an AMQP content", before, LOGGED_IN_BYTES_MAX)
        time.sleep(TIMEOUT * 1.2)
        self.living.declare("", exclusive=True)
        self.assertGreaterEqual(harness.open_descriptors(self.broker.pid), descriptors + COUNT)
        for sock in sockets:
            sock.close()
        harness.wait_for(lambda: harness.open_descriptors(self.broker.pid) <= descriptors, 5,
                         "their descriptors are given back")
        self.living.hang_up()


if __name__ == "__main__":
    unittest.main()
