#!/usr/bin/env python3
"""Every GET of tier 1 answers as RabbitMQ's does: the same status, the same members, of the same types.

What differs stands in differences.json with its reason; a difference that is no more must leave it.
"""

import json
import os
import re
import unittest

from broker import Broker
from scene import arranged, paths
from shapes import differences, shape

HERE = os.path.dirname(os.path.abspath(__file__))


def load(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        return json.load(f)


class Golden(unittest.TestCase):
    maxDiff = None

    def test_answers_have_rabbitmqs_shape(self):
        recorded = load("rabbitmq-3.10.8.json")
        known = load("differences.json")
        used = set()
        unknown = []
        with Broker() as broker:
            api = broker.api()
            with arranged(api, broker.address):
                here = paths(api)
                self.assertEqual(sorted(here), sorted(recorded), "record anew: the scene has changed")
                for key, path in here.items():
                    answer = api.get(path)
                    theirs = recorded[key]
                    found = []
                    if answer.status != theirs["status"]:
                        found.append(("", f"status {theirs['status']} there, {answer.status} here"))
                    elif theirs["shape"] is not None:
                        found += differences(theirs["shape"], shape(answer.json))
                    for at, what in found:
                        line = f"{key} {at}: {what}"
                        rule = next((r for r in known if re.fullmatch(r, line)), None)
                        if rule is None:
                            unknown.append(line)
                        else:
                            used.add(rule)
        self.assertEqual([], unknown)
        self.assertEqual([], sorted(set(known) - used), "these differences are no more")


if __name__ == "__main__":
    unittest.main()
