#!/usr/bin/python3
"""pika's BlockingConnection, used as its manual shows."""

import datetime
import decimal
import functools
import ssl
import time

import pika
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    NackError,
    ProbableAuthenticationError,
    UnroutableError,
)
from pika.exchange_type import ExchangeType

from checks import CA_FILE, TLS_URL, URL, Skip, check, equal, eventually, fresh, run

PERSISTENT = pika.BasicProperties(delivery_mode=2)


def connect(**changes):
    parameters = pika.URLParameters(URL)
    for name, value in changes.items():
        setattr(parameters, name, value)
    return pika.BlockingConnection(parameters)


def with_channel(function):
    """Hands the check a fresh channel of a fresh connection, and closes both after success."""

    @functools.wraps(function)
    def wrapped():
        connection = connect()
        function(connection.channel())
        connection.close()

    return wrapped


def queue_of(channel, **declaration):
    declaration.setdefault("exclusive", True)
    return channel.queue_declare("", **declaration).method.queue


def bodies(channel, queue):
    """Everything that basic.get finds in the queue, acknowledged."""
    found = []
    while True:
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return found
        found.append(body)


def wait_for(channel, container, count, seconds=10):
    eventually(
        lambda: len(container) >= count,
        f"{count} deliveries (have {len(container)})",
        seconds,
        lambda: channel.connection.process_data_events(0.05),
    )
    equal(len(container), count, "deliveries")


def refused(code, action, *texts):
    """`action(channel)` must close a fresh channel with this code and leave the connection usable."""
    connection = connect()
    channel = connection.channel()
    try:
        action(channel)
    except ChannelClosedByBroker as closed:
        equal(closed.reply_code, code, "reply code")
        for text in texts:
            assert text in closed.reply_text, f"{text!r} not in {closed.reply_text!r}"
    else:
        raise AssertionError(f"the broker accepted what it had to refuse with {code}")
    connection.channel().queue_delete(fresh("unused"))
    connection.close()


@check("the server announces RabbitMQ's capabilities")
def capabilities():
    connection = connect()
    properties = connection._impl.server_properties
    for name in (
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ):
        assert properties["capabilities"].get(name) is True, f"capability {name} is missing"
    for name in ("product", "version", "platform"):
        assert properties[name], f"server property {name} is missing"
    assert connection.basic_nack_supported
    connection.close()


@check("wrong password, unknown user and unknown vhost are refused, each in its own way")
def refusals():
    for name, password in (("guest", "wrong"), (fresh("nobody"), "guest")):
        try:
            connect(credentials=pika.PlainCredentials(name, password))
        except ProbableAuthenticationError as error:
            assert "ACCESS_REFUSED" in str(error) and "403" in str(error), error
        else:
            raise AssertionError(f"{name} was let in")
    try:
        connect(virtual_host=fresh("no-such-vhost"))
    except AMQPConnectionError as error:
        assert "530" in str(error) or "530" in repr(error), repr(error)
    else:
        raise AssertionError("an unknown vhost was opened")


@check("publish, get, consume; every property and header type comes back")
@with_channel
def round_trip(channel):
    queue = queue_of(channel)
    headers = {
        "text": "grün",
        "bytes": b"\x00\xff",
        "true": True,
        "small": -7,
        "large": 2**40,
        "decimal": decimal.Decimal("1.25"),
        "time": datetime.datetime(2030, 1, 2, 3, 4, 5),
        "nothing": None,
        "list": [1, "two", [3], {"four": 4}],
        "table": {"a": {"b": {"c": "deep"}}},
    }
    sent = pika.BasicProperties(
        content_type="text/plain",
        content_encoding="utf-8",
        headers=headers,
        delivery_mode=2,
        priority=3,
        correlation_id="corr",
        reply_to="reply",
        expiration="60000",
        message_id="id",
        timestamp=1700000000,
        type="type",
        user_id="guest",
        app_id="app",
    )
    for body in (b"", b"x", bytes(range(256)) * 700):
        channel.basic_publish("", queue, body, sent)
        method, got, received = channel.basic_get(queue, auto_ack=True)
        assert method is not None, "basic.get found nothing"
        equal(method.routing_key, queue, "routing key")
        equal(method.exchange, "", "exchange")
        equal(method.redelivered, False, "redelivered")
        equal(method.message_count, 0, "message count")
        equal(received, body, "body")
        equal(got.headers, headers, "headers")
        equal(vars(got), vars(sent), "properties")

    deliveries = []
    channel.basic_consume(queue, lambda _c, m, p, b: deliveries.append((m, b)), auto_ack=True)
    for number in range(100):
        channel.basic_publish("", queue, b"%d" % number)
    wait_for(channel, deliveries, 100)
    equal([b for _, b in deliveries], [b"%d" % n for n in range(100)], "order")
    equal([m.delivery_tag for m, _ in deliveries], list(range(4, 104)), "delivery tags")


@check("the consume() generator, its timeout, and cancel() that hands messages back")
@with_channel
def generator(channel):
    queue = queue_of(channel)
    for number in range(10):
        channel.basic_publish("", queue, b"%d" % number)
    for method, _, body in channel.consume(queue, inactivity_timeout=5):
        channel.basic_ack(method.delivery_tag)
        if body == b"3":
            break
    channel.cancel()
    equal(bodies(channel, queue), [b"%d" % n for n in range(4, 10)], "left in the queue")
    for method, _, _ in channel.consume(queue, inactivity_timeout=0.1):
        equal(method, None, "an empty queue's delivery")
        break
    channel.cancel()


@check("publisher confirms: ack, unroutable, rejected by a full queue")
@with_channel
def confirms(channel):
    channel.confirm_delivery()
    queue = queue_of(channel)
    for number in range(200):
        channel.basic_publish("", queue, b"%d" % number, PERSISTENT, mandatory=True)
    equal(len(bodies(channel, queue)), 200, "confirmed messages in the queue")
    channel.basic_publish("", fresh("nowhere"), b"dropped")  # not mandatory: confirmed and dropped
    try:
        channel.basic_publish("", fresh("nowhere"), b"back", mandatory=True)
    except UnroutableError as error:
        equal([m.body for m in error.messages], [b"back"], "returned messages")
        equal(error.messages[0].method.reply_code, 312, "return code")
    else:
        raise AssertionError("a mandatory message to nowhere was not returned")
    full = queue_of(channel, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    channel.basic_publish("", full, b"first")
    try:
        channel.basic_publish("", full, b"second")
    except NackError:
        pass
    else:
        raise AssertionError("a full queue with reject-publish accepted a message")
    equal(bodies(channel, full), [b"first"], "the full queue")


@check("without confirms: basic.return reaches the callback with code, text and content")
@with_channel
def returns(channel):
    returned = []
    channel.add_on_return_callback(lambda _c, method, p, body: returned.append((method, p, body)))
    key = fresh("nowhere")
    channel.basic_publish("amq.topic", key, b"back", pika.BasicProperties(message_id="7"), mandatory=True)
    wait_for(channel, returned, 1)
    method, properties, body = returned[0]
    equal((method.reply_code, method.reply_text), (312, "NO_ROUTE"), "reply")
    equal((method.exchange, method.routing_key), ("amq.topic", key), "address")
    equal((properties.message_id, body), ("7", b"back"), "content")


@check("qos: a consumer is lent no more than its prefetch; an ack makes room")
@with_channel
def qos_limits(channel):
    queue = queue_of(channel)
    for number in range(30):
        channel.basic_publish("", queue, b"%d" % number)
    for prefetch, global_qos, consumers, expected in (
        (3, False, 1, 3),
        (3, False, 2, 6),
        (4, True, 3, 4),
        (0, False, 1, 30),
    ):
        inner = channel.connection.channel()
        held = []
        inner.basic_qos(prefetch_count=prefetch, global_qos=global_qos)
        for _ in range(consumers):
            inner.basic_consume(queue, lambda _c, m, p, b: held.append(m.delivery_tag))
        wait_for(channel, held, expected)
        channel.connection.process_data_events(0.2)
        equal(len(held), expected, f"lent with prefetch {prefetch}, global {global_qos}")
        if expected < 30:
            inner.basic_ack(held[0])
            wait_for(channel, held, expected + 1)
            channel.basic_publish("", queue, b"replacement")
        inner.close()  # hands back what was lent
    equal(len(bodies(channel, queue)), 30, "handed back")


@check("nack, reject and recover put messages back in their place, marked as redelivered")
@with_channel
def requeue(channel):
    queue = queue_of(channel)
    for number in range(4):
        channel.basic_publish("", queue, b"%d" % number)
    got = [channel.basic_get(queue) for _ in range(4)]
    channel.basic_reject(got[0][0].delivery_tag, requeue=False)
    channel.basic_nack(got[2][0].delivery_tag, multiple=True, requeue=True)
    again = channel.basic_get(queue)
    equal((again[2], again[0].redelivered), (b"1", True), "first after the nack")
    channel.basic_recover(requeue=True)
    for expected in (b"1", b"2", b"3"):
        method, _, body = channel.basic_get(queue, auto_ack=True)
        equal((body, method.redelivered), (expected, True), "after recover")
    equal(bodies(channel, queue), [], "the rejected message")


@check("transactions: commit publishes and settles, rollback forgets")
@with_channel
def transactions(channel):
    queue = queue_of(channel)
    channel.tx_select()
    channel.basic_publish("", queue, b"kept")
    equal(channel.queue_declare(queue, passive=True).method.message_count, 0, "before the commit")
    channel.tx_commit()
    equal(channel.queue_declare(queue, passive=True).method.message_count, 1, "after the commit")
    channel.basic_publish("", queue, b"forgotten")
    channel.tx_rollback()
    method, _, body = channel.basic_get(queue)
    equal(body, b"kept", "the committed message")
    channel.basic_ack(method.delivery_tag)
    channel.tx_rollback()
    channel.basic_ack(method.delivery_tag)  # the rolled back ack left the message unsettled
    channel.tx_commit()
    channel.close()
    equal(bodies(channel.connection.channel(), queue), [], "after the committed ack")


def routed(channel, exchange, queues, key, **properties):
    """Which of the named queues one message reaches."""
    channel.basic_publish(exchange, key, b"m", pika.BasicProperties(**properties))
    return {name for name, queue in queues.items() if bodies(channel, queue)}


@check("direct, fanout, topic and headers exchanges route as specified")
@with_channel
def exchange_types(channel):
    channel.confirm_delivery()

    def declared(exchange_type, bindings):
        exchange = fresh(exchange_type.value)
        channel.exchange_declare(exchange, exchange_type, auto_delete=True)
        queues = {}
        for name, key, arguments in bindings:
            queues.setdefault(name, queue_of(channel))
            channel.queue_bind(queues[name], exchange, key, arguments)
        return exchange, queues

    exchange, queues = declared(ExchangeType.direct, [("a", "k", None), ("b", "k", None), ("c", "K", None)])
    equal(routed(channel, exchange, queues, "k"), {"a", "b"}, "direct k")
    equal(routed(channel, exchange, queues, "x"), set(), "direct x")
    channel.queue_unbind(queues["a"], exchange, "k")
    equal(routed(channel, exchange, queues, "k"), {"b"}, "direct k after unbind")

    exchange, queues = declared(ExchangeType.fanout, [("a", "", None), ("b", "ignored", None)])
    equal(routed(channel, exchange, queues, "anything"), {"a", "b"}, "fanout")

    exchange, queues = declared(
        ExchangeType.topic,
        [("star", "*.b.*", None), ("hash", "a.#", None), ("all", "#", None), ("exact", "a.b.c", None),
         ("tail", "#.c", None), ("middle", "a.#.c", None)],
    )
    for key, expected in (
        ("a.b.c", {"star", "hash", "all", "exact", "tail", "middle"}),
        ("a", {"hash", "all"}),
        ("a.c", {"hash", "all", "tail", "middle"}),
        ("x.b.y", {"star", "all"}),
        ("", {"all"}),
        ("c", {"all", "tail"}),
        ("a..c", {"hash", "all", "tail", "middle"}),
    ):
        equal(routed(channel, exchange, queues, key), expected, f"topic {key!r}")

    exchange, queues = declared(
        ExchangeType.headers,
        [("all", "", {"x-match": "all", "a": 1, "b": "two"}), ("any", "", {"x-match": "any", "a": 1, "b": "two"}),
         ("default", "", {"a": 1}), ("present", "", {"x-match": "all", "c": None})],
    )
    for headers, expected in (
        ({"a": 1, "b": "two"}, {"all", "any", "default"}),
        ({"a": 1}, {"any", "default"}),
        ({"b": "two", "c": 0}, {"any", "present"}),
        ({"a": 2}, set()),
        ({}, set()),
    ):
        equal(routed(channel, exchange, queues, "", headers=headers), expected, f"headers {headers}")


@check("exchange to exchange bindings, alternate exchanges, CC and BCC")
@with_channel
def topologies(channel):
    channel.confirm_delivery()
    source, middle, lost = fresh("source"), fresh("middle"), fresh("lost")
    queues = {name: queue_of(channel) for name in ("end", "lost", "cc")}
    channel.exchange_declare(lost, ExchangeType.fanout, auto_delete=True)
    channel.queue_bind(queues["lost"], lost, "")
    channel.exchange_declare(source, ExchangeType.topic, arguments={"alternate-exchange": lost})
    channel.exchange_declare(middle, ExchangeType.direct, internal=True)
    channel.exchange_bind(middle, source, "a.#")
    channel.queue_bind(queues["end"], middle, "a.b")
    equal(routed(channel, source, queues, "a.b"), {"end"}, "through two exchanges")
    # An exchange bound to it counts as a destination, so the alternate exchange stays out of it.
    equal(routed(channel, source, queues, "a.c"), set(), "routed to an exchange that drops it")
    equal(routed(channel, source, queues, "z"), {"lost"}, "not bound")
    equal(routed(channel, "", queues, queues["end"], headers={"CC": [queues["cc"]]}), {"end", "cc"}, "CC")
    channel.basic_publish("", queues["end"], b"m", pika.BasicProperties(headers={"BCC": [queues["cc"]], "h": 1}))
    _, properties, _ = channel.basic_get(queues["cc"], auto_ack=True)
    equal(properties.headers, {"h": 1}, "BCC is removed")
    channel.exchange_unbind(middle, source, "a.#")
    bodies(channel, queues["end"])
    equal(routed(channel, source, queues, "a.b"), {"lost"}, "after the unbind")
    channel.exchange_delete(source)
    channel.exchange_delete(middle)
    refused(403, lambda c: c.exchange_declare("amq.mine", ExchangeType.direct), "ACCESS_REFUSED")


@check("remote calls over direct reply-to, and over an exclusive reply queue")
@with_channel
def remote_calls(channel):
    server_connection = connect()
    server = server_connection.channel()
    service = queue_of(server, exclusive=False, auto_delete=True)

    def answer(inner, method, properties, body):
        inner.basic_publish("", properties.reply_to, body.upper(),
                            pika.BasicProperties(correlation_id=properties.correlation_id))
        inner.basic_ack(method.delivery_tag)

    server.basic_consume(service, answer)
    for reply_to in ("amq.rabbitmq.reply-to", queue_of(channel)):
        replies = []
        tag = channel.basic_consume(reply_to, lambda _c, _m, p, b: replies.append((p.correlation_id, b)), auto_ack=True)
        for number in range(20):
            channel.basic_publish("", service, b"call %d" % number,
                                  pika.BasicProperties(reply_to=reply_to, correlation_id=str(number)))

        def both():
            server_connection.process_data_events(0.01)
            channel.connection.process_data_events(0.01)

        eventually(lambda: len(replies) == 20, f"20 replies over {reply_to}", 10, both)
        equal(replies, [(str(n), b"CALL %d" % n) for n in range(20)], "replies")
        channel.basic_cancel(tag)
    server_connection.close()
    refused(406, lambda c: (c.basic_publish("", "x", b"", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to")),
                            c.queue_declare("", exclusive=True)), "PRECONDITION_FAILED")


@check("the broker tells a consumer that its queue is gone")
@with_channel
def cancel_notification(channel):
    queue = queue_of(channel, exclusive=False)
    cancelled = []
    channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
    tag = channel.basic_consume(queue, lambda *_: None)
    other = connect()
    other.channel().queue_delete(queue)
    wait_for(channel, cancelled, 1)
    equal(cancelled, [tag], "cancelled consumers")
    other.close()


@check("404, 405, 406, 403 and 530 for the mistakes that earn them")
@with_channel
def mistakes(channel):
    exclusive = queue_of(channel)
    plain = fresh("plain")  # not one that the broker named: amq.gen-* cannot be declared again
    channel.queue_declare(plain, auto_delete=True)
    channel.basic_consume(plain, lambda *_: None, exclusive=True)
    exchange = fresh("exchange")
    channel.exchange_declare(exchange, ExchangeType.direct)
    channel.queue_bind(plain, exchange, "k")
    missing = fresh("missing")

    refused(404, lambda c: c.queue_declare(missing, passive=True), "NOT_FOUND", f"no queue '{missing}' in vhost '/'")
    refused(404, lambda c: c.basic_consume(missing, lambda *_: None), "NOT_FOUND")
    refused(404, lambda c: c.basic_get(missing), "NOT_FOUND")
    refused(404, lambda c: c.queue_bind(plain, missing, "k"), f"no exchange '{missing}' in vhost '/'")
    refused(404, lambda c: (c.confirm_delivery(), c.basic_publish(missing, "k", b"")), f"no exchange '{missing}'")
    refused(405, lambda c: c.queue_declare(exclusive, passive=True), "RESOURCE_LOCKED")
    refused(405, lambda c: c.basic_get(exclusive), "RESOURCE_LOCKED")
    refused(403, lambda c: c.basic_consume(plain, lambda *_: None), "ACCESS_REFUSED", "in exclusive use")
    refused(403, lambda c: c.queue_declare("amq.mine"), "ACCESS_REFUSED")
    refused(403, lambda c: c.exchange_delete("amq.topic"), "ACCESS_REFUSED")
    refused(406, lambda c: c.queue_declare(plain, durable=True), "PRECONDITION_FAILED", "inequivalent arg 'durable'")
    refused(406, lambda c: c.queue_declare(missing, arguments={"x-message-ttl": -1}), "PRECONDITION_FAILED")
    refused(406, lambda c: c.exchange_declare(exchange, ExchangeType.fanout), "inequivalent arg 'type'")
    refused(406, lambda c: c.exchange_delete(exchange, if_unused=True), "in use")
    refused(406, lambda c: c.queue_delete(plain, if_unused=True), "in use")
    refused(406, lambda c: (c.basic_ack(99), c.queue_declare("", exclusive=True)), "unknown delivery tag 99")
    refused(406, lambda c: (c.tx_select(), c.confirm_delivery()), "PRECONDITION_FAILED")
    channel.exchange_delete(exchange)

    def same_tag_twice(inner):
        queue = queue_of(inner)
        inner._impl.basic_consume(queue, lambda *_: None, consumer_tag="twice")
        # The client refuses a tag that it knows; once it forgets, the broker has its say.
        inner._impl._consumers.clear()
        inner._impl.basic_consume(queue, lambda *_: None, consumer_tag="twice")
        eventually(lambda: inner.connection.is_closed, "the broker closes",
                   step=lambda: inner.connection.process_data_events(0.1))

    connection = connect()
    try:
        same_tag_twice(connection.channel())
    except ConnectionClosedByBroker as closed:
        equal(closed.reply_code, 530, "reply code")
    else:
        raise AssertionError("one consumer tag was accepted twice")


@check("time to live, dead letters with their history, length limits, expiring queues")
@with_channel
def policies(channel):
    channel.confirm_delivery()
    dead = queue_of(channel)
    queue = queue_of(channel, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead, "x-message-ttl": 50, "x-max-length": 3})
    for number in range(4):
        channel.basic_publish("", queue, b"%d" % number)
    found = []

    def collect():
        item = channel.basic_get(dead, auto_ack=True)
        found.append(item) if item[0] else time.sleep(0.01)

    eventually(lambda: len(found) == 4, "four dead letters", 10, collect)
    equal([body for _, _, body in found], [b"0", b"1", b"2", b"3"], "dead letters")
    reasons = [properties.headers["x-death"][0]["reason"] for _, properties, _ in found]
    equal(reasons, ["maxlen", "expired", "expired", "expired"], "reasons")
    death = found[1][1].headers["x-death"][0]
    equal((death["queue"], death["count"], death["exchange"], death["routing-keys"]), (queue, 1, "", [queue]), "x-death")
    equal(found[1][1].headers["x-first-death-reason"], "expired", "x-first-death-reason")

    channel.basic_publish("", queue, b"no")
    method, _, _ = channel.basic_get(queue)
    channel.basic_reject(method.delivery_tag, requeue=False)
    eventually(lambda: len(found) == 5, "the rejected message", 10, collect)
    equal(found[4][1].headers["x-death"][0]["reason"], "rejected", "reason")

    own = queue_of(channel)
    channel.basic_publish("", own, b"gone", pika.BasicProperties(expiration="1"))
    channel.basic_publish("", own, b"stays")
    time.sleep(0.05)
    equal(bodies(channel, own), [b"stays"], "after the message's own expiration")

    fleeting = queue_of(channel, exclusive=False, arguments={"x-expires": 100})
    time.sleep(0.6)
    refused(404, lambda c: c.queue_declare(fleeting, passive=True))


@check("priority queues, consumer priorities and a single active consumer")
@with_channel
def priorities(channel):
    channel.confirm_delivery()
    queue = queue_of(channel, arguments={"x-max-priority": 5})
    for priority in (1, 5, 3, None, 9, 1):
        channel.basic_publish("", queue, str(priority).encode(), pika.BasicProperties(priority=priority))
    equal(bodies(channel, queue), [b"5", b"9", b"3", b"1", b"1", b"None"], "order")

    queue, got = queue_of(channel), []
    for name, priority in (("low", 0), ("high", 10)):
        channel.basic_consume(queue, lambda _c, _m, _p, _b, name=name: got.append(name), auto_ack=True,
                              arguments={"x-priority": priority})
    for _ in range(5):
        channel.basic_publish("", queue, b"")
    wait_for(channel, got, 5)
    equal(got, ["high"] * 5, "receivers")

    queue, got = queue_of(channel, arguments={"x-single-active-consumer": True}), []
    first = channel.basic_consume(queue, lambda *_: got.append("first"), auto_ack=True)
    channel.basic_consume(queue, lambda *_: got.append("second"), auto_ack=True)
    for _ in range(3):
        channel.basic_publish("", queue, b"")
    wait_for(channel, got, 3)
    channel.basic_cancel(first)
    channel.basic_publish("", queue, b"")
    wait_for(channel, got, 4)
    equal(got, ["first"] * 3 + ["second"], "receivers")


@check("purge and delete tell how many messages went; auto-delete and exclusive end with their users")
@with_channel
def lifetimes(channel):
    channel.confirm_delivery()
    queue = queue_of(channel, exclusive=False)
    for _ in range(7):
        channel.basic_publish("", queue, b"")
    refused(406, lambda c: c.queue_delete(queue, if_empty=True), "not empty")
    equal(channel.queue_purge(queue).method.message_count, 7, "purged")
    channel.basic_publish("", queue, b"")
    equal(channel.queue_delete(queue).method.message_count, 1, "deleted")
    equal(channel.queue_delete(queue).method.message_count, 0, "deleted again")

    queue = queue_of(channel, exclusive=False, auto_delete=True)
    channel.basic_cancel(channel.basic_consume(queue, lambda *_: None))
    refused(404, lambda c: c.queue_declare(queue, passive=True))

    owner = connect()
    queue = queue_of(owner.channel())
    owner.close()
    refused(404, lambda c: c.queue_declare(queue, passive=True))


@check("messages of 1 to 10 MiB, at several frame sizes")
def large_messages():
    for frame_max in (4096, 131072):
        connection = connect(frame_max=frame_max)
        channel = connection.channel()
        channel.confirm_delivery()
        queue = queue_of(channel)
        sizes = [frame_max - 9, frame_max - 8, frame_max - 7, 1 << 20, 10 << 20]
        for size in sizes:
            body = bytes(range(256)) * (size // 256) + b"t" * (size % 256)
            channel.basic_publish("", queue, body, PERSISTENT)
            _, _, received = channel.basic_get(queue, auto_ack=True)
            assert received == body, f"a body of {size} bytes came back changed ({len(received)} bytes)"
        connection.close()


@check("1000 queues with a binding and a message each, 200 channels")
@with_channel
def many(channel):
    connection = channel.connection
    exchange = fresh("many")
    channel.exchange_declare(exchange, ExchangeType.topic, auto_delete=True)
    queues = [queue_of(channel) for _ in range(1000)]
    for number, queue in enumerate(queues):
        channel.queue_bind(queue, exchange, f"q.{number}.#")
    for number in range(1000):
        channel.basic_publish(exchange, f"q.{number}.x", b"%d" % number)
    for number, queue in enumerate(queues):
        equal(bodies(channel, queue), [b"%d" % number], queue)
    channels = [connection.channel() for _ in range(200)]
    for inner in channels:
        equal(bodies(inner, queues[0]), [], "an emptied queue")
        inner.close()


@check("heartbeats keep an idle connection; a peer that falls silent is closed")
def heartbeats():
    idle, silent = connect(heartbeat=1), connect(heartbeat=1)
    until = time.monotonic() + 4.5
    while time.monotonic() < until:
        idle.process_data_events(0.2)
    idle.channel()
    idle.close()
    try:
        silent.channel()
    except AMQPConnectionError:
        return
    raise AssertionError("the broker kept a connection that sent nothing for 4.5 s with a heartbeat of 1 s")


@check("callbacks for connection.blocked and unblocked can be registered")
@with_channel
def notifications(channel):
    blocked = []
    channel.connection.add_on_connection_blocked_callback(lambda *_: blocked.append("blocked"))
    channel.connection.add_on_connection_unblocked_callback(lambda *_: blocked.append("unblocked"))
    channel.confirm_delivery()
    channel.basic_publish("", queue_of(channel), b"m", mandatory=True)
    equal(blocked, [], "notifications without an alarm")


@check("TLS, with the server's certificate verified")
def tls():
    if not TLS_URL:
        raise Skip("AMQPS_URL is not set")
    context = ssl.create_default_context(cafile=CA_FILE)
    parameters = pika.URLParameters(TLS_URL)
    parameters.ssl_options = pika.SSLOptions(context, parameters.host)
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.confirm_delivery()
    queue = queue_of(channel)
    body = bytes(300_000)
    channel.basic_publish("", queue, body)
    equal(bodies(channel, queue), [body], "over TLS")
    connection.close()


if __name__ == "__main__":
    run(120)
