#!/usr/bin/env python3
"""What a vhost may have holds for every protocol, in RabbitMQ's words, at once, and after a restart."""

import base64
import http.client
import socket
import threading
import unittest

import pika
import paho.mqtt.client as mqtt

from broker import Broker

QUOTA_EXCEEDED = 0x97
NOT_AUTHORIZED_3 = 5


def connect(broker, vhost="v"):
    return pika.BlockingConnection(pika.ConnectionParameters(*broker.address, vhost))


def connack(broker, version, client_id):
    """The reason of an MQTT client's CONNACK, and the client."""
    answered, reasons = threading.Event(), []
    client = mqtt.Client(client_id=client_id, protocol=version)
    client.username_pw_set("v:guest", "guest")
    client.on_connect = lambda _c, _u, _f, reason, *_p: (reasons.append(reason), answered.set())
    client.connect(*broker.address_of("mqtt"))
    client.loop_start()
    assert answered.wait(20)
    client.loop_stop()
    return getattr(reasons[0], "value", reasons[0]), client


class Http:
    """A request of /v1 whose answer is read, or waited for, when the test wants it."""

    def __init__(self, broker, method, path, body=None):
        self.link = http.client.HTTPConnection(*broker.address_of("http"), timeout=20)
        self.link.request(method, "/v1/" + path, body,
                          {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()})

    def answer(self):
        with_body = self.link.getresponse()
        return with_body.status, with_body

    def close(self):
        self.link.close()


class Limits(unittest.TestCase):
    def setUp(self):
        self.broker = Broker().start()
        self.addCleanup(self.broker.stop)
        self.api = self.broker.api()
        self.api.put("vhosts/v")

    def limit(self, name, value):
        self.assertEqual(204, self.api.put(f"vhost-limits/v/{name}", {"value": value}).status)

    def assert_full(self, most):
        with self.assertRaises(pika.exceptions.ProbableAccessDeniedError) as refused:
            connect(self.broker)
        self.assertIn("(530) \"NOT_ALLOWED - access to vhost 'v' refused for user 'guest': "
                      f"connection limit ({most}) is reached\"", str(refused.exception))

    def test_connections_of_all_protocols_are_counted_together(self):
        self.limit("max-connections", 3)
        amqp = connect(self.broker)
        accepted, five = connack(self.broker, mqtt.MQTTv5, "five")
        self.assertEqual(0, accepted)
        self.api.put("queues/v/q", {})
        stream = Http(self.broker, "GET", "v/q/q/events")
        self.assertEqual(200, stream.answer()[0])

        self.assert_full(3)
        self.assertEqual(QUOTA_EXCEEDED, connack(self.broker, mqtt.MQTTv5, "more")[0])
        self.assertEqual(NOT_AUTHORIZED_3, connack(self.broker, mqtt.MQTTv311, "older")[0])
        status, refused = Http(self.broker, "POST", "v/t/a", b"x").answer()
        self.assertEqual(429, status)
        self.assertIn(b"access to vhost 'v' refused for user 'guest': connection limit (3) is reached", refused.read())
        self.assertIsNotNone(refused.getheader("Retry-After"))
        publish = self.api.post("exchanges/v/amq.default/publish",
                                {"routing_key": "q", "payload": "x", "payload_encoding": "string", "properties": {}})
        self.assertEqual((401, "not_authorised"), (publish.status, publish.json["error"]))
        connect(self.broker, "/").close()

        five.disconnect()
        five.loop()
        self.until_it_is_let_in(lambda: connect(self.broker)).close()
        self.assertEqual(201, Http(self.broker, "POST", "v/q/q", b"x").answer()[0], "while it lasts, and no longer")
        self.assertEqual(201, Http(self.broker, "POST", "v/q/q", b"x").answer()[0])
        amqp.close()
        stream.close()

    def until_it_is_let_in(self, attempt):
        """What was closed without waiting for the other end is seen a moment later."""
        for _ in range(1000):
            try:
                return attempt()
            except pika.exceptions.ProbableAccessDeniedError:
                pass
        self.fail("its place was never given back")

    def test_a_connection_that_is_cut_gives_its_place_back(self):
        self.limit("max-connections", 1)
        link = connect(self.broker)
        self.assert_full(1)
        link._impl._transport._sock.shutdown(socket.SHUT_RDWR)  # abort() would wait for a loop that nobody runs
        self.until_it_is_let_in(lambda: connect(self.broker)).close()
        self.limit("max-connections", 0)
        self.assert_full(0)
        self.limit("max-connections", -1)
        connect(self.broker).close()

    def test_queues(self):
        self.limit("max-queues", 1)
        self.assertEqual(201, self.api.put("queues/v/one", {}).status)
        self.assertEqual(204, self.api.put("queues/v/one", {}).status, "it is there already")
        text = "cannot declare queue '{}': queue limit in vhost 'v' (1) is reached"
        refused = self.api.put("queues/v/two", {})
        self.assertEqual((400, "bad_request"), (refused.status, refused.json["error"]))
        self.assertIn(text.format("two"), refused.json["reason"])
        with connect(self.broker) as link:
            with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as closed:
                link.channel().queue_declare("three")
            self.assertEqual((406, "PRECONDITION_FAILED - " + text.format("three")),
                             (closed.exception.reply_code, closed.exception.reply_text))
        _, client = connack(self.broker, mqtt.MQTTv5, "five")
        granted = []
        client.on_subscribe = lambda _c, _u, _m, codes, *_p: granted.append(codes[0].value)
        client.subscribe("a", qos=1)
        while not granted:
            client.loop()
        self.assertEqual([QUOTA_EXCEEDED], granted)
        client.disconnect()

    def test_they_last_and_are_shown(self):
        self.limit("max-connections", 1)
        self.limit("max-queues", 5)
        shown = [{"vhost": "v", "value": {"max-connections": 1, "max-queues": 5}}]
        self.assertEqual(shown, self.api.get("vhost-limits").json)
        self.broker.kill()
        self.broker.start_again()
        self.api = self.broker.api()
        self.assertEqual(shown, self.api.get("vhost-limits/v").json)
        self.assertEqual([{"vhost": "v", "component": "vhost-limits", "name": "limits", "value": shown[0]["value"]}],
                         self.api.get("parameters/vhost-limits/v").json)
        with connect(self.broker):
            self.assert_full(1)
        self.assertEqual(204, self.api.delete("vhost-limits/v/max-connections").status)
        self.assertEqual([{"vhost": "v", "value": {"max-queues": 5}}], self.api.get("vhost-limits").json)
        self.assertEqual(204, self.api.delete("parameters/vhost-limits/v/limits").status)
        self.assertEqual([], self.api.get("vhost-limits").json)
        self.assertEqual(404, self.api.get("parameters/vhost-limits/v/limits").status)

    def test_what_is_no_limit_is_refused(self):
        put = self.api.put
        self.assertEqual(400, put("vhost-limits/v/max-cats", {"value": 1}).status)
        self.assertEqual(400, put("vhost-limits/v/max-queues", {"value": "many"}).status)
        self.assertEqual(400, put("vhost-limits/v/max-queues", {}).status)
        self.assertEqual(404, put("vhost-limits/nowhere/max-queues", {"value": 1}).status)
        wrong = put("parameters/vhost-limits/v/limits", {"value": {"max-queues": 1.5}})
        self.assertEqual(400, wrong.status)
        self.assertIn("max-queues should be a number", wrong.json["reason"])
        self.assertEqual(400, put("parameters/vhost-limits/v/limits", {"value": {"max-cats": 1}}).status)
        self.assertEqual(201, put("parameters/vhost-limits/v/limits", {"value": {"max-queues": 1}}).status)
        self.assertEqual(400, put("queues/v/x", {}).status if put("queues/v/w", {}).status == 201 else None)


if __name__ == "__main__":
    unittest.main()
