#!/usr/bin/python3
"""`linnet bench` against linnetd: each scenario for a moment, and no message lost, doubled or out of order.

    LINNET=.../linnet LINNETD=.../linnetd tests/load/bench_smoke.py
"""

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e", "support"))

from linnetd import Linnetd  # noqa: E402

PROTOCOLS = ("amqp", "mqtt", "http")
ORDER = ["--fail-if", "lost>0,missing>0,duplicates>0,out-of-order>0,nacked>0,returned>0,received<1"]

SCENARIOS = {
    "auto-ack": ["amqp", "-a", "--in-flight", "20000"] + ORDER,
    "confirms": ["amqp", "-c", "500", "-q", "500", "-A", "50", "-x", "3", "-y", "2"] + ORDER,
    "each acknowledged": ["amqp", "-c", "10", "-q", "10", "-f", "persistent,mandatory"] + ORDER,
    "large": ["amqp", "-s", "300000", "-a", "--in-flight", "20"] + ORDER,
    "fan-out": ["fanout", "-y", "20", "--consumers-per-connection", "5", "--in-flight", "500"] + ORDER,
    "queues": ["queues", "-qpt", "50", "-y", "50", "--consumers-per-connection", "25", "--threads", "2",
               "--in-flight", "5000"] + ORDER,
    "topic": ["topic", "--bindings", "400", "--keys", "400", "--in-flight", "5000"] + ORDER,
    "open loop": ["amqp", "-a", "-r", "2000", "-z", "0.5"] + ORDER,
    "QoS 0": ["mqtt", "--in-flight", "20000"] + ORDER,
    "QoS 1": ["mqtt", "--qos", "1", "-x", "3", "-y", "2", "-c", "50"] + ORDER,
    "QoS 2, MQTT 5": ["mqtt", "--qos", "2", "--mqtt-version", "5", "-q", "50", "-c", "50"] + ORDER,
    "pairs": ["mqtt", "-x", "20", "-y", "20", "-qp", "bench/%d", "-qpt", "20", "--in-flight", "2000"] + ORDER,
    "shared": ["mqtt", "-y", "4", "--shared", "--mqtt-version", "5", "--in-flight", "2000"] + ORDER,
    "AMQP to MQTT": ["amqp-mqtt", "--in-flight", "2000"] + ORDER,
    "MQTT to AMQP": ["mqtt-amqp", "-a", "--qos", "1", "-c", "50"] + ORDER,
    "HTTP": ["http", "-x", "20", "-qa", "x-max-length=1000", "--fail-if", "nacked>0,confirmed<1"],
    "HTTP, pipelined and stored": ["http", "-c", "8", "-f", "persistent", "--fail-if", "nacked>0,confirmed<1"],
    "HTTP through RabbitMQ's API": ["http", "--post-to", "rabbitmq", "--fail-if", "nacked>0,confirmed<1"],
    "HTTP latency": ["latency", "-s", "100", "--rate", "30%", "--peak-time", "0.3"] + ORDER,
    "events of a topic": ["sse", "-y", "50", "-u", "house/attic", "--in-flight", "50"] + ORDER,
    "events of a queue": ["sse", "-y", "3", "--reads", "queue", "-c", "4"] + ORDER,
    "events of a stream": ["sse", "-y", "5", "--reads", "stream", "-f", "persistent", "-c", "16"] + ORDER,
    "AMQP to events": ["amqp-sse", "-y", "5", "--in-flight", "200"] + ORDER,
    "AMQP to events of a queue": ["amqp-sse", "-y", "2", "--reads", "queue", "--in-flight", "200"] + ORDER,
    "MQTT to events": ["mqtt-sse", "-y", "5", "--qos", "1", "--in-flight", "200"] + ORDER,
    "HTTP connections": ["conn", "--connections", "100", "-z", "0"],
    "HTTP churn": ["churn"],
    "MQTT connections": ["conn", "--connections", "100", "-z", "0"],
    "MQTT churn": ["churn", "--mqtt-version", "5"],
    "connections": ["conn", "--connections", "100", "-z", "0"],
    "churn": ["churn", "--churn", "channel"],
}


def uris(name, arguments, broker):
    """MQTT's and HTTP's scenarios say so in their name."""
    of = {p: "{}://guest:guest@127.0.0.1:{}".format(p, broker.address_of(p)[1]) for p in PROTOCOLS}
    spoken = "mqtt" if arguments[0] == "mqtt" or name.startswith("MQTT c") else "amqp"
    if arguments[0] in ("http", "sse") or name.startswith("HTTP"):
        spoken = "http"
    return ["--uri", of[spoken], "--mqtt-uri", of["mqtt"], "--http-uri", of["http"]]


def run(name, arguments, broker):
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [os.environ["LINNET"], "bench", arguments[0], *uris(name, arguments, broker),
                   "--broker-pid", str(broker.pid), "-z", "0.3",
                   "--warmup", "0.1", "--quiet", "--drain", "30", "--json", report.name] + arguments[1:]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
                              check=False)
        if done.returncode != 0:
            return f"{name}: exit code {done.returncode}\n{done.stdout}"
        json.load(report)
    return None


def main():
    shards = sys.argv[1:] or ["1"]
    failures = []
    for count in shards:
        with Linnetd(settings=(f"shards={count}",), listen=[f"{p}=127.0.0.1:0" for p in PROTOCOLS]) as broker:
            failures += [f for f in (run(n, a, broker) for n, a in SCENARIOS.items()) if f]
    print("\n".join(failures) or f"{len(SCENARIOS)} scenarios on {', '.join(shards)} shard(s): all well")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
