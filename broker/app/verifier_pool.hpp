#pragma once

#include "broker/app/config.hpp"
#include "broker/app/credential_cache.hpp"
#include "broker/app/login_throttle.hpp"
#include "broker/app/password.hpp"
#include "broker/app/token_verifier.hpp"
#include "broker/base/clock.hpp"
#include "broker/session/authenticator.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace linnet::app {

struct verifier_options {
    std::size_t threads = 2;                  // each may hold 19 MiB while Argon2id runs
    std::size_t checks_max = 256;             // waiting or running; beyond that a login is turned away
    std::size_t checks_per_address_max = 64;  // so that one guesser cannot fill the queue alone
    std::size_t waiters_max = 65'536;         // logins that wait for a check
    std::size_t cache_entries_max = 10'000;
    mono_ns cache_lifetime = 300 * ns_per_s;
    throttle_options throttle;
};

// Checks passwords away from the shards: a good hash takes 20 ms on purpose, time for 50 000 messages.
//
// Logins with the same name and password that come while their check is under way wait for its verdict:
// a thousand clients that reconnect at once cost one check. Verdicts are cached for some minutes.
//
// An unknown user costs the same work as a wrong password, so that names cannot be told by the clock;
// where hashes of different cost are stored, the cheap ones are followed by a dear one that is thrown away.
//
// A throttled address is still let in with credentials in the cache if it has logged in itself lately:
// behind one NAT address, one client with an old password must not keep out the others.
//
// Threads:  all functions anywhere. Callbacks run on a pool thread, without the lock.
// Owns:     its threads; the destructor waits for running checks and drops those that wait, uncalled.
// Bounds:   verifier_options.
// Fails:    cannot; a full queue answers `throttled`.
class verifier_pool {
public:
    using callback = std::function<void(session::login_verdict)>;

    verifier_pool(const std::vector<user_config>& users, const clock_source& clock,
                  const verifier_options& options = {});
    ~verifier_pool();
    // Waits for what is being checked, and calls nobody any more. Nothing may be asked afterwards.
    void stop();
    verifier_pool(const verifier_pool&) = delete;
    verifier_pool& operator=(const verifier_pool&) = delete;

    // The verdict, if it is known at once; else `done` is called with it later, once.
    [[nodiscard]] std::optional<session::login_verdict> verify(session::credentials c, callback done);

    // A user whom a client certificate names.
    [[nodiscard]] session::login_verdict verify_certificate(std::string_view user, bool loopback) const;

    // Whom a token makes out: at once, for a signature is checked in some 100 us, and then remembered until it ends.
    [[nodiscard]] session::login_verdict verify_token(std::string_view token, std::string_view peer_address);
    [[nodiscard]] bool takes_tokens() const;
    // Null: none are taken. What was accepted by the one before counts no more for those who log in from now on.
    void set_tokens(std::shared_ptr<const token_verifier> by);

    // SCRAM-SHA-256, for users whose password is kept in that form. Its work is the client's: no thread is asked.
    [[nodiscard]] session::scram_terms begin_scram(std::string_view user) const;
    [[nodiscard]] session::scram_verdict finish_scram(const session::scram_proof& p);

    // Other users or passwords: forgets every cached verdict; a check that is under way is made again.
    void reload(const std::vector<user_config>& users);

private:
    struct account {
        std::optional<password_hash> password;
        std::vector<std::string> tags;
        bool loopback_only = false;
    };
    // Immutable once made; shared by the pool and the checks that are at work on it during a reload.
    struct accounts {
        std::unordered_map<std::string, account> by_name;
        std::optional<password_hash> decoy;
        std::uint32_t scram_iterations = scram_verifier::iterations_min;  // what unknown users are told
    };
    struct waiter {
        std::string address;  // as its throttle key
        bool loopback = false;
        callback done;
    };
    struct check {
        std::string user;
        std::string password;
        credential_cache::fingerprint print;
        std::string first_address;
        std::vector<waiter> waiters;
    };

    [[nodiscard]] static std::shared_ptr<const accounts> make_accounts(const std::vector<user_config>& users);
    [[nodiscard]] static bool right(const accounts& users, const std::string& user, const std::string& password);
    [[nodiscard]] static const scram_verifier* scram_of(const accounts& users, const std::string& user);
    [[nodiscard]] static session::login_verdict verdict_for(const accounts& users, const std::string& user,
                                                            bool loopback);

    [[nodiscard]] bool trusted(const std::string& address, mono_ns now) const;
    void trust(const std::string& address, mono_ns now);
    void remember_token(const credential_cache::fingerprint& print, const accepted_token& who);
    [[nodiscard]] bool enqueue(session::credentials& c, const credential_cache::fingerprint& print,
                               const std::string& address, callback&& done);
    void run();
    void finish(const check& c, bool accepted);
    static void tell(check& c, const accounts& users, bool accepted);

    // Constant after construction.
    const clock_source& clock_;
    verifier_options options_;
    const std::string scram_key_;  // gives unknown users a salt

    // Guarded by mutex_, which is never held while a password is hashed or a callback runs.
    mutable std::mutex mutex_;
    std::condition_variable work_;
    bool stopping_ = false;
    std::shared_ptr<const accounts> users_;
    credential_cache cache_;
    std::shared_ptr<const token_verifier> tokens_;
    std::unordered_map<credential_cache::fingerprint, accepted_token, credential_cache::hash> accepted_tokens_;
    login_throttle by_address_;
    login_throttle by_user_;
    std::unordered_map<std::string, mono_ns> trusted_until_;
    std::unordered_map<credential_cache::fingerprint, std::shared_ptr<check>, credential_cache::hash> pending_;
    std::deque<std::shared_ptr<check>> queue_;
    std::unordered_map<std::string, std::size_t> checks_of_;  // by address
    std::size_t waiters_ = 0;

    std::vector<std::thread> threads_;
};

}  // namespace linnet::app
