#include "bench/load/amqp_dialogue.hpp"

#include "protocol/amqp/table_builder.hpp"

#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace linnet::load {
namespace {

constexpr std::size_t read_bytes = 1U << 16;

int open_socket(const addrinfo& at) noexcept {
    const int fd = ::socket(at.ai_family, at.ai_socktype | SOCK_CLOEXEC, at.ai_protocol);
    if (fd < 0)
        return -1;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval patience{amqp_dialogue::reply_seconds, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (::connect(fd, at.ai_addr, at.ai_addrlen) == 0)
        return fd;
    const int why = errno;
    ::close(fd);
    errno = why;
    return -1;
}

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

outcome<amqp_dialogue> amqp_dialogue::connect(const amqp_uri& uri) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(uri.host.c_str(), uri.port.c_str(), &hints, &found); error != 0) {
        return failure("{}:{}: {}", uri.host, uri.port, ::gai_strerror(error));
    }
    int fd = -1;
    for (const addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next)
        fd = open_socket(*at);
    ::freeaddrinfo(found);
    if (fd < 0)
        return failure("cannot connect to {}:{}: {}", uri.host, uri.port, std::strerror(errno));
    amqp_dialogue talk{fd};
    if (auto done = talk.log_in(uri); !done) {
        return failure("{}:{}: {}", uri.host, uri.port, done.error());
    }
    return talk;
}

amqp_dialogue::amqp_dialogue(amqp_dialogue&& other) noexcept { *this = std::move(other); }

amqp_dialogue& amqp_dialogue::operator=(amqp_dialogue&& other) noexcept {
    std::swap(fd_, other.fd_);
    frame_max_ = other.frame_max_;
    product_ = std::move(other.product_);
    out_ = std::move(other.out_);
    in_ = std::move(other.in_);
    in_at_ = other.in_at_;
    kept_ = std::move(other.kept_);
    return *this;
}

amqp_dialogue::~amqp_dialogue() {
    if (fd_ >= 0)
        ::close(fd_);
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

outcome<void> amqp_dialogue::log_in(const amqp_uri& uri) {
    out_.assign(amqp::protocol_header.begin(), amqp::protocol_header.end());
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

outcome<void> amqp_dialogue::flush() {
    std::size_t done = 0;
    while (done < out_.size()) {
        const ssize_t n = ::send(fd_, out_.data() + done, out_.size() - done, MSG_NOSIGNAL);
        if (n <= 0)
            return failure("the broker closed the connection: {}", std::strerror(errno));
        done += static_cast<std::size_t>(n);
    }
    out_.clear();
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
        const wire::bytes_view rest = wire::bytes_view{in_}.subspan(in_at_);
        const amqp::decoded<amqp::frame> frame = amqp::decode_frame(rest, 0);
        if (frame) {
            in_at_ += frame->size();
            return *frame;
        }
        if (frame.is_malformed())
            return failure("not AMQP 0-9-1: {}", amqp::describe(frame.reason()));
        if (auto done = read_some(); !done)
            return tl::unexpected{done.error()};
    }
}

outcome<void> amqp_dialogue::read_some() {
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(in_at_));
    in_at_ = 0;
    const std::size_t before = in_.size();
    in_.resize(before + read_bytes);
    const ssize_t n = ::recv(fd_, in_.data() + before, read_bytes, 0);
    in_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0)
        return failure("the broker closed the connection");
    if (n < 0)
        return failure("{}", errno == EAGAIN ? "no answer" : std::strerror(errno));
    return {};
}

void amqp_dialogue::close() noexcept {
    if (fd_ < 0)
        return;
    // Best effort: the socket is closed either way.
    (void)call<amqp::connection_close_ok>(0, amqp::connection_close{200, "bye", 0, 0});
    ::close(std::exchange(fd_, -1));
}

int amqp_dialogue::release(std::vector<std::uint8_t>& unread) {
    unread = std::move(kept_);
    unread.insert(unread.end(), in_.begin() + static_cast<std::ptrdiff_t>(in_at_), in_.end());
    in_.clear();
    in_at_ = 0;
    return std::exchange(fd_, -1);
}

}  // namespace linnet::load
