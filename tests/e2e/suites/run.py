#!/usr/bin/python3
"""Runs a client project's own tests against linnetd and against rabbitmq-server, and compares.

    AMQPLIB_SUITE=~/src/amqplib run.py amqplib --binary build/release/broker/app/linnetd
    PY_AMQP_SUITE=~/src/py-amqp run.py py-amqp --subject amqp://localhost --reference rabbitmq
    PAHO_TESTING_SUITE=~/src/paho.mqtt.testing run.py paho-5 --binary build/release/broker/app/linnetd

Every test that passes against the reference must pass against the subject; one that is skipped there
has not passed. Those of MQTT have no reference: all of them must pass. The checkouts are not part of this
repository: README.md says what they must hold. Where the variable is unset the status is 77, which ctest shows
as skipped.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from brokers import broker, certificates  # noqa: E402
from linnetd import Linnetd  # noqa: E402

SKIPPED = 77


def amqplib(checkout, environment, report):
    command = ["node", "--test", "--test-timeout=20000", "--test-reporter", os.path.join(HERE, "reporter.cjs"),
               "--test-reporter-destination", report]
    environment["NODE_OPTIONS"] = f"--require {os.path.join(HERE, 'redirect.cjs')}"
    environment["URL"] = environment["AMQP_URL"]
    execute(command, checkout, environment)
    outcomes = {}
    with open(report, encoding="utf-8") as lines:
        for line in lines:
            outcome, name = line.rstrip("\n").split("\t", 1)
            outcomes[unused(name, outcomes)] = outcome
    return outcomes


def py_amqp(checkout, environment, report):
    host, port = environment["AMQP_URL"].rpartition("@")[2].partition("/")[0].rsplit(":", 1)
    environment |= {"RABBITMQ_HOST": host, "RABBITMQ_5672_TCP": port, "PYTHONDONTWRITEBYTECODE": "1"}
    if "AMQPS_URL" in environment:
        environment["RABBITMQ_HOST"] = "localhost"  # the name in the server's certificate
        environment["RABBITMQ_5671_TCP"] = environment["AMQPS_URL"].rpartition(":")[2].partition("/")[0]
        # The suite's own certificates belong to a server key that is not in it.
        folder = os.path.dirname(environment["AMQP_CA_FILE"])
        for ours, theirs in (("ca.pem", "ca_certificate.pem"), ("client.pem", "client_certificate.pem"),
                             ("client.key", "client_key.pem")):
            shutil.copy(os.path.join(folder, ours), os.path.join(checkout, "t", "certs", theirs))
    execute(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "-E", "rabbitmq",
             "--tb=short", "--junitxml", report, "t/unit", "t/integration"], checkout, environment)
    outcomes = {}
    for case in xml.parse(report).getroot().iter("testcase"):
        children = {child.tag for child in case}
        outcome = "fail" if children & {"failure", "error"} else "skip" if "skipped" in children else "pass"
        outcomes[unused(f"{case.get('classname')}.{case.get('name')}", outcomes)] = outcome
    return outcomes


# What paho's tests want of a broker: clients without a name, a Server Keep Alive, a filter that is refused, by 0x80. Two of
# them wait for the wrong client's SUBACK: in one thread what was sent first is also handled first.
PAHO_CONFIGURATION = """\
shards = 1

[mqtt]
anonymous_user = "guest"
keep_alive_max = "60s"
refusal_reasons = false

[[user]]
name = "guest"
password = "guest"

[[permission]]
user = "guest"
vhost = "/"
configure = ".*"
write = ".*"
read = ".*"

[[topic_permission]]
user = "guest"
vhost = "/"
exchange = "amq.topic"
write = ".*"
read = '^(?!test\\.nosubscribe$)'
"""


def paho(program):
    def suite(checkout, environment, report):
        address = environment["MQTT_HOST"], environment["MQTT_PORT"]
        execute(["/usr/bin/python3", os.path.join(HERE, "paho_runner.py"), program, *address, report],
                os.path.join(checkout, "interoperability"), environment | {"PYTHONDONTWRITEBYTECODE": "1"})
        with open(report, encoding="utf-8") as lines:
            return dict(reversed(line.rstrip("\n").split("\t", 1)) for line in lines)
    return suite


SUITES = {"amqplib": ("AMQPLIB_SUITE", amqplib), "py-amqp": ("PY_AMQP_SUITE", py_amqp),
          "paho-3.1.1": ("PAHO_TESTING_SUITE", paho("client_test")), "paho-5": ("PAHO_TESTING_SUITE", paho("client_test5"))}
WITHOUT_REFERENCE = {"paho-3.1.1": PAHO_CONFIGURATION, "paho-5": PAHO_CONFIGURATION}


def unused(name, outcomes):
    """Two tests of one name are told apart by their order."""
    number, candidate = 1, name
    while candidate in outcomes:
        number += 1
        candidate = f"{name} #{number}"
    return candidate


def execute(command, folder, environment):
    # Its status says no more than its report; a suite that wrote no report fails when that is read.
    subprocess.run(command, cwd=folder, env=os.environ | environment, stdin=subprocess.DEVNULL, timeout=600,
                   stdout=sys.stderr, check=False)


def outcomes_against(suite, kind, binary, checkout):
    """Each test's name and outcome. `kind` is a broker to start, or the URL of one."""
    with tempfile.TemporaryDirectory(prefix="linnet-suite-") as folder:
        copy = os.path.join(folder, "checkout")  # suites write into their folder
        shutil.copytree(checkout, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        report = os.path.join(folder, "report")
        if "://" in kind:
            return suite(copy, {"AMQP_URL": kind}, report)
        with broker(kind, binary) as environment:
            return suite(copy, environment, report)


def all_must_pass(suite, configuration, binary, checkout):
    with tempfile.TemporaryDirectory(prefix="linnet-suite-") as folder:
        copy = os.path.join(folder, "checkout")
        shutil.copytree(checkout, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        with Linnetd(binary, configuration, listen=("mqtt=127.0.0.1:0",)) as server:
            host, port = server.address_of("mqtt")
            got = suite(copy, {"MQTT_HOST": host, "MQTT_PORT": str(port)}, os.path.join(folder, "report"))
    print(f"linnetd: {tally(got)}", flush=True)
    bad = sorted(name for name, outcome in got.items() if outcome != "pass")
    for name in bad:
        print(f"FAIL  {got[name]}: {name}")
    if bad or not got:
        sys.exit(f"{len(bad)} of {len(got)} tests do not pass")
    print(f"ok    all {len(got)} tests had to pass, and did")


def tally(outcomes):
    counts = {outcome: list(outcomes.values()).count(outcome) for outcome in ("pass", "fail", "skip")}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--subject", default="linnetd", help="a broker's URL, or linnetd (default) or rabbitmq")
    parser.add_argument("--reference", default="rabbitmq", help="a broker's URL, or rabbitmq (default)")
    parser.add_argument("--binary", default=os.environ.get("LINNETD"), help="the linnetd to start (default: $LINNETD)")
    arguments = parser.parse_args()
    variable, suite = SUITES[arguments.suite]
    checkout = os.environ.get(variable)
    if not checkout:
        print(f"skipped: {variable} does not name a checkout of {arguments.suite} (see suites/README.md)")
        sys.exit(SKIPPED)

    if arguments.suite in WITHOUT_REFERENCE:
        all_must_pass(suite, WITHOUT_REFERENCE[arguments.suite], arguments.binary, checkout)
        return
    expected = outcomes_against(suite, arguments.reference, arguments.binary, checkout)
    print(f"{arguments.reference}: {tally(expected)}", flush=True)
    got = outcomes_against(suite, arguments.subject, arguments.binary, checkout)
    print(f"{arguments.subject}: {tally(got)}", flush=True)
    if "pass" not in expected.values():
        sys.exit(f"FAIL  nothing passes against {arguments.reference}: the suite did not run")
    lost = sorted(name for name, outcome in expected.items() if outcome == "pass" and got.get(name) != "pass")
    for name in lost:
        print(f"FAIL  {got.get(name, 'missing')}: {name}")
    for name in sorted(name for name, outcome in got.items() if outcome == "pass" and expected.get(name) != "pass"):
        print(f"gain  {name}")
    if lost:
        sys.exit(f"{len(lost)} tests pass against {arguments.reference} and not against {arguments.subject}")
    print(f"ok    whatever passes against {arguments.reference} passes against {arguments.subject}")


if __name__ == "__main__":
    main()
