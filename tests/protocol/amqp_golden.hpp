// Made by make_amqp_golden.py with pika 1.2.0. Do not edit.
//
// Each method as it looks in a frame on channel 513, in hexadecimal.
#pragma once

#include "protocol/amqp/methods.hpp"
#include "protocol/amqp/table_builder.hpp"

namespace linnet::amqp::test {

inline constexpr std::uint16_t golden_channel = 513;

inline table_view golden_table() {
    static const std::string contents = [] {
        table_builder table;
        table.put("x-max-length-bytes", true).put("x-dead-letter-exchange", "dlx");
        return table.begin_table("nested").put("deep", false).end().take();
    }();
    return table_view::trusted(wire::as_bytes(contents));
}

// clang-format off
template <class Check>
void for_each_golden_method(Check&& check) {
    check(connection_start{.version_major = 0x0, .version_minor = 0x9, .server_properties = golden_table(), .mechanisms = {"mechanisms-3"}, .locales = {"locales-4"}},
          "0102010000006e000a000a00090000004712782d6d61782d6c656e6774682d6279746573740116782d646561"
          "642d6c65747465722d65786368616e67655300000003646c78066e6573746564460000000704646565707400"
          "0000000c6d656368616e69736d732d33000000096c6f63616c65732d34ce");
    check(connection_start_ok{.client_properties = golden_table(), .mechanism = "mechanism-1", .response = {"response-2"}, .locale = "locale-3"},
          "01020100000072000a000b0000004712782d6d61782d6c656e6774682d6279746573740116782d646561642d"
          "6c65747465722d65786368616e67655300000003646c78066e65737465644600000007046465657074000b6d"
          "656368616e69736d2d310000000a726573706f6e73652d32086c6f63616c652d33ce");
    check(connection_secure{.challenge = {"challenge-0"}},
          "01020100000013000a00140000000b6368616c6c656e67652d30ce");
    check(connection_secure_ok{.response = {"response-0"}},
          "01020100000012000a00150000000a726573706f6e73652d30ce");
    check(connection_tune{.channel_max = 0x307, .frame_max = 0x1020304, .heartbeat = 0x3c},
          "0102010000000c000a001e030701020304003cce");
    check(connection_tune_ok{.channel_max = 0x307, .frame_max = 0x1020304, .heartbeat = 0x3c},
          "0102010000000c000a001f030701020304003cce");
    check(connection_open{.virtual_host = "virtual_host-0", .reserved_1 = "capabilities-1", .reserved_2 = true},
          "01020100000023000a00280e7669727475616c5f686f73742d300e6361706162696c69746965732d3101ce");
    check(connection_open_ok{.reserved_1 = "known_hosts-0"},
          "01020100000012000a00290d6b6e6f776e5f686f7374732d30ce");
    check(connection_close{.code = 0x194, .text = "reply_text-1", .class_number = 0x32, .method_number = 0xa},
          "01020100000017000a003201940c7265706c795f746578742d310032000ace");
    check(connection_close_ok{},
          "01020100000004000a0033ce");
    check(connection_blocked{.reason = "reason-0"},
          "0102010000000d000a003c08726561736f6e2d30ce");
    check(connection_unblocked{},
          "01020100000004000a003dce");
    check(channel_open{.reserved_1 = "out_of_band-0"},
          "010201000000120014000a0d6f75745f6f665f62616e642d30ce");
    check(channel_open_ok{.reserved_1 = {"channel_id-0"}},
          "010201000000140014000b0000000c6368616e6e656c5f69642d30ce");
    check(channel_flow{.active = true},
          "010201000000050014001401ce");
    check(channel_flow_ok{.active = true},
          "010201000000050014001501ce");
    check(channel_close{.code = 0x194, .text = "reply_text-1", .class_number = 0x32, .method_number = 0xa},
          "010201000000170014002801940c7265706c795f746578742d310032000ace");
    check(channel_close_ok{},
          "0102010000000400140029ce");
    check(access_request{.realm = "realm-0", .exclusive = false, .passive = true, .active = false, .write = true, .read = false},
          "0102010000000d001e000a077265616c6d2d300ace");
    check(access_request_ok{.ticket = 0x102},
          "01020100000006001e000b0102ce");
    check(exchange_declare{.reserved_1 = 0x102, .exchange = "exchange-1", .type = "type-2", .passive = false, .durable = true, .auto_delete = false, .internal = true, .no_wait = false, .arguments = golden_table()},
          "010201000000640028000a01020a65786368616e67652d3106747970652d320a0000004712782d6d61782d6c"
          "656e6774682d6279746573740116782d646561642d6c65747465722d65786368616e67655300000003646c78"
          "066e6573746564460000000704646565707400ce");
    check(exchange_declare_ok{},
          "010201000000040028000bce");
    check(exchange_delete{.reserved_1 = 0x102, .exchange = "exchange-1", .if_unused = true, .no_wait = false},
          "010201000000120028001401020a65786368616e67652d3101ce");
    check(exchange_delete_ok{},
          "0102010000000400280015ce");
    check(exchange_bind{.reserved_1 = 0x102, .destination = "destination-1", .source = "source-2", .routing_key = "routing_key-3", .no_wait = true, .arguments = golden_table()},
          "010201000000770028001e01020d64657374696e6174696f6e2d3108736f757263652d320d726f7574696e67"
          "5f6b65792d33010000004712782d6d61782d6c656e6774682d6279746573740116782d646561642d6c657474"
          "65722d65786368616e67655300000003646c78066e6573746564460000000704646565707400ce");
    check(exchange_bind_ok{},
          "010201000000040028001fce");
    check(exchange_unbind{.reserved_1 = 0x102, .destination = "destination-1", .source = "source-2", .routing_key = "routing_key-3", .no_wait = true, .arguments = golden_table()},
          "010201000000770028002801020d64657374696e6174696f6e2d3108736f757263652d320d726f7574696e67"
          "5f6b65792d33010000004712782d6d61782d6c656e6774682d6279746573740116782d646561642d6c657474"
          "65722d65786368616e67655300000003646c78066e6573746564460000000704646565707400ce");
    check(exchange_unbind_ok{},
          "0102010000000400280033ce");
    check(queue_declare{.reserved_1 = 0x102, .queue = "queue-1", .passive = true, .durable = false, .exclusive = true, .auto_delete = false, .no_wait = true, .arguments = golden_table()},
          "0102010000005a0032000a01020771756575652d31150000004712782d6d61782d6c656e6774682d62797465"
          "73740116782d646561642d6c65747465722d65786368616e67655300000003646c78066e6573746564460000"
          "000704646565707400ce");
    check(queue_declare_ok{.queue = "queue-0", .message_count = 0xa0b0c0d, .consumer_count = 0x10203},
          "010201000000140032000b0771756575652d300a0b0c0d00010203ce");
    check(queue_bind{.reserved_1 = 0x102, .queue = "queue-1", .exchange = "exchange-2", .routing_key = "routing_key-3", .no_wait = true, .arguments = golden_table()},
          "010201000000730032001401020771756575652d310a65786368616e67652d320d726f7574696e675f6b6579"
          "2d33010000004712782d6d61782d6c656e6774682d6279746573740116782d646561642d6c65747465722d65"
          "786368616e67655300000003646c78066e6573746564460000000704646565707400ce");
    check(queue_bind_ok{},
          "0102010000000400320015ce");
    check(queue_purge{.reserved_1 = 0x102, .queue = "queue-1", .no_wait = true},
          "0102010000000f0032001e01020771756575652d3101ce");
    check(queue_purge_ok{.message_count = 0xa0b0c0d},
          "010201000000080032001f0a0b0c0dce");
    check(queue_delete{.reserved_1 = 0x102, .queue = "queue-1", .if_unused = true, .if_empty = false, .no_wait = true},
          "0102010000000f0032002801020771756575652d3105ce");
    check(queue_delete_ok{.message_count = 0xa0b0c0d},
          "01020100000008003200290a0b0c0dce");
    check(queue_unbind{.reserved_1 = 0x102, .queue = "queue-1", .exchange = "exchange-2", .routing_key = "routing_key-3", .arguments = golden_table()},
          "010201000000720032003201020771756575652d310a65786368616e67652d320d726f7574696e675f6b6579"
          "2d330000004712782d6d61782d6c656e6774682d6279746573740116782d646561642d6c65747465722d6578"
          "6368616e67655300000003646c78066e6573746564460000000704646565707400ce");
    check(queue_unbind_ok{},
          "0102010000000400320033ce");
    check(basic_qos{.prefetch_size = 0xff00fe, .prefetch_count = 0x1f4, .global = true},
          "0102010000000b003c000a00ff00fe01f401ce");
    check(basic_qos_ok{},
          "01020100000004003c000bce");
    check(basic_consume{.reserved_1 = 0x102, .queue = "queue-1", .consumer_tag = "consumer_tag-2", .no_local = false, .no_ack = true, .exclusive = false, .no_wait = true, .arguments = golden_table()},
          "01020100000069003c001401020771756575652d310e636f6e73756d65725f7461672d320a0000004712782d"
          "6d61782d6c656e6774682d6279746573740116782d646561642d6c65747465722d65786368616e6765530000"
          "0003646c78066e6573746564460000000704646565707400ce");
    check(basic_consume_ok{.consumer_tag = "consumer_tag-0"},
          "01020100000013003c00150e636f6e73756d65725f7461672d30ce");
    check(basic_cancel{.consumer_tag = "consumer_tag-0", .no_wait = false},
          "01020100000014003c001e0e636f6e73756d65725f7461672d3000ce");
    check(basic_cancel_ok{.consumer_tag = "consumer_tag-0"},
          "01020100000013003c001f0e636f6e73756d65725f7461672d30ce");
    check(basic_publish{.reserved_1 = 0x102, .exchange = "exchange-1", .routing_key = "routing_key-2", .mandatory = false, .immediate = true},
          "01020100000020003c002801020a65786368616e67652d310d726f7574696e675f6b65792d3202ce");
    check(basic_return{.code = 0x194, .text = "reply_text-1", .exchange = "exchange-2", .routing_key = "routing_key-3"},
          "0102010000002c003c003201940c7265706c795f746578742d310a65786368616e67652d320d726f7574696e"
          "675f6b65792d33ce");
    check(basic_deliver{.consumer_tag = "consumer_tag-0", .delivery_tag = 0x102030405060708, .redelivered = true, .exchange = "exchange-3", .routing_key = "routing_key-4"},
          "01020100000035003c003c0e636f6e73756d65725f7461672d300102030405060708010a65786368616e6765"
          "2d330d726f7574696e675f6b65792d34ce");
    check(basic_get{.reserved_1 = 0x102, .queue = "queue-1", .no_ack = true},
          "0102010000000f003c004601020771756575652d3101ce");
    check(basic_get_ok{.delivery_tag = 0x102030405060708, .redelivered = false, .exchange = "exchange-2", .routing_key = "routing_key-3", .message_count = 0xa0b0c0d},
          "0102010000002a003c00470102030405060708000a65786368616e67652d320d726f7574696e675f6b65792d"
          "330a0b0c0dce");
    check(basic_get_empty{.reserved_1 = "cluster_id-0"},
          "01020100000011003c00480c636c75737465725f69642d30ce");
    check(basic_ack{.delivery_tag = 0x102030405060708, .multiple = false},
          "0102010000000d003c0050010203040506070800ce");
    check(basic_reject{.delivery_tag = 0x102030405060708, .requeue = false},
          "0102010000000d003c005a010203040506070800ce");
    check(basic_recover_async{.requeue = true},
          "01020100000005003c006401ce");
    check(basic_recover{.requeue = true},
          "01020100000005003c006e01ce");
    check(basic_recover_ok{},
          "01020100000004003c006fce");
    check(basic_nack{.delivery_tag = 0x102030405060708, .multiple = false, .requeue = true},
          "0102010000000d003c0078010203040506070802ce");
    check(confirm_select{.no_wait = true},
          "010201000000050055000a01ce");
    check(confirm_select_ok{},
          "010201000000040055000bce");
    check(tx_select{},
          "01020100000004005a000ace");
    check(tx_select_ok{},
          "01020100000004005a000bce");
    check(tx_commit{},
          "01020100000004005a0014ce");
    check(tx_commit_ok{},
          "01020100000004005a0015ce");
    check(tx_rollback{},
          "01020100000004005a001ece");
    check(tx_rollback_ok{},
          "01020100000004005a001fce");
}

// A publish with all fourteen properties and a body of 300 bytes.
inline constexpr std::string_view golden_content =
    "01000100000015003c0028000009616d712e746f70696303612e6200ce0200010000008b003c000000000000"
    "0000012cfffc0a746578742f706c61696e057574662d380000004712782d6d61782d6c656e6774682d627974"
    "6573740116782d646561642d6c65747465722d65786368616e67655300000003646c78066e65737465644600"
    "00000704646565707400020701630172053630303030016d000000006553f1000174056775657374016100ce"
    "0300010000012c78787878787878787878787878787878787878787878787878787878787878787878787878"
    "7878787878787878787878787878787878787878787878787878787878787878787878787878787878787878"
    "7878787878787878787878787878787878787878787878787878787878787878787878787878787878787878"
    "7878787878787878787878787878787878787878787878787878787878787878787878787878787878787878"
    "7878787878787878787878787878787878787878787878787878787878787878787878787878787878787878"
    "7878787878787878787878787878787878787878787878787878787878787878787878787878787878787878"
    "78787878787878787878787878787878787878787878787878787878787878787878787878787878787878ce";
// clang-format on

}  // namespace linnet::amqp::test
