#pragma once

#include "broker/app/config.hpp"
#include "broker/app/login_desk.hpp"
#include "broker/app/notify.hpp"
#include "broker/app/verifier_pool.hpp"
#include "broker/base/clock.hpp"
#include "broker/core/broker.hpp"
#include "broker/net/admission.hpp"
#include "broker/net/listener.hpp"
#include "broker/net/reactor.hpp"
#include "broker/session/amqp_settings.hpp"

#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace linnet::app {

// The daemon, put together: one broker core, a reactor thread a shard, a listener on every reactor for every
// configured address, logins, and the signals that steer it all.
//
// Threads: everything on the main thread; what reactors do is posted to them.
class server {
public:
    server(loaded_config loaded, config_sources sources, const notifier& n);
    ~server();
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    // Sets up the topology and binds the sockets. What went wrong, else nothing.
    [[nodiscard]] std::vector<std::string> open();
    // Serves until SIGTERM or SIGINT, drains, and returns.
    void run();

private:
    struct shard_parts {
        std::unique_ptr<net::reactor> reactor;
        std::unique_ptr<login_desk> desk;
        std::vector<std::unique_ptr<net::listener>> listeners;
        std::thread thread;
    };
    using tls_contexts = std::vector<std::shared_ptr<net::tls_context>>;  // by listener; null: in the clear

    [[nodiscard]] std::vector<std::string> set_up_topology();
    [[nodiscard]] std::string open_listeners(const tls_contexts& tls);
    [[nodiscard]] static result<tls_contexts, std::string> load_certificates(const config& c);
    void start_threads();
    void announce();
    void serve_signals();
    void reload();
    [[nodiscard]] std::string reload_to(loaded_config wanted);
    void drain();
    [[nodiscard]] std::uint64_t connections_open() const noexcept;
    [[nodiscard]] bool wait_for_connections(mono_ns deadline, bool may_hurry);
    void settle_rings();

    // First of all: blocked before any thread exists (the verifiers come with the constructor), so that every
    // thread inherits it and signals come to the main thread alone.
    sigset_t signals_;
    loaded_config loaded_;
    config_sources sources_;
    const notifier& notifier_;
    system_clock_source clock_;
    session::amqp_settings amqp_;
    net::admission admission_;
    verifier_pool verifiers_;
    std::unique_ptr<core::broker> broker_;
    std::vector<shard_parts> shards_;
    bound_addresses bound_;
    pid_file pid_file_;
};

}  // namespace linnet::app
