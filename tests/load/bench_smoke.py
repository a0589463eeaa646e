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
    "connections": ["conn", "--connections", "100", "-z", "0"],
    "churn": ["churn", "--churn", "channel"],
}


def run(name, arguments, broker):
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [os.environ["LINNET"], "bench", arguments[0], "--uri",
                   f"amqp://guest:guest@127.0.0.1:{broker.port}", "--broker-pid", str(broker.pid), "-z", "0.3",
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
        with Linnetd(settings=(f"shards={count}",)) as broker:
            failures += [f for f in (run(n, a, broker) for n, a in SCENARIOS.items()) if f]
    print("\n".join(failures) or f"{len(SCENARIOS)} scenarios on {', '.join(shards)} shard(s): all well")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
