"""Properties and headers come out as they went in."""

from engine import Typed, amqp, situation


def _through(t, **properties):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.publish("", t.n("q"), **properties)
    ch.quiet()
    if ch.is_open:
        ch.get(t.n("q"))


@situation
def every_property(t):
    _through(t, content_type="text/plain", content_encoding="gzip", headers={"a": 1},
             delivery_mode=1, priority=3, correlation_id="c", reply_to="r", expiration="60000",
             message_id="m", timestamp=1700000000, type="ty", user_id="guest", app_id="app",
             cluster_id="cl")


@situation
def none(t):
    _through(t)


@situation
def empty_strings(t):
    _through(t, content_type="", correlation_id="", message_id="", type="")


@situation
def persistent(t):
    _through(t, delivery_mode=2)


@situation
def delivery_mode_0(t):
    _through(t, delivery_mode=0)


@situation
def delivery_mode_9(t):
    _through(t, delivery_mode=9)


@situation
def priority_255(t):
    _through(t, priority=255)


@situation
def empty_headers(t):
    _through(t, headers={})


@situation
def headers_of_every_type(t):
    _through(t, headers={
        "b": Typed("b", -1), "B": Typed("B", 255), "s": Typed("s", -2), "u": Typed("u", 65535),
        "I": Typed("I", -3), "i": Typed("i", 2**32 - 1), "l": 2**40, "f": Typed("f", 0.5),
        "d": 1.5, "D": Typed("D", (2, 314)), "S": "text", "x": b"\0\xff", "t": True, "f2": False,
        "V": None, "T": Typed("T", 1), "A": [1, "a", {}, []], "F": {"k": {"k": [1]}}})


@situation
def headers_with_an_unknown_type(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.publish("", t.n("q"), headers=amqp.long_string(b"\1kQabc"))
    ch.quiet()


@situation
def headers_with_an_unknown_type_through_a_headers_exchange(t):
    ch = t.channel()
    ch.publish("amq.headers", "", headers=amqp.long_string(b"\1kQabc"))
    ch.quiet()


@situation
def headers_that_end_early(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.publish("", t.n("q"), headers=b"\0\0\0\x20\1k")
    ch.quiet()


@situation
def headers_named_like_the_brokers(t):
    _through(t, headers={"x-death": "mine", "x-delivery-count": 5, "x-first-death-queue": "q"})


@situation
def headers_in_return(t):
    ch = t.channel()
    ch.publish("", t.n("missing"), mandatory=True, headers={"a": [1, {"b": None}]}, priority=1,
               timestamp=5, correlation_id="c")
    ch.event()


@situation
def text_properties_of_255_bytes(t):
    _through(t, correlation_id="c" * 255, message_id="ü" * 127)


@situation
def text_property_not_utf8(t):
    _through(t, correlation_id=b"\xff\xfe\x80")


@situation
def timestamp_largest(t):
    ch = t.channel()
    ch.queue(t.n("q"), exclusive=True)
    ch.publish("", t.n("q"), timestamp=2**63)
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))
