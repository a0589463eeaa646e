#include "broker/app/verifier_pool.hpp"

#include "broker/app/base64.hpp"
#include "broker/app/scram_verifier.hpp"
#include "broker/base/log.hpp"

#include <openssl/crypto.h>

#include <algorithm>

namespace linnet::app {

using session::login_result;
using session::login_verdict;

verifier_pool::verifier_pool(const std::vector<user_config>& users, const clock_source& clock,
                             const verifier_options& options)
    : clock_{clock},
      options_{options},
      scram_key_{random_text(32)},
      users_{make_accounts(users)},
      cache_{options.cache_entries_max, options.cache_lifetime},
      by_address_{options.throttle},
      by_user_{options.throttle} {
    try {
        for (std::size_t i = 0; i < options_.threads; ++i) {
            threads_.emplace_back([this] { run(); });
        }
    } catch (...) {
        stop();  // those that the system has given
        throw;
    }
}

verifier_pool::~verifier_pool() { stop(); }

void verifier_pool::stop() {
    {
        const auto lock = std::lock_guard{mutex_};
        stopping_ = true;
    }
    work_.notify_all();
    for (auto& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

std::shared_ptr<const verifier_pool::accounts> verifier_pool::make_accounts(const std::vector<user_config>& users) {
    auto made = std::make_shared<accounts>();
    bool dear = false;
    for (const auto& user : users) {
        auto hash = password_hash::parse(user.password_hash);
        dear = dear || (hash && hash->cost() == hash_cost::dear);
        if (const auto* scram = hash ? hash->scram() : nullptr) {
            made->scram_iterations = std::max(made->scram_iterations, scram->iterations());
        }
        made->by_name.insert_or_assign(user.name, account{std::move(hash), user.tags, user.loopback_only});
    }
    made->decoy = password_hash::parse(dear ? argon2id("decoy") : salted_sha256("decoy"));
    return made;
}

std::optional<login_verdict> verifier_pool::verify(session::credentials c, callback done) {
    const auto print = cache_.fingerprint_of(c.user, c.password);
    const auto address = throttle_key(c.peer_address);
    const auto lock = std::lock_guard{mutex_};
    const auto now = clock_.now();
    const bool address_waits = by_address_.must_wait(address, now);
    if (cache_.contains(print, now) && (!address_waits || trusted(address, now))) {
        trust(address, now);
        return verdict_for(*users_, c.user, c.loopback);
    }
    if (address_waits || by_user_.must_wait(c.user, now) || !enqueue(c, print, address, std::move(done))) {
        return login_verdict{login_result::throttled, std::move(c.user), {}};
    }
    return std::nullopt;
}

// Joins the check of the same credentials, or begins one. False when there is no room.
bool verifier_pool::enqueue(session::credentials& c, const credential_cache::fingerprint& print,
                            const std::string& address, callback&& done) {
    if (waiters_ >= options_.waiters_max) {
        return false;
    }
    auto found = pending_.find(print);
    if (found == pending_.end()) {
        const auto own = checks_of_.find(address);
        if (pending_.size() >= options_.checks_max ||
            (own != checks_of_.end() && own->second >= options_.checks_per_address_max)) {
            return false;
        }
        ++checks_of_[address];
        auto fresh = std::make_shared<check>(check{std::move(c.user), std::move(c.password), print, address, {}});
        found = pending_.emplace(print, fresh).first;
        queue_.push_back(std::move(fresh));
        work_.notify_one();
    }
    found->second->waiters.push_back({address, c.loopback, std::move(done)});
    ++waiters_;
    return true;
}

void verifier_pool::run() {
    auto lock = std::unique_lock{mutex_};
    for (;;) {
        work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) {
            return;
        }
        const auto next = std::move(queue_.front());
        queue_.pop_front();
        auto users = std::shared_ptr<const accounts>{};
        bool accepted = false;
        while (users != users_) {  // again if a reload came between: the old password may be void
            users = users_;
            lock.unlock();
            accepted = right(*users, next->user, next->password);
            lock.lock();
        }
        finish(*next, accepted);
        lock.unlock();
        OPENSSL_cleanse(next->password.data(), next->password.size());
        tell(*next, *users, accepted);
        lock.lock();
    }
}

// Afterwards nobody can join the check any more: its waiters may be told without the lock.
void verifier_pool::finish(const check& c, bool accepted) {
    const auto now = clock_.now();
    pending_.erase(c.print);
    if (const auto it = checks_of_.find(c.first_address); --it->second == 0) {
        checks_of_.erase(it);
    }
    waiters_ -= c.waiters.size();
    if (accepted) {
        cache_.remember(c.print, now);
    } else {
        by_user_.failed(c.user, now);  // one guess, however many have made it
    }
    for (const auto& w : c.waiters) {
        if (accepted) {
            trust(w.address, now);
        } else {
            by_address_.failed(w.address, now);
        }
    }
}

void verifier_pool::tell(check& c, const accounts& users, bool accepted) {
    for (auto& w : c.waiters) {
        w.done(accepted ? verdict_for(users, c.user, w.loopback) : login_verdict{login_result::refused, c.user, {}});
    }
}

bool verifier_pool::right(const accounts& users, const std::string& user, const std::string& password) {
    const auto it = users.by_name.find(user);
    const auto* known = it != users.by_name.end() && it->second.password ? &*it->second.password : nullptr;
    if (known != nullptr && known->matches(password)) {
        return true;
    }
    if (known == nullptr || known->cost() != users.decoy->cost()) {
        // Only the time it takes is wanted.
        static_cast<void>(users.decoy->matches(password));
    }
    return false;
}

login_verdict verifier_pool::verdict_for(const accounts& users, const std::string& user, bool loopback) {
    const auto& found = users.by_name.at(user);
    const bool too_far = found.loopback_only && !loopback;
    return {too_far ? login_result::loopback_only : login_result::accepted, user, found.tags};
}

login_verdict verifier_pool::verify_certificate(std::string_view user, bool loopback) const {
    const auto lock = std::lock_guard{mutex_};
    auto name = std::string{user};
    if (!users_->by_name.contains(name)) {
        return {login_result::refused, std::move(name), {}};
    }
    return verdict_for(*users_, name, loopback);
}

const scram_verifier* verifier_pool::scram_of(const accounts& users, const std::string& user) {
    const auto it = users.by_name.find(user);
    return it == users.by_name.end() || !it->second.password ? nullptr : it->second.password->scram();
}

session::scram_terms verifier_pool::begin_scram(std::string_view user) const {
    constexpr std::size_t nonce_bytes = 18;  // 24 letters of base64
    constexpr std::size_t salt_bytes = 16;
    session::scram_terms terms{hmac_sha256(scram_key_, user).substr(0, salt_bytes), 0,
                               base64(random_text(nonce_bytes))};
    const auto lock = std::lock_guard{mutex_};
    terms.iterations = users_->scram_iterations;
    if (const auto* known = scram_of(*users_, std::string{user})) {
        terms.salt = known->salt();
        terms.iterations = known->iterations();
    }
    return terms;
}

session::scram_verdict verifier_pool::finish_scram(const session::scram_proof& p) {
    const auto address = throttle_key(p.peer_address);
    const auto lock = std::lock_guard{mutex_};
    const auto now = clock_.now();
    if ((by_address_.must_wait(address, now) && !trusted(address, now)) || by_user_.must_wait(p.user, now)) {
        return {{login_result::throttled, p.user, {}}, {}};
    }
    const auto* known = scram_of(*users_, p.user);
    if (known == nullptr || !known->accepts(p.said, p.proof)) {
        by_user_.failed(p.user, now);
        by_address_.failed(address, now);
        return {{login_result::refused, p.user, {}}, {}};
    }
    trust(address, now);
    return {verdict_for(*users_, p.user, p.loopback), known->signature(p.said)};
}

// ---- Tokens ------------------------------------------------------------------------------------

bool verifier_pool::takes_tokens() const {
    const auto lock = std::lock_guard{mutex_};
    return tokens_ != nullptr;
}

void verifier_pool::set_tokens(std::shared_ptr<const token_verifier> by) {
    const auto lock = std::lock_guard{mutex_};
    tokens_ = std::move(by);
    accepted_tokens_.clear();
}

login_verdict verifier_pool::verify_token(std::string_view token, std::string_view peer_address) {
    const auto print = cache_.fingerprint_of({}, token);
    const auto address = throttle_key(std::string(peer_address));
    auto lock = std::unique_lock{mutex_};
    const auto now = clock_.now();
    const auto by = tokens_;
    if (by == nullptr) {
        return {};
    }
    if (const auto known = accepted_tokens_.find(print); known != accepted_tokens_.end()) {
        if (clock_.wall_now() < known->second.grant->ends_at()) {
            const auto& who = known->second;
            return {login_result::accepted, who.user, who.tags, who.grant};
        }
        accepted_tokens_.erase(known);
    }
    if (by_address_.must_wait(address, now) && !trusted(address, now)) {
        return {login_result::throttled, {}, {}};
    }
    lock.unlock();
    auto who = by->verify(token, clock_.wall_now());
    lock.lock();
    if (!who) {
        // An old token is no guess.
        if (who.error().what == token_fault::kind::forged) {
            by_address_.failed(address, now);
        }
        lock.unlock();
        log::info({.domain = "login"}, "a token from {} is refused: {}", peer_address, who.error().why);
        return {};
    }
    trust(address, now);
    if (by == tokens_) {
        remember_token(print, *who);
    }
    return {login_result::accepted, std::move(who->user), std::move(who->tags), std::move(who->grant)};
}

void verifier_pool::remember_token(const credential_cache::fingerprint& print, const accepted_token& who) {
    if (accepted_tokens_.size() >= options_.cache_entries_max) {
        const auto wall = clock_.wall_now();
        std::erase_if(accepted_tokens_, [&](const auto& e) { return e.second.grant->ends_at() <= wall; });
        if (accepted_tokens_.size() >= options_.cache_entries_max) {
            accepted_tokens_.erase(accepted_tokens_.begin());
        }
    }
    accepted_tokens_.insert_or_assign(print, who);
}

void verifier_pool::reload(const std::vector<user_config>& users) {
    auto made = make_accounts(users);  // may hash a decoy: not under the lock
    const auto lock = std::lock_guard{mutex_};
    users_ = std::move(made);
    cache_.clear();
    trusted_until_.clear();
}

bool verifier_pool::trusted(const std::string& address, mono_ns now) const {
    const auto it = trusted_until_.find(address);
    return it != trusted_until_.end() && now < it->second;
}

void verifier_pool::trust(const std::string& address, mono_ns now) {
    if (trusted_until_.size() >= options_.cache_entries_max) {
        std::erase_if(trusted_until_, [&](const auto& e) { return e.second <= now; });
        if (trusted_until_.size() >= options_.cache_entries_max) {
            trusted_until_.erase(trusted_until_.begin());
        }
    }
    trusted_until_.insert_or_assign(address, now + options_.cache_lifetime);
}

}  // namespace linnet::app
