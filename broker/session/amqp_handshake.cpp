#include "broker/session/amqp_handshake.hpp"

#include "protocol/amqp/table_builder.hpp"

#include <fmt/format.h>

namespace linnet::session {
namespace {

constexpr std::string_view capability_names[] = {
    "publisher_confirms",           "exchange_exchange_bindings", "basic.nack",
    "consumer_cancel_notify",       "connection.blocked",         "consumer_priorities",
    "authentication_failure_close", "per_consumer_qos",           "direct_reply_to",
};

// Why a proposed limit cannot stand, if so: RabbitMQ's sentence.
std::optional<std::string> refuse_limit(std::string_view name, std::uint64_t wish, std::uint64_t least,
                                        std::uint64_t most) {
    if (wish != 0 && wish < least) {
        return fmt::format("negotiated {} = {} is lower than the minimum allowed value ({})", name, wish, least);
    }
    if (most != 0 && (wish == 0 || wish > most)) {
        return fmt::format("negotiated {} = {}{} is higher than the maximum allowed value ({})", name, wish,
                           wish == 0 ? " (no limit)" : "", most);
    }
    return std::nullopt;
}

bool flag(amqp::table_view table, std::string_view name) {
    const auto field = table.find(name);
    return field && field->as_bool().value_or(false);
}

bool external_possible(const amqp_settings& s, const peer_info& peer) noexcept {
    return s.external && peer.tls && !peer.certificate_name.empty();
}

}  // namespace

std::string server_properties(const amqp_settings& s) {
    amqp::table_builder table;
    table.begin_table("capabilities");
    for (const auto name : capability_names) {
        table.put(name, true);
    }
    table.end();
    table.put("cluster_name", std::string_view{s.cluster_name});
    table.put("copyright", std::string_view{s.copyright});
    table.put("information", std::string_view{s.information});
    table.put("platform", std::string_view{s.platform});
    table.put("product", std::string_view{s.product});
    table.put("version", std::string_view{s.version});
    return table.take();
}

std::string mechanisms_for(const amqp_settings& s, const peer_info& peer) {
    std::string names;
    const auto add = [&](bool offered, std::string_view name) {
        if (offered) {
            names += names.empty() ? "" : " ";
            names += name;
        }
    };
    add(external_possible(s, peer), "EXTERNAL");
    add(s.amqplain, "AMQPLAIN");
    add(s.plain, "PLAIN");
    return names;
}

std::string_view name_of(sasl_mechanism m) noexcept {
    switch (m) {
        case sasl_mechanism::plain: return "PLAIN";
        case sasl_mechanism::amqplain: return "AMQPLAIN";
        case sasl_mechanism::external: return "EXTERNAL";
    }
    return "";
}

mechanism_choice choose_mechanism(const amqp_settings& s, const peer_info& peer, std::string_view name) {
    const auto offered = [](bool yes, sasl_mechanism m) {
        return mechanism_choice{yes ? std::optional(m) : std::nullopt, true};
    };
    if (name == "PLAIN") {
        return offered(s.plain, sasl_mechanism::plain);
    }
    if (name == "AMQPLAIN") {
        return offered(s.amqplain, sasl_mechanism::amqplain);
    }
    if (name == "EXTERNAL") {
        return offered(external_possible(s, peer), sasl_mechanism::external);
    }
    return {};
}

std::optional<login> read_plain(std::string_view response) {
    const auto second = response.find('\0', 1);
    if (response.empty() || response[0] != '\0' || second == std::string_view::npos ||
        response.find('\0', second + 1) != std::string_view::npos) {
        return std::nullopt;
    }
    return login{std::string(response.substr(1, second - 1)), std::string(response.substr(second + 1))};
}

std::optional<login> read_amqplain(std::string_view response) {
    const auto table = amqp::table_view::parse(wire::as_bytes(response));
    if (!table) {
        return std::nullopt;
    }
    const auto user = table->find("LOGIN");
    const auto password = table->find("PASSWORD");
    if (!user || !password || !user->as_string() || !password->as_string()) {
        return std::nullopt;
    }
    return login{std::string(*user->as_string()), std::string(*password->as_string())};
}

client_abilities read_abilities(amqp::table_view client_properties) {
    const auto field = client_properties.find("capabilities");
    const auto table = field ? field->as_table().value_or(amqp::table_view{}) : amqp::table_view{};
    return {.authentication_failure_close = flag(table, "authentication_failure_close"),
            .consumer_cancel_notify = flag(table, "consumer_cancel_notify"),
            .connection_blocked = flag(table, "connection.blocked")};
}

result<tuning, std::string> negotiate(const amqp_settings& s, const amqp::connection_tune_ok& wish) {
    if (auto why = refuse_limit("frame_max", wish.frame_max, amqp::frame_min_size, s.frame_max)) {
        return fail(std::move(*why));
    }
    if (auto why = refuse_limit("channel_max", wish.channel_max, 1, s.channel_max)) {
        return fail(std::move(*why));
    }
    return tuning{wish.frame_max, wish.channel_max, wish.heartbeat};
}

}  // namespace linnet::session
