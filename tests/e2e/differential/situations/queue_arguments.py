"""The x-arguments of queues: what is valid, the texts where it is not, and what each does."""

from engine import Typed, situation


def _declare_each(t, argument, values, **options):
    ch = t.channel()
    more = options.pop("more", {})
    for i, value in enumerate(values):
        ch.reply("queue.declare", queue=t.n(str(i)), arguments={argument: value} | more,
                 **({"exclusive": True} | options))


NUMBERS = (0, 1, -1, "1", 1.5, True, None, 2**31 - 1, 2**32, 2**62, Typed("b", 5), Typed("s", 500),
           Typed("B", 200), Typed("T", 5), [1], {})


@situation
def message_ttl_values(t):
    _declare_each(t, "x-message-ttl", NUMBERS + (315360000000, 315360000001))


@situation
def expires_values(t):
    _declare_each(t, "x-expires", (0, -1, "1", 1.5, 60000, 2**32, 315360000001))


@situation
def max_length_values(t):
    _declare_each(t, "x-max-length", NUMBERS)


@situation
def max_length_bytes_values(t):
    _declare_each(t, "x-max-length-bytes", (0, 1, -1, "1", 1.5, 2**62))


@situation
def overflow_values(t):
    _declare_each(t, "x-overflow", ("drop-head", "reject-publish", "reject-publish-dlx",
                                    "drop-tail", "", 1, None))


@situation
def dead_letter_exchange_values(t):
    _declare_each(t, "x-dead-letter-exchange", ("", "amq.direct", "no-such-exchange", 1, None,
                                                True, "bad\nname"))


@situation
def dead_letter_routing_key_values(t):
    _declare_each(t, "x-dead-letter-routing-key", ("k", "", 1))
    _declare_each_again(t, "x-dead-letter-routing-key", ("k", "", 1),
                        {"x-dead-letter-exchange": "amq.direct"})


def _declare_each_again(t, argument, values, more):
    ch = t.channel()
    for i, value in enumerate(values):
        ch.reply("queue.declare", queue=t.n(f"more{i}"), exclusive=True,
                 arguments={argument: value} | more)


@situation
def max_priority_values(t):
    _declare_each(t, "x-max-priority", (0, 1, 10, 255, 256, -1, "10", 1.5, None))


@situation
def single_active_consumer_values(t):
    _declare_each(t, "x-single-active-consumer", (True, False, "true", 1, None))


@situation
def queue_type_values(t):
    _declare_each(t, "x-queue-type", ("classic", "lazy", "", 1, None, "Classic"))


@situation
def queue_type_quorum(t):
    ch = t.channel()
    ch.queue(t.n("q"), durable=True, arguments={"x-queue-type": "quorum"})
    ch.queue(t.n("q"), durable=True, arguments={"x-queue-type": "quorum"})
    ch.reply("queue.declare", queue=t.n("q"), durable=True)
    ch.reply("queue.declare", queue=t.n("q"), durable=True, arguments={"x-queue-type": "classic"})
    ch.reply("queue.delete", queue=t.n("q"))


@situation
def queue_type_quorum_bad_flags(t):
    ch = t.channel()
    quorum = {"x-queue-type": "quorum"}
    ch.reply("queue.declare", queue=t.n("a"), arguments=quorum)
    ch.reply("queue.declare", queue=t.n("b"), durable=True, exclusive=True, arguments=quorum)
    ch.reply("queue.declare", queue=t.n("c"), durable=True, auto_delete=True, arguments=quorum)
    ch.reply("queue.declare", queue="", durable=True, arguments=quorum)


def _quorum_with(t, argument, value):
    ch = t.channel()
    event = ch.queue(t.n("q"), durable=True, arguments={"x-queue-type": "quorum", argument: value})
    if event.name == "queue.declare-ok":
        ch.call("queue.delete", queue=t.n("q"))


@situation
def queue_type_quorum_with_priority(t):
    _quorum_with(t, "x-max-priority", 5)


@situation
def queue_type_quorum_with_ttl(t):
    _quorum_with(t, "x-message-ttl", 5000)


@situation
def queue_type_quorum_with_mode(t):
    _quorum_with(t, "x-queue-mode", "lazy")


@situation
def queue_type_quorum_with_dlx_overflow(t):
    _quorum_with(t, "x-overflow", "reject-publish-dlx")


@situation
def queue_type_quorum_with_limits(t):
    ch = t.channel()
    for i, (argument, value) in enumerate((
            ("x-delivery-limit", 3), ("x-delivery-limit", -1), ("x-delivery-limit", "3"),
            ("x-quorum-initial-group-size", 3), ("x-quorum-initial-group-size", 0),
            ("x-max-in-memory-length", 10), ("x-max-in-memory-length", -1),
            ("x-max-in-memory-bytes", 10), ("x-max-in-memory-bytes", "10"),
            ("x-dead-letter-strategy", "at-least-once"), ("x-dead-letter-strategy", "sometimes"),
            ("x-queue-leader-locator", "client-local"), ("x-queue-leader-locator", "nearest"),
            ("x-unknown", 1), ("x-single-active-consumer", True), ("x-expires", 60000),
            ("x-max-age", "1h"), ("x-consumer-timeout", 5))):
        event = ch.reply("queue.declare", queue=t.n(str(i)), durable=True,
                         arguments={"x-queue-type": "quorum", argument: value})
        if event is not None and event.name == "queue.declare-ok":
            ch.call("queue.delete", queue=t.n(str(i)))


STREAM = {"x-queue-type": "stream"}


def _stream(t):
    ch = t.channel()
    ch.queue(t.n("q"), durable=True, arguments=STREAM)
    return ch


@situation
def queue_type_stream(t):
    ch = _stream(t)
    ch.reply("basic.consume", queue=t.n("q"), consumer_tag="c")
    ch.reply("basic.qos", prefetch_count=10)
    ch.reply("basic.consume", queue=t.n("q"), consumer_tag="c")
    ch.reply("queue.declare", queue=t.n("q"), passive=True)
    ch.reply("basic.cancel", consumer_tag="c")
    ch.reply("queue.declare", queue=t.n("q"), durable=True)
    ch.reply("queue.delete", queue=t.n("q"))


@situation
def queue_type_stream_consumed_without_acks(t):
    ch = _stream(t)
    ch.reply("basic.qos", prefetch_count=10)
    ch.reply("basic.consume", queue=t.n("q"), consumer_tag="c", no_ack=True)


@situation
def queue_type_stream_consumed_exclusively(t):
    ch = _stream(t)
    ch.reply("basic.qos", prefetch_count=10)
    ch.reply("basic.consume", queue=t.n("q"), consumer_tag="c", exclusive=True)


@situation
def queue_type_stream_get(t):
    ch = _stream(t)
    ch.reply("basic.get", queue=t.n("q"))


@situation
def queue_type_stream_purge(t):
    ch = _stream(t)
    ch.reply("queue.purge", queue=t.n("q"))


@situation
def queue_type_stream_delete_if_empty(t):
    ch = _stream(t)
    ch.reply("queue.delete", queue=t.n("q"), if_empty=True)


@situation
def queue_type_stream_delete_if_unused(t):
    ch = _stream(t)
    ch.reply("queue.delete", queue=t.n("q"), if_unused=True)


@situation
def queue_type_stream_bad_flags(t):
    ch = t.channel()
    stream = STREAM
    ch.reply("queue.declare", queue=t.n("a"), arguments=stream)
    ch.reply("queue.declare", queue=t.n("b"), durable=True, exclusive=True, arguments=stream)
    ch.reply("queue.declare", queue=t.n("c"), durable=True, auto_delete=True, arguments=stream)
    ch.reply("queue.declare", queue=t.n("d"), durable=True,
             arguments=stream | {"x-message-ttl": 5})
    ch.reply("queue.declare", queue=t.n("e"), durable=True, arguments=stream | {"x-expires": 5})
    ch.reply("queue.declare", queue=t.n("f"), durable=True,
             arguments=stream | {"x-max-length": 5})
    ch.reply("queue.declare", queue=t.n("g"), durable=True,
             arguments=stream | {"x-overflow": "drop-head"})


def _stream_with(name, argument, value):
    def function(t):
        ch = t.channel()
        event = ch.queue(t.n("q"), durable=True, arguments=STREAM | {argument: value})
        if event is not None and event.name == "queue.declare-ok":
            ch.call("queue.delete", queue=t.n("q"))

    function.__name__, function.__module__ = "queue_type_stream_with_" + name, __name__
    situation(function)


_stream_with("max_age", "x-max-age", "1h")
_stream_with("max_age_bogus", "x-max-age", "soon")
_stream_with("max_age_number", "x-max-age", 5)
_stream_with("segment_size", "x-stream-max-segment-size-bytes", 1000000)
_stream_with("segment_size_negative", "x-stream-max-segment-size-bytes", -1)
_stream_with("max_length_bytes", "x-max-length-bytes", 1000000)


def _stream_offset(name, offset, count):
    """A stream of three messages, read from an offset: `count` of them come."""
    def function(t):
        ch = _stream(t)
        ch.confirm()
        for i in range(3):
            ch.publish(key=t.n("q"), body=b"%d" % i)
            ch.event()
        ch.call("basic.qos", prefetch_count=10)
        event = ch.consume(t.n("q"), "c", {} if offset is None else {"x-stream-offset": offset})
        if event is not None and event.name == "basic.consume-ok":
            ch.expect(count)
            ch.quiet()
            ch.call("basic.cancel", consumer_tag="c")
            ch.call("queue.delete", queue=t.n("q"))

    function.__name__, function.__module__ = "queue_type_stream_from_" + name, __name__
    situation(function)


_stream_offset("first", "first", 3)
_stream_offset("last", "last", 1)
_stream_offset("next", "next", 0)
_stream_offset("default", None, 0)
_stream_offset("1", 1, 2)
_stream_offset("a_timestamp", Typed("T", 1), 3)
_stream_offset("an_hour_ago", "1h", 3)
_stream_offset("bogus", "bogus", 0)
_stream_offset("negative", -1, 3)
_stream_offset("a_boolean", True, 0)


def _acked(t, ch, count):
    """Waits for `count` confirms, in whatever grouping they come."""
    done = 0
    while done < count:
        event = ch.sock.receive(1, 5)
        if event is None or event.name != "basic.ack":
            t.note(f"confirms: {event and event.name}")
            return
        done = event.values["delivery_tag"]
    t.note(f"{count} confirmed")


@situation
def delivery_limit_on_classic(t):
    _declare_each(t, "x-delivery-limit", (3,))


@situation
def queue_mode_values(t):
    _declare_each(t, "x-queue-mode", ("default", "lazy", "eager", 1))


@situation
def queue_version_values(t):
    _declare_each(t, "x-queue-version", (1, 2, 3, "1"))


@situation
def max_in_memory_on_classic(t):
    _declare_each(t, "x-max-in-memory-length", (3,))
    _declare_each_again(t, "x-max-in-memory-bytes", (3,), {})


@situation
def consumer_timeout_values(t):
    _declare_each(t, "x-consumer-timeout", (60000, 0, -1, "1"))


@situation
def master_locator_values(t):
    _declare_each(t, "x-queue-master-locator", ("min-masters", "client-local", "random", "far", 1))


@situation
def max_age_on_classic(t):
    _declare_each(t, "x-max-age", ("1h",))


@situation
def unknown_argument(t):
    _declare_each(t, "x-no-such-argument", (1, "a"))
    _declare_each_again(t, "no-prefix", (1,), {})


@situation
def quorum_arguments_on_classic(t):
    ch = t.channel()
    for i, argument in enumerate(("x-quorum-initial-group-size", "x-dead-letter-strategy",
                                  "x-queue-leader-locator", "x-stream-max-segment-size-bytes",
                                  "x-initial-cluster-size")):
        value = 1 if "size" in argument else "at-most-once" if "strategy" in argument else "balanced"
        ch.reply("queue.declare", queue=t.n(str(i)), exclusive=True, arguments={argument: value})


REDECLARE = (("x-message-ttl", 1000, 2000), ("x-expires", 60000, 60001), ("x-max-length", 1, 2),
             ("x-max-length-bytes", 1, 2), ("x-max-priority", 1, 2),
             ("x-overflow", "drop-head", "reject-publish"),
             ("x-dead-letter-exchange", "a", "b"), ("x-queue-mode", "lazy", "default"),
             ("x-single-active-consumer", True, False), ("x-queue-type", "classic", "quorum"),
             ("x-queue-version", 1, 2))


@situation
def redeclare_inequivalent_arguments(t):
    ch = t.channel()
    for argument, one, two in REDECLARE:
        q = t.n(argument[2:])
        ch.reply("queue.declare", queue=q, durable=True, auto_delete=True,
                 arguments={argument: one})
        ch.reply("queue.declare", queue=q, durable=True, auto_delete=True,
                 arguments={argument: two})
        ch.reply("queue.declare", queue=q, durable=True, auto_delete=True)
        ch.reply("queue.delete", queue=q)


@situation
def redeclare_with_an_argument_more(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    for argument, one, _ in REDECLARE:
        ch.reply("queue.declare", queue=t.n("q"), exclusive=True, arguments={argument: one})
    ch.reply("queue.declare", queue=t.n("q"), exclusive=True, arguments={"x-no-such-argument": 1})


@situation
def redeclare_dead_letter_routing_key(t):
    ch = t.channel()
    one = {"x-dead-letter-exchange": "a", "x-dead-letter-routing-key": "k"}
    ch.queue(t.n("q"), exclusive=True, arguments=one)
    ch.reply("queue.declare", queue=t.n("q"), exclusive=True,
             arguments=one | {"x-dead-letter-routing-key": "other"})
    ch.reply("queue.declare", queue=t.n("q"), exclusive=True,
             arguments={"x-dead-letter-exchange": "a"})


@situation
def redeclare_with_another_number_type(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-max-length": 5})
    for value in (Typed("l", 5), Typed("b", 5), Typed("s", 5)):
        ch.reply("queue.declare", queue=t.n("q"), exclusive=True,
                 arguments={"x-max-length": value})


@situation
def message_ttl_expires_ready_messages(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-message-ttl": 60})
    ch.confirm()
    for _ in range(2):
        ch.publish(key=t.n("q"))
        ch.event()
    ch.settle(t.n("q"), 0)
    ch.get(t.n("q"))


@situation
def message_ttl_0_without_consumer(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-message-ttl": 0})
    ch.publish(key=t.n("q"), mandatory=True)
    ch.quiet()
    ch.get(t.n("q"))


@situation
def message_ttl_0_with_consumer(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-message-ttl": 0})
    ch.consume(t.n("q"), t.n("tag"), no_ack=True)
    ch.publish(key=t.n("q"), mandatory=True)
    ch.event()


@situation
def expires_deletes_an_unused_queue(t):
    import time
    ch = t.channel()
    ch.queue(t.n("q"), arguments={"x-expires": 100})
    time.sleep(0.6)
    ch.queue(t.n("q"), passive=True)


@situation
def expires_waits_for_consumers(t):
    import time
    ch = t.channel()
    ch.queue(t.n("q"), arguments={"x-expires": 100})
    ch.consume(t.n("q"), t.n("tag"))
    time.sleep(0.4)
    ch.queue(t.n("q"), passive=True)
    ch.send("queue.delete", queue=t.n("q"))
    ch.expect_in_any_order(2)


def _fill(t, arguments, bodies, confirm=False):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments=arguments)
    if confirm:
        ch.confirm()
    for body in bodies:
        ch.publish(key=t.n("q"), body=body)
        if confirm:
            ch.event()
    ch.quiet()
    while ch.get(t.n("q")).name == "basic.get-ok":
        pass


@situation
def max_length_drops_the_head(t):
    _fill(t, {"x-max-length": 2}, (b"1", b"2", b"3", b"4"))


@situation
def max_length_0(t):
    _fill(t, {"x-max-length": 0}, (b"1", b"2"))


@situation
def max_length_0_with_consumer(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-max-length": 0})
    ch.consume(t.n("q"), t.n("tag"), no_ack=True)
    ch.publish(key=t.n("q"))
    ch.event()


@situation
def max_length_bytes_drops_the_head(t):
    _fill(t, {"x-max-length-bytes": 10}, (b"12345", b"67890", b"abc"))


@situation
def max_length_bytes_of_a_message_too_large(t):
    _fill(t, {"x-max-length-bytes": 10}, (b"12345", b"x" * 20, b"ab"))


@situation
def max_length_does_not_count_unacked(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-max-length": 1})
    ch.publish(key=t.n("q"), body=b"1")
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"), no_ack=False)
    ch.publish(key=t.n("q"), body=b"2")
    ch.settle(t.n("q"), 1)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    ch.quiet()
    while ch.get(t.n("q")).name == "basic.get-ok":
        pass


@situation
def overflow_reject_publish(t):
    _fill(t, {"x-max-length": 1, "x-overflow": "reject-publish"}, (b"1", b"2", b"3"), confirm=True)


@situation
def overflow_reject_publish_without_confirms(t):
    _fill(t, {"x-max-length": 1, "x-overflow": "reject-publish"}, (b"1", b"2"))


@situation
def overflow_drop_head_with_confirms(t):
    _fill(t, {"x-max-length": 1, "x-overflow": "drop-head"}, (b"1", b"2"), confirm=True)


@situation
def overflow_reject_publish_bytes(t):
    _fill(t, {"x-max-length-bytes": 10, "x-overflow": "reject-publish"},
          (b"x" * 9, b"yyy", b"z"), confirm=True)


@situation
def priority_order(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-max-priority": 5})
    for priority in (1, 5, 3, 9, 0, 5):
        ch.publish(key=t.n("q"), body=b"%d" % priority, priority=priority)
    ch.publish(key=t.n("q"), body=b"none")
    ch.settle(t.n("q"), 7)
    while ch.get(t.n("q")).name == "basic.get-ok":
        pass


@situation
def priority_of_requeued(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-max-priority": 5})
    ch.publish(key=t.n("q"), body=b"low", priority=1)
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"), no_ack=False)
    ch.publish(key=t.n("q"), body=b"low 2", priority=1)
    ch.publish(key=t.n("q"), body=b"high", priority=2)
    ch.send("basic.reject", delivery_tag=1, requeue=True)
    ch.settle(t.n("q"), 3)
    while ch.get(t.n("q")).name == "basic.get-ok":
        pass


@situation
def single_active_consumer(t):
    """Only the first is served; when it goes, the next."""
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"), exclusive=True, arguments={"x-single-active-consumer": True})
    one.consume(t.n("q"), t.n("one"), no_ack=True)
    two.consume(t.n("q"), t.n("two"), no_ack=True)
    one.publish(key=t.n("q"), body=b"1")
    one.publish(key=t.n("q"), body=b"2")
    one.expect(2)
    two.quiet()
    one.call("basic.cancel", consumer_tag=t.n("one"))
    one.publish(key=t.n("q"), body=b"3")
    two.event()


@situation
def single_active_consumer_with_exclusive_consumer(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-single-active-consumer": True})
    ch.consume(t.n("q"), t.n("one"), exclusive=True)


@situation
def delivery_limit_on_quorum(t):
    ch = t.channel()
    ch.queue(t.n("q"), durable=True, arguments={"x-queue-type": "quorum", "x-delivery-limit": 1})
    ch.confirm()
    ch.publish(key=t.n("q"), body=b"m", headers={"mine": 1})
    _acked(t, ch, 1)
    ch.consume(t.n("q"), t.n("tag"))
    for tag in (1, 2):
        ch.event()
        ch.send("basic.reject", delivery_tag=tag, requeue=True)
    ch.settle(t.n("q"), 0)
    ch.quiet()
    ch.send("queue.delete", queue=t.n("q"))
    ch.expect_in_any_order(2)


@situation
def server_named_with_arguments(t):
    ch = t.channel()
    ch.queue("", exclusive=True, arguments={"x-message-ttl": 1000, "x-max-length": 1})


@situation
def redeclare_order_of_checks(t):
    """Everything differs: what is named first, and what next once that is mended?"""
    import re
    ch = t.channel()
    full = {"x-queue-type": "classic", "x-queue-version": 1, "x-single-active-consumer": True,
            "x-max-priority": 2, "x-overflow": "drop-head", "x-max-length-bytes": 100,
            "x-max-length": 10, "x-dead-letter-routing-key": "k", "x-dead-letter-exchange": "",
            "x-queue-mode": "lazy", "x-message-ttl": 1000, "x-expires": 60000}
    ch.queue(t.n("q"), exclusive=True, arguments=full)
    mended = {}
    for _ in full:
        event = ch.reply("queue.declare", queue=t.n("q"), exclusive=True, arguments=mended)
        named = event and event.name == "channel.close" and re.search(
            "inequivalent arg '([^']*)'", event.values["reply_text"])
        if not named or named[1] not in full:
            return
        mended = mended | {named[1]: full[named[1]]}


@situation
def redeclare_names_of_types(t):
    """An argument that was not there before, in each type a table can hold."""
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    for letter, value in (("b", 1), ("B", 1), ("s", 1), ("u", 1), ("I", 1), ("i", 1), ("l", 1)):
        ch.reply("queue.declare", queue=t.n("q"), exclusive=True,
                 arguments={"x-max-length": Typed(letter, value)})


@situation
def type_names_in_refusals(t):
    """What is not a string, in each type a table can hold."""
    ch = t.channel()
    for value in (Typed("b", 1), Typed("B", 1), Typed("s", 1), Typed("u", 1), 1, Typed("i", 1),
                  Typed("l", 1), Typed("f", 0.5), 0.5, Typed("D", (1, 5)), b"x", True, None,
                  Typed("T", 5), [1], {"k": 1}):
        ch.reply("queue.declare", queue=t.n("q"), exclusive=True,
                 arguments={"x-dead-letter-exchange": value})
