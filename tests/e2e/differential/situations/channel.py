"""Channels: opening, closing, flow, and what an error leaves behind."""

from engine import amqp, situation


@situation
def open_twice(t):
    ch = t.channel()
    ch.call("channel.open")


@situation
def use_unopened(t):
    ch = t.connect().unopened(1)
    ch.call("queue.declare", queue="q")


@situation
def close_unopened(t):
    ch = t.connect().unopened(1)
    ch.call("channel.close", reply_code=200)


@situation
def close_ok_on_unopened(t):
    t.connect().unopened(1).call("channel.close-ok")


@situation
def close_ok_unasked(t):
    ch = t.channel()
    ch.send("channel.close-ok")
    ch.event()


@situation
def close_and_reuse(t):
    ch = t.channel()
    ch.call("channel.close", reply_code=200, reply_text="bye")
    ch.reopen()
    ch.queue(exclusive=True)


@situation
def close_twice(t):
    ch = t.channel()
    ch.call("channel.close", reply_code=200)
    ch.call("channel.close", reply_code=200)


@situation
def flow_off(t):
    ch = t.channel()
    ch.call("channel.flow", active=False)


@situation
def flow_on(t):
    ch = t.channel()
    ch.call("channel.flow", active=True)


@situation
def open_ok_from_client(t):
    ch = t.channel()
    ch.call("channel.open-ok")


@situation
def declare_ok_from_client(t):
    ch = t.channel()
    ch.call("queue.declare-ok", queue="q")


@situation
def deliver_from_client(t):
    ch = t.channel()
    ch.send("basic.deliver", consumer_tag="x", delivery_tag=1)
    ch.sock.send(amqp.content_frames(1, b"m"))
    ch.event()


@situation
def methods_after_an_error_are_ignored(t):
    """Until close-ok nothing on the channel counts; after it the number is free again."""
    c = t.connect()
    ch = c.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.send("queue.declare", queue=t.n("missing"), passive=True)
    ch.send("queue.delete", queue=t.n("q"))
    ch.publish(key=t.n("q"))
    ch.event()
    ch.reopen()
    ch.queue(t.n("q"), passive=True)


@situation
def open_before_close_ok(t):
    """A channel that the broker closed is not free before close-ok."""
    c = t.connect()
    ch = c.channel()
    c.sent(1, "queue.declare passive=1")
    ch.sock.send(amqp.method_frame(1, "queue.declare", queue=t.n("missing"), passive=True))
    event = ch.sock.receive(1, 5)
    t.note(f"{event.name} {event.values.get('reply_code')}, not answered")
    ch.send("channel.open")
    ch.sock.wait((1, 0), 0.5)
    while ch.sock.inboxes[1] or ch.sock.inboxes[0]:
        if ch.event() is None:
            break
    if not c.ended and not ch.is_open:
        ch.send("channel.close-ok")
        ch.reopen()


@situation
def close_crosses_close(t):
    """The client closes a channel that the broker is closing: both are answered."""
    c = t.connect()
    ch = c.channel()
    ch.send("queue.declare", queue=t.n("missing"), passive=True)
    ch.send("channel.close", reply_code=200)
    ch.event()
    ch.event()
    ch.reopen()


@situation
def error_leaves_other_channels_alone(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("missing"), passive=True)
    two.queue(t.n("q"), exclusive=True)


@situation
def close_requeues_unacked(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"), exclusive=True)
    for i in range(3):
        one.publish(key=t.n("q"), body=b"%d" % i)
    one.settle(t.n("q"), 3)
    two.get(t.n("q"), no_ack=False)
    two.get(t.n("q"), no_ack=False)
    two.call("channel.close", reply_code=200)
    one.settle(t.n("q"), 3)
    for _ in range(3):
        one.get(t.n("q"))


@situation
def close_cancels_consumers(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"), exclusive=True)
    two.consume(t.n("q"), t.n("tag"))
    one.queue(t.n("q"), passive=True)
    two.call("channel.close", reply_code=200)
    one.queue(t.n("q"), passive=True)


@situation
def current_queue_is_remembered(t):
    """An empty queue name means the last one declared on the channel."""
    ch = t.channel()
    ch.queue("", exclusive=True)
    ch.publish(key="x")
    ch.bind("", "amq.direct", "k")
    ch.call("queue.purge", queue="")
    ch.get("")
    ch.call("queue.unbind", queue="", exchange="amq.direct", routing_key="k")
    ch.call("queue.delete", queue="")


@situation
def current_queue_is_forgotten(t):
    """With the channel, and when another is declared; not when it is deleted."""
    ch = t.channel()
    ch.queue(t.n("a"), exclusive=True)
    ch.queue(t.n("b"), exclusive=True)
    ch.call("queue.delete", queue="")
    ch.queue(t.n("a"), passive=True)
    ch.call("queue.delete", queue=t.n("a"))
    ch.reply("queue.purge", queue="")
    ch.reply("queue.purge", queue="")


@situation
def method_right_behind_close_ok(t):
    """The channel that the broker closed is closed for good."""
    ch = t.channel()
    ch.queue(t.n("missing"), passive=True)
    ch.call("queue.declare", queue=t.n("q"), exclusive=True)


@situation
def current_queue_without_one(t):
    ch = t.channel()
    for name in ("queue.purge", "queue.delete", "basic.get", "basic.consume"):
        ch.reply(name, queue="")
    ch.reply("queue.bind", queue="", exchange="amq.direct", routing_key="k")
    ch.reply("queue.unbind", queue="", exchange="amq.direct", routing_key="k")
    ch.reply("queue.declare", queue="", passive=True)


@situation
def empty_binding_key_means_the_current_queue(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.bind("", "amq.direct", "")
    ch.publish("amq.direct", t.n("q"), mandatory=True)
    ch.publish("amq.direct", "", mandatory=True)
    ch.quiet()
    ch.get(t.n("q"))
    ch.get(t.n("q"))
