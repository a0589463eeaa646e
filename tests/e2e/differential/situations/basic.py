"""Publishing, consuming, getting, settling."""

from engine import amqp, situation


def _filled(t, count, channels=1, arguments=None):
    """Channels of one connection, and an exclusive queue that holds `count` messages 1, 2, ..."""
    c = t.connect()
    out = [c.channel() for _ in range(channels)]
    out[0].queue(t.n("q"), exclusive=True, arguments=arguments or {})
    for i in range(count):
        out[0].publish(key=t.n("q"), body=b"%d" % (i + 1))
    out[0].settle(t.n("q"), count)
    return out if channels > 1 else out[0]


def _drain(t, ch):
    while ch.get(t.n("q")).name == "basic.get-ok":
        pass


# ---- qos ----

@situation
def qos(t):
    ch = t.channel()
    ch.call("basic.qos", prefetch_count=10)
    ch.call("basic.qos", prefetch_count=0)
    ch.call("basic.qos", prefetch_count=65535)
    ch.call("basic.qos", prefetch_count=5, **{"global": True})


@situation
def qos_prefetch_size(t):
    t.channel().call("basic.qos", prefetch_size=1)


@situation
def qos_prefetch_size_global(t):
    t.channel().call("basic.qos", prefetch_size=1, **{"global": True})


@situation
def qos_limits_each_consumer(t):
    ch = _filled(t, 5)
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(t.n("q"), t.n("tag"))
    ch.expect(2)
    ch.quiet()
    ch.send("basic.ack", delivery_tag=1)
    ch.event()
    ch.quiet()
    ch.send("basic.ack", delivery_tag=3, multiple=True)
    ch.expect(2)


@situation
def qos_of_consumers_differs(t):
    """A consumer keeps the prefetch that was set when it began."""
    ch = t.channel()
    ch.queue(t.n("a"), exclusive=True)
    ch.queue(t.n("b"), exclusive=True)
    for q in ("a", "b"):
        for _ in range(3):
            ch.publish(key=t.n(q))
        ch.settle(t.n(q), 3)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(t.n("a"), t.n("a"))
    ch.event()
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(t.n("b"), t.n("b"))
    ch.expect(2)
    ch.quiet()


@situation
def qos_global_limits_the_channel(t):
    ch = t.channel()
    ch.call("basic.qos", prefetch_count=2, **{"global": True})
    for q in ("a", "b"):
        ch.queue(t.n(q), exclusive=True)
        ch.consume(t.n(q), t.n(q))
    for q in ("a", "b"):
        ch.publish(key=t.n(q), body=q.encode())
        ch.event()
    ch.publish(key=t.n("a"), body=b"a2")
    ch.quiet()
    ch.send("basic.ack", delivery_tag=2)
    ch.event()


@situation
def qos_global_counts_existing(t):
    """Deliveries that are out already count against a global limit that is set later."""
    ch = _filled(t, 4)
    ch.consume(t.n("q"), t.n("tag"))
    ch.expect(4)
    ch.call("basic.qos", prefetch_count=1, **{"global": True})
    ch.publish(key=t.n("q"), body=b"5")
    ch.publish(key=t.n("q"), body=b"6")
    ch.quiet()
    ch.send("basic.ack", delivery_tag=4, multiple=True)
    ch.event()
    ch.quiet()


@situation
def qos_does_not_limit_no_ack(t):
    ch = _filled(t, 3)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(t.n("q"), t.n("tag"), no_ack=True)
    ch.expect(3)


@situation
def qos_does_not_limit_get(t):
    ch = _filled(t, 3)
    ch.call("basic.qos", prefetch_count=1)
    for _ in range(3):
        ch.get(t.n("q"), no_ack=False)


# ---- consume, cancel ----

@situation
def consume(t):
    ch = _filled(t, 2)
    ch.consume(t.n("q"), t.n("tag"))
    ch.expect(2)


@situation
def consume_with_server_named_tag(t):
    ch = _filled(t, 1)
    ch.consume(t.n("q"))
    ch.event()
    ch.consume(t.n("q"))


@situation
def consume_missing_queue(t):
    t.channel().consume(t.n("missing"), t.n("tag"))


@situation
def consume_tag_twice(t):
    ch = _filled(t, 0)
    ch.consume(t.n("q"), t.n("tag"))
    ch.consume(t.n("q"), t.n("tag"))


@situation
def consume_tag_on_two_channels(t):
    one, two = _filled(t, 0, channels=2)
    one.consume(t.n("q"), t.n("tag"))
    two.consume(t.n("q"), t.n("tag"))


@situation
def consume_tag_again_after_cancel(t):
    ch = _filled(t, 0)
    ch.consume(t.n("q"), t.n("tag"))
    ch.call("basic.cancel", consumer_tag=t.n("tag"))
    ch.consume(t.n("q"), t.n("tag"))


@situation
def consume_exclusive_then_shared(t):
    one, two = _filled(t, 0, channels=2)
    one.consume(t.n("q"), t.n("one"), exclusive=True)
    two.consume(t.n("q"), t.n("two"))
    two.reply("basic.get", queue=t.n("q"))


@situation
def consume_shared_then_exclusive(t):
    one, two = _filled(t, 0, channels=2)
    one.consume(t.n("q"), t.n("one"))
    two.consume(t.n("q"), t.n("two"), exclusive=True)


@situation
def consume_exclusive_twice(t):
    one, two = _filled(t, 0, channels=2)
    one.consume(t.n("q"), t.n("one"), exclusive=True)
    two.consume(t.n("q"), t.n("two"), exclusive=True)
    one.call("basic.cancel", consumer_tag=t.n("one"))
    two.reply("basic.consume", queue=t.n("q"), consumer_tag=t.n("two"), exclusive=True)


@situation
def consume_no_local(t):
    ch = _filled(t, 0)
    ch.consume(t.n("q"), t.n("tag"), no_local=True, no_ack=True)
    ch.publish(key=t.n("q"))
    ch.event()


@situation
def consume_nowait(t):
    ch = _filled(t, 1)
    ch.send("basic.consume", queue=t.n("q"), consumer_tag=t.n("tag"), nowait=True)
    ch.event()
    ch.quiet()
    ch.queue(t.n("q"), passive=True)


@situation
def consume_nowait_without_tag(t):
    ch = _filled(t, 0)
    ch.send("basic.consume", queue=t.n("q"), nowait=True)
    ch.quiet()
    ch.queue(t.n("q"), passive=True)


@situation
def consume_priority(t):
    """The higher priority is served while it has credit."""
    one, two = _filled(t, 0, channels=2)
    one.consume(t.n("q"), t.n("low"), {"x-priority": 1})
    two.call("basic.qos", prefetch_count=1)
    two.consume(t.n("q"), t.n("high"), {"x-priority": 10})
    one.publish(key=t.n("q"), body=b"1")
    two.event()
    one.publish(key=t.n("q"), body=b"2")
    one.event()
    two.quiet()


@situation
def consume_arguments(t):
    ch = _filled(t, 0)
    for arguments in ({"x-priority": "high"}, {"x-priority": -5}, {"x-priority": 2**40},
                      {"x-cancel-on-ha-failover": True}, {"x-cancel-on-ha-failover": "yes"},
                      {"x-stream-offset": "first"}, {"x-credit": {"credit": 1, "drain": False}},
                      {"anything": 1}, {"x-priority": 1.5}):
        ch.reply("basic.consume", queue=t.n("q"), arguments=arguments)


@situation
def consume_round_robin(t):
    one, two = _filled(t, 0, channels=2)
    one.consume(t.n("q"), t.n("one"), no_ack=True)
    two.consume(t.n("q"), t.n("two"), no_ack=True)
    for i in range(4):
        one.publish(key=t.n("q"), body=b"%d" % i)
    one.expect(2)
    two.expect(2)


@situation
def cancel(t):
    ch = _filled(t, 0)
    ch.consume(t.n("q"), t.n("tag"))
    ch.call("basic.cancel", consumer_tag=t.n("tag"))
    ch.publish(key=t.n("q"))
    ch.quiet()
    ch.get(t.n("q"))


@situation
def cancel_unknown(t):
    ch = t.channel()
    ch.call("basic.cancel", consumer_tag="never")
    ch.call("basic.cancel", consumer_tag="")


@situation
def cancel_nowait(t):
    ch = _filled(t, 0)
    ch.consume(t.n("q"), t.n("tag"))
    ch.send("basic.cancel", consumer_tag=t.n("tag"), nowait=True)
    ch.quiet()
    ch.queue(t.n("q"), passive=True)


@situation
def cancel_keeps_unacked(t):
    ch = _filled(t, 1)
    ch.consume(t.n("q"), t.n("tag"))
    ch.event()
    ch.call("basic.cancel", consumer_tag=t.n("tag"))
    ch.queue(t.n("q"), passive=True)
    ch.send("basic.ack", delivery_tag=1)
    ch.quiet()
    ch.get(t.n("q"))


@situation
def cancel_ok_from_client(t):
    ch = t.channel()
    ch.send("basic.cancel-ok", consumer_tag="never")
    ch.quiet()


# ---- get ----

@situation
def get_empty(t):
    _filled(t, 0).get(t.n("q"))


@situation
def get(t):
    ch = _filled(t, 3)
    ch.get(t.n("q"), no_ack=False)
    ch.get(t.n("q"), no_ack=True)
    ch.get(t.n("q"), no_ack=False)
    ch.get(t.n("q"))


@situation
def get_missing_queue(t):
    t.channel().get(t.n("missing"))


# ---- settling ----

@situation
def ack_unknown(t):
    t.channel().call("basic.ack", delivery_tag=1)


@situation
def ack_of_no_ack_delivery(t):
    ch = _filled(t, 1)
    ch.get(t.n("q"), no_ack=True)
    ch.call("basic.ack", delivery_tag=1)


@situation
def ack_twice(t):
    ch = _filled(t, 1)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.ack", delivery_tag=1)
    ch.send("basic.ack", delivery_tag=1)
    ch.event()


@situation
def ack_0(t):
    t.channel().call("basic.ack", delivery_tag=0)


@situation
def ack_0_with_unacked(t):
    ch = _filled(t, 1)
    ch.get(t.n("q"), no_ack=False)
    ch.call("basic.ack", delivery_tag=0)


@situation
def ack_multiple_0_is_all(t):
    ch = _filled(t, 3)
    for _ in range(3):
        ch.get(t.n("q"), no_ack=False)
    ch.send("basic.ack", delivery_tag=0, multiple=True)
    ch.quiet()
    ch.call("channel.close", reply_code=200)
    ch.reopen()
    ch.queue(t.n("q"), passive=True)


@situation
def ack_multiple_0_with_none(t):
    ch = t.channel()
    ch.send("basic.ack", delivery_tag=0, multiple=True)
    ch.quiet()


@situation
def ack_multiple(t):
    ch = _filled(t, 4)
    for _ in range(4):
        ch.get(t.n("q"), no_ack=False)
    ch.send("basic.ack", delivery_tag=3, multiple=True)
    ch.quiet()
    ch.call("channel.close", reply_code=200)
    ch.reopen()
    ch.get(t.n("q"))
    ch.get(t.n("q"))


@situation
def ack_multiple_unknown(t):
    ch = _filled(t, 2)
    ch.get(t.n("q"), no_ack=False)
    ch.call("basic.ack", delivery_tag=5, multiple=True)


@situation
def ack_multiple_twice(t):
    ch = _filled(t, 2)
    ch.get(t.n("q"), no_ack=False)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.ack", delivery_tag=1, multiple=True)
    ch.send("basic.ack", delivery_tag=1, multiple=True)
    ch.event(1)


@situation
def ack_from_another_channel(t):
    one, two = _filled(t, 1, channels=2)
    one.get(t.n("q"), no_ack=False)
    two.call("basic.ack", delivery_tag=1)


@situation
def ack_after_queue_delete(t):
    ch = _filled(t, 1)
    ch.get(t.n("q"), no_ack=False)
    ch.call("queue.delete", queue=t.n("q"))
    ch.send("basic.ack", delivery_tag=1)
    ch.quiet()


@situation
def ack_unknown_after_a_good_one(t):
    """The queue keeps what the bad ack did not reach."""
    one, two = _filled(t, 2, channels=2)
    one.queue(t.n("q"), passive=True)
    two.get(t.n("q"), no_ack=False)
    two.get(t.n("q"), no_ack=False)
    two.send("basic.ack", delivery_tag=1)
    two.call("basic.ack", delivery_tag=99)
    one.settle(t.n("q"), 1)
    one.get(t.n("q"))


@situation
def nack_unknown(t):
    t.channel().call("basic.nack", delivery_tag=7, requeue=True)


@situation
def nack_requeue(t):
    ch = _filled(t, 2)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    ch.settle(t.n("q"), 2)
    _drain(t, ch)


@situation
def nack_multiple_requeue_keeps_order(t):
    ch = _filled(t, 4)
    for _ in range(3):
        ch.get(t.n("q"), no_ack=False)
    ch.send("basic.nack", delivery_tag=3, multiple=True, requeue=True)
    ch.settle(t.n("q"), 4)
    _drain(t, ch)


@situation
def nack_0_multiple_drops_all(t):
    ch = _filled(t, 3)
    for _ in range(2):
        ch.get(t.n("q"), no_ack=False)
    ch.send("basic.nack", delivery_tag=0, multiple=True)
    ch.quiet()
    _drain(t, ch)


@situation
def reject_unknown(t):
    t.channel().call("basic.reject", delivery_tag=7)


@situation
def reject_0(t):
    ch = _filled(t, 1)
    ch.get(t.n("q"), no_ack=False)
    ch.call("basic.reject", delivery_tag=0)


@situation
def reject_drops(t):
    ch = _filled(t, 2)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.reject", delivery_tag=1)
    ch.quiet()
    _drain(t, ch)


@situation
def reject_requeue_goes_to_its_place(t):
    ch = _filled(t, 4)
    for _ in range(3):
        ch.get(t.n("q"), no_ack=False)
    ch.send("basic.reject", delivery_tag=2, requeue=True)
    ch.settle(t.n("q"), 2)
    ch.send("basic.reject", delivery_tag=1, requeue=True)
    ch.settle(t.n("q"), 3)
    _drain(t, ch)


@situation
def reject_requeue_to_the_only_consumer(t):
    ch = _filled(t, 1)
    ch.consume(t.n("q"), t.n("tag"))
    ch.event()
    for tag in (1, 2):
        ch.send("basic.reject", delivery_tag=tag, requeue=True)
        ch.event()


@situation
def recover_requeue(t):
    ch = _filled(t, 3)
    for _ in range(2):
        ch.get(t.n("q"), no_ack=False)
    ch.call("basic.recover", requeue=True)
    ch.settle(t.n("q"), 3)
    _drain(t, ch)


@situation
def recover_without_requeue(t):
    ch = _filled(t, 1)
    ch.get(t.n("q"), no_ack=False)
    ch.call("basic.recover", requeue=False)


@situation
def recover_with_consumer(t):
    ch = _filled(t, 2)
    ch.consume(t.n("q"), t.n("tag"))
    ch.expect(2)
    ch.send("basic.recover", requeue=True)
    names = [e.name for e in (ch.sock.receive(1, 5) for _ in range(3)) if e]
    t.note(f"in any order: {sorted(names)}")


@situation
def recover_async_requeue(t):
    ch = _filled(t, 2)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.recover-async", requeue=True)
    ch.settle(t.n("q"), 2)
    _drain(t, ch)


@situation
def recover_async_without_requeue(t):
    ch = _filled(t, 1)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.recover-async", requeue=False)
    ch.event()


@situation
def recover_nothing(t):
    t.channel().call("basic.recover", requeue=True)


@situation
def settled_tags_go_on_after_recover(t):
    ch = _filled(t, 1)
    ch.get(t.n("q"), no_ack=False)
    ch.call("basic.recover", requeue=True)
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"), no_ack=False)
    ch.call("basic.ack", delivery_tag=1)


@situation
def redelivered_on_another_channel(t):
    one, two = _filled(t, 1, channels=2)
    two.get(t.n("q"), no_ack=False)
    two.call("channel.close", reply_code=200)
    one.settle(t.n("q"), 1)
    one.consume(t.n("q"), t.n("tag"), no_ack=True)
    one.event()


@situation
def not_redelivered_if_never_delivered(t):
    """Prefetched messages of a consumer that ends count as delivered, others do not."""
    one, two = _filled(t, 2, channels=2)
    two.call("basic.qos", prefetch_count=1)
    two.consume(t.n("q"), t.n("tag"))
    two.event()
    two.call("channel.close", reply_code=200)
    one.settle(t.n("q"), 2)
    _drain(t, one)


# ---- publish ----

@situation
def publish_mandatory_unroutable(t):
    ch = t.channel()
    ch.publish("", t.n("missing"), body=b"come back", mandatory=True, content_type="text/plain",
               headers={"a": 1}, delivery_mode=2)
    ch.event()


@situation
def publish_mandatory_unroutable_exchange(t):
    ch = t.channel()
    ch.publish("amq.direct", t.n("missing"), mandatory=True)
    ch.event()
    ch.publish("amq.topic", t.n("missing"), mandatory=True, body=b"")
    ch.event()


@situation
def publish_mandatory_routable(t):
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), mandatory=True)
    ch.quiet()


@situation
def publish_unroutable_is_dropped(t):
    ch = t.channel()
    ch.publish("", t.n("missing"))
    ch.quiet()


@situation
def publish_immediate(t):
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), immediate=True)
    ch.event()


@situation
def publish_to_missing_exchange(t):
    ch = t.channel()
    ch.publish(t.n("missing"), "k")
    ch.publish(t.n("missing"), "k")
    ch.event()
    ch.reopen()


@situation
def publish_to_missing_exchange_mandatory(t):
    ch = t.channel()
    ch.publish(t.n("missing"), "k", mandatory=True)
    ch.event()


@situation
def publish_empty_body(t):
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), body=b"")
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


@situation
def publish_large_body(t):
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), body=bytes(range(256)) * 2000)
    ch.settle(t.n("q"), 1)
    event = ch.get(t.n("q"))
    t.note("body is intact" if event.body == bytes(range(256)) * 2000 else "body is not intact")
    t.note(f"body frames {event.frame_sizes}")


@situation
def publish_to_exchange_deleted_meanwhile(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.exchange(t.n("x"), "fanout")
    one.publish(t.n("x"), "k")
    one.quiet()
    two.call("exchange.delete", exchange=t.n("x"))
    one.publish(t.n("x"), "k")
    one.event()


@situation
def user_id_right(t):
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), user_id="guest")
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


@situation
def user_id_wrong(t):
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), user_id="someone")
    ch.event()


@situation
def user_id_empty(t):
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), user_id="")
    ch.quiet()


def _expiration(t, value):
    ch = _filled(t, 0)
    ch.confirm()
    ch.publish("", t.n("q"), expiration=value)
    ch.event()
    if ch.is_open:
        ch.queue(t.n("q"), passive=True)


@situation
def expiration_negative(t):
    _expiration(t, "-1")


@situation
def expiration_not_a_number(t):
    _expiration(t, "abc")


@situation
def expiration_with_unit(t):
    _expiration(t, "10s")


@situation
def expiration_empty(t):
    _expiration(t, "")


@situation
def expiration_fraction(t):
    _expiration(t, "1.5")


@situation
def expiration_with_spaces(t):
    _expiration(t, " 60000")


@situation
def expiration_with_plus(t):
    _expiration(t, "+60000")


@situation
def expiration_with_zeros(t):
    _expiration(t, "00060000")


@situation
def expiration_largest(t):
    _expiration(t, "4294967295")


@situation
def expiration_ten_years(t):
    _expiration(t, "315360000000")


@situation
def expiration_over_ten_years(t):
    _expiration(t, "315360000001")


@situation
def expiration_huge(t):
    _expiration(t, "99999999999999999999999999")


@situation
def expiration_0(t):
    _expiration(t, "0")


@situation
def expiration_0_with_consumer(t):
    ch = _filled(t, 0)
    ch.consume(t.n("q"), t.n("tag"), no_ack=True)
    ch.publish("", t.n("q"), expiration="0")
    ch.event()


@situation
def expiration_passes(t):
    ch = _filled(t, 0)
    ch.confirm()
    ch.publish("", t.n("q"), body=b"soon", expiration="50")
    ch.event()
    ch.publish("", t.n("q"), body=b"later")
    ch.event()
    ch.settle(t.n("q"), 1)
    _drain(t, ch)


@situation
def expiration_behind_a_longer_one(t):
    """An expired message that is not at the head still counts, but is never delivered."""
    import time
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), body=b"stays")
    ch.publish("", t.n("q"), body=b"expires", expiration="1")
    time.sleep(0.1)
    ch.queue(t.n("q"), passive=True)
    _drain(t, ch)


@situation
def expiration_and_queue_ttl(t):
    """The shorter of the two counts."""
    ch = _filled(t, 0, arguments={"x-message-ttl": 50})
    ch.confirm()
    ch.publish("", t.n("q"), expiration="60000")
    ch.event()
    ch.settle(t.n("q"), 0)


@situation
def expiration_is_kept_on_delivery(t):
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), expiration="60000")
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


@situation
def expiration_after_requeue(t):
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), expiration="150")
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.reject", delivery_tag=1, requeue=True)
    ch.settle(t.n("q"), 1)
    ch.settle(t.n("q"), 0)


# ---- CC, BCC ----

def _copies(t, headers):
    ch = t.channel()
    for q in ("a", "b", "c"):
        ch.queue(t.n(q), exclusive=True)
    ch.publish("", t.n("a"), body=b"m", headers=headers, mandatory=True)
    ch.quiet()
    if ch.is_open:
        for q in ("a", "b", "c"):
            ch.get(t.n(q))


@situation
def cc(t):
    _copies(t, {"CC": [t.n("b"), t.n("c")], "other": 1})


@situation
def bcc(t):
    _copies(t, {"BCC": [t.n("b")], "other": 1})


@situation
def cc_and_bcc(t):
    _copies(t, {"CC": [t.n("b")], "BCC": [t.n("c")]})


@situation
def cc_twice_is_one_copy(t):
    _copies(t, {"CC": [t.n("a"), t.n("b"), t.n("b")]})


@situation
def cc_not_an_array(t):
    _copies(t, {"CC": t.n("b")})


@situation
def bcc_not_an_array(t):
    _copies(t, {"BCC": 5})


@situation
def cc_with_a_number_inside(t):
    _copies(t, {"CC": [t.n("b"), 5]})


@situation
def cc_only_routable(t):
    ch = t.channel()
    ch.queue(t.n("b"), exclusive=True)
    ch.publish("", t.n("missing"), headers={"CC": [t.n("b")]}, mandatory=True)
    ch.quiet()
    ch.get(t.n("b"))


@situation
def cc_through_a_topic_exchange(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.exchange(t.n("x"), "topic")
    ch.bind(t.n("q"), t.n("x"), "b.*")
    ch.publish(t.n("x"), "a.a", headers={"CC": ["b.b"]})
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


# ---- direct reply-to ----

REPLY = "amq.rabbitmq.reply-to"


@situation
def reply_to(t):
    c = t.connect()
    asker, server = c.channel(), c.channel()
    server.queue(t.n("q"), exclusive=True)
    server.consume(t.n("q"), t.n("server"), no_ack=True)
    asker.consume(REPLY, t.n("asker"), no_ack=True)
    asker.publish("", t.n("q"), body=b"question", reply_to=REPLY, correlation_id="1")
    question = server.event()
    where = question.properties["reply_to"]
    server.publish("", where, body=b"answer", correlation_id="1", mandatory=True)
    asker.event()
    server.queue(where, passive=True)


@situation
def reply_to_without_consumer(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.publish("", t.n("q"), reply_to=REPLY)
    ch.event()


@situation
def reply_to_with_acks(t):
    t.channel().consume(REPLY, t.n("tag"), no_ack=False)


@situation
def reply_to_twice(t):
    ch = t.channel()
    ch.consume(REPLY, t.n("one"), no_ack=True)
    ch.consume(REPLY, t.n("two"), no_ack=True)


@situation
def reply_to_cancel_and_again(t):
    ch = t.channel()
    ch.consume(REPLY, t.n("one"), no_ack=True)
    ch.call("basic.cancel", consumer_tag=t.n("one"))
    ch.consume(REPLY, t.n("two"), no_ack=True)


@situation
def reply_to_server_named_tag(t):
    t.channel().consume(REPLY, no_ack=True)


@situation
def reply_to_exclusive(t):
    t.channel().consume(REPLY, t.n("one"), no_ack=True, exclusive=True)


@situation
def reply_to_someone_gone(t):
    c = t.connect()
    asker, server = c.channel(), c.channel()
    server.queue(t.n("q"), exclusive=True)
    asker.consume(REPLY, t.n("asker"), no_ack=True)
    asker.publish("", t.n("q"), reply_to=REPLY)
    server.settle(t.n("q"), 1)
    where = server.get(t.n("q")).properties["reply_to"]
    asker.call("channel.close", reply_code=200)
    server.publish("", where, mandatory=True)
    server.event()
    server.queue(where, passive=True)


@situation
def reply_to_pseudo_queue_operations(t):
    ch = t.channel()
    ch.reply("queue.declare", queue=REPLY, passive=True)
    ch.reply("queue.declare", queue=REPLY)
    ch.reply("basic.get", queue=REPLY)
    ch.reply("queue.purge", queue=REPLY)
    ch.reply("queue.delete", queue=REPLY)
    ch.reply("queue.bind", queue=REPLY, exchange="amq.direct", routing_key="k")
    ch.reply("queue.declare", queue=REPLY + ".bogus", passive=True)
    ch.reply("basic.consume", queue=REPLY + ".bogus", no_ack=True)


@situation
def reply_to_published_to_directly(t):
    ch = t.channel()
    ch.publish("", REPLY, mandatory=True)
    ch.event()
    ch.publish("", REPLY + ".bogus", mandatory=True)
    ch.event()


@situation
def reply_to_other_queue_is_left_alone(t):
    ch = _filled(t, 0)
    ch.publish("", t.n("q"), reply_to="some.queue")
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


@situation
def reply_to_with_confirm(t):
    c = t.connect()
    asker, server = c.channel(), c.channel()
    server.queue(t.n("q"), exclusive=True)
    asker.consume(REPLY, t.n("asker"), no_ack=True)
    asker.publish("", t.n("q"), reply_to=REPLY)
    server.settle(t.n("q"), 1)
    where = server.get(t.n("q")).properties["reply_to"]
    server.confirm()
    server.publish("", where, mandatory=True)
    server.event()
    asker.event()


@situation
def publish_routing_key_not_utf8(t):
    ch = t.channel()
    ch.sock.send(amqp.method_frame(1, "basic.publish", routing_key=b"\xff\xfe", mandatory=True)
                 + amqp.content_frames(1, b""))
    event = ch.sock.receive(1, 5)
    t.note(f"returned as {event.values['routing_key']!r}" if event and event.name == "basic.return"
           else f"{event and event.name}")
