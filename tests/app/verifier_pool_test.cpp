#include "broker/app/verifier_pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <openssl/evp.h>

#include <ctime>
#include <future>
#include <semaphore>

namespace linnet::app {
namespace {

using session::credentials;
using session::login_result;
using session::login_verdict;

const user_config alice{"alice", salted_sha256("right"), {"monitoring"}, false};
const user_config guest{"guest", salted_sha256("guest"), {"administrator"}, true};

credentials from(std::string address, std::string user, std::string password) {
    return {std::move(user), std::move(password), std::move(address), false};
}

class VerifierPool : public ::testing::Test {
protected:
    login_verdict login(const credentials& c) { return login(pool_, c); }
    static login_verdict login(verifier_pool& pool, const credentials& c) {
        auto later = std::promise<login_verdict>{};
        auto now = pool.verify(c, [&](login_verdict v) { later.set_value(std::move(v)); });
        return now ? *now : later.get_future().get();
    }
    // Whether the pool knew without asking a thread.
    bool known_at_once(const credentials& c) {
        auto told = std::promise<void>{};
        const bool known = pool_.verify(c, [&](const login_verdict&) { told.set_value(); }).has_value();
        if (!known) {
            told.get_future().get();
        }
        return known;
    }
    void fail_times(int n, const std::string& address, const std::string& user) {
        for (int i = 0; i < n; ++i) {
            ASSERT_EQ(login(from(address, user, "wrong")).result, login_result::refused) << i;
        }
    }

    manual_clock_source clock_;
    verifier_pool pool_{{alice, guest}, clock_};
};

TEST_F(VerifierPool, AcceptsTheRightPasswordAlone) {
    const auto verdict = login(from("1.1.1.1", "alice", "right"));
    EXPECT_EQ(verdict.result, login_result::accepted);
    EXPECT_EQ(verdict.user, "alice");
    EXPECT_THAT(verdict.tags, ::testing::ElementsAre("monitoring"));
    EXPECT_EQ(login(from("1.1.1.1", "alice", "wrong")).result, login_result::refused);
    EXPECT_EQ(login(from("1.1.1.1", "alice", "")).result, login_result::refused);
    EXPECT_EQ(login(from("1.1.1.1", "nobody", "right")).result, login_result::refused);
    EXPECT_THAT(login(from("1.1.1.1", "alice", "wrong")).tags, ::testing::IsEmpty());
}

TEST_F(VerifierPool, KeepsLoopbackUsersOnThisMachine) {
    EXPECT_EQ(login({"guest", "guest", "127.0.0.1", true}).result, login_result::accepted);
    EXPECT_EQ(login({"guest", "guest", "1.1.1.1", false}).result, login_result::loopback_only);
    EXPECT_EQ(login({"guest", "wrong", "1.1.1.1", false}).result, login_result::refused);
}

TEST_F(VerifierPool, NeverAcceptsAUserWithoutAPassword) {
    pool_.reload({{"certificate", "", {}, false}});
    EXPECT_EQ(login(from("1.1.1.1", "certificate", "")).result, login_result::refused);
    EXPECT_EQ(pool_.verify_certificate("certificate", true).result, login_result::accepted);
    EXPECT_EQ(pool_.verify_certificate("nobody", true).result, login_result::refused);
    EXPECT_EQ(pool_.verify_certificate("certificate", false).result, login_result::accepted);
    pool_.reload({{"certificate", "", {}, true}});
    EXPECT_EQ(pool_.verify_certificate("certificate", true).result, login_result::accepted);
    EXPECT_EQ(pool_.verify_certificate("certificate", false).result, login_result::loopback_only);
}

TEST_F(VerifierPool, RemembersForFiveMinutes) {
    const auto right = from("1.1.1.1", "alice", "right");
    EXPECT_FALSE(known_at_once(right));
    EXPECT_TRUE(known_at_once(right));
    EXPECT_TRUE(known_at_once(from("2.2.2.2", "alice", "right")));
    EXPECT_FALSE(known_at_once(from("1.1.1.1", "alice", "wrong")));
    EXPECT_FALSE(known_at_once(from("1.1.1.1", "alice", "wrong")));  // failures are not remembered
    clock_.advance(300 * ns_per_s);
    EXPECT_FALSE(known_at_once(right));
}

TEST_F(VerifierPool, ForgetsOnReload) {
    EXPECT_EQ(login(from("1.1.1.1", "alice", "right")).result, login_result::accepted);
    pool_.reload({{"alice", salted_sha256("new"), {}, false}});
    EXPECT_EQ(login(from("1.1.1.1", "alice", "right")).result, login_result::refused);
    EXPECT_EQ(login(from("1.1.1.1", "alice", "new")).result, login_result::accepted);
    pool_.reload({});
    EXPECT_EQ(login(from("1.1.1.1", "alice", "new")).result, login_result::refused);
}

TEST_F(VerifierPool, SlowsAnAddressDownAfterTenFailures) {
    // Ten names: it is the address that is slowed, not a user.
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(login(from("6.6.6.6", "user" + std::to_string(i), "wrong")).result, login_result::refused);
    }
    EXPECT_EQ(login(from("6.6.6.6", "alice", "right")).result, login_result::throttled);
    EXPECT_EQ(login(from("1.1.1.1", "alice", "right")).result, login_result::accepted);
    clock_.advance(ns_per_s);
    EXPECT_EQ(login(from("6.6.6.6", "alice", "right")).result, login_result::accepted);
}

TEST_F(VerifierPool, SlowsAUserDownWhoeverGuesses) {
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(login(from("6.6.6." + std::to_string(i), "alice", "wrong")).result, login_result::refused);
    }
    EXPECT_EQ(login(from("1.1.1.1", "alice", "right")).result, login_result::throttled);
    EXPECT_EQ(login({"guest", "guest", "127.0.0.1", true}).result, login_result::accepted);
    clock_.advance(ns_per_s);
    EXPECT_EQ(login(from("1.1.1.1", "alice", "right")).result, login_result::accepted);
}

TEST_F(VerifierPool, LetsInWhoHasLoggedInLatelyWhileOthersGuess) {
    EXPECT_EQ(login(from("1.1.1.1", "alice", "right")).result, login_result::accepted);
    fail_times(10, "6.6.6.6", "alice");
    // The user is throttled, yet these credentials were right a moment ago.
    EXPECT_EQ(login(from("1.1.1.1", "alice", "right")).result, login_result::accepted);
    // The guesser's address has never logged in: even the right password must wait.
    EXPECT_EQ(login(from("6.6.6.6", "alice", "right")).result, login_result::throttled);
}

TEST_F(VerifierPool, DoesNotPunishTheNeighboursBehindOneAddress) {
    EXPECT_EQ(login(from("1.1.1.1", "alice", "right")).result, login_result::accepted);
    fail_times(10, "1.1.1.1", "someone");
    EXPECT_EQ(login(from("1.1.1.1", "someone", "wrong")).result, login_result::throttled);
    EXPECT_EQ(login(from("1.1.1.1", "alice", "right")).result, login_result::accepted);
}

TEST_F(VerifierPool, TreatsANetworkOfIpv6AsOneAddress) {
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(login(from("2001:db8::" + std::to_string(i + 1), "u" + std::to_string(i), "x")).result,
                  login_result::refused);
    }
    EXPECT_EQ(login(from("2001:db8::ffff", "alice", "right")).result, login_result::throttled);
    EXPECT_EQ(login(from("2001:db8:0:1::1", "alice", "right")).result, login_result::accepted);
}

// A user whose check takes long enough (some 20 ms) for others to come meanwhile.
const user_config slow{"slow", argon2id("right"), {}, false};

TEST(VerifierPoolUnderLoad, ChecksCredentialsOnceForAllWhoWait) {
    const auto clock = manual_clock_source{};
    auto options = verifier_options{};
    options.threads = 1;
    options.checks_max = 1;
    auto pool = verifier_pool{{slow}, clock, options};
    constexpr int clients = 500;
    auto accepted = std::atomic<int>{0};
    auto later = std::counting_semaphore<>{0};
    int at_once = 0;
    for (int i = 0; i < clients; ++i) {
        const auto known = pool.verify(from("1.1.1." + std::to_string(i), "slow", "right"),
                                       [&](const login_verdict& v) {
                                           accepted += v.result == login_result::accepted ? 1 : 0;
                                           later.release();
                                       });
        if (known) {  // the check was done before we came this far
            accepted += known->result == login_result::accepted ? 1 : 0;
            ++at_once;
        }
    }
    for (int i = at_once; i < clients; ++i) {
        later.acquire();
    }
    EXPECT_EQ(accepted, clients);
    EXPECT_LT(at_once, clients);
}

TEST(VerifierPoolUnderLoad, TurnsAwayWhatDoesNotFit) {
    const auto clock = manual_clock_source{};
    auto options = verifier_options{};
    options.threads = 1;
    options.checks_max = 3;
    options.checks_per_address_max = 2;
    auto gate = std::binary_semaphore{0};
    auto done = std::counting_semaphore<>{0};
    auto pool = verifier_pool{{alice}, clock, options};
    // The only thread is kept in a callback, so that what follows stays in the queue.
    auto held = std::binary_semaphore{0};
    ASSERT_FALSE(pool.verify(from("9.9.9.9", "alice", "right"), [&](const login_verdict&) {
        held.release();
        gate.acquire();
        done.release();
    }));
    held.acquire();
    const auto ask = [&](const char* address, const char* password) {
        return pool.verify(from(address, "alice", password), [&](const login_verdict&) { done.release(); });
    };
    EXPECT_FALSE(ask("1.1.1.1", "a"));
    EXPECT_FALSE(ask("1.1.1.1", "b"));
    EXPECT_EQ(ask("1.1.1.1", "c")->result, login_result::throttled);  // its share is used up
    EXPECT_FALSE(ask("1.1.1.1", "b"));                                // joins the check that waits
    EXPECT_FALSE(ask("2.2.2.2", "d"));
    EXPECT_EQ(ask("3.3.3.3", "e")->result, login_result::throttled);  // the queue is full
    gate.release();
    for (int i = 0; i < 5; ++i) {
        done.acquire();
    }
    EXPECT_FALSE(ask("1.1.1.1", "f"));  // there is room again
    done.acquire();
}

TEST(VerifierPoolUnderLoad, ChecksAgainWhenUsersChangeMeanwhile) {
    const auto clock = manual_clock_source{};
    for (int i = 0; i < 20; ++i) {
        auto pool = verifier_pool{{slow}, clock};
        auto verdict = std::promise<login_verdict>{};
        ASSERT_FALSE(
            pool.verify(from("1.1.1.1", "slow", "right"), [&](login_verdict v) { verdict.set_value(std::move(v)); }));
        pool.reload({{"slow", salted_sha256("new"), {}, false}});
        verdict.get_future().get();  // by the old users or the new ones, as the race went
        // But the old verdict must not have been remembered.
        auto second = std::promise<login_verdict>{};
        const auto known = pool.verify(from("1.1.1.1", "slow", "right"),
                                       [&](login_verdict v) { second.set_value(std::move(v)); });
        EXPECT_EQ(known ? known->result : second.get_future().get().result, login_result::refused);
    }
}

TEST(VerifierPoolUnderLoad, EndsWhileLoginsWait) {
    const auto clock = manual_clock_source{};
    auto told = std::atomic<int>{0};
    {
        auto pool = verifier_pool{{slow}, clock};
        for (int i = 0; i < 50; ++i) {
            static_cast<void>(
                pool.verify(from("1.1.1.1", "slow", std::to_string(i)), [&](const login_verdict&) { ++told; }));
        }
    }
    EXPECT_LT(told, 50);
}

// [A24] Names must not be told by the clock. The work is counted in processor time, which other programs disturb
// little, and the bounds are generous: without the decoy an unknown user costs some 10 000 times less than a known one.
TEST(VerifierPoolWork, CostsTheSameForUnknownUsers) {
    const auto clock = manual_clock_source{};
    auto options = verifier_options{};
    options.throttle.failures_free = 1'000;
    auto pool = verifier_pool{{slow, alice}, clock, options};
    const auto median_of = [&](const char* user) {
        auto times = std::vector<std::clock_t>{};
        for (int i = 0; i < 9; ++i) {
            const auto begin = std::clock();
            auto verdict = std::promise<login_verdict>{};
            const auto known = pool.verify(from("1.1.1.1", user, "wrong" + std::to_string(i)),
                                           [&](login_verdict v) { verdict.set_value(std::move(v)); });
            EXPECT_FALSE(known);
            EXPECT_EQ(verdict.get_future().get().result, login_result::refused);
            times.push_back(std::clock() - begin);
        }
        std::ranges::nth_element(times, times.begin() + 4);
        return static_cast<double>(times[4]);
    };
    const auto dear = median_of("slow");
    const auto alike = ::testing::AllOf(::testing::Gt(dear / 3), ::testing::Lt(dear * 3));
    EXPECT_THAT(median_of("nobody"), alike);
    EXPECT_THAT(median_of("alice"), alike);  // a cheap hash is no hint either
}

// ---- The parts ---------------------------------------------------------------------------------------

TEST(LoginThrottle, DoublesUpToAMinute) {
    auto throttle = login_throttle{throttle_options{}};
    auto now = mono_ns{0};
    for (int i = 0; i < 9; ++i) {
        throttle.failed("a", now);
        EXPECT_FALSE(throttle.must_wait("a", now)) << i;
    }
    for (auto seconds : {1, 2, 4, 8, 16, 32, 60, 60, 60}) {
        throttle.failed("a", now);
        EXPECT_TRUE(throttle.must_wait("a", now + seconds * ns_per_s - 1)) << seconds;
        EXPECT_FALSE(throttle.must_wait("a", now + seconds * ns_per_s)) << seconds;
        now += seconds * ns_per_s;
    }
    EXPECT_FALSE(throttle.must_wait("b", now));
}

TEST(LoginThrottle, ForgivesAfterTenQuietMinutes) {
    auto throttle = login_throttle{throttle_options{}};
    for (int i = 0; i < 15; ++i) {
        throttle.failed("a", 0);
    }
    const auto later = 601 * ns_per_s;
    throttle.failed("a", later);
    EXPECT_FALSE(throttle.must_wait("a", later));
}

TEST(LoginThrottle, SurvivesAnyNumberOfFailures) {
    auto throttle = login_throttle{throttle_options{}};
    for (int i = 0; i < 100'000; ++i) {
        throttle.failed("a", 0);
    }
    EXPECT_TRUE(throttle.must_wait("a", 60 * ns_per_s - 1));
    EXPECT_FALSE(throttle.must_wait("a", 60 * ns_per_s));
}

TEST(LoginThrottle, IsBounded) {
    auto options = throttle_options{};
    options.entries_max = 100;
    auto throttle = login_throttle{options};
    for (int i = 0; i < 10; ++i) {
        throttle.failed("kept", 1'000);
    }
    for (int i = 0; i < 1'000; ++i) {
        throttle.failed(std::to_string(i), i < 500 ? 0 : 1);
        ASSERT_LE(throttle.size(), 100U);
    }
    EXPECT_TRUE(throttle.must_wait("kept", 1'001));
}

TEST(ThrottleKey, IsAnAddressOrANetwork) {
    EXPECT_EQ(throttle_key("10.0.0.1"), "10.0.0.1");
    EXPECT_EQ(throttle_key("::ffff:10.0.0.1"), "10.0.0.1");
    EXPECT_EQ(throttle_key("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    EXPECT_EQ(throttle_key("::1"), "::/64");
    EXPECT_EQ(throttle_key("unix"), "unix");
}

// ---- SCRAM-SHA-256 -------------------------------------------------------------------------------

class ScramLogin : public ::testing::Test {
protected:
    // What a client does that has this password.
    static session::scram_proof proof(const std::string& user, std::string_view password,
                                      const session::scram_terms& terms, std::string address = "10.0.0.1") {
        std::string salted(32, '\0');
        EXPECT_EQ(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                                    reinterpret_cast<const unsigned char*>(terms.salt.data()),
                                    static_cast<int>(terms.salt.size()), static_cast<int>(terms.iterations),
                                    EVP_sha256(), 32, reinterpret_cast<unsigned char*>(salted.data())),
                  1);
        const auto client_key = hmac_sha256(salted, "Client Key");
        std::string stored_key(32, '\0');
        EXPECT_EQ(EVP_Digest(client_key.data(), client_key.size(), reinterpret_cast<unsigned char*>(stored_key.data()),
                             nullptr, EVP_sha256(), nullptr),
                  1);
        session::scram_proof p{user, "said " + terms.nonce, hmac_sha256(stored_key, "said " + terms.nonce),
                               std::move(address), false};
        for (std::size_t i = 0; i < p.proof.size(); ++i) {
            p.proof[i] = static_cast<char>(p.proof[i] ^ client_key[i]);
        }
        return p;
    }

    manual_clock_source clock_;
    const std::vector<user_config> users_{{"carol", scram_sha256("right", 5000), {"monitoring"}, false},
                                          {"dora", scram_sha256("right", 4096), {}, true},
                                          alice};
    verifier_pool pool_{users_, clock_};
};

TEST_F(ScramLogin, IsForUsersWithAVerifier) {
    const auto terms = pool_.begin_scram("carol");
    EXPECT_EQ(terms.iterations, 5000U);
    EXPECT_EQ(pool_.begin_scram("carol").salt, terms.salt);
    EXPECT_NE(pool_.begin_scram("carol").nonce, terms.nonce) << "what was overheard must prove nothing";
    const auto good = pool_.finish_scram(proof("carol", "right", terms));
    EXPECT_EQ(good.login.result, login_result::accepted);
    EXPECT_EQ(good.login.tags, (std::vector<std::string>{"monitoring"}));
    EXPECT_EQ(good.signature.size(), 32U);
    const auto bad = pool_.finish_scram(proof("carol", "wrong", terms));
    EXPECT_EQ(bad.login.result, login_result::refused);
    EXPECT_EQ(bad.signature, "");
    EXPECT_EQ(pool_.finish_scram(proof("dora", "right", pool_.begin_scram("dora"))).login.result,
              login_result::loopback_only);
}

TEST_F(ScramLogin, TellsNobodyWhoExists) {
    for (const auto* user : {"nobody", "alice"}) {  // alice's password is kept in another form
        const auto terms = pool_.begin_scram(user);
        EXPECT_EQ(terms.salt, pool_.begin_scram(user).salt);
        EXPECT_EQ(terms.salt.size(), 16U);
        EXPECT_EQ(terms.iterations, 5000U);
        EXPECT_EQ(pool_.finish_scram(proof(user, "right", terms)).login.result, login_result::refused);
    }
    EXPECT_NE(pool_.begin_scram("nobody").salt, pool_.begin_scram("somebody").salt);
}

TEST_F(ScramLogin, IsSlowedDownForGuessers) {
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(pool_.finish_scram(proof("carol", "wrong", pool_.begin_scram("carol"))).login.result,
                  login_result::refused);
    }
    EXPECT_EQ(pool_.finish_scram(proof("carol", "right", pool_.begin_scram("carol"))).login.result,
              login_result::throttled);
    clock_.advance(2 * ns_per_s);
    EXPECT_EQ(pool_.finish_scram(proof("carol", "right", pool_.begin_scram("carol"))).login.result,
              login_result::accepted);
}

TEST_F(ScramLogin, LeavesPlainLoginsAsTheyAre) {
    auto later = std::promise<login_verdict>{};
    const auto now = pool_.verify({"carol", "right", "10.0.0.1", false},
                                  [&](login_verdict v) { later.set_value(std::move(v)); });
    EXPECT_EQ((now ? *now : later.get_future().get()).result, login_result::accepted);
}

TEST(CredentialCache, TellsUserAndPasswordApart) {
    auto cache = credential_cache{10, 100};
    cache.remember(cache.fingerprint_of("ab", "c"), 0);
    EXPECT_TRUE(cache.contains(cache.fingerprint_of("ab", "c"), 99));
    EXPECT_FALSE(cache.contains(cache.fingerprint_of("ab", "c"), 100));
    EXPECT_FALSE(cache.contains(cache.fingerprint_of("a", "bc"), 0));
    EXPECT_FALSE(cache.contains(cache.fingerprint_of("abc", ""), 0));
    EXPECT_NE(cache.fingerprint_of("a", "b"), (credential_cache{10, 100}.fingerprint_of("a", "b")));
}

TEST(CredentialCache, IsBounded) {
    auto cache = credential_cache{10, 100};
    for (int i = 0; i < 100; ++i) {
        const auto print = cache.fingerprint_of("u", std::to_string(i));
        cache.remember(print, 0);
        EXPECT_TRUE(cache.contains(print, 0));
        EXPECT_LE(cache.size(), 10U);
    }
    cache.remember(cache.fingerprint_of("u", "late"), 1'000);
    EXPECT_EQ(cache.size(), 1U);  // the expired made room first
}

}  // namespace
}  // namespace linnet::app
