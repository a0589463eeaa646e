#!/usr/bin/env python3
"""What is exported here is imported by a rabbitmq-server, and comes back from it as it was."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))

import rabbitmq  # noqa: E402
from api import Api  # noqa: E402
from broker import Broker  # noqa: E402

# Made by `linnetd --hash-password`: a form that RabbitMQ does not have.
ARGON2 = ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$"
          "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")


def fill(a):
    a.put("vhosts/v", {"description": "of the test", "tags": "x"})
    a.put("vhost-limits/v/max-queues", {"value": 20})
    a.put("vhost-limits/v/max-connections", {"value": -1})
    a.put("users/ann", {"password": "secret", "tags": "management"})
    a.put("users/bob", {"password_hash": ARGON2, "tags": ""})
    for user in ("ann", "guest"):
        a.put(f"permissions/v/{user}", {"configure": "^a", "write": ".*", "read": ".*"})
    a.put("topic-permissions/v/ann", {"exchange": "amq.topic", "write": "^a", "read": "^b"})
    a.put("policies/v/p", {"pattern": "^q", "definition": {"max-length": 7}, "priority": 1, "apply-to": "queues"})
    a.put("operator-policies/v/o", {"pattern": "^q", "definition": {"max-length": 5}, "apply-to": "queues"})
    a.put("global-parameters/g", {"value": {"a": 1}})
    a.put("exchanges/v/x", {"type": "topic", "arguments": {"alternate-exchange": "amq.fanout"}})
    a.put("queues/v/q", {"durable": True, "arguments": {"x-max-priority": 3}})
    a.post("bindings/v/e/x/q/q", {"routing_key": "a.#", "arguments": {"k": "v"}})
    a.post("bindings/v/e/x/e/amq.direct", {"routing_key": "b"})


class Import(unittest.TestCase):
    def test_an_export_goes_through_rabbitmq_and_back(self):
        if rabbitmq.script_dir() is None:
            self.skipTest("rabbitmq-server is not installed")
        with Broker() as broker:
            fill(broker.api())
            exported = broker.api().get("definitions").json
        (port,) = rabbitmq.free_ports(1)
        config = f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n"
        with rabbitmq.Rabbitmq(definitions=exported, plugins=("rabbitmq_management",), config=config,
                               start_seconds=120):
            there = Api(("127.0.0.1", port))
            back = there.get("definitions").json
            self.assertEqual(401, Api(("127.0.0.1", port), "bob", "x").get("whoami").status, "without a password there")
            self.assertEqual(200, Api(("127.0.0.1", port), "ann", "secret").get("whoami").status)
        for section in ("permissions", "topic_permissions", "parameters", "policies", "exchanges", "queues"):
            self.assertCountEqual(exported[section], back[section], section)
        own = {"hide_dollar"}
        self.assertCountEqual([{k: v for k, v in b.items() if k not in own} for b in exported["bindings"]],
                              back["bindings"])
        with Broker() as broker:
            self.assertEqual(204, broker.api().post("definitions", back).status)
            again = broker.api().get("definitions").json
            for section in ("permissions", "topic_permissions", "parameters", "policies", "exchanges", "queues"):
                self.assertCountEqual(exported[section], again[section], section)


if __name__ == "__main__":
    unittest.main()
