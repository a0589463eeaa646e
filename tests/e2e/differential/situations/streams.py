"""Streams: what a consumer gets, and what it may answer."""

from engine import situation

STREAM = {"x-queue-type": "stream"}


def _filled(t, count, prefetch=10):
    """A channel, and a stream that holds `count` messages 0, 1, ..., each of a batch of its own."""
    ch = t.channel()
    ch.queue(t.n("q"), durable=True, arguments=STREAM)
    ch.confirm()
    for i in range(count):
        ch.publish(key=t.n("q"), body=b"%d" % i)
        ch.event()
    if prefetch:
        ch.call("basic.qos", prefetch_count=prefetch)
    return ch


def _from_first(t, ch, tag="c"):
    return ch.consume(t.n("q"), tag, {"x-stream-offset": "first"})


def _end(t, ch):
    ch.reply("queue.delete", queue=t.n("q"))


@situation
def acks_give_credit(t):
    ch = _filled(t, 6, prefetch=2)
    _from_first(t, ch)
    ch.expect(2)
    ch.quiet()
    ch.send("basic.ack", delivery_tag=2, multiple=True)
    ch.expect(2)
    ch.quiet()
    ch.send("basic.ack", delivery_tag=4)
    ch.expect(1)
    ch.quiet()
    _end(t, ch)


@situation
def two_consumers_both_get_everything(t):
    ch = _filled(t, 2)
    _from_first(t, ch, "a")
    ch.expect(2)
    _from_first(t, ch, "b")
    ch.expect(2)
    ch.quiet()
    # Both at once, when the stream goes, are not always told by RabbitMQ.
    ch.call("basic.cancel", consumer_tag="b")
    _end(t, ch)


@situation
def live(t):
    """What is published later follows, with its offset."""
    ch = _filled(t, 1)
    _from_first(t, ch)
    ch.expect(1)
    for body in (b"x", b"y"):
        ch.publish(key=t.n("q"), body=body)
        ch.expect_in_any_order(2)
    ch.quiet()
    _end(t, ch)


def _answered(name, method, **values):
    def function(t):
        ch = _filled(t, 3, prefetch=2)
        _from_first(t, ch)
        ch.expect(2)
        ch.send(method, delivery_tag=1, **values)
        ch.event()
        ch.quiet()
        _end(t, ch)

    function.__name__, function.__module__ = name, __name__
    situation(function)


_answered("nack_requeued", "basic.nack", requeue=True)
_answered("nack_dropped", "basic.nack", requeue=False)
_answered("reject_requeued", "basic.reject", requeue=True)
_answered("reject_dropped", "basic.reject", requeue=False)


@situation
def recover(t):
    ch = _filled(t, 1)
    _from_first(t, ch)
    ch.expect(1)
    ch.call("basic.recover", requeue=True)
    ch.quiet()
    _end(t, ch)


@situation
def global_qos(t):
    ch = _filled(t, 1)
    ch.call("basic.qos", prefetch_count=5, **{"global": True})
    _from_first(t, ch)
    ch.quiet()
    _end(t, ch)


@situation
def properties_come_out_with_the_offset(t):
    ch = _filled(t, 0)
    ch.publish(key=t.n("q"), body=b"all", content_type="text/plain", delivery_mode=1, priority=3,
               expiration="1", message_id="m", headers={"a": 1, "b": "two"})
    ch.event()
    ch.publish(key=t.n("q"), body=b"no headers", content_type="text/plain")
    ch.event()
    ch.publish(key=t.n("q"), body=b"filtered", headers={"x-stream-filter-value": "f"})
    ch.event()
    _from_first(t, ch)
    ch.expect(3)
    _end(t, ch)


@situation
def an_offset_that_is_there_already(t):
    """A message that was taken from a stream and published again."""
    ch = _filled(t, 0)
    ch.publish(key=t.n("q"), body=b"m", headers={"x-stream-offset": 77, "a": 1})
    ch.event()
    _from_first(t, ch)
    ch.expect(1)
    _end(t, ch)


@situation
def through_an_exchange(t):
    ch = _filled(t, 0)
    ch.queue(t.n("r"), exclusive=True)
    ch.bind(t.n("q"), "amq.topic", t.n("k") + ".#")
    ch.bind(t.n("r"), "amq.topic", t.n("k") + ".#")
    ch.publish("amq.topic", t.n("k") + ".a", body=b"m", mandatory=True)
    ch.event()
    _from_first(t, ch)
    ch.expect(1)
    ch.get(t.n("r"))
    _end(t, ch)


@situation
def deleted_under_a_consumer(t):
    ch = _filled(t, 1)
    _from_first(t, ch)
    ch.expect(1)
    other = ch.connection.channel()
    other.call("queue.delete", queue=t.n("q"))
    ch.event()
    ch.quiet()


@situation
def consumer_tag_reused(t):
    ch = _filled(t, 0)
    ch.consume(t.n("q"), "c")
    ch.consume(t.n("q"), "c")
    ch.reply("queue.delete", queue=t.n("q"))


@situation
def offset_far_beyond_the_end(t):
    ch = _filled(t, 2)
    ch.consume(t.n("q"), "c", {"x-stream-offset": 1000})
    ch.quiet()
    _end(t, ch)


@situation
def priority_of_a_consumer(t):
    ch = _filled(t, 1)
    ch.consume(t.n("q"), "c", {"x-stream-offset": "first", "x-priority": 5})
    _end(t, ch)


@situation
def in_a_transaction(t):
    ch = t.channel()
    ch.queue(t.n("q"), durable=True, arguments=STREAM)
    ch.call("tx.select")
    ch.publish(key=t.n("q"), body=b"1")
    ch.publish(key=t.n("q"), body=b"2")
    ch.call("tx.commit")
    ch.publish(key=t.n("q"), body=b"3")
    ch.call("tx.rollback")
    ch.call("basic.qos", prefetch_count=10)
    _from_first(t, ch)
    ch.expect(2)
    ch.quiet()
    _end(t, ch)
