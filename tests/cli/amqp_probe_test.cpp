#include "clients/cli/amqp_probe.hpp"

#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"
#include "protocol/amqp/table_builder.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <thread>
#include <vector>

namespace linnet::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// A broker for one connection, scripted by the test; loopback, any free port.
class scripted_broker {
public:
    explicit scripted_broker(std::function<void(scripted_broker&)> script) {
        listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
        auto address = sockaddr_in{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto size = socklen_t{sizeof(address)};
        EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(::listen(listener_, 1), 0);
        EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
        uri_.port = ntohs(address.sin_port);
        thread_ = std::thread{[this, script = std::move(script)] {
            auto ready = pollfd{listener_, POLLIN, 0};
            if (::poll(&ready, 1, 5'000) == 1) {
                peer_ = ::accept(listener_, nullptr, nullptr);
                script(*this);
                ::close(peer_);
            }
        }};
    }
    ~scripted_broker() {
        thread_.join();
        ::close(listener_);
    }

    [[nodiscard]] const server_uri& uri() const { return uri_; }
    [[nodiscard]] server_uri uri_with(std::string user, std::string password) const {
        auto uri = uri_;
        uri.user = std::move(user);
        uri.password = std::move(password);
        return uri;
    }

    // In the script, on the broker's own thread.
    void send(std::string_view bytes) const { ::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    template <class Method>
    void send_method(std::uint16_t channel, const Method& method) const {
        auto bytes = std::string{};
        amqp::append_method(bytes, channel, method);
        // Byte by byte: a client must not count on frames arriving whole.
        for (char byte : bytes) {
            send({&byte, 1});
        }
    }
    std::string read_exactly(std::size_t size) const {
        auto bytes = std::string(size, '\0');
        return ::recv(peer_, bytes.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size) ? bytes : "";
    }
    // The next method's name; its arguments go to the visitor.
    template <class Method, class Visit>
    void expect(Visit&& visit) const {
        auto bytes = read_exactly(amqp::frame_header_bytes);
        ASSERT_EQ(bytes.size(), amqp::frame_header_bytes) << "before " << Method::name;
        bytes += read_exactly(wire::load<std::uint32_t>(wire::as_bytes(bytes).data() + 3) + 1);
        const auto frame = amqp::decode_frame(wire::as_bytes(bytes), 0);
        ASSERT_TRUE(frame);
        auto came = std::string_view{};
        EXPECT_FALSE(amqp::visit_method(frame->payload, [&]<class Got>(const Got& method) {
            came = Got::name;
            if constexpr (std::is_same_v<Got, Method>) {
                visit(method);
            }
        }));
        EXPECT_EQ(came, Method::name);
    }
    template <class Method>
    void expect() const {
        expect<Method>([](const Method&) {});
    }

    void greet() const {
        EXPECT_EQ(read_exactly(8), std::string("AMQP\0\0\x09\x01", 8));
        auto properties = amqp::table_builder{};
        properties.put("product", std::string_view{"Linnet"}).put("version", std::string_view{"3.13.7"});
        properties.put("cluster_name", std::string_view{"linnet@test"});
        auto start = amqp::connection_start{};
        start.version_major = 0;
        start.version_minor = 9;
        start.server_properties = properties.view();
        start.mechanisms = {"PLAIN AMQPLAIN"};
        start.locales = {"en_US"};
        send_method(0, start);
    }

private:
    server_uri uri_;
    int listener_ = -1;
    int peer_ = -1;
    std::thread thread_;
};

TEST(Probe, LooksAtTheGreetingAlone) {
    const auto broker = scripted_broker{[](scripted_broker& b) { b.greet(); }};
    const auto report = probe(broker.uri(), probe_depth::greeting, 5s);
    ASSERT_TRUE(report);
    EXPECT_EQ(report->product, "Linnet");
    EXPECT_EQ(report->version, "3.13.7");
    EXPECT_EQ(report->cluster_name, "linnet@test");
    EXPECT_EQ(report->mechanisms, "PLAIN AMQPLAIN");
    EXPECT_EQ(report->platform, "");
    EXPECT_FALSE(report->logged_in);
    EXPECT_GT(report->connect_time, 0us);
}

TEST(Probe, LogsInMeasuresAndTakesItsLeave) {
    const auto broker = scripted_broker{[](scripted_broker& b) {
        b.greet();
        b.expect<amqp::connection_start_ok>([](const amqp::connection_start_ok& ok) {
            EXPECT_EQ(ok.mechanism, "PLAIN");
            EXPECT_EQ(ok.response.text, std::string_view("\0joe\0pw", 7));
        });
        b.send_method(0, amqp::connection_tune{.channel_max = 2047, .frame_max = 131'072, .heartbeat = 60});
        b.expect<amqp::connection_tune_ok>([](const amqp::connection_tune_ok& ok) {
            EXPECT_EQ(ok.channel_max, 2047);
            EXPECT_EQ(ok.frame_max, 131'072U);
            EXPECT_EQ(ok.heartbeat, 0);
        });
        b.expect<amqp::connection_open>([](const amqp::connection_open& open) { EXPECT_EQ(open.virtual_host, "/"); });
        b.send_method(0, amqp::connection_open_ok{});
        // What may come at any time.
        b.send_method(0, amqp::connection_blocked{.reason = "low on memory"});
        b.send(std::string_view("\x08\0\0\0\0\0\0\xCE", 8));
        for (int i = 0; i < 9; ++i) {
            b.expect<amqp::channel_open>();
            b.send_method(1, amqp::channel_open_ok{});
            b.expect<amqp::channel_close>();
            b.send_method(1, amqp::channel_close_ok{});
        }
        b.expect<amqp::connection_close>();
        b.send_method(0, amqp::connection_close_ok{});
    }};
    const auto report = probe(broker.uri_with("joe", "pw"), probe_depth::login, 5s);
    ASSERT_TRUE(report) << report.error().text;
    EXPECT_TRUE(report->logged_in);
    EXPECT_EQ(report->channel_max, 2047);
    EXPECT_EQ(report->frame_max, 131'072U);
    EXPECT_EQ(report->heartbeat_s, 60);
    EXPECT_GT(report->round_trip, 0us);
}

TEST(Probe, TellsARefusalFromABrokenBroker) {
    const auto broker = scripted_broker{[](scripted_broker& b) {
        b.greet();
        b.expect<amqp::connection_start_ok>();
        b.send_method(0, amqp::connection_close{.code = 403, .text = "ACCESS_REFUSED - no"});
    }};
    const auto report = probe(broker.uri(), probe_depth::login, 5s);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().why, amqp_failure::kind::refused);
    EXPECT_EQ(report.error().text, "403 ACCESS_REFUSED - no");
}

struct broken_broker {
    const char* name;
    std::function<void(scripted_broker&)> script;
    const char* text;
};

class BrokenBroker : public ::testing::TestWithParam<broken_broker> {};

TEST_P(BrokenBroker, IsUnreachableWithAReason) {
    const auto broker = scripted_broker{GetParam().script};
    const auto report = probe(broker.uri(), probe_depth::login, 500ms);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().why, amqp_failure::kind::unreachable);
    EXPECT_THAT(report.error().text, HasSubstr(GetParam().text));
}

INSTANTIATE_TEST_SUITE_P(Kinds, BrokenBroker,
                         ::testing::Values(broken_broker{"closes", [](scripted_broker& b) { b.read_exactly(8); },
                                                         "closed the connection"},
                                           broken_broker{"silent",
                                                         [](scripted_broker& b) {
                                                             b.read_exactly(8);
                                                             b.read_exactly(1);
                                                         },
                                                         "timed out"},
                                           broken_broker{"other_version",
                                                         [](scripted_broker& b) {
                                                             b.read_exactly(8);
                                                             b.send(std::string_view("AMQP\0\1\0\0", 8));
                                                         },
                                                         "another version of AMQP"},
                                           broken_broker{"http",
                                                         [](scripted_broker& b) {
                                                             b.read_exactly(8);
                                                             b.send("HTTP/1.1 400 Bad Request\r\n\r\n");
                                                         },
                                                         "not AMQP 0-9-1"},
                                           broken_broker{"endless_frame",
                                                         [](scripted_broker& b) {
                                                             b.read_exactly(8);
                                                             b.send(std::string_view("\1\0\0\x7f\xff\xff\xff", 7));
                                                         },
                                                         "larger than"},
                                           broken_broker{"wrong_method",
                                                         [](scripted_broker& b) {
                                                             b.read_exactly(8);
                                                             b.send_method(0, amqp::connection_open_ok{});
                                                         },
                                                         "expected connection.start, got connection.open-ok"},
                                           broken_broker{"half_a_frame",
                                                         [](scripted_broker& b) {
                                                             b.read_exactly(8);
                                                             b.send(std::string_view("\1\0\0\0\0\0\x20xx", 9));
                                                         },
                                                         "closed the connection"}),
                         [](const auto& one) { return std::string{one.param.name}; });

TEST(Probe, SaysThatNobodyListens) {
    auto uri = server_uri{};
    {
        const auto gone = scripted_broker{[](scripted_broker& b) { b.greet(); }};
        uri = gone.uri();
        EXPECT_TRUE(probe(uri, probe_depth::greeting, 5s));
    }
    const auto report = probe(uri, probe_depth::greeting, 5s);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().text, "Connection refused");
    uri.host = "no-such-host.invalid";
    EXPECT_THAT(probe(uri, probe_depth::greeting, 5s).error().text, HasSubstr("cannot be resolved"));
}

TEST(Probe, SaysThatTheServerSpeaksNoTls) {
    const auto broker = scripted_broker{[](scripted_broker& b) {
        b.read_exactly(8);
        b.send(std::string_view("AMQP\0\0\x09\x01", 8));
    }};
    auto uri = broker.uri();
    uri.tls = true;
    const auto report = probe(uri, probe_depth::greeting, 5s);
    ASSERT_FALSE(report);
    EXPECT_THAT(report.error().text, ::testing::StartsWith("TLS: "));
}

}  // namespace
}  // namespace linnet::cli
