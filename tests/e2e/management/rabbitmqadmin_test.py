#!/usr/bin/env python3
"""Debian's rabbitmqadmin, as it comes with rabbitmq-server, does everything it can do."""

import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

import pika

from broker import Broker


def tool():
    found = glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins/rabbitmq_management-*/priv/www/cli/"
                      "rabbitmqadmin")
    return sorted(found)[-1] if found else None


@unittest.skipIf(tool() is None, "rabbitmqadmin (Debian's rabbitmq-server) is not there")
class Rabbitmqadmin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker().start()

    @classmethod
    def tearDownClass(cls):
        cls.broker.stop()

    def run_it(self, *arguments, user="guest", password="guest", vhost=None):
        host, port = self.broker.address_of("http")
        done = subprocess.run(
            [sys.executable, tool(), "-H", host, "-P", str(port), "-u", user, "-p", password,
             *(["-V", vhost] if vhost else []), *arguments],
            capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "HOME": self.broker.dir})
        self.assertEqual(0, done.returncode, (arguments, done.stdout, done.stderr))
        return done.stdout

    def listed(self, what, *columns, vhost=None):
        text = self.run_it("-f", "raw_json", "list", what, *columns, vhost=vhost)
        return json.loads(text)

    def test_every_verb(self):
        run = self.run_it
        self.assertIn("vhost declared", run("declare", "vhost", "name=lab"))
        run("declare", "user", "name=ann", "password=secret", "tags=administrator")
        run("declare", "permission", "vhost=lab", "user=ann", "configure=.*", "write=.*", "read=.*")

        def lab(*arguments):
            return run(*arguments, user="ann", password="secret", vhost="lab")
        self.assertIn("queue declared", lab("declare", "queue", "name=work", "durable=true",
                                            'arguments={"x-max-length":10}'))
        lab("declare", "exchange", "name=shop", "type=topic")
        lab("declare", "binding", "source=shop", "destination=work", "routing_key=order.#")
        lab("declare", "binding", "source=shop", "destination=amq.direct", "destination_type=exchange")
        lab("declare", "policy", "name=p", "pattern=^w", 'definition={"message-ttl":60000}', "apply-to=queues")
        lab("declare", "operator_policy", "name=o", "pattern=^w", 'definition={"max-length":5}', "apply-to=queues")
        lab("declare", "parameter", "component=shovel", "name=s", 'value={"src-uri":"amqp://"}')
        lab("declare", "vhost_limit", "vhost=lab", "name=max-queues", "value=10")

        self.assertIn("Message published", lab("publish", "exchange=shop", "routing_key=order.1", "payload=hello"))
        self.assertIn("NOT routed", lab("publish", "exchange=shop", "routing_key=nowhere", "payload=lost"))
        self.assertIn("hello", lab("get", "queue=work", "ackmode=ack_requeue_true"))
        self.assertIn("hello", lab("get", "queue=work", "count=5", "ackmode=ack_requeue_false"))

        link = pika.BlockingConnection(pika.ConnectionParameters(*self.broker.address))
        link.channel().queue_declare("by-amqp")
        found = {what: self.listed(what) for what in (
            "users", "vhosts", "connections", "exchanges", "bindings", "permissions", "channels", "parameters",
            "consumers", "queues", "policies", "operator_policies", "nodes", "vhost_limits")}
        self.assertEqual(["ann", "guest"], [u["name"] for u in found["users"]])
        self.assertEqual(["/", "lab"], [v["name"] for v in found["vhosts"]])
        self.assertEqual(1, len(found["connections"]))
        self.assertEqual(1, len(found["channels"]))
        self.assertEqual(["by-amqp"], [q["name"] for q in self.listed("queues", "name", vhost="/")])
        self.assertEqual([{"name": "work", "policy": "p"}], self.listed("queues", "name", "policy", vhost="lab"))
        for form in ("table", "tsv", "kvp", "long", "pretty_json", "bash"):
            self.assertIn("by-amqp", run("-f", form, "list", "queues", "name"))
        self.assertIn("queue_totals.messages", run("show", "overview"))
        run("close", "connection", f"name={found['connections'][0]['name']}")
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker):
            link.process_data_events(10)

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "definitions.json")
            run("export", path)
            with open(path, encoding="utf-8") as f:
                self.assertEqual(["work"], [q["name"] for q in json.load(f)["queues"] if q["vhost"] == "lab"])
            lab("purge", "queue", "name=work")
            lab("delete", "queue", "name=work")
            self.assertIn("Uploaded definitions", run("import", path))
        self.assertEqual(["work"], [q["name"] for q in self.listed("queues", "name", vhost="lab")])

        lab("delete", "binding", "source=shop", "destination=work", "destination_type=queue",
            "properties_key=order%2E%23")
        for what in (("exchange", "name=shop"), ("queue", "name=work"), ("policy", "name=p"),
                     ("operator_policy", "name=o"), ("parameter", "component=shovel", "name=s"),
                     ("vhost_limit", "vhost=lab", "name=max-queues"), ("permission", "vhost=lab", "user=ann")):
            run("delete", *what, vhost="lab")
        run("delete", "user", "name=ann")
        run("delete", "vhost", "name=lab")
        self.assertEqual(["/"], [v["name"] for v in self.listed("vhosts")])

    def test_a_refusal_is_told(self):
        host, port = self.broker.address_of("http")
        done = subprocess.run([sys.executable, tool(), "-H", host, "-P", str(port), "-u", "guest", "-p", "wrong",
                               "list", "queues"], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, "HOME": self.broker.dir})
        self.assertNotEqual(0, done.returncode)
        self.assertIn("Access refused", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
