#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

// What fate decides in a simulation: by a seed, or every possible way, one after the other.

namespace linnet::store {

class choices {
public:
    choices() = default;
    choices(const choices&) = delete;
    choices& operator=(const choices&) = delete;
    virtual ~choices() = default;

    // One of [0, n); n > 0.
    [[nodiscard]] virtual std::size_t among(std::size_t n) = 0;
    [[nodiscard]] bool yes() { return among(2) == 1; }
};

class random_choices final : public choices {
public:
    explicit random_choices(std::uint64_t seed) : engine_(seed) {}
    // Not std::uniform_int_distribution, which differs between libraries; the bias is of no account here.
    [[nodiscard]] std::size_t among(std::size_t n) override { return static_cast<std::size_t>(engine_() % n); }

private:
    std::mt19937_64 engine_;
};

// An odometer over all ways: `every_choice c; do { run(c); } while (c.next());` runs each once, as long as
// run() asks the same when it has been answered the same.
class every_choice final : public choices {
public:
    [[nodiscard]] std::size_t among(std::size_t n) override {
        if (at_ == taken_.size()) {
            taken_.push_back({0, n});
        }
        return taken_[at_++].chosen;
    }

    // False once all ways have been gone.
    [[nodiscard]] bool next() {
        taken_.resize(at_);
        at_ = 0;
        while (!taken_.empty() && taken_.back().chosen + 1 == taken_.back().of) {
            taken_.pop_back();
        }
        if (taken_.empty()) {
            return false;
        }
        ++taken_.back().chosen;
        return true;
    }

private:
    struct choice {
        std::size_t chosen;
        std::size_t of;
    };
    std::vector<choice> taken_;
    std::size_t at_ = 0;
};

}  // namespace linnet::store
