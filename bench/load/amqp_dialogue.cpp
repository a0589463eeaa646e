#include "bench/load/amqp_dialogue.hpp"

#include "protocol/amqp/table_builder.hpp"

#include <utility>

namespace linnet::load {
namespace {

// The first words of a server that has something against us.
std::string complaint(const amqp::frame& f) {
    const auto arguments = f.payload.subspan(sizeof(amqp::method_id));
    if (f.channel == 0) {
        const auto close = amqp::decode<amqp::connection_close>(arguments);
        return close ? fmt::format("connection closed by the broker: {} {}", close->code, close->text) : "bad close";
    }
    const auto close = amqp::decode<amqp::channel_close>(arguments);
    return close ? fmt::format("channel closed by the broker: {} {}", close->code, close->text) : "bad close";
}

}  // namespace

outcome<amqp_dialogue> amqp_dialogue::connect(const broker_uri& uri) {
    auto socket = blocking_socket::connect(uri.host, uri.port);
    if (!socket)
        return tl::unexpected{socket.error()};
    amqp_dialogue talk{std::move(*socket)};
    if (auto done = talk.log_in(uri); !done)
        return failure("{}:{}: {}", uri.host, uri.port, done.error());
    return talk;
}

namespace {

// "RabbitMQ 3.10.8", "linnet 0.1.0": ours gives RabbitMQ as its product, for the sake of clients that look
// there, and says who it is as its platform.
std::string name_of_server(const amqp::table_view& properties) {
    const auto text_of = [&](std::string_view name) {
        const auto value = properties.find(name);
        return std::string{value ? value->as_string().value_or("") : ""};
    };
    const auto platform = text_of("platform");
    if (platform.starts_with("linnet "))
        return platform.substr(0, platform.find(" ("));
    return text_of("product") + ' ' + text_of("version");
}

}  // namespace

outcome<void> amqp_dialogue::log_in(const broker_uri& uri) {
    socket_.out().assign(amqp::protocol_header.begin(), amqp::protocol_header.end());
    if (auto done = flush(); !done)
        return done;
    auto start = expect<amqp::connection_start>(0);
    if (!start)
        return tl::unexpected{start.error()};
    product_ = name_of_server(start->server_properties);
    amqp::table_builder about;
    about.put("product", std::string_view{"linnet bench"});
    about.begin_table("capabilities")
        .put("publisher_confirms", true)
        .put("basic.nack", true)
        .put("consumer_cancel_notify", true)
        .put("connection.blocked", true)
        .put("authentication_failure_close", true)
        .end();
    const std::string response = fmt::format("{0}{1}{0}{2}", '\0', uri.user, uri.password);
    auto tune = call<amqp::connection_tune>(
        0, amqp::connection_start_ok{about.view(), "PLAIN", amqp::long_string{response}, "en_US"});
    if (!tune)
        return tl::unexpected{tune.error()};
    frame_max_ = tune->frame_max == 0 ? 131072 : std::min<std::uint32_t>(tune->frame_max, 131072);
    // No heartbeats: a run is watched by its own counts, and the broker's timers stay out of the measurement.
    send(0, amqp::connection_tune_ok{tune->channel_max, frame_max_, 0});
    auto opened = call<amqp::connection_open_ok>(0, amqp::connection_open{uri.vhost, "", false});
    if (!opened)
        return tl::unexpected{opened.error()};
    return {};
}

outcome<void> amqp_dialogue::open_channel(std::uint16_t channel) {
    auto opened = call<amqp::channel_open_ok>(channel, amqp::channel_open{});
    if (!opened)
        return tl::unexpected{opened.error()};
    return {};
}

outcome<wire::bytes_view> amqp_dialogue::wait_for(std::uint16_t channel, amqp::method_id id, std::string_view name) {
    if (auto done = flush(); !done)
        return tl::unexpected{done.error()};
    for (;;) {
        auto frame = next_frame();
        if (!frame)
            return failure("waiting for {}: {}", name, frame.error());
        if (frame->type == amqp::frame_type::method && frame->payload.size() >= sizeof(amqp::method_id)) {
            const auto got = wire::load<amqp::method_id>(frame->payload.data());
            if (got == id && frame->channel == channel)
                return frame->payload.subspan(sizeof id);
            if (got == amqp::connection_close::id || got == amqp::channel_close::id) {
                return failure("{}", complaint(*frame));
            }
        }
        const std::uint8_t* begin = frame->payload.data() - amqp::frame_header_bytes;
        kept_.insert(kept_.end(), begin, begin + frame->size());
    }
}

outcome<amqp::frame> amqp_dialogue::next_frame() {
    for (;;) {
        const amqp::decoded<amqp::frame> frame = amqp::decode_frame(socket_.unread(), 0);
        if (frame) {
            socket_.take(frame->size());
            return *frame;
        }
        if (frame.is_malformed())
            return failure("not AMQP 0-9-1: {}", amqp::describe(frame.reason()));
        if (auto done = socket_.read_some(); !done)
            return tl::unexpected{done.error()};
    }
}

void amqp_dialogue::close() noexcept {
    if (!socket_.is_open())
        return;
    // Best effort: the socket is closed either way.
    (void)call<amqp::connection_close_ok>(0, amqp::connection_close{200, "bye", 0, 0});
    socket_.close();
}

int amqp_dialogue::release(std::vector<std::uint8_t>& unread) {
    unread = std::move(kept_);
    return socket_.release(unread);
}

}  // namespace linnet::load
