/* librabbitmq (rabbitmq-c), the C client: one connection a check, the blocking calls its examples use.
 *
 * Reads AMQP_URL, and AMQPS_URL with AMQP_CA_FILE where TLS is on offer. Ends with 1 at the first failure;
 * an alarm ends it when the broker never answers. */

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *current_check;

#if defined(__GNUC__)
__attribute__((format(printf, 1, 2), noreturn))
#endif
static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("FAIL  %s: ", current_check);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool equals(amqp_bytes_t bytes, const char *text) {
    return bytes.len == strlen(text) && memcmp(bytes.bytes, text, bytes.len) == 0;
}

/* The code with which the broker closed the channel or the connection; 0 for a normal reply. */
static int reply_code(amqp_rpc_reply_t reply) {
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return 0;
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION) return -1;
    if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
        return ((amqp_channel_close_t *)reply.reply.decoded)->reply_code;
    if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD)
        return ((amqp_connection_close_t *)reply.reply.decoded)->reply_code;
    return -1;
}

static void expect_reply(amqp_connection_state_t connection, const char *call) {
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        fail("%s: %s", call, amqp_error_string2(reply.library_error));
    if (reply_code(reply) != 0) fail("%s: refused with %d", call, reply_code(reply));
}

static void expect_status(int status, const char *call) {
    if (status != AMQP_STATUS_OK) fail("%s: %s", call, amqp_error_string2(status));
}

struct address {
    char text[512];
    struct amqp_connection_info info;
};

static void read_address(struct address *address, const char *variable, const char *fallback) {
    const char *url = getenv(variable);
    snprintf(address->text, sizeof address->text, "%s", url ? url : fallback);
    if (amqp_parse_url(address->text, &address->info) != AMQP_STATUS_OK) fail("%s is no URL", variable);
}

static amqp_connection_state_t open_socket(const struct address *address) {
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = address->info.ssl ? amqp_ssl_socket_new(connection) : amqp_tcp_socket_new(connection);
    if (!socket) fail("no socket");
    if (address->info.ssl) {
        expect_status(amqp_ssl_socket_set_cacert(socket, getenv("AMQP_CA_FILE")), "set_cacert");
        amqp_ssl_socket_set_verify_peer(socket, 1);
        amqp_ssl_socket_set_verify_hostname(socket, 1);
    }
    struct timeval patience = {10, 0};
    expect_status(amqp_socket_open_noblock(socket, address->info.host, address->info.port, &patience), "open");
    return connection;
}

static amqp_connection_state_t connect_to(const struct address *address, int frame_max, int heartbeat) {
    amqp_connection_state_t connection = open_socket(address);
    amqp_rpc_reply_t reply = amqp_login(connection, address->info.vhost, AMQP_DEFAULT_MAX_CHANNELS, frame_max,
                                        heartbeat, AMQP_SASL_METHOD_PLAIN, address->info.user,
                                        address->info.password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail("login: %d", reply_code(reply));
    amqp_channel_open(connection, 1);
    expect_reply(connection, "channel.open");
    return connection;
}

static amqp_connection_state_t connect_plain(void) {
    struct address address;
    read_address(&address, "AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F");
    return connect_to(&address, AMQP_DEFAULT_FRAME_SIZE, 0);
}

static void disconnect(amqp_connection_state_t connection) {
    amqp_rpc_reply_t reply = amqp_connection_close(connection, AMQP_REPLY_SUCCESS);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail("connection.close was not answered");
    expect_status(amqp_destroy_connection(connection), "destroy");
}

/* A queue of this connection alone; its name is valid until queue_free. */
static amqp_bytes_t own_queue(amqp_connection_state_t connection, amqp_table_t arguments) {
    amqp_queue_declare_ok_t *ok = amqp_queue_declare(connection, 1, amqp_empty_bytes, 0, 0, 1, 0, arguments);
    expect_reply(connection, "queue.declare");
    return amqp_bytes_malloc_dup(ok->queue);
}

static void publish(amqp_connection_state_t connection, amqp_bytes_t exchange, amqp_bytes_t key, bool mandatory,
                    const amqp_basic_properties_t *properties, amqp_bytes_t body) {
    expect_status(amqp_basic_publish(connection, 1, exchange, key, mandatory, 0, properties, body), "basic.publish");
}

/* The next frame on the connection, which must be a method. */
static amqp_method_t next_method(amqp_connection_state_t connection) {
    amqp_frame_t frame;
    struct timeval patience = {10, 0};
    expect_status(amqp_simple_wait_frame_noblock(connection, &frame, &patience), "waiting for a method");
    if (frame.frame_type != AMQP_FRAME_METHOD) fail("frame type %d instead of a method", frame.frame_type);
    return frame.payload.method;
}

static amqp_envelope_t next_delivery(amqp_connection_state_t connection) {
    amqp_envelope_t envelope;
    struct timeval patience = {10, 0};
    amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, &patience, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail("no delivery: %s", amqp_error_string2(reply.library_error));
    return envelope;
}

static void check_login(void) {
    struct address address;
    read_address(&address, "AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F");
    amqp_connection_state_t connection = open_socket(&address);
    amqp_rpc_reply_t reply = amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "wrong");
    /* librabbitmq does not announce authentication_failure_close unless asked to: the socket just closes. */
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) fail("a wrong password was accepted");
    amqp_destroy_connection(connection);

    connection = connect_plain();
    amqp_table_t *properties = amqp_get_server_properties(connection);
    bool product = false;
    bool capabilities = false;
    for (int i = 0; i < properties->num_entries; ++i) {
        product |= equals(properties->entries[i].key, "product");
        capabilities |= equals(properties->entries[i].key, "capabilities");
    }
    if (!product || !capabilities) fail("server properties lack product or capabilities");
    disconnect(connection);
}

static void check_round_trip(void) {
    amqp_connection_state_t connection = connect_plain();
    amqp_bytes_t queue = own_queue(connection, amqp_empty_table);

    amqp_table_entry_t entries[] = {
        {amqp_cstring_bytes("text"), {.kind = AMQP_FIELD_KIND_UTF8, .value = {.bytes = amqp_cstring_bytes("value")}}},
        {amqp_cstring_bytes("i32"), {.kind = AMQP_FIELD_KIND_I32, .value = {.i32 = -5}}},
        {amqp_cstring_bytes("i64"), {.kind = AMQP_FIELD_KIND_I64, .value = {.i64 = 1LL << 40}}},
        {amqp_cstring_bytes("i8"), {.kind = AMQP_FIELD_KIND_I8, .value = {.i8 = -3}}},
        {amqp_cstring_bytes("u8"), {.kind = AMQP_FIELD_KIND_U8, .value = {.u8 = 200}}},
        {amqp_cstring_bytes("i16"), {.kind = AMQP_FIELD_KIND_I16, .value = {.i16 = -300}}},
        {amqp_cstring_bytes("u16"), {.kind = AMQP_FIELD_KIND_U16, .value = {.u16 = 60000}}},
        {amqp_cstring_bytes("u32"), {.kind = AMQP_FIELD_KIND_U32, .value = {.u32 = 4000000000U}}},
        {amqp_cstring_bytes("f32"), {.kind = AMQP_FIELD_KIND_F32, .value = {.f32 = 0.25F}}},
        {amqp_cstring_bytes("f64"), {.kind = AMQP_FIELD_KIND_F64, .value = {.f64 = 0.125}}},
        {amqp_cstring_bytes("bool"), {.kind = AMQP_FIELD_KIND_BOOLEAN, .value = {.boolean = 1}}},
        {amqp_cstring_bytes("time"), {.kind = AMQP_FIELD_KIND_TIMESTAMP, .value = {.u64 = 1700000000}}},
        {amqp_cstring_bytes("void"), {.kind = AMQP_FIELD_KIND_VOID}},
        {amqp_cstring_bytes("raw"), {.kind = AMQP_FIELD_KIND_BYTES, .value = {.bytes = amqp_cstring_bytes("\x01\xff")}}},
    };
    const int entry_count = (int)(sizeof entries / sizeof entries[0]);
    amqp_basic_properties_t sent = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG |
                  AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG,
        .content_type = amqp_cstring_bytes("text/plain"),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .headers = {.num_entries = entry_count, .entries = entries},
        .priority = 3,
        .message_id = amqp_cstring_bytes("id"),
        .timestamp = 1700000000,
    };
    publish(connection, amqp_empty_bytes, queue, false, &sent, amqp_cstring_bytes("hello"));
    amqp_rpc_reply_t reply = amqp_basic_get(connection, 1, queue, 1);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL || reply.reply.id != AMQP_BASIC_GET_OK_METHOD)
        fail("basic.get found nothing");
    amqp_message_t message;
    reply = amqp_read_message(connection, 1, &message, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail("reading the message");
    if (!equals(message.body, "hello")) fail("the body came back changed");
    const amqp_basic_properties_t *got = &message.properties;
    if (got->_flags != sent._flags || got->priority != 3 || got->timestamp != 1700000000 ||
        got->delivery_mode != AMQP_DELIVERY_PERSISTENT || !equals(got->content_type, "text/plain") ||
        !equals(got->message_id, "id"))
        fail("properties came back changed");
    if (got->headers.num_entries != entry_count) fail("%d headers came back", got->headers.num_entries);
    for (int i = 0; i < entry_count; ++i) {
        /* Same order, same types: compared as the bytes they encode to. */
        char expected[64];
        char received[64];
        size_t expected_size = 0;
        size_t received_size = 0;
        amqp_table_t one = {1, &entries[i]};
        amqp_table_t other = {1, &got->headers.entries[i]};
        amqp_bytes_t expected_bytes = {sizeof expected, expected};
        amqp_bytes_t received_bytes = {sizeof received, received};
        expect_status(amqp_encode_table(expected_bytes, &one, &expected_size), "encode");
        expect_status(amqp_encode_table(received_bytes, &other, &received_size), "encode");
        if (expected_size != received_size || memcmp(expected, received, expected_size) != 0)
            fail("header %.*s came back changed", (int)entries[i].key.len, (char *)entries[i].key.bytes);
    }
    amqp_destroy_message(&message);
    reply = amqp_basic_get(connection, 1, queue, 1);
    if (reply.reply.id != AMQP_BASIC_GET_EMPTY_METHOD) fail("an empty queue gave a message");
    amqp_bytes_free(queue);
    disconnect(connection);
}

static void check_consume(void) {
    enum { message_count = 5000, batch = 50 };
    amqp_connection_state_t connection = connect_plain();
    amqp_bytes_t queue = own_queue(connection, amqp_empty_table);
    for (int i = 0; i < message_count; ++i) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        publish(connection, amqp_empty_bytes, queue, false, NULL, amqp_cstring_bytes(text));
    }
    amqp_basic_qos(connection, 1, 0, 2 * batch, 0);
    expect_reply(connection, "basic.qos");
    amqp_basic_consume(connection, 1, queue, amqp_cstring_bytes("mine"), 0, 0, 0, amqp_empty_table);
    expect_reply(connection, "basic.consume");
    for (int i = 0; i < message_count; ++i) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        amqp_envelope_t envelope = next_delivery(connection);
        if (!equals(envelope.message.body, text)) fail("message %d is out of order", i);
        if (!equals(envelope.consumer_tag, "mine")) fail("another consumer's tag");
        if (envelope.delivery_tag != (uint64_t)i + 1) fail("message %d has another delivery tag", i);
        if ((i + 1) % batch == 0)
            expect_status(amqp_basic_ack(connection, 1, envelope.delivery_tag, 1), "basic.ack");
        amqp_destroy_envelope(&envelope);
    }
    amqp_basic_cancel(connection, 1, amqp_cstring_bytes("mine"));
    expect_reply(connection, "basic.cancel");
    amqp_queue_delete_ok_t *deleted = amqp_queue_delete(connection, 1, queue, 1, 1);
    expect_reply(connection, "queue.delete of an unused, empty queue");
    if (deleted->message_count != 0) fail("messages were left");
    amqp_bytes_free(queue);
    disconnect(connection);
}

static void check_confirms_and_returns(void) {
    amqp_connection_state_t connection = connect_plain();
    amqp_bytes_t queue = own_queue(connection, amqp_empty_table);
    amqp_confirm_select(connection, 1);
    expect_reply(connection, "confirm.select");
    const unsigned message_count = 1000;
    for (unsigned i = 0; i < message_count; ++i)
        publish(connection, amqp_empty_bytes, queue, true, NULL, amqp_cstring_bytes("x"));
    /* Acks may come one by one or many at once, but each tag exactly once. */
    static bool confirmed[1001];
    for (unsigned seen = 0; seen < message_count;) {
        amqp_method_t method = next_method(connection);
        if (method.id != AMQP_BASIC_ACK_METHOD) fail("%s instead of an ack", amqp_method_name(method.id));
        const amqp_basic_ack_t *ack = method.decoded;
        if (ack->delivery_tag < 1 || ack->delivery_tag > message_count) fail("a confirm for an unknown message");
        if (!ack->multiple && confirmed[ack->delivery_tag]) fail("one message was confirmed twice");
        for (uint64_t tag = ack->multiple ? 1 : ack->delivery_tag; tag <= ack->delivery_tag; ++tag) {
            seen += !confirmed[tag];
            confirmed[tag] = true;
        }
    }
    publish(connection, amqp_cstring_bytes("amq.direct"), amqp_cstring_bytes("nobody-listens"), true, NULL,
            amqp_cstring_bytes("back"));
    amqp_method_t method = next_method(connection);
    if (method.id != AMQP_BASIC_RETURN_METHOD) fail("%s instead of a return", amqp_method_name(method.id));
    const amqp_basic_return_t *returned = method.decoded;
    if (returned->reply_code != AMQP_NO_ROUTE) fail("return code %d", returned->reply_code);
    amqp_message_t message;
    amqp_rpc_reply_t reply = amqp_read_message(connection, 1, &message, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL || !equals(message.body, "back")) fail("the returned body");
    amqp_destroy_message(&message);
    if (next_method(connection).id != AMQP_BASIC_ACK_METHOD) fail("no ack after the return");
    amqp_bytes_free(queue);
    disconnect(connection);
}

static bool reaches(amqp_connection_state_t connection, amqp_bytes_t queue, const char *exchange, const char *key) {
    publish(connection, amqp_cstring_bytes(exchange), amqp_cstring_bytes(key), false, NULL, amqp_cstring_bytes("m"));
    /* Publishing and getting on one channel keep their order. */
    amqp_rpc_reply_t reply = amqp_basic_get(connection, 1, queue, 1);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail("basic.get");
    if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD) return false;
    amqp_message_t message;
    reply = amqp_read_message(connection, 1, &message, 0);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail("reading a message");
    amqp_destroy_message(&message);
    return true;
}

static void check_exchanges(void) {
    static const struct {
        const char *type, *binding, *hit, *miss;
    } cases[] = {{"direct", "k", "k", "K"}, {"topic", "a.*.#", "a.b", "a"}, {"fanout", "", "any", NULL}};
    amqp_connection_state_t connection = connect_plain();
    amqp_bytes_t queue = own_queue(connection, amqp_empty_table);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char name[64];
        snprintf(name, sizeof name, "librabbitmq.%s.%ld", cases[i].type, (long)getpid());
        amqp_bytes_t exchange = amqp_cstring_bytes(name);
        amqp_exchange_declare(connection, 1, exchange, amqp_cstring_bytes(cases[i].type), 0, 0, 0, 0, amqp_empty_table);
        expect_reply(connection, "exchange.declare");
        amqp_queue_bind(connection, 1, queue, exchange, amqp_cstring_bytes(cases[i].binding), amqp_empty_table);
        expect_reply(connection, "queue.bind");
        if (!reaches(connection, queue, name, cases[i].hit)) fail("%s %s is not routed", cases[i].type, cases[i].hit);
        if (cases[i].miss && reaches(connection, queue, name, cases[i].miss))
            fail("%s %s is routed", cases[i].type, cases[i].miss);
        amqp_exchange_bind(connection, 1, exchange, amqp_cstring_bytes("amq.fanout"), amqp_empty_bytes, amqp_empty_table);
        expect_reply(connection, "exchange.bind");
        if (!reaches(connection, queue, "amq.fanout", cases[i].hit)) fail("amq.fanout to %s", cases[i].type);
        amqp_exchange_unbind(connection, 1, exchange, amqp_cstring_bytes("amq.fanout"), amqp_empty_bytes, amqp_empty_table);
        expect_reply(connection, "exchange.unbind");
        amqp_queue_unbind(connection, 1, queue, exchange, amqp_cstring_bytes(cases[i].binding), amqp_empty_table);
        expect_reply(connection, "queue.unbind");
        if (reaches(connection, queue, name, cases[i].hit)) fail("%s routes without a binding", cases[i].type);
        amqp_exchange_delete(connection, 1, exchange, 1);
        expect_reply(connection, "exchange.delete");
    }
    amqp_bytes_free(queue);
    disconnect(connection);
}

static void check_refusals(void) {
    amqp_connection_state_t connection = connect_plain();
    amqp_queue_declare(connection, 1, amqp_cstring_bytes("no-such-queue"), 1, 0, 0, 0, amqp_empty_table);
    if (reply_code(amqp_get_rpc_reply(connection)) != 404) fail("passive declare of a missing queue: not 404");
    amqp_channel_open(connection, 2);
    expect_reply(connection, "another channel after a 404");
    amqp_exchange_declare(connection, 2, amqp_cstring_bytes("amq.topic"), amqp_cstring_bytes("direct"), 0, 1, 0, 0,
                          amqp_empty_table);
    if (reply_code(amqp_get_rpc_reply(connection)) != 406) fail("another type for amq.topic: not 406");
    amqp_channel_open(connection, 3);
    expect_reply(connection, "another channel after a 406");
    amqp_queue_declare(connection, 3, amqp_cstring_bytes("amq.mine"), 0, 0, 0, 0, amqp_empty_table);
    if (reply_code(amqp_get_rpc_reply(connection)) != 403) fail("a reserved name: not 403");
    disconnect(connection);
}

static void check_transactions(void) {
    amqp_connection_state_t connection = connect_plain();
    amqp_bytes_t queue = own_queue(connection, amqp_empty_table);
    amqp_tx_select(connection, 1);
    expect_reply(connection, "tx.select");
    publish(connection, amqp_empty_bytes, queue, false, NULL, amqp_cstring_bytes("forgotten"));
    amqp_tx_rollback(connection, 1);
    expect_reply(connection, "tx.rollback");
    publish(connection, amqp_empty_bytes, queue, false, NULL, amqp_cstring_bytes("kept"));
    amqp_tx_commit(connection, 1);
    expect_reply(connection, "tx.commit");
    amqp_queue_purge_ok_t *purged = amqp_queue_purge(connection, 1, queue);
    expect_reply(connection, "queue.purge");
    if (purged->message_count != 1) fail("%u messages after rollback and commit", purged->message_count);
    amqp_bytes_free(queue);
    disconnect(connection);
}

static void transfer_large(amqp_connection_state_t connection) {
    const size_t size = 10U << 20;
    char *body = malloc(size);
    if (!body) fail("no memory");
    for (size_t i = 0; i < size; ++i) body[i] = (char)(i * 31 + i / 4096);
    amqp_bytes_t queue = own_queue(connection, amqp_empty_table);
    amqp_bytes_t bytes = {size, body};
    amqp_basic_consume(connection, 1, queue, amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
    expect_reply(connection, "basic.consume");
    publish(connection, amqp_empty_bytes, queue, false, NULL, bytes);
    amqp_envelope_t envelope = next_delivery(connection);
    if (envelope.message.body.len != size || memcmp(envelope.message.body.bytes, body, size) != 0)
        fail("10 MiB came back changed");
    amqp_destroy_envelope(&envelope);
    amqp_bytes_free(queue);
    free(body);
}

static void check_large(void) {
    struct address address;
    read_address(&address, "AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F");
    const int frame_sizes[] = {4096, 65536, 131072};
    for (size_t i = 0; i < sizeof frame_sizes / sizeof frame_sizes[0]; ++i) {
        amqp_connection_state_t connection = connect_to(&address, frame_sizes[i], 0);
        if (amqp_get_frame_max(connection) != frame_sizes[i]) fail("frame_max was not tuned to %d", frame_sizes[i]);
        transfer_large(connection);
        disconnect(connection);
    }
}

static void check_tls(void) {
    struct address address;
    read_address(&address, "AMQPS_URL", "");
    amqp_connection_state_t connection = connect_to(&address, AMQP_DEFAULT_FRAME_SIZE, 0);
    transfer_large(connection);
    disconnect(connection);
}

static void check_heartbeat(void) {
    struct address address;
    read_address(&address, "AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F");
    amqp_connection_state_t connection = connect_to(&address, AMQP_DEFAULT_FRAME_SIZE, 1);
    if (amqp_get_heartbeat(connection) != 1) fail("the heartbeat was not tuned to 1 s");
    const double until = now() + 4;
    while (now() < until) {
        /* Waiting sends and receives heartbeats; nothing else may arrive. */
        amqp_frame_t frame;
        struct timeval pause = {0, 200000};
        int status = amqp_simple_wait_frame_noblock(connection, &frame, &pause);
        if (status != AMQP_STATUS_TIMEOUT) fail("while idle: %s", amqp_error_string2(status));
    }
    amqp_channel_open(connection, 2);
    expect_reply(connection, "channel.open after 4 idle seconds");
    disconnect(connection);
}

int main(void) {
    static const struct {
        const char *title;
        void (*run)(void);
        const char *needs;
    } checks[] = {
        {"login, and the server's properties", check_login, NULL},
        {"publish and get: properties and 14 kinds of header values", check_round_trip, NULL},
        {"5000 messages consumed in order, acknowledged in batches", check_consume, NULL},
        {"confirms, and a return before its confirm", check_confirms_and_returns, NULL},
        {"direct, topic and fanout exchanges, bound and unbound", check_exchanges, NULL},
        {"404, 406 and 403 close the channel only", check_refusals, NULL},
        {"transactions", check_transactions, NULL},
        {"10 MiB at three frame sizes", check_large, NULL},
        {"10 MiB over TLS, peer and host name verified", check_tls, "AMQPS_URL"},
        {"heartbeats keep an idle connection", check_heartbeat, NULL},
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(90);
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; ++i) {
        current_check = checks[i].title;
        if (checks[i].needs && !getenv(checks[i].needs)) {
            printf("skip  %s: %s is not set\n", checks[i].title, checks[i].needs);
            continue;
        }
        const double started = now();
        checks[i].run();
        printf("ok    %s (%.2f s)\n", checks[i].title, now() - started);
    }
    return 0;
}
