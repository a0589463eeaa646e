#include "clients/cli/mqtt_client.hpp"

#include "clients/cli/records.hpp"
#include "protocol/mqtt/property_writing.hpp"

#include <array>
#include <unistd.h>

namespace linnet::cli {
namespace {

// "vhost:user" where there is more than the vhost that everyone has.
std::string user_name(const server_uri& uri) {
    const auto user = uri.user.value_or("guest");
    return uri.vhost.empty() || uri.vhost == "/" ? user : uri.vhost + ':' + user;
}

json_value json_of(const mqtt::property_block& properties) {
    auto out = json_value::object();
    if (const auto type = properties.get<mqtt::property::content_type>()) {
        out["content_type"] = *type;
    }
    if (const auto topic = properties.get<mqtt::property::response_topic>()) {
        out["response_topic"] = *topic;
    }
    for (const auto& each : properties) {
        if (each.id == mqtt::property::user_property) {
            out["headers"][std::string{each.text}] = std::string{each.value};
        }
    }
    return out;
}

std::string encoded(const json_value& properties) {
    auto out = std::string{};
    if (const auto type = value_at(properties, "content_type"); type.is_string()) {
        mqtt::append_property<mqtt::property::content_type>(out, type.get_ref<const std::string&>());
    }
    const auto headers = properties.value("headers", json_value::object());
    for (const auto& [name, value] : headers.items()) {
        mqtt::append_user_property(out, name, value.is_string() ? value.get<std::string>() : value.dump());
    }
    return out;
}

}  // namespace

mqtt_client::mqtt_client(const server_uri& uri, std::chrono::milliseconds timeout, mqtt::version spoken)
    : uri_{uri}, timeout_{timeout}, spoken_{spoken}, stream_{std::chrono::steady_clock::now() + timeout} {}

tl::unexpected<failure> mqtt_client::unreachable(const std::string& why) const {
    return fail(exit_code::unreachable, fmt::format("{}: {}", uri_.text(), why),
                "Where the broker speaks MQTT is for --mqtt-url to say, if it is not the usual port.");
}

result<std::unique_ptr<mqtt_client>> mqtt_client::open(const server_uri& uri, std::chrono::milliseconds timeout) {
    auto newest = open(uri, timeout, mqtt::version::v5);
    if (newest || newest.error().code != exit_code::failure) {
        return newest;
    }
    // What a broker says that does not know MQTT 5: a reason, or nothing at all.
    auto older = open(uri, timeout, mqtt::version::v3_1_1);
    if (!older && older.error().code == exit_code::failure) {
        older.error().code = exit_code::unreachable;
    }
    return older;
}

result<std::unique_ptr<mqtt_client>> mqtt_client::open(const server_uri& uri, std::chrono::milliseconds timeout,
                                                       mqtt::version spoken) {
    auto client = std::unique_ptr<mqtt_client>{new mqtt_client{uri, timeout, spoken}};
    if (const auto error = client->stream_.connect(uri); !error.empty()) {
        return client->unreachable(error);
    }
    auto done = client->log_in();
    if (!done) {
        if (done.error().code == exit_code::unreachable) {
            done.error().code = exit_code::failure;
        }
        return tl::unexpected{done.error()};
    }
    return client;
}

result<void> mqtt_client::log_in() {
    const auto id = fmt::format("linnet-cli-{}-{}", ::getpid(),
                                std::chrono::steady_clock::now().time_since_epoch().count());
    const auto user = user_name(uri_);
    const auto password = uri_.password.value_or("guest");
    const auto request = mqtt::connect{
        .spoken = spoken_, .client_id = id, .user_name = user, .password = wire::as_bytes(password)};
    return send(request).and_then([&] {
        auto refusal = std::optional<mqtt::reason_code>{};
        auto done = expect<mqtt::connack>([&](const mqtt::connack& reply) {
            if (mqtt::is_failure(reply.reason)) {
                refusal = reply.reason;
            }
        });
        if (done && refusal) {
            const bool too_new = *refusal == mqtt::reason_code::unsupported_protocol_version;
            done = fail(too_new ? exit_code::failure : exit_code::auth,
                        fmt::format("{}: {}", uri_.text(), mqtt::reason_name(*refusal)));
        }
        return done;
    });
}

template <class Packet>
result<void> mqtt_client::send(const Packet& packet) {
    fresh_deadline();
    auto bytes = std::vector<std::uint8_t>(mqtt::encoded_size(packet, spoken_));
    mqtt::encode(bytes.data(), packet, spoken_);
    if (const auto error = stream_.write(bytes); !error.empty()) {
        return unreachable(error);
    }
    return {};
}

template <class Packet, class Visit>
result<void> mqtt_client::expect(Visit&& visit) {
    fresh_deadline();
    for (;;) {
        const auto frame = next_frame();
        if (!frame) {
            return tl::unexpected{frame.error()};
        }
        if (!*frame) {
            return unreachable(stream::timed_out);
        }
        if ((*frame)->type() == Packet::type) {
            const auto packet = mqtt::decode<Packet>(**frame, theirs());
            if (!packet) {
                return unreachable(std::string{mqtt::describe(packet.reason())});
            }
            visit(*packet);
            return {};
        }
        if (auto done = keep(**frame); !done) {
            return done;
        }
    }
}

result<void> mqtt_client::keep(const mqtt::frame& frame) {
    if (frame.type() == mqtt::packet_type::publish) {
        const auto packet = mqtt::decode<mqtt::publish>(frame, theirs());
        if (!packet) {
            return unreachable(std::string{mqtt::describe(packet.reason())});
        }
        kept_.push_back({std::string{packet->topic}, std::string{wire::as_text(packet->payload)},
                         static_cast<unsigned>(packet->qos), packet->retain, packet->packet_id,
                         json_of(packet->properties)});
    } else if (frame.type() == mqtt::packet_type::disconnect) {
        const auto packet = mqtt::decode<mqtt::disconnect>(frame, theirs());
        return fail(exit_code::failure,
                    fmt::format("disconnected by the broker: {}",
                                packet ? mqtt::reason_name(packet->reason) : std::string_view{"without a reason"}));
    } else if (frame.type() == mqtt::packet_type::pubrel) {
        const auto packet = mqtt::decode<mqtt::pubrel>(frame, theirs());
        return packet ? send(mqtt::pubcomp{.packet_id = packet->packet_id}) : result<void>{};
    }
    return {};
}

result<std::optional<mqtt::frame>> mqtt_client::next_frame() {
    for (;;) {
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken_));
        taken_ = 0;
        const auto frame = mqtt::decode_frame(input_, theirs());
        if (frame) {
            taken_ = frame->size();
            return *frame;
        }
        if (frame.is_malformed()) {
            return unreachable(fmt::format("this is not MQTT: {}", mqtt::describe(frame.reason())));
        }
        auto part = std::array<std::uint8_t, 16 * 1024>{};
        auto size = std::size_t{0};
        const auto error = stream_.read(part, size);
        if (error == stream::timed_out) {
            return std::optional<mqtt::frame>{};
        }
        if (!error.empty() || size == 0) {
            return unreachable(error.empty() ? "the server closed the connection" : error);
        }
        input_.insert(input_.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(size));
    }
}

result<void> mqtt_client::subscribe(const std::string& filter, unsigned qos) {
    auto list = std::string{};
    mqtt::append_subscription(list, {filter, {.maximum_qos = static_cast<mqtt::qos>(qos)}});
    const auto request = mqtt::subscribe{.packet_id = ++last_packet_id_,
                                         .subscriptions = mqtt::subscription_list::trusted(wire::as_bytes(list))};
    return send(request).and_then([&] {
        auto reason = mqtt::reason_code::success;
        auto done = expect<mqtt::suback>([&](const mqtt::suback& reply) {
            reason = reply.reasons.empty() ? mqtt::reason_code::unspecified_error
                                           : static_cast<mqtt::reason_code>(reply.reasons[0]);
        });
        if (done && mqtt::is_failure(reason)) {
            done = fail(exit_code::failure, fmt::format("\"{}\": {}", filter, mqtt::reason_name(reason)));
        }
        return done;
    });
}

result<void> mqtt_client::publish(const mqtt_message& message) {
    const auto properties = spoken_ == mqtt::version::v5 ? encoded(message.properties) : std::string{};
    const auto qos = static_cast<mqtt::qos>(message.qos);
    const auto id = static_cast<std::uint16_t>(message.qos == 0            ? 0
                                               : last_packet_id_ == 65'535 ? 1
                                                                           : last_packet_id_ + 1);
    last_packet_id_ = id == 0 ? last_packet_id_ : id;
    auto sent = send(mqtt::publish{.topic = message.topic,
                                   .payload = wire::as_bytes(message.payload),
                                   .properties = mqtt::property_block::trusted(wire::as_bytes(properties)),
                                   .packet_id = id,
                                   .qos = qos,
                                   .retain = message.retain});
    auto reason = mqtt::reason_code::success;
    const auto note = [&](const auto& packet) { reason = packet.reason; };
    if (sent && message.qos == 1) {
        sent = expect<mqtt::puback>(note);
    } else if (sent && message.qos == 2) {
        sent = expect<mqtt::pubrec>(note);
        if (sent && !mqtt::is_failure(reason)) {
            sent = send(mqtt::pubrel{.packet_id = id}).and_then([&] { return expect<mqtt::pubcomp>(note); });
        }
    }
    if (sent && mqtt::is_failure(reason)) {
        sent = fail(exit_code::failure, fmt::format("\"{}\": {}", message.topic, mqtt::reason_name(reason)));
    }
    return sent;
}

result<std::optional<mqtt_message>> mqtt_client::next(std::chrono::milliseconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (kept_.empty()) {
        stream_.wait_until(until);
        const auto frame = next_frame();
        if (!frame) {
            return tl::unexpected{frame.error()};
        }
        if (!*frame) {
            return std::optional<mqtt_message>{};
        }
        if (auto done = keep(**frame); !done) {
            return tl::unexpected{done.error()};
        }
    }
    auto first = std::move(kept_.front());
    kept_.erase(kept_.begin());
    return std::optional{std::move(first)};
}

result<void> mqtt_client::acknowledge(const mqtt_message& message) {
    switch (message.qos) {
        case 1: return send(mqtt::puback{.packet_id = message.packet_id});
        case 2: return send(mqtt::pubrec{.packet_id = message.packet_id});
        default: return {};
    }
}

void mqtt_client::close() {
    // Best effort: the connection ends either way. To close it while something lies unread would reset it, and take
    // with it what the broker has not read yet: the broker closes first.
    if (!send(mqtt::disconnect{})) {
        return;
    }
    auto rest = std::array<std::uint8_t, 4096>{};
    for (auto size = std::size_t{1}; size != 0;) {
        if (!stream_.read(rest, size).empty()) {
            return;
        }
    }
}

}  // namespace linnet::cli
