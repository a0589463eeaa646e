"""Queues: declaring, owning, deleting, binding."""

from engine import situation


@situation
def declare_flags(t):
    ch = t.channel()
    ch.queue(t.n("plain"))
    ch.queue(t.n("durable"), durable=True)
    ch.queue(t.n("exclusive"), exclusive=True)
    ch.queue(t.n("auto"), auto_delete=True)
    ch.queue(t.n("all"), durable=True, exclusive=True, auto_delete=True)
    for name in ("plain", "durable", "auto"):
        ch.call("queue.delete", queue=t.n(name))


@situation
def declare_server_named(t):
    ch = t.channel()
    ch.queue("", exclusive=True)
    ch.queue("", exclusive=True)


@situation
def declare_again(t):
    ch = t.channel()
    ch.queue(t.n("q"), auto_delete=True)
    ch.publish(key=t.n("q"))
    ch.settle(t.n("q"), 1)
    ch.queue(t.n("q"), auto_delete=True)
    ch.call("queue.delete", queue=t.n("q"))


@situation
def declare_nowait(t):
    ch = t.channel()
    ch.send("queue.declare", queue=t.n("q"), exclusive=True, nowait=True)
    ch.quiet()
    ch.queue(t.n("q"), passive=True)


@situation
def declare_nowait_server_named(t):
    ch = t.channel()
    ch.send("queue.declare", queue="", exclusive=True, nowait=True)
    ch.quiet()


@situation
def declare_reserved_name(t):
    ch = t.channel()
    ch.reply("queue.declare", queue="amq.mine" + t.token)
    ch.reply("queue.declare", queue="amq.mine" + t.token, passive=True)


@situation
def passive_missing(t):
    t.channel().queue(t.n("missing"), passive=True)


@situation
def passive_ignores_flags_and_arguments(t):
    ch = t.channel()
    ch.queue(t.n("q"), durable=True)
    ch.queue(t.n("q"), passive=True, auto_delete=True, arguments={"x-message-ttl": 1})
    ch.call("queue.delete", queue=t.n("q"))


@situation
def redeclare_inequivalent_flags(t):
    ch = t.channel()
    q = t.n("q")
    ch.queue(q)
    ch.reply("queue.declare", queue=q, durable=True)
    ch.reply("queue.declare", queue=q, auto_delete=True)
    ch.reply("queue.declare", queue=q, exclusive=True)
    ch.reply("queue.declare", queue=q, durable=True, auto_delete=True, exclusive=True,
             arguments={"x-message-ttl": 1})
    ch.reply("queue.delete", queue=q)


@situation
def redeclare_durable_as_transient(t):
    ch = t.channel()
    ch.queue(t.n("q"), durable=True, auto_delete=True)
    ch.reply("queue.declare", queue=t.n("q"))
    ch.reply("queue.declare", queue=t.n("q"), durable=True)
    ch.reply("queue.delete", queue=t.n("q"))


@situation
def redeclare_exclusive_as_shared(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.queue(t.n("q"))
    ch.reply("queue.declare", queue=t.n("q"), exclusive=True)


def _locked(t, name, **values):
    """An exclusive queue, touched by another connection."""
    t.channel().queue(t.n("q"), exclusive=True)
    other = t.channel()
    other.call(name, queue=t.n("q"), **values)


@situation
def exclusive_declared_elsewhere(t):
    _locked(t, "queue.declare")


@situation
def exclusive_declared_exclusive_elsewhere(t):
    _locked(t, "queue.declare", exclusive=True)


@situation
def exclusive_passive_elsewhere(t):
    _locked(t, "queue.declare", passive=True)


@situation
def exclusive_consumed_elsewhere(t):
    _locked(t, "basic.consume")


@situation
def exclusive_get_elsewhere(t):
    _locked(t, "basic.get")


@situation
def exclusive_purged_elsewhere(t):
    _locked(t, "queue.purge")


@situation
def exclusive_deleted_elsewhere(t):
    _locked(t, "queue.delete")


@situation
def exclusive_bound_elsewhere(t):
    _locked(t, "queue.bind", exchange="amq.direct", routing_key="k")


@situation
def exclusive_unbound_elsewhere(t):
    _locked(t, "queue.unbind", exchange="amq.direct", routing_key="k")


@situation
def exclusive_published_elsewhere(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    t.channel().publish(key=t.n("q"), mandatory=True)
    ch.settle(t.n("q"), 1)


@situation
def exclusive_goes_with_its_connection(t):
    c = t.connect()
    c.channel().queue(t.n("q"), exclusive=True)
    c.part()
    t.channel().queue(t.n("q"), passive=True)


@situation
def exclusive_stays_with_its_channel_closed(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"), exclusive=True)
    one.call("channel.close", reply_code=200)
    two.queue(t.n("q"), passive=True)


@situation
def delete_counts(t):
    ch = t.channel()
    ch.queue(t.n("q"))
    for _ in range(3):
        ch.publish(key=t.n("q"))
    ch.settle(t.n("q"), 3)
    ch.get(t.n("q"), no_ack=False)
    ch.call("queue.delete", queue=t.n("q"))


@situation
def delete_missing(t):
    t.channel().call("queue.delete", queue=t.n("missing"))


@situation
def delete_if_empty(t):
    ch = t.channel()
    ch.queue(t.n("q"))
    ch.publish(key=t.n("q"))
    ch.settle(t.n("q"), 1)
    ch.reply("queue.delete", queue=t.n("q"), if_empty=True)
    ch.reply("queue.purge", queue=t.n("q"))
    ch.reply("queue.delete", queue=t.n("q"), if_empty=True)


@situation
def delete_if_empty_with_unacked_only(t):
    ch = t.channel()
    ch.queue(t.n("q"))
    ch.publish(key=t.n("q"))
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"), no_ack=False)
    ch.call("queue.delete", queue=t.n("q"), if_empty=True)


@situation
def delete_if_unused(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"))
    two.consume(t.n("q"), t.n("tag"))
    one.reply("queue.delete", queue=t.n("q"), if_unused=True)
    two.call("basic.cancel", consumer_tag=t.n("tag"))
    one.reply("queue.delete", queue=t.n("q"), if_unused=True)


@situation
def delete_if_unused_and_if_empty(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"))
    two.call("basic.qos", prefetch_count=1)
    two.consume(t.n("q"), t.n("tag"))
    for _ in range(2):
        one.publish(key=t.n("q"))
    two.event()
    one.settle(t.n("q"), 1)
    one.reply("queue.delete", queue=t.n("q"), if_unused=True, if_empty=True)
    one.reply("queue.delete", queue=t.n("q"))
    two.event()


@situation
def delete_nowait(t):
    ch = t.channel()
    ch.queue(t.n("q"))
    ch.send("queue.delete", queue=t.n("q"), nowait=True)
    ch.quiet()
    ch.queue(t.n("q"), passive=True)


@situation
def auto_delete_after_the_last_cancel(t):
    ch = t.channel()
    ch.queue(t.n("q"), auto_delete=True)
    ch.consume(t.n("q"), t.n("one"))
    ch.consume(t.n("q"), t.n("two"))
    ch.call("basic.cancel", consumer_tag=t.n("one"))
    ch.queue(t.n("q"), passive=True)
    ch.call("basic.cancel", consumer_tag=t.n("two"))
    ch.queue(t.n("q"), passive=True)


@situation
def auto_delete_after_channel_close(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"), auto_delete=True)
    two.consume(t.n("q"), t.n("one"))
    two.call("channel.close", reply_code=200)
    one.quiet()
    one.queue(t.n("q"), passive=True)


@situation
def auto_delete_not_by_get(t):
    ch = t.channel()
    ch.queue(t.n("q"), auto_delete=True)
    ch.get(t.n("q"))
    ch.queue(t.n("q"), passive=True)
    ch.call("queue.delete", queue=t.n("q"))


@situation
def purge_counts_ready_only(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    for _ in range(5):
        ch.publish(key=t.n("q"))
    ch.settle(t.n("q"), 5)
    ch.get(t.n("q"), no_ack=False)
    ch.call("queue.purge", queue=t.n("q"))
    ch.call("queue.purge", queue=t.n("q"))
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    ch.settle(t.n("q"), 1)


@situation
def purge_missing(t):
    t.channel().call("queue.purge", queue=t.n("missing"))


@situation
def purge_nowait(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.publish(key=t.n("q"))
    ch.settle(t.n("q"), 1)
    ch.send("queue.purge", queue=t.n("q"), nowait=True)
    ch.quiet()
    ch.queue(t.n("q"), passive=True)


@situation
def counts_in_declare_ok(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"), exclusive=True)
    two.call("basic.qos", prefetch_count=1)
    two.consume(t.n("q"), t.n("tag"))
    for _ in range(3):
        one.publish(key=t.n("q"))
    two.event()
    one.settle(t.n("q"), 2)
    one.queue(t.n("q"), passive=True)


@situation
def bind_missing_queue(t):
    t.channel().bind(t.n("missing"), "amq.direct", "k")


@situation
def bind_missing_exchange(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), t.n("missing"), "k")


@situation
def bind_both_missing(t):
    t.channel().bind(t.n("no-queue"), t.n("no-exchange"), "k")


@situation
def bind_twice(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), "amq.direct", t.n("k"))
    ch.bind(t.n("q"), "amq.direct", t.n("k"))
    ch.publish("amq.direct", t.n("k"))
    ch.settle(t.n("q"), 1)
    ch.call("queue.unbind", queue=t.n("q"), exchange="amq.direct", routing_key=t.n("k"))
    ch.publish("amq.direct", t.n("k"), mandatory=True)
    ch.event()


@situation
def bind_nowait(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.send("queue.bind", queue=t.n("q"), exchange="amq.direct", routing_key=t.n("k"), nowait=True)
    ch.publish("amq.direct", t.n("k"), mandatory=True)
    ch.quiet()
    ch.settle(t.n("q"), 1)


@situation
def bind_with_arguments_to_a_direct_exchange(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.bind(t.n("q"), "amq.direct", t.n("k"), {"anything": 1})
    ch.publish("amq.direct", t.n("k"), mandatory=True)
    ch.settle(t.n("q"), 1)


@situation
def bind_transient_queue_to_durable_exchange(t):
    ch = t.channel()
    ch.queue(t.n("q"), auto_delete=True)
    ch.bind(t.n("q"), "amq.direct", "k")
    ch.call("queue.delete", queue=t.n("q"))


@situation
def bind_durable_queue_to_transient_exchange(t):
    ch = t.channel()
    ch.queue(t.n("q"), durable=True)
    ch.exchange(t.n("x"), auto_delete=True)
    ch.bind(t.n("q"), t.n("x"), "k")
    ch.call("queue.delete", queue=t.n("q"))


@situation
def unbind_missing(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.reply("queue.unbind", queue=t.n("q"), exchange="amq.direct", routing_key="never bound")
    ch.reply("queue.unbind", queue=t.n("missing"), exchange="amq.direct", routing_key="k")
    ch.reply("queue.unbind", queue=t.n("q"), exchange=t.n("missing"), routing_key="k")
    ch.reply("queue.unbind", queue=t.n("no"), exchange=t.n("missing"), routing_key="k")


@situation
def default_binding(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.publish("", t.n("q"), mandatory=True)
    ch.publish("", t.n("other"), mandatory=True)
    ch.event()
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


@situation
def delete_takes_its_bindings(t):
    ch = t.channel()
    ch.queue(t.n("q"))
    ch.bind(t.n("q"), "amq.direct", t.n("k"))
    ch.call("queue.delete", queue=t.n("q"))
    ch.queue(t.n("q"), exclusive=True)
    ch.publish("amq.direct", t.n("k"), mandatory=True)
    ch.event()


@situation
def name_not_utf8(t):
    t.channel().queue(b"\xff\xfename", exclusive=True)


@situation
def name_with_odd_characters(t):
    ch = t.channel()
    for name in ("with space", "new\nline", "ümlaut/☃", "%2F"):
        ch.reply("queue.declare", queue=t.n(name), exclusive=True)
    ch.reply("queue.declare", queue=t.n("x" * 200), exclusive=True)


@situation
def cancel_notify_on_delete(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"))
    two.consume(t.n("q"), t.n("tag"))
    one.call("queue.delete", queue=t.n("q"))
    two.event()


@situation
def no_cancel_notify_without_the_capability(t):
    c = t.connect(capabilities={})
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"))
    two.consume(t.n("q"), t.n("tag"))
    one.call("queue.delete", queue=t.n("q"))
    two.quiet()


@situation
def cancel_notify_on_own_delete(t):
    ch = t.channel()
    ch.queue(t.n("q"))
    ch.consume(t.n("q"), t.n("tag"))
    ch.send("queue.delete", queue=t.n("q"))
    ch.expect_in_any_order(2)


@situation
def transient_shared(t):
    """Neither durable nor exclusive: later versions refuse it, Celery needs it."""
    ch = t.channel()
    ch.queue(t.n("q"), durable=False, exclusive=False, auto_delete=False)
    ch.call("queue.delete", queue=t.n("q"))


@situation
def exclusive_goes_with_its_consumers(t):
    """Another channel's consumer of a queue that its own connection deletes is told."""
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"), exclusive=True)
    two.consume(t.n("q"), t.n("a"))
    two.consume(t.n("q"), t.n("b"))
    one.call("queue.delete", queue=t.n("q"))
    t.note("cancelled " + ", ".join(sorted(
        e.values["consumer_tag"] for e in (two.sock.receive(2, 5) for _ in "12"))))


@situation
def declare_again_after_auto_delete(t):
    ch = t.channel()
    ch.queue(t.n("q"), auto_delete=True)
    ch.publish(key=t.n("q"))
    ch.consume(t.n("q"), t.n("tag"), no_ack=True)
    ch.event()
    ch.call("basic.cancel", consumer_tag=t.n("tag"))
    ch.queue(t.n("q"), exclusive=True)


@situation
def delete_requeues_nothing(t):
    """Unacked deliveries of a deleted queue may still be acked, and its name be used again."""
    ch = t.channel()
    ch.queue(t.n("q"))
    ch.publish(key=t.n("q"))
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"), no_ack=False)
    ch.call("queue.delete", queue=t.n("q"))
    ch.queue(t.n("q"), exclusive=True)
    ch.send("basic.reject", delivery_tag=1, requeue=True)
    ch.quiet()
    ch.get(t.n("q"))
