"""Transactions."""

from engine import situation


def _tx(t, ready=0):
    c = t.connect()
    ch, other = c.channel(), c.channel()
    ch.queue(t.n("q"), exclusive=True)
    for i in range(ready):
        ch.publish("", t.n("q"), body=b"%d" % (i + 1))
    ch.settle(t.n("q"), ready)
    ch.call("tx.select")
    return ch, other


@situation
def select_twice(t):
    ch = t.channel()
    ch.call("tx.select")
    ch.call("tx.select")


@situation
def commit_without_select(t):
    t.channel().call("tx.commit")


@situation
def rollback_without_select(t):
    t.channel().call("tx.rollback")


@situation
def commit_nothing(t):
    ch = t.channel()
    ch.call("tx.select")
    ch.call("tx.commit")
    ch.call("tx.rollback")


@situation
def publish_and_commit(t):
    ch, other = _tx(t)
    ch.publish("", t.n("q"), body=b"1")
    ch.publish("", t.n("q"), body=b"2")
    ch.quiet()
    other.queue(t.n("q"), passive=True)
    ch.call("tx.commit")
    other.settle(t.n("q"), 2)
    other.get(t.n("q"))


@situation
def publish_and_rollback(t):
    ch, other = _tx(t)
    ch.publish("", t.n("q"), body=b"1")
    ch.call("tx.rollback")
    ch.call("tx.commit")
    ch.quiet()
    other.queue(t.n("q"), passive=True)


@situation
def publish_and_close(t):
    ch, other = _tx(t)
    ch.publish("", t.n("q"), body=b"1")
    ch.call("channel.close", reply_code=200)
    other.queue(t.n("q"), passive=True)


@situation
def mandatory_returns_at_commit(t):
    ch, _ = _tx(t)
    ch.publish("", t.n("missing"), mandatory=True)
    ch.quiet()
    ch.send("tx.commit")
    ch.expect(2)


@situation
def ack_and_commit(t):
    ch, other = _tx(t, ready=2)
    ch.get(t.n("q"), no_ack=False)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.ack", delivery_tag=1)
    ch.call("tx.commit")
    ch.call("channel.close", reply_code=200)
    other.settle(t.n("q"), 1)
    other.get(t.n("q"))


@situation
def ack_and_rollback(t):
    """After a rollback the delivery is unacked as before; it is not redelivered by itself."""
    ch, other = _tx(t, ready=1)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.ack", delivery_tag=1)
    ch.call("tx.rollback")
    ch.quiet()
    other.queue(t.n("q"), passive=True)
    ch.send("basic.ack", delivery_tag=1)
    ch.call("tx.commit")
    ch.call("channel.close", reply_code=200)
    other.queue(t.n("q"), passive=True)


@situation
def ack_and_close(t):
    ch, other = _tx(t, ready=1)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.ack", delivery_tag=1)
    ch.call("channel.close", reply_code=200)
    other.settle(t.n("q"), 1)
    other.get(t.n("q"))


@situation
def ack_unknown(t):
    ch, _ = _tx(t)
    ch.call("basic.ack", delivery_tag=3)


@situation
def ack_twice(t):
    ch, _ = _tx(t, ready=1)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.ack", delivery_tag=1)
    ch.send("basic.ack", delivery_tag=1)
    ch.event()


@situation
def nack_requeue_waits_for_commit(t):
    ch, other = _tx(t, ready=1)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    ch.quiet()
    other.queue(t.n("q"), passive=True)
    ch.call("tx.commit")
    other.settle(t.n("q"), 1)
    other.get(t.n("q"))


@situation
def reject_drops_at_commit(t):
    ch, other = _tx(t, ready=1)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.reject", delivery_tag=1)
    ch.call("tx.commit")
    ch.call("channel.close", reply_code=200)
    other.queue(t.n("q"), passive=True)


@situation
def publish_to_missing_exchange(t):
    """Found at once, not at commit."""
    ch, other = _tx(t)
    ch.publish("", t.n("q"))
    ch.publish(t.n("missing"), "k")
    ch.event()
    other.queue(t.n("q"), passive=True)


@situation
def publish_to_exchange_deleted_before_commit(t):
    ch, other = _tx(t)
    other.exchange(t.n("x"), "fanout")
    ch.publish(t.n("x"), "k")
    ch.quiet()
    other.call("exchange.delete", exchange=t.n("x"))
    ch.call("tx.commit")


@situation
def routes_are_those_of_the_publish_or_the_commit(t):
    """A queue bound between publish and commit."""
    ch, other = _tx(t)
    ch.publish("amq.direct", t.n("k"))
    ch.quiet()
    other.bind(t.n("q"), "amq.direct", t.n("k"))
    ch.call("tx.commit")
    ch.quiet()
    other.queue(t.n("q"), passive=True)


@situation
def consume_in_tx(t):
    ch, other = _tx(t, ready=2)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(t.n("q"), t.n("tag"))
    ch.event()
    ch.send("basic.ack", delivery_tag=1)
    ch.quiet()
    ch.send("tx.commit")
    t.note(f"in either order: {sorted(e.name for e in (ch.sock.receive(1, 5) for _ in '12'))}")


@situation
def declare_is_not_transactional(t):
    ch, other = _tx(t)
    ch.queue(t.n("q2"), exclusive=True)
    ch.call("tx.rollback")
    other.queue(t.n("q2"), passive=True)
