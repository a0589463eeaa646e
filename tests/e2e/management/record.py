#!/usr/bin/env python3
"""Records what the installed rabbitmq-server answers to every GET of tier 1: status and shape.

    tests/e2e/management/record.py > tests/e2e/management/rabbitmq-3.10.8.json

Only to be run when paths or the scene change; the test needs no rabbitmq-server.
"""

import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

import rabbitmq  # noqa: E402
from api import Api  # noqa: E402
from scene import arranged, paths  # noqa: E402
from shapes import shape  # noqa: E402


def main():
    port = rabbitmq.free_ports(1)[0]
    config = f"management.tcp.port = {port}\nmanagement.tcp.ip = 127.0.0.1\n" \
             "collect_statistics_interval = 1000\n"
    with rabbitmq.Rabbitmq(plugins=("rabbitmq_management",), config=config,
                           start_seconds=300) as broker:
        api = Api(("127.0.0.1", port))
        with arranged(api, broker.address):
            time.sleep(8)  # its statistics come late
            answers = {}
            for key, path in paths(api).items():
                a = api.get(path)
                answers[key] = {"status": a.status,
                                "shape": shape(a.json) if a.body.startswith((b"{", b"[")) else None}
    lines = [f"  {json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in answers.items()]
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main()
