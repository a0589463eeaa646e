"""Frames that are wrong in themselves, or in the wrong place."""

import struct

from engine import FRAME_MAX, amqp, situation

PATIENCE = 8


def _channel(t, **options):
    return t.connect(**options).channel()


def _publish(ch, exchange="", key="nowhere"):
    ch.send("basic.publish", exchange=exchange, routing_key=key)


def _header(ch, size, say=None, **options):
    ch.frame(amqp.CONTENT_HEADER, amqp.content_header(size, **options), say or f"header {size}")


def _body(ch, data, say=None):
    ch.frame(amqp.BODY, data, say or f"body of {len(data)}")


@situation
def frame_over_frame_max(t):
    ch = _channel(t, frame_max=4096)
    _publish(ch)
    _header(ch, 5000)
    _body(ch, b"x" * 5000)
    ch.event()


@situation
def frame_of_frame_max(t):
    ch = _channel(t, frame_max=4096)
    ch.queue(t.n("q"), exclusive=True)
    _publish(ch, key=t.n("q"))
    _header(ch, 4088)
    _body(ch, b"x" * 4088)
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


@situation
def frame_one_over_frame_max(t):
    ch = _channel(t, frame_max=4096)
    _publish(ch)
    _header(ch, 4089)
    _body(ch, b"x" * 4089)
    ch.quiet()


@situation
def frame_with_a_payload_of_frame_max(t):
    """RabbitMQ forgives clients that forget the 8 bytes around the payload."""
    ch = _channel(t, frame_max=4096)
    _publish(ch)
    _header(ch, 4096)
    _body(ch, b"x" * 4096)
    ch.quiet()


@situation
def frame_with_a_payload_over_frame_max(t):
    ch = _channel(t, frame_max=4096)
    _publish(ch)
    _header(ch, 4097)
    _body(ch, b"x" * 4097)
    ch.quiet()


@situation
def method_frame_over_frame_max_before_tune(t):
    c = t.raw()
    c.start()
    c.bytes(amqp.frame(amqp.METHOD, 0, b"\0\x0a\0\x0b" + b"x" * 5000), "start-ok of 5000 bytes")
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def frame_of_4_gigabytes(t):
    c = t.connect()
    c.bytes(struct.pack(">BHI", 1, 1, 0xFFFFFFFF), "frame of 4294967295 bytes")
    c.event()


@situation
def frame_max_is_kept_by_the_broker(t):
    ch = _channel(t, frame_max=4096)
    ch.queue(t.n("q"), exclusive=True)
    ch.publish(key=t.n("q"), body=b"")
    ch.sock.send(amqp.method_frame(1, "basic.publish", routing_key=t.n("q"))
                 + amqp.content_frames(1, b"y" * 10000, 4096))
    ch.settle(t.n("q"), 2)
    ch.get(t.n("q"))
    t.note(f"body frames {ch.get(t.n('q')).frame_sizes}")


@situation
def frame_end_wrong(t):
    ch = _channel(t)
    ch.frame(amqp.METHOD, amqp.method("basic.qos"), "basic.qos with frame end 0", end=0)
    ch.event()


@situation
def frame_type_unknown(t):
    ch = _channel(t)
    ch.frame(7, b"abc", "frame of type 7")
    ch.event()


@situation
def frame_type_unknown_on_channel_0(t):
    c = t.connect()
    c.bytes(amqp.frame(9, 0, b""), "frame of type 9")
    c.event()


@situation
def frame_type_unknown_on_unopened_channel(t):
    c = t.connect()
    c.bytes(amqp.frame(4, 5, b"abc"), "frame of type 4 on channel 5")
    c.event()


@situation
def class_unknown(t):
    ch = _channel(t)
    ch.frame(amqp.METHOD, struct.pack(">HH", 110, 10), "method 110.10")
    ch.event()


@situation
def method_unknown(t):
    ch = _channel(t)
    ch.frame(amqp.METHOD, struct.pack(">HH", 60, 99), "method 60.99")
    ch.event()


@situation
def class_unknown_on_channel_0(t):
    c = t.connect()
    c.bytes(amqp.frame(amqp.METHOD, 0, struct.pack(">HH", 110, 10)), "method 110.10")
    c.event()


@situation
def access_request(t):
    """A method of 0-8 that old clients still send."""
    ch = _channel(t)
    ch.frame(amqp.METHOD, struct.pack(">HH", 30, 10) + amqp.short_string("/data") + b"\0",
             "access.request")
    ch.event()


@situation
def method_payload_too_short(t):
    ch = _channel(t)
    ch.frame(amqp.METHOD, b"\0\x3c", "method of 2 bytes")
    ch.event()


@situation
def method_payload_empty(t):
    ch = _channel(t)
    ch.frame(amqp.METHOD, b"", "method of 0 bytes")
    ch.event()


@situation
def method_arguments_too_short(t):
    ch = _channel(t)
    ch.frame(amqp.METHOD, amqp.method("queue.declare", queue="abc")[:8], "queue.declare cut short")
    ch.event()


@situation
def method_arguments_too_long(t):
    ch = _channel(t)
    ch.frame(amqp.METHOD, amqp.method("basic.qos") + b"zz", "basic.qos and 2 bytes more")
    ch.event()


@situation
def table_longer_than_frame(t):
    ch = _channel(t)
    ch.send("queue.declare", queue="", arguments=b"\0\0\1\0abc")
    ch.event()


@situation
def table_value_of_unknown_type(t):
    ch = _channel(t)
    ch.send("queue.declare", queue="", arguments=amqp.long_string(b"\1kQabc"))
    ch.event()


@situation
def table_key_cut_short(t):
    ch = _channel(t)
    ch.send("queue.declare", queue="", arguments=amqp.long_string(b"\5k"))
    ch.event()


@situation
def table_nested_1000_deep(t):
    c = t.connect()
    ch = c.channel()
    value = b"\0\0\0\0"
    for _ in range(1000):
        value = amqp.long_string(b"\1kF" + value)
    c.sent(1, "queue.declare with a table nested 1000 deep")
    ch.sock.send(amqp.method_frame(1, "queue.declare", queue=t.n("q"), exclusive=True,
                                   arguments=value))
    ch.event()
    if ch.is_open:
        ch.queue(t.n("q"), passive=True)


@situation
def table_with_every_type(t):
    ch = _channel(t)
    ch.queue(t.n("q"), exclusive=True, arguments={
        "b": amqp.Typed("b", -1), "B": amqp.Typed("B", 1), "s": amqp.Typed("s", -2),
        "u": amqp.Typed("u", 2), "I": amqp.Typed("I", 3), "i": amqp.Typed("i", 4), "l": 2**40,
        "f": amqp.Typed("f", 0.5), "d": 1.5, "D": amqp.Typed("D", (2, 314)), "S": "text",
        "x": b"\0\xff", "t": True, "V": None, "T": amqp.Typed("T", 1), "A": [1, "a", {}],
        "F": {"k": [1]}})


@situation
def table_with_a_key_twice(t):
    ch = _channel(t)
    pair = amqp.short_string("x-max-length")
    ch.send("queue.declare", queue=t.n("q"), exclusive=True, arguments=amqp.long_string(
        pair + amqp.field(1) + pair + amqp.field(2)))
    ch.event()


@situation
def content_on_channel_0(t):
    c = t.connect()
    c.bytes(amqp.frame(amqp.CONTENT_HEADER, 0, amqp.content_header(1)), "content header")
    c.event()


@situation
def body_on_channel_0(t):
    c = t.connect()
    c.bytes(amqp.frame(amqp.BODY, 0, b"x"), "body")
    c.event()


@situation
def channel_method_on_channel_0(t):
    c = t.connect()
    c.bytes(amqp.method_frame(0, "queue.declare", queue="q"), "queue.declare on channel 0")
    c.event()


@situation
def channel_open_on_channel_0(t):
    c = t.connect()
    c.bytes(amqp.method_frame(0, "channel.open"), "channel.open on channel 0")
    c.event()


@situation
def connection_method_on_channel_1(t):
    ch = _channel(t)
    ch.send("connection.open", virtual_host="/")
    ch.event()


@situation
def connection_close_on_channel_1(t):
    ch = _channel(t)
    ch.send("connection.close", reply_code=200)
    ch.event()


@situation
def channel_above_channel_max(t):
    c = t.connect(channel_max=10)
    ch = c.unopened(11)
    ch.send("channel.open")
    ch.event()


@situation
def channel_65535(t):
    c = t.connect()
    ch = c.unopened(65535)
    ch.send("channel.open")
    ch.event()


@situation
def content_header_without_method(t):
    ch = _channel(t)
    _header(ch, 1)
    ch.event()


@situation
def body_without_method(t):
    ch = _channel(t)
    _body(ch, b"x")
    ch.event()


@situation
def body_instead_of_header(t):
    ch = _channel(t)
    _publish(ch)
    _body(ch, b"x")
    ch.event()


@situation
def header_instead_of_body(t):
    ch = _channel(t)
    _publish(ch)
    _header(ch, 4)
    _header(ch, 4)
    ch.event()


@situation
def header_of_another_class(t):
    ch = _channel(t)
    _publish(ch)
    _header(ch, 1, "header of class 50", class_id=50)
    ch.event()


@situation
def header_weight_not_0(t):
    ch = _channel(t)
    ch.queue(t.n("q"), exclusive=True)
    _publish(ch, key=t.n("q"))
    _header(ch, 1, "header of weight 1", weight=1)
    _body(ch, b"x")
    ch.quiet()


@situation
def header_too_short(t):
    ch = _channel(t)
    _publish(ch)
    ch.frame(amqp.CONTENT_HEADER, struct.pack(">HHI", 60, 0, 1), "header of 8 bytes")
    ch.event()


@situation
def header_properties_cut_short(t):
    ch = _channel(t)
    ch.queue(t.n("q"), exclusive=True)
    _publish(ch, key=t.n("q"))
    ch.frame(amqp.CONTENT_HEADER, amqp.content_header(0, content_type="text/plain")[:-4],
             "header with content_type cut short")
    ch.quiet()


@situation
def header_with_undefined_flag(t):
    ch = _channel(t)
    ch.queue(t.n("q"), exclusive=True)
    _publish(ch, key=t.n("q"))
    ch.frame(amqp.CONTENT_HEADER, struct.pack(">HHQH", 60, 0, 0, 2), "header with property flag 1")
    ch.quiet()


@situation
def header_with_continued_flags(t):
    ch = _channel(t)
    ch.queue(t.n("q"), exclusive=True)
    _publish(ch, key=t.n("q"))
    ch.frame(amqp.CONTENT_HEADER, struct.pack(">HHQHH", 60, 0, 0, 1, 0),
             "header with two flag words")
    ch.quiet()


@situation
def header_with_bytes_left_over(t):
    ch = _channel(t)
    ch.queue(t.n("q"), exclusive=True)
    _publish(ch, key=t.n("q"))
    ch.frame(amqp.CONTENT_HEADER, amqp.content_header(0) + b"zz", "header and 2 bytes more")
    ch.quiet()


@situation
def body_longer_than_announced(t):
    ch = _channel(t)
    _publish(ch)
    _header(ch, 3)
    _body(ch, b"abcd")
    ch.quiet()


@situation
def body_in_many_frames(t):
    ch = _channel(t)
    ch.queue(t.n("q"), exclusive=True)
    _publish(ch, key=t.n("q"))
    _header(ch, 5)
    for i in range(5):
        _body(ch, b"%d" % i)
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


@situation
def body_frame_empty(t):
    ch = _channel(t)
    ch.queue(t.n("q"), exclusive=True)
    _publish(ch, key=t.n("q"))
    _header(ch, 1)
    _body(ch, b"")
    _body(ch, b"x")
    ch.settle(t.n("q"), 1)
    ch.get(t.n("q"))


@situation
def body_frame_after_an_empty_body(t):
    ch = _channel(t)
    _publish(ch)
    _header(ch, 0)
    _body(ch, b"")
    ch.event()


@situation
def body_size_of_1_terabyte(t):
    ch = _channel(t)
    _publish(ch)
    _header(ch, 1 << 40)
    ch.quiet()


@situation
def body_size_over_the_limit_by_1(t):
    ch = _channel(t)
    _publish(ch)
    _header(ch, 134217728 + 1)
    ch.quiet()


@situation
def method_in_the_middle_of_content(t):
    ch = _channel(t)
    _publish(ch)
    _header(ch, 4)
    ch.send("basic.qos", prefetch_count=1)
    ch.event()


@situation
def method_instead_of_header(t):
    ch = _channel(t)
    _publish(ch)
    ch.send("basic.qos", prefetch_count=1)
    ch.event()


@situation
def close_in_the_middle_of_content(t):
    ch = _channel(t)
    _publish(ch)
    _header(ch, 4)
    ch.send("channel.close", reply_code=200)
    ch.event()


@situation
def contents_of_two_channels_interleaved(t):
    c = t.connect()
    one, two = c.channel(), c.channel()
    one.queue(t.n("q"), exclusive=True)
    for ch in (one, two):
        _publish(ch, key=t.n("q"))
    for ch in (one, two):
        _header(ch, 2)
    for i in range(2):
        for ch in (one, two):
            _body(ch, b"%d" % ch.number)
    one.settle(t.n("q"), 2)
    t.note("bodies " + ", ".join(sorted(str(one.sock and _quiet_get(one, t.n("q")))
                                        for _ in range(2))))


def _quiet_get(ch, queue):
    ch.sock.send(amqp.method_frame(ch.number, "basic.get", queue=queue, no_ack=True))
    return ch.sock.receive(ch.number, 5).body


@situation
def heartbeat_on_channel_1(t):
    ch = _channel(t)
    ch.frame(amqp.HEARTBEAT, b"", "heartbeat on channel 1")
    ch.quiet()


@situation
def heartbeat_with_payload(t):
    c = t.connect()
    ch = c.channel()
    c.bytes(amqp.frame(amqp.HEARTBEAT, 0, b"abc"), "heartbeat with a payload")
    ch.quiet()


@situation
def heartbeat_between_content_frames(t):
    c = t.connect()
    ch = c.channel()
    ch.queue(t.n("q"), exclusive=True)
    _publish(ch, key=t.n("q"))
    c.bytes(amqp.frame(amqp.HEARTBEAT, 0, b""), "heartbeat")
    _header(ch, 1)
    _body(ch, b"x")
    ch.settle(t.n("q"), 1)


@situation
def protocol_header_when_open(t):
    c = t.connect()
    c.bytes(amqp.HEADER, "AMQP 0 0 9 1, again")
    c.event()


@situation
def reserved_bits_set(t):
    ch = _channel(t)
    payload = bytearray(amqp.method("basic.get", queue=t.n("q"), no_ack=True))
    payload[-1] |= 0xFE
    ch.queue(t.n("q"), exclusive=True)
    ch.frame(amqp.METHOD, bytes(payload), "basic.get with unused bits set")
    ch.event()


@situation
def content_of_maximum_frame(t):
    ch = _channel(t)
    ch.queue(t.n("q"), exclusive=True)
    ch.publish(key=t.n("q"), body=b"z" * (FRAME_MAX - 8))
    ch.publish(key=t.n("q"), body=b"z" * (FRAME_MAX - 7))
    ch.settle(t.n("q"), 2)
    for _ in range(2):
        t.note(f"body frames {ch.get(t.n('q')).frame_sizes}")
