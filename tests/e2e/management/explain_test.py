#!/usr/bin/env python3
"""/api/x/explain tells where a message would go and who would be refused, which is what publishing does, and does
nothing."""

import base64
import http.client
import threading
import unittest
import urllib.parse

import paho.mqtt.client as mqtt
import pika

from api import Api
from broker import Broker

V = "%2F"


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker().start()
        cls.api = cls.broker.api()

    @classmethod
    def tearDownClass(cls):
        cls.broker.stop()

    def explain(self, vhost=V, who=None, **asked):
        a = (who or self.api).post(f"x/explain/{vhost}", asked)
        self.assertEqual(200, a.status, a)
        return a.json

    def reached(self, told):
        return sorted(d["name"] for d in told["destinations"])

    @classmethod
    def made(cls, *paths):
        for path, body in paths:
            a = cls.api.request("POST" if path.startswith("bindings/") else "PUT", path, body)
            assert a.status in (201, 204), (path, a)


class Routes(Running):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.made((f"exchanges/{V}/orders", {"type": "topic", "arguments": {"alternate-exchange": "rest"}}),
                 (f"exchanges/{V}/rest", {"type": "fanout"}), (f"exchanges/{V}/audit", {"type": "fanout"}),
                 (f"exchanges/{V}/kinds", {"type": "headers"}),
                 (f"exchanges/{V}/later", {"type": "x-delayed-message", "arguments": {"x-delayed-type": "direct"}}),
                 (f"queues/{V}/eu", {}), (f"queues/{V}/all", {}), (f"queues/{V}/lost", {"durable": False}),
                 (f"queues/{V}/log", {"arguments": {"x-queue-type": "stream"}}),
                 (f"bindings/{V}/e/orders/q/eu", {"routing_key": "eu.#"}),
                 (f"bindings/{V}/e/orders/q/all", {"routing_key": "us.*"}),
                 (f"bindings/{V}/e/orders/e/audit", {"routing_key": "*.new"}),
                 (f"bindings/{V}/e/audit/q/log", {}), (f"bindings/{V}/e/audit/q/all", {}),
                 (f"bindings/{V}/e/rest/q/lost", {}),
                 (f"bindings/{V}/e/kinds/q/eu", {"arguments": {"x-match": "all", "land": "de", "n": 1}}),
                 (f"bindings/{V}/e/later/q/all", {"routing_key": "k"}))

    def depths(self):
        return {q["name"]: q["messages"] for q in self.api.get(f"queues/{V}").json}

    def counted(self, exchange):
        stats = self.api.get(f"exchanges/{V}/{exchange or 'amq.default'}").json["message_stats"]
        return stats["publish_in"], stats["publish_out"]

    def test_by_what_a_message_goes_where(self):
        told = self.explain(exchange="orders", routing_key="eu.new")
        self.assertEqual((True, None, True, False), tuple(told[k] for k in ("allowed", "refusal", "routed", "by_chance")))
        self.assertEqual(("/", "guest", "orders", ["eu.new"]),
                         tuple(told[k] for k in ("vhost", "user", "exchange", "routing_keys")))
        self.assertEqual([("orders", "topic", "published"), ("audit", "fanout", "binding")],
                         [(s["exchange"], s["type"], s["because"]) for s in told["steps"]])
        by = {(b["source"], b["destination"], b["destination_type"]): b for s in told["steps"] for b in s["bindings"]}
        self.assertEqual({("orders", "eu", "queue"), ("orders", "audit", "exchange"), ("audit", "log", "queue"),
                          ("audit", "all", "queue")}, set(by))
        # As every list of bindings has it.
        self.assertIn(by["orders", "eu", "queue"], self.api.get(f"bindings/{V}").json)
        self.assertEqual({"eu": "queue", "log": "stream", "all": "queue"},
                         {d["name"]: d["kind"] for d in told["destinations"]})

    def test_what_nothing_matches_goes_to_the_alternate(self):
        told = self.explain(exchange="orders", routing_key="nowhere")
        self.assertEqual([("orders", "rest", []), ("rest", None, ["lost"])],
                         [(s["exchange"], s["turned_to"], [b["destination"] for b in s["bindings"]])
                          for s in told["steps"]])
        self.assertEqual([("lost", False)], [(d["name"], d["durable"]) for d in told["destinations"]])
        told = self.explain(exchange="amq.direct", routing_key="nowhere")
        self.assertEqual((True, False, []), (told["allowed"], told["routed"], told["destinations"]))

    def test_the_default_exchange_leads_to_the_queue_of_that_name(self):
        for name in ("", "amq.default"):
            self.assertEqual(["eu"], self.reached(self.explain(exchange=name, routing_key="eu")))
        self.assertEqual(["eu"], self.reached(self.explain(routing_key="eu")))

    def test_headers_and_copies_count(self):
        told = self.explain(exchange="kinds", properties={"headers": {"land": "de", "n": 1, "more": True}})
        self.assertEqual(["eu"], self.reached(told))
        self.assertEqual([], self.reached(self.explain(exchange="kinds", properties={"headers": {"land": "de"}})))
        told = self.explain(routing_key="eu", properties={"headers": {"CC": ["all"], "BCC": ["lost", 1]}})
        self.assertEqual((["eu", "all", "lost"], ["all", "eu", "lost"]), (told["routing_keys"], self.reached(told)))

    def test_what_is_delayed_is_said_to_be(self):
        now = self.explain(exchange="later", routing_key="k")
        later = self.explain(exchange="later", routing_key="k", properties={"headers": {"x-delay": 5000}})
        for told, held in ((now, False), (later, True)):
            self.assertEqual([held], [s["held"] for s in told["steps"]])
            self.assertEqual([("all", held)], [(d["name"], d["delayed"]) for d in told["destinations"]])

    def test_it_is_what_happens_and_nothing_happens_before(self):
        with pika.BlockingConnection(pika.ConnectionParameters(*self.broker.address)) as link:
            channel = link.channel()
            channel.confirm_delivery()
            for exchange, key in (("orders", "eu.new"), ("orders", "us.new"), ("orders", "us.old"), ("orders", "x"),
                                  ("", "eu"), ("audit", ""), ("rest", "any")):
                before = self.depths()
                counted = self.counted(exchange)
                told = self.explain(exchange=exchange, routing_key=key)
                self.assertEqual(before, self.depths(), "it is only asked")
                self.assertEqual(counted, self.counted(exchange))
                channel.basic_publish(exchange, key, b"m")
                grown = sorted(q for q, n in self.depths().items() if n != before[q])
                self.assertEqual(grown, self.reached(told), (exchange, key))

    def test_questions_that_make_no_sense(self):
        for asked in ({"topic": "a/#"}, {"topic": "a", "exchange": "x"}, {"topic": "a", "routing_key": "x"},
                      {"topic": "$SYS/x"}, {"exchange": "x" * 256}, {"routing_key": "k" * 65536},
                      {"routing_key": "amq.reply." + "0" * 32}, {"routing_key": "amq.rabbitmq.reply-to.x"}):
            self.assertEqual(400, self.api.post(f"x/explain/{V}", asked).status, asked)
        self.assertEqual(400, self.api.request("POST", f"x/explain/{V}", b"[1]").status)
        self.assertEqual(400, self.api.request("POST", f"x/explain/{V}", b"{").status)
        self.assertEqual(404, self.api.post("x/explain/nowhere", {}).status)
        self.assertEqual(405, self.api.get(f"x/explain/{V}").status)


class Listeners(Running):
    """MQTT's own: sessions by their queues, connections by their client's name, on whatever shard they are."""

    def subscribed(self, name, topic, qos):
        there = threading.Event()
        c = mqtt.Client(client_id=name, protocol=mqtt.MQTTv5)
        c.username_pw_set("guest", "guest")
        c.on_connect = lambda *_: c.subscribe(topic, qos)
        c.on_subscribe = lambda *_: there.set()
        c.connect(*self.broker.address_of("mqtt"))
        c.loop_start()
        self.addCleanup(c.loop_stop)
        self.addCleanup(c.disconnect)
        self.assertTrue(there.wait(20), name)

    def test_by_their_names(self):
        for n in range(4):
            self.subscribed(f"live-{n}", "plant/+/state", 0)
        self.subscribed("kept", "plant/#", 1)
        self.subscribed("other", "elsewhere", 0)
        told = self.explain(topic="plant/1/state")
        self.assertEqual(("amq.topic", ["plant.1.state"], "plant/1/state"),
                         (told["exchange"], told["routing_keys"], told["topic"]))
        self.assertEqual({f"live-{n}": "mqtt_connection" for n in range(4)} | {"mqtt-subscription-kept": "mqtt_session"},
                         {d["name"]: d["kind"] for d in told["destinations"]})
        (step,) = told["steps"]
        self.assertEqual([("kept", "plant.#")] + [(f"live-{n}", "plant.*.state") for n in range(4)],
                         sorted((b["destination"].removeprefix("mqtt-subscription-"), b["routing_key"])
                                for b in step["bindings"]))
        self.assertEqual([], self.explain(topic="$plant/1")["destinations"])


class Rights(Running):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        a = cls.api
        a.put("vhosts/other")
        a.put(f"exchanges/{V}/mine.inner", {"internal": True})
        a.put(f"exchanges/{V}/mine.topics", {"type": "topic"})
        for user, tags in (("ann", "management"), ("dev", "management"), ("boss", "administrator"),
                           ("nobody", "management")):
            a.put(f"users/{user}", {"password": "p", "tags": tags})
        for user in ("ann", "dev", "boss"):
            a.put(f"permissions/{V}/{user}", {"configure": "", "write": "^mine|^gone$", "read": ""})
        a.put(f"topic-permissions/{V}/ann", {"exchange": "mine.topics", "write": "^ok\\.", "read": ""})
        a.put(f"topic-permissions/{V}/dev", {"exchange": "mine.topics", "write": "^{client_id}\\.", "read": ""})

    def as_user(self, user):
        return self.broker.api(user, "p")

    def published_by_amqp(self, user, exchange, key):
        """Nothing, or the code that the channel was closed with."""
        login = pika.PlainCredentials(user, "p")
        with pika.BlockingConnection(pika.ConnectionParameters(*self.broker.address, credentials=login)) as link:
            channel = link.channel()
            try:
                channel.basic_publish(exchange, key, b"m")
                channel.tx_select()  # answered behind it
                return None
            except pika.exceptions.ChannelClosedByBroker as closed:
                return closed.reply_code

    def published_by_http(self, user, exchange, key):
        link = http.client.HTTPConnection(*self.broker.address_of("http"), timeout=30)
        path = f"/v1/{V}/x/{exchange or 'amq.default'}/{urllib.parse.quote(key, safe='')}"
        pair = base64.b64encode(f"{user}:p".encode()).decode()
        link.request("POST", path, b"m", {"Authorization": "Basic " + pair})
        answer = link.getresponse()
        reason = answer.read().decode()
        link.close()
        # That nobody is bound is no refusal.
        return 404 if "there is no exchange" in reason else answer.status if answer.status == 403 else None

    def test_it_is_refused_as_publishing_is(self):
        cases = (("amq.topic", "k", 403, "write", "amq.topic", "^mine|^gone$", "permissions"),
                 ("", "q", 403, "write", "amq.default", "^mine|^gone$", "permissions"),
                 ("hidden", "k", 403, "write", "hidden", "^mine|^gone$", "permissions"),
                 ("gone", "k", 404, None, None, None, None),
                 ("mine.inner", "k", 403, None, None, None, None),
                 ("mine.topics", "no.x", 403, "write", "mine.topics", "^ok\\.", "topic_permissions"),
                 ("mine.topics", "ok.x", None, None, None, None, None))
        for exchange, key, code, *why in cases:
            told = self.explain(who=self.as_user("ann"), exchange=exchange, routing_key=key)
            self.assertEqual(code is None, told["allowed"], told)
            refusal = told["refusal"] or {}
            self.assertEqual(why, [refusal.get(k) for k in ("right", "resource", "pattern", "granted_by")], told)
            self.assertEqual(code is None, not refusal.get("reason"), told)
            self.assertEqual(code, self.published_by_amqp("ann", exchange, key), (exchange, key))
            self.assertEqual(code, self.published_by_http("ann", exchange, key), (exchange, key))

    def test_a_topic_permission_may_name_the_client(self):
        for client, allowed in (("c1", True), ("c2", False), (None, False)):
            asked = {"exchange": "mine.topics", "routing_key": "c1.x"} | ({"client_id": client} if client else {})
            self.assertEqual(allowed, self.explain(who=self.as_user("dev"), **asked)["allowed"], client)

    def test_what_others_may_do_is_for_administrators(self):
        asked = {"exchange": "mine.topics", "routing_key": "no.x", "user": "ann"}
        told = self.explain(who=self.as_user("boss"), **asked)
        self.assertEqual(("ann", False), (told["user"], told["allowed"]))
        told = self.explain(who=self.as_user("boss"), **(asked | {"user": "boss"}))
        self.assertTrue(told["allowed"])
        told = self.explain(who=self.as_user("boss"), **(asked | {"user": "nobody"}))
        self.assertEqual((False, None), (told["allowed"], told["refusal"]["pattern"]))
        self.assertEqual(401, self.as_user("ann").post(f"x/explain/{V}", asked | {"user": "boss"}).status)
        self.assertEqual(200, self.as_user("ann").post(f"x/explain/{V}", asked | {"user": "ann"}).status)

    def test_whose_vhost_it_is_not_is_told_nothing(self):
        self.assertEqual(401, self.as_user("ann").post("x/explain/other", {}).status)
        self.assertEqual(401, self.as_user("nobody").post(f"x/explain/{V}", {}).status)
        self.assertEqual(401, Api(self.broker.address_of("http"), None).post(f"x/explain/{V}", {}).status)
        self.api.put("users/plain", {"password": "p", "tags": ""})
        self.api.put(f"permissions/{V}/plain", {"configure": ".*", "write": ".*", "read": ".*"})
        self.assertEqual(401, self.as_user("plain").post(f"x/explain/{V}", {}).status)


if __name__ == "__main__":
    unittest.main()
