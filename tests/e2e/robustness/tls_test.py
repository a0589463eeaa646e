#!/usr/bin/env python3
"""TLS on a second listener: clients, their certificates, and what is not TLS or never ends its handshake."""

import os
import shutil
import signal
import socket
import ssl
import tempfile
import time
import unittest
import warnings

import harness
import pika
import raw_amqp as amqp
from harness import Client, Linnetd, Refused

import brokers

CONFIG = """\
[tls]
cert_file = "{dir}/server.pem"
key_file = "{dir}/server.key"
ca_file = "{dir}/ca.pem"
verify = "{verify}"

[auth]
mechanisms = ["PLAIN", "EXTERNAL"]

[limits]
handshake_timeout = "1s"

[[user]]
name = "guest"
password = "guest"
[[permission]]
user = "guest"
vhost = "/"
configure = ".*"
write = ".*"
read = ".*"

[[user]]
name = "client"
password = "never used"
[[permission]]
user = "client"
vhost = "/"
configure = ".*"
write = ".*"
read = ".*"
"""
LISTEN = ("amqp=127.0.0.1:0", "amqps=127.0.0.1:0")


def context(folder, certificate=None, authority="ca"):
    made = ssl.create_default_context(cafile=os.path.join(folder, f"{authority}.pem"))
    if certificate:
        made.load_cert_chain(os.path.join(folder, f"{certificate}.pem"), os.path.join(folder, f"{certificate}.key"))
    return made


def serial(sock):
    return sock.getpeercert()["serialNumber"]


class Tls(unittest.TestCase):
    verify = "peer"

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="linnet-robustness-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        brokers.certificates(cls.folder)
        cls.strangers = os.path.join(cls.folder, "strangers")
        os.mkdir(cls.strangers)
        brokers.certificates(cls.strangers)  # the same names, another authority
        cls.broker = Linnetd(config=CONFIG.format(dir=cls.folder, verify=cls.verify), listen=LISTEN).start()
        cls.addClassCleanup(cls.broker.stop)
        cls.address = cls.broker.address_of("amqps")

    def wrap(self, **arguments):
        made = context(arguments.pop("folder", self.folder), **arguments)
        return lambda sock: made.wrap_socket(sock, server_hostname="localhost")

    def tearDown(self):
        # Whatever a test did to it, the broker serves on both listeners.
        harness.works(self.broker.address)
        harness.works(self.address, wrap=self.wrap(certificate="client"))

    def assert_not_welcome(self, wrap):
        # TLS 1.3 tells a client about its certificate with the first answer only.
        with self.assertRaises((ssl.SSLError, OSError, Refused)) as refused:
            Client(self.address, wrap=wrap)
        if isinstance(refused.exception, Refused):
            self.assertEqual(refused.exception.event.name, amqp.EOF)


class Optional(Tls):
    def test_pika_over_tls(self):
        parameters = pika.ConnectionParameters("localhost", self.address[1], ssl_options=pika.SSLOptions(
            context(self.folder), "localhost"), blocked_connection_timeout=10)
        body = os.urandom(300_000)  # many records
        connection = pika.BlockingConnection(parameters)
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.confirm_delivery()
        for _ in range(20):
            channel.basic_publish("", queue, body)
        for _ in range(20):
            self.assertEqual(channel.basic_get(queue, auto_ack=True)[2], body)
        connection.close()

    def test_external_is_the_certificates_name(self):
        with Client(self.address, wrap=self.wrap(certificate="client"), mechanism="EXTERNAL") as client:
            self.assertIn("EXTERNAL", client.server["mechanisms"].split())
            # user_id is checked against who is logged in.
            queue = client.declare("", exclusive=True).values["queue"]
            client.publish(queue, b"mine", user_id="client")
            client.call(1, "basic.consume", queue=queue, no_ack=True)
            self.assertEqual(client.expect(1, "basic.deliver").body, b"mine")
            client.hang_up()

    def test_external_needs_a_certificate(self):
        with self.assertRaises(Refused):
            Client(self.address, wrap=self.wrap(), mechanism="EXTERNAL")
        with Client(self.address, wrap=self.wrap()) as client:
            self.assertEqual(client.server["mechanisms"].split(), ["PLAIN"])
            client.hang_up()
        with self.assertRaises(Refused):  # nor does it exist in the clear
            Client(self.broker.address, mechanism="EXTERNAL")

    def test_a_certificate_of_no_user(self):
        with self.assertRaises(Refused) as refused:
            Client(self.address, wrap=self.wrap(certificate="server"), mechanism="EXTERNAL")
        self.assertEqual(refused.exception.code, 403)
        self.assertIn("authentication mechanism EXTERNAL", refused.exception.text)

    def test_another_authority(self):
        made = context(self.folder)
        made.load_cert_chain(f"{self.strangers}/client.pem", f"{self.strangers}/client.key")
        self.assert_not_welcome(lambda sock: made.wrap_socket(sock, server_hostname="localhost"))
        with self.assertRaises(ssl.SSLCertVerificationError):  # and the other way round
            Client(self.address, wrap=self.wrap(folder=self.strangers))

    def test_old_versions_are_refused(self):
        made = context(self.folder)
        made.set_ciphers("DEFAULT@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            made.minimum_version = ssl.TLSVersion.TLSv1
            made.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, OSError)):
            Client(self.address, wrap=lambda sock: made.wrap_socket(sock, server_hostname="localhost"))

    def test_what_is_not_tls(self):
        for said in (amqp.HEADER, b"GET / HTTP/1.1\r\n\r\n", os.urandom(512), b"\x16\x03\x01\xff\xff" + bytes(600)):
            with self.subTest(said[:12]), socket.create_connection(self.address, 5) as sock:
                sock.sendall(said)
                # An alert at most, never a word of AMQP; at once or at the handshake's time limit.
                heard = harness.drained(sock, 3)
                self.assertNotIn(b"AMQP", heard)
                self.assertLess(len(heard), 16)

    def test_tls_to_the_plain_port(self):
        with self.assertRaises((ssl.SSLError, OSError)):
            Client(self.broker.address, wrap=self.wrap())
        hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"
        with socket.create_connection(self.broker.address, 5) as sock:
            sock.sendall(hello)
            self.assertEqual(harness.drained(sock, 3), amqp.HEADER)

    def test_a_handshake_that_does_not_end_is_ended(self):
        began = time.monotonic()
        sockets = [socket.create_connection(self.address, 5) for _ in range(20)]
        with harness.closing_all(sockets):
            for i, sock in enumerate(sockets):
                sock.sendall(b"\x16\x03\x01\x02\x00\x01"[:i % 7])
            harness.works(self.address, wrap=self.wrap())
            for sock in sockets:
                harness.drained(sock, 3)
            self.assertGreater(time.monotonic() - began, 0.9)
            self.assertLess(time.monotonic() - began, 2.5)

    def test_after_the_handshake_silence_ends_too(self):
        sock = self.wrap()(socket.create_connection(self.address, 5))
        with sock:
            began = time.monotonic()
            self.assertEqual(harness.drained(sock, 3), b"")
            self.assertLess(time.monotonic() - began, 2.5)

    def test_byte_by_byte_inside_tls(self):
        sock = self.wrap()(socket.create_connection(self.address, 5))
        with sock:
            for byte in harness.opening() + amqp.method_frame(1, "channel.open"):
                sock.sendall(bytes([byte]))  # a record each
            data = b""
            while not data.endswith(amqp.method_frame(1, "channel.open-ok")):
                data += sock.recv(4096)
            self.assertEqual([e.name for e in harness.events_in(data)[0]],
                             ["connection.start", "connection.tune", "connection.open-ok", "channel.open-ok"])

    def test_a_consumer_that_does_not_read(self):
        count, body = 400, bytes(64 * harness.KIB)
        with Client(self.address, wrap=self.wrap(), receive_buffer=4096, seconds=20) as slow:
            slow.declare("tls-slow", exclusive=False, auto_delete=True)
            slow.call(1, "basic.consume", queue="tls-slow", no_ack=True)
            with Client(self.address, wrap=self.wrap()) as publisher:
                publisher.call(1, "confirm.select")
                for _ in range(count):
                    publisher.publish("tls-slow", body)
                confirmed = 0
                while confirmed < count:
                    confirmed = max(confirmed, publisher.expect(1, "basic.ack").values["delivery_tag"])
                publisher.hang_up()
            for tag in range(1, count + 1):
                event = slow.expect(1, "basic.deliver")
                self.assertEqual((event.values["delivery_tag"], event.body), (tag, body))
            slow.hang_up()

    def test_new_certificates_while_old_connections_live(self):
        old = Client(self.address, wrap=self.wrap())
        with old, tempfile.TemporaryDirectory(prefix="linnet-robustness-") as kept:
            before = serial(old.sock)
            for name in ("server.pem", "server.key"):
                shutil.copy(os.path.join(self.folder, name), kept)

            def reload(expected):
                said = self.broker.log_text().count(expected)
                self.broker.signal(signal.SIGHUP)
                harness.wait_for(lambda: self.broker.log_text().count(expected) > said, 5, expected)

            # A key that is not the certificate's: nothing happens.
            shutil.copy(os.path.join(self.folder, "client.key"), os.path.join(self.folder, "server.key"))
            reload("nothing was reloaded")
            with Client(self.address, wrap=self.wrap()) as client:
                self.assertEqual(serial(client.sock), before)
                client.hang_up()
            # Both: the next connection sees the new one.
            shutil.copy(os.path.join(self.folder, "client.pem"), os.path.join(self.folder, "server.pem"))
            reload("reloaded (digest")
            with Client(self.address, wrap=self.wrap()) as client:
                self.assertNotEqual(serial(client.sock), before)
                client.hang_up()
            old.declare("", exclusive=True)
            old.hang_up()
            for name in ("server.pem", "server.key"):
                shutil.copy(os.path.join(kept, name), self.folder)
            reload("reloaded (digest")


class Required(Tls):
    verify = "require"

    def test_with_one(self):
        harness.works(self.address, wrap=self.wrap(certificate="client"))

    def test_without_one(self):
        self.assert_not_welcome(self.wrap())

    def test_one_of_another_authority(self):
        made = context(self.folder)
        made.load_cert_chain(f"{self.strangers}/client.pem", f"{self.strangers}/client.key")
        self.assert_not_welcome(lambda sock: made.wrap_socket(sock, server_hostname="localhost"))


if __name__ == "__main__":
    unittest.main()
