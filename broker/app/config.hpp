#pragma once

#include "broker/app/token_key.hpp"
#include "broker/base/log.hpp"
#include "broker/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// What the daemon was told to do, checked: whoever holds a `config` need not doubt a value in it.
//
// The keys, their types, defaults and descriptions stand in one table (config_schema.cpp), from which
// reading, the error texts, the environment names and config/linnet.toml are all derived. Everything
// here is a plain value with its unit in its name; a configuration is loaded whole or not at all.

namespace linnet::app {

// An amount of memory: a share of what the machine (or the container) has, or bytes.
struct memory_amount {
    std::uint32_t percent = 0;  // 0: `bytes` says it
    std::uint64_t bytes = 0;

    bool operator==(const memory_amount&) const = default;
};

struct bind_address {
    std::string host = "0.0.0.0";  // a numeric IPv4 or IPv6 address, without brackets
    std::uint16_t port = 0;        // 0: any free port; the ports file tells which

    bool operator==(const bind_address&) const = default;
};

enum class tls_verify : std::uint8_t { none, peer, require };
enum class tls_version : std::uint8_t { tls_1_2, tls_1_3 };
enum class tls_login : std::uint8_t { common_name, distinguished_name, subject_alternative_name };

struct tls_config {
    std::string cert_file;  // empty: no TLS
    std::string key_file;
    std::string key_password;
    std::string ca_file;
    tls_verify verify = tls_verify::none;
    tls_version min_version = tls_version::tls_1_2;
    std::string ciphers;  // OpenSSL list for TLS 1.2; empty: the library's own
    tls_login login_from = tls_login::common_name;

    bool operator==(const tls_config&) const = default;
};

enum class listener_protocol : std::uint8_t { amqp, amqps, mqtt, mqtts, http, https, metrics };

[[nodiscard]] constexpr std::string_view name(listener_protocol p) noexcept {
    switch (p) {
        case listener_protocol::amqp: return "amqp";
        case listener_protocol::amqps: return "amqps";
        case listener_protocol::mqtt: return "mqtt";
        case listener_protocol::mqtts: return "mqtts";
        case listener_protocol::http: return "http";
        case listener_protocol::https: return "https";
        case listener_protocol::metrics: return "metrics";
    }
    return "";
}
// The same over TLS, and in the clear.
[[nodiscard]] constexpr listener_protocol over_tls(listener_protocol p) noexcept {
    switch (p) {
        case listener_protocol::amqp:
        case listener_protocol::amqps: return listener_protocol::amqps;
        case listener_protocol::mqtt:
        case listener_protocol::mqtts: return listener_protocol::mqtts;
        case listener_protocol::http:
        case listener_protocol::https: return listener_protocol::https;
        case listener_protocol::metrics: return listener_protocol::metrics;
    }
    return p;
}
[[nodiscard]] constexpr listener_protocol in_the_clear(listener_protocol p) noexcept {
    switch (p) {
        case listener_protocol::amqp:
        case listener_protocol::amqps: return listener_protocol::amqp;
        case listener_protocol::mqtt:
        case listener_protocol::mqtts: return listener_protocol::mqtt;
        case listener_protocol::http:
        case listener_protocol::https: return listener_protocol::http;
        case listener_protocol::metrics: return listener_protocol::metrics;
    }
    return p;
}

struct listener_config {
    std::string name;  // for logs; made from protocol and address when not given
    listener_protocol protocol = listener_protocol::amqp;
    bind_address bind;
    std::optional<tls_config> tls;  // present exactly when the protocol is one over TLS

    bool operator==(const listener_config&) const = default;
};

// 0 means "no limit" for connections, queues, wildcards and consumers.
struct limits_config {
    std::uint32_t connections = 0;
    std::uint32_t connections_per_address = 0;
    std::uint16_t channels = 0;  // a connection
    std::uint32_t frame_bytes_max = 0;
    std::uint64_t message_bytes_max = 0;
    std::uint32_t queues = 0;           // a vhost
    std::uint32_t topic_wildcards = 0;  // an exchange
    std::uint32_t consumers_per_channel = 0;
    std::uint32_t handshake_timeout_ms = 0;
    std::uint32_t heartbeat_s = 0;  // offered to clients; 0: none
    std::uint64_t consumer_timeout_ms = 0;
    std::uint32_t retained = 0;  // a vhost
    std::uint32_t sessions = 0;

    bool operator==(const limits_config&) const = default;
};

enum class topic_mode : std::uint8_t { exact, rabbitmq };

// Of a broker that has been given no users.
inline constexpr std::string_view first_user = "guest";
inline constexpr std::string_view first_password = "guest";

struct mqtt_config {
    std::string exchange;
    topic_mode topics = topic_mode::exact;
    std::string vhost;
    std::string anonymous_user;  // empty: clients without a user name are refused; guest: with its first password
    std::uint16_t receive_maximum = 0;
    std::uint16_t inflight_max = 0;
    std::uint16_t topic_alias_maximum = 0;
    std::uint32_t packet_bytes_max = 0;
    std::uint32_t subscriptions_max = 0;      // a session
    std::uint64_t session_expiry_max_ms = 0;  // 0: for ever
    std::uint32_t keep_alive_max_ms = 0;      // 0: as clients want it
    std::uint64_t live_bytes_max = 0;         // a connection
    std::uint64_t shared_expiry_ms = 0;       // 0: never
    std::uint32_t sys_interval_ms = 0;        // 0: nothing is published
    bool refusal_reasons = false;

    bool operator==(const mqtt_config&) const = default;
};

struct http_config {
    std::vector<std::string> origins;  // pages that may open WebSockets, beside our own; "*": all
    bool compress = false;
    std::uint32_t idle_timeout_ms = 0;
    std::uint32_t ping_interval_ms = 0;  // 0: none

    bool operator==(const http_config&) const = default;
};

struct memory_config {
    memory_amount budget;  // publishers are blocked above it

    bool operator==(const memory_config&) const = default;
};

struct recorder_config {
    std::uint32_t events = 0;  // a shard; 0: nothing is recorded

    bool operator==(const recorder_config&) const = default;
};

enum class store_mode : std::uint8_t { durable, memory };

struct store_config {
    store_mode mode = store_mode::durable;
    std::uint64_t segment_bytes = 0;
    std::uint64_t disk_free_limit_bytes = 0;  // publishers are blocked below it; 0: never

    bool operator==(const store_config&) const = default;
};

struct definitions_config {
    std::string file;  // empty: none

    bool operator==(const definitions_config&) const = default;
};

struct log_config {
    log::level level = log::level::info;
    log::format format = log::format::text;
    std::string file;  // empty: stderr

    bool operator==(const log_config&) const = default;
};

struct compat_config {
    std::string product;           // what the AMQP server property `product` says
    std::string rabbitmq_version;  // what the AMQP server property `version` says
    std::string cluster_name;      // empty: node_name
    std::string node_name;         // filled with linnet@<host> when not given

    bool operator==(const compat_config&) const = default;
};

enum class auth_mechanism : std::uint8_t { plain, amqplain, external };

struct auth_config {
    std::vector<auth_mechanism> mechanisms;  // those offered, each once

    bool operator==(const auth_config&) const = default;
};

// JSON Web Tokens that an authorisation server signs. None are taken without a resource server.
struct tokens_config {
    std::string resource_server;
    std::string jwks_file;
    std::string secret;
    std::vector<token_algorithm> algorithms;  // each once
    std::string issuer;
    std::string more_scopes;
    std::uint32_t leeway_ms = 0;

    bool operator==(const tokens_config&) const = default;
};

struct user_config {
    std::string name;
    // Any form that password_hash::parse reads. A plain password is hashed while loading and forgotten.
    // Empty: the user cannot log in with a password (but may with a certificate).
    std::string password_hash;
    std::vector<std::string> tags;
    bool loopback_only = false;

    bool operator==(const user_config&) const = default;
};

// How topics are written there; otherwise mqtt.topic_mode says it.
enum class vhost_topic_mode : std::uint8_t { as_everywhere, exact, rabbitmq };

struct vhost_config {
    std::string name;
    vhost_topic_mode topics = vhost_topic_mode::as_everywhere;

    bool operator==(const vhost_config&) const = default;
};

// Regular expressions over entity names, as in RabbitMQ; an empty one matches nothing but the empty name.
struct permission_config {
    std::string user;
    std::string vhost;
    std::string configure;
    std::string write;
    std::string read;

    bool operator==(const permission_config&) const = default;
};

struct topic_permission_config {
    std::string user;
    std::string vhost;
    std::string exchange;
    std::string write;
    std::string read;

    bool operator==(const topic_permission_config&) const = default;
};

using policy_value = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;
using policy_definition = std::vector<std::pair<std::string, policy_value>>;

enum class policy_target : std::uint8_t { all, queues, exchanges, classic_queues, quorum_queues, streams };

struct policy_config {
    std::string name;
    std::string vhost;
    std::string pattern;
    policy_target apply_to = policy_target::all;
    std::int32_t priority = 0;
    policy_definition definition;

    bool operator==(const policy_config&) const = default;
};

struct config {
    std::uint32_t shards = 0;  // 0: one a core
    std::string data_dir;
    std::string pid_file;                // empty: none
    std::string ports_file;              // empty: none
    std::uint32_t drain_timeout_ms = 0;  // from SIGTERM to the hard end

    std::vector<listener_config> listeners;
    tls_config tls;
    limits_config limits;
    mqtt_config mqtt;
    http_config http;
    memory_config memory;
    recorder_config recorder;
    store_config store;
    definitions_config definitions;
    log_config log;
    auth_config auth;
    tokens_config tokens;
    compat_config compat;

    // None was configured: "/" and guest stand here by default, for a store that has none either.
    bool default_vhost = false;
    bool default_user = false;
    std::vector<vhost_config> vhosts;
    std::vector<user_config> users;
    std::vector<permission_config> permissions;
    std::vector<topic_permission_config> topic_permissions;
    std::vector<policy_config> policies;
    std::vector<policy_config> operator_policies;

    bool operator==(const config&) const = default;
};

// Where values come from, weakest first: defaults < files < each file's conf.d/*.toml < environment
// < settings < listeners.
struct config_sources {
    std::vector<std::string> files;        // -c, in the order given
    std::vector<std::string> search;       // tried in order when `files` is empty; the first that exists
    std::vector<std::string> environment;  // NAME=value
    std::vector<std::string> settings;     // --set key.path=value
    std::vector<std::string> listeners;    // --listen protocol=address:port; replaces all others

    // The process's own environment and the default search path.
    [[nodiscard]] static config_sources of_this_process();
};

struct config_error {
    std::string where;  // "linnet.toml:12:5", "LINNET_SHARDS", "--set"
    std::string what;

    [[nodiscard]] std::string text() const { return where.empty() ? what : where + ' ' + what; }
    bool operator==(const config_error&) const = default;
};

struct loaded_config {
    config values;
    std::vector<std::string> files;     // those read, in order
    std::vector<std::string> warnings;  // odd, but not wrong
    std::string digest;                 // of everything read; tells two configurations apart
};

// Reads, merges and checks. Reports every error it can find, not the first alone.
// Reads files and the sources only: no global state, no listening, no logging.
[[nodiscard]] result<loaded_config, std::vector<config_error>> load(const config_sources& sources);

// The keys whose values differ and take effect only at a restart ("shards", "listener"), for SIGHUP to name.
[[nodiscard]] std::vector<std::string> restart_needed(const config& running, const config& wanted);

}  // namespace linnet::app
