"""What is there when answers are compared: the same on every broker."""

import contextlib
import urllib.parse

import pika

VHOST = "scene"
QUEUE = "orders"
EXCHANGE = "shop"


def expect(answer, *statuses):
    if answer.status not in statuses:
        raise AssertionError(f"expected {statuses}, got {answer}")
    return answer


@contextlib.contextmanager
def arranged(api, amqp_address):
    """Lays everything out, with an AMQP connection that consumes and publishes; yields its channel."""
    done = (201, 204)
    expect(api.put(f"vhosts/{VHOST}", {"description": "for tests", "tags": "a,b"}), *done)
    expect(api.put("users/clerk", {"password": "secret", "tags": "management"}), *done)
    expect(api.put(f"permissions/{VHOST}/guest",
                   {"configure": ".*", "write": ".*", "read": ".*"}), *done)
    expect(api.put(f"permissions/{VHOST}/clerk",
                   {"configure": "", "write": ".*", "read": ".*"}), *done)
    expect(api.put(f"topic-permissions/{VHOST}/clerk",
                   {"exchange": EXCHANGE, "write": "^a", "read": "^b"}), *done)
    expect(api.put(f"policies/{VHOST}/short",
                   {"pattern": "^lim", "definition": {"max-length": 10}, "priority": 1,
                    "apply-to": "queues"}), *done)
    expect(api.put(f"operator-policies/{VHOST}/ceiling",
                   {"pattern": "^lim", "definition": {"message-ttl": 60000}, "apply-to": "queues"}),
           *done)
    expect(api.put(f"vhost-limits/{VHOST}/max-queues", {"value": 100}), *done)
    expect(api.put("global-parameters/note", {"value": {"a": 1}}), *done)
    expect(api.put(f"exchanges/{VHOST}/{EXCHANGE}", {"type": "topic", "durable": True}), *done)
    expect(api.put(f"queues/{VHOST}/{QUEUE}", {"durable": True,
                                              "arguments": {"x-max-length": 1000}}), *done)
    expect(api.put(f"queues/{VHOST}/limited", {"durable": True}), *done)
    expect(api.post(f"bindings/{VHOST}/e/{EXCHANGE}/q/{QUEUE}",
                    {"routing_key": "order.#", "arguments": {}}), 201)
    host, port = amqp_address
    link = pika.BlockingConnection(pika.ConnectionParameters(
        host, port, VHOST, pika.PlainCredentials("guest", "guest"),
        client_properties={"connection_name": "scene"}))
    try:
        channel = link.channel()
        channel.confirm_delivery()
        for n in range(3):
            channel.basic_publish(EXCHANGE, "order.new", f"order {n}".encode())
        channel.basic_qos(prefetch_count=1)
        channel.basic_consume("limited", lambda *_: None, consumer_tag="taker")
        channel.basic_publish("", "limited", b"one")
        link.process_data_events(0.2)
        yield channel
    finally:
        link.close()


def quoted(name):
    return urllib.parse.quote(name, safe="")


def paths(api):
    """Every GET of tier 1, as this broker's names have it; the key is the same on every broker."""
    node = quoted(api.get("nodes").json[0]["name"])
    connection = quoted(api.get("connections").json[0]["name"])
    channel = quoted(api.get("channels").json[0]["name"])
    binding = [b for b in api.get(f"bindings/{VHOST}").json if b["source"] == EXCHANGE][0]
    props = quoted(binding["properties_key"])
    v, q, x = VHOST, QUEUE, EXCHANGE
    plain = [
        "overview", "nodes", "extensions", "definitions", f"definitions/{v}", "connections",
        f"vhosts/{v}/connections", "channels", f"vhosts/{v}/channels", "consumers", f"consumers/{v}",
        "exchanges", f"exchanges/{v}", f"exchanges/{v}/{x}", f"exchanges/{v}/{x}/bindings/source",
        f"exchanges/{v}/{x}/bindings/destination", "queues", f"queues/{v}", f"queues/{v}/{q}",
        f"queues/{v}/limited", f"queues/{v}/{q}/bindings", "bindings", f"bindings/{v}",
        f"bindings/{v}/e/{x}/q/{q}", "vhosts", f"vhosts/{v}", f"vhosts/{v}/permissions",
        f"vhosts/{v}/topic-permissions", "users", "users/without-permissions", "users/clerk",
        "users/clerk/permissions", "users/clerk/topic-permissions", "user-limits", "whoami",
        "permissions", f"permissions/{v}/clerk", "topic-permissions",
        f"topic-permissions/{v}/clerk", "parameters", "global-parameters", "global-parameters/note",
        "policies", f"policies/{v}", f"policies/{v}/short", "operator-policies",
        f"operator-policies/{v}", f"operator-policies/{v}/ceiling", "vhost-limits",
        f"vhost-limits/{v}", f"aliveness-test/{v}", "cluster-name", "feature-flags",
        "health/checks/alarms", "health/checks/local-alarms", "health/checks/virtual-hosts",
        "health/checks/node-is-quorum-critical", "auth/hash_password/secret",
        "queues?page=1", "connections?page=1&page_size=10&name=&use_regex=false",
        "queues?columns=name,message_stats.publish_details.rate",
        # What goes wrong.
        "queues/nowhere/nothing", f"queues/{v}/nothing", f"exchanges/{v}/nothing", "users/nobody",
        "vhosts/nowhere", "nothing/like/this", "queues?page=99",
    ]
    named = {
        "nodes/NODE": f"nodes/{node}",
        "nodes/NODE/memory": f"nodes/{node}/memory",
        "connections/CONNECTION": f"connections/{connection}",
        "connections/CONNECTION/channels": f"connections/{connection}/channels",
        "channels/CHANNEL": f"channels/{channel}",
        f"bindings/{v}/e/{x}/q/{q}/PROPERTIES": f"bindings/{v}/e/{x}/q/{q}/{props}",
    }
    return {p: p for p in plain} | named
