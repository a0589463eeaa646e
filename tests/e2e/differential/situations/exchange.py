"""Exchanges: declaring, binding, routing."""

from engine import Typed, amqp, situation

TYPES = ("direct", "fanout", "topic", "headers")


def _routes(t, ch, exchange, queue, keys, **properties):
    """Publishes each key with itself as the body; then shows what arrived, in order."""
    for key in keys:
        ch.publish(exchange, key, body=key.encode(), **properties)
    ch.quiet()
    while ch.get(queue).name == "basic.get-ok":
        pass


@situation
def declare_each_type(t):
    ch = t.channel()
    for kind in TYPES:
        ch.exchange(t.n(kind), kind, auto_delete=True)
    for kind in TYPES:
        ch.exchange(t.n(kind), kind, auto_delete=True)


def _plugin_type(t, kind, arguments=None):
    ch = t.channel()
    ch.reply("exchange.declare", exchange=t.n("x"), type=kind, arguments=arguments or {})
    if ch.is_open:
        ch.call("exchange.delete", exchange=t.n("x"))


@situation
def type_consistent_hash(t):
    _plugin_type(t, "x-consistent-hash")


@situation
def type_random(t):
    _plugin_type(t, "x-random")


@situation
def type_local_random(t):
    _plugin_type(t, "x-local-random")


@situation
def type_modulus_hash(t):
    _plugin_type(t, "x-modulus-hash")


@situation
def type_recent_history(t):
    _plugin_type(t, "x-recent-history")


@situation
def type_delayed_message(t):
    _plugin_type(t, "x-delayed-message", {"x-delayed-type": "direct"})


@situation
def type_unknown(t):
    t.channel().exchange(t.n("x"), "no-such-type")


@situation
def type_empty(t):
    t.channel().exchange(t.n("x"), "")


@situation
def type_empty_passive(t):
    t.channel().exchange("amq.direct", "", passive=True)


@situation
def passive_ignores_type_and_arguments(t):
    t.channel().exchange("amq.direct", "fanout", passive=True, durable=False,
                         arguments={"x": 1})


@situation
def passive_missing(t):
    t.channel().exchange(t.n("missing"), passive=True)


@situation
def passive_unknown_type(t):
    t.channel().exchange("amq.direct", "no-such-type", passive=True)


@situation
def redeclare_inequivalent(t):
    ch = t.channel()
    x = t.n("x")
    ch.exchange(x, "direct")
    ch.reply("exchange.declare", exchange=x, type="fanout")
    ch.reply("exchange.declare", exchange=x, type="direct", durable=True)
    ch.reply("exchange.declare", exchange=x, type="direct", auto_delete=True)
    ch.reply("exchange.declare", exchange=x, type="direct", internal=True)
    ch.reply("exchange.declare", exchange=x, type="direct", arguments={"alternate-exchange": "y"})
    ch.reply("exchange.declare", exchange=x, type="direct", arguments={"anything": 1})
    ch.reply("exchange.delete", exchange=x)


@situation
def redeclare_inequivalent_alternate(t):
    ch = t.channel()
    x = t.n("x")
    ch.exchange(x, "direct", arguments={"alternate-exchange": "one"})
    ch.reply("exchange.declare", exchange=x, type="direct")
    ch.reply("exchange.declare", exchange=x, type="direct",
             arguments={"alternate-exchange": "two"})
    ch.reply("exchange.declare", exchange=x, type="direct",
             arguments={"alternate-exchange": "one"})
    ch.reply("exchange.delete", exchange=x)


@situation
def redeclare_order_of_checks(t):
    """Everything differs: which is named?"""
    ch = t.channel()
    x = t.n("x")
    ch.exchange(x, "direct", arguments={"alternate-exchange": "one"})
    ch.reply("exchange.declare", exchange=x, type="fanout", durable=True, auto_delete=True,
             internal=True, arguments={"alternate-exchange": "two"})
    ch.reply("exchange.declare", exchange=x, type="direct", durable=True, auto_delete=True,
             internal=True, arguments={"alternate-exchange": "two"})
    ch.reply("exchange.declare", exchange=x, type="direct", auto_delete=True, internal=True,
             arguments={"alternate-exchange": "two"})
    ch.reply("exchange.declare", exchange=x, type="direct", internal=True,
             arguments={"alternate-exchange": "two"})


@situation
def alternate_exchange_of_the_wrong_type(t):
    t.channel().exchange(t.n("x"), "direct", arguments={"alternate-exchange": 5})


@situation
def declare_builtin_again(t):
    ch = t.channel()
    ch.exchange("amq.direct", "direct", durable=True)
    ch.reply("exchange.declare", exchange="amq.direct", type="direct", durable=False)
    ch.reply("exchange.declare", exchange="amq.topic", type="fanout", durable=True)


@situation
def declare_reserved_name(t):
    t.channel().exchange("amq.mine" + t.token)


@situation
def declare_reserved_name_passive(t):
    t.channel().exchange("amq.mine" + t.token, passive=True)


@situation
def builtin_exchanges(t):
    ch = t.channel()
    for name, kind in (("amq.direct", "direct"), ("amq.fanout", "fanout"), ("amq.topic", "topic"),
                       ("amq.headers", "headers"), ("amq.match", "headers")):
        ch.exchange(name, kind, durable=True)
    ch.reply("exchange.declare", exchange="amq.rabbitmq.trace", type="topic", durable=True,
             internal=True)


@situation
def default_exchange_declare(t):
    ch = t.channel()
    ch.reply("exchange.declare", exchange="", type="direct", durable=True)
    ch.reply("exchange.declare", exchange="", type="direct", passive=True)


@situation
def default_exchange_delete(t):
    t.channel().call("exchange.delete", exchange="")


@situation
def default_exchange_bind(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), "", "k")
    ch.reply("queue.unbind", queue=t.n("q"), exchange="", routing_key=t.n("q"))
    ch.reply("exchange.bind", destination="amq.fanout", source="", routing_key="k")
    ch.reply("exchange.bind", destination="", source="amq.fanout", routing_key="k")
    ch.reply("exchange.unbind", destination="", source="amq.fanout", routing_key="k")


@situation
def delete(t):
    ch = t.channel()
    ch.exchange(t.n("x"))
    ch.call("exchange.delete", exchange=t.n("x"))
    ch.call("exchange.delete", exchange=t.n("x"))
    ch.exchange(t.n("x"), passive=True)


@situation
def delete_builtin(t):
    ch = t.channel()
    ch.reply("exchange.delete", exchange="amq.direct")
    ch.reply("exchange.delete", exchange="amq.nothing-of-the-kind")


@situation
def delete_if_unused(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "fanout")
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("x"))
    ch.reply("exchange.delete", exchange=t.n("x"), if_unused=True)
    ch.reply("queue.unbind", queue=t.n("q"), exchange=t.n("x"))
    ch.reply("exchange.delete", exchange=t.n("x"), if_unused=True)
    ch.reply("exchange.declare", exchange=t.n("x"), passive=True)


@situation
def delete_if_unused_that_is_only_a_destination(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "fanout")
    ch.call("exchange.bind", destination=t.n("x"), source="amq.fanout")
    ch.call("exchange.delete", exchange=t.n("x"), if_unused=True)


@situation
def nowait(t):
    ch = t.channel()
    ch.send("exchange.declare", exchange=t.n("x"), type="fanout", nowait=True)
    ch.send("queue.declare", queue=t.n("q"), exclusive=True, nowait=True)
    ch.send("queue.bind", queue=t.n("q"), exchange=t.n("x"), nowait=True)
    ch.send("exchange.bind", destination=t.n("x"), source="amq.fanout", nowait=True)
    ch.publish(t.n("x"), "k")
    ch.quiet()
    ch.send("exchange.unbind", destination=t.n("x"), source="amq.fanout", nowait=True)
    ch.send("exchange.delete", exchange=t.n("x"), nowait=True)
    ch.quiet()
    ch.get(t.n("q"))
    ch.exchange(t.n("x"), passive=True)


@situation
def nowait_error(t):
    ch = t.channel()
    ch.send("exchange.declare", exchange="amq.new" + t.token, type="direct", nowait=True)
    ch.event()


@situation
def publish_to_internal(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "fanout", internal=True, auto_delete=True)
    ch.publish(t.n("x"))
    ch.event()


@situation
def internal_through_a_binding(t):
    ch = t.channel()
    ch.exchange(t.n("in"), "fanout")
    ch.exchange(t.n("x"), "fanout", internal=True)
    ch.queue(t.n("q"), exclusive=True)
    ch.call("exchange.bind", destination=t.n("x"), source=t.n("in"))
    ch.bind(t.n("q"), t.n("x"))
    ch.publish(t.n("in"), "k", mandatory=True)
    ch.quiet()
    ch.get(t.n("q"))


@situation
def publish_to_missing(t):
    ch = t.channel()
    ch.publish(t.n("missing"), "k")
    ch.event()


@situation
def bind_to_exchange_with_cycle(t):
    """a -> b -> a: each queue gets the message once."""
    ch = t.channel()
    for x in ("a", "b"):
        ch.exchange(t.n(x), "fanout")
        ch.queue(t.n("q" + x), exclusive=True)
        ch.bind(t.n("q" + x), t.n(x))
    ch.call("exchange.bind", destination=t.n("a"), source=t.n("b"))
    ch.call("exchange.bind", destination=t.n("b"), source=t.n("a"))
    ch.call("exchange.bind", destination=t.n("a"), source=t.n("a"))
    ch.publish(t.n("a"), "k")
    ch.quiet()
    for x in ("a", "b"):
        ch.get(t.n("q" + x))
        ch.get(t.n("q" + x))


@situation
def bind_to_exchange_twice_is_one_copy(t):
    ch = t.channel()
    ch.exchange(t.n("a"), "topic")
    ch.exchange(t.n("b"), "fanout")
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("b"))
    ch.bind(t.n("q"), t.n("a"), "#")
    ch.call("exchange.bind", destination=t.n("b"), source=t.n("a"), routing_key="k.*")
    ch.call("exchange.bind", destination=t.n("b"), source=t.n("a"), routing_key="*.k")
    ch.publish(t.n("a"), "k.k")
    ch.quiet()
    ch.get(t.n("q"))
    ch.get(t.n("q"))


@situation
def bind_errors(t):
    ch = t.channel()
    ch.reply("exchange.bind", destination=t.n("no"), source="amq.fanout")
    ch.reply("exchange.bind", destination="amq.fanout", source=t.n("no"))
    ch.reply("exchange.bind", destination=t.n("no-d"), source=t.n("no-s"))
    ch.reply("exchange.bind", destination="", source="")


@situation
def unbind_missing(t):
    ch = t.channel()
    ch.reply("exchange.unbind", destination="amq.fanout", source="amq.direct", routing_key="no")
    ch.reply("exchange.unbind", destination=t.n("no"), source="amq.direct", routing_key="no")
    ch.reply("exchange.unbind", destination="amq.direct", source=t.n("no"), routing_key="no")


@situation
def alternate_exchange(t):
    ch = t.channel()
    ch.exchange(t.n("ae"), "fanout")
    ch.exchange(t.n("x"), "direct", arguments={"alternate-exchange": t.n("ae")})
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("ae"))
    ch.publish(t.n("x"), "unrouted", mandatory=True)
    ch.quiet()
    ch.get(t.n("q"))


@situation
def alternate_exchange_missing(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "direct", arguments={"alternate-exchange": t.n("missing")})
    ch.publish(t.n("x"), "unrouted", mandatory=True)
    ch.event()


@situation
def alternate_exchange_cycle(t):
    ch = t.channel()
    ch.exchange(t.n("a"), "direct", arguments={"alternate-exchange": t.n("b")})
    ch.exchange(t.n("b"), "direct", arguments={"alternate-exchange": t.n("a")})
    ch.publish(t.n("a"), "unrouted", mandatory=True)
    ch.event()


@situation
def alternate_exchange_chain(t):
    ch = t.channel()
    ch.exchange(t.n("c"), "fanout")
    ch.exchange(t.n("b"), "direct", arguments={"alternate-exchange": t.n("c")})
    ch.exchange(t.n("a"), "direct", arguments={"alternate-exchange": t.n("b")})
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("c"))
    ch.publish(t.n("a"), "k", mandatory=True)
    ch.quiet()
    ch.get(t.n("q"))


@situation
def auto_delete_after_the_last_unbind(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "fanout", auto_delete=True)
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("x"), "1")
    ch.bind(t.n("q"), t.n("x"), "2")
    ch.call("queue.unbind", queue=t.n("q"), exchange=t.n("x"), routing_key="1")
    ch.exchange(t.n("x"), passive=True)
    ch.call("queue.unbind", queue=t.n("q"), exchange=t.n("x"), routing_key="2")
    ch.exchange(t.n("x"), passive=True)


@situation
def auto_delete_with_the_last_queue(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "fanout", auto_delete=True)
    ch.queue(t.n("q"))
    ch.bind(t.n("q"), t.n("x"))
    ch.call("queue.delete", queue=t.n("q"))
    ch.exchange(t.n("x"), passive=True)


@situation
def auto_delete_never_bound_stays(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "fanout", auto_delete=True)
    ch.exchange(t.n("x"), passive=True)
    ch.call("exchange.delete", exchange=t.n("x"))


@situation
def auto_delete_cascade(t):
    """a -> b -> queue: the queue's end takes b, and b's end takes a."""
    ch = t.channel()
    ch.exchange(t.n("a"), "fanout", auto_delete=True)
    ch.exchange(t.n("b"), "fanout", auto_delete=True)
    ch.queue(t.n("q"))
    ch.bind(t.n("q"), t.n("b"))
    ch.call("exchange.bind", destination=t.n("b"), source=t.n("a"))
    ch.call("queue.delete", queue=t.n("q"))
    ch.reply("exchange.declare", exchange=t.n("b"), passive=True)
    ch.reply("exchange.declare", exchange=t.n("a"), passive=True)


@situation
def delete_takes_its_bindings(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "fanout")
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("x"))
    ch.call("exchange.delete", exchange=t.n("x"))
    ch.exchange(t.n("x"), "fanout")
    ch.publish(t.n("x"), "k", mandatory=True)
    ch.event()


@situation
def name_of_127_and_255_bytes(t):
    ch = t.channel()
    for size in (127, 255):
        name = (t.n("x") + "é" * 300).encode()[:size - 1]
        name = name.decode(errors="ignore")
        name += "y" * (size - len(name.encode()))
        ch.reply("exchange.declare", exchange=name, type="fanout", auto_delete=True)
        ch.reply("exchange.delete", exchange=name)


@situation
def name_with_odd_characters(t):
    ch = t.channel()
    for name in ("with space", "new\nline", "ümlaut/☃", "a;b:c&d%e", "tab\there"):
        ch.reply("exchange.declare", exchange=t.n(name), type="fanout")
        ch.reply("exchange.delete", exchange=t.n(name))


@situation
def name_not_utf8(t):
    ch = t.channel()
    ch.exchange(b"\xff\xfename", "fanout")


@situation
def name_in_an_error_text_with_odd_characters(t):
    ch = t.channel()
    for name in ("it's \"quoted\" ünd", "x" * 255, "\u2603" * 80, "y" + "\u2603" * 80):
        ch.reply("exchange.declare", exchange=name, passive=True)


@situation
def direct_routing(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "direct")
    ch.queue(t.n("q"), exclusive=True)
    for key in ("a", "a.b", "", "#"):
        ch.bind(t.n("q"), t.n("x"), key or "empty")
    _routes(t, ch, t.n("x"), t.n("q"), ["a", "b", "a.b", "", "#", "empty", "A"])


@situation
def fanout_routing(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "fanout")
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("x"), "ignored")
    ch.bind(t.n("q"), t.n("x"), "ignored too")
    _routes(t, ch, t.n("x"), t.n("q"), ["a", "", "b.c"])


TOPIC_KEYS = ["", ".", "..", "a", "b", "a.b", "a.b.c", "a..c", ".a", "a.", "x.a.y", "a.b.c.d",
              "#", "*", "a.*", "A.B", "a.x.y.z.c"]


def _topic(t, binding):
    ch = t.channel()
    ch.exchange(t.n("x"), "topic")
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("x"), binding)
    got = []
    for key in TOPIC_KEYS:
        ch.sock.send(_publish_frames(t, key))
    ch.quiet()
    while True:
        ch.sock.send(amqp.method_frame(1, "basic.get", queue=t.n("q"), no_ack=True))
        event = ch.sock.receive(1, 5)
        if event is None or event.name != "basic.get-ok":
            break
        got.append(event.values["routing_key"])
    t.note(f"{binding!r} takes " + ", ".join(repr(k) for k in got))


def _publish_frames(t, key):
    return (amqp.method_frame(1, "basic.publish", exchange=t.n("x"), routing_key=key)
            + amqp.content_frames(1, b""))


def _topic_situation(name, binding):
    def function(t):
        _topic(t, binding)
    function.__name__, function.__module__ = "topic_" + name, __name__
    situation(function)


for _name, _binding in (("hash", "#"), ("star", "*"), ("a_star", "a.*"), ("star_b", "*.b"),
                        ("a_hash", "a.#"), ("hash_c", "#.c"), ("hash_a_hash", "#.a.#"),
                        ("a_hash_c", "a.#.c"), ("star_star", "*.*"), ("hash_hash", "#.#"),
                        ("star_hash", "*.#"), ("hash_star", "#.*"), ("dot", "."),
                        ("a_dot", "a."), ("a_empty_c", "a..c"), ("a_star_c", "a.*.c"),
                        ("literal", "a.b"), ("hash_in_a_word", "a#"), ("star_in_a_word", "a*.b")):
    _topic_situation(_name, _binding)


@situation
def topic_empty_key_binding(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "topic")
    ch.queue(t.n("other"), exclusive=True)
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("x"), "")
    _routes(t, ch, t.n("x"), t.n("q"), ["", "a", t.n("q")])


@situation
def topic_with_overlapping_bindings_is_one_copy(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "topic")
    ch.queue(t.n("q"), exclusive=True)
    for key in ("#", "a.#", "a.b", "*.b"):
        ch.bind(t.n("q"), t.n("x"), key)
    _routes(t, ch, t.n("x"), t.n("q"), ["a.b"])
    for key in ("#", "a.#", "a.b"):
        ch.call("queue.unbind", queue=t.n("q"), exchange=t.n("x"), routing_key=key)
    _routes(t, ch, t.n("x"), t.n("q"), ["a.b", "a.c"])


def _headers(t, arguments, *headers):
    """Which of these header tables does a binding with these arguments take?"""
    ch = t.channel()
    ch.exchange(t.n("x"), "headers")
    ch.queue(t.n("q"), exclusive=True)
    event = ch.bind(t.n("q"), t.n("x"), "", arguments)
    if event.name != "queue.bind-ok":
        return
    for i, table in enumerate(headers):
        ch.publish(t.n("x"), "k", body=b"%d" % i, headers=table)
    ch.publish(t.n("x"), "k", body=b"no headers")
    ch.quiet()
    while ch.get(t.n("q")).name == "basic.get-ok":
        pass


@situation
def headers_all(t):
    _headers(t, {"x-match": "all", "a": "1", "b": 2}, {"a": "1", "b": 2}, {"a": "1"},
             {"a": "1", "b": 2, "c": 3}, {"a": "1", "b": 3}, {"a": 1, "b": 2}, {})


@situation
def headers_any(t):
    _headers(t, {"x-match": "any", "a": "1", "b": 2}, {"a": "1"}, {"b": 2}, {"a": "2", "b": 3},
             {"c": 1}, {})


@situation
def headers_default_is_all(t):
    _headers(t, {"a": "1", "b": 2}, {"a": "1", "b": 2}, {"a": "1"})


@situation
def headers_any_with_x(t):
    _headers(t, {"x-match": "any-with-x", "x-a": 1}, {"x-a": 1}, {"x-a": 2})


@situation
def headers_all_with_x(t):
    _headers(t, {"x-match": "all-with-x", "x-a": 1, "b": 1}, {"x-a": 1, "b": 1}, {"b": 1})


@situation
def headers_x_keys_are_not_matched(t):
    _headers(t, {"x-match": "all", "x-a": 1, "b": 1}, {"b": 1}, {"x-a": 1, "b": 1}, {"x-a": 1})


@situation
def headers_without_value_match_presence(t):
    _headers(t, {"x-match": "all", "a": None}, {"a": 1}, {"a": "x"}, {"a": None}, {"b": 1})


@situation
def headers_of_different_number_types(t):
    _headers(t, {"a": 1}, {"a": Typed("l", 1)}, {"a": Typed("b", 1)}, {"a": Typed("s", 1)},
             {"a": 1.0}, {"a": "1"}, {"a": True})


@situation
def headers_of_structured_types(t):
    _headers(t, {"t": {"k": 1}, "l": [1, 2]}, {"t": {"k": 1}, "l": [1, 2]},
             {"t": {"k": 2}, "l": [1, 2]}, {"t": {"k": 1}, "l": [2, 1]})


@situation
def headers_empty_arguments(t):
    _headers(t, {}, {"a": 1}, {})


@situation
def headers_empty_arguments_any(t):
    _headers(t, {"x-match": "any"}, {"a": 1}, {})


@situation
def headers_match_unknown(t):
    _headers(t, {"x-match": "some", "a": 1}, {"a": 1})


@situation
def headers_match_of_the_wrong_type(t):
    _headers(t, {"x-match": 1, "a": 1}, {"a": 1})


@situation
def bindings_differ_by_arguments(t):
    """Two bindings of one queue with the same key: unbinding needs the right arguments."""
    ch = t.channel()
    ch.exchange(t.n("x"), "headers")
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("x"), "", {"a": 1})
    ch.bind(t.n("q"), t.n("x"), "", {"a": 2})
    ch.call("queue.unbind", queue=t.n("q"), exchange=t.n("x"), arguments={"a": 3})
    ch.publish(t.n("x"), "", body=b"1", headers={"a": 1})
    ch.call("queue.unbind", queue=t.n("q"), exchange=t.n("x"), arguments={"a": 1})
    ch.publish(t.n("x"), "", body=b"2", headers={"a": 1})
    ch.publish(t.n("x"), "", body=b"3", headers={"a": 2})
    ch.quiet()
    while ch.get(t.n("q")).name == "basic.get-ok":
        pass


@situation
def consistent_hash_bad_weight(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "x-consistent-hash", auto_delete=True)
    ch.queue(t.n("q"), exclusive=True)
    ch.reply("queue.bind", queue=t.n("q"), exchange=t.n("x"), routing_key="many")
    ch.reply("queue.bind", queue=t.n("q"), exchange=t.n("x"), routing_key="0")
    ch.reply("queue.bind", queue=t.n("q"), exchange=t.n("x"), routing_key="-1")
    ch.reply("queue.bind", queue=t.n("q"), exchange=t.n("x"), routing_key="1")


@situation
def consistent_hash_bad_arguments(t):
    ch = t.channel()
    ch.reply("exchange.declare", exchange=t.n("x"), type="x-consistent-hash",
             arguments={"hash-header": "h", "hash-property": "message_id"})
    ch.reply("exchange.declare", exchange=t.n("x"), type="x-consistent-hash",
             arguments={"hash-property": "no_such_property"})
    ch.reply("exchange.declare", exchange=t.n("x"), type="x-consistent-hash",
             arguments={"hash-header": 1})


@situation
def consistent_hash_is_stable(t):
    """The same key goes to the same queue, whatever the number of messages."""
    ch = t.channel()
    ch.exchange(t.n("x"), "x-consistent-hash", auto_delete=True)
    for q in ("a", "b", "c"):
        ch.queue(t.n(q), exclusive=True)
        ch.bind(t.n(q), t.n("x"), "1")
    for _ in range(5):
        ch.publish(t.n("x"), "one key", mandatory=True)
    ch.quiet()
    t.note(f"counts, sorted: {sorted(_drained(ch, t.n(q)) for q in 'abc')}")


def _drained(ch, queue):
    """How many messages a queue gives, unrecorded."""
    for count in range(1000):
        ch.sock.send(amqp.method_frame(1, "basic.get", queue=queue, no_ack=True))
        if ch.sock.receive(1, 5).name != "basic.get-ok":
            return count


@situation
def random_takes_one_queue(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "x-random", auto_delete=True)
    for q in ("a", "b"):
        ch.queue(t.n(q), exclusive=True)
        ch.bind(t.n(q), t.n("x"), q)
    for _ in range(6):
        ch.publish(t.n("x"), "k", mandatory=True)
    ch.quiet()
    t.note(f"{sum(_drained(ch, t.n(q)) for q in 'ab')} messages in all")


@situation
def recent_history_gives_the_last(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "x-recent-history", arguments={"x-recent-history-length": 2})
    for i in range(3):
        ch.publish(t.n("x"), "k", body=b"%d" % i)
    ch.publish(t.n("x"), "k", body=b"not kept", headers={"x-recent-history-no-store": True})
    ch.quiet()
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("x"))
    ch.settle(t.n("q"), 2)
    while ch.get(t.n("q")).name == "basic.get-ok":
        pass


@situation
def recent_history_bad_length(t):
    ch = t.channel()
    for value in (0, -1, "ten"):
        ch.reply("exchange.declare", exchange=t.n("x"), type="x-recent-history",
                 arguments={"x-recent-history-length": value})
