#include "bench/load/mqtt_dialogue.hpp"

#include <atomic>
#include <unistd.h>

namespace linnet::load {
namespace {

// Small enough for any broker's limit of a packet.
constexpr std::size_t filters_a_packet = 100;

// Unique among all generators of this machine.
std::string next_client_id() {
    static std::atomic<unsigned> count{0};
    return fmt::format("linnet-bench-{}-{}", ::getpid(), count.fetch_add(1));
}

// "vhost:user" where there is more than the vhost that everyone has.
std::string user_name(const broker_uri& uri) {
    return uri.vhost.empty() || uri.vhost == "/" ? uri.user : fmt::format("{}:{}", uri.vhost, uri.user);
}

std::string complaint(const mqtt::frame& f, mqtt::dialect theirs) {
    const auto bye = mqtt::decode<mqtt::disconnect>(f, theirs);
    return bye ? fmt::format("disconnected by the broker: {}", mqtt::reason_name(bye->reason)) : "bad DISCONNECT";
}

}  // namespace

outcome<mqtt_dialogue> mqtt_dialogue::connect(const broker_uri& uri, const settings& how) {
    auto socket = blocking_socket::connect(uri.host, uri.port);
    if (!socket)
        return tl::unexpected{socket.error()};
    mqtt_dialogue talk{std::move(*socket), how.version};
    if (auto done = talk.log_in(uri, how); !done)
        return failure("{}:{}: {}", uri.host, uri.port, done.error());
    return talk;
}

outcome<void> mqtt_dialogue::log_in(const broker_uri& uri, const settings& how) {
    const std::string id = next_client_id();
    const std::string user = user_name(uri);
    std::string properties;
    if (spoken_ == mqtt::version::v5 && how.receive_maximum != 0)
        mqtt::append_property<mqtt::property::receive_maximum>(properties, how.receive_maximum);
    mqtt::connect request{
        .spoken = spoken_, .properties = mqtt::property_block::trusted(wire::as_bytes(properties)), .client_id = id};
    if (!user.empty()) {
        request.user_name = user;
        request.password = wire::as_bytes(uri.password);
    }
    send(request);
    const auto reply = expect<mqtt::connack>();
    if (!reply)
        return tl::unexpected{reply.error()};
    if (mqtt::is_failure(reply->reason))
        return failure("connection refused by the broker: {}", mqtt::reason_name(reply->reason));
    receive_maximum_ = reply->properties.get<mqtt::property::receive_maximum>().value_or(receive_maximum_);
    return {};
}

template <class Reply>
outcome<Reply> mqtt_dialogue::expect() {
    const auto frame = wait_for(Reply::type);
    if (!frame)
        return tl::unexpected{frame.error()};
    const mqtt::decoded<Reply> reply = mqtt::decode<Reply>(*frame, theirs());
    if (!reply)
        return failure("the broker sent a bad {}: {}", mqtt::packet_name(Reply::type), mqtt::describe(reply.reason()));
    return *reply;
}

outcome<void> mqtt_dialogue::subscribe(std::span<const std::string> filters, mqtt::qos at) {
    while (!filters.empty()) {
        const std::size_t count = std::min(filters.size(), filters_a_packet);
        if (auto done = subscribe_some(filters.first(count), at); !done)
            return done;
        filters = filters.subspan(count);
    }
    return {};
}

outcome<void> mqtt_dialogue::subscribe_some(std::span<const std::string> filters, mqtt::qos at) {
    std::string list;
    for (const std::string& each : filters)
        mqtt::append_subscription(list, {each, {.maximum_qos = at}});
    send(mqtt::subscribe{.packet_id = next_packet_id_++,
                         .subscriptions = mqtt::subscription_list::trusted(wire::as_bytes(list))});
    const auto reply = expect<mqtt::suback>();
    if (!reply)
        return tl::unexpected{reply.error()};
    if (reply->reasons.size() != filters.size())
        return failure("the broker granted {} subscriptions of {}", reply->reasons.size(), filters.size());
    for (std::size_t i = 0; i < filters.size(); ++i) {
        if (reply->reasons[i] != static_cast<std::uint8_t>(at))
            return failure("the broker granted '{}' with {:#04x} instead of QoS {}", filters[i], reply->reasons[i],
                           static_cast<unsigned>(at));
    }
    return {};
}

std::string mqtt_dialogue::broker() {
    constexpr std::string_view topic = "$SYS/broker/version";
    const std::string filter{topic};
    std::string name = "MQTT broker";
    if (!subscribe({&filter, 1}, mqtt::qos::at_most_once))
        return name;
    // What is retained comes with the subscription; the answer to a ping says that it has.
    send(mqtt::pingreq{});
    if (!wait_for(mqtt::packet_type::pingresp))
        return name;
    for (wire::bytes_view rest{kept_}; !rest.empty();) {
        const auto frame = mqtt::decode_frame(rest, theirs());
        if (!frame)
            break;
        if (frame->type() == mqtt::packet_type::publish) {
            if (const auto message = mqtt::decode<mqtt::publish>(*frame, theirs()); message && message->topic == topic)
                name = wire::as_text(message->payload);
        }
        rest = rest.subspan(frame->size());
    }
    return name;
}

outcome<mqtt::frame> mqtt_dialogue::wait_for(mqtt::packet_type type) {
    if (auto done = socket_.flush(); !done)
        return tl::unexpected{done.error()};
    for (;;) {
        const auto frame = next_frame();
        if (!frame)
            return failure("waiting for {}: {}", mqtt::packet_name(type), frame.error());
        if (frame->type() == type)
            return frame;
        if (frame->type() == mqtt::packet_type::disconnect)
            return failure("{}", complaint(*frame, theirs()));
        const std::uint8_t* begin = frame->body.data() - frame->header.bytes;
        kept_.insert(kept_.end(), begin, begin + frame->size());
    }
}

outcome<mqtt::frame> mqtt_dialogue::next_frame() {
    for (;;) {
        const mqtt::decoded<mqtt::frame> frame = mqtt::decode_frame(socket_.unread(), theirs());
        if (frame) {
            socket_.take(frame->size());
            return *frame;
        }
        if (frame.is_malformed())
            return failure("not MQTT: {}", mqtt::describe(frame.reason()));
        if (auto done = socket_.read_some(); !done)
            return tl::unexpected{done.error()};
    }
}

void mqtt_dialogue::close() noexcept {
    if (!socket_.is_open())
        return;
    // Best effort: the socket is closed either way.
    send(mqtt::disconnect{});
    (void)socket_.flush();
    socket_.close();
}

int mqtt_dialogue::release(std::vector<std::uint8_t>& unread) {
    unread = std::move(kept_);
    return socket_.release(unread);
}

}  // namespace linnet::load
