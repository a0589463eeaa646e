"""What outlives the daemon, and what does not: topology, messages and users over SIGTERM and kill -9."""

import os
import shutil
import sys
import tempfile
import unittest

import pika

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import linnetd  # noqa: E402
from linnetd import Linnetd  # noqa: E402

RECORDED = os.path.join(HERE, "..", "..", "app", "data", "rabbitmq-definitions.json")
PERSISTENT = pika.BasicProperties(delivery_mode=2)
QUEUES = 10
MESSAGES = 5


def connect(broker, user="guest", password="guest", vhost="/"):
    host, port = broker.address
    connection = pika.BlockingConnection(pika.ConnectionParameters(
        host, port, vhost, pika.PlainCredentials(user, password)))
    channel = connection.channel()
    channel.confirm_delivery()
    return connection, channel


def exists(connection, ask):
    channel = connection.channel()
    try:
        ask(channel)
        return True
    except pika.exceptions.ChannelClosedByBroker as error:
        assert error.reply_code == 404, error
        return False


class Restart(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="linnet-restart-")
        self.addCleanup(shutil.rmtree, self.folder, True)

    def fill(self, broker):
        connection, channel = connect(broker)
        channel.exchange_declare("durable", "topic", durable=True)
        channel.exchange_declare("alternate", "fanout", durable=True, auto_delete=True)
        channel.exchange_declare("transient", "direct")
        channel.queue_declare("fleeting")
        channel.queue_declare("mine", durable=True, exclusive=True)
        for i in range(QUEUES):
            channel.queue_declare(f"q{i}", durable=True, arguments={"x-max-length": 100})
            channel.queue_bind(f"q{i}", "durable", f"key.{i}.#")
            for n in range(MESSAGES):
                channel.basic_publish("durable", f"key.{i}.{n}", f"{i}/{n}".encode(), PERSISTENT)
            channel.basic_publish("durable", f"key.{i}", b"not persistent")
        channel.exchange_bind("alternate", "durable", "key.0")
        channel.queue_declare("deleted", durable=True)
        channel.queue_delete("deleted")
        return connection

    def look(self, broker):
        connection, channel = connect(broker)
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker):  # its arguments are still known
            connection.channel().queue_declare("q0", durable=True, arguments={"x-max-length": 99})
        for name in ("deleted", "fleeting", "mine"):
            self.assertFalse(exists(connection, lambda c, n=name: c.queue_declare(n, passive=True)), name)
        self.assertFalse(exists(connection, lambda c: c.exchange_declare("transient", passive=True)))
        for name in ("durable", "alternate"):
            self.assertTrue(exists(connection, lambda c, n=name: c.exchange_declare(n, passive=True)), name)
        for i in range(QUEUES):
            bodies = []
            while True:
                method, _, body = channel.basic_get(f"q{i}")
                if method is None:
                    break
                bodies.append(body.decode())
            self.assertEqual(bodies, [f"{i}/{n}" for n in range(MESSAGES)])
            channel.basic_nack(0, multiple=True, requeue=True)
            # The binding: a message finds its way, and goes again.
            channel.basic_publish("durable", f"key.{i}.more", b"more", mandatory=True)
        connection.close()

    def drain_more(self, broker):
        connection, channel = connect(broker)
        for i in range(QUEUES):
            self.assertEqual(channel.queue_declare(f"q{i}", passive=True).method.message_count, MESSAGES)
        connection.close()

    def test_kill_and_stop_and_other_numbers_of_shards(self):
        with Linnetd(settings=("shards=2",), data_dir=self.folder) as broker:
            self.fill(broker)
            broker.kill()
            for shards in (2, 1, 3):
                broker.settings = (f"shards={shards}",)
                broker.start_again()
                self.look(broker)
                if shards == 2:
                    self.assertEqual(broker.terminate(), 0)
                else:
                    broker.kill()
            broker.start_again()
            self.drain_more(broker)

    def test_a_store_in_memory_keeps_nothing_and_needs_no_folder(self):
        folder = os.path.join(self.folder, "never")
        with Linnetd(settings=("store.mode=memory",), data_dir=folder) as broker:
            connection = self.fill(broker)
            connection.close()
            self.assertEqual(broker.terminate(), 0)
            broker.start_again()
            connection, _ = connect(broker)
            self.assertFalse(exists(connection, lambda c: c.queue_declare("q0", passive=True)))
            connection.close()
        self.assertFalse(os.path.exists(folder))

    def test_the_configuration_takes_away_only_what_it_had_named(self):
        def config(name):
            return (f'[[user]]\nname = "{name}"\npassword = "p"\n'
                    f'[[permission]]\nuser = "{name}"\nconfigure = ".*"\nwrite = ".*"\nread = ".*"\n')

        with Linnetd(data_dir=self.folder) as broker:
            connect(broker)[0].close()
            for users in (("ada",), ("eve",)):
                self.assertEqual(broker.terminate(), 0)
                broker.config = "".join(map(config, users))
                broker.start_again()
                connect(broker, users[0], "p")[0].close()
            for gone, password in (("ada", "p"), ("guest", "guest")):
                with self.assertRaises(pika.exceptions.ProbableAuthenticationError):
                    connect(broker, gone, password)
            # Nobody is configured: those in the store stay, and guest does not come back.
            self.assertEqual(broker.terminate(), 0)
            broker.config = config("last")
            broker.start_again()
            connect(broker, "last", "p")[0].close()

    def test_definitions_are_imported_and_stay(self):
        with Linnetd(settings=(f"definitions.file={RECORDED}",), data_dir=self.folder) as broker:
            connection, channel = connect(broker, "ada", "s3cret", "orders")
            channel.basic_publish("events", "orders.x", b"kept", PERSISTENT, mandatory=True)
            connection.close()
            broker.kill()
            broker.settings = ()
            broker.start_again()
            connection, channel = connect(broker, "ada", "s3cret", "orders")
            self.assertEqual(channel.basic_get("orders.new", auto_ack=True)[2], b"kept")
            connection.close()
            with self.assertRaises(pika.exceptions.ProbableAuthenticationError):
                connect(broker, "ada", "wrong", "orders")

    def test_definitions_with_a_mistake_change_nothing(self):
        path = os.path.join(self.folder, "definitions.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"vhosts": [{"name": "/"}],\n "queues": [{"name": "q", "vhost": "none"}]}')
        data = os.path.join(self.folder, "data")
        broker = Linnetd(settings=(f"definitions.file={path}",), data_dir=data)
        with self.assertRaises(linnetd.StartError) as error:
            broker.start()
        self.assertIn(f"{path}:2:13 there is no vhost 'none'", str(error.exception))
        with Linnetd(data_dir=data) as broker:
            connect(broker)[0].close()


if __name__ == "__main__":
    unittest.main()
