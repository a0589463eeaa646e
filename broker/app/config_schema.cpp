#include "broker/app/config_schema.hpp"

#include "broker/app/password.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

namespace linnet::app::schema {
namespace {

using enum kind;
using enum takes_effect;
using namespace std::string_view_literals;

template <class T>
void assign(T& to, checked_value&& from) {
    if constexpr (std::is_same_v<T, bool>) {
        to = std::get<bool>(from);
    } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
        to = static_cast<T>(std::get<std::int64_t>(from));
    } else {
        to = std::get<T>(std::move(from));
    }
}

template <class E>
requires std::is_enum_v<E>
void assign(std::vector<E>& to, checked_value&& from) {
    to.clear();
    for (auto index : std::get<std::vector<std::int64_t>>(from)) {
        to.push_back(static_cast<E>(index));
    }
}

template <class Owner, class T>
Owner owner_of(T Owner::*);

template <auto Member>
void store(void* owner, checked_value&& value) {
    using owner_type = decltype(owner_of(Member));
    assign(static_cast<owner_type*>(owner)->*Member, std::move(value));
}

template <auto Member>
bool same(const void* a, const void* b) {
    using owner_type = decltype(owner_of(Member));
    return static_cast<const owner_type*>(a)->*Member == static_cast<const owner_type*>(b)->*Member;
}

// member<&limits_config::queues>: that member of the section's object.
template <auto Member>
constexpr auto member = access{store<Member>, same<Member>};

void store_heartbeat(void* owner, checked_value&& ms) {
    static_cast<limits_config*>(owner)->heartbeat_s = static_cast<std::uint32_t>((std::get<std::int64_t>(ms) + 999) /
                                                                                 1000);
}

// A plain password goes no further than this.
void store_password(void* owner, checked_value&& value) {
    static_cast<user_config*>(owner)->password_hash = salted_sha256(std::get<std::string>(value));
}

// The listener was opened with a copy of [tls]; `false` takes it away.
void store_tls_switch(void* owner, checked_value&& on) {
    if (!std::get<bool>(on)) {
        static_cast<listener_config*>(owner)->tls.reset();
    }
}

template <auto Member>
void* open_member(void* owner) {
    return &(static_cast<config*>(owner)->*Member);
}

template <auto Member>
void* open_element(void* owner) {
    return &(static_cast<config*>(owner)->*Member).emplace_back();
}

void* open_listener(void* owner) {
    auto& c = *static_cast<config*>(owner);
    auto& listener = c.listeners.emplace_back();
    listener.tls = c.tls;  // [tls] has been read by now: sections are read in the order of the table
    return &listener;
}

void* open_self(void* owner) { return owner; }

void* open_listener_tls(void* owner) { return &*static_cast<listener_config*>(owner)->tls; }

constexpr std::int64_t kib = 1024;
constexpr std::int64_t mib = 1024 * kib;
constexpr std::int64_t second = 1000;
constexpr std::int64_t day = 86'400 * second;
constexpr std::int64_t count_max = 100'000'000;

// In the order of the enumerators they stand for.
constexpr auto verify_names = std::array{"none"sv, "peer"sv, "require"sv};
constexpr auto version_names = std::array{"1.2"sv, "1.3"sv};
constexpr auto login_names = std::array{"common_name"sv, "distinguished_name"sv, "subject_alternative_name"sv};
constexpr auto protocol_names = std::array{"amqp"sv, "amqps"sv, "mqtt"sv, "mqtts"sv, "http"sv, "https"sv, "metrics"sv};
constexpr auto topic_mode_names = std::array{"exact"sv, "rabbitmq"sv};
constexpr auto vhost_topic_mode_names = std::array{"default"sv, "exact"sv, "rabbitmq"sv};
constexpr auto level_names = std::array{"debug"sv, "info"sv, "warning"sv, "error"sv, "off"sv};
constexpr auto format_names = std::array{"text"sv, "json"sv};
constexpr auto mechanism_names = std::array{"PLAIN"sv, "AMQPLAIN"sv, "EXTERNAL"sv};
constexpr auto algorithm_names = std::array{"RS256"sv, "ES256"sv, "EdDSA"sv, "HS256"sv};
constexpr auto mode_names = std::array{"durable"sv, "memory"sv};
constexpr auto target_names = std::array{"all"sv,           "queues"sv, "exchanges"sv, "classic_queues"sv,
                                         "quorum_queues"sv, "streams"sv};

// A table is read by rows.
// clang-format off
constexpr auto top_keys = std::array{
    key{.name = "shards", .type = integer, .fallback = "0",
        .description = "Reactor threads. 0: one a core.",
        .at = member<&config::shards>, .when = on_restart, .max = 256},
    key{.name = "data_dir", .type = text, .fallback = "\"${STATE_DIRECTORY:-${XDG_STATE_HOME:-${HOME:-/var/lib}/.local/state}/linnet}\"",
        .description = "Where everything that outlives the process is kept.",
        .at = member<&config::data_dir>, .when = on_restart},
    key{.name = "pid_file", .type = text, .fallback = "\"\"",
        .description = "Written once the listeners are open, removed at the end. Empty: none.",
        .at = member<&config::pid_file>, .when = on_restart},
    key{.name = "ports_file", .type = text, .fallback = "\"\"",
        .description = "JSON: protocol -> addresses really bound; for tests that listen on port 0. Empty: none.",
        .at = member<&config::ports_file>, .when = on_restart},
    key{.name = "drain_timeout", .type = duration, .fallback = "\"10s\"",
        .description = "From SIGTERM on: how long clients may take to go before they are cut.",
        .at = member<&config::drain_timeout_ms>, .max = day},
};

constexpr auto tls_keys = std::array{
    key{.name = "cert_file", .type = text, .fallback = "\"\"",
        .description = "The certificate chain, PEM. Without one there is no TLS.",
        .at = member<&tls_config::cert_file>},
    key{.name = "key_file", .type = text, .fallback = "\"\"",
        .description = "Its private key, PEM.", .at = member<&tls_config::key_file>},
    key{.name = "key_password", .type = text, .fallback = "",
        .description = "The passphrase of the private key, if it has one.",
        .at = member<&tls_config::key_password>, .secret = true},
    key{.name = "ca_file", .type = text, .fallback = "\"\"",
        .description = "The authorities that client certificates are checked against, PEM.",
        .at = member<&tls_config::ca_file>},
    key{.name = "verify", .type = choice, .fallback = "\"none\"",
        .description = "Client certificates: none asked for; peer: checked when shown; require: refused without.",
        .at = member<&tls_config::verify>, .choices = verify_names},
    key{.name = "min_version", .type = choice, .fallback = "\"1.2\"",
        .description = "The oldest TLS version spoken.",
        .at = member<&tls_config::min_version>, .choices = version_names},
    key{.name = "ciphers", .type = text, .fallback = "\"\"",
        .description = "OpenSSL cipher list for TLS 1.2. Empty: OpenSSL's own.",
        .at = member<&tls_config::ciphers>},
    key{.name = "login_from", .type = choice, .fallback = "\"common_name\"",
        .description = "The part of a client certificate that is the user name for EXTERNAL.",
        .at = member<&tls_config::login_from>, .choices = login_names},
};

constexpr auto limits_keys = std::array{
    key{.name = "connections", .type = integer, .fallback = "0",
        .description = "Open connections. 0: what the file descriptor limit allows, but for what the logs need.",
        .at = member<&limits_config::connections>, .max = count_max},
    key{.name = "connections_per_address", .type = integer, .fallback = "0",
        .description = "Open connections from one client address. 0: no limit.",
        .at = member<&limits_config::connections_per_address>, .max = count_max},
    key{.name = "channels", .type = integer, .fallback = "2047",
        .description = "Channels a connection (AMQP channel_max).",
        .at = member<&limits_config::channels>, .when = on_restart, .min = 1, .max = 65535},
    key{.name = "frame_max", .type = size, .fallback = "\"128KiB\"",
        .description = "The largest AMQP frame.",
        .at = member<&limits_config::frame_bytes_max>, .when = on_restart, .min = 4 * kib, .max = 16 * mib},
    key{.name = "message_size", .type = size, .fallback = "\"128MiB\"",
        .description = "The largest message body.",
        .at = member<&limits_config::message_bytes_max>, .when = on_restart, .min = 1, .max = 512 * mib},
    key{.name = "queues", .type = integer, .fallback = "0",
        .description = "Queues a vhost. 0: no limit.",
        .at = member<&limits_config::queues>, .max = count_max},
    key{.name = "topic_wildcards", .type = integer, .fallback = "2000",
        .description = "Levels that an exchange's binding patterns may have behind a # and another wildcard, those that "
                       "patterns share counted once, the last level of each not: every level of a key may be compared "
                       "with all of them. 0: no limit.",
        .at = member<&limits_config::topic_wildcards>, .max = count_max},
    key{.name = "consumers_per_channel", .type = integer, .fallback = "0",
        .description = "Consumers a channel. 0: no limit.",
        .at = member<&limits_config::consumers_per_channel>, .when = on_restart, .max = count_max},
    key{.name = "retained", .type = integer, .fallback = "1000000",
        .description = "Retained messages a vhost. 0: no limit.",
        .at = member<&limits_config::retained>, .when = on_restart, .max = count_max},
    key{.name = "sessions", .type = integer, .fallback = "1000000",
        .description = "MQTT sessions, connected or kept. 0: no limit.",
        .at = member<&limits_config::sessions>, .when = on_restart, .max = count_max},
    key{.name = "handshake_timeout", .type = duration, .fallback = "\"10s\"",
        .description = "From the first byte (or TLS hello) to a logged-in client.",
        .at = member<&limits_config::handshake_timeout_ms>, .when = on_restart, .min = 100, .max = 3600 * second},
    key{.name = "heartbeat", .type = duration, .fallback = "\"60s\"",
        .description = "What we propose to clients; they may ask for less. 0: none. Whole seconds, rounded up.",
        .at = {store_heartbeat, same<&limits_config::heartbeat_s>}, .when = on_restart, .max = 65535 * second},
    key{.name = "consumer_timeout", .type = duration, .fallback = "\"30m\"",
        .description = "A delivery not settled within it closes the channel. 0: never.",
        .at = member<&limits_config::consumer_timeout_ms>, .when = on_restart, .max = 3650 * day},
};

constexpr auto memory_keys = std::array{
    key{.name = "budget", .type = memory, .fallback = "\"60%\"",
        .description = "What messages, output, indexes, queues, connections, clients, retained keys and reply handles "
                       "may take: queues keep less in memory as it fills, and above it publishers are blocked. A share "
                       "of the memory there is (the container's, if it has a limit), or a size. Also known as "
                       "high_watermark.",
        .at = member<&memory_config::budget>, .when = on_restart, .excludes = "high_watermark"},
    key{.name = "high_watermark", .type = memory, .fallback = "",
        .description = "The older name of budget.",
        .at = member<&memory_config::budget>, .when = on_restart, .excludes = "budget"},
};

constexpr auto recorder_keys = std::array{
    key{.name = "events", .type = integer, .fallback = "16384",
        .description = "What happens to messages that have an id is noted, 32 bytes a step, the newest over the oldest: "
                       "so many steps a shard. `linnet where` reads them. 0: nothing is noted.",
        .at = member<&recorder_config::events>, .when = on_restart, .max = 4 * mib},
};

constexpr auto store_keys = std::array{
    key{.name = "mode", .type = choice, .fallback = "\"durable\"",
        .description = "durable: durable queues and exchanges, their persistent messages, and users made at run time "
                       "outlive the process. memory: nothing does, and data_dir is not touched.",
        .at = member<&store_config::mode>, .when = on_restart, .choices = mode_names},
    key{.name = "segment_size", .type = size, .fallback = "\"64MiB\"",
        .description = "The files that a log is made of. Disk space comes back a segment at a time.",
        .at = member<&store_config::segment_bytes>, .when = on_restart, .min = 4 * mib, .max = 1024 * mib},
    key{.name = "disk_free_limit", .type = size, .fallback = "\"256MiB\"",
        .description = "With less free space on the disk of data_dir publishers are blocked: enough for the next "
                       "segments, so that acknowledging and deleting, which make room, can go on. 0: never.",
        .at = member<&store_config::disk_free_limit_bytes>, .max = 1024LL * 1024 * mib},
};

constexpr auto mqtt_keys = std::array{
    key{.name = "exchange", .type = text, .fallback = "\"amq.topic\"",
        .description = "The topic exchange that topics are keys of.",
        .at = member<&mqtt_config::exchange>, .when = on_restart, .required = true},
    key{.name = "topic_mode", .type = choice, .fallback = "\"exact\"",
        .description = "How topics are written as routing keys. exact: every topic has a key of its own; a dot within a "
                       "level becomes %2E. rabbitmq: / becomes . and nothing else is looked at.",
        .at = member<&mqtt_config::topics>, .when = on_restart, .choices = topic_mode_names},
    key{.name = "vhost", .type = text, .fallback = "\"/\"",
        .description = "The vhost of clients whose user name has none in front (\"vhost:user\").",
        .at = member<&mqtt_config::vhost>, .when = on_restart, .required = true},
    key{.name = "anonymous_user", .type = text, .fallback = "\"guest\"",
        .description = "Who clients are that send no user name. Empty: they are refused. As guest they have guest's first "
                       "password: they get in from this machine as long as nobody has changed it.",
        .at = member<&mqtt_config::anonymous_user>, .when = on_restart},
    key{.name = "receive_maximum", .type = integer, .fallback = "1024",
        .description = "Publishes of QoS 1 and 2 that a client may have under way.",
        .at = member<&mqtt_config::receive_maximum>, .when = on_restart, .min = 1, .max = 65'535},
    key{.name = "max_inflight", .type = integer, .fallback = "100",
        .description = "And those under way to a client that does not say how many it takes: MQTT 3 cannot.",
        .at = member<&mqtt_config::inflight_max>, .when = on_restart, .min = 1, .max = 32'767},
    key{.name = "topic_alias_maximum", .type = integer, .fallback = "64",
        .description = "Topic aliases that a client may use, and that are used towards it if it allows as many. 0: none.",
        .at = member<&mqtt_config::topic_alias_maximum>, .when = on_restart, .max = 65'535},
    key{.name = "max_packet_size", .type = size, .fallback = "\"16MiB\"",
        .description = "The largest packet that a client may send.",
        .at = member<&mqtt_config::packet_bytes_max>, .when = on_restart, .min = kib, .max = 255 * mib},
    key{.name = "max_subscriptions", .type = integer, .fallback = "10000",
        .description = "Subscriptions a session. Their filters may have 100 bytes each on average, and 1MiB together in "
                       "any case; 32MiB at most.",
        .at = member<&mqtt_config::subscriptions_max>, .when = on_restart, .min = 1, .max = count_max},
    key{.name = "session_expiry_max", .type = duration, .fallback = "\"0\"",
        .description = "The longest that a session may outlive its connection, whatever its client asks for. 0: no limit.",
        .at = member<&mqtt_config::session_expiry_max_ms>, .when = on_restart, .max = 10'000 * day},
    key{.name = "keep_alive_max", .type = duration, .fallback = "\"0\"",
        .description = "The longest keep alive, which MQTT 5 clients are told. 0: as the client wants it.",
        .at = member<&mqtt_config::keep_alive_max_ms>, .when = on_restart, .max = 65'535 * second},
    key{.name = "live_buffer", .type = size, .fallback = "\"8MiB\"",
        .description = "What may wait for a client that reads too slowly before messages of its subscriptions of QoS 0, "
                       "which no queue keeps, are dropped.",
        .at = member<&mqtt_config::live_bytes_max>, .when = on_restart, .min = 64 * kib, .max = 1024 * mib},
    key{.name = "shared_expiry", .type = duration, .fallback = "\"7d\"",
        .description = "How long a durable shared subscription is kept that nobody comes back to. 0: for ever.",
        .at = member<&mqtt_config::shared_expiry_ms>, .when = on_restart, .max = 10'000 * day},
    key{.name = "refusal_reasons", .type = boolean, .fallback = "true",
        .description = "Whether clients of MQTT 5 are told that they may not publish or subscribe somewhere (0x87). "
                       "false: they hear that it failed, and not why (0x80).",
        .at = member<&mqtt_config::refusal_reasons>, .when = on_restart},
    key{.name = "sys_interval", .type = duration, .fallback = "\"10s\"",
        .description = "How often the topics below $SYS/broker are published, in the vhost above. 0: never.",
        .at = member<&mqtt_config::sys_interval_ms>, .when = on_restart, .max = 3600 * second},
};

constexpr auto http_keys = std::array{
    key{.name = "origins", .type = text_list, .fallback = "[\"*\"]",
        .description = "Web pages that may open a WebSocket, beside those from the same host and port: "
                       "\"https://shop.example\", \"https://*.example\"; \"*\": all. They still have to log in.",
        .at = member<&http_config::origins>, .when = on_restart},
    key{.name = "compress", .type = boolean, .fallback = "false",
        .description = "WebSocket messages are compressed for clients that offer it (permessage-deflate): for slow "
                       "networks; it takes a hundred times the processor.",
        .at = member<&http_config::compress>, .when = on_restart},
    key{.name = "idle_timeout", .type = duration, .fallback = "\"60s\"",
        .description = "How long a connection may wait for its next request.",
        .at = member<&http_config::idle_timeout_ms>, .when = on_restart, .min = second, .max = day},
    key{.name = "ping_interval", .type = duration, .fallback = "\"30s\"",
        .description = "A WebSocket that has been silent for so long gets a ping, and is closed if nothing comes for as "
                       "long again. 0: none.",
        .at = member<&http_config::ping_interval_ms>, .when = on_restart, .max = day},
};

constexpr auto definitions_keys = std::array{
    key{.name = "file", .type = text, .fallback = "\"\"",
        .description = "Definitions to import at the start, as RabbitMQ exports them (JSON); again whenever the file "
                       "has changed. All of it or, with a mistake anywhere, nothing. Empty: none.",
        .at = member<&definitions_config::file>, .when = on_restart},
};

constexpr auto log_keys = std::array{
    key{.name = "level", .type = choice, .fallback = "\"info\"",
        .description = "The least important line to write.",
        .at = member<&log_config::level>, .choices = level_names},
    key{.name = "format", .type = choice, .fallback = "\"text\"",
        .description = "text for people, json for collectors: one object a line.",
        .at = member<&log_config::format>, .choices = format_names},
    key{.name = "file", .type = text, .fallback = "\"\"",
        .description = "Empty: stderr. SIGHUP and SIGUSR1 reopen it.", .at = member<&log_config::file>},
};

constexpr auto auth_keys = std::array{
    key{.name = "mechanisms", .type = choice_list, .fallback = "[\"PLAIN\", \"AMQPLAIN\"]",
        .description = "What clients are offered. EXTERNAL (client certificates) only over TLS, to those that show one.",
        .at = member<&auth_config::mechanisms>, .when = on_restart, .min = 1, .choices = mechanism_names},
};

constexpr auto tokens_keys = std::array{
    key{.name = "resource_server", .type = text, .fallback = "\"\"",
        .description = "What we are called there: a token's audience must name it, and scopes begin with it: "
                       "\"rabbitmq\" for \"rabbitmq.read:*/*\". Empty: no tokens are taken.",
        .at = member<&tokens_config::resource_server>},
    key{.name = "jwks_file", .type = text, .fallback = "\"\"",
        .description = "The public keys that tokens are checked with, a JSON Web Key Set. Read again on SIGHUP.",
        .at = member<&tokens_config::jwks_file>},
    key{.name = "secret", .type = text, .fallback = "",
        .description = "What HS256 tokens are signed with, 32 bytes at least. Or secret_file.",
        .at = member<&tokens_config::secret>, .secret = true},
    key{.name = "algorithms", .type = choice_list, .fallback = "[\"RS256\", \"ES256\", \"EdDSA\"]",
        .description = "How tokens may be signed. HS256 needs the secret.",
        .at = member<&tokens_config::algorithms>, .min = 1, .choices = algorithm_names},
    key{.name = "issuer", .type = text, .fallback = "\"\"",
        .description = "What their issuer (iss) must be. Empty: whoever has one of the keys.",
        .at = member<&tokens_config::issuer>},
    key{.name = "additional_scopes_key", .type = text, .fallback = "\"\"",
        .description = "A claim that holds scopes beside \"scope\". Empty: none.",
        .at = member<&tokens_config::more_scopes>},
    key{.name = "leeway", .type = duration, .fallback = "\"10s\"",
        .description = "How far the issuer's clock may differ from ours.",
        .at = member<&tokens_config::leeway_ms>, .max = 600 * second},
};

constexpr auto compat_keys = std::array{
    key{.name = "product", .type = text, .fallback = "\"RabbitMQ\"",
        .description = "Sent as the AMQP server property `product`: clients and their tests look for it. `platform` says Linnet.",
        .at = member<&compat_config::product>, .when = on_restart},
    key{.name = "rabbitmq_version", .type = text, .fallback = "\"3.13.7\"",
        .description = "The RabbitMQ release whose behaviour clients may expect; sent as the server property `version`.",
        .at = member<&compat_config::rabbitmq_version>, .when = on_restart},
    key{.name = "cluster_name", .type = text, .fallback = "\"\"",
        .description = "Sent as the server property `cluster_name`. Empty: the node name.",
        .at = member<&compat_config::cluster_name>, .when = on_restart},
    key{.name = "node_name", .type = text, .fallback = "\"\"",
        .description = "Empty: linnet@<host name>.", .at = member<&compat_config::node_name>, .when = on_restart},
};

constexpr auto listener_tls = section{.name = "tls", .description = "As [tls], for this listener alone.",
                                      .keys = tls_keys, .open = open_listener_tls};

constexpr auto listener_keys = std::array{
    key{.name = "name", .type = text, .fallback = "", .description = "For logs. Optional.",
        .at = member<&listener_config::name>, .when = on_restart, .example = "\"local\""},
    key{.name = "protocol", .type = choice, .fallback = "", .description = "The protocol spoken here.",
        .at = member<&listener_config::protocol>, .when = on_restart, .choices = protocol_names, .required = true,
        .example = "\"amqp\""},
    key{.name = "bind", .type = address, .fallback = "",
        .description = "A numeric address and a port: \"0.0.0.0:5672\", \"[::]:5672\". Port 0: any free one.",
        .at = member<&listener_config::bind>, .when = on_restart, .required = true,
        .example = "\"127.0.0.1:5672\""},
    key{.name = "tls", .type = boolean, .fallback = "",
        .description = "true makes amqp amqps, mqtt mqtts and http https. A table [listener.tls] overrides keys of [tls] here.",
        .at = {store_tls_switch, same<&listener_config::tls>}, .when = on_restart, .table = &listener_tls},
};
constexpr auto listener_identity = std::array{"name"sv};

constexpr auto vhost_keys = std::array{
    key{.name = "name", .type = text, .fallback = "", .description = "The tenant's name.",
        .at = member<&vhost_config::name>, .required = true, .example = "\"/\""},
    key{.name = "topic_mode", .type = choice, .fallback = "\"default\"",
        .description = "How MQTT topics are written as routing keys here. default: as mqtt.topic_mode says.",
        .at = member<&vhost_config::topics>, .when = on_restart, .choices = vhost_topic_mode_names},
};
constexpr auto name_identity = std::array{"name"sv};

constexpr auto user_keys = std::array{
    key{.name = "name", .type = text, .fallback = "", .description = "As the client sends it.",
        .at = member<&user_config::name>, .required = true, .example = "\"guest\""},
    key{.name = "password", .type = text, .fallback = "",
        .description = "In plain text; hashed while reading. Or password_file, or password_hash.",
        .at = {store_password, same<&user_config::password_hash>}, .secret = true, .excludes = "password_hash", .example = "\"guest\""},
    key{.name = "password_hash", .type = text, .fallback = "",
        .description = "Argon2id ($argon2id$...), RabbitMQ's base64 (SHA-256, SHA-512, MD5), crypt ($2b$, $6$, $y$), or "
                       "SCRAM-SHA-256$..., with which the user can also log in by SCRAM. linnetd --hash-password makes them.",
        .at = member<&user_config::password_hash>, .excludes = "password"},
    key{.name = "tags", .type = text_list, .fallback = "[]",
        .description = "administrator, monitoring, policymaker, management, or your own.",
        .at = member<&user_config::tags>, .example = "[\"administrator\"]"},
    key{.name = "loopback_only", .type = boolean, .fallback = "false",
        .description = "The user can connect from this machine only.",
        .at = member<&user_config::loopback_only>, .example = "true"},
};

constexpr auto permission_keys = std::array{
    key{.name = "user", .type = text, .fallback = "", .description = "A [[user]].",
        .at = member<&permission_config::user>, .required = true, .example = "\"guest\""},
    key{.name = "vhost", .type = text, .fallback = "\"/\"", .description = "A [[vhost]].",
        .at = member<&permission_config::vhost>},
    key{.name = "configure", .type = expression, .fallback = "\"\"",
        .description = "Regular expression over the names that may be declared and deleted. Empty: none.",
        .at = member<&permission_config::configure>, .example = "\".*\""},
    key{.name = "write", .type = expression, .fallback = "\"\"",
        .description = "Over the names that may be published to, and into which may be bound.", .at = member<&permission_config::write>,
        .example = "\".*\""},
    key{.name = "read", .type = expression, .fallback = "\"\"",
        .description = "Over the names that may be consumed, purged and bound from.", .at = member<&permission_config::read>,
        .example = "\".*\""},
};
constexpr auto permission_identity = std::array{"user"sv, "vhost"sv};

constexpr auto topic_permission_keys = std::array{
    key{.name = "user", .type = text, .fallback = "", .description = "A [[user]].",
        .at = member<&topic_permission_config::user>, .required = true, .example = "\"guest\""},
    key{.name = "vhost", .type = text, .fallback = "\"/\"", .description = "A [[vhost]].",
        .at = member<&topic_permission_config::vhost>},
    key{.name = "exchange", .type = text, .fallback = "",
        .description = "The topic exchange whose routing keys are restricted.",
        .at = member<&topic_permission_config::exchange>, .required = true, .example = "\"amq.topic\""},
    key{.name = "write", .type = expression, .fallback = "\"\"",
        .description = "Regular expression over the routing keys that may be published.",
        .at = member<&topic_permission_config::write>, .example = "\".*\""},
    key{.name = "read", .type = expression, .fallback = "\"\"",
        .description = "Over the routing keys that may be bound.", .at = member<&topic_permission_config::read>, .example = "\".*\""},
};
constexpr auto topic_permission_identity = std::array{"user"sv, "vhost"sv, "exchange"sv};

constexpr auto policy_keys = std::array{
    key{.name = "name", .type = text, .fallback = "", .description = "The policy's name.",
        .at = member<&policy_config::name>, .required = true, .example = "\"short\""},
    key{.name = "vhost", .type = text, .fallback = "\"/\"", .description = "A [[vhost]].",
        .at = member<&policy_config::vhost>},
    key{.name = "pattern", .type = expression, .fallback = "",
        .description = "Regular expression over the names it applies to.",
        .at = member<&policy_config::pattern>, .required = true, .example = "\"^tmp\\\\.\""},
    key{.name = "apply_to", .type = choice, .fallback = "\"all\"", .description = "What it applies to.",
        .at = member<&policy_config::apply_to>, .choices = target_names, .example = "\"queues\""},
    key{.name = "priority", .type = integer, .fallback = "0", .description = "The highest that matches wins.",
        .at = member<&policy_config::priority>, .min = -2'147'483'647, .max = 2'147'483'647},
    key{.name = "definition", .type = definition, .fallback = "",
        .description = "The arguments it sets, by RabbitMQ's names.",
        .at = member<&policy_config::definition>, .required = true,
        .example = "{ max-length = 1000, overflow = \"reject-publish\" }"},
};
constexpr auto policy_identity = std::array{"name"sv, "vhost"sv};

constexpr auto all_sections = std::array{
    section{.name = "", .description = "", .keys = top_keys, .open = open_self},
    section{.name = "tls", .description = "Certificates for every listener that speaks TLS. Read again on SIGHUP.",
            .keys = tls_keys, .open = open_member<&config::tls>},
    section{.name = "limits", .description = "What clients may use.", .keys = limits_keys,
            .open = open_member<&config::limits>},
    section{.name = "mqtt", .description = "What MQTT clients get.", .keys = mqtt_keys,
            .open = open_member<&config::mqtt>},
    section{.name = "http", .description = "What HTTP clients get: messages and events (/v1), WebSockets that carry MQTT and AMQP, probes.",
            .keys = http_keys, .open = open_member<&config::http>},
    section{.name = "memory", .description = "When to slow publishers down.", .keys = memory_keys,
            .open = open_member<&config::memory>},
    section{.name = "recorder", .description = "What has become of single messages.", .keys = recorder_keys,
            .open = open_member<&config::recorder>},
    section{.name = "store", .description = "What outlives the process: a log in data_dir.", .keys = store_keys,
            .open = open_member<&config::store>},
    section{.name = "definitions", .description = "Topology and users from a file.", .keys = definitions_keys,
            .open = open_member<&config::definitions>},
    section{.name = "log", .description = "What is written about what happens.", .keys = log_keys,
            .open = open_member<&config::log>},
    section{.name = "auth", .description = "How clients prove who they are.", .keys = auth_keys,
            .open = open_member<&config::auth>},
    section{.name = "tokens",
            .description = "JSON Web Tokens: as Bearer over HTTP, as the password over AMQP and MQTT. Rights are scopes, as "
                           "RabbitMQ's OAuth 2.0 plugin has them.",
            .keys = tokens_keys, .open = open_member<&config::tokens>},
    section{.name = "compat", .description = "What we call ourselves to RabbitMQ's clients.", .keys = compat_keys,
            .open = open_member<&config::compat>},
    section{.name = "listener",
            .description = "Where to listen. Without any: amqp on 0.0.0.0:5672, mqtt on 0.0.0.0:1883, http on "
                           "0.0.0.0:15672 and 0.0.0.0:15675, metrics on 0.0.0.0:15692; and if tls.cert_file is set amqps on 0.0.0.0:5671, "
                           "mqtts on 0.0.0.0:8883 and https on 0.0.0.0:15671.",
            .keys = listener_keys, .open = open_listener, .repeated = true,
            .identity = listener_identity},
    section{.name = "vhost", .description = "Tenants. Without any here or in the store: \"/\".", .keys = vhost_keys,
            .open = open_element<&config::vhosts>, .repeated = true, .identity = name_identity},
    section{.name = "user",
            .description = "Who may log in. Without any here or in the store: guest with password guest, an "
                           "administrator with every permission, from this machine only.",
            .keys = user_keys, .open = open_element<&config::users>, .repeated = true, .identity = name_identity},
    section{.name = "permission", .description = "What a user may do in a vhost. Without one: nothing.",
            .keys = permission_keys, .open = open_element<&config::permissions>, .repeated = true,
            .identity = permission_identity},
    section{.name = "topic_permission",
            .description = "Which routing keys of a topic exchange a user may use. Without one: all.",
            .keys = topic_permission_keys, .open = open_element<&config::topic_permissions>, .repeated = true,
            .identity = topic_permission_identity},
    section{.name = "policy", .description = "Arguments for queues and exchanges by name.", .keys = policy_keys,
            .open = open_element<&config::policies>, .repeated = true, .identity = policy_identity},
    section{.name = "operator_policy",
            .description = "As policies, for the operator: limits that users cannot raise.", .keys = policy_keys,
            .open = open_element<&config::operator_policies>, .repeated = true, .identity = policy_identity},
};
// clang-format on

}  // namespace

std::span<const section> sections() { return all_sections; }

const section* find_section(std::string_view name) {
    const auto it = std::ranges::find(all_sections, name, &section::name);
    return it == all_sections.end() ? nullptr : &*it;
}

const key* find_key(const section& s, std::string_view name) {
    const auto it = std::ranges::find(s.keys, name, &key::name);
    return it == s.keys.end() ? nullptr : &*it;
}

const key* find_path(std::string_view path) {
    const auto dot = path.find('.');
    if (dot == std::string_view::npos) {
        return find_key(all_sections.front(), path);
    }
    const auto* s = find_section(path.substr(0, dot));
    auto rest = path.substr(dot + 1);
    while (s != nullptr) {
        const auto next = rest.find('.');
        const auto* k = find_key(*s, rest.substr(0, next));
        if (next == std::string_view::npos || k == nullptr) {
            return k;
        }
        s = k->table;
        rest.remove_prefix(next + 1);
    }
    return nullptr;
}

std::string environment_name(std::string_view path) {
    auto name = std::string{"LINNET_"};
    for (char c : path) {
        if (c == '.') {
            name += "__";
        } else {
            name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        }
    }
    return name;
}

}  // namespace linnet::app::schema
