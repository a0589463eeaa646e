"""AMQP 0-9-1 at the level of frames: what a client library would hide, a test can send and see.

Strict on purpose: a frame that does not decode to its last bit raises Malformed. No behaviour lives
here (no automatic replies, no state), only the codec, a socket with time limits, and per-channel
inboxes. What a conversation means is the caller's business.
"""

import collections
import select
import socket
import struct
import time

HEADER = b"AMQP\x00\x00\x09\x01"
METHOD, CONTENT_HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = 0xCE

# Arguments: o octet, h short, l long, q long-long, s short string, S long string, T timestamp,
# t table, b bit. The order is the wire's order; ticket and reserved fields are spelled out.
_SPEC = """
10 connection
10 start version_major:o version_minor:o server_properties:t mechanisms:S locales:S
11 start-ok client_properties:t mechanism:s response:S locale:s
20 secure challenge:S
21 secure-ok response:S
30 tune channel_max:h frame_max:l heartbeat:h
31 tune-ok channel_max:h frame_max:l heartbeat:h
40 open virtual_host:s capabilities:s insist:b
41 open-ok known_hosts:s
50 close reply_code:h reply_text:s class_id:h method_id:h
51 close-ok
60 blocked reason:s
61 unblocked
70 update-secret new_secret:S reason:s
71 update-secret-ok
20 channel
10 open out_of_band:s
11 open-ok channel_id:S
20 flow active:b
21 flow-ok active:b
40 close reply_code:h reply_text:s class_id:h method_id:h
41 close-ok
30 access
10 request realm:s exclusive:b passive:b active:b write:b read:b
11 request-ok ticket:h
40 exchange
10 declare ticket:h exchange:s type:s passive:b durable:b auto_delete:b internal:b nowait:b arguments:t
11 declare-ok
20 delete ticket:h exchange:s if_unused:b nowait:b
21 delete-ok
30 bind ticket:h destination:s source:s routing_key:s nowait:b arguments:t
31 bind-ok
40 unbind ticket:h destination:s source:s routing_key:s nowait:b arguments:t
51 unbind-ok
50 queue
10 declare ticket:h queue:s passive:b durable:b exclusive:b auto_delete:b nowait:b arguments:t
11 declare-ok queue:s message_count:l consumer_count:l
20 bind ticket:h queue:s exchange:s routing_key:s nowait:b arguments:t
21 bind-ok
30 purge ticket:h queue:s nowait:b
31 purge-ok message_count:l
40 delete ticket:h queue:s if_unused:b if_empty:b nowait:b
41 delete-ok message_count:l
50 unbind ticket:h queue:s exchange:s routing_key:s arguments:t
51 unbind-ok
60 basic
10 qos prefetch_size:l prefetch_count:h global:b
11 qos-ok
20 consume ticket:h queue:s consumer_tag:s no_local:b no_ack:b exclusive:b nowait:b arguments:t
21 consume-ok consumer_tag:s
30 cancel consumer_tag:s nowait:b
31 cancel-ok consumer_tag:s
40 publish ticket:h exchange:s routing_key:s mandatory:b immediate:b
50 return reply_code:h reply_text:s exchange:s routing_key:s
60 deliver consumer_tag:s delivery_tag:q redelivered:b exchange:s routing_key:s
70 get ticket:h queue:s no_ack:b
71 get-ok delivery_tag:q redelivered:b exchange:s routing_key:s message_count:l
72 get-empty cluster_id:s
80 ack delivery_tag:q multiple:b
90 reject delivery_tag:q requeue:b
100 recover-async requeue:b
110 recover requeue:b
111 recover-ok
120 nack delivery_tag:q multiple:b requeue:b
85 confirm
10 select nowait:b
11 select-ok
90 tx
10 select
11 select-ok
20 commit
21 commit-ok
30 rollback
31 rollback-ok
"""

_PROPERTIES = [("content_type", "s"), ("content_encoding", "s"), ("headers", "t"),
               ("delivery_mode", "o"), ("priority", "o"), ("correlation_id", "s"),
               ("reply_to", "s"), ("expiration", "s"), ("message_id", "s"), ("timestamp", "T"),
               ("type", "s"), ("user_id", "s"), ("app_id", "s"), ("cluster_id", "s")]

MethodSpec = collections.namedtuple("MethodSpec", "name class_id method_id fields")


def _load_spec():
    by_name, by_id, class_name, class_id = {}, {}, None, None
    for line in _SPEC.split("\n"):
        words = line.split()
        if len(words) == 2 and ":" not in words[1] and words[1] in (
                "connection", "channel", "access", "exchange", "queue", "basic", "confirm", "tx"):
            class_id, class_name = int(words[0]), words[1]
        elif words:
            fields = [tuple(w.split(":")) for w in words[2:]]
            spec = MethodSpec(f"{class_name}.{words[1]}", class_id, int(words[0]), fields)
            by_name[spec.name] = spec
            by_id[class_id, spec.method_id] = spec
    return by_name, by_id


METHODS, METHODS_BY_ID = _load_spec()
CONTENT_METHODS = {"basic.publish", "basic.return", "basic.deliver", "basic.get-ok"}


class Malformed(Exception):
    """The peer sent bytes that are not AMQP 0-9-1."""


# A table value with its type letter; plain Python values are encoded with a default letter.
Typed = collections.namedtuple("Typed", "letter value")
_FIXED = {"b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "f": ">f",
          "d": ">d", "T": ">Q"}


# ---- encoding ----------------------------------------------------------------------------------

def short_string(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">B", len(data)) + data


def long_string(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack(">I", len(data)) + data


def table(value):
    if isinstance(value, bytes):  # already encoded, or deliberately broken: sent as it is
        return value
    return long_string(b"".join(short_string(k) + field(v) for k, v in (value or {}).items()))


def _guess(value):
    if isinstance(value, bool):
        return "t"
    if isinstance(value, int):
        return "I" if -2**31 <= value < 2**31 else "l"
    for kind, letter in ((float, "d"), (str, "S"), (bytes, "x"), (dict, "F"), (list, "A")):
        if isinstance(value, kind):
            return letter
    return "V"


def typed(value):
    """A table value with its type letter, also where none was given."""
    return value if isinstance(value, Typed) else Typed(_guess(value), value)


def field(value):
    letter, value = typed(value)
    head = letter.encode()
    if letter in _FIXED:
        return head + struct.pack(_FIXED[letter], value)
    if letter == "t":
        return head + (b"\x01" if value else b"\x00")
    if letter == "F":
        return head + table(value)
    if letter == "A":
        return head + long_string(b"".join(field(v) for v in value))
    if letter == "D":
        return head + struct.pack(">Bi", *value)
    if letter == "V":
        return head
    return head + long_string(value)


_NUMBERS = {"o": ">B", "h": ">H", "l": ">I", "q": ">Q", "T": ">Q"}


def _encode_fields(fields, values):
    out, bits, bit_count = b"", 0, 0
    for name, kind in fields:
        value = values.pop(name, None)
        if kind == "b":
            bits |= bool(value) << bit_count
            bit_count += 1
            continue
        if bit_count:
            out, bits, bit_count = out + bytes([bits]), 0, 0
        if kind in _NUMBERS:
            out += struct.pack(_NUMBERS[kind], value or 0)
        elif kind == "t":
            out += table(value)
        else:
            out += (short_string if kind == "s" else long_string)(value or "")
    return out + (bytes([bits]) if bit_count else b"")


def method(name, **values):
    """The payload of a method frame."""
    spec = METHODS[name]
    payload = struct.pack(">HH", spec.class_id, spec.method_id) + _encode_fields(spec.fields, values)
    if values:
        raise TypeError(f"{name} has no argument {', '.join(values)}")
    return payload


def content_header(body_size, class_id=60, weight=0, **properties):
    flags, fields = 0, []
    for i, (name, kind) in enumerate(_PROPERTIES):
        if name in properties:
            flags |= 1 << (15 - i)
            fields.append((name, kind))
    return struct.pack(">HHQH", class_id, weight, body_size, flags) + _encode_fields(
        fields, properties)


def frame(kind, channel, payload, end=FRAME_END):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + bytes([end])


def method_frame(channel, name, **values):
    return frame(METHOD, channel, method(name, **values))


def content_frames(channel, body, frame_max=131072, **properties):
    out = frame(CONTENT_HEADER, channel, content_header(len(body), **properties))
    for at in range(0, len(body), frame_max - 8):
        out += frame(BODY, channel, body[at:at + frame_max - 8])
    return out


# ---- decoding ----------------------------------------------------------------------------------

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Malformed(f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def short_string(self):
        return _text(self.take(self.number(">B")))

    def long_string(self):
        return self.take(self.number(">I"))

    def table(self):
        inner, out = Reader(self.long_string()), {}
        while inner.at < len(inner.data):
            key = inner.short_string()
            if key in out:
                raise Malformed(f"table key {key!r} twice")
            out[key] = inner.field()
        return out

    def field(self):
        letter = chr(self.number(">B"))
        if letter in _FIXED:
            return Typed(letter, self.number(_FIXED[letter]))
        if letter == "t":
            return Typed(letter, self.number(">B") != 0)
        if letter == "F":
            return Typed(letter, self.table())
        if letter == "A":
            inner, out = Reader(self.long_string()), []
            while inner.at < len(inner.data):
                out.append(inner.field())
            return Typed(letter, out)
        if letter == "D":
            return Typed(letter, (self.number(">B"), self.number(">i")))
        if letter == "V":
            return Typed(letter, None)
        if letter in "Sx":
            return Typed(letter, _text(self.long_string()))
        raise Malformed(f"table value of type {letter!r}")

    def end(self):
        if self.at != len(self.data):
            raise Malformed(f"{len(self.data) - self.at} bytes left over")


def _text(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _decode_fields(reader, fields):
    values, bits, bit_count = {}, 0, 8
    for name, kind in fields:
        if kind == "b":
            if bit_count == 8:
                bits, bit_count = reader.number(">B"), 0
            values[name] = bool(bits >> bit_count & 1)
            bit_count += 1
            continue
        if bit_count < 8 and bits >> bit_count:
            raise Malformed("unused bits are set")
        bit_count = 8
        if kind in _NUMBERS:
            values[name] = reader.number(_NUMBERS[kind])
        elif kind == "t":
            values[name] = reader.table()
        else:
            values[name] = (reader.short_string() if kind == "s" else _text(reader.long_string()))
    if bit_count < 8 and bits >> bit_count:
        raise Malformed("unused bits are set")
    return values


def decode_method(payload):
    reader = Reader(payload)
    ids = reader.number(">H"), reader.number(">H")
    if ids not in METHODS_BY_ID:
        raise Malformed(f"method {ids[0]}.{ids[1]}")
    spec = METHODS_BY_ID[ids]
    values = _decode_fields(reader, spec.fields)
    reader.end()
    return spec.name, values


def decode_content_header(payload):
    reader = Reader(payload)
    class_id, weight, size, flags = (reader.number(f) for f in (">H", ">H", ">Q", ">H"))
    if class_id != 60 or weight != 0 or flags & 0b11:
        raise Malformed(f"content header class {class_id} weight {weight} flags {flags:#x}")
    fields = [f for i, f in enumerate(_PROPERTIES) if flags & 1 << (15 - i)]
    values = _decode_fields(reader, fields)
    reader.end()
    return size, values


# ---- a socket ----------------------------------------------------------------------------------

# What arrived: a whole method with its content, a heartbeat, or the end of the stream.
Event = collections.namedtuple("Event", "channel name values properties body frame_sizes",
                               defaults=({}, None, None, ()))
EOF = "eof"


class _Partial:
    def __init__(self, name, values):
        self.name, self.values = name, values
        self.size, self.properties, self.body, self.sizes = None, None, b"", []


class Socket:
    """Bytes out, events in. Events wait in one inbox a channel; nothing is answered here."""

    def __init__(self, address, connect_seconds=10):
        self.sock = socket.create_connection(address, connect_seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.inboxes = collections.defaultdict(collections.deque)
        self.partial = {}
        self.ended = False

    def send(self, data):
        """False if the peer had closed already."""
        try:
            self.sock.settimeout(10)
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def close(self):
        self.sock.close()

    def receive(self, channel, seconds):
        """The next event of a channel, or None. The end of the stream is an event of every channel."""
        deadline = time.monotonic() + seconds
        while not self.inboxes[channel]:
            if self.ended:
                return Event(channel, EOF)
            if not self._read(deadline):
                return None
        return self.inboxes[channel].popleft()

    def wait(self, channels, seconds):
        """True once any of the channels has an event (or the stream ended)."""
        deadline = time.monotonic() + seconds
        while not self.ended and not any(self.inboxes[c] for c in channels):
            if not self._read(deadline):
                return False
        return True

    def _read(self, deadline):
        if not select.select([self.sock], [], [], max(0, deadline - time.monotonic()))[0]:
            return False
        try:
            data = self.sock.recv(1 << 16)
        except OSError:
            data = b""
        self.ended = not data
        self.buffer += data
        self._split()
        return True

    def _split(self):
        if self.buffer.startswith(b"AMQP"):
            if len(self.buffer) >= 8:
                header, self.buffer = self.buffer[:8], self.buffer[8:]
                self._deliver(Event(0, "protocol-header", {"bytes": header.hex(" ")}))
            return
        while len(self.buffer) >= 7:
            kind, channel, size = struct.unpack(">BHI", self.buffer[:7])
            if kind not in (METHOD, CONTENT_HEADER, BODY, HEARTBEAT):
                raise Malformed(f"frame type {kind}")
            if len(self.buffer) < size + 8:
                return
            payload, end = self.buffer[7:7 + size], self.buffer[7 + size]
            self.buffer = self.buffer[8 + size:]
            if end != FRAME_END:
                raise Malformed(f"frame end {end:#x}")
            self._on_frame(kind, channel, payload)

    def _on_frame(self, kind, channel, payload):
        if kind == HEARTBEAT:
            if channel or payload:
                raise Malformed("heartbeat with channel or payload")
            return  # they come when they come; no test is about their moment
        partial = self.partial.get(channel)
        if kind == METHOD:
            if partial:
                raise Malformed("method inside content")
            name, values = decode_method(payload)
            if name in CONTENT_METHODS:
                self.partial[channel] = _Partial(name, values)
            else:
                self._deliver(Event(channel, name, values))
            return
        if not partial:
            raise Malformed(f"frame type {kind} without its method")
        if kind == CONTENT_HEADER:
            if partial.size is not None:
                raise Malformed("second content header")
            partial.size, partial.properties = decode_content_header(payload)
        else:
            if partial.size is None:
                raise Malformed("body before header")
            partial.body += payload
            partial.sizes.append(len(payload))
        if len(partial.body) > partial.size:
            raise Malformed("body longer than announced")
        if len(partial.body) == partial.size:
            del self.partial[channel]
            self._deliver(Event(channel, partial.name, partial.values, partial.properties,
                                partial.body, tuple(partial.sizes)))

    def _deliver(self, event):
        self.inboxes[event.channel].append(event)
