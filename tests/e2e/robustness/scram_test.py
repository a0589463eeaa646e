#!/usr/bin/env python3
"""SCRAM-SHA-256 in MQTT 5, spoken by a client made of Python's own hashes; and what the daemon makes of a password."""

import base64
import hashlib
import hmac
import os
import socket
import struct
import subprocess
import unittest

from harness import Linnetd

CONFIG = """\
[[vhost]]
name = "/"
[[user]]
name = "ann"
password_hash = "{hash}"
[[permission]]
user = "ann"
vhost = "/"
configure = ".*"
write = ".*"
read = ".*"
"""
CONNECT, CONNACK, DISCONNECT, AUTH = 1, 2, 14, 15
METHOD, DATA = 0x15, 0x16
CONTINUE, REAUTHENTICATE, NOT_AUTHORIZED = 0x18, 0x19, 0x87


def text(data):
    return struct.pack(">H", len(data)) + data


def hash_of(password, form="scram-sha-256"):
    done = subprocess.run([os.environ["LINNETD"], "--hash-password", form], input=password + "\n",
                          capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.strip()


class Client:
    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=10)
        self.read = self.socket.makefile("rb")

    def close(self):
        self.read.close()
        self.socket.close()

    def send(self, kind, body):
        length, rest = b"", len(body)
        while True:
            length += bytes([rest % 128 | (0x80 if rest >= 128 else 0)])
            rest //= 128
            if not rest:
                break
        self.socket.sendall(bytes([kind << 4]) + length + body)

    def receive(self):
        """(kind, reason, authentication data), or None: the connection has ended."""
        first = self.read.read(1)
        if not first:
            return None
        size, shift = 0, 0
        while True:
            byte = self.read.read(1)[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        body = self.read.read(size)
        kind = first[0] >> 4
        skip = 1 if kind == CONNACK else 0
        reason, data, at = body[skip], b"", skip + 2
        fixed = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
        while at < len(body):
            name = body[at]
            at += 1
            if name in fixed:
                at += fixed[name]
                continue
            length = struct.unpack_from(">H", body, at)[0]
            data = body[at + 2:at + 2 + length] if name == DATA else data
            at += 2 + length
        return kind, reason, data

    @staticmethod
    def properties(data):
        block = bytes([METHOD]) + text(b"SCRAM-SHA-256") + bytes([DATA]) + text(data)
        assert len(block) < 128 * 128
        return (bytes([len(block)]) if len(block) < 128 else bytes([len(block) % 128 | 0x80, len(block) // 128])) + block

    def begin(self, user, nonce):
        self.bare = f"n={user},r={nonce}".encode()
        self.send(CONNECT, text(b"MQTT") + bytes([5, 2, 0, 0]) + self.properties(b"n,," + self.bare) + text(b"scram"))
        return self.receive()

    def begin_again(self, user, nonce):
        self.bare = f"n={user},r={nonce}".encode()
        self.send(AUTH, bytes([REAUTHENTICATE]) + self.properties(b"n,," + self.bare))
        return self.receive()

    def proof(self, password, challenge):
        fields = dict(f.split("=", 1) for f in challenge.decode().split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without = f"c=biws,r={fields['r']}".encode()
        said = self.bare + b"," + challenge + b"," + without
        signature = hmac.digest(hashlib.sha256(client_key).digest(), said, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.expected = b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256"))
        return without + b",p=" + base64.b64encode(proof)

    def prove(self, message):
        self.send(AUTH, bytes([CONTINUE]) + self.properties(message))
        return self.receive()


class Scram(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Linnetd(config=CONFIG.format(hash=hash_of("secret")), listen=("mqtt=127.0.0.1:0",))
        cls.broker.start()
        cls.address = cls.broker.address_of("mqtt")

    @classmethod
    def tearDownClass(cls):
        cls.broker.stop()

    def client(self):
        client = Client(self.address)
        self.addCleanup(client.close)
        return client

    def test_the_password_is_proved_on_both_sides_and_again(self):
        client = self.client()
        kind, reason, challenge = client.begin("ann", "one")
        self.assertEqual((kind, reason), (AUTH, CONTINUE))
        self.assertTrue(challenge.startswith(b"r=one"), challenge)
        answer = client.prove(client.proof("secret", challenge))
        self.assertEqual(answer, (CONNACK, 0, client.expected))
        kind, reason, challenge = client.begin_again("ann", "two")
        self.assertEqual((kind, reason), (AUTH, CONTINUE))
        self.assertEqual(client.prove(client.proof("secret", challenge)), (AUTH, 0, client.expected))
        _, _, challenge = client.begin_again("ann", "three")
        self.assertEqual(client.prove(client.proof("wrong", challenge))[:2], (DISCONNECT, NOT_AUTHORIZED))
        self.assertIsNone(client.receive())

    def test_others_are_refused(self):
        for user, password in (("ann", "wrong"), ("nobody", "secret")):
            client = self.client()
            kind, reason, challenge = client.begin(user, "n")
            self.assertEqual((kind, reason), (AUTH, CONTINUE), "nobody learns who exists")
            self.assertEqual(client.prove(client.proof(password, challenge))[:2], (CONNACK, NOT_AUTHORIZED))
            self.assertIsNone(client.receive())

    def test_what_was_overheard_proves_nothing(self):
        first, second = self.client(), self.client()
        overheard = first.proof("secret", first.begin("ann", "same")[2])
        self.assertEqual(first.prove(overheard)[:2], (CONNACK, 0))
        second.begin("ann", "same")
        self.assertEqual(second.prove(overheard)[:2], (CONNACK, NOT_AUTHORIZED))

    def test_a_verifier_of_one_iteration_is_not_taken(self):
        weak = hash_of("secret")
        weak = "SCRAM-SHA-256$1:" + weak.split(":", 1)[1]
        with self.assertRaisesRegex(Exception, "password_hash"):
            Linnetd(config=CONFIG.format(hash=weak), listen=("mqtt=127.0.0.1:0",)).start()


if __name__ == "__main__":
    unittest.main()
