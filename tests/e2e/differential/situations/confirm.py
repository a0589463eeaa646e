"""Publisher confirms."""

from engine import situation


@situation
def select(t):
    t.channel().confirm()


@situation
def select_twice(t):
    ch = t.channel()
    ch.confirm()
    ch.confirm()


@situation
def select_nowait(t):
    ch = t.channel()
    ch.send("confirm.select", nowait=True)
    ch.quiet()
    ch.publish("", t.n("missing"))
    ch.event()


@situation
def select_on_a_tx_channel(t):
    ch = t.channel()
    ch.call("tx.select")
    ch.confirm()


@situation
def tx_on_a_confirm_channel(t):
    ch = t.channel()
    ch.confirm()
    ch.call("tx.select")


@situation
def routed(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.confirm()
    for _ in range(3):
        ch.publish("", t.n("q"))
        ch.event()


@situation
def persistent_to_durable(t):
    ch = t.channel()
    ch.queue(t.n("q"), durable=True, auto_delete=True)
    ch.confirm()
    ch.publish("", t.n("q"), delivery_mode=2)
    ch.event()
    ch.call("queue.delete", queue=t.n("q"))


@situation
def unroutable(t):
    ch = t.channel()
    ch.confirm()
    ch.publish("", t.n("missing"))
    ch.event()


@situation
def unroutable_mandatory(t):
    """The return comes before the ack."""
    ch = t.channel()
    ch.confirm()
    ch.publish("", t.n("missing"), mandatory=True)
    ch.expect(2)


@situation
def counts_from_select(t):
    ch = t.channel()
    ch.publish("", t.n("missing"))
    ch.publish("", t.n("missing"))
    ch.confirm()
    ch.publish("", t.n("missing"))
    ch.event()


@situation
def counts_anew_on_a_new_channel(t):
    ch = t.channel()
    ch.confirm()
    ch.publish("", t.n("missing"))
    ch.event()
    ch.call("channel.close", reply_code=200)
    ch.reopen()
    ch.confirm()
    ch.publish("", t.n("missing"))
    ch.event()


@situation
def many_are_all_confirmed(t):
    """In whatever grouping: only the last tag is fixed."""
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.confirm()
    missing = set(range(1, 101))
    for _ in range(100):
        ch.publish("", t.n("q"))
    del t.lines[-100:]
    while missing:
        event = ch.sock.receive(1, 5)
        if event is None or event.name != "basic.ack":
            t.note(f"{event and event.name} with {len(missing)} missing")
            return
        tag = event.values["delivery_tag"]
        missing -= set(range(1, tag + 1)) if event.values["multiple"] else {tag}
    t.note("100 published, all confirmed")


@situation
def missing_exchange(t):
    ch = t.channel()
    ch.confirm()
    ch.publish(t.n("missing"), "k")
    ch.event()


@situation
def fanout_is_confirmed_once(t):
    ch = t.channel()
    ch.exchange(t.n("x"), "fanout", auto_delete=True)
    for q in ("a", "b"):
        ch.queue(t.n(q), exclusive=True)
        ch.bind(t.n(q), t.n("x"))
    ch.confirm()
    ch.publish(t.n("x"), "")
    ch.event()
    ch.quiet()


@situation
def reject_publish_of_one_queue_nacks(t):
    """One queue takes it, the other is full."""
    ch = t.channel()
    ch.exchange(t.n("x"), "fanout", auto_delete=True)
    ch.queue(t.n("a"), exclusive=True)
    ch.queue(t.n("b"), exclusive=True, arguments={"x-max-length": 1,
                                                  "x-overflow": "reject-publish"})
    for q in ("a", "b"):
        ch.bind(t.n(q), t.n("x"))
    ch.confirm()
    for _ in range(2):
        ch.publish(t.n("x"), "")
        ch.event()
    ch.queue(t.n("a"), passive=True)
    ch.queue(t.n("b"), passive=True)


@situation
def expired_at_once_is_confirmed(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-message-ttl": 0})
    ch.confirm()
    ch.publish("", t.n("q"))
    ch.event()


@situation
def no_ack_consumer_is_confirmed(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.consume(t.n("q"), t.n("tag"), no_ack=True)
    ch.confirm()
    ch.publish("", t.n("q"))
    t.note(f"in either order: {sorted(e.name for e in (ch.sock.receive(1, 5) for _ in '12'))}")


@situation
def ack_from_client_is_not_a_confirm(t):
    ch = t.channel()
    ch.confirm()
    ch.call("basic.ack", delivery_tag=1)


@situation
def user_id_wrong(t):
    ch = t.channel()
    ch.confirm()
    ch.publish("", t.n("missing"), user_id="someone")
    ch.event()
