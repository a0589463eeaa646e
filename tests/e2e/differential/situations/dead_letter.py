"""Dead lettering: when, where to, and what x-death says."""

from engine import situation


def _pair(t, arguments=None, key=True):
    """A queue `q` that dead-letters to the queue `dead`."""
    ch = t.channel()
    more = {"x-dead-letter-exchange": ""} | (
        {"x-dead-letter-routing-key": t.n("dead")} if key else {})
    ch.queue(t.n("dead"), exclusive=True)
    ch.queue(t.n("q"), exclusive=True, arguments=more | (arguments or {}))
    return ch


def _show(t, ch, count=1):
    ch.settle(t.n("dead"), count)
    for _ in range(count):
        ch.get(t.n("dead"))


@situation
def rejected(t):
    ch = _pair(t)
    ch.publish("", t.n("q"), body=b"m", headers={"mine": 1}, delivery_mode=2, priority=3)
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.reject", delivery_tag=1)
    _show(t, ch)


@situation
def nacked(t):
    ch = _pair(t)
    ch.publish("", t.n("q"), body=b"1")
    ch.publish("", t.n("q"), body=b"2")
    ch.settle(t.n("q"), 2)
    ch.get(t.n("q"), no_ack=False)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.nack", delivery_tag=2, multiple=True)
    _show(t, ch, 2)


@situation
def expired_by_queue_ttl(t):
    ch = _pair(t, {"x-message-ttl": 30})
    ch.publish("", t.n("q"), body=b"m")
    _show(t, ch)


@situation
def expired_by_expiration(t):
    """The expiration property is taken off, and kept in x-death."""
    ch = _pair(t)
    ch.publish("", t.n("q"), body=b"m", expiration="30", message_id="id")
    _show(t, ch)


@situation
def expired_at_once(t):
    ch = _pair(t, {"x-message-ttl": 0})
    ch.publish("", t.n("q"), body=b"m")
    _show(t, ch)


@situation
def maxlen(t):
    ch = _pair(t, {"x-max-length": 1})
    ch.publish("", t.n("q"), body=b"1")
    ch.publish("", t.n("q"), body=b"2")
    _show(t, ch)
    ch.get(t.n("q"))


@situation
def maxlen_bytes(t):
    ch = _pair(t, {"x-max-length-bytes": 4})
    ch.publish("", t.n("q"), body=b"123")
    ch.publish("", t.n("q"), body=b"456")
    _show(t, ch)


@situation
def overflow_reject_publish(t):
    """A message that is refused is not dead-lettered."""
    ch = _pair(t, {"x-max-length": 1, "x-overflow": "reject-publish"})
    ch.publish("", t.n("q"), body=b"1")
    ch.publish("", t.n("q"), body=b"2")
    ch.quiet()
    ch.settle(t.n("q"), 1)
    ch.get(t.n("dead"))


@situation
def overflow_reject_publish_dlx(t):
    ch = _pair(t, {"x-max-length": 1, "x-overflow": "reject-publish-dlx"})
    ch.confirm()
    for body in (b"1", b"2"):
        ch.publish("", t.n("q"), body=body)
        ch.event()
    _show(t, ch)


@situation
def keeps_its_routing_key(t):
    ch = t.channel()
    ch.exchange(t.n("dlx"), "topic", auto_delete=True)
    ch.queue(t.n("dead"), exclusive=True)
    ch.bind(t.n("dead"), t.n("dlx"), "#")
    ch.queue(t.n("q"), exclusive=True, arguments={"x-dead-letter-exchange": t.n("dlx"),
                                                  "x-message-ttl": 0})
    ch.bind(t.n("q"), "amq.topic", t.n("k") + ".*")
    ch.publish("amq.topic", t.n("k") + ".x", body=b"m")
    _show(t, ch)


@situation
def with_cc(t):
    """CC keys are routed and named in x-death; without an own routing key they are used again."""
    ch = t.channel()
    ch.exchange(t.n("dlx"), "direct", auto_delete=True)
    ch.queue(t.n("dead"), exclusive=True)
    ch.queue(t.n("q"), exclusive=True, arguments={"x-dead-letter-exchange": t.n("dlx"),
                                                  "x-message-ttl": 0})
    ch.bind(t.n("dead"), t.n("dlx"), "copy")
    ch.publish("", t.n("q"), body=b"m", headers={"CC": ["copy"], "BCC": ["hidden"]})
    _show(t, ch)


@situation
def with_cc_and_own_key(t):
    ch = _pair(t, {"x-message-ttl": 0})
    ch.publish("", t.n("q"), body=b"m", headers={"CC": ["copy"]})
    _show(t, ch)


@situation
def exchange_missing(t):
    """Dropped without a word."""
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-dead-letter-exchange": t.n("missing"),
                                                  "x-message-ttl": 0})
    ch.confirm()
    ch.publish("", t.n("q"))
    ch.event()
    ch.queue(t.n("q"), passive=True)


@situation
def to_an_internal_exchange(t):
    ch = t.channel()
    ch.exchange(t.n("dlx"), "fanout", internal=True, auto_delete=True)
    ch.queue(t.n("dead"), exclusive=True)
    ch.bind(t.n("dead"), t.n("dlx"))
    ch.queue(t.n("q"), exclusive=True, arguments={"x-dead-letter-exchange": t.n("dlx"),
                                                  "x-message-ttl": 0})
    ch.publish("", t.n("q"))
    _show(t, ch)


@situation
def twice_counts(t):
    """The same queue and reason again: one entry, counted up, moved to the front."""
    ch = _pair(t)
    ch.publish("", t.n("q"), body=b"m")
    for tag in (1, 3):
        ch.settle(t.n("q"), 1)
        ch.get(t.n("q"), no_ack=False)
        ch.send("basic.reject", delivery_tag=tag)
        ch.settle(t.n("dead"), 1)
        event = ch.get(t.n("dead"), no_ack=False)
        if tag == 1:
            ch.publish("", t.n("q"), body=event.body, headers=event.properties["headers"])


@situation
def twice_for_different_reasons(t):
    ch = t.channel()
    ch.queue(t.n("end"), exclusive=True)
    ch.queue(t.n("dead"), exclusive=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": t.n("end"),
        "x-message-ttl": 20})
    ch.queue(t.n("q"), exclusive=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": t.n("dead"),
        "x-max-length": 0})
    ch.publish("", t.n("q"), body=b"m", expiration="60000")
    ch.settle(t.n("end"), 1)
    ch.get(t.n("end"))


@situation
def cycle_by_ttl_is_cut(t):
    """q -> q by expiry alone would never end: dropped."""
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-dead-letter-exchange": "",
                                                  "x-message-ttl": 20})
    ch.confirm()
    ch.publish("", t.n("q"))
    ch.event()
    ch.settle(t.n("q"), 0)
    ch.get(t.n("q"))


@situation
def cycle_through_a_rejection_goes_on(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True, arguments={"x-dead-letter-exchange": ""})
    ch.publish("", t.n("q"), body=b"m")
    for tag in (1, 2, 3):
        ch.settle(t.n("q"), 1)
        ch.get(t.n("q"), no_ack=False)
        ch.send("basic.reject", delivery_tag=tag)
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


@situation
def retry_with_a_waiting_queue(t):
    """Reject to `wait`, expire back to `q`: the pattern of delayed retries."""
    ch = t.channel()
    ch.queue(t.n("wait"), exclusive=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": t.n("q"),
        "x-message-ttl": 20})
    ch.queue(t.n("q"), exclusive=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": t.n("wait")})
    ch.publish("", t.n("q"), body=b"m")
    for tag in (1, 2):
        ch.settle(t.n("q"), 1)
        ch.get(t.n("q"), no_ack=False)
        ch.send("basic.reject", delivery_tag=tag)
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


@situation
def x_death_of_the_publisher_is_kept(t):
    ch = _pair(t, {"x-message-ttl": 0})
    ch.publish("", t.n("q"), headers={"x-death": [{"queue": "other", "reason": "expired",
                                                    "count": 7}]})
    _show(t, ch)


@situation
def x_death_of_the_wrong_type(t):
    ch = _pair(t, {"x-message-ttl": 0})
    ch.publish("", t.n("q"), headers={"x-death": "nonsense"})
    _show(t, ch)


@situation
def header_types_survive(t):
    """The table is written anew: every type must come out as it went in."""
    from engine import Typed
    ch = _pair(t, {"x-message-ttl": 0})
    ch.publish("", t.n("q"), headers={
        "b": Typed("b", -1), "B": Typed("B", 255), "s": Typed("s", -2), "u": Typed("u", 65535),
        "I": -3, "i": Typed("i", 2**32 - 1), "l": 2**40, "f": Typed("f", 0.5), "d": 1.5,
        "D": Typed("D", (2, 314)), "S": "text", "x": b"\0\xff", "t": True, "V": None,
        "T": Typed("T", 1), "A": [1, "a"], "F": {"k": 1}})
    _show(t, ch)


@situation
def purge_does_not_dead_letter(t):
    ch = _pair(t)
    ch.publish("", t.n("q"))
    ch.settle(t.n("q"), 1)
    ch.call("queue.purge", queue=t.n("q"))
    ch.quiet()
    ch.get(t.n("dead"))


@situation
def delete_does_not_dead_letter(t):
    ch = _pair(t)
    ch.publish("", t.n("q"))
    ch.settle(t.n("q"), 1)
    ch.call("queue.delete", queue=t.n("q"))
    ch.quiet()
    ch.get(t.n("dead"))


@situation
def reject_with_requeue_does_not(t):
    ch = _pair(t)
    ch.publish("", t.n("q"))
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"), no_ack=False)
    ch.send("basic.reject", delivery_tag=1, requeue=True)
    ch.settle(t.n("q"), 1)
    ch.get(t.n("dead"))


@situation
def to_a_consumer(t):
    ch = _pair(t, {"x-message-ttl": 0})
    ch.consume(t.n("dead"), t.n("tag"), no_ack=True)
    ch.publish("", t.n("q"), body=b"m")
    ch.event()


@situation
def to_many_queues(t):
    ch = t.channel()
    ch.exchange(t.n("dlx"), "fanout", auto_delete=True)
    for q in ("a", "b"):
        ch.queue(t.n(q), exclusive=True)
        ch.bind(t.n(q), t.n("dlx"))
    ch.queue(t.n("q"), exclusive=True, arguments={"x-dead-letter-exchange": t.n("dlx"),
                                                  "x-max-length": 0})
    ch.publish("", t.n("q"), body=b"m")
    for q in ("a", "b"):
        ch.settle(t.n(q), 1)
        ch.get(t.n(q))
