"""The users, vhosts and rights that the situations rely on, for either broker, and how to start it."""

import contextlib
import json
import os
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from linnetd import Linnetd  # noqa: E402
from rabbitmq import Rabbitmq, password_hash  # noqa: E402

VHOSTS = ("/", "other")
# user, vhost, configure, write, read. `guest` has no rights in "other", `nobody` none anywhere.
PERMISSIONS = (
    ("guest", "/", ".*", ".*", ".*"),
    ("limited", "/", "^(mine|amq\\.gen)", "^(mine|amq\\.gen|amq\\.topic)", "^(mine|amq\\.gen|amq\\.topic)"),
    ("reader", "/", "^$", "^$", ".*"),
)
USERS = ("guest", "limited", "reader", "nobody")  # each has its name as its password
# user, vhost, exchange, write, read: which routing keys, on that topic exchange.
TOPIC_PERMISSIONS = (("limited", "/", "amq.topic", "^open\\.", "^open\\."),)

# The exchange types that ship with RabbitMQ and that linnetd has without being asked.
RABBITMQ_PLUGINS = ("rabbitmq_consistent_hash_exchange", "rabbitmq_random_exchange",
                    "rabbitmq_recent_history_exchange", "rabbitmq_sharding")


def definitions():
    """RabbitMQ's definitions file; it is loaded before the listener opens."""
    return {
        "vhosts": [{"name": v} for v in VHOSTS],
        "users": [{"name": u, "password_hash": password_hash(u), "tags": "",
                   "hashing_algorithm": "rabbit_password_hashing_sha256"} for u in USERS],
        "permissions": [{"user": u, "vhost": v, "configure": c, "write": w, "read": r}
                        for u, v, c, w, r in PERMISSIONS],
        "topic_permissions": [{"user": u, "vhost": v, "exchange": x, "write": w, "read": r}
                              for u, v, x, w, r in TOPIC_PERMISSIONS],
        "queues": [], "exchanges": [], "bindings": [], "parameters": [], "policies": [],
    }


@contextlib.contextmanager
def target(what, shards=1):
    """The address of a broker with these fixtures: a URL of one that runs, or one started here."""
    if what == "rabbitmq":
        with Rabbitmq(definitions=definitions(), plugins=RABBITMQ_PLUGINS) as broker:
            yield broker.address
    elif what == "linnetd":
        with Linnetd(config=linnetd_config(shards)) as broker:
            yield broker.address
            if broker.process.poll() is not None:
                sys.exit(f"linnetd ended with {broker.process.returncode}\n{broker.log_tail(60)}")
    else:
        url = urllib.parse.urlparse(what)
        yield url.hostname, url.port or 5672


def linnetd_config(shards=1):
    """The same for linnetd, as its configuration file."""
    entries = [("vhost", {"name": v}) for v in VHOSTS]
    entries += [("user", {"name": u, "password": u}) for u in USERS]
    entries += [("permission", dict(zip(("user", "vhost", "configure", "write", "read"), p)))
                for p in PERMISSIONS]
    entries += [("topic_permission", dict(zip(("user", "vhost", "exchange", "write", "read"), p)))
                for p in TOPIC_PERMISSIONS]
    return f"shards = {shards}\n\n" + "\n".join(f"[[{name}]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items())
                     for name, keys in entries)
