#!/usr/bin/python3
"""paho against Linnet: both versions of MQTT, sessions that are kept, shared subscriptions, and AMQP on the other side."""

import os
import queue
import sys

import paho.mqtt.client as mqtt
import pika
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from checks import URL, check, equal, eventually, fresh, run  # noqa: E402

HOST = os.environ.get("MQTT_HOST", "127.0.0.1")
PORT = int(os.environ.get("MQTT_PORT", "1883"))
SECONDS = 10


class Client:
    """A connected client whose messages and answers come in queues."""

    def __init__(self, version=mqtt.MQTTv5, name=None, user="guest", **connect):
        more = {"clean_session": connect.pop("clean", True)} if version != mqtt.MQTTv5 else {}
        self.mqtt = mqtt.Client(name or fresh("paho").replace(".", "-"), protocol=version, **more)
        self.mqtt.username_pw_set(user, "guest")
        self.messages, self.answers, self.ends = queue.Queue(), queue.Queue(), queue.Queue()
        self.session_present = None
        self.version = version
        connected = queue.Queue()

        def on_connect(_client, _data, flags, reason, _properties=None):
            self.session_present = bool(flags["session present"])
            connected.put(int(getattr(reason, "value", reason)))

        self.mqtt.on_connect = on_connect
        self.mqtt.on_message = lambda _client, _data, message: self.messages.put(message)
        self.mqtt.on_subscribe = lambda _c, _d, _m, codes, *_: self.answers.put(codes)
        self.mqtt.on_disconnect = lambda _c, _d, reason, *_: self.ends.put(reason)
        self.mqtt.connect(HOST, PORT, **connect)
        self.mqtt.loop_start()
        self.reason = connected.get(timeout=SECONDS)

    def __enter__(self):
        equal(self.reason, 0, "CONNACK")
        return self

    def __exit__(self, *_):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()

    def subscribe(self, *arguments, **named):
        self.mqtt.subscribe(*arguments, **named)
        return [int(getattr(code, "value", code)) for code in self.answers.get(timeout=SECONDS)]

    def publish(self, topic, body, qos=0, **named):
        self.mqtt.publish(topic, body, qos, **named).wait_for_publish(SECONDS)

    def get(self):
        return self.messages.get(timeout=SECONDS)


def properties(kind, **values):
    made = Properties(kind)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def kept(name, **more):
    return Client(name=name, clean_start=False,
                  properties=properties(PacketTypes.CONNECT, SessionExpiryInterval=60), **more)


@check("every quality of service, in both versions, in order")
def qualities():
    for version in (mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5):
        with Client(version) as client:
            topic = fresh("qos").replace(".", "/")
            equal(client.subscribe(topic + "/#", 2), [2], "granted")
            for i in range(300):
                client.mqtt.publish(f"{topic}/{i % 3}", str(i), i % 3)
            got = [client.get() for _ in range(300)]
            # paho holds back what is beyond its window, so that only those of one quality keep their order.
            for qos in range(3):
                equal([int(m.payload) for m in got if m.qos == qos], list(range(qos, 300, 3)), f"QoS {qos}")


@check("properties come through unchanged")
def properties_of_5():
    with Client() as client:
        topic = fresh("properties")
        client.subscribe(topic, 1)
        said = properties(PacketTypes.PUBLISH, ContentType="text/plain", ResponseTopic="back",
                          CorrelationData=b"\x00\xff", PayloadFormatIndicator=1, MessageExpiryInterval=60,
                          UserProperty=[("b", "2"), ("a", "1"), ("b", "3")])
        client.publish(topic, "x", 1, properties=said)
        got = client.get().properties
        equal((got.ContentType, got.ResponseTopic, got.CorrelationData), ("text/plain", "back", b"\x00\xff"))
        equal(got.UserProperty, [("b", "2"), ("a", "1"), ("b", "3")], "user properties")
        equal(got.PayloadFormatIndicator, 1)
        assert 1 <= got.MessageExpiryInterval <= 60, got.MessageExpiryInterval


@check("a session that is kept has what came meanwhile, once")
def sessions():
    name, topic = fresh("kept").replace(".", "-"), fresh("kept")
    with kept(name) as client:
        equal(client.session_present, False, "a session before")
        client.subscribe(topic, 2)
    with Client() as publisher:
        for i in range(100):
            publisher.publish(topic, str(i), 1 + i % 2)
    with kept(name) as client:
        equal(client.session_present, True, "the session")
        got = [client.get() for _ in range(100)]
        for qos in (1, 2):
            equal([int(m.payload) for m in got if m.qos == qos], list(range(qos - 1, 100, 2)), f"QoS {qos} meanwhile")
    with Client(name=name, clean_start=True) as client:
        equal(client.session_present, False, "a clean start")


@check("another connection with the same client id takes the session over")
def take_over():
    name = fresh("same").replace(".", "-")
    first = Client(name=name)
    with Client(name=name):
        reason = first.ends.get(timeout=SECONDS)
        equal(int(getattr(reason, "value", reason)), 0x8E, "DISCONNECT")
        first.mqtt.loop_stop()


@check("a shared subscription gives each message to one member")
def shared():
    topic = fresh("share")
    with Client() as a, Client() as b, Client() as publisher:
        for member in (a, b):
            equal(member.subscribe(f"$share/group/{topic}", 1), [1], "granted")
        for i in range(100):
            publisher.publish(topic, str(i), 1)
        eventually(lambda: a.messages.qsize() + b.messages.qsize() == 100, "all have come")
        got = sorted(int(m.payload) for member in (a, b) for m in list(member.messages.queue))
        equal(got, list(range(100)), "each once")
        assert a.messages.qsize() > 10 < b.messages.qsize(), "one member had nearly all"


@check("retained messages come as the subscription asks")
def retained():
    topic = fresh("retained")
    with Client() as client:
        client.publish(topic, "value", 1, retain=True)
        client.subscribe(topic, options=SubscribeOptions(1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND))
        client.publish(topic, "live", 1)
        equal(client.get().payload, b"live")
        client.subscribe(topic, options=SubscribeOptions(1))
        message = client.get()
        equal((message.payload, message.retain), (b"value", True))
        client.publish(topic, "", 1, retain=True)


@check("who is refused is told so")
def refusals():
    equal(Client(user="nobody").reason, 0x86, "unknown user")
    equal(Client(mqtt.MQTTv311, user="nobody").reason, 4, "the same in 3.1.1")
    with Client(user="/:guest"):
        pass


@check("AMQP and MQTT meet: topics, bodies and properties, both ways")
def crossing():
    topic, key = fresh("cross").replace(".", "/"), None
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    channel = connection.channel()
    channel.confirm_delivery()
    name = channel.queue_declare("", exclusive=True).method.queue
    key = topic.replace("/", ".")
    channel.queue_bind(name, "amq.topic", key + ".#")
    with Client() as client:
        client.subscribe(topic + "/#", 1)
        client.publish(topic + "/v1.2", "from MQTT", 1, properties=properties(
            PacketTypes.PUBLISH, ContentType="text/plain", CorrelationData=b"c1", UserProperty=[("n", "7")]))
        equal(client.get().payload, b"from MQTT", "its own")
        got = []
        eventually(lambda: (got.append(channel.basic_get(name, auto_ack=True)) or got[-1][0] is not None),
                   "AMQP has it")
        method, header, body = got[-1]
        equal((method.routing_key, body), (key + ".v1%2E2", b"from MQTT"))
        equal((header.content_type, header.correlation_id, header.delivery_mode), ("text/plain", "c1", 2))
        equal(header.headers, {"n": "7"})
        channel.basic_publish("amq.topic", key + ".x", b"from AMQP", pika.BasicProperties(
            content_type="text/plain", delivery_mode=2, correlation_id="c2", reply_to=name, headers={"n": 8}))
        message = client.get()
        equal((message.topic, message.payload, message.qos), (topic + "/x", b"from AMQP", 1))
        equal((message.properties.ContentType, message.properties.CorrelationData), ("text/plain", b"c2"))
        equal(message.properties.UserProperty, [("n", "8")])
        # And back to the AMQP requester's queue.
        client.publish(message.properties.ResponseTopic, "answer", 1)
        eventually(lambda: (got.append(channel.basic_get(name, auto_ack=True)) or got[-1][2] == b"answer"),
                   "the answer is there")
    connection.close()


@check("a queue is consumed by name")
def queues():
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    channel = connection.channel()
    name = channel.queue_declare(fresh("jobs"), durable=True).method.queue
    for i in range(20):
        channel.basic_publish("", name, str(i).encode(), pika.BasicProperties(delivery_mode=2))
    with Client() as client:
        equal(client.subscribe("$queue/" + name, 1), [1], "granted")
        equal([client.get().payload for _ in range(20)], [str(i).encode() for i in range(20)])
    channel.queue_delete(name)
    connection.close()


if __name__ == "__main__":
    run(120)
