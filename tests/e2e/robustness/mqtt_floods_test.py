#!/usr/bin/env python3
"""Floods over MQTT: QoS 2 that is never released, and retained messages, wills and sessions beyond their quotas.

LINNET_QOS2_PACKETS: how many packets of each kind; a million take ten seconds.
"""

import base64
import http.client
import os
import unittest

import harness
import raw_mqtt as mqtt
from harness import MIB, Linnetd

PACKETS = int(os.environ.get("LINNET_QOS2_PACKETS", 200_000))
IDS = 65_535
AT_ONCE = 500
RECEIVE_MAXIMUM = 100
# Sixteen bytes kept of each of 200 000 packets would be more.
GROWTH_MAX = 2 * MIB


def numbers(count):
    """Parts of 1, 2, ... IDS, 1, 2, ...: as many numbers as that."""
    for at in range(0, count, AT_ONCE):
        yield [(at + i) % IDS + 1 for i in range(min(AT_ONCE, count - at))]


class Qos2(unittest.TestCase):
    def setUp(self):
        # The log would have a line a connection.
        self.broker = Linnetd(config=f"[mqtt]\nreceive_maximum = {RECEIVE_MAXIMUM}\n",
                              settings=("shards=2", "log.level=error"), listen=("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0"))
        self.broker.start()
        self.addCleanup(self.broker.stop)

    def connect(self, client_id="me", **said):
        client = mqtt.Client(self.broker.address_of("mqtt"), mqtt.connect(client_id, **said))
        self.addCleanup(client.close)
        self.assertEqual(client.welcome.reason(), 0)
        return client

    def watcher(self):
        client = self.connect("watcher")
        client.send(mqtt.subscribe("#"))
        self.assertEqual(client.receive().kind, mqtt.SUBACK)
        return client

    def assert_flat(self, flood, warm_up=2 * IDS):
        """`flood(count)` leaves nothing behind, once it has used every identifier."""
        flood(warm_up)
        before = harness.resident_bytes(self.broker.pid)
        flood(PACKETS)
        growth = harness.resident_bytes(self.broker.pid) - before
        print(f"{self._testMethodName}: {PACKETS} packets, {growth} bytes more resident")
        self.assertLess(growth, GROWTH_MAX)
        harness.works(self.broker.address)

    def exchange(self, client, packets, kind, reason=None):
        client.send(b"".join(packets))
        for _ in packets:
            answer = client.receive()
            self.assertEqual(answer.kind, kind)
            if reason is not None:
                self.assertEqual(answer.reason(), reason)

    def test_one_identifier_again_and_again_is_one_message(self):
        watcher, client = self.watcher(), self.connect(clean=False, expiry=mqtt.FOR_EVER)

        def flood(count):
            for part in numbers(count):
                self.exchange(client, [mqtt.publish("t", b"once", 2, 7, again=True)] * len(part), mqtt.PUBREC)

        self.assert_flat(flood, AT_ONCE)
        self.exchange(client, [mqtt.pubrel(7)], mqtt.PUBCOMP, 0)
        self.exchange(client, [mqtt.publish("t", b"last", 2, 7)], mqtt.PUBREC)
        self.assertEqual([watcher.receive().published()[2] for _ in range(2)], [b"once", b"last"])

    def test_every_identifier_is_released_and_used_again(self):
        client = self.connect(clean=False, expiry=mqtt.FOR_EVER)

        def flood(count):
            for part in numbers(count // 2):
                client.send(b"".join(mqtt.publish("t", b"x", 2, n) + mqtt.pubrel(n) for n in part))
                kinds = [client.receive().kind for _ in range(2 * len(part))]
                self.assertEqual(kinds.count(mqtt.PUBCOMP), len(part))

        self.assert_flat(flood)

    def test_no_identifier_is_ever_released(self):
        # MQTT 3 knows no receive maximum: there are as many as there are identifiers.
        client = self.connect(version=mqtt.V3_1_1, clean=False)

        def flood(count):
            for part in numbers(count):
                self.exchange(client, [mqtt.publish("t", b"x", 2, n, mqtt.V3_1_1) for n in part], mqtt.PUBREC)

        flood(IDS)
        watcher = self.watcher()
        self.assert_flat(flood)
        client.send(mqtt.publish("t", b"last", version=mqtt.V3_1_1))
        self.assertEqual(watcher.receive().published()[2], b"last", "all others had been published before")

    def test_more_than_agreed_ends_the_connection_however_often(self):
        hello = mqtt.connect("me", clean=False, expiry=mqtt.FOR_EVER)
        packets = b"".join(mqtt.publish("t", b"x", 2, n) for n in range(1, RECEIVE_MAXIMUM + 2))

        def flood(count):
            for _ in range(count // (RECEIVE_MAXIMUM + 1)):
                with mqtt.Client(self.broker.address_of("mqtt"), hello) as client:
                    client.send(packets)
                    while (answer := client.receive()).kind == mqtt.PUBREC:
                        pass
                self.assertEqual((answer.kind, answer.reason()), (mqtt.DISCONNECT, mqtt.RECEIVE_MAXIMUM_EXCEEDED))

        self.assert_flat(flood)

    def test_releases_of_nothing(self):
        client = self.connect()

        def flood(count):
            for part in numbers(count):
                self.exchange(client, [mqtt.pubrel(n) for n in part], mqtt.PUBCOMP, mqtt.ID_NOT_FOUND)

        self.assert_flat(flood)


RETAINED, SESSIONS = 10, 4
QUOTAS = f"""\
[limits]
retained = {RETAINED}
sessions = {SESSIONS}
[mqtt]
sys_interval = "0"
[[vhost]]
name = "/"
[[vhost]]
name = "other"
[[user]]
name = "guest"
password = "guest"
""" + "".join(f"""\
[[permission]]
user = "guest"
vhost = "{vhost}"
configure = ".*"
write = ".*"
read = ".*"
""" for vhost in ("/", "other"))
NOT_AUTHORIZED_3 = 5


class Quotas(unittest.TestCase):
    def setUp(self):
        # One shard: the sessions of several share the quota out among their logs.
        self.broker = Linnetd(config=QUOTAS, settings=("shards=1",),
                              listen=("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0", "http=127.0.0.1:0")).start()
        self.addCleanup(self.broker.stop)

    def connect(self, client_id, **said):
        client = mqtt.Client(self.broker.address_of("mqtt"), mqtt.connect(client_id, **said))
        self.addCleanup(client.close)
        return client

    def retain(self, client, topic, value=b"kept"):
        client.send(mqtt.publish(topic, value, 1, 1, retain=True))
        answer = client.receive()
        self.assertEqual(answer.kind, mqtt.PUBACK)
        return answer.reason()

    def http(self, method, path, body=None):
        link = http.client.HTTPConnection(*self.broker.address_of("http"), timeout=20)
        self.addCleanup(link.close)
        link.request(method, "/v1/%2F/t/" + path, body,
                     {"Authorization": "Basic " + base64.b64encode(b"guest:guest").decode()})
        return link.getresponse().status

    def kept(self):
        """What a new subscriber is told: as much as there may be, and whatever else there is, sorted."""
        client = self.connect("who asks")
        client.send(mqtt.subscribe("#", 1))
        self.assertEqual(client.receive().kind, mqtt.SUBACK)
        found = [client.receive() for _ in range(RETAINED)]
        client.send(mqtt.publish("last", b"", 0))
        while (answer := client.receive()).published()[0] != "last":
            found.append(answer)
        client.leave()
        self.assertTrue(all(answer.flags & 1 for answer in found))
        return sorted(answer.published()[::2] for answer in found)

    def filled(self):
        client = self.connect("me")
        for i in range(RETAINED):
            self.assertIn(self.retain(client, f"kept/{i}"), (0, 0x10))
        return client

    def test_retained_messages_beyond_it_are_refused_and_the_others_stay(self):
        client = self.filled()
        there = self.kept()
        self.assertEqual(there, [(f"kept/{i}", b"kept") for i in range(RETAINED)])
        for i in range(100):
            self.assertEqual(self.retain(client, f"more/{i}"), mqtt.QUOTA_EXCEEDED)
        self.assertEqual(self.kept(), there)
        # What is there may change, and room that is made can be taken.
        self.assertIn(self.retain(client, "kept/0", b"new"), (0, 0x10))
        self.assertIn(self.retain(client, "kept/1", b""), (0, 0x10))
        self.assertIn(self.retain(client, "more/1"), (0, 0x10))
        self.assertEqual(self.retain(client, "more/2"), mqtt.QUOTA_EXCEEDED)

    def test_it_is_the_same_quota_for_every_protocol(self):
        self.filled()
        there = self.kept()
        # MQTT 3 has no word for it but the end.
        older = self.connect("older", version=mqtt.V3_1_1)
        older.send(mqtt.publish("more/3", b"x", 1, 1, mqtt.V3_1_1, retain=True))
        self.assertIsNone(older.receive())
        self.assertEqual(self.http("PUT", "more/4", b"x"), 429)
        self.assertEqual(self.http("GET", "more/4"), 404)
        self.assertEqual(self.http("PUT", "kept/0", b"kept"), 201)
        with harness.Client(self.broker.address) as amqp:
            amqp.call(1, "confirm.select")
            amqp.publish("more.5", exchange="amq.topic", headers={"x-retain": True})
            amqp.expect(1, "basic.nack")
            amqp.hang_up()
        self.assertEqual(self.kept(), there)

    def test_a_will_is_held_to_it(self):
        self.filled()
        there = self.kept()
        for i in range(20):
            self.connect("dying", will=(f"will/{i}", b"dead", 1, True)).close()
        watcher = self.connect("watcher")
        watcher.send(mqtt.subscribe("will/#"))
        self.assertEqual(watcher.receive().kind, mqtt.SUBACK)
        self.connect("dying", will=("will/last", b"dead", 1, True)).close()
        said = []
        while "will/last" not in said:
            said.append(watcher.receive().published()[0])
        self.assertEqual(self.kept(), there)

    def test_every_vhost_has_its_own(self):
        self.filled()
        other = self.connect("other", user="other:guest", password="guest")
        self.assertIn(self.retain(other, "kept/0"), (0, 0x10))

    def test_it_holds_after_a_restart(self):
        self.filled()
        there = self.kept()
        self.broker.kill()
        self.broker.start_again()
        self.assertEqual(self.retain(self.connect("me"), "more"), mqtt.QUOTA_EXCEEDED)
        self.assertEqual(self.kept(), there)

    def test_sessions_beyond_it_are_refused_and_the_others_stay(self):
        living = [self.connect("living/0"), self.connect("living/1", user="other:guest", password="guest")]
        for i in range(SESSIONS - len(living)):
            kept = self.connect(f"kept/{i}", clean=False, expiry=mqtt.FOR_EVER)
            self.assertEqual(kept.welcome.reason(), 0)
            kept.leave()
        for i in range(100):
            self.assertEqual(self.connect(f"more/{i}").welcome.reason(), mqtt.QUOTA_EXCEEDED)
        older = self.connect("older", version=mqtt.V3_1_1, clean=False)
        self.assertEqual(older.welcome.reason(), NOT_AUTHORIZED_3)
        # Who is in is served, whose session is kept comes back to it.
        for client in living:
            client.send(mqtt.publish("t", b"x", 1, 1))
            self.assertEqual(client.receive().kind, mqtt.PUBACK)
        back = self.connect("kept/0", clean=False, expiry=mqtt.FOR_EVER)
        self.assertEqual(back.welcome.body[:2], b"\1\0")
        self.broker.kill()
        self.broker.start_again()
        self.assertEqual(self.connect("kept/1", clean=False, expiry=mqtt.FOR_EVER).welcome.body[:2], b"\1\0")
        # Those that lived ended with the process: their room can be taken, and no more than that.
        self.assertEqual([self.connect(f"new/{i}").welcome.reason() for i in range(3)], [0, 0, mqtt.QUOTA_EXCEEDED])


if __name__ == "__main__":
    unittest.main()
