#!/usr/bin/python3
"""Writes amqp_golden.hpp (and, with --corpus DIR, the fuzzer's seed corpus) with pika's encoder.

Every method of AMQP 0-9-1 gets the bytes that an independent implementation makes of it, so that the
codec is not only tested against itself. Debian: python3-pika. Run it again after a change of the list:

    tests/protocol/make_amqp_golden.py --corpus tests/fuzz/corpus/amqp_decoder
"""
import argparse
import inspect
import pathlib

import pika
from pika import frame, spec

HERE = pathlib.Path(__file__).resolve().parent

# pika's name -> ours, where they differ; the values are chosen so that swapped neighbours would show.
RENAMED = {"nowait": "no_wait", "global_qos": "global", "reply_code": "code", "reply_text": "text",
           "class_id": "class_number", "method_id": "method_number", "out_of_band": "reserved_1",
           "known_hosts": "reserved_1", "capabilities": "reserved_1", "insist": "reserved_2",
           "cluster_id": "reserved_1", "channel_id": "reserved_1"}
TABLE = {"x-max-length-bytes": True, "x-dead-letter-exchange": "dlx", "nested": {"deep": False}}
CPP_TABLE = "golden_table()"
CHANNEL = 513


def all_methods():
    for cls in (spec.Connection, spec.Channel, spec.Access, spec.Exchange, spec.Queue, spec.Basic,
                spec.Confirm, spec.Tx):
        found = [m for m in vars(cls).values() if inspect.isclass(m) and issubclass(m, pika.amqp_object.Method)]
        yield from ((cls, m) for m in sorted(found, key=lambda m: m.INDEX))


def snake(name):
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


def value_of(cls, method, name, default, index):
    """A telling value for a field, and the same in C++."""
    if name in ("arguments", "server_properties", "client_properties"):
        return TABLE, CPP_TABLE
    # Fields that have a default in pika tell their type by it; the others by their name.
    if isinstance(default, bool) or name in ("active", "multiple", "requeue", "redelivered"):
        bit = index % 2 == 0
        return bit, "true" if bit else "false"
    numbers = {"ticket": 0x0102, "channel_max": 0x0307, "frame_max": 0x01020304, "heartbeat": 0x003C,
               "delivery_tag": 0x0102030405060708, "message_count": 0x0A0B0C0D, "consumer_count": 0x00010203,
               "prefetch_size": 0x00FF00FE, "prefetch_count": 0x01F4, "reply_code": 404, "class_id": 50,
               "method_id": 10, "version_major": 0, "version_minor": 9}
    if name in numbers:
        return numbers[name], hex(numbers[name])
    text = f"{name}-{index}"
    if cls is spec.Connection and name in ("mechanisms", "locales", "challenge", "response"):
        return text, f'{{"{text}"}}'
    if method is spec.Channel.OpenOk:
        return text, f'{{"{text}"}}'
    return text, f'"{text}"'


def make(cls, method):
    signature = inspect.signature(method.__init__)
    values, cpp = {}, []
    for index, (name, parameter) in enumerate(list(signature.parameters.items())[1:]):
        default = None if parameter.default is inspect.Parameter.empty else parameter.default
        value, literal = value_of(cls, method, name, default, index)
        values[name] = value
        ours = "reserved_1" if name == "ticket" and method is not spec.Access.RequestOk else RENAMED.get(name, name)
        cpp.append(f".{ours} = {literal}")
    struct = f"{cls.__name__.lower()}_{snake(method.__name__)}"
    return f"{struct}{{{', '.join(cpp)}}}", frame.Method(CHANNEL, method(**values)).marshal()


def hex_lines(data, indent):
    digits = data.hex()
    lines = [digits[i:i + 88] for i in range(0, len(digits), 88)]
    return ("\n" + indent).join(f'"{line}"' for line in lines)


def content_sequences():
    """Frames that belong together: publish, header, body; and what a peer may say besides."""
    full = pika.BasicProperties(content_type="text/plain", content_encoding="utf-8", headers=TABLE, delivery_mode=2,
                                priority=7, correlation_id="c", reply_to="r", expiration="60000", message_id="m",
                                timestamp=1700000000, type="t", user_id="guest", app_id="a", cluster_id="")
    for name, properties, body in (("bare", pika.BasicProperties(), b""),
                                   ("persistent", pika.BasicProperties(delivery_mode=2), b"hello"),
                                   ("full", full, b"x" * 300)):
        publish = frame.Method(1, spec.Basic.Publish(exchange="amq.topic", routing_key="a.b")).marshal()
        header = frame.Header(1, len(body), properties).marshal()
        yield name, publish + header + (frame.Body(1, body).marshal() if body else b"")
    yield "heartbeat", frame.Heartbeat().marshal()
    deep = b""
    for _ in range(70):
        deep = b"\x01dF" + len(deep).to_bytes(4, "big") + deep
    payload = bytes.fromhex("0032000a0000017100") + len(deep).to_bytes(4, "big") + deep
    yield "deep_table", b"\x01\x00\x01" + len(payload).to_bytes(4, "big") + payload + b"\xce"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--corpus", type=pathlib.Path)
    corpus = arguments.parse_args().corpus
    golden = [make(cls, method) for cls, method in all_methods()]
    entries = "".join(f"    check({cpp},\n          {hex_lines(data, ' ' * 10)});\n" for cpp, data in golden)
    full = next(data for name, data in content_sequences() if name == "full")
    (HERE / "amqp_golden.hpp").write_text(f"""\
// Made by make_amqp_golden.py with pika {pika.__version__}. Do not edit.
//
// Each method as it looks in a frame on channel {CHANNEL}, in hexadecimal.
#pragma once

#include "protocol/amqp/methods.hpp"
#include "protocol/amqp/table_builder.hpp"

namespace linnet::amqp::test {{

inline constexpr std::uint16_t golden_channel = {CHANNEL};

inline table_view golden_table() {{
    static const std::string contents = [] {{
        table_builder table;
        table.put("x-max-length-bytes", true).put("x-dead-letter-exchange", "dlx");
        return table.begin_table("nested").put("deep", false).end().take();
    }}();
    return table_view::trusted(wire::as_bytes(contents));
}}

// clang-format off
template <class Check>
void for_each_golden_method(Check&& check) {{
{entries}}}

// A publish with all fourteen properties and a body of 300 bytes.
inline constexpr std::string_view golden_content =
    {hex_lines(full, ' ' * 4)};
// clang-format on

}}  // namespace linnet::amqp::test
""")
    if corpus:
        corpus.mkdir(parents=True, exist_ok=True)
        for cpp, data in golden:
            (corpus / f"method_{cpp.split('{')[0]}").write_bytes(data)
        for name, data in content_sequences():
            (corpus / f"content_{name}").write_bytes(data)


if __name__ == "__main__":
    main()
