#!/usr/bin/env python3
"""Whoever speaks another protocol than the port is told so once, at most, and sent away; the next one is served."""

import os
import socket
import unittest

import harness

AMQP_HEADER = b"AMQP\0\0\x09\x01"
SPOKEN = {
    "amqp": AMQP_HEADER,
    "amqp 1.0": b"AMQP\0\x01\0\0",
    "mqtt 3.1.1": b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0",
    "mqtt 5": b"\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0\0",
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0",
    "tls": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(505),
    "stomp": b"CONNECT\naccept-version:1.2\nhost:a\n\n\0",
    "nats": b'CONNECT {"verbose":false}\r\nPING\r\n',
    "proxy": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12),
    "zeros": bytes(600),
    "ones": b"\xff" * 600,
    "noise": os.urandom(600),
}
# What a port is for, by the words that it takes. Any other is another protocol.
PORTS = {"amqp": ("amqp",), "mqtt": ("mqtt 3.1.1", "mqtt 5"), "http": ("http",), "metrics": ("http",)}
ANSWER_BYTES_MAX = 1024


class FirstBytes(unittest.TestCase):
    def test_every_protocol_at_every_port(self):
        config = 'shards = 2\n[limits]\nhandshake_timeout = "2s"\n'
        listen = tuple(f"{port}=127.0.0.1:0" for port in PORTS)
        with harness.Linnetd(config=config, listen=listen) as broker:
            for port, own in PORTS.items():
                for name, said in SPOKEN.items():
                    if name not in own:
                        with self.subTest(port=port, said=name):
                            self.assert_sent_away(broker.address_of(port), said)
            harness.Client(broker.address).hang_up()
            self.assertIsNone(broker.process.poll())

    def assert_sent_away(self, address, said):
        with socket.create_connection(address, timeout=20) as sock:
            answer = b""
            try:
                sock.sendall(said)
                while piece := sock.recv(65536):
                    answer += piece
            except ConnectionResetError:
                pass  # there was more to read than it cared for
            self.assertLessEqual(len(answer), ANSWER_BYTES_MAX)
            for twice in (AMQP_HEADER, b"HTTP/1.1 "):
                self.assertLessEqual(answer.count(twice), 1, answer)


if __name__ == "__main__":
    unittest.main()
