#!/usr/bin/env python3
"""/api/x/where tells what has happened to the messages of an id, whoever published and took them, and where they are."""

import time
import unittest
import urllib.parse

import paho.mqtt.client as mqtt
import pika
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker import Broker

V = "%2F"


class Running(unittest.TestCase):
    settings = ("shards=2",)

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker(settings=cls.settings).start()
        cls.api = cls.broker.api()
        cls.link = pika.BlockingConnection(pika.ConnectionParameters(*cls.broker.address))
        cls.channel = cls.link.channel()
        cls.channel.confirm_delivery()

    @classmethod
    def tearDownClass(cls):
        cls.link.close()
        cls.broker.stop()

    def where(self, message_id, vhost=V):
        a = self.api.get(f"x/where/{vhost}/{urllib.parse.quote(message_id, safe='')}")
        self.assertEqual(200, a.status, a)
        return a.json

    def told(self, message_id, key="queue"):
        return [(e["event"], e.get(key)) for e in self.where(message_id)["events"]]

    def places(self, message_id):
        return [(p["queue"], p["state"]) for p in self.where(message_id)["places"]]

    def until(self, what, wanted):
        end = time.monotonic() + 10
        while what() != wanted and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(wanted, what())

    def queue(self, name, arguments=None, durable=False):
        self.channel.queue_declare(name, durable=durable, arguments=arguments or {})

    def publish(self, key, message_id, exchange="", mandatory=False, **properties):
        self.channel.basic_publish(exchange, key, b"m", pika.BasicProperties(message_id=message_id, **properties),
                                   mandatory=mandatory)


class Steps(Running):
    def test_the_whole_way_of_one_message(self):
        self.queue("way", durable=True)
        self.channel.exchange_declare("from", "topic")
        self.channel.queue_bind("way", "from", "a.#")
        self.publish("a.b", "way/1", "from", delivery_mode=2)
        told = self.where("way/1")
        self.assertEqual(("/", "way/1"), (told["vhost"], told["message_id"]))
        first, second = told["events"]
        name = [c["name"] for c in self.api.get("connections").json]
        self.assertEqual(("published", "from", "a.b", 1, False), tuple(
            first[k] for k in ("event", "exchange", "routing_key", "routed", "delayed")))
        self.assertIn(first["connection"], name)
        self.assertEqual(("queued", "way"), (second["event"], second["queue"]))
        self.assertRegex(first["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertLessEqual(first["time"], second["time"])
        self.assertEqual([("way", "ready")], self.places("way/1"))

        method, _, _ = self.channel.basic_get("way")
        self.assertEqual(("delivered", "way"), self.told("way/1")[-1])
        self.assertEqual([("way", "unacknowledged")], self.places("way/1"))
        self.channel.basic_nack(method.delivery_tag, requeue=True)
        self.until(lambda: self.places("way/1"), [("way", "ready")])
        self.assertEqual(("requeued", "way"), self.told("way/1")[-1])

        taken = []
        self.channel.basic_consume("way", lambda ch, m, p, b: taken.append(m), consumer_tag="taker")
        while not taken:
            self.link.process_data_events(1)
        last = self.where("way/1")["events"][-1]
        self.assertEqual(("delivered", "taker", True, True), tuple(
            last[k] for k in ("event", "consumer_tag", "redelivered", "ack_required")))
        self.assertIn(last["connection"], name)
        self.channel.basic_ack(taken[0].delivery_tag)
        self.until(lambda: self.told("way/1")[-1], ("acknowledged", "way"))
        self.assertEqual([], self.places("way/1"))
        self.assertEqual(["published", "queued", "delivered", "requeued", "delivered", "acknowledged"],
                         [e for e, _ in self.told("way/1")])
        self.channel.basic_cancel("taker")
        last = [e for e in self.where("way/1")["events"] if e["event"] == "delivered"][-1]
        self.assertEqual((None, None), (last["consumer_tag"], last["connection"]), "it has gone")

    def test_dead_letters_are_followed(self):
        self.queue("second")
        self.queue("first", {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "second"})
        self.publish("first", "dead/1")
        method, _, _ = self.channel.basic_get("first")
        self.channel.basic_reject(method.delivery_tag, requeue=False)
        self.until(lambda: self.places("dead/1"), [("second", "ready")])
        self.assertEqual([("published", None), ("queued", "first"), ("delivered", "first"), ("rejected", "first"),
                          ("dead-lettered", None), ("queued", "second")], self.told("dead/1"))
        self.publish("first", "dead/2", expiration="1")
        self.until(lambda: self.places("dead/2"), [("second", "ready")])
        self.assertIn(("expired", "first"), self.told("dead/2"))

    def test_what_ends_in_nothing(self):
        self.publish("nowhere", "lost/1")
        self.assertEqual([("dropped", "nowhere")], self.told("lost/1", "routing_key"))
        with self.assertRaises(pika.exceptions.UnroutableError):
            self.publish("nowhere", "lost/2", mandatory=True)
        self.assertEqual([("returned", "nowhere")], self.told("lost/2", "routing_key"))
        self.queue("short", {"x-max-length": 1})
        self.publish("short", "lost/3")
        self.publish("short", "kept")
        self.assertEqual(("maxlen", "short"), self.told("lost/3")[-1])
        self.queue("full", {"x-max-length": 0, "x-overflow": "reject-publish"})
        with self.assertRaises(pika.exceptions.NackError):
            self.publish("full", "lost/4")
        self.assertEqual(("refused", "full"), self.told("lost/4")[-1])
        self.assertEqual([], self.places("lost/4"))
        # What is purged goes without a word, and what is deleted has no name any more.
        self.channel.queue_purge("short")
        self.assertEqual([("short", "gone")], self.places("kept"))
        self.channel.queue_delete("short")
        self.assertEqual([(None, "gone")], self.places("kept"))

    def test_messages_of_one_id_are_told_apart_by_their_positions(self):
        self.queue("twice")
        for _ in range(2):
            self.publish("twice", "same")
        self.channel.basic_get("twice", auto_ack=True)
        told = self.where("same")
        self.assertEqual([("twice", "ready")], self.places("same"))
        queued = [e["position"] for e in told["events"] if e["event"] == "queued"]
        self.assertEqual([queued[1]], [p["position"] for p in told["places"]])

    def test_a_stream_has_it(self):
        self.queue("log", {"x-queue-type": "stream"}, durable=True)
        self.publish("log", "streamed")
        self.assertEqual([("published", None), ("appended", "log")], self.told("streamed"))
        self.assertEqual([("log", "stored")], self.places("streamed"))

    def test_over_mqtt_and_http(self):
        got = []
        listener = mqtt.Client(client_id="listener", protocol=mqtt.MQTTv5)
        listener.username_pw_set("guest", "guest")
        listener.on_message = lambda *_: got.append(1)
        ready = []
        listener.on_connect = lambda c, *_: c.subscribe("plant/#", 1)
        listener.on_subscribe = lambda *_: ready.append(1)
        listener.connect(*self.broker.address_of("mqtt"))
        listener.loop_start()
        self.addCleanup(listener.loop_stop)
        self.until(lambda: len(ready), 1)
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = ("message-id", "sensed")
        listener.publish("plant/1", b"21", 1, properties=properties).wait_for_publish()
        self.until(lambda: len(got), 1)
        self.until(lambda: [e for e, _ in self.told("sensed")], ["published", "delivered", "acknowledged"])
        self.queue("web")
        a = self.api.post(f"exchanges/{V}/amq.default/publish", {
            "routing_key": "web", "payload": "m", "payload_encoding": "string", "properties": {"message_id": "web/1"}})
        self.assertEqual({"routed": True}, a.json)
        self.assertEqual(("queued", "web"), self.told("web/1")[-1])

    def test_nobody_else_finds_it(self):
        self.queue("mine")
        self.publish("mine", "private")
        self.assertEqual(201, self.api.put("vhosts/other", {}).status)
        self.assertEqual(201, self.api.put("users/joe", {"password": "joe", "tags": "management"}).status)
        self.assertEqual(201, self.api.put("permissions/other/joe", {"configure": "", "write": "", "read": ""}).status)
        self.assertIn(self.api.put("permissions/other/guest", {"configure": "", "write": "", "read": ""}).status, (201, 204))
        self.assertEqual([], self.where("private", "other")["events"], "ids are a vhost's own")
        joe = self.broker.api("joe", "joe")
        self.assertEqual(200, joe.get("x/where/other/private").status)
        self.assertEqual(401, joe.get(f"x/where/{V}/private").status)
        self.assertEqual(404, self.api.get("x/where/nowhere/private").status)
        self.assertEqual(405, self.api.post(f"x/where/{V}/private", {}).status)

    def test_without_an_id_there_is_nothing_to_tell(self):
        self.queue("plain")
        self.channel.basic_publish("", "plain", b"m")
        told = self.where("unheard")
        self.assertEqual(([], [], 0, {"on": True, "since": None}),
                         tuple(told[k] for k in ("events", "places", "left_off", "recorder")))


class Short(Running):
    """A ring that is soon written over."""
    settings = ("shards=1", "recorder.events=64")

    def test_the_oldest_is_forgotten(self):
        self.queue("many")
        self.publish("many", "first")
        self.assertEqual(2, len(self.where("first")["events"]))
        for n in range(100):
            self.publish("many", f"m{n}")
        told = self.where("first")
        self.assertEqual([], told["events"])
        self.assertIsNotNone(told["recorder"]["since"])
        self.assertEqual([("many", "ready")], self.places("m99"))


class Off(Running):
    settings = ("recorder.events=0",)

    def test_it_says_so(self):
        self.queue("q")
        self.publish("q", "m")
        self.assertEqual((False, []), (self.where("m")["recorder"]["on"], self.where("m")["events"]))


if __name__ == "__main__":
    unittest.main()
