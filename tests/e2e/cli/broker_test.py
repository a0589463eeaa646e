#!/usr/bin/python3
"""`linnet` against real brokers: what it makes, carries and removes is there, has moved and is gone.

    LINNET=... LINNETD=... tests/e2e/cli/broker_test.py rabbitmq | linnetd | mqtt

rabbitmq: the management API and AMQP of a private rabbitmq-server (77 where it is not installed).
linnetd: the same of a linnetd, and every noun and verb that there is.
mqtt: messages and retained values of a linnetd of the test's own, by MQTT and AMQP.
"""

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import linnetd  # noqa: E402
import rabbitmq  # noqa: E402


class Cli:
    def __init__(self, url, folder):
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "AMQP_"))}
        self.env |= {"LINNET_URL": url, "XDG_CONFIG_HOME": folder}
        # Some verbs are the daemon's work.
        self.env["PATH"] = os.pathsep.join((os.path.dirname(os.environ["LINNETD"]), self.env.get("PATH", "")))
        self.driven = set()

    def __call__(self, *words, code=0, given=""):
        self.driven |= {words[:1], words[:2]}
        done = subprocess.run([os.environ["LINNET"], *words], env=self.env, input=given, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words):
        return json.loads(self(*words, "-o", "json"))


def payloads(cli, url, queue, count):
    out = cli("sub", url, "--queue", queue, "--count", str(count), "--wait", "5")
    return out.splitlines()


def topology(cli, amqp, folder):
    cli("queue", "create", "work", "--arg", "x-dead-letter-exchange=", "--arg", "x-dead-letter-routing-key=dead",
        "--arg", "x-max-length=2")
    cli("queue", "create", "dead")
    cli("exchange", "create", "jobs", "--type", "topic")
    cli("binding", "create", "jobs", "work", "-k", "job.#")
    assert [b["routing_key"] for b in cli.json("binding", "ls", "-p", "/", "--filter", "source=jobs")] == ["job.#"]
    exported = os.path.join(folder, "definitions.json")
    cli("definitions", "export", exported)
    cli("definitions", "diff", exported)
    # Three too many for the queue: the oldest die, and come back.
    cli("pub", amqp, "-e", "jobs", "-k", "job.a", "--lines", "--header", "n=1", given="one\ntwo\nthree\nfour\nfive\n")
    cli("pub", amqp, "-e", "jobs", "-k", "nowhere", "lost", code=1)
    assert payloads(cli, amqp, "work", 2) == ["four", "five"]
    cli("queue", "replay", "dead", "--amqp-url", amqp, "--filter", "reason=expired")
    cli("queue", "replay", "dead", "--amqp-url", amqp, "--dry-run")
    cli("queue", "replay", "dead", "--amqp-url", amqp, "--max", "2", "--rate", "100")
    about = json.loads(cli("sub", amqp, "--queue", "work", "--count", "1", "--wait", "5", "-o", "json"))
    assert (about["payload"], about["exchange"], about["routing_key"]) == ("one", "jobs", "job.a"), about
    assert about["properties"]["headers"] == {"n": 1}, about
    assert payloads(cli, amqp, "work", 1) == ["two"]
    assert payloads(cli, amqp, "dead", 1) == ["three"]
    return exported


def moving(cli, amqp):
    cli("queue", "create", "from")
    cli("queue", "create", "to")
    cli("pub", amqp, "-k", "from", "--lines", given="".join(f"{i}\n" for i in range(500)))
    cli("queue", "move", "from", "nowhere", "--amqp-url", amqp, "--max", "5", code=1)
    cli("queue", "move", "from", "to", "--amqp-url", amqp, "--max", "200")
    cli("queue", "move", "from", "--exchange", "", "--key", "to", "--amqp-url", amqp)
    assert payloads(cli, amqp, "to", 500) == [str(i) for i in range(500)]
    cli("pub", amqp, "-k", "to", "x")
    cli("queue", "purge", "to", "-y")
    assert payloads(cli, amqp, "to", 1) == []
    # More is on its way to the mover than it takes; all of that is back when it has ended.
    long = "x" * 4096
    cli("pub", amqp, "-k", "from", "--lines", "-q", given="".join(f"{i}{long}\n" for i in range(2000)))
    for _ in range(3):
        cli("queue", "move", "from", "to", "--amqp-url", amqp, "--max", "1", "-q")
    cli("queue", "move", "from", "to", "--amqp-url", amqp, "-q")
    assert payloads(cli, amqp, "to", 2000) == [f"{i}{long}" for i in range(2000)]


def access(cli, url):
    cli("vhost", "create", "tenant", "--description", "of the test")
    cli("user", "create", "joe", "--tags", "management", given="secret\n")
    cli("permission", "set", "joe", "-p", "tenant", "--write", "^$")
    assert cli.json("permission", "ls", "--filter", "user=joe")[0]["write"] == "^$"
    joe = url.replace("guest:guest", "joe:secret")
    assert cli("vhost", "ls", "--url", joe, "-o", "name").split() == ["tenant"]
    cli("user", "ls", "--url", joe, code=77)
    cli("vhost", "ls", "--url", url.replace("guest:guest", "joe:wrong"), code=77)
    cli("user", "password", "joe", given="other\n")
    assert cli.json("user", "show", "joe")["tags"] in (["management"], "management")
    cli("policy", "set", "short", "^w", "max-length=10", "--apply-to", "queues")
    assert cli.json("policy", "show", "short")["definition"] == {"max-length": 10}
    cli("policy", "clear", "short", "-y")
    cli("policy", "show", "short", code=1)


def prune(cli, exported):
    cli("queue", "create", "surplus")
    cli("definitions", "diff", exported, code=1)
    cli("definitions", "apply", exported, "--prune", "-y")
    cli("definitions", "diff", exported)
    cli("queue", "show", "surplus", code=1)
    cli("queue", "show", "work")


def with_rabbitmq(folder):
    if rabbitmq.script_dir() is None:
        return 77
    (port,) = rabbitmq.free_ports(1)
    config = f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n"
    with rabbitmq.Rabbitmq(plugins=("rabbitmq_management",), config=config, start_seconds=120) as broker:
        url = f"http://guest:guest@127.0.0.1:{port}"
        amqp = f"amqp://guest:guest@127.0.0.1:{broker.port}"
        cli = Cli(url, folder)
        exported = topology(cli, amqp, folder)
        moving(cli, amqp)
        access(cli, url)
        prune(cli, exported)
        cli("doctor", "--amqp-url", amqp, "--data-dir", folder)
        assert "sorted by messages" in cli("top", "--rounds", "2", "--interval", "100")
    return 0


def listed(help_text):
    """The commands that a help text lists."""
    below = help_text.partition("Subcommands:")[2]
    return [line.split()[0] for line in below.splitlines() if line.startswith("  ") and line[2:3].isalpha()]


def verbs(cli):
    """Every noun and verb, as the program itself tells of them."""
    nouns = listed(cli("--help"))
    assert len(nouns) > 20, nouns
    for noun in nouns:
        below = [] if noun == "bench" else listed(cli(noun, "--help"))
        yield from ((noun, verb) for verb in below)
        if not below:
            yield (noun,)


def looking(cli, broker, folder):
    """What shows something, and what little is not in the other parts."""
    amqp = "amqp://guest:guest@127.0.0.1:{}".format(broker.port)
    cli("queue", "create", "seen", "--arg", "x-max-length=10")
    cli("pub", amqp, "-k", "seen", "--lines", given="one\ntwo\n")
    assert [m["payload"] for m in cli.json("queue", "peek", "seen", "--count", "5")] == ["one", "two"]
    assert [m["payload"] for m in cli.json("queue", "get", "seen")] == ["one"]
    assert cli.json("queue", "ls", "--filter", "name=seen")[0]["messages"] == 1
    cli("exchange", "create", "x", "--type", "topic")
    assert cli.json("exchange", "show", "x")["type"] == "topic"
    cli("binding", "create", "x", "seen", "-k", "a")
    assert "x" in cli("exchange", "ls", "-o", "name").split()
    told = cli.json("explain", "-e", "x", "-k", "a", "--header", "n=1")
    assert (told["allowed"], [d["name"] for d in told["destinations"]]) == (True, ["seen"]), told
    assert cli("explain", "-e", "x", "-k", "a", "-o", "name") == "seen\n"
    assert "nothing" in cli("explain", "-e", "x", "-k", "elsewhere", code=1)
    assert cli("explain", "-e", "none", "-k", "a", code=1)
    assert "amq.topic" in cli("explain", "-t", "nobody/listens", code=1)
    cli("queue", "create", "followed")
    cli("pub", amqp, "-k", "followed", "--property", "message_id=m/1", "x")
    told = cli.json("where", "m/1")
    assert [e["event"] for e in told["events"]] == ["published", "queued"], told
    assert [(p["queue"], p["state"]) for p in told["places"]] == [("followed", "ready")], told
    assert "ready" in cli("where", "m/1")
    cli("queue", "delete", "followed", "-y")
    assert cli("where", "m/2", code=1) == ""
    cli("explain", "-t", "a/#", code=1)
    cli("binding", "delete", "x", "seen", "-k", "a", "-y")
    cli("exchange", "delete", "x", "-y")
    (node,) = cli.json("node", "ls")
    assert cli.json("node", "show", node["name"])["running"]
    with subprocess.Popen([os.environ["LINNET"], "sub", amqp, "--queue", "seen", "--wait", "60"], env=cli.env,
                          stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout.readline() == "two\n"
        (consumer,) = cli.json("consumer", "ls")
        assert consumer["queue"]["name"] == "seen", consumer
        (channel,) = cli.json("channel", "ls")
        cli("channel", "show", channel["name"])
        (connection,) = cli.json("connection", "ls")
        cli("connection", "show", connection["name"])
        cli("connection", "kill", connection["name"], "--reason", "the test", "-y")
        reader.wait(60)
    cli("queue", "delete", "seen", "-y")
    cli("vhost", "create", "passing")
    assert "passing" in cli("vhost", "ls", "-o", "name").split()
    assert cli.json("vhost", "show", "passing")["name"] == "passing"
    cli("vhost", "delete", "passing", "-y")
    cli("user", "create", "passing", given="secret\n")
    cli("permission", "set", "passing", "--configure", "^$")
    cli("permission", "clear", "passing", "-y")
    assert "passing" in cli("user", "ls", "-o", "name").split()
    cli("user", "delete", "passing", "-y")
    cli("policy", "set", "p", "^x", "max-length=1")
    assert "p" in cli("policy", "ls", "-o", "name").split()
    cli("policy", "clear", "p", "-y")
    exported = os.path.join(folder, "again.json")
    cli("definitions", "export", exported)
    cli("definitions", "import", exported)
    cli("definitions", "diff", exported)
    cli("context", "add", "here", cli.env["LINNET_URL"])
    cli("context", "use", "here")
    assert "here" in cli("context", "ls")
    cli("context", "rm", "here")


def publishing_by_http(cli, url):
    cli("queue", "create", "web")
    cli("pub", url, "-k", "web", "--header", "n=1", "by HTTP")
    assert json.loads(cli("sub", url, "--queue", "web", "--count", "1", "--wait", "5", "-o", "json"))["payload"] == "by HTTP"
    # Events: what is published while somebody listens.
    with subprocess.Popen([os.environ["LINNET"], "sub", url, "-t", "plant/+/state", "--count", "2", "--wait", "60",
                           "-o", "json"], env=cli.env, stdout=subprocess.PIPE, text=True) as listener:
        while listener.poll() is None:
            cli("pub", url, "-e", "amq.topic", "-k", "plant.1.state", "--property", "content_type=text/plain", "on",
                code=None)
        events = [json.loads(line) for line in listener.stdout]
    assert [(e["payload"], e["event"]) for e in events] == [("on", "text/plain")] * 2, events
    cli("sub", url, "-t", "a/#/b", code=1)
    cli("sub", url.replace("guest:guest", "guest:wrong"), "-t", "a", code=77)
    cli("sub", url, code=64)


def with_linnetd(folder):
    listen = ("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0", "http=127.0.0.1:0")
    with linnetd.Linnetd(settings=("shards=2",), listen=listen) as broker:
        url = "http://guest:guest@127.0.0.1:{}".format(broker.address_of("http")[1])
        amqp = "amqp://guest:guest@127.0.0.1:{}".format(broker.port)
        cli = Cli(url, folder)
        exported = topology(cli, amqp, folder)
        moving(cli, amqp)
        access(cli, url)
        prune(cli, exported)
        looking(cli, broker, folder)
        publishing_by_http(cli, url)
        retaining(cli, "mqtt://guest:guest@127.0.0.1:{}".format(broker.address_of("mqtt")[1]))
        assert cli.json("overview")["object_totals"]
        cli("status", "--url", amqp)
        cli("health", "--url", amqp)
        cli("doctor", "--amqp-url", amqp, "--data-dir", folder)
        assert "sorted by messages" in cli("top", "--rounds", "2", "--interval", "100")
        cli("backup", "--data-dir", broker.data_dir, "--to", os.path.join(folder, "copy"))
        cli("restore", os.path.join(folder, "copy"), "--data-dir", os.path.join(folder, "restored"))
        for words in (("version",), ("man",), ("completion", "bash"), ("config", "default"), ("config", "env"),
                      ("config", "explain", "limits.queues"), ("config", "check"), ("bench", "--help")):
            cli(*words)
        driven = frozenset(cli.driven)  # to ask for help is not to try
        left = [v for v in verbs(cli) if v not in driven]
        assert not left, f"nobody has tried {left}"
    moving_more_than_memory_holds(folder)
    return 0


def moving_more_than_memory_holds(folder):
    """Were all of it lent at once, the broker would hold its publishers back: the mover, too, that is to settle it."""
    large = "x" * (32 << 20)
    with linnetd.Linnetd(settings=("memory.budget=128MiB",), listen=("amqp=127.0.0.1:0", "http=127.0.0.1:0")) as broker:
        cli = Cli("http://guest:guest@127.0.0.1:{}".format(broker.address_of("http")[1]), folder)
        amqp = "amqp://guest:guest@127.0.0.1:{}".format(broker.port)
        for queue in ("from", "to"):
            cli("queue", "create", queue)
        for _ in range(6):
            cli("pub", amqp, "-k", "from", "--property", "delivery_mode=2", given=large)
        cli("queue", "move", "from", "to", "--amqp-url", amqp)
        assert cli.json("queue", "show", "to")["messages"] == 6


def retaining(cli, mqtt):
    at = ("--mqtt-url", mqtt)
    cli("retained", "set", "plant/1/temperature", "21", *at)
    cli("retained", "set", "plant/2/temperature", "22", *at)
    assert cli("retained", "get", "plant/1/temperature", *at) == "21\n"
    rows = cli.json("retained", "ls", "plant/+/temperature", *at)
    assert sorted(r["payload"] for r in rows) == ["21", "22"], rows
    tree = cli("topic", "tree", "plant/#", "--wait", "1", *at)
    assert "`-- plant" in tree and "temperature  1, retained" in tree, tree
    cli("retained", "delete", "plant/1/temperature", "-y", *at)
    cli("retained", "get", "plant/1/temperature", *at, code=1)


def with_mqtt(folder):
    with linnetd.Linnetd(listen=("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0")) as broker:
        amqp = "amqp://guest:guest@127.0.0.1:{}".format(broker.port)
        mqtt = "mqtt://guest:guest@127.0.0.1:{}".format(broker.address_of("mqtt")[1])
        cli = Cli(amqp, folder)
        retaining(cli, mqtt)
        for qos in "012":
            with subprocess.Popen([os.environ["LINNET"], "sub", mqtt, "-t", "a/b", "--qos", qos, "--count", "2",
                                   "--wait", "20", "-o", "json"], stdout=subprocess.PIPE, text=True,
                                  env=cli.env) as listener:
                # Published until it is there: nobody can tell from outside when it has subscribed.
                while listener.poll() is None:
                    cli("pub", mqtt, "-t", "a/b", "--qos", qos, "--header", "n=1", "hello")
                first = json.loads(listener.stdout.readline())
            assert first["payload"] == "hello" and first["properties"]["headers"] == {"n": "1"}, first
        cli("pub", mqtt, "hello", code=64)
        cli("sub", amqp, code=64)
        cli("retained", "ls", "--mqtt-url", "mqtt://guest:wrong@127.0.0.1:{}".format(broker.address_of("mqtt")[1]),
            code=77)
    return 0


def main():
    with tempfile.TemporaryDirectory(prefix="linnet-cli-") as folder:
        return {"rabbitmq": with_rabbitmq, "linnetd": with_linnetd, "mqtt": with_mqtt}[sys.argv[1]](folder)


if __name__ == "__main__":
    sys.exit(main())
