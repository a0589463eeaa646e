// A connection over a real socket, with a session that says back what it hears.

#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_journal.hpp"
#include "broker/net/admission.hpp"
#include "broker/net/listener.hpp"
#include "broker/net/reactor.hpp"
#include "broker/store/memory_log.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace linnet::test {
namespace {

using core::shard;

// Says every letter back. A 'p' is published to queue "q" before, as a message that is stored.
class echo final : public session::session, public core::delivery_sink {
public:
    echo(linnet::session::host& h, shard& home, core::vhost_id vhost)
        : host_(h), shard_(home), vhost_(vhost), handle_(home.add_session(*this)) {}
    ~echo() override { shard_.remove_session(handle_); }

    // What stands behind it is not taken.
    static constexpr char half_a_unit = '(';

    std::size_t on_bytes(std::span<const std::uint8_t> in) override {
        if (in.front() == half_a_unit) {
            return 0;
        }
        for (const std::uint8_t letter : in) {
            if (letter == 'p') {
                publish();
            }
        }
        host_.out().append(in);
        host_.flush_soon();
        return in.size();
    }
    void on_output_drained() override {}
    void on_peer_closed() override {}
    std::string_view user_name() const noexcept override { return {}; }

    void on_reply(core::reply&&) override {}
    void on_publish_settled(std::uint64_t, std::uint64_t, bool) override {}
    void on_settled_batch() override {}
    core::delivery_sink* find_sink(std::uint64_t) override { return this; }
    void on_alarms(core::alarms) override {}
    void on_shutdown(std::string_view) override { host_.close_after_flush(); }
    void on_delivery(std::uint64_t, core::delivery&&) override {}
    void on_cancelled(std::uint64_t, core::cancel_reason) override {}
    void on_direct(core::message_ptr) override {}

private:
    void publish() {
        const auto& v = *shard_.topology().find_vhost(vhost_);
        core::route_memo memo;
        const auto to = shard_.find_route(v, "", "q", nullptr, {}, memo);
        core::message_traits kept;
        kept.persistent = true;
        const std::array<std::uint8_t, 3> body{1, 2, 3};
        const auto done = shard_.publish(core::make_message(shard_.pool(), "", "q", {}, body, kept), v, to, handle_, 1,
                                         0);
        ASSERT_TRUE(done.routed);
    }

    linnet::session::host& host_;
    shard& shard_;
    const core::vhost_id vhost_;
    const core::session_handle handle_;
};

// One reactor on a thread of its own, with one log of messages, and a listener that makes such sessions.
class Connection : public testing::Test {
protected:
    [[nodiscard]] std::uint64_t connection_bytes() {
        // Told every twenty milliseconds.
        std::uint64_t bytes = 0;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        on_the_shard([] {});
        on_the_shard([&] { bytes = parts_.bytes_of(core::memory_use::connections); });
        return bytes;
    }

    Connection() {
        parts_.set_keeper(&topology_);
        parts_.publish_topology();
        auto log = std::make_unique<store::memory_log>(64 * 1024);
        log_ = log.get();
        auto& home = reactor_.shard();
        home.open_log(0, std::move(log), true);
        home.hand_over();
        EXPECT_TRUE(listener_.open());
        parts_.hand_over();
        thread_ = std::thread([this] { reactor_.run(); });
        declare_queue();
        on_the_shard([this] { listener_.start(); });
    }
    ~Connection() override {
        on_the_shard([this] {
            log_->set_congested(false);
            listener_.close();
            reactor_.for_each_connection([](net::connection& c) { c.abort(); });
            reactor_.stop();
        });
        thread_.join();
    }

    void on_the_shard(const std::function<void()>& f) {
        std::promise<void> done;
        reactor_.post([&] {
            f();
            done.set_value();
        });
        done.get_future().wait();
    }
    void declare_queue() {
        class asker final : public core::session_port {
            void on_reply(core::reply&&) override {}
            void on_publish_settled(std::uint64_t, std::uint64_t, bool) override {}
            void on_settled_batch() override {}
            core::delivery_sink* find_sink(std::uint64_t) override { return nullptr; }
            void on_alarms(core::alarms) override {}
            void on_shutdown(std::string_view) override {}
        };
        on_the_shard([this] {
            asker asks;
            auto& home = reactor_.shard();
            const auto handle = home.add_session(asks);
            core::declare_queue q;
            q.name = "q";
            q.durable = true;
            const auto answer = home.submit({vhost_, handle, 1, q});
            EXPECT_TRUE(answer && answer->result) << "on the only shard it is done at once";
            home.remove_session(handle);
        });
    }
    void set_congested(bool yes) {
        on_the_shard([this, yes] { log_->set_congested(yes); });
    }

    class client {
    public:
        explicit client(const Connection& to) : socket_(context_) {
            socket_.connect({asio::ip::address_v4::loopback(), to.listener_.port()});
        }
        void say(char letter) { socket_.send(asio::buffer(&letter, 1)); }
        [[nodiscard]] char hear() {
            char letter = 0;
            EXPECT_EQ(socket_.receive(asio::buffer(&letter, 1)), 1U);
            return letter;
        }
        [[nodiscard]] bool has_heard() { return socket_.available() != 0; }

    private:
        asio::io_context context_;
        asio::ip::tcp::socket socket_;
    };

private:
    [[nodiscard]] static core::broker_options options() {
        core::broker_options o;
        o.logs = 1;
        return o;
    }

    system_clock_source clock_;
    core::broker parts_{options(), clock_};
    core::topology_journal topology_{nullptr, core::topology_replay{}};
    const core::vhost_id vhost_ = parts_.editor().add_vhost("/");
    store::memory_log* log_ = nullptr;
    net::reactor reactor_{parts_, core::shard_id{0}};
    net::admission admission_{{}};
    net::listener listener_{reactor_,
                            {.address = "127.0.0.1", .connections = {}},
                            admission_,
                            [this](session::host& h, shard& home) { return std::make_unique<echo>(h, home, vhost_); }};
    std::thread thread_;
};

TEST_F(Connection, GivesBackWhatItHeldOfHalfAUnit) {
    const auto before = connection_bytes();
    {
        client c(*this);
        c.say('a');
        EXPECT_EQ(c.hear(), 'a');
        const auto idle = connection_bytes();
        EXPECT_GT(idle, before);
        c.say(echo::half_a_unit);
        c.say('b');
        while (connection_bytes() == idle) {}
    }
    while (connection_bytes() != before) {}
}

TEST_F(Connection, WaitsForASlowDiskOnlyIfItStores) {
    client stores(*this);
    client talks(*this);
    for (client* c : {&stores, &talks}) {
        c->say('p');
        EXPECT_EQ(c->hear(), 'p');
    }
    talks.say('a');
    EXPECT_EQ(talks.hear(), 'a');
    set_congested(true);
    stores.say('p');
    // Each answer is a turn of the shard, in which the other one's letter could be read, too.
    for (const char letter : {'b', 'c', 'd'}) {
        talks.say(letter);
        EXPECT_EQ(talks.hear(), letter);
    }
    EXPECT_FALSE(stores.has_heard());
    // Once it begins to store, it has to wait as well.
    talks.say('p');
    EXPECT_EQ(talks.hear(), 'p');
    talks.say('e');
    client other(*this);
    for (const char letter : {'f', 'g'}) {
        other.say(letter);
        EXPECT_EQ(other.hear(), letter);
    }
    EXPECT_FALSE(stores.has_heard());
    EXPECT_FALSE(talks.has_heard());
    set_congested(false);
    EXPECT_EQ(stores.hear(), 'p');
    EXPECT_EQ(talks.hear(), 'e');
}

}  // namespace
}  // namespace linnet::test
