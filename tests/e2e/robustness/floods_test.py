#!/usr/bin/env python3
"""Floods of channels, queues, consumers and connections: up to the limit they work, beyond it the right code."""

import socket
import unittest

import harness
import raw_amqp as amqp
from harness import Client, Linnetd, Refused


class Channels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Linnetd().start()
        cls.addClassCleanup(cls.broker.stop)

    def test_as_many_as_agreed_and_not_one_more(self):
        with Client(self.broker.address, channels=0) as client:
            most = client.tune["channel_max"]
            client.send(b"".join(amqp.method_frame(c, "channel.open") for c in range(1, most + 1)))
            for channel in range(1, most + 1):
                client.expect(channel, "channel.open-ok")
            # All of them work, and the last is as good as the first.
            for channel in (1, most):
                client.declare("", channel, exclusive=True)
            client.send(amqp.method_frame(most + 1, "channel.open"))
            close = client.expect(0, "connection.close").values
            self.assertEqual(close["reply_code"], 530)
            self.assertIn(f"number of channels opened ({most}) has reached the negotiated channel_max ({most})",
                          close["reply_text"])
            client.send(amqp.method_frame(0, "connection.close-ok"))
            self.assertEqual(client.receive(0, 5).name, amqp.EOF)

    def test_the_client_may_agree_on_fewer(self):
        with Client(self.broker.address, channels=10, channel_max=10) as client:
            with self.assertRaises(Refused) as refused:
                client.call(11, "channel.open")
            self.assertEqual(refused.exception.code, 530)

    def test_opening_and_closing_does_not_add_up(self):
        with Client(self.broker.address, channels=0) as client:
            turn = amqp.method_frame(1, "channel.open") + amqp.method_frame(1, "channel.close", reply_code=200)

            def some_thousand():
                for _ in range(8):
                    client.send(turn * 500)
                    for _ in range(500):
                        client.expect(1, "channel.open-ok")
                        client.expect(1, "channel.close-ok")

            some_thousand()
            before = harness.resident_bytes(self.broker.pid)
            some_thousand()
            # 4000 channels that stayed would be more.
            self.assertLess(harness.resident_bytes(self.broker.pid), before + harness.MIB)
            client.hang_up()


class Queues(unittest.TestCase):
    LIMIT = 100

    @classmethod
    def setUpClass(cls):
        cls.broker = Linnetd(config=f"[limits]\nqueues = {cls.LIMIT}\nconsumers_per_channel = 50\n").start()
        cls.addClassCleanup(cls.broker.stop)

    def test_as_many_as_configured_and_not_one_more(self):
        with Client(self.broker.address, channels=2) as client:
            client.send(b"".join(amqp.method_frame(1, "queue.declare", queue=f"q{i}", exclusive=True)
                                 for i in range(self.LIMIT)))
            for i in range(self.LIMIT):
                self.assertEqual(client.expect(1, "queue.declare-ok").values["queue"], f"q{i}")
            # What exists may be declared again.
            client.declare("q0", exclusive=True)
            client.send(amqp.method_frame(1, "queue.declare", queue="one-more", exclusive=True))
            close = client.expect(1, "channel.close").values
            self.assertEqual(close["reply_code"], 406)
            self.assertIn(f"({self.LIMIT})", close["reply_text"])
            client.send(amqp.method_frame(1, "channel.close-ok"))
            # The connection lives, and room that is made can be taken.
            client.call(2, "queue.delete", queue="q7")
            client.declare("one-more", 2, exclusive=True)
            client.hang_up()
        with Client(self.broker.address) as client:
            client.declare("after", exclusive=True)  # they were exclusive: gone with their connection
            client.hang_up()

    def test_consumers_of_a_channel(self):
        with Client(self.broker.address, channels=2) as client:
            queue = client.declare("", exclusive=True).values["queue"]
            for i in range(50):
                client.call(1, "basic.consume", queue=queue, consumer_tag=f"c{i}")
            # The other channel has a limit of its own.
            client.call(2, "basic.consume", queue=queue)
            self.assertEqual(client.declare(queue, 2, passive=True).values["consumer_count"], 51)
            with self.assertRaises(Refused) as refused:
                client.call(1, "basic.consume", queue=queue, consumer_tag="one-more")
            # 530 is one of those that end the connection.
            self.assertEqual((refused.exception.code, refused.exception.text),
                             (530, "NOT_ALLOWED - reached maximum (50) of consumers per channel"))


class Connections(unittest.TestCase):
    def refused(self, address):
        with socket.create_connection(address, 5) as sock:
            try:
                sock.sendall(amqp.HEADER)
                return harness.drained(sock, 3) == b""
            except OSError:
                return True

    def check_limit(self, broker, limit):
        with harness.closing_all([Client(broker.address) for _ in range(limit)]) as clients:
            for _ in range(20):
                self.assertTrue(self.refused(broker.address))
            for client in clients:
                client.declare("", exclusive=True)
            clients[0].hang_up()
            harness.wait_for(lambda: not self.refused_politely(broker.address), 2, "room that is made is given")
            for client in clients[1:]:
                client.hang_up()

    def refused_politely(self, address):
        try:
            harness.works(address)
            return False
        except (Refused, OSError):
            return True

    def test_of_the_daemon(self):
        with Linnetd(config="[limits]\nconnections = 10\n") as broker:
            self.check_limit(broker, 10)

    def test_of_one_address(self):
        with Linnetd(config="[limits]\nconnections_per_address = 5\n", listen=("amqp=0.0.0.0:0",)) as broker:
            self.check_limit_from_two(broker, 5)

    def check_limit_from_two(self, broker, limit):
        address = ("127.0.0.1", broker.port)
        with harness.closing_all([Client(address) for _ in range(limit)]):
            self.assertTrue(self.refused(address))
            # Another address has its own share.
            with socket.create_connection(address, 5, source_address=("127.0.0.2", 0)) as other:
                other.sendall(amqp.HEADER)
                self.assertEqual(other.recv(1), b"\x01")


if __name__ == "__main__":
    unittest.main()
