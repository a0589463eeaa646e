#!/usr/bin/env python3
"""Metrics: the families that RabbitMQ's dashboards need are there, in a form that Prometheus' own tool accepts, and what
was counted is never counted less afterwards."""

import http.client
import re
import shutil
import subprocess
import unittest

import pika

from broker import Broker

# What Grafana's dashboard 10991 ("RabbitMQ-Overview") asks for.
FAMILIES = """
identity_info build_info erlang_uptime_seconds
process_resident_memory_bytes resident_memory_limit_bytes disk_space_available_bytes
disk_space_available_limit_bytes process_open_fds process_max_fds
connections channels queues connections_opened_total connections_closed_total channels_opened_total
channels_closed_total queues_declared_total queues_created_total queues_deleted_total
queue_messages_ready queue_messages_unacked
global_publishers global_consumers global_messages_received_total
global_messages_received_confirm_total global_messages_routed_total global_messages_confirmed_total
global_messages_unroutable_dropped_total global_messages_unroutable_returned_total
global_messages_delivered_total global_messages_delivered_consume_auto_ack_total
global_messages_delivered_consume_manual_ack_total global_messages_delivered_get_auto_ack_total
global_messages_delivered_get_manual_ack_total global_messages_get_empty_total
global_messages_redelivered_total global_messages_acknowledged_total
message_size_bytes
""".split()
OWN = ["linnet_received_bytes_total", "linnet_sent_bytes_total", "linnet_turn_seconds", "linnet_sync_seconds",
       "linnet_memory_held_bytes", "linnet_memory_use_bytes"]


def scrape(broker, path="/metrics"):
    link = http.client.HTTPConnection(*broker.address_of("metrics"), timeout=30)
    link.request("GET", path)
    r = link.getresponse()
    body = r.read()
    link.close()
    return r.status, dict(r.getheaders()), body.decode()


def samples(text):
    """{(name, labels): value}"""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            m = re.fullmatch(r'([a-z_0-9]+)(\{.*\})? ([-+0-9.e]+)', line)
            assert m, line
            found[m[1], m[2] or ""] = float(m[3])
    return found


def total(found, name, *parts):
    return sum(v for (n, labels), v in found.items() if n == name and all(p in labels for p in parts))


def talk(broker):
    """Something of everything that is counted."""
    link = pika.BlockingConnection(pika.ConnectionParameters(*broker.address))
    channel = link.channel()
    channel.queue_declare("q")
    channel.confirm_delivery()
    for size in (10, 100, 101, 20_000):
        channel.basic_publish("", "q", b"x" * size)
    channel.basic_publish("amq.fanout", "nowhere", b"lost")
    with_ack = [channel.basic_get("q")[0] for _ in range(2)]
    channel.basic_nack(with_ack[0].delivery_tag, requeue=True)
    channel.basic_ack(with_ack[1].delivery_tag)
    for _ in range(3):
        channel.basic_get("q", auto_ack=True)
    channel.basic_get("q")
    channel.queue_delete("q")
    link.close()


class Metrics(unittest.TestCase):
    def test_the_dashboards_families_are_there(self):
        with Broker() as broker:
            status, headers, text = scrape(broker)
            self.assertEqual(200, status)
            self.assertIn("version=0.0.4", headers["Content-Type"])
            types = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)
            names = [name for name, _ in types]
            self.assertEqual([], [f for f in FAMILIES if "rabbitmq_" + f not in names])
            self.assertEqual([], [f for f in OWN if f not in names])
            self.assertEqual(len(names), len(set(names)), "a family twice")
            self.assertEqual("untyped", dict(types)["rabbitmq_identity_info"])
            self.assertRegex(text, r'rabbitmq_identity_info\{rabbitmq_node="[^"]+",rabbitmq_cluster="[^"]+",'
                                   r'rabbitmq_cluster_permanent_id="[^"]+",rabbitmq_endpoint="aggregated"\} 1\n')
            bounds = re.findall(r'rabbitmq_message_size_bytes_bucket\{protocol="amqp091",le="([^"]+)"\}', text)
            self.assertEqual(["100.0", "1000.0", "10000.0", "100000.0", "1e+06", "1e+07", "5e+07", "1e+08",
                              "+Inf"], bounds)

    def test_prometheus_own_tool_accepts_them(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool (Debian's package prometheus) is not there")
        with Broker() as broker:
            talk(broker)
            for path in ("/metrics", "/metrics/per-object", "/metrics/detailed?family=queue_coarse_metrics",
                         "/metrics/memory-breakdown"):
                _, _, text = scrape(broker, path)
                done = subprocess.run([promtool, "check", "metrics"], input=text, text=True, timeout=60,
                                      capture_output=True, check=False)
                # RabbitMQ's own names are not all to its taste; errors are what counts.
                self.assertNotIn("error", done.stderr.lower(), path)
                self.assertIn(done.returncode, (0, 3), done.stderr)

    def test_what_happens_is_counted_once(self):
        with Broker() as broker:
            talk(broker)
            found = samples(scrape(broker)[2])
            amqp = 'protocol="amqp091"'
            name = "rabbitmq_global_messages_"
            expected = {"received_total": 5, "received_confirm_total": 5, "routed_total": 4, "confirmed_total": 5,
                        "unroutable_dropped_total": 1, "delivered_total": 5, "delivered_get_manual_ack_total": 2,
                        "delivered_get_auto_ack_total": 3, "get_empty_total": 1, "redelivered_total": 1,
                        "acknowledged_total": 1}
            self.assertEqual(expected, {k: total(found, name + k, amqp) for k in expected})
            self.assertEqual(5, found["rabbitmq_message_size_bytes_count", f"{{{amqp}}}"])
            self.assertEqual(3, found["rabbitmq_message_size_bytes_bucket", f'{{{amqp},le="100.0"}}'])
            self.assertEqual(0, found["rabbitmq_connections", ""])
            self.assertEqual(1, found["rabbitmq_connections_opened_total", ""])
            self.assertEqual(1, found["rabbitmq_queues_deleted_total", ""])
            self.assertGreater(total(found, "linnet_received_bytes_total", amqp), 20_000)

    def test_syncs_are_counted_where_there_is_a_store(self):
        def syncs(broker):
            link = pika.BlockingConnection(pika.ConnectionParameters(*broker.address))
            channel = link.channel()
            channel.queue_declare("kept", durable=True)
            channel.confirm_delivery()
            for _ in range(10):
                channel.basic_publish("", "kept", b"m", pika.BasicProperties(delivery_mode=2))
            link.close()
            found = samples(scrape(broker)[2])
            self.assertEqual(found["linnet_sync_seconds_count", ""],
                             found["linnet_sync_seconds_bucket", '{le="+Inf"}'])
            return found["linnet_sync_seconds_count", ""], found["linnet_sync_seconds_sum", ""]

        with Broker() as broker:
            count, took = syncs(broker)
            self.assertGreaterEqual(count, 10, "each confirm waits for a write")
            self.assertGreater(took, 0)
        with Broker(settings=("shards=2", "store.mode=memory")) as broker:
            self.assertEqual((0, 0), syncs(broker))

    def test_counters_never_fall(self):
        with Broker() as broker:
            before = {}
            for _ in range(5):
                talk(broker)
                text = scrape(broker)[2]
                counters = {n for n, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M) if kind == "counter"}
                now = {k: v for k, v in samples(text).items() if k[0] in counters}
                self.assertEqual({}, {k: (v, now.get(k)) for k, v in before.items() if now.get(k, -1) < v})
                before = now

    def test_no_label_grows_with_what_clients_do(self):
        with Broker() as broker:
            def lines():
                return sorted((n, re.sub(r'="[^"]*"', "", labels)) for n, labels in samples(scrape(broker)[2]))
            few = lines()
            link = pika.BlockingConnection(pika.ConnectionParameters(*broker.address))
            channel = link.channel()
            for n in range(50):
                channel.queue_declare(f"queue-{n}")
            self.assertEqual(few, lines())
            detailed = scrape(broker, "/metrics/per-object")[2]
            self.assertEqual(50, len(re.findall(r"^rabbitmq_queue_messages_ready\{", detailed, re.M)))
            link.close()

    def test_other_paths_and_methods_are_refused(self):
        with Broker() as broker:
            self.assertEqual(404, scrape(broker, "/metrics/nothing")[0])
            self.assertEqual(404, scrape(broker, "/api/overview")[0])
            self.assertEqual("gzip", encoding_of(broker))


def encoding_of(broker):
    link = http.client.HTTPConnection(*broker.address_of("metrics"), timeout=30)
    link.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
    r = link.getresponse()
    r.read()
    link.close()
    return r.getheader("Content-Encoding")


if __name__ == "__main__":
    unittest.main()
