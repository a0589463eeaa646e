"""From the protocol header to connection.open-ok, and connection.close."""

from engine import amqp, situation

PATIENCE = 8  # RabbitMQ waits some seconds before it drops a peer that it refused


def _refused_header(t, data, say):
    c = t.raw()
    c.bytes(data, say)
    c.event(PATIENCE)
    c.end(PATIENCE)


def _old_header(t, data, say):
    c = t.raw()
    c.bytes(data, say)
    event = c.sock.receive(0, PATIENCE)
    t.note(f"answered with {event.name} "
           + " ".join(str(event.values[k]) for k in event.values if k in (
               "version_major", "version_minor", "bytes")))


@situation
def header_of_amqp_0_9(t):
    _old_header(t, b"AMQP\x01\x01\x00\x09", "AMQP 1 1 0 9")


@situation
def header_of_amqp_0_8(t):
    _old_header(t, b"AMQP\x01\x01\x08\x00", "AMQP 1 1 8 0")


@situation
def header_of_amqp_0_10(t):
    _refused_header(t, b"AMQP\x01\x01\x00\x0a", "AMQP 1 1 0 10")


@situation
def header_of_amqp_1_0(t):
    _refused_header(t, b"AMQP\x00\x01\x00\x00", "AMQP 0 1 0 0")


@situation
def header_of_a_future_version(t):
    _refused_header(t, b"AMQP\x00\x00\x0a\x00", "AMQP 0 0 10 0")


@situation
def header_garbage(t):
    _refused_header(t, b"hello, broker", "hello, broker")


@situation
def header_http(t):
    _refused_header(t, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1")


@situation
def start(t):
    c = t.raw()
    c.bytes(amqp.HEADER, "AMQP 0 0 9 1")
    event = c.sock.receive(0, PATIENCE)
    values = event.values
    properties = values["server_properties"]
    t.note(f"version {values['version_major']}.{values['version_minor']}, "
           f"locales {values['locales']}")
    t.note("mechanisms " + " ".join(sorted(values["mechanisms"].split())))
    t.note("properties " + " ".join(sorted(properties)))
    for name, value in sorted(properties["capabilities"].value.items()):
        t.note(f"capability {name}: {value.letter}{int(value.value)}")


@situation
def tune(t):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok())
    c.event()


@situation
def open(t):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok())
    c.event()
    c.send("connection.tune-ok", channel_max=2047, frame_max=131072, heartbeat=60)
    c.call("connection.open", virtual_host="/")
    c.opened = True


@situation
def mechanism_unknown(t):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok(mechanism="KERBEROS_V4"))
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def mechanism_amqplain(t):
    c = t.raw()
    c.start()
    table = amqp.table({"LOGIN": "guest", "PASSWORD": "guest"})[4:]
    c.sock.send(c.start_ok(mechanism="AMQPLAIN", response=table))
    c.event()


@situation
def mechanism_amqplain_without_password(t):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok(mechanism="AMQPLAIN", response=amqp.table({"LOGIN": "guest"})[4:]))
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def mechanism_amqplain_wrong_password(t):
    c = t.raw()
    c.start()
    table = amqp.table({"LOGIN": "guest", "PASSWORD": "nope"})[4:]
    c.sock.send(c.start_ok(mechanism="AMQPLAIN", response=table))
    c.event(PATIENCE)
    c.end(PATIENCE)


def _refused(t, capabilities=None, **start_ok):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok(capabilities=capabilities, **start_ok))
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def password_wrong(t):
    _refused(t, password="nope")


@situation
def password_wrong_without_capability(t):
    _refused(t, capabilities={}, password="nope")


@situation
def user_unknown(t):
    _refused(t, user="who")


@situation
def user_empty(t):
    _refused(t, user="", password="")


@situation
def plain_malformed(t):
    _refused(t, response="guest guest")


@situation
def plain_with_authorization_identity(t):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok(response="someone\0guest\0guest"))
    c.event(PATIENCE)


@situation
def plain_empty(t):
    _refused(t, response="")


@situation
def locale_unknown(t):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok(locale="xx_YY"))
    c.event(PATIENCE)


def _open(t, vhost, **start_ok):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok(**start_ok))
    c._silent("connection.tune")
    c.send("connection.tune-ok", channel_max=2047, frame_max=131072, heartbeat=0)
    event = c.call("connection.open", virtual_host=vhost)
    c.opened = event is not None and event.name == "connection.open-ok"
    if not c.opened:
        c.end(PATIENCE)


@situation
def vhost_unknown(t):
    _open(t, "nowhere")


@situation
def vhost_empty(t):
    _open(t, "")


@situation
def vhost_without_rights(t):
    _open(t, "other")


@situation
def user_without_any_rights(t):
    _open(t, "/", user="nobody", password="nobody")


def _tuned(t, **tune_ok):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok())
    c._silent("connection.tune")
    c.send("connection.tune-ok", **tune_ok)
    return c


def _tuned_and_opened(t, **tune_ok):
    c = _tuned(t, **tune_ok)
    event = c.call("connection.open", virtual_host="/")
    c.opened = event is not None and event.name == "connection.open-ok"
    if not c.opened:
        c.end(PATIENCE)
    return c


@situation
def tune_frame_max_below_4096(t):
    c = _tuned(t, channel_max=2047, frame_max=4095, heartbeat=0)
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def tune_frame_max_4096(t):
    _tuned_and_opened(t, channel_max=2047, frame_max=4096, heartbeat=0)


@situation
def tune_frame_max_0(t):
    c = _tuned(t, channel_max=2047, frame_max=0, heartbeat=0)
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def tune_frame_max_above_offer(t):
    c = _tuned(t, channel_max=2047, frame_max=131073, heartbeat=0)
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def tune_channel_max_0(t):
    c = _tuned(t, channel_max=0, frame_max=131072, heartbeat=0)
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def tune_channel_max_above_offer(t):
    c = _tuned(t, channel_max=2048, frame_max=131072, heartbeat=0)
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def tune_channel_max_is_kept(t):
    c = _tuned_and_opened(t, channel_max=3, frame_max=131072, heartbeat=0)
    for number in (1, 2, 3, 4):
        ch = c.unopened(number)
        ch.call("channel.open")


@situation
def tune_heartbeat_0(t):
    _tuned_and_opened(t, channel_max=2047, frame_max=131072, heartbeat=0)


@situation
def tune_heartbeat_1_is_sent(t):
    c = _tuned_and_opened(t, channel_max=2047, frame_max=131072, heartbeat=1)
    seen = []
    c.sock._on_frame, original = (lambda kind, channel, payload: seen.append(
        kind == amqp.HEARTBEAT) or original(kind, channel, payload)), c.sock._on_frame
    c.sock.wait((0,), 1.7)
    t.note("a heartbeat came" if any(seen) else "no heartbeat came")


@situation
def tune_heartbeat_1_is_wanted(t):
    """A client that falls silent is dropped after two to three intervals, without a word."""
    c = _tuned_and_opened(t, channel_max=2047, frame_max=131072, heartbeat=1)
    c.event(PATIENCE)


@situation
def open_before_tune_ok(t):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok())
    c._silent("connection.tune")
    c.call("connection.open", virtual_host="/")
    c.end(PATIENCE)


@situation
def tune_ok_before_start_ok(t):
    c = t.raw()
    c.start()
    c.send("connection.tune-ok", channel_max=2047, frame_max=131072)
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def channel_open_before_connection_open(t):
    c = _tuned(t, channel_max=2047, frame_max=131072, heartbeat=0)
    c.send("channel.open", channel=1)
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def channel_open_before_start_ok(t):
    c = t.raw()
    c.start()
    c.send("channel.open", channel=1)
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def start_ok_twice(t):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok())
    c._silent("connection.tune")
    c.bytes(c.start_ok(), "connection.start-ok, again")
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def open_twice(t):
    c = t.connect()
    c.call("connection.open", virtual_host="/")


@situation
def start_ok_when_open(t):
    c = t.connect()
    c.bytes(c.start_ok(), "connection.start-ok")
    c.event()


@situation
def server_method_from_client(t):
    c = t.connect()
    c.call("connection.start", version_minor=9)


@situation
def close_ok_unasked(t):
    c = t.connect()
    c.send("connection.close-ok")
    c.event(1)
    c.opened = False


@situation
def close_in_handshake(t):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok())
    c._silent("connection.tune")
    c.send("connection.close", reply_code=200, reply_text="changed my mind")
    c.event(PATIENCE)
    c.end(PATIENCE)


@situation
def close_with_reason(t):
    c = t.connect()
    c.part(reply_text="Goodbye")


@situation
def close_with_channels_open(t):
    c = t.connect()
    c.channel()
    c.channel()
    c.part(reply_code=320, reply_text="going", class_id=10, method_id=50)


@situation
def methods_after_close(t):
    c = t.connect()
    ch = c.channel()
    c.send("connection.close", reply_code=200)
    ch.send("queue.declare", queue="", exclusive=True)
    c.event()
    c.opened = False


@situation
def close_while_unacked(t):
    """What was unacked goes back to the queue, marked as redelivered."""
    ch = t.channel()
    ch.queue(t.n("q"))
    ch.publish(key=t.n("q"), body=b"1")
    ch.publish(key=t.n("q"), body=b"2")
    ch.settle(t.n("q"), 2)
    c = t.connect()
    ch2 = c.channel()
    ch2.get(t.n("q"), no_ack=False)
    c.part()
    ch.settle(t.n("q"), 2)
    ch.get(t.n("q"))
    ch.get(t.n("q"))


@situation
def update_secret(t):
    c = t.connect()
    c.call("connection.update-secret", new_secret="guest", reason="renewed")


@situation
def update_secret_wrong(t):
    c = t.connect()
    c.call("connection.update-secret", new_secret="nope", reason="renewed")
    if not c.ended:
        c.channel().queue(exclusive=True)


@situation
def blocked_from_client(t):
    c = t.connect()
    c.call("connection.blocked", reason="no")


@situation
def half_a_header_then_end(t):
    import socket
    c = t.raw()
    c.bytes(b"AMQP", "AMQP and no more")
    c.sock.sock.shutdown(socket.SHUT_WR)
    c.event(PATIENCE)


@situation
def capabilities_of_the_wrong_type(t):
    c = t.raw()
    c.start()
    c.sock.send(c.start_ok(properties={"capabilities": "all of them"}))
    c.event(PATIENCE)
