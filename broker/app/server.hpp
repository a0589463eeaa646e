#pragma once

#include "broker/app/admin_services.hpp"
#include "broker/app/config.hpp"
#include "broker/app/data_store.hpp"
#include "broker/app/login_desk.hpp"
#include "broker/app/memory_watch.hpp"
#include "broker/app/notify.hpp"
#include "broker/app/verifier_pool.hpp"
#include "broker/base/clock.hpp"
#include "broker/core/broker.hpp"
#include "broker/net/admission.hpp"
#include "broker/net/listener.hpp"
#include "broker/net/reactor.hpp"
#include "broker/session/amqp_settings.hpp"
#include "broker/session/http_messaging.hpp"
#include "broker/session/http_session.hpp"
#include "broker/session/mqtt_settings.hpp"
#include "broker/session/mqtt_sys.hpp"

#include <atomic>
#include <csignal>
#include <memory>
#include <optional>
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
    // `salvage`: go on where the store is damaged, without what is.
    server(loaded_config loaded, config_sources sources, const notifier& n, bool salvage);
    ~server();
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    // Opens the store and recovers what is in it, sets up the topology and binds the sockets. What went wrong, else
    // nothing.
    [[nodiscard]] std::optional<open_failure> open();
    // Serves until SIGTERM or SIGINT, drains, and returns what to leave with. Does not return when the store fails:
    // nothing more could be promised, and the next start tells what is there.
    [[nodiscard]] exit_code run();

private:
    struct shard_parts {
        std::unique_ptr<net::reactor> reactor;
        std::unique_ptr<login_desk> desk;
        std::vector<std::unique_ptr<session::http_handler>> handlers;
        session::http_settings http;  // with factories that use the desk, and the handlers
        session::http_settings metrics;
        std::vector<std::unique_ptr<net::listener>> listeners;
        std::thread thread;
    };
    using tls_contexts = std::vector<std::shared_ptr<net::tls_context>>;  // by listener; null: in the clear

    [[nodiscard]] std::optional<open_failure> open_store();
    void set_index_swap(core::shard& s);
    void make_shards();
    [[nodiscard]] core::queue_handle new_queue(core::queue_spec& q);
    [[nodiscard]] std::optional<open_failure> set_up_topology();
    [[nodiscard]] std::optional<open_failure> import_file();
    [[nodiscard]] std::optional<open_failure> recover();
    void report_recovery(const recovery_progress& progress) const;
    [[nodiscard]] core::topology_journal& topology() noexcept;
    [[nodiscard]] std::string open_listeners(const tls_contexts& tls);
    [[nodiscard]] static result<tls_contexts, std::string> load_certificates(const config& c);
    [[nodiscard]] net::session_factory sessions_of(listener_protocol p, shard_parts& s);
    [[nodiscard]] session::http_settings http_settings_of(login_desk& desk);
    // Requests whose path begins so are `h`'s, on that shard.
    static void serve(shard_parts& s, std::string prefix, std::unique_ptr<session::http_handler> h);
    void serve_messaging();
    void serve_management(shard_parts& s);
    // What handlers ask other shards through.
    [[nodiscard]] session::post_to_shard post_to_shard();
    void start_threads();
    void tell_changed_queues();
    void note_changed(const std::vector<core::queue_entry>& queues);
    void finish_transactions();
    void announce();
    void serve_signals();
    void publish_figures();
    void watch_disk();
    void watch_backup();
    void on_store_failed(const std::string& complaint);
    [[noreturn]] void give_up();
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
    const config started_with_;  // what takes effect at a start only is judged by it
    config_sources sources_;
    const notifier& notifier_;
    system_clock_source clock_;
    session::amqp_settings amqp_;
    session::mqtt_settings mqtt_;
    session::mqtt_sys sys_;      // the first shard's
    mono_ns sys_published_ = 0;  // 0: never
    net::admission admission_;
    verifier_pool verifiers_;
    bool salvage_;
    store::stream_memory stream_memory_;
    std::unique_ptr<data_store> store_;                          // null: nothing outlives the process
    std::unique_ptr<core::topology_journal> fleeting_topology_;  // then
    std::unique_ptr<core::broker> broker_;
    // Of the store, with settings that the configuration or a file of definitions has changed: until their owners hear.
    std::vector<core::queue_handle> changed_queues_;
    session::http_messaging::peers messaging_;  // by shard
    std::atomic<bool> in_service_{false};       // between the start and the end of serving
    std::unique_ptr<admin_services> management_;
    std::vector<shard_parts> shards_;
    bool disk_low_ = false;
    std::unique_ptr<memory_watch> memory_;  // from the start of serving on
    // Written once by the shard that notices, before the flag.
    std::string store_complaint_;
    std::atomic<bool> store_failed_{false};
    std::vector<listener_config> opened_;  // as the listeners of every shard
    bound_addresses bound_;
    pid_file pid_file_;
};

}  // namespace linnet::app
