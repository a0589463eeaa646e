#!/usr/bin/python3
"""Runs one of the programs of Eclipse's paho.mqtt.testing as it is, and writes what became of each of its tests.

    paho_runner.py client_test HOST PORT REPORT     (in the folder interoperability of a checkout)

The programs are made to be started by hand: their options and unittest's get into each other's way, and one of
their tests has a name that unittest does not find. So they are loaded here instead. REPORT has a line a test: its
outcome, a tab, its name.
"""

import argparse
import importlib
import os
import sys
import unittest

TOPICS = ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")
FILTERS = ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")
# What the programs' own main sets before they begin.
SETTINGS = {
    "client_test": {"topics": TOPICS, "wildtopics": FILTERS},
    "client_test5": {"topic_prefix": "client_test5/", "topics": ["client_test5/" + t for t in TOPICS],
                     "wildtopics": ["client_test5/" + f for f in FILTERS]},
}


class Outcomes(unittest.TextTestResult):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.of = {}

    def note(self, outcome, test):
        # What is no test is the class's preparation: nothing ran.
        self.of[getattr(test, "_testMethodName", str(test))] = outcome

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note("pass", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note("fail", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.note("fail", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note("skip", test)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", choices=SETTINGS)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("report")
    parser.add_argument("tests", nargs="*", help="these only (default: all)")
    arguments = parser.parse_args()
    sys.path.insert(0, os.getcwd())
    program = importlib.import_module(arguments.program)
    settings = SETTINGS[arguments.program] | {"nosubscribe_topics": ("test/nosubscribe",)}
    for name, value in (settings | {"host": arguments.host, "port": arguments.port}).items():
        setattr(program, name, value)
    names = sorted(name for name in vars(program.Test) if name.startswith("test") or name.endswith("_test"))
    suite = unittest.TestSuite(program.Test(name) for name in arguments.tests or names)
    result = unittest.TextTestRunner(verbosity=2, resultclass=Outcomes).run(suite)
    with open(arguments.report, "w", encoding="utf-8") as report:
        report.writelines(f"{outcome}\t{name}\n" for name, outcome in result.of.items())
    # The programs' clients have threads that nobody ends.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
